"""Counts of a cohort: patients, modalities, missingness patterns, outcomes, sides of a split."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from hcat_core.cohort import Cohort
from hcat_core.data.assembly import ModalityReport, ReadReport
from hcat_core.data.missingness_patterns import count_patterns
from hcat_core.data.splits import Split
from hcat_core.metrics.classes import class_numbers
from hcat_core.metrics.survival import causes
from hcat_core.reading import DescribingReader, Reader
from hcat_core.text.counted import counted


@dataclass(frozen=True)
class OutcomeCounts:
    """Patients of one task by their outcome at the horizon."""

    event: int
    event_free: int
    unknown: int


@dataclass(frozen=True)
class ClassCounts:
    """Patients of one outcome of classes, by class as written in the file."""

    classes: Mapping[str, int]
    unknown: int


@dataclass(frozen=True)
class ValueCounts:
    """Patients of one outcome that is a number, and its distribution; None where no value is known."""

    known: int
    unknown: int
    mean: float | None
    sd: float | None
    lowest: float | None
    highest: float | None
    unit: str


OtherCounts = ClassCounts | ValueCounts


@dataclass(frozen=True)
class SideCounts:
    """Patients on one side of a split, with their events by task, and other outcomes by name."""

    patients: int
    labels: Mapping[str, OutcomeCounts]
    others: Mapping[str, OtherCounts] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document."""
        document = {"patients": self.patients, "labels": _plain(self.labels)}
        return document | ({"other_outcomes": _plain(self.others)} if self.others else {})


@dataclass(frozen=True)
class CohortCounts:
    """Counts of the cohort of a run.

    Attributes:
        patients: with at least one modality.
        patients_without_modality: left out.
        modalities: what each modality's file held.
        labels: events by task.
        competing_first: by task that has a competing one, patients with the competing event first.
        split: counts of the training, validation and test patients.
        others: outcomes that are no events, by name.
    """

    patients: int
    patients_without_modality: int
    modalities: Sequence[ModalityReport]
    labels: Mapping[str, OutcomeCounts]
    competing_first: Mapping[str, int]
    split: Mapping[str, SideCounts]
    others: Mapping[str, OtherCounts] = field(default_factory=dict)

    def as_json(self) -> dict[str, object]:
        """The record for a JSON document."""
        document: dict[str, object] = {
            "patients": self.patients,
            "patients_without_modality": self.patients_without_modality,
            "modalities": {
                m.name: {
                    "source": m.source,
                    "width": m.width,
                    "patients": m.patients,
                    "rows": m.rows,
                    "cells_not_measured": m.cells_not_measured,
                }
                for m in self.modalities
            },
            "labels": _plain(self.labels),
            "competing_first": dict(self.competing_first),
            "split": {side: counts.as_json() for side, counts in self.split.items()},
        }
        return document | ({"other_outcomes": _plain(self.others)} if self.others else {})


def _plain(counts: Mapping[str, OutcomeCounts | OtherCounts]) -> dict[str, dict[str, object]]:
    return {name: asdict(one) for name, one in counts.items()}


def count_outcomes(cohort: Cohort) -> dict[str, OutcomeCounts]:
    """Count patients with the event, event-free and unknown, by task of an event; empty without targets."""
    if cohort.targets is None:
        return {}
    return {
        cohort.layout.tasks[column].name: OutcomeCounts(
            event=int((cohort.targets.labels[:, column] == 1).sum()),
            event_free=int((cohort.targets.labels[:, column] == 0).sum()),
            unknown=int((cohort.targets.labels[:, column] == -1).sum()),
        )
        for column in cohort.layout.event_columns
    }


def count_others(cohort: Cohort) -> dict[str, OtherCounts]:
    """Count patients by class, and describe numbers, by outcome that is no event; empty without targets."""
    counts: dict[str, OtherCounts] = {}
    for outcome in cohort.layout.outcomes if cohort.targets is not None else ():
        assert cohort.targets is not None
        if outcome.kind == "class":
            label = class_numbers(cohort.targets.labels[:, list(outcome.columns)].numpy())
            names = [cohort.layout.tasks[column].class_name for column in outcome.columns]
            by_class = {name: int((label == place).sum()) for place, name in enumerate(names)}
            counts[outcome.name] = ClassCounts(by_class, int((label < 0).sum()))
        elif outcome.kind == "continuous":
            column = outcome.columns[0]
            counts[outcome.name] = _describe(
                cohort.targets.values_of(column), cohort.layout.tasks[column].unit
            )
    return counts


