"""What all tests share."""

import pytest
from hypothesis import settings

# No deadlines: speed is measured in benchmarks/, never in a test.
settings.register_profile("hcat", deadline=None)
settings.load_profile("hcat")


@pytest.fixture(scope="session")
def scheduler():
    """The address of a Dask scheduler with two workers of one thread each."""
    from distributed import LocalCluster

    with LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None) as cluster:
        yield cluster.scheduler_address
