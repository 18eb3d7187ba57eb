"""The kit goes red on components that break their contract: each check is seen to fail."""

import dataclasses

import pytest
import torch

from hcat_builtin.imputers.mean import MeanImputer
from hcat_core.imputation.declared_training import ImputerTraining
from hcat_core.interfaces import Average, Imputation, Prediction
from hcat_core.registry.catalog import Catalog, Entry, Provider, Registry, load_catalog
from hcat_core.registry.component import KINDS, Component
from hcat_core.testing import conformance
from hcat_core.testing.checks import checks_of, run_checks, subject_of
from hcat_core.testing.examples.linear_head import LinearHead
from hcat_core.testing.harness import CheckFailed


class ChangesMeasured(MeanImputer):
    """A broken one."""

    def __call__(self, batch):
        found = super().__call__(batch)
        return dataclasses.replace(found, emb=found.emb + 1e-3)


class LeavesGaps(MeanImputer):
    """A broken one."""

    def __call__(self, batch):
        found = super().__call__(batch)
        return dataclasses.replace(found, filled=found.filled & ~batch.present.unsqueeze(-1))


class LooksAtNeighbours(MeanImputer):
    """A broken one."""

    def __call__(self, batch):
        found = super().__call__(batch)
        shift = batch.emb[0].sum() * 0.01
        return dataclasses.replace(found, emb=torch.where(found.filled, found.emb + shift, found.emb))


class LooksIntoAbsentSlots(MeanImputer):
    """A broken one."""

    def __call__(self, batch):
        found = super().__call__(batch)
        return dataclasses.replace(found, emb=torch.where(found.filled, batch.emb * 0.5, found.emb))


class PeeksAtTargets(MeanImputer):
    """A broken one."""

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        if train.targets is not None:
            self.mean = self.mean + train.targets.labels.float().mean()


class RandomFit(MeanImputer):
    """A broken one."""

    def fit(self, train, validation, context):
        super().fit(train, validation, context)
        self.mean = self.mean + torch.randn((), generator=torch.Generator().manual_seed(id(self)))


class ForgetsState(MeanImputer):
    """A broken one."""

    def state_dict(self):
        return {"mean": self.mean * 0}


class WrongDraws(MeanImputer):
    """A broken one."""

    def __call__(self, batch):
        found = super().__call__(batch)

        @dataclasses.dataclass(frozen=True)
        class Narrow(type(found)):
            def draw(self, n, generator):
                return self.emb.expand(n, *self.emb.shape)

        return Narrow(found.emb, found.std, found.filled)


class NotFinite(MeanImputer):
    """A broken one."""

    def __call__(self, batch):
        found = super().__call__(batch)
        alone = (batch.present.sum(dim=1) == 1)[:, None, None]
        return dataclasses.replace(found, emb=torch.where(alone & found.filled, torch.nan, found.emb))


class Undocumented(MeanImputer):
    __doc__ = None


class SwallowsShapes(MeanImputer):
    """A broken one."""

    def __call__(self, batch):
        if batch.emb.shape[1:] != self.mean.shape:
            from hcat_core.interfaces import Imputation

            return Imputation(batch.emb, batch.emb * 0, batch.measured)
        return super().__call__(batch)


class NothingTrainsIt(torch.nn.Module):
    """A broken one: a number that fills gaps, and that nothing changes."""

    def __init__(self, layout):
        super().__init__()
        self.cells = layout.cells
        self.value = torch.nn.Parameter(torch.zeros(()))

    def fit(self, train, validation, context):
        pass

    def forward(self, batch):
        filled = ~batch.measured & self.cells
        return Imputation(torch.where(filled, self.value, batch.emb), filled * 1.0, filled)


class FitTrainsIt(NothingTrainsIt):
    """A sound one."""

    def fit(self, train, validation, context):
        self.value.data.fill_(float(train.emb[train.measured].median()))


class ALossTrainsIt(NothingTrainsIt):
    """A sound one."""

    def forward(self, batch):
        error = ((batch.emb - self.value).square() * batch.measured).sum()
        losses = {"error": Average(error, batch.measured.sum())} if self.training else {}
        return dataclasses.replace(super().forward(batch), losses=losses)


