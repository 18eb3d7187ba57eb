"""Read mutated HDF5 files of every layout that hcat reads, each as a user would read it.

    python benchmarks/fuzz_hdf5.py --mutations 10000 --seed 0

Mutation n of a seed is the same on every machine (``--only N`` repeats one and keeps its file). Prints how
many files were read, were refused, crashed a worker or used up its time. Exits with 1 if anything but a
``DataError`` was raised, or if a refusal does not name the file and, where one was being read, the dataset.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path

import h5py
import numpy as np
from hdf5_layouts import LAYOUTS, slide, write_originals

from hcat_builtin.readers.isolation import reader as isolated_reader
from hcat_core.data.assembly import assemble_cohort
from hcat_core.errors import DataError

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
    "is a folder",
    "Name its reader in the recipe",
    "Read it with use",
    "has no modality",
    "has the count",
    "is needed here",
    "is no HDF5 file",
    "is empty",
    "is open for writing",
    "in one modality",
)
"""Parts of refusals that concern a file's layout, its ids or its rows, and not one dataset."""
NAMES = re.compile(r"(patient_ids?|patient_index_map|pid|case_id|X|(obs|var|layers|obsm|mod)(/\S+)?) ")
"""Names of datasets that are followed by a verb and not by a colon."""


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
            places = [m.start() for s in SIGNATURES for m in re.finditer(re.escape(s), changed)]
            start = int(rng.choice(places)) if places else 0
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
    """Overwrite 1, 2, 4 or 8 bytes with an extreme integer."""
    width = int(rng.choice([1, 2, 4, 8]))
    if at + width <= len(changed):
        number = int(EXTREMES[rng.integers(0, len(EXTREMES))]) & ((1 << 8 * width) - 1)
        changed[at : at + width] = number.to_bytes(width, "little")


def read(path: Path, layout: str) -> None:
    """Do what ``hcat inspect`` does: read the cohort, the outcome columns, and the description."""
    reader = LAYOUTS[layout].reader(path)
    assemble_cohort({"m": reader})
    if LAYOUTS[layout].columns:
        reader.read_columns(list(LAYOUTS[layout].columns))
    reader.describe()


def outcome(path: Path, layout: str) -> tuple[str, str]:
    """The kind of result for a file, and the message."""
    try:
        read(path, layout)
    except DataError as error:
        message = str(error)
        if "made no progress" in message:
            return "out of time", message
        if "crashed on it" in message or "the process that read it" in message:
            return "worker crashed", message
        _, _, rest = message.partition("mutated.h5: ")
        if not rest or not message.isprintable():
            return "REFUSED WITHOUT THE FILE'S NAME", message
        if any(phrase in message for phrase in WHOLE_FILE) or re.match(
            r"(row \d+ \(counted from 0\)|damaged): ", rest
        ):
            return "refused as a whole", message
        if re.match(r"([^ :]+: )?(attribute )?[^ :]+: ", rest) or NAMES.match(rest):
            return "refused, dataset named", message
        return "REFUSED WITHOUT THE DATASET'S NAME", message
    except Exception:
        return "ANOTHER ERROR WAS RAISED", traceback.format_exc()
    return "read", ""


def main() -> int:
    """Mutate, read and count."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", type=int, help="one mutation; its file is kept")
    parser.add_argument("--seconds", type=int, default=5, help="the worker's budget without progress")
    parser.add_argument("--show", action="store_true", help="print the result of each file")
    arguments = parser.parse_args()
    isolated_reader.SECONDS = arguments.seconds
    isolated_reader.MEMORY = 1 << 30
    numbers = range(arguments.mutations) if arguments.only is None else [arguments.only]
    counts: Counter[str] = Counter()
    began = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        originals = write_originals(folder)
        keys = list(originals)
        for (layout, version), data in originals.items():
            what, message = outcome(place_file(folder, layout, data), layout)
            assert what == "read", (layout, version, message)
        for number in numbers:
            rng = np.random.default_rng([arguments.seed, number])
            layout, version = keys[number % len(keys)]
            data = mutate(originals[layout, version], rng)
            what, message = outcome(place_file(folder, layout, data), layout)
            counts[what] += 1
            if arguments.show or what.isupper() or what in ("out of time", "worker crashed"):
                print(f"{number} {layout} ({version}): {what}: {message}", flush=True)
            if arguments.only is not None:
                Path(f"mutation-{arguments.seed}-{number}.h5").write_bytes(data)
    for what, count in counts.most_common():
        print(f"{count:>7}  {what}")
    print(f"{len(numbers):>7}  mutations of seed {arguments.seed}, {time.perf_counter() - began:.0f} s")
    return 1 if any(what.isupper() for what in counts) else 0


def place_file(folder: Path, layout: str, data: bytes) -> Path:
    """Write the file, or a folder with it as one of two slides; returns the reader's path."""
    if not LAYOUTS[layout].in_folder:
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
