"""Reading protobuf in Python: for what is rare or new, where a compiled pass would not pay.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError

VARINT, I64, LEN, I32 = 0, 1, 2, 5

Value = int | bytes


def fields(raw: bytes) -> Iterator[tuple[int, int, Value]]:
    """(field number, wire type, value) of a message; fixed-width values and blocks as their bytes."""
    position, end = 0, len(raw)
    while position < end:
        tag = raw[position]
        tag, position = (tag, position + 1) if tag < 128 else varint(raw, position)
        number, wire = tag >> 3, tag & 7
        if not number:
            raise BadInputError("a field number that protobuf does not have")
        if wire == VARINT:
            value, position = varint(raw, position)
            yield number, wire, value
            continue
        size = 8
        if wire == I32:
            size = 4
        elif wire == LEN:
            size = raw[position] if position < end else 128
            size, position = (size, position + 1) if size < 128 else varint(raw, position)
        elif wire != I64:
            raise BadInputError(f"a wire type that does not exist: {wire}")
        if size > end - position:
            raise BadInputError("a field reaches beyond its message")
        yield number, wire, raw[position : position + size]
        position += size


def varint(raw: bytes, position: int) -> tuple[int, int]:
    """An unsigned varint and the position after it."""
    value = shift = 0
    while position < len(raw) and shift < 64:
        byte = raw[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            if value >> 64:
                break
            return value, position
        shift += 7
    raise BadInputError("a varint does not end or is longer than 64 bits")


def signed(value: Value) -> int:
    """An int32 or int64 field."""
    number = whole(value)
    return number - (1 << 64) if number >= 1 << 63 else number


def zigzag(value: Value) -> int:
    """A sint32 or sint64 field."""
    number = whole(value)
    return (number >> 1) ^ -(number & 1)


def whole(value: Value) -> int:
    """An unsigned field."""
    if not isinstance(value, int):
        raise BadInputError("a field has the wrong wire type: expected a varint")
    return value


def double(value: Value) -> float:
    """A double field."""
    data = block(value)
    if len(data) != 8:
        raise BadInputError("a field has the wrong wire type: expected a double")
    number: float = struct.unpack("<d", data)[0]
    return number


def fixed64(value: Value) -> int:
    """A fixed64 field."""
    data = block(value)
    if len(data) != 8:
        raise BadInputError("a field has the wrong wire type: expected eight bytes")
    return int.from_bytes(data, "little")


def block(value: Value) -> bytes:
    """A field of bytes: string, bytes, message or fixed width."""
    if not isinstance(value, bytes):
        raise BadInputError("a field has the wrong wire type: expected bytes")
    return value


def text(value: Value) -> str:
    """A string field."""
    try:
        return block(value).decode()
    except UnicodeDecodeError:
        raise BadInputError("a string is no UTF-8") from None


def repaired(value: Value) -> str:
    """A string field whose bytes may be no UTF-8: what is none becomes a replacement character."""
    return block(value).decode(errors="replace")


def varints(wire: int, value: Value) -> list[int]:
    """A piece of a repeated integer field, packed or not."""
    if wire == VARINT:
        return [whole(value)]
    raw, position, found = block(value), 0, []
    while position < len(raw):
        number, position = varint(raw, position)
        found.append(number)
    return found


def doubles(wire: int, value: Value) -> NDArray[np.float64]:
    """A piece of a repeated double field, packed or not."""
    data = block(value)
    if wire == I32 or len(data) % 8:
        raise BadInputError("a field has the wrong wire type: expected doubles")
    return np.frombuffer(data, "<f8")
