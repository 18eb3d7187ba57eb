"""Patients that a trained run is asked about: their files, on the model's axes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from hcat_core.cohort import Cohort
from hcat_core.data.alignment import align
from hcat_core.data.assembly import ReadReport, assemble_cohort
from hcat_core.errors import UsageError
from hcat_core.recipe import build
from hcat_core.recipe.command_line import reader_for
from hcat_core.recipe.recipe import Recipe, load_recipe
from hcat_core.registry.catalog import Catalog
from hcat_core.runs.trained_run import TrainedRun

SHARE_OUTSIDE = 0.1
ENOUGH = 10  # patients whose middle says something about all


@dataclass(frozen=True)
class Files:
    """Where the new patients are: a folder laid out as the training one, or a file for each modality."""

    inputs: Mapping[str, Path]
    root: Path | None = None
    targets: Path | None = None
    sets: Sequence[str] = ()


def read_new_cohort(
    run: TrainedRun, catalog: Catalog, files: Files, *, outcomes: bool
) -> tuple[Cohort, ReadReport, Recipe]:
    """Read and align; without ``outcomes`` no target is looked for.

    Raises:
        UsageError: when no file is named, or outcomes are wanted and their file is not.
        DataError: as the readers and ``align`` do.
    """
    recipe = _recipe_for(run, catalog, files, outcomes)
    targets = recipe.cohort.targets
    cohort, report = assemble_cohort(
        build.build_readers(recipe, catalog),
        build.build_targets_reader(recipe, catalog),
        targets,
        recipe.cohort.groups,
        tuple(recipe.cohort.absent),
    )
    return align(cohort, run.layout), report, recipe


def outside_training(run: TrainedRun, cohort: Cohort) -> list[str]:
    """Features unlike those of training patients, in words: another unit, another encoder, another scale.

    A feature is named when a tenth of its values lie half a range or more outside the training range, or,
    of ten patients or more, the median lies outside it.
    """
    low, high = run.training.low, run.training.high
    seen = torch.isfinite(low)
    margin = torch.where(seen, (high - low) / 2, 0.0)
    margin = torch.maximum(margin, run.training.standardiser.scale / 2)
    has = cohort.measured
    count = has.sum(dim=0)
    far = has & ((cohort.emb < low - margin) | (cohort.emb > high + margin))
    share = far.sum(dim=0) / count.clamp(min=1)
    middle = torch.nanmedian(cohort.emb.masked_fill(~has, torch.nan), dim=0).values
    moved = (count >= ENOUGH) & ((middle < low) | (middle > high))
    flagged = seen & (count > 0) & ((share >= SHARE_OUTSIDE) | moved)
    words = []
    for column, modality in enumerate(cohort.layout.modalities):
        places = flagged[column].nonzero().squeeze(1).tolist()
        if not places:
            continue
        worst = max(places, key=lambda place: float(share[column, place]))
        words.append(
            f"{modality.name}: {len(places)} of {modality.width} features leave the training range, such "
            f"as {modality.feature(worst)} (median {float(middle[column, worst]):.4g}; training "
            f"{float(low[column, worst]):.4g} to {float(high[column, worst]):.4g}). Is it the same unit "
            "and the same encoder?"
        )
    return words


def _recipe_for(run: TrainedRun, catalog: Catalog, files: Files, outcomes: bool) -> Recipe:
    """The run's recipe, its cohort replaced by the new files."""
    strange = [text for text in files.sets if not text.startswith("cohort.")]
    if strange:
        raise UsageError(f"--set {strange[0]}: a trained run is frozen; only cohort keys may change.")
    given = any(text.startswith(("cohort.root=", "cohort.modalities.")) for text in files.sets)
    if not files.inputs and files.root is None and not given:
        raise UsageError("name the patients' files: --clinical FILE, --input NAME=FILE, or --root FOLDER.")
    old = run.recipe.cohort.targets
    root = files.root if files.root is not None else None if given else Path.cwd()
    sets = list(files.sets)
    if root is not None:
        sets.insert(0, f"cohort.root={json.dumps(str(root.resolve()))}")
    if files.targets is not None:
        sets.append(f"cohort.targets.path={json.dumps(str(files.targets.resolve()))}")
        use = reader_for(files.targets, "h5" if old is None else old.use)
        sets.append(f'cohort.targets.use="{use}"')
    elif outcomes and files.inputs and old is not None:
        held = {str(t.get("path")): name for name, t in run.recipe.cohort.modalities.items()}
        if held.get(old.path) not in files.inputs:
            raise UsageError("name the file that holds the outcomes: --targets FILE.")
    recipe, _ = load_recipe(run.folder.recipe, catalog, sets=sets, inputs=files.inputs)
    if outcomes:
        return recipe
    bare = recipe.cohort.model_copy(update={"targets": None, "groups": None})
    return replace(recipe, cohort=bare)
