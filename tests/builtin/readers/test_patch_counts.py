"""``n_patches`` weighs slides, and never counts the patches that are there a second time."""

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_builtin.readers.patch_counts import count_rows, weights_within_slide
from hcat_builtin.readers.tensors.reader import PtReader
from hcat_core.data.aggregation import aggregate_spatial


def read(reader):
    return aggregate_spatial(reader.read(), reader.source)


@pytest.fixture
def slide_map(tmp_path):
    path = tmp_path / "map.csv"
    path.write_text("slide,patient\na,p\nb,p\n")
    return path


def h5_slides(folder, counts, **rows):
    folder.mkdir()
    for slide, values in rows.items():
        with h5py.File(folder / f"{slide}.h5", "w") as file:
            file["features"] = np.array(values, np.float32)[:, None]
            file["n_patches"] = counts[slide]
    return folder


@pytest.mark.parametrize("repeated", [False, True])
def test_a_count_beside_patch_rows_weighs_nothing(tmp_path, slide_map, repeated):
    counts = {"a": np.full(10, 10), "b": np.full(30, 30)} if repeated else {"a": 10, "b": 30}
    folder = h5_slides(tmp_path / "h5", counts, a=[0] * 10, b=[1] * 30)
    assert read(H5Reader(path=folder, slide_map=slide_map)).mean.tolist() == [[0.75]]


def test_a_count_beside_one_row_is_the_weight_of_the_slide(tmp_path, slide_map):
    folder = h5_slides(tmp_path / "h5", {"a": 10, "b": 30}, a=[0], b=[1])
    assert read(H5Reader(path=folder, slide_map=slide_map)).mean.tolist() == [[0.75]]


def test_rows_that_stand_for_more_patches_share_the_weight_of_their_slide(tmp_path, slide_map):
    folder = h5_slides(tmp_path / "h5", {"a": 100, "b": 300}, a=[0] * 5, b=[1] * 2)
    assert read(H5Reader(path=folder, slide_map=slide_map)).mean.tolist() == [[0.75]]


def test_counts_of_regions_weigh_them(tmp_path, slide_map):
    folder = h5_slides(tmp_path / "h5", {"a": [1, 3], "b": [4, 4]}, a=[0, 1], b=[1, 1])
    assert read(H5Reader(path=folder, slide_map=slide_map)).mean[0, 0] == pytest.approx(11 / 12)


def test_a_count_in_a_group_weighs_nothing_either(tmp_path):
    with h5py.File(tmp_path / "one.h5", "w") as file:
        for slide, value, count in (("a", 0.0, 10), ("b", 1.0, 30)):
            file[f"{slide}/features"] = np.full((count, 1), value, np.float32)
            file[f"{slide}/n_patches"] = count
    assert read(H5Reader(path=tmp_path / "one.h5")).mean.tolist() == [[0], [1]]


def test_a_weight_that_the_recipe_names_is_that_of_each_row(tmp_path, slide_map):
    folder = h5_slides(tmp_path / "h5", {"a": 1, "b": 1}, a=[0] * 2, b=[1] * 2)
    for slide, area in (("a", 1.0), ("b", 3.0)):
        with h5py.File(folder / f"{slide}.h5", "r+") as file:
            file["area"] = area
    assert read(H5Reader(path=folder, slide_map=slide_map, weight="area")).mean.tolist() == [[0.75]]


def test_a_count_in_a_tensor_file_weighs_nothing(tmp_path, slide_map):
    (tmp_path / "pt").mkdir()
    for slide, value, count in (("a", 0.0, 10), ("b", 1.0, 30)):
        torch.save(
            {"features": torch.full((count, 1), value), "n_patches": count}, tmp_path / "pt" / f"{slide}.pt"
        )
    assert read(PtReader(path=tmp_path / "pt", slide_map=slide_map)).mean.tolist() == [[0.75]]


def test_a_count_in_a_tensor_file_of_one_row_weighs_the_slide(tmp_path, slide_map):
    (tmp_path / "pt").mkdir()
    for slide, value, count in (("a", 0.0, 10), ("b", 1.0, 30)):
        torch.save(
            {"features": torch.full((1, 1), value), "n_patches": torch.tensor(count)},
            tmp_path / "pt" / f"{slide}.pt",
        )
    assert read(PtReader(path=tmp_path / "pt", slide_map=slide_map)).mean.tolist() == [[0.75]]


def flat(kind, folder, ids, values, counts):
    if kind == "h5":
        with h5py.File(folder / "a.h5", "w") as file:
            file["patient_id"] = np.array(ids, "S4")
            file["embedding"] = np.array(values, np.float32)[:, None]
            file["n_patches"] = np.array(counts)
        return H5Reader(path=folder / "a.h5")
    held = {
        "patient_id": ids,
        "embedding": torch.tensor(values)[:, None],
        "n_patches": torch.tensor(counts),
    }
    torch.save(held, folder / "a.pt")
    return PtReader(path=folder / "a.pt")


@pytest.mark.parametrize("kind", ["h5", "pt"])
def test_in_a_file_with_a_row_per_slide_it_weighs(tmp_path, kind):
    found = read(flat(kind, tmp_path, ["p", "p", "q"], [0.0, 1.0, 5.0], [10, 30, 2]))
    assert found.mean.tolist() == [[0.75], [5]]
    assert found.findings == ()


@pytest.mark.parametrize("kind", ["h5", "pt"])
def test_in_a_file_with_a_row_per_patch_it_weighs_nothing_and_this_is_told(tmp_path, kind):
    ids = ["p"] * 40 + ["q"] * 3
    found = read(
        flat(kind, tmp_path, ids, [0.0] * 10 + [1.0] * 30 + [5.0] * 3, [10] * 10 + [30] * 30 + [3] * 3)
    )
    assert found.mean.tolist() == [[0.75], [5]]
    (finding,) = found.findings
    assert "n_patches repeats how many rows a slide" in finding


@given(st.lists(st.tuples(st.sampled_from("pqr"), st.integers(1, 5)), min_size=1, max_size=8), st.randoms())
def test_counts_that_repeat_the_rows_are_found_in_any_order(slides, random):
    rows = [(patient, count) for patient, count in slides for _ in range(count)]
    random.shuffle(rows)
    ids, counts = np.array([r[0] for r in rows], object), np.array([float(r[1]) for r in rows])
    assert count_rows(ids, counts) == (counts > 1).any()
    assert not count_rows(ids, counts + 0.5)
    assert not count_rows(np.arange(len(ids)), counts + 1)  # a row per slide


@given(st.integers(1, 50), st.integers(0, 1000))
def test_the_rows_of_a_slide_share_its_count(rows, count):
    assert weights_within_slide(np.array([count]), rows).sum() == pytest.approx(count)
    assert weights_within_slide(np.full(rows, rows), rows).tolist() == [1] * rows
