"""Packed samples: whatever goes in comes out, to the last bit."""

from __future__ import annotations

import math
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.promql import kernels
from windvane.promql.cache import Flat
from windvane.promql.kept import Kept
from windvane.promql.labels import Labels, Pool
from windvane.promql.pack import BLOCK, STRETCH_MS
from windvane.promql.parts import Parts
from windvane.promql.pieces import PackedSamples, over, without_stale
from windvane.promql.stretch import Packed, rows_of
from windvane.promql.value import STALE, Samples

_any = st.integers(0, 2**64 - 1).map(lambda bits: struct.unpack("<d", struct.pack("<Q", bits))[0])
_some = st.sampled_from(
    [0.0, -0.0, 1.0, -1.0, 0.1, 0.3, 1e300, 5e-324, 2.0**53, 2.0**53 - 1, -(2.0**53), 1e15 + 0.3, math.inf, -math.inf,
     math.nan, STALE, 123.456, 1e-9, 2.0**63, -(2.0**63)]
)  # fmt: skip
_value = st.one_of(_any, _some, st.integers(-1000, 1000).map(float), st.integers(0, 99999).map(lambda n: n / 100))
_run = st.tuples(_value, st.integers(1, 300), st.sampled_from([0.0, 1.0, 0.25, 4096.0, 1e12, 0.01]))
_gap = st.one_of(st.just(15_000), st.integers(1, 40), st.integers(1, 60_000))


@st.composite
def stretches(draw: st.DrawFn) -> Flat:
    """Series of runs (a value that grows evenly), odd values among them, and regular times with gaps."""
    times, values, offsets, begin = [], [], [0], draw(st.integers(-3, 3)) * STRETCH_MS
    for _ in range(draw(st.integers(1, 3))):
        own: list[float] = []
        for value, count, step in draw(st.lists(_run, max_size=3)):
            own += [value + step * j if step else value for j in range(count)]
        own += draw(st.lists(_value, max_size=20))
        gaps = np.full(len(own), draw(_gap))
        for place in draw(st.lists(st.integers(0, 400), max_size=4)):
            gaps[place % max(1, len(own)) :][:1] = draw(_gap)
        at = np.cumsum(gaps) - 1
        at = at[at < STRETCH_MS]
        times.append(begin + at)
        values += own[: len(at)]
        offsets.append(offsets[-1] + len(at))
    ids = np.arange(10, 10 + len(times), dtype=np.uint64)
    return Flat(ids, np.array(offsets), np.concatenate(times).astype(np.int64), np.array(values, np.float64), True)


def number_of(flat: Flat) -> int:
    return int(flat.times[0]) // STRETCH_MS if len(flat.times) else 0


def packed(flat: Flat) -> Packed:
    return Packed.of(number_of(flat), flat)


def bits(values: np.ndarray) -> list[int]:
    return [int(one) for one in np.ascontiguousarray(values).view(np.uint64)]


def same(a: Flat, b: Flat) -> bool:
    return (
        a.ids.tolist() == b.ids.tolist()
        and a.offsets.tolist() == b.offsets.tolist()
        and a.times.tolist() == b.times.tolist()
        and bits(a.values) == bits(b.values)
    )


@given(flat=stretches())
@settings(max_examples=80, deadline=None)
def test_what_goes_in_comes_out(flat: Flat) -> None:
    one = packed(flat)
    assert same(one.flat(np.arange(len(flat.ids))), flat)
    assert one.counts.tolist() == np.diff(flat.offsets).tolist()
    stale = bits(np.array([STALE]))[0]
    assert one.stale == (stale in bits(flat.values))


@given(flat=stretches(), ends=st.tuples(st.integers(-10, STRETCH_MS), st.integers(-10, STRETCH_MS)), at=st.data())
@settings(max_examples=50, deadline=None)
def test_any_part_comes_out(flat: Flat, ends: tuple[int, int], at: st.DataObject) -> None:
    one = packed(flat)
    pick = st.sampled_from(flat.times.tolist()) if len(flat.times) else st.nothing()
    after = at.draw(st.one_of(st.just(one.begin + ends[0]), pick))
    until = at.draw(st.one_of(st.just(one.begin + ends[1]), pick))
    wanted = np.array([9, 10, 12, 77], np.uint64)
    rows = rows_of(one.ids, wanted)
    total = np.zeros(len(wanted), np.int64)
    one.add_counts(rows, after, until, total)
    series = [slice(*flat.offsets[row : row + 2]) if row >= 0 else slice(0) for row in rows]
    inside = [(flat.times[own] > after) & (flat.times[own] <= until) for own in series]
    assert total.tolist() == [int(some.sum()) for some in inside]
    places = np.cumsum(total) - total
    times, values = np.zeros(total.sum(), np.int64), np.zeros(total.sum())
    one.pour(rows, after, until, times, values, places)
    assert places.tolist() == np.cumsum(total).tolist()
    assert times.tolist() == [t for own, some in zip(series, inside, strict=True) for t in flat.times[own][some]]
    assert bits(values) == [
        b for own, some in zip(series, inside, strict=True) for b in bits(flat.values[own][some])
    ]  # fmt: skip


