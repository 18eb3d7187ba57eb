"""Standard output and error that may be closed, lose their reader, or lie on a full disk."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import sys
from collections.abc import Iterator
from typing import Literal, TextIO

from hcat_core.errors import StorageError

GONE = (errno.EPIPE, errno.EIO)  # the program that read, or the terminal, is no more


class StandardStream:
    """Writes to ``sys.stdout`` or ``sys.stderr``; work that nobody watches any more goes on.

    What is written after the reader has gone (``hcat run ... | head``), or the terminal, or into a stream
    that was closed from the beginning, is dropped.

    Args:
        name: of the stream.
    """

    def __init__(self, name: Literal["stdout", "stderr"]) -> None:
        self.name = name
        self.gone = False

    def write(self, text: str) -> int:
        """Write text.

        Raises:
            StorageError: for a device that takes no more.
        """
        stream = self._stream
        if stream is not None:
            with self._errors(stream):
                stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Hand everything over that was written.

        Raises:
            StorageError: for a device that takes no more.
        """
        stream = self._stream
        if stream is not None:
            with self._errors(stream):
                stream.flush()

    def isatty(self) -> bool:
        """Whether a person reads it."""
        stream = self._stream
        return stream is not None and stream.isatty()

    @property
    def columns(self) -> int:
        """Of the terminal that it is shown on; 80 where that is not known."""
        return shutil.get_terminal_size((80, 24)).columns

    def fileno(self) -> int:
        """Its number; an error as of ``io`` where there is none."""
        stream = self._stream
        if stream is None:
            raise OSError(errno.EBADF, "the stream is closed")
        return stream.fileno()

    @property
    def encoding(self) -> str:
        """Of the stream."""
        return getattr(self._stream, "encoding", None) or "utf-8"

    @property
    def _stream(self) -> TextIO | None:
        return None if self.gone else getattr(sys, self.name)

    @contextlib.contextmanager
    def _errors(self, stream: TextIO) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            discard(stream)
            if error.errno not in GONE:
                reason = os.strerror(error.errno) if error.errno else str(error)
                raise StorageError(
                    f"{self.name} cannot be written: {reason}. Free some space there, or send it elsewhere."
                ) from error
            self.gone = True


def discard(stream: TextIO) -> None:
    """Let what a stream still holds go nowhere: Python would try to write it again at the end."""
    with contextlib.suppress(OSError, ValueError):
        null = os.open(os.devnull, os.O_WRONLY)
        try:
            os.dup2(null, stream.fileno())
        finally:
            os.close(null)
