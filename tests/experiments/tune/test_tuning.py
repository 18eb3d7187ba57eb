"""A search from its plan to its files."""

import json
import shutil
import tomllib
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from hcat_core.cohort import Targets
from hcat_core.experiments.compare_recipes import run
from hcat_core.experiments.tune.nested_folds import SearchPlan
from hcat_core.interfaces import Prediction
from hcat_core.layout import Layout, Task
from hcat_core.recipe.recipe import load_recipe
from hcat_core.registry.hooks import hookimpl

FEW = SearchPlan(trials=6, folds=2, inner_folds=2)


@pytest.fixture
def fit(monkeypatch):
    """Put a function in place of fitting; it is given the fitted noise and the recipe."""
    ordinary = run.fit_estimator

    def use(change):
        monkeypatch.setattr(run, "fit_estimator", lambda recipe, *rest: change(ordinary(recipe), recipe))

    return use


@pytest.mark.slow
def test_the_score_that_is_reported_was_not_chosen_on(search, tmp_path):
    """Labels are drawn by a coin: the best of 30 trials is lucky, and not on outer folds."""
    plan = SearchPlan(trials=30, folds=3, repeats=3, inner_folds=2)
    result = search(tmp_path, plan, sampler="random").tuning.result
    inner = np.mean([one.best.score for one in result.searches])
    assert result.final.best.score > 0.57 and inner > 0.59
    assert abs(result.tuned.mean - 0.5) < 0.05 and inner - result.tuned.mean > 0.05
    assert result.tuned.low < 0.5 < result.tuned.high


def test_a_search_finds_what_is_better_and_shows_it_on_outer_folds(fit, search, cohort, tmp_path):
    """A value above 50,000 predicts the outcome."""
    labels = dict(zip(cohort.patient_ids, cohort.targets.labels[:, 0].tolist(), strict=True))

    def change(fitted, recipe):
        if recipe.estimator["rounds"] > 50_000:
            fitted.noise = {one: (noise + labels[one]) / 2 for one, noise in fitted.noise.items()}
        return fitted

    fit(change)
    tuning = search(tmp_path, FEW).tuning
    assert tuning.result.tuned.mean > 0.9 and tuning.result.untuned.mean < 0.65
    assert tuning.recipe.estimator["rounds"] > 50_000
    (difference,) = tuning.document["differences"]
    gain = tuning.result.tuned.mean - tuning.result.untuned.mean
    assert difference["mean"] == pytest.approx(gain)


def test_classes_are_one_outcome_of_a_search(fit, search, cohort, tmp_path):
    labels = torch.nn.functional.one_hot(torch.arange(len(cohort)) % 3, 3).to(torch.int8)
    tasks = tuple(
        Task(f"subtype:{name}", None, "subtype", kind="class", family="subtype", category=name)
        for name in "abc"
    )
    of_classes = replace(
        cohort,
        layout=Layout(cohort.layout.modalities, tasks),
        targets=Targets(labels, torch.full((len(cohort), 3), torch.nan), torch.full((len(cohort), 3), -1)),
    )
    ids = {patient: row for row, patient in enumerate(cohort.patient_ids)}

    def change(fitted, recipe):
        def predict(batch):
            own = labels[[ids[patient] for patient in batch.patient_ids]]
            noise = torch.tensor([[fitted.noise[patient]] for patient in batch.patient_ids])
            return Prediction(torch.softmax(own * noise, dim=1).float())

        return SimpleNamespace(thresholds=(0.5,) * 3, predict=predict)

    fit(change)
    found = search(tmp_path, SearchPlan(trials=2, folds=2, inner_folds=2), of=of_classes).tuning.result
    assert found.score == "macro AUC" and found.tuned.mean > 0.6
    assert [one["task"] for one in found.comparison["differences"]] == ["subtype"]


def test_an_interrupted_search_goes_on_to_the_same_result(fit, search, found, tmp_path):
    def interrupt(result, done, jobs):
        if done == 23:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(tmp_path, job=interrupt)
    fitted = []
    fit(lambda noise, recipe: fitted.append(recipe) or noise)
    search(tmp_path)
    assert len(fitted) == len(list((found.folder / "jobs").iterdir())) - 23 > 0
    for name in ("tune.json", "trials.csv", "best.toml"):
        assert (tmp_path / name).read_text() == (found.folder / name).read_text()


def test_more_trials_go_on_from_fewer(search, found, tmp_path):
    shutil.copytree(found.folder / "jobs", tmp_path / "jobs")
    fewer = search(tmp_path, FEW).tuning.result
    assert fewer.final.trials == found.tuning.result.final.trials[:6]


