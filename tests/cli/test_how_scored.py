"""The last words of a run: who chose the thresholds, and whether anyone was only scored."""

import pytest

from hcat_core.cli.run_progress import _how_scored


def summary(validation, test, **run):
    return {
        "run": run,
        "metrics": {"validation": {"survival": {"patients": validation}}},
        "data": {"split": {"test": {"patients": test}}},
    }


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (summary(20, 20, epochs=3), ("chosen on validation patients", "scored once")),
        (summary(0, 20, epochs=3), ("thresholds are 0.5", "scored once")),
        (summary(0, 0, epochs=3), ("thresholds are 0.5", "no test patients")),
        (summary(0, 20, estimator="coxnet"), ("in inner folds", "scored once")),
    ],
)
def test_a_run_ends_with_what_was_done(of, said):
    assert all(part in _how_scored(of) for part in said)
