"""Text and tables on terminals of any width: nothing is cut, and no word is broken in two."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.table import Table

from hcat_core.cli.console import InertConsole
from hcat_core.cli.prediction_text import Reference, against, patient_lines, said
from hcat_core.cli.tables import print_table
from hcat_core.cli.wrapping import wrapped

WORD = st.text(st.sampled_from("abcdefgh-/.=7"), min_size=1, max_size=30)
WORDS = st.lists(WORD, min_size=1, max_size=30)


@given(WORDS, st.integers(40, 120))
def test_no_word_is_broken_and_none_is_lost(words, width):
    lines = wrapped(" ".join(words), width).split("\n")
    assert " ".join(" ".join(lines).split()) == " ".join(words)
    assert all(len(line) <= width for line in lines)


def test_a_path_that_is_longer_than_the_terminal_stays_whole():
    path = "/a/" + "long-name/" * 12 + "report.html"
    assert path in wrapped(f"open {path} in a browser", 80).split()


def test_what_follows_is_indented_below_the_first_line():
    text = wrapped("  key  " + "word " * 30, 60)
    assert all(line.startswith("    ") for line in text.split("\n")[1:])


def test_lines_stay_lines():
    assert wrapped("one\n\ntwo", 80) == "one\n\ntwo"


def shown(table, width, terminal, keys=0):
    file = io.StringIO()
    terminal = {"force_terminal": terminal, "color_system": None}
    console = InertConsole(file=file, width=width, soft_wrap=True, **terminal)
    print_table(console, table, keys)
    return file.getvalue().split("\n")


@pytest.fixture
def scores():
    table = Table("split", "task", "AUC", "95 %", "Uno C", "slope", box=None, pad_edge=False)
    table.add_row("validation", "recurrence", "0.731", "0.642 to 0.811", "0.744", "1.02")
    table.add_row("test", "survival", "0.702", "0.588 to 0.799", "0.713", "0.94")
    return table


def test_a_table_that_is_too_wide_is_divided_and_each_part_names_its_rows(scores):
    lines = shown(scores, 48, True, keys=2)
    assert all(len(line.rstrip()) <= 48 for line in lines)
    assert sum("validation  recurrence" in line for line in lines) == 2
    assert any("0.642 to 0.811" in line for line in lines) and any("1.02" in line for line in lines)


def test_a_table_that_cannot_be_divided_becomes_blocks(scores):
    lines = shown(scores, 30, True)
    assert "split validation" in [line.rstrip() for line in lines]
    assert any("0.642 to 0.811" in line for line in lines)


def test_a_table_is_whole_where_its_output_is_piped(scores):
    assert max(len(line.rstrip()) for line in shown(scores, 30, False, keys=2)) > 48


def test_a_long_value_of_a_block_is_wrapped_below_itself():
    table = Table("name", "what it does", "from", box=None, pad_edge=False)
    table.add_row("imputer", "it fills what is missing " * 4, "somewhere")
    lines = shown(table, 50, True)
    assert all(len(line.rstrip()) <= 50 for line in lines)
    assert any(line.startswith(" " * 14 + "  ") for line in lines)


def test_a_sentence_is_one_line_where_the_output_is_piped():
    file = io.StringIO()
    InertConsole(file=file, width=40, soft_wrap=True).print("word " * 30)
    assert len(file.getvalue().strip().split("\n")) == 1


@pytest.mark.parametrize(
    ("days", "horizon", "text"),
    [
        (365.25, 1826, "1 year"),
        (1826, 1826, "5 years"),
        (91.3, 365, "3 months"),
        (456.5, 1826, "1.2 years"),
    ],
)
def test_times_are_said_in_months_or_years(days, horizon, text):
    assert said(days, horizon) == text


def test_a_risk_below_the_base_rate_is_never_called_above_without_naming_the_threshold():
    text = against(0.2, Reference(threshold=0.1, base_rate=0.3))
    assert text.startswith("below the 0.30 that is predicted for anyone")
    assert "reaches 0.10" in text and "a threshold below what is predicted for anyone" in text


def test_a_risk_that_is_the_base_rate_in_the_digits_shown_is_called_the_same():
    text = against(0.294, Reference(threshold=0.4, base_rate=0.2943))
    assert text.startswith("the same as the 0.29 that is predicted for anyone; it is below 0.40")


def test_a_risk_above_both_says_so():
    text = against(0.5, Reference(threshold=0.4, base_rate=0.3))
    assert text.startswith("above the 0.30") and "reaches 0.40" in text and "a threshold below" not in text


def test_all_that_is_known_of_a_patient_is_printed():
    task = {
        "kind": "event",
        "output": "p_death_5y",
        "probability": 0.4,
        "interval_90": [0.2, 0.6],
        "curve": {
            "days": [152.2 * step for step in range(1, 13)],
            "probability": [step / 30 for step in range(12)],
        },
        "base_rate": 0.3,
        "contributions": {"rna": 0.01, "clinical": 0.09},
        "measure_next": "wsi",
        "expected_variance_reduction": {"wsi": {"value": 0.01, "error": 0.001}},
        "expected_width_if_measured": {"wsi": 0.3},
        "tipping_points": {"wsi": -0.5},
    }
    record = {
        "patient_id": "P1",
        "modalities": ["clinical", "rna"],
        "missing": ["wsi", "blood"],
        "imputed": {"wsi": 0.634},
        "tasks": {"death": task},
    }
    text = "\n".join(patient_lines(record, {"death": Reference(0.35, 0.3)}))
    for part in (
        "P1 has clinical, rna",
        "wsi is missing: imputed; 63 % of its variance remains uncertain",
        "blood is missing, and not imputed",
        "p_death_5y 0.40 (90 % interval 0.20 to 0.60)",
        "reaches 0.35",
        "by 5 years",
        "clinical +0.090, rna +0.010",
        "measuring wsi would change the probability most, by about 0.10",
        "the decision changes if wsi is -0.50 standard deviations",
    ):
        assert part in text
