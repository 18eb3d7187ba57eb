"""Shift imputed values, for a sensitivity analysis: delta adjustment of a pattern-mixture model.

If values are missing not at random, those of patients who lack them may differ from those of similar
patients who have them, by an amount that no data tell. An analysis is repeated with imputed values shifted
by several amounts, to see at which one its conclusion changes (Rubin 1987, section 6.2; van Buuren 2018,
section 9.2). A shift is in standard deviations of the training patients, of each feature.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from hcat_core.errors import UsageError
from hcat_core.interfaces import Imputation
from hcat_core.layout import Layout
from hcat_core.text.spelling import did_you_mean


def shifts_from(texts: Sequence[str], layout: Layout) -> dict[str, float]:
    """The shift of each modality: texts are ``SHIFT``, of all modalities, or ``MODALITY=SHIFT``.

    A modality's own shift takes the place of that of all. Empty without texts.

    Raises:
        UsageError: for a modality that the layout lacks or that is named twice, and for what is not a
            number.
    """
    of_all: list[float] = []
    own: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.rpartition("=")
        shift = _number(text, number)
        if not equals:
            of_all.append(shift)
        elif name not in layout.names:
            known = ", ".join(layout.names)
            hint = did_you_mean(name, layout.names)
            raise UsageError(f'--delta {text}: no modality is named "{name}".{hint} There are {known}.')
        elif name in own:
            raise UsageError(f"--delta: {name} is given twice.")
        else:
            own[name] = shift
    if len(of_all) > 1:
        raise UsageError("--delta: a shift of all modalities is given twice.")
    return {**dict.fromkeys(layout.names, of_all[0]), **own} if of_all else own


def shift_imputed(
    emb: Tensor, imputation: Imputation, shifts: Mapping[str, float], layout: Layout, scale: Tensor
) -> Tensor:
    """Values with the imputed ones shifted; measured ones stay as they are, to the bit.

    Args:
        emb: (..., N, M, D) completed values.
        imputation: of the N patients, which says what was imputed.
        shifts: standard deviations by modality; 0 of one that is not named.
        layout: of the modalities.
        scale: (M, D) standard deviations of the training patients.
    """
    if not any(shifts.values()):
        return emb
    by = torch.tensor([shifts.get(name, 0.0) for name in layout.names], dtype=emb.dtype)[:, None] * scale
    return torch.where(imputation.filled, emb + by, emb)


def _number(text: str, number: str) -> float:
    try:
        shift = float(number)
    except ValueError:
        shift = math.nan
    if not math.isfinite(shift):
        raise UsageError(
            f'--delta {text}: "{number}" is not a number of standard deviations. Write SHIFT or '
            "MODALITY=SHIFT, such as --delta 0.5 or --delta clinical=-1."
        )
    return shift
