"""One run, from recipe to run folder: read, split, standardise, impute, train, evaluate, write."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import asdict, replace
from pathlib import Path

import torch

from hcat_core.data.data_quality import quality_checks, refuse_quality_issues
from hcat_core.errors import UsageError
from hcat_core.evaluation.cohort_counts import count_cohort, describe_cohort
from hcat_core.evaluation.other_outcomes import score_others_split
from hcat_core.evaluation.scores import ScoringSettings, score_split
from hcat_core.evaluation.summary import (
    FitSummary,
    MemberSummary,
    RunSummary,
    TrainingSummary,
)
from hcat_core.interfaces import Prediction
from hcat_core.recipe.loading import NEURAL
from hcat_core.recipe.provenance import (
    components_that_store_patients,
    components_weighted_for_censoring,
)
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.registry.notifying import notify
from hcat_core.report.formatting import today
from hcat_core.report.inputs import ReportInputs
from hcat_core.report.model_card import write_model_card
from hcat_core.runs.cohort_checks import check_cohort
from hcat_core.runs.folder import RunFolder, environment
from hcat_core.runs.lock import create_locked, open_locked
from hcat_core.runs.recipe_cohort import GivenCohort, Say, given_by, write_demo_once
from hcat_core.runs.run_analysis import analyse_run
from hcat_core.runs.run_observer import RunObserver
from hcat_core.runs.run_records import FittedRun, Run, RunData
from hcat_core.runs.trained_run import TrainingStatistics, save_estimator, write_trained
from hcat_core.storage.checkpoint import write_text
from hcat_core.training.context import CheckpointFolder, TrainingContext
from hcat_core.training.device import choose_device, refuse_precision
from hcat_core.training.distributed import SINGLE_PROCESS, Processes
from hcat_core.training.fitting import fit_estimator, neural_parts_of
from hcat_core.training.held_out import held_out_by
from hcat_core.training.neural_estimator import NeuralEstimator


def run_recipe(
    recipe: Recipe,
    catalog: Catalog,
    *,
    outdir: Path,
    strict: bool = False,
    say: Say,
    warn: Say | None = None,
    processes: Processes = SINGLE_PROCESS,
    given: GivenCohort | None = None,
) -> dict[str, object]:
    """Train and evaluate what a recipe describes; returns the summary that is also written.

    Nothing but the recipe is written before the data has been read and the model built, and an error before
    that leaves nothing. ``strict`` also stops at findings about data quality. Several ``processes`` train
    together; the main one alone writes, evaluates and has a summary. ``say`` shows messages, and ``warn``
    those that nobody should miss; ``say`` shows these too where there is no ``warn``. A cohort that is
    ``given`` takes the place of the files of the recipe, whose outcomes it has.

    Raises:
        DataError: for input that cannot be read, or that holds features which know the outcome.
        UsageError: for a run folder in use, or several processes for an estimator that one has to fit.
        TrainingError: for a training that cannot go on.
        StorageError: for a disk that is full or not writable.
    """
    _refuse_to_share(recipe, processes)
    with _shared(create_locked(outdir, recipe.to_toml()), outdir, processes) as folder:
        run = _begin(recipe, catalog, folder, (say, warn or say), processes)
        return _run(run, strict, given)


def resume_run(
    run_folder: Path,
    catalog: Catalog,
    say: Say,
    processes: Processes = SINGLE_PROCESS,
    warn: Say | None = None,
) -> dict[str, object]:
    """Do what an interrupted run has not done yet; its files become those of a run without interruption.

    A training goes on from its last complete epoch; other estimators are fitted anew. Nothing is changed
    in a finished run.

    Raises:
        DataError: also for data that changed since the run began, and for damaged checkpoints.
        UsageError: for a folder without a run, or one in use.
    """
    with _shared(open_locked(run_folder), run_folder, processes) as folder:
        if processes.broadcast(folder.finished):
            say(f"{run_folder} is finished: nothing is left to do")
            return folder.read_summary()
        recipe, _ = load_recipe(folder.recipe, catalog, sets=(), options={}, inputs={}, caller=Path.cwd())
        _refuse_to_share(recipe, processes)
        run = _begin(recipe, catalog, folder, (say, warn or say), processes)
        return _run(run, strict=False)


def _refuse_to_share(recipe: Recipe, processes: Processes) -> None:
    if processes.size > 1 and recipe.estimator["use"] != NEURAL:
        raise UsageError(
            f"{recipe.source}: a neural training can be shared by several processes, the estimator "
            f"{recipe.estimator['use']} cannot: run this recipe without torchrun."
        )


@contextmanager
def _shared(
    locked: AbstractContextManager[RunFolder], path: Path, processes: Processes
) -> Iterator[RunFolder]:
    """The run folder, locked by the main process; the others use it once it is."""
    if processes.is_main:
        with locked as folder:
            processes.barrier()
            yield folder
    else:
        processes.barrier()
        yield RunFolder(path)


def _begin(
    recipe: Recipe, catalog: Catalog, folder: RunFolder, shows: tuple[Say, Say], processes: Processes
) -> Run:
    """What the run works with; ``shows`` are those of messages and of warnings."""
    device = processes.device(choose_device(recipe.training.device))
    refuse_precision(recipe.training.precision, device)
    return Run(recipe, catalog, folder, device, *shows, processes)


def _run(run: Run, strict: bool, given: GivenCohort | None = None) -> dict[str, object]:
    """Do whatever the folder does not hold yet."""
    data = _read(run, strict, given)
    fitted = _fit(run, data)
    return {} if fitted is None else _finish(run, fitted)


def _read(run: Run, strict: bool, given: GivenCohort | None) -> RunData:
    """Read the cohort unless it is given, split it, and warn of few patients.

    Stops at leaks, and with ``strict`` at findings about data quality.
    """
    recipe = run.recipe
    if given is None:
        if run.processes.is_main:
            write_demo_once(recipe, run.say)
        run.processes.barrier()
        given = given_by(recipe, run.catalog, run.say)
    cohort, report = given.cohort, given.report
    if cohort.targets is None:
        raise UsageError(f"{recipe.source}: training needs outcomes: give cohort.targets.")
    check = check_cohort(recipe, given)
    if strict:
        refuse_quality_issues(list(check.issues))
    if check.split is not None:
        run.say(describe_cohort(cohort, report, check.split))
    told = (
        *(issue.message for issue in check.issues),
        *(
            f"{name} keeps training patients in its state: think before you share the run folder"
            for name in components_that_store_patients(recipe, run.catalog)
        ),
    )
    too_few = [size.message for size in check.sizes if not size.enough]
    for finding in too_few:
        run.say(finding)
    for finding in told:
        run.warn(finding)
    split = check.require_split()
    findings = (*told, *too_few)
    return RunData(cohort, report, split, findings, quality_checks(cohort), check.checked)


def _fit(run: Run, data: RunData) -> FittedRun | None:
    """Fit the recipe's estimator; None in all but the main process.

    A neural training is kept after each epoch and goes on from there; other estimators are fitted anew.
    """
    recipe, cohort, split = run.recipe, data.cohort, data.split
    facts = environment(recipe, run.catalog, run.device) | {"data": cohort.fingerprint()}
    is_neural = recipe.estimator["use"] == NEURAL
    if is_neural:
        facts |= {"processes": run.processes.size}
    observer = RunObserver(run, facts)
    plain = TrainingContext(
        recipe.seed,
        run.device,
        run.say,
        lambda epoch: notify(run.catalog.plugins, "hcat_imputer_epoch_finished", run.say, **asdict(epoch)),
        parts=neural_parts_of(recipe, run.catalog),
        processes=run.processes,
    )
    context = plain
    if is_neural:
        # The main process may write its first checkpoint while another still looks for the text.
        text = run.processes.broadcast(run.folder.recipe_text() if run.processes.is_main else "")
        folder = CheckpointFolder(run.folder.checkpoints, text)
        context = replace(plain, folder=folder, observer=observer)
    else:
        observer.model_built()
        observer.fitting_started()
        run.say(f"fitting {recipe.estimator['use']}")
    fitted = fit_estimator(recipe, run.catalog, cohort[split.train], cohort[split.validation], context)
    if not run.processes.is_main:
        return None
    if fitted.took_validation:
        taken = torch.cat([split.train, split.validation]).sort().values
        data = replace(data, split=replace(split, train=taken, validation=split.validation[:0]))
    checkpoint, training = None, None
    if isinstance(fitted.estimator, NeuralEstimator):
        checkpoint, training = fitted.estimator.checkpoint, summarise_training(recipe, fitted.estimator)
    if checkpoint is None:
        save_estimator(run.folder, fitted.estimator)
    plain = replace(plain, processes=SINGLE_PROCESS)
    return FittedRun(fitted, data, plain, observer.environment, training, observer.history, checkpoint)


def summarise_training(recipe: Recipe, estimator: NeuralEstimator) -> TrainingSummary:
    """How the trainings of a fitted estimator went."""
    members = []
    for member in estimator.members:
        progress = member.progress
        assert progress is not None, "an estimator that was fitted knows how"
        best = {"metric": recipe.training.monitor, **progress.best}
        members.append(MemberSummary(progress.epoch, progress.finished, progress.best_epoch, best))
    evidence = recipe.estimator.get("evidence")
    model = estimator.members[0].model
    return TrainingSummary(
        members=members,
        outcome_informed_imputation=recipe.training.imputer_gradient and model.imputer_trains(),
        parameters=sum(p.numel() for p in model.parameters()),
        evidence=None if evidence is None else str(evidence["use"]),
        correction=estimator.residual_weights,
    )


def _finish(run: Run, result: FittedRun) -> dict[str, object]:
    """Predict and score everyone, look closer at test patients, write what a run leaves."""
    recipe, fitted, data = run.recipe, result.fitted, result.data
    cohort, split = data.cohort, data.split
    run.say("predicting all patients")
    predicted = fitted.predict(cohort)
    base_rate = tuple(predicted.estimate[split.train].double().mean(dim=0).tolist())
    statistics = TrainingStatistics.of(cohort[split.train], base_rate, cohort.fingerprint())
    assert cohort.targets is not None
    settings = ScoringSettings(
        fitted.thresholds, cohort.targets[split.train], recipe.evaluation.bootstrap, recipe.seed
    )
    run.say("scoring training, validation and test patients")
    summary = RunSummary(
        run=FitSummary(
            str(recipe.estimator["use"]),
            fitted.thresholds,
            fitted.recalibration,
            held_out_by(fitted, len(split.validation)),
            result.training,
            components_weighted_for_censoring(recipe) if bool((cohort.targets.event >= 0).any()) else (),
        ),
        metrics=score_split(cohort, split, predicted, settings),
        data=count_cohort(cohort, data.report, split),
        environment=result.environment,
        recipe=recipe.as_dict(),
        history=result.history,
        analysis=analyse_run(run, result, statistics, predicted, settings),
        others=score_others_split(cohort, split, predicted, settings),
    )
    document = summary.as_json()
    run.say("writing predictions, summary and report")
    run.folder.write_predictions(cohort, split, predicted)
    write_text(run.folder.summary, json.dumps(document, indent=2, allow_nan=False) + "\n")
    _write_report(run, result, predicted, summary)
    # Last: it marks the run as finished.
    write_trained(run.folder, cohort.layout, fitted, statistics, result.checkpoint)
    notify(run.catalog.plugins, "hcat_run_finished", run.say, run_folder=run.folder.path, summary=document)
    return document


def _write_report(run: Run, result: FittedRun, predicted: Prediction, summary: RunSummary) -> None:
    from hcat_core.report.page import write_report  # imports matplotlib, which nothing else needs

    title, data = run.folder.path.resolve().name, result.data
    weights = result.checkpoint or run.folder.estimator
    inputs = ReportInputs(
        title, run.recipe.to_toml(), data.cohort, data.split, predicted, summary, today(),
        weights=weights.relative_to(run.folder.path).as_posix(),
    )  # fmt: skip
    write_report(run.folder.report, inputs)
    write_model_card(run.folder.model_card, inputs)
