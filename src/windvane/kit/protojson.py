"""protojson, as people write it in YAML, to betterproto2 messages: every mistake with its place.

The library's own `from_dict` stops at the first mistake and says little of where it is. Both spellings of a field count
(`routeConfig`, `route_config`); an `Any` is the message of its `@type`, which is looked for among Envoy's.
"""

from __future__ import annotations

import base64
import binascii
import importlib
import re
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cache
from typing import Any, Literal, cast

import betterproto2
from envoy_data_plane.google import protobuf
from envoy_data_plane.message_pool import default_message_pool
from pydantic import ValidationError

Path = tuple[str | int, ...]
Kind = Literal["unknown field", "wrong value", "unknown type"]

_RANGES = {
    **dict.fromkeys(("int32", "sint32", "sfixed32"), (-(2**31), 2**31 - 1)),
    **dict.fromkeys(("int64", "sint64", "sfixed64"), (-(2**63), 2**63 - 1)),
    **dict.fromkeys(("uint32", "fixed32"), (0, 2**32 - 1)),
    **dict.fromkeys(("uint64", "fixed64"), (0, 2**64 - 1)),
}
_DURATION = re.compile(r"-?\d+(\.\d{1,9})?s")
_TYPE = "@type"
_PACKAGE = "envoy_data_plane"


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a value, and where in it. Of an unknown field the rest can still be used."""

    kind: Kind
    path: Path
    message: str


class _Wrong(Exception):  # noqa: N818 - an outcome that `_Reader` turns into a Mistake
    pass


@dataclass(slots=True)
class _Reader:
    mistakes: list[Mistake] = field(default_factory=list)

    def message(self, kind: type[betterproto2.Message], value: Any, path: Path) -> betterproto2.Message | None:
        """A message, without what is wrong in it; None where nothing can be made of it."""
        if not isinstance(value, Mapping):
            self._wrong(path, f"expected a mapping, got {_shown(value)}")
            return None
        names, given = field_names(kind), {}
        for name, item in value.items():
            known = names.get(str(name))
            if known is None:
                words = f"unknown field {name} of {kind.__name__}"
                self.mistakes.append(Mistake("unknown field", (*path, name), words))
            elif item is not None:
                given[known] = self._field(kind, known, item, (*path, name))
        return self._made(kind, {name: item for name, item in given.items() if item is not None}, path)

    def _made(self, kind: type[betterproto2.Message], given: dict[str, Any], path: Path) -> betterproto2.Message | None:
        groups: dict[str, str] = {}
        for name in given:
            group = _facts(kind).meta_by_field_name[name].group
            if group and groups.setdefault(group, name) != name:
                self._wrong(path, f"only one of {groups[group]}, {name} may be set")
                return None
        try:
            with warnings.catch_warnings(action="ignore"):  # of fields that Envoy calls deprecated
                return kind(**given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            self._wrong((*path, *map(str, first["loc"])), str(first["msg"]))
            return None

    def _field(self, kind: type[betterproto2.Message], name: str, value: Any, path: Path) -> Any:
        meta = _facts(kind).meta_by_field_name[name]
        if meta.map_meta is not None:
            return self._map(kind, name, value, path)
        if not meta.repeated:
            return self._one(meta, _facts(kind).cls_by_field[name], value, path)
        if not isinstance(value, list):
            self._wrong(path, f"expected a list, got {_shown(value)}")
            return None
        made = [
            self._one(meta, _facts(kind).cls_by_field[name], item, (*path, index)) for index, item in enumerate(value)
        ]
        return [item for item in made if item is not None]

    def _map(self, kind: type[betterproto2.Message], name: str, value: Any, path: Path) -> Any:
        if not isinstance(value, Mapping):
            self._wrong(path, f"expected a mapping, got {_shown(value)}")
            return None
        key_meta, item_meta = cast("Any", _facts(kind).meta_by_field_name[name].map_meta)
        item_kind = _facts(kind).cls_by_field[f"{name}.value"]
        made = {
            self._one(key_meta, str, str(key) if key_meta.proto_type == "string" else key, path): self._one(
                item_meta, item_kind, item, (*path, str(key))
            )
            for key, item in value.items()
        }
        return {key: item for key, item in made.items() if item is not None}

    def _one(self, meta: Any, kind: Any, value: Any, path: Path) -> Any:
        try:
            if meta.proto_type == "message":
                return self._message_like(meta.unwrap() if meta.unwrap else kind, value, path, unwrap=bool(meta.unwrap))
            if meta.proto_type == "enum":
                return _enum(kind, value)
            return _scalar(meta.proto_type, value)
        except _Wrong as wrong:
            self._wrong(path, str(wrong))
            return None

    def _message_like(self, kind: Any, value: Any, path: Path, *, unwrap: bool) -> Any:
        if kind is protobuf.Any:
            return self._any(value, path)
        if kind is protobuf.Duration:
            return _duration(value)
        if kind is protobuf.Timestamp:
            return protobuf.Timestamp.from_dict(value).to_wrapped() if unwrap else protobuf.Timestamp.from_dict(value)
        if kind in (protobuf.Struct, protobuf.Value, protobuf.ListValue):
            return _free_form(kind, value)
        if unwrap:  # a wrapped scalar is written as the scalar
            return _scalar(_facts(kind).meta_by_field_name["value"].proto_type, value)
        return self.message(kind, value, path)

    def _any(self, value: Any, path: Path) -> protobuf.Any | None:
        url = value.get(_TYPE) if isinstance(value, Mapping) else None
        if not isinstance(url, str) or not url:
            without = f" without {_TYPE}" if isinstance(value, Mapping) else ""
            self._wrong(path, f"expected a mapping with {_TYPE}, got {_shown(value)}{without}")
            return None
        kind = message_type(url)
        if kind is None:
            self.mistakes.append(Mistake("unknown type", (*path, _TYPE), f"referenced type unknown: {url}"))
            return None
        inner = {key: item for key, item in value.items() if key != _TYPE}
        made = self.message(kind, inner, path)
        return None if made is None else protobuf.Any(type_url=url, value=bytes(made))

    def _wrong(self, path: Path, text: str) -> None:
        self.mistakes.append(Mistake("wrong value", path, text))


def read(kind: type[betterproto2.Message], value: Any) -> tuple[betterproto2.Message | None, list[Mistake]]:
    """A message of a kind from plain values, and what is wrong with them.

    None where a value is wrong; where only unknown fields are, the message is without them.
    """
    reader = _Reader()
    made = reader.message(kind, value, ())
    usable = all(mistake.kind == "unknown field" for mistake in reader.mistakes)
    return (made if usable else None), reader.mistakes


@cache
def message_type(url: str) -> type[betterproto2.Message] | None:
    """The class of a type's URL; None for a type that Envoy's own API does not have."""
    name = url.rpartition("/")[2]
    parts = name.split(".")
    if not all(re.fullmatch(r"[A-Za-z_]\w*", part) for part in parts):
        return None
    # A package's parts are in lower case; its types are known once it is imported.
    end = next((index for index, part in enumerate(parts) if part[:1].isupper()), len(parts))
    try:
        importlib.import_module(".".join((_PACKAGE, *parts[:end])))
    except ModuleNotFoundError:
        return None
    return default_message_pool.url_to_type.get(f"type.googleapis.com/{name}")


@cache
def field_names(kind: type[betterproto2.Message]) -> dict[str, str]:
    """A message's fields by each of their spellings."""
    return {spelled: name for name in _facts(kind).meta_by_field_name for spelled in _spellings(name)}


