"""What was found in data that are given in Python: warnings, and sentences that the result keeps."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterable

import hcat_core


class FindingWarning(UserWarning):
    """Something about the data that does not stop hcat and that a user should know."""


def warn_of(findings: Iterable[str]) -> None:
    """Warn of each finding, at the line outside hcat from which it was called."""
    level, frame = 1, sys._getframe()
    while frame.f_back is not None and frame.f_code.co_filename.startswith(tuple(hcat_core.__path__)):
        level, frame = level + 1, frame.f_back
    for finding in dict.fromkeys(findings):
        warnings.warn(finding, FindingWarning, stacklevel=level)
