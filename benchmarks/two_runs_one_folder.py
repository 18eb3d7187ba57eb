"""Start two processes on one run folder at once: one runs, the other exits with code 2 and names it.

    python benchmarks/two_runs_one_folder.py --count 20

Two ``hcat run --outdir``, and two ``hcat run --resume``. The one that runs must leave the files of a run
that was alone.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
from pathlib import Path
from threading import Barrier

from kill_anywhere import COMMANDS, PRELOAD, START, child, digests, finished, killed_while_writing

RUN = (*COMMANDS["run"], "--epochs=2")
RESUME = ("run", "--resume", "run")


def contender(arguments: list[str], folder: Path, log_name: str, together: Barrier) -> None:
    """Starts when the other does."""
    together.wait()
    child(arguments, folder, log_name)


def race(arguments: tuple[object, ...], folder: Path) -> str | None:
    """Two at once; what went wrong, if anything."""
    together = START.Barrier(2)
    plain = [str(a) for a in arguments]
    both = [
        START.Process(target=contender, args=(plain, folder, f"log-{number}", together))
        for number in range(2)
    ]
    for process in both:
        process.start()
    for process in both:
        process.join()
    codes = [process.exitcode for process in both]
    if sorted(codes) != [0, 2]:
        return f"exit codes {codes}"
    winner, loser = codes.index(0), codes.index(2)
    said = (folder / f"log-{loser}").read_text()
    if f"run is in use by process {both[winner].pid} on {os.uname().nodename} since 2" not in said:
        return f"process {both[winner].pid} won, and the other said: {said}"
    return None


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20, help="races of each kind")
    options = parser.parse_args()
    START.set_forkserver_preload(PRELOAD)

    from hcat_core.synth.generator import generate, preset_spec
    from hcat_core.synth.write import write_cohort

    missed = 0
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        write_cohort(root / "cohort", generate(preset_spec("demo", patients=120, width=8)))
        for folder in (root / "alone", root / "begun"):
            folder.mkdir()
        finished(RUN, root / "alone")
        expected = digests(root / "alone" / "run")
        if not killed_while_writing(RUN, root / "begun", 2):
            sys.exit("the run to resume ended before it could be killed inside a second checkpoint")
        for what, arguments in (("hcat run --outdir RUN", RUN), ("hcat run --resume RUN", RESUME)):
            won = 0
            for number in range(options.count):
                folder = root / f"race-{number}"
                folder.mkdir()
                if arguments is RESUME:
                    shutil.copytree(root / "begun" / "run", folder / "run")
                wrong = race(arguments, folder)
                if wrong is None and digests(folder / "run") != expected:
                    wrong = "the winner's files are not those of a run alone"
                if wrong is not None:
                    print(f"race {number}: {wrong}", file=sys.stderr)
                won += wrong is None
                shutil.rmtree(folder)
            print(
                f"two {what} at once: one won and the other named it, {won} of {options.count}", flush=True
            )
            missed += options.count - won
    return 1 if missed else 0


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    sys.exit(main())
