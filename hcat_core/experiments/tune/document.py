"""The JSON document of a search."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from hcat_core.experiments.tune.results import FinishedSearch, OuterScore, Trial, TuningResult
from hcat_core.experiments.tune.sentences import sentences, verdict


def tuning_document(result: TuningResult) -> dict[str, Any]:
    """What ``tune.json`` holds: that of a comparison on the outer folds, and the searches."""
    ours = ("selection", "verdict")  # of recipes, where a search has its own
    comparison = {key: value for key, value in result.comparison.items() if key not in ours}
    return {
        **comparison,
        **asdict(result.plan),
        "recipe": result.recipe,
        "score": result.score,
        "keys": list(result.keys),
        "space": {one.key: one.in_words for one in result.space},
        "outer": {name: _outer(score) for name, score in result.outer.items()},
        "best": _trial(result.final.best),
        "searches": [_search(one, result) for one in result.searches],
        "final": _search(result.final, result),
        "importance": dict(result.final.importance),
        "verdict": {"title": verdict(result), "sentences": sentences(result)},
    }


def _outer(score: OuterScore) -> dict[str, Any]:
    return {
        "mean": score.mean,
        "low": score.low,
        "high": score.high,
        "by_fold": list(score.by_fold.values()),
    }


def _search(search: FinishedSearch, result: TuningResult) -> dict[str, Any]:
    document: dict[str, Any] = {"name": search.name}
    if search.fold is not None:
        repeat, fold = search.fold
        document |= {
            "repeat": repeat,
            "fold": fold,
            "tuned": result.tuned.by_fold.get(search.fold),
            "untuned": result.untuned.by_fold.get(search.fold),
        }
    return {
        **document,
        "chosen": search.best.number,
        "refused": search.refused,
        "trials": [_trial(one) for one in search.trials],
    }


def _trial(trial: Trial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "score": trial.score,
        "scores": list(trial.scores),
        "settings": dict(trial.settings),
        "error": trial.error,
    }
