"""A task says how its output is called."""

import pytest

from hcat_core.layout import Task


@pytest.mark.parametrize(
    ("days", "name"),
    [(1826, "p_death_5y"), (730, "p_death_2y"), (365.25, "p_death_1y"), (90, "p_death_90d")],
)
def test_outputs_are_named_after_event_and_horizon(days, name):
    assert Task("survival", days, "death").output_name == name
