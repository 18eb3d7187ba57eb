import torch

from hcat_builtin.fusions.enhanced_hcat import EnhancedHCAT
from hcat_builtin.heads.binary import BinaryHead
from hcat_builtin.imputers.mean import MeanImputer
from hcat_builtin.imputers.none import NoImputer
from hcat_core.interfaces import FitContext, Imputation
from hcat_core.testing.cohorts import random_cohort
from hcat_core.training.model import HcatModel


class Shifted(torch.nn.Module):
    """Fills every gap with one trainable number."""

    def __init__(self, layout, value=0.0):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))
        self.cells = layout.cells

    def fit(self, train, validation, context):
        pass

    def forward(self, batch):
        filled = ~batch.measured & self.cells
        return Imputation(torch.where(filled, self.value, batch.emb), filled * 0.1, filled)


def model_of(cohort, imputer, **arguments):
    torch.manual_seed(0)
    fusion = EnhancedHCAT(cohort.layout, d_model=16, n_heads=2, n_global_layers=1)
    heads = {task: BinaryHead(cohort.layout, task, 16) for task in cohort.layout.task_names}
    tasks = {task: task for task in cohort.layout.task_names}
    return HcatModel(cohort.layout, imputer, fusion, heads, tasks, **arguments).eval()


def logits(model, cohort):
    return torch.stack(list(model(cohort).raw.values()), dim=1)


def test_an_imputed_block_reaches_the_prediction_and_only_where_something_is_missing():
    cohort = random_cohort(gaps=0.0)
    complete = cohort.present.all(dim=1)
    assert 0 < complete.sum() < len(cohort)
    low = logits(model_of(cohort, Shifted(cohort.layout, -1.0)), cohort)
    high = logits(model_of(cohort, Shifted(cohort.layout, 1.0)), cohort)
    assert torch.equal(low[complete], high[complete])
    assert ((low - high)[~complete].abs().amax(dim=1) > 1e-4).all()


def test_the_imputer_learns_from_the_outcome_only_when_the_recipe_says_so():
    cohort = random_cohort()
    for allowed in (False, True):
        imputer = Shifted(cohort.layout)
        model = model_of(cohort, imputer, imputer_gradient=allowed)
        logits(model, cohort).sum().backward()
        assert (imputer.value.grad is not None and imputer.value.grad != 0) == allowed


def test_the_imputer_never_sees_a_target():
    cohort = random_cohort()
    seen = []

    class Spy(NoImputer):
        def __call__(self, batch):
            seen.append(batch.targets)
            return super().__call__(batch)

    model_of(cohort, Spy(cohort.layout))(cohort)
    assert seen == [None]


def test_values_in_absent_slots_change_nothing():
    cohort = random_cohort()
    imputer = MeanImputer(cohort.layout)
    imputer.fit(cohort, cohort, FitContext(0))
    model = model_of(cohort, imputer)
    from dataclasses import replace

    poisoned = replace(cohort, emb=torch.where(cohort.measured, cohort.emb, 1e6))
    assert torch.equal(logits(model, cohort), logits(model, poisoned))


def test_two_views_in_one_pass_are_the_two_views_apart():
    cohort = random_cohort()
    model = model_of(cohort, NoImputer(cohort.layout))
    hidden = torch.zeros_like(cohort.present)
    hidden[:, 1] = True
    other = cohort.hide(hidden & cohort.present)
    both = model(cohort, other)
    torch.testing.assert_close(both.fused.pooled, model(cohort).fused.pooled)
    torch.testing.assert_close(both.second_view.pooled, model(other).fused.pooled)


def test_state_goes_round():
    cohort = random_cohort()
    imputer = MeanImputer(cohort.layout)
    imputer.fit(cohort, cohort, FitContext(0))
    model = model_of(cohort, imputer)
    for head in model.heads.values():
        head.prepare(cohort)
    fresh = model_of(cohort, MeanImputer(cohort.layout))
    fresh.load(model.state())
    assert torch.equal(logits(model, cohort), logits(fresh, cohort))
    assert torch.equal(
        model.predict(model(cohort)).event_probability, fresh.predict(fresh(cohort)).event_probability
    )
