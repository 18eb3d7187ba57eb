"""What the report says of labels, censoring and competing events."""

import numpy as np
import pytest

from hcat_core.metrics.survival import causes, kaplan_meier
from hcat_core.report.outcomes import competing_events, follow_up, label_rules, weighted_tasks, weighting
from hcat_core.report.page import render

pytestmark = pytest.mark.usefixtures("undrawn")


def test_censored_patients_are_called_unknown_only_where_times_are_known(inputs, untimed):
    assert "Patients censored before the horizon count as unknown" in label_rules(inputs())
    text = label_rules(inputs(untimed))
    assert "censored" not in text
    assert "Labels of survival and recurrence are those of the file; event times are unknown." in text


def test_patients_with_the_competing_event_first_are_called_event_free(inputs, competing):
    assert "competing event first (recurrence) count as event-free" in label_rules(inputs(competing))
    assert "competing" not in label_rules(inputs())


def test_a_competing_event_is_counted_and_the_probability_named(inputs, competing):
    made = inputs(competing)
    _, time, cause = causes(competing.targets, 1)
    first, early = (cause == 2).sum(), ((cause == 2) & (time <= 730)).sum()
    assert first > early > 0
    (text,) = competing_events(made)
    assert f" {first} patients had the competing event first, {early} of them" in text
    assert "cumulative incidence" in text and 'without competing = "survival"' in text
    assert competing_events(inputs()) == []
    page = render(made)
    assert "cumulative incidence" in page and "cumulative incidence" not in render(inputs())
    assert "assumes that the competing event" not in page


def test_weighting_is_named_only_where_a_weight_differs_from_one(inputs, untimed):
    assert weighted_tasks(inputs()) == ["survival", "recurrence"]
    assert "weighted by the inverse probability of censoring" in weighting(inputs())
    assert weighting(inputs(untimed)) == ""
    assert "inverse probability of censoring" not in render(inputs(untimed))


def test_the_median_follow_up_is_that_of_censoring(inputs, untimed):
    made = inputs()
    _, time, cause = causes(made.targets, 0)
    days = follow_up(made, 0)
    at = kaplan_meier(time, (cause == 0).astype(int), np.array([days - 1, days]))
    assert at[0] > 0.5 >= at[1]
    assert days > np.median(time)  # events cut times short, not follow-up
    assert follow_up(inputs(untimed), 0) is None


@pytest.mark.parametrize("name", ["survival", "recurrence"])
def test_the_table_counts_the_competing_event_only_for_the_task_that_has_one(inputs, competing, name):
    counts = inputs(competing).summary.data.competing_first
    assert (name in counts) == (name == "recurrence")
