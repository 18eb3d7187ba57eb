"""The rows of one slide or patient: a file of a folder, a group, or a dataset."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import h5py
import numpy as np

from hcat_builtin.readers.dataset_names import QUALITY_NAMES, WEIGHT_NAMES
from hcat_builtin.readers.hdf5.row_chunks import checked_embedding, row_chunks
from hcat_builtin.readers.hdf5.row_metadata import feature_names, member_weights, per_row
from hcat_builtin.readers.isolation.progress import progress
from hcat_builtin.readers.member_widths import MemberWidths
from hcat_core.errors import DataError
from hcat_core.reading import ModalityTable


@dataclass(frozen=True)
class Member:
    """One slide or patient of a file or folder.

    Attributes:
        name: as the file or folder calls it.
        patient: whose it is.
        embedding: the full name of its embedding's dataset.
    """

    name: str
    patient: str
    embedding: str


@dataclass(frozen=True)
class MemberRows:
    """Reads one member after the other, and keeps what is said of all of them after the last.

    Attributes:
        weight, quality: names of the datasets beside the embedding, or None for the usual ones.
        patients: how many members there are.
        empty: members without any row, so far.
        widths: of the members, so far.
    """

    weight: str | None
    quality: str | None
    patients: int
    empty: list[str] = field(default_factory=list)
    widths: MemberWidths = field(default_factory=MemberWidths)

    def tables(self, file: h5py.File, member: Member) -> Iterator[ModalityTable]:
        """The rows of one member; none for an empty one, nor after members of different widths.

        Raises:
            DataError: for an embedding of another shape than (N, D), (1, N, D) or (D,).
        """
        embedding = checked_embedding(file, member.embedding)
        if embedding.shape is None or 0 in embedding.shape:
            self.empty.append(member.name)
            return
        if not 1 <= embedding.ndim <= 3 or (embedding.ndim == 3 and embedding.shape[0] != 1):
            raise DataError(
                f"{file.filename}: {member.embedding} has shape {embedding.shape}; (N, D), (1, N, D) or "
                "(D,) is needed."
            )
        width = embedding.shape[-1]
        features = feature_names(file, embedding, width)
        if not self.widths.add(member.name, width, features):
            return
        rows = 1 if embedding.ndim == 1 else embedding.shape[-2]
        weights = member_weights(file, self._beside(member, self.weight, WEIGHT_NAMES), rows)
        quality = per_row(file, self._beside(member, self.quality, QUALITY_NAMES), rows)
        progress.start_dataset(member.embedding)
        for part, values in row_chunks(embedding, rows, width):
            yield ModalityTable(
                ids=np.broadcast_to(np.array([member.patient], dtype=object), len(values)),
                values=values,
                weights=None if weights is None else weights[part],
                quality=None if quality is None else quality[part],
                features=features,
                patients=self.patients,
            )

    def _beside(self, member: Member, given: str | None, usual: tuple[str, ...]) -> tuple[str, ...]:
        """Full names of datasets beside a member's embedding."""
        group = member.embedding.rpartition("/")[0]
        within = f"{group}/" if group else ""
        return tuple(within + name for name in (usual if given is None else (given,)))
