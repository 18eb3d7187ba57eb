"""Ctrl-C and SIGTERM: the first signal stops the work cleanly, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn


class Terminated(KeyboardInterrupt):
    """SIGTERM arrived; handled wherever Ctrl-C is."""


def exit_code(stop: BaseException) -> int:
    """The exit code that a shell expects: 130 after Ctrl-C, 143 after SIGTERM."""
    terminated = isinstance(stop, Terminated) or isinstance(stop.__cause__, Terminated)
    return 128 + (signal.SIGTERM if terminated else signal.SIGINT)


@contextlib.contextmanager
def orderly_signals() -> Iterator[None]:
    """Raise ``KeyboardInterrupt`` on the first signal; end the process at once on the second.

    Nothing is lost by that, because files are written atomically. A signal that the caller ignores
    (``nohup``, a background job) stays ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    received: list[int] = []
    owner = os.getpid()

    def stop(number: int, frame: FrameType | None) -> NoReturn:
        if received or os.getpid() != owner:  # a forked child has nothing to clean up
            os._exit(128 + number)
        received.append(number)
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    handled = [number for number, old in before.items() if old not in (signal.SIG_IGN, None)]
    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
