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
