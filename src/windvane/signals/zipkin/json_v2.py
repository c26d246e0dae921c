"""Zipkin v2 spans in JSON (https://zipkin.io/zipkin-api/zipkin2-api.yaml)."""

from __future__ import annotations

from typing import Any

from windvane.signals.spans.encode import Translated, translated
from windvane.signals.spans.model import (
    INTERNAL,
    KINDS,
    UNSPECIFIED,
    Event,
    Span,
    microseconds,
    parent_id_of,
    span_id_of,
    trace_id_of,
    wrong,
)
from windvane.signals.zipkin.common import absent_start, decoded, describe, endpoint, event, hexadecimal, tags

_KINDS = {name.upper(): kind for name, kind in KINDS.items() if kind != INTERNAL}


def read(body: bytes, now_ns: int) -> Translated:
    """The spans of a list; `BadInputError` when it is none."""
    return translated(decoded(body), lambda item: [_span(item, now_ns)])


def _span(item: Any, now_ns: int) -> Span:
    if not isinstance(item, dict):
        raise wrong("it", item, "an object")
    get = item.get
    span_id = span_id_of(hexadecimal(get("id"), 8, "id"), "id")
    parent = get("parentId")
    start, length = microseconds(get("timestamp"), "timestamp"), microseconds(get("duration"), "duration")
    span = Span(
        trace_id_of(hexadecimal(get("traceId"), 16, "traceId"), "traceId"),
        span_id,
        parent_id_of(hexadecimal(parent, 8, "parentId"), span_id) if parent else b"",
        name_of(get("name")),
        _kind(get("kind")),
        start,
        start + length,
        tags(get("tags")),
        {},
        _events(get("annotations")),
        [],
    )
    if not span.start:
        absent_start(span, now_ns)
    describe(span, endpoint(get("localEndpoint"), "localEndpoint"), endpoint(get("remoteEndpoint"), "remoteEndpoint"))
    return span


def name_of(value: Any) -> str:
    """The span's name; none is empty."""
    if value is None:
        return ""
    if not isinstance(value, str):
        raise wrong("name", value, "a string")
    return value


def _kind(value: Any) -> int:
    if not value:
        return UNSPECIFIED
    kind = _KINDS.get(str(value).upper())
    if kind is None:
        raise wrong("kind", value, "CLIENT, SERVER, PRODUCER or CONSUMER")
    return kind


def _events(value: Any) -> list[Event]:
    if not value:
        return []
    if not isinstance(value, list):
        raise wrong("annotations", value, "a list")
    found = []
    for item in value:
        if not isinstance(item, dict):
            raise wrong("annotation", item, "an object")
        found.append(event(microseconds(item.get("timestamp"), "annotation.timestamp"), item.get("value")))
    return found
