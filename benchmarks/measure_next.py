"""Whether ``measure_next`` is the modality that the generator of a synthetic cohort would measure.

For each test patient who lacks at least two modalities, and each task, the generator's best modality is the
one with the largest Var(E[p | observed, x_m]) under the generator itself. Agreement by chance is the mean
of one over the number of missing modalities. To see what stands in the way of agreement, more are printed:
of hcat with itself under another seed of draws (Monte Carlo error), of hcat's model with values drawn by
the generator in the place of the imputer's, and of the true p with values drawn by hcat's imputer.

``python benchmarks/measure_next.py --preset demo --patients 1500 --width 32 --set imputer.use=gaussian``
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from known_probability import Trained, cases_asked_for, draw_cells, train, true_probability

from hcat_core.evaluation.value_of_measuring import value_of_measuring
from hcat_core.interfaces import Imputation, ImputingEstimator

DRAWS = 128
TRUE_DRAWS = 1024  # for the generator's own best modality
NEAR = 0.1  # reductions that differ by less than this share are a tie


@dataclass(frozen=True)
class DrawnByGenerator(Imputation):
    """An imputation whose draws are those of the generator, one after the other."""

    cells: Iterator[torch.Tensor] | None = None

    def draw(self, n: int, generator: torch.Generator) -> torch.Tensor:
        """(n, N, M, D); the next n draws, whatever the generator of random numbers."""
        assert self.cells is not None
        return torch.where(self.filled, torch.stack(list(islice(self.cells, n))), self.emb)


@dataclass(frozen=True)
class Agreement:
    """Share of (patient, task) whose two best modalities are the same; none chosen is not the same.

    Attributes:
        share: of all.
        chance: expected share by chance.
        clear: share where the generator's best is not nearly tied.
        value: reduction got by the chosen modalities over that of the generator's best ones.
        patients: number of (patient, task), and of those without a near tie.
    """

    share: float
    chance: float
    clear: float
    value: float
    patients: tuple[int, int]

    @classmethod
    def of(cls, chosen: np.ndarray, best: np.ndarray) -> Agreement:
        """From (N, T, M) reductions: those that choose, and the generator's."""
        has_best = np.nanmax(best, axis=2) > 0
        if not has_best.any():
            return cls(np.nan, np.nan, np.nan, np.nan, (0, 0))
        chosen, best = chosen[has_best][:, None], best[has_best][:, None]
        truth = np.where(np.isfinite(best), best, -np.inf)
        score = np.where(np.isfinite(chosen), chosen, -np.inf)
        mine = score.argmax(axis=2)
        chooses = score.max(axis=2) > 0  # else every modality is as good as the next, and none is named
        same = chooses & (mine == truth.argmax(axis=2))
        ordered = np.sort(truth, axis=2)
        is_clear = ordered[..., -2] < (1 - NEAR) * ordered[..., -1]
        got = np.take_along_axis(truth, mine[..., None], axis=2) * chooses[..., None]
        return cls(
            share=float(same.mean()),
            chance=float((1 / np.isfinite(best).sum(axis=2)).mean()),
            clear=float(same[is_clear].mean()),
            value=float(got.sum() / ordered[..., -1].sum()),
            patients=(same.size, int(is_clear.sum())),
        )

    def __str__(self) -> str:
        clear = f"{self.clear:.3f} without near ties ({self.patients[1]} of {self.patients[0]})"
        return f"{self.share:.3f}, {clear}, chance {self.chance:.3f}, value {self.value:.3f} of the best"


def generators_reduction(trained: Trained, rows: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """(n, T, M) Var over draws (S, n, M, D) of x_m of E[p | observed, x_m] under the generator."""
    synthetic = trained.synthetic
    missing = ~synthetic.missingness.present[rows]
    cells, measured = synthetic.complete[rows], synthetic.measured[rows]
    tasks = synthetic.outcomes.probability.shape[1]
    result = np.full((len(rows), tasks, missing.shape[1]), np.nan)
    for column in range(missing.shape[1]):
        lacking = np.flatnonzero(missing[:, column])
        if not len(lacking):
            continue
        seen = measured[lacking].copy()
        seen[:, column] = synthetic.cells[column]
        predicted = []
        for one in drawn:
            completed = cells[lacking].copy()
            completed[:, column] = one[lacking, column]
            predicted.append(true_probability(synthetic, completed, seen))
        result[lacking, :, column] = np.var(predicted, axis=0, ddof=1)
    return result


def compare(trained: Trained) -> dict[str, Agreement]:
    """Agreement of hcat with the generator, and what stands in the way."""
    fitted, synthetic = trained.fitted, trained.synthetic
    assert isinstance(fitted.estimator, ImputingEstimator)
    two = np.flatnonzero((~trained.test.present).sum(dim=1).numpy() >= 2)
    patients, rows = trained.test[torch.from_numpy(two)], two + trained.rows.start
    imputation = fitted.estimator.impute(patients)
    by_generator = draw_cells(synthetic, rows, DRAWS, seed=1)
    truth = generators_reduction(trained, rows, draw_cells(synthetic, rows, TRUE_DRAWS, seed=2))
    swapped = DrawnByGenerator(
        imputation.emb, imputation.std, imputation.filled, cells=iter(torch.from_numpy(by_generator))
    )
    ours, again = (
        value_of_measuring(fitted.predict_members, patients, imputation, seed, DRAWS).reduction
        for seed in (0, 1)
    )
    with_truth = value_of_measuring(fitted.predict_members, patients, swapped, 0, DRAWS).reduction
    imputed = imputation.draw(DRAWS, torch.Generator().manual_seed(0)).numpy()
    return {
        "hcat": Agreement.of(ours, truth),
        "hcat, other draws, with hcat": Agreement.of(again, ours),
        "hcat's model, generator's draws": Agreement.of(with_truth, truth),
        "true p, hcat's imputer": Agreement.of(generators_reduction(trained, rows, imputed), truth),
        "true p, other draws": Agreement.of(generators_reduction(trained, rows, by_generator), truth),
    }


def main() -> None:
    """Print the agreement for each preset and seed."""
    for case in cases_asked_for(__doc__, ("demo", "linear")):
        for what, agreement in compare(train(case)).items():
            print(f"{case.preset}, seed {case.seed}, {what}: {agreement}", flush=True)


if __name__ == "__main__":
    main()
