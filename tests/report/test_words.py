"""The sentences at the top of the report: each is there where it is true, and not where it is not."""

from dataclasses import replace

import numpy as np
import torch

from hcat_core.data.splits import Split
from hcat_core.layout import Layout
from hcat_core.report.words import NO_TEST_PATIENTS, purpose, summary_in_words, too_few


def told(made):
    return " ".join(summary_in_words(made))


def without_test(split):
    return Split(torch.arange(400), split.test[:0], split.test[:0], split.left_out)


def test_the_purpose_names_outcomes_with_their_horizons_and_modalities(inputs):
    text = purpose(inputs())
    assert text == (
        "The probability of death within 5 years and recurrence within 2 years, predicted from any of "
        "clinical, semantic or temporal."
    )


def test_events_of_few_groups_are_counted_in_groups(inputs, cohort, split):
    events = torch.from_numpy(np.isin(np.arange(400), split.test[:20]))
    groups = tuple(f"g{row // 4}" for row in range(400))
    labels = cohort.targets.labels.clone()
    labels[split.test, 0] = events[split.test].to(labels.dtype)
    targets = replace(cohort.targets, labels=labels)
    known = inputs(replace(cohort, groups=groups, targets=targets)).known_test_outcomes(0)
    assert too_few("survival", known).startswith(
        "survival: 20 events, in 5 groups, among 140 test patients"
    )
    assert "ten groups with either outcome are needed" in too_few("survival", known)


def test_few_event_free_patients_are_as_few_as_few_events(inputs):
    made = inputs().known_test_outcomes(0)
    free = replace(made, label=np.where(np.arange(len(made.label)) < 3, 0, 1))
    assert "survival: 3 event-free patients among" in too_few("survival", free)


def test_without_test_patients_nothing_is_said_of_them(inputs, cohort, split):
    text = told(inputs(split=without_test(split)))
    assert NO_TEST_PATIENTS in text and "AUC" not in text and "The test patients come from" not in text
    assert NO_TEST_PATIENTS not in told(inputs()) and "The test patients come from" in told(inputs())


def test_a_cohort_of_one_modality_is_described_as_such(inputs, cohort):
    modality = cohort.layout.modalities[1]  # the widest one
    layout = Layout((modality,), cohort.layout.tasks)
    columns = {
        name: getattr(cohort, name)[:, 1:2] for name in ("emb", "measured", "present", "quality", "n_rows")
    }
    text = told(inputs(replace(cohort, layout=layout, **columns)))
    assert "400 patients and one modality, which" in text
    assert "400 patients and 3 modalities;" in told(inputs())


def test_imputation_is_called_outcome_informed_only_where_it_was(inputs):
    made = inputs()
    informed = replace(made.summary.run.training, outcome_informed_imputation=True)
    assert "The imputation is outcome-informed" in told(inputs(run={"training": informed}))
    assert "outcome-informed" not in told(made)


def test_a_split_by_a_column_may_be_by_place_or_time(inputs):
    by_column = {"split": {"validation": 0.15, "test": 0.15, "column": "fold"}}
    assert "The test patients are those of the column fold." in told(inputs(recipe=by_column))
    assert "same cohort as the training patients" not in told(inputs(recipe=by_column))
