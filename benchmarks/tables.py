"""Run the measurements and write their tables into benchmarks/README.md.

    python benchmarks/tables.py [NAME ...] [--hancock PATH/TO/hancock/h5] [--rounds 5] [--threads 1]

All of them, or those named. ``--scale 20`` makes everything that much smaller and only prints the tables.
It needs a quiet machine, 12 GB of disk for the files (kept in ``--folder`` for the next time), an hour.
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import re
import tempfile
from pathlib import Path

from measuring import HERE, Plan, Record

NAMES = (
    "training_step",
    "mc_evaluation",
    "loading",
    "reading_tables",
    "patches",
    "imputers",
    "gaussian_choice",
    "whole_run",
    "run_scale",
)
README = HERE / "README.md"


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(NAMES)}")
    parser.add_argument(
        "--hancock", type=Path, help="folder of the HANCOCK files; without it, no such rows"
    )
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "hcat-benchmarks")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--scale", type=int, default=1)
    arguments = parser.parse_args()
    unknown = set(arguments.names) - set(NAMES)
    if unknown:
        parser.error(f"no measurement is named {', '.join(sorted(unknown))}: there are {', '.join(NAMES)}")
    os.environ["OMP_NUM_THREADS"] = str(arguments.threads)
    hancock = None if arguments.hancock is None else arguments.hancock.resolve()
    plan = Plan(arguments.rounds, arguments.scale, arguments.folder, hancock)
    for name in arguments.names or NAMES:
        module = importlib.import_module(name)
        records = module.measure(plan)
        if not records:
            print(f"{name}: needs --hancock")
            continue
        option = " --hancock PATH" if hancock is not None else ""
        command = f"python benchmarks/tables.py {name}{option} --rounds {plan.rounds}"
        notes = "" if arguments.threads == 1 else f" --threads {arguments.threads}"
        section = f"{table(records)}\n\n`{command}{notes}`; {machine(arguments.threads)}."
        print(f"\n{module.TITLE}\n\n{section}", flush=True)
        if plan.scale == 1:
            README.write_text(with_section(README.read_text(), name, section))


def table(records: list[Record]) -> str:
    """Records as a Markdown table."""
    header = list(records[0])
    lines = [header, ["---"] * len(header), *(list(record.values()) for record in records)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def with_section(text: str, name: str, section: str) -> str:
    """The text with what stands between a measurement's markers replaced."""
    begin, end = f"<!-- {name} -->", f"<!-- end of {name} -->"
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    replaced, found = pattern.subn(lambda _: f"{begin}\n{section}\n{end}", text)
    if not found:
        raise SystemExit(f"{README}: has no {begin} ... {end}")
    return replaced


def machine(threads: int) -> str:
    """Processor, cores, threads, memory and torch, in words."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return (
        f"{processor()}, {os.cpu_count()} cores, {threads} {'thread' if threads == 1 else 'threads'}, "
        f"{memory:.0f} GiB, torch {torch.__version__}"
    )


def processor() -> str:
    """What the processor calls itself, where the system tells."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        found = re.search(r"model name\s*: (.+)", information.read_text())
        if found:
            return found[1].strip()
    return platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
