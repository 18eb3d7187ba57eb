"""``h5``: embeddings from one HDF5 file, or from a folder with one file per slide."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal

import h5py
import numpy as np

from hcat_builtin.readers.chunks import findings_alone, join_small_tables
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
from hcat_builtin.readers.hdf5.members import Member, MemberRows
from hcat_builtin.readers.hdf5.row_chunks import checked_embedding, flat_size, row_chunks
from hcat_builtin.readers.hdf5.row_metadata import feature_names, per_row, row_ids
from hcat_builtin.readers.hdf5.safety import find_object, open_h5, text_attribute
from hcat_builtin.readers.isolation.progress import progress
from hcat_builtin.readers.isolation.reader import IsolatedReader
from hcat_builtin.readers.patch_counts import count_rows
from hcat_builtin.readers.plain_file import is_folder
from hcat_builtin.readers.slide_folder import slide_files
from hcat_builtin.readers.slide_matching import SlidePatients, Unmapped, match_slides
from hcat_builtin.readers.slide_rows import rows_of_slides, rows_of_table
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.counted import counted
from hcat_core.text.spelling import did_you_mean

ENDINGS = (".h5", ".hdf5")
FEATURE_TYPE = "feat_type"  # STAMP's attribute that says what the features of a file are of
PER_PATIENT = "patient"


class H5Reader(IsolatedReader):
    """Reads a modality from HDF5, recognising the layouts that are common in this field.

    One file has ids and an embedding of as many rows (several rows of a patient are aggregated, weighted by
    ``n_patches`` where the file has it), a ``patient_index_map``, one group per slide or patient, or, as
    written by STAMP, one dataset per slide or patient. A folder has one file per slide, as from CLAM,
    TRIDENT and STAMP, or one per patient (STAMP's ``feat_type = patient``, for which ``slide_map`` is not
    used), each (N, D), (1, N, D), (D,) or empty. One ``n_patches`` for several rows of a slide is the
    weight of the slide.

    Args:
        path: the file or folder.
        embedding: name of the embedding dataset, where it is not one of the usual names.
        patient_id: name of the dataset of ids, where it is not one of the usual names.
        weight: name of the row weights; ``n_patches`` by default.
        quality: name of the quality scores in [0, 1]; ``quality`` by default.
        slide_map: CSV with a slide and a patient column. With it, names of files (of groups, datasets, or
            the ids of a file with ids) are slides; without it they are patients.
        unmapped: what happens to slides that ``slide_map`` does not name: ``refuse`` or ``skip``.
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
        unmapped: Literal["refuse", "skip"] = "refuse",
    ) -> None:
        self.source = str(path)
        self.path = path
        self.embedding = embedding
        self.patient_id = patient_id
        self.weight = weight
        self.quality = quality
        self.slide_map = slide_map
        self.unmapped: Unmapped = unmapped

    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs."""
        if is_folder(self.path):
            yield from join_small_tables(self._read_slides())
            return
        with open_h5(self.path) as file:
            layout = self._layout(file)
            if isinstance(layout, FlatLayout):
                yield from self._read_flat(file, layout)
            else:
                yield from join_small_tables(self._read_members(file, layout))

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
                return self._of_patients(flat_columns(file, datasets, ids_name, names))
            groups = group_per_patient(file, datasets)
            if groups is None:
                raise nothing_usable(self.source, datasets)
            return self._of_patients(group_columns(file, groups, names))

    def describe_here(self) -> str:
        """``describe`` in this process."""
        if is_folder(self.path):
            return self._describe_slides()
        with open_h5(self.path) as file:
            layout = self._layout(file)
            if not isinstance(layout, FlatLayout):
                leaves = " or ".join(sorted({n.rpartition("/")[2] for n in layout.values() if "/" in n}))
                if leaves:
                    whose = "patient" if self.slide_map is None else "slide"
                    return f"one group per {whose}: no ids at the top, {len(layout)} groups with {leaves}"
                return f"STAMP: an encoder's name and {len(layout)} datasets, one per slide or patient"
            assert layout.patient_id is not None
            embedding = checked_embedding(file, layout.embedding)
            rows, _ = flat_size(embedding, layout.embedding)
            ids = row_ids(file, layout.patient_id, rows)
            if self.slide_map is not None:
                ids = rows_of_slides(ids, self.source, self.slide_map, self.unmapped)[0]
            patients = len(set(ids.tolist()) - {None})
            per = "one row per patient"
            if patients < rows:
                per = f"several rows per patient, {counted(patients, 'patient')}"
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

    def _of_patients(self, table: ColumnTable) -> ColumnTable:
        """Columns of slides with the slides' patients as ids."""
        if self.slide_map is None:
            return table
        ids, kept, findings = rows_of_slides(table.ids, self.source, self.slide_map, self.unmapped)
        columns = {name: column[kept] for name, column in table.columns.items()}
        return ColumnTable(ids[kept], columns, (*table.findings, *findings))

    def _read_flat(self, file: h5py.File, layout: FlatLayout) -> Iterator[ModalityTable]:
        assert layout.patient_id is not None
        embedding = checked_embedding(file, layout.embedding)
        rows, width = flat_size(embedding, layout.embedding)
        ids = row_ids(file, layout.patient_id, rows)
        weights, findings = self._flat_weights(file, ids)
        kept = None
        if self.slide_map is not None:
            ids, kept, more = rows_of_slides(ids, self.source, self.slide_map, self.unmapped)
            findings += more
        table = ModalityTable(
            ids=ids,
            values=np.empty((0, width)),
            weights=weights,
            quality=per_row(file, self._names(self.quality, QUALITY_NAMES, file), rows),
            features=feature_names(file, embedding, width),
            n_rows=per_row(file, COUNT_NAMES, rows),
            patients=int(np.count_nonzero(ids[1:] != ids[:-1])) + 1,  # neighbours of one patient count once
        )
        progress.start_dataset(layout.embedding)
        for part, values in row_chunks(embedding, rows, width):
            yield rows_of_table(table, part, values, None if kept is None else kept[part])
        yield from findings_alone(findings, width)

    def _flat_weights(self, file: h5py.File, ids: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
        """(R,) weights of the rows, and a finding where they only repeat how many rows there are."""
        names = self._names(self.weight, WEIGHT_NAMES, file)
        weights = per_row(file, names, len(ids))
        if weights is None or names[0] not in WEIGHT_NAMES or not count_rows(ids, weights):
            return weights, ()
        return None, (
            f"{self.source}: {names[0]} repeats how many rows a slide or patient has: no weights.",
        )

    def _read_members(self, file: h5py.File, members: Mapping[str, str]) -> Iterator[ModalityTable]:
        if self.slide_map is None and any("/" in name for name in members.values()):
            matched = SlidePatients(self.source, None, {key: key for key in members})  # groups of patients
        else:
            matched = match_slides(list(members), self.source, self.slide_map, self.unmapped)
        rows = MemberRows(self.weight, self.quality, len(matched.patients))
        for key, patient in matched.patients.items():
            yield from rows.tables(file, Member(key, patient, members[key]))
        rows.widths.refuse_mixed(self.source)
        yield from findings_alone(matched.findings(rows.empty), rows.widths.first)

    def _read_slides(self) -> Iterator[ModalityTable]:
        matched, kind = self._folder()
        rows = MemberRows(self.weight, self.quality, len(matched.patients))
        for name, patient in matched.patients.items():
            with open_h5(self.path / name) as file:
                if self.slide_map is not None and (text_attribute(file, FEATURE_TYPE) == PER_PATIENT) != (
                    kind == PER_PATIENT
                ):
                    raise DataError(
                        f"{file.filename}: is of a patient, or of a slide, and the folder's first file is "
                        "not. Put files of patients and files of slides into two folders."
                    )
                yield from rows.tables(file, Member(name, patient, self._embedding_of(file)))
        rows.widths.refuse_mixed(self.source)
        yield from findings_alone(matched.findings(rows.empty), rows.widths.first)

    def _folder(self) -> tuple[SlidePatients, str | None]:
        """The files of the folder with their patients, and STAMP's name for what one file is about."""
        files = slide_files(self.path, ENDINGS)
        with open_h5(files[0]) as file:
            kind = text_attribute(file, FEATURE_TYPE)
        slide_map = None if kind == PER_PATIENT else self.slide_map
        return match_slides([f.name for f in files], self.source, slide_map, self.unmapped), kind

    def _describe_slides(self) -> str:
        matched, kind = self._folder()
        with open_h5(self.path / next(iter(matched.patients))) as file:
            name = self._embedding_of(file)
            shape = _shape(checked_embedding(file, name))
        what = "slide" if kind is None else f"STAMP {kind}"
        owner = "a file's name is its patient" if matched.mapped is None else "slide_map names the patients"
        return f"folder of {len(matched.patients)} {what} files with {name} ({shape} in the first): {owner}"

    def _embedding_of(self, file: h5py.File) -> str:
        """The embedding's name in a file of one slide or patient."""
        datasets = describe_datasets(file)
        layout = find_patientid_and_embedding(datasets, source=file.filename, embedding=self.embedding)
        if layout is None:
            raise nothing_usable(file.filename, datasets)
        return layout.embedding

    def _names(self, given: str | None, usual: tuple[str, ...], file: h5py.File) -> tuple[str, ...]:
        if given is None:
            return usual
        if find_object(file, given) is None:
            raise DataError(f'{self.source}: has no dataset "{given}".{did_you_mean(given, file)}')
        return (given,)


def _shape(embedding: h5py.Dataset) -> str:
    return " x ".join(map(str, embedding.shape or ()))
