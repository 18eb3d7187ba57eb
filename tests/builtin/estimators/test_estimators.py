import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import roc_auc_score

from hcat_core.cohort import concatenate
from hcat_core.data.outcomes import derive_labels
from hcat_core.errors import DataError, RecipeError
from hcat_core.interfaces import FitContext
from hcat_core.metrics.calibration import calibration
from hcat_core.metrics.survival import kaplan_meier
from hcat_core.recipe.build import build_estimator
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.catalog import load_catalog
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.training.context import TrainingContext
from hcat_core.training.fitting import fit_estimator, neural_parts_of

ROOT = Path(__file__).resolve().parents[3]
CATALOG = load_catalog()
WIDTHS = {"clinical": 10, "semantic": 80, "temporal": 12, "pathological": 14, "spatial": 70}
COHORT = to_cohort(generate(SynthSpec(patients=500, widths=WIDTHS, clusters=2, seed=3)))
TRAIN, VALIDATION, TEST = (COHORT[s] for s in (slice(0, 300), slice(300, 360), slice(360, 500)))
SMALL = [
    "imputer.use=mean",
    "fusion.d_model=16",
    "fusion.n_heads=2",
    "fusion.n_global_layers=1",
    "training.epochs=3",
    "training.lr=1e-3",
    "evaluation.mc_samples=4",
]
RECIPES = {
    "logistic": ("baselines/logistic.toml", []),
    "random_forest": ("baselines/random_forest.toml", ["estimator.trees=60"]),
    "hist_gradient_boosting": ("baselines/hist_gradient_boosting.toml", []),
    "coxnet": ("baselines/coxnet.toml", []),
    "late_fusion": ("baselines/late_fusion.toml", ["estimator.model={use='logistic'}"]),
    "survival_forest": ("baselines/coxnet.toml", ["estimator={use='survival_forest', trees=60}"]),
    "stack": ("baselines/stack.toml", ["estimator.members=[{use='logistic'},{use='coxnet'}]"]),
    "neural": ("enhanced.toml", [*SMALL, "estimator={use='neural', seeds=2}"]),
}


def recipe_of(name):
    path, sets = RECIPES[name]
    return load_recipe(ROOT / "recipes" / path, CATALOG, sets=sets)[0]


def fitted(name, train=TRAIN, validation=VALIDATION):
    recipe = recipe_of(name)
    context = TrainingContext(0, parts=neural_parts_of(recipe, CATALOG))
    return fit_estimator(recipe, CATALOG, train, validation, context), recipe, context


@pytest.fixture(scope="module", params=RECIPES)
def trained(request):
    return request.param, *fitted(request.param)


def test_it_ranks_patients_it_has_not_seen(trained):
    name, found, _, _ = trained
    p = found.estimator.predict(TEST.without_targets()).event_probability
    assert p.shape == (140, 2) and ((p >= 0) & (p <= 1)).all()
    y = TEST.targets.labels[:, 0]
    floor = 0.5 if name == "neural" else 0.65  # three epochs teach little
    assert roc_auc_score(y[y >= 0], p[y >= 0, 0]) > floor


def test_any_subset_of_the_modalities_will_do(trained):
    _, found, _, _ = trained
    for kept in range(5):
        hide = torch.ones((140, 5), dtype=torch.bool)
        hide[:, kept] = False
        alone = TEST.without_targets().hide(hide)
        alone = alone[alone.present.any(dim=1)]
        assert found.estimator.predict(alone).event_probability.isfinite().all()
        assert found.estimator.predict(alone[slice(0, 1)]).event_probability.shape == (1, 2)


def test_what_is_saved_predicts_the_same(trained, tmp_path):
    _, found, recipe, context = trained
    found.estimator.save(tmp_path)
    assert not [p for p in tmp_path.rglob("*") if p.suffix in (".pkl", ".pt", ".joblib")]
    again = build_estimator(recipe, CATALOG, COHORT.layout)
    again.load(tmp_path, context)
    one, two = (e.predict(TEST.without_targets()) for e in (found.estimator, again))
    assert torch.equal(one.event_probability, two.event_probability)


def test_another_patients_values_change_nothing(trained):
    _, found, _, _ = trained
    whole = found.estimator.predict(TEST.without_targets()).event_probability
    part = found.estimator.predict(TEST.without_targets()[slice(40, 60)]).event_probability
    assert torch.allclose(whole[40:60], part, atol=1e-6)


