"""How far a network relies on each modality: its gates, over the patients of a cohort."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hcat_core.cohort import Cohort


@dataclass(frozen=True)
class GateRange:
    """The lowest, median and highest gate of n blocks, between 0 (ignored) and 1 (relied on)."""

    blocks: int
    lowest: float
    median: float
    highest: float


@dataclass(frozen=True)
class GateSummary:
    """Gates of one modality; None without such blocks.

    Attributes:
        measured: of measured blocks; they depend on quality and content.
        imputed: of imputed blocks; they depend on the imputation's standard deviation.
        with_std: Spearman's correlation of imputed blocks' gates with their standard deviation; negative
            where an uncertain imputation counts less.
    """

    measured: GateRange | None
    imputed: GateRange | None
    with_std: float | None = None


def summarise_gates(gates: Tensor, std: Tensor, cohort: Cohort) -> Mapping[str, GateSummary]:
    """Summarise gates by modality.

    Args:
        gates: (N, M) in [0, 1].
        std: (N, M) mean standard deviation of imputed blocks, in standard deviations; 0 of others.
        cohort: N patients.
    """
    result = {}
    for column, name in enumerate(cohort.layout.names):
        present = cohort.present[:, column]
        imputed = ~present & (std[:, column] > 0)
        result[name] = GateSummary(
            _range(gates[present, column]),
            _range(gates[imputed, column]),
            _rank_correlation(gates[imputed, column], std[imputed, column]),
        )
    return result


def _range(gates: Tensor) -> GateRange | None:
    if not len(gates):
        return None
    return GateRange(len(gates), float(gates.min()), float(gates.median()), float(gates.max()))


def _rank_correlation(one: Tensor, two: Tensor) -> float | None:
    """Spearman's correlation; None where one of them does not vary."""
    if len(one) < 3:
        return None
    ranks = torch.stack([values.double().argsort().argsort().double() for values in (one, two)])
    if one.max() == one.min() or two.max() == two.min():
        return None
    return float(torch.corrcoef(ranks)[0, 1])
