"""How many patients a prediction model needs at least, and whether a cohort has them.

The criteria are those of Riley et al. for a binary outcome at a horizon (Statistics in Medicine 2019;
38:1276, BMJ 2020; 368:m441). An outcome of classes needs what its most demanding class needs against all
others. For a number it is one criterion of theirs (Statistics in Medicine 2019; 38:1262), that the standard
deviation of the error is known to within a tenth. They ask for the number of candidate predictor
parameters, which a regularised model of embeddings does not have. Here it is one for each modality: the
smallest model that uses all of them. The answer is therefore a lower bound; a model of single features
needs more.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from hcat_core.cohort import Cohort, Targets
from hcat_core.layout import Outcome
from hcat_core.metrics.censoring import known_weights
from hcat_core.metrics.classes import class_numbers
from hcat_core.metrics.fewest import FEWEST_OF_EACH, FEWEST_TO_RESAMPLE
from hcat_core.metrics.resampling import group_numbers, rarer_outcome, units_of_each

SHRINKAGE = 0.9  # of the effects, that a model should not have to fall below
OPTIMISM = 0.05  # in Nagelkerke's R2
MARGIN = 0.05  # of error of the overall risk, at 95 %
FOR_ERROR = 234  # patients beyond the parameters, for the standard deviation of a number's error
EXPLAINED = 0.15  # of the highest possible R2, where nothing is known (Riley et al. 2020)


def highest_r_squared(proportion: float) -> float:
    """The highest Cox-Snell R2 that a model of an outcome with this proportion of events can have."""
    null = proportion * math.log(proportion) + (1 - proportion) * math.log(1 - proportion)
    return 1 - math.exp(2 * null)


def minimum_patients(proportion: float, parameters: int, r_squared: float | None = None) -> int:
    """The fewest patients for a model of a binary outcome: the largest of the answers to three criteria.

    1. Effects have to be shrunk by at most a tenth, against overfitting.
    2. The apparent R2 is at most .05 too high, as a share of the highest possible one.
    3. The overall risk is known to within .05.

    Args:
        proportion: of events, between 0 and 1.
        parameters: candidate predictor parameters.
        r_squared: anticipated Cox-Snell R2; 15 % of the highest possible one where not given.

    Raises:
        ValueError: for a proportion that is not between 0 and 1, or an R2 that cannot be reached.
    """
    if not 0 < proportion < 1:
        raise ValueError(f"the proportion of events must be between 0 and 1, got {proportion}")
    highest = highest_r_squared(proportion)
    r2 = EXPLAINED * highest if r_squared is None else r_squared
    if not 0 < r2 < min(highest, SHRINKAGE):
        raise ValueError(f"R2 must be between 0 and {min(highest, SHRINKAGE):.3f}, got {r2}")

    def to_shrink_by(shrinkage: float) -> int:
        return math.ceil(parameters / ((shrinkage - 1) * math.log(1 - r2 / shrinkage)))

    overall_risk = math.ceil((1.96 / MARGIN) ** 2 * proportion * (1 - proportion))
    return max(to_shrink_by(SHRINKAGE), to_shrink_by(r2 / (r2 + OPTIMISM * highest)), overall_risk)


@dataclass(frozen=True)
class SampleSize:
    """Patients of one task, and how many a model of it needs at least.

    Attributes:
        task: its name.
        patients: with a known outcome at the horizon.
        events: of them.
        rarer_outcome: patients, or groups, with the rarer outcome.
        proportion: of events, weighted for censoring; None without a known outcome.
        parameters: of the smallest model, one for each modality that any patient has.
        patients_needed: None where there are no events, or only events.
    """

    task: str
    patients: int
    events: int
    rarer_outcome: int
    proportion: float | None
    parameters: int
    patients_needed: int | None

    @property
    def events_needed(self) -> int | None:
        """How many of the patients that are needed have the event."""
        if self.patients_needed is None or self.proportion is None:
            return None
        return math.ceil(self.patients_needed * self.proportion)

    @property
    def enough(self) -> bool:
        """Whether the cohort as a whole has the patients that are needed, and can be evaluated."""
        if self.patients_needed is None or not self.can_be_evaluated:
            return False
        return self.patients >= self.patients_needed

    @property
    def can_be_evaluated(self) -> bool:
        """Whether ten patients, or groups, have the event and ten are event-free."""
        return self.rarer_outcome >= FEWEST_OF_EACH

    def as_json(self) -> dict[str, object]:
        """The record and what it says, for a JSON document."""
        derived = {"events_needed": self.events_needed, "enough": self.enough, "message": self.message}
        return {**asdict(self), **derived}

    @property
    def message(self) -> str:
        """One sentence for the user."""
        has = f"{self.task}: {_count(self.events, 'event')} among {_count(self.patients, 'patient')}"
        has += " with a known outcome"
        if self.patients_needed is None:
            return f"{has}: nothing can be learned or evaluated."
        needs = (
            f"a model with one predictor per modality ({self.parameters}) needs {self.patients_needed} "
            f"patients, {self.events_needed} of them with the event"
        )
        if not self.can_be_evaluated:
            return (
                f"{has}: too few to evaluate any model, which takes {FEWEST_OF_EACH} of either outcome. "
                f"Even {needs} (Riley et al. 2020)."
            )
        return _has_and_needs(has, needs, self.enough)


@dataclass(frozen=True)
class ClassSampleSize:
    """Patients of one outcome of classes, and how many a model of it needs at least.

    Attributes:
        task: the outcome's name.
        patients: whose class is known.
        classes: number of patients by class.
        rarest_class: patients, or groups, of the rarest class.
        parameters: of the smallest model, for each class.
        patients_needed: by the most demanding class; None where a class has none or all patients.
    """

    task: str
    patients: int
    classes: dict[str, int]
    rarest_class: int
    parameters: int
    patients_needed: int | None

    @property
    def enough(self) -> bool:
        """Whether the cohort has the patients that are needed, and ten of each class."""
        needed = self.patients_needed
        return needed is not None and self.rarest_class >= FEWEST_OF_EACH and self.patients >= needed

    def as_json(self) -> dict[str, object]:
        """The record and what it says, for a JSON document."""
        return {**asdict(self), "enough": self.enough, "message": self.message}

    @property
    def message(self) -> str:
        """One sentence for the user."""
        counts = ", ".join(f"{number} {name}" for name, number in self.classes.items())
        has = f"{self.task}: {_count(self.patients, 'patient')} with a known class ({counts})"
        if self.patients_needed is None:
            return f"{has}: a class without patients can neither be learned nor evaluated."
        needs = (
            f"a model with one predictor per modality ({self.parameters}) for each class needs "
            f"{self.patients_needed} patients"
        )
        if self.rarest_class < FEWEST_OF_EACH:
            return (
                f"{has}: too few of the rarest class to evaluate any model, which takes {FEWEST_OF_EACH}."
            )
        return _has_and_needs(has, needs, self.enough)


@dataclass(frozen=True)
class ValueSampleSize:
    """Patients of one number, and how many a model of it needs at least.

    Attributes:
        task: the outcome's name.
        patients: whose value is known; with groups, the number of groups.
        parameters: of the smallest model.
        patients_needed: at least.
    """

    task: str
    patients: int
    parameters: int
    patients_needed: int

    @property
    def enough(self) -> bool:
        """Whether the cohort has the patients that are needed."""
        return self.patients >= self.patients_needed

    def as_json(self) -> dict[str, object]:
        """The record and what it says, for a JSON document."""
        return {**asdict(self), "enough": self.enough, "message": self.message}

    @property
    def message(self) -> str:
        """One sentence for the user."""
        has = f"{self.task}: {_count(self.patients, 'patient')} with a known value"
        if self.patients < FEWEST_TO_RESAMPLE:
            return f"{has}: too few to evaluate any model, which takes {FEWEST_TO_RESAMPLE}."
        needs = (
            f"a model with one predictor per modality ({self.parameters}) needs {self.patients_needed} "
            "patients, for its typical error to be known to within a tenth (Riley et al. 2019)"
        )
        return f"{has}; {needs}." if self.enough else f"{has}: even {needs}. Scores will not be reliable."


AnySampleSize = SampleSize | ClassSampleSize | ValueSampleSize


def check_sample_size(cohort: Cohort) -> list[AnySampleSize]:
    """Count the patients of each outcome, and say how many are needed; empty without targets.

    The whole cohort counts, although a model is trained on a part of it: a cohort that is too small as a
    whole is too small. The outcome is that at the horizon, of patients in whom it is known; its proportion
    is weighted for censoring.
    """
    if cohort.targets is None:
        return []
    sizes: list[AnySampleSize] = []
    for outcome in cohort.layout.outcomes:
        if outcome.kind == "class":
            sizes.append(_of_classes(cohort, cohort.targets, outcome))
        elif outcome.kind == "continuous":
            sizes.append(_of_value(cohort, cohort.targets, outcome))
        else:
            sizes.append(_of_event(cohort, cohort.targets, outcome.columns[0]))
    return sizes


def _parameters(cohort: Cohort) -> int:
    """Of the smallest model: one for each modality that any patient has."""
    return max(1, int(cohort.present.any(dim=0).sum()))


def _of_event(cohort: Cohort, targets: Targets, column: int) -> SampleSize:
    task, labels = cohort.layout.tasks[column], targets.labels[:, column].numpy()
    weights = known_weights(targets, column, task.horizon_days, targets)
    known, events = int((labels >= 0).sum()), int((labels == 1).sum())
    proportion = float(np.average(labels == 1, weights=weights)) if known else None
    parameters = _parameters(cohort)
    return SampleSize(
        task=task.name,
        patients=known,
        events=events,
        rarer_outcome=rarer_outcome(labels, group_numbers(cohort.groups)),
        proportion=proportion,
        parameters=parameters,
        patients_needed=(
            minimum_patients(proportion, parameters) if proportion and 0 < events < known else None
        ),
    )


def _of_classes(cohort: Cohort, targets: Targets, outcome: Outcome) -> ClassSampleSize:
    label = class_numbers(targets.labels[:, list(outcome.columns)].numpy())
    known, parameters = int((label >= 0).sum()), _parameters(cohort)
    counts = np.bincount(label[label >= 0], minlength=len(outcome.columns))
    there = 0 < counts.min() and counts.max() < known
    units = units_of_each(label, group_numbers(cohort.groups)).values()
    names = [cohort.layout.tasks[column].class_name for column in outcome.columns]
    return ClassSampleSize(
        task=outcome.name,
        patients=known,
        classes=dict(zip(names, counts.tolist(), strict=True)),
        rarest_class=min(units) if there else 0,
        parameters=parameters,
        patients_needed=(
            max(minimum_patients(count / known, parameters) for count in counts) if there else None
        ),
    )


def _of_value(cohort: Cohort, targets: Targets, outcome: Outcome) -> ValueSampleSize:
    known, groups = np.isfinite(targets.values_of(outcome.columns[0])), group_numbers(cohort.groups)
    patients = int(known.sum()) if groups is None else len(np.unique(groups[known]))
    parameters = _parameters(cohort)
    return ValueSampleSize(outcome.name, patients, parameters, FOR_ERROR + parameters)


def sample_size_warnings(cohort: Cohort) -> list[str]:
    """A sentence for each outcome for which the cohort is too small."""
    return [size.message for size in check_sample_size(cohort) if not size.enough]


def _has_and_needs(has: str, needs: str, enough: bool) -> str:
    """The sentence on a cohort that can be evaluated."""
    if not enough:
        return f"{has}: even {needs} (Riley et al. 2020). Scores will not be reliable."
    return f"{has}; {needs}, a larger model more (Riley et al. 2020)."


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
