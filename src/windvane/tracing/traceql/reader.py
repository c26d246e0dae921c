"""Spans out of the store with no more columns than a query looks at."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import pandas as pd

from windvane.store.api import Engine
from windvane.tracing.assembly import typed
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.model import Event, Link, Span
from windvane.tracing.traceql.plan import Needs

_ALWAYS = (
    "TraceId, SpanId, ParentSpanId, SpanName, SpanKind, ServiceName, toUnixTimestamp64Nano(Timestamp) AS Start,"
    " Duration, StatusCode, StatusMessage, ScopeName, ScopeVersion"
)
_EVENTS = (
    "arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`) AS EventTimes, `Events.Name` AS EventNames,"
    " `Events.Attributes` AS EventAttributes"
)
_LINKS = "`Links.TraceId` AS LinkTraces, `Links.SpanId` AS LinkSpans, `Links.Attributes` AS LinkAttributes"
_MAPS = ("SpanAttributes", "ResourceAttributes", "ScopeAttributes")
_NO_ATTRIBUTES: Mapping[str, str] = {}
_SCOPES = ("span.", "resource.", "scope.")


def read_spans(engine: Engine, where: Conditions, needs: Needs, tail: str = "") -> list[Span]:
    """The spans of a condition, in no order; copies of one span count once. `tail` is SQL after WHERE."""
    frame = engine.query(f"SELECT {_columns(where, needs)} FROM otel_traces WHERE {where} {tail}", where.params)
    return list(_unique(_spans(frame)))


def by_trace(spans: Iterable[Span]) -> dict[str, list[Span]]:
    """Spans by trace id, each group in the order of start, then id."""
    groups: dict[str, list[Span]] = {}
    for span in spans:
        groups.setdefault(span.trace_id, []).append(span)
    for group in groups.values():
        group.sort(key=lambda span: (span.start_ns, span.span_id, span.kind))
    return groups


def _columns(where: Conditions, needs: Needs) -> str:
    columns = [_ALWAYS]
    if needs.names is None:
        columns += [*_MAPS, "AttributeTypes"]
    elif needs.names:
        names = where.bind(sorted(needs.names), "Array(String)")
        columns += [f"mapFilter((k, v) -> has({names}, k), {column}) AS {column}Kept" for column in _MAPS]
        if needs.events or needs.links:
            columns.append("AttributeTypes")
        else:
            keys = where.bind([scope + name for scope in _SCOPES for name in sorted(needs.names)], "Array(String)")
            columns.append(f"mapFilter((k, v) -> has({keys}, k), AttributeTypes) AS AttributeTypesKept")
    elif needs.events or needs.links:
        columns.append("AttributeTypes")
    return ", ".join(columns + [_EVENTS] * needs.events + [_LINKS] * needs.links)


def _spans(frame: pd.DataFrame) -> Iterator[Span]:
    columns = {str(name).removesuffix("Kept"): frame[name].tolist() for name in frame.columns}
    nothing: Sequence[Any] = [_NO_ATTRIBUTES] * len(frame)
    types = columns.get("AttributeTypes", nothing)
    attributes, resource, scope = (columns.get(name, nothing) for name in _MAPS)
    for row in range(len(frame)):
        kinds = types[row]
        yield Span(
            trace_id=columns["TraceId"][row], span_id=columns["SpanId"][row], parent_id=columns["ParentSpanId"][row],
            name=columns["SpanName"][row], kind=columns["SpanKind"][row], service=columns["ServiceName"][row],
            start_ns=columns["Start"][row], duration_ns=columns["Duration"][row], status=columns["StatusCode"][row],
            status_message=columns["StatusMessage"][row], scope_name=columns["ScopeName"][row],
            scope_version=columns["ScopeVersion"][row],
            attributes=typed(attributes[row], kinds, "span."), resource=typed(resource[row], kinds, "resource."),
            scope=typed(scope[row], kinds, "scope."),
            events=_events(columns, row, kinds), links=_links(columns, row, kinds),
        )  # fmt: skip


def _events(columns: Mapping[str, Sequence[Any]], row: int, kinds: Mapping[str, str]) -> tuple[Event, ...]:
    if "EventNames" not in columns:
        return ()
    rows = zip(columns["EventTimes"][row], columns["EventNames"][row], columns["EventAttributes"][row], strict=True)
    return tuple(
        Event(int(time), name, typed(attributes, kinds, f"event.{place}."))
        for place, (time, name, attributes) in enumerate(rows)
    )


def _links(columns: Mapping[str, Sequence[Any]], row: int, kinds: Mapping[str, str]) -> tuple[Link, ...]:
    if "LinkTraces" not in columns:
        return ()
    rows = zip(columns["LinkTraces"][row], columns["LinkSpans"][row], columns["LinkAttributes"][row], strict=True)
    return tuple(
        Link(trace, span, "", typed(attributes, kinds, f"link.{place}."))
        for place, (trace, span, attributes) in enumerate(rows)
    )


def _unique(spans: Iterable[Span]) -> Iterator[Span]:
    """A sender that retries did not make the request twice."""
    seen: dict[tuple[str, str, int, int], list[Span]] = {}
    for span in spans:
        same = seen.setdefault((span.trace_id, span.span_id, span.start_ns, span.duration_ns), [])
        if span not in same:
            same.append(span)
            yield span
