"""What the measurements share: fresh processes, pairs that alternate, matrix products, one record a row."""

from __future__ import annotations

import collections
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

HERE = Path(__file__).parent
MODALITIES = ("clinical", "semantic", "temporal", "pathological", "spatial")
_ONE = """
import importlib, json, sys
folder, module, function, arguments = sys.argv[1:]
sys.path.insert(0, folder)
answer = getattr(importlib.import_module(module), function)(*json.loads(arguments))
print("answer", json.dumps(answer))
"""

Record = dict[str, str]
"""One row of a table, by column."""


@dataclass(frozen=True)
class Plan:
    """How large, how often, and with which data: ``hancock`` is a folder of its files, or None.

    ``scale`` divides the number of patients, files and rows; 1 is what the tables are about.
    """

    rounds: int
    scale: int
    folder: Path
    hancock: Path | None


def in_fresh_process(function: Callable[..., Any], *arguments: object) -> Any:
    """What a function of one of these modules returns in a process of its own (JSON in, JSON out)."""
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            _ONE,
            str(HERE),
            function.__module__,
            function.__name__,
            json.dumps(arguments),
        ],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env=dict(os.environ),
    )
    return json.loads(done.stdout.rpartition("answer ")[2])


def settle() -> None:
    """Wait until the operating system has taken freed memory back, so that both sides pay for new pages.

    A page is ten times as expensive after that. Free page reporting takes two seconds.
    """
    time.sleep(4)


def against_floor(what: str, pairs: list[tuple[float, float]], aim: float) -> Record:
    """A row from (figure, floor) seconds of each round: medians, their ratio, its range over rounds."""
    figure, floor = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratios = [one / other for one, other in pairs]
    return {
        "what": what,
        "figure": seconds(figure),
        "floor": seconds(floor),
        "ratio": f"{figure / floor:.2f}",
        "aim": f"{aim:g}",
        "rounds": f"{min(ratios):.2f} to {max(ratios):.2f} ({len(pairs)})",
    }


def seconds(value: float) -> str:
    """In a unit that suits it."""
    return f"{value * 1e3:.1f} ms" if value < 0.1 else f"{value:.2f} s"


class MatrixShapes(TorchDispatchMode):
    """Counts matrix products by shape and stride."""

    def __init__(self):
        super().__init__()
        self.count = collections.Counter()

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        if name in ("mm", "addmm", "bmm", "baddbmm"):
            a, b = (args[-2], args[-1]) if name in ("mm", "bmm") else (args[1], args[2])
            self.count[tuple(a.shape), a.stride(), tuple(b.shape), b.stride()] += 1
        return func(*args, **(kwargs or {}))


def fastest(call: Callable[[], object], repeats: int = 3) -> float:
    """Seconds of the fastest call, after one that is not counted."""
    call()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        times.append(time.perf_counter() - began)
    return min(times)


def product_seconds(shapes: collections.Counter) -> float:
    """Every one of these matrix products on its own, at its shapes and strides."""
    total = 0.0
    for (a_shape, a_stride, b_shape, b_stride), count in shapes.items():
        a, b = torch.empty_strided(a_shape, a_stride), torch.empty_strided(b_shape, b_stride)
        a.normal_()
        b.normal_()
        total += count * fastest(lambda a=a, b=b: a @ b)
    return total
