"""Chunks packed by szip, n-bit or scale-offset: HDF5 fills one that breaks off with other memory.

How many bytes such a chunk needs is known only after it is unpacked. But its bits are read one after
another, and other bits are other values: a whole chunk unpacks to the same values whatever follows it, and
one that breaks off does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import h5py
import numpy as np
from h5py import h5d, h5s, h5z

BIT_FILTERS = {h5z.FILTER_SZIP: "szip", h5z.FILTER_NBIT: "n-bit", h5z.FILTER_SCALEOFFSET: "scale-offset"}
FOLLOWING = (0xFF, 0x55)
"""Bits that follow a chunk, as a byte that is repeated: 1111... and 0101... In neither does szip find a
wrong code, or one that is over a quarter longer than its value, if they follow the last value at once."""


@dataclass(frozen=True)
class MemoryChunks:
    """Datasets in memory of the shape of one chunk, of the type and with filters of ``dataset``."""

    dataset: h5py.Dataset
    file: h5py.File
    made: dict[int, h5py.Dataset] = field(default_factory=dict)

    def without(self, mask: int) -> h5py.Dataset:
        """One without the filters that ``mask`` has a bit for."""
        if mask not in self.made:
            creation = self.dataset.id.get_create_plist()
            codes = [creation.get_filter(place)[0] for place in range(creation.get_nfilters())]
            for place, code in enumerate(codes):
                if mask >> place & 1:
                    creation.remove_filter(code)
            kind, space = self.dataset.id.get_type().copy(), h5s.create_simple(self.dataset.chunks)
            name = str(mask).encode()
            self.made[mask] = h5py.Dataset(h5d.create(self.file.id, name, kind, space, creation))
        return self.made[mask]


@contextmanager
def memory_chunks(dataset: h5py.Dataset) -> Iterator[MemoryChunks]:
    """Datasets in memory that unpack chunks of ``dataset``."""
    with h5py.File("chunk", "w", driver="core", backing_store=False) as file:
        yield MemoryChunks(dataset, file)


def is_whole(data: bytes, memory: h5py.Dataset, cells: tuple[slice, ...], values: np.ndarray) -> bool:
    """Whether a packed chunk unpacks to ``values`` in ``cells``, whatever follows it.

    The last bits of a chunk of szip may be zeros that no value needs. With what follows they can make a
    wrong code, so what follows is also put in their place, in that of one bit more at a time.
    """
    unpacked = memory.dtype.itemsize * memory.size
    rest = max(0, unpacked + unpacked // 4 - len(data)) + 64
    for spare in range(8):
        if not data or data[-1] % (1 << spare):
            return False
        if all(
            _unpacks_to(values, memory, cells, _followed(data, spare, byte, rest)) for byte in FOLLOWING
        ):
            return True
    return False


def _followed(data: bytes, spare: int, byte: int, rest: int) -> bytes:
    """``data`` with the first bits of ``byte`` for its last ``spare`` bits, and ``rest`` times the byte."""
    return data[:-1] + bytes([data[-1] | byte >> 8 - spare]) + bytes([byte]) * rest


def _unpacks_to(values: np.ndarray, memory: h5py.Dataset, cells: tuple[slice, ...], data: bytes) -> bool:
    try:
        memory.id.write_direct_chunk((0,) * memory.ndim, data)
        return bool(memory[cells].tobytes() == values.tobytes())
    except (OSError, RuntimeError):
        return False
