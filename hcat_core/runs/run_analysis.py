"""A closer look at the test patients of a run: patterns, modalities, imputation, gates, simple models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from hcat_core.cohort import Cohort
from hcat_core.data.standardisation import Standardiser
from hcat_core.evaluation.analysis import analyse_modalities, score_patterns
from hcat_core.evaluation.baselines import score_baselines
from hcat_core.evaluation.drawn_patients import MOST_ANALYSED, MOST_FOR_CLOSED_FORM, drawn
from hcat_core.evaluation.gates import GateSummary, summarise_gates
from hcat_core.evaluation.imputation_quality import CLOSED_FORM, analyse_imputation, closed_form_imputer
from hcat_core.evaluation.scores import ScoringSettings
from hcat_core.evaluation.summary import Analysis
from hcat_core.interfaces import GatedEstimator, Imputation, ImputingEstimator, Prediction
from hcat_core.runs.run_records import FittedRun, Run
from hcat_core.runs.trained_run import TrainingStatistics


def analyse_run(
    run: Run,
    result: FittedRun,
    statistics: TrainingStatistics,
    predicted: Prediction,
    settings: ScoringSettings,
) -> Analysis:
    """Look closer at test patients; a part that cannot be computed is left out."""
    recipe, fitted, data = run.recipe, result.fitted, result.data
    cohort, split = data.cohort, data.split
    analysis = Analysis(
        findings=list(data.findings),
        allowed=list(recipe.cohort.allow),
        leaks=data.leaks,
        quality=data.quality,
    )
    if not len(split.test):
        return analysis
    test, imputation = cohort[split.test], None
    analysed = drawn(test, MOST_ANALYSED, recipe.seed)
    run.say("looking at patterns and modalities")
    gates = None
    patterns = score_patterns(test, predicted[split.test.numpy()], settings)
    # Shapley values start at the mean prediction of the single-pass predictor that they explain.
    base_rate = fitted.predict_once(cohort[split.train]).mean(axis=0)
    modalities = analyse_modalities(fitted.predict_once, analysed, base_rate, settings)
    if isinstance(fitted.estimator, ImputingEstimator):
        estimator, standardiser = fitted.estimator, statistics.standardiser
        closed_form = closed_form_imputer(recipe, run.catalog, cohort)
        beside = "" if closed_form is None else f", and fitting {CLOSED_FORM} to score it beside"
        run.say(f"scoring the imputer on hidden blocks{beside}")
        imputation = analyse_imputation(
            estimator.impute,
            drawn(cohort[split.train], MOST_FOR_CLOSED_FORM, recipe.seed),
            analysed,
            standardiser,
            closed_form,
            settings.resampling(analysed),
        )
        if isinstance(estimator, GatedEstimator):
            gates = _summarise_gates(estimator, estimator.impute(analysed), analysed, standardiser)
        # The mean is no better than itself.
        warning = None if recipe.imputer.get("use") == "mean" else imputation.warning()
        if warning is not None:
            run.say(warning)
            analysis = replace(analysis, findings=[*analysis.findings, warning])
    baselines = score_baselines(recipe, run.catalog, cohort, split, predicted, result.context)
    return replace(
        analysis,
        patterns=patterns,
        modalities=modalities,
        imputation=imputation,
        gates=gates,
        baselines=baselines.events,
        other_baselines=baselines.others,
    )


def _summarise_gates(
    estimator: GatedEstimator, imputation: Imputation, test: Cohort, standardiser: Standardiser
) -> Mapping[str, GateSummary] | None:
    """The gates of test patients by modality; None where the estimator has none."""
    gates = estimator.gates(test.without_targets())
    if gates is None:
        return None
    filled = imputation.filled & ~test.present.unsqueeze(-1)
    std = (imputation.std / standardiser.scale * filled).sum(dim=2) / filled.sum(dim=2).clamp_min(1)
    return summarise_gates(gates, std, test)
