"""Traces kept beyond retention, because somebody asked to keep them.

An archived trace is copied, not moved: until retention takes it from the table of spans it is in
both, which is one trace all the same, since identical copies of a span count once. Archiving again
adds what arrived in the meantime.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from windvane.kit.errors import NotFoundError
from windvane.store.api import Engine
from windvane.tracing.assembly import COLUMNS, assemble, spans_of
from windvane.tracing.model import Trace

_STORED = """Timestamp, TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName,
 ResourceAttributes, ScopeName, ScopeVersion, SpanAttributes, Duration, StatusCode, StatusMessage,
 `Events.Timestamp`, `Events.Name`, `Events.Attributes`,
 `Links.TraceId`, `Links.SpanId`, `Links.TraceState`, `Links.Attributes`, ScopeAttributes, AttributeTypes"""


def archive(engine: Engine, trace_id: str, window_ns: tuple[int, int] | None = None) -> None:
    """Keep the spans of a trace (32 hex characters) for ever; `NotFoundError` when there are none.

    `window_ns` bounds the start times of the spans that are kept (both ends included).
    """
    where, params = _where([trace_id], window_ns)
    if not _any(engine, "otel_traces", where, params):
        if _any(engine, "otel_traces_archive", where, params):
            return  # retention took it: what was kept stays
        raise NotFoundError("trace not found")
    content = f"sipHash128({_STORED})"
    engine.command(
        f"INSERT INTO otel_traces_archive ({_STORED}) SELECT {_STORED} FROM otel_traces WHERE {where}"
        f" AND {content} NOT IN (SELECT {content} FROM otel_traces_archive WHERE {where})",
        params,
    )


def read_kept(engine: Engine, trace_ids: Sequence[str], window_ns: tuple[int, int] | None = None) -> list[Trace]:
    """The traces with these ids from the table of spans and from the archive together, in the order asked.

    As `read_traces`, which does not look into the archive: an id without a span is left out. A trace
    of which retention took a part is whole again.
    """
    if not trace_ids:
        return []
    where, params = _where(trace_ids, window_ns)
    rows = " UNION ALL ".join(
        f"SELECT {COLUMNS} FROM {table} WHERE {where}" for table in ("otel_traces", "otel_traces_archive")
    )
    found = {trace.trace_id: trace for trace in assemble(spans_of(engine.query(rows, params)))}
    return [found[trace_id] for trace_id in params["ids"] if trace_id in found]


def _any(engine: Engine, table: str, where: str, params: dict[str, Any]) -> bool:
    return len(engine.query(f"SELECT 1 FROM {table} WHERE {where} LIMIT 1", params)) > 0


def _where(trace_ids: Sequence[str], window_ns: tuple[int, int] | None) -> tuple[str, dict[str, Any]]:
    where, params = "TraceId IN {ids:Array(String)}", {"ids": list(dict.fromkeys(trace_ids))}
    if window_ns is None:
        return where, params
    bounds = {"low": window_ns[0], "high": window_ns[1]}
    where += " AND Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
    return where, params | bounds
