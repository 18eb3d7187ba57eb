"""Modalities and outcomes of an AnnData or a MuData in memory, as DataFrames."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from hcat_core.api.frames import ReadFrame, each_of, frame_component
from hcat_core.errors import UsageError
from hcat_core.reading import COUNT_COLUMN, QUALITY_COLUMN
from hcat_core.registry.catalog import Catalog
from hcat_core.text.spelling import did_you_mean

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

IDS = "patient_id"


def read_anndata(
    adata: AnnData, modalities: Mapping[str, str] | str, patient_id: str | None, catalog: Catalog
) -> tuple[dict[str, ReadFrame], ReadFrame]:
    """Readers of matrices of an AnnData, and of its ``obs``.

    Raises:
        UsageError: for a matrix or column that is not there.
        DataError: for names that several features share.
    """
    ids = _ids(adata, patient_id)
    places = {modalities.rpartition("/")[2]: modalities} if isinstance(modalities, str) else modalities
    file = {"use": "h5ad", "path": "cohort.h5ad", **({} if patient_id is None else {IDS: patient_id})}
    component = frame_component(catalog)

    def read(name: str) -> ReadFrame:
        matrix = _matrix(adata, places[name], f"{name} (AnnData)")
        frame = _with_scores(matrix, adata).set_axis(ids, axis=0)
        reader = component.of(frame, f"{name} (AnnData)", {})
        return ReadFrame(reader, {**file, **_selection(places[name])})

    obs = component.of(
        adata.obs.drop(columns=IDS, errors="ignore").set_axis(ids, axis=0), "obs (AnnData)", {}
    )
    return each_of(places, read), ReadFrame(obs, file)


def read_mudata(
    mdata: MuData,
    modalities: Mapping[str, str] | Sequence[str] | None,
    patient_id: str | None,
    catalog: Catalog,
) -> tuple[dict[str, ReadFrame], ReadFrame]:
    """Readers of the modalities of a MuData, and of its ``obs``.

    Raises:
        UsageError: for a modality, matrix or column that is not there.
        DataError: for names that several features share.
    """
    named = list(mdata.mod) if modalities is None else modalities
    if isinstance(named, str):
        raise UsageError(f"modalities: a list is needed, [{named!r}].")
    places = dict(named) if isinstance(named, Mapping) else dict.fromkeys(named, "X")
    unknown = [name for name in places if name not in mdata.mod]
    if unknown:
        each = " ".join(f"{name!r} is none.{did_you_mean(name, mdata.mod)}" for name in unknown)
        raise UsageError(f"modalities of the MuData: {each}")
    ids = pd.Series(_ids(mdata, patient_id), index=mdata.obs_names)
    file = {"use": "h5mu", "path": "cohort.h5mu", **({} if patient_id is None else {IDS: patient_id})}
    component = frame_component(catalog)

    def read(name: str) -> ReadFrame:
        adata, source = mdata.mod[name], f"{name} (MuData)"
        own = pd.Index(ids.loc[adata.obs_names].to_numpy(), name=IDS)
        frame = _with_scores(_matrix(adata, places[name], source), adata).set_axis(own, axis=0)
        table = {**file, "modality": name, **_selection(places[name])}
        return ReadFrame(component.of(frame, source, {}), table)

    obs = mdata.obs.drop(columns=IDS, errors="ignore").set_axis(pd.Index(ids, name=IDS), axis=0)
    return each_of(places, read), ReadFrame(component.of(obs, "obs (MuData)", {}), file)


def _ids(data: AnnData | MuData, patient_id: str | None) -> pd.Index[Any]:
    """The patient of each row."""
    ids = data.obs_names
    if patient_id is not None:
        if patient_id not in data.obs:
            meant = did_you_mean(patient_id, data.obs.columns)
            raise UsageError(f"obs has no column {patient_id!r}.{meant}")
        ids = data.obs[patient_id]
    named: pd.Index[Any] = pd.Index(np.asarray(ids), name=IDS)
    return named


def _matrix(adata: AnnData, place: str, source: str) -> pd.DataFrame:
    """A matrix (rows, features) with its names; those of an ``obsm`` array are numbers."""
    selected = _selection(place)
    if not selected:
        values, names = adata.X, adata.var_names
    elif "layer" in selected:
        values, names = _part(adata.layers, selected["layer"], place, source), adata.var_names
    else:
        values = _part(adata.obsm, selected["obsm"], place, source)
        names = getattr(values, "columns", None)
    if values is None:
        raise UsageError(f"{source}: the AnnData has no X.")
    dense = values.toarray() if sparse.issparse(values) else np.asarray(values)
    names = range(dense.shape[1]) if names is None else names
    return pd.DataFrame(dense, columns=[str(name) for name in names])


def _with_scores(matrix: pd.DataFrame, adata: AnnData) -> pd.DataFrame:
    """The matrix with the columns of ``obs`` that hold the quality and the number of rows of each row.

    They have the names that ``hcat convert`` gives them, by which the readers of files find them, too.
    """
    for name in (QUALITY_COLUMN, COUNT_COLUMN):
        if name in adata.obs and name not in matrix:
            matrix[name] = adata.obs[name].to_numpy()
    return matrix


def _part(parts: Mapping[str, Any], name: str, place: str, source: str) -> Any:
    if name not in parts:
        raise UsageError(f"{source}: the AnnData has no {place}.{did_you_mean(name, parts)}")
    return parts[name]


def _selection(place: str) -> dict[str, str]:
    """The keys of the reader ``h5ad`` that choose a matrix."""
    kind, _, name = place.partition("/")
    if place == "X":
        return {}
    if kind in ("layers", "obsm") and name:
        return {{"layers": "layer", "obsm": "obsm"}[kind]: name}
    raise UsageError(f"{place!r} names no matrix of an AnnData: X, layers/NAME or obsm/NAME are.")
