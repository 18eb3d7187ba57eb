"""``fit``, ``load`` and ``TrainedRun``: a method fitted to a cohort, and what it says of new patients."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import pandas as pd

from hcat_core.api.catalogs import open_catalog
from hcat_core.api.cohort import Cohort
from hcat_core.api.default_method import method_for
from hcat_core.api.evaluation import CohortEvaluation, evaluation_of
from hcat_core.api.findings import warn_of
from hcat_core.api.html import facts_as_html, paragraph, table_as_html
from hcat_core.api.patients import Patients, patients_of
from hcat_core.api.prediction_frames import (
    completed_frames,
    contribution_frame,
    curve_frame,
    prediction_frame,
)
from hcat_core.api.recipes import Method, plugins_of, recipe_for
from hcat_core.api.score_frames import others_as_html, score_frame
from hcat_core.errors import UsageError
from hcat_core.evaluation.verdict import Verdict
from hcat_core.recipe.loading import declared_plugins
from hcat_core.recipe.recipe import Recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.runs import trained_run as core
from hcat_core.runs.embed import embed_patients
from hcat_core.runs.export.export import export_run
from hcat_core.runs.folder import RunFolder
from hcat_core.runs.impute import imputation_warnings, impute_patients
from hcat_core.runs.multiple_imputation import DrawPlan, draw_set
from hcat_core.runs.predict import predict_patients
from hcat_core.runs.run import run_recipe
from hcat_core.storage.folder_lock import HOLDER, LOCK
from hcat_core.storage.new_folder import held_folder


@dataclass(frozen=True, repr=False, eq=False)
class TrainedRun:
    """A method that was fitted to a cohort and evaluated on its test patients.

    Attributes:
        folder: of the run; ``hcat predict``, ``hcat evaluate`` and the other commands work on it.
        findings: what a user should know about the data it was trained on.
        run: what was fitted.
        catalog: of components.
    """

    folder: Path
    findings: tuple[str, ...]
    run: core.TrainedRun
    catalog: Catalog

    def predict(self, patients: Patients) -> pd.DataFrame:
        """The probability of each outcome for new patients, with its 90 % interval.

        Args:
            patients: DataFrames by modality, any subset of those of training, with one or more rows per
                patient; a cohort; or one DataFrame, where training had one modality.

        Returns:
            One row per patient, by id as it was written. For each outcome, columns ``p_OUTCOME_5y`` (as
            ``predictions.csv`` names it), and the same with ``_low`` and ``_high``, which are NaN where the
            method gives no interval.

        Raises:
            DataError: for frames that cannot be read, and patients without any measured value.
            UsageError: for modalities that the run does not know.
        """
        cohort = patients_of(self.run, patients, self.catalog)
        return prediction_frame(predict_patients(self.run, cohort, explain=False))

    def predict_curves(self, patients: Patients) -> pd.DataFrame:
        """The probability of each outcome by twelve times up to its horizon.

        Args:
            patients: as of ``predict``.

        Returns:
            One row per patient; columns of two levels, the outcome (``p_OUTCOME_5y``) and the days:
            ``curves["p_death_5y"]`` has a column for each time. NaN before the horizon for a method that
            gives the probability at the horizon alone; no columns for an outcome without times.
        """
        cohort = patients_of(self.run, patients, self.catalog)
        return curve_frame(predict_patients(self.run, cohort, explain=False))

    def explain(self, patients: Patients) -> pd.DataFrame:
        """What each modality contributes to each patient's probabilities (Shapley values).

        Args:
            patients: as of ``predict``.

        Returns:
            One row per patient; columns of two levels, the outcome and ``for anyone`` (the mean prediction
            of training patients) or a modality. The columns of an outcome add up to its probability.

        Raises:
            UsageError: for a run of too many modalities.
        """
        cohort = patients_of(self.run, patients, self.catalog)
        return contribution_frame(predict_patients(self.run, cohort, explain=True))

    def impute(
        self, patients: Patients, draws: int | None = None, seed: int | None = None
    ) -> dict[str, pd.DataFrame] | list[dict[str, pd.DataFrame]]:
        """The patients' modalities with what is missing filled in, in the units of the frames.

        Args:
            patients: as of ``predict``; those without any measured value are left out.
            draws: of complete sets for multiple imputation; None for one with the expected values.
            seed: of the draws; by default that of the recipe.

        Returns:
            One DataFrame per modality, or a list of ``draws`` such sets. Measured values are as they were.
            NaN where the imputer fills nothing.

        Raises:
            UsageError: for a run that imputes nothing, draws below 1, or a seed without draws.
        """
        if draws is None and seed is not None:
            raise UsageError("seed needs draws, the number of completed sets.")
        plan = None if draws is None else DrawPlan.of(self.run, draws, seed)
        cohort = patients_of(self.run, patients, self.catalog)
        warn_of(imputation_warnings(self.run, cohort))
        imputed = impute_patients(self.run, cohort)
        means = imputed.means()
        if plan is None:
            return completed_frames(imputed.cohort, means, means.emb)
        sets = (draw_set(imputed, plan.seed, number) for number in range(1, plan.draws + 1))
        return [completed_frames(imputed.cohort, means, cells) for cells in sets]

    def embed(self, patients: Patients) -> pd.DataFrame:
        """The vector by which the neural model represents each patient.

        Args:
            patients: as of ``predict``.

        Returns:
            One row per patient; columns ``m1_0``, ``m1_1``, ... of the first member of the ensemble,
            ``m2_0``, ... of the second, each in a space of its own.

        Raises:
            UsageError: for a run whose method has no such vectors.
        """
        return embed_patients(self.run, patients_of(self.run, patients, self.catalog))

    def export(self, path: str | Path) -> Path:
        """Write the fitted pipeline of a network as one file, with which torch alone predicts.

        Inputs and outputs, and what stays outside: ``docs/how-to/export.md``. Of a run with one member, the
        file holds the single pass at the imputation's mean, where ``predict`` averages draws.

        Args:
            path: of the file, which ends with ``.pt2``; a description is written beside it as ``.json``.

        Raises:
            UsageError: for a run that cannot be exported, naming the components because of which.
            StorageError: for a disk that is full or not writable.
        """
        return export_run(self.run, self.catalog, Path(path)).file

    def evaluate(self, cohort: Cohort, groups: tuple[str, ...] = ()) -> CohortEvaluation:
        """Score the run on patients that it was not trained on; nothing is fitted again.

        Args:
            cohort: with the same outcomes.
            groups: columns of its outcomes, or features, whose groups are scored separately.

        Raises:
            DataError: for a cohort without outcomes, or of other modalities or tasks.
        """
        return evaluation_of(self.run, cohort, groups)

    @property
    def recipe(self) -> Recipe:
        """What was run, with every default."""
        return self.run.recipe

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.run.folder.report

    @cached_property
    def summary(self) -> dict[str, Any]:
        """The summary of the run, as ``hcat run --json`` prints it."""
        return self.run.folder.read_plain_summary()

    @cached_property
    def _summary(self) -> dict[str, Any]:
        """The same, in which what an earlier version did not write is an error in words."""
        return self.run.folder.read_summary()

    @property
    def verdicts(self) -> dict[str, Verdict]:
        """By task: whether the predictions can be used (``word``), and why (``reasons``)."""
        listed = self._summary["verdicts"]
        return {one["task"]: Verdict(**{**one, "reasons": tuple(one["reasons"])}) for one in listed}

    @property
    def metrics(self) -> pd.DataFrame:
        """Scores of the test patients, one row for each outcome; NaN for scores of other kinds of it."""
        return score_frame(self._summary["metrics"]["test"], self._others)

    @property
    def _others(self) -> dict[str, Any]:
        """Scores of the test patients by outcome that is no event."""
        return dict(self._summary.get("other_outcomes", {}).get("test", {}))

    def save(self, folder: str | Path) -> Path:
        """Copy the run folder to a new or empty folder.

        Raises:
            UsageError: for a folder that is not empty.
            StorageError: for a disk that is full or not writable.
        """
        target = Path(folder)
        with held_folder(target) as temporary:
            shutil.copytree(
                self.folder, temporary, dirs_exist_ok=True, ignore=shutil.ignore_patterns(LOCK, HOLDER)
            )
        return target

    def __repr__(self) -> str:
        words = ", ".join(f"{task}: {verdict.word}" for task, verdict in self.verdicts.items())
        return f"TrainedRun of {self.recipe.estimator['use']} in {self.folder}; {words}"

    def _repr_html_(self) -> str:
        columns = ("patients", "events", "auc", "brier")
        rows = [
            [task, *(scores.get(name) for name in columns)]
            for task, scores in self._summary["metrics"]["test"].items()
        ]
        reasons = [f"{task}: {one.answer}. {' '.join(one.reasons)}" for task, one in self.verdicts.items()]
        return facts_as_html(
            f"{self.recipe.estimator['use']}, on test patients",
            table_as_html(["task", *columns], rows) if rows else "",
            others_as_html(self._others),
            *map(paragraph, reasons),
            findings=self.findings,
        )


def fit(
    cohort: Cohort,
    recipe: Method | None = None,
    *,
    outdir: str | Path | None = None,
    set: Mapping[str, Any] | None = None,
    progress: Callable[[str], None] | None = None,
    strict: bool = False,
) -> TrainedRun:
    """Fit a method to a cohort, and evaluate it on test patients, as ``hcat run`` does.

    Args:
        cohort: with outcomes.
        recipe: whose method is used: the name of a shipped recipe, a file, its tables as a dictionary, or a
            loaded recipe. Its cohort is left out; a network gets a head for each task of the cohort. By
            default ``small_cohort``, or ``logistic`` where an outcome has no times, which is warned of.
        outdir: the run folder, new or empty; by default a temporary one, which lasts as long as the result.
        set: changes of the recipe's keys, such as ``{"training.epochs": 5, "seed": 1}``.
        progress: shows one line of text, such as ``print``.
        strict: stop at findings about data quality.

    Raises:
        RecipeError: for a recipe that does not fit the cohort, with all problems.
        DataError: for features that give an outcome away (``set={"cohort.allow": [...]}`` allows one), and
            too few patients.
        TrainingError: for a training that cannot go on.
        StorageError: for a disk that is full or not writable.
    """
    catalog = open_catalog([plugins_of({} if recipe is None else recipe, set)])
    method = method_for(cohort, catalog)[1] if recipe is None else recipe
    made = recipe_for(cohort, method, set, catalog)
    temporary = None if outdir is not None else tempfile.mkdtemp(prefix="hcat-")
    folder = Path(temporary, "run") if temporary is not None else Path(outdir or "")
    try:
        run_recipe(
            made,
            catalog,
            outdir=folder,
            strict=strict,
            say=progress or _say_nothing,
            given=cohort.given,
        )
        run = load(folder)
    except BaseException:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)
        raise
    if temporary is not None:
        weakref.finalize(run, shutil.rmtree, temporary, ignore_errors=True)
    warn_of([finding for finding in run.findings if finding not in cohort.findings])
    return run


def load(folder: str | Path) -> TrainedRun:
    """A finished run, from its folder.

    Raises:
        UsageError: for a folder without a finished run.
        DataError: for damaged files, and those of an earlier version that lack what this one needs.
    """
    recipe = RunFolder.open(Path(folder)).recipe
    catalog = open_catalog([declared_plugins(recipe)])
    run = core.load_run(Path(folder), catalog)
    summary = run.folder.read_summary()
    return TrainedRun(Path(folder), tuple(summary["analysis"]["leakage"]["findings"]), run, catalog)


def _say_nothing(message: str) -> None:
    pass
