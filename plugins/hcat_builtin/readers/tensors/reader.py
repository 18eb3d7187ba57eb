"""``pt``: embeddings from PyTorch files: one a slide or patient, or one of everybody."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from torch import Tensor

from hcat_builtin.readers.chunks import join_small_tables
from hcat_builtin.readers.dataset_names import EMBEDDING_NAMES, ID_NAMES, QUALITY_NAMES
from hcat_builtin.readers.slide_map import patient_of, read_slide_map
from hcat_builtin.readers.tensors.archive import load_tensors
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.spelling import did_you_mean

ENDINGS = (".pt", ".pth")


class PtReader:
    """Reads a modality from PyTorch files: tensors and dictionaries of them; nothing in a file is run.

    A folder: one file a slide or patient, as CLAM's ``pt_files``: a tensor (N, D), (1, N, D) or (D,), or a
    dictionary with one under a usual name. One file: a dictionary patient -> tensor, or one with the ids
    (``patient_id``) and the rows (``embedding``), and ``quality`` where known.

    Parsed in this process, not in the worker of HDF5 files, which has no torch: the pickle is followed
    (``pt_pickle``) before torch loads it with ``weights_only``, and the archive must not be packed.

    Args:
        path: the file or folder.
        embedding: the tensor's name in a dictionary, where it is not one of the usual.
        slide_map: CSV with a slide and a patient column; without it a file's name, or a dictionary's key,
            is the patient.
    """

    def __init__(self, *, path: Path, embedding: str | None = None, slide_map: Path | None = None) -> None:
        self.source = str(path)
        self.path = path
        self.embedding = embedding
        self.slide_map = slide_map

    def read(self) -> Iterator[ModalityTable]:
        """Rows in pieces; of a folder, one file is in memory at a time.

        Raises:
            DataError: for a file that cannot be trusted or says nothing usable.
        """
        patients = None if self.slide_map is None else read_slide_map(self.slide_map)
        if self.path.is_dir():
            bags = (
                (patient_of(file.name, patients, self.slide_map), self._tensor(file))
                for file in self._files()
            )
            yield from join_small_tables(_tables(bags), self.source)
            return
        held = self._dictionary()
        ids = _first(held, ID_NAMES)
        if ids is not None:
            yield self._flat(held, ids)
            return
        named = ((patient_of(str(key), patients, self.slide_map), value) for key, value in held.items())
        yield from join_small_tables(
            _tables((key, _rows(value, self.source)) for key, value in named), self.source
        )

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Tensor files hold no outcomes.

        Raises:
            DataError: always.
        """
        if not self.path.exists():
            raise DataError(f"{self.source}: no such file or folder.")
        raise DataError(
            f"{self.source}: tensor files hold no columns of outcomes. Let cohort.targets name an HDF5 "
            "file or a table."
        )

    def describe(self) -> str:
        """The layout that ``read`` will take.

        Raises:
            DataError: as ``read`` does.
        """
        owner = "its name is its patient" if self.slide_map is None else "slide_map says whose"
        if self.path.is_dir():
            files = self._files()
            shape = " x ".join(map(str, self._tensor(files[0]).shape))
            return f"folder of {len(files)} tensor files ({shape} in the first): {owner}"
        held = self._dictionary()
        if _first(held, ID_NAMES) is not None:
            return "one tensor file: a dictionary with ids and rows side by side"
        return f"one tensor file: a dictionary of {len(held)} tensors, {owner}"

    def _files(self) -> list[Path]:
        files = sorted(p for p in self.path.iterdir() if p.suffix.lower() in ENDINGS)
        if not files:
            raise DataError(f"{self.source}: the folder holds no .pt file.")
        return files

    def _tensor(self, file: Path) -> Tensor:
        """(N, D) of one slide or patient."""
        held = load_tensors(file)
        return _rows(self._embedding(held, str(file)) if isinstance(held, Mapping) else held, str(file))

    def _dictionary(self) -> Mapping[object, object]:
        held = load_tensors(self.path)
        if not isinstance(held, Mapping) or not held:
            raise DataError(
                f"{self.source}: holds {_kind(held)} and no patient ids. It needs a dictionary, patient -> "
                'tensor or {"patient_id": ids, "embedding": rows}; or name a folder with a file a patient.'
            )
        return held

    def _embedding(self, held: Mapping[object, object], source: str) -> object:
        known = [str(key) for key in held]
        if self.embedding is not None and self.embedding not in held:
            raise DataError(
                f'{source}: has no tensor "{self.embedding}".{did_you_mean(self.embedding, known)}'
            )
        value = held[self.embedding] if self.embedding is not None else _first(held, EMBEDDING_NAMES)
        if value is None:
            raise DataError(
                f"{source}: no embedding among {', '.join(known[:20])}. Name yours in the recipe: "
                "embedding = ..."
            )
        return value

    def _flat(self, held: Mapping[object, object], raw: object) -> ModalityTable:
        rows = _rows(self._embedding(held, self.source), self.source)
        ids = raw.reshape(-1).tolist() if isinstance(raw, Tensor) else raw
        if not isinstance(ids, list | tuple) or len(ids) != len(rows) or not _are_plain(ids):
            raise DataError(
                f"{self.source}: a list of {len(rows)} ids is needed, one a row of the embedding."
            )
        quality = _first(held, QUALITY_NAMES)
        if quality is not None:
            if not isinstance(quality, Tensor) or quality.numel() != len(rows):
                raise DataError(f"{self.source}: a tensor of {len(rows)} scores is needed as quality.")
            quality = _whole(quality, self.source).reshape(-1).float().numpy()
        return ModalityTable(np.array(ids, dtype=object), rows.numpy(), quality=quality)


def _tables(bags: Iterator[tuple[str, Tensor]]) -> Iterator[ModalityTable]:
    """Nothing for an empty bag."""
    for patient, rows in bags:
        if rows.numel():
            yield ModalityTable(np.full(len(rows), patient, dtype=object), rows.numpy())


def _rows(value: object, source: str) -> Tensor:
    """(N, D) float32 of a tensor (N, D), (1, N, D) or (D,)."""
    if not isinstance(value, Tensor):
        raise DataError(f"{source}: holds {_kind(value)} where a tensor is needed.")
    value = _whole(value, source)
    if value.ndim == 3 and value.shape[0] == 1:
        value = value[0]
    if value.ndim == 1:
        value = value.unsqueeze(0)
    if value.ndim != 2:
        raise DataError(f"{source}: has shape {tuple(value.shape)}; (N, D), (1, N, D) or (D,) is needed.")
    return value.float()


def _whole(value: Tensor, source: str) -> Tensor:
    """A tensor of real numbers, every one of which is stored: a view may claim more."""
    if value.is_complex():
        raise DataError(f"{source}: holds a tensor that is not one of real numbers ({value.dtype}).")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise DataError(
            f"{source}: a tensor claims {tuple(value.shape)} and stores less. hcat does not unpack it."
        )
    return value.detach().resolve_neg()  # numpy knows no view whose signs are turned


def _are_plain(ids: list[object] | tuple[object, ...]) -> bool:
    """Whether no id is a list: lists may hold each other, and numpy would write them out."""
    return all(isinstance(one, str | int | float) for one in ids)


def _first(held: Mapping[object, object], names: tuple[str, ...]) -> object:
    return next((held[name] for name in names if name in held), None)


def _kind(value: object) -> str:
    return "an empty dictionary" if value == {} else f"a {type(value).__name__}"
