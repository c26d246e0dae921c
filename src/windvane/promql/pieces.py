"""Samples of a selection that are not all unpacked: kernels are given a batch of series at a time.

A day of ten thousand series is 23 million samples, 370 MB unpacked. So few are unpacked at once that they
stay in the processor's cache: into memory a thread uses again for the next batch, on every core.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any, TypeVar, cast

import numpy as np

from windvane.promql import arrange
from windvane.promql.cache import Cut, Flat, known
from windvane.promql.jit import cuts_of, kernel, on_cores
from windvane.promql.labels import Labels
from windvane.promql.stretch import Packed
from windvane.promql.value import Floats, Ids, NativeSamples, Sampled, Samples, Times

_Result = TypeVar("_Result", bound="tuple[Any, ...]")

_AT_ONCE = 131_072
"""Samples of a batch: 2 MiB."""
_own = threading.local()


@dataclass(frozen=True, slots=True)
class Slices:
    """Of each wanted series a stretch of flat samples, low[i]:high[i] of `flat`."""

    flat: Flat
    low: Times
    high: Times


@dataclass(frozen=True, slots=True)
class Rows:
    """Of each wanted series its row in a packed stretch, or -1."""

    packed: Packed
    rows: Times


@dataclass(frozen=True, slots=True, eq=False)
class Pieces:
    """The samples of the series `ids` in (after, until], in pieces in order of time; none is without any.

    Series i has offsets[i + 1] - offsets[i] samples. `stale`: there may be staleness markers among them.
    """

    ids: Ids
    offsets: Times
    pieces: tuple[Rows | Slices, ...]
    after: int
    until: int
    stale: bool

    @property
    def count(self) -> int:
        """Samples of all series."""
        return int(self.offsets[-1])

    def unpacked(self) -> Flat:
        """All of them at once."""
        times, values = np.empty(self.count, np.int64), np.empty(self.count)
        ranges = list(pairwise(cuts_of(self.offsets, 0)))
        on_cores(lambda part: self._pour(*part, times, values, self.offsets[part[0] : part[1]].copy()), ranges)
        return Flat(self.ids, self.offsets, times, values, self.stale)

    def cut(self, ids: Ids) -> Cut:
        """All of them at once, as part of the series `ids`."""
        return Cut(self.unpacked(), known(self.ids, ids), self.count)

    def over(self, compiled: Callable[..., _Result], ends: Times, rest: tuple[Any, ...], stale: bool) -> _Result:
        """A kernel's results (`jit.by_series`), a row for a series; without staleness markers unless `stale`."""

        def work(part: tuple[int, int]) -> list[_Result]:
            return [compiled(*flat, ends, *rest) for flat in self._batches(*part, stale)]

        ranges = list(pairwise(cuts_of(self.offsets, len(ends))))
        results = [one for part in on_cores(work, ranges) for one in part]
        return cast("_Result", tuple(np.concatenate(column) for column in zip(*results, strict=True)))

    def _batches(self, low: int, high: int, stale: bool) -> Iterator[tuple[Times, Times, Floats]]:
        """Flat samples of the series low … high, some at a time: memory that the next ones overwrite."""
        while low < high:
            stop = int(np.searchsorted(self.offsets, self.offsets[low] + _AT_ONCE, side="right")) - 1
            stop = min(max(stop, low + 1), high)
            offsets = self.offsets[low : stop + 1] - self.offsets[low]
            times, values = _room(int(offsets[-1]))
            self._pour(low, stop, times, values, offsets[:-1].copy())
            yield (
                arrange.without_stale(offsets, times, values) if self.stale and not stale else (offsets, times, values)
            )
            low = stop

    def _pour(self, low: int, high: int, times: Times, values: Floats, at: Times) -> None:
        """Unpack the series low … high to their places."""
        for piece in self.pieces:
            if isinstance(piece, Rows):
                piece.packed.pour(piece.rows[low:high], self.after, self.until, times, values, at)
            else:
                poured(
                    piece.flat.times, piece.flat.values, piece.low[low:high], piece.high[low:high], times, values, at
                )


def _room(samples: int) -> tuple[Times, Floats]:
    """This thread's memory for a batch."""
    held: tuple[Times, Floats] | None = getattr(_own, "room", None)
    if held is None or len(held[0]) < samples:
        held = np.empty(max(samples, _AT_ONCE), np.int64), np.empty(max(samples, _AT_ONCE))
        if samples <= _AT_ONCE:  # one series may have more: that is not kept
            _own.room = held
    return held[0][:samples], held[1][:samples]


@dataclass(slots=True)
class PackedSamples:
    """Samples that are unpacked a batch at a time (`over`), or all when somebody asks for their times."""

    labels: Labels
    pieces: Pieces
    native: NativeSamples | None = None
    dropping: bool = False
    """Whether staleness markers are left out."""
    _flat: tuple[Times, Times, Floats] | None = field(default=None, init=False)

    @property
    def stale(self) -> bool:
        return self.pieces.stale and not self.dropping

    @property
    def offsets(self) -> Times:
        return self._unpacked()[0]

    @property
    def times(self) -> Times:
        return self._unpacked()[1]

    @property
    def values(self) -> Floats:
        return self._unpacked()[2]

    def over(self, compiled: Callable[..., _Result], ends: Times, rest: tuple[Any, ...]) -> _Result:
        """See `Pieces.over`."""
        return self.pieces.over(compiled, ends, rest, not self.dropping)

    def _unpacked(self) -> tuple[Times, Times, Floats]:
        if self._flat is None:
            flat = self.pieces.unpacked()
            arrays = flat.offsets, flat.times, flat.values
            self._flat = arrange.without_stale(*arrays) if flat.stale and self.dropping else arrays
        return self._flat


def over(function: Callable[..., _Result], samples: Sampled, ends: Times, *rest: Any) -> _Result:
    """What a kernel (`jit.by_series`) makes of samples, packed or not."""
    if isinstance(samples, PackedSamples):
        compiled: Callable[..., _Result] = cast("Any", function).compiled
        return samples.over(compiled, ends, rest)
    return function(samples.offsets, samples.times, samples.values, ends, *rest)


def without_stale(samples: Sampled) -> Sampled:
    """The samples that are not staleness markers; native histograms as they are."""
    if isinstance(samples, PackedSamples):
        return PackedSamples(samples.labels, samples.pieces, samples.native, dropping=True)
    flat = samples.offsets, samples.times, samples.values
    return Samples(samples.labels, *(arrange.without_stale(*flat) if samples.stale else flat), native=samples.native)


def with_native(samples: Sampled, native: NativeSamples | None) -> Sampled:
    """The same samples beside other native histograms."""
    if isinstance(samples, PackedSamples):
        return PackedSamples(samples.labels, samples.pieces, native, samples.dropping)
    return Samples(samples.labels, samples.offsets, samples.times, samples.values, samples.stale, native)


@kernel
def poured(  # noqa: PLR0917 - numba takes arrays by position
    times: Times, values: Floats, low: Times, high: Times, out_times: Times, out_values: Floats, place: Times
) -> None:
    """Copy stretches of flat samples to the places of their series, which move on."""
    for k in range(len(low)):
        at, begin, count = place[k], low[k], high[k] - low[k]
        for j in range(count):
            out_times[at + j] = times[begin + j]
            out_values[at + j] = values[begin + j]
        place[k] = at + count
