"""Spans of many traces from the store, as columns.

Names travel as hashes and ids as numbers, so a span is 56 bytes on its way and no Python object. What a hash stands for
is asked of one trace that has it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from windvane.kit.errors import BadInputError, LimitError
from windvane.store.api import Engine, Limits
from windvane.tracing.analysis.spans import (
    ERROR,
    KINDS,
    MAX_DURATION_NS,
    STATUSES,
    Columns,
    Ints,
    Keys,
    Name,
    Spans,
    arrange,
)  # fmt: skip

MAX_SPANS = 5_000_000
"""Spans that one analysis reads; more is a `LimitError`."""

MARGIN_NS = 3_600 * 10**9
"""So long before and after the time asked for, spans of a trace found there count as well."""

_LIMITS = Limits(seconds=60.0, memory_bytes=4 << 30, rows=MAX_SPANS)
_MIXERS = (0x9E3779B97F4A7C15, 0xC2B2AE3D27D4EB4F, 0xFF51AFD7ED558CCD)
_WORD = (1 << 64) - 1

TRACE = (
    "reinterpretAsUInt64(reverse(unhex(substring(TraceId, 17, 16))))"
    " + reinterpretAsUInt64(reverse(unhex(substring(TraceId, 1, 16)))) * toUInt64({mixer})"
)
"""SQL: the number of a trace (see `trace_keys`)."""

# A span id of another length than OTLP's (8 bytes) is known by a hash.
_ID = "if(length({id}) = 16, reinterpretAsUInt64(reverse(unhex({id}))), if({id} = '', toUInt64(0), sipHash64({id})))"
_NAMED = "sipHash64(CAST(ServiceName AS String), CAST(SpanName AS String))"
_CODES = "transform(CAST({column} AS String), {names}, {numbers}, toUInt8(0))"

Window = tuple[int, int]


def read_spans(engine: Engine, trace_ids: Sequence[str], window_ns: Window | None = None) -> Spans:
    """The spans of these traces (ids of 32 hex characters); traces without a span are left out.

    `window_ns` bounds the spans' start times (both ends included, with `MARGIN_NS` around them); without it every
    kept span counts. Raises `LimitError` for more than `MAX_SPANS`.
    """
    asked = list(dict.fromkeys(trace_ids))
    keys, mixer = trace_keys(asked)
    where, params = among(asked, window_ns)
    sql = (
        f"SELECT {TRACE.format(mixer=mixer)} AS T, {_ID.format(id='SpanId')} AS I,"
        f" {_ID.format(id='ParentSpanId')} AS P, toUnixTimestamp64Nano(Timestamp) AS S, Duration AS D,"
        f" {_code('SpanKind', KINDS)} AS K,"
        f" if(StatusCode != 'Error' AND SpanAttributes['error'] = 'true', toUInt8({ERROR}),"
        f" {_code('StatusCode', STATUSES)}) AS E, {_NAMED} AS N FROM otel_traces WHERE {where}"
    )
    read = _columns(engine, sql, params) if asked else None
    if read is None:
        none, no_id = np.empty(0, np.int64), np.empty(0, np.uint64)
        return arrange(Columns(none, no_id, no_id, none, none, none, none, none), [], [])
    trace, present = _numbered(read["T"], keys)
    hashes, name = np.unique(read["N"], return_inverse=True)
    first = np.full(len(hashes), -1, np.int64)
    first[name] = trace
    found = [asked[number] for number in present.tolist()]
    names = _names(engine, hashes, [found[number] for number in np.unique(first).tolist()], window_ns)
    duration = np.minimum(read["D"], np.uint64(MAX_DURATION_NS)).astype(np.int64)
    columns = Columns(trace, read["I"], read["P"], read["S"], duration, read["K"], read["E"], name.astype(np.int64))
    return arrange(columns, names, found)


_TYPES: dict[str, type[np.generic]] = {
    "T": np.uint64, "I": np.uint64, "P": np.uint64, "S": np.int64, "D": np.uint64, "K": np.int64, "E": np.int64,
    "N": np.uint64,
}  # fmt: skip


def trace_keys(trace_ids: Sequence[str]) -> tuple[Keys, int]:
    """A number for each trace id (32 hex characters), all different, and the multiplier of the high half in it."""
    try:
        halves = [(int(one[:16], 16), int(one[16:], 16)) for one in trace_ids if len(one) == 32 or _refuse(one)]
    except ValueError as error:
        raise BadInputError(f"not a trace id: {error}") from None
    for mixer in _MIXERS:
        keys = {(low + high * mixer) & _WORD for high, low in halves}
        if len(keys) == len(halves):
            break
    return np.array([(low + high * mixer) & _WORD for high, low in halves], np.uint64), mixer


def _refuse(trace_id: str) -> bool:
    raise BadInputError(f"not a trace id: {trace_id!r} (expected 32 hex characters)")


def among(trace_ids: Sequence[str], window_ns: Window | None) -> tuple[str, dict[str, Any]]:
    """SQL: spans of these traces within a window and its margin, and the parameters of it."""
    where, params = "TraceId IN {ids:Array(String)}", {"ids": list(trace_ids)}
    if window_ns is None:
        return where, params
    bounds: Mapping[str, Any] = {
        "low": max(0, window_ns[0] - MARGIN_NS),
        "high": min(window_ns[1] + MARGIN_NS, (1 << 63) - 1),
    }
    return (
        f"{where} AND Timestamp BETWEEN fromUnixTimestamp64Nano({{low:Int64}})"
        " AND fromUnixTimestamp64Nano({high:Int64})",
        {**params, **bounds},
    )


def _code(column: str, names: Sequence[str]) -> str:
    return _CODES.format(column=column, names=list(names), numbers=list(range(len(names))))


def _columns(engine: Engine, sql: str, params: Mapping[str, Any]) -> dict[str, Any] | None:
    """The columns of a query of numbers, None for no rows."""
    parts: dict[str, list[Any]] = {name: [] for name in _TYPES}
    rows = 0
    for block in engine.stream(sql, params, limits=_LIMITS):
        rows += block.rows
        if rows > MAX_SPANS:
            raise LimitError(f"the traces have more than {MAX_SPANS:,} spans; choose fewer")
        for name, kind in _TYPES.items():
            parts[name].append(block.column(name).astype(kind))
    return {name: np.concatenate(part) for name, part in parts.items()} if rows else None


def _numbered(found: Keys, keys: Keys) -> tuple[Ints, Ints]:
    """The number of each span's trace among those that have spans, and the places of these in `keys`."""
    order = np.argsort(keys)
    place = order[np.searchsorted(keys[order], found)]
    present, trace = np.unique(place, return_inverse=True)
    return trace.astype(np.int64), present


def _names(engine: Engine, hashes: Keys, trace_ids: Sequence[str], window_ns: Window | None) -> list[Name]:
    """What the hashes stand for, in their order."""
    where, params = among(trace_ids, window_ns)
    frame = engine.query(
        f"SELECT DISTINCT {_NAMED} AS N, toString(ServiceName) AS Service, toString(SpanName) AS Operation"
        f" FROM otel_traces WHERE {where}",
        params,
    )
    rows = zip(frame["N"].tolist(), frame["Service"].tolist(), frame["Operation"].tolist(), strict=True)
    known = {number: Name(service, operation) for number, service, operation in rows}
    return [known[number] for number in hashes.tolist()]
