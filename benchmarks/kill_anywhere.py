"""SIGKILL at random moments, then the command that goes on: is the result the unbroken one's?

    python benchmarks/kill_anywhere.py              # hcat run: 50 moments, and 10 inside a checkpoint
    python benchmarks/kill_anywhere.py compare --count 20
    python benchmarks/kill_anywhere.py compare-imputers --count 20

For ``run`` every file of the folder is compared by sha256: weights, optimiser state, metrics, predictions
and the rest. For the comparisons every record and the table, without the seconds that fitting took; and no
record that was complete before the kill may have been written again.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
COMMANDS = {
    "run": (
        "run", RECIPES / "enhanced.toml", "--set=cohort.root=../cohort", "--outdir=run", "--d_model=16",
        "--n_heads=2", "--epochs=6", "--set=estimator.members=2",
        "--set=estimator.evidence.trees=20", "--set=imputer.use=vae", "--set=imputer.fit_epochs=4",
        "--set=evaluation.mc_samples=2",
        "--set=evaluation.bootstrap=0", "--set=evaluation.baselines=[]",
    ),
    "compare": (
        "compare", RECIPES / "baselines" / "logistic.toml", "--set=cohort.root=../cohort", "--folds=4",
        "--repeats=2", "--no-baselines", "--jobs=1", "--outdir=run",
    ),
    "compare-imputers": (
        "compare-imputers", "--patients=200", "--width=12", "--preset=linear", "--seeds=3",
        "--mechanism=mcar", "--imputer=mean", "--imputer=knn", "--imputer=gaussian", "--jobs=1",
        "--outdir=run",
    ),
}  # fmt: skip
# A forked child of a process that has torch already starts at once; it is killed like any other.
START = multiprocessing.get_context("forkserver")
PRELOAD = ["hcat_core.runs.run", "hcat_core.report", "hcat_builtin", "hcat_core.cli.run"]


@dataclass
class Tally:
    """How the trials went."""

    equal: int = 0
    begun_anew: int = 0
    half_files: int = 0
    kept: int = 0


def child(arguments: list[str], folder: Path, log_name: str = "log") -> None:
    """One command line in a folder; what it says goes to a file there."""
    os.chdir(folder)
    log = os.open(log_name, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(log, 1)
    os.dup2(log, 2)
    from hcat_core.cli.main import main

    sys.exit(main(arguments))


def started(arguments: tuple[object, ...], folder: Path) -> multiprocessing.process.BaseProcess:
    process = START.Process(target=child, args=([str(a) for a in arguments], folder))
    process.start()
    return process


def finished(arguments: tuple[object, ...], folder: Path) -> float:
    """Run to the end; returns the seconds."""
    began = time.monotonic()
    process = started(arguments, folder)
    process.join()
    if process.exitcode != 0:
        sys.exit(f"exit code {process.exitcode} in {folder}:\n{(folder / 'log').read_text()}")
    return time.monotonic() - began


def killed(arguments: tuple[object, ...], folder: Path, moment: float) -> bool:
    """Kill after ``moment`` seconds; False for a command that was done before."""
    process = started(arguments, folder)
    process.join(moment)
    process.kill()
    process.join()
    return process.exitcode != 0


def killed_while_writing(arguments: tuple[object, ...], folder: Path, number: int) -> bool:
    """Kill when the ``number``-th checkpoint that is seen half-written is; False if none was seen."""
    process = started(arguments, folder)
    half, seen = False, 0
    while process.is_alive():
        before, half = half, any((folder / "run" / "checkpoints").rglob(".*.partial"))
        seen += half and not before
        if seen == number:
            process.kill()
            break
        time.sleep(0.0005)
    process.join()
    return process.exitcode != 0


def digests(folder: Path) -> dict[str, str]:
    """sha256 of each file."""
    files = (p for p in sorted(folder.rglob("*")) if p.is_file())
    return {str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest() for p in files}


def records(folder: Path) -> dict[str, object]:
    """The JSON files of a comparison, but for the seconds in them."""
    paths = [p for p in folder.rglob("*.json") if not p.name.startswith(".")]
    return {str(p.relative_to(folder)): without_seconds(json.loads(p.read_text())) for p in paths}


def without_seconds(value: object) -> object:
    if isinstance(value, dict):
        return {k: without_seconds(v) for k, v in value.items() if not k.endswith("_seconds")}
    return [without_seconds(v) for v in value] if isinstance(value, list) else value


def complete_records(folder: Path) -> dict[Path, tuple[int, int]]:
    """When each record was written, for those that are whole."""
    paths = [p for p in folder.rglob("*.json") if not p.name.startswith(".") and p.parent != folder]
    return {p: (p.stat().st_ino, p.stat().st_mtime_ns) for p in paths}


def go_on(what: str, folder: Path, tally: Tally) -> None:
    """As a user would: ``--resume`` where there is a run, the same command otherwise."""
    tally.half_files += any((folder / "run").rglob(".*.partial"))
    if what == "run" and (folder / "run" / "recipe.toml").is_file():
        finished(("run", "--resume", "run"), folder)
        return
    tally.begun_anew += what == "run"
    before = complete_records(folder / "run")
    finished(COMMANDS[what], folder)
    after = complete_records(folder / "run")
    changed = [str(path) for path, stamp in before.items() if after.get(path) != stamp]
    if what != "run" and changed:
        sys.exit(f"written again: {', '.join(changed)}")
    tally.kept += len(before)


def trials(what: str, root: Path, count: int, rng: np.random.Generator, seconds: float | None) -> Tally:
    """Kill, go on and compare, ``count`` times: within ``seconds``, or inside a checkpoint if None."""
    look = digests if what == "run" else records
    expected = look(root / "whole" / "run")
    tally = Tally()
    for number in range(count):
        folder = root / f"trial-{number}"
        while True:
            folder.mkdir()
            if seconds is None:
                hit = killed_while_writing(COMMANDS[what], folder, int(rng.integers(1, 12)))
            else:
                hit = killed(COMMANDS[what], folder, float(rng.uniform(0, seconds)))
            if hit:
                break
            shutil.rmtree(folder)
        go_on(what, folder, tally)
        found = look(folder / "run")
        other = sorted(n for n in expected.keys() | found.keys() if expected.get(n) != found.get(n))
        if other:
            print(f"trial {number}: {', '.join(other)} differ", file=sys.stderr)
        tally.equal += not other
        shutil.rmtree(folder)
    return tally


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", nargs="?", choices=COMMANDS, default="run")
    parser.add_argument("--count", type=int, default=50, help="kills at random moments")
    parser.add_argument("--writing", type=int, help="kills inside a checkpoint; a fifth of count for run")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    writing = options.writing if options.writing is not None else options.count // 5
    rng = np.random.default_rng(options.seed)
    START.set_forkserver_preload(PRELOAD)

    from hcat_core.synth.generator import generate, preset_spec
    from hcat_core.synth.write import write_cohort

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        write_cohort(root / "cohort", generate(preset_spec("demo", patients=120, width=8)))
        (root / "whole").mkdir()
        finished(("list-components",), root / "whole")  # from here on torch is there already
        seconds = finished(COMMANDS[options.what], root / "whole")
        tally = trials(options.what, root, options.count, rng, seconds)
        line = f"hcat {options.what}, killed at random moments: {tally.equal} of {options.count} equal"
        if options.what == "run":
            line += f"; {tally.begun_anew} had written nothing and were begun anew"
        else:
            line += f"; {tally.kept} finished records kept"
        print(f"{line}; {tally.half_files} left half a file", flush=True)
        missed = options.count - tally.equal
        if options.what == "run" and writing:
            tally = trials("run", root, writing, rng, None)
            print(
                f"hcat run, killed inside a checkpoint: {tally.equal} of {writing} equal; "
                f"{tally.half_files} left half a file"
            )
            missed += writing - tally.equal
    return 1 if missed else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
