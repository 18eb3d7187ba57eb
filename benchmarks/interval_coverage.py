"""How often the 90 % interval of a probability covers the true one, on synthetic cohorts.

The interval is for P(event | all modalities of the patient), which the generator knows. Coverage is printed
overall and by the number of modalities present, of the whole interval and with one of its three parts left
out; and of two other probabilities, which the interval is not made for: given what is measured, and given
the latent factors, which no set of modalities determines.

``python benchmarks/interval_coverage.py --preset demo --preset linear --set imputer.use=gaussian``
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from known_probability import Trained, cases_asked_for, train, true_probability

from hcat_core.training.ensemble_interval import IntervalParts
from hcat_core.training.neural_estimator import NeuralEstimator

PARTS = {"without W, members": "within", "without B, draws": "between", "without D, misfit": "misfit"}


@dataclass(frozen=True)
class Coverage:
    """Share of (patient, task) covered: ``overall``, and by number of modalities."""

    overall: float
    by_count: dict[int, float]
    width: float

    @classmethod
    def of(cls, low: np.ndarray, high: np.ndarray, truth: np.ndarray, count: np.ndarray) -> Coverage:
        """From (N, T) ends and truth, and (N,) numbers of modalities."""
        covered = (low <= truth) & (truth <= high)
        by_count = {int(k): float(covered[count == k].mean()) for k in np.unique(count)}
        return cls(float(covered.mean()), by_count, float((high - low).mean()))

    def __str__(self) -> str:
        parts = ", ".join(f"{k}: {share:.2f}" for k, share in self.by_count.items())
        return f"{self.overall:.3f} (by modalities {parts}), mean width {self.width:.2f}"


def coverage(trained: Trained) -> dict[str, Coverage]:
    """Coverage of the whole interval, of other probabilities, and with parts left out."""
    synthetic, rows, fitted = trained.synthetic, trained.rows, trained.fitted
    estimator = fitted.estimator
    assert isinstance(estimator, NeuralEstimator)
    cells, measured = synthetic.complete[rows], synthetic.measured[rows]
    everything = np.broadcast_to(synthetic.cells, measured.shape)
    truths = {
        "all modalities": true_probability(synthetic, cells, everything),
        "what is measured": true_probability(synthetic, cells, measured),
        "latent factors": synthetic.outcomes.probability[rows],
    }
    count = trained.test.present.sum(dim=1).numpy()
    predicted = fitted.predict(trained.test)
    result = {
        f"p given {name}": Coverage.of(predicted.low, predicted.high, truth, count)
        for name, truth in truths.items()
    }
    parts = estimator.interval_parts(trained.test)
    for name, part in PARTS.items():
        less: IntervalParts = replace(parts, **{part: np.zeros_like(parts.within)})
        ends = fitted.recalibration.apply(less.prediction())
        result[name] = Coverage.of(ends.low, ends.high, truths["all modalities"], count)
    return result


def main() -> None:
    """Print the coverage for each preset and seed."""
    for case in cases_asked_for(__doc__, ("demo", "linear")):
        for what, found in coverage(train(case)).items():
            print(f"{case.preset}, seed {case.seed}, {what}: {found}", flush=True)


if __name__ == "__main__":
    main()
