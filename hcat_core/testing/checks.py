"""The checks of each kind, and how a component is made ready for them."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.errors import RecipeError, UsageError
from hcat_core.experiments.compare_imputers.settings import FIRST
from hcat_core.interfaces import FitContext
from hcat_core.recipe.parameters import Parameters, check_component, construct, load_parameters
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.component import KINDS, Kind
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate

WIDTHS = {"clinical": 12, "semantic": 20, "temporal": 16, "pathological": 24}
MODEL = {"use": "logistic"}  # where an estimator is made of others
FIT_EPOCHS = 60  # of networks
TRAIN, VALIDATION = slice(0, 320), slice(320, 420)
TEST = slice(420, 520)


class CheckFailed(AssertionError):
    """What a component does that its contract forbids, in words for its author."""


@dataclass(frozen=True)
class Check:
    """One promise of a contract; ``function`` raises ``CheckFailed`` when it is not kept."""

    name: str
    function: Callable[[Any], None]


@dataclass(frozen=True)
class Result:
    """``status`` is ``passed``, ``failed``, ``expected`` (a failure that was announced) or ``surprise``
    (an announced failure that passed)."""

    check: str
    status: str
    message: str

    @property
    def good(self) -> bool:
        """Does the exit code stay 0?"""
        return self.status in ("passed", "expected")


@dataclass
class Subject:
    """A component under test, and the linear synthetic cohort that it is tested on.

    ``make()`` gives a fresh one; ``fitted`` an imputer fitted on ``train``, for checks that only look;
    ``kept`` is where the checks of other kinds keep what is costly to make.
    """

    catalog: Catalog
    kind: Kind
    name: str
    table: Mapping[str, Any]
    kept: dict[str, Any] = field(default_factory=dict)

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

    @property
    def train(self) -> Cohort:
        """320 patients."""
        return self.cohort[TRAIN]

    @property
    def validation(self) -> Cohort:
        """100 others."""
        return self.cohort[VALIDATION]

    @property
    def test(self) -> Cohort:
        """100 others again."""
        return self.cohort[TEST]

    def make(self, *injected: object) -> Any:
        """A fresh component; ``injected`` instead of the layout alone."""
        torch.manual_seed(11)
        return construct(self.catalog, self.kind, self.table, injected or (self.cohort.layout,), Path.cwd())

    def make_reader(self) -> Any:
        """A fresh reader: nothing is injected into one."""
        return construct(self.catalog, self.kind, self.table, (), Path.cwd())

    def fit(self, imputer: Any, train: Cohort, seed: int = 3) -> Any:
        """Fit an imputer as a run would; networks are left in evaluation mode."""
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
        """Of the component."""
        return self.catalog.find(self.kind, self.name).tags


def checks_of(kind: Kind) -> list[Check]:
    """Every check of a kind."""
    from hcat_core.testing.estimator_checks import ESTIMATOR_CHECKS
    from hcat_core.testing.fusion_checks import FUSION_CHECKS
    from hcat_core.testing.imputer_checks import IMPUTER_CHECKS
    from hcat_core.testing.other_checks import HEAD_CHECKS, LOSS_CHECKS, READER_CHECKS

    found = {
        "reader": READER_CHECKS,
        "imputer": IMPUTER_CHECKS,
        "fusion": FUSION_CHECKS,
        "head": HEAD_CHECKS,
        "loss": LOSS_CHECKS,
        "estimator": ESTIMATOR_CHECKS,
    }
    assert set(found) == set(KINDS)
    return found[kind]


def subject_of(
    catalog: Catalog, kind: Kind, name: str, parameters: Mapping[str, Any] | None = None
) -> Subject:
    """A component with a table of its own: networks are fitted alone, refiners start from ``gaussian``.

    Raises:
        RecipeError: for parameters that it does not have.
        UsageError: for a component that cannot be loaded.
    """
    component = catalog.find(kind, name)
    spec = load_parameters(component, name)
    if not isinstance(spec, Parameters):
        raise UsageError(spec.message)
    table: dict[str, Any] = {"use": name}
    if "fit_epochs" in spec.names:
        table["fit_epochs"] = FIT_EPOCHS
    for key, nested in spec.nested.items():
        if nested.kind == "imputer" and nested.default is ...:
            table[key] = dict(FIRST)
        if nested.kind == "estimator" and nested.default is ...:
            table[key] = dict(MODEL) if nested.shape == "one" else [dict(MODEL)]
    if kind == "loss" and "head" in spec.names:
        table["head"] = "survival"
    if kind == "reader" and "path" in spec.names:
        table["path"] = "no-such-file.h5"
    table |= parameters or {}
    checked = check_component(catalog, kind, table, name)
    if checked.table is None:
        raise RecipeError(name, checked.problems)
    return Subject(catalog, kind, name, checked.table)


def run_checks(
    catalog: Catalog,
    kind: Kind,
    name: str,
    parameters: Mapping[str, Any] | None = None,
    *,
    done: Callable[[Result], None] = lambda result: None,
) -> list[Result]:
    """Run every check of a component; failures that the component announces are told as such."""
    subject = subject_of(catalog, kind, name, parameters)
    expected = catalog.find(kind, name).expected_failures
    results = []
    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # the cohort is small: handing its cells to threads costs more than it brings
    try:
        for check in checks_of(kind):
            result = _run_check(check, subject, expected.get(check.name))
            results.append(result)
            done(result)
    finally:
        torch.set_num_threads(threads)
    return results


def _run_check(check: Check, subject: Subject, announced: str | None) -> Result:
    try:
        check.function(subject)
        status, message = "passed", ""
    except CheckFailed as failure:
        status, message = "failed", str(failure)
    except Exception as error:  # a component that crashes has failed, whatever it raises
        status, message = "failed", f"{type(error).__name__}: {error}"
    if announced is not None:
        status = "expected" if status == "failed" else "surprise"
        message = announced if status == "expected" else "announced to fail, and passed"
    return Result(check.name, status, message)


def require(condition: object, message: str) -> None:
    """Raise ``CheckFailed`` unless ``condition``."""
    if not bool(condition):
        raise CheckFailed(message)


def state_of(component: Any) -> dict[str, torch.Tensor]:
    """A copy of a component's state."""
    return {name: copy.deepcopy(t).detach() for name, t in component.state_dict().items()}


def through_a_file(component: Any) -> dict[str, torch.Tensor]:
    """A component's state, written as a checkpoint writes it and read again.

    Two names for one tensor are refused there: which of them would be loaded last?
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
    """Bit for bit, NaN equal to NaN."""
    return a.keys() == b.keys() and all(
        a[k].shape == b[k].shape and torch.equal(a[k].nan_to_num(), b[k].nan_to_num()) for k in a
    )
