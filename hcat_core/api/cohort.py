"""``Cohort``: patients with modalities and outcomes, of DataFrames, AnnData, MuData or a recipe's files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from hcat_core import cohort as core
from hcat_core.api.annotated import read_anndata, read_mudata
from hcat_core.api.catalogs import open_catalog
from hcat_core.api.cohort_frames import modality_frames, outcome_frame
from hcat_core.api.cohort_table import GivenFrames, cohort_table
from hcat_core.api.findings import warn_of
from hcat_core.api.frames import FrameOptions, PerModality, read_frames, read_outcomes
from hcat_core.api.html import facts_as_html, table_as_html
from hcat_core.api.outcome_columns import Named, OutcomeColumns
from hcat_core.api.outcome_words import outcomes_in_words
from hcat_core.api.settings import as_sets
from hcat_core.data.data_quality import find_quality_issues, refuse_unmeasured
from hcat_core.data.schema import CohortTable
from hcat_core.errors import UsageError
from hcat_core.recipe.loading import allowed_by, declared_plugins
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.recipe.shipped import find_recipe
from hcat_core.registry.catalog import Catalog, load_catalog
from hcat_core.registry.discovery import NO_PLUGINS
from hcat_core.runs.recipe_cohort import CohortReaders, GivenCohort, given_by, read_from
from hcat_core.text.counted import counted

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

OUTCOMES = "outcomes"


@dataclass(frozen=True, repr=False, eq=False)
class Cohort:
    """Patients with their modalities and, where they are known, their outcomes.

    Make one with ``from_frames``, ``from_anndata``, ``from_mudata`` or ``from_files``. Everything is read
    and checked at once: faults are errors in words, and what a user should know is warned of, and kept in
    ``findings``.

    Attributes:
        given: the patients as tensors, the report of reading them, and what they were read from.
        table: the cohort as a recipe describes it; files stand in the place of DataFrames.
        root: the folder of the table's relative paths.
    """

    given: GivenCohort
    table: CohortTable
    root: Path

    @classmethod
    def from_frames(
        cls,
        frames: Mapping[str, pd.DataFrame],
        *,
        outcomes: pd.DataFrame | None = None,
        time: str | None = None,
        event: str | None = None,
        censored: str | None = None,
        label: str | None = None,
        time_unit: str = "days",
        horizon_days: float | None = None,
        horizons: Mapping[str, float] | None = None,
        last_contact: str | None = None,
        event_values: Mapping[str, Sequence[str | float]] | None = None,
        label_values: Mapping[str, Sequence[str | float]] | None = None,
        multiclass: Named = (),
        continuous: Named = (),
        tasks: Mapping[str, Mapping[str, Any]] | None = None,
        groups: str | None = None,
        patient_id: str | None = None,
        drop: PerModality = None,
        one_hot: PerModality = None,
        missing: PerModality = None,
    ) -> Cohort:
        """A cohort of DataFrames, one for each modality, with one or more rows per patient.

        Ids are the index, where it has a name or holds text, otherwise the column ``patient_id`` (or
        ``patient``, ``pid``, ``case_id``, ``id``). Patients are matched by id, whatever the order of rows;
        a modality may lack some of them. Numbers are features as they are, durations are read in days,
        dates are refused. Columns of text, and of the type ``category``, become one feature for each
        category.

        Args:
            frames: by name of the modality.
            outcomes: one row per patient; without it the cohort can be predicted, not learned from.
            time: column of times from the start to the event or the last contact.
            event: column in which 1 is the event, 0 censored.
            censored: instead of ``event``, a column in which 1 is censored.
            label: column in which 1 is the event, 0 none, -1 unknown.
            time_unit: of ``time``: ``days``, ``months`` or ``years``.
            horizon_days: until which day the event counts.
            horizons: instead of it, several by name of the task: ``{"death_5y": 1826}``, in days.
            last_contact: column of times for those without the event, where ``time`` is empty.
            event_values: what stands in ``event``: ``{"event": ["Dead"], "none": ["Alive"]}``.
            label_values: the same for ``label``.
            multiclass: column of classes, several columns, or columns by the name of the outcome.
            continuous: column of numbers, likewise.
            tasks: instead of all these, the tables of a recipe's tasks by name, for several outcomes.
            groups: column of ``outcomes``; patients of one group (site, family) stay on one side of a
                split.
            patient_id: name of the column, or index, of ids, where it is none of the usual ones.
            drop: columns that are no features, for all modalities or by modality; ``*`` stands for any
                text.
            one_hot: columns of categories, instead of all columns of text, likewise.
            missing: words that mean "not measured", such as ``["NA"]``, likewise.

        Raises:
            DataError: for frames that cannot be read with certainty, with all faults.
            RecipeError: for outcomes that contradict themselves, or names that cannot be used.
            UsageError: for arguments that do not fit together.

        Example:
            >>> import pandas as pd
            >>> ids = pd.Index(["P1", "P2", "P3"], name="patient_id")
            >>> rna = pd.DataFrame({"TP53": [0.1, 2.3, 1.0], "EGFR": [4.0, 5.5, 3.2]}, index=ids)
            >>> seen = pd.DataFrame({"months": [80, 3.5, 70], "dead": [0, 1, 0]}, index=ids)
            >>> Cohort.from_frames(
            ...     {"rna": rna}, outcomes=seen, time="months", event="dead", time_unit="months",
            ...     horizons={"death_5y": 1826},
            ... )
            Cohort of 3 patients: rna 3 x 2; death_5y: 1 with the event, 2 without, 0 unknown
        """
        columns = OutcomeColumns(
            {
                "time": time,
                "event": event,
                "censored": censored,
                "label": label,
                "last_contact": last_contact,
                "event_values": event_values,
                "label_values": label_values,
            },
            horizon_days,
            horizons,
            tasks,
            multiclass,
            continuous,
        )
        catalog = load_catalog(allowed=NO_PLUGINS)  # DataFrames are read by hcat itself
        options = FrameOptions(patient_id, drop, one_hot, missing)
        read = read_frames(frames, options, catalog)
        seen = None if outcomes is None else read_outcomes(outcomes, patient_id, catalog)
        return _read(GivenFrames(read, seen, columns, time_unit, groups, _words(missing)), catalog)

    @classmethod
    def from_anndata(
        cls,
        adata: AnnData,
        modalities: Mapping[str, str] | str = "X",
        *,
        patient_id: str | None = None,
        groups: str | None = None,
        time_unit: str = "days",
        horizon_days: float | None = None,
        horizons: Mapping[str, float] | None = None,
        tasks: Mapping[str, Mapping[str, Any]] | None = None,
        **columns: Any,
    ) -> Cohort:
        """A cohort of an AnnData in memory: its matrices are modalities, columns of ``obs`` are outcomes.

        A column ``hcat_quality`` of ``obs`` holds the quality of each row, in [0, 1], as in a file.

        Args:
            adata: one or more rows per patient.
            modalities: the matrix by name of the modality, ``{"rna": "X", "slide": "obsm/X_uni"}``:
                ``X``, ``layers/NAME`` or ``obsm/NAME``. One alone is a modality of its own name.
            patient_id: column of ``obs`` with the patient of each row; by default ``obs_names``.
            groups: as of ``from_frames``, a column of ``obs``; ``time_unit``, ``horizon_days``,
                ``horizons`` and ``tasks`` likewise.
            time_unit: of the times.
            horizon_days: until which day the event counts.
            horizons: several, by name.
            tasks: tables of tasks.
            columns: ``time``, ``event``, ``censored``, ``label``, ``last_contact``, ``event_values``,
                ``label_values``, ``multiclass``, ``continuous`` of ``from_frames``; columns of ``obs``.

        Raises:
            UsageError: for a matrix that is not there.
            DataError: as of ``from_frames``.
        """
        catalog = load_catalog(allowed=NO_PLUGINS)  # DataFrames are read by hcat itself
        outcomes = OutcomeColumns.of(columns, horizon_days, horizons, tasks)
        read, obs = read_anndata(adata, modalities, patient_id, catalog)
        seen = obs if outcomes.given else None
        return _read(GivenFrames(read, seen, outcomes, time_unit, groups), catalog)

    @classmethod
    def from_mudata(
        cls,
        mdata: MuData,
        modalities: Mapping[str, str] | Sequence[str] | None = None,
        *,
        patient_id: str | None = None,
        groups: str | None = None,
        time_unit: str = "days",
        horizon_days: float | None = None,
        horizons: Mapping[str, float] | None = None,
        tasks: Mapping[str, Mapping[str, Any]] | None = None,
        **columns: Any,
    ) -> Cohort:
        """A cohort of a MuData in memory; columns of ``mdata.obs`` are outcomes.

        Args:
            mdata: whose modalities may lack patients.
            modalities: names of those that are read, or the matrix of each by name: ``X``, ``layers/NAME``
                or ``obsm/NAME``. By default ``X`` of all.
            patient_id: column of ``mdata.obs`` with the patient of each row; by default ``obs_names``.
            groups: as of ``from_frames``, a column of ``mdata.obs``; the others likewise.
            time_unit: of the times.
            horizon_days: until which day the event counts.
            horizons: several, by name.
            tasks: tables of tasks.
            columns: as of ``from_anndata``.

        Raises:
            UsageError: for a modality or matrix that is not there.
            DataError: as of ``from_frames``.
        """
        catalog = load_catalog(allowed=NO_PLUGINS)  # DataFrames are read by hcat itself
        outcomes = OutcomeColumns.of(columns, horizon_days, horizons, tasks)
        read, obs = read_mudata(mdata, modalities, patient_id, catalog)
        seen = obs if outcomes.given else None
        return _read(GivenFrames(read, seen, outcomes, time_unit, groups), catalog)

    @classmethod
    def from_files(cls, recipe: str | Path | Recipe, settings: Mapping[str, Any] | None = None) -> Cohort:
        """The cohort that a recipe describes, from its files.

        Args:
            recipe: a file, the name of a shipped recipe, or a recipe that was loaded.
            settings: changes of its keys, such as ``{"cohort.root": "data"}``.

        Raises:
            RecipeError: for a recipe that cannot be used.
            DataError: for files that cannot be read.
        """
        if isinstance(recipe, Recipe):
            catalog = open_catalog([allowed_by(recipe.as_dict(), recipe.source)])
        else:
            path, sets = find_recipe(Path(recipe)), as_sets(settings or {})
            catalog = open_catalog([declared_plugins(path, sets)])
            recipe, _ = load_recipe(path, catalog, sets=sets)
        given = given_by(recipe, catalog)
        made = cls(given, recipe.cohort, recipe.root)
        warn_of(made.findings)
        return made

    def __len__(self) -> int:
        return len(self.data)

    @property
    def data(self) -> core.Cohort:
        """The patients as tensors, for components of one's own."""
        return self.given.cohort

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities."""
        return self.data.layout.names

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the outcomes that can be predicted."""
        return tuple(outcome.name for outcome in self.data.layout.outcomes)

    @cached_property
    def findings(self) -> tuple[str, ...]:
        """What a user should know: of the frames and files, of outcomes, and likely faults of the data."""
        return tuple(issue.message for issue in find_quality_issues(self.data, self.given.report))

    def to_frames(self) -> dict[str, pd.DataFrame]:
        """One DataFrame for each modality, and ``outcomes``, by ids as they were written.

        A cell that was not measured is NaN; rows of one patient are one, their mean. Outcomes are, for each
        task, its label (1, 0, or empty), and ``TASK_days`` and ``TASK_event`` where there are times.

        Raises:
            UsageError: for a modality that is called ``outcomes``.
        """
        if OUTCOMES in self.modalities:
            raise UsageError(f"a modality is called {OUTCOMES}, as the frame of outcomes: rename it.")
        frames = modality_frames(self.data)
        if self.data.targets is not None:
            frames[OUTCOMES] = outcome_frame(self.data, self.data.targets)
        return frames

    def __repr__(self) -> str:
        widths = zip(self.data.layout.modalities, self.data.present.sum(dim=0).tolist(), strict=True)
        parts = [", ".join(f"{modality.name} {here} x {modality.width}" for modality, here in widths)]
        parts += [f"{name}: {text}" for name, text in outcomes_in_words(self.data)]
        return f"Cohort of {counted(len(self), 'patient')}: {'; '.join(parts)}"

    def _repr_html_(self) -> str:
        rows = [
            [m.name, here, f"{here / max(1, len(self)):.0%}", m.width]
            for m, here in zip(
                self.data.layout.modalities, self.data.present.sum(dim=0).tolist(), strict=True
            )
        ]
        outcomes = [[name, text] for name, text in outcomes_in_words(self.data)]
        return facts_as_html(
            counted(len(self), "patient"),
            table_as_html(["modality", "patients", "share", "features"], rows),
            table_as_html(["outcome", "patients"], outcomes) if outcomes else "",
            findings=self.findings,
        )


def _words(missing: PerModality) -> list[str | float]:
    """The words that mean "not known" in outcomes: those for all modalities."""
    return [] if missing is None or isinstance(missing, Mapping | str) else list(missing)


def _read(given: GivenFrames, catalog: Catalog) -> Cohort:
    """Read the frames, after all names have been checked."""
    table = cohort_table(given, catalog)
    readers = CohortReaders(
        {name: one.reader for name, one in given.frames.items()},
        None if given.outcomes is None else given.outcomes.reader,
    )
    cohort, report = read_from(readers, table)
    refuse_unmeasured(cohort, report)
    made = Cohort(GivenCohort(cohort, report, readers), table, Path.cwd())
    warn_of(made.findings)
    return made
