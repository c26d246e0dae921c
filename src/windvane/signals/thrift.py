"""Reading thrift: the binary and the compact protocol, without generated classes.

A struct is a mapping of field number to value: integers, floats, truth values, bytes for strings, lists
and structs. What is declared is never believed: a length that reaches beyond the bytes, values nested
too deep and spans of too many parts are errors before anything is made for them.

Encodings: https://github.com/apache/thrift/tree/master/doc/specs (binary and compact protocol).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, TypeAlias

from windvane.kit.errors import BadInputError
from windvane.signals.spans.model import MOST_PARTS, wrong

STOP, BOOL, BYTE, DOUBLE, I16, I32, I64, STRING, STRUCT, MAP, SET, LIST = 0, 2, 3, 4, 6, 8, 10, 11, 12, 13, 14, 15

Struct: TypeAlias = dict[int, Any]

_MAX_DEPTH = 16  # Jaeger's and Zipkin's messages need 6
_FIXED = {BYTE: 1, DOUBLE: 8, I16: 2, I32: 4, I64: 8}
_DOUBLE = struct.Struct(">d").unpack_from
_LITTLE_DOUBLE = struct.Struct("<d").unpack_from
_I64 = struct.Struct(">q").unpack_from
_I32 = struct.Struct(">i").unpack_from
# Compact type → type; 1 and 2 are true and false.
_COMPACT = {1: BOOL, 2: BOOL, 3: BYTE, 4: I16, 5: I32, 6: I64, 7: DOUBLE, 8: STRING, 9: LIST, 10: SET, 11: MAP,
            12: STRUCT}  # fmt: skip


class Reader:
    """One message in one of the protocols. Methods take a position and give the one after."""

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.at = 0
        """Where the last list that `elements` read ended."""
        self._parts = MOST_PARTS

    def message(self) -> tuple[str, int]:
        """The method that a message calls, and where its arguments begin."""
        with self._bounds():
            return self._message()

    def field(self, at: int, last: int) -> tuple[int, int, int]:
        """(type, number, position) of the field after the one numbered `last` (0: the first) of a struct."""
        with self._bounds():
            return self._field(at, last)

    def value(self, kind: int, at: int) -> tuple[Any, int]:
        """The value of a field that `field` told of."""
        self._parts = MOST_PARTS
        with self._bounds():
            return self._value(kind, at, 1)

    def elements(self, kind: int, at: int) -> Iterator[Struct]:
        """The structs of a list at `at`, one by one, each with parts of its own."""
        if kind != LIST:
            raise BadInputError(f"not the thrift expected: a list before byte {at}")
        with self._bounds():
            of, size, at = self._list(at)
        if size and of != STRUCT:
            raise BadInputError(f"not the thrift expected: a list of structs before byte {at}")
        for _ in range(size):
            self._parts = MOST_PARTS
            with self._bounds():
                found, at = self._struct(at, 1)
            yield found
        self.at = at

    @contextmanager
    def _bounds(self) -> Iterator[None]:
        try:
            yield
        except (IndexError, struct.error):
            raise BadInputError(f"not the thrift expected: it ends early, after {len(self.raw)} bytes") from None

    def _struct(self, at: int, depth: int) -> tuple[Struct, int]:
        self._check(depth, at)
        found: Struct = {}
        last = 0
        while True:
            kind, last, at = self._field(at, last)
            if kind == STOP:
                return found, at
            found[last], at = self._value(kind, at, depth + 1)

    def _values(self, at: int, depth: int) -> tuple[list[Any], int]:
        self._check(depth, at)
        of, size, at = self._list(at)
        self._spend(size, at)
        found = []
        for _ in range(size):
            value, at = self._value(of, at, depth + 1)
            found.append(value)
        return found, at

    def _pairs(self, keys: int, values: int, size: int, at: int, depth: int) -> tuple[None, int]:
        """Over a map: no message read here has one, but fields that are not known may."""
        self._check(depth, at)
        _, size, at = self._sized(keys, size, at)
        self._spend(size, at)
        for _ in range(size):
            _, at = self._value(keys, at, depth + 1)
            _, at = self._value(values, at, depth + 1)
        return None, at

    def _check(self, depth: int, at: int) -> None:
        if depth > _MAX_DEPTH:
            raise BadInputError(f"thrift nests deeper than {_MAX_DEPTH} levels at byte {at}")

    def _spend(self, parts: int, at: int) -> None:
        """Elements count, not fields: a struct has at most 65,536 of those however many are sent."""
        self._parts -= parts
        if self._parts < 0:
            raise BadInputError(f"more than {MOST_PARTS} parts in one span (byte {at})")

    def _bytes(self, size: int, at: int) -> tuple[bytes, int]:
        if not 0 <= size <= len(self.raw) - at:
            raise BadInputError(f"thrift declares {size} bytes at byte {at}, there are {len(self.raw) - at}")
        return self.raw[at : at + size], at + size

    def _sized(self, of: int, size: int, at: int) -> tuple[int, int, int]:
        """A list's header, checked: every element takes a byte at least."""
        if not 0 <= size <= len(self.raw) - at:
            raise BadInputError(f"thrift declares {size} elements at byte {at}, there are {len(self.raw) - at} bytes")
        return of, size, at

    def _value(self, kind: int, at: int, depth: int) -> tuple[Any, int]:
        raise NotImplementedError

    def _message(self) -> tuple[str, int]:
        raise NotImplementedError

    def _field(self, at: int, last: int) -> tuple[int, int, int]:
        raise NotImplementedError

    def _list(self, at: int) -> tuple[int, int, int]:
        raise NotImplementedError


