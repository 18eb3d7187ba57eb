"""Forest plots: estimates and intervals in numbers, within their axis."""

import re

from hcat_core.report.forest_plot import ForestRow, ForestScale, forest_figure

SCALE = ForestScale("difference", reference=0.0, signed=True, digits=3)


def test_every_estimate_stands_beside_its_line_in_numbers():
    rows = [ForestRow("survival"), ForestRow("a", 0.02, (-0.01, 0.05)), ForestRow("b", -0.1)]
    svg = forest_figure("f", rows, SCALE, "differences")
    texts = re.findall(r">([^<>]+)</text>", svg)
    assert {"survival", "a", "b", "+0.020 (-0.010 to +0.050)", "-0.100", "difference"} <= set(texts)
    assert 'aria-label="differences"' in svg


def test_without_estimates_there_is_no_figure():
    assert forest_figure("f", [ForestRow("survival")], SCALE, "differences") == ""
