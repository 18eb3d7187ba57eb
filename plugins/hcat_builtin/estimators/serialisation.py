"""Saving scikit-learn models and tensors: skops with a fixed list of trusted types, never pickle.

A file from elsewhere is not trusted: an archive may not inflate, every type in it must be in ``TYPES``, and
the estimator that loads it checks what it is given (``saved_models``) before anything is computed with it.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from hcat_core.errors import DataError
from hcat_core.storage.safe_path import safe_path

Check = Callable[[dict[str, Any], dict[str, torch.Tensor]], None]

TRUSTED = [
    "sklearn._loss.link.IdentityLink",
    "sklearn._loss.link.LogitLink",
    "sklearn._loss.link.MultinomialLogit",
    "sklearn._loss.loss.HalfBinomialLoss",
    "sklearn._loss.loss.HalfMultinomialLoss",
    "sklearn._loss.loss.HalfSquaredError",
    "sklearn.ensemble._hist_gradient_boosting.binning._BinMapper",
    "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
    "sklearn._loss._loss.CyHalfBinomialLoss",
    "sklearn._loss._loss.CyHalfMultinomialLoss",
    "sklearn._loss._loss.CyHalfSquaredError",
    "sklearn.tree._tree.Tree",
    "numpy.dtype",
]
"""What skops does not trust by itself."""

ESTIMATORS = (
    "sklearn.ensemble._forest.RandomForestClassifier",
    "sklearn.ensemble._forest.RandomForestRegressor",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingClassifier",
    "sklearn.ensemble._hist_gradient_boosting.gradient_boosting.HistGradientBoostingRegressor",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.linear_model._ridge.Ridge",
    "sklearn.preprocessing._label.LabelEncoder",
    "sklearn.tree._classes.DecisionTreeClassifier",
    "sklearn.tree._classes.DecisionTreeRegressor",
)
NUMBERS = ("bool", "int32", "int64", "uint32", "uint64", "float32", "float64")
TYPES = {
    **{f"builtins.{name}": (f"{name.capitalize()}Node",) for name in ("dict", "list", "tuple")},
    **{
        f"builtins.{name}": ("JsonNode", "TypeNode") for name in ("str", "int", "float", "bool", "NoneType")
    },
    **dict.fromkeys(["numpy.ndarray", *(f"numpy.{name}" for name in NUMBERS)], ("NdArrayNode",)),
    **dict.fromkeys([*TRUSTED, *ESTIMATORS, "sklearn._loss.link.Interval"], ("ObjectNode",)),
    "numpy.dtype": ("DTypeNode",),
    "numpy.random._generator.Generator": ("RandomGeneratorNode",),
    "sklearn._loss._loss.CyHalfBinomialLoss": ("LossNode",),
    "sklearn._loss._loss.CyHalfMultinomialLoss": ("LossNode",),
    "sklearn._loss._loss.CyHalfSquaredError": ("LossNode",),
    "sklearn.tree._tree.Tree": ("TreeNode",),
}
"""All that a model of hcat's own estimators consists of, with the functions of skops that may make it."""


def save_models(folder: Path, models: Mapping[str, Any], tensors: Mapping[str, torch.Tensor]) -> None:
    """Write ``NAME.skops`` for each model and ``state.safetensors`` for the tensors."""
    if models:
        import skops.io  # takes 1.5 seconds, and most estimators do not need it

    for name, model in models.items():
        skops.io.dump(model, safe_path(folder, f"{name}.skops"))
    state = {name: tensor.contiguous() for name, tensor in tensors.items()}
    (folder / "state.safetensors").write_bytes(save(state))


def load_models(folder: Path, check: Check) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """Read the models and tensors that ``save_models`` wrote.

    Args:
        folder: with the files.
        check: is given the models by name and the tensors, and raises ``ValueError`` for what does not fit.

    Raises:
        DataError: for a file that is damaged, contains a type that is not in ``TYPES``, or does not fit.
    """
    models = {path.stem: _load_model(path) for path in sorted(folder.glob("*.skops"))}
    state = folder / "state.safetensors"
    try:
        tensors = load_file(state)
    except (SafetensorError, OSError) as error:
        raise DataError(f"{state}: damaged or missing ({error}).") from None
    try:
        check(models, tensors)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError) as error:
        raise DataError(
            f"{folder}: these are not the models of this run's recipe ({error}). Nothing was computed with "
            "them: train anew, or ask whoever made this run folder."
        ) from None
    return models, tensors


def _load_model(path: Path) -> Any:
    import skops.io

    try:
        with zipfile.ZipFile(path) as archive:
            _check_archive(archive, path)
        return skops.io.load(path, trusted=TRUSTED)
    except DataError:
        raise
    except Exception as error:  # a damaged archive fails in many ways
        raise DataError(f"{path}: damaged or not a saved model ({error}).") from None


def _check_archive(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse an archive that takes more memory than it has bytes, and types that are not in ``TYPES``."""
    size = path.stat().st_size
    members = {member.filename: member.file_size for member in archive.infolist()}
    inflates = any(member.compress_type != zipfile.ZIP_STORED for member in archive.infolist())
    if inflates or sum(member.file_size for member in archive.infolist()) > size:
        raise DataError(f"{path}: is compressed: hcat did not write it, and it is not read.")
    used = 0
    for kind, loader, file in _parts(json.loads(archive.read("schema.json"))):
        if loader not in TYPES.get(kind, ()):
            raise DataError(f"{path}: contains the type {kind} ({loader}), which hcat does not load.")
        used += members.get(file, 0)
    if used > size:
        raise DataError(f"{path}: names the same numbers again and again: hcat did not write it.")


def _parts(value: object) -> Iterator[tuple[str, str, str]]:
    """Type, loader and file of each part of a schema."""
    waiting = [value]
    while waiting:
        part = waiting.pop()
        if isinstance(part, dict):
            if "__loader__" in part or "__class__" in part:
                kind = f"{part.get('__module__')}.{part.get('__class__')}"
                yield kind, str(part.get("__loader__")), str(part.get("file"))
            waiting.extend(part.values())
        elif isinstance(part, list):
            waiting.extend(part)
