"""Writing thrift for tests, in both protocols: a struct is `{number: (type, value)}`, a list `(type, values)`."""

from __future__ import annotations

import struct
from typing import Any

BOOL, BYTE, DOUBLE, I16, I32, I64, STRING, STRUCT, MAP, SET, LIST = 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15
_COMPACT = {BOOL: 1, BYTE: 3, I16: 4, I32: 5, I64: 6, DOUBLE: 7, STRING: 8, LIST: 9, SET: 10, MAP: 11, STRUCT: 12}
_FIXED = {BYTE: ">b", I16: ">h", I32: ">i", I64: ">q", DOUBLE: ">d", BOOL: ">?"}


def binary(kind: int, value: Any) -> bytes:
    """A value in the binary protocol."""
    if kind == STRING:
        return struct.pack(">i", len(value)) + value
    if kind == STRUCT:
        fields = [struct.pack(">bh", of, number) + binary(of, item) for number, (of, item) in value.items()]
        return b"".join(fields) + b"\0"
    if kind == LIST:
        of, items = value
        return struct.pack(">bi", of, len(items)) + b"".join(binary(of, item) for item in items)
    return struct.pack(_FIXED[kind], value)


def binary_call(method: str, arguments: dict[int, Any]) -> bytes:
    """A call without an answer, as a message of its own."""
    name = method.encode()
    return struct.pack(">Ii", 0x8001_0004, len(name)) + name + struct.pack(">i", 7) + binary(STRUCT, arguments)


def compact(kind: int, value: Any) -> bytes:
    """A value in the compact protocol."""
    if kind == STRING:
        return varint(len(value)) + value
    if kind == STRUCT:
        return _compact_struct(value)
    if kind == LIST:
        of, items = value
        head = (
            bytes([len(items) << 4 | _COMPACT[of]])
            if len(items) < 15
            else bytes([0xF0 | _COMPACT[of]]) + varint(len(items))
        )
        return head + b"".join(compact(of, item) for item in items)
    if kind == DOUBLE:
        return struct.pack("<d", value)
    if kind == BOOL:
        return b"\x01" if value else b"\x02"
    return struct.pack(">b", value) if kind == BYTE else varint(value << 1 ^ value >> 63)


def _compact_struct(fields: dict[int, Any]) -> bytes:
    out, last = b"", 0
    for number, (kind, value) in fields.items():
        code = 2 if kind == BOOL and not value else _COMPACT[kind]
        step = number - last
        out += bytes([step << 4 | code]) if 0 < step < 16 else bytes([code]) + varint(number << 1)
        out += b"" if kind == BOOL else compact(kind, value)
        last = number
    return out + b"\0"


def compact_call(method: str, arguments: dict[int, Any]) -> bytes:
    """A call without an answer, as a message of its own."""
    name = method.encode()
    return b"\x82\x81" + varint(300) + varint(len(name)) + name + compact(STRUCT, arguments)


def varint(number: int) -> bytes:
    """A base-128 varint of 64 bits."""
    number &= (1 << 64) - 1
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    return bytes([*out, number])


def tag(key: str, value: Any) -> dict[int, Any]:
    """A Tag of jaeger.thrift."""
    kinds = {str: (0, 3, STRING), float: (1, 4, DOUBLE), bool: (2, 5, BOOL), int: (3, 6, I64), bytes: (4, 7, STRING)}
    number, field, kind = kinds[type(value)]
    return {
        1: (STRING, key.encode()),
        2: (I32, number),
        field: (kind, value.encode() if isinstance(value, str) else value),
    }


def tags(values: dict[str, Any]) -> tuple[int, Any]:
    """A list of tags as a field."""
    return LIST, (STRUCT, [tag(key, value) for key, value in values.items()])


def span(**changes: tuple[int, Any]) -> dict[int, Any]:
    """A Span of jaeger.thrift; `changes` replace fields by number: `f8=(I64, 0)`."""
    fields = {
        1: (I64, 0x48EB211C80319C),
        2: (I64, 0x0AF7651916CD43DD),
        3: (I64, -2),
        4: (I64, 5),
        5: (STRING, b"GET /"),
        7: (I32, 1),
        8: (I64, 1_790_000_000_000_000),
        9: (I64, 1_500),
    }
    fields |= {int(name[1:]): value for name, value in changes.items()}
    return dict(sorted(fields.items()))


def batch(*spans: dict[int, Any], service: str = "checkout") -> dict[int, Any]:
    """A Batch of jaeger.thrift."""
    process = {1: (STRING, service.encode()), 2: tags({"hostname": "node-1", "cores": 4})}
    return {1: (STRUCT, process), 2: (LIST, (STRUCT, list(spans)))}
