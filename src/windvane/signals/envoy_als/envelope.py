"""Bytes around Envoy's messages: whose stream it is, how many entries, and our envelope.

Only the protobuf wire format is read here (https://protobuf.dev/programming-guides/encoding/), one
step deep: no entry is looked into.
"""

from __future__ import annotations

from dataclasses import dataclass

from windvane.kit.errors import BadInputError

_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}


@dataclass(frozen=True, slots=True)
class Identifier:
    """Who streams: the Envoy node's id and the configured log name."""

    node_id: str = ""
    log_name: str = ""


def identifier(message: bytes) -> Identifier | None:
    """The identifier of a StreamAccessLogsMessage; None when it has none (all but a stream's first).

    `BadInputError` when the bytes are no protobuf message.
    """
    found = None
    for number, value in _fields(message):
        if number == 1:
            parts = dict(_fields(value))
            node = dict(_fields(parts.get(1, b"")))
            found = Identifier(_text(node.get(1, b"")), _text(parts.get(2, b"")))
    return found


def count_entries(message: bytes) -> int:
    """Entries in a StreamAccessLogsMessage, HTTP and TCP; `BadInputError` when it is malformed."""
    entries = 0
    for number, value in _fields(message):
        if number in (2, 3):
            entries += sum(1 for field, _ in _fields(value) if field == 1)
    return entries


def envelope(who: Identifier, message: bytes) -> bytes:
    """A length-delimited `Envelope`: what the decode SQL reads."""
    body = _field(1, who.node_id.encode()) + _field(2, who.log_name.encode()) + _field(3, message)
    return _varint(len(body)) + body


def _fields(data: bytes) -> list[tuple[int, bytes]]:
    """Length-delimited fields of one message, in order; other wire types are checked and skipped."""
    found, position, end = [], 0, len(data)
    while position < end:
        tag, position = _read_varint(data, position)
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            length, position = _read_varint(data, position)
            found.append((tag >> 3, data[position : position + length]))
            position += length
        elif kind == 0:
            _, position = _read_varint(data, position)
        elif kind in _FIXED:
            position += _FIXED[kind]
        else:
            raise BadInputError(f"access log message: wire type {kind} at byte {position} is not protobuf")
        if position > end:
            raise BadInputError(f"access log message ends at byte {end}, a field reaches to byte {position}")
    return found


def _read_varint(data: bytes, position: int) -> tuple[int, int]:
    result = shift = 0
    while position < len(data) and shift < 64:
        byte = data[position]
        position += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, position
        shift += 7
    raise BadInputError(f"access log message: bad varint at byte {position}")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadInputError("access log message: node id or log name is not UTF-8") from None


def _field(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
