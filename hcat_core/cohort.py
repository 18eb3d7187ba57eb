"""``Cohort``: the one structure that flows from reader to report. A batch is a Cohort too.

Axes everywhere: N patients, M modalities, D the widest modality, T tasks.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

CURVE_STEPS = 12
SLICE = 4096  # patients
TaskKind = Literal["event", "class", "continuous"]


@dataclass(frozen=True)
class Modality:
    """One kind of embedding: its name, its width, and the names of its features if known."""

    name: str
    width: int
    features: tuple[str, ...] = ()

    def feature(self, column: int) -> str:
        """The name of a column for messages."""
        return self.features[column] if self.features else f"{self.name}[{column}]"


@dataclass(frozen=True)
class Task:
    """One column of outcomes: an event within ``horizon_days``, a property without a time, or a number.

    An outcome of several classes, such as a subtype, is one column for each class: 1 for patients of the
    class, 0 for those of another. Whatever predicts or scores events does so for these columns too, and
    ``Layout.outcomes`` says which belong together.

    Attributes:
        name: of the task.
        horizon_days: until when the event counts; None for a task of labels that no time belongs to, such
            as a mutation.
        outcome: name of the event, for output.
        competing: the task whose event, if it comes first, makes this one impossible.
        times: columns of time and event; tasks that share them have several horizons of one event. None
            where only labels are known.
        kind: ``event`` for an event or a property of two values, ``class`` for one class of several,
            ``continuous`` for a number, which has no labels but ``Targets.values``.
        family: of a class, the name of the outcome that it is a class of.
        category: of a class, its value as written in the file.
        unit: of a number, for output: ``years``; empty where it has none.
    """

    name: str
    horizon_days: float | None
    outcome: str
    competing: str | None = None
    times: tuple[str, str] | None = None
    kind: TaskKind = "event"
    family: str | None = None
    category: str | None = None
    unit: str = ""

    @property
    def output_name(self) -> str:
        """The name of the column of predictions: ``p_death_5y``, ``p_msi``, ``p_subtype_luad``, ``age``.

        Those that begin with ``p_`` are probabilities; that of a number is the expected value in its unit.
        """
        if self.kind == "continuous":
            return self.outcome
        if self.horizon_days is None:
            return f"p_{self.outcome}"
        years = self.horizon_days / 365.25
        if abs(years - round(years)) * 365.25 <= 2:
            return f"p_{self.outcome}_{round(years)}y"
        return f"p_{self.outcome}_{round(self.horizon_days)}d"

    @property
    def horizon(self) -> float:
        """``horizon_days`` of a task with times, which always has one.

        Raises:
            ValueError: for a task without a horizon.
        """
        if self.horizon_days is None:
            raise ValueError(f"the task {self.name} has no horizon: no time belongs to its labels")
        return self.horizon_days

    @property
    def horizons(self) -> tuple[float, ...]:
        """The horizon that a head is asked for; none for a task without one."""
        return () if self.horizon_days is None else (self.horizon_days,)

    @property
    def within(self) -> str:
        """`` within 1826 days`` for sentences; nothing without a horizon."""
        return "" if self.horizon_days is None else f" within {self.horizon_days:g} days"

    @property
    def class_name(self) -> str:
        """Of a class, its value as written in the file; of any other task, its name."""
        return self.name if self.category is None else self.category

    @property
    def curve_days(self) -> tuple[float, ...]:
        """The times of a risk curve: twelve equal steps up to the horizon; none without a horizon."""
        if self.horizon_days is None:
            return ()
        return tuple(self.horizon_days * step / CURVE_STEPS for step in range(1, CURVE_STEPS + 1))


@dataclass(frozen=True)
class Outcome:
    """One outcome of a recipe, and its columns among the T tasks: several for an outcome of classes.

    Attributes:
        name: as in ``cohort.targets.tasks``, and that by which heads name it.
        kind: of its tasks.
        columns: places of its tasks in the task axis, in order.
    """

    name: str
    kind: TaskKind
    columns: tuple[int, ...]


@dataclass(frozen=True)
class Layout:
    """What the axes mean: modalities in recipe order, and tasks.

    ``absent`` names modalities of the recipe that have no file in this run.
    """

    modalities: tuple[Modality, ...]
    tasks: tuple[Task, ...] = ()
    absent: tuple[str, ...] = ()

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The modalities' names, in order."""
        return tuple(m.name for m in self.modalities)

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """The modalities' widths, in order; cells beyond a width are padding."""
        return tuple(m.width for m in self.modalities)

    @property
    def widest(self) -> int:
        """D, the width of the widest modality."""
        return max(self.widths)

    @cached_property
    def task_names(self) -> tuple[str, ...]:
        """The tasks' names, in order."""
        return tuple(t.name for t in self.tasks)

    @cached_property
    def event_columns(self) -> tuple[int, ...]:
        """Places in the task axis of events, with times or without: not of classes and numbers."""
        return tuple(place for place, task in enumerate(self.tasks) if task.kind == "event")

    @cached_property
    def outcomes(self) -> tuple[Outcome, ...]:
        """The outcomes of the recipe in order; the tasks of a family are one outcome."""
        columns: dict[str, list[int]] = {}
        for place, task in enumerate(self.tasks):
            columns.setdefault(task.family or task.name, []).append(place)
        return tuple(Outcome(n, self.tasks[at[0]].kind, tuple(at)) for n, at in columns.items())

    @cached_property
    def families(self) -> tuple[tuple[int, ...], ...]:
        """Columns of the classes of each outcome that has several."""
        return tuple(outcome.columns for outcome in self.outcomes if outcome.kind == "class")

    @cached_property
    def numbers(self) -> tuple[int, ...]:
        """Columns of the tasks that are numbers."""
        return tuple(column for column, task in enumerate(self.tasks) if task.kind == "continuous")

    def outcome(self, name: str) -> Outcome:
        """The outcome of this name.

        Raises:
            ValueError: for a name that none has.
        """
        for outcome in self.outcomes:
            if outcome.name == name:
                return outcome
        raise ValueError(
            f"{name!r} is no outcome; there are {', '.join(one.name for one in self.outcomes)}"
        )

    @cached_property
    def cells(self) -> Tensor:
        """(M, D) bool on the CPU, False on padding."""
        ends = torch.tensor(self.widths, device="cpu").unsqueeze(1)
        return torch.arange(self.widest, device="cpu") < ends

    def as_json(self) -> dict[str, object]:
        """Plain values, for a file's header."""
        return {
            "modalities": [
                {"name": m.name, "width": m.width, "features": list(m.features)} for m in self.modalities
            ],
            "tasks": [asdict(task) for task in self.tasks],
            "absent": list(self.absent),
        }

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Layout:
        """Restore what ``as_json`` gave.

        Raises:
            KeyError, TypeError: for values that are not a layout's.
        """
        return cls(
            tuple(Modality(m["name"], m["width"], tuple(m["features"])) for m in values["modalities"]),
            tuple(_task(task) for task in values["tasks"]),
            tuple(values["absent"]),
        )


