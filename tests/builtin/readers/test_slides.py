"""Slides, slide maps and what does not match, in every layout that a reader has."""

import h5py
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hcat_builtin.readers.hdf5.reader import H5Reader
from hcat_builtin.readers.slide_map import slide_name
from hcat_builtin.readers.tensors.reader import PtReader
from hcat_core.data.aggregation import aggregate_spatial
from hcat_core.errors import DataError

SLIDES = {"s1": ("p", 1.0, 2), "s2": ("p", 4.0, 1), "s3": ("q", 7.0, 3)}
"""Patient, value and number of rows of each slide: the means are 2 and 7."""


def rows_of(slide):
    _, value, rows = SLIDES[slide]
    return np.full((rows, 2), value, np.float32)


def h5_folder(path, slides):
    path.mkdir()
    for slide in slides:
        with h5py.File(path / f"{slide}.h5", "w") as file:
            file["features"] = rows_of(slide)
    return path


def h5_groups(path, slides):
    with h5py.File(path, "w") as file:
        for slide in slides:
            file[f"slides/{slide}/features"] = rows_of(slide)
    return path


def h5_datasets(path, slides):
    with h5py.File(path, "w") as file:
        file.attrs.update({"encoder": "cobra", "version": "2.0.0"})
        for slide in slides:
            file[slide] = rows_of(slide)
    return path


def h5_flat(path, slides):
    with h5py.File(path, "w") as file:
        file["patient_id"] = np.array([s for s in slides for _ in rows_of(s)], "S8")
        file["embedding"] = np.concatenate([rows_of(s) for s in slides])
    return path


def pt_folder(path, slides):
    path.mkdir()
    for slide in slides:
        torch.save(torch.from_numpy(rows_of(slide)), path / f"{slide}.pt")
    return path


def pt_dictionary(path, slides):
    torch.save({slide: torch.from_numpy(rows_of(slide)) for slide in slides}, path)
    return path


def pt_flat(path, slides):
    ids = [s for s in slides for _ in rows_of(s)]
    rows = torch.from_numpy(np.concatenate([rows_of(s) for s in slides]))
    torch.save({"patient_id": ids, "embedding": rows}, path)
    return path


LAYOUTS = {
    "folder of .h5": (H5Reader, h5_folder, "h5"),
    "groups of one .h5": (H5Reader, h5_groups, "one.h5"),
    "datasets of one .h5": (H5Reader, h5_datasets, "one.h5"),
    "rows with ids in one .h5": (H5Reader, h5_flat, "one.h5"),
    "folder of .pt": (PtReader, pt_folder, "pt"),
    "dictionary of one .pt": (PtReader, pt_dictionary, "one.pt"),
    "rows with ids in one .pt": (PtReader, pt_flat, "one.pt"),
}


@pytest.fixture(params=list(LAYOUTS))
def layout(request, tmp_path):
    """Writes slides in one layout, and gives a reader of them."""
    kind, write, name = LAYOUTS[request.param]

    def reader(slides=tuple(SLIDES), **arguments):
        return kind(path=write(tmp_path / name, slides), **arguments)

    return reader


def mapped(tmp_path, lines):
    path = tmp_path / "map.csv"
    path.write_text("slide_id,case_id\n" + "".join(f"{slide},{patient}\n" for slide, patient in lines))
    return path


def all_mapped(tmp_path):
    return mapped(tmp_path, [(slide, patient) for slide, (patient, _, _) in SLIDES.items()])


def read(reader):
    return aggregate_spatial(reader.read(), reader.source)


def test_a_slide_map_names_the_patients_in_every_layout(layout, tmp_path):
    found = read(layout(slide_map=all_mapped(tmp_path)))
    assert found.ids == ("p", "q")
    assert found.mean.tolist() == [[2, 2], [7, 7]]
    assert found.n_rows.tolist() == [3, 3]
    assert found.findings == ()


def test_without_a_map_the_names_are_patients_in_every_layout(layout):
    assert read(layout()).ids == ("s1", "s2", "s3")


def test_all_slides_that_the_map_lacks_are_told_at_once(layout, tmp_path):
    reader = layout(slide_map=mapped(tmp_path, [("s3", "q")]))
    with pytest.raises(DataError, match=r"map\.csv: lacks 2 of the 3 slides of .*s1.*s2.*unmapped"):
        read(reader)


