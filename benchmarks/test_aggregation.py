"""``aggregate_spatial`` on 200,000 x 512 rows: time over a raw read of the same file, and extra memory.

    pytest benchmarks/test_aggregation.py -s

Each side runs in a process of its own, five times; the medians are compared. The file is in the page
cache for both. The raw read fills one array; its memory is that array.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys

import h5py
import numpy as np
import pytest

ROWS, WIDTH, PATIENTS = 200_000, 512, 4_000
RAW = """
with h5py.File(path) as file:
    rows = file["embedding"][...]
"""
OURS = """
reader = H5Reader(path=Path(path))
found = aggregate_spatial(reader.read(), reader.source)
"""
PROGRAM = """
import json, re, sys, time
from pathlib import Path
import h5py
from hcat_builtin.readers.h5 import H5Reader
from hcat_core.aggregation import aggregate_spatial
path = sys.argv[1]
def kilobytes(name):
    return int(re.search(name + r":\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = kilobytes("VmRSS")
began = time.perf_counter()
{body}
seconds = time.perf_counter() - began
print(json.dumps([seconds, (kilobytes("VmHWM") - before) / 1024]))
"""


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    path = tmp_path_factory.mktemp("aggregation") / "spatial.h5"
    rng = np.random.default_rng(0)
    with h5py.File(path, "w") as file:
        file["embedding"] = rng.standard_normal((ROWS, WIDTH), dtype=np.float32)
        file["patient_id"] = np.sort(rng.integers(0, PATIENTS, ROWS)).astype("S8")
        file["n_patches"] = rng.integers(1, 100, ROWS)
    return path


def measure(body, path):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(body=body), str(path)],
        capture_output=True,
        text=True,
        check=True,
    )
    return json.loads(done.stdout)


def test_aggregation_over_a_raw_read(path):
    pairs = [(measure(RAW, path), measure(OURS, path)) for _ in range(5)]
    raw = statistics.median(r[0] for r, _ in pairs)
    ours = statistics.median(o[0] for _, o in pairs)
    memory = max(o[1] for _, o in pairs)
    print(
        f"\nraw read {raw:.3f} s, aggregate_spatial {ours:.3f} s, ratio {ours / raw:.2f} (aim: at most 2); "
        f"extra memory {memory:.0f} MB (aim: at most 300)"
    )
