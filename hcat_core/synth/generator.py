"""Draw synthetic cohorts: a mixture of low-rank factor analysers over modalities, outcomes and gaps.

Patient i belongs to cluster c with probability ``weights[c]``, has factors ``z ~ N(0, I_R)``, and

    x[m, d] = means[c, m, d] + loadings[c, m, d] . z + curve[m, d](z) + noise[m, d] * e,      e ~ N(0, 1).

The first ``shared`` factors act on every modality, so that a missing modality can be partly predicted from
the others: through loadings, or through the curve of ``synth.curve`` where the spec has ``sines``. Each of
the remaining factors acts on one modality alone and cannot be predicted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hcat_core.synth.curve import Curve, draw_curve
from hcat_core.synth.missingness import Missingness, draw_missingness
from hcat_core.synth.noise_blocks import RecordedBlocks, record_blocks
from hcat_core.synth.outcomes import TASKS, RiskModel, SyntheticOutcomes, draw_outcomes
from hcat_core.synth.spec import MODALITIES, SynthSpec, preset_spec, with_interactions

CLUSTER_PRIOR = 20.0  # of the Dirichlet distribution that cluster probabilities are drawn from


@dataclass(frozen=True)
class MixtureParameters:
    """Parameters of the mixture: K clusters, M modalities, D cells of the widest one, R factors.

    Attributes:
        weights: (K,) cluster probabilities.
        means: (K, M, D).
        loadings: (K, M, D, R); 0 in padding cells.
        noise: (M, D) standard deviations; 1 in padding cells.
        loading_scale: (M, R) standard deviations of the normal distributions that loadings were drawn from.
        curve: the nonlinear part; None: cells are linear in the factors.
    """

    weights: np.ndarray
    means: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray
    loading_scale: np.ndarray
    curve: Curve | None = None


@dataclass(frozen=True)
class SyntheticCohort:
    """A synthetic cohort of N patients, and its truth.

    Attributes:
        spec: that it was drawn from.
        parameters: of the mixture.
        risk_model: of the outcomes.
        ids: of the patients.
        cluster: (N,) cluster of each patient.
        factors: (N, R) factors of each patient.
        complete: (N, M, D) float32, every cell, also those that are missing.
        missingness: which blocks and cells are missing.
        recorded: cells as the files have them, and their quality.
        outcomes: times, events and labels.
    """

    spec: SynthSpec
    parameters: MixtureParameters
    risk_model: RiskModel
    ids: tuple[str, ...]
    cluster: np.ndarray
    factors: np.ndarray
    complete: np.ndarray
    missingness: Missingness
    recorded: RecordedBlocks
    outcomes: SyntheticOutcomes

    @property
    def cells(self) -> np.ndarray:
        """(M, D) bool, False in padding cells."""
        widths = np.array(list(self.spec.widths.values()))
        return np.arange(widths.max()) < widths[:, None]

    @property
    def measured(self) -> np.ndarray:
        """(N, M, D) bool, cells that the files hold, those of noise blocks included."""
        return np.asarray(self.missingness.present[:, :, None] & ~self.missingness.gaps & self.cells)

    @property
    def informative(self) -> np.ndarray:
        """(N, M, D) bool, measured cells of blocks that are not noise."""
        return np.asarray(self.measured & ~self.recorded.noise[:, :, None])


def generate(spec: SynthSpec) -> SyntheticCohort:
    """Draw a cohort.

    Each part has its own random stream: another mechanism of missingness leaves the patients as they are.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(spec.seed).spawn(7)]
    for_parameters, for_patients, for_noise, for_missing, for_gaps, for_outcomes, for_blocks = streams
    parameters = draw_parameters(spec, for_parameters)
    risk_model = _draw_risk_model(spec, for_parameters)
    n, (_, m, d, r) = spec.patients, parameters.loadings.shape
    cluster = for_patients.choice(spec.clusters, size=n, p=parameters.weights)
    factors = for_patients.standard_normal((n, r))
    complete = np.empty((n, m, d), np.float32)
    for c in range(spec.clusters):
        rows = np.flatnonzero(cluster == c)
        signal = factors[rows] @ parameters.loadings[c].reshape(m * d, r).T
        complete[rows] = parameters.means[c] + signal.reshape(len(rows), m, d)
    if parameters.curve is not None:
        complete += parameters.curve.cells(factors).astype(np.float32)
    complete += (for_noise.standard_normal((n, m, d)) * parameters.noise).astype(np.float32)
    widths = np.array(list(spec.widths.values()))
    complete[:, np.arange(d) >= widths[:, None]] = 0
    missingness = draw_missingness(
        complete,
        widths,
        mechanism=spec.mechanism,
        rate=spec.missing_rate,
        gap_rate=spec.gap_rate,
        strength=spec.missing_strength,
        rng=for_missing,
        gap_rng=for_gaps,
    )
    outcomes = draw_outcomes(risk_model, cluster, factors, for_outcomes)
    digits = len(str(n))
    return SyntheticCohort(
        spec=spec,
        parameters=parameters,
        risk_model=risk_model,
        ids=tuple(f"P{row + 1:0{digits}d}" for row in range(n)),
        cluster=cluster,
        factors=factors,
        complete=complete,
        missingness=missingness,
        recorded=record_blocks(complete, missingness.present, spec.noise_blocks, spec.seed, for_blocks),
        outcomes=outcomes,
    )


