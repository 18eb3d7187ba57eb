"""A component under test, its cohort, and helpers for checks of every kind."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.interfaces import FitContext, Fused
from hcat_core.layout import TaskKind
from hcat_core.recipe.component_tables import construct
from hcat_core.recipe.outcome_kinds import kinds_of
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import Kind
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.other_outcomes import to_other_cohort

WIDTHS = {"clinical": 12, "semantic": 20, "temporal": 16, "pathological": 24}
MISSING_FILE = "no-such-file.h5"
FIT_EPOCHS = 20  # of networks
TRAIN, VALIDATION = slice(0, 320), slice(320, 420)
TEST = slice(420, 520)
FUSED_WIDTH = 16
OUTCOME_OF: dict[TaskKind, str] = {"event": "survival", "class": "subtype", "continuous": "score"}


class CheckFailed(AssertionError):
    """A component breaks its contract; the message explains to its author how."""


@dataclass(frozen=True)
class Check:
    """One requirement of a contract; ``function`` raises ``CheckFailed`` where it is not met."""

    name: str
    function: Callable[[Any], None]


def tested_outcome(kinds: Collection[TaskKind]) -> str:
    """The outcome that a head is tested with: the first of a kind that it can predict."""
    return next((name for kind, name in OUTCOME_OF.items() if kind in kinds), "survival")


@dataclass
class Subject:
    """A component under test, and the linear synthetic cohort that it is tested on.

    ``make()`` gives a new instance; ``fitted`` is an imputer fitted on ``train``, shared by the checks that
    do not change it. ``cache`` holds what checks of other kinds share.
    """

    catalog: Catalog
    kind: Kind
    name: str
    table: Mapping[str, Any]
    cache: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def cohort(self) -> Cohort:
        """520 patients, four modalities, one linear cluster, 30 % of blocks and 3 % of cells missing."""
        spec = SynthSpec(
            patients=520,
            widths=WIDTHS,
            clusters=1,
            separation=0.0,
            shared=4,
            private=1,
            visible=1.0,
            shared_variance=0.8,
            private_variance=0.1,
            noise_variance=0.3,
            gap_rate=0.03,
            seed=5,
        )
        self.synthetic = generate(spec)
        cohort = to_cohort(self.synthetic)
        self.standardiser = Standardiser.fit(cohort[TRAIN])
        return self.standardiser.apply(cohort)

    @cached_property
    def mixed(self) -> Cohort:
        """The same patients with classes (``subtype``) and a number (``score``) beside their events."""
        assert self.cohort.targets is not None
        cohort, _ = to_other_cohort(self.synthetic)
        return replace(self.cohort, layout=cohort.layout, targets=cohort.targets)

    @property
    def kinds(self) -> frozenset[TaskKind]:
        """The kinds of outcome that a head or an estimator can predict."""
        return kinds_of(self.catalog.find(self.kind, self.name))

    @property
    def train(self) -> Cohort:
        """320 patients."""
        return self.cohort[TRAIN]

    @property
    def validation(self) -> Cohort:
        """Another 100 patients."""
        return self.cohort[VALIDATION]

    @property
    def test(self) -> Cohort:
        """A further 100 patients."""
        return self.cohort[TEST]

    def make(self, *injected: object) -> Any:
        """A new instance of the component; ``injected`` replaces the layout as its first arguments."""
        torch.manual_seed(11)
        return construct(self.catalog, self.kind, self.table, injected or (self.cohort.layout,), Path.cwd())

    def make_reader(self) -> Any:
        """A new instance of a reader, which gets no layout."""
        return construct(self.catalog, self.kind, self.table, (), Path.cwd())

    def fit(self, imputer: Any, train: Cohort, seed: int = 3) -> Any:
        """Fit an imputer as a run does; a network is then in evaluation mode."""
        torch.manual_seed(seed)
        imputer.fit(train, self.validation.without_targets(), FitContext(seed))
        if isinstance(imputer, nn.Module):
            imputer.eval()
        return imputer

    @cached_property
    def fitted(self) -> Any:
        """An imputer fitted on ``train``."""
        return self.fit(self.make(), self.train.without_targets())

    @cached_property
    def tags(self) -> tuple[str, ...]:
        """The tags of the component."""
        return self.catalog.find(self.kind, self.name).tags


def random_fused(n: int, seed: int = 0) -> Fused:
    """Random fused vectors of n patients, with a projection, which take a gradient."""
    g = torch.Generator().manual_seed(seed)
    pooled = torch.randn((n, FUSED_WIDTH), generator=g, requires_grad=True)
    projection = nn.functional.normalize(torch.randn((n, 8), generator=g), dim=1).requires_grad_()
    return Fused(pooled, pooled.unsqueeze(1), projection)


def require(condition: object, message: str) -> None:
    """Raise ``CheckFailed`` unless ``condition``."""
    if not bool(condition):
        raise CheckFailed(message)


def state_of(component: Any) -> dict[str, torch.Tensor]:
    """A copy of a component's state."""
    return {name: copy.deepcopy(t).detach() for name, t in component.state_dict().items()}


def through_a_file(component: Any) -> dict[str, torch.Tensor]:
    """A component's state, written as a checkpoint writes it and read again.

    Two names for one tensor are refused, as in a checkpoint.
    """
    state = {name: tensor.detach().contiguous() for name, tensor in component.state_dict().items()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "state.safetensors"
        try:
            save_file(state, path)
        except RuntimeError as error:
            raise CheckFailed(f"its state cannot be saved: {str(error).strip().splitlines()[0]}") from None
        return load_file(path)


def same_state(a: Mapping[str, torch.Tensor], b: Mapping[str, torch.Tensor]) -> bool:
    """True where two states are equal to the bit; NaN equals NaN."""
    return a.keys() == b.keys() and all(
        a[k].shape == b[k].shape and torch.equal(a[k].nan_to_num(), b[k].nan_to_num()) for k in a
    )