def test_curves_rise_and_end_at_the_probability():
    for name in ("coxnet", "stack"):
        predicted = fitted(name)[0].estimator.predict(TEST.without_targets())
        assert predicted.curve.shape == (140, 2, 12)
        assert (predicted.curve.diff(dim=2) >= -1e-9).all()
        assert torch.allclose(predicted.curve[:, :, -1], predicted.event_probability, atol=1e-6)


@pytest.mark.parametrize("name", ["logistic", "coxnet"])
def test_one_wild_laboratory_value_moves_nothing_once_tails_are_drawn_in(name):
    emb = TRAIN.emb.clone()
    emb[7, 0, :5] = 1e4
    wild = replace(TRAIN, emb=emb)

    def moved(tails):
        recipe = load_recipe(
            ROOT / "recipes" / RECIPES[name][0], CATALOG, sets=[f"estimator.tails={tails}"]
        )[0]
        found = []
        for train in (TRAIN, wild):
            estimator = build_estimator(recipe, CATALOG, COHORT.layout)
            estimator.fit(train, VALIDATION, FitContext(0))
            found.append(estimator.predict(TEST.without_targets()).event_probability)
        return float((found[0] - found[1]).abs().mean())

    assert moved(0.02) < 0.25 * moved(0.0)


def test_late_fusion_is_no_surer_than_what_a_patient_has_allows():
    """Recalibrated on patients as they are, it stays calibrated when one modality is all there is."""
    widths = {"clinical": 6, "semantic": 6, "temporal": 6, "pathological": 6, "spatial": 6}
    cohort = to_cohort(generate(SynthSpec(patients=2400, widths=widths, seed=5)))
    train, test = cohort[slice(0, 1200)], cohort[slice(1200, 2400)]
    found, _, _ = fitted("late_fusion", train, train[slice(0, 0)])
    p, y = [], []
    for kept in range(5):
        hide = torch.ones_like(test.present)
        hide[:, kept] = False
        left = test.hide(hide)
        some = left.present.any(dim=1)
        p.append(found.predict(left[some]).probability[:, 0])
        y.append(test.targets.labels[some, 0].numpy())
    slope = calibration(np.concatenate(p), np.concatenate(y)).calibration_slope
    assert 2 / 3 < slope < 3 / 2  # a mean over what is there has 0.35


@pytest.mark.parametrize("name", ["coxnet", "logistic", "stack"])
def test_trap_10_the_mean_risk_is_kaplan_meiers_and_not_the_share_among_known_outcomes(name):
    """Half of all patients leave before the horizon: those with the event are known, the others are not."""
    widths = {"clinical": 6, "semantic": 6}
    cohort = to_cohort(generate(SynthSpec(patients=1600, widths=widths, seed=7)))
    rng = np.random.default_rng(0)
    targets, days = cohort.targets, torch.tensor([t.horizon_days for t in cohort.layout.tasks])
    leaves = torch.from_numpy(rng.uniform(0.0, 2.0, len(cohort)))[:, None] * days
    event = ((targets.event == 1) & (targets.time <= leaves)).to(torch.int8)
    time = torch.minimum(targets.time, leaves.float())
    labels = [derive_labels(time[:, i].numpy(), event[:, i].numpy(), float(days[i])) for i in range(2)]
    labels = torch.from_numpy(np.stack(labels, axis=1))
    cohort = replace(cohort, targets=replace(targets, time=time, event=event, labels=labels))
    train, test = cohort[slice(0, 1000)], cohort[slice(1000, 1600)]
    found, _, _ = fitted(name, train, train[slice(0, 0)])
    predicted = found.predict(test).probability[:, 0].mean()
    everyone = 1 - kaplan_meier(time[:, 0].numpy(), event[:, 0].numpy(), np.array([float(days[0])]))[0]
    y = labels[:, 0].numpy()
    assert y[y >= 0].mean() > everyone + 0.08
    assert abs(predicted - everyone) < 0.04


def test_late_fusion_holds_patients_out_for_a_model_that_stops_by_them():
    sets = [*SMALL, "estimator={use='late_fusion', model={use='neural'}}"]
    recipe, _ = load_recipe(ROOT / "recipes" / "enhanced.toml", CATALOG, sets=sets)
    context = TrainingContext(0, parts=neural_parts_of(recipe, CATALOG))
    estimator = build_estimator(recipe, CATALOG, COHORT.layout)
    stopped_by = []
    inner = type(estimator.model)
    real = inner.fit

    def spy(model, train, validation, context):
        assert not set(train.patient_ids) & set(validation.patient_ids)
        stopped_by.append(len(validation) / (len(train) + len(validation)))
        real(model, train, validation, context)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inner, "fit", spy)
        estimator.fit(TRAIN, TRAIN[slice(0, 0)], context)
    assert stopped_by == pytest.approx([0.15] * 5, abs=0.02)
    assert estimator.predict(TEST.without_targets()).event_probability.isfinite().all()


