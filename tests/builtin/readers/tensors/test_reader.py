"""Tensor files: embeddings are read, and nothing that a pickle would run is run."""

import copy
import pickle
import struct
import zipfile
from collections import OrderedDict

import numpy as np
import pytest
import torch

from hcat_builtin.readers.isolation import reader as isolation
from hcat_builtin.readers.tensors import archive
from hcat_builtin.readers.tensors.archive import load_tensors
from hcat_builtin.readers.tensors.reader import PtReader
from hcat_core.data.aggregation import aggregate_spatial
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
    with pytest.raises(DataError, match=r"a\.pt: is a pickle .*hcat does not unpickle"):
        read(tmp_path / "a.pt")
    old = saved(tmp_path / "b.pt", {"p1": ROWS}, _use_new_zipfile_serialization=False)
    with pytest.raises(DataError, match="Write it again"):
        read(old)


@pytest.mark.parametrize("highest", [1, 256])  # noise grows where it is compressed
def test_a_compressed_archive_is_refused(tmp_path, highest):
    saved(tmp_path / "a.pt", {"p1": torch.randint(highest, (1 << 16,), dtype=torch.uint8)})
    with zipfile.ZipFile(tmp_path / "a.pt") as plain, zipfile.ZipFile(tmp_path / "b.pt", "w") as packed:
        for part in plain.infolist():
            packed.writestr(part.filename, plain.read(part), zipfile.ZIP_DEFLATED)
    with pytest.raises(DataError, match=r"b\.pt: is compressed"):
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


@pytest.mark.parametrize(
    "dtype",
    "bfloat16 bool complex64 complex128 float16 float32 float64 int8 int16 int32 int64 uint8 uint16 uint32 "
    "uint64".split(),
)
def test_tensors_are_what_torch_reads(tmp_path, dtype):
    rows = torch.tensor([[0, 1, 2], [3, 4, 5]]).to(getattr(torch, dtype))
    held = {
        "whole": rows,
        "turned": rows.T,
        "part": rows[:, 1:],
        "spread": rows[:1, :1].expand(2, 2),
        "one": rows[0, 1],
        "none": rows[:0],
        "again": rows,
    }
    path = saved(tmp_path / "a.pt", held)
    found, expected = load_tensors(path), torch.load(path, weights_only=True)
    assert list(found) == list(expected)
    for name, tensor in expected.items():
        assert found[name].dtype == tensor.dtype
        assert found[name].stride() == tensor.stride()
        assert torch.equal(found[name], tensor), name


def test_containers_and_plain_values_are_what_torch_reads(tmp_path):
    plain = {1: [None, True, False, 1 << 40, -5, 70000, 0.5, "ä"]}
    plain |= {2: [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)], 3: [1], 4: []}
    plain |= {"size": torch.Size([2, 3]), "type": torch.float16, 0.5: {"inner": {}}}
    path = saved(tmp_path / "a.pt", plain)
    assert load_tensors(path) == torch.load(path, weights_only=True)
    parameter = torch.nn.Parameter(ROWS)
    ordered = OrderedDict(p1=parameter, p2=ROWS)
    found = load_tensors(saved(path, ordered))
    assert list(found) == ["p1", "p2"]
    assert torch.equal(found["p1"].nan_to_num(0), ROWS.nan_to_num(0))
    assert read(path).ids == ("p1", "p2")  # the parameter's numbers, too


def archive_of(path, pickled, *parts):
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/data.pkl", pickled)
        archive.writestr("a/version", "3\n")
        for number, part in enumerate(parts):
            archive.writestr(f"a/data/{number}", part)
    return path


