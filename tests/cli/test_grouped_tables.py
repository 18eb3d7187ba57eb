"""Tables of groups: one where it fits the terminal, else one for each group, none cut off."""

import io

import pytest

from hcat_core.cli.console import InertConsole
from hcat_core.cli.tables import print_grouped

HEADINGS = ("modalities", "task", "events/n", "AUC (95 %)")
ROWS = [
    ["clinical semantic temporal pathological", task, "20/90", "0.78 (0.70 to 0.84)"]
    for task in ("survival", "recurrence")
]


def printed(width, terminal=True):
    file = io.StringIO()
    console = InertConsole(
        file=file, width=width, force_terminal=terminal, color_system=None, highlight=False, markup=False
    )
    print_grouped(console, "by pattern", HEADINGS, ROWS)
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_wide_terminal_and_a_pipe_get_one_table():
    for lines in (printed(120), printed(20, terminal=False)):
        assert len(lines) == 4 and lines[0] == "by pattern"
        assert lines[2].startswith("clinical semantic temporal pathological  survival")


@pytest.mark.parametrize("width", [80, 60])
def test_a_narrow_terminal_gets_a_table_for_each_group(width):
    lines = printed(width)
    assert all(len(line) <= width for line in lines)
    assert "modalities: clinical semantic temporal pathological" in lines
    assert any(line.split() == ["survival", "20/90", "0.78", "(0.70", "to", "0.84)"] for line in lines)
