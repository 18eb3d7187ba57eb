"""Mutated HDF5 files of every layout that hcat reads, each read as a user would have it read.

    python benchmarks/fuzz_hdf5.py --mutations 10000 --seed 0

Mutation n of a seed is the same on every machine (``--only N`` repeats one, and keeps its file). Prints how
many files were read, were refused, brought a worker down or used up its time. Exits with 1 if anything
but a ``DataError`` came out, or if a refusal names neither file nor, where one was being read, dataset.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np

from hcat_builtin.readers import hdf5_worker
from hcat_builtin.readers.h5 import H5Reader
from hcat_core.assemble import assemble_cohort
from hcat_core.errors import DataError

IDS = ["A-1", "B-2", "C-3", "D-4", "E-5", "F-6"]
ROWS, WIDTH = len(IDS), 5
SIGNATURES = (b"\x89HDF", b"TREE", b"HEAP", b"SNOD", b"GCOL", b"OHDR", b"OCHK", b"FRHP", b"BTHD", b"FADB")
EXTREMES = (0, 1, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 40, 1 << 63, (1 << 64) - 1)
WHOLE_FILE = (
    "cannot be opened",
    "no such file",
    "no embedding found",
    "holds no rows",
    "in front of its data",
    "one behind the other",
    "may each be the embedding",
    "both become",
    "differ only in upper and lower case",
    "has no column",
    "neither as a dataset nor as an attribute",
    "in one modality",
    "is a folder",
)
"""Refusals that are about a file's make-up, its ids or its rows, and not about one dataset."""
NAMES = (
    "patient_id",
    "patient_ids",
    "patient_index_map",
    "pid",
    "case_id",
)  # before a verb, without a colon


def values(rng: np.random.Generator) -> np.ndarray:
    """(6, 5) numbers."""
    return rng.standard_normal((ROWS, WIDTH)).astype(np.float32)


def flat_fixed_ids(file: h5py.File, rng: np.random.Generator) -> None:
    """Ids of fixed length, outcomes beside the embedding."""
    file["patient_id"] = np.array(IDS, "S4")
    file["embedding"] = values(rng)
    file["label"] = rng.integers(0, 2, ROWS)
    file["site"] = np.array([b"north", b"south"] * 3)


def flat_text_ids(file: h5py.File, rng: np.random.Generator) -> None:
    """Ids of any length, compressed numbers, weights, quality, names."""
    file.create_dataset("patient_ids", data=IDS, dtype=h5py.string_dtype())
    file.create_dataset("features", data=values(rng), chunks=(2, WIDTH), compression="gzip", shuffle=True)
    file["n_patches"] = rng.integers(1, 9, ROWS)
    file["quality"] = rng.random((ROWS, 2))
    file["feature_names"] = np.array([b"a", b"b", b"c", b"d", b"e"])
    file["label"] = rng.integers(0, 2, ROWS)


def flat_numeric_ids(file: h5py.File, rng: np.random.Generator) -> None:
    """Numbers for ids, checksummed and LZF-packed doubles, some never measured."""
    file["pid"] = np.arange(ROWS)
    numbers = values(rng).astype(np.float64)
    numbers[2, 3] = np.nan
    file.create_dataset("embedding_512", data=numbers, chunks=(3, 2), compression="lzf", fletcher32=True)


def three_dimensional(file: h5py.File, rng: np.random.Generator) -> None:
    """(1, rows, features), as slide encoders write them."""
    file["patient_id"] = np.array(IDS, "S4")
    file["feats"] = values(rng)[None]


def one_dimensional(file: h5py.File, rng: np.random.Generator) -> None:
    """One number a patient."""
    file["case_id"] = np.array(IDS, "S4")
    file["embedding"] = values(rng)[:, 0]


def soft_links(file: h5py.File, rng: np.random.Generator) -> None:
    """Names that lead to data elsewhere in the file."""
    file["store/v2/vectors"] = values(rng)
    file["store/ids"] = np.array(IDS, "S4")
    file["patient_id"] = h5py.SoftLink("/store/ids")
    file["embedding"] = h5py.SoftLink("/store/v2/vectors")