def draw_parameters(spec: SynthSpec, rng: np.random.Generator) -> MixtureParameters:
    """Draw weights, means, loadings, noise and the curve."""
    k, m, d = spec.clusters, len(spec.widths), max(spec.widths.values())
    loadings = np.zeros((k, m, d, spec.shared + m * spec.private))
    # A modality depends strongly on some shared factors and weakly on others: more modalities inform more.
    visible = np.where(rng.random((m, spec.shared)) < spec.visible, 1.0, 0.15)
    scale = _loading_scale(spec, visible)
    shared = rng.standard_normal((k, m, d, spec.shared)) * visible[:, None, :]
    loadings[..., : spec.shared] = (
        0.0 if spec.sines else shared * np.sqrt(spec.shared_variance / spec.shared)
    )
    for column in range(m if spec.private else 0):
        private = rng.standard_normal((k, d, spec.private))
        if spec.outcome == "interactions":
            private[:] = private[0]  # one meaning in every cluster, as the risk has it
        columns = private_factors(spec, column)
        loadings[:, column, :, columns] = private * np.sqrt(spec.private_variance / spec.private)
    means = rng.standard_normal((k, m, d)) * spec.separation
    noise = np.full((m, d), np.sqrt(spec.noise_variance))
    cells = np.arange(d) < np.array(list(spec.widths.values()))[:, None]
    loadings[:, ~cells] = 0
    means[:, ~cells] = 0
    noise[~cells] = 1
    weights = rng.dirichlet(np.full(k, CLUSTER_PRIOR))
    curve = None
    if spec.sines:
        curve = draw_curve(spec.shared, cells, spec.sines, spec.frequency, spec.shared_variance, rng)
    return MixtureParameters(weights, means, loadings, noise, scale, curve)


def _loading_scale(spec: SynthSpec, visible: np.ndarray) -> np.ndarray:
    """(M, R) standard deviations of loadings, for the (M, S) visibility of the shared factors."""
    m = len(spec.widths)
    scale = np.zeros((m, spec.shared + m * spec.private))
    if not spec.sines:
        scale[:, : spec.shared] = visible * np.sqrt(spec.shared_variance / spec.shared)
    for column in range(m if spec.private else 0):
        scale[column, private_factors(spec, column)] = np.sqrt(spec.private_variance / spec.private)
    return scale


def private_factors(spec: SynthSpec, column: int) -> slice:
    """Which factors act on the modality in this column alone."""
    first = spec.shared + column * spec.private
    return slice(first, first + spec.private)


def _draw_risk_model(spec: SynthSpec, rng: np.random.Generator) -> RiskModel:
    if spec.outcome == "main":
        return RiskModel.draw(spec.shared, spec.clusters, rng)
    if not spec.private:
        raise ValueError("interactions need private factors; see with_interactions")
    private = [private_factors(spec, column).start for column in range(len(spec.widths))]
    return RiskModel.draw_interactions(spec.shared, spec.clusters, private, rng)


__all__ = [
    "MODALITIES",
    "TASKS",
    "MixtureParameters",
    "SynthSpec",
    "SyntheticCohort",
    "generate",
    "preset_spec",
    "with_interactions",
]
