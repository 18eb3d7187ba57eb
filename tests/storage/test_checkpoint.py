"""A checkpoint is the old one or the new one; one that is not what hcat wrote is refused by name."""

import errno
import json
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from hcat_core import __version__
from hcat_core.errors import DataError, StorageError
from hcat_core.storage import checkpoint

RECIPE = 'seed = 1\n[imputer]\nuse = "mean"\n'
TENSORS = {"a": torch.arange(12.0).reshape(3, 4), "b": torch.tensor(3), "c": torch.zeros(0, 2)}


@pytest.fixture
def path(tmp_path):
    checkpoint.write_checkpoint(tmp_path / "best.safetensors", TENSORS, {"epoch": 1}, RECIPE)
    return tmp_path / "best.safetensors"


def document(path):
    with safe_open(path, framework="pt") as file:
        return json.loads(file.metadata()[checkpoint.ENTRY])


def test_tensors_and_header_come_back_as_they_went(tmp_path):
    path = tmp_path / "last.safetensors"
    tensors = {**TENSORS, "half": torch.randn(5).bfloat16(), "yes": torch.tensor([True, False])}
    checkpoint.write_checkpoint(
        path, tensors, {"epoch": 3, "history": [1.5, None], "by_epoch": {2: 1, 10: 2}}
    )
    back, header = checkpoint.read_checkpoint(path)
    assert back.keys() == tensors.keys()
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert list(header.items()) == [
        ("epoch", 3),
        ("history", [1.5, None]),
        ("by_epoch", {"2": 1, "10": 2}),
    ]
    assert [p.name for p in tmp_path.iterdir()] == ["last.safetensors"]


def test_the_same_checkpoint_is_the_same_bytes(path, tmp_path):
    for number in range(5):
        again = tmp_path / f"{number}.safetensors"
        checkpoint.write_checkpoint(again, dict(reversed(TENSORS.items())), {"epoch": 1}, RECIPE)
        assert again.read_bytes() == path.read_bytes()


def test_the_manifest_says_what_is_in_the_file_and_who_wrote_it(path):
    manifest = document(path)["manifest"]
    assert manifest["hcat"] == __version__
    assert manifest["recipe"] == checkpoint.text_digest(RECIPE)
    assert manifest["tensors"]["a"] == {"dtype": "float32", "shape": [3, 4]}
    assert len(manifest["sha256"]) == 64


def test_a_write_that_fails_names_the_file_and_leaves_the_previous_one(path, monkeypatch):
    def half(self, content):
        with self.open("wb") as file:
            file.write(content[:50])
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", half)
    with pytest.raises(
        StorageError, match="best.safetensors cannot be written: No space left on device. Free"
    ):
        checkpoint.write_checkpoint(path, {"a": torch.zeros(2)}, {"epoch": 2})
    _, header = checkpoint.read_checkpoint(path)
    assert header == {"epoch": 1}
    assert [p.name for p in path.parent.iterdir()] == ["best.safetensors"]


def test_half_a_file_of_a_killed_process_is_no_hindrance(path):
    (path.parent / ".best.safetensors.partial").write_bytes(b"half")
    checkpoint.write_checkpoint(path, TENSORS, {"epoch": 2})
    assert checkpoint.read_checkpoint(path)[1] == {"epoch": 2}
    assert [p.name for p in path.parent.iterdir()] == ["best.safetensors"]


def test_nothing_is_written_through_a_link_laid_at_the_temporary_name(path, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_text("mine")
    (path.parent / ".best.safetensors.partial").symlink_to(outside)
    checkpoint.write_checkpoint(path, TENSORS, {"epoch": 2})
    assert outside.read_text() == "mine"


def test_every_truncation_is_refused_by_name(path):
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(DataError, match="best.safetensors"):
            checkpoint.read_checkpoint(path)


def test_every_flipped_bit_is_refused_by_name(path):
    whole = bytearray(path.read_bytes())
    harmless = []
    for place in range(len(whole)):
        edited = bytearray(whole)
        edited[place] ^= 1 << place % 8
        path.write_bytes(edited)
        try:
            tensors, header = checkpoint.read_checkpoint(path, RECIPE)
        except DataError as error:
            assert "best.safetensors" in str(error)
        else:
            harmless.append(place)
            assert header == {"epoch": 1}
            assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert len(harmless) <= 8  # spaces that pad the header


@pytest.mark.parametrize("what", ["tensor", "shape", "header", "recipe", "version"])
def test_an_edit_with_a_well_formed_file_is_refused_by_name(path, what):
    tensors, content = load_file(path), document(path)
    if what == "tensor":
        tensors["a"][0, 0] = 7
    elif what == "shape":
        tensors["a"] = tensors["a"].reshape(4, 3)
    elif what == "header":
        content["header"]["epoch"] = 2
    elif what == "recipe":
        content["manifest"]["recipe"] = checkpoint.text_digest("another")
    else:
        content["manifest"]["hcat"] = "9.9"
    save_file(tensors, path, {checkpoint.ENTRY: json.dumps(content)})
    with pytest.raises(DataError, match="best.safetensors: damaged or edited"):
        checkpoint.read_checkpoint(path)


@pytest.mark.parametrize("place", [0, 100, -1])
def test_an_edit_anywhere_in_a_large_tensor_is_refused(tmp_path, place):
    path = tmp_path / "best.safetensors"
    checkpoint.write_checkpoint(path, {"a": torch.zeros(1000), "b": torch.zeros(1000)}, {})
    tensors, content = load_file(path), document(path)
    tensors["b"][place] = 1
    save_file(tensors, path, {checkpoint.ENTRY: json.dumps(content)})
    with pytest.raises(DataError, match="best.safetensors: damaged or edited"):
        checkpoint.read_checkpoint(path)


def test_one_of_another_format_is_refused_by_name_and_version(path):
    """Whole, with a right digest, as a later hcat writes it."""
    tensors, content = load_file(path), document(path)
    manifest = content["manifest"] | {"format": checkpoint.FORMAT + 1, "hcat": "9.9"}
    del manifest["sha256"]
    manifest["sha256"] = checkpoint._digest(manifest, content["header"], tensors)
    text = json.dumps({"manifest": manifest, "header": content["header"]})
    save_file(tensors, path, {checkpoint.ENTRY: text})
    with pytest.raises(DataError, match="written by hcat 9.9 in a format that hcat .* cannot read"):
        checkpoint.read_checkpoint(path)


def test_one_written_under_another_recipe_is_refused_by_name(path):
    checkpoint.read_checkpoint(path, RECIPE)
    with pytest.raises(DataError, match="best.safetensors: of another run"):
        checkpoint.read_checkpoint(path, RECIPE + "# more\n")


@pytest.mark.parametrize(
    "metadata", [None, {"format": "pt"}, {checkpoint.ENTRY: "[]"}, {checkpoint.ENTRY: "{"}]
)
def test_a_safetensors_file_of_another_program_is_refused_by_name(path, metadata):
    save_file({"a": torch.ones(2)}, path, metadata)
    with pytest.raises(DataError, match="best.safetensors"):
        checkpoint.read_checkpoint(path)


def test_a_missing_checkpoint_is_named(tmp_path):
    with pytest.raises(DataError, match="best.safetensors: no such checkpoint"):
        checkpoint.read_checkpoint(tmp_path / "best.safetensors")