def short(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def long(number):
    return b"\x8a\x08" + struct.pack("<q", number)


def tensor_instructions(numbers, size, offset=0):
    """Instructions for a tensor (size,) of float32 in part 0, which is said to hold ``numbers``."""
    storage = short("storage") + b"ctorch\nFloatStorage\n" + short("0") + short("cpu") + long(numbers)
    size_and_stride = long(size) + b"\x85" + long(1) + b"\x85"
    hooks = b"ccollections\nOrderedDict\n)R"
    arguments = b"(" + storage + b"tQ" + long(offset) + size_and_stride + b"\x89" + hooks
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + arguments + b"tR"


@pytest.mark.parametrize(
    ("pickled", "says"),
    [
        (b"c__builtin__\nbytearray\n" + long(1 << 34) + b"\x85R.", "needs more memory"),
        (b"cbuiltins\nbytearray\n" + long(1 << 34) + b"\x85R.", "needs more memory"),
        (b"ctorch.storage\nUntypedStorage\n" + long(1 << 34) + b"\x85R.", "needs more memory"),
        (short("builtins") + short("bytearray") + b"\x93.", "cannot be read as tensors"),
        (b"ccollections\nOrderedDict\n}K\x01K\x02s\x85R.", "int where a tensor is needed"),
        (b"}))s.", "a tuple where a tensor is needed"),
        (b".", "cannot be read as tensors"),
        (tensor_instructions(1 << 34, 1 << 34) + b".", "cannot be read as tensors"),
        (tensor_instructions(2, 1 << 34) + b".", "cannot be read as tensors"),
        (tensor_instructions(1 << 10, 1 << 10) + b".", "cannot be read as tensors"),
        (tensor_instructions(2, 3) + b".", "cannot be read as tensors"),
        (tensor_instructions(2, 1, offset=2) + b".", "cannot be read as tensors"),
        (tensor_instructions(2, 1, offset=1 << 62) + b".", "cannot be read as tensors"),
        (tensor_instructions(2, -1) + b".", "cannot be read as tensors"),
    ],
)
def test_a_few_bytes_that_ask_for_much_memory_are_refused(tmp_path, pickled, says):
    path = archive_of(tmp_path / "a.pt", b"\x80\x02" + pickled, bytes(8))
    with pytest.raises(DataError, match=rf"a\.pt: .*{says}"):
        read(path)


@pytest.mark.slow
def test_a_few_bytes_that_ask_for_much_time_are_refused(tmp_path, monkeypatch):
    """To hash tuples of tuples of tuples takes twice the time for each level."""
    monkeypatch.setattr(isolation, "SECONDS", 15)  # the worker has to import torch, too
    isolation.close_workers()
    levels = b"".join(b"q" + bytes([n]) + b"h" + bytes([n]) + b"\x86" for n in range(60))
    path = archive_of(tmp_path / "a.pt", b"\x80\x02}K\x01\x85" + levels + b"K\x01s.")
    with pytest.raises(DataError, match=r"a\.pt: reading made no progress for 15 seconds"):
        read(path)
    isolation.close_workers()


def test_a_tensor_larger_than_the_workers_budget_is_read(tmp_path, monkeypatch):
    """The budget grows with the file: what is stored honestly may be large."""
    monkeypatch.setattr(isolation, "MEMORY", 64 << 20)
    isolation.close_workers()
    path = saved(tmp_path / "a.pt", {"p1": torch.ones(1 << 15, 1 << 10)})
    assert read(path).n_rows.tolist() == [1 << 15]
    isolation.close_workers()


def test_the_tensors_made_by_hand_are_read(tmp_path):
    pickled = b"\x80\x02" + tensor_instructions(2, 1, offset=1) + b"."
    path = archive_of(tmp_path / "a.pt", pickled, struct.pack("=2f", 0, 1))
    assert load_tensors(path).tolist() == [1]


def test_one_tensor_of_many_names_is_not_written_out_for_each(tmp_path):
    rows = torch.ones(1 << 18, 4)
    path = saved(tmp_path / "a.pt", {f"p{n}": rows for n in range(100)})
    with pytest.raises(DataError, match=r"a\.pt: its tensors claim 419,430,400 bytes .* stores less"):
        read(path)
    few = saved(tmp_path / "b.pt", {f"p{n}": rows for n in range(3)})
    assert read(few).ids == ("p0", "p1", "p2")


def test_a_long_pickle_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(archive, "MAX_PICKLE", 1 << 10)
    path = saved(tmp_path / "a.pt", {f"p{n}": torch.ones(1) for n in range(100)})
    with pytest.raises(DataError, match=r"a\.pt: holds over .* beside its tensors"):
        load_tensors(path)


@pytest.mark.parametrize("second", ["b/data.pkl", "a/DATA.PKL"])
def test_two_pickles_in_one_archive_are_refused(tmp_path, second):
    path = archive_of(tmp_path / "a.pt", b"\x80\x02" + tensor_instructions(2, 2) + b".", bytes(8))
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(second, b"\x80\x02K\x01.")
    with pytest.raises(DataError, match=r"a\.pt: is no tensor file"):
        load_tensors(path)


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
        ({"p1": torch.eye(2).to_sparse()}, "a sparse, quantised or meta tensor"),
        ({"p1": np.ones(2)}, r"numpy\..*_reconstruct, which would have to be run"),
        ({"patient_id": [["a"], "b", "c"], "embedding": ROWS}, "a list of 3 ids is needed"),
        ({"p1": torch.zeros(2, 3, 4)}, r"has shape \(2, 3, 4\)"),
        ({"p1": ROWS, "p2": torch.zeros(3)}, r"2 features \(1\), 3 features \(1: p2\) in one modality"),
        ({"patient_id": ["a"], "embedding": ROWS}, "a list of 3 ids is needed"),
        ({"patient_id": ["a"], "vectors": ROWS}, "Name yours in the recipe"),
    ],
)
def test_what_is_not_an_embedding_is_an_error_that_names_it(tmp_path, held, says):
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


def test_a_view_whose_signs_are_turned_is_read_with_its_signs(tmp_path):
    turned = torch.tensor([1 + 2j, 3 - 4j]).conj().imag
    assert turned.is_neg()
    (row,) = read(saved(tmp_path / "a.pt", {"p1": turned})).mean.tolist()
    assert row == [-2, 4]
