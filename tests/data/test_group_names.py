"""Two spellings of one group or class in a file, such as 01 and 1, are neither joined nor parted silently."""

import pandas as pd
import pytest

from hcat_builtin.readers.tables.frame_reader import FrameReader
from hcat_builtin.readers.tables.reader import TableReader
from hcat_core.data.assembly import assemble_cohort
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError, UsageError
from hcat_core.evaluation.subgroups import subgroups

EVENT = {"label": "y", "horizon_days": 730}


def files(folder, values, name="site"):
    """Features of some patients, and their outcomes with one column more."""
    patients = [f"p{row}" for row in range(len(values))]
    (folder / "x.csv").write_text("patient_id,a\n" + "".join(f"{p},1\n" for p in patients))
    rows = zip(patients, values, strict=True)
    (folder / "o.csv").write_text(f"patient_id,y,{name}\n" + "".join(f"{p},1,{v}\n" for p, v in rows))
    return {"x": TableReader(path=folder / "x.csv")}, TableReader(path=folder / "o.csv")


def table(**tasks):
    return TargetsTable.model_validate({"path": "o.csv", "tasks": tasks or {"t": EVENT}})


def groups_of(readers, targets):
    return assemble_cohort(readers, targets, table(), "site")[0].groups


@pytest.mark.parametrize(
    "values",
    [("01", "1", "2"), ("1", "1.0", "2"), ("01", "1", "A"), ("A", "a", "B"), ("007", "7", "")],
    ids=["numbers", "decimals", "with a word", "case", "with a gap"],
)
def test_two_spellings_of_one_group_are_refused_with_both_and_the_file(tmp_path, values):
    with pytest.raises(DataError, match=rf'o\.csv: column site holds "{values[0]}" and "{values[1]}"'):
        groups_of(*files(tmp_path, values))


def test_groups_keep_the_spelling_of_their_file(tmp_path):
    assert groups_of(*files(tmp_path, ("01", "02", "01"))) == ("01", "02", "01")
    assert groups_of(*files(tmp_path, ("1", "", "1"))) == ("1", "patient 1", "1")
    assert groups_of(*files(tmp_path, ("1.50", "1.5", "A b"))) == ("1.50", "1.5", "A b")


def test_groups_of_parquet_and_of_a_frame_are_compared_too(tmp_path):
    readers, _ = files(tmp_path, ("", "", ""))
    frame = pd.DataFrame({"patient_id": ["p0", "p1", "p2"], "y": 1, "site": ["01", "1", "2"]})
    frame.to_parquet(tmp_path / "o.parquet")
    for reader in (TableReader(path=tmp_path / "o.parquet"), FrameReader.of(frame, "outcomes", {})):
        with pytest.raises(DataError, match='column site holds "01" and "1"'):
            groups_of(readers, reader)
    frame["site"] = [3, 1, 3]
    assert groups_of(readers, FrameReader.of(frame, "outcomes", {})) == ("3", "1", "3")


def test_two_spellings_of_one_class_are_refused_unless_the_recipe_lists_classes(tmp_path):
    readers, targets = files(tmp_path, ("01", "1", "2"), name="grade")
    task = {"kind": "multiclass", "label": "grade"}
    with pytest.raises(DataError, match=r'o\.csv: column grade holds "01" and "1"'):
        assemble_cohort(readers, targets, table(grade=task))
    listed, _ = assemble_cohort(readers, targets, table(grade={**task, "classes": [1, 2]}))
    assert listed.targets.labels.tolist() == [[1, 0], [1, 0], [0, 1]]


def test_groups_of_a_score_are_of_one_spelling_unless_they_are_thirds(tmp_path):
    readers, targets = files(tmp_path, ("01", "1", "2"), name="stage")
    cohort = assemble_cohort(readers)[0]
    with pytest.raises(UsageError, match=r'--by stage: .*o\.csv: column stage holds "01" and "1"'):
        subgroups(cohort, "stage", targets)
    ages = [*map(str, range(40, 60)), "40.0"]
    readers, targets = files(tmp_path, ages, name="age")
    assert len(subgroups(assemble_cohort(readers)[0], "age", targets)) == 3
