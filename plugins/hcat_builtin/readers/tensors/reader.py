"""``pt``: embeddings from PyTorch files, one per slide or patient, or one of all patients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from hcat_builtin.readers.chunks import join_small_tables
from hcat_builtin.readers.dataset_names import EMBEDDING_NAMES, ID_NAMES, QUALITY_NAMES
from hcat_builtin.readers.isolation.reader import IsolatedReader
from hcat_builtin.readers.slide_map import patient_of, read_slide_map
from hcat_builtin.readers.tensors.archive import load_tensors
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.spelling import did_you_mean

ENDINGS = (".pt", ".pth")


class PtReader(IsolatedReader):
    """Reads a modality from PyTorch files of tensors or dictionaries of tensors; no code in them is run.

    A folder has one file per slide or patient, as CLAM's ``pt_files``: a tensor (N, D), (1, N, D) or (D,),
    or a dictionary with one under a usual name. A single file is a dictionary, patient -> tensor, or one
    with ids (``patient_id``), rows (``embedding``) and, where known, ``quality``.

    A worker loads the files with ``torch.load(weights_only=True)``, which runs no code, within limits of
    memory and time; archives must not be compressed.

    Args:
        path: the file or folder.
        embedding: the tensor's name in a dictionary, where it is not one of the usual names.
        slide_map: CSV with a slide and a patient column; without it the patient is the file's name, or the
            dictionary's key.
    """

    def __init__(self, *, path: Path, embedding: str | None = None, slide_map: Path | None = None) -> None:
        self.source = str(path)
        self.path = path
        self.embedding = embedding
        self.slide_map = slide_map

    def extra_memory(self) -> int:
        """Twice the largest file: its tensors, and those that are converted to float32."""
        files = self._files() if self.path.is_dir() else [self.path] if self.path.is_file() else []
        return 2 * max((file.stat().st_size for file in files), default=0)

    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs. One file of a folder is in memory at a time."""
        patients = None if self.slide_map is None else read_slide_map(self.slide_map)
        if self.path.is_dir():
            tensors = (
                (patient_of(file.name, patients, self.slide_map), self._tensor(file))
                for file in self._files()
            )
            yield from join_small_tables(_tables(tensors), self.source)
            return
        content = self._dictionary()
        ids = _first(content, ID_NAMES)
        if ids is not None:
            yield self._flat(content, ids)
            return
        tensors = (
            (patient_of(str(key), patients, self.slide_map), _rows(value, self.source))
            for key, value in content.items()
        )
        yield from join_small_tables(_tables(tensors), self.source)

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Tensor files hold no outcomes; no worker is needed to report that.

        Raises:
            DataError: always.
        """
        return self.read_columns_here(names)

    def read_columns_here(self, names: list[str]) -> ColumnTable:
        """``read_columns`` in this process."""
        if not self.path.exists():
            raise DataError(f"{self.source}: no such file or folder.")
        raise DataError(
            f"{self.source}: tensor files hold no columns of outcomes. Let cohort.targets name an HDF5 "
            "file or a table."
        )

    def describe_here(self) -> str:
        """``describe`` in this process."""
        owner = "its name is its patient" if self.slide_map is None else "slide_map names its patient"
        if self.path.is_dir():
            files = self._files()
            shape = " x ".join(map(str, self._tensor(files[0]).shape))
            return f"folder of {len(files)} tensor files ({shape} in the first): {owner}"
        content = self._dictionary()
        if _first(content, ID_NAMES) is not None:
            return "one tensor file: a dictionary with ids and rows side by side"
        return f"one tensor file: a dictionary of {len(content)} tensors, {owner}"

    def _files(self) -> list[Path]:
        files = sorted(p for p in self.path.iterdir() if p.suffix.lower() in ENDINGS)
        if not files:
            raise DataError(f"{self.source}: the folder holds no .pt file.")
        return files

    def _tensor(self, file: Path) -> Tensor:
        """(N, D) of one slide or patient."""
        content = load_tensors(file)
        value = self._embedding(content, str(file)) if isinstance(content, Mapping) else content
        return _rows(value, str(file))

    def _dictionary(self) -> Mapping[object, object]:
        content = load_tensors(self.path)
        if not isinstance(content, Mapping) or not content:
            raise DataError(
                f"{self.source}: holds {_kind(content)} and no patient ids. It needs a dictionary, patient "
                '-> tensor or {"patient_id": ids, "embedding": rows}; or name a folder with one file per '
                "patient."
            )
        return content

    def _embedding(self, content: Mapping[object, object], source: str) -> object:
        names = [str(key) for key in content]
        if self.embedding is not None and self.embedding not in content:
            raise DataError(
                f'{source}: has no tensor "{self.embedding}".{did_you_mean(self.embedding, names)}'
            )
        value = _first(content, EMBEDDING_NAMES) if self.embedding is None else content[self.embedding]
        if value is None:
            raise DataError(
                f"{source}: no embedding among {', '.join(names[:20])}. Name yours in the recipe: "
                "embedding = ..."
            )
        return value

    def _flat(self, content: Mapping[object, object], raw_ids: object) -> ModalityTable:
        """The table of a dictionary with ids and rows side by side."""
        rows = _rows(self._embedding(content, self.source), self.source)
        ids = raw_ids.reshape(-1).tolist() if isinstance(raw_ids, Tensor) else raw_ids
        if not isinstance(ids, list | tuple) or len(ids) != len(rows) or not _are_scalars(ids):
            raise DataError(
                f"{self.source}: a list of {len(rows)} ids is needed, one per row of the embedding."
            )
        quality = _first(content, QUALITY_NAMES)
        if quality is not None:
            if not isinstance(quality, Tensor) or quality.numel() != len(rows):
                raise DataError(f"{self.source}: a tensor of {len(rows)} quality scores is needed.")
            quality = _dense(quality, self.source).reshape(-1).float().numpy()
        return ModalityTable(np.array(ids, dtype=object), rows.numpy(), quality=quality)


def _tables(tensors: Iterable[tuple[str, Tensor]]) -> Iterator[ModalityTable]:
    """A table for each tensor that is not empty."""
    for patient, rows in tensors:
        if rows.numel():
            yield ModalityTable(np.full(len(rows), patient, dtype=object), rows.numpy())


def _rows(value: object, source: str) -> Tensor:
    """(N, D) float32 of a tensor (N, D), (1, N, D) or (D,)."""
    if not isinstance(value, Tensor):
        raise DataError(f"{source}: holds {_kind(value)} where a tensor is needed.")
    value = _dense(value, source)
    if value.ndim == 3 and value.shape[0] == 1:
        value = value[0]
    if value.ndim == 1:
        value = value.unsqueeze(0)
    if value.ndim != 2:
        raise DataError(f"{source}: has shape {tuple(value.shape)}; (N, D), (1, N, D) or (D,) is needed.")
    return value.float()


def _dense(value: Tensor, source: str) -> Tensor:
    """A dense tensor of real numbers each of which is stored: a view can claim more than that."""
    if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
        raise DataError(f"{source}: holds a sparse, quantised or meta tensor. hcat reads dense ones.")
    if value.is_complex():
        raise DataError(f"{source}: holds a tensor that is not one of real numbers ({value.dtype}).")
    if value.numel() * value.element_size() > value.untyped_storage().nbytes():
        raise DataError(
            f"{source}: a tensor claims {tuple(value.shape)} and stores less. hcat does not unpack it."
        )
    return value.detach().resolve_neg()  # numpy has no views with negated signs


def _are_scalars(ids: list[object] | tuple[object, ...]) -> bool:
    """Whether every id is text or a number: lists can contain each other, and numpy would expand them."""
    return all(isinstance(one, str | int | float) for one in ids)


def _first(content: Mapping[object, object], names: tuple[str, ...]) -> object:
    return next((content[name] for name in names if name in content), None)


def _kind(value: object) -> str:
    return "an empty dictionary" if value == {} else f"a {type(value).__name__}"
