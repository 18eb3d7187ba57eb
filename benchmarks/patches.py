"""Aggregate patch rows of many slide files to one embedding per patient, compared with a raw read.

The raw read fills the same array again from each file. Memory is that of the process and its worker beyond
their memory for a tenth of the files: 0 means constant memory.
"""

from __future__ import annotations

import resource
import time
from pathlib import Path

import h5py
import numpy as np
from loading import peak_bytes
from measuring import Plan, Record, against_floor, in_fresh_process, settle

TITLE = "Aggregating patches"
AIM = 1.5
FILES, ROWS, WIDTH, SLIDES_A_PATIENT = 1_000, 10_000, 256, 4


def measure(plan: Plan) -> list[Record]:
    """Time relative to a raw read, and the growth of memory from a tenth of the files to all."""
    files = max(10, FILES // plan.scale)
    folder = plan.folder / f"patches-{files}"
    write_slides(folder, files)
    pairs, grown = [], []
    for _ in range(plan.rounds):
        some = in_fresh_process(ours, str(folder), "tenth", files // 10)
        every = in_fresh_process(ours, str(folder), "slides", files)
        pairs.append((every["seconds"], in_fresh_process(raw, str(folder), files)))
        grown.append((every["peak"] - some["peak"]) / 2**20)
    what = f"{files:,} slide files, {files * ROWS:,} rows of {WIDTH}"
    memory = {
        "what": f"{what}: memory beyond that of a tenth",
        "figure": f"{sorted(grown)[len(grown) // 2]:.1f} MiB",
        "floor": f"{files * ROWS * WIDTH * 4 / 2**20:,.0f} MiB read",
        "ratio": "",
        "aim": "0",
        "rounds": f"{min(grown):.1f} to {max(grown):.1f} MiB ({len(grown)})",
    }
    return [against_floor(f"{what}: time", pairs, AIM), memory]


def write_slides(folder: Path, files: int) -> None:
    """Write one file of ``features`` per slide, links to a tenth of them, and ``slides.csv``."""
    slides, tenth = folder / "slides", folder / "tenth"
    slides.mkdir(parents=True, exist_ok=True)
    tenth.mkdir(exist_ok=True)
    rng = np.random.default_rng(0)
    for number in range(files):
        path = slides / f"s{number:05d}.h5"
        if not path.exists():
            with h5py.File(path.with_suffix(".partial"), "w") as file:
                file["features"] = rng.standard_normal((ROWS, WIDTH), dtype=np.float32)
            path.with_suffix(".partial").rename(path)
        if number < files // 10 and not (tenth / path.name).exists():
            (tenth / path.name).hardlink_to(path)
    lines = [f"s{number:05d},P{number // SLIDES_A_PATIENT:04d}" for number in range(files)]
    (folder / "slides.csv").write_text("\n".join(["slide,patient", *lines]) + "\n")


def raw(folder: str, files: int) -> float:
    """Seconds to read every row, file by file, into one array."""
    settle()
    began = time.perf_counter()
    rows = np.empty((ROWS, WIDTH), np.float32)
    for number in range(files):
        with h5py.File(Path(folder) / "slides" / f"s{number:05d}.h5") as file:
            file["features"].read_direct(rows)
    return time.perf_counter() - began


def ours(folder: str, slides: str, files: int) -> dict[str, float]:
    """Seconds, and peak bytes of this process and of its worker."""
    from hcat_builtin.readers.hdf5.reader import H5Reader
    from hcat_builtin.readers.isolation.reader import close_workers
    from hcat_core.data.aggregation import aggregate_spatial

    reader = H5Reader(path=Path(folder) / slides, slide_map=Path(folder) / "slides.csv")
    settle()
    began = time.perf_counter()
    result = aggregate_spatial(reader.read_views(), reader.source)
    taken = time.perf_counter() - began
    assert result.n_rows_read == files * ROWS
    close_workers()
    worker = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss << 10
    return {"seconds": taken, "peak": peak_bytes() + worker}
