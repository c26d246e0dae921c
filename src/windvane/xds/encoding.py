"""Protobuf bytes of betterproto2 messages, without the library's validation on the way.

`bytes(message)` compiles a validator for every message it meets, each time: 4 ms for a listener. Our
messages are checked by the type checker and when they are constructed, so this encoder reads the
fields' metadata once a class and only writes. The bytes are the same.
"""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Sequence
from functools import cache, lru_cache, partial
from typing import Any, cast

import betterproto2
from envoy_data_plane.google import protobuf
from envoy_data_plane.message_pool import default_message_pool

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_DOUBLE, _FLOAT = struct.Struct("<d"), struct.Struct("<f")


@dataclasses.dataclass(frozen=True, slots=True)
class _Field:
    """How one field is written: its key, and `write` for what follows the key."""

    name: str
    key: bytes
    write: Callable[[Any], bytes]
    default: object
    repeated: bool
    map_entry: tuple[_Field, _Field] | None


def encode(message: betterproto2.Message) -> bytes:
    """The message in protobuf's binary format, equal to `bytes(message)`."""
    parts: list[bytes] = []
    values = message.__dict__
    for each in _fields(type(message)):
        value = values[each.name]
        if value is None or value == each.default:
            continue
        if each.map_entry is not None:
            key, item = each.map_entry
            parts.extend(
                each.key + _delimited(key.key + key.write(k) + item.key + item.write(v)) for k, v in value.items()
            )
        elif each.repeated:
            parts.extend(each.key + each.write(item) for item in value)
        else:
            parts.append(each.key + each.write(value))
    return b"".join(parts)


def any_of(message: betterproto2.Message) -> protobuf.Any:
    """The message as a google.protobuf.Any."""
    return protobuf.Any(type_url=type_url(type(message)), value=encode(message))


def type_url(kind: type[betterproto2.Message]) -> str:
    """By what an Any names a type."""
    return default_message_pool.type_to_url[kind]


def varint(number: int) -> bytes:
    """An integer in base 128; a negative one as the 64-bit number with the same bits."""
    if 0 <= number < 0x80:
        return bytes((number,))
    number &= (1 << 64) - 1
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    parts.append(number)
    return bytes(parts)


def text_field(number: int, value: str) -> bytes:
    """A string as a field of a message that is put together from parts."""
    return varint(number << 3 | _BYTES) + _delimited(value.encode())


def head(number: int, *parts: bytes) -> bytes:
    """What stands before `parts`, which together are the message in a field."""
    return varint(number << 3 | _BYTES) + varint(sum(map(len, parts)))


@cache
def _fields(kind: type[betterproto2.Message]) -> tuple[_Field, ...]:
    return tuple(_field(each) for each in dataclasses.fields(cast("Any", kind)) if "betterproto" in each.metadata)


def _field(each: dataclasses.Field[Any]) -> _Field:
    meta, factory = each.metadata["betterproto"], each.default_factory
    wire, write = _writer(meta.proto_type, meta.unwrap)
    repeated = bool(meta.repeated)
    if repeated and meta.proto_type in betterproto2.PACKED_TYPES:
        # Repeated numbers are packed: one field with all of them.
        repeated, wire, write = False, _BYTES, partial(_packed, write)
    entry = (_entry_part(1, meta.map_meta[0]), _entry_part(2, meta.map_meta[1])) if meta.map_meta else None
    default = factory() if callable(factory) else None
    return _Field(each.name, varint(meta.number << 3 | wire), write, default, repeated, entry)


def _packed(write: Callable[[Any], bytes], values: Sequence[Any]) -> bytes:
    return _delimited(b"".join(map(write, values)))


def _entry_part(number: int, meta: Any) -> _Field:
    wire, write = _writer(meta.proto_type, meta.unwrap)
    return _Field("", varint(number << 3 | wire), write, None, repeated=False, map_entry=None)


def _writer(proto_type: str, unwrap: Callable[[], type] | None) -> tuple[int, Callable[[Any], bytes]]:
    """The wire type of a protobuf type, and a function from a value to what follows the key."""
    if proto_type == betterproto2.TYPE_MESSAGE and unwrap is not None:
        return _BYTES, lambda value: _wrapped(unwrap(), value)
    if proto_type in _WRITERS:
        return _WRITERS[proto_type]
    raise NotImplementedError(f"protobuf type {proto_type} does not occur in Envoy's configuration")


@lru_cache(maxsize=4096)
def _wrapped(kind: Any, value: object) -> bytes:
    """A duration or a wrapped scalar, which betterproto2 keeps as a plain Python value."""
    return _delimited(bytes(kind.from_wrapped(value)))


def _delimited(body: bytes) -> bytes:
    return varint(len(body)) + body


_WRITERS: dict[str, tuple[int, Callable[[Any], bytes]]] = {
    **dict.fromkeys(
        ("enum", "bool", "int32", "int64", "uint32", "uint64"), (_VARINT, lambda value: varint(int(value)))
    ),
    "double": (_FIXED64, _DOUBLE.pack),
    "float": (_FIXED32, _FLOAT.pack),
    "string": (_BYTES, lambda value: _delimited(value.encode())),
    "bytes": (_BYTES, _delimited),
    "message": (_BYTES, lambda value: _delimited(encode(value))),
    "map": (_BYTES, _delimited),
}
