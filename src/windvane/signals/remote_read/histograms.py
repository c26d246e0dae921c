"""Native histograms as protobuf: remote read's Histogram, and that of the exposition format.

Both list buckets as spans (gap, length) with differences of whole counts, or with counts that are
floats; only the field numbers differ (prompb/types.proto, io/prometheus/client/metrics.proto).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

_EXACT = 2.0**53
STALE_BITS = 0x7FF0000000000002


class Histogram(Protocol):
    """A native histogram: buckets by index, ascending, with absolute counts."""

    @property
    def schema(self) -> int: ...
    @property
    def hint(self) -> int: ...
    @property
    def zero_threshold(self) -> float: ...
    @property
    def zero_count(self) -> float: ...
    @property
    def count(self) -> float: ...
    @property
    def sum(self) -> float: ...
    @property
    def positive_index(self) -> NDArray[np.int32]: ...
    @property
    def positive_count(self) -> NDArray[np.float64]: ...
    @property
    def negative_index(self) -> NDArray[np.int32]: ...
    @property
    def negative_count(self) -> NDArray[np.float64]: ...
    @property
    def custom_bounds(self) -> NDArray[np.float64]: ...


@dataclass(frozen=True, slots=True)
class _Numbers:
    """Field numbers; those of counts are (whole, float)."""

    count: tuple[int, int]
    sum: int
    schema: int
    threshold: int
    zero: tuple[int, int]
    negative: tuple[int, int, int]
    positive: tuple[int, int, int]
    bounds: int


_READ = _Numbers((1, 2), 3, 4, 5, (6, 7), (8, 9, 10), (11, 12, 13), 16)
_EXPOSED = _Numbers((1, 4), 2, 5, 6, (7, 8), (9, 10, 11), (12, 13, 14), 0)


def read_histogram(one: Histogram | None, time_ms: int) -> bytes:
    """A prompb.Histogram; None is a staleness marker."""
    if one is None:
        return b"\x08\x00\x19" + struct.pack("<Q", STALE_BITS) + b"\x78" + varint(time_ms)
    return _message(one, _READ) + b"\x70" + varint(one.hint) + b"\x78" + varint(time_ms)


def exposed_histogram(one: Histogram) -> bytes:
    """An io.prometheus.client.Histogram."""
    return _message(one, _EXPOSED)


def _message(one: Histogram, numbers: _Numbers) -> bytes:
    whole = whole_counts(one)
    parts = [
        _count(numbers.count, one.count, whole),
        _double(numbers.sum, one.sum),
        _key(numbers.schema, 0) + varint(_zigzag(one.schema)),
        _double(numbers.threshold, one.zero_threshold),
        _count(numbers.zero, one.zero_count, whole),
        _side(numbers.negative, one.negative_index, one.negative_count, whole),
        _side(numbers.positive, one.positive_index, one.positive_count, whole),
    ]
    if numbers.bounds and len(one.custom_bounds):
        parts.append(block(numbers.bounds, one.custom_bounds.astype("<f8").tobytes()))
    return b"".join(parts)


def whole_counts(one: Histogram) -> bool:
    """Whether all counts are whole numbers that a double holds exactly."""
    counts = np.concatenate([[one.count, one.zero_count], one.positive_count, one.negative_count])
    return bool(((counts >= 0) & (counts < _EXACT) & (counts == np.floor(counts))).all())


def spans_of(index: NDArray[np.int32]) -> list[tuple[int, int]]:
    """Runs of neighbouring buckets: the gap before each (for the first its index), and its length."""
    if not len(index):
        return []
    starts = np.concatenate([[0], np.flatnonzero(np.diff(index) != 1) + 1])
    ends = np.append(starts[1:], len(index))
    before = np.concatenate([[0], index[ends[:-1] - 1] + 1])
    return list(zip((index[starts] - before).tolist(), (ends - starts).tolist(), strict=True))


def _side(numbers: tuple[int, int, int], index: NDArray[np.int32], count: NDArray[np.float64], whole: bool) -> bytes:
    if not len(index):
        return b""
    spans, deltas, floats = numbers
    parts = [block(spans, b"\x08" + varint(_zigzag(gap)) + b"\x10" + varint(n)) for gap, n in spans_of(index)]
    if whole:
        steps = np.diff(count.astype(np.int64), prepend=0).tolist()
        return b"".join(parts) + _repeated(deltas, steps, lambda step: varint(_zigzag(step)))
    return b"".join(parts) + block(floats, count.astype("<f8").tobytes())


def _repeated(number: int, values: Iterable[int], write: Callable[[int], bytes]) -> bytes:
    return block(number, b"".join(map(write, values)))


def _count(numbers: tuple[int, int], count: float, whole: bool) -> bytes:
    return _key(numbers[0], 0) + varint(int(count)) if whole else _double(numbers[1], count)


def _double(number: int, value: float) -> bytes:
    return _key(number, 1) + struct.pack("<d", value)


def _zigzag(value: int) -> int:
    return value * 2 if value >= 0 else -value * 2 - 1


def _key(number: int, wire: int) -> bytes:
    return varint(number << 3 | wire)


def block(number: int, data: Any) -> bytes:
    """A field of bytes."""
    return b"%s%s%s" % (_key(number, 2), varint(len(data)), data)


def varint(value: int) -> bytes:
    """An int64 as protobuf writes it."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value >= 128:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)