def map_as_list(file: h5py.File, rng: np.random.Generator) -> None:
    """``patient_index_map`` in row order."""
    file.create_dataset("patient_index_map", data=IDS, dtype=h5py.string_dtype())
    file["embedding"] = values(rng)


def map_as_json(file: h5py.File, rng: np.random.Generator) -> None:
    """``patient_index_map`` as a JSON text."""
    file["patient_index_map"] = json.dumps({"A-1": [0, 1], "B-2": 2, "C-3": [3, 4, 5]})
    file["embedding_mean_512"] = values(rng)


def map_as_group(file: h5py.File, rng: np.random.Generator) -> None:
    """``patient_index_map`` as a group of rows by id."""
    for row, patient in enumerate(IDS):
        file[f"patient_index_map/{patient}"] = row
    file["embedding"] = values(rng)


def group_per_patient(file: h5py.File, rng: np.random.Generator) -> None:
    """A group a patient, outcomes as datasets and attributes."""
    for row, patient in enumerate(IDS):
        group = file.create_group(f"patients/{patient}")
        group["embedding"] = values(rng)[: row + 1]
        group["label"] = row % 2
        group["quality"] = 0.5
        group.attrs["site"] = "north"


def slide(file: h5py.File, rng: np.random.Generator) -> None:
    """One slide of a folder."""
    file["features"] = values(rng)[None]
    file["coords"] = np.zeros((ROWS, 2), np.int64)
    file["features"].attrs["feature_names"] = [b"a", b"b", b"c", b"d", b"e"]


Write = Callable[[h5py.File, np.random.Generator], None]
LAYOUTS: dict[str, tuple[Write, tuple[str, ...]]] = {
    "flat, ids of fixed length": (flat_fixed_ids, ("label", "site")),
    "flat, ids as text": (flat_text_ids, ("label",)),
    "flat, ids as numbers": (flat_numeric_ids, ()),
    "three-dimensional": (three_dimensional, ()),
    "one-dimensional": (one_dimensional, ()),
    "soft links": (soft_links, ()),
    "map as a list": (map_as_list, ()),
    "map as JSON": (map_as_json, ()),
    "map as a group": (map_as_group, ()),
    "group per patient": (group_per_patient, ("label", "site")),
    "folder of slides": (slide, ()),
}
VERSIONS = ("earliest", "latest")


def write_originals(folder: Path) -> dict[tuple[str, str], bytes]:
    """Every layout in the oldest and the newest format, as bytes."""
    originals = {}
    for number, (name, (write, _)) in enumerate(LAYOUTS.items()):
        for version in VERSIONS:
            with h5py.File(folder / "original.h5", "w", libver=version) as file:
                write(file, np.random.default_rng(number))
            originals[name, version] = (folder / "original.h5").read_bytes()
    return originals


def mutate(data: bytes, rng: np.random.Generator) -> bytes:
    """One to three changes: flips, overwritten runs, extreme integers, structures, copies, a cut."""
    changed = bytearray(data)
    for _ in range(int(rng.integers(1, 4))):
        size = len(changed)
        place = int(rng.integers(0, size))
        kind = int(rng.integers(0, 7))
        if kind == 0:
            for at in rng.integers(0, size, int(rng.integers(1, 17))):
                changed[at] ^= 1 << int(rng.integers(0, 8))
        elif kind == 1:
            length = min(int(rng.integers(1, 65)), size - place)
            changed[place : place + length] = rng.bytes(length)
        elif kind == 2:
            length = min(int(rng.integers(1, 257)), size - place)
            changed[place : place + length] = bytes([int(rng.choice([0, 255]))]) * length
        elif kind in (3, 4):
            found = [m.start() for s in SIGNATURES for m in re.finditer(re.escape(s), changed)]
            start = int(rng.choice(found)) if found else 0
            for _ in range(int(rng.integers(1, 5))):
                write_extreme(changed, start + 4 + int(rng.integers(0, 92)), rng)
        elif kind == 5:
            length = min(int(rng.integers(8, 513)), size - place)
            target = int(rng.integers(0, size - length + 1))
            changed[target : target + length] = changed[place : place + length]
        elif rng.random() < 0.5:
            del changed[max(1, place) :]
        else:
            write_extreme(changed, place, rng)
    return bytes(changed)


