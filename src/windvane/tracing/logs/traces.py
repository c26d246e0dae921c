"""From a trace to its lines, and from lines to their traces, by trace id and by request id."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from windvane.store.api import Engine
from windvane.store.tokens import token
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.logs.lines import REQUEST_ID_ATTRIBUTES, Line, columns, lines
from windvane.tracing.logs.sources import SOURCES, Source

SPAN_REQUEST_ID = "guid:x-request-id"
"""Envoy's attribute of a request's spans."""

_MOST_REQUESTS = 1_000


@dataclass(frozen=True, slots=True)
class TraceLines:
    """Lines of a trace in the order of time; `more`: there are further ones."""

    request_ids: list[str]
    lines: list[Line]
    more: bool


def trace_lines(engine: Engine, trace_id: str, limit: int) -> TraceLines:
    """Lines that name the trace, or a request id that its spans or access-log entries name."""
    requests = _requests(engine, trace_id)
    found: list[list[Line]] = []
    for source in SOURCES:
        where = Conditions()
        where.add(_of_trace(source, where, trace_id, requests))
        frame = engine.query(
            f"SELECT {columns(source)} FROM {source.table} WHERE {where}"
            f" ORDER BY Timestamp, _block_number, _block_offset LIMIT {limit + 1}",
            where.params,
        )
        found.append(lines(source, frame))
    merged = list(heapq.merge(*found, key=lambda line: line.place))
    return TraceLines(requests, merged[:limit], len(merged) > limit)


def _requests(engine: Engine, trace_id: str) -> list[str]:
    frame = engine.query(
        "SELECT DISTINCT Id FROM (SELECT RequestId AS Id FROM envoy_access_logs WHERE TraceId = {trace:String}"
        f" UNION ALL SELECT SpanAttributes['{SPAN_REQUEST_ID}'] AS Id FROM otel_traces"
        " WHERE TraceId = {trace:String})"
        f" WHERE Id != '' ORDER BY Id LIMIT {_MOST_REQUESTS}",
        {"trace": trace_id},
    )
    return [str(one) for one in frame["Id"].tolist()]


def _of_trace(source: Source, where: Conditions, trace_id: str, requests: Sequence[str]) -> str:
    either = [f"TraceId = {where.bind(trace_id)}"]
    if requests and source.kind == "access":
        either.append(f"RequestId IN {where.bind(list(requests), 'Array(String)')}")
    elif requests:
        ids = where.bind(list(requests), "Array(String)")
        tokens = [token(name, one) for one in requests for name in REQUEST_ID_ATTRIBUTES]
        named = " OR ".join(f"has({ids}, LogAttributes['{name}'])" for name in REQUEST_ID_ATTRIBUTES)
        either.append(f"(hasAnyTokens(SearchTokens, {where.bind(tokens, 'Array(String)')}) AND ({named}))")
    return "(" + " OR ".join(either) + ")"


def traces_of(engine: Engine, found: Iterable[Line]) -> dict[str, str]:
    """Request id → trace id, for those lines that name a request and no trace; ids that no trace has are left out."""
    requests = sorted({line.request_id for line in found if line.request_id and not line.trace_id})[:_MOST_REQUESTS]
    if not requests:
        return {}
    tokens = [token(SPAN_REQUEST_ID, one) for one in requests]
    frame = engine.query(
        "SELECT Id, any(Trace) AS Trace FROM (SELECT RequestId AS Id, TraceId AS Trace FROM envoy_access_logs"
        " WHERE has({ids:Array(String)}, RequestId) AND TraceId != ''"
        f" UNION ALL SELECT SpanAttributes['{SPAN_REQUEST_ID}'] AS Id, TraceId AS Trace FROM otel_traces"
        " WHERE hasAnyTokens(SearchTokens, {tokens:Array(String)}) AND has({ids:Array(String)}, Id)) GROUP BY Id",
        {"ids": requests, "tokens": tokens},
    )
    return dict(zip(frame["Id"].tolist(), frame["Trace"].tolist(), strict=True))
