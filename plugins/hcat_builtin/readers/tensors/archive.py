"""The archive that ``torch.save`` writes: a pickle that names tensors, and their bytes beside it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import torch

from hcat_builtin.readers.plain_file import require_plain_file
from hcat_builtin.readers.tensors.pickle_follower import ForeignError, StoredTensor, followed
from hcat_core.errors import DataError
from hcat_core.text.quoting import one_line

AGAIN = "Write it again: torch.save(tensor, FILE)."
MAX_PICKLE = 32 << 20  # bytes; a tensor takes about 150
SMALL = 8 << 20  # bytes; tensors that take less cannot hurt, however often they are named
MAX_RATIO = 4  # bytes of all tensors for one of the file; more than 1 where tensors share their bytes


def load_tensors(path: Path) -> object:
    """What ``torch.save`` wrote: a tensor, or a list or dictionary of tensors and plain values.

    By ``weights_only=True`` alone, which runs no code, and only after the pickle was followed: otherwise it
    makes more than tensors, of any size.

    Raises:
        DataError: for a file that is no archive of torch 1.6 or later, that is packed (a bomb may be), that
            holds anything which would have to be run, or whose tensors are more than the file.
    """
    require_plain_file(path, "a tensor file")
    try:
        archive = zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        raise DataError(
            f"{path}: is no tensor file of torch 1.6 or later, or is damaged. hcat does not unpickle older "
            f"ones. {AGAIN}"
        ) from None
    with archive:
        _refuse_packed(path, archive)
        try:
            _look(path, archive)
            return torch.load(path, map_location="cpu", weights_only=True)
        except DataError:
            raise
        except ForeignError as error:
            raise DataError(
                f"{path}: holds {one_line(str(error), 200)}, which would have to be run. hcat reads plain "
                f"tensors and nothing else. {AGAIN}"
            ) from None
        except Exception as error:  # a damaged or hostile file may raise anything at all
            raise DataError(
                f"{path}: cannot be read as tensors ({type(error).__name__}). {AGAIN}"
            ) from None


def _refuse_packed(path: Path, archive: zipfile.ZipFile) -> None:
    parts = archive.infolist()
    packed = any(part.compress_type != zipfile.ZIP_STORED for part in parts)
    if packed or sum(part.file_size for part in parts) > path.stat().st_size:
        raise DataError(
            f"{path}: is packed, or claims more than it stores. torch.save does not pack. {AGAIN}"
        )


def _look(path: Path, archive: zipfile.ZipFile) -> None:
    """Follow the pickle before torch does."""
    _refuse_oversized(path, followed(archive.read(f"{_folder(path, archive)}/data.pkl")))


def _folder(path: Path, archive: zipfile.ZipFile) -> str:
    """Where in the archive everything lies."""
    names = archive.namelist()
    folders = [name.partition("/")[0] for name in names if name.partition("/")[2] == "data.pkl"]
    if len(folders) != 1 or len({name.casefold() for name in names}) != len(names):
        raise DataError(f"{path}: is no tensor file of torch 1.6 or later. {AGAIN}")
    if archive.getinfo(f"{folders[0]}/data.pkl").file_size > MAX_PICKLE:
        raise DataError(
            f"{path}: holds over {MAX_PICKLE >> 20} MiB beside its tensors. Write fewer tensors a file."
        )
    return folders[0]


def _refuse_oversized(path: Path, held: object) -> None:
    """Stop at tensors that are more than what is stored: many may be views of the same few bytes."""
    values = held.values() if isinstance(held, dict) else (held,)
    claimed = sum(value.bytes for value in values if isinstance(value, StoredTensor))
    stored = path.stat().st_size
    if claimed > max(SMALL, MAX_RATIO * stored):
        raise DataError(
            f"{path}: its tensors claim {claimed:,} bytes and the file stores less, {stored:,}. hcat does "
            "not unpack it: save each tensor as its own, tensor.clone()."
        )