def write_extreme(changed: bytearray, at: int, rng: np.random.Generator) -> None:
    """An integer of 1, 2, 4 or 8 bytes that nobody expects."""
    width = int(rng.choice([1, 2, 4, 8]))
    if at + width <= len(changed):
        number = int(EXTREMES[rng.integers(0, len(EXTREMES))]) & ((1 << 8 * width) - 1)
        changed[at : at + width] = number.to_bytes(width, "little")


def read(path: Path, columns: tuple[str, ...]) -> None:
    """What ``hcat inspect`` does: the cohort, and the columns of outcomes."""
    reader = H5Reader(path=path)
    assemble_cohort({"m": reader})
    if columns:
        reader.read_columns(list(columns))


def outcome(path: Path, layout: str) -> tuple[str, str]:
    """What became of a file, in a word, and what was said."""
    _, columns = LAYOUTS[layout]
    try:
        read(path, columns)
    except DataError as error:
        said = str(error)
        if "made no progress" in said:
            return "out of time", said
        if "crashed on it" in said or "the process that read it" in said:
            return "worker brought down", said
        _, _, rest = said.partition("mutated.h5: ")
        if not rest or not said.isprintable():
            return "REFUSED WITHOUT THE FILE'S NAME", said
        if any(phrase in said for phrase in WHOLE_FILE) or re.match(r"(row \d+|damaged): ", rest):
            return "refused as a whole", said
        if re.match(r"[^ :]+(: attribute [^ :]+)?: ", rest) or rest.split()[0] in NAMES:
            return "refused, dataset named", said
        return "REFUSED WITHOUT THE DATASET'S NAME", said
    except Exception:
        return "SOMETHING ELSE CAME OUT", traceback.format_exc()
    return "read", ""


def main() -> int:
    """Mutate, read, count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one mutation; its file is kept")
    parser.add_argument("--seconds", type=int, default=5, help="the worker's budget without progress")
    parser.add_argument("--show", action="store_true", help="say what each file came to")
    arguments = parser.parse_args()
    hdf5_worker.SECONDS = arguments.seconds
    hdf5_worker.MEMORY = 1 << 30
    numbers = range(arguments.mutations) if arguments.only is None else [arguments.only]
    counts: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        originals = write_originals(folder)
        keys = list(originals)
        for (layout, version), data in originals.items():
            whole = place_file(folder, layout, data)
            what, said = outcome(whole, layout)
            assert what == "read", (layout, version, said)
        for number in numbers:
            rng = np.random.default_rng([arguments.seed, number])
            layout, version = keys[number % len(keys)]
            data = mutate(originals[layout, version], rng)
            what, said = outcome(place_file(folder, layout, data), layout)
            counts[what] += 1
            if arguments.show or what.isupper() or what in ("out of time", "worker brought down"):
                print(f"{number} {layout} ({version}): {what}: {said}", flush=True)
            if arguments.only is not None:
                Path(f"mutation-{arguments.seed}-{number}.h5").write_bytes(data)
    for what, count in counts.most_common():
        print(f"{count:>7}  {what}")
    print(f"{len(numbers):>7}  mutations of seed {arguments.seed}, {time.perf_counter() - began:.0f} s")
    return 1 if any(what.isupper() for what in counts) else 0


def place_file(folder: Path, layout: str, data: bytes) -> Path:
    """The file, or the folder with it as one of two slides; returns what a reader is given."""
    if layout != "folder of slides":
        (folder / "mutated.h5").write_bytes(data)
        return folder / "mutated.h5"
    slides = folder / "slides"
    if not slides.exists():
        slides.mkdir()
        with h5py.File(slides / "other.h5", "w") as file:
            slide(file, np.random.default_rng(0))
    (slides / "mutated.h5").write_bytes(data)
    return slides


if __name__ == "__main__":
    sys.exit(main())
