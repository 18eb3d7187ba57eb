"""Tensor files: embeddings are read, and nothing that a pickle would run is run."""

import copy
import pickle
import zipfile

import numpy as np
import pytest
import torch

from hcat_builtin.readers.pt import PtReader
from hcat_core.aggregation import aggregate_spatial
from hcat_core.errors import DataError

ROWS = torch.tensor([[1.0, 2.0], [3.0, float("nan")], [5.0, 6.0]])


def read(path, **arguments):
    reader = PtReader(path=path, **arguments)
    return aggregate_spatial(reader.read(), reader.source)


def saved(path, value, **arguments):
    torch.save(value, path, **arguments)
    return path


@pytest.fixture
def folder(tmp_path):
    path = tmp_path / "pt_files"
    path.mkdir()
    saved(path / "s1.a.pt", torch.ones(4, 2))
    saved(path / "s1.b.pt", torch.full((1, 2, 2), 4.0))
    saved(path / "s2.pt", {"features": torch.tensor([7.0, 8.0]).half(), "coords": torch.zeros(1, 2)})
    saved(path / "s3.pt", torch.zeros(0, 2))
    return path


def test_a_folder_of_slides_belongs_to_whom_the_map_names(folder, tmp_path):
    slide_map = tmp_path / "map.csv"
    slide_map.write_text("slide_id,case_id\ns1.a.svs,p\ns1.b.pt,p\ns2,q\ns3,q\n")
    found = read(folder, slide_map=slide_map)
    assert found.ids == ("p", "q")
    assert found.mean.tolist() == [[2, 2], [7, 8]]
    assert found.n_rows.tolist() == [6, 1]


def test_without_a_map_a_file_is_a_patient(folder):
    assert read(folder).ids == ("s1.a", "s1.b", "s2")


def test_one_file_of_a_tensor_for_each_patient(tmp_path):
    found = read(
        saved(tmp_path / "a.pt", {"p1": ROWS, "p2": ROWS[0], 3: torch.zeros(1, 2, dtype=torch.int)})
    )
    assert found.ids == ("p1", "p2", "3")
    assert found.mean.tolist() == [[3, 4], [1, 2], [0, 0]]


@pytest.mark.parametrize("ids", [["a", "b", "c"], torch.tensor([7, 8, 9])])
def test_one_file_of_ids_and_rows(tmp_path, ids):
    held = {"patient_id": ids, "feats": ROWS.double(), "quality": torch.tensor([0.5, 1.0, 0.0])}
    found = read(saved(tmp_path / "a.pt", held))
    assert found.ids == (("a", "b", "c") if isinstance(ids, list) else ("7", "8", "9"))
    np.testing.assert_array_equal(found.mean, ROWS.nan_to_num(0))
    assert found.measured.tolist() == [[True, True], [True, False], [True, True]]
    assert found.quality.tolist() == [0.5, 1, 0]


class Harmful:
    def __reduce__(self):
        return (pytest.fail, ("the pickle was run",))


def test_code_in_a_pickle_is_refused_by_name_and_not_run(tmp_path):
    path = saved(tmp_path / "a.pt", {"p1": ROWS, "p2": Harmful()})
    with pytest.raises(DataError, match=r"a\.pt: holds _pytest\.outcomes\.\w+, which would have to be run"):
        read(path)


def test_a_pickle_that_is_no_archive_is_not_even_opened(tmp_path):
    (tmp_path / "a.pt").write_bytes(pickle.dumps(Harmful()))
    with pytest.raises(DataError, match=r"a\.pt: is no tensor file of torch 1\.6 or later"):
        read(tmp_path / "a.pt")
    old = saved(tmp_path / "b.pt", {"p1": ROWS}, _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match="Write it again"):
        read(old)


@pytest.mark.parametrize("highest", [1, 256])  # noise grows where it is packed
def test_a_packed_archive_is_refused(tmp_path, highest):
    saved(tmp_path / "a.pt", {"p1": torch.randint(highest, (1 << 16,), dtype=torch.uint8)})
    with zipfile.ZipFile(tmp_path / "a.pt") as plain, zipfile.ZipFile(tmp_path / "b.pt", "w") as packed:
        for part in plain.infolist():
            packed.writestr(part.filename, plain.read(part), zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match=r"b\.pt: is packed"):
        read(tmp_path / "b.pt")


def test_an_archive_whose_parts_overlap_is_refused(tmp_path):
    path = saved(tmp_path / "a.pt", {"p1": torch.zeros(1 << 12)})
    with zipfile.ZipFile(path, "a") as archive:
        largest = max(archive.infolist(), key=lambda part: part.file_size)
        for number in range(2):
            again = copy.copy(largest)
            again.filename = f"{largest.filename}{number}"
            archive.filelist.append(again)
        archive.writestr("end", b"")
    with pytest.raises(DataError, match=r"a\.pt: .*claims more than it stores"):
        read(path)


def test_a_view_that_claims_more_than_is_stored_is_refused(tmp_path):
    path = saved(tmp_path / "a.pt", {"p1": torch.ones(1).expand(1 << 40, 2)})
    with pytest.raises(DataError, match="stores less"):
        read(path)


def test_a_damaged_archive_is_an_error_with_its_name(tmp_path):
    whole = saved(tmp_path / "a.pt", {"p1": ROWS}).read_bytes()
    for size in (10, len(whole) // 2, len(whole) - 30):
        (tmp_path / "b.pt").write_bytes(whole[:size])
        with pytest.raises(DataError, match=r"b\.pt"):
            read(tmp_path / "b.pt")


@pytest.mark.parametrize(
    ("held", "says"),
    [
        (ROWS, "a Tensor and no patient ids"),
        ({}, "an empty dictionary"),
        ({"p1": "text"}, "a str where a tensor is needed"),
        ({"p1": torch.zeros(2, 2, dtype=torch.complex64)}, "real numbers"),
        ({"p1": torch.eye(2).to_sparse()}, "plain array"),
        ({"p1": torch.zeros(2, 3, 4)}, r"has shape \(2, 3, 4\)"),
        ({"p1": ROWS, "p2": torch.zeros(3)}, "2, 3 features in one modality"),
        ({"patient_id": ["a"], "embedding": ROWS}, "a list of 3 ids is needed"),
        ({"patient_id": ["a"], "vectors": ROWS}, "Name yours in the recipe"),
    ],
)
def test_what_is_no_embedding_says_so(tmp_path, held, says):
    with pytest.raises(DataError, match=rf"a\.pt: .*{says}"):
        read(saved(tmp_path / "a.pt", held))


def test_they_hold_no_outcomes_and_say_what_they_hold(folder, tmp_path):
    with pytest.raises(DataError, match="no columns of outcomes"):
        PtReader(path=folder).read_columns(["label"])
    assert PtReader(path=folder).describe() == (
        "folder of 4 tensor files (4 x 2 in the first): its name is its patient"
    )
    one = saved(tmp_path / "a.pt", {"p1": ROWS})
    assert (
        PtReader(path=one).describe()
        == "one tensor file: a dictionary of 1 tensors, its name is its patient"
    )
