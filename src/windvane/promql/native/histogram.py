"""One native histogram: an immutable value, its buckets, and what changes it by itself.

Buckets are two ascending arrays a side, index and absolute count; what is absent has no
observations. With a standard schema s (-4 to 8) bucket i of the positive side is
(2^((i - 1) * 2^-s), 2^(i * 2^-s)], the negative side is its mirror, and the zero bucket holds
[-zero_threshold, zero_threshold]. With the schema -53 bucket i ends at custom_bounds[i], the last
one at +Inf. Specification: https://prometheus.io/docs/specs/native_histograms/
"""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]

CUSTOM = -53
"""The schema of custom buckets."""
UNKNOWN, RESET, NO_RESET, GAUGE = range(4)
"""Counter reset hints."""

Index = NDArray[np.int32]

NO_INDEX: Index = np.zeros(0, np.int32)
NO_COUNT: Floats = np.zeros(0)
for _shared in (NO_INDEX, NO_COUNT):
    _shared.setflags(write=False)


def _no_index() -> Index:
    return NO_INDEX


def _no_count() -> Floats:
    return NO_COUNT


@dataclass(frozen=True, slots=True, eq=False)
class Histogram:
    """A histogram sample. Arrays are never written to, so histograms share them freely."""

    schema: int = 0
    hint: int = UNKNOWN
    count: float = 0.0
    sum: float = 0.0
    zero_threshold: float = 0.0
    zero_count: float = 0.0
    positive_index: Index = field(default_factory=_no_index)
    positive_count: Floats = field(default_factory=_no_count)
    negative_index: Index = field(default_factory=_no_index)
    negative_count: Floats = field(default_factory=_no_count)
    custom_bounds: Floats = field(default_factory=_no_count)

    @property
    def is_custom(self) -> bool:
        """Whether the buckets end at bounds of the histogram's own."""
        return self.schema == CUSTOM

    @property
    def is_float(self) -> bool:
        """Histograms that come out of a query have float counts."""
        return True

    def with_hint(self, hint: int) -> Histogram:
        """The same with another counter reset hint."""
        return self if hint == self.hint else replace(self, hint=hint)

    def scaled(self, factor: float) -> Histogram:
        """All counts and the sum times `factor`; a negative factor makes a gauge of it."""
        return replace(
            self,
            hint=GAUGE if factor < 0 else self.hint,
            count=self.count * factor,
            sum=self.sum * factor,
            zero_count=self.zero_count * factor,
            positive_count=self.positive_count * factor,
            negative_count=self.negative_count * factor,
        )

    def divided(self, divisor: float) -> Histogram:
        """All counts and the sum by `divisor`; by zero there are no buckets left, and the rest is infinite or NaN."""
        numbers = np.array([self.count, self.sum, self.zero_count])
        with np.errstate(all="ignore"):
            count, total, zero_count = (numbers / divisor).tolist()
        divided = replace(self, hint=GAUGE if divisor < 0 else self.hint, count=count, sum=total, zero_count=zero_count)
        if divisor == 0:
            return replace(
                divided,
                positive_index=NO_INDEX,
                positive_count=NO_COUNT,
                negative_index=NO_INDEX,
                negative_count=NO_COUNT,
            )
        return replace(
            divided, positive_count=self.positive_count / divisor, negative_count=self.negative_count / divisor
        )

    def compacted(self) -> Histogram:
        """Without buckets that count nothing."""
        positive, negative = self.positive_count != 0, self.negative_count != 0
        if positive.all() and negative.all():
            return self
        return replace(
            self,
            positive_index=self.positive_index[positive],
            positive_count=self.positive_count[positive],
            negative_index=self.negative_index[negative],
            negative_count=self.negative_count[negative],
        )

    def same_as(self, other: Histogram) -> bool:
        """Whether all data are equal, bit by bit, empty buckets included; hints do not matter."""
        mine = [self.count, self.sum, self.zero_count]
        theirs = [other.count, other.sum, other.zero_count]
        return (
            self.schema == other.schema
            and np.array(mine).tobytes() == np.array(theirs).tobytes()
            and self.zero_threshold == other.zero_threshold
            and np.array_equal(self.custom_bounds, other.custom_bounds)
            and np.array_equal(self.positive_index, other.positive_index)
            and np.array_equal(self.negative_index, other.negative_index)
            and self.positive_count.tobytes() == other.positive_count.tobytes()
            and self.negative_count.tobytes() == other.negative_count.tobytes()
        )

    def is_finite(self) -> bool:
        """Whether no count, sum or bound is infinite (NaN is allowed)."""
        numbers = np.concatenate(
            [
                np.array([self.count, self.sum, self.zero_count]),
                self.positive_count,
                self.negative_count,
                self.custom_bounds,
            ]
        )
        return not np.isinf(numbers).any()

    def upper(self, index: Index) -> Floats:
        """Upper bounds of buckets of the positive side."""
        return custom_bound(index, self.custom_bounds) if self.is_custom else bound(index, self.schema)

    def inclusive(self, lower: float, upper: float) -> tuple[bool, bool]:
        """Whether the bounds of one of its buckets belong to it."""
        if self.is_custom:
            return lower == -np.inf, True
        is_zero = -lower == upper == self.zero_threshold
        return is_zero or lower < 0, is_zero or upper > 0

    def buckets(self) -> Buckets:
        """All buckets, from the lowest up; those beside the zero bucket end where it begins."""
        negative, positive = self.negative_index[::-1], self.positive_index
        lower = [-self.upper(negative), self.upper(positive - 1)]
        upper = [-self.upper(negative - 1), self.upper(positive)]
        count = [self.negative_count[::-1], self.positive_count]
        if not self.is_custom:
            upper[0] = np.minimum(upper[0], -self.zero_threshold)
            lower[1] = np.maximum(lower[1], self.zero_threshold)
        if self.zero_count > 0:
            lower.insert(1, np.array([-self.zero_threshold]))
            upper.insert(1, np.array([self.zero_threshold]))
            count.insert(1, np.array([self.zero_count]))
        return Buckets(np.concatenate(lower), np.concatenate(upper), np.concatenate(count))


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets of a histogram, ascending: bounds and counts."""

    lower: Floats
    upper: Floats
    count: Floats

    def populated(self) -> Buckets:
        """Those with observations."""
        some: Mask = self.count != 0
        return self if some.all() else Buckets(self.lower[some], self.upper[some], self.count[some])

    def rows(self) -> list[tuple[float, float, float]]:
        """Lower bound, upper bound and count of each."""
        rows: list[tuple[float, float, float]] = np.stack([self.lower, self.upper, self.count], axis=1).tolist()
        return rows


def bound(index: Index, schema: int) -> Floats:
    """Upper bounds 2^(index * 2^-schema); the last bucket of finite numbers ends at the largest of them."""
    wide = index.astype(np.int64)
    if schema < 0:
        exponent = wide << -schema
        with np.errstate(over="ignore"):
            return np.where(exponent == 1024, sys.float_info.max, np.ldexp(1.0, np.minimum(exponent, 1025)))
    part, exponent = wide & ((1 << schema) - 1), (wide >> schema) + 1
    fraction = fractions(schema)[part]
    largest = (fraction == 0.5) & (exponent == 1025)
    with np.errstate(over="ignore"):
        return np.where(largest, sys.float_info.max, np.ldexp(fraction, exponent))


_ULPS = (
    "5555554555455555554355444444444455455545544455445544564455445544"
    "5555554444334534554555455554555555545655453355445444554545334444"
    "4545443344344544444444343433343355445545443345334433454434334434"
    "4423443433233323333333222211231244344333342244333423443333123322"
)
"""By how many units in the last place (plus 5) each bound of schema 8 differs, in Prometheus's clients and server,
from the double nearest to its real value: bounds are shown to the last digit, and must be the same everywhere."""


@functools.cache
def fractions(schema: int) -> Floats:
    """The bounds of a schema from 0 up that lie in [0.5, 1)."""
    nearest = np.asarray(np.exp2(np.arange(256, dtype=np.longdouble) / 256) / 2, np.float64)
    exact = nearest + (np.frombuffer(_ULPS.encode(), np.uint8).astype(np.float64) - ord("5")) * 2.0**-53
    return exact[:: 1 << (8 - schema)].copy()


def custom_bound(index: Index, bounds: Floats) -> Floats:
    """Upper bounds of custom buckets: -Inf before the first, +Inf after the last."""
    padded = np.concatenate([[-np.inf], bounds, [np.inf]])
    return padded[np.clip(index.astype(np.int64) + 1, 0, len(padded) - 1)]
