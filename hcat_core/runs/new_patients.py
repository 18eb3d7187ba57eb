"""Read the files of new patients into the layout of a trained run."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch

from hcat_core.cohort import Cohort
from hcat_core.data.alignment import align
from hcat_core.data.assembly import ReadReport
from hcat_core.data.schema import CohortTable
from hcat_core.errors import UsageError
from hcat_core.reading import Reader
from hcat_core.recipe.file_readers import reader_for
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.recipe_cohort import CohortReaders, read_from, readers_of
from hcat_core.runs.slide_maps import KEY, maps_by_modality, with_maps
from hcat_core.runs.trained_run import TrainedRun
from hcat_core.storage.safe_path import resolved

SHARE_OUTSIDE = 0.1  # of a feature's values, from which a warning is given
ENOUGH_FOR_MEDIAN = 10  # patients with the feature


@dataclass(frozen=True)
class PatientFiles:
    """Where the files of new patients are.

    Attributes:
        inputs: file by modality; with ``root``, the other modalities are read there.
        root: a folder with files named as in training; None where ``inputs`` or ``sets`` name the files.
        targets: file with the outcomes; None for the recipe's own.
        sets: overrides ``cohort.KEY=VALUE`` of the run's recipe.
        slide_maps: files that name the patients of slides, by modality; "" for all that were trained with
            one; None: no map, each slide is called as its patient.
    """

    inputs: Mapping[str, Path]
    root: Path | None = None
    targets: Path | None = None
    sets: Sequence[str] = ()
    slide_maps: Mapping[str, Path | None] = field(default_factory=dict)


@dataclass(frozen=True)
class NewPatients:
    """Patients of a trained run who were not in its training, as they were read.

    Attributes:
        cohort: in the run's layout.
        report: of reading it.
        warnings: what was found in the files, features that they lack, which count as not measured, columns
            that are left out, modalities in which nothing was measured, and values outside the range of the
            training patients.
        outcomes: the reader of their outcomes; None where these are not known.
        missing: what stands for an empty cell among the outcomes.
    """

    cohort: Cohort
    report: ReadReport
    warnings: tuple[str, ...]
    outcomes: Reader | None = None
    missing: Sequence[str | float] = ()


def read_new_patients(
    run: TrainedRun, catalog: Catalog, files: PatientFiles, *, outcomes: bool
) -> NewPatients:
    """Read patients' files as ``read_patients`` does; their outcomes only with ``outcomes``.

    Raises:
        UsageError: if no file is named, or outcomes are wanted and no file with outcomes is named; for new
            slides without a map, where the run was trained with one.
        DataError: as the readers and ``align`` do.
    """
    recipe = _recipe_for(run, catalog, files, outcomes)
    return read_patients(run, readers_of(recipe, catalog), recipe.cohort)


def read_patients(run: TrainedRun, source: CohortReaders, table: CohortTable) -> NewPatients:
    """Read patients from readers, and align them to the run's layout.

    Args:
        run: a trained run.
        source: readers of the patients' modalities, and of their outcomes if these are known.
        table: has the columns of the outcomes.

    Raises:
        DataError: as the readers and ``align`` do.
    """
    cohort, report = read_from(source, table, run.layout)
    aligned = align(cohort, run.layout)
    report = replace(report, differences=(*aligned.findings, *_unmeasured(aligned.cohort, report)))
    return NewPatients(
        aligned.cohort,
        report,
        (*report.findings, *warn_outside_training(run, aligned.cohort)),
        source.outcomes,
        () if table.targets is None else table.targets.missing,
    )


def _unmeasured(cohort: Cohort, report: ReadReport) -> list[str]:
    """Modalities whose file was read and has no value of any patient, in the features of training."""
    seen = dict(zip(cohort.layout.names, cohort.present.any(dim=0).tolist(), strict=True))
    return [
        f"{one.source}: no patient has a measured value of {one.name}: every cell of the features of "
        "training is empty or not a finite number. The modality counts as missing. Is it the right file?"
        for one in report.modalities
        if not seen[one.name]
    ]


def warn_outside_training(run: TrainedRun, cohort: Cohort) -> list[str]:
    """Warn of features outside their range in training: another unit, encoder or scale is likely.

    Returns one warning per modality. A feature counts when a tenth of its values lie half the training
    range or more outside that range, or when the median of at least ten patients lies outside it.
    """
    low, high = run.training.low, run.training.high
    in_training = torch.isfinite(low)
    margin = torch.where(in_training, (high - low) / 2, 0.0)
    margin = torch.maximum(margin, run.training.standardiser.scale / 2)
    measured = cohort.measured
    count = measured.sum(dim=0)
    far = measured & ((cohort.emb < low - margin) | (cohort.emb > high + margin))
    share = far.sum(dim=0) / count.clamp(min=1)
    median = torch.nanmedian(cohort.emb.masked_fill(~measured, torch.nan), dim=0).values
    shifted = (count >= ENOUGH_FOR_MEDIAN) & ((median < low) | (median > high))
    flagged = in_training & (count > 0) & ((share >= SHARE_OUTSIDE) | shifted)
    warnings = []
    for column, modality in enumerate(cohort.layout.modalities):
        places = flagged[column].nonzero().squeeze(1).tolist()
        if not places:
            continue
        worst = max(places, key=lambda place: float(share[column, place]))
        warnings.append(
            f"{modality.name}: {len(places)} of {modality.width} features are outside the training range, "
            f"such as {modality.feature(worst)} (median {float(median[column, worst]):.4g}; training "
            f"{float(low[column, worst]):.4g} to {float(high[column, worst]):.4g}). Do they have the same "
            "unit and encoder?"
        )
    return warnings


def _recipe_for(run: TrainedRun, catalog: Catalog, files: PatientFiles, outcomes: bool) -> Recipe:
    """The run's recipe with the new files in its cohort table."""
    refused = [text for text in files.sets if not text.startswith("cohort.")]
    if refused:
        raise UsageError(f"--set {refused[0]}: a trained run is fixed; only cohort keys may be set.")
    set_files = any(text.startswith(("cohort.root=", "cohort.modalities.")) for text in files.sets)
    if not files.inputs and files.root is None and not set_files:
        raise UsageError("name the patients' files: --clinical FILE, --input NAME=FILE, or --root FOLDER.")
    root_named = files.root is not None or any(text.startswith("cohort.root=") for text in files.sets)
    trained_with = run.recipe.cohort.targets
    root = files.root if files.root is not None else None if set_files else Path.cwd()
    sets = list(files.sets)
    if root is not None:
        sets.insert(0, f"cohort.root={_quoted(root)}")
    if files.targets is not None:
        sets.append(f"cohort.targets.path={_quoted(files.targets)}")
        use = reader_for(files.targets, "h5" if trained_with is None else trained_with.use)
        sets.append(f'cohort.targets.use="{use}"')
    elif outcomes and files.inputs and trained_with is not None and not root_named:
        modality_of = {str(t.get("path")): name for name, t in run.recipe.cohort.modalities.items()}
        if modality_of.get(trained_with.path) not in files.inputs:
            raise UsageError("name the file that holds the outcomes: --targets FILE.")
    maps = maps_by_modality(files.slide_maps, run.recipe)
    sets += [
        f"cohort.modalities.{name}.{KEY}={_quoted(path)}" for name, path in maps.items() if path is not None
    ]
    recipe, _ = load_recipe(
        run.folder.recipe,
        catalog,
        sets=sets,
        inputs=files.inputs,
        keep_others=root_named,
        trained=True,
    )
    set_keys = [text.partition("=")[0].strip() for text in files.sets]
    recipe = with_maps(
        recipe,
        maps,
        moved=[*files.inputs, *_modalities_of(set_keys, "path")],
        named=[*filter(None, files.slide_maps), *_modalities_of(set_keys, KEY)],
    )
    if outcomes:
        return recipe
    without_outcomes = recipe.cohort.model_copy(update={"targets": None, "groups": None})
    return replace(recipe, cohort=without_outcomes)


def _modalities_of(keys: Sequence[str], parameter: str) -> list[str]:
    """The modalities of which ``--set`` changes one parameter."""
    parts = (key.split(".") for key in keys)
    return [one[2] for one in parts if one[:2] == ["cohort", "modalities"] and one[3:] == [parameter]]


def _quoted(path: Path) -> str:
    """An absolute path as a TOML text."""
    return json.dumps(str(resolved(path)), ensure_ascii=False)
