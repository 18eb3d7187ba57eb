"""Draw synthetic cohorts: a mixture of low-rank factor analysers over modalities, outcomes and gaps.

Patient i belongs to cluster c with probability ``weights[c]``, has factors ``z ~ N(0, I_R)``, and

    x[m, d] = means[c, m, d] + loadings[c, m, d] . z + noise[m, d] * e,      e ~ N(0, 1).

The first ``shared`` factors act on every modality, so that a missing modality can be partly predicted from
the others. Each of the remaining factors acts on one modality alone and cannot be predicted.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hcat_core.synth.missingness import Mechanism, Missingness, draw_missingness
from hcat_core.synth.outcomes import TASKS, RiskModel, SyntheticOutcomes, draw_outcomes

MODALITIES = ("clinical", "semantic", "temporal", "pathological", "spatial")


@dataclass(frozen=True)
class SynthSpec:
    """Parameters of a synthetic cohort.

    A cell's variance within a cluster is the sum of those of shared factors, private factors and noise.

    Attributes:
        widths: modality -> number of cells.
        clusters: K.
        separation: standard deviation of cluster means around 0.
        shared: number of factors that act on every modality.
        private: number of factors of each modality alone.
        visible: probability that a modality depends strongly on a shared factor; otherwise weakly.
        shared_variance: from shared factors, in a cell that depends strongly on all; loadings are
            N(0, variance / factors).
        private_variance: from private factors, likewise.
        noise_variance: from noise.
        mechanism: why modalities are missing.
        missing_rate: share of missing blocks, not counting the first modality, which is never missing.
        gap_rate: share of cells not measured within a present block.
        missing_strength: log odds ratio of being missing per standard deviation (MAR, MNAR).
    """

    patients: int = 600
    widths: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(MODALITIES, 512))
    clusters: int = 3
    separation: float = 0.7
    shared: int = 6
    private: int = 2
    visible: float = 0.6
    shared_variance: float = 0.8
    private_variance: float = 0.2
    noise_variance: float = 0.25
    mechanism: Mechanism = "mcar"
    missing_rate: float = 0.3
    gap_rate: float = 0.02
    missing_strength: float = 1.5
    seed: int = 0


@dataclass(frozen=True)
class MixtureParameters:
    """Parameters of the mixture: K clusters, M modalities, D cells of the widest one, R factors.

    Attributes:
        weights: (K,) cluster probabilities.
        means: (K, M, D).
        loadings: (K, M, D, R); 0 in padding cells.
        noise: (M, D) standard deviations; 1 in padding cells.
    """

    weights: np.ndarray
    means: np.ndarray
    loadings: np.ndarray
    noise: np.ndarray


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
    outcomes: SyntheticOutcomes

    @property
    def cells(self) -> np.ndarray:
        """(M, D) bool, False in padding cells."""
        widths = np.array(list(self.spec.widths.values()))
        return np.arange(widths.max()) < widths[:, None]


def preset_spec(
    preset: str,
    *,
    patients: int = 600,
    width: int = 512,
    mechanism: Mechanism = "mcar",
    missing_rate: float = 0.3,
    seed: int = 0,
) -> SynthSpec:
    """The parameters of a named preset.

    ``demo`` has three clusters, factors on which some modalities depend only weakly, and gaps. ``linear``
    and ``clusters`` are the reference cohorts of the imputer comparison: 16 factors that act on every
    modality, loadings N(0, 1/16) and unit noise; one cluster, or four whose means have standard
    deviation 0.7.

    Raises:
        ValueError: for an unknown preset.
    """
    reference: dict[str, Any] = {
        "shared": 16,
        "private": 0,
        "visible": 1.0,
        "shared_variance": 1.0,
        "noise_variance": 1.0,
        "gap_rate": 0.0,
    }
    presets: dict[str, dict[str, Any]] = {
        "demo": {},
        "linear": {**reference, "clusters": 1, "separation": 0.0},
        "clusters": {**reference, "clusters": 4, "separation": 0.7},
    }
    if preset not in presets:
        raise ValueError(f"no preset is named {preset!r}; there are {', '.join(presets)}")
    return SynthSpec(
        patients=patients,
        widths=dict.fromkeys(MODALITIES, width),
        mechanism=mechanism,
        missing_rate=missing_rate,
        seed=seed,
        **presets[preset],
    )


def generate(spec: SynthSpec) -> SyntheticCohort:
    """Draw a cohort.

    Each part has its own random stream: another mechanism of missingness leaves the patients as they are.
    """
    streams = [np.random.default_rng(s) for s in np.random.SeedSequence(spec.seed).spawn(6)]
    for_parameters, for_patients, for_noise, for_missing, for_gaps, for_outcomes = streams
    parameters = draw_parameters(spec, for_parameters)
    risk_model = RiskModel.draw(spec.shared, spec.clusters, for_parameters)
    n, (_, m, d, r) = spec.patients, parameters.loadings.shape
    cluster = for_patients.choice(spec.clusters, size=n, p=parameters.weights)
    factors = for_patients.standard_normal((n, r))
    complete = np.empty((n, m, d), np.float32)
    for c in range(spec.clusters):
        rows = np.flatnonzero(cluster == c)
        signal = factors[rows] @ parameters.loadings[c].reshape(m * d, r).T
        complete[rows] = parameters.means[c] + signal.reshape(len(rows), m, d)
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
        outcomes=outcomes,
    )


def draw_parameters(spec: SynthSpec, rng: np.random.Generator) -> MixtureParameters:
    """Draw weights, means, loadings and noise."""
    k, m, d = spec.clusters, len(spec.widths), max(spec.widths.values())
    r = spec.shared + m * spec.private
    loadings = np.zeros((k, m, d, r))
    # A modality depends strongly on some shared factors and weakly on others: more modalities inform more.
    visible = np.where(rng.random((m, spec.shared)) < spec.visible, 1.0, 0.15)
    shared = rng.standard_normal((k, m, d, spec.shared)) * visible[:, None, :]
    loadings[..., : spec.shared] = shared * np.sqrt(spec.shared_variance / spec.shared)
    for column in range(m if spec.private else 0):
        columns = slice(spec.shared + column * spec.private, spec.shared + (column + 1) * spec.private)
        private = rng.standard_normal((k, d, spec.private))
        loadings[:, column, :, columns] = private * np.sqrt(spec.private_variance / spec.private)
    means = rng.standard_normal((k, m, d)) * spec.separation
    noise = np.full((m, d), np.sqrt(spec.noise_variance))
    padding = np.arange(d) >= np.array(list(spec.widths.values()))[:, None]
    loadings[:, padding] = 0
    means[:, padding] = 0
    noise[padding] = 1
    weights = rng.dirichlet(np.full(k, 20.0))
    return MixtureParameters(weights, means, loadings, noise)


__all__ = ["MODALITIES", "TASKS", "MixtureParameters", "SynthSpec", "SyntheticCohort", "generate"]
