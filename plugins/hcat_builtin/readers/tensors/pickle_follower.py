"""The pickle in a tensor file, followed before torch unpickles it: nothing it names is imported or called.

``torch.load(weights_only=True)`` builds more than tensors: ``bytearray(N)``, sets, copies of dictionaries,
each of any size for a few bytes. Here the pickle's instructions are followed as far as tensors, and lists
and dictionaries of them and of plain values, need it. What takes memory is as long as what is written down.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable
from dataclasses import dataclass, field

import torch

MOST_DIMENSIONS = 8


class ForeignError(Exception):
    """The pickle needs something that no tensor needs; the text is its name."""


@dataclass(frozen=True)
class Storage:
    """Bytes of tensors, as told: the type of their numbers."""

    dtype: torch.dtype


@dataclass(frozen=True)
class StoredTensor:
    """A tensor as told, none of its bytes read."""

    dtype: torch.dtype
    size: tuple[int, ...]

    @property
    def bytes(self) -> int:
        """What it takes when it is written out."""
        return math.prod(self.size) * self.dtype.itemsize


def followed(pickled: bytes) -> object:
    """What was saved, with ``StoredTensor`` in the place of tensors.

    Raises:
        ForeignError: for what is neither a tensor nor a plain value, list or dictionary.
        ValueError, TypeError, LookupError: for instructions that make no sense.
    """
    machine = _Machine()
    for instruction, argument, _ in pickletools.genops(pickled):
        step = _STEPS.get(instruction.name)
        if step is None:
            raise ForeignError(f"an instruction {instruction.name}")
        step(machine, argument)
    return machine.stack.pop()


@dataclass
class _Machine:
    stack: list[object] = field(default_factory=list)
    marks: list[int] = field(default_factory=list)
    memo: dict[object, object] = field(default_factory=dict)

    def taken(self, count: int) -> list[object]:
        """The last values of the stack, taken off it."""
        if count > len(self.stack):
            raise ValueError("the stack is too short")
        values = self.stack[len(self.stack) - count :]
        del self.stack[len(self.stack) - count :]
        return values

    def since_mark(self) -> list[object]:
        """The values since the last mark, taken off the stack."""
        return self.taken(len(self.stack) - self.marks.pop())


def _push(machine: _Machine, value: object) -> None:
    machine.stack.append(value)


def _named(machine: _Machine, name: object) -> None:
    if name not in _NAMES:
        raise ForeignError(str(name).replace(" ", "."))
    machine.stack.append(_NAMES[str(name)])


def _called(machine: _Machine, _: object) -> None:
    function, arguments = machine.taken(2)
    if not callable(function) or not isinstance(arguments, tuple):
        raise TypeError("a call of what cannot be called")
    machine.stack.append(function(*arguments))


def _appended(machine: _Machine, values: list[object]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, list):
        raise TypeError("values for what is no list")
    target.extend(values)


def _set(machine: _Machine, pairs: list[object]) -> None:
    target = machine.stack[-1]
    if not isinstance(target, dict):
        raise TypeError("entries for what is no dictionary")
    for key, value in zip(pairs[::2], pairs[1::2], strict=True):
        if not isinstance(key, str | int | float):  # to hash a tuple may take any time
            raise TypeError("a key that is neither text nor a number")
        target[key] = value


def _storage(machine: _Machine, _: object) -> None:
    (told,) = machine.taken(1)
    if not isinstance(told, tuple) or len(told) != 5:
        raise TypeError("no storage")
    kind, dtype, part, _, numbers = told
    if kind != "storage" or not isinstance(dtype, _StorageType) or not isinstance(part, str):
        raise TypeError("no storage")
    _count(numbers)
    machine.stack.append(Storage(dtype.dtype))


@dataclass(frozen=True)
class _StorageType:
    dtype: torch.dtype


def _tensor(storage: object, _offset: object, size: object, *_: object) -> StoredTensor:
    """``torch._utils._rebuild_tensor_v2``; torch itself looks at what is not named here."""
    if not isinstance(storage, Storage):
        raise TypeError("a tensor without a storage")
    return StoredTensor(storage.dtype, _counts(size))


def _tensor_of_new_type(storage: object, _offset: object, size: object, *others: object) -> StoredTensor:
    """``torch._utils._rebuild_tensor_v3``, whose storage has no type."""
    _stride, _grad, _hooks, dtype, *_ = others
    if not isinstance(storage, Storage) or not isinstance(dtype, torch.dtype):
        raise TypeError("a tensor without a storage")
    return StoredTensor(dtype, _counts(size))


def _parameter(data: object, _grad: object, _hooks: object) -> object:
    """``torch._utils._rebuild_parameter``."""
    return data


def _dictionary() -> dict[object, object]:
    return {}


def _size(counts: object) -> tuple[int, ...]:
    return _counts(counts)


def _count(value: object) -> int:
    if not isinstance(value, int) or value < 0:
        raise TypeError("no count")
    return value


def _counts(value: object) -> tuple[int, ...]:
    if not isinstance(value, tuple) or len(value) > MOST_DIMENSIONS:
        raise TypeError("no size")
    return tuple(map(_count, value))


_STORAGES = {
    "BFloat16": torch.bfloat16,
    "Bool": torch.bool,
    "Byte": torch.uint8,
    "Char": torch.int8,
    "ComplexDouble": torch.complex128,
    "ComplexFloat": torch.complex64,
    "Double": torch.float64,
    "Float": torch.float32,
    "Half": torch.float16,
    "Int": torch.int32,
    "Long": torch.int64,
    "Short": torch.int16,
}
_DTYPES = (*_STORAGES.values(), torch.uint16, torch.uint32, torch.uint64)
_NAMES: dict[object, object] = {
    "torch._utils _rebuild_tensor_v2": _tensor,
    "torch._utils _rebuild_tensor_v3": _tensor_of_new_type,
    "torch._utils _rebuild_parameter": _parameter,
    "torch Size": _size,
    "collections OrderedDict": _dictionary,
    "torch.storage UntypedStorage": _StorageType(torch.uint8),
    **{f"torch {name}Storage": _StorageType(dtype) for name, dtype in _STORAGES.items()},
    **{str(dtype).replace(".", " "): dtype for dtype in _DTYPES},
}
_Step = Callable[[_Machine, object], None]
_STEPS: dict[str, _Step] = {
    **dict.fromkeys(("BININT", "BININT1", "BININT2", "BINFLOAT", "BINUNICODE", "LONG1"), _push),
    **dict.fromkeys(("PROTO", "STOP"), lambda machine, argument: None),
    "NONE": lambda machine, _: machine.stack.append(None),
    "NEWTRUE": lambda machine, _: machine.stack.append(True),
    "NEWFALSE": lambda machine, _: machine.stack.append(False),
    "EMPTY_DICT": lambda machine, _: machine.stack.append({}),
    "EMPTY_LIST": lambda machine, _: machine.stack.append([]),
    "EMPTY_TUPLE": lambda machine, _: machine.stack.append(()),
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "TUPLE": lambda machine, _: machine.stack.append(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine.stack.append(tuple(machine.taken(1))),
    "TUPLE2": lambda machine, _: machine.stack.append(tuple(machine.taken(2))),
    "TUPLE3": lambda machine, _: machine.stack.append(tuple(machine.taken(3))),
    "APPEND": lambda machine, _: _appended(machine, machine.taken(1)),
    "APPENDS": lambda machine, _: _appended(machine, machine.since_mark()),
    "SETITEM": lambda machine, _: _set(machine, machine.taken(2)),
    "SETITEMS": lambda machine, _: _set(machine, machine.since_mark()),
    **dict.fromkeys(
        ("BINPUT", "LONG_BINPUT"),
        lambda machine, place: machine.memo.__setitem__(place, machine.stack[-1]),
    ),
    **dict.fromkeys(
        ("BINGET", "LONG_BINGET"),
        lambda machine, place: machine.stack.append(machine.memo[place]),
    ),
    "GLOBAL": _named,
    "REDUCE": _called,
    "BINPERSID": _storage,
}
