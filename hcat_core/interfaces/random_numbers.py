"""Random numbers for draws of what is missing."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import torch
from torch import Generator, Tensor

GOLDEN = -7046029254386353131  # 2^64 / golden ratio, as a signed number
MULTIPLIERS = (-4658895280553007687, -7723592293110705685)  # of splitmix64


class CommonNumbers(Generator):
    """A generator for ``normal`` and ``categories``: each row of a batch gets the same numbers."""


class PatientNumbers(Generator):
    """A generator for ``normal`` and ``categories``: a patient's numbers do not depend on the others.

    They are a hash of the patient, the seed and the position in the patient's own stream (splitmix64;
    Steele et al. 2014): the same in any batch, whatever its size and order.

    Attributes:
        streams: (N,) int64, where the streams of a batch's patients start.
        used: numbers already taken from each stream.
        common: for numbers that are the same for all patients of the draw, in whichever batch.
    """

    streams: Tensor
    used: int
    common: Generator

    @classmethod
    def of(cls, patient_ids: Sequence[str], seed: int, draw: int) -> PatientNumbers:
        """The generator of a batch's patients, for one draw of many with a seed."""
        starts = [_stream(seed, draw, patient) for patient in patient_ids]
        generator = cls()
        generator.streams, generator.used = torch.tensor(starts, dtype=torch.int64), 0
        generator.common = Generator().manual_seed(_stream(seed, draw, ""))
        # For an imputer that takes numbers from the generator itself: others for each batch.
        generator.manual_seed(sum(starts) % 2**62)
        return generator

    def uniform(self, count: int) -> Tensor:
        """(N, count) float64 uniform numbers, between 0 and 1."""
        place = torch.arange(self.used + 1, self.used + 1 + count)
        self.used += count
        mixed = _splitmix(self.streams[:, None] + place * GOLDEN)
        return (_shifted(mixed, 11).double() + 0.5) * 2.0**-53


def normal(
    shape: tuple[int, ...], generator: Generator, *, rows: int, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Standard normal numbers of a shape, whose axis ``rows`` is that of patients."""
    if isinstance(generator, CommonNumbers):
        one = (*shape[:rows], 1, *shape[rows + 1 :])
        return torch.randn(one, generator=generator, device=device, dtype=dtype).expand(shape)
    if isinstance(generator, PatientNumbers):
        others = (*shape[:rows], *shape[rows + 1 :])
        numbers: Tensor = torch.special.ndtri(generator.uniform(torch.Size(others).numel()))
        return numbers.reshape(-1, *others).movedim(0, rows).to(device, dtype)
    return torch.randn(shape, generator=generator, device=device, dtype=dtype)


def categories(share: Tensor, generator: Generator) -> Tensor:
    """(N,) a category for each row of (N, K) probabilities."""
    if isinstance(generator, PatientNumbers):
        at = generator.uniform(1).to(share.device, share.dtype)
    else:
        rows = 1 if isinstance(generator, CommonNumbers) else len(share)
        at = torch.rand((rows, 1), generator=generator, device=share.device, dtype=share.dtype)
    cumulated = share.cumsum(dim=1)
    return (cumulated < at * cumulated[:, -1:]).sum(dim=1)


def shared_normal(
    shape: tuple[int, ...], generator: Generator, *, device: torch.device, dtype: torch.dtype
) -> Tensor:
    """Standard normal numbers that all patients of a draw share: those of an imputer's parameters."""
    if isinstance(generator, PatientNumbers):
        return torch.randn(shape, generator=generator.common, dtype=dtype).to(device)
    return torch.randn(shape, generator=generator, device=device, dtype=dtype)


def _stream(seed: int, draw: int, patient: str) -> int:
    """Where a patient's stream of numbers starts."""
    digest = hashlib.sha256(f"{seed}\0{draw}\0{patient}".encode()).digest()
    return int.from_bytes(digest[:8], "little", signed=True)


def _splitmix(state: Tensor) -> Tensor:
    """The output function of splitmix64, of int64 states."""
    state = (state ^ _shifted(state, 30)) * MULTIPLIERS[0]
    state = (state ^ _shifted(state, 27)) * MULTIPLIERS[1]
    return state ^ _shifted(state, 31)


def _shifted(bits: Tensor, places: int) -> Tensor:
    """Bits of int64 numbers shifted to the right, with zeros from the left."""
    return (bits >> places) & ((1 << (64 - places)) - 1)
