"""What a comparison and a search in Python share: what to know of the cohort, and a folder for results."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hcat_core.api.cohort import Cohort
from hcat_core.experiments.cohort_warnings import cohort_warnings


def further_warnings(cohort: Cohort, strict: bool) -> list[str]:
    """Warnings before methods are scored on a cohort's folds, without those of reading it.

    Raises:
        DataError: for findings about data quality, if ``strict``.
    """
    found = cohort_warnings(cohort.data, cohort.given.report, strict=strict)
    return [text for text in found if text not in cohort.findings]


@contextmanager
def result_folder(outdir: str | Path | None) -> Iterator[Path]:
    """The folder that was named, which stays; without one a temporary folder, which is removed."""
    if outdir is not None:
        yield Path(outdir)
        return
    with tempfile.TemporaryDirectory(prefix="hcat-") as temporary:
        yield Path(temporary)
