"""Writing protobuf: the few primitives that responses and transcoding need."""

from __future__ import annotations

import struct


def varint(number: int) -> bytes:
    """A base-128 varint; negative numbers as 64-bit two's complement."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def integer(field: int, value: int) -> bytes:
    """A varint field."""
    return varint(field << 3) + varint(value)


def block(field: int, data: bytes) -> bytes:
    """A length-delimited field: string, bytes or message."""
    return varint(field << 3 | 2) + varint(len(data)) + data


def fixed64(field: int, value: int) -> bytes:
    """A fixed64 field."""
    return varint(field << 3 | 1) + struct.pack("<Q", value)


def fixed32(field: int, value: int) -> bytes:
    """A fixed32 field."""
    return varint(field << 3 | 5) + struct.pack("<I", value)


def double(field: int, value: float) -> bytes:
    """A double field."""
    return varint(field << 3 | 1) + struct.pack("<d", value)


def framed(message: bytes) -> bytes:
    """A message behind its length, as the engine's Protobuf format reads a stream of them."""
    return varint(len(message)) + message
