"""From rows to traces: read by trace id, restore attribute types, put spans in one order.

The order is total (start, id, then the whole content), so any order of arrival and any number of
repeated deliveries assemble to the same value. Identical copies of a span are one span even when
adjusters are skipped: a sender that retries did not make the request twice.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import orjson
import pandas as pd

from windvane.store.api import Engine
from windvane.tracing.model import Attributes, AttributeValue, Event, Link, Span, Trace

COLUMNS = """TraceId, SpanId, ParentSpanId, TraceState, SpanName, SpanKind, ServiceName, ScopeName, ScopeVersion,
 toUnixTimestamp64Nano(Timestamp) AS Start, Duration, StatusCode, StatusMessage,
 ResourceAttributes, ScopeAttributes, SpanAttributes, AttributeTypes,
 arrayMap(t -> toUnixTimestamp64Nano(t), `Events.Timestamp`) AS EventTimes, `Events.Name` AS EventNames,
 `Events.Attributes` AS EventAttributes, `Links.TraceId` AS LinkTraces, `Links.SpanId` AS LinkSpans,
 `Links.TraceState` AS LinkStates, `Links.Attributes` AS LinkAttributes"""


def read_traces(engine: Engine, trace_ids: Sequence[str], window_ns: tuple[int, int] | None = None) -> list[Trace]:
    """The traces with these ids (32 hex characters), in the order asked; ids without a span are left out.

    `window_ns` bounds the spans' start times (both ends included); without it every kept span counts.
    """
    if not trace_ids:
        return []
    where = "TraceId IN {ids:Array(String)}"
    params: dict[str, Any] = {"ids": list(dict.fromkeys(trace_ids))}
    if window_ns is not None:
        where += " AND Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
        params |= {"low": window_ns[0], "high": window_ns[1]}
    spans = spans_of(engine.query(f"SELECT {COLUMNS} FROM otel_traces WHERE {where}", params))
    found = {trace.trace_id: trace for trace in assemble(spans)}
    return [found[trace_id] for trace_id in params["ids"] if trace_id in found]


def assemble(spans: Iterable[Span]) -> list[Trace]:
    """Group spans into traces; identical copies count once."""
    unique: dict[bytes, Span] = {content(span): span for span in spans}
    groups: dict[str, list[tuple[int, str, bytes, Span]]] = {}
    for key, span in unique.items():
        groups.setdefault(span.trace_id, []).append((span.start_ns, span.span_id, key, span))
    return [
        Trace(trace_id, tuple(item[3] for item in sorted(items, key=lambda item: item[:3])))
        for trace_id, items in groups.items()
    ]


_values = attrgetter(*Span.__slots__)


def content(span: Span) -> bytes:
    """Bytes that are equal exactly when two spans say the same (attribute order does not matter)."""
    return orjson.dumps(_values(span), default=_plain, option=orjson.OPT_SORT_KEYS)


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return {"bytes": value.hex()}
    return dict(value) if isinstance(value, Mapping) else str(value)


def spans_of(frame: pd.DataFrame) -> list[Span]:
    """Typed spans from the rows of `SELECT {COLUMNS}`."""
    return [_span(row) for row in zip(*(frame[name].tolist() for name in frame.columns), strict=True)]


def _span(row: tuple[Any, ...]) -> Span:
    (trace_id, span_id, parent_id, state, name, kind, service, scope_name, scope_version, start, duration, status,
     message, resource, scope, attributes, types, times, names, events, link_traces, link_spans, link_states,
     links) = row  # fmt: skip
    return Span(
        trace_id=trace_id, span_id=span_id, parent_id=parent_id, name=name, kind=kind, service=service,
        start_ns=start, duration_ns=duration, status=status, status_message=message, trace_state=state,
        scope_name=scope_name, scope_version=scope_version,
        scope=typed(scope, types, "scope."), resource=typed(resource, types, "resource."),
        attributes=typed(attributes, types, "span."),
        events=tuple(Event(int(times[i]), names[i], typed(events[i], types, f"event.{i}.")) for i in range(len(names))),
        links=tuple(
            Link(link_traces[i], link_spans[i], link_states[i], typed(links[i], types, f"link.{i}."))
            for i in range(len(link_traces))
        ),
    )  # fmt: skip


def typed(attributes: Mapping[str, str], types: Mapping[str, str], prefix: str) -> Attributes:
    """Attributes with the types that the store noted for them; what it did not note is a string."""
    restored: dict[str, AttributeValue] = dict(attributes)
    if types:
        for key, text in attributes.items():
            kind = types.get(prefix + key)
            if kind is not None:
                restored[key] = restore(text, kind)
    return restored


def restore(text: str, kind: str) -> AttributeValue:
    """The value that was stored as `text` under a type's name; text that does not fit stays text."""
    parse = _PARSERS.get(kind)
    if parse is None:
        return text
    try:
        return parse(text)
    except (ValueError, binascii.Error):
        return text


_PARSERS: dict[str, Callable[[str], AttributeValue]] = {
    "bool": lambda text: text == "true",
    "int": int,
    "double": float,
    "bytes": lambda text: base64.b64decode(text, validate=True),
    "array": orjson.loads,
    "kvlist": orjson.loads,
}
