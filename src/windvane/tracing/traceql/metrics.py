"""Metrics queries: spans counted into series, by the engine where it can decide the filter exactly.

A pipeline that is one filter over fields that SQL knows becomes one GROUP BY; no span is read.
Anything else (structure, aggregates before the function, conditions of events, arrays) is found as a
search finds it, and its spans are counted here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from windvane.kit.errors import LimitError
from windvane.store.api import Engine, Limits
from windvane.tracing.assembly import restore
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.traceql import comparing
from windvane.tracing.traceql.candidates import within
from windvane.tracing.traceql.cells import BUCKETED, Cell, Cells, bucket_of, in_seconds
from windvane.tracing.traceql.columns import TEXT_COLUMNS, TYPE_PREFIXES, stored
from windvane.tracing.traceql.fields import Value, compile_field, is_number
from windvane.tracing.traceql.plan import single_filter
from windvane.tracing.traceql.pushdown import Pushdown
from windvane.tracing.traceql.search import TraceSearch
from windvane.tracing.traceql.series import Exemplar, SeriesData, Slots, arithmetic, second_stages
from windvane.tracing.traceql.simplify import simplify
from windvane.tracing.traceql.spansets import first
from windvane.tracing.traceql.syntax import (
    Attribute,
    Compare,
    Function,
    Intrinsic,
    IntrinsicField,
    Kind,
    Literal,
    Metrics,
    MetricsMath,
    Pipeline,
    Reference,
    Scope,
    Series,
    Status,
)

MAX_SPANS = 2_000_000
"""Spans that are counted outside the engine."""
_LIMITS = Limits(rows=1_000_000)
_DRAWN = 2
"""Spans drawn for every exemplar wanted: some stand for the same point."""
_ENUMS: dict[Intrinsic, tuple[str, type[Status] | type[Kind]]] = {
    Intrinsic.STATUS: ("StatusCode", Status),
    Intrinsic.KIND: ("SpanKind", Kind),
}


@dataclass(frozen=True, slots=True)
class MetricsRequest:
    """The times of the answer, and how many exemplars it may have."""

    slots: Slots
    exemplars: int = 0


class TraceMetrics:
    """Metrics over one store. Thread-safe."""

    def __init__(self, search: TraceSearch) -> None:
        self._search = search

    def evaluate(self, query: Metrics | MetricsMath, request: MetricsRequest) -> list[SeriesData]:
        """The series of a query, by labels."""
        series = self._series(query, request)
        assert not isinstance(series, float)
        return series

    def _series(self, query: Series, request: MetricsRequest) -> list[SeriesData] | float:
        if isinstance(query, Literal):
            assert isinstance(query.value, int | float)
            return float(query.value)
        if isinstance(query, MetricsMath):
            made = arithmetic(query.op, self._series(query.left, request), self._series(query.right, request))
        elif isinstance(query.function, Compare):
            made = comparing.compare(self._search, query.pipeline, query.function, request.slots)
        else:
            made = self._counted(query.pipeline, query.function, request)
        return second_stages(made, query.then)

    def _counted(self, pipeline: Pipeline, function: Function, request: MetricsRequest) -> list[SeriesData]:
        cells = Cells(function, request.slots)
        if not self._by_engine(pipeline, function, request, cells):
            self._by_hand(pipeline, function, request, cells)
        return cells.series(request.exemplars)

    # In the engine

    def _by_engine(self, pipeline: Pipeline, function: Function, request: MetricsRequest, cells: Cells) -> bool:
        """Count by one GROUP BY; False when SQL cannot say what the query asks for."""
        where = Conditions()
        statement = _Statement(where, self._search.arrays.known())
        expression = single_filter(pipeline)
        if expression is None or not statement.knows(function):
            return False
        condition = statement.pushdown.condition(simplify(expression))
        if not condition.exact:
            return False
        where.add(condition.text)
        statement.bound(function, request.slots)
        for group, named in statement.rows(self._search.engine, function, statement.counts(function, request.slots)):
            cell = Cell(named["N"], named["Total"], named["Least"], named["Most"])
            cells.add(group, named["Slot"], cell, named["Bucket"])
        if request.exemplars:
            sample = statement.sample(function, request)
            for group, named in statement.rows(self._search.engine, function, sample):
                cells.exemplify(group, named["Slot"], Exemplar(named["Trace"], named["Start"], named["Value"]))
        return True

    # Here

    def _by_hand(self, pipeline: Pipeline, function: Function, request: MetricsRequest, cells: Cells) -> None:
        by = [compile_field(one) for one in function.by]
        value_of = compile_field(function.operand) if function.operand is not None else None
        scale = 1e9 if in_seconds(function.operand) else 1.0
        for view, place in self.spans(pipeline, function, request.slots):
            value = first(value_of(view, place)) if value_of else 0.0
            if not is_number(value):
                continue
            bucket = bucket_of(value) if function.name in BUCKETED else 0
            if bucket is None:
                continue
            span = view.spans[place]
            shown = value / scale
            group, slot = tuple(first(one(view, place)) for one in by), request.slots.slot(span.start_ns)
            cells.add(group, slot, Cell(1, shown, shown, shown), bucket)
            if request.exemplars:
                cells.exemplify(group, slot, Exemplar(span.trace_id, span.start_ns, shown))

    def spans(self, pipeline: Pipeline, function: Function, slots: Slots) -> Iterator[tuple[Any, int]]:
        """Every span of the answer within the time, once; `LimitError` when there are too many."""
        also = (*function.by, *([function.operand] if function.operand is not None else []))
        return matched_spans(self._search, pipeline, also, slots)


def matched_spans(
    search: TraceSearch, pipeline: Pipeline, also: tuple[Reference, ...], slots: Slots
) -> Iterator[tuple[Any, int]]:
    """The spans that a pipeline leaves and that started within the slots; `also` are fields to read beside its own."""
    low, high = slots.first_ns, slots.last_ns
    count = 0
    for view, spansets in search.matches(pipeline, (low, high), also):
        for place in {place for one in spansets for place in one.places}:
            if low <= view.spans[place].start_ns <= high:
                count += 1
                if count > MAX_SPANS:
                    raise LimitError(f"the query counts more than {MAX_SPANS} spans one by one; ask for a shorter time")
                yield view, place


class _Statement:
    """The SELECT of a function over one filter."""

    def __init__(self, where: Conditions, arrays: frozenset[str]) -> None:
        self._where = where
        self._arrays = arrays
        self.pushdown = Pushdown(where, arrays)

    def knows(self, function: Function) -> bool:
        """Whether SQL has the fields that a function needs."""
        operand = function.operand
        if not all(self._knows(one) for one in function.by):
            return False
        if isinstance(operand, IntrinsicField):
            return operand.which is Intrinsic.DURATION
        return operand is None or self._knows(operand)

    def _knows(self, reference: Reference) -> bool:
        if isinstance(reference, IntrinsicField):
            return reference.which in TEXT_COLUMNS or reference.which in _ENUMS
        return reference.scope in TYPE_PREFIXES or reference.scope is Scope.ANY

    def bound(self, function: Function, slots: Slots) -> None:
        """Add to the condition what counts: the time, and that there is a value."""
        where = self._where
        where.add(within(where.bind(slots.first_ns, "Int64"), where.bind(slots.last_ns, "Int64")))
        if function.name in BUCKETED:
            where.add(f"{self._plain(function)} >= 2")
        elif function.operand is not None:
            where.add(f"isNotNull({self._value(function)})")

    def counts(self, function: Function, slots: Slots) -> str:
        """The SELECT that counts: By0…, Slot, Bucket, N, Total, Least, Most."""
        bucket = "0"
        if function.name in BUCKETED:
            whole = f"toUInt64({self._plain(function)})"
            about = f"toUInt8(log2({whole}))"
            bucket = f"{about} + (bitShiftLeft(toUInt64(1), {about}) < {whole})"
        columns = [*self._head(function, slots), f"toUInt8({bucket}) AS Bucket", "count() AS N"]
        folds = _folds(self._value(function), function.operand is not None)
        columns += [f"ifNull({one}, 0.) AS {name}" for one, name in folds]
        keys = [f"By{place}" for place in range(len(function.by))] + ["Slot", "Bucket"]
        return f"SELECT {', '.join(columns)} FROM otel_traces WHERE {self._where} GROUP BY {', '.join(keys)}"

    def sample(self, function: Function, request: MetricsRequest) -> str:
        """The SELECT of spans that stand for points, drawn by their start: By0…, Slot, Trace, Start, Value.

        Only the start of every span is read to draw them.
        """
        columns = [
            *self._head(function, request.slots),
            "TraceId AS Trace",
            "toUnixTimestamp64Nano(Timestamp) AS Start",
            f"ifNull({self._value(function)}, 0.) AS Value",
        ]
        return (
            f"SELECT {', '.join(columns)} FROM otel_traces WHERE {self._where}"
            f" ORDER BY sipHash64(Timestamp) LIMIT {request.exemplars * _DRAWN}"
        )

    def _head(self, function: Function, slots: Slots) -> list[str]:
        groups = [f"{self._group(one)} AS By{place}" for place, one in enumerate(function.by)]
        start, step = self._where.bind(slots.start_ns, "Int64"), self._where.bind(slots.step_ns, "Int64")
        slot = "0" if slots.instant else f"intDiv(toUnixTimestamp64Nano(Timestamp) - {start} - 1, {step})"
        return [*groups, f"toInt64({slot}) AS Slot"]

    def rows(self, engine: Engine, function: Function, sql: str) -> Iterator[tuple[tuple[Value, ...], dict[str, Any]]]:
        """The rows of a SELECT: the group's values, and all columns by name."""
        frame = engine.query(sql, self._where.params, limits=_LIMITS)
        for row in zip(*(frame[name].tolist() for name in frame.columns), strict=True):
            named = dict(zip(map(str, frame.columns), row, strict=True))
            yield tuple(self.value(one, named[f"By{place}"]) for place, one in enumerate(function.by)), named

    def _value(self, function: Function) -> str:
        """The value in the unit that is shown, NULL where there is none."""
        plain = self._plain(function)
        return f"({plain} / 1e9)" if in_seconds(function.operand) else plain

    def _plain(self, function: Function) -> str:
        operand = function.operand
        if operand is None:
            return "0."
        if isinstance(operand, IntrinsicField):
            return "Duration"
        column = stored(self._where, operand)
        return f"if({column.kind} IN ('int', 'double'), toFloat64OrNull({column.text}), NULL)"

    def _group(self, reference: Reference) -> str:
        if isinstance(reference, IntrinsicField):
            return TEXT_COLUMNS.get(reference.which) or _ENUMS[reference.which][0]
        column = stored(self._where, reference)
        return f"if({column.present}, concat({column.kind}, '=', {column.text}), '')"

    def value(self, reference: Reference, text: str) -> Value:
        """A group's value from what the engine said."""
        if isinstance(reference, Attribute):
            return attribute_value(text)
        if reference.which not in _ENUMS:
            return text
        enum = _ENUMS[reference.which][1]
        known = {str(one.value): one for one in enum}
        return known.get(text.lower(), Status.UNSET if enum is Status else Kind.UNSPECIFIED)


def attribute_value(text: str) -> Value:
    """A value from `kind=text`; None from nothing."""
    kind, found, rest = text.partition("=")
    return restore(rest, kind) if found else None


def _folds(value: str, wanted: bool) -> list[tuple[str, str]]:
    if not wanted:
        return [("0.", "Total"), ("0.", "Least"), ("0.", "Most")]
    return [
        (f"toFloat64({fold}({value}))", name) for fold, name in (("sum", "Total"), ("min", "Least"), ("max", "Most"))
    ]
