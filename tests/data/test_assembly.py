from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from hcat_core.data.preallocation import PreallocatedCells
from hcat_core.data.assembly import assemble_cohort, build_patient_embedding_map
from hcat_core.data.patient_ids import IdNormaliser, normalize_pid
from hcat_core.data.patient_index import FileIds, PatientIndex
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError
from hcat_core.interfaces import ColumnTable, ModalityTable


class MemoryReader:
    def __init__(self, source, ids, values, columns=None):
        self.source = source
        self.ids = np.array(ids, dtype=object)
        self.values = np.array(values, dtype=float)
        self.columns = columns or {}

    def read(self):
        yield ModalityTable(self.ids, self.values)

    def read_columns(self, names):
        return ColumnTable(self.ids, {name: np.array(self.columns[name]) for name in names})


def targets(**tasks):
    return TargetsTable.model_validate({"path": "x", "tasks": tasks or {"t": TASK}})


TASK = {"label": "y", "horizon_days": 730}


def test_modalities_meet_on_the_patient_whatever_the_spelling_and_order():
    readers = {
        "a": MemoryReader("a.h5", [b"001", "B-7"], [[1.0], [2.0]]),
        "b": MemoryReader("b.h5", ["B-7", 1], [[3.0, np.nan], [4.0, 5.0]]),
    }
    cohort, report = assemble_cohort(readers)
    assert cohort.patient_ids == ("1", "B-7")
    assert cohort.ids_as_written() == ("001", "B-7")
    assert cohort[torch.tensor([1, 0])].ids_as_written() == ("B-7", "001")
    assert cohort.emb.tolist() == [[[1, 0], [4, 5]], [[2, 0], [3, 0]]]
    assert cohort.measured.tolist() == [
        [[True, False], [True, True]],
        [[True, False], [True, False]],
    ]
    assert report.modalities[1].cells_not_measured == 1


@pytest.mark.parametrize("width", [1, 3])  # as wide as the first modality, and wider
@pytest.mark.parametrize("others", [2, 20])  # more patients than the first modality has, and far more
def test_files_of_other_patients_and_widths_meet_as_well(width, others):
    ids = ["p2", *(f"q{number}" for number in range(others)), "p1"]
    rows = np.arange(1, len(ids) * width + 1, dtype=float).reshape(len(ids), width)
    rows[1, 0] = np.nan
    readers = {
        "a": MemoryReader("a.h5", ["p1", "p2", "p3"], [[-1.0], [-2.0], [-3.0]]),
        "b": MemoryReader("b.h5", ids, rows),
        "c": MemoryReader("c.h5", ["q1", "p2"], [[7.0], [8.0]]),
    }
    cohort, report = assemble_cohort(readers)
    assert cohort.patient_ids == ("p1", "p2", "p3", *ids[1:-1])
    place = [cohort.patient_ids.index(patient) for patient in ids]
    assert np.array_equal(cohort.emb[place, 1, :width], np.nan_to_num(rows))
    assert np.array_equal(cohort.measured[place, 1, :width], np.isfinite(rows))
    assert cohort.emb[:, 0, 0].tolist() == [-1, -2, -3] + [0] * others
    assert cohort.emb[[cohort.patient_ids.index("q1"), 1], 2, 0].tolist() == [7, 8]
    assert cohort.present.sum(dim=0).tolist() == [3, len(ids) - (width == 1), 2]
    assert cohort.n_rows.sum(dim=0).tolist() == [3, len(ids), 2]
    assert [m.patients for m in report.modalities] == [3, len(ids) - (width == 1), 2]


