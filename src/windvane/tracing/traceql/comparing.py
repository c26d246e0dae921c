"""`compare()`: which attributes tell the spans of a selection from all others.

Series are flat: for each attribute and each of its most frequent values how often it is seen in the
selection and in the baseline, the totals of each attribute, and a mark on attributes that have more
values than are shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from windvane.tracing.assembly import restore
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.traceql.candidates import within
from windvane.tracing.traceql.check import references
from windvane.tracing.traceql.fields import Value, matcher
from windvane.tracing.traceql.plan import Needs, single_filter, used
from windvane.tracing.traceql.pushdown import Pushdown, Sql
from windvane.tracing.traceql.search import TraceSearch
from windvane.tracing.traceql.series import SeriesData, Slots, Values
from windvane.tracing.traceql.simplify import simplify
from windvane.tracing.traceql.spansets import key_of
from windvane.tracing.traceql.syntax import Compare, Kind, Pipeline, Status
from windvane.tracing.traceql.view import TraceView

_STATUSES = {one.value: one for one in Status}
_KINDS = {one.value: one for one in Kind}


def compare(search: TraceSearch, pipeline: Pipeline, asked: Compare, slots: Slots) -> list[SeriesData]:
    """The series of a comparison."""
    counts = _Counts(slots, asked.top)
    if not _by_engine(search, pipeline, asked, slots, counts):
        _by_hand(search, pipeline, asked, slots, counts)
    return counts.series()


def _by_engine(search: TraceSearch, pipeline: Pipeline, asked: Compare, slots: Slots, counts: _Counts) -> bool:
    expression = single_filter(pipeline)
    if expression is None:
        return False
    where = Conditions()
    pushdown = Pushdown(where, search.arrays.known())
    condition, selection = (pushdown.condition(simplify(one)) for one in (expression, asked.selection.expression))
    if not (condition.exact and selection.exact):
        return False
    where.add(condition.text)
    where.add(within(where.bind(slots.first_ns, "Int64"), where.bind(slots.last_ns, "Int64")))
    frame = search.engine.query(_statement(where, selection, asked, slots), where.params)
    for selected, name, text, by_slot, count in zip(*(frame[one].tolist() for one in frame.columns), strict=True):
        del count
        counts.add(bool(selected), name, _value(name, text), by_slot)
    return True


def _statement(where: Conditions, selection: Sql, asked: Compare, slots: Slots) -> str:
    start, step = where.bind(slots.start_ns, "Int64"), where.bind(slots.step_ns, "Int64")
    slot = "0" if slots.instant else f"intDiv(toUnixTimestamp64Nano(Timestamp) - {start} - 1, {step})"
    selected = selection.text
    if asked.end_ns:
        bounds = within(where.bind(asked.start_ns, "Int64"), where.bind(asked.end_ns - 1, "Int64"))
        selected = f"({selected} AND {bounds})"
    pairs = ", ".join(
        [
            "[('name', concat('=', SpanName)), ('status', concat('=', lower(StatusCode))),"
            " ('kind', concat('=', lower(SpanKind))), ('statusMessage', concat('=', StatusMessage))]",
            *(
                f"arrayMap((k, v) -> (concat('{scope}.', k), concat(AttributeTypes[concat('{scope}.', k)], '=', v)),"
                f" mapKeys({column}), mapValues({column}))"
                for scope, column in (("span", "SpanAttributes"), ("resource", "ResourceAttributes"))
            ),
        ]
    )
    return (
        "SELECT Selected, Name, Value, sumMap(map(Slot, toUInt64(1))) AS BySlot, count() AS N FROM"
        f" (SELECT {selected} AS Selected, toInt64({slot}) AS Slot, pair.1 AS Name, pair.2 AS Value"
        f" FROM otel_traces ARRAY JOIN arrayConcat({pairs}) AS pair WHERE {where})"
        " GROUP BY Selected, Name, Value ORDER BY N DESC, Value"
    )


def _value(name: str, text: str) -> Value:
    kind, _, rest = text.partition("=")
    if name == "status":
        return _STATUSES.get(rest, Status.UNSET)
    if name == "kind":
        return _KINDS.get(rest, Kind.UNSPECIFIED)
    return restore(rest, kind)


def _by_hand(search: TraceSearch, pipeline: Pipeline, asked: Compare, slots: Slots, counts: _Counts) -> None:
    selects = matcher(simplify(asked.selection.expression))
    fields = [*references(asked.selection.expression), *(one for stage in pipeline.stages for one in used(stage))]
    some = Needs.of(fields)
    needs = Needs(None, some.events, some.links)
    for view, spansets in search.matches(pipeline, (slots.first_ns, slots.last_ns), fields, needs):
        for place in {place for one in spansets for place in one.places}:
            start = view.spans[place].start_ns
            if not slots.first_ns <= start <= slots.last_ns:
                continue
            inside = not asked.end_ns or asked.start_ns <= start < asked.end_ns
            selected = inside and selects(view, place)
            for name, value in _attributes(view, place):
                counts.add(selected, name, value, {slots.slot(start): 1})


def _attributes(view: TraceView, place: int) -> Iterator[tuple[str, Value]]:
    span = view.spans[place]
    yield "name", span.name
    yield "status", _STATUSES.get(span.status.lower(), Status.UNSET)
    yield "kind", _KINDS.get(span.kind.lower(), Kind.UNSPECIFIED)
    yield "statusMessage", span.status_message
    for key, value in span.attributes.items():
        yield f"span.{key}", value
    for key, value in span.resource.items():
        yield f"resource.{key}", value


@dataclass(slots=True)
class _Counts:
    slots: Slots
    top: int
    values: dict[tuple[bool, str], dict[Any, tuple[Value, Values]]] = field(default_factory=dict)

    def add(self, selected: bool, name: str, value: Value, by_slot: Mapping[int, int]) -> None:
        group = self.values.setdefault((selected, name), {})
        key = key_of(value)
        if key not in group:
            group[key] = (value, np.zeros(self.slots.count))
        counts = group[key][1]
        for slot, count in by_slot.items():
            counts[int(slot)] += count

    def series(self) -> list[SeriesData]:
        made = []
        too_many = set()
        for (selected, name), group in sorted(self.values.items()):
            kind = "selection" if selected else "baseline"
            ranked = sorted(group.items(), key=lambda item: (-item[1][1].sum(), repr(item[0])))
            if len(ranked) > self.top:
                too_many.add(name)
            made += [
                SeriesData((("__meta_type", kind), (name, value)), counts) for _, (value, counts) in ranked[: self.top]
            ]
            total = np.sum([counts for _, counts in group.values()], axis=0)
            made.append(SeriesData((("__meta_type", f"{kind}_total"), (name, None)), total))
        nothing = np.zeros(self.slots.count)
        made += [
            SeriesData((("__meta_error", "__too_many_values__"), (name, None)), nothing) for name in sorted(too_many)
        ]
        return made
