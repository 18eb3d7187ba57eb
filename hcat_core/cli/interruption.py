"""Ctrl-C and SIGTERM: the first stops the work in good order, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM: handled wherever Ctrl-C is."""


def exit_code(stop: BaseException) -> int:
    """What a shell expects: 130 after Ctrl-C, 143 after SIGTERM."""
    terminated = isinstance(stop, Terminated) or isinstance(stop.__cause__, Terminated)
    return 128 + (signal.SIGTERM if terminated else signal.SIGINT)


@contextlib.contextmanager
def orderly_signals() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` on the first signal; the second ends the process where it stands.

    Ending there loses nothing: every file is whole at every moment. A signal that the caller ignores
    (``nohup``, a background job) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        if came or os.getpid() != owner:  # a forked child has nothing to put in order
            os._exit(128 + number)
        came.append(number)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    mine = [number for number, old in before.items() if old not in (signal.SIG_IGN, None)]
    for number in mine:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in mine:
            signal.signal(number, before[number])
