"""What modalities of pure noise cost: the same comparison with and without three of them.

    python benchmarks/noise_modalities.py HANCOCK_H5

Cross-validates ``recipes/hancock.toml`` on the cohort as it is, and with three modalities of 512 cells of
noise for a random four fifths of the patients, on the same folds, and prints the paired difference of the
mean AUC of both tasks.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import h5py
import numpy as np

RECIPES = Path(__file__).resolve().parents[1] / "recipes"
NOISE = ("noise_a", "noise_b", "noise_c")
WIDTH = 512


def add_noise(root: Path, folder: Path) -> None:
    """Link the cohort's files into a folder, beside those of the noise."""
    for path in root.glob("*.h5"):
        (folder / path.name).symlink_to(path)
    with h5py.File(root / "clinical.h5") as file:
        ids = file["patient_id"][:]
    rng = np.random.default_rng(0)
    for name in NOISE:
        rows = np.flatnonzero(rng.random(len(ids)) < 0.8)
        with h5py.File(folder / f"{name}.h5", "w") as file:
            file["patient_id"] = ids[rows]
            file["embedding"] = rng.standard_normal((len(rows), WIDTH)).astype(np.float32)


def compare(root: Path, folder: Path, folds: int, *sets: str) -> np.ndarray:
    """(folds,) mean AUC of both tasks."""
    command = [sys.executable, "-m", "hcat_core", "compare", RECIPES / "hancock.toml", "--no-baselines"]
    options = [f"--folds={folds}", "--repeats=1", f"--outdir={folder}", f"--set=cohort.root={root}"]
    subprocess.run([*command, *options, *(f"--set={s}" for s in sets)], check=True)
    results = [json.loads(path.read_text()) for path in (folder / "folds").glob("*.json")]
    results.sort(key=lambda result: int(result["fold"]))
    return np.array([np.mean([task["auc"] for task in r["tasks"].values()]) for r in results])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", type=Path, help="folder of HANCOCK's HDF5 files")
    parser.add_argument("--folds", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "files").mkdir()
        add_noise(options.root.resolve(), folder / "files")
        plain = compare(options.root.resolve(), folder / "plain", options.folds)
        modalities = [f"cohort.modalities.{n}={{use='h5', path='{n}.h5'}}" for n in NOISE]
        branches = [f"fusion.branches.{n}=['{n}']" for n in NOISE]
        noisy = compare(folder / "files", folder / "noisy", options.folds, *modalities, *branches)
    cost = plain - noisy
    error = cost.std(ddof=1) * (1 / len(cost) + 1 / (len(cost) - 1)) ** 0.5  # Nadeau and Bengio (2003)
    print(f"mean AUC {plain.mean():.4f}, with {len(NOISE)} modalities of noise {noisy.mean():.4f}")
    print(f"cost {cost.mean():+.4f}, corrected standard error {error:.4f}, {len(cost)} folds")


if __name__ == "__main__":
    main()
