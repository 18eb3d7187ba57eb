"""Several processes of one training: who they are, and what they tell each other (ADR 0016).

torchrun starts them. Each holds the whole model and works on its share of every batch's rows; what the
losses look at is gathered from all, and gradients are added up.
"""

from __future__ import annotations

import math
import os
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import reduce
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.distributed import TCPStore  # type: ignore[attr-defined]

from hcat_core.cohort import Cohort, Share
from hcat_core.errors import TrainingError, UsageError
from hcat_core.interfaces import Average
from hcat_core.training import launch

T = TypeVar("T")
PATIENCE = timedelta(minutes=10)  # for one another, also while the first writes a checkpoint
LONGEST = timedelta(days=30)  # for the first, while it evaluates
LETTER = 1 << 22  # gradients' elements in one message: each costs about a millisecond before it goes


@dataclass(frozen=True)
class Workers:
    """This process, number ``rank`` of ``size``. One alone has nobody to tell, and does nothing here."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Does this process write, print and decide?"""
        return self.rank == 0

    def device(self, chosen: torch.device) -> torch.device:
        """This process's own GPU, where the training is on GPUs.

        Raises:
            UsageError: for one GPU by its number, or fewer GPUs than processes on this machine.
        """
        if self.size == 1 or chosen.type != "cuda":
            return chosen
        place, here = int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])
        if chosen.index is not None and here > 1:
            raise UsageError(f'training.device: {here} processes cannot share {chosen}: say "cuda".')
        if here > torch.cuda.device_count():
            raise UsageError(
                f"{socket.gethostname()} has {torch.cuda.device_count()} GPUs for {here} processes: "
                "start as many as there are GPUs."
            )
        torch.cuda.set_device(place)
        return torch.device("cuda", place)

    def wait(self) -> None:
        """Until every process is here."""
        if self.size > 1:
            with _listening():
                dist.barrier()

    def agree(self, parameters: Iterable[nn.Parameter]) -> None:
        """Everyone begins with the first's weights, to the bit."""
        if self.size > 1:
            with _listening():
                for parameter in parameters:
                    dist.broadcast(parameter.detach(), 0)

    def told(self, value: T) -> T:
        """What the first says, whatever this one would have said: machines may round differently."""
        if self.size == 1:
            return value
        said = [value]
        with _listening():
            dist.broadcast_object_list(said, 0)
        return said[0]

    def rows(self, n: int) -> slice:
        """Which of n rows are this process's: all of them where there are fewer rows than processes."""
        if n < self.size:
            return slice(0, n)
        return slice(n * self.rank // self.size, n * (self.rank + 1) // self.size)

    def own(self, batch: Cohort) -> Cohort:
        """This process's rows, for which the same is drawn at random as if they were not alone."""
        if self.size == 1:
            return batch
        rows = self.rows(len(batch))
        return replace(batch[rows], share=Share(rows.start, batch.present))

    @contextmanager
    def own_randomness(self) -> Iterator[None]:
        """Draws within differ from process to process, as rows do; those after are common again."""
        if self.size == 1:
            yield
            return
        seed = torch.initial_seed()
        torch.manual_seed(seed + 2 + self.rank)
        yield
        torch.manual_seed(seed + 1)

    def gather(self, parts: Sequence[Tensor], n: int) -> list[Tensor]:
        """(n, ...) of everyone's rows, of each of ``parts``. Gradients go back to the own rows.

        All travel together and are apart for autograd: it skips what lies behind a part that no loss uses.
        """
        if self.size == 1 or n < self.size:
            return list(parts)
        dtype = reduce(torch.promote_types, (part.dtype for part in parts))
        flat = torch.cat([part.detach().reshape(len(part), -1).to(dtype) for part in parts], dim=1)
        shares = [replace(self, rank=rank).rows(n) for rank in range(self.size)]
        most = max(rows.stop - rows.start for rows in shares)
        found = self._everyones(nn.functional.pad(flat, (0, 0, 0, most - len(flat))))
        everyones = torch.cat(
            [part[: rows.stop - rows.start] for part, rows in zip(found, shares, strict=True)]
        )
        columns = everyones.split([math.prod(part.shape[1:]) for part in parts], dim=1)
        whole = [
            column.reshape(n, *part.shape[1:]).to(part.dtype)
            for column, part in zip(columns, parts, strict=True)
        ]
        own = shares[self.rank]
        return [
            torch.cat([column[: own.start], self._for_all(part), column[own.stop :]])
            if part.requires_grad
            else column
            for column, part in zip(whole, parts, strict=True)
        ]

    def add(self, averages: Mapping[str, Average], n: int) -> dict[str, Average]:
        """Averages over everyone's share of n rows."""
        if self.size == 1 or n < self.size or not averages:
            return dict(averages)
        totals = torch.stack([average.total for average in averages.values()])
        counts = torch.stack([average.count.to(totals.dtype) for average in averages.values()])
        total, count = torch.stack(self._everyones(torch.stack([totals, counts]))).sum(dim=0)
        return {name: Average(total[place], count[place]) for place, name in enumerate(averages)}

    def backward(self, total: Tensor, parameters: Iterable[nn.Parameter]) -> None:
        """Gradients of ``total``, which every process has computed, in every process.

        Behind ``gather`` each holds the whole gradient, before it that of its own rows: divided by ``size``
        there and multiplied there, both are right once they are added up.
        """
        if self.size == 1:
            total.backward()
            return
        (total / self.size).backward()
        own = [p for p in parameters if p.requires_grad]
        used = torch.tensor([p.grad is not None for p in own], dtype=torch.float32, device=total.device)
        with _listening():
            dist.all_reduce(used, dist.ReduceOp.MAX)
            for parameter, anywhere in zip(own, used.tolist(), strict=True):
                if anywhere and parameter.grad is None:
                    parameter.grad = torch.zeros_like(parameter)
            letters = list(_letters([p.grad for p in own if p.grad is not None]))
            texts = [torch.cat([gradient.flatten() for gradient in letter]) for letter in letters]
            sent = [dist.all_reduce(text, async_op=True) for text in texts]
            for letter, text, pending in zip(letters, texts, sent, strict=True):
                pending.wait()
                for gradient, summed in zip(letter, text.split([g.numel() for g in letter]), strict=True):
                    gradient.copy_(summed.view_as(gradient))

    def _everyones(self, own: Tensor) -> list[Tensor]:
        """The same tensor of every process, by rank; only the own one has a gradient, for all of them."""
        found = [torch.empty_like(own) for _ in range(self.size)]
        with _listening():
            dist.all_gather(found, own.detach().contiguous())
        if own.requires_grad:
            found[self.rank] = self._for_all(own)
        return found

    def _for_all(self, own: Tensor) -> Tensor:
        """``own``, whose gradient each process has divided by ``size``."""
        own = own.view_as(own)
        own.register_hook(lambda gradient: gradient * self.size)
        return own


ALONE = Workers()


@contextmanager
def joined() -> Iterator[Workers]:
    """The processes that torchrun started together with this one; alone without torchrun."""
    if launch.size() == 1:
        yield ALONE
        return
    backend = "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "cpu:gloo"
    with _listening():
        dist.init_process_group(backend, timeout=PATIENCE)
    workers = Workers(dist.get_rank(), dist.get_world_size())
    try:
        yield workers
        _end_together(workers)
    finally:
        dist.destroy_process_group()


def _end_together(workers: Workers) -> None:
    """Wait for the first process, which evaluates alone: torchrun ends a machine's processes five minutes
    after another machine's are gone.
    """
    try:
        store, attempt = _torchruns_store()
        if workers.first:
            store.set(f"hcat/done/{attempt}", "1")
        else:
            store.wait([f"hcat/done/{attempt}"], LONGEST)
    except (KeyError, RuntimeError):  # no such store: nobody to wait for
        return


def _torchruns_store() -> tuple[TCPStore, str]:
    """What torchrun's processes tell each other through, which outlives each; and which start this is."""
    host, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    store = TCPStore(host, port, is_master=False, timeout=timedelta(seconds=5))
    return store, os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def speaks_first() -> bool:
    """Is this the process to tell an error, which others may have met too? The first to ask is."""
    try:
        store, attempt = _torchruns_store()
        return store.add(f"hcat/spoken/{attempt}", 1) == 1
    except (KeyError, RuntimeError):  # no such store: whoever started these processes is gone
        return launch.rank() == 0


def _letters(gradients: Sequence[Tensor]) -> Iterator[list[Tensor]]:
    """In their order, as many to a letter as fill it."""
    letter: list[Tensor] = []
    for gradient in gradients:
        letter.append(gradient)
        if sum(g.numel() for g in letter) >= LETTER:
            yield letter
            letter = []
    if letter:
        yield letter


@contextmanager
def _listening() -> Iterator[None]:
    """A process that does not answer ends the training of all."""
    try:
        yield
    except RuntimeError as error:
        reason = str(error).splitlines()[-1]
        raise TrainingError(
            f"another process of this training has ended or does not answer ({reason}). "
            "Begin anew, or go on from the last epoch with hcat run --resume."
        ) from error