class Binary(Reader):
    """The binary protocol: fixed-width integers, big-endian."""

    def _message(self) -> tuple[str, int]:
        head = _I32(self.raw, 0)[0]
        if head < 0:  # strict: version and type come first
            name, at = self._value(STRING, 4, 0)
            return name.decode(errors="replace"), at + 4
        name, at = self._value(STRING, 0, 0)
        return name.decode(errors="replace"), at + 5

    def _field(self, at: int, last: int) -> tuple[int, int, int]:
        raw = self.raw
        kind = raw[at]
        return (kind, raw[at + 1] << 8 | raw[at + 2], at + 3) if kind else (STOP, last, at + 1)

    def _list(self, at: int) -> tuple[int, int, int]:
        return self._sized(self.raw[at], _I32(self.raw, at + 1)[0], at + 5)

    def _value(self, kind: int, at: int, depth: int) -> tuple[Any, int]:  # noqa: PLR0911 - one a type
        raw = self.raw
        if kind == STRING:
            return self._bytes(_I32(raw, at)[0], at + 4)
        if kind == I64:
            return _I64(raw, at)[0], at + 8
        if kind == I32:
            return _I32(raw, at)[0], at + 4
        if kind == STRUCT:
            return self._struct(at, depth)
        if kind in (LIST, SET):
            return self._values(at, depth)
        if kind == BOOL:
            return raw[at] != 0, at + 1
        if kind == DOUBLE:
            return _DOUBLE(raw, at)[0], at + 8
        if kind in _FIXED:
            value, at = self._bytes(_FIXED[kind], at)
            return int.from_bytes(value, "big", signed=True), at
        if kind == MAP:
            return self._pairs(raw[at], raw[at + 1], _I32(raw, at + 2)[0], at + 6, depth)
        raise BadInputError(f"a thrift type that does not exist: {kind} before byte {at}")


class Compact(Reader):
    """The compact protocol: zigzag varints, field numbers as differences."""

    def _message(self) -> tuple[str, int]:
        if self.raw[0] != 0x82:
            raise BadInputError("not thrift's compact protocol")
        _, at = self._varint(2)
        size, at = self._varint(at)
        name, at = self._bytes(size, at)
        return name.decode(errors="replace"), at

    def _field(self, at: int, last: int) -> tuple[int, int, int]:
        head = self.raw[at]
        if not head & 15:
            return STOP, last, at + 1
        kind = _compact_type(head & 15, at)
        number_ = last + (head >> 4)
        at += 1
        if not head >> 4:
            number_, at = self._zigzag(at)
        # A truth value is in the type: its position is that of a byte that says it like a list's element.
        return (kind, number_, at) if kind != BOOL else (-(head & 15), number_, at)

    def _list(self, at: int) -> tuple[int, int, int]:
        head = self.raw[at]
        size, at = (head >> 4, at + 1) if head >> 4 < 15 else self._varint(at + 1)
        return self._sized(_compact_type(head & 15, at) if size else STRUCT, size, at)

    def _value(self, kind: int, at: int, depth: int) -> tuple[Any, int]:  # noqa: PLR0911 - one a type
        if kind == STRING:
            return self._bytes(*self._varint(at))
        if kind in (I16, I32, I64):
            return self._zigzag(at)
        if kind < 0:
            return kind == -1, at
        if kind == STRUCT:
            return self._struct(at, depth)
        if kind in (LIST, SET):
            return self._values(at, depth)
        if kind == BOOL:
            return self.raw[at] == 1, at + 1
        if kind == DOUBLE:
            return _LITTLE_DOUBLE(self.raw, at)[0], at + 8
        if kind == BYTE:
            return self.raw[at] - ((self.raw[at] & 128) << 1), at + 1
        return self._map(at, depth)

    def _map(self, at: int, depth: int) -> tuple[None, int]:
        size, at = self._varint(at)
        if not size:
            return None, at
        kinds = self.raw[at]
        return self._pairs(_compact_type(kinds >> 4, at), _compact_type(kinds & 15, at), size, at + 1, depth)

    def _varint(self, at: int) -> tuple[int, int]:
        raw, value, shift = self.raw, 0, 0
        while shift < 70:
            byte = raw[at]
            at += 1
            value |= (byte & 127) << shift
            if byte < 128:
                return value & (1 << 64) - 1, at
            shift += 7
        raise BadInputError(f"a varint longer than 64 bits before byte {at}")

    def _zigzag(self, at: int) -> tuple[int, int]:
        value, at = self._varint(at)
        return (value >> 1) ^ -(value & 1), at


def _compact_type(kind: int, at: int) -> int:
    if kind not in _COMPACT:
        raise BadInputError(f"a thrift type that does not exist: {kind} before byte {at}")
    return _COMPACT[kind]


def number(fields: Struct, key: int, name: str, default: int | None = None) -> int:
    """An integer field; `RefusedError` when it is another type, or missing without a default."""
    value = fields.get(key, default)
    if not isinstance(value, int) or isinstance(value, bool):
        raise wrong(name, value, "an integer")
    return value


def text(fields: Struct, key: int, name: str, default: str | None = None) -> str:
    """A string field; what is no UTF-8 in it becomes a replacement character."""
    value = fields.get(key, default)
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if not isinstance(value, str):
        raise wrong(name, value, "a string")
    return value


def items(fields: Struct, key: int, name: str) -> list[Struct]:
    """A field that is a list of structs; empty when it is missing."""
    value = fields.get(key, [])
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        raise wrong(name, value, "a list of structs")
    return value
