"""What an error of the operating system means to the user; other errors say it themselves."""

from __future__ import annotations

import errno
import os

from hcat_core.errors import HcatError, StorageError, TrainingError
from hcat_core.storage.atomic_files import ADVICE

OUT_OF_MEMORY = (
    "memory ran out. Free some, raise the limit (ulimit -v, or that of the job), or use fewer patients, "
    "narrower modalities, a smaller batch or fewer --jobs."
)
TORCH_SAYS = ("can't allocate memory", "out of memory", "not enough memory")
OUTPUT_IS_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def explained(error: Exception) -> HcatError | None:
    """An error with its message and exit code; None for one that only its author can explain."""
    if isinstance(error, HcatError):
        return error
    if isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in TORCH_SAYS)
    ):
        return TrainingError(OUT_OF_MEMORY)
    if not isinstance(error, OSError) or error.errno is None:
        return None
    reason, advice = os.strerror(error.errno), ADVICE.get(error.errno, "Name another place.")
    if error.filename is not None:
        name = os.fsdecode(error.filename) if isinstance(error.filename, bytes) else error.filename
        return StorageError(f"{name} cannot be used: {reason}. {advice}")
    if error.errno in OUTPUT_IS_FULL:
        return StorageError(f"the output cannot be written: {reason}. {advice}")
    return None
