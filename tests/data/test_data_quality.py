"""Findings about a cohort name some rows, never patients, and a count; ``--strict`` stops at them."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.cohort import Cohort
from hcat_core.layout import Layout, Modality
from hcat_core.data.assembly import ModalityReport, ReadReport
from hcat_core.data.data_quality import (
    find_quality_issues,
    refuse_quality_issues,
    refuse_unmeasured,
)
from hcat_core.errors import DataError
from hcat_core.testing.cohorts import random_cohort


def report_of(cohort):
    n = len(cohort)
    return ReadReport(
        tuple(ModalityReport(m.name, f"c/{m.name}.h5", m.width, n, n, 0, None) for m in cohort.layout.modalities),
        0,
    )


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
    return [issue.message for issue in find_quality_issues(cohort, report_of(cohort))]


def test_messages_name_lines_of_predictions_and_never_patients():
    found = messages(with_faults())
    assert any("nothing but zeros for 2 patients (lines 5, 9 of predictions.csv)" in message for message in found)
    assert any("lines 12, 13 of" in message for message in found)
    assert not any("SECRET" in message for message in found)


def test_a_patient_without_any_modality_has_no_line_in_predictions():
    cohort = with_faults()
    hide = torch.zeros_like(cohort.present)
    hide[0] = True
    assert any("(lines 4, 8 of predictions.csv)" in message for message in messages(cohort.hide(hide)))


def test_strict_stops_at_each_finding_and_at_none():
    cohort = with_faults()
    issues = find_quality_issues(cohort, report_of(cohort))
    with pytest.raises(DataError, match="--strict: .* findings about the cohort") as stop:
        refuse_quality_issues(issues)
    assert all(issue.message in str(stop.value) for issue in issues)
    assert "SECRET" not in str(stop.value)
    refuse_quality_issues([])


def cohort_of(emb, ids=None):
    emb = torch.as_tensor(np.asarray(emb, dtype=np.float32))[:, None]
    measured = emb.isfinite()
    n = len(emb)
    return Cohort(
        patient_ids=tuple(ids or (f"P{row}x" for row in range(n))),
        layout=Layout((Modality("spatial", emb.shape[2]),)),
        emb=emb.nan_to_num(),
        measured=measured,
        present=measured.any(dim=2),
        quality=torch.ones((n, 1)),
        n_rows=torch.ones((n, 1), dtype=torch.int32),
    )


def found(cohort):
    return find_quality_issues(cohort, report_of(cohort))


def rows(number):
    return np.random.default_rng(0).normal(size=(number, 16))


@pytest.mark.parametrize(("copies", "told"), [(2, "lines 2, 3 of"), (5, "6 of"), (6, "6 and 1 more of"), (20_000, "more of")])
def test_one_set_of_copies_is_some_rows_and_a_count(copies, told):
    (issue,) = found(cohort_of(np.repeat(rows(1), copies, axis=0)))
    assert issue.kind == "duplicate" and told in issue.message and len(issue.message) < 300


def test_many_sets_of_copies_are_some_sets_and_a_count():
    (issue,) = found(cohort_of(np.repeat(rows(10_000), 2, axis=0)))
    assert "10000 sets of patients" in issue.message and "; and 9995 more sets" in issue.message
    assert issue.message.count("lines ") == 5
    assert len(issue.message) < 400


def test_many_rows_of_zeros_are_some_rows_and_a_count():
    (issue,) = found(cohort_of(np.zeros((3000, 16))))
    assert issue.kind == "empty" and "lines 2, 3, 4, 5, 6 and 2995 more of predictions.csv" in issue.message


def test_many_ids_with_one_stem_are_some_sets_and_a_count():
    ids = [f"{number // 2:05d}_{number % 2}" for number in range(4000)]
    (issue,) = found(cohort_of(rows(4000), ids))
    assert issue.kind == "shared_id" and "; and 1995 more sets" in issue.message
    assert len(issue.message) < 400


def test_copies_are_the_rows_that_are_equal_whatever_their_order():
    values = rows(6)
    values[[1, 4]] = values[3]
    values[5] = values[0]
    (issue,) = found(cohort_of(values))
    assert sorted(issue.message.split("(")[1].split(" of ")[0].split("; ")) == ["lines 2, 7", "lines 3, 5, 6"]


def test_a_modality_without_a_value_is_named_with_its_file_and_a_cohort_without_any_is_refused():
    nothing = cohort_of(np.full((5, 16), np.nan))
    (issue,) = found(nothing)
    assert issue.kind == "unmeasured" and issue.message.startswith("c/spatial.h5: no patient has a measured")
    report = ReadReport((ModalityReport("spatial", "c/spatial.h5", 16, 0, 5, 80, None),), 5)
    with pytest.raises(DataError, match=r"spatial from c/spatial\.h5"):
        refuse_unmeasured(nothing, report)
    refuse_unmeasured(cohort_of(rows(2)), report)


@pytest.mark.parametrize("word", ["NA", "N/A", "unknown", "?", "Missing"])
def test_an_id_that_is_a_word_for_not_known_is_told_by_its_row(word):
    """R writes NA for a lacking id: the rows of several patients became those of one, called NA."""
    cohort = random_cohort(40, missing=0, gaps=0)
    ids = [f"SECRET{row:03d}" for row in range(40)]
    assert messages(replace(cohort, patient_ids=tuple(ids))) == []
    (message,) = messages(replace(cohort, patient_ids=(*ids[:12], word, *ids[13:])))
    assert message.startswith("the id in line 14 of predictions.csv is a word") and "SECRET" not in message


@pytest.mark.parametrize("name", ["NA-1", "Nadia", "001", "unknown7"])
def test_an_id_that_only_begins_like_such_a_word_is_not_told(name):
    cohort = random_cohort(3, missing=0, gaps=0)
    assert messages(replace(cohort, patient_ids=("a", "b", name))) == []