@pytest.mark.parametrize("kind", [str, str.encode])
@given(
    ids=st.lists(
        st.text("0179.aAnN<>/ \n\x85\u00e9\uff11", max_size=4)
        | st.sampled_from(["nan", "NONE", "<NA>", "1.0"])
    )
)
@example(ids=["A1", "A2\nA3"])
def test_many_ids_at_once_are_normalised_as_each_alone(kind, ids):
    raw = [kind(text) for text in ids]
    try:
        alone = [normalize_pid(one) for one in raw]
    except ValueError:
        alone = None
    spelt = {}
    for text, one in zip(ids, alone or (), strict=False):
        spelt.setdefault(one, set()).add(text.strip(" \t\r\n\x00"))
    if alone is None or any(len(ways) > 1 for ways in spelt.values()):
        with pytest.raises(DataError):
            IdNormaliser("file").normalize(raw)
    else:
        assert IdNormaliser("file").normalize(raw) == alone


@pytest.mark.parametrize("ids", [("7", "007"), ("007", "7")])
def test_ids_that_collide_in_two_pieces_of_a_file_stop(ids):
    book = IdNormaliser("a.h5")
    book.normalize([ids[0], "x"])
    with pytest.raises(DataError, match=f"'{ids[0]}' and '{ids[1]}'"):
        book.normalize([ids[1]])


def test_ids_that_share_digits_stay_two_patients():
    readers = {"a": MemoryReader("a.h5", ["A12", "B12"], [[1.0], [2.0]])}
    embeddings, _ = build_patient_embedding_map(readers, PatientIndex())
    assert embeddings["a"].ids == ("A12", "B12")


def test_ids_that_collide_stop_with_both_and_the_file():
    readers = {"a": MemoryReader("a.h5", ["12", "012"], [[1.0], [2.0]])}
    with pytest.raises(DataError, match=r"a\.h5.*'12' and '012'"):
        assemble_cohort(readers)


def test_ids_that_differ_in_case_between_files_stop_with_both_files():
    readers = {
        "a": MemoryReader("a.h5", ["p1"], [[1.0]]),
        "b": MemoryReader("b.h5", ["P1"], [[1.0]]),
    }
    with pytest.raises(DataError, match=r"'p1' \(a\.h5\) and 'P1' \(b\.h5\)"):
        assemble_cohort(readers)


def test_a_modality_that_shares_no_patient_with_the_others_is_refused():
    readers = {
        "a": MemoryReader("a.h5", ["p1", "p2"], [[1.0], [2.0]]),
        "b": MemoryReader("b.h5", ["x-1", "x-2"], [[1.0], [2.0]]),
    }
    with pytest.raises(DataError, match="none of the 2 patients"):
        assemble_cohort(readers)


def test_a_patient_with_outcomes_only_is_kept_and_counted():
    reader = MemoryReader("a.h5", ["p1", "p2"], [[1.0], [2.0]])
    outcomes = MemoryReader("y.csv", ["p2", "p9"], [[0.0], [0.0]], {"y": [1, 0]})
    cohort, report = assemble_cohort({"a": reader}, outcomes, targets())
    assert cohort.patient_ids == ("p1", "p2", "p9")
    assert cohort.targets.labels[:, 0].tolist() == [-1, 1, 0]
    assert report.patients_without_modality == 1
    assert not cohort.present[2].any()


def test_a_block_of_nothing_but_gaps_is_absent_with_quality_zero():
    readers = {
        "a": MemoryReader("a.h5", ["p1", "p2"], [[1.0], [2.0]]),
        "b": MemoryReader("b.h5", ["p1", "p2"], [[np.nan], [2.0]]),
    }
    cohort, _ = assemble_cohort(readers)
    assert cohort.present.tolist() == [[True, False], [True, True]]
    assert cohort.quality.tolist() == [[1, 0], [1, 1]]


def test_groups_come_from_the_targets_file():
    outcomes = MemoryReader(
        "y.csv", ["p1", "p2"], [[0.0], [0.0]], {"y": [1, 0], "site": ["north", "south"]}
    )
    cohort, _ = assemble_cohort({"a": outcomes}, outcomes, targets(), groups="site")
    assert cohort.groups == ("north", "south")