def _task(values: Mapping[str, Any]) -> Task:
    """A task from plain values, in which a tuple has become a list."""
    times = values.get("times")
    return Task(**{**values, "times": None if times is None else tuple(times)})


@dataclass(frozen=True)
class Targets:
    """What happened to N patients in T tasks.

    Attributes:
        labels: (N, T) int8; 1 event by the horizon, 0 event-free then, -1 unknown. A patient with a
            competing event first can no longer have the event, and is event-free.
        time: (N, T) float32 days to the event, the competing event or the last contact; NaN where unknown.
        event: (N, T) int8 what was seen at ``time``: 1 the event, 2 a competing event before it, 0 neither
            (censored), -1 unknown.
        values: (N, T) float32 numbers of continuous tasks, in the unit of the file; NaN where unknown, and
            for tasks of other kinds. None where no task is continuous. Their labels are all -1.
    """

    labels: Tensor
    time: Tensor
    event: Tensor
    values: Tensor | None = None

    def __getitem__(self, rows: Tensor | slice) -> Targets:
        values = None if self.values is None else self.values[rows]
        return Targets(self.labels[rows], self.time[rows], self.event[rows], values)

    def values_of(self, column: int) -> np.ndarray:
        """(N,) float64 values of a task; NaN where unknown, and everywhere in a task that is no number."""
        if self.values is None:
            return np.full(len(self.labels), np.nan)
        return self.values[:, column].double().numpy()

    def to(self, device: torch.device | str) -> Targets:
        """The same targets on ``device``."""
        values = None if self.values is None else self.values.to(device)
        return Targets(self.labels.to(device), self.time.to(device), self.event.to(device), values)


