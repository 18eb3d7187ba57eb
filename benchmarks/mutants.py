"""Break the code on purpose, one line at a time, and see whether its tests notice.

``benchmarks/mutants.toml`` lists the mutants: a line of a file, what takes its place, and the tests that
should fail. Each is applied to a copy of the repository; nothing here is changed. One that no test notices
gets a test, or a reason why there can be none (``unnoticed``).
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

REPOSITORY = Path(__file__).parents[1]
COPIED = ("hcat_core", "plugins", "tests", "recipes", "benchmarks", "pyproject.toml")
SECONDS = 1200  # of the tests of one mutant
# Tests run in forks of a process that has imported these, which would take most of a mutant's time.
PROCESSES = multiprocessing.get_context("forkserver")
PRELOADED = ["torch", "pandas", "h5py", "scipy.stats", "scipy.optimize", "sklearn.ensemble"]
PYTEST = 100  # is added to pytest's exit codes, so that no other error is taken for a test that failed
PASSED, FAILED = (100,), (101, 102)


@dataclass(frozen=True)
class Mutant:
    """One line that is changed.

    Attributes:
        file: relative to the repository.
        old: text that is there exactly once.
        new: what takes its place.
        tests: files or tests that should notice.
        unnoticed: why no test can; empty where one should.
    """

    file: str
    old: str
    new: str
    tests: tuple[str, ...]
    unnoticed: str = ""

    @property
    def name(self) -> str:
        """The file, and the changed line in one line."""
        return f"{self.file}: {' '.join(self.old.split())} -> {' '.join(self.new.split()) or 'nothing'}"


def read_mutants(path: Path) -> list[Mutant]:
    """The mutants of a listing.

    Raises:
        SystemExit: for one whose text is not there exactly once.
    """
    mutants = []
    for table in tomllib.loads(path.read_text("utf-8"))["mutant"]:
        mutant = Mutant(**{**table, "tests": tuple(table["tests"])})
        times = (REPOSITORY / mutant.file).read_text("utf-8").count(mutant.old)
        if times != 1:
            raise SystemExit(f"{path.name}: {mutant.file} has {mutant.old!r} {times} times, not once")
        mutants.append(mutant)
    return mutants


def fails(copy: Path, tests: Sequence[str]) -> bool:
    """Whether any of the tests fails.

    Raises:
        SystemExit: where they cannot be run, or do not end.
    """
    process = PROCESSES.Process(target=run_tests, args=(copy, tests))
    process.start()
    process.join(SECONDS)
    if process.is_alive():
        process.kill()
        raise SystemExit(f"after {SECONDS} s still running: {' '.join(tests)}")
    code = process.exitcode or 0
    if code >= 0 and code not in (*PASSED, *FAILED):
        raise SystemExit(f"pytest cannot run {' '.join(tests)}")
    return code not in PASSED  # below 0: a signal ended the process


def run_tests(copy: Path, tests: Sequence[str]) -> None:
    """Run tests in this process, with the code of the copy; the exit code is pytest's and ``PYTEST``."""
    import pytest

    os.chdir(copy)
    sys.path[:0] = [str(copy), str(copy / "plugins")]
    os.environ["PYTHONPATH"] = os.pathsep.join(sys.path[:2])  # of the processes that tests start
    # Without compiled files: those of a file that is changed twice within a second would be used again.
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    with Path(os.devnull).open("w") as nowhere, contextlib.redirect_stdout(nowhere):
        code = pytest.main(["-q", "-x", "-p", "no:cacheprovider", "-n0", *tests])
    sys.exit(PYTEST + int(code))


def is_noticed(mutant: Mutant, copy: Path) -> bool:
    """Whether the mutant's tests fail with it; the copy is left as it was."""
    path = copy / mutant.file
    text = path.read_text("utf-8")
    path.write_text(text.replace(mutant.old, mutant.new), "utf-8")
    try:
        return fails(copy, mutant.tests)
    finally:
        path.write_text(text, "utf-8")


def main() -> None:
    """Print a line for each mutant, and how many were noticed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="only mutants whose file contains this text")
    parser.add_argument("--first", type=int, default=1, help="number of the first mutant")
    arguments = parser.parse_args()
    listed = read_mutants(REPOSITORY / "benchmarks" / "mutants.toml")
    chosen = [m for m in listed[arguments.first - 1 :] if arguments.only in m.file]
    PROCESSES.set_forkserver_preload(PRELOADED)
    noticed = explained = 0
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder)
        for name in COPIED:
            source = REPOSITORY / name
            shutil.copytree(source, copy / name) if source.is_dir() else shutil.copy(source, copy / name)
        unchanged = [
            test for test in sorted({t for mutant in chosen for t in mutant.tests}) if fails(copy, [test])
        ]
        if unchanged:
            raise SystemExit(f"tests fail without any mutant: {', '.join(unchanged)}")
        for number, mutant in enumerate(chosen, arguments.first):
            began = time.monotonic()
            found = is_noticed(mutant, copy)
            noticed += found
            explained += not found and bool(mutant.unnoticed)
            verdict = "noticed" if found else f"NOT NOTICED {mutant.unnoticed}".strip()
            print(f"{number:>3} {verdict:<12} {time.monotonic() - began:5.0f} s  {mutant.name}", flush=True)
    share = noticed / max(1, len(chosen))
    print(f"{noticed} of {len(chosen)} mutants noticed ({share:.0%}), {explained} of the others explained")


if __name__ == "__main__":
    main()
