"""``evidence``: what each modality says alone, and what a forest says."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hcat_builtin.estimators.evidence import EvidenceEstimator
from hcat_builtin.estimators.modality_pairs import ModalityPairs
from hcat_builtin.estimators.outcome_regression import Outcomes, most_likely_factors
from hcat_core.interfaces import AdditiveEstimator, FitContext
from hcat_core.synth.cohort_view import to_cohort
from hcat_core.synth.generator import SynthSpec, generate
from hcat_core.synth.spec import preset_spec, with_interactions


def fitted(cohort, **parameters):
    estimator = EvidenceEstimator(cohort.layout, **parameters)
    estimator.fit(cohort, cohort[slice(0, 0)], FitContext(0))
    return estimator


@pytest.fixture(scope="module")
def evidence(estimators):
    return fitted(estimators.train, trees=0)


def test_it_is_a_sum_over_modalities_and_a_missing_one_adds_nothing(estimators, evidence):
    test = estimators.test.without_targets()
    parts = evidence.contributions(test)
    assert isinstance(evidence, AdditiveEstimator)
    assert parts.shape == (len(test), 5, 2)
    assert not parts[~test.present].any()
    hide = torch.zeros_like(test.present)
    hide[:, 1] = True
    without = evidence.contributions(test.hide(hide))
    expected = parts.clone()
    expected[:, 1] = 0
    assert torch.allclose(without, expected, atol=1e-5)


def test_the_usual_contribution_of_a_modality_is_nothing(estimators, evidence):
    train = estimators.train
    parts = evidence.contributions(train)
    for column in range(parts.shape[1]):
        assert parts[train.present[:, column], column].mean(dim=0).abs().max() < 1e-5


def test_a_patient_with_a_higher_sum_has_a_higher_probability(estimators, evidence):
    test = estimators.test.without_targets()
    total = evidence.contributions(test).sum(dim=1)
    probability = evidence.predict(test).event_probability
    for task in range(2):
        order = total[:, task].argsort()
        assert (probability[order, task].diff() >= 0).all()


def test_out_of_fold_contributions_to_a_patient_do_not_know_the_patients_outcome(estimators):
    # Outcomes that nothing explains: contributions that knew them would rank patients by them.
    train = estimators.train
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(0))
    noise = replace(train, targets=train.targets[order])
    estimator = fitted(noise, l1_ratio=0.0)
    label = noise.targets.labels[:, 0]
    known = label >= 0

    def auc(score):
        events, free = score[known & (label == 1)], score[known & (label == 0)]
        return float((events[:, None] > free).float().mean())

    assert auc(estimator.contributions(noise)[:, :, 0].sum(dim=1)) > 0.6
    assert auc(estimator.out_of_fold_contributions()[:, :, 0].sum(dim=1)) < 0.56


def test_modalities_of_noise_contribute_next_to_nothing(estimators):
    train = estimators.train
    emb = train.emb.clone()
    noise = torch.randn(emb.shape, generator=torch.Generator().manual_seed(1))
    emb[:, 1] = torch.where(train.measured[:, 1], noise[:, 1], emb[:, 1])
    parts = fitted(replace(train, emb=emb), trees=0).contributions(train)
    spread = parts.std(dim=0)
    assert (spread[1] < 0.5 * spread[[0, 2, 3, 4]].max(dim=0).values).all()


def test_a_task_without_times_is_predicted_from_its_labels(estimators):
    targets = estimators.train.targets
    labels_only = replace(
        targets,
        time=torch.full_like(targets.time, torch.nan),
        event=torch.full_like(targets.event, -1),
    )
    estimator = fitted(replace(estimators.train, targets=labels_only))
    prediction = estimator.predict(estimators.test.without_targets())
    assert prediction.event_probability.isfinite().all()
    assert prediction.curve[..., :-1].isnan().all()
    known = targets.labels[:, 0] >= 0
    share = float((targets.labels[known, 0] == 1).float().mean())
    assert abs(float(prediction.event_probability[:, 0].mean()) - share) < 0.12


def test_a_forest_finds_what_no_regression_can_say_and_its_weight_is_learned(estimators):
    # Risk rises with the square of one cell: every linear hazard ratio is 1.
    train, test = (square_risk(part) for part in (estimators.train, estimators.test))

    def auc(estimator):
        label = test.targets.labels[:, 0]
        score = estimator.contributions(test.without_targets())[:, :, 0].sum(dim=1)
        return float((score[label == 1][:, None] > score[label == 0]).float().mean())

    with_trees = fitted(train)
    assert auc(with_trees) > auc(fitted(train, trees=0)) + 0.15
    assert float(with_trees.state["task_0.forest"]) > 0.5


def square_risk(cohort):
    cell = cohort.emb[:, 0, 0]
    label = (cell.abs() > cell.abs().median()).to(cohort.targets.labels.dtype)
    targets = replace(
        cohort.targets,
        labels=label[:, None].expand(-1, 2),
        time=torch.full_like(cohort.targets.time, torch.nan),
        event=torch.full_like(cohort.targets.event, -1),
    )
    return replace(cohort, targets=targets)


def test_it_gives_the_same_contributions_after_it_was_saved(estimators, tmp_path):
    before = fitted(estimators.train)
    before.save(tmp_path)
    after = EvidenceEstimator(estimators.train.layout)
    after.load(tmp_path, FitContext(0))
    test = estimators.test.without_targets()
    assert torch.equal(after.contributions(test), before.contributions(test))


def test_the_factor_of_the_sum_corrects_scores_that_are_too_timid(estimators):
    # One signal in five modalities, each penalised by itself: the sum must not be five times too sure.
    train = estimators.train
    same = replace(train, emb=train.emb[:, :1].expand_as(train.emb) * train.measured)
    estimator = fitted(same, trees=0)
    assert float(estimator.state["task_0.factor"]) < 0.8


def test_pairs_of_modalities_find_what_no_sum_over_modalities_can_say():
    cohort = to_cohort(generate(with_interactions(preset_spec("demo", patients=1500, width=12))))
    train, test = cohort[slice(0, 1200)], cohort[slice(1200, 1500)]
    label = test.targets.labels[:, 0]

    def auc(pairs):
        score = fitted(train, pairs=pairs, trees=0).predict(test.without_targets()).event_probability[:, 0]
        return float((score[label == 1][:, None] > score[label == 0]).float().mean())

    assert auc(8) > auc(0) + 0.08


def test_pairs_are_seldom_used_where_they_add_nothing():
    # A gain of nothing is above two standard errors of five folds about once in seventeen times.
    cohort = to_cohort(generate(SynthSpec(patients=150, clusters=1, widths={"a": 6, "b": 6, "c": 6})))
    used = 0
    for seed in range(8):
        order = torch.randperm(150, generator=torch.Generator().manual_seed(seed))
        state = fitted(replace(cohort, targets=cohort.targets[order]), trees=0).state
        used += sum(name.startswith("pairs") and name.endswith("weights") for name in state)
    assert used <= 4  # of 8 times two tasks


def test_a_true_score_of_a_rare_event_has_the_factor_one():
    rng = np.random.default_rng(0)
    score = 2 * rng.standard_normal(4000)
    event = rng.random(4000) < 1 / (1 + np.exp(4 - score))
    outcomes = Outcomes(np.ones(4000, dtype=bool), np.zeros(4000), event, is_timed=False)
    (factor,) = most_likely_factors(torch.from_numpy(score)[:, None], outcomes, strength=1.0)
    assert factor == pytest.approx(1, abs=0.1)


def test_products_of_modalities_do_not_depend_on_the_units_of_cells(estimators):
    train = estimators.train
    unit = torch.tensor([1000.0, 1.0, 0.01, 1.0, 1.0])[:, None]
    other = replace(train, emb=train.emb * unit + 50)
    expected, found = (ModalityPairs(train.layout, 4).fit(cohort) for cohort in (train, other))
    np.testing.assert_allclose(np.abs(found), np.abs(expected), atol=0.02)


def test_products_take_a_gap_in_a_measured_modality_for_the_mean(estimators):
    train = estimators.train
    shifted = replace(train, emb=train.emb + 50)
    pairs = ModalityPairs(train.layout, 4)
    pairs.fit(shifted)
    gaps = shifted.measured.clone()
    gaps[:, 0] = False
    gaps[:, 0, 0] = shifted.measured[:, 0, 0]
    products = pairs.transform(replace(shifted, measured=gaps, present=gaps.any(dim=2)))
    assert np.isfinite(products).all() and np.abs(products).max() <= 9
    only_first = pairs.transform(replace(shifted, emb=torch.where(gaps, shifted.emb, 50.0), measured=gaps))
    np.testing.assert_allclose(products, only_first, atol=1e-4)


def test_its_form_for_tracing_gives_the_same_contributions(estimators):
    hide = torch.zeros_like(estimators.train.present)
    hide[:, 2] = True  # a modality that no training patient has
    train, test = estimators.train.hide(hide), estimators.test.without_targets()
    widest = min(train.layout.widths)  # wider modalities are reduced to principal components
    estimator = fitted(train, trees=10, widest=widest, components=3, pairs=2)
    number = estimator.pairs.number
    weights = torch.linspace(-1, 1, number, dtype=torch.float64)  # as if products of modalities had helped
    estimator.state |= {"pairs.1.weights": weights, "pairs.1.usual": torch.tensor(0.1)}
    torch.testing.assert_close(
        estimator.traceable()(test), estimator.contributions(test), rtol=0, atol=1e-6
    )


def test_fitted_again_without_a_modality_it_forgets_the_modality(estimators):
    train = estimators.train
    hidden = torch.zeros_like(train.present)
    hidden[:, 0] = True
    evidence = fitted(train, trees=0)
    evidence.fit(train.hide(hidden), train[slice(0, 0)], FitContext(0))
    saved = EvidenceEstimator(train.layout, trees=0)
    saved.load_state_dict(evidence.state_dict())
    parts = saved.contributions(estimators.test.without_targets())
    assert not parts[:, 0].any() and parts[:, 1].any()
