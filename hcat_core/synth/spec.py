"""Parameters of synthetic cohorts, and the named presets. Imports no numpy: the command's help needs it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

Mechanism = Literal["mcar", "mar", "mnar"]
OutcomeModel = Literal["main", "interactions"]

MODALITIES = ("clinical", "semantic", "temporal", "pathological", "spatial")

_REFERENCE: dict[str, Any] = {
    "shared": 16,
    "private": 0,
    "visible": 1.0,
    "shared_variance": 1.0,
    "noise_variance": 1.0,
    "gap_rate": 0.0,
}
_PRESETS: dict[str, dict[str, Any]] = {
    "demo": {},
    "linear": {**_REFERENCE, "clusters": 1, "separation": 0.0},
    "clusters": {**_REFERENCE, "clusters": 4, "separation": 0.7},
    "nonlinear": {
        "clusters": 1,
        "separation": 0.0,
        "shared": 6,
        "private": 0,
        "sines": 8,
        "shared_variance": 0.55,
        "noise_variance": 0.45,
        "gap_rate": 0.0,
    },
}
PRESETS = tuple(_PRESETS)
PRIVATE = 0.4  # variance of the private factor over that of all shared factors, where products decide


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
        sines: 0: cells are linear in the shared factors. Otherwise they are linear in this many sines of
            linear combinations of the shared factors, others for each modality; see ``synth.curve``.
        frequency: standard deviation of what these are sines of, in radians: the higher, the less of the
            modality is linear in the factors.
        shared_variance: from shared factors, in a cell that depends strongly on all; loadings are
            N(0, variance / factors).
        private_variance: from private factors, likewise.
        noise_variance: from noise.
        mechanism: why modalities are missing.
        missing_rate: share of missing blocks, not counting the first modality, which is never missing.
        gap_rate: share of cells not measured within a present block.
        missing_strength: log odds ratio of being missing per standard deviation (MAR, MNAR).
        outcome: ``main``: the risk is linear in the shared factors but for one product. ``interactions``:
            it is a sum of products of private factors of different modalities.
        noise_blocks: share of present blocks whose cells are noise and whose quality is low.
    """

    patients: int = 600
    widths: Mapping[str, int] = field(default_factory=lambda: dict.fromkeys(MODALITIES, 512))
    clusters: int = 3
    separation: float = 0.7
    shared: int = 6
    private: int = 2
    visible: float = 0.6
    sines: int = 0
    frequency: float = 1.25
    shared_variance: float = 0.8
    private_variance: float = 0.2
    noise_variance: float = 0.25
    mechanism: Mechanism = "mcar"
    missing_rate: float = 0.3
    gap_rate: float = 0.02
    missing_strength: float = 1.5
    outcome: OutcomeModel = "main"
    noise_blocks: float = 0.0
    seed: int = 0


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
    deviation 0.7. In ``nonlinear`` each modality consists of eight sines of the six factors of the patient,
    which explain .55 of a cell's variance.

    Raises:
        ValueError: for an unknown preset.
    """
    if preset not in _PRESETS:
        raise ValueError(f"no preset is named {preset!r}; there are {', '.join(_PRESETS)}")
    return SynthSpec(
        patients=patients,
        widths=dict.fromkeys(MODALITIES, width),
        mechanism=mechanism,
        missing_rate=missing_rate,
        seed=seed,
        **_PRESETS[preset],
    )


def with_interactions(spec: SynthSpec) -> SynthSpec:
    """The same cohort with a risk from products of factors of different modalities.

    Each modality gets one private factor, which explains ``PRIVATE`` times as much of a cell's variance as
    all shared factors together. It is well determined by all cells of the modality, and poorly by any
    single one, so that trees do not find the products among single cells.
    """
    private = PRIVATE * spec.shared_variance
    return replace(spec, outcome="interactions", private=1, private_variance=private)
