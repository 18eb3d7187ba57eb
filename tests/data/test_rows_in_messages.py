"""Messages name the line of a text file, which its reader sees, and the row of any other file."""

import pandas as pd
import pytest

from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.assembly import assemble_cohort
from hcat_core.data.columns import read_patient_columns
from hcat_core.data.outcomes import read_targets
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError

TABLE = TargetsTable.model_validate(
    {"path": "o", "tasks": {"t": {"time": "days", "event": "dead", "horizon_days": 365}}}
)
COMMENTED = '# from the registry\n#2024\npatient_id,days,dead,note\na,1,1,"two\nlines"\n\nb,x,1,\nc,2,7,\n'


def said_of(reader):
    with pytest.raises(DataError) as error:
        read_targets(reader, TABLE)
    return str(error.value)


def test_a_cell_of_a_text_table_is_named_by_its_line(tmp_path):
    (tmp_path / "o.csv").write_text(COMMENTED)
    said = said_of(TableReader(path=tmp_path / "o.csv"))
    assert 'column days (times): 1 cell is no number: line 7 "x"' in said
    assert ": line 8 7. Its values" in said
    (tmp_path / "o.tsv").write_text("patient_id\tdays\tdead\na\t1\t1\nb\tx\t1\nc\ty\t0\n")
    assert 'line 3 "x", line 4 "y"' in said_of(TableReader(path=tmp_path / "o.tsv"))


def test_a_cell_of_another_file_is_named_by_its_row_which_counts_from_0(tmp_path):
    frame = pd.DataFrame({"patient_id": ["a", "b", "c"], "days": ["1", "x", "y"], "dead": [1, 1, 0]})
    frame.to_parquet(tmp_path / "o.parquet")
    said = said_of(TableReader(path=tmp_path / "o.parquet"))
    assert 'row 1 (counted from 0) "x", row 2 "y"' in said


def test_contradictions_ids_and_empty_splits_are_named_by_their_lines(tmp_path):
    (tmp_path / "o.csv").write_text("patient_id,days\na,1\nb,2\na,3\n")
    with pytest.raises(DataError, match="line 2 and line 4: days is 1 and 3"):
        read_patient_columns(TableReader(path=tmp_path / "o.csv"), ["days"])
    (tmp_path / "o.csv").write_text("patient_id,days\na,1\n1.2E+11,2\n")
    for read in (
        lambda reader: read_patient_columns(reader, ["days"]),
        lambda reader: assemble_cohort({"x": reader}),
    ):
        with pytest.raises(DataError, match=r"o\.csv: line 3: '1.2E\+11' is a number that"):
            read(TableReader(path=tmp_path / "o.csv"))
