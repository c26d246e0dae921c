"""Chunks of native histograms as Prometheus stores them (tsdb/docs/format/chunks.md): whole counts, or floats.

A chunk has one layout of buckets, that of all its histograms together. Readers take every histogram of a
chunk but the first for one after which the counter went on, so a chunk ends where any count falls.
"""

# Kernels take flat arrays by position.

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from windvane.signals.remote_read.chunks import (
    SAMPLES,
    Bytes,
    Floats,
    Integers,
    write_bits,
    write_value,
)
from windvane.signals.remote_read.histograms import STALE_BITS, Histogram, spans_of, whole_counts

HISTOGRAM, FLOAT_HISTOGRAM = 2, 3
"""Chunk encodings, as the response numbers them."""
CUSTOM = -53
_GAUGE, _HINT_RESET = 3, 1
_RESET_FLAG, _GAUGE_FLAG = 0x80, 0xC0
_MOST_WHOLE_BOUND = 33_554_430
_MOST_NUMBER = 10
_kernel = numba.njit(nogil=True, cache=True, error_model="numpy")
_inlined = numba.njit(nogil=True, error_model="numpy")
Chunk = tuple[int, int, int, bytes]
"""Encoding, first and last time (ms), data."""


def histogram_chunks(samples: Sequence[tuple[int, Histogram | None]]) -> Iterator[Chunk]:
    """One series' histograms (None: a staleness marker) with their times, ascending, as chunks."""
    run: list[tuple[int, Histogram]] = []
    for time, one in samples:
        if one is None or (run and (len(run) == SAMPLES or _kind(run[0][1]) != _kind(one))):
            yield from _run_chunks(run)
            run = []
        if one is None:
            yield HISTOGRAM, time, time, _stale(time)
        else:
            run.append((time, one))
    yield from _run_chunks(run)


def _kind(one: Histogram) -> tuple[object, ...]:
    """What all histograms of a chunk have in common."""
    gauge, whole = one.hint == _GAUGE, whole_counts(one)
    return one.schema, one.zero_threshold, gauge, whole, one.custom_bounds.tobytes()


def _run_chunks(run: list[tuple[int, Histogram]]) -> Iterator[Chunk]:
    """The chunks of histograms of one kind: one, but for a counter that was reset."""
    if not run:
        return
    table = _Table.of([one for _, one in run])
    starts = [0]
    if run[0][1].hint != _GAUGE:
        fell = (np.diff(np.delete(table.counts, 2, axis=1), axis=0) < 0).any(axis=1)
        told = np.array([one.hint == _HINT_RESET for _, one in run[1:]], np.bool_)
        starts += (np.flatnonzero(fell | told) + 1).tolist()
    times = np.array([time for time, _ in run], np.int64)
    for place, (first, last) in enumerate(zip(starts, [*starts[1:], len(run)], strict=True)):
        one = run[first][1]
        reset = place > 0 or one.hint == _HINT_RESET
        flag = _GAUGE_FLAG if one.hint == _GAUGE else _RESET_FLAG if reset else 0
        whole = whole_counts(one)
        data = table.written(one, times[first:last], slice(first, last), flag, whole)
        yield HISTOGRAM if whole else FLOAT_HISTOGRAM, int(times[first]), int(times[last - 1]), data


