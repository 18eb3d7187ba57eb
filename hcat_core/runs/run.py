"""One run, from recipe to run folder: read, split, standardise, impute, train, evaluate, write."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ReadReport
from hcat_core.data.data_quality import find_quality_issues, refuse_quality_issues
from hcat_core.data.leakage import refuse_leaks
from hcat_core.data.splits import Split, split_by_column, split_cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.errors import UsageError
from hcat_core.evaluation.analysis import analyse_modalities, imputation_quality, score_patterns
from hcat_core.evaluation.baselines import score_baselines
from hcat_core.evaluation.cohort_counts import count_cohort, describe_cohort
from hcat_core.evaluation.scores import ScoringSettings, score_split
from hcat_core.evaluation.summary import Analysis, FitSummary, RunSummary, TrainingSummary
from hcat_core.interfaces import FitContext, ImputingEstimator, Prediction
from hcat_core.recipe import build
from hcat_core.recipe.provenance import components_that_store_patients
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.folder import RunFolder, environment
from hcat_core.runs.lock import create_locked, open_locked
from hcat_core.runs.recipe_cohort import read_recipe_cohort, write_demo_once
from hcat_core.runs.trained_run import (
    TrainingStatistics,
    layout_as_json,
    load_trained_member,
    save_estimator,
    write_trained,
)
from hcat_core.storage.atomic_files import make_folder
from hcat_core.storage.checkpoint import read_checkpoint, write_text
from hcat_core.training.device import choose_device, refuse_precision
from hcat_core.training.distributed import ALONE, Workers
from hcat_core.training.fitting import Fitted, adjusted, fit_estimator, neural_parts_of
from hcat_core.training.loop import LAST, Checkpoints, Progress, train
from hcat_core.training.neural_parts import NeuralParts, TrainingContext, prepare

Say = Callable[[str], None]
ONE_TRAINING = {"use": "neural", "seeds": 1}


def run_recipe(
    recipe: Recipe,
    catalog: Catalog,
    *,
    outdir: Path,
    strict: bool = False,
    say: Say,
    workers: Workers = ALONE,
) -> dict[str, object]:
    """Train and evaluate what a recipe describes; returns the summary that is also written.

    Nothing but the recipe is written before the data has been read and the model built, and an error before
    that leaves nothing. ``strict`` also stops at findings about data quality. Several ``workers``
    train together; the first alone writes, evaluates and has a summary.

    Raises:
        DataError: for input that cannot be read, or that holds features which know the outcome.
        UsageError: for a run folder in use, or several workers on what one has to fit.
        TrainingError: for a training that cannot go on.
        StorageError: for a disk that takes no more.
    """
    _refuse_to_share(recipe, workers)
    with _shared(create_locked(outdir, recipe.to_toml()), outdir, workers) as folder:
        return _run(recipe, catalog, folder, strict, say, workers)


def resume_run(run_folder: Path, catalog: Catalog, say: Say, workers: Workers = ALONE) -> dict[str, object]:
    """Do what an interrupted run has not done yet, to the same files as the unbroken run's.

    A training goes on from its last complete epoch; other estimators are fitted anew. Nothing is changed
    in a finished run.

    Raises:
        DataError: also for data that changed since the run began, and for damaged checkpoints.
        UsageError: for a folder without a run, or one in use.
    """
    with _shared(open_locked(run_folder), run_folder, workers) as folder:
        if workers.told(folder.finished):
            say(f"{run_folder} is finished: nothing is left to do")
            return folder.read_summary()
        recipe, _ = load_recipe(folder.recipe, catalog, sets=(), options={}, inputs={}, caller=Path.cwd())
        _refuse_to_share(recipe, workers)
        return _run(recipe, catalog, folder, strict=False, say=say, workers=workers)


def _refuse_to_share(recipe: Recipe, workers: Workers) -> None:
    if workers.size > 1 and recipe.estimator != ONE_TRAINING:
        raise UsageError(
            f"{recipe.source}: one neural training can be shared by several processes, the estimator "
            f"{recipe.estimator['use']} cannot: run this recipe without torchrun."
        )


@contextmanager
def _shared(held: AbstractContextManager[RunFolder], path: Path, workers: Workers) -> Iterator[RunFolder]:
    """The run folder: the first process holds it, the others look at it once it does."""
    if workers.first:
        with held as folder:
            workers.wait()
            yield folder
    else:
        workers.wait()
        yield RunFolder(path)


def _run(
    recipe: Recipe,
    catalog: Catalog,
    folder: RunFolder,
    strict: bool,
    say: Say,
    workers: Workers,
) -> dict[str, object]:
    """Whatever the folder does not hold yet."""
    device = workers.device(choose_device(recipe.training.device))
    refuse_precision(recipe.training.precision, device)
    if workers.first:
        write_demo_once(recipe, say)
    workers.wait()
    cohort, report = read_recipe_cohort(recipe, catalog, say)
    if cohort.targets is None:
        raise UsageError(f"{recipe.source}: training needs outcomes: give cohort.targets.")
    split = _split(recipe, catalog, cohort)
    refuse_leaks(cohort, split.train, recipe.cohort.targets, recipe.cohort.allow)
    quality_issues = find_quality_issues(cohort, split)
    if strict:
        refuse_quality_issues(quality_issues)
    say(describe_cohort(cohort, report, split))
    for issue in quality_issues:
        say(issue.message)
    for name in components_that_store_patients(recipe, catalog):
        say(f"{name} keeps training patients in its state: think before you share {folder.path}")
    data = Data(cohort, report, split, tuple(issue.message for issue in quality_issues))
    if recipe.estimator == ONE_TRAINING:
        return _run_training(recipe, catalog, data, folder, device, say, workers)
    return _run_estimator(recipe, catalog, data, folder, device, say)


def _split(recipe: Recipe, catalog: Catalog, cohort: Cohort) -> Split:
    if recipe.split.column is None:
        return split_cohort(cohort, recipe.split, recipe.seed)
    reader = build.build_targets_reader(recipe, catalog)
    assert reader is not None, "a cohort with targets has their reader"
    return split_by_column(cohort, reader, recipe.split.column)


@dataclass(frozen=True)
class Data:
    """What a run is about."""

    cohort: Cohort
    report: ReadReport
    split: Split
    quality_issues: tuple[str, ...]


def _run_training(
    recipe: Recipe,
    catalog: Catalog,
    data: Data,
    folder: RunFolder,
    device: torch.device,
    say: Say,
    workers: Workers,
) -> dict[str, object]:
    """One neural training, an epoch at a time, with checkpoints to go on from."""
    cohort, split = data.cohort, data.split
    last = folder.checkpoints / LAST
    # Asked of the first alone: it may write its first checkpoint while another still looks for one.
    resume, text = workers.told((last.is_file(), folder.recipe_text()) if workers.first else (False, ""))
    parts = NeuralParts(recipe, catalog)
    with torch.random.fork_rng(devices=[] if device.type == "cpu" else [device]):
        torch.manual_seed(recipe.seed)
        model = parts.build_model(cohort.layout)
        losses = parts.build_losses(cohort.layout)
        facts: dict[str, object] = environment(recipe, catalog, device)
        facts |= {"data": cohort.fingerprint(), "processes": workers.size}
        if workers.first:
            facts = folder.begin(facts, say)
        if resume:
            tensors, _ = read_checkpoint(last, text)
            standardiser = Standardiser(tensors["standardiser.mean"], tensors["standardiser.scale"])
        else:
            if workers.first:
                make_folder(folder.checkpoints)
            standardiser = Standardiser.fit(cohort[split.train])
        standard = standardiser.apply(cohort)
        training = standard[split.train]
        validation = standard[split.validation]
        if not resume:
            prepare(model, training, validation, FitContext(recipe.seed, device, say))

        def on_epoch(record: dict[str, object]) -> None:
            if not workers.first:
                return
            history.append(record)
            folder.write_metrics(history)
            catalog.plugins.hook.hcat_epoch_finished(record=record)

        history = _history(folder) if resume and workers.first else []
        steps = -(-len(training) // recipe.training.batch)
        if workers.first:
            catalog.plugins.hook.hcat_run_started(
                run_folder=folder.path, epochs=recipe.training.epochs, steps_per_epoch=steps
            )
        checkpoints = Checkpoints(
            folder.checkpoints,
            {f"standardiser.{k}": v for k, v in standardiser.state_dict().items()},
            {"layout": layout_as_json(cohort.layout), "recipe": text},
            text,
            writes=workers.first,
        )
        progress = train(
            model,
            losses,
            training,
            validation,
            recipe.training,
            seed=recipe.seed,
            device=device,
            checkpoints=checkpoints,
            resume=resume,
            on_epoch=on_epoch,
            say=say,
            workers=workers,
        )
    if not workers.first:
        return {}
    context = TrainingContext(recipe.seed, device, say, parts)
    chosen = checkpoints.chosen(progress)
    estimator = load_trained_member(chosen, text, cohort.layout, context)
    fitted = adjusted(estimator, cohort[split.validation])
    training_summary = TrainingSummary(
        epochs=progress.epoch,
        stopped_early=progress.finished,
        best_epoch=progress.best_epoch,
        best_validation={"metric": recipe.training.monitor, **progress.best},
        outcome_informed_imputation=recipe.training.imputer_gradient,
        parameters=sum(p.numel() for p in model.parameters()),
    )
    return _finish(
        recipe, catalog, data, folder, fitted, context, facts, training_summary, progress.history, chosen
    )


def _run_estimator(
    recipe: Recipe, catalog: Catalog, data: Data, folder: RunFolder, device: torch.device, say: Say
) -> dict[str, object]:
    """Fit any other estimator, whole, and keep it in ``estimator/``."""
    cohort, split = data.cohort, data.split
    facts = folder.begin({**environment(recipe, catalog, device), "data": cohort.fingerprint()}, say)
    context = TrainingContext(recipe.seed, device, say, neural_parts_of(recipe, catalog))
    say(f"fitting {recipe.estimator['use']}")
    fitted = fit_estimator(recipe, catalog, cohort[split.train], cohort[split.validation], context)
    if fitted.took_validation:
        taken = torch.cat([split.train, split.validation]).sort().values
        split = replace(split, train=taken, validation=split.validation[:0])
        data = replace(data, split=split)
    save_estimator(folder, fitted.estimator)
    return _finish(recipe, catalog, data, folder, fitted, context, facts, None, [])


def _finish(
    recipe: Recipe,
    catalog: Catalog,
    data: Data,
    folder: RunFolder,
    fitted: Fitted,
    context: FitContext,
    facts: dict[str, object],
    training_summary: TrainingSummary | None,
    history: list[dict[str, object]],
    checkpoint: Path | None = None,
) -> dict[str, object]:
    """Predict and score everyone, look closer at test patients, write what a run leaves."""
    cohort, split = data.cohort, data.split
    predicted = fitted.predict(cohort)
    base_rate = tuple(float(p) for p in predicted.probability[split.train.numpy()].mean(axis=0))
    training = TrainingStatistics.of(cohort[split.train], base_rate, cohort.fingerprint())
    assert cohort.targets is not None
    settings = ScoringSettings(
        fitted.thresholds, cohort.targets[split.train], recipe.evaluation.bootstrap, recipe.seed
    )
    summary = RunSummary(
        run=FitSummary(
            str(recipe.estimator["use"]), fitted.thresholds, fitted.recalibration, training_summary
        ),
        metrics=score_split(cohort, split, predicted, settings),
        data=count_cohort(cohort, data.report, split),
        environment=facts,
        recipe=recipe.as_dict(),
        history=history,
        analysis=_analyse(recipe, catalog, data, fitted, training, predicted, settings, context),
    )
    document = summary.as_json()
    folder.write_predictions(cohort, split, predicted)
    write_text(folder.summary, json.dumps(document, indent=2, allow_nan=False) + "\n")
    _write_report(recipe, folder, data, predicted, summary)
    # Last: it says that the run is finished.
    write_trained(folder, cohort.layout, fitted, training, checkpoint)
    catalog.plugins.hook.hcat_run_finished(run_folder=folder.path, summary=document)
    return document


def _write_report(
    recipe: Recipe, folder: RunFolder, data: Data, predicted: Prediction, summary: RunSummary
) -> None:
    from hcat_core.report import ReportInputs, write_report  # imports matplotlib, which nothing else needs

    title = folder.path.resolve().name
    inputs = ReportInputs(title, recipe.to_toml(), data.cohort, data.split, predicted, summary)
    write_report(folder.report, inputs)


def _analyse(
    recipe: Recipe,
    catalog: Catalog,
    data: Data,
    fitted: Fitted,
    training: TrainingStatistics,
    predicted: Prediction,
    settings: ScoringSettings,
    context: FitContext,
) -> Analysis:
    """Look closer at test patients; a part that cannot be computed is left out."""
    cohort, split = data.cohort, data.split
    analysis = Analysis(findings=list(data.quality_issues), allowed=list(recipe.cohort.allow))
    if not len(split.test):
        return analysis
    test, imputation = cohort[split.test], None
    context.progress("looking at patterns and modalities")
    patterns = score_patterns(test, predicted[split.test.numpy()], settings)
    # Shapley values start at the mean prediction of the single-pass predictor that they explain.
    base_rate = fitted.predict_once(cohort[split.train]).mean(axis=0)
    modalities = analyse_modalities(fitted.predict_once, test, base_rate)
    if isinstance(fitted.estimator, ImputingEstimator):
        imputation = imputation_quality(fitted.estimator.impute, test, training.standardiser)
    baselines = score_baselines(recipe, catalog, cohort, split, predicted, context)
    return replace(
        analysis, patterns=patterns, modalities=modalities, imputation=imputation, baselines=baselines
    )


def _history(folder: RunFolder) -> list[dict[str, object]]:
    """The epochs that the last checkpoint knows; a line written after it is dropped."""
    _, header = read_checkpoint(folder.checkpoints / LAST, folder.recipe_text())
    progress = Progress(**header["progress"])  # type: ignore[arg-type]
    folder.write_metrics(progress.history)
    return list(progress.history)
