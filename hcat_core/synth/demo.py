"""The demo cohort, which a recipe may ask for where there is no data yet."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from hcat_core.data.schema import DemoTable
from hcat_core.storage.atomic_files import storage_errors
from hcat_core.synth.generator import generate, preset_spec
from hcat_core.synth.write import write_files

SEED = 0  # fixed: another seed in the recipe trains another model on the same demo cohort


def write_demo(root: Path, table: DemoTable, say: Callable[[str], None]) -> None:
    """Write the synthetic demo cohort to ``root`` atomically, and report it."""
    spec = preset_spec("demo", patients=table.patients, width=table.width, seed=SEED)
    with storage_errors(root):
        root.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{root.name}.", dir=root.parent) as folder:
            made = Path(folder) / root.name
            made.mkdir()
            sizes = write_files(made, generate(spec))
            made.rename(root)
    say(
        f"no data at {root}: wrote a synthetic demo cohort there ({table.patients} patients, "
        f"{len(spec.widths)} modalities of width {table.width}, {sum(sizes.values()) / 1e6:.0f} MB)"
    )
