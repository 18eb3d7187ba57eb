"""Where a comparison or a search in Python keeps its results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def result_folder(outdir: str | Path | None) -> Iterator[Path]:
    """The folder that was named, which stays; without one a temporary folder, which is removed."""
    if outdir is not None:
        yield Path(outdir)
        return
    with tempfile.TemporaryDirectory(prefix="hcat-") as temporary:
        yield Path(temporary)