def test_patients_without_a_group_are_groups_of_their_own():
    ids = [f"p{number}" for number in range(5)]
    sites = np.array(["north", None, float("nan"), " ", "north"], dtype=object)
    outcomes = MemoryReader("y.csv", ids, [[0.0]] * 5, {"y": [1, 0, 1, 0, 1], "site": sites})
    cohort, _ = assemble_cohort({"a": outcomes}, outcomes, targets(), groups="site")
    assert cohort.groups[0] == cohort.groups[4] == "north"
    assert len(set(cohort.groups)) == 4


def test_numbers_too_large_to_be_squared_are_read_and_have_no_share_of_variance():
    reader = MemoryReader("a.h5", ["p1", "p1", "p2", "p2"], [[3e38], [-3e38], [1e30], [2e30]])
    cohort, report = assemble_cohort({"a": reader})
    assert cohort.present.all()
    assert report.modalities[0].within_variance is None


def test_where_every_feature_has_a_gap_there_is_no_share_of_variance():
    nan = float("nan")
    rows = [[1.0, nan], [2.0, nan], [nan, 1.0], [nan, 2.0]]
    _, report = assemble_cohort({"a": MemoryReader("a.h5", ["p1", "p1", "p2", "p2"], rows)})
    assert report.modalities[0].within_variance is None


class Pieces(MemoryReader):
    """A file in pieces, which says beforehand how many patients it may name."""

    def __init__(self, source, ids, values, patients=None, step=2):
        super().__init__(source, ids, values)
        self.ids = np.array(ids) if all(isinstance(one, bytes) for one in ids) else self.ids
        self.patients, self.step = patients, step

    def read(self):
        for first in range(0, len(self.ids), self.step):
            rows = slice(first, first + self.step)
            yield ModalityTable(self.ids[rows], self.values[rows], patients=self.patients)


@given(
    files=st.lists(st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=12), min_size=1, max_size=4),
    same=st.booleans(),
    step=st.integers(1, 5),
    kind=st.sampled_from([str, str.encode]),
    objects=st.booleans(),
)
@example(files=[["a", "b", "c"], ["a", "b", "d", "c"]], same=False, step=2, kind=str, objects=False)
@example(files=[list("abbcde"), list("abde")], same=False, step=2, kind=str, objects=False)
def test_patients_are_numbered_as_one_after_the_other_would(files, same, step, kind, objects):
    files = [sorted(set(files[0])), *files] if same else files
    index, expected = PatientIndex(), {}
    for ids in files:
        raw = np.array([kind(one) for one in ids], dtype=object if objects else None)
        file = FileIds("file", index)
        found = [file.numbers(raw[first : first + step], first) for first in range(0, len(raw), step)]
        assert np.concatenate(found).tolist() == [expected.setdefault(one, len(expected)) for one in ids]
    assert index.ids == expected


@pytest.mark.parametrize("first", ["7", "007", b"007", 7])
@pytest.mark.parametrize("second", ["7.0", "07"])
def test_ids_known_from_another_file_collide_with_those_that_follow(first, second):
    index = PatientIndex()
    raw = np.array(["x", first], dtype=object)
    FileIds("a.h5", index).numbers(raw, 0)
    file = FileIds("b.h5", index)
    assert file.numbers(raw, 0).tolist() == [0, 1]
    with pytest.raises(DataError, match=r"b\.h5.*would both become '7'"):
        file.numbers(np.array([second], dtype=object), 2)


def test_what_equals_an_id_of_another_file_and_is_none_is_refused():
    index = PatientIndex()
    FileIds("a.h5", index).numbers(np.array([1], dtype=object), 0)
    with pytest.raises(DataError, match=r"b\.h5: row 0 .counted from 0.: True is not a patient id"):
        FileIds("b.h5", index).numbers(np.array([True], dtype=object), 0)


IDS = [f"p{number}".encode() for number in range(6)]


