"""Tables of pages: stacked on a phone where wide, folded where long, without empty columns."""

from hcat_core.report.page_tables import LONG, Cell, PageTable, figure_cell, numbers, texts
from hcat_core.report.page_template import _environment


def rendered(table):
    source = '{% import "parts.html.j2" as parts %}{{ parts.table(table) }}'
    return _environment().from_string(source).render(table=table)


def test_a_wide_table_is_stacked_and_each_value_carries_its_heading():
    wide = PageTable(
        [*texts("recipe"), *numbers("AUC", "average precision", "Brier score")], [["x" * 30, "1", "2", "3"]]
    )
    narrow = PageTable([*texts("recipe"), *numbers("AUC")], [["x", "0.7"]])
    assert wide.wide and not narrow.wide
    assert 'class="stack' in rendered(wide) and "stack" not in rendered(narrow)
    assert 'data-heading="average precision"' in rendered(wide)


def test_a_long_table_is_folded_where_it_has_a_title():
    rows = [[str(number)] for number in range(LONG + 1)]
    assert f"<summary>All of them ({LONG + 1} rows)" in rendered(
        PageTable(texts("a"), rows, title="All of them")
    )
    assert "details" not in rendered(PageTable(texts("a"), rows))
    assert "details" not in rendered(PageTable(texts("a"), rows[:LONG], title="All of them"))


def test_a_column_of_dashes_is_left_out_and_one_with_a_value_stays():
    table = PageTable([*texts("a"), *numbers("b", "c")], [["x", "–", "–"], ["y", "–", "0.1"]])
    assert [column.heading for column in table.without_dashes().columns] == ["a", "c"]
    assert table.without_dashes().cells[1][1].text == "0.1"


def test_cells_are_text_and_zero_has_no_sign():
    assert "<b>" not in rendered(PageTable(texts("<b>"), [["<b>"]]))
    assert figure_cell(-0.0004, (-0.1, 0.1), 2) == Cell("0.00", "(-0.10 to 0.10)")
    assert figure_cell(None, (0.1, 0.2)) == Cell("–", "")
