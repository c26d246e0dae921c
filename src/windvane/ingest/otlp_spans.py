"""Spans as blocks of the engine's Native format: what proxies send needs no decoding there.

The rows are the same as those of `windvane.signals.otlp.decode`; requests that this way is not for
(events, links, doubles, bytes) take that one.
"""

from __future__ import annotations

import numpy as np

from windvane.signals.otlp.columns import (
    KEYS,
    KINDS,
    NAMES,
    SCOPES,
    SERVICES,
    VERSIONS,
    Maps,
    SpanColumns,
    Types,
    span_columns,
)
from windvane.store.api import PayloadInsert
from windvane.store.native import Column, block, coded, coded_maps, coded_pairs, insert_of

_SPAN_KINDS = (b"Unspecified", b"Internal", b"Server", b"Client", b"Producer", b"Consumer")
_STATUSES = (b"Unset", b"Ok", b"Error")
_TYPES = [kind.encode() for kind in KINDS]


def native_spans(payload: bytes, spans: int) -> bytes | None:
    """A checked request as a block for `SPANS_INSERT`; None for one that the engine must decode."""
    found = span_columns(payload, spans)
    return None if found is None else block(_columns(found), found.rows)


def warm() -> None:
    """Compile (or load from the cache on disk) now rather than with the first request."""
    native_spans(b"\x0a\x00", 0)


def _columns(found: SpanColumns) -> list[Column]:
    texts = found.texts
    keys = texts[KEYS]
    return [
        Column("Timestamp", "DateTime64(9, 'UTC')", found.start.astype("<i8", copy=False).tobytes()),
        Column("TraceId", "String", found.trace_id.tobytes()),
        Column("SpanId", "String", found.span_id.tobytes()),
        Column("ParentSpanId", "String", found.parent_id.tobytes()),
        Column("TraceState", "String", found.trace_state.tobytes()),
        coded("SpanName", found.name, texts[NAMES]),
        coded("SpanKind", found.kind, _SPAN_KINDS),
        coded("ServiceName", found.service, texts[SERVICES]),
        _maps("ResourceAttributes", found.resource, keys),
        coded("ScopeName", found.scope, texts[SCOPES]),
        coded("ScopeVersion", found.version, texts[VERSIONS]),
        _maps("ScopeAttributes", found.scope_attributes, keys),
        _maps("SpanAttributes", found.attributes, keys),
        Column("Duration", "UInt64", found.duration.astype("<u8", copy=False).tobytes()),
        coded("StatusCode", found.status, _STATUSES),
        Column("StatusMessage", "String", found.message.tobytes()),
        coded_pairs(
            "AttributeTypes", found.types.ends, found.types.keys, found.type_keys, found.types.values, _TYPES
        ),
    ]  # fmt: skip


def _maps(name: str, maps: Maps, keys: list[bytes]) -> Column:
    return coded_maps(name, maps.ends, maps.keys, keys, maps.values.tobytes())


def _nothing() -> SpanColumns:
    none, words, data = np.zeros(0, np.uint64), np.zeros(0, np.uint16), np.zeros(0, np.uint8)
    maps = Maps(none, words, data)
    return SpanColumns(
        0, none.view(np.int64), none, words, words, words, words, words, words, data, data, data, data, data,
        maps, maps, maps, Types(none, words, words), tuple([] for _ in range(8)), [],
    )  # fmt: skip


SPANS_INSERT: PayloadInsert = insert_of("otel_traces", _columns(_nothing()))
