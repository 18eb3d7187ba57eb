"""What hiding modalities at test time costs a recipe: two of them, and each alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from hcat_core.experiments.compare_recipes.differences import auc_with_two_hidden
from hcat_core.experiments.compare_recipes.results import FoldScores
from hcat_core.experiments.compare_recipes.table import Spread, spread_of_values


def hidden_entry(scores: Sequence[FoldScores], key: str, modalities: Sequence[str]) -> dict[str, Any]:
    """Means and standard deviations over folds, for a JSON document.

    Args:
        scores: of one recipe and outcome, on each fold.
        key: ``auc`` or ``r2``.
        modalities: of the cohort.

    Returns:
        ``KEY_two_hidden``, the score with two modalities hidden, the mean over pairs; ``KEY_fall_without``,
        by modality, by how much the score falls when it is hidden from every patient; both also with
        ``_sd`` behind.
    """
    two = spread_of_values([auc_with_two_hidden(one) for one in scores])
    falls = {
        name: spread_of_values([_fall(one, name, modalities) for one in scores]) for name in modalities
    }
    known = {name: fall for name, fall in falls.items() if fall is not None}
    return {
        f"{key}_two_hidden": None if two is None else two.mean,
        f"{key}_two_hidden_sd": None if two is None else _sd(two),
        f"{key}_fall_without": {name: fall.mean for name, fall in known.items()},
        f"{key}_fall_without_sd": {name: _sd(fall) for name, fall in known.items()},
    }


def _fall(scores: FoldScores, modality: str, modalities: Sequence[str]) -> float | None:
    """By how much one fold's score is lower without a modality; None where that was not measured."""
    with_all = scores.subsets.get("+".join(modalities))
    without = scores.subsets.get("+".join(name for name in modalities if name != modality))
    return None if with_all is None or without is None else with_all - without


def _sd(spread: Spread) -> float | None:
    return None if math.isnan(spread.sd) else spread.sd
