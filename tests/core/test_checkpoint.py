"""A checkpoint is the old one or the new one, and a damaged one is refused by name."""

import pytest
import torch

from hcat_core import checkpoint
from hcat_core.errors import DataError


def test_tensors_and_header_come_back_as_they_went(tmp_path):
    path = tmp_path / "last.safetensors"
    tensors = {"a": torch.randn(3, 4), "b": torch.tensor(3, dtype=torch.int64)}
    checkpoint.write_checkpoint(path, tensors, {"epoch": 3, "history": [1.5, None]})
    back, header = checkpoint.read_checkpoint(path)
    assert all(torch.equal(back[name], tensors[name]) for name in tensors)
    assert header == {"epoch": 3, "history": [1.5, None]}
    assert [p.name for p in tmp_path.iterdir()] == ["last.safetensors"]


def test_a_write_that_fails_leaves_the_previous_one(tmp_path, monkeypatch):
    path = tmp_path / "last.safetensors"
    checkpoint.write_checkpoint(path, {"a": torch.ones(2)}, {"epoch": 1})

    def half(tensors, filename, metadata):
        filename.write_bytes(b"half")
        raise OSError("No space left on device")

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises(OSError, match="No space"):
        checkpoint.write_checkpoint(path, {"a": torch.zeros(2)}, {"epoch": 2})
    back, header = checkpoint.read_checkpoint(path)
    assert header == {"epoch": 1} and back["a"].sum() == 2


@pytest.mark.parametrize("damage", ["missing", "truncated", "foreign"])
def test_a_checkpoint_that_is_not_whole_is_refused_by_name(tmp_path, damage):
    path = tmp_path / "best.safetensors"
    checkpoint.write_checkpoint(path, {"a": torch.ones(100)}, {})
    if damage == "missing":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(path.read_bytes()[:-50])
    else:
        from safetensors.torch import save_file

        save_file({"a": torch.ones(2)}, path)
    with pytest.raises(DataError, match="best.safetensors"):
        checkpoint.read_checkpoint(path)
