"""Chunks of native histograms, read back by a decoder written from the format's description."""

from __future__ import annotations

import itertools
import struct

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.signals.native_histograms import NativeHistogram
from windvane.signals.remote_read.histogram_chunks import histogram_chunks


class Bits:
    """Reads a chunk's bits, as the format's description has them."""

    def __init__(self, data: bytes) -> None:
        self.text = "".join(f"{byte:08b}" for byte in data)
        self.at = 0

    def take(self, count: int) -> int:
        piece = self.text[self.at : self.at + count]
        assert len(piece) == count
        self.at += count
        return int(piece, 2) if count else 0

    def width(self) -> int:
        """The width that a prefix of ones tells."""
        ones = 0
        while ones < 8 and self.take(1):
            ones += 1
        return (0, 3, 6, 9, 12, 18, 25, 56, 64)[ones]

    def unsigned(self) -> int:
        return self.take(self.width())

    def signed(self) -> int:
        width = self.width()
        number = self.take(width)
        if width == 64:
            return number - (1 << 64) if number >> 63 else number
        return number - (1 << width) if width and number > 1 << (width - 1) else number

    def double(self) -> float:
        return float(struct.unpack(">d", self.take(64).to_bytes(8, "big"))[0])


class Xored:
    """A value whose bits are told by how they differ from the last ones."""

    def __init__(self, bits: Bits) -> None:
        self.value, self.frame = bits.take(64), (0, 0)

    def read(self, bits: Bits) -> float:
        if bits.take(1):
            if bits.take(1):
                leading, width = bits.take(5), bits.take(6) or 64
                self.frame = leading, 64 - leading - width
            self.value ^= bits.take(64 - sum(self.frame)) << self.frame[1]
        return self.double()

    def double(self) -> float:
        return float(struct.unpack(">d", self.value.to_bytes(8, "big"))[0])


class Changing:
    """A whole number that is told by how much its difference to the last one changed."""

    def __init__(self, value: int) -> None:
        self.value, self.delta = value, 0

    def read(self, bits: Bits) -> float:
        self.delta += bits.signed()
        self.value += self.delta
        return float(self.value)

    def double(self) -> float:
        return float(self.value)


def decoded_chunk(kind: int, data: bytes) -> tuple[int, list[tuple[int, NativeHistogram]]]:
    """The flag byte and the samples of a histogram chunk."""
    bits = Bits(data)
    count, flag, threshold = bits.take(16), bits.take(8), bits.take(8)
    width = bits.double() if threshold == 255 else 2.0 ** (threshold - 244) if threshold else 0.0
    schema = bits.signed()
    positive, negative = indices(bits), indices(bits)
    bounds = []
    for _ in range(bits.unsigned() if schema == -53 else 0):
        thousandths = bits.unsigned()
        bounds.append((thousandths - 1) / 1000 if thousandths else bits.double())
    time = Changing(bits.signed())
    whole = kind == 2
    own = [Changing(bits.unsigned()) if whole else Xored(bits) for _ in range(2)] + [Xored(bits)]
    buckets = [Changing(bits.signed()) if whole else Xored(bits) for _ in (*positive, *negative)]
    found = []
    for row in range(count):
        if row:
            time.read(bits)
            for one in (*own, *buckets):
                one.read(bits)
        counts = np.array([one.double() for one in buckets])
        parts = counts[: len(positive)], counts[len(positive) :]
        parts = (np.cumsum(parts[0]), np.cumsum(parts[1])) if whole else parts
        total, zero, sum_ = (one.double() for one in own)
        found.append((time.value, NativeHistogram(
            schema, flag >> 6, not whole, width, zero, total, sum_, np.array(positive, np.int32), parts[0],
            np.array(negative, np.int32), parts[1], np.array(bounds))))  # fmt: skip
    assert len(bits.text) - bits.at < 8
    assert "1" not in bits.text[bits.at :]
    return flag, found


def indices(bits: Bits) -> list[int]:
    found: list[int] = []
    place = 0
    for _ in range(bits.unsigned()):
        length = bits.unsigned()
        place += bits.signed()
        found += range(place, place + length)
        place += length
    return found


