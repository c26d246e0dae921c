"""One compiled pass over a request's bytes before the engine sees them.

It checks the protobuf structure down to every attribute value, so that a malformed request is
refused by name and place instead of costing a group of others a bisection; counts records; finds
array and key-value-list values (the engine's types cannot nest, see `nested`); and overwrites
bytes that are no UTF-8 with `?`, because one such byte would make whole results unreadable.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError

# What a field is; from _MESSAGE on: a message of type (code - _MESSAGE).
_SKIP, _VARINT, _I64, _I32, _STRING, _BYTES, _ID16, _ID8, _NESTED = range(9)
_MESSAGE = 16
_MAX_FIELD = 16
_MAX_DEPTH = 10
_WIRE = np.array([-1, 0, 1, 5, 2, 2, 2, 2, 2], dtype=np.int64)

_VALUE, _KEY_VALUE, _RESOURCE, _SCOPE, _EVENT, _LINK, _STATUS, _RECORD, _SCOPED, _BATCH, _REQUEST = range(11)
_NAMES = (
    "AnyValue",
    "KeyValue",
    "Resource",
    "InstrumentationScope",
    "Event",
    "Link",
    "Status",
    "record",
    "scope",
    "resource",
    "request",
)

_ATTRIBUTE = _MESSAGE + _KEY_VALUE
_COMMON: dict[int, dict[int, int]] = {
    _VALUE: {1: _STRING, 2: _VARINT, 3: _VARINT, 4: _I64, 5: _NESTED, 6: _NESTED, 7: _BYTES},
    _KEY_VALUE: {1: _STRING, 2: _MESSAGE + _VALUE},
    _RESOURCE: {1: _ATTRIBUTE},
    _SCOPE: {1: _STRING, 2: _STRING, 3: _ATTRIBUTE},
    _SCOPED: {1: _MESSAGE + _SCOPE, 2: _MESSAGE + _RECORD, 3: _STRING},
    _BATCH: {1: _MESSAGE + _RESOURCE, 2: _MESSAGE + _SCOPED, 3: _STRING},
    _REQUEST: {1: _MESSAGE + _BATCH},
}
_SPAN: dict[int, dict[int, int]] = {
    _EVENT: {1: _I64, 2: _STRING, 3: _ATTRIBUTE},
    _LINK: {1: _ID16, 2: _ID8, 3: _STRING, 4: _ATTRIBUTE},
    _STATUS: {2: _STRING, 3: _VARINT},
    _RECORD: {
        1: _ID16,
        2: _ID8,
        3: _STRING,
        4: _ID8,
        5: _STRING,
        6: _VARINT,
        7: _I64,
        8: _I64,
        9: _ATTRIBUTE,
        11: _MESSAGE + _EVENT,
        13: _MESSAGE + _LINK,
        15: _MESSAGE + _STATUS,
    },
}
_LOG: dict[int, dict[int, int]] = {
    _RECORD: {
        1: _I64,
        2: _VARINT,
        3: _STRING,
        5: _MESSAGE + _VALUE,
        6: _ATTRIBUTE,
        8: _I32,
        9: _ID16,
        10: _ID8,
        11: _I64,
        12: _STRING,
    },
}


def _table(*parts: Mapping[int, Mapping[int, int]]) -> NDArray[np.int64]:
    table = np.zeros((len(_NAMES), _MAX_FIELD), dtype=np.int64)
    for part in parts:
        for message, fields in part.items():
            for number, kind in fields.items():
                table[message, number] = kind
    return table


TRACES = _table(_COMMON, _SPAN)
LOGS = _table(_COMMON, _LOG)

_REASONS = {
    1: "a varint does not end or is longer than 64 bits",
    2: "a field reaches beyond its message",
    3: "a field has the wrong wire type",
    4: "a wire type that does not exist",
    5: "a trace id is not 16 bytes long",
    6: "a span id is not 8 bytes long",
    7: "a field number that protobuf does not have",
    8: "messages nest deeper than OTLP's do",
    9: "a value that is two things at once",
}


@dataclass(frozen=True, slots=True)
class Scan:
    """What a request holds.

    `nested` has one row for every array or key-value-list value: its depth d, then for the value
    and each message around it, outermost first, where its length stands, where its content
    starts and where it ends (3·d positions).
    """

    payload: bytes
    records: int
    extras: int  # events and links
    repaired: int  # strings that were no UTF-8
    nested: NDArray[np.int64]


def scan(payload: bytes, table: NDArray[np.int64]) -> Scan:
    """Check and count a request (`table` is TRACES or LOGS); `BadInputError` says what is wrong where."""
    buffer = bytearray(payload)
    data = np.frombuffer(buffer, dtype=np.uint8) if buffer else np.zeros(0, np.uint8)
    nested = np.empty((0, 1 + 3 * _MAX_DEPTH), dtype=np.int64)
    error, place, message, records, extras, repaired, count = _scan(data, table, _WIRE, nested)
    if error:
        raise BadInputError(f"not an OTLP request: {_REASONS[error]} (in a {_NAMES[message]}, byte {place})")
    if count:
        nested = np.empty((count, 1 + 3 * _MAX_DEPTH), dtype=np.int64)
        _scan(data, table, _WIRE, nested)
    return Scan(bytes(buffer) if repaired else payload, records, extras, repaired, nested)


def warm() -> None:
    """Compile (or load from the cache on disk) now rather than with the first request."""
    scan(b"", TRACES)


@njit(cache=True, nogil=True)
def _varint(data: Any, position: int, end: int) -> tuple[int, int]:
    """Value (as a signed 64-bit integer) and position after it; position -1 when it is none."""
    value, shift = 0, 0
    while position < end and shift < 70:
        byte = int(data[position])
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return (0, -1) if shift == 63 and byte != 1 else (value, position)
        shift += 7
    return 0, -1


@njit(cache=True, nogil=True)
def _utf8_length(data: Any, position: int, end: int) -> int:
    """Bytes of the character at a lead byte ≥ 128, 0 when it is malformed (RFC 3629)."""
    lead = int(data[position])
    size = 2 if 0xC2 <= lead <= 0xDF else 3 if 0xE0 <= lead <= 0xEF else 4 if 0xF0 <= lead <= 0xF4 else 0
    if size == 0 or position + size > end:
        return 0
    second = int(data[position + 1])
    low, high = 0x80, 0xBF
    if lead == 0xE0:
        low = 0xA0
    elif lead == 0xED:
        high = 0x9F
    elif lead == 0xF0:
        low = 0x90
    elif lead == 0xF4:
        high = 0x8F
    if second < low or second > high:
        return 0
    for i in range(2, size):
        if int(data[position + i]) & 0xC0 != 0x80:
            return 0
    return size


@njit(cache=True, nogil=True)
def _repair(data: Any, position: int, end: int) -> int:
    """Overwrite what is no UTF-8 in a string; 1 when there was something."""
    high = np.uint8(0)
    for i in range(position, end):
        high |= data[i]
    if high < 128:
        return 0
    changed = 0
    while position < end:
        size = 1 if data[position] < 128 else _utf8_length(data, position, end)
        if size == 0:
            data[position] = 63
            changed, size = 1, 1
        position += size
    return changed


@njit(cache=True, nogil=True)
def _scan(  # noqa: C901, PLR0911, PLR0912, PLR0915 -- one loop, compiled; a return is an error
    data: Any, table: Any, wires: Any, nested: Any
) -> tuple[int, int, int, int, int, int, int]:
    """(error, place, message, records, extras, repaired, nested values); fills `nested` if it has rows."""
    ends = np.zeros(_MAX_DEPTH + 1, dtype=np.int64)
    starts = np.zeros(_MAX_DEPTH + 1, dtype=np.int64)
    lengths = np.zeros(_MAX_DEPTH + 1, dtype=np.int64)
    messages = np.zeros(_MAX_DEPTH + 1, dtype=np.int64)
    valued = np.zeros(_MAX_DEPTH + 1, dtype=np.int64)
    depth, position = 0, 0
    ends[0], messages[0] = data.size, _REQUEST
    records, extras, repaired, found = 0, 0, 0, 0
    while True:
        end, message = ends[depth], messages[depth]
        if position == end:
            if depth == 0:
                return 0, 0, 0, records, extras, repaired, found
            depth -= 1
            continue
        tag = int(data[position])
        position += 1
        if tag > 127:
            tag, position = _varint(data, position - 1, end)
            if position < 0:
                return 1, starts[depth], message, 0, 0, 0, 0
        number, wire = tag >> 3, tag & 7
        if number <= 0 or number >= 1 << 29:
            return 7, position, message, 0, 0, 0, 0
        kind = table[message, number] if number < _MAX_FIELD else 0
        expected = 2 if kind >= _MESSAGE else wires[kind]
        if kind != _SKIP and wire != expected:
            return 3, position, message, 0, 0, 0, 0
        if kind == _MESSAGE + _VALUE or (message == _VALUE and kind != _SKIP):
            if valued[depth]:
                return 9, position, message, 0, 0, 0, 0
            valued[depth] = 1
        if wire == 0:
            _, position = _varint(data, position, end)
            if position < 0:
                return 1, end, message, 0, 0, 0, 0
        elif wire in (1, 5):
            position += 8 if wire == 1 else 4
            if position > end:
                return 2, end, message, 0, 0, 0, 0
        elif wire == 2:
            at = position
            size = int(data[position]) if position < end else 128
            position += 1
            if size > 127:
                size, position = _varint(data, at, end)
                if position < 0:
                    return 1, at, message, 0, 0, 0, 0
            if size < 0 or size > end - position:
                return 2, at, message, 0, 0, 0, 0
            if kind >= _MESSAGE:
                child = kind - _MESSAGE
                if depth == _MAX_DEPTH - 1:
                    return 8, at, message, 0, 0, 0, 0
                depth += 1
                valued[depth] = 0
                lengths[depth], starts[depth], ends[depth], messages[depth] = at, position, position + size, child
                if child == _RECORD:
                    records += 1
                elif child in (_EVENT, _LINK):
                    extras += 1
                continue
            if kind == _STRING:
                repaired += _repair(data, position, position + size)
            elif kind == _ID16 and size not in (16, 0):
                return 5, at, message, 0, 0, 0, 0
            elif kind == _ID8 and size not in (8, 0):
                return 6, at, message, 0, 0, 0, 0
            elif kind == _NESTED:
                if found < nested.shape[0]:
                    nested[found, 0] = depth + 1
                    for level in range(1, depth + 1):
                        nested[found, 3 * level - 2] = lengths[level]
                        nested[found, 3 * level - 1] = starts[level]
                        nested[found, 3 * level] = ends[level]
                    nested[found, 3 * depth + 1] = at
                    nested[found, 3 * depth + 2] = position
                    nested[found, 3 * depth + 3] = position + size
                found += 1
            position += size
        else:
            return 4, position, message, 0, 0, 0, 0


def chain(row: Sequence[int]) -> list[tuple[int, int, int]]:
    """A row of `Scan.nested` as (length position, start, end), outermost first, the value last."""
    depth = row[0]
    return [(row[3 * level - 2], row[3 * level - 1], row[3 * level]) for level in range(1, depth + 1)]
