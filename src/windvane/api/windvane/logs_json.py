"""Lines as answers have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from windvane.store.api import Engine
from windvane.tracing.completion import Fields
from windvane.tracing.logs.lines import Line
from windvane.tracing.logs.patterns import LinePattern, query_of
from windvane.tracing.logs.sources import severity_word
from windvane.tracing.logs.traces import traces_of


def lines_json(engine: Engine, found: Iterable[Line]) -> list[dict[str, Any]]:
    """Lines, with the trace of those that name only their request."""
    listed = list(found)
    traces = traces_of(engine, listed)
    return [line_json(line, traces) for line in listed]


def line_json(line: Line, traces: Mapping[str, str]) -> dict[str, Any]:
    """One line; `traces` are trace ids by request id."""
    found = "" if line.trace_id else traces.get(line.request_id, "")
    return {
        "id": f"{line.kind}-{line.place.time_ns}-{line.place.block}-{line.place.offset}",
        "kind": line.kind,
        "time": moment(line.place.time_ns),
        "severity": line.severity_word,
        "severity_number": line.severity,
        "severity_text": line.severity_text,
        "service": line.service,
        "body": line.body,
        "trace_id": line.trace_id or found,
        "trace_by": "own" if line.trace_id else "request_id" if found else "",
        "span_id": line.span_id,
        "request_id": line.request_id,
        "event": line.event,
        "scope": line.scope,
        "attributes": line.attributes,
        "resource": line.resource,
        "entry": line.entry,
    }


def pattern_json(pattern: LinePattern, lines: int, *, compared: bool) -> dict[str, Any]:
    """One pattern among so many lines."""
    change = ("new" if not pattern.before else "" if pattern.count else "gone") if compared else ""
    return {
        "kind": pattern.kind,
        "template": pattern.template,
        "status": pattern.status,
        "count": pattern.count,
        "share": pattern.count / lines if lines else 0.0,
        "before": pattern.before if compared else None,
        "change": change,
        "severity": severity_word(pattern.severity),
        "services": sorted(pattern.services),
        "first": moment(pattern.first_ns) if pattern.count else "",
        "last": moment(pattern.last_ns) if pattern.count else "",
        "example": pattern.example,
        "query": query_of(pattern),
    }


def fields_json(found: Fields) -> dict[str, Any]:
    """Names for completion."""
    listed = [
        {
            "name": field.name,
            "scope": field.scope,
            "lines": field.spans,
            "different": field.different,
            "values": [{"value": value.value, "lines": value.spans} for value in field.values],
        }
        for field in found.fields
    ]
    return {"lines": found.spans, "fields": listed}


def moment(nanoseconds: int) -> str:
    """ISO 8601 with nanoseconds, UTC."""
    return f"{np.datetime64(nanoseconds, 'ns')}Z"
