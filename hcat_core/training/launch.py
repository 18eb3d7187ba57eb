"""What torchrun tells each process that it starts; without it there is one, number 0."""

from __future__ import annotations

import os


def size() -> int:
    """How many processes were started together."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """Which of them this is."""
    return int(os.environ["RANK"]) if size() > 1 else 0
