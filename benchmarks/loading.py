"""Load five HDF5 files of 512 features into a cohort, compared with a raw read into an existing array.

Files are in the page cache for both. Memory is the peak of the process minus its memory before loading.
"""

from __future__ import annotations

import resource
import statistics
import sys
import time
from pathlib import Path

import h5py
import numpy as np
from measuring import MODALITIES, Plan, Record, against_floor, in_fresh_process, settle

TITLE = "Loading a cohort"
AIM, MEMORY_AIM = 1.5, 1.3
PATIENTS, WIDTH = 100_000, 512


def measure(plan: Plan) -> list[Record]:
    """Time relative to a raw read, and memory relative to the cohort's tensors."""
    patients = PATIENTS // plan.scale
    folder = plan.folder / f"loading-{patients}"
    write_files(folder, patients)
    in_fresh_process(raw, str(folder), patients)  # brings the files into memory
    pairs = [
        (in_fresh_process(ours, str(folder)), in_fresh_process(raw, str(folder), patients))
        for _ in range(plan.rounds)
    ]
    what = f"{patients:,} patients x {len(MODALITIES)} x {WIDTH}"
    time_row = against_floor(f"{what}: time", [(one["seconds"], floor) for one, floor in pairs], AIM)
    shares = [one["peak"] / one["held"] for one, _ in pairs]
    memory_row = {
        "what": f"{what}: memory",
        "figure": f"{statistics.median(one['peak'] for one, _ in pairs) / 2**20:,.0f} MiB",
        "floor": f"{pairs[0][0]['held'] / 2**20:,.0f} MiB",
        "ratio": f"{statistics.median(shares):.2f}",
        "aim": f"{MEMORY_AIM:g}",
        "rounds": f"{min(shares):.2f} to {max(shares):.2f} ({len(shares)})",
    }
    return [time_row, memory_row]


def write_files(folder: Path, patients: int) -> None:
    """Write one row per patient, contiguous float32."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    for name in MODALITIES:
        path = folder / f"{name}.h5"
        if not path.exists():
            with h5py.File(path.with_suffix(".partial"), "w") as file:
                file["embedding"] = rng.standard_normal((patients, WIDTH), dtype=np.float32)
                file["patient_id"] = np.array([f"P{row:07d}" for row in range(patients)], dtype="S8")
            path.with_suffix(".partial").rename(path)


def raw(folder: str, patients: int) -> float:
    """Seconds to read every embedding into one array."""
    settle()
    began = time.perf_counter()
    rows = np.empty((len(MODALITIES), patients, WIDTH), np.float32)
    for place, name in enumerate(MODALITIES):
        with h5py.File(Path(folder) / f"{name}.h5") as file:
            file["embedding"].read_direct(rows[place])
    return time.perf_counter() - began


def ours(folder: str) -> dict[str, float]:
    """Seconds, peak bytes beyond those of the imports, and bytes of the cohort's tensors."""
    from hcat_builtin.readers.hdf5.reader import H5Reader
    from hcat_core.data.assembly import assemble_cohort

    readers = {name: H5Reader(path=Path(folder) / f"{name}.h5") for name in MODALITIES}
    settle()
    before = peak_bytes()
    began = time.perf_counter()
    cohort, _ = assemble_cohort(readers)
    taken = time.perf_counter() - began
    tensors = (cohort.emb, cohort.measured, cohort.present, cohort.quality, cohort.n_rows)
    tensor_bytes = sum(
        min(t.nbytes, t.untyped_storage().nbytes()) for t in tensors
    )  # a mask may be expanded
    return {"seconds": taken, "peak": peak_bytes() - before, "held": tensor_bytes}


def peak_bytes() -> int:
    """The peak memory of this process in bytes; Linux counts it in KiB."""
    most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return most if sys.platform == "darwin" else most << 10