@dataclass(frozen=True)
class Cohort:
    """Patients x modalities x cells, with what was measured, and what happened.

    Attributes:
        patient_ids: N normalised, unique ids.
        layout: what the axes mean.
        emb: (N, M, D) float32; 0 where nothing was measured.
        measured: (N, M, D) bool; True where the file held a finite number, False on padding. Not to be
            written to: in a cohort without missing cells it is ``present``, expanded.
        present: (N, M) bool; any cell of the modality was measured.
        quality: (N, M) float32 in [0, 1]; the reader's score, 0 where absent.
        n_rows: (N, M) int32; file rows aggregated into the embedding.
        targets: what happened, None at inference.
        groups: N names of groups (sites, families) that must stay in one fold, or None.
        spelling: the spelling in the files of ids that normalisation changed, for display.
    """

    patient_ids: tuple[str, ...]
    layout: Layout
    emb: Tensor
    measured: Tensor
    present: Tensor
    quality: Tensor
    n_rows: Tensor
    targets: Targets | None = None
    groups: tuple[str, ...] | None = None
    spelling: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n, m, d = len(self.patient_ids), len(self.layout.modalities), self.layout.widest
        expected = {
            "emb": (n, m, d),
            "measured": (n, m, d),
            "present": (n, m),
            "quality": (n, m),
            "n_rows": (n, m),
        }
        for name, shape in expected.items():
            found = tuple(getattr(self, name).shape)
            if found != shape:
                raise ValueError(f"Cohort.{name} must be {shape} for this layout, got {found}")

    def __len__(self) -> int:
        return len(self.patient_ids)

    def __getitem__(self, rows: Tensor | slice) -> Cohort:
        """The patients at ``rows``: a slice, or a 1-d tensor of row numbers or bools."""
        if isinstance(rows, slice):
            pick: list[int] | slice = rows
        else:
            if rows.dtype == torch.bool:
                rows = rows.nonzero().squeeze(1)
            pick = rows.tolist()
        return Cohort(
            patient_ids=_pick(self.patient_ids, pick),
            layout=self.layout,
            emb=self.emb[rows],
            measured=self.measured[rows],
            present=self.present[rows],
            quality=self.quality[rows],
            n_rows=self.n_rows[rows],
            targets=None if self.targets is None else self.targets[rows],
            groups=None if self.groups is None else _pick(self.groups, pick),
            spelling=self.spelling,
        )

    def ids_as_written(self) -> tuple[str, ...]:
        """N ids as spelled by the first file that has each: ``001`` where ``patient_ids`` has ``1``."""
        return tuple(self.spelling.get(patient, patient) for patient in self.patient_ids)

    def to(self, device: torch.device | str) -> Cohort:
        """The same cohort with its tensors on ``device``."""
        if self.emb.device == torch.device(device):
            return self
        return replace(
            self,
            emb=self.emb.to(device),
            measured=self.measured.to(device),
            present=self.present.to(device),
            quality=self.quality.to(device),
            n_rows=self.n_rows.to(device),
            targets=None if self.targets is None else self.targets.to(device),
        )

    def hide(self, blocks: Tensor) -> Cohort:
        """The same patients as if the (N, M) bool ``blocks`` had never been measured."""
        keep = ~blocks
        return replace(
            self,
            emb=self.emb * keep.unsqueeze(-1),
            measured=self.measured & keep.unsqueeze(-1),
            present=self.present & keep,
            quality=self.quality * keep,
            n_rows=self.n_rows * keep,
        )

    def extremes(self) -> tuple[Tensor, Tensor]:
        """Lowest and highest measured value of each feature, (M, D) each; inf and -inf where none is."""
        if not len(self):  # amin and amax refuse an empty axis
            low = self.emb.new_full(self.emb.shape[1:], torch.inf)
            return low, -low
        low = torch.where(self.measured, self.emb, torch.inf).amin(dim=0)
        return low, torch.where(self.measured, self.emb, -torch.inf).amax(dim=0)

    def two_valued(self) -> Tensor:
        """(M, D) bool: features with at most two distinct measured values; False on padding."""
        low, high = self.extremes()
        either = (self.emb == low) | (self.emb == high) | ~self.measured
        return either.all(dim=0) & self.layout.cells.to(self.emb.device)

    def without_targets(self) -> Cohort:
        """The same patients without outcomes, which an imputer must not see."""
        return replace(self, targets=None)

    def fingerprint(self) -> str:
        """A sha256 of ids, layout, values, mask, quality and targets; equal for equal data."""
        digest = hashlib.sha256()
        digest.update("\0".join(self.patient_ids).encode())
        digest.update(repr((self.layout.names, self.layout.widths, self.layout.task_names)).encode())
        tensors = [self.emb, self.measured, self.quality, self.n_rows]
        if self.targets is not None:
            tensors += [self.targets.labels, self.targets.time, self.targets.event]
            if self.targets.values is not None:
                tensors.append(self.targets.values)
        for tensor in tensors:
            for part in tensor.split(SLICE):  # a copy of a slice, not of a large cohort
                digest.update(np.ascontiguousarray(part.cpu().numpy()).data)
        return digest.hexdigest()


