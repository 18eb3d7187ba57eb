"""Findings about a cohort: rows and not patients are named, and ``--strict`` stops at them."""

from dataclasses import replace

import pytest
import torch

from hcat_core.data.assembly import ReadReport
from hcat_core.data.data_quality import find_quality_issues, refuse_quality_issues
from hcat_core.errors import DataError
from hcat_core.testing.cohorts import random_cohort


REPORT = ReadReport((), 0)


def with_faults():
    """Rows 3 and 7 hold nothing but zeros, rows 10 and 11 the same values, and two ids differ by an ending."""
    cohort = random_cohort(40, {"clinical": 8, "spatial": 8}, missing=0, gaps=0)
    emb = cohort.emb.clone()
    emb[[3, 7], 0] = 0
    emb[11, 1] = emb[10, 1]
    ids = [f"SECRET{row:03d}" for row in range(40)]
    ids[20], ids[21] = "SECRET900_1", "SECRET900_2"
    return replace(cohort, emb=emb, patient_ids=tuple(ids))


def messages(cohort):
    return [issue.message for issue in find_quality_issues(cohort, REPORT)]


def test_messages_name_rows_and_never_patients():
    found = messages(with_faults())
    assert any("nothing but zeros for 2 patients (rows 3, 7)" in message for message in found)
    assert any("rows 10, 11" in message for message in found)
    assert not any("SECRET" in message for message in found)


def test_strict_stops_at_each_finding_and_at_none():
    issues = find_quality_issues(with_faults(), REPORT)
    with pytest.raises(DataError, match="--strict: .* findings about the cohort") as stop:
        refuse_quality_issues(issues)
    assert all(issue.message in str(stop.value) for issue in issues)
    assert "SECRET" not in str(stop.value)
    refuse_quality_issues([])
