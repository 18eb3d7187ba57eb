"""A worker process ends soon after the process that started it, however that one ended."""

from __future__ import annotations

import functools
import os
import threading
import time

EVERY = 0.5  # seconds


@functools.cache
def end_with(parent: int) -> None:
    """End this process within a second after ``parent``, which started it; called again it does nothing.

    A process that is killed cannot stop its workers, which would go on with their jobs for nobody. Linux
    and macOS give an orphan another parent. On Windows a worker finishes its job.

    Args:
        parent: number of the process.
    """
    if os.name != "nt":
        threading.Thread(target=_watch, args=(parent,), daemon=True, name="parent").start()


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(EVERY)
    os._exit(1)
