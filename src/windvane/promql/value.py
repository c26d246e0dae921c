"""Values: what nodes of the tree evaluate to, and what a query returns."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from windvane.promql.labels import Labels
from windvane.promql.native.columns import Grid

Floats = NDArray[np.float64]
Times = NDArray[np.int64]
Mask = NDArray[np.bool_]
Ids = NDArray[np.uint64]

STALE_BITS = np.int64(0x7FF0000000000002)
"""The NaN that marks the end of a series; any other NaN is an ordinary value."""
STALE = float(np.array([STALE_BITS]).view(np.float64)[0])


@dataclass(frozen=True, slots=True)
class Steps:
    """The evaluation times of a (sub)query: start, start + step, …, at most end; milliseconds."""

    start: int
    end: int
    step: int

    def __len__(self) -> int:
        return (self.end - self.start) // self.step + 1 if self.end >= self.start else 0

    def times(self) -> Times:
        """All of them."""
        return self.start + self.step * np.arange(len(self), dtype=np.int64)


@dataclass(slots=True)
class Scalar:
    """One number a step."""

    values: Floats


@dataclass(slots=True)
class Text:
    """A string; the same at every step."""

    value: str


@dataclass(slots=True)
class Vector:
    """An instant vector at every step: (series x steps) values, and which of them are there.

    Where `present` is False the value means nothing. No two rows have equal labels. `native` has the
    elements that are native histograms; their value means nothing, and where it is None all are floats.
    """

    labels: Labels
    values: Floats
    present: Mask
    native: Grid | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, rows: NDArray[np.integer] | Mask) -> Vector:
        """The chosen series."""
        native = None if self.native is None else self.native[rows]
        return Vector(self.labels.take(rows), self.values[rows], self.present[rows], native)

    def with_labels(self, labels: Labels) -> Vector:
        """The same elements under other labels."""
        return Vector(labels, self.values, self.present, self.native)

    def with_present(self, present: Mask) -> Vector:
        """Only these of the elements."""
        return Vector(self.labels, self.values, present, self.native)

    def is_native(self) -> Mask:
        """Which elements are native histograms."""
        if self.native is None:
            return np.zeros(self.present.shape, np.bool_)
        some: Mask = self.present & self.native.some
        return some

    def floats(self) -> Vector:
        """Only the elements that are floats."""
        if self.native is None:
            return self
        return Vector(self.labels, self.values, self.present & ~self.is_native()).without_empty()

    def histograms(self) -> Vector:
        """Only the elements that are native histograms; none of the series if there are none."""
        return self.with_present(self.is_native()).without_empty()

    def without_empty(self) -> Vector:
        """Only the series that have a value at some step."""
        some: Mask = np.asarray(self.present.any(axis=1))
        return self if some.all() else self.take(some)


@dataclass(frozen=True, slots=True)
class NativeSamples:
    """Flat native histograms in series order: series i has those at offsets[i]:offsets[i + 1], times ascending.

    None among them is a staleness marker.
    """

    offsets: Times
    times: Times
    histograms: Grid

    def times_of(self, series: int) -> Times:
        """Times of one series."""
        return self.times[int(self.offsets[series]) : int(self.offsets[series + 1])]

    def histograms_of(self, series: int) -> Grid:
        """Histograms of one series."""
        own: Grid = self.histograms[int(self.offsets[series]) : int(self.offsets[series + 1])]
        return own

    def take(self, rows: NDArray[np.integer]) -> NativeSamples:
        """Of the chosen series."""
        counts = np.diff(self.offsets)[rows]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)])
        places = np.arange(offsets[-1]) + np.repeat(self.offsets[:-1][rows] - offsets[:-1], counts)
        return NativeSamples(offsets, self.times[places], self.histograms[places])


@dataclass(slots=True)
class Samples:
    """Flat samples in series order: series i has times[offsets[i]:offsets[i + 1]], ascending.

    `stale` says whether staleness markers are among the values. `native` has the native histograms of
    the same series, where there are any.
    """

    labels: Labels
    offsets: Times
    times: Times
    values: Floats
    stale: bool = False
    native: NativeSamples | None = None


class Sampled(Protocol):
    """What can be read like `Samples`; those that are packed are unpacked when their times are asked for."""

    @property
    def labels(self) -> Labels:
        """Labels of the series."""

    @property
    def offsets(self) -> Times:
        """Series i has samples offsets[i]:offsets[i + 1]."""

    @property
    def times(self) -> Times:
        """Times, ascending in each series (ms)."""

    @property
    def values(self) -> Floats:
        """Values."""

    @property
    def stale(self) -> bool:
        """Whether there may be staleness markers among them."""

    @property
    def native(self) -> NativeSamples | None:
        """Native histograms of the same series."""


Value = Scalar | Text | Vector


@dataclass(frozen=True, slots=True)
class ScalarResult:
    """A number at one time."""

    time: int
    value: float


@dataclass(frozen=True, slots=True)
class StringResult:
    """A string at one time."""

    time: int
    value: str


@dataclass(frozen=True, slots=True)
class VectorResult:
    """Series with one value each at one time, in the order the query gives.

    `native` has the native histograms among them (None for a float), if there are any.
    """

    time: int
    labels: Labels
    values: Floats
    native: Grid | None = None

    @property
    def metrics(self) -> list[dict[str, str]]:
        """The label set of each series."""
        return self.labels.dicts()


@dataclass(frozen=True, slots=True)
class MatrixResult:
    """Series with several values; series i has times[offsets[i]:offsets[i + 1]], and in `native` its histograms."""

    labels: Labels
    offsets: Times
    times: Times
    values: Floats
    native: NativeSamples | None = None

    @property
    def metrics(self) -> list[dict[str, str]]:
        """The label set of each series."""
        return self.labels.dicts()

    def points(self, series: int) -> tuple[Times, Floats]:
        """Times (milliseconds) and values of one series."""
        part = slice(int(self.offsets[series]), int(self.offsets[series + 1]))
        return self.times[part], self.values[part]


QueryValue = ScalarResult | StringResult | VectorResult | MatrixResult


@dataclass(slots=True)
class Notes:
    """What a query has to say besides its value, without repetition and in order."""

    warnings: dict[str, None] = field(default_factory=dict)
    infos: dict[str, None] = field(default_factory=dict)

    def warn(self, text: str) -> None:
        self.warnings[f"PromQL warning: {text}"] = None

    def inform(self, text: str) -> None:
        self.infos[f"PromQL info: {text}"] = None
