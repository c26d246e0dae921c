"""Bytes around Envoy's entries: whose stream it is, how many there are, and our envelope.

Only the protobuf wire format is read here (https://protobuf.dev/programming-guides/encoding/), down
to where an entry begins and ends; what is in it the engine reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from windvane.kit.errors import BadInputError

_LENGTH_DELIMITED = 2
_FIXED = {1: 8, 5: 4}
_HTTP_LOGS, _TCP_LOGS = 2, 3
_CONNECTION, _RENUMBERED = 2 << 3 | _LENGTH_DELIMITED, 5 << 3 | _LENGTH_DELIMITED


@dataclass(frozen=True, slots=True)
class Identifier:
    """Who streams: the Envoy node's id and the configured log name."""

    node_id: str = ""
    log_name: str = ""


class _Span(NamedTuple):
    """A length-delimited field: where its tag is, its number, where its content begins and ends."""

    tag: int
    number: int
    begin: int
    end: int


def identifier(message: bytes) -> Identifier | None:
    """The identifier of a StreamAccessLogsMessage; None when it has none (all but a stream's first).

    `BadInputError` when the bytes are no protobuf message.
    """
    who = _field_of(message, 1, 0, len(message))
    if who is None:
        return None
    node = _field_of(message, 1, who.begin, who.end)
    node_id = _field_of(message, 1, node.begin, node.end) if node else None
    log_name = _field_of(message, 2, who.begin, who.end)
    return Identifier(_text(message, node_id), _text(message, log_name))


def count_entries(message: bytes) -> int:
    """Entries in a StreamAccessLogsMessage, HTTP and TCP; `BadInputError` when it is malformed."""
    return sum(
        1
        for logs in _spans(message, 0, len(message))
        if logs.number in (_HTTP_LOGS, _TCP_LOGS)
        for entry in _spans(message, logs.begin, logs.end)
        if entry.number == 1
    )


def envelope(who: Identifier, message: bytes) -> bytes:
    """Length-delimited `Envelope`s, one for each list of entries in a StreamAccessLogsMessage.

    An envelope holds the list as Envoy wrote it, beside the stream's identifier.
    """
    head = _encoded(1, who.node_id.encode()) + _encoded(2, who.log_name.encode())
    parts = []
    for logs in _spans(message, 0, len(message)):
        if logs.number == _HTTP_LOGS:
            body = head + b"\x18\x01" + _encoded(4, message[logs.begin : logs.end])
        elif logs.number == _TCP_LOGS:
            body = head + _encoded(4, _renumbered(message[logs.begin : logs.end]))
        else:
            continue
        parts.append(_varint(len(body)) + body)
    return b"".join(parts)


def _renumbered(entries: bytes) -> bytes:
    """TCP entries with field 2 (a message, where HTTP entries have a number) as field 5; same length."""
    data = bytearray(entries)
    for entry in _spans(entries, 0, len(entries)):
        for span in _spans(entries, entry.begin, entry.end):
            if entries[span.tag] == _CONNECTION:
                data[span.tag] = _RENUMBERED
    return bytes(data)


def _field_of(data: bytes, number: int, begin: int, end: int) -> _Span | None:
    """The last such field of a message, as protobuf has it."""
    found = None
    for span in _spans(data, begin, end):
        if span.number == number:
            found = span
    return found


def _spans(data: bytes, position: int, end: int) -> Iterator[_Span]:
    """Length-delimited fields of the message at `position`; other wire types are checked and skipped."""
    while position < end:
        tag_at = position
        tag, position = _read_varint(data, position, end)
        kind = tag & 7
        if kind == _LENGTH_DELIMITED:
            length, position = _read_varint(data, position, end)
            begin, position = position, position + length
            if position <= end:
                yield _Span(tag_at, tag >> 3, begin, position)
        elif kind == 0:
            _, position = _read_varint(data, position, end)
        elif kind in _FIXED:
            position += _FIXED[kind]
        else:
            raise BadInputError(f"access log message: wire type {kind} at byte {tag_at} is not protobuf")
        if position > end:
            raise BadInputError(f"access log message: the field at byte {tag_at} reaches beyond byte {end}")


def _read_varint(data: bytes, position: int, end: int) -> tuple[int, int]:
    result = shift = 0
    while position < end and shift < 64:
        byte = data[position]
        position += 1
        result |= (byte & 127) << shift
        if byte < 128:
            return result, position
        shift += 7
    raise BadInputError(f"access log message: bad varint at byte {position}")


def _text(data: bytes, span: _Span | None) -> str:
    try:
        return data[span.begin : span.end].decode() if span else ""
    except UnicodeDecodeError:
        raise BadInputError("access log message: node id or log name is not UTF-8") from None


def _encoded(number: int, data: bytes) -> bytes:
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)
