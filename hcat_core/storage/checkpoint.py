"""Checkpoints: tensors, a manifest and a JSON header in one safetensors file, whole or not at all."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from hcat_core import __version__
from hcat_core.errors import DataError
from hcat_core.storage.atomic_files import atomic_write

FORMAT = 2
# One entry, not several: safetensors writes them in random order, and equal runs leave equal files.
ENTRY = "hcat-checkpoint"


def write_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, object], recipe: str = ""
) -> None:
    """Write a checkpoint: ``path`` is the old file or the new one, never half. Equal input, equal bytes.

    Args:
        path: the file.
        tensors: by name.
        header: anything that JSON can say.
        recipe: text of the run's recipe, which the checkpoint is bound to; "" for one of no run folder.

    Raises:
        StorageError: when the disk takes no more.
    """
    kept = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    manifest: dict[str, object] = {
        "format": FORMAT,
        "hcat": __version__,
        "recipe": text_digest(recipe),
        "tensors": _described(kept),
    }
    plain = json.loads(json.dumps(header))  # as it will be read: keys are text
    manifest["sha256"] = _digest(manifest, plain, kept)
    document = json.dumps({"manifest": manifest, "header": plain})
    with atomic_write(path) as temporary:
        # Not save_file: it makes a temporary file of its own, which a killed process leaves behind.
        temporary.write_bytes(save(kept, {ENTRY: document}))


def read_checkpoint(path: Path, recipe: str | None = None) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors and the JSON header.

    Args:
        path: the file.
        recipe: text of the recipe it must have been written under; any, when not given.

    Raises:
        DataError: for a file that is missing, truncated, edited, written under another recipe, or not one
            of hcat's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            text = (file.metadata() or {}).get(ENTRY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        raise DataError(f"{path}: no such checkpoint.") from None
    except (SafetensorError, OSError) as error:
        raise DataError(f"{path}: damaged or truncated checkpoint ({error}).") from None
    if text is None:
        raise DataError(f"{path}: not an hcat checkpoint, or one of an older hcat.")
    try:
        document = json.loads(text)
        manifest, header = document["manifest"], document["header"]
        digest, described = manifest.pop("sha256"), manifest["tensors"]
        version, written_under = manifest["hcat"], manifest["recipe"]
        known = manifest["format"] == FORMAT
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: damaged checkpoint: its manifest is unreadable ({error!r}).") from None
    if not known:
        raise DataError(f"{path}: written by hcat {version}, in a format that {__version__} does not read.")
    if described != _described(tensors) or digest != _digest(manifest, header, tensors):
        raise DataError(
            f"{path}: damaged or edited since hcat {version} wrote it: its sha256 is not the one in its "
            "manifest. Put a copy of it back."
        )
    if recipe is not None and written_under != text_digest(recipe):
        raise DataError(
            f"{path}: of another run: it was written under another recipe than the recipe.toml of this "
            "run folder. Put back the one that belongs here."
        )
    return tensors, header


def text_digest(text: str) -> str:
    """sha256 of a text, in hexadecimal."""
    return hashlib.sha256(text.encode()).hexdigest()


def _described(tensors: Mapping[str, Tensor]) -> dict[str, object]:
    return {
        name: {"dtype": str(tensor.dtype).removeprefix("torch."), "shape": list(tensor.shape)}
        for name, tensor in sorted(tensors.items())
    }


def _digest(manifest: Mapping[str, Any], header: object, tensors: Mapping[str, Tensor]) -> str:
    """sha256 of manifest and header, then of every tensor's bytes in the order of their names."""
    digest = hashlib.sha256(json.dumps([manifest, header], sort_keys=True).encode())
    for _, tensor in sorted(tensors.items()):
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> dict[str, Tensor]:
    """The optimiser's per-parameter state, flat, by ``optimiser.<number>.<name>``."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{number}.{name}": value.detach().cpu()
        for number, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Put back what ``optimiser_tensors`` gave; the parameter groups stay as they were built."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value
    whole = optimiser.state_dict()
    whole["state"] = state
    optimiser.load_state_dict(whole)


def write_text(path: Path, text: str) -> None:
    """Write a small text file whole or not at all."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
