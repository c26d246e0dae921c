"""Walking over protobuf in compiled code: the two steps that every scan of a request is made of.

Wire format: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

WIRE_ERRORS = {
    1: "a varint does not end or is longer than 64 bits",
    2: "a field reaches beyond its message",
    3: "a field has the wrong wire type",
    4: "a wire type that does not exist",
    5: "a field number that protobuf does not have",
}


@njit(nogil=True)
def varint(data: Any, position: int, end: int) -> tuple[int, int]:
    """Value (as a signed 64-bit integer) and position after it; position -1 when it is none."""
    value, shift = 0, 0
    while position < end and shift < 70:
        byte = int(data[np.uint64(position)])
        position += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return (0, -1) if shift == 63 and byte > 1 else (value, position)
        shift += 7
    return 0, -1


@njit(nogil=True)
def field(  # noqa: PLR0911 - a return is an error
    data: Any, position: int, end: int
) -> tuple[int, int, int, int, int]:
    """(number, wire type, varint, start, end) of the next field; number 0 with the error as wire type."""
    tag, position = varint(data, position, end)
    if position < 0:
        return 0, 1, 0, 0, 0
    number, wire = tag >> 3, tag & 7
    if number <= 0 or number >= 1 << 29:
        return 0, 5, 0, 0, 0
    value, size = 0, 8
    if wire == 0:
        start = position
        value, position = varint(data, position, end)
        return (number, 0, value, start, position) if position >= 0 else (0, 1, 0, 0, 0)
    if wire == 5:
        size = 4
    elif wire == 2:
        size, position = varint(data, position, end)
        if position < 0:
            return 0, 1, 0, 0, 0
    elif wire != 1:
        return 0, 4, 0, 0, 0
    if size < 0 or size > end - position:
        return 0, 2, 0, 0, 0
    return number, wire, 0, position, position + size
