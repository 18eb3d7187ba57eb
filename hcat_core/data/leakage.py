"""Features that know the outcome: refused by name, and by how well one alone tells it (SCIENCE trap 9)."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

import numpy as np
import torch
from scipy.stats import rankdata
from torch import Tensor

from hcat_core.cohort import Cohort
from hcat_core.data.schema import TargetsTable
from hcat_core.errors import DataError

MOST_AUC = 0.95
FEWEST = 10  # patients of either outcome: below, a feature may look that good by chance
FOLLOW_UP = re.compile(
    r"^days?_(to|until)_|^time_(to|until)_|follow_?up|last_(info|information|contact|visit|seen|known)"
    r"|(^|_)(survival|survived|vital|death|deceased|dead|recur|recurred|recurrence|relapse"
    r"|progress|progressed|progression)"
    r"(_(status|event|time|label|date|cause|with_cause|days|months|years|tte))?(_\d+)?$"
    r"|(^|_)survival_status|^(os|pfs|dfs|dss|rfs|efs)(_|$)"
    # From the start of the name: "primarily_metastasis_1" is a category of what was known at diagnosis.
    r"|^(distant_)?metasta(sis|ses)(_[1-9]\d*|(_\d+)?_(location|site)s?)$"
    # Not any "_free": PSA, thyroxine and cortisol are measured free.
    r"|(^|_)(recurrence|relapse|progression|disease|event|failure|metasta(sis|ses))_free(_|$)"
    r"|_free_(survival|days|months|years)(_|$)"
    r"|^(fu|futime|fustat|fu_(time|stat|status|days|months|years))$|^(is_|was_)?(alive|censored|censoring)$"
    r"|(^|_)time_to_event(_|$)|^tte(_(status|event|label|days|months|years))?(_\d+)?$"
)


@dataclass(frozen=True)
class Leak:
    """One suspicious feature: ``reason`` is a clause for a message; ``auc`` where that gave it away."""

    modality: str
    feature: str
    reason: str
    auc: float | None = None


def find_leaks(
    cohort: Cohort, train: Tensor, targets: TargetsTable | None, allow: Collection[str] = ()
) -> list[Leak]:
    """Features with a follow-up's name, and those that alone tell an outcome on training rows.

    What tells may be a feature's value, whether it was measured, or whether the modality was.

    Args:
        cohort: everyone; names of features come from the files, where these have them.
        train: row numbers of training patients: no other patient is looked at.
        targets: the recipe's outcome columns, which are no features either.
        allow: names to pass.
    """
    outcome_columns = set()
    for task in targets.tasks.values() if targets is not None else ():
        outcome_columns |= {c for c in (task.label, task.time, task.event) if c is not None}
    leaks = []
    for column, modality in enumerate(cohort.layout.modalities):
        for place in range(modality.width):
            name = modality.feature(place)
            if name in allow:
                continue
            names = _columns(name)
            if modality.features and not outcome_columns.isdisjoint(names):
                leaks.append(Leak(modality.name, name, "is an outcome column of cohort.targets"))
            elif modality.features and any(FOLLOW_UP.search(_plain(text)) for text in names):
                leaks.append(Leak(modality.name, name, "has the name of a follow-up column"))
        for gap, auc, task_name in _telling_gaps(cohort[train], column):
            name = modality.name if gap is None else modality.feature(gap)
            if name not in allow:
                reason = f"is measured of those whom {task_name} tells apart: AUC {auc:.3f} of having it"
                leaks.append(Leak(modality.name, name, reason, auc))
        told = {leak.feature for leak in leaks if leak.modality == modality.name}
        for place, (auc, task_name) in _single_feature_aucs(cohort[train], column).items():
            name = modality.feature(place)
            if name not in told and name not in allow:
                reason = f"alone tells {task_name} with AUC {auc:.3f} on training patients"
                leaks.append(Leak(modality.name, name, reason, auc))
    return leaks


def refuse_leaks(
    cohort: Cohort, train: Tensor, targets: TargetsTable | None, allow: Collection[str] = ()
) -> None:
    """Stop where a feature knows the outcome.

    Raises:
        DataError: naming every such feature, and how to go on.
    """
    leaks = find_leaks(cohort, train, targets, allow)
    if not leaks:
        return
    lines = [f"  {leak.modality}: {leak.feature} {leak.reason}" for leak in leaks[:20]]
    if len(leaks) > 20:
        lines.append(f"  and {len(leaks) - 20} more")
    names = ", ".join(f'"{leak.feature}"' for leak in leaks[:3])
    raise DataError(
        "features that know the outcome:\n"
        + "\n".join(lines)
        + "\nLeave them out of the file. What is known before the outcome may pass: "
        + f"cohort.allow = [{names}]"
    )


def _columns(name: str) -> list[str]:
    """The feature's name, and that of the column it is one value of, as in ``vital_status=dead``."""
    return [name, *(name[:place] for place, letter in enumerate(name) if letter == "=")]


def _plain(name: str) -> str:
    return re.sub(r"[\s\-./]+", "_", name.strip().lower())


def _telling_gaps(train: Cohort, column: int) -> list[tuple[int | None, float, str]]:
    """Where having a modality (None), or a cell of it, tells a task's outcome: AUC above ``MOST_AUC``."""
    if train.targets is None:
        return []
    found = []
    width = train.layout.widths[column]
    has = torch.cat([train.present[:, column, None], train.measured[:, column, :width]], dim=1).numpy()
    for task, name in enumerate(train.layout.task_names):
        label = train.targets.labels[:, task].numpy()
        events, free = label == 1, label == 0
        if min(events.sum(), free.sum()) < FEWEST:
            continue
        # Of two values, half of the pairs that agree count.
        auc = 0.5 + (has[events].mean(axis=0) - has[free].mean(axis=0)) / 2
        auc = np.maximum(auc, 1 - auc)
        places = np.flatnonzero(auc > MOST_AUC)
        if 0 in places:  # of cells that go with the modality nothing is left to say
            places = places[:1]
        found += [(None if place == 0 else int(place) - 1, float(auc[place]), name) for place in places]
    return found


def _single_feature_aucs(train: Cohort, column: int) -> dict[int, tuple[float, str]]:
    """Features of one modality whose AUC, in either direction, passes ``MOST_AUC``; the task it is of."""
    if train.targets is None:
        return {}
    found: dict[int, tuple[float, str]] = {}
    width = train.layout.widths[column]
    values = train.emb[:, column, :width].numpy()
    measured = train.measured[:, column, :width].numpy()
    for task, name in enumerate(train.layout.task_names):
        label = train.targets.labels[:, task].numpy()
        rows = (label >= 0) & measured.any(axis=1)
        x, y, has = values[rows], label[rows] == 1, measured[rows]
        # Patients without the cell rank above everyone; leaving them out keeps the ranks of the rest.
        ranks = rankdata(np.where(has, x, np.inf), axis=0) if len(x) else x
        events, free = (has & y[:, None]).sum(axis=0), (has & ~y[:, None]).sum(axis=0)
        won = (ranks * (has & y[:, None])).sum(axis=0) - events * (events + 1) / 2
        auc = won / np.maximum(events * free, 1)
        auc = np.maximum(auc, 1 - auc)
        for place in np.flatnonzero((auc > MOST_AUC) & (events >= FEWEST) & (free >= FEWEST)):
            if auc[place] > found.get(int(place), (0.0, ""))[0]:
                found[int(place)] = (float(auc[place]), name)
    return found
