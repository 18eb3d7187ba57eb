"""Checkpoints: tensors and a JSON header in one safetensors file, written whole or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from hcat_core import __version__
from hcat_core.errors import DataError

FORMAT = "hcat-checkpoint-1"


def write_checkpoint(path: Path, tensors: Mapping[str, Tensor], header: Mapping[str, object]) -> None:
    """Write to a temporary name, sync, rename: ``path`` is the old file or the new one, never half."""
    metadata = {
        "format": FORMAT,
        "hcat": __version__,
        "header": json.dumps(header, sort_keys=True),
    }
    temporary = path.with_name(f".{path.name}.partial")
    save_file({k: v.contiguous() for k, v in tensors.items()}, temporary, metadata=metadata)
    replace_synced(temporary, path)


def read_checkpoint(path: Path) -> tuple[dict[str, Tensor], dict[str, object]]:
    """The tensors and the JSON header.

    Raises:
        DataError: for a file that is missing, truncated, or not one of hcat's.
    """
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise DataError(f"{path}: not an hcat checkpoint.")
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            header: dict[str, object] = json.loads(metadata["header"])
    except FileNotFoundError:
        raise DataError(f"{path}: no such checkpoint.") from None
    except (SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise DataError(f"{path}: damaged or truncated checkpoint ({error}).") from None
    return tensors, header


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
    temporary = path.with_name(f".{path.name}.partial")
    temporary.write_text(text, encoding="utf-8")
    replace_synced(temporary, path)


def replace_synced(temporary: Path, path: Path) -> None:
    """Rename over ``path`` after the bytes are on the disk."""
    descriptor = os.open(temporary, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    temporary.replace(path)
