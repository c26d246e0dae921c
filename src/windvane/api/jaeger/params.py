"""Parameters as Jaeger's Go server reads them; a `BadInputError` carries its message word for word."""

from __future__ import annotations

import base64
import binascii
import calendar
import datetime
import re

import orjson
from starlette.datastructures import QueryParams

from windvane.kit.errors import BadInputError
from windvane.tracing.duration import parse_go_duration
from windvane.tracing.filters.spans import KINDS

_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_HEX = re.compile(r"[0-9a-fA-F]{1,32}")
_INTEGER = re.compile(r"[+-]?\d+", re.ASCII)
_FLOAT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_TIME = re.compile(r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d+))?(?:(Z)|([+ -])(\d\d):(\d\d))", re.ASCII)
_LAYOUT = "2006-01-02T15:04:05.999999999Z07:00"


def unable(name: str, reason: str) -> BadInputError:
    """The error of a parameter that does not parse."""
    return BadInputError(f"unable to parse param '{name}': {reason}")


def parse_int(text: str, bits: int = 64) -> int:
    """As Go's `strconv.ParseInt`."""
    if not _INTEGER.fullmatch(text):
        raise BadInputError(f'strconv.ParseInt: parsing "{text}": invalid syntax')
    if len(text) > 40 or not -(1 << bits - 1) <= int(text) < 1 << bits - 1:
        raise BadInputError(f'strconv.ParseInt: parsing "{text}": value out of range')
    return int(text)


def parse_bool(text: str) -> bool:
    """As Go's `strconv.ParseBool`."""
    if text not in _TRUE + _FALSE:
        raise BadInputError(f'strconv.ParseBool: parsing "{text}": invalid syntax')
    return text in _TRUE


def parse_float(text: str) -> float:
    """As Go's `strconv.ParseFloat`, without infinities and NaN, which no parameter means."""
    if not _FLOAT.fullmatch(text):
        raise BadInputError(f'strconv.ParseFloat: parsing "{text}": invalid syntax')
    return float(text)


def parse_time(text: str) -> int:
    """Nanoseconds of an RFC 3339 time; a space for the zone's sign is a plus that nobody encoded."""
    match = _TIME.fullmatch(text)
    refused = BadInputError(f'parsing time "{text}" as "{_LAYOUT}": cannot parse "{text}" as "2006"')
    if match is None:
        raise refused
    try:
        year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
        moment = datetime.datetime(year, month, day, hour, minute, second, tzinfo=datetime.UTC)
    except ValueError:
        raise refused from None
    seconds = calendar.timegm(moment.utctimetuple())
    if match[9]:
        offset = int(match[10]) * 3_600 + int(match[11]) * 60
        seconds -= -offset if match[9] == "-" else offset
    return seconds * 10**9 + int((match[7] or "0")[:9].ljust(9, "0"))


def parse_trace_id(text: str) -> str:
    """32 hex characters of an id given as hex (1 to 32 characters) or base64 (either alphabet, padded or not)."""
    if _HEX.fullmatch(text):
        return text.lower().zfill(32)
    try:
        standard = text.rstrip("=").replace("-", "+").replace("_", "/")
        raw = base64.b64decode(standard + "=" * (-len(standard) % 4), validate=True)
    except (binascii.Error, ValueError):
        raw = b""
    if len(raw) not in (8, 16):
        raise BadInputError(f"malformed trace ID {text!r}: expected 1 to 32 hex characters, or base64 of 8 or 16 bytes")
    return raw.hex().zfill(32)


def integer(params: QueryParams, name: str, default: int) -> int:
    """A whole number; absent or empty is the default."""
    text = params.get(name, "")
    if not text:
        return default
    try:
        return parse_int(text)
    except BadInputError as error:
        raise unable(name, error.message) from None


def boolean(params: QueryParams, name: str) -> bool:
    """A truth value; absent or empty is false."""
    text = params.get(name, "")
    try:
        return bool(text) and parse_bool(text)
    except BadInputError as error:
        raise unable(name, error.message) from None


def duration_ns(params: QueryParams, name: str) -> int | None:
    """A Go duration in nanoseconds; absent, empty and zero are none."""
    text = params.get(name, "")
    if not text:
        return None
    try:
        return parse_go_duration(text) or None
    except BadInputError as error:
        raise unable(name, error.message) from None


def moment_ns(params: QueryParams, name: str, unit_ns: int, default_ns: int) -> int:
    """A time in units since the epoch; bounded to what 64 bits hold."""
    text = params.get(name, "")
    return bounded(integer(params, name, 0) * unit_ns) if text else default_ns


def bounded(nanoseconds: int) -> int:
    """A time that the store can hold."""
    return max(0, min(nanoseconds, (1 << 63) - 1))


def span_kinds(params: QueryParams, name: str, default: list[str]) -> list[str]:
    """Kinds as the store spells them."""
    given = params.getlist(name)
    for kind in given:
        if kind not in KINDS:
            raise unable(name, f"unsupported span kind: '{kind}'")
    return [kind.capitalize() for kind in given] or default


def tags(params: QueryParams) -> dict[str, str]:
    """`tag=key:value` and `tags={"key": "value"}`, each any number of times."""
    found: dict[str, str] = {}
    for text in params.getlist("tag"):
        key, colon, value = text.partition(":")
        if not colon:
            raise BadInputError(f"malformed 'tag' parameter, expecting key:value, received: {text}")
        found[key] = value
    for text in params.getlist("tags"):
        found |= string_map(text, "malformed 'tags' parameter, cannot unmarshal JSON")
    return found


def string_map(text: str, refusal: str) -> dict[str, str]:
    """A JSON object of strings; errors begin with the refusal."""
    try:
        loaded = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"{refusal}: {error}") from None
    if loaded is None:
        return {}
    if not isinstance(loaded, dict):
        raise BadInputError(f"{refusal}: expected an object of strings")
    for key, value in loaded.items():
        if not isinstance(value, str):
            raise BadInputError(f"{refusal}: the value of {key!r} is no string")
    return loaded
