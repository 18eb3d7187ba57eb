"""What the report says of the checks of the data, and of what they could not look at."""

from dataclasses import replace

import pytest
import torch

from hcat_core.layout import Layout
from hcat_core.report import data_checks
from hcat_core.report.page import render

pytestmark = pytest.mark.usefixtures("undrawn")


def named(cohort):
    """The same patients with names of the clinical features."""
    first, *rest = cohort.layout.modalities
    features = tuple(f"analyte {number}" for number in range(first.width))
    return replace(cohort, layout=Layout((replace(first, features=features), *rest), cohort.layout.tasks))


def rare(cohort, split, events):
    """The same patients, of whom few training patients have the event of survival."""
    labels = cohort.targets.labels.clone()
    with_event = split.train[labels[split.train, 0] == 1]
    labels[with_event[events:], 0] = -1
    return replace(cohort, targets=replace(cohort.targets, labels=labels))


def test_features_that_were_too_rarely_measured_with_an_event_are_not_called_harmless(
    inputs, cohort, split
):
    text = data_checks.leakage(inputs())
    assert "20 for survival and 20 for recurrence; none predicts the outcome" in text
    nine = data_checks.leakage(inputs(rare(cohort, split, 9)))
    assert "20 for recurrence; none predicts the outcome" in nine and "for survival and" not in nine
    assert "No feature was checked alone for survival" in nine
    assert "measured or not predict recurrence with" in nine


def test_only_some_features_may_have_been_checked(inputs, cohort, split):
    measured = cohort.measured.clone()
    events = split.train[cohort.targets.labels[split.train, 0] == 1]
    measured[events[9:], 0, 0] = False
    text = data_checks.leakage(inputs(replace(cohort, measured=measured)))
    skipped = "Others were skipped: fewer than 10 patients"
    assert "19 for survival" in text and skipped in text
    assert skipped not in data_checks.leakage(inputs())


def test_names_are_checked_where_features_have_names(inputs, cohort):
    assert "None of 20 features has a name" in data_checks.leakage(inputs())
    assert "Of 20 features, 6 have names" in data_checks.leakage(inputs(named(cohort)))


def test_features_that_the_recipe_allows_are_not_called_checked(inputs, cohort):
    text = data_checks.leakage(inputs(named(cohort), allowed=["analyte 1", "absent"]))
    assert "Of 20 features, 5 have names" in text and "19 for survival" in text
    assert "Not checked: 1 feature that the recipe allows" in text
    assert "allows" not in data_checks.leakage(inputs(named(cohort)))


def test_modalities_of_few_values_are_not_called_free_of_duplicates(inputs, cohort):
    text = data_checks.quality(inputs())
    assert "different patients (semantic)" in text
    assert "Not compared between patients: clinical and temporal" in text
    first = cohort.layout.modalities[1]
    columns = {
        name: getattr(cohort, name)[:, 1:2] for name in ("emb", "measured", "present", "quality", "n_rows")
    }
    alone = replace(cohort, layout=Layout((first,), cohort.layout.tasks), **columns)
    assert "Not compared" not in data_checks.quality(inputs(alone))


def test_nothing_is_said_to_be_found_only_where_nothing_was(inputs, analysed):
    assert "Nothing was found." in render(inputs()) and "Findings to look into" not in render(inputs())
    assert "Nothing was found." not in render(analysed()) and "Findings to look into" in render(analysed())


def test_one_feature_of_zeros_is_not_called_checked(inputs, cohort):
    one = replace(cohort.layout.modalities[0], width=1)
    layout = Layout((one, *cohort.layout.modalities[1:]), cohort.layout.tasks)
    cells = layout.cells
    cohort = replace(
        cohort, layout=layout, emb=torch.where(cells, cohort.emb, 0.0), measured=cohort.measured & cells
    )
    assert "nothing but zeros (semantic and temporal)" in data_checks.quality(inputs(cohort))