def held_by(column, rows):
    """Training patients, of whom only ``rows`` have the modality."""
    hide = torch.zeros_like(TRAIN.present)
    hide[:, column] = True
    hide[rows, column] = False
    return TRAIN.hide(hide)


@pytest.mark.parametrize("model", ["logistic", "coxnet"])
def test_in_late_fusion_a_modality_that_cannot_teach_has_no_say(model):
    sets = [f"estimator={{use='late_fusion', model={{use='{model}'}}}}"]
    recipe, _ = load_recipe(ROOT / "recipes" / "baselines/coxnet.toml", CATALOG, sets=sets)
    labels, has = TRAIN.targets.labels, TRAIN.present[:, 1]
    known = has & (labels >= 0).all(dim=1)
    rows = {
        "unknown": has.nonzero().squeeze(1)[:30],
        "few": known.nonzero().squeeze(1)[:9],
        "one outcome": (known & (labels[:, 0] == 0)).nonzero().squeeze(1),
    }
    for why, holders in rows.items():
        targets = replace(TRAIN.targets, labels=labels.clone(), event=TRAIN.targets.event.clone())
        if why == "unknown":
            targets.labels[holders], targets.event[holders] = -1, -1
        train = replace(held_by(1, holders), targets=targets)
        found = []
        for cohort in (train, train.hide(torch.arange(5).eq(1).expand(len(train), -1))):
            estimator = build_estimator(recipe, CATALOG, COHORT.layout)
            estimator.fit(cohort, cohort[slice(0, 0)], FitContext(0))
            found.append(estimator.predict(TEST.without_targets()).event_probability)
        assert torch.equal(*found), why


def test_where_no_modality_can_teach_late_fusion_says_so():
    with pytest.raises(
        DataError, match="late_fusion cannot be fitted on any modality: .* 10 need a known outcome"
    ):
        fitted("late_fusion", TRAIN[slice(0, 9)], TRAIN[slice(0, 0)])


def test_thresholds_and_recalibration_come_from_patients_held_out(monkeypatch):
    from hcat_core.training import fitting

    found, _, _ = fitted("random_forest")
    everyone = concatenate(TRAIN, VALIDATION)
    y = everyone.targets.labels[:, 0]
    seen = found.estimator.predict(everyone.without_targets()).event_probability[:, 0]
    judged = []
    real = fitting._recalibrate

    def spy(probability, cohort):
        judged.append(probability)
        return real(probability, cohort)

    monkeypatch.setattr(fitting, "_recalibrate", spy)
    again, _, _ = fitted("random_forest")
    assert found.took_validation and again.thresholds == found.thresholds
    # A forest knows those it has learned from; what it was judged by, it had not learned from.
    held_out = roc_auc_score(y[y >= 0], judged[0][y >= 0, 0])
    assert roc_auc_score(y[y >= 0], seen[y >= 0]) > held_out + 0.05


def test_a_stack_is_fitted_on_predictions_for_patients_left_out():
    # A member that only remembers: perfect on those it has seen, nothing on others.
    from hcat_builtin.estimators.stack import StackEstimator
    from hcat_core.interfaces import Prediction

    class Memory:
        refits = True

        def __init__(self):
            self.known = {}

        def fit(self, train, validation, context):
            labels = train.targets.labels.double()
            self.known = dict(zip(train.patient_ids, labels, strict=True))

        def predict(self, cohort):
            rows = [
                self.known.get(i, torch.full((2,), 0.5, dtype=torch.float64)) for i in cohort.patient_ids
            ]
            p = torch.stack(rows)
            return Prediction(torch.where(p < 0, 0.5, p.clamp(0.01, 0.99)))

    stack = StackEstimator(COHORT.layout, members=[Memory()])
    stack.fit(TRAIN, TRAIN[slice(0, 0)], FitContext(0))
    # Were the weights fitted on what it remembers, they would have grown far above the average's.
    assert stack.weights[0, 0] == pytest.approx(1.0, abs=0.05)
    assert abs(stack.thresholds[0]) <= 1


def test_held_out_values_reach_nothing_that_is_fitted():
    louder = replace(TEST, emb=TEST.emb * 100)
    for name in ("logistic", "random_forest", "coxnet"):
        one, two = fitted(name)[0].estimator, fitted(name)[0].estimator
        one.predict(TEST.without_targets())
        two.predict(louder.without_targets())
        p, q = (e.predict(VALIDATION.without_targets()).event_probability for e in (one, two))
        assert torch.equal(p, q)