@dataclass(frozen=True, slots=True)
class _Table:
    """Histograms as rows over the union of their buckets: count, zero count, sum, positive and negative buckets."""

    positive: NDArray[np.int32]
    negative: NDArray[np.int32]
    counts: Floats

    @classmethod
    def of(cls, histograms: Sequence[Histogram]) -> _Table:
        sides = [
            ([one.positive_index for one in histograms], [one.positive_count for one in histograms]),
            ([one.negative_index for one in histograms], [one.negative_count for one in histograms]),
        ]
        unions = [np.unique(np.concatenate(indices)).astype(np.int32) for indices, _ in sides]
        own = np.array([(one.count, one.zero_count, one.sum) for one in histograms], np.float64)
        parts = [own]
        for (indices, counts), union in zip(sides, unions, strict=True):
            part = np.zeros((len(histograms), len(union)))
            for row, (index, count) in enumerate(zip(indices, counts, strict=True)):
                part[row, np.searchsorted(union, index)] = count
            parts.append(part)
        return cls(unions[0], unions[1], np.concatenate(parts, axis=1))

    def written(self, one: Histogram, times: Integers, rows: slice, flag: int, whole: bool) -> bytes:
        """Some of the rows as a chunk with the layout of `one`, which is among them."""
        counts = np.ascontiguousarray(self.counts[rows])
        room = 64 + 9 * len(one.custom_bounds) + 20 * (len(self.positive) + len(self.negative) + 1)
        out = np.zeros(room + counts.size * _MOST_NUMBER + len(times) * _MOST_NUMBER, np.uint8)
        out[0], out[1], out[2] = len(times) >> 8, len(times) & 255, flag
        at = _layout(one, self.positive, self.negative, out)
        sums = counts[:, 2].view(np.uint64) if counts.shape[1] == 3 else counts[:, 2].copy().view(np.uint64)
        if whole:
            numbers = np.delete(counts, 2, axis=1).astype(np.int64)
            split = 2 + len(self.positive)  # every bucket as the difference to its neighbour
            numbers[:, 3:split] = np.diff(numbers[:, 2:split], axis=1)
            numbers[:, split + 1 :] = np.diff(numbers[:, split:], axis=1)
            at = write_whole(times, numbers, sums.copy(), out, at)
        else:
            bits = np.delete(counts, 2, axis=1).view(np.uint64)
            at = write_floats(times, np.ascontiguousarray(bits), sums.copy(), out, at)
        return out[: (at + 7) // 8].tobytes()


def _stale(time: int) -> bytes:
    """A chunk with nothing but the end of its series."""
    out = np.zeros(64, np.uint8)
    out[1] = 1
    none = np.zeros(0, np.int32)
    at = _spans(none, out, _spans(none, out, write_signed(0, out, 32)))
    at = write_whole(np.array([time], np.int64), np.zeros((1, 2), np.int64), np.array([STALE_BITS], np.uint64), out, at)
    return out[: (at + 7) // 8].tobytes()


# The layout


def _layout(one: Histogram, positive: NDArray[np.int32], negative: NDArray[np.int32], out: Bytes) -> int:
    """Threshold, schema, spans and bounds, from the fourth byte; the bit after them."""
    at = _threshold(one.zero_threshold, out, 24)
    at = write_signed(one.schema, out, at)
    at = _spans(negative, out, _spans(positive, out, at))
    if one.schema != CUSTOM:
        return at
    at = write_unsigned(len(one.custom_bounds), out, at)
    for bound in one.custom_bounds.tolist():
        thousandths = bound * 1000
        if (
            0 <= thousandths <= _MOST_WHOLE_BOUND
            and thousandths == int(thousandths)
            and int(thousandths) / 1000 == bound
        ):
            at = write_unsigned(int(thousandths) + 1, out, at)
        else:
            at = write_plain(np.float64(bound).view(np.uint64), 64, out, write_plain(0, 1, out, at))
    return at


def _threshold(value: float, out: Bytes, at: int) -> int:
    """One byte for 0 and for powers of two from 2^-243 to 2^10, else nine."""
    fraction, exponent = np.frexp(value)
    if value == 0:
        return int(write_plain(0, 8, out, at))
    if fraction == 0.5 and -242 <= exponent <= 11:
        return int(write_plain(int(exponent) + 243, 8, out, at))
    return int(write_plain(np.float64(value).view(np.uint64), 64, out, write_plain(255, 8, out, at)))


def _spans(index: NDArray[np.int32], out: Bytes, at: int) -> int:
    spans = spans_of(index)
    at = write_unsigned(len(spans), out, at)
    for gap, length in spans:
        at = write_signed(gap, out, write_unsigned(length, out, at))
    return at


# Samples


@_kernel
def write_whole(times: Integers, numbers: Integers, sums: NDArray[np.uint64], out: Bytes, at: int) -> int:
    """Rows of whole numbers (count, zero count, buckets): how much their differences changed, by variable widths."""
    width = numbers.shape[1]
    deltas, step, leading, trailing = np.zeros(width, np.int64), 0, -1, 0
    for i in range(len(times)):
        if i == 0:
            at = write_signed(times[0], out, at)
            at = write_unsigned(np.uint64(numbers[0, 0]), out, at)
            at = write_unsigned(np.uint64(numbers[0, 1]), out, at)
            at = write_bits(sums[0], 64, out, at)
            for k in range(2, width):
                at = write_signed(numbers[0, k], out, at)
            continue
        now = times[i] - times[i - 1]
        at = write_signed(now - step, out, at)
        step = now
        for k in range(width):
            if k == 2:
                at, leading, trailing = write_value(sums[i] ^ sums[i - 1], leading, trailing, out, at)
            delta = numbers[i, k] - numbers[i - 1, k]
            at = write_signed(delta - deltas[k], out, at)
            deltas[k] = delta
        if width == 2:
            at, leading, trailing = write_value(sums[i] ^ sums[i - 1], leading, trailing, out, at)
    return at


@_kernel
def write_floats(times: Integers, bits: NDArray[np.uint64], sums: NDArray[np.uint64], out: Bytes, at: int) -> int:
    """Rows of floats (count, zero count, buckets): their bits, each against those of the row before."""
    width = bits.shape[1]
    frames, step = np.zeros((width + 1, 2), np.int64), 0
    frames[:, 0] = -1
    for i in range(len(times)):
        now = times[i] - times[i - 1] if i else times[0]
        at = write_signed(now - step if i else now, out, at)
        step = now if i else 0
        for k in range(width + 1):
            place = k if k < 2 else k - 1
            value = sums[i] if k == 2 else bits[i, place]
            if i == 0:
                at = write_bits(value, 64, out, at)
                continue
            before = sums[i - 1] if k == 2 else bits[i - 1, place]
            at, frames[k, 0], frames[k, 1] = write_value(value ^ before, frames[k, 0], frames[k, 1], out, at)
    return at


@_kernel
def write_signed(value: int, out: Bytes, at: int) -> int:
    """A number that is likely near 0: 1 bit for 0, a prefix that tells the width for others."""
    if value == 0:
        return write_bits(np.uint64(0), 1, out, at)
    for ones, width in ((1, 3), (2, 6), (3, 9), (4, 12), (5, 18), (6, 25), (7, 56)):
        half = np.int64(1) << (width - 1)
        if 1 - half <= value <= half:
            at = write_bits(np.uint64((1 << (ones + 1)) - 2), ones + 1, out, at)
            return write_bits(np.uint64(value), width, out, at)
    return write_bits(np.uint64(value), 64, out, write_bits(np.uint64(255), 8, out, at))


@_kernel
def write_unsigned(value: Any, out: Bytes, at: int) -> int:
    """The same for a number that is not negative."""
    number = np.uint64(value)
    if number == np.uint64(0):
        return write_bits(np.uint64(0), 1, out, at)
    for ones, width in ((1, 3), (2, 6), (3, 9), (4, 12), (5, 18), (6, 25), (7, 56)):
        if number >> np.uint64(width) == np.uint64(0):
            at = write_bits(np.uint64((1 << (ones + 1)) - 2), ones + 1, out, at)
            return write_bits(number, width, out, at)
    return write_bits(number, 64, out, write_bits(np.uint64(255), 8, out, at))


@_kernel
def write_plain(value: Any, width: int, out: Bytes, at: int) -> int:
    """The lowest bits of a number."""
    return write_bits(np.uint64(value), width, out, at)