def test_another_seed_gives_other_values(search, found, tmp_path):
    other = search(tmp_path, SearchPlan(trials=2, folds=2, inner_folds=2, seed=1)).tuning
    assert other.result.final.trials[1].settings != found.tuning.result.final.trials[1].settings


def test_the_first_trial_of_each_search_is_the_recipe_as_it_is(found):
    first = [(name, trial.settings) for name, trial, _ in found.trials if trial.number == 0]
    assert first == [("outer fold 1", {}), ("outer fold 2", {}), ("all patients", {})]
    assert found.jobs[-1] == (70, 70)  # 3 searches x 11 trials x 2 inner folds, 2 recipes x 2 outer folds


def test_a_trial_that_fails_is_told_and_not_chosen(fit, search, tmp_path):
    def change(fitted, recipe):
        if recipe.estimator["rounds"] > 50_000:
            raise ValueError("too many rounds")
        return fitted

    fit(change)
    result = search(tmp_path, FEW).tuning.result
    failed = [one for one in result.final.trials if one.error]
    assert failed and all(
        one.error == "ValueError: too many rounds" and one.score is None for one in failed
    )
    assert all(one.best.error is None for one in (*result.searches, result.final))


def test_where_every_trial_fails_the_recipe_stays_as_it_is(fit, search, tmp_path):
    def change(fitted, recipe):
        raise ValueError("no luck")

    fit(change)
    tuning = search(tmp_path, SearchPlan(trials=2, folds=2, inner_folds=2)).tuning
    assert tuning.result.final.best.number == 0 and tuning.result.tuned.mean is None
    assert "No trial on all patients could be scored" in " ".join(tuning.document["verdict"]["sentences"])
    assert tuning.document["recipes"]["boosting"]["errors"] == ["ValueError: no luck"]
    assert "is not known" in (tmp_path / "tune.html").read_text()


def test_the_best_recipe_is_a_file_that_loads_and_says_what_it_is(found, catalog):
    path = found.folder / "best.toml"
    text, rounds = path.read_text(), found.tuning.result.final.best.settings["estimator.rounds"]
    recipe, warnings = load_recipe(path, catalog)
    assert recipe.method() == found.tuning.recipe.method() and not warnings
    assert recipe.estimator["rounds"] == rounds
    assert f"estimator.rounds = {rounds}  (before: 100)" in text
    assert "Report this: AUC" in text and "Do not report" in text
    assert "tune" not in tomllib.loads(text)


def test_tables_have_every_trial(found):
    rows = (found.folder / "trials.csv").read_text().splitlines()
    assert rows[0] == "search,trial,score,chosen,error,estimator.rounds" and len(rows) == 1 + 3 * 11
    assert sum(row.split(",")[3] == "1" for row in rows) == 3
    document = json.loads((found.folder / "tune.json").read_text())
    assert document == json.loads(json.dumps(found.tuning.document))
    assert document["outer"]["boosting (tuned)"]["mean"] == found.tuning.result.tuned.mean


def test_plugins_are_told_as_of_a_comparison(search, found, catalog):
    told = []

    class Listener:
        @hookimpl
        def hcat_comparison_started(self, names, jobs):
            told.append((names, jobs))

        @hookimpl
        def hcat_job_finished(self, job, result):
            told.append(job)

        @hookimpl
        def hcat_comparison_finished(self, document):
            told.append(document["score"])

    listener = Listener()
    catalog.plugins.register(listener)
    try:
        search(found.folder)
    finally:
        catalog.plugins.unregister(listener)
    assert told[0] == (["boosting", "boosting (tuned)"], 70) and told[-1] == "AUC" and len(told) == 72
    assert "outer fold 1, trial 0, repeat 1, fold 1" in told


def test_two_outer_folds_are_too_few_to_say_whether_tuning_helps(found):
    document, page = found.tuning.document, (found.folder / "tune.html").read_text()
    assert [(one["low"], one["high"]) for one in document["outer"].values()] == [(None, None)] * 2
    assert document["verdict"]["title"] == "Whether tuning helps is not known: 2 folds are too few to say"
    assert (document["differences"][0]["low"], document["differences"][0]["p"]) == (None, None)
    for text in (page, " ".join(document["verdict"]["sentences"])):
        assert "2 folds are too few to say how far off it may be" in text and "Nadeau" not in text


def test_the_page_shows_both_scores_and_loads_nothing(found):
    page, result = (found.folder / "tune.html").read_text(), found.tuning.result
    assert f"{result.tuned.mean:.3f}" in page and f"{result.final.best.score:.3f}" in page
    assert "<script" not in page and "src=" not in page and "P12" not in page
    assert page.count("<svg") == 3  # scores on outer folds, history, importance
    for search in result.searches:
        assert f"{search.best.score:.3f}" in page
