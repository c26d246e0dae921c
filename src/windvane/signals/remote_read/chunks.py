"""Chunks of floats: Gorilla's XOR encoding as Prometheus stores it (tsdb/chunkenc), and its checksum.

A chunk is its number of samples (two bytes), the first sample as it is, then for every sample the
change of the time's difference and the value's bits against the one before. Bits are filled from the
top of each byte.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
Integers = NDArray[np.int64]
Floats = NDArray[np.float64]

SAMPLES = 120
"""Samples that a chunk has at most, as in Prometheus."""
_MOST_HEAD, _MOST_SAMPLE = 32, 20
_kernel = numba.njit(nogil=True, cache=True, error_model="numpy")
_inlined = numba.njit(nogil=True, error_model="numpy")


def encode(times: Integers, values: Floats) -> list[tuple[int, int, memoryview]]:
    """One series' samples (ms, ascending) as chunks: first and last time, and the bytes."""
    starts = np.append(np.arange(0, len(times), SAMPLES), len(times))
    out = np.zeros(len(times) * _MOST_SAMPLE + (len(starts) - 1) * _MOST_HEAD, np.uint8)
    ends = np.zeros(len(starts), np.int64)
    write_chunks(times, values.view(np.uint64), starts, out, ends)
    text, bounds = memoryview(out.data), ends.tolist()
    return [
        (int(times[first]), int(times[last - 1]), text[bounds[place] : bounds[place + 1]])
        for place, (first, last) in enumerate(zip(starts[:-1].tolist(), starts[1:].tolist(), strict=True))
    ]


@_kernel
def write_chunks(times: Integers, bits: NDArray[np.uint64], starts: Integers, out: Bytes, ends: Integers) -> None:
    """Write chunk i of samples starts[i] to starts[i + 1] into `out` (zeros) from ends[i] to ends[i + 1]."""
    place = 0
    for chunk in range(len(starts) - 1):
        first, last = starts[chunk], starts[chunk + 1]
        out[place] = (last - first) >> 8
        out[place + 1] = (last - first) & 255
        place = _write_varint(_zigzag(times[first]), out, place + 2)
        at = write_bits(bits[first], 64, out, place * 8)
        delta, leading, trailing = 0, -1, 0
        for j in range(first + 1, last):
            step = times[j] - times[j - 1]
            if j == first + 1:
                at = _write_varint_bits(np.uint64(step), out, at)
            else:
                at = _write_change(step - delta, out, at)
            delta = step
            at, leading, trailing = write_value(bits[j] ^ bits[j - 1], leading, trailing, out, at)
        place = (at + 7) // 8
        ends[chunk + 1] = place


@_inlined
def _zigzag(value: int) -> Any:
    return np.uint64((value << 1) ^ (value >> 63))


@_inlined
def _write_varint(value: Any, out: Bytes, place: int) -> int:
    rest = np.uint64(value)
    while rest >= np.uint64(128):
        out[place] = np.uint8(rest & np.uint64(127)) | np.uint8(128)
        rest >>= np.uint64(7)
        place += 1
    out[place] = np.uint8(rest)
    return place + 1


@_inlined
def _write_varint_bits(value: Any, out: Bytes, at: int) -> int:
    rest = np.uint64(value)
    while rest >= np.uint64(128):
        at = write_bits((rest & np.uint64(127)) | np.uint64(128), 8, out, at)
        rest >>= np.uint64(7)
    return write_bits(rest, 8, out, at)


@_inlined
def write_bits(value: Any, count: int, out: Bytes, at: int) -> int:
    """The lowest `count` bits of a value, highest first, at a bit position of `out`."""
    left = count
    while left > 0:
        room = 8 - at % 8
        take = min(room, left)
        piece = (np.uint64(value) >> np.uint64(left - take)) & np.uint64((1 << take) - 1)
        out[at // 8] |= np.uint8(piece << np.uint64(room - take))
        at += take
        left -= take
    return at


@_inlined
def _write_change(change: int, out: Bytes, at: int) -> int:
    """How much the difference between times changed: a prefix says in how many bits it fits."""
    if change == 0:
        return write_bits(0, 1, out, at)
    if -8191 <= change <= 8192:
        return write_bits(np.uint64(change), 14, out, write_bits(0b10, 2, out, at))
    if -65535 <= change <= 65536:
        return write_bits(np.uint64(change), 17, out, write_bits(0b110, 3, out, at))
    if -524287 <= change <= 524288:
        return write_bits(np.uint64(change), 20, out, write_bits(0b1110, 4, out, at))
    return write_bits(np.uint64(change), 64, out, write_bits(0b1111, 4, out, at))


@_inlined
def write_value(xor: Any, leading: int, trailing: int, out: Bytes, at: int) -> tuple[int, int, int]:
    """The bits that differ from the value before, in the frame of the last ones where they fit in it."""
    if xor == np.uint64(0):
        return write_bits(0, 1, out, at), leading, trailing
    at = write_bits(1, 1, out, at)
    zeros = 0
    while not (xor >> np.uint64(63 - zeros)) & np.uint64(1):
        zeros += 1
    zeros = min(zeros, 31)  # five bits tell it
    low = 0
    while not (xor >> np.uint64(low)) & np.uint64(1):
        low += 1
    if leading >= 0 and zeros >= leading and low >= trailing:
        at = write_bits(0, 1, out, at)
        return write_bits(xor >> np.uint64(trailing), 64 - leading - trailing, out, at), leading, trailing
    width = 64 - zeros - low
    at = write_bits(1, 1, out, at)
    at = write_bits(zeros, 5, out, at)
    at = write_bits(width & 63, 6, out, at)  # 64 does not fit and is written as 0
    return write_bits(xor >> np.uint64(low), width, out, at), zeros, low


def _table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(0x82F63B78), table >> 1).astype(np.uint32)
    return table


_CRC = _table()


def crc32c(data: bytes) -> int:
    """Castagnoli's checksum (RFC 3720)."""
    return int(_crc32c(np.frombuffer(data, np.uint8), _CRC))


@_kernel
def _crc32c(data: Bytes, table: NDArray[np.uint32]) -> Any:
    crc = np.uint32(0xFFFFFFFF)
    for byte in data:
        crc = table[(crc ^ byte) & np.uint32(255)] ^ (crc >> np.uint32(8))
    return crc ^ np.uint32(0xFFFFFFFF)
