"""Checkpoints: tensors, a manifest and a JSON header in one safetensors file, written atomically."""

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

FORMAT = 3
TRAIN_AGAIN = "If an earlier version of hcat made the run, train again with this one."
# One entry, not several: safetensors writes them in random order, and equal runs leave equal files.
ENTRY = "hcat-checkpoint"


def write_checkpoint(
    path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, object], recipe: str = ""
) -> None:
    """Write a checkpoint atomically. Equal input gives equal bytes.

    Args:
        path: the file.
        tensors: by name.
        header: any JSON values.
        recipe: text of the recipe that the checkpoint belongs to; "" outside a run folder.

    Raises:
        StorageError: when the disk is full or not writable.
    """
    contiguous = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    manifest: dict[str, object] = {
        "format": FORMAT,
        "hcat": __version__,
        "recipe": text_digest(recipe),
        "tensors": _described(contiguous),
    }
    plain = json.loads(json.dumps(header))  # as it will be read: all keys are strings
    manifest["sha256"] = _digest(manifest, plain, contiguous)
    document = json.dumps({"manifest": manifest, "header": plain})
    with atomic_write(path) as temporary:
        # Not save_file, which makes another temporary file that a killed process would leave behind.
        temporary.write_bytes(save(contiguous, {ENTRY: document}))


def read_checkpoint(path: Path, recipe: str | None = None) -> tuple[dict[str, Tensor], dict[str, object]]:
    """Read the tensors and the JSON header of a checkpoint.

    Args:
        path: the file.
        recipe: text of the recipe that it must belong to; not checked when None.

    Raises:
        DataError: for a file that is missing, truncated, edited, of another recipe, or no hcat checkpoint.
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
        raise DataError(f"{path}: not an hcat checkpoint of this version. {TRAIN_AGAIN}")
    try:
        document = json.loads(text)
        manifest, header = document["manifest"], document["header"]
        digest, described = manifest.pop("sha256"), manifest["tensors"]
        version, written_under = manifest["hcat"], manifest["recipe"]
        known = manifest["format"] == FORMAT
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DataError(
            f"{path}: damaged checkpoint: its manifest is unreadable ({error!r}). {TRAIN_AGAIN}"
        ) from None
    if not known:
        raise DataError(
            f"{path}: written by hcat {version} in a format that hcat {__version__} cannot read. "
            "Train again with this version."
        )
    if described != _described(tensors) or digest != _digest(manifest, header, tensors):
        raise DataError(
            f"{path}: damaged or edited since hcat {version} wrote it: its sha256 differs from the one in "
            "its manifest. Restore it from a copy."
        )
    if recipe is not None and written_under != text_digest(recipe):
        raise DataError(
            f"{path}: of another run: it was written with another recipe than the recipe.toml of this "
            "run folder. Restore the checkpoint of this run."
        )
    return tensors, header


def text_digest(text: str) -> str:
    """sha256 of a string, in hexadecimal."""
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
    """The optimiser's state of each parameter as flat tensors named ``optimiser.<number>.<name>``."""
    state = optimiser.state_dict()["state"]
    return {
        f"optimiser.{number}.{name}": value.detach().cpu()
        for number, entries in state.items()
        for name, value in entries.items()
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Mapping[str, Tensor]) -> None:
    """Restore what ``optimiser_tensors`` returned; the parameter groups stay as they were built."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, number, name = key.split(".", 2)
            state.setdefault(int(number), {})[name] = value
    complete = optimiser.state_dict()
    complete["state"] = state
    optimiser.load_state_dict(complete)


def write_text(path: Path, text: str) -> None:
    """Write a small text file atomically."""
    with atomic_write(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
