"""``Cohort``: the one structure that flows from reader to report. A batch is a Cohort too.

Axes everywhere: N patients, M modalities, D the widest modality, T tasks; ``Layout`` says what they mean.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from hcat_core.layout import Layout

SLICE = 4096  # patients


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
