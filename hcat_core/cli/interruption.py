"""Ctrl-C, SIGTERM and SIGHUP: the first signal stops the work cleanly, the second at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import NoReturn

# SIGHUP, which Windows lacks, says that the terminal was closed.
HANDLED = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)]


class Terminated(KeyboardInterrupt):
    """SIGTERM or SIGHUP arrived; handled wherever Ctrl-C is.

    Attributes:
        number: of the signal.
    """

    def __init__(self, number: int = signal.SIGTERM) -> None:
        super().__init__(number)
        self.number = number


def exit_code(stop: BaseException) -> int:
    """The exit code that a shell expects: 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP."""
    for one in (stop, stop.__cause__):
        if isinstance(one, Terminated):
            return 128 + one.number
    return 128 + signal.SIGINT


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
        raise KeyboardInterrupt if number == signal.SIGINT else Terminated(number)

    before = {number: signal.getsignal(number) for number in HANDLED}
    handled = [number for number, old in before.items() if old not in (signal.SIG_IGN, None)]
    for number in handled:
        signal.signal(number, stop)
    try:
        yield
    finally:
        for number in handled:
            signal.signal(number, before[number])
