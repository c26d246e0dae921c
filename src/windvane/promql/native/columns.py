"""Many native histograms as columns, and matrices of them.

A column has a number of every histogram. Buckets lie in two flat arrays, index and absolute count: of
histogram i the positive ones, then the negative ones, from `start[i]`; several may share them, and their
order in the flat arrays means nothing. So choosing histograms copies no bucket, and kernels run through
all of them without an object each. `Histogram` is the view of one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from windvane.promql.native.histogram import NO_COUNT, Histogram

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Places = NDArray[np.int64]
NO_BOUNDS: tuple[Floats, ...] = (NO_COUNT,)


class Columns(NamedTuple):
    """The arrays of n histograms with m buckets, as kernels take them.

    `population` is the count of observations; `bounds` numbers the custom bounds, equal ones alike.
    """

    schema: NDArray[np.int32]
    hint: NDArray[np.int32]
    population: Floats
    sum: Floats
    threshold: Floats
    zero: Floats
    start: Places
    positive: NDArray[np.int32]
    negative: NDArray[np.int32]
    bounds: NDArray[np.int32]
    indices: NDArray[np.int32]
    counts: Floats


class Histograms:
    """Histograms by number, with the custom bounds that theirs refer to."""

    __slots__ = ("columns", "custom")

    def __init__(self, columns: Columns, custom: tuple[Floats, ...] = NO_BOUNDS) -> None:
        self.columns, self.custom = columns, custom

    def __len__(self) -> int:
        return len(self.columns.schema)

    @classmethod
    def of(cls, histograms: Sequence[Histogram]) -> Histograms:
        """Columns of objects."""
        positive = np.array([len(one.positive_index) for one in histograms], np.int32)
        negative = np.array([len(one.negative_index) for one in histograms], np.int32)
        known: dict[bytes, int] = {b"": 0}
        custom = list(NO_BOUNDS)
        for one in histograms:
            if known.setdefault(one.custom_bounds.tobytes(), len(custom)) == len(custom):
                custom.append(one.custom_bounds)
        ends = np.cumsum(positive.astype(np.int64) + negative)
        numbers = [(one.count, one.sum, one.zero_threshold, one.zero_count) for one in histograms]
        count, total, threshold, zero = np.array(numbers, np.float64).reshape(-1, 4).T.copy()
        columns = Columns(
            np.array([one.schema for one in histograms], np.int32),
            np.array([one.hint for one in histograms], np.int32),
            count,
            total,
            threshold,
            zero,
            ends - positive - negative,
            positive,
            negative,
            np.array([known[one.custom_bounds.tobytes()] for one in histograms], np.int32),
            _joined(np.int32, (part for one in histograms for part in (one.positive_index, one.negative_index))),
            _joined(np.float64, (part for one in histograms for part in (one.positive_count, one.negative_count))),
        )
        return cls(columns, tuple(custom))

    def one(self, number: int) -> Histogram:
        """One of them."""
        c = self.columns
        a = int(c.start[number])
        b = a + int(c.positive[number])
        d = b + int(c.negative[number])
        return Histogram(
            int(c.schema[number]), int(c.hint[number]), float(c.population[number]), float(c.sum[number]),
            float(c.threshold[number]), float(c.zero[number]), c.indices[a:b], c.counts[a:b],
            c.indices[b:d], c.counts[b:d], self.custom[int(c.bounds[number])],
        )  # fmt: skip

    def take(self, numbers: Places) -> Histograms:
        """Some of them, with shared buckets."""
        c = self.columns
        columns: Sequence[Any] = c
        kept = {name: column[numbers] for name, column in zip(Columns._fields[:-2], columns, strict=False)}
        return self.changed(**kept)

    def changed(self, **columns: Any) -> Histograms:
        """The same with other columns."""
        return Histograms(self.columns._replace(**columns), self.custom)

    def with_hints(self, hint: NDArray[np.int32]) -> Histograms:
        """The same with other counter reset hints."""
        return self.changed(hint=hint)

    def compacted(self) -> Histograms:
        """Without the buckets that none of these refers to, each bucket once for every histogram."""
        c = self.columns
        lengths = c.positive.astype(np.int64) + c.negative
        ends = np.cumsum(lengths)
        places = np.arange(ends[-1] if len(ends) else 0) + np.repeat(c.start - (ends - lengths), lengths)
        return self.changed(start=ends - lengths, indices=c.indices[places], counts=c.counts[places])


def _joined(kind: type[Any], parts: Iterable[NDArray[Any]]) -> NDArray[Any]:
    return np.concatenate([np.zeros(0, kind), *parts]).astype(kind, copy=False)


NOTHING = Histograms.of([])


def concatenated(parts: Sequence[Histograms]) -> tuple[Histograms, Places]:
    """Several as one, and by how much the numbers of each moved."""
    moved = np.cumsum([0, *(len(part) for part in parts)])
    used = [part for part in parts if len(part)]
    if len(used) < 2:
        return (used[0] if used else NOTHING), moved
    if all(one is used[0] for one in used):  # rows of one matrix come together again
        return used[0], np.zeros(len(moved), np.int64)
    known: dict[bytes, int] = {b"": 0}
    custom = list(NO_BOUNDS)
    columns: list[list[Any]] = [[] for _ in Columns._fields]
    buckets = 0
    for part in used:
        c = part.columns
        numbers = []
        for bounds in part.custom:
            numbers.append(known.setdefault(bounds.tobytes(), len(custom)))
            if numbers[-1] == len(custom):
                custom.append(bounds)
        renamed = c._replace(start=c.start + buckets, bounds=np.array(numbers, np.int32)[c.bounds])
        for column, values in zip(columns, renamed, strict=True):
            column.append(values)
        buckets += len(c.indices)
    return Histograms(Columns(*map(np.concatenate, columns)), tuple(custom)), moved


@dataclass(frozen=True, slots=True, eq=False)
class Grid:
    """Native histograms in the shape of a matrix, or one after the other: their numbers, -1 where there is none."""

    index: Places
    histograms: Histograms

    @classmethod
    def empty(cls, shape: tuple[int, ...]) -> Grid:
        """None at all."""
        return cls(np.full(shape, -1, np.int64), NOTHING)

    @classmethod
    def of(cls, histograms: Sequence[Histogram | None]) -> Grid:
        """One after the other, None where there is none."""
        some = np.array([one is not None for one in histograms], np.bool_)
        index = np.where(some, np.cumsum(some) - 1, -1)
        return cls(index, Histograms.of([one for one in histograms if one is not None]))

    @property
    def shape(self) -> tuple[int, ...]:
        """As NumPy has it."""
        return self.index.shape

    @property
    def some(self) -> Mask:
        """Where there is one."""
        return self.index >= 0

    def __len__(self) -> int:
        return len(self.index)

    def __iter__(self) -> Iterator[Histogram | None]:
        """Those of a row."""
        return (self.histograms.one(number) if number >= 0 else None for number in self.index.tolist())

    @overload
    def __getitem__(self, place: int | tuple[int, int]) -> Histogram | None: ...
    @overload
    def __getitem__(self, place: Any) -> Any: ...
    def __getitem__(self, place: Any) -> Any:
        """A histogram (or None), or a smaller grid, as NumPy chooses."""
        found = self.index[place]
        if isinstance(found, np.ndarray):
            return Grid(found, self.histograms)
        return self.histograms.one(int(found)) if found >= 0 else None

    def tolist(self) -> list[Histogram | None]:
        """Those of a row as objects."""
        return list(self)

    def chosen(self) -> Histograms:
        """The histograms of all elements that have one, row by row."""
        return self.histograms.take(self.index[self.index >= 0])

    def only(self, kept: Mask) -> Grid:
        """Without the others."""
        return Grid(np.where(kept, self.index, -1), self.histograms)

    def filled(self, which: Mask, histograms: Histograms) -> Grid:
        """With one more at every element of `which`, row by row."""
        if not len(histograms):
            return self
        joined, moved = concatenated([self.histograms, histograms])
        index = self.index.copy()
        index[which] = moved[1] + np.arange(len(histograms))
        return Grid(index, joined)

    def patched(self, patches: dict[tuple[int, ...], Histogram]) -> Grid:
        """With objects at some elements."""
        if not patches:
            return self
        joined, moved = concatenated([self.histograms, Histograms.of(list(patches.values()))])
        index = self.index.copy()
        index[tuple(np.array(list(patches)).T)] = moved[1] + np.arange(len(patches))
        return Grid(index, joined)


def below_each_other(grids: Sequence[Grid]) -> Grid:
    """Grids of equal steps as one."""
    joined, moved = concatenated([grid.histograms for grid in grids])
    parts = [np.where(grid.index >= 0, grid.index + by, -1) for grid, by in zip(grids, moved.tolist(), strict=False)]
    return Grid(np.concatenate(parts), joined)