def test_slides_that_the_map_lacks_can_be_left_out(layout, tmp_path):
    found = read(layout(slide_map=mapped(tmp_path, [("s2", "p"), ("s3", "q")]), unmapped="skip"))
    assert found.ids == ("p", "q")
    assert found.mean.tolist() == [[4, 4], [7, 7]]
    (finding,) = found.findings
    assert "1 of 3 slides are left out" in finding
    assert "s1" in finding


def test_a_map_of_other_slides_is_refused_even_where_slides_may_be_left_out(layout, tmp_path):
    reader = layout(slide_map=mapped(tmp_path, [("other", "p")]), unmapped="skip")
    with pytest.raises(DataError, match="names none of the 3 slides"):
        read(reader)


def test_slides_of_the_map_without_a_file_are_told_with_their_patients(layout, tmp_path):
    lines = [*((slide, patient) for slide, (patient, _, _) in SLIDES.items()), ("s4", "q"), ("s5", "r")]
    (finding,) = read(layout(slide_map=mapped(tmp_path, lines))).findings
    assert "2 of the 5 slides of map.csv have no file or entry here (s4, s5)" in finding
    assert "2 patients rest on fewer slides than the map names, 1 of them on none" in finding


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        ([("S1", "p"), ("S2", "p"), ("S3", "q")], r"3 of them .* other upper and lower case \(s1 here, S1"),
        (
            [("s1.qptiff", "p"), ("s2.qptiff", "p")],
            r"2 of them .* with another ending \(s1 here, s1\.qptiff",
        ),
        ([("p", "s1"), ("q", "s2")], "2 of them are patients of the map, not slides: leave slide_map out"),
    ],
)
def test_a_map_that_spells_slides_otherwise_gets_a_hint(layout, tmp_path, lines, says):
    reader = layout(slide_map=mapped(tmp_path, lines))
    with pytest.raises(DataError, match=says):
        read(reader)


def test_names_that_go_on_after_the_slide_get_a_hint(tmp_path):
    folder = tmp_path / "h5"
    folder.mkdir()
    for slide in SLIDES:
        with h5py.File(folder / f"{slide}_features.h5", "w") as file:
            file["features"] = rows_of(slide)
    reader = H5Reader(path=folder, slide_map=all_mapped(tmp_path))
    with pytest.raises(DataError, match=r"3 of them .* without its ending \(s1_features here, s1 there\)"):
        read(reader)


@pytest.mark.parametrize(
    "name", ["s1", "s1.svs", "s1.h5", "s1.svs.h5", "a/b/s1.ndpi", " s1.tiff ", "C:\\b\\s1.svs"]
)
def test_endings_of_files_do_not_belong_to_a_slides_name(name):
    assert slide_name(name) == "s1"


@pytest.mark.parametrize("name", ["TCGA-01.0a1b.x", "a.b", ".h5"])
def test_other_points_do(name):
    assert slide_name(name) == name


def test_files_without_patches_are_told(tmp_path):
    folder = h5_folder(tmp_path / "h5", SLIDES)
    with h5py.File(folder / "s2.h5", "w") as file:
        file["features"] = np.zeros((0, 2), np.float32)
    found = read(H5Reader(path=folder, slide_map=all_mapped(tmp_path)))
    assert found.mean.tolist() == [[1, 1], [7, 7]]
    (finding,) = found.findings
    assert "1 slide holds no patch (s2): 1 patient rests on fewer slides" in finding
    (finding,) = read(H5Reader(path=folder)).findings
    assert "1 of 3 files or groups hold no patch" in finding
    assert "s2" not in finding  # without a map it is a patient


def test_tensors_without_patches_are_told(tmp_path):
    folder = pt_folder(tmp_path / "pt", SLIDES)
    torch.save(torch.zeros(0, 2), folder / "s3.pt")
    (finding,) = read(PtReader(path=folder, slide_map=all_mapped(tmp_path))).findings
    assert (
        "1 slide holds no patch (s3): 1 patient rests on fewer slides than the map names, 1 of" in finding
    )


def test_a_folder_whose_every_file_is_empty_is_refused(tmp_path):
    (tmp_path / "h5").mkdir()
    with h5py.File(tmp_path / "h5" / "s1.h5", "w") as file:
        file["features"] = np.zeros((0, 2), np.float32)
    with pytest.raises(DataError, match="none of its 1 slide holds a patch"):
        read(H5Reader(path=tmp_path / "h5"))


