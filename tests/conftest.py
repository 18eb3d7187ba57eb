"""What all tests share, and which of them are fast."""

import os
from pathlib import Path

import pytest
from hypothesis import settings

# pytest-xdist keeps every processor busy with a process each, in which threads would wait for one another.
# Before torch and numpy are imported, which read it; processes that tests start inherit it.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

# No deadlines: speed is measured in benchmarks/, never in a test.
settings.register_profile("hcat", deadline=None)
settings.load_profile("hcat")

HERE = Path(__file__).parent
# Folders and files whose tests take milliseconds: together under a minute on two cores.
FAST = (
    "builtin/heads",
    "builtin/losses",
    "builtin/readers/tables",
    "builtin/readers/test_plain_file.py",
    "cli/test_commands.py",
    "cli/test_how_scored.py",
    "data",
    "evaluation",
    "experiments/compare_imputers",
    "experiments/compare_recipes",
    "metrics",
    "project/test_dependencies.py",
    "recipe/test_broken_recipes.py",
    "recipe/test_documentation.py",
    "recipe/test_recipe.py",
    "recipe/test_shipped.py",
    "registry/test_catalog.py",
    "storage/test_safe_path.py",
    "synth/test_generator.py",
    "test_cohort.py",
    "test_layout.py",
    "training/test_augmentation.py",
    "training/test_common_random.py",
)
# Files that take longest, the longest first: the last to start keeps the others waiting.
LONG = (
    "cli/test_compare.py",
    "cli/test_resume.py",
    "cli/test_run.py",
    "runs/test_nothing_lost.py",
    "testing/test_builtin_components.py",
    "cli/test_torchrun.py",
    "builtin/estimators/test_every_estimator.py",
)

FOUR_OUTCOMES = """
[cohort]
root = "{folder}"
[cohort.modalities]
rna = {{ path = "rna.csv" }}
blood = {{ path = "blood.csv" }}
[cohort.targets]
path = "outcomes.csv"
[cohort.targets.tasks]
death = {{ time = "days", event = "dead", horizon_days = 730 }}
msi = {{ label = "msi" }}
subtype = {{ kind = "multiclass", label = "type" }}
age = {{ kind = "continuous", value = "age", unit = "years" }}
[split]
test = 0.35
[estimator]
use = "logistic"
[evaluation]
bootstrap = 30
baselines = []
"""


def pytest_collection_modifyitems(items):
    """Mark every test of ``FAST`` that is not slow, and put the tests of ``LONG`` first."""
    order = {HERE / place: number for number, place in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path, len(LONG)))
    places = [HERE / place for place in FAST]
    for item in items:
        fast = any(item.path == place or place in item.path.parents for place in places)
        if fast and item.get_closest_marker("slow") is None:
            item.add_marker(pytest.mark.fast)


@pytest.fixture(scope="session")
def scheduler():
    """The address of a Dask scheduler with two workers of one thread each."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=":0") as cluster:
        yield cluster.scheduler_address


@pytest.fixture(scope="session")
def four_outcomes(tmp_path_factory):
    """A folder with tables of two modalities, four outcomes of every kind, and ``recipe.toml``."""
    import numpy as np
    import pandas as pd

    folder, patients = tmp_path_factory.mktemp("four_outcomes"), 260
    rng = np.random.default_rng(0)
    ids = pd.Index([f"P{row:03d}" for row in range(patients)], name="patient_id")
    z = rng.normal(size=(patients, 2))
    rna, blood = (z[:, [column, column]] + rng.normal(0, 0.5, (patients, 2)) for column in (0, 1))
    logits = np.column_stack([2 * z[:, 0], 2 * z[:, 1], np.zeros(patients)])
    dies, censored = rng.exponential(800 * np.exp(-z[:, 0])), rng.uniform(300, 2500, patients)
    outcomes = {
        "days": np.ceil(np.minimum(dies, censored)),
        "dead": (dies <= censored).astype(int),
        "msi": (rng.random(patients) < 1 / (1 + np.exp(-2 * z[:, 1]))).astype(int),
        "type": np.array(["LUAD", "LUSC", "<b>other"])[
            (logits + rng.gumbel(size=logits.shape)).argmax(axis=1)
        ],
        "age": (60 + 6 * z[:, 0] + rng.normal(0, 4, patients)).round(1),
        "sex": rng.choice(["f", "m"], patients),
    }
    frame = pd.DataFrame(outcomes, index=ids)
    frame.loc[ids[::19], "type"], frame.loc[ids[::17], "age"] = None, np.nan
    frame.to_csv(folder / "outcomes.csv")
    pd.DataFrame(rna, ids, ["EGFR", "KRAS"]).iloc[rng.random(patients) < 0.8].to_csv(folder / "rna.csv")
    pd.DataFrame(blood, ids, ["CRP", "LDH"]).iloc[rng.random(patients) < 0.8].to_csv(folder / "blood.csv")
    (folder / "recipe.toml").write_text(FOUR_OUTCOMES.format(folder=folder.as_posix()), encoding="utf-8")
    return folder


@pytest.fixture(scope="session")
def four_outcomes_run(four_outcomes):
    """The finished run of that recipe; not to be changed."""
    from matplotlib.figure import Figure

    from hcat_core.cli.main import main

    arguments = ("run", str(four_outcomes / "recipe.toml"), f"--outdir={four_outcomes / 'run'}", "-q")
    with pytest.MonkeyPatch.context() as patch:  # drawing takes longer than all the rest
        patch.setattr(Figure, "savefig", lambda self, file, **settings: file.write("<svg></svg>"))
        assert main(arguments) == 0
    return four_outcomes / "run"
