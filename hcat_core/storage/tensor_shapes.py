"""Check that saved tensors have the shapes that are computed with: PyTorch would stretch others."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

Shape = tuple[int | None, ...]  # None stands for any length


def refuse_other_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, Shape], of: str = "") -> None:
    """Refuse tensors that are missing, too many, of another shape, or not numbers with a fraction.

    Args:
        tensors: as they were saved.
        expected: shapes by name.
        of: what they belong to, for messages.

    Raises:
        ValueError: naming the first tensor that does not fit.
    """
    where = f"{of}: " if of else ""
    if tensors.keys() != expected.keys():
        odd = min(tensors.keys() ^ expected.keys())
        wrong = "is missing" if odd in expected else "does not belong there"
        raise ValueError(f"{where}{odd} {wrong}")
    for name, shape in expected.items():
        found = tuple(tensors[name].shape)
        fits = len(found) == len(shape) and all(
            size in (None, given) for size, given in zip(shape, found, strict=True)
        )
        if not fits or not tensors[name].is_floating_point():
            words = " x ".join("any" if size is None else str(size) for size in shape) or "a single number"
            kind = str(tensors[name].dtype).removeprefix("torch.")
            raise ValueError(f"{where}{name} is {found} of {kind}; expected {words} of float")