def test_slides_without_file_and_files_without_patch_are_one_sentence(tmp_path):
    ids = [f"P{i:03d}" for i in range(60)]
    folder = tmp_path / "h5"
    folder.mkdir()
    for name in [f"{q}_{s}" for q in ids for s in (0, 1)][:60] + [f"{q}_0" for q in ids[30:]]:
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["features"] = np.ones((5 * (name not in ("P001_1", "P002_1", "P003_1")), 4), np.float32)
    slides = [f"{q}_{s}" for q in ids[:50] for s in (0, 1)][:80]
    lines = [(s, s[:4]) for s in slides] + [(f"{q}_0", q) for q in ids[40:]]
    (finding,) = read(H5Reader(path=folder, slide_map=mapped(tmp_path, lines))).findings
    assert (
        "10 of the 100 slides of map.csv have no file or entry here (P030_1, P031_1, P032_1, ... to P039_1)"
        in (finding)
    )
    assert "3 slides hold no patch (P001_1, P002_1, P003_1)" in finding
    assert finding.endswith(": 13 patients rest on fewer slides than the map names.")


@pytest.mark.parametrize("hidden", ["._s1{}", ".DS_Store", ".s1{}", "._.DS_Store"])
@pytest.mark.parametrize("kind", ["h5", "pt"])
def test_hidden_files_are_no_slides(tmp_path, hidden, kind):
    write, reader = {"h5": (h5_folder, H5Reader), "pt": (pt_folder, PtReader)}[kind]
    folder = write(tmp_path / kind, SLIDES)
    (folder / hidden.format(f".{kind}")).write_bytes(b"\x00\x05\x16\x07\x00\x02\x00\x00Mac OS X        ")
    assert read(reader(path=folder)).ids == ("s1", "s2", "s3")


@pytest.mark.parametrize(
    ("kind", "first", "second"),
    [
        ("h5", "s1.h5", "s1.hdf5"),
        ("h5", "s1.h5", "s1.svs.h5"),
        ("pt", "s1.pt", "s1.pth"),
        ("h5", "s1.h5", "s1.H5"),
    ],
)
def test_two_files_of_one_slide_are_refused_by_name(tmp_path, kind, first, second):
    write, reader = {"h5": (h5_folder, H5Reader), "pt": (pt_folder, PtReader)}[kind]
    folder = write(tmp_path / kind, SLIDES)
    (folder / second).write_bytes((folder / first).read_bytes())
    with pytest.raises(DataError, match="2 names are those of only 1 slides") as error:
        read(reader(path=folder))
    assert first in str(error.value)
    assert second in str(error.value)


def test_the_odd_files_of_mixed_widths_are_named(tmp_path):
    folder = h5_folder(tmp_path / "h5", SLIDES)
    for name in ("a1", "s4"):
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["features"] = np.ones((2, 5), np.float32)
    with pytest.raises(
        DataError, match=r"2 features \(3\), 5 features \(2: a1\.h5, s4\.h5\) in one modality"
    ):
        read(H5Reader(path=folder))


def test_the_odd_groups_and_tensors_of_mixed_widths_are_named(tmp_path):
    with h5py.File(h5_groups(tmp_path / "one.h5", SLIDES), "r+") as file:
        file["slides/odd/features"] = np.ones((2, 5), np.float32)
    with pytest.raises(DataError, match=r"2 features \(3\), 5 features \(1: odd\)"):
        read(H5Reader(path=tmp_path / "one.h5"))
    folder = pt_folder(tmp_path / "pt", SLIDES)
    torch.save(torch.ones(2, 5), folder / "odd.pt")
    with pytest.raises(DataError, match=r"2 features \(3\), 5 features \(1: odd\.pt\)"):
        read(PtReader(path=folder))


def named_slides(path, layout, slides):
    """Slides of one row 1, 2 with names of their columns, in a folder or in groups of one file."""
    if layout == "folder":
        path.mkdir()
    for slide, names in slides.items():
        file, group = (path / f"{slide}.h5", "/") if layout == "folder" else (path, f"slides/{slide}")
        with h5py.File(file, "a") as opened:
            place = opened.require_group(group)
            place["features"] = np.array([[1, 2]], np.float32)
            if layout == "attribute":
                place["features"].attrs["feature_names"] = list(names)
            elif names:
                place["feature_names"] = np.array(list(names), dtype=object)
    return path