BOUNDS = np.array([0.005, 1.5, 1e9 / 3])
BUCKETS = st.dictionaries(st.integers(-40, 40), st.integers(0, 2**40), max_size=6)


@st.composite
def sampled(draw: st.DrawFn) -> list[tuple[int, NativeHistogram | None]]:
    """A series of histograms that grows, begins anew, ends, changes its layout."""
    found: list[tuple[int, NativeHistogram | None]] = []
    time = draw(st.integers(-(10**12), 10**13))
    for _ in range(draw(st.integers(1, 8))):
        schema = draw(st.sampled_from([2, 2, 2, -4, -53]))
        threshold = draw(st.sampled_from([0.0, 1e-9, 2.0**-128]))
        gauge, scale = draw(st.sampled_from([0, 0, 3])), draw(st.sampled_from([1.0, 1.0, 0.37]))
        buckets = [sorted((abs(key) % 4 if schema == -53 else key, count) for key, count in draw(BUCKETS).items()),
                   sorted(draw(BUCKETS).items()) if schema != -53 else []]  # fmt: skip
        sides = [dict(some) for some in buckets]
        for step in range(draw(st.integers(1, 4))):
            time += draw(st.integers(1, 10**7))
            if draw(st.integers(0, 9)) == 0:
                found.append((time, None))
                continue
            arrays = [(np.array(list(some), np.int32), np.array(list(some.values()), np.float64) * (step + 1) * scale)
                      for some in sides]  # fmt: skip
            zero = 0.0 if schema == -53 else 2.0 * step
            total = float(sum(count.sum() for _, count in arrays) + zero)
            found.append((time, NativeHistogram(
                schema, gauge, False, 0.0 if schema == -53 else threshold, zero, total, draw(st.floats(-1e9, 1e9)),
                *arrays[0], *arrays[1], BOUNDS if schema == -53 else np.zeros(0))))  # fmt: skip
    return found


def shown(one: NativeHistogram) -> tuple[object, ...]:
    """A histogram without empty buckets, the sum by its bits."""
    sides = []
    for index, count in ((one.positive_index, one.positive_count), (one.negative_index, one.negative_count)):
        some = np.asarray(count) != 0
        sides += [np.asarray(index)[some].tolist(), np.asarray(count)[some].tolist()]
    return (one.schema, one.zero_threshold, one.zero_count, one.count, struct.pack("<d", one.sum), *sides,
            np.asarray(one.custom_bounds).tolist())  # fmt: skip


STALE_SUM = struct.pack("<Q", 0x7FF0000000000002)


@settings(max_examples=60, deadline=None)
@given(sampled())
def test_chunks_of_histograms_hold_what_was_put_in(samples: list[tuple[int, NativeHistogram | None]]) -> None:
    found: list[tuple[int, NativeHistogram]] = []
    for kind, first, last, data in histogram_chunks(samples):
        flag, own = decoded_chunk(kind, data)
        assert (own[0][0], own[-1][0]) == (first, last)
        for (_, before), (_, after) in itertools.pairwise(own):
            assert flag == 0xC0 or not_fallen(before, after)  # or a reader would take it for no reset
        found += own
    assert [time for time, _ in found] == [time for time, _ in samples]
    for (_, mine), (_, theirs) in zip(found, samples, strict=True):
        if theirs is None:
            assert struct.pack("<d", mine.sum) == STALE_SUM
        else:
            assert shown(mine) == shown(theirs)
            assert (mine.hint == 3) == (theirs.hint == 3)


def not_fallen(before: NativeHistogram, after: NativeHistogram) -> bool:
    sides = zip((*before.positive_count, *before.negative_count), (*after.positive_count, *after.negative_count),
                strict=True)  # fmt: skip
    return before.count <= after.count and before.zero_count <= after.zero_count and all(a <= b for a, b in sides)


def test_a_chunk_has_no_more_histograms_than_one_of_prometheus_has() -> None:
    some, none = np.array([1], np.int32), np.zeros(0, np.int32)
    samples = [
        (n, NativeHistogram(0, 0, False, 0.0, 0.0, n, n, some, np.array([n]), none, np.zeros(0))) for n in range(250)
    ]
    assert [last - first + 1 for _, first, last, _ in histogram_chunks(samples)] == [120, 120, 10]
