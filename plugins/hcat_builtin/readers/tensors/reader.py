"""``pt``: embeddings from PyTorch files, one per slide or patient, or one of all patients."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from hcat_builtin.readers.chunks import findings_alone, join_small_tables
from hcat_builtin.readers.dataset_names import EMBEDDING_NAMES, ID_NAMES, QUALITY_NAMES, WEIGHT_NAMES
from hcat_builtin.readers.isolation.reader import IsolatedReader
from hcat_builtin.readers.member_widths import MemberWidths
from hcat_builtin.readers.patch_counts import count_rows, weights_within_slide
from hcat_builtin.readers.plain_file import is_folder, require_plain_file
from hcat_builtin.readers.slide_folder import slide_files
from hcat_builtin.readers.slide_matching import SlidePatients, Unmapped, match_slides
from hcat_builtin.readers.slide_rows import rows_of_slides, rows_of_table
from hcat_builtin.readers.tensors.archive import load_tensors
from hcat_core.errors import DataError
from hcat_core.reading import ColumnTable, ModalityTable
from hcat_core.text.spelling import did_you_mean

ENDINGS = (".pt", ".pth")


class PtReader(IsolatedReader):
    """Reads a modality from PyTorch files of tensors or dictionaries of tensors; no code in them is run.

    A folder has one file per slide or patient, as CLAM's ``pt_files``: a tensor (N, D), (1, N, D) or (D,),
    or a dictionary with one under a usual name. A single file is a dictionary, patient -> tensor, or one
    with ids (``patient_id``), rows (``embedding``) and, where known, ``quality`` and ``n_patches``, which
    weighs the rows. One ``n_patches`` for several rows of a slide's file is the weight of the slide.

    A worker loads the files with ``torch.load(weights_only=True)``, which runs no code, within limits of
    memory and time; archives must not be compressed.

    Args:
        path: the file or folder.
        embedding: the tensor's name in a dictionary, where it is not one of the usual names.
        slide_map: CSV with a slide and a patient column. With it, names of files (or keys, or the ids of a
            dictionary with ids) are slides; without it they are patients.
        unmapped: what happens to slides that ``slide_map`` does not name: ``refuse`` or ``skip``.
    """

    def __init__(
        self,
        *,
        path: Path,
        embedding: str | None = None,
        slide_map: Path | None = None,
        unmapped: Literal["refuse", "skip"] = "refuse",
    ) -> None:
        self.source = str(path)
        self.path = path
        self.embedding = embedding
        self.slide_map = slide_map
        self.unmapped: Unmapped = unmapped

    def extra_memory(self) -> int:
        """Twice the largest file: its tensors, and those that are converted to float32."""
        files = self._files() if is_folder(self.path) else [self.path] if self.path.is_file() else []
        return 2 * max((file.stat().st_size for file in files if file.exists()), default=0)

    def read_here(self) -> Iterator[ModalityTable]:
        """``read`` in this process: what the worker runs. One file of a folder is in memory at a time."""
        if is_folder(self.path):
            matched = self._match([file.name for file in self._files()])
            slides = ((name, self._slide(self.path / name)) for name in matched.patients)
            yield from join_small_tables(self._tables(matched, slides))
            return
        content = self._dictionary()
        ids = _first(content, ID_NAMES)
        if ids is not None:
            yield from self._flat(content, ids)
            return
        matched = self._match([str(key) for key in content])
        slides = (
            (str(key), (_rows(value, self.source), None))
            for key, value in content.items()
            if str(key) in matched.patients
        )
        yield from join_small_tables(self._tables(matched, slides))

    def read_columns(self, names: list[str]) -> ColumnTable:
        """Tensor files hold no outcomes; no worker is needed to report that.

        Raises:
            DataError: always.
        """
        return self.read_columns_here(names)

    def read_columns_here(self, names: list[str]) -> ColumnTable:
        """``read_columns`` in this process."""
        if not is_folder(self.path):
            require_plain_file(self.path, "a tensor file")
        raise DataError(
            f"{self.source}: tensor files hold no columns of outcomes. Let cohort.targets name an HDF5 "
            "file or a table."
        )

    def describe_here(self) -> str:
        """``describe`` in this process."""
        owner = "its name is its patient" if self.slide_map is None else "slide_map names its patient"
        if is_folder(self.path):
            files = self._files()
            shape = " x ".join(map(str, self._slide(files[0])[0].shape))
            return f"folder of {len(files)} tensor files ({shape} in the first): {owner}"
        content = self._dictionary()
        if _first(content, ID_NAMES) is not None:
            return "one tensor file: a dictionary with ids and rows side by side"
        return f"one tensor file: a dictionary of {len(content)} tensors, {owner}"

    def _files(self) -> list[Path]:
        return slide_files(self.path, ENDINGS)

    def _match(self, slides: list[str]) -> SlidePatients:
        return match_slides(slides, self.source, self.slide_map, self.unmapped)

    def _tables(
        self, matched: SlidePatients, slides: Iterable[tuple[str, tuple[Tensor, np.ndarray | None]]]
    ) -> Iterator[ModalityTable]:
        """A table for each slide that is not empty, and what is to be said of all of them."""
        widths = MemberWidths()
        empty = []
        for name, (rows, weights) in slides:
            if not rows.numel():
                empty.append(name)
            elif widths.add(name, rows.shape[1]):
                ids = np.full(len(rows), matched.patients[name], dtype=object)
                yield ModalityTable(ids, rows.numpy(), weights)
        widths.refuse_mixed(self.source)
        yield from findings_alone(matched.findings(empty), widths.first)

    def _slide(self, file: Path) -> tuple[Tensor, np.ndarray | None]:
        """(N, D) of one slide or patient, and (N,) weights where its file has them."""
        content = load_tensors(file)
        if not isinstance(content, Mapping):
            return _rows(content, str(file)), None
        rows = _rows(self._embedding(content, str(file)), str(file))
        counts = _numbers(content, WEIGHT_NAMES, len(rows), str(file))
        return rows, None if counts is None else weights_within_slide(counts, len(rows))

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

    def _flat(self, content: Mapping[object, object], raw_ids: object) -> Iterator[ModalityTable]:
        """The rows of a dictionary with ids and rows side by side."""
        rows = _rows(self._embedding(content, self.source), self.source)
        ids = _ids(raw_ids, len(rows), self.source)
        quality = _numbers(content, QUALITY_NAMES, len(rows), self.source)
        weights = _numbers(content, WEIGHT_NAMES, len(rows), self.source)
        findings: tuple[str, ...] = ()
        if weights is not None and count_rows(ids, weights):
            weights = None
            findings = (f"{self.source}: n_patches repeats how many rows a slide has: no weights.",)
        kept = None
        if self.slide_map is not None:
            ids, kept, more = rows_of_slides(ids, self.source, self.slide_map, self.unmapped)
            findings += more
        table = ModalityTable(ids, rows.numpy(), _of_rows(weights, len(rows)), _of_rows(quality, len(rows)))
        yield replace(rows_of_table(table, slice(None), table.values, kept), findings=findings)


def _ids(raw: object, rows: int, source: str) -> np.ndarray:
    """(R,) ids of a tensor, in its type, or of a list."""
    if isinstance(raw, Tensor):
        values = _dense(raw, source).reshape(-1)
        if values.is_floating_point() and values.dtype.itemsize < 4:  # numpy lacks most of these types
            most = 2 / torch.finfo(values.dtype).eps
            if bool((values.abs() >= most).any()):
                raise DataError(
                    f"{source}: ids of {most:.0f} and more in {values.dtype}, which holds no two "
                    "neighbours of that size: save ids as whole numbers or text."
                )
            values = values.float()
        ids: np.ndarray = values.numpy()
        if len(ids) == rows:
            return ids
    elif isinstance(raw, list | tuple) and len(raw) == rows and _are_scalars(raw):
        ids = np.empty(rows, dtype=object)
        ids[:] = raw
        return ids
    raise DataError(f"{source}: a list of {rows} ids is needed, one per row of the embedding.")


def _numbers(
    content: Mapping[object, object], names: tuple[str, ...], rows: int, source: str
) -> np.ndarray | None:
    """(1,) or (R,) numbers of a dictionary, such as quality scores; None where it has none.

    Raises:
        DataError: for anything but one number, or one per row.
    """
    name = next((name for name in names if name in content), None)
    if name is None:
        return None
    value = content[name]
    if isinstance(value, int | float):
        value = torch.tensor([float(value)])
    if not isinstance(value, Tensor) or value.numel() not in (1, rows):
        raise DataError(f"{source}: {name}: a tensor of {rows} numbers is needed, one per row.")
    return np.asarray(_dense(value, source).reshape(-1).double().numpy())


def _of_rows(values: np.ndarray | None, rows: int) -> np.ndarray | None:
    """(R,) numbers: one for all rows, or one per row."""
    return values if values is None else np.broadcast_to(values, (rows,))


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