def test_a_model_file_with_strange_types_is_refused(tmp_path):
    import skops.io
    from sklearn.svm import SVC

    found, recipe, context = fitted("logistic")
    found.estimator.save(tmp_path)

    class Stranger(SVC):
        pass

    Stranger.__module__, Stranger.__qualname__ = "evil.module", "Stranger"
    skops.io.dump({"x": np.random.default_rng(0)}, tmp_path / "survival.skops")
    again = build_estimator(recipe, CATALOG, COHORT.layout)
    try:
        again.load(tmp_path, context)
    except DataError as error:
        assert "survival.skops" in str(error)
    (tmp_path / "survival.skops").write_bytes(b"not a zip")
    with pytest.raises(DataError, match=r"survival\.skops: damaged"):
        again.load(tmp_path, context)


def test_a_task_without_times_is_told_to_give_them():
    unknown = torch.full_like(TRAIN.targets.event, -1)
    labels_only = replace(TRAIN, targets=replace(TRAIN.targets, event=unknown))
    with pytest.raises(DataError, match="the task survival has no times"):
        fitted("coxnet", train=labels_only, validation=VALIDATION[slice(0, 0)])
    nothing = replace(labels_only.targets, labels=torch.full_like(TRAIN.targets.labels, -1))
    with pytest.raises(DataError, match="no outcome of the task survival is known .*: check its columns"):
        fitted("survival_forest", replace(labels_only, targets=nothing), VALIDATION[slice(0, 0)])


@pytest.mark.filterwarnings("error::UserWarning")
def test_coxnet_learns_the_base_rate_from_one_patient():
    known = (TRAIN.targets.event >= 0).all(dim=1) & (TRAIN.targets.time > 0).all(dim=1)
    path, sets = RECIPES["coxnet"]
    recipe, _ = load_recipe(ROOT / "recipes" / path, CATALOG, sets=[*sets, "estimator.widest=100"])
    estimator = build_estimator(recipe, CATALOG, COHORT.layout)
    estimator.fit(TRAIN[known][slice(0, 1)], TRAIN[slice(0, 0)], FitContext(0))
    assert estimator.predict(TEST.without_targets()).event_probability.isfinite().all()


def test_a_recipe_with_another_estimator_has_no_neural_tables(tmp_path):
    recipe = recipe_of("random_forest")
    assert not recipe.is_neural and recipe.method() == {"estimator": recipe.estimator}
    assert "fusion" not in recipe.to_toml()
    again = tmp_path / "again.toml"
    again.write_text(recipe.to_toml())
    assert load_recipe(again, CATALOG)[0].method() == recipe.method()
    enhanced = ROOT / "recipes" / "enhanced.toml"
    swapped, _ = load_recipe(enhanced, CATALOG, sets=["estimator.use=logistic"])
    assert not swapped.is_neural
    with pytest.raises(RecipeError, match='fusion .*is not used by the estimator "logistic"'):
        load_recipe(enhanced, CATALOG, sets=["estimator.use=logistic", "fusion.d_model=8"])


def test_a_stack_may_hold_the_neural_assembly():
    recipe, _ = load_recipe(
        ROOT / "recipes" / "enhanced.toml",
        CATALOG,
        sets=["estimator.use=stack", "estimator.members=[{use='neural'},{use='logistic'}]"],
    )
    assert recipe.is_neural and json.loads(json.dumps(recipe.method()))["fusion"]["use"] == "enhanced_hcat"


def test_coxnet_chooses_its_penalty_with_a_familys_records_on_one_side():
    once = TRAIN[slice(0, 60)]
    noise = torch.randn(once.emb.shape, generator=torch.Generator().manual_seed(0)) * once.measured
    twins = concatenate(replace(once, emb=noise), replace(once, emb=noise))
    twins = replace(twins, patient_ids=tuple(map(str, range(120))))
    families = replace(twins, groups=tuple(str(row % 60) for row in range(120)))
    used = []
    for cohort in (twins, families):
        recipe, _ = load_recipe(ROOT / "recipes" / "baselines/coxnet.toml", CATALOG)
        estimator = build_estimator(recipe, CATALOG, cohort.layout)
        estimator.fit(cohort, cohort[slice(0, 0)], FitContext(0))
        used.append(int((estimator.state["0.weights"] != 0).sum()))
    # A held-out twin of noise that was learned from looks well predicted.
    assert used[1] < used[0]
