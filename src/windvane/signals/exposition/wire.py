"""Protobuf fields of a message, walked by hand: exposition has few messages and no generated classes."""

from __future__ import annotations

import struct
from collections.abc import Iterator

Value = int | float | bytes


class WireError(ValueError):
    """The bytes are no protobuf message."""


def varint(data: bytes, position: int) -> tuple[int, int]:
    """A varint and the position after it."""
    value = shift = 0
    while shift < 70:
        if position >= len(data):
            raise WireError("truncated number")
        byte = data[position]
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position
        shift += 7
    raise WireError("a number is too long")


def fields(data: bytes) -> Iterator[tuple[int, Value]]:
    """Number and value of every field: int of a varint, float of 64 bits, bytes of the rest."""
    position, end = 0, len(data)
    while position < end:
        tag, position = varint(data, position)
        kind = tag & 7
        if kind == 2:
            size, position = varint(data, position)
            if size > end - position:
                raise WireError("truncated field")
            yield tag >> 3, data[position : position + size]
            position += size
        elif kind == 1:
            if position + 8 > end:
                raise WireError("truncated number")
            yield tag >> 3, struct.unpack_from("<d", data, position)[0]
            position += 8
        elif kind == 0:
            value, position = varint(data, position)
            yield tag >> 3, value
        elif kind == 5:
            if position + 4 > end:
                raise WireError("truncated number")
            yield tag >> 3, struct.unpack_from("<f", data, position)[0]
            position += 4
        else:
            raise WireError(f"unknown wire type {kind}")


def signed(value: int) -> int:
    """A zigzag-encoded number."""
    return (value >> 1) ^ -(value & 1)


def int64(value: Value) -> int:
    """A varint as a signed 64-bit number."""
    if not isinstance(value, int):
        raise WireError("a number was expected")
    return value - (1 << 64) if value >= 1 << 63 else value


def double(value: Value) -> float:
    """A 64-bit float."""
    if not isinstance(value, float):
        raise WireError("a 64-bit float was expected")
    return value


def message(value: Value) -> bytes:
    """A nested message or a string."""
    if not isinstance(value, bytes):
        raise WireError("a message was expected")
    return value


def string(value: Value) -> str:
    """Text."""
    try:
        return message(value).decode()
    except UnicodeDecodeError:
        raise WireError("text is not valid UTF-8") from None


def packed_doubles(value: Value) -> list[float]:
    """A repeated double: packed, or one of several fields."""
    if isinstance(value, float):
        return [value]
    data = message(value)
    if len(data) % 8:
        raise WireError("truncated numbers")
    return list(struct.unpack(f"<{len(data) // 8}d", data))


def packed_signed(value: Value) -> list[int]:
    """A repeated zigzag number: packed, or one of several fields."""
    if isinstance(value, int):
        return [signed(value)]
    data, position, found = message(value), 0, []
    while position < len(data):
        one, position = varint(data, position)
        found.append(signed(one))
    return found