def _facts(kind: Any) -> Any:
    """What the library knows of a message's fields; its own types do not let a class be asked."""
    return kind._betterproto


def _spellings(name: str) -> Iterator[str]:
    plain = name.removesuffix("_")  # Python's own words have one more underscore there
    yield plain
    yield re.sub("_(.)", lambda match: match[1].upper(), plain)


def _enum(kind: Any, value: Any) -> Any:
    """A value of an enum by its name in the proto or its number."""
    renamed = kind.betterproto_renamed_proto_names_to_value()
    if isinstance(value, str) and value in renamed:
        return kind(renamed[value])
    if isinstance(value, str) and value in kind.__members__:
        return kind.from_string(value)
    if isinstance(value, int) and not isinstance(value, bool) and value in {int(each) for each in kind}:
        return kind(value)
    names = ", ".join(renamed or kind.__members__)
    raise _Wrong(f"expected one of {names}, got {_shown(value)}")


def _scalar(proto_type: str, value: Any) -> Any:
    if proto_type == "bool" and isinstance(value, bool):
        return value
    if proto_type == "string" and isinstance(value, str):
        return value
    if proto_type in _RANGES and not isinstance(value, bool):
        number, (low, high) = _number(value), _RANGES[proto_type]
        if number is not None and number == int(number) and low <= number <= high:
            return int(number)
        raise _Wrong(f"expected a whole number in range {low}..{high}, got {_shown(value)}")
    if proto_type in ("float", "double") and not isinstance(value, bool):
        number = _number(value)
        if number is not None:
            return float(number)
    if proto_type == "bytes" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error:
            raise _Wrong(f"expected bytes in base64, got {_shown(value)}") from None
    words = {"bool": "true or false", "string": "a string", "bytes": "bytes in base64"}
    raise _Wrong(f"expected {words.get(proto_type, 'a number')}, got {_shown(value)}")


def _number(value: Any) -> float | int | None:
    if isinstance(value, int | float):
        return value if value == value and abs(value) != float("inf") else None  # noqa: PLR0124 - not a number
    if not isinstance(value, str):
        return None
    try:
        return int(value) if re.fullmatch(r"[+-]?\d+", value) else _number(float(value))
    except ValueError:
        return None


def _duration(value: Any) -> timedelta:
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise _Wrong(f"expected a duration in seconds such as 1.5s, got {_shown(value)}")
    try:
        return timedelta(seconds=float(value[:-1]))
    except OverflowError:
        raise _Wrong(f"{value} is longer than can be told") from None


def _free_form(kind: Any, value: Any) -> Any:
    wanted = {protobuf.Struct: Mapping, protobuf.ListValue: list}.get(kind)
    if wanted is not None and not isinstance(value, wanted):
        raise _Wrong(f"expected a {'mapping' if wanted is Mapping else 'list'}, got {_shown(value)}")
    return kind.from_dict(value)


def _shown(value: Any) -> str:
    if isinstance(value, Mapping | list):
        return "a mapping" if isinstance(value, Mapping) else "a list"
    text = repr(value) if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    return text if len(text) <= 60 else f"{text[:60]}…"