def concatenate(first: Cohort, second: Cohort) -> Cohort:
    """The patients of both cohorts; with targets and groups if both have them."""

    def join(name: str) -> Tensor:
        return torch.cat([getattr(first, name), getattr(second, name)])

    targets = groups = None
    if first.targets is not None and second.targets is not None:
        targets = _joined(first.targets, second.targets)
    if first.groups is not None and second.groups is not None:
        groups = first.groups + second.groups
    return Cohort(
        patient_ids=first.patient_ids + second.patient_ids,
        layout=first.layout,
        emb=join("emb"),
        measured=join("measured"),
        present=join("present"),
        quality=join("quality"),
        n_rows=join("n_rows"),
        targets=targets,
        groups=groups,
        spelling={**second.spelling, **first.spelling},
    )


def _joined(a: Targets, b: Targets) -> Targets:
    values = None if a.values is None or b.values is None else torch.cat([a.values, b.values])
    return Targets(
        torch.cat([a.labels, b.labels]),
        torch.cat([a.time, b.time]),
        torch.cat([a.event, b.event]),
        values,
    )


def _pick(values: tuple[str, ...], rows: list[int] | slice) -> tuple[str, ...]:
    return values[rows] if isinstance(rows, slice) else tuple(values[row] for row in rows)


class MultiModalDataset:
    """Per-patient dictionaries, as in the published script: a view of a Cohort.

    ``dataset[i]`` is ``{"patient_id", "emb" (M, D), "quality" (M,), "present" (M,), "targets" (T,)}``.
    """

    def __init__(self, cohort: Cohort) -> None:
        self.cohort = cohort

    def __len__(self) -> int:
        return len(self.cohort)

    def __getitem__(self, row: int) -> dict[str, str | np.ndarray]:
        if not -len(self) <= row < len(self):
            raise IndexError(f"row {row} of a cohort of {len(self)} patients")
        cohort = self.cohort
        sample: dict[str, str | np.ndarray] = {
            "patient_id": cohort.patient_ids[row],
            "emb": cohort.emb[row].numpy(),
            "quality": cohort.quality[row].numpy(),
            "present": cohort.present[row].numpy(),
        }
        if cohort.targets is not None:
            sample["targets"] = cohort.targets.labels[row].numpy()
        return sample

    def __iter__(self) -> Iterator[dict[str, str | np.ndarray]]:
        return (self[row] for row in range(len(self)))
