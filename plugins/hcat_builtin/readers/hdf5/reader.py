"""``h5``: embeddings from one HDF5 file, or from a folder with one file per slide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from hcat_builtin.readers.chunks import join_small_tables
from hcat_builtin.readers.dataset_names import COUNT_NAMES, ID_NAMES, QUALITY_NAMES, WEIGHT_NAMES
from hcat_builtin.readers.hdf5.columns import flat_columns, group_columns
from hcat_builtin.readers.hdf5.layouts import (
    FlatLayout,
    dataset_per_patient,
    describe_datasets,
    find_patientid_and_embedding,
    group_per_patient,
    nothing_usable,
    refuse_annotated,
)
from hcat_builtin.readers.hdf5.row_chunks import checked_embedding, flat_size, row_chunks
from hcat_builtin.readers.hdf5.row_metadata import (
    feature_names,
    per_row,
    row_ids,
)
from hcat_builtin.readers.hdf5.safety import find_object, open_h5, text_attribute
from hcat_builtin.readers.isolation.progress import progress
from hcat_builtin.readers.isolation.reader import IsolatedReader
from hcat_builtin.readers.slide_map import patient_of, read_slide_map
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.spelling import did_you_mean


class H5Reader(IsolatedReader):
    """Reads a modality from HDF5, recognising the layouts that are common in this field.

    One file has ids and an embedding of as many rows (several rows of a patient are aggregated, weighted by
    ``n_patches`` where the file has it), a ``patient_index_map``, one group per patient, or, as written by
    STAMP, one dataset per slide or patient. A folder has one file per slide, as from CLAM, TRIDENT and
    STAMP, or one per patient (STAMP's ``feat_type = patient``), each (N, D), (1, N, D), (D,) or empty.

    Args:
        path: the file or folder.
        embedding: name of the embedding dataset, where it is not one of the usual names.
        patient_id: name of the dataset of ids, where it is not one of the usual names.
        weight: name of the row weights; ``n_patches`` by default.
        quality: name of the quality scores in [0, 1]; ``quality`` by default.
        slide_map: CSV with a slide and a patient column; without it the patient is the slide's file name.
    """

    def __init__(
        self,
        *,
        path: Path,
        embedding: str | None = None,
        patient_id: str | None = None,
        weight: str | None = None,
        quality: str | None = None,
        slide_map: Path | None = None,
    ) -> None:
        self.source = str(path)
        self.path = path
        self.embedding = embedding
        self.patient_id = patient_id
        self.weight = weight
        self.quality = quality
        self.slide_map = slide_map

    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs."""
        if self.path.is_dir():
            yield from join_small_tables(self._read_slides(), self.source)
            return
        with open_h5(self.path) as file:
            layout = self._layout(file)
            if isinstance(layout, FlatLayout):
                yield from self._read_flat(file, layout)
            else:
                yield from join_small_tables(self._read_members(file, layout), self.source)

    def read_columns_here(self, names: list[str]) -> ColumnTable:
        """``read_columns`` in this process."""
        with open_h5(self.path) as file:
            refuse_annotated(file)
            datasets = describe_datasets(file)
            layout = find_patientid_and_embedding(
                datasets,
                source=self.source,
                patient_id=self.patient_id,
                embedding=self.embedding,
            )
            # A file of outcomes can have ids and no embedding.
            only_ids = self.patient_id or next((name for name in ID_NAMES if name in datasets), None)
            ids_name = layout.patient_id if layout else only_ids
            if ids_name is not None:
                return flat_columns(file, datasets, ids_name, names)
            groups = group_per_patient(file, datasets)
            if groups is None:
                raise nothing_usable(self.source, datasets)
            return group_columns(file, groups, names)

    def describe_here(self) -> str:
        """``describe`` in this process."""
        if self.path.is_dir():
            return self._describe_slides()
        with open_h5(self.path) as file:
            layout = self._layout(file)
            if not isinstance(layout, FlatLayout):
                leaves = " or ".join(sorted({n.rpartition("/")[2] for n in layout.values() if "/" in n}))
                if leaves:
                    return f"one group per patient: no ids at the top, {len(layout)} groups with {leaves}"
                return f"STAMP: an encoder's name and {len(layout)} datasets, one per slide or patient"
            assert layout.patient_id is not None
            embedding = checked_embedding(file, layout.embedding)
            rows, _ = flat_size(embedding, layout.embedding)
            patients = len(set(row_ids(file, layout.patient_id, rows).tolist()))
            per = "one row per patient"
            if patients < rows:
                per = f"several rows per patient, {patients} patients"
            return f"{per}: {layout.patient_id} and {layout.embedding} ({_shape(embedding)}) at the top"

    def _layout(self, file: h5py.File) -> FlatLayout | dict[str, str]:
        """The ids and embedding at the top, or the embedding of each patient or slide by name."""
        refuse_annotated(file)
        datasets = describe_datasets(file)
        # Of a map stored as a group, the group is a name to choose from and its members are not.
        names = [*datasets, *{n.split("/")[0] for n in datasets if n.startswith("patient_index_map/")}]
        layout = find_patientid_and_embedding(
            names, source=self.source, patient_id=self.patient_id, embedding=self.embedding
        )
        if layout is not None and layout.patient_id is not None:
            return layout
        members = None
        if not self.embedding and not self.patient_id:
            members = group_per_patient(file, datasets) or dataset_per_patient(file, datasets)
        if members is None:
            raise nothing_usable(self.source, datasets)
        return members

    def _read_flat(self, file: h5py.File, layout: FlatLayout) -> Iterator[ModalityTable]:
        assert layout.patient_id is not None
        embedding = checked_embedding(file, layout.embedding)
        rows, width = flat_size(embedding, layout.embedding)
        ids = row_ids(file, layout.patient_id, rows)
        weights = per_row(file, self._names(self.weight, WEIGHT_NAMES, file), rows)
        quality = per_row(file, self._names(self.quality, QUALITY_NAMES, file), rows)
        counts = per_row(file, COUNT_NAMES, rows)
        features = feature_names(file, embedding, width)
        patients = (
            int(np.count_nonzero(ids[1:] != ids[:-1])) + 1
        )  # neighbouring rows of one patient count once
        progress.start_dataset(layout.embedding)
        for part, values in row_chunks(embedding, rows, width):
            yield ModalityTable(
                ids=ids[part],
                values=values,
                weights=None if weights is None else weights[part],
                quality=None if quality is None else quality[part],
                features=features,
                n_rows=None if counts is None else counts[part],
                patients=patients,
            )

    def _read_members(self, file: h5py.File, members: Mapping[str, str]) -> Iterator[ModalityTable]:
        patients = None if self.slide_map is None else read_slide_map(self.slide_map)
        for key, name in members.items():
            # A group belongs to a patient; a dataset at the top can belong to a slide.
            patient = key if "/" in name else patient_of(key, patients, self.slide_map)
            yield from self._member(file, patient, name, name.rpartition("/")[0], len(members))

    def _read_slides(self) -> Iterator[ModalityTable]:
        patients = None if self.slide_map is None else read_slide_map(self.slide_map)
        slides = self._slides()
        for slide in slides:
            with open_h5(slide) as file:
                per_patient = text_attribute(file, "feat_type") == "patient"
                patient = slide.stem if per_patient else patient_of(slide.name, patients, self.slide_map)
                yield from self._member(file, patient, self._embedding_of(file), "", len(slides))

    def _describe_slides(self) -> str:
        slides = self._slides()
        with open_h5(slides[0]) as file:
            name = self._embedding_of(file)
            shape = _shape(checked_embedding(file, name))
            kind = text_attribute(file, "feat_type")
        what = "slide" if kind is None else f"STAMP {kind}"
        mapped = self.slide_map is not None and kind != "patient"
        owner = "slide_map names the patients" if mapped else "a file's name is its patient"
        return f"folder of {len(slides)} {what} files with {name} ({shape} in the first): {owner}"

    def _slides(self) -> list[Path]:
        slides = sorted(p for p in self.path.iterdir() if p.suffix.lower() in (".h5", ".hdf5"))
        if not slides:
            raise DataError(f"{self.source}: the folder holds no .h5 file.")
        return slides

    def _embedding_of(self, file: h5py.File) -> str:
        """The embedding's name in a file of one slide or patient."""
        datasets = describe_datasets(file)
        layout = find_patientid_and_embedding(datasets, source=file.filename, embedding=self.embedding)
        if layout is None:
            raise nothing_usable(file.filename, datasets)
        return layout.embedding

    def _member(
        self, file: h5py.File, patient: str, name: str, prefix: str, patients: int
    ) -> Iterator[ModalityTable]:
        """The rows of one patient or slide; no table for an empty one."""
        embedding = checked_embedding(file, name)
        if embedding.shape is None or 0 in embedding.shape:
            return
        if not 1 <= embedding.ndim <= 3 or (embedding.ndim == 3 and embedding.shape[0] != 1):
            raise DataError(
                f"{file.filename}: {name} has shape {embedding.shape}; (N, D), (1, N, D) or (D,) is needed."
            )
        width = embedding.shape[-1]
        rows = 1 if embedding.ndim == 1 else embedding.shape[-2]
        within = f"{prefix}/" if prefix else ""
        weights = per_row(file, tuple(within + n for n in self._weight_names()), rows)
        quality = per_row(file, tuple(within + n for n in self._quality_names()), rows)
        features = feature_names(file, embedding, width)
        progress.start_dataset(name)
        for part, values in row_chunks(embedding, rows, width):
            yield ModalityTable(
                ids=np.broadcast_to(np.array([patient], dtype=object), len(values)),
                values=values,
                weights=None if weights is None else weights[part],
                quality=None if quality is None else quality[part],
                features=features,
                patients=patients,
            )

    def _weight_names(self) -> tuple[str, ...]:
        return WEIGHT_NAMES if self.weight is None else (self.weight,)

    def _quality_names(self) -> tuple[str, ...]:
        return QUALITY_NAMES if self.quality is None else (self.quality,)

    def _names(self, given: str | None, usual: tuple[str, ...], file: h5py.File) -> tuple[str, ...]:
        if given is None:
            return usual
        if find_object(file, given) is None:
            raise DataError(f'{self.source}: has no dataset "{given}".{did_you_mean(given, file)}')
        return (given,)


def _shape(embedding: h5py.Dataset) -> str:
    return " x ".join(map(str, embedding.shape or ()))
