"""Series of metrics queries, and what is done with them afterwards: topk, thresholds, arithmetic.

A series has a value for every slot of the request, NaN where there is none.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError
from windvane.tracing.traceql import printer
from windvane.tracing.traceql.fields import Value
from windvane.tracing.traceql.spansets import key_of
from windvane.tracing.traceql.syntax import Kind, SecondStage, Status, Threshold, Top

Values = NDArray[np.float64]
MAX_SLOTS = 11_000
"""Points of a series, as in Prometheus."""


@dataclass(frozen=True, slots=True)
class Slots:
    """The times of a request: slot i holds what started in (start + i·step, start + (i + 1)·step].

    Of an instant query there is one, which holds its start as well.
    """

    start_ns: int
    step_ns: int
    count: int
    instant: bool = False

    @classmethod
    def of(cls, start_ns: int, end_ns: int, step_ns: int | None) -> Slots:
        """The slots from start to end, both widened to multiples of the step; without one an instant."""
        if end_ns <= start_ns:
            raise BadInputError("the end of a metrics query lies after its start")
        if step_ns is None:
            return cls(start_ns, end_ns - start_ns, 1, instant=True)
        if step_ns <= 0:
            raise BadInputError("the step of a metrics query is longer than 0")
        start, end = start_ns - start_ns % step_ns, end_ns + -end_ns % step_ns
        count = (end - start) // step_ns
        if count > MAX_SLOTS:
            raise BadInputError(
                f"a step of {printer.print_duration(step_ns)} makes {count} points; at most {MAX_SLOTS}"
            )
        return cls(start, step_ns, count)

    @property
    def first_ns(self) -> int:
        """The earliest start that counts."""
        return self.start_ns if self.instant else self.start_ns + 1

    @property
    def last_ns(self) -> int:
        """The latest start that counts."""
        return self.start_ns + self.count * self.step_ns

    @property
    def seconds(self) -> float:
        """The length of a slot."""
        return self.step_ns / 1e9

    def slot(self, start_ns: int) -> int:
        """The slot of a span that counts."""
        return 0 if self.instant else (start_ns - self.start_ns - 1) // self.step_ns

    def times_ms(self) -> list[int]:
        """The time under which each slot is shown: its end."""
        return [(self.start_ns + (place + 1) * self.step_ns) // 1_000_000 for place in range(self.count)]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A span that stands for a point."""

    trace_id: str
    time_ns: int
    value: float


Labels = tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class SeriesData:
    """One series."""

    labels: Labels
    values: Values
    exemplars: tuple[Exemplar, ...] = ()

    @property
    def key(self) -> tuple[object, ...]:
        """What tells series apart."""
        return tuple(sorted((name, key_of(value)) for name, value in self.labels if name != "__name__"))


def label_text(value: Value) -> str:
    """A label's value as Prometheus's notation of the series has it."""
    if value is None:
        return "<nil>"
    if isinstance(value, Status | Kind):
        return str(value.value)
    if isinstance(value, str):
        return {"": "<empty>", "nil": "<nil>"}.get(value, value)
    if isinstance(value, bool | int | float):
        return _number_text(value)
    return str(value)


def _number_text(value: bool | float) -> str:
    text = printer.print_value(value)
    return text.removesuffix(".0") if isinstance(value, float) else text


def second_stages(series: list[SeriesData], stages: Sequence[SecondStage]) -> list[SeriesData]:
    """What `topk`, `bottomk` and comparisons leave."""
    for stage in stages:
        series = _top(series, stage) if isinstance(stage, Top) else _threshold(series, stage)
    return series


def _top(series: list[SeriesData], stage: Top) -> list[SeriesData]:
    """The largest (smallest) values of each slot; of equal ones those of the first series by labels."""
    if not series:
        return []
    ordered = sorted(series, key=lambda one: repr(one.key))
    values = np.array([one.values for one in ordered])
    ranked = -values if stage.name == "topk" else values
    places = np.argsort(np.where(np.isnan(ranked), np.inf, ranked), axis=0, kind="stable")[: stage.count]
    kept = np.full_like(values, np.nan)
    np.put_along_axis(kept, places, np.take_along_axis(values, places, axis=0), axis=0)
    return _present(replace(one, values=row) for one, row in zip(ordered, kept, strict=True))


_TESTS: dict[str, Callable[[Values, float], NDArray[np.bool_]]] = {
    "=": np.equal, "!=": np.not_equal, "<": np.less, "<=": np.less_equal, ">": np.greater, ">=": np.greater_equal,
}  # fmt: skip


def _threshold(series: list[SeriesData], stage: Threshold) -> list[SeriesData]:
    test = _TESTS[stage.op]
    return _present(
        replace(one, values=np.where(test(one.values, stage.value) & ~np.isnan(one.values), one.values, np.nan))
        for one in series
    )


def _present(series: Iterable[SeriesData]) -> list[SeriesData]:
    return [one for one in series if not np.isnan(one.values).all()]


_MATH: dict[str, Callable[[Values, Values], Values]] = {
    "+": np.add, "-": np.subtract, "*": np.multiply, "/": np.divide,
}  # fmt: skip


def arithmetic(op: str, left: list[SeriesData] | float, right: list[SeriesData] | float) -> list[SeriesData]:
    """Series joined by equal labels, point by point; a number goes with every series.

    A point is absent where either side's is, and where the result is none (0/0) or infinite.
    """
    if isinstance(left, float):
        assert not isinstance(right, float)
        return [_computed(op, one.labels, np.full_like(one.values, left), one.values) for one in right]
    if isinstance(right, float):
        return [_computed(op, one.labels, one.values, np.full_like(one.values, right)) for one in left]
    others = {one.key: one for one in right}
    return [_computed(op, one.labels, one.values, others[one.key].values) for one in left if one.key in others]


def _computed(op: str, labels: Labels, left: Values, right: Values) -> SeriesData:
    with np.errstate(all="ignore"):
        values = _MATH[op](left, right)
    shown = tuple((name, value) for name, value in labels if name != "__name__")
    return SeriesData(shown, np.where(np.isfinite(values), values, np.nan))


def log2_quantile(quantile: float, buckets: Sequence[tuple[float, float]]) -> float:
    """The quantile of counts in buckets (upper bound, count; ascending powers of two), as Tempo estimates it.

    Within a bucket it grows exponentially from the bound before; 0 for no counts.
    """
    total = sum(count for _, count in buckets)
    if not total:
        return 0.0
    wanted = max(1, math.ceil(quantile * total))
    passed = 0.0
    for place, (upper, count) in enumerate(buckets):
        if passed + count > wanted:
            high = math.log2(upper)
            low = math.log2(buckets[place - 1][0]) if place else high - 1
            return math.pow(2.0, low + (high - low) * (wanted - passed) / count)
        passed += count
        if passed == wanted:
            return upper
    return buckets[-1][0]
