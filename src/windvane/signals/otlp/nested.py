"""Array and key-value-list values as JSON text, put in the place of their protobuf.

The engine reads fields 5 and 6 of an AnyValue as strings. Replacing a value changes the lengths
of all messages around it; they are rewritten from the inside out. Only requests that hold such
values pay for it.
"""

from __future__ import annotations

import base64
import math
import struct
from functools import lru_cache
from typing import Any

import orjson

from windvane.kit.errors import BadInputError
from windvane.signals.otlp.scan import Scan, chain

_MAX_DEPTH = 32
_SMALL = 2_048

_Node = tuple[int, int, int]


def rewrite(found: Scan) -> bytes:
    """The request with every nested value as JSON text; unchanged when it has none."""
    if not len(found.nested):
        return found.payload
    payload = found.payload
    changed: dict[_Node, int] = {}  # message or value → by how many bytes its content grows
    levels: dict[_Node, int] = {}
    inside: dict[_Node, _Node] = {}
    edits: list[tuple[int, int, bytes]] = []
    for row in found.nested.tolist():
        nodes = chain(row)
        _, start, end = nodes[-1]
        text = json_text(payload[start:end], is_list=payload[nodes[-1][0] - 1] >> 3 == 5)
        edits.append((start, end, text))
        changed[nodes[-1]] = len(text) - (end - start)
        levels.update((node, level) for level, node in enumerate(nodes))
        inside.update(zip(nodes[1:], nodes, strict=False))
    for node in sorted(levels, key=lambda node: -levels[node]):
        length, start, end = node
        growth = changed.setdefault(node, 0)
        new = _varint(end - start + growth)
        edits.append((length, start, new))
        if (around := inside.get(node)) is not None:
            changed[around] = changed.get(around, 0) + growth + len(new) - (start - length)
    return _apply(payload, edits)


def json_text(raw: bytes, *, is_list: bool) -> bytes:
    """JSON of an ArrayValue (`is_list`) or KeyValueList message: plain values, bytes as base64."""
    return (_small_text if len(raw) <= _SMALL else _text)(raw, is_list)


def _text(raw: bytes, is_list: bool) -> bytes:
    return orjson.dumps(_list(raw, 0) if is_list else _mapping(raw, 0))


_small_text = lru_cache(maxsize=1_024)(_text)


def _apply(payload: bytes, edits: list[tuple[int, int, bytes]]) -> bytes:
    pieces, position = [], 0
    for start, end, text in sorted(edits):
        pieces += [payload[position:start], text]
        position = end
    return b"".join([*pieces, payload[position:]])


def _list(raw: bytes, depth: int) -> list[Any]:
    return [_value(value, depth + 1) for number, value in _fields(raw) if number == 1 and isinstance(value, bytes)]


def _mapping(raw: bytes, depth: int) -> dict[str, Any]:
    pairs = [dict(_fields(pair)) for number, pair in _fields(raw) if number == 1 and isinstance(pair, bytes)]
    return {_string(pair.get(1, b"")): _value(pair.get(2, b""), depth + 1) for pair in pairs}


def _value(raw: bytes | int, depth: int) -> Any:
    if depth > _MAX_DEPTH:
        raise BadInputError(f"an attribute value nests deeper than {_MAX_DEPTH} levels")
    if not isinstance(raw, bytes):
        raise BadInputError("not an OTLP request: an attribute value is no message")
    found: Any = None
    for number, value in _fields(raw):
        found = _case(number, value, depth) if number <= 7 else found
    return found


def _case(number: int, value: bytes | int, depth: int) -> Any:
    if isinstance(value, bytes):
        readers = {1: _string, 5: lambda raw: _list(raw, depth), 6: lambda raw: _mapping(raw, depth), 4: _double}
        reader = readers.get(number)
        return reader(value) if reader else base64.b64encode(value).decode()
    return bool(value) if number == 2 else value - (1 << 64) if value >= 1 << 63 else value


def _string(raw: bytes | int) -> str:
    return raw.decode(errors="replace") if isinstance(raw, bytes) else ""


def _double(raw: bytes) -> float | str:
    if len(raw) != 8:
        raise BadInputError("not an OTLP request: a double value is not 8 bytes long")
    number: float = struct.unpack("<d", raw)[0]
    return number if math.isfinite(number) else str(number)


def _fields(raw: bytes) -> list[tuple[int, bytes | int]]:
    found: list[tuple[int, bytes | int]] = []
    position = 0
    while position < len(raw):
        tag, position = _read_varint(raw, position)
        wire = tag & 7
        if wire == 0:
            number, position = _read_varint(raw, position)
            found.append((tag >> 3, number))
            continue
        if wire == 2:
            size, position = _read_varint(raw, position)
        else:
            size = {1: 8, 5: 4}.get(wire, -1)
        if size < 0 or position + size > len(raw):
            raise BadInputError("not an OTLP request: a field within an attribute value is malformed")
        found.append((tag >> 3, raw[position : position + size]))
        position += size
    return found


def _read_varint(raw: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while position < len(raw) and shift < 70:
        byte = raw[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & (1 << 64) - 1, position
        shift += 7
    raise BadInputError("not an OTLP request: a varint within an attribute value does not end")


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