@given(flat=stretches(), seed=st.integers(0, 99), mask=st.integers(0, 7))
@settings(max_examples=30, deadline=None)
def test_samples_may_come_in_any_order(flat: Flat, seed: int, mask: int) -> None:
    """Some series' samples later than others: late ones go between those that are packed."""
    late = np.random.default_rng(seed).random(len(flat.times)) < 0.3
    for row in range(len(flat.ids)):
        if mask >> row & 1:
            late[flat.offsets[row] : flat.offsets[row + 1]] = False
    parts = []
    for some in (~late, late):
        counts = np.array([some[low:high].sum() for low, high in zip(flat.offsets, flat.offsets[1:], strict=False)])
        there = counts > 0
        offsets = np.cumsum([0, *counts[there]])
        parts.append(Flat(flat.ids[there], offsets, flat.times[some], flat.values[some], True))
    both = Packed.of(number_of(flat), parts[0]).plus(parts[1], -(1 << 60))
    there = np.diff(flat.offsets) > 0
    wanted = Flat(flat.ids[there], np.unique(flat.offsets), flat.times, flat.values, True)
    assert same(both.flat(np.arange(len(both.ids))), wanted)


def test_what_programs_count_is_small() -> None:
    random, count = np.random.default_rng(3), 2 * BLOCK
    times, offsets = np.arange(count) * 15_000, np.array([0, count])

    def bytes_of(values: np.ndarray) -> float:
        return packed(Flat(np.ones(1, np.uint64), offsets, times, values, False)).data.nbytes / count

    assert bytes_of(np.ones(count)) < 0.1
    assert bytes_of(np.cumsum(random.poisson(5, count)) + 1e6) < 0.7
    assert bytes_of(np.arange(count) * 0.25) < 0.2
    assert bytes_of(np.round(random.normal(20, 2, count), 1)) < 1.2
    assert bytes_of(random.normal(0, 1, count)) < 8.5
    marked = np.append(np.ones(count - 1), STALE)
    assert bytes_of(marked) < 0.2


# Kernels over packed samples


@pytest.mark.parametrize("few", [1, 100, 1 << 20])
def test_kernels_over_packed_samples_give_the_same(monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr("windvane.promql.pieces._AT_ONCE", few)
    random, series, count = np.random.default_rng(5), 40, 1500
    times = np.cumsum(random.integers(1, 20_000, (series, count)), axis=1)
    values = np.cumsum(random.poisson(3, (series, count)), axis=1).astype(float)
    values[random.random((series, count)) < 0.01] = STALE
    values[random.random((series, count)) < 0.01] = 0.0
    flat = Flat(
        np.arange(series, dtype=np.uint64), np.arange(series + 1) * count, times.ravel(), values.ravel(), True
    )  # fmt: skip
    pieces = Kept(Parts({}), -1).plus(Parts({}), flat, 1 << 24).cut(flat.ids, -1, 1 << 50, 1 << 30)
    assert pieces is not None
    assert len(pieces.pieces) > 2
    labels = Labels.of(Pool(), [{"n": str(row)} for row in range(series)])
    plain = Samples(labels, flat.offsets, flat.times, flat.values, stale=True)
    ends = np.arange(0, int(times.max()), 60_000)
    for function, rest in (
        (kernels.extrapolated, (300_000, True, True)),
        (kernels.extremes, (600_000, True)),
        (kernels.over_time, (300_000, kernels.STDDEV)),
    ):
        wanted = over(function, without_stale(plain), ends, *rest)
        found = over(function, without_stale(PackedSamples(labels, pieces)), ends, *rest)
        for own, other in zip(found, wanted, strict=True):
            np.testing.assert_array_equal(own, other)
    for own, other in zip(
        over(kernels.latest, PackedSamples(labels, pieces), ends, 300_000),
        over(kernels.latest, plain, ends, 300_000), strict=True,
    ):  # fmt: skip
        np.testing.assert_array_equal(own, other)
    asked, wanted_flat = without_stale(PackedSamples(labels, pieces)), without_stale(plain)
    assert asked.offsets.tolist() == wanted_flat.offsets.tolist()
    assert asked.times.tolist() == wanted_flat.times.tolist()
    assert not asked.stale
