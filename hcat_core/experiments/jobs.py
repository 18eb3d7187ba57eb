"""Many independent jobs, one result file each: run in processes here or on a cluster, never one twice."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, Self, TypeVar

import torch
from joblib import Parallel, delayed, parallel_config
from joblib.externals.loky.process_executor import TerminatedWorkerError
from threadpoolctl import threadpool_limits

from hcat_core import __version__
from hcat_core.errors import TrainingError, UsageError
from hcat_core.experiments.orphaned_workers import end_with
from hcat_core.storage.checkpoint import write_text

PATIENCE = 10  # seconds for a scheduler to answer
_ONE_AT_A_TIME = threading.Lock()  # torch has one random generator per process


class Result(Protocol):
    """What a job gives; it also knows how a progress line shows it."""

    @property
    def error(self) -> str | None:
        """Why the job failed; None for one that did not."""
        ...

    @property
    def label(self) -> str:
        """Which job this is, for a progress line."""
        ...

    @property
    def score(self) -> str:
        """The figure that a progress line ends with, after two spaces; may be empty."""
        ...

    def named(self, name: str) -> Self:
        """The same result under another name."""
        ...

    def as_json(self) -> dict[str, Any]:
        """Plain values for the result file."""
        ...


T = TypeVar("T")
R = TypeVar("R", bound=Result)


@dataclass(frozen=True)
class Job(Generic[T]):
    """One task to run. ``name`` is shown; ``key`` names the result file (see ``job_key``)."""

    name: str
    key: str
    task: T


@dataclass(frozen=True)
class Experiment(Generic[T, R]):
    """How jobs of one kind are run, and how their result files are read.

    ``run`` is called with a job and everything in ``shared``, which is sent once to each worker of a
    cluster. A failure is a result too, one with an ``error``. ``read`` is the inverse of ``as_json``.
    """

    run: Callable[..., R]
    read: Callable[[Mapping[str, Any]], R]
    shared: tuple[object, ...] = ()


@dataclass(frozen=True)
class Backend:
    """Where jobs run: in ``processes`` of one thread here, or on the workers of a Dask ``scheduler``."""

    processes: int = 1
    scheduler: str | None = None


def job_key(**facts: object) -> str:
    """The name of a job's result file; it changes with every fact and with the version of hcat."""
    text = json.dumps({**facts, "hcat": __version__}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def run_jobs(
    jobs: Sequence[Job[T]],
    experiment: Experiment[T, R],
    folder: Path,
    *,
    backend: Backend,
    finished: Callable[[R, int, int], None],
) -> list[R]:
    """Every job's result, in order; a job whose result file is in ``folder`` is read, not run.

    Args:
        jobs: what to run. Two jobs of one key are one job under two names.
        experiment: how to run them.
        folder: of the result files; each appears there complete or not at all.
        backend: where to run them.
        finished: called with each result, how many are done, and how many there are.

    Raises:
        UsageError: for a cluster that is not available.
        TrainingError: when a process is killed.
    """
    folder.mkdir(parents=True, exist_ok=True)
    by_key: dict[str, list[Job[T]]] = {}
    for job in jobs:
        by_key.setdefault(job.key, []).append(job)
    results: dict[str, R] = {}
    waiting = []
    done = 0

    def take(key: str, result: R) -> None:
        nonlocal done
        results[key] = result
        for job in by_key[key]:
            done += 1
            finished(result.named(job.name), done, len(jobs))

    for key, (job, *_) in by_key.items():
        earlier = _read(folder / f"{key}.json", job, experiment)
        if earlier is None:
            waiting.append(job)
        else:
            take(key, earlier)
    for key, result in _run_all(waiting, experiment, backend):
        text = json.dumps({"job": key, **result.as_json()}, allow_nan=False)
        write_text(folder / f"{key}.json", text + "\n")
        take(key, result)
    return [results[job.key].named(job.name) for job in jobs]


def _read(path: Path, job: Job[T], experiment: Experiment[T, R]) -> R | None:
    """A finished job's result; None for a file that is incomplete, of another job, or of a failed one."""
    try:
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if document.pop("job") != job.key or document["error"] is not None:
            return None
        return experiment.read(document)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _run_all(
    jobs: Sequence[Job[T]], experiment: Experiment[T, R], backend: Backend
) -> Iterator[tuple[str, R]]:
    """Keys and results as they come. A single process is this one."""
    if not jobs:
        return
    if backend.scheduler is not None:
        yield from _run_on_cluster(backend.scheduler, jobs, experiment)
    elif backend.processes == 1:
        for job in jobs:
            yield _run(experiment.run, job, *experiment.shared)
    else:
        workers = Parallel(n_jobs=backend.processes, return_as="generator_unordered")
        try:
            starter = os.getpid()
            yield from workers(
                delayed(_run_in_worker)(starter, experiment.run, job, *experiment.shared) for job in jobs
            )
        except TerminatedWorkerError:
            raise TrainingError(
                "a process was killed, perhaps because memory ran out. Finished jobs are kept: run the "
                "same command again, with fewer --jobs."
            ) from None


def _run_in_worker(starter: int, run: Callable[..., R], job: Job[T], *shared: object) -> tuple[str, R]:
    """One job in a process that ``starter`` has started, and which ends with it."""
    end_with(starter)
    return _run(run, job, *shared)


def _run(run: Callable[..., R], job: Job[T], *shared: object) -> tuple[str, R]:
    """One job in one thread, wherever it is: the same numbers everywhere."""
    with _ONE_AT_A_TIME, threadpool_limits(1), parallel_config("sequential"):
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        try:
            return job.key, run(job, *shared)
        finally:
            torch.set_num_threads(threads)


def _run_on_cluster(
    scheduler: str, jobs: Sequence[Job[T]], experiment: Experiment[T, R]
) -> Iterator[tuple[str, R]]:
    """Keys and results as Dask's workers make them; what jobs share is sent once to each worker.

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
                f"--scheduler {scheduler}: hcat needs workers of one thread each, and there are none. "
                f"Start some: dask worker {scheduler} --nworkers N --nthreads 1"
            )
        shared = experiment.shared
        sent = client.scatter(list(shared), broadcast=True, hash=False) if shared else []
        started = [client.submit(_run, experiment.run, job, *sent, pure=False) for job in jobs]
        for done in as_completed(started):
            try:
                result: tuple[str, R] = done.result()
            except Exception as error:  # a worker died, lacks memory, hcat or a plugin
                reason = f"{type(error).__name__}: {error}"
                raise TrainingError(
                    f"--scheduler {scheduler}: a worker could not finish a job: {reason} "
                    "Do the workers have enough memory, the same hcat and its plugins? Finished jobs are "
                    "kept: run the same command again."
                ) from None
            yield result
