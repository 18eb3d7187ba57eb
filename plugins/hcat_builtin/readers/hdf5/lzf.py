"""LZF, the compression that h5py brings with it, undone so that the length of the result is known."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

import h5py
import numpy as np


def lzf_unpacked(data: bytes | np.ndarray, most: int) -> np.ndarray:
    """(R,) bytes that LZF packed.

    Args:
        data: the packed bytes.
        most: the greatest number of bytes that they may unpack to.

    Raises:
        ValueError: for damaged data, or data that unpacks to more.
    """
    unpack = _function_of_h5py()
    if unpack is None:
        return np.frombuffer(_in_python(bytes(data), most), np.uint8)
    target = np.empty(most, np.uint8)
    length = unpack(bytes(data), len(data), target.ctypes.data, most)
    if length == 0:
        raise ValueError(f"no LZF, or more than {most:,} bytes")
    return target[:length]


@cache
def _function_of_h5py() -> Any:
    """``lzf_decompress`` of the library that h5py's LZF filter lies in; None where that is not shown."""
    try:
        function = ctypes.CDLL(h5py.h5z.__file__).lzf_decompress
    except (OSError, AttributeError):
        return None
    function.restype = ctypes.c_uint
    function.argtypes = [ctypes.c_char_p, ctypes.c_uint, ctypes.c_void_p, ctypes.c_uint]
    return function


def _in_python(data: bytes, most: int) -> bytes:
    """``lzf_unpacked`` where h5py does not show its own function; far slower."""
    result = bytearray()
    at = 0
    while at < len(data):
        control = data[at]
        if control < 32:
            result += data[at + 1 : at + control + 2]
            at += control + 2
            if at > len(data):
                raise ValueError("it breaks off")
        else:
            length, at = control >> 5, at + 1
            if length == 7:
                length, at = length + data[at], at + 1
            start = len(result) - ((control & 31) << 8) - data[at] - 1
            at += 1
            if start < 0:
                raise ValueError("it refers to bytes before its start")
            for place in range(start, start + length + 2):
                result.append(result[place])
        if len(result) > most:
            raise ValueError(f"it unpacks to more than {most:,} bytes")
    return bytes(result)
