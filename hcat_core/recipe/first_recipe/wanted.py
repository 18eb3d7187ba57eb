"""What the user says of a cohort for a first recipe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from hcat_core.data.schema import TimeUnit


@dataclass(frozen=True)
class Wanted:
    """The options of ``hcat init``; None and empty where nothing was said.

    Attributes:
        inputs: files or folders by modality.
        target: the recipe's file, from whose folder the paths start.
        outcomes: the file of outcomes.
        time: column of times.
        event: column that is 1 for the event, or has words.
        censored: column that is 1 for censored patients.
        last_contact: column of times of those without the event.
        time_unit: of the times.
        event_values: values that mean the event.
        labels: columns of properties or classes, one task each.
        values: columns of numbers, one task each.
        horizon_days: until when the event counts.
        outcome: name of the event.
        groups: column of sites.
        slide_maps: files that name the patients of slides, by modality; "" for all that are folders.
        patient_ids: columns of ids, by modality or ``outcomes``; "" for all.
        model: of a shipped recipe, or an estimator.
    """

    inputs: Mapping[str, Path]
    target: Path
    outcomes: Path | None = None
    time: str | None = None
    event: str | None = None
    censored: str | None = None
    last_contact: str | None = None
    time_unit: TimeUnit | None = None
    event_values: Sequence[str] = ()
    labels: Sequence[str] = ()
    values: Sequence[str] = ()
    horizon_days: float | None = None
    outcome: str | None = None
    groups: str | None = None
    slide_maps: Mapping[str, Path] = field(default_factory=dict)
    patient_ids: Mapping[str, str] = field(default_factory=dict)
    model: str | None = None

    @property
    def outcome_columns(self) -> tuple[str, ...]:
        """The columns of outcomes and sites that the user named."""
        named = (self.time, self.event, self.censored, self.last_contact, self.groups)
        return tuple(name for name in (*named, *self.labels, *self.values) if name is not None)

    def patient_id(self, modality: str) -> str | None:
        """The column of ids that the user named for a modality."""
        return self.patient_ids.get(modality, self.patient_ids.get(""))

    def slide_map(self, modality: str) -> Path | None:
        """The map of slides that the user named for a modality, or for all folders."""
        of_folders = self.slide_maps.get("") if self.inputs[modality].is_dir() else None
        return self.slide_maps.get(modality, of_folders)
