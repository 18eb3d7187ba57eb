"""The archive that ``torch.save`` writes: a pickle that names tensors, and their bytes beside it."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path
from typing import Any

import torch

from hcat_builtin.readers.file_formats import begins_with, foreign_format
from hcat_builtin.readers.isolation.progress import progress
from hcat_builtin.readers.plain_file import require_plain_file, system_error
from hcat_core.errors import DataError
from hcat_core.text.quoting import one_line

REWRITE = "Write it again: torch.save(tensor, FILE)."
MAX_PICKLE = 32 << 20  # bytes; a tensor takes about 150
SMALL = 8 << 20  # bytes; tensors that take less cannot hurt, however often they are named
MAX_RATIO = 4  # bytes of all tensors for one of the file; more than 1 where tensors share their bytes
READ_BYTES = 4 << 20


def load_tensors(path: Path) -> object:
    """What ``torch.save`` wrote: a tensor, or a list or dictionary of tensors and plain values.

    ``torch.load(weights_only=True)`` runs no code. A few bytes can still make it build a large object, or
    one that takes hours; the limits of the worker that calls this function stop that.

    Raises:
        DataError: for a file that is no archive of torch 1.6 or later, that is compressed (it could unpack
            to any size), that needs code to be run, or whose tensors are larger than the file.
    """
    require_plain_file(path, "a tensor file")
    progress.start_file(str(path))
    try:
        archive = zipfile.ZipFile(path)
    except OSError as error:
        raise system_error(path, error) from None
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        raise _no_archive(path) from None
    with archive:
        _refuse_compressed(path, archive)
        _refuse_ambiguous(path, archive)
    try:
        with _SteppingFile(path) as file:
            content = torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as error:  # a damaged or hostile file can raise anything
        if "can't allocate memory" in str(error):
            raise MemoryError from None
        raise _not_tensors(path, error) from None
    _refuse_oversized(path, content)
    return content


def _no_archive(path: Path) -> DataError:
    """The error for a file that is no complete zip archive."""
    foreign = foreign_format(path, "a tensor file")
    return foreign or DataError(
        f"{path}: is no tensor file (it begins with the bytes {begins_with(path)}). {REWRITE}"
    )


class _SteppingFile(io.FileIO):
    """A file whose reading counts as progress: a large tensor on a slow disk is not taken for a hang."""

    def readinto(self, buffer: Any) -> int:
        view, filled = memoryview(buffer).cast("B"), 0
        while filled < len(view):
            count = super().readinto(view[filled : filled + READ_BYTES])
            progress.step()
            if not count:
                break
            filled += count
        return filled


def _not_tensors(path: Path, error: Exception) -> DataError:
    refused = re.search(r"GLOBAL (\S+)", str(error))
    if refused is None:
        return DataError(f"{path}: cannot be read as tensors ({type(error).__name__}). {REWRITE}")
    return DataError(
        f"{path}: holds {one_line(refused[1], 200)}, which would have to be run. hcat reads plain tensors "
        f"and nothing else. {REWRITE}"
    )


def _refuse_compressed(path: Path, archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    compressed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if compressed or sum(part.file_size for part in parts) > path.stat().st_size:
        raise DataError(
            f"{path}: is compressed, or claims more than it stores. torch.save does not compress. {REWRITE}"
        )


def _refuse_ambiguous(path: Path, archive: zipfile.ZipFile) -> None:
    """Stop at an archive in which two programs could each find another pickle, or a very long one."""
    names = archive.namelist()
    pickles = [name for name in names if name.partition("/")[2] == "data.pkl"]
    if not pickles and (foreign := foreign_format(path, "a tensor file")) is not None:
        raise foreign
    if any(name.partition("/")[2] == "constants.pkl" for name in names):
        raise DataError(f"{path}: is a program (TorchScript) and no tensor. {REWRITE}")
    if len(pickles) != 1 or len({name.casefold() for name in names}) != len(names):
        raise DataError(f"{path}: is no tensor file of torch 1.6 or later. {REWRITE}")
    if archive.getinfo(pickles[0]).file_size > MAX_PICKLE:
        raise DataError(
            f"{path}: holds over {MAX_PICKLE >> 20} MiB beside its tensors. Write fewer tensors per file."
        )


def _refuse_oversized(path: Path, content: object) -> None:
    """Stop at tensors that are larger than the file: many can be views of the same few bytes."""
    values = content.values() if isinstance(content, dict) else (content,)
    claimed = sum(v.numel() * v.element_size() for v in values if isinstance(v, torch.Tensor))
    stored = path.stat().st_size
    if claimed > max(SMALL, MAX_RATIO * stored):
        raise DataError(
            f"{path}: its tensors claim {claimed:,} bytes and the file stores less, {stored:,}. hcat does "
            "not unpack it: save each tensor as its own, tensor.clone()."
        )
