"""What a list of results shows of traces, and of the spans that matched, without reading whole traces."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.store.api import Engine
from windvane.tracing.search import TraceQuery, conditions


@dataclass(frozen=True, slots=True)
class ServiceCount:
    """Spans of one service in a trace, and how many of them failed (status Error)."""

    name: str
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One trace, all its kept spans counted (identical copies once).

    The root is the earliest span without a parent, or, where none was received, the earliest of all. Orphans are
    spans whose parent was not received. Services come by name.
    """

    trace_id: str
    root_service: str
    root_name: str
    start_ns: int
    end_ns: int
    spans: int
    errors: int
    orphans: int
    services: tuple[ServiceCount, ...]

    @property
    def duration_ns(self) -> int:
        return self.end_ns - self.start_ns


@dataclass(frozen=True, slots=True)
class MatchedSpan:
    """A span that satisfies a query; `kind` and `status` in small letters."""

    span_id: str
    service: str
    name: str
    kind: str
    status: str
    start_ns: int
    duration_ns: int


@dataclass(frozen=True, slots=True)
class Matches:
    """How many spans of a trace satisfy a query, and the earliest of them."""

    count: int = 0
    spans: tuple[MatchedSpan, ...] = ()


_ROOT_FIRST = "(ParentSpanId != '', Start, SpanId)"
_BY_SERVICE = f"""
SELECT TraceId, ServiceName, count() AS Spans, countIf(StatusCode = 'Error') AS Errors, min(Start) AS First,
    max(Start + toInt64(Duration)) AS Last, min(ParentSpanId != '') AS Below, argMin(SpanName, {_ROOT_FIRST}) AS Root,
    argMin(Start, {_ROOT_FIRST}) AS RootStart, argMin(SpanId, {_ROOT_FIRST}) AS RootId
FROM (SELECT DISTINCT TraceId, SpanId, ParentSpanId, ServiceName, SpanName, SpanKind, StatusCode, Duration,
          toUnixTimestamp64Nano(Timestamp) AS Start
      FROM otel_traces WHERE TraceId IN {{ids:Array(String)}})
GROUP BY TraceId, ServiceName ORDER BY ServiceName"""

_ORPHANS = """
SELECT TraceId, uniqExact(SpanId) AS Orphans FROM otel_traces
WHERE TraceId IN {ids:Array(String)} AND ParentSpanId != '' AND (TraceId, ParentSpanId) NOT IN
    (SELECT TraceId, SpanId FROM otel_traces WHERE TraceId IN {ids:Array(String)})
GROUP BY TraceId"""


def summaries(engine: Engine, trace_ids: Sequence[str]) -> list[TraceSummary]:
    """Summaries of the traces with these ids, in the order asked; ids without a span are left out."""
    if not trace_ids:
        return []
    params = {"ids": list(dict.fromkeys(trace_ids))}
    orphans = engine.query(_ORPHANS, params)
    lost = dict(zip(orphans["TraceId"].tolist(), orphans["Orphans"].tolist(), strict=True))
    frame = engine.query(_BY_SERVICE, params)
    groups: dict[str, list[tuple[object, ...]]] = {}
    for row in frame.itertuples(index=False, name=None):
        groups.setdefault(row[0], []).append(row)
    return [_summary(i, groups[i], int(lost.get(i, 0))) for i in params["ids"] if i in groups]


def _summary(trace_id: str, rows: list[tuple[object, ...]], orphans: int) -> TraceSummary:
    """One trace from its rows, one a service: (…, Spans, Errors, First, Last, Below, Root, RootStart, RootId)."""
    services = tuple(ServiceCount(str(row[1]), _int(row[2]), _int(row[3])) for row in rows)
    root = min(rows, key=lambda row: (_int(row[6]), _int(row[8]), str(row[9])))
    return TraceSummary(
        trace_id=trace_id,
        root_service=str(root[1]),
        root_name=str(root[7]),
        start_ns=min(_int(row[4]) for row in rows),
        end_ns=max(_int(row[5]) for row in rows),
        spans=sum(service.spans for service in services),
        errors=sum(service.errors for service in services),
        orphans=orphans,
        services=services,
    )


def _int(value: object) -> int:
    return int(str(value))


def matches(engine: Engine, query: TraceQuery, trace_ids: Sequence[str], each: int = 3) -> dict[str, Matches]:
    """By trace, what satisfies the query (in its time bounds): all are counted, the earliest `each` are told."""
    if not trace_ids:
        return {}
    where = conditions(engine, query)
    params = {**where.params, "ids": list(trace_ids), "low": query.start_ns, "high": query.end_ns}
    frame = engine.query(
        "SELECT *, count() OVER (PARTITION BY TraceId) AS Matched FROM (SELECT DISTINCT"
        " TraceId, SpanId, ServiceName, SpanName, lower(SpanKind) AS Kind, lower(StatusCode) AS Status,"
        " toUnixTimestamp64Nano(Timestamp) AS Start, Duration"
        f" FROM otel_traces WHERE {where} AND TraceId IN {{ids:Array(String)}} AND Timestamp"
        " BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64}))"
        f" ORDER BY TraceId, Start, SpanId LIMIT {max(1, each)} BY TraceId",
        params,
    )
    found: dict[str, Matches] = {}
    for trace_id, span_id, service, name, kind, status, start, duration, count in frame.itertuples(
        index=False, name=None
    ):
        span = MatchedSpan(span_id, service, name, kind, status, int(start), int(duration))
        known = found.get(trace_id, Matches(int(count)))
        found[trace_id] = Matches(known.count, (*known.spans, span)[:each])
    return found
