"""How many patients a prediction model needs at least, and whether a cohort has them.

The criteria are those of Riley et al. for a binary outcome at a horizon (Statistics in Medicine 2019;
38:1276, BMJ 2020; 368:m441). They ask for the number of candidate predictor parameters, which a
regularised model of embeddings does not have. Here it is one for each modality: the smallest model that
uses all of them. The answer is therefore a lower bound; a model of single features needs more.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.metrics.censoring import known_weights
from hcat_core.metrics.fewest import FEWEST_OF_EACH
from hcat_core.metrics.resampling import group_numbers, rarer_outcome

SHRINKAGE = 0.9  # of the effects, that a model should not have to fall below
OPTIMISM = 0.05  # in Nagelkerke's R2
MARGIN = 0.05  # of error of the overall risk, at 95 %
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
        if not self.enough:
            return f"{has}: even {needs} (Riley et al. 2020). Scores will not be reliable."
        return f"{has}; {needs}, a larger model more (Riley et al. 2020)."


def check_sample_size(cohort: Cohort) -> list[SampleSize]:
    """Count the patients of each task, and say how many are needed; empty without targets.

    The whole cohort counts, although a model is trained on a part of it: a cohort that is too small as a
    whole is too small. The outcome is that at the horizon, of patients in whom it is known; its proportion
    is weighted for censoring.
    """
    if cohort.targets is None:
        return []
    modalities = max(1, int(cohort.present.any(dim=0).sum()))
    groups, result = group_numbers(cohort.groups), []
    for column, task in enumerate(cohort.layout.tasks):
        labels = cohort.targets.labels[:, column].numpy()
        weights = known_weights(cohort.targets, column, task.horizon_days, cohort.targets)
        known, events = int((labels >= 0).sum()), int((labels == 1).sum())
        proportion = float(np.average(labels == 1, weights=weights)) if known else None
        needed = minimum_patients(proportion, modalities) if proportion and 0 < events < known else None
        result.append(
            SampleSize(
                task=task.name,
                patients=known,
                events=events,
                rarer_outcome=rarer_outcome(labels, groups),
                proportion=proportion,
                parameters=modalities,
                patients_needed=needed,
            )
        )
    return result


def sample_size_warnings(cohort: Cohort) -> list[str]:
    """A sentence for each task for which the cohort is too small."""
    return [size.message for size in check_sample_size(cohort) if not size.enough]


def _count(number: int, what: str) -> str:
    return f"{number} {what}" if number == 1 else f"{number} {what}s"