@pytest.mark.parametrize("patients", [6, 9, 3, None, 2, 0, 1 << 60])  # right, too many, and too few
def test_how_many_patients_a_file_says_it_has_changes_nothing(patients):
    values = np.arange(12.0).reshape(6, 2)
    readers = {
        "a": Pieces("a.h5", IDS, values, patients),
        "b": Pieces("b.h5", IDS[::-1], values, patients),
    }
    cohort, _ = assemble_cohort(readers)
    assert cohort.emb.tolist() == np.stack([values, values[::-1]], axis=1).tolist()
    assert cohort.patient_ids == tuple(one.decode() for one in IDS)


@pytest.mark.parametrize("patients", [None, 6, 2])
def test_without_memory_for_the_room_a_cohort_is_read_all_the_same(monkeypatch, patients):
    zeros, refused = np.zeros, []

    def few(shape, *rest):
        if np.prod(shape) > 24:  # the cohort itself
            refused.append(shape)
            raise MemoryError
        return zeros(shape, *rest)

    monkeypatch.setattr(np, "zeros", few)
    values = np.arange(12.0).reshape(6, 2)
    readers = {name: Pieces(f"{name}.h5", IDS, values, patients) for name in "ab"}
    cohort, _ = assemble_cohort(readers)
    assert refused and cohort.emb.tolist() == np.stack([values, values], axis=1).tolist()


def test_with_preallocated_cells_no_modality_is_held_twice(monkeypatch):
    made = []
    monkeypatch.setattr(
        PreallocatedCells, "_allocate", lambda cells, *size, make=PreallocatedCells._allocate: (made.append(size), make(cells, *size))
    )
    values = np.ones((6, 2))
    readers = {name: Pieces(f"{name}.h5", IDS, values, patients=6) for name in "ab"}
    embeddings, cells = build_patient_embedding_map(readers, PatientIndex())
    taken = [np.shares_memory(e.mean, cells) for e in embeddings.values()]
    assert taken == [True, True]
    assert made == [(6, 2)]
    readers["a"].patients = 2  # room for four
    embeddings, cells = build_patient_embedding_map(readers, PatientIndex())
    assert np.array_equal(embeddings["a"].mean, values) and cells.shape[1] >= 6


def test_without_missing_cells_the_mask_takes_no_memory_and_is_the_same():
    values = np.ones((6, 2))
    readers = {"a": MemoryReader("a.h5", IDS, values), "b": MemoryReader("b.h5", IDS[1:4], values[:3])}
    cohort, _ = assemble_cohort(readers)
    assert cohort.measured.untyped_storage().nbytes() == 12
    full = replace(cohort, measured=cohort.measured.clone())
    assert full.measured.untyped_storage().nbytes() == 24
    assert cohort.measured.sum(dim=(0, 2)).tolist() == [12, 6]
    assert cohort.present.sum(dim=0).tolist() == [6, 3]
    assert cohort.fingerprint() == full.fingerprint()
    for rows in (slice(1, 5), torch.tensor([4, 0])):
        assert torch.equal(cohort[rows].measured, full.measured[rows])
    hidden = cohort.hide(torch.tensor([[True, False]]).expand(6, 2))
    assert hidden.measured.sum(dim=(0, 2)).tolist() == [0, 6]


@pytest.mark.parametrize("other", [[[1.0], [2.0]], [[1.0, np.nan], [2.0, 3.0]]])
def test_with_padding_or_a_missing_cell_the_mask_is_whole(other):
    readers = {
        "a": MemoryReader("a.h5", ["p", "q"], [[1.0, 2.0], [3.0, 4.0]]),
        "b": MemoryReader("b.h5", ["p", "q"], other),
    }
    cohort, _ = assemble_cohort(readers)
    assert cohort.measured[:, 1].sum().item() == np.isfinite(other).sum()
    assert not cohort.measured[0, 1, 1]
