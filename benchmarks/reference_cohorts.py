"""The built-in ``gaussian`` on the reference cohorts (5 x 512), beside the oracle and the finite-N limit.

    python benchmarks/reference_cohorts.py

Every number of training patients and preset with every mechanism, three seeds each. 150 other patients are
used to choose rank and number of components and to calibrate; 500 further patients are scored.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from hcat_core.experiments.compare_imputers.results import ImputerResult
from hcat_core.experiments.compare_imputers.run import run_job
from hcat_core.experiments.compare_imputers.settings import Design, imputer_tables, plan_jobs
from hcat_core.experiments.compare_imputers.table import summarise
from hcat_core.experiments.jobs import Backend, Experiment, run_jobs
from hcat_core.registry.catalog import load_catalog

COHORTS = (("linear", 600), ("clusters", 600), ("clusters", 3000), ("nonlinear", 3000))


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=Path("reference-cohorts"))
    parser.add_argument("--imputer", nargs="*", default=["gaussian"])
    parser.add_argument("--mechanism", nargs="*", default=["mcar", "mar", "mnar"])
    parser.add_argument("--seeds", type=int, default=3)
    arguments = parser.parse_args()
    tables = imputer_tables(load_catalog(), arguments.imputer)
    for preset, patients in COHORTS:
        jobs = plan_jobs(
            tables, Design(arguments.mechanism, (0.3,), arguments.seeds, preset, patients, 512)
        )
        experiment = Experiment(run_job, ImputerResult.from_json)
        results = run_jobs(jobs, experiment, arguments.folder, backend=Backend(), finished=lambda *_: None)
        worst = [
            pattern.coverage_90
            for result in results
            if result.name in tables and result.scores is not None
            for pattern in result.scores.by_pattern.values()
        ]
        for row in summarise(results):
            v = {name: e.mean for name, e in row.values.items() if e is not None}
            print(
                f"{preset} {patients} {row.mechanism}: {row.name:<15} R2 {v['r2']:.4f}  "
                f"of limit {v['share_of_limit']:.4f}  of oracle {v['share_of_oracle']:.4f}  "
                f"90 % covers {v['coverage_90']:.3f}"
            )
        print(f"  by pattern of 30 or more: 90 % covers {min(worst):.3f} to {max(worst):.3f}", flush=True)


if __name__ == "__main__":
    main()
