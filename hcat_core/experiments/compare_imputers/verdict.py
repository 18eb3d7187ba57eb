"""Which imputer is best, in plain words: by CRPS, the error of the whole predicted distribution."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from hcat_core.experiments.compare_imputers.results import ImputerResult
from hcat_core.experiments.compare_imputers.settings import LIMIT, ORACLE
from hcat_core.experiments.compare_imputers.table import BASELINE, Estimate
from hcat_core.report.formatting import counted, listed, percent

Word = Literal["an imputer is better", "no detectable difference", "not known"]
MOST_OFF = 0.05  # of the coverage of 90 % intervals, from which on they are called too narrow or too wide


@dataclass(frozen=True)
class ImputerVerdict:
    """What a comparison of imputers found.

    Attributes:
        word: of one kind of result.
        best: the imputer with the lowest CRPS; empty without any.
        title: the answer in one line.
        sentences: by how much, how certain, and for which gaps.
    """

    word: Word
    best: str
    title: str
    sentences: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**vars(self), "sentences": list(self.sentences)}


def imputer_verdict(results: Sequence[ImputerResult]) -> ImputerVerdict:
    """Judge the imputers by their CRPS, the mean over mechanisms and missing rates.

    The best one is compared with each other one on the same seeds (Student's t). It is called the best
    where the interval of the difference to the second leaves out 0.
    """
    names = [name for name in dict.fromkeys(one.name for one in results) if is_imputer(name)]
    every = {name: _by_seed(results, name, "crps") for name in names}
    crps = {name: by_seed for name, by_seed in every.items() if by_seed}
    if not crps:
        return ImputerVerdict("not known", "", "Not known: no imputer was scored.", ())
    best, *others = sorted(crps, key=lambda name: _mean(crps[name]))
    differences = {name: _paired(crps[name], crps[best]) for name in others}
    word, title = _answer(best, differences)
    sentences = [_error(best, _mean(crps[best]), differences), *_quality(results, best), _measured(results)]
    return ImputerVerdict(word, best, title, tuple(sentences))


def is_imputer(name: str) -> bool:
    """Whether a row of the table fills anything without the truth: it is neither a limit nor ``none``."""
    return name not in (ORACLE, LIMIT, BASELINE)


def _by_seed(results: Sequence[ImputerResult], name: str, score: str) -> dict[int, float]:
    """The mean of a score over settings, by seed; without seeds for which a setting has none."""
    values: dict[int, list[float | None]] = {}
    for one in results:
        if one.name == name:
            value = one.mean_auc if score == "auc" else getattr(one.scores, score, None)
            values.setdefault(one.setting.seed, []).append(value)
    return {seed: float(np.mean(v)) for seed, v in values.items() if None not in v}  # type: ignore[arg-type]


def _mean(by_seed: Mapping[int, float]) -> float:
    return float(np.mean(list(by_seed.values())))


def _paired(first: Mapping[int, float], second: Mapping[int, float]) -> Estimate | None:
    """The difference of two scores on the same seeds; None where there are no such seeds."""
    return Estimate.of([first[seed] - second[seed] for seed in sorted(first.keys() & second.keys())])


def _answer(best: str, differences: Mapping[str, Estimate | None]) -> tuple[Word, str]:
    """The kind of result and its title, from each other imputer's CRPS minus that of the best."""
    if not differences:
        return "not known", f"Not known: {best} was compared with no other imputer."
    if all(one is None or math.isnan(one.low) for one in differences.values()):
        return "not known", f"Not known: {best} had the lowest error, but with a single random seed."
    alike = [name for name, one in differences.items() if one is None or not one.low > 0]
    if not alike:
        return "an imputer is better", f"{best} imputes best."
    return "no detectable difference", f"No detectable difference between {listed([best, *alike])}."


def _error(best: str, crps: float, differences: Mapping[str, Estimate | None]) -> str:
    """How large the best imputer's error is, and that of the next best."""
    text = (
        f"{best} has the lowest error of the whole predicted distribution: its CRPS is {crps:.3f} standard "
        "deviations of a feature"
    )
    name, one = next(iter(differences.items()), ("", None))
    if one is None:
        return f"{text}."
    pair = "" if math.isnan(one.low) else f" (95 % interval {one.low:+.3f} to {one.high:+.3f})"
    return f"{text}. That of the next best, {name}, is {one.mean:.3f} higher{pair}."


def _quality(results: Sequence[ImputerResult], best: str) -> list[str]:
    """What the best imputer explains, whether its intervals hold, and what it is worth to a prediction."""
    sentences = []
    r2, limit = (_by_seed(results, name, "r2") for name in (best, LIMIT))
    if r2:
        text = f"It explains {percent(_mean(r2))} of the variance of hidden values (R²)"
        possible = f"; {percent(_mean(limit))} is what this many patients allow" if limit else ""
        sentences.append(f"{text}{possible}.")
    coverage = _by_seed(results, best, "coverage_90")
    if coverage:
        off = _mean(coverage) - 0.9
        how = "as they should" if abs(off) <= MOST_OFF else "too narrow" if off < 0 else "too wide"
        sentences.append(f"Its 90 % intervals hold {percent(_mean(coverage))} of hidden values: {how}.")
    worth = _paired(_by_seed(results, best, "auc"), _by_seed(results, BASELINE, "auc"))
    if worth is not None:
        pair = "" if math.isnan(worth.low) else f" (95 % interval {worth.low:+.3f} to {worth.high:+.3f})"
        sentences.append(
            "A linear model predicts outcomes from values it imputed with an AUC that differs by "
            f"{worth.mean:+.3f}{pair} from one that is given the gaps."
        )
    return sentences


def _measured(results: Sequence[ImputerResult]) -> str:
    """How values were hidden, and what that leaves open."""
    settings = [one.setting for one in results]
    why = {"mcar": "by chance", "mar": "depending on measured values", "mnar": "depending on hidden values"}
    how = listed([why[name] for name in dict.fromkeys(one.mechanism for one in settings)])
    seeds = counted(len({one.seed for one in settings}), "random seed")
    return (
        f"Measured on values that were hidden on purpose ({how}), with {seeds}. Values that are really "
        "missing may be missing for other reasons."
    )