@pytest.mark.parametrize("odd", ["ba", "ac", "aB"])
@pytest.mark.parametrize("layout", ["folder", "groups", "attribute"])
def test_features_in_another_order_than_those_of_the_first_slide_are_refused(tmp_path, layout, odd):
    """They were averaged by position: feature a of one slide with feature b of another."""
    path = named_slides(tmp_path / "x.h5", layout, {"s0": "ab", "s1": "ab", "s2": odd, "s3": "ab"})
    with pytest.raises(DataError, match=r"1 of 4 files or groups \(s2(\.h5)?\) have other feature_names"):
        read(H5Reader(path=path))


@pytest.mark.parametrize("layout", ["folder", "groups", "attribute"])
def test_features_in_one_order_keep_their_names(tmp_path, layout):
    path = named_slides(tmp_path / "x.h5", layout, {"s0": "ab", "s1": "ab"})
    assert read(H5Reader(path=path)).features == ("a", "b")
    unnamed = named_slides(tmp_path / "y.h5", "folder", {"s0": "ab", "s1": "", "s2": "ab"})
    assert read(H5Reader(path=unnamed)).mean.tolist() == [[1, 2]] * 3


@pytest.mark.parametrize("inner", ["h5_files", "20x_512px/features_uni"])
def test_a_folder_above_the_slides_names_the_one_that_holds_them(tmp_path, inner):
    (tmp_path / inner).parent.mkdir(exist_ok=True, parents=True)
    h5_folder(tmp_path / inner, SLIDES)
    with pytest.raises(
        DataError, match=rf"holds no \.h5 file\. Its subfolder {inner} holds 3: name that one"
    ):
        read(H5Reader(path=tmp_path))


def test_a_folder_of_another_readers_files_names_the_reader(tmp_path):
    with pytest.raises(DataError, match=r'holds no \.h5 file\. It holds 3 \.pt files: use = "pt"'):
        read(H5Reader(path=pt_folder(tmp_path / "pt", SLIDES)))
    with pytest.raises(DataError, match=r'holds no \.pt file\. It holds 3 \.h5 files: use = "h5"'):
        read(PtReader(path=h5_folder(tmp_path / "h5", SLIDES)))


def test_files_of_patients_beside_files_of_slides_are_refused(tmp_path):
    folder = h5_folder(tmp_path / "h5", SLIDES)
    with h5py.File(folder / "s2.h5", "r+") as file:
        file.attrs["feat_type"] = "patient"
    with pytest.raises(DataError, match=r"s2\.h5: is of a patient, or of a slide"):
        read(H5Reader(path=folder, slide_map=all_mapped(tmp_path)))


def test_outcomes_of_slides_are_those_of_their_patients(tmp_path):
    path = h5_flat(tmp_path / "one.h5", ["s2", "s3"])
    with h5py.File(path, "r+") as file:
        file["label"] = np.array([1, 0, 0, 0])
    table = H5Reader(path=path, slide_map=mapped(tmp_path, [("s2", "p"), ("s3", "q")])).read_columns(
        ["label"]
    )
    assert table.ids.tolist() == ["p", "q", "q", "q"]
    assert table.columns["label"].tolist() == [1, 0, 0, 0]


@settings(max_examples=25, deadline=None)
@given(
    owners=st.lists(st.integers(0, 4), min_size=1, max_size=9),
    there=st.lists(st.booleans(), min_size=9, max_size=9),
)
def test_mean_and_findings_are_those_of_the_slides_that_are_there(tmp_path_factory, owners, there):
    folder = tmp_path_factory.mktemp("slides")
    slides = [(f"s{number}", f"p{owner}") for number, owner in enumerate(owners)]
    read_slides = [pair for pair, is_there in zip(slides, there, strict=False) if is_there]
    with h5py.File(folder / "one.h5", "w") as file:
        for slide, _ in read_slides:
            file[f"{slide}/features"] = np.full((1, 1), float(slide[1:]))
    reader = H5Reader(path=folder / "one.h5", slide_map=mapped(folder, slides))
    if not read_slides:
        with pytest.raises(DataError, match="no embedding found"):
            read(reader)
        return
    found = read(reader)
    for patient, mean in zip(found.ids, found.mean[:, 0].tolist(), strict=True):
        expected = np.mean([float(slide[1:]) for slide, owner in read_slides if owner == patient])
        assert mean == pytest.approx(expected)
    missing = len(slides) - len(read_slides)
    told = f"{missing} of the {len(slides)} slides of map.csv have no file" in "".join(found.findings)
    assert told == (missing > 0)
