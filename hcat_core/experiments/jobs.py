"""Many independent jobs, one result file each: in processes here or on a cluster, and never one twice."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import torch
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from hcat_core.errors import TrainingError, UsageError
from hcat_core.storage.checkpoint import write_text

Record = dict[str, Any]
PATIENCE = 10  # seconds for a scheduler to answer
_ONE_AT_A_TIME = threading.Lock()  # torch has one random generator a process


class Job(Protocol):
    """What is to be done; ``key`` names its result file, ``name`` who it is about."""

    @property
    def name(self) -> str:
        """Shown, and set anew on a result that is read."""
        ...

    @property
    def key(self) -> str:
        """Whatever changes the result changes it."""
        ...


@dataclass(frozen=True)
class Backend:
    """Where jobs run: in ``processes`` of one thread here, or on the workers of a Dask ``scheduler``."""

    processes: int = 1
    scheduler: str | None = None


def run_jobs(
    jobs: Sequence[Job],
    run: Callable[..., Record],
    shared: tuple[object, ...],
    folder: Path,
    *,
    backend: Backend,
    finished: Callable[[Record, int, int], None],
) -> list[Record]:
    """Every job's record, in order; those whose file is in ``folder`` are read, not run.

    Args:
        jobs: what to run.
        run: called with a job and ``shared``; a failure is a record with an ``error`` too.
        shared: what all jobs look at; sent once to each worker of a cluster.
        folder: of result files, each written whole or not at all.
        backend: where.
        finished: called with each record, how many are done, and how many there are.

    Raises:
        UsageError: for a cluster that cannot be had.
        TrainingError: when a process is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Two jobs of one key are one job under two names.
    named: dict[str, list[Job]] = {}
    for job in jobs:
        named.setdefault(job.key, []).append(job)
    records: dict[str, Record] = {}
    waiting = []
    done = 0

    def take(key: str, record: Record) -> None:
        nonlocal done
        records[key] = record
        for job in named[key]:
            done += 1
            finished({**record, "name": job.name}, done, len(jobs))

    for key, (job, *_) in named.items():
        found = _read(folder / f"{key}.json", job)
        if found is None:
            waiting.append(job)
        else:
            take(key, found)
    for key, record in _run_all(waiting, run, shared, backend):
        write_text(folder / f"{key}.json", json.dumps({"job": key, **record}, allow_nan=False) + "\n")
        take(key, record)
    return [{**records[job.key], "name": job.name} for job in jobs]


def _read(path: Path, job: Job) -> Record | None:
    """A finished job's record; None for a file that is half, of another job, or of one that failed."""
    try:
        record: Record = json.loads(path.read_text(encoding="utf-8"))
        whole = record.pop("job") == job.key and record["error"] is None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    return {**record, "name": job.name} if whole else None


def _run_all(
    jobs: Sequence[Job], run: Callable[..., Record], shared: tuple[object, ...], backend: Backend
) -> Iterator[tuple[str, Record]]:
    """Records as they come. One process is this one."""
    if not jobs:
        return
    if backend.scheduler is not None:
        yield from _run_on_cluster(backend.scheduler, jobs, run, shared)
    elif backend.processes == 1:
        for job in jobs:
            yield _run(run, job, *shared)
    else:
        workers = Parallel(n_jobs=backend.processes, return_as="generator_unordered")
        try:
            yield from workers(delayed(_run)(run, job, *shared) for job in jobs)
        except TerminatedWorkerError:
            raise TrainingError(
                "a process was killed, perhaps for want of memory. What is finished is kept: run the same "
                "command again, with fewer --jobs."
            ) from None


def _run(run: Callable[..., Record], job: Job, *shared: object) -> tuple[str, Record]:
    """One job in one thread, wherever it is: the same numbers everywhere."""
    with _ONE_AT_A_TIME, threadpool_limits(1), parallel_config("sequential"):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return job.key, run(job, *shared)
        finally:
            torch.set_num_threads(threads)


def _run_on_cluster(
    scheduler: str, jobs: Sequence[Job], run: Callable[..., Record], shared: tuple[object, ...]
) -> Iterator[tuple[str, Record]]:
    """Records as Dask's workers make them; each worker is sent ``shared`` once.

    Without joblib, whose Dask backend waits for ever for a job whose worker has died.

    Raises:
        UsageError: without Dask, without a scheduler that answers, or without workers of one thread each.
        TrainingError: for a job that no worker could finish.
    """
    try:
        from distributed import Client, as_completed
    except ImportError:
        raise UsageError('--backend dask needs Dask: pip install "hcat-core[cluster]"') from None
    try:
        client = Client(scheduler, timeout=PATIENCE, set_as_default=False)
    except (OSError, ValueError) as error:
        raise UsageError(f"--scheduler {scheduler}: no Dask scheduler answers there ({error}).") from None
    with client, client.as_current():
        threads = client.nthreads().values()
        if not threads or max(threads) > 1:
            raise UsageError(
                f"--scheduler {scheduler}: it lacks workers of one thread each, which hcat needs. "
                f"Start some: dask worker {scheduler} --nworkers N --nthreads 1"
            )
        sent = client.scatter(list(shared), broadcast=True, hash=False) if shared else []
        started = [client.submit(_run, run, job, *sent, pure=False) for job in jobs]
        for done in as_completed(started):
            try:
                answer: tuple[str, Record] = done.result()
            except Exception as error:  # a worker died, lacks memory, hcat or a plugin
                what = f"{type(error).__name__}: {error}"
                raise TrainingError(
                    f"--scheduler {scheduler}: a job could not be done there: {what} "
                    "Do its workers have the memory, the same hcat and its plugins? What is finished is "
                    "kept: run the same command again."
                ) from None
            yield answer
