"""Number and rank of the processes that torchrun started, from its environment variables."""

from __future__ import annotations

import os


def size() -> int:
    """Number of processes that share a training."""
    return int(os.environ.get("WORLD_SIZE", "1")) if "RANK" in os.environ else 1


def rank() -> int:
    """Rank of this process among them, from 0."""
    return int(os.environ["RANK"]) if size() > 1 else 0
