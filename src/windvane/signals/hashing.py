"""A 128-bit hash of label lists as they stand in a request.

Senders repeat the labels of a series in every request. What a receiver found out about them (are
they valid, which id have they) is looked up by this hash, so it must not collide by chance: two
lanes of 64 bits, started from secrets of this process.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

_A = np.uint64(0x9E3779B97F4A7C15)
_B = np.uint64(0xC2B2AE3D27D4EB4F)
_C = np.uint64(0xD6E8FEB86659FD93)
_ONE = np.uint64(1)
_8, _29, _31, _32 = np.uint64(8), np.uint64(29), np.uint64(31), np.uint64(32)

Keys = NDArray[np.uint64]

SEED: Keys = np.array([secrets.randbits(64), secrets.randbits(64)], np.uint64)
"""What hashes start from: other in every process."""


@njit(nogil=True)
def word(data: Any, at: int) -> Any:
    """Eight bytes as a little-endian number (one load, once compiled)."""
    place = np.uint64(at)
    value = np.uint64(data[place])
    for i in range(1, 8):
        value |= np.uint64(data[place + np.uint64(i)]) << np.uint64(8 * i)
    return value


@njit(nogil=True)
def step(a: Any, b: Any, value: Any, other: Any) -> Any:
    """Both lanes after taking in a pair of numbers."""
    a = (a ^ value) * _A
    b = (b + other) * _B
    return a ^ (a >> _29) ^ (b << _31), b ^ (b >> _32)


@njit(nogil=True)
def string_hash(data: Any, start: int, end: int, seed: Any) -> Any:
    """Both lanes of the hash of bytes `start` to `end`."""
    a, b = seed[0] ^ np.uint64(end - start), seed[1]
    position = start
    while position + 8 <= end:
        value = word(data, position)
        a, b = step(a, b, value, value)
        position += 8
    rest, shift = _ONE, np.uint64(0)
    for i in range(position, end):
        rest |= (np.uint64(data[np.uint64(i)]) + _ONE) << shift
        shift += _8
    a, b = step(a, b, rest, rest * _C)
    return step(a, b, b, a)
