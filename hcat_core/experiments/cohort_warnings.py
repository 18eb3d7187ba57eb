"""What to know of a cohort before recipes are scored on its folds."""

from __future__ import annotations

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ReadReport
from hcat_core.data.data_quality import find_quality_issues, refuse_quality_issues
from hcat_core.evaluation.sample_size import sample_size_warnings


def cohort_warnings(cohort: Cohort, report: ReadReport, *, strict: bool) -> list[str]:
    """Findings about the quality of the data, and too few patients.

    Args:
        cohort: with outcomes.
        report: of reading it.
        strict: findings about the quality are errors; too few patients never are.

    Raises:
        DataError: for findings, if ``strict``.
    """
    issues = find_quality_issues(cohort, report)
    if strict:
        refuse_quality_issues(issues)
    return [*(issue.message for issue in issues), *sample_size_warnings(cohort)]
