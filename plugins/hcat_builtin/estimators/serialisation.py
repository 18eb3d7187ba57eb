"""Saving scikit-learn models and tensors: skops with a fixed list of trusted types, never pickle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from hcat_core.errors import DataError
from hcat_core.storage.safe_path import safe_path

TRUSTED = [
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn.tree._tree.Tree",
    "numpy.dtype",
]


def save_models(folder: Path, models: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Write ``NAME.skops`` for each model and ``state.safetensors`` for the tensors."""
    if models:
        import skops.io  # takes 1.5 seconds, and most estimators do not need it

    for name, model in models.items():
        skops.io.dump(model, safe_path(folder, f"{name}.skops"))
    state = {name: tensor.contiguous() for name, tensor in tensors.items()}
    (folder / "state.safetensors").write_bytes(save(state))


def load_models(folder: Path) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read the models and tensors that ``save_models`` wrote.

    Raises:
        DataError: for a file that is damaged, or contains a type that is not in ``TRUSTED``.
    """
    models = {}
    paths = sorted(folder.glob("*.skops"))
    if paths:
        import skops.io

    for path in paths:
        try:
            untrusted = [t for t in skops.io.get_untrusted_types(file=path) if t not in TRUSTED]
            if untrusted:
                raise DataError(f"{path}: contains the type {untrusted[0]}, which hcat does not load.")
            models[path.stem] = skops.io.load(path, trusted=TRUSTED)
        except DataError:
            raise
        except Exception as error:  # a damaged archive fails in many ways
            raise DataError(f"{path}: damaged or not a saved model ({error}).") from None
    try:
        return models, load_file(folder / "state.safetensors")
    except (SafetensorError, OSError) as error:
        raise DataError(f"{folder / 'state.safetensors'}: damaged or missing ({error}).") from None
