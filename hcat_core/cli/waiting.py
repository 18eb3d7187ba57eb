"""Show that work goes on while nothing is printed: a clock on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import contextlib
import threading
import time
from types import TracebackType

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from hcat_core.cli.console import Output
from hcat_core.errors import StorageError

FIRST = 10.0  # seconds without a word, after which a line is printed where there is no terminal
RARELY = 60.0  # seconds between such lines in work that takes minutes


class Waiting:
    """What is being done, and for how long; a context manager that ends it.

    Args:
        output: the console; under ``-q`` nothing is shown.
        first: seconds until the first line.
    """

    def __init__(self, output: Output, first: float = FIRST) -> None:
        self.output = output
        self.first = first
        self._clock: Progress | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self, what: str) -> Waiting:
        """Begin to wait for something, instead of what was waited for before."""
        self.stop()
        if self.output.quiet or self.output.words.quiet:
            return self
        if self.output.words.is_terminal:
            columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
            # The console writes to what sys.stdout is then: with rich's stand-in it would never return.
            self._clock = Progress(
                *columns,
                console=self.output.words,
                transient=True,
                redirect_stdout=False,
                redirect_stderr=False,
            )
            self._clock.start()
            self._clock.add_task("", total=None)
            return self
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._tell, args=(what, self._ended), daemon=True)
        self._thread.start()
        return self

    def stop(self) -> None:
        """Show nothing any more; safe to call twice."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        if self._clock is not None:
            self._clock.stop()
            self._clock = None

    def __enter__(self) -> Waiting:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _tell(self, what: str, ended: threading.Event) -> None:
        began, pause = time.monotonic(), self.first
        with contextlib.suppress(StorageError):  # the main thread finds the full disk, too
            while not ended.wait(pause):
                seconds = time.monotonic() - began
                self.output.say(f"... {what}: {seconds:.0f} s so far")
                pause = RARELY if seconds > RARELY else self.first
