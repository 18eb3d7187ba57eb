"""How the command line shows that a plugin imports from paths that have moved: one line, once."""

from __future__ import annotations

import contextlib
import os
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

from hcat_core.registry.old_paths import PREFIX, OldPathWarning
from hcat_core.training import launch

FILTERS = "PYTHONWARNINGS"  # read by Python, and inherited by the processes that share the work
SILENT = f"ignore:{PREFIX}:FutureWarning"


@contextlib.contextmanager
def shown_once() -> Iterator[None]:
    """Print the first ``OldPathWarning`` as one line, and no other, in this process and those it starts."""
    show, filters = warnings.showwarning, os.environ.get(FILTERS)
    shown = filters is not None and SILENT in filters

    def once(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        nonlocal shown
        if not issubclass(category, OldPathWarning):
            show(message, category, filename, lineno, file, line)
        elif not shown:
            shown = True
            os.environ[FILTERS] = f"{filters},{SILENT}" if filters else SILENT
            if launch.rank() == 0:
                print(f"hcat: {filename}, line {lineno}: {message}", file=sys.stderr)

    warnings.showwarning = once
    try:
        yield
    finally:
        warnings.showwarning = show
        if filters is None:
            os.environ.pop(FILTERS, None)
        else:
            os.environ[FILTERS] = filters
