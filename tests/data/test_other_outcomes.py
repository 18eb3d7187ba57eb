"""Outcomes of classes and of numbers: what is read of a column, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_core.layout import Layout, Modality
from hcat_core.data.class_outcomes import with_trained_classes
from hcat_core.data.outcome_tasks import safe_names
from hcat_core.data.outcomes import read_targets
from hcat_core.data.schema import SplitTable, TargetsTable
from hcat_core.data.splits import split_cohort, strata
from hcat_core.errors import DataError
from hcat_core.interfaces import ColumnTable
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.other_outcomes import to_other_cohort

MIXED, _ = to_other_cohort(generate(SynthSpec(patients=120, widths={"a": 4, "b": 4}, seed=1)))
SCORE = MIXED.layout.numbers[0]
ENDS = MIXED.targets.values[:, SCORE].quantile(torch.tensor([0.25, 0.5, 0.75]))


class Columns:
    source = "outcomes.csv"

    def __init__(self, **columns):
        self.columns = {name: np.array(values, dtype=object) for name, values in columns.items()}

    def read_columns(self, names):
        ids = np.array([f"P{i}" for i in range(len(next(iter(self.columns.values()))))])
        return ColumnTable(ids, {name: self.columns[name] for name in names})


def read(missing=(), *, tasks, **columns):
    return read_targets(Columns(**columns), TargetsTable(path="x", tasks=tasks, missing=list(missing)))


def subtype(**keys):
    return {"subtype": {"kind": "multiclass", "label": "type", **keys}}


def age(**keys):
    return {"age": {"kind": "continuous", "value": "age", **keys}}


def test_each_class_is_one_column_and_an_unknown_one_is_unknown_in_all():
    tasks, read_ = read(tasks=subtype(), type=["LUSC", "LUAD", None, "LUAD"])
    assert [task.name for task in tasks] == ["subtype=LUAD", "subtype=LUSC"]
    assert [task.output_name for task in tasks] == ["p_subtype_luad", "p_subtype_lusc"]
    assert {task.family for task in tasks} == {"subtype"} and tasks[0].category == "LUAD"
    assert read_.targets.labels.tolist() == [[0, 1], [1, 0], [-1, -1], [1, 0]]
    assert read_.targets.values is None


def test_classes_are_in_the_order_that_the_recipe_has_and_numbers_in_any_spelling():
    tasks, read_ = read(tasks=subtype(classes=[3, 1, 2]), type=["1", "2.0", "3", "01"])
    assert [task.category for task in tasks] == ["3", "1", "2"]
    assert read_.targets.labels.argmax(dim=1).tolist() == [1, 2, 0, 1]
    found, _ = read(tasks=subtype(), type=["10", "9", "2"])
    assert [task.category for task in found] == ["2", "9", "10"]


def test_a_class_that_no_patient_has_stays_a_class_when_it_is_listed():
    tasks, read_ = read(tasks=subtype(classes=["A", "B"]), type=["A", "A"])
    assert len(tasks) == 2 and read_.targets.labels.tolist() == [[1, 0], [1, 0]]


def test_a_number_is_a_value_with_its_unit_and_no_label():
    tasks, read_ = read(tasks=age(unit="years") | subtype(), age=["61.5", "", "7", "50"], type=list("ABAB"))
    assert tasks[0].unit == "years" and tasks[0].output_name == "age"
    values = read_.targets.values
    assert values[[0, 2, 3], 0].tolist() == [61.5, 7.0, 50.0] and values[1, 0].isnan()
    assert values[:, 1:].isnan().all() and (read_.targets.labels[:, 0] == -1).all()


@pytest.mark.parametrize(
    "tasks, columns, message",
    [
        (
            subtype(),
            {"type": ["A", "A"]},
            r'one value alone, "A" \(2\): subtype needs at least two classes',
        ),
        (subtype(), {"type": [None, None]}, "holds no value"),
        (subtype(), {"type": ["luad", "LUAD", "x"]}, 'holds "luad" and "LUAD", which differ in capitals'),
        (subtype(classes=["A", "B"]), {"type": ["A", "C", "C"]}, r'not in .*classes: "C" \(2\); row 1'),
        (subtype(), {"type": [f"t{i}" for i in range(30)]}, "30 different values.*is it the right column"),
        (subtype(), {"type": list(range(30))}, 'are they numbers, for .*kind = "continuous"'),
        (age(), {"age": ["61", "sixty", "7"]}, 'row 1 .counted from 0. "sixty"'),
        (age(), {"age": [50, 60, 70, -999]}, r"-999 \(1 times\).*cohort.targets.missing = \[-999\].*allow"),
        (age(), {"age": [1e39, 2.0, 3.0]}, "larger than 3e38"),
        (
            subtype(outcome="t") | {"u": {"kind": "multiclass", "label": "other", "outcome": "t"}},
            {"type": ["A", "B"], "other": ["a", "c"]},
            "subtype=A and u=a would both be called p_t_a",
        ),
    ],
)
def test_what_cannot_be_an_outcome_is_refused_with_a_way_out(tasks, columns, message):
    with pytest.raises(DataError, match=message):
        read(tasks=tasks, **columns)


def test_a_code_that_is_said_to_be_missing_or_a_value_is_read():
    _, unknown = read(["-999"], tasks=age(), age=[50, 60, 70, -999])
    assert unknown.targets.values[3, 0].isnan()
    _, value = read(tasks=age(allow=[-999]), age=[50, 60, 70, -999])
    assert value.targets.values[3, 0] == -999


def test_names_of_classes_are_names_of_files_and_differ():
    names = safe_names(["A+", "A-", "IDC, NST", "a", "+", "-", "x" * 99])
    assert len({name.lower() for name in names}) == len(names)
    assert names[:3] == ["A", "A_2", "IDC_NST"] and max(map(len, names)) <= 43


def test_other_files_have_the_classes_of_training_whatever_they_hold():
    tasks, _ = read(tasks=subtype(), type=["A", "B", "C"])
    trained = Layout((Modality("m", 1),), tasks)
    table = with_trained_classes(TargetsTable(path="x", tasks=subtype()), trained)
    again, found = read_targets(Columns(type=["B", "B"]), table)
    assert again == tasks and found.targets.labels.tolist() == [[0, 1, 0]] * 2


def test_every_class_and_every_quarter_of_a_number_is_on_each_side_of_a_split():
    split = split_cohort(MIXED, SplitTable(validation=0.2, test=0.2), 0)
    (family,) = MIXED.layout.families
    for rows in split.parts.values():
        share = (MIXED.targets.labels[rows][:, list(family)] == 1).float().mean(dim=0)
        assert share.tolist() == pytest.approx(
            (MIXED.targets.labels[:, list(family)] == 1).float().mean(dim=0).tolist(), abs=0.1
        )
        quarters = torch.bucketize(MIXED.targets.values[rows, SCORE], ENDS)
        assert (quarters.bincount(minlength=4) - len(rows) / 4).abs().max() <= 2


def test_strata_of_events_are_in_the_order_that_they_had():
    events = replace(MIXED, layout=replace(MIXED.layout, tasks=MIXED.layout.tasks[:2]))
    labels = events.targets.labels[:, :2].numpy().astype(int) + 1
    as_before = labels @ (3 ** np.arange(2))
    found = strata(replace(events, targets=events.targets))
    assert (np.unique(found, return_inverse=True)[1] == np.unique(as_before, return_inverse=True)[1]).all()


def test_training_patients_without_a_class_or_with_two_values_are_refused():
    labels, values = MIXED.targets.labels.clone(), MIXED.targets.values.clone()
    gone = labels[:, 4] == 1
    labels[gone, 2], labels[gone, 4] = 1, 0
    with pytest.raises(DataError, match='0 patients of the class "C"; at least 3'):
        split_cohort(replace(MIXED, targets=replace(MIXED.targets, labels=labels)), SplitTable(), 0)
    values[:, SCORE] = torch.where(values[:, SCORE] > 50, 1.0, 0.0)
    with pytest.raises(DataError, match="score: the training split has 0 and 1 alone"):
        split_cohort(replace(MIXED, targets=replace(MIXED.targets, values=values)), SplitTable(), 0)
