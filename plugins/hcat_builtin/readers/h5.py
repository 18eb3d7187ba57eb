"""``h5``: embeddings from one HDF5 file, or from a folder with one file a slide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import h5py
import numpy as np

from hcat_builtin.readers.h5_layouts import (
    ID_NAMES,
    QUALITY_NAMES,
    WEIGHT_NAMES,
    DatasetInfo,
    Found,
    checked_embedding,
    describe_datasets,
    feature_names,
    find_patientid_and_embedding,
    group_per_patient,
    nothing_usable,
    per_row,
    row_ids,
)
from hcat_builtin.readers.h5_rows import CHUNK_BYTES, joined, row_pieces
from hcat_builtin.readers.hdf5_board import now
from hcat_builtin.readers.hdf5_safety import find_object, open_h5, read_attribute, read_small
from hcat_builtin.readers.hdf5_worker import read_columns_in_worker, read_in_worker
from hcat_builtin.readers.slide_map import read_slide_map
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.spelling import did_you_mean


class H5Reader:
    """Reads a modality from HDF5, in whichever of the field's layouts it finds.

    One file: ids and an embedding of as many rows (several rows a patient are aggregated, weighted by
    ``n_patches`` where the file has it); a ``patient_index_map``; or one group per patient. A folder:
    one file a slide, as CLAM and TRIDENT write them, each (N, D), (1, N, D), (D,) or empty.

    Args:
        path: the file or folder.
        embedding: name of the embedding dataset, where it is not one of the usual.
        patient_id: name of the dataset of ids, where it is not one of the usual.
        weight: name of the row weights; ``n_patches`` when not given.
        quality: name of the quality scores in [0, 1]; ``quality`` when not given.
        slide_map: CSV with a slide and a patient column; without it a slide's file name is the patient.
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

    def read(self) -> Iterator[ModalityTable]:
        """Rows in pieces of about 4 MiB, parsed by a worker.

        Raises:
            DataError: for a file that cannot be trusted or says nothing usable.
        """
        return read_in_worker(self)

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Columns of one value a row (or, in one group per patient, a group), parsed by a worker.

        Raises:
            DataError: naming the column that the file lacks, and those it has.
        """
        return read_columns_in_worker(self, names)

    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs."""
        if self.path.is_dir():
            yield from self._read_slides()
            return
        with open_h5(self.path) as file:
            datasets = describe_datasets(file)
            found = self._find(datasets)
            if found is not None and found.patient_id is not None:
                yield from self._read_flat(file, found)
                return
            groups = None if self.embedding or self.patient_id else group_per_patient(file, datasets)
            if groups is None:
                raise nothing_usable(self.source, datasets)
            yield from self._read_groups(file, groups)

    def read_columns_here(self, names: list[str]) -> ColumnTable:
        """``read_columns`` in this process."""
        with open_h5(self.path) as file:
            datasets = describe_datasets(file)
            found = find_patientid_and_embedding(
                datasets,
                source=self.source,
                patient_id=self.patient_id,
                embedding=self.embedding,
            )
            ids_name = found.patient_id if found else self._ids_only(datasets)
            if ids_name is not None:
                return self._flat_columns(file, datasets, ids_name, names)
            groups = group_per_patient(file, datasets)
            if groups is None:
                raise nothing_usable(self.source, datasets)
            return self._group_columns(file, groups, names)

    def _find(self, datasets: Mapping[str, DatasetInfo]) -> Found | None:
        # The members of a map in a group are not datasets to choose from; the group is.
        names = [*datasets, *{n.split("/")[0] for n in datasets if n.startswith("patient_index_map/")}]
        return find_patientid_and_embedding(
            names, source=self.source, patient_id=self.patient_id, embedding=self.embedding
        )

    def _ids_only(self, datasets: Mapping[str, DatasetInfo]) -> str | None:
        """The id dataset of a file with outcomes and no embedding."""
        return self.patient_id or next((name for name in ID_NAMES if name in datasets), None)

    def _read_flat(self, file: h5py.File, found: Found) -> Iterator[ModalityTable]:
        assert found.patient_id is not None
        embedding = checked_embedding(file, found.embedding)
        if embedding.ndim == 3 and embedding.shape[0] == 1:
            rows, width = embedding.shape[1:]
        elif embedding.ndim == 2:
            rows, width = embedding.shape
        elif embedding.ndim == 1:
            rows, width = embedding.shape[0], 1
        else:
            rows = width = 0
        if width == 0:
            raise DataError(
                f"{self.source}: {found.embedding} has shape {embedding.shape}; (rows, features) is needed."
            )
        ids = row_ids(file, found.patient_id, rows)
        weights = per_row(file, self._names(self.weight, WEIGHT_NAMES, file), rows)
        quality = per_row(file, self._names(self.quality, QUALITY_NAMES, file), rows)
        features = feature_names(file, embedding, width)
        now.tell(found.embedding)
        for part, values in row_pieces(embedding, rows, width):
            yield ModalityTable(
                ids=ids[part],
                values=values,
                weights=None if weights is None else weights[part],
                quality=None if quality is None else quality[part],
                features=features,
            )

    def _read_groups(self, file: h5py.File, groups: Mapping[str, str]) -> Iterator[ModalityTable]:
        """Small groups are gathered, so that a chunk holds many patients."""
        pending: list[ModalityTable] = []
        size = 0
        for patient, name in groups.items():
            prefix = name.rpartition("/")[0]
            for table in self._bag(file, patient, name, prefix):
                pending.append(table)
                size += table.values.nbytes
                if size >= CHUNK_BYTES:
                    yield joined(pending, self.source)
                    pending, size = [], 0
        if pending:
            yield joined(pending, self.source)

    def _read_slides(self) -> Iterator[ModalityTable]:
        slides = sorted(p for p in self.path.iterdir() if p.suffix.lower() in (".h5", ".hdf5"))
        if not slides:
            raise DataError(f"{self.source}: the folder holds no .h5 file.")
        patients = None if self.slide_map is None else read_slide_map(self.slide_map)
        pending: list[ModalityTable] = []
        size = 0
        for slide in slides:
            if patients is None:
                patient = slide.stem
            elif slide.stem in patients:
                patient = patients[slide.stem]
            else:
                raise DataError(
                    f"{self.slide_map}: has no patient for the slide {slide.name}. Add a line for it, "
                    "or take the file out of the folder."
                )
            with open_h5(slide) as file:
                datasets = describe_datasets(file)
                found = find_patientid_and_embedding(datasets, source=str(slide), embedding=self.embedding)
                if found is None:
                    raise nothing_usable(str(slide), datasets)
                for table in self._bag(file, patient, found.embedding, ""):
                    pending.append(table)
                    size += table.values.nbytes
                    if size >= CHUNK_BYTES:
                        yield joined(pending, self.source)
                        pending, size = [], 0
        if pending:
            yield joined(pending, self.source)

    def _bag(self, file: h5py.File, patient: str, name: str, prefix: str) -> Iterator[ModalityTable]:
        """The rows of one patient or slide; nothing for an empty one."""
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
        now.tell(name)
        for part, values in row_pieces(embedding, rows, width):
            yield ModalityTable(
                ids=np.full(len(values), patient, dtype=object),
                values=values,
                weights=None if weights is None else weights[part],
                quality=None if quality is None else quality[part],
                features=features,
            )

    def _weight_names(self) -> tuple[str, ...]:
        return WEIGHT_NAMES if self.weight is None else (self.weight,)

    def _quality_names(self) -> tuple[str, ...]:
        return QUALITY_NAMES if self.quality is None else (self.quality,)

    def _names(self, asked: str | None, usual: tuple[str, ...], file: h5py.File) -> tuple[str, ...]:
        if asked is None:
            return usual
        if find_object(file, asked) is None:
            raise DataError(f'{self.source}: has no dataset "{asked}".{did_you_mean(asked, file)}')
        return (asked,)

    def _flat_columns(
        self,
        file: h5py.File,
        datasets: Mapping[str, DatasetInfo],
        ids_name: str,
        names: list[str],
    ) -> ColumnTable:
        ids_node = find_object(file, ids_name)
        rows = datasets[ids_name].shape[0] if isinstance(ids_node, h5py.Dataset) else 0
        ids = row_ids(file, ids_name, rows)
        columns = {}
        for name in names:
            node = find_object(file, name)
            if not isinstance(node, h5py.Dataset):
                known = [n for n, info in datasets.items() if info.shape[:1] == (len(ids),)]
                raise DataError(
                    f'{self.source}: has no column "{name}".{did_you_mean(name, known)} '
                    f"Its columns: {', '.join(known)}."
                )
            values = read_small(node)
            if values.size != len(ids):
                raise DataError(
                    f"{self.source}: {name} holds {values.size} values for {len(ids)} ids; "
                    "one each is needed."
                )
            columns[name] = values.reshape(-1)
        return ColumnTable(ids, columns)

    def _group_columns(self, file: h5py.File, groups: Mapping[str, str], names: list[str]) -> ColumnTable:
        columns: dict[str, list[object]] = {name: [] for name in names}
        held = [False] * len(names)
        for embedding in groups.values():
            prefix = embedding.rpartition("/")[0]
            group = find_object(file, prefix)
            for place, name in enumerate(names):
                node = find_object(file, f"{prefix}/{name}")
                value: object = np.nan
                if isinstance(node, h5py.Dataset) and node.size == 1:
                    value = read_small(node).reshape(-1)[0]
                    held[place] = True
                elif group is not None and (held_by_group := read_attribute(group, name)) is not None:
                    value = held_by_group
                    held[place] = True
                columns[name].append(value)
        for place, name in enumerate(names):
            if not held[place]:
                raise DataError(
                    f'{self.source}: no patient\'s group has a value "{name}", '
                    "neither as a dataset nor as an attribute."
                )
        return ColumnTable(
            np.array(list(groups), dtype=object),
            {name: np.array(values) for name, values in columns.items()},
        )
