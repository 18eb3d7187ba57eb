"""Risk groups over time: the unit of the axis, patients at risk, bands, and whether groups differ."""

import numpy as np
import pytest

from hcat_core.report.risk_groups import _at_risk, _Followed, risk_groups, time_axis

pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.mark.parametrize(
    ("days", "unit", "marks"),
    [
        (1826, "years", ["0", "1", "2", "3", "4", "5"]),
        (3653, "years", ["0", "2", "4", "6", "8", "10"]),
        (730, "months", ["0", "6", "12", "18", "24"]),
        (365.25, "months", ["0", "2", "4", "6", "8", "10", "12"]),
        (90, "months", ["0", "1", "2", "3"]),
    ],
)
def test_patients_at_risk_are_counted_at_whole_months_or_years_up_to_the_horizon(days, unit, marks):
    time = np.array([10.0, 400.0, 10_000.0])
    table = _at_risk(_Followed(time, np.zeros(3, int), np.arange(3)), days, time_axis(days))
    assert [column.heading for column in table.columns[1:]] == marks and unit in table.caption
    assert [row[1].text for row in table.cells] == ["1", "1", "1"]
    assert table.cells[2][-1].text == "1" and table.cells[0][-1].text == "0"


def test_the_groups_are_compared_and_bands_named(inputs, competing):
    plain, other = risk_groups(inputs(), 1), risk_groups(inputs(competing), 1)
    assert "log-rank test, p" in plain.test and "Gray's test, p" in other.test
    assert "95 % intervals of 50 bootstrap samples" in plain.figure.caption
    assert "had the competing event first (survival)" in other.figure.caption


def test_records_of_one_group_are_neither_tested_nor_given_a_band_as_if_they_were_patients(inputs, grouped):
    found = risk_groups(inputs(grouped), 1)
    assert found.test == "" and "Bands" not in found.figure.caption
