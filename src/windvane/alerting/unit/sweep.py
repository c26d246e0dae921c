"""Evaluates rules one after the other, each for all moments at once.

A range query gives a rule's result at every step; the rule then runs through the steps on these results.
That is the same as step after step if no rule reads what itself or a later rule writes, and none looks
into the future; `can_sweep` decides it from the rules' expressions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from windvane.alerting.files import GroupSpec
from windvane.alerting.queries import Element, Key, LabelSet, key_of
from windvane.alerting.rules import Context, Moment, Rule, make
from windvane.alerting.unit.store import SeriesStore
from windvane.promql.engine import QueryEngine
from windvane.promql.errors import ExecutionError
from windvane.promql.native.histogram import Histogram
from windvane.promql.parse import parse
from windvane.promql.syntax import Expr, Selector, Subquery, children
from windvane.promql.value import MatrixResult
from windvane.store.series import STALE

_POINTS = 5_000
"""Steps of one range query."""
Look = Callable[[int, Rule], None]


def can_sweep(groups: Sequence[GroupSpec]) -> bool:
    """Whether evaluating rule after rule gives what evaluating step after step gives."""
    rules = [make(spec) for group in groups for spec in group.rules]
    if any(group.query_offset or group.limit for group in groups):
        return False
    later: set[str] = set()
    for rule in reversed(rules):
        later |= rule.writes
        if rule.reads is None or rule.reads & later or _looks_elsewhere(parse(rule.spec.expr)):
            return False
    return True


def _looks_elsewhere(expr: Expr) -> bool:
    """Whether an expression may see samples of a later time, or depends on the range of the query."""
    if isinstance(expr, Selector | Subquery):
        computed = getattr(expr, "offset_expr", None) is not None
        if expr.at is not None or expr.offset < 0 or computed:
            return True
    return any(map(_looks_elsewhere, children(expr)))


class Sweep:
    """The evaluation of rules at `count` steps from `start`, `interval` apart (nanoseconds)."""

    def __init__(self, queries: QueryEngine, store: SeriesStore, start: int, interval: int, count: int) -> None:
        self._queries = queries
        self._store = store
        self._start = start
        self._interval = interval
        self._count = count

    def run(self, groups: Sequence[GroupSpec], context: Context, look: Look) -> None:
        """Evaluate all rules and store what they give; `look` sees each rule after each step."""
        for group in groups:
            for spec in group.rules:
                self._evaluate(make(spec), context, look)

    def _evaluate(self, rule: Rule, context: Context, look: Look) -> None:
        written = _Written()
        for first in range(0, self._count, _POINTS):
            steps = range(first, min(first + _POINTS, self._count))
            found = self._elements(rule.spec.expr, steps)

            def query(text: str, time_ms: int) -> list[Element]:
                if text == rule.spec.expr:
                    return found[time_ms]  # noqa: B023 - used up before the next turn of the loop
                return context.query(text, time_ms)

            here = Context(query, context.external_labels, context.external_url)
            for step in steps:
                at = self._start + step * self._interval
                written.add(at // 1_000_000, rule.evaluate(Moment(at), here))
                look(step, rule)
        self._store.write(*written.columns())

    def _elements(self, expr: str, steps: range) -> dict[int, list[Element]]:
        """The elements at each step, by its time in milliseconds."""
        first, last = (self._start + step * self._interval for step in (steps[0], steps[-1]))
        step_ms = self._interval // 1_000_000
        value = self._queries.range(expr, first // 1_000_000, last // 1_000_000, step_ms).value
        if not isinstance(value, MatrixResult):
            raise ExecutionError("rule result is not a vector or scalar")
        found: dict[int, list[Element]] = {first // 1_000_000 + place * step_ms: [] for place in range(len(steps))}
        for row, labels in enumerate(value.metrics):
            times, values = value.points(row)
            for time_ms, number in zip(times.tolist(), values.tolist(), strict=True):
                found[time_ms].append(Element(labels, number))
            if value.native is not None:
                natives = zip(value.native.times_of(row).tolist(), value.native.histograms_of(row), strict=True)
                for time_ms, histogram in natives:
                    found[time_ms].append(Element(labels, 0.0, histogram))
        return found


class _Written:
    """What a rule gave at all steps so far, staleness markers of series that ended included."""

    def __init__(self) -> None:
        self._places: dict[Key, int] = {}
        self._labels: list[LabelSet] = []
        self._owners: list[int] = []
        self._times: list[int] = []
        self._values: list[float] = []
        self._histograms: dict[int, Histogram] = {}
        self._before: set[int] = set()

    def add(self, time_ms: int, samples: Sequence[Element]) -> None:
        now: set[int] = set()
        for one in samples:
            place = self._places.setdefault(key_of(one.labels), len(self._labels))
            if place == len(self._labels):
                self._labels.append(one.labels)
            now.add(place)
            if one.histogram is not None:
                self._histograms[len(self._times)] = one.histogram
            self._sample(place, time_ms, one.value)
        for place in self._before - now:
            self._sample(place, time_ms, STALE)
        self._before = now

    def _sample(self, place: int, time_ms: int, value: float) -> None:
        self._owners.append(place)
        self._times.append(time_ms)
        self._values.append(value)

    def columns(self) -> tuple[list[LabelSet], np.ndarray, np.ndarray, np.ndarray, dict[int, Histogram]]:
        """As the store takes them."""
        return (
            self._labels,
            np.array(self._owners, np.int64),
            np.array(self._times, np.int64),
            np.array(self._values, np.float64),
            self._histograms,
        )
