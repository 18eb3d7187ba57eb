"""Captions of tables and figures on classes and numbers, each true of the run that it is given."""

from __future__ import annotations

from hcat_core.evaluation.other_baselines import FREQUENCIES, TRAINING_MEAN
from hcat_core.evaluation.other_outcomes import ClassScores, OtherScores
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.metrics.values import KnownValues
from hcat_core.report.formatting import counted
from hcat_core.report.inputs import KnownOutcomes, ReportInputs
from hcat_core.report.other_figures import MOST_POINTS


def counts(classes: bool, unit: str) -> str:
    """The caption of the table of counts."""
    if classes:
        return "Number of patients by class, as it is written in the file."
    return f"Patients whose value is known, and how the values are spread{f', in {unit}' if unit else ''}."


def too_few(outcome: str, scores: OtherScores, who: str = "test patient") -> str:
    """Why there are no figures."""
    if not scores.patients:
        return f"{outcome}: no {who} has a known outcome; performance was not measured."
    if isinstance(scores, ClassScores):
        return (
            f"{outcome}: of {counted(scores.patients, who)} with a known class too few have the "
            f"rarest one to measure how well classes are told apart ({FEWEST_OF_EACH} of each are needed)."
        )
    return (
        f"{outcome}: {counted(scores.patients, who)} with a known value: too few to measure how "
        f"good predictions are ({FEWEST_TO_RESAMPLE} are needed)."
    )


def verdicts() -> str:
    """The caption of the R2 below the verdicts."""
    return (
        "How close this model and the simple ones come to the values of the same test patients: R² is 0 "
        "for the mean of the training patients, and 1 without error. Lines are 95 % intervals. Usable: "
        "better than that mean, not worse than the best simple model, and with 90 % intervals that were "
        "not found too narrow, all beyond noise."
    )


def scores(inputs: ReportInputs, test: OtherScores) -> str:
    """The caption of the table of scores by side."""
    resamples = inputs.resampling.resamples
    units = "patients" if inputs.groups is None else "groups of records as wholes"
    optimistic = "The model was fitted to training patients: their figures are too optimistic."
    text = measures(test)
    if isinstance(test, ClassScores):
        intervals = "of the macro AUC DeLong's, of accuracy Wilson's, of the slope Wald's, of the others"
    else:
        intervals = (
            "of R² from patients' influences on it, of the share in the intervals Wilson's, of the others"
        )
    if not resamples:
        return f"{text} {optimistic} No intervals were computed: the recipe has evaluation.bootstrap = 0."
    how = f"In brackets: 95 % intervals, {intervals} from {resamples} bootstrap samples of {units}."
    return f"{text} {how} {optimistic}"


def measures(scores: OtherScores) -> str:
    """What the scores of an outcome mean."""
    if isinstance(scores, ClassScores):
        return (
            "The macro AUC is the mean of the AUCs of each class against all others: 0.5 is chance, 1 is "
            "without error. The log loss (-log of the probability of the patient's own class) and the "
            "Brier score (sum over classes of squared errors, 0 to 2) are the smaller the better. Accuracy "
            "is the share whose likeliest class is their own; balanced accuracy its mean over classes. A "
            "calibration slope below 1 means that probabilities are too extreme, above 1 too moderate."
        )
    return (
        "R² is 0 where predictions are no better than the mean of the training patients, below 0 where "
        "they are worse, and 1 where they are without error. The rank correlation is Spearman's. Nine "
        "of ten values should lie in their 90 % intervals."
    )


def by_class(who: str = "Test patients") -> str:
    """The caption of the table by class."""
    return (
        f"{who}, each class against all others: its AUC and calibration; the mean probability of "
        "the class and the share of patients of it; the share of its patients whose likeliest class it "
        "was, and the share of those with it as the likeliest class who are of it. A dash stands where ten "
        "patients of the class, or of the others, are needed and there are fewer."
    )


def confusion(patients: int, who: str = "test patient") -> str:
    """The caption of the confusion matrix."""
    return (
        f"{counted(patients, who)} by their own class (rows) and the likeliest one (columns): "
        "numbers, and shares of the row. The diagonal is right."
    )


def class_calibration(name: str, known: KnownOutcomes, who: str = "test patient") -> str:
    """The caption of one class's calibration figure."""
    units = "patients" if known.groups is None else "groups"
    return (
        f"{name}: predicted probability of the class, and the share of patients of it, among "
        f"{counted(len(known.label), who)}. Points are bins of similar predictions with "
        f"Wilson's 95 % intervals of the effective number of {units}; the smooth line is a logistic "
        "regression on the logit and its square. The grey bars show how often each probability was "
        "predicted."
    )


def predicted_observed(known: KnownValues, who: str = "test patient") -> str:
    """The caption of predicted and observed values."""
    n = len(known.observed)
    text = f"{counted(n, who)}: observed against predicted value."
    if n > MOST_POINTS:
        text = f"{MOST_POINTS} of {n} {who}s, drawn at random: observed against predicted value."
    if known.with_interval:
        text += f" Lines are 90 % intervals; {known.inside.mean():.0%} of all values lie in theirs."
    return f"{text} On the dashed line they are equal."


def baselines(test: OtherScores) -> str:
    """The caption of the comparison with simple models."""
    if isinstance(test, ClassScores):
        reference, measure = f"{FREQUENCIES}: the shares of training patients for everyone", "macro AUC"
    else:
        reference, measure = f"{TRAINING_MEAN}: the mean of training patients for everyone", "R²"
    return (
        "Simple models with default parameters, fitted to the same training patients and scored on the "
        f"same test patients ({reference}). The difference is this model's {measure} minus the other's, "
        "with a paired 95 % interval."
    )


def patterns() -> str:
    """The caption of the table by missingness pattern."""
    return "Test patients grouped by the modalities they have (●) or lack (○)."


def subsets(inputs: ReportInputs, test: OtherScores) -> str:
    """The caption of the table by subset of modalities."""
    measure = "Macro AUC" if isinstance(test, ClassScores) else "R²"
    text = (
        f"{measure} of all test patients when only the marked modalities (●) are shown to the model, which "
        "predicts in a single pass. A patient who has none of them gets the mean prediction of training "
        "patients."
    )
    found = inputs.summary.analysis.modalities
    if found is not None and found.patients != len(inputs.split.test):
        text += f" To save time these are {found.patients} of the test patients, drawn at random."
    return text