def _describe(values: np.ndarray, unit: str) -> ValueCounts:
    known = values[np.isfinite(values)]
    unknown = len(values) - len(known)
    if not len(known):
        return ValueCounts(0, unknown, None, None, None, None, unit)
    sd = float(known.std(ddof=1)) if len(known) > 1 else None
    mean, low, high = (float(one) for one in (known.mean(), known.min(), known.max()))
    return ValueCounts(len(known), unknown, mean, sd, low, high, unit)


def count_competing_first(cohort: Cohort) -> dict[str, int]:
    """Count patients with the competing event first, by task that has a competing one."""
    layout, counts = cohort.layout, {}
    if cohort.targets is None:
        return {}
    for column, task in enumerate(layout.tasks):
        if task.competing is not None:
            _, _, cause = causes(cohort.targets, column)
            counts[task.name] = int((cause == 2).sum())
    return counts


def count_cohort(cohort: Cohort, report: ReadReport, split: Split) -> CohortCounts:
    """Count the patients of a run, as its summary gives them."""
    return CohortCounts(
        patients=len(cohort),
        patients_without_modality=report.patients_without_modality,
        modalities=report.modalities,
        labels=count_outcomes(cohort),
        competing_first=count_competing_first(cohort),
        split={
            side: SideCounts(len(rows), count_outcomes(cohort[rows]), count_others(cohort[rows]))
            for side, rows in split.parts.items()
        },
        others=count_others(cohort),
    )


def describe_cohort(cohort: Cohort, report: ReadReport, split: Split) -> str:
    """Describe the cohort in one line, for the user, before training starts."""
    complete = int(cohort.present.all(dim=1).sum())
    has = ", ".join(f"{m.name} {m.patients}" for m in report.modalities)
    sides = ", ".join(f"{len(rows)} {side}" for side, rows in split.parts.items())
    text = f"{counted(len(cohort), 'patient')}, {complete} with every modality ({has}); {sides}"
    if report.patients_without_modality:
        text += f"; {report.patients_without_modality} without any modality are left out"
    return text


def describe_readers(readers: Mapping[str, Reader]) -> dict[str, str]:
    """How each reader that can describe it recognised the layout of its file, by modality."""
    return {name: r.describe() for name, r in readers.items() if isinstance(r, DescribingReader)}


def inspect_cohort(cohort: Cohort, report: ReadReport, layouts: Mapping[str, str]) -> dict[str, object]:
    """Make the JSON document of ``hcat inspect``: counts alone, no patient ids.

    Args:
        cohort: N patients.
        report: of reading it.
        layouts: of ``describe_readers``.
    """
    n = len(cohort)
    counts = count_outcomes(cohort)
    return {
        "patients": n,
        "fingerprint": cohort.fingerprint(),
        "complete": int(cohort.present.all(dim=1).sum()),
        "patients_without_modality": report.patients_without_modality,
        "modality_names": list(cohort.layout.names),
        "absent": list(cohort.layout.absent),
        "modalities": [
            {
                "name": m.name,
                "source": m.source,
                "layout": layouts.get(m.name),
                "width": m.width,
                "patients": m.patients,
                "share": m.patients / n,
                "rows": m.rows,
                "cells_not_measured": m.cells_not_measured,
                "share_not_measured": m.cells_not_measured / max(1, m.rows * m.width),
                "within_variance": m.within_variance,
            }
            for m in report.modalities
        ],
        "patterns": [
            {"present": list(pattern), "patients": patients}
            for pattern, patients in count_patterns(cohort.present)
        ],
        "tasks": [
            {"name": task.name, "horizon_days": task.horizon_days, **asdict(counts[task.name])}
            for task in cohort.layout.tasks
            if task.name in counts
        ],
        "other_outcomes": _plain(count_others(cohort)),
        "competing_first": count_competing_first(cohort),
        "targets_source": report.targets_source,
    }