class ThePredictionTrainsIt(NothingTrainsIt):
    """A sound one."""

    @classmethod
    def declare_training(cls, table):
        return ImputerTraining(jointly=True)


class ALogit(LinearHead):
    """A head that gives all that ``bce`` needs."""


class AScore(torch.nn.Module):
    """A broken one: a score that no loss knows."""

    def __init__(self, layout, task, width):
        super().__init__()
        self.linear = torch.nn.Linear(width, 1)

    def prepare(self, train):
        pass

    def forward(self, fused):
        return self.linear(fused.pooled).squeeze(-1)

    def predict(self, raw, horizons):
        return Prediction(torch.sigmoid(raw).unsqueeze(-1))


class ALogitWithoutGradient(LinearHead):
    """A broken one."""

    def forward(self, fused):
        return super().forward(fused).detach()


def catalog_of(cls, kind="imputer") -> Catalog:
    target = f"{__name__}:{cls.__name__}"
    component = Component(kind, "test/broken", target, "broken", ("draws",))
    component = dataclasses.replace(component)
    object.__setattr__(component, "load", lambda: cls)
    real = load_catalog()
    registries = {kind: Registry(kind, dict(real.registries[kind].entries)) for kind in KINDS}
    registries[kind].entries["test/broken"] = Entry(component, Provider("test", "test"))
    return Catalog(registries, (), real.plugins)


def problem_of(cls, kind, name):
    """What one check of a component finds; empty where it passes."""
    (check,) = [check for check in checks_of(kind) if check.name == name]
    try:
        check.function(subject_of(catalog_of(cls, kind), kind, "test/broken"))
    except CheckFailed as failure:
        return str(failure)
    return ""


def test_an_imputer_that_nothing_trains_is_found():
    found = problem_of(NothingTrainsIt, "imputer", "something trains its parameters")
    assert found.startswith("nothing trains its parameters, such as value: fit leaves them as they are")
    assert "Train them in fit" in found
    for sound in (FitTrainsIt, ALossTrainsIt, ThePredictionTrainsIt):
        assert problem_of(sound, "imputer", "something trains its parameters") == ""


def test_a_head_that_no_loss_can_train_is_found():
    found = problem_of(AScore, "head", "a loss trains it")
    assert "bce trains heads that give one logit per patient" in found
    assert "cox trains heads with use = cox" in found and 'made_for = "test/broken"' in found
    assert "bce gives it no gradient" in problem_of(ALogitWithoutGradient, "head", "a loss trains it")
    assert problem_of(ALogit, "head", "a loss trains it") == ""


@pytest.mark.parametrize(
    ("cls", "check"),
    [
        (ChangesMeasured, "keeps measured cells bit for bit"),
        (LeavesGaps, "fills every gap"),
        (NotFinite, "finite with one modality left, and for one patient"),
        (LooksAtNeighbours, "order of patients changes nothing"),
        (LooksIntoAbsentSlots, "values in absent slots change nothing"),
        (PeeksAtTargets, "targets never reach it"),
        (RandomFit, "same seed, same result"),
        (ForgetsState, "state round-trips through safetensors"),
        (WrongDraws, "draws have the claimed mean and spread"),
        (MeanImputer, "draws of a block vary together"),
        (MeanImputer, "beats the mean"),
        (Undocumented, "is documented and annotated"),
        (SwallowsShapes, "wrong shapes are an error"),
    ],
)
def test_a_broken_imputer_fails_the_check_that_is_about_it(cls, check):
    results = {r.check: r for r in run_checks(catalog_of(cls), "imputer", "test/broken")}
    assert results[check].status == "failed", results[check]
    assert results[check].message


def test_values_that_are_not_finite_are_no_fault_of_order_or_state():
    results = {r.check: r for r in run_checks(catalog_of(NotFinite), "imputer", "test/broken")}
    for check in ("order of patients changes nothing", "state round-trips through safetensors"):
        assert results[check].status == "passed", results[check]


@conformance("imputer", "mean")
def test_the_decorator_runs_every_check_on_its_own(check):
    check()
