"""Several processes that share one training, started by torchrun (ADR 0023).

Each process holds the whole model and works on its rows of every batch. torch's DistributedDataParallel
averages the gradients; ``gather_outputs`` gives every process the outputs of the whole batch, so that
losses across patients (Cox, InfoNCE) are those of one process.
"""

from __future__ import annotations

import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]
from torch.distributed.nn.functional import all_gather
from torch.nn.parallel import DistributedDataParallel

from hcat_core.errors import TrainingError, UsageError
from hcat_core.interfaces import Average, Imputation, Outputs
from hcat_core.training import launch

T = TypeVar("T")
PEER_TIMEOUT = timedelta(minutes=10)  # also covers the main process writing a checkpoint
EVALUATION_TIMEOUT = timedelta(days=30)  # for the main process, which evaluates alone


@dataclass(frozen=True)
class Processes:
    """This process, number ``rank`` of ``size``; with a size of 1 every method does nothing."""

    rank: int = 0
    size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes files, prints and evaluates."""
        return self.rank == 0

    def device(self, chosen: torch.device) -> torch.device:
        """The GPU of this process where the training is on GPUs, else ``chosen``.

        Raises:
            UsageError: for one GPU by its number, or fewer GPUs than processes on this machine.
        """
        if self.size == 1 or chosen.type != "cuda":
            return chosen
        place, processes_here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        if chosen.index is not None and processes_here > 1:
            raise UsageError(
                f'training.device: {processes_here} processes cannot share {chosen}: use "cuda".'
            )
        if processes_here > torch.cuda.device_count():
            raise UsageError(
                f"{socket.gethostname()} has {torch.cuda.device_count()} GPUs for {processes_here} "
                "processes: start as many processes as there are GPUs."
            )
        torch.cuda.set_device(place)
        return torch.device("cuda", place)

    def barrier(self) -> None:
        """Wait until every process has arrived here."""
        if self.size > 1:
            with _peer_errors():
                dist.barrier()

    def broadcast(self, value: T) -> T:
        """The main process's value, in every process."""
        if self.size == 1:
            return value
        values = [value]
        with _peer_errors():
            dist.broadcast_object_list(values, 0)
        return values[0]

    def rows(self, n: int) -> slice:
        """This process's share of n rows; all n rows where there are fewer rows than processes."""
        if n < self.size:
            return slice(0, n)
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def all_gather(self, rows: Tensor, n: int) -> Tensor:
        """(n, ...) the rows of all processes in order, from each process's ``rows(n)``.

        Gradients flow back to the process that computed a row.
        """
        if self.size == 1 or n < self.size:
            return rows
        counts = [replace(self, rank=rank).rows(n) for rank in range(self.size)]
        most = max(share.stop - share.start for share in counts)
        padded = torch.cat([rows, rows.new_zeros((most - len(rows), *rows.shape[1:]))])
        with _peer_errors():
            parts = _gathered(padded.contiguous())
        return torch.cat(
            [part[: share.stop - share.start] for part, share in zip(parts, counts, strict=True)]
        )

    @contextmanager
    def peer_errors(self) -> Iterator[None]:
        """Turn torch's error for a process that has ended or does not answer into a ``TrainingError``.

        gloo raises plain RuntimeErrors; only those that come from communication are turned.
        """
        try:
            yield
        except RuntimeError as error:
            if isinstance(error, dist.DistError) or "gloo" in str(error):
                raise _peer_error(error) from error
            raise

    def sum_averages(self, averages: Mapping[str, Average], n: int) -> dict[str, Average]:
        """Averages over the rows of all processes, from those over each process's share of n rows."""
        if self.size == 1 or n < self.size or not averages:
            return dict(averages)
        totals = torch.stack([average.total for average in averages.values()])
        counts = torch.stack([average.count.to(totals.dtype) for average in averages.values()])
        with _peer_errors():
            total, count = torch.stack(_gathered(torch.stack([totals, counts]))).sum(dim=0)
        return {name: Average(total[place], count[place]) for place, name in enumerate(averages)}

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module with its weights made equal and its gradients averaged over the processes."""
        if self.size == 1:
            return module
        with _peer_errors():
            return DistributedDataParallel(
                module,
                find_unused_parameters=True,  # what no loss of a recipe uses gets no gradient
                gradient_as_bucket_view=True,
            )


SINGLE_PROCESS = Processes()


def gather_outputs(outputs: Outputs, processes: Processes, n: int) -> Outputs:
    """The outputs for all n patients of a batch, from each process's outputs for its rows."""
    if processes.size == 1 or n < processes.size:
        return outputs

    def gathered(rows: Tensor) -> Tensor:
        return processes.all_gather(rows, n)

    imputation = outputs.imputation
    return replace(
        outputs,
        raw={name: gathered(raw) for name, raw in outputs.raw.items()},
        fused=outputs.fused.map(gathered),
        imputation=Imputation(
            gathered(imputation.emb),
            gathered(imputation.std),
            gathered(imputation.filled),
            processes.sum_averages(imputation.losses, n),
        ),
        second_view=None if outputs.second_view is None else outputs.second_view.map(gathered),
    )


def _gathered(rows: Tensor) -> list[Tensor]:
    """Every process's tensor of this shape, in the order of ranks."""
    if rows.requires_grad:
        with warnings.catch_warnings():  # its successor is not in every torch that hcat runs with
            warnings.simplefilter("ignore", FutureWarning)
            return list(all_gather(rows))
    parts = [torch.empty_like(rows) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, rows)
    return parts


@contextmanager
def process_group() -> Iterator[Processes]:
    """The processes that torchrun started together with this one; ``SINGLE_PROCESS`` without torchrun."""
    if launch.size() == 1:
        yield SINGLE_PROCESS
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "cpu:gloo"
    with _peer_errors():
        dist.init_process_group(backend, timeout=PEER_TIMEOUT)
    processes = Processes(dist.get_rank(), dist.get_world_size())
    try:
        yield processes
        _wait_for_main(processes)
    finally:
        dist.destroy_process_group()


def _wait_for_main(processes: Processes) -> None:
    """Wait until the main process has evaluated.

    torchrun ends the processes of a machine five minutes after those of another machine are gone.
    """
    try:
        store, attempt = _torchrun_store()
        if processes.is_main:
            store.set(f"hcat/done/{attempt}", "1")
        else:
            store.wait([f"hcat/done/{attempt}"], EVALUATION_TIMEOUT)
    except (KeyError, RuntimeError):  # no such store: nobody to wait for
        return


def _torchrun_store() -> tuple[TCPStore, str]:
    """torchrun's key-value store, which outlives each process, and the number of this start."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=5))
    return store, os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def reports_error() -> bool:
    """Whether this process prints an error that others may have met too: the first that calls this does."""
    try:
        store, attempt = _torchrun_store()
        return store.add(f"hcat/error-printed/{attempt}", 1) == 1
    except (KeyError, RuntimeError):  # no such store: whoever started these processes is gone
        return launch.rank() == 0


@contextmanager
def _peer_errors() -> Iterator[None]:
    """Turn any error of a collective call into a ``TrainingError``."""
    try:
        yield
    except RuntimeError as error:
        raise _peer_error(error) from error


def _peer_error(error: RuntimeError) -> TrainingError:
    reason = str(error).splitlines()[-1]
    return TrainingError(
        f"another process of this training has ended or does not answer ({reason}). "
        "Start it anew, or go on from the last epoch with hcat run --resume."
    )
