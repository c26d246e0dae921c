"""OTLP/JSON to OTLP protobuf, so that both take the same way into the store.

The rules are the specification's (https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding):
lowerCamelCase names (snake_case is read too), ids in hex, 64-bit integers as strings or numbers,
enums as integers (protobuf's names are read too), bytes in base64, unknown fields ignored. JSON is
the format of browsers and scripts: this is a Python loop, many times slower than protobuf.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from windvane.kit.errors import BadInputError
from windvane.signals.otlp.wire import block, double, fixed32, fixed64, integer

_MAX_DEPTH = 32

# A reader takes (field number, JSON value, path for messages, depth) and gives the field's bytes.
_Reader = Callable[[int, Any, str, int], bytes]
_Message = Mapping[str, tuple[int, _Reader]]


def transcode(text: bytes, signal: str) -> bytes:
    """The export request of a signal (`traces`, `logs`, `metrics`) from its JSON."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise BadInputError(f"not JSON: {error}") from None
    return _encode(_REQUESTS[signal], value, "request", 0)


def _encode(message: _Message, value: Any, path: str, depth: int) -> bytes:
    if not isinstance(value, dict):
        raise _wrong(path, "an object", value)
    if depth > _MAX_DEPTH:
        raise BadInputError(f"OTLP/JSON: {path} nests deeper than {_MAX_DEPTH} levels")
    parts = []
    for name, item in value.items():
        if (field := message.get(name)) is not None and item is not None:
            parts.append(field[1](field[0], item, f"{path}.{name}", depth))
    return b"".join(parts)


def _one(message: Callable[[], _Message]) -> _Reader:
    return lambda number, value, path, depth: block(number, _encode(message(), value, path, depth + 1))


def _many(message: Callable[[], _Message]) -> _Reader:
    def read(number: int, value: Any, path: str, depth: int) -> bytes:
        if not isinstance(value, list):
            raise _wrong(path, "a list", value)
        fields = message()
        return b"".join(
            [block(number, _encode(fields, item, f"{path}[{i}]", depth + 1)) for i, item in enumerate(value)]
        )

    return read


def _string(number: int, value: Any, path: str, _: int) -> bytes:
    if not isinstance(value, str):
        raise _wrong(path, "a string", value)
    return block(number, value.encode())


def _boolean(number: int, value: Any, path: str, _: int) -> bytes:
    if not isinstance(value, bool):
        raise _wrong(path, "true or false", value)
    return integer(number, int(value))


def _whole(value: Any, path: str, low: int, high: int) -> int:
    """An integer given as a number or as a string."""
    wanted = f"an integer from {low} to {high}"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise _wrong(path, wanted, value)
    try:
        number = int(value)
    except ValueError:
        raise _wrong(path, wanted, value) from None
    if not low <= number <= high:
        raise _wrong(path, wanted, value)
    return number


def _int64(number: int, value: Any, path: str, _: int) -> bytes:
    return integer(number, _whole(value, path, -(1 << 63), (1 << 63) - 1))


def _enum(number: int, value: Any, path: str, _: int) -> bytes:
    if isinstance(value, str):
        value = _ENUMS.get(value, value)
    return integer(number, _whole(value, path, -(1 << 31), (1 << 31) - 1))


def _fixed64(number: int, value: Any, path: str, _: int) -> bytes:
    return fixed64(number, _whole(value, path, 0, (1 << 64) - 1))


def _fixed32(number: int, value: Any, path: str, _: int) -> bytes:
    return fixed32(number, _whole(value, path, 0, (1 << 32) - 1))


def _sfixed64(number: int, value: Any, path: str, _: int) -> bytes:
    return fixed64(number, _whole(value, path, -(1 << 63), (1 << 63) - 1) & ((1 << 64) - 1))


def _sint32(number: int, value: Any, path: str, _: int) -> bytes:
    whole = _whole(value, path, -(1 << 31), (1 << 31) - 1)
    return integer(number, whole << 1 ^ whole >> 31)


def _uint64(number: int, value: Any, path: str, _: int) -> bytes:
    return integer(number, _whole(value, path, 0, (1 << 64) - 1))


def _listed(reader: _Reader) -> _Reader:
    """A repeated field of numbers, one field each: readers of protobuf take them so too."""

    def read(number: int, value: Any, path: str, depth: int) -> bytes:
        if not isinstance(value, list):
            raise _wrong(path, "a list", value)
        return b"".join([reader(number, item, f"{path}[{i}]", depth) for i, item in enumerate(value)])

    return read


def _double(number: int, value: Any, path: str, _: int) -> bytes:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _wrong(path, "a number", value)
    try:
        return double(number, float(value))
    except (ValueError, OverflowError):
        raise _wrong(path, "a number", value) from None


def _hex(number: int, value: Any, path: str, _: int) -> bytes:
    try:
        return block(number, bytes.fromhex(value))
    except (TypeError, ValueError):
        raise _wrong(path, "a string of hexadecimal digits", value) from None


def _base64(number: int, value: Any, path: str, _: int) -> bytes:
    try:
        padded = value.replace("-", "+").replace("_", "/")
        return block(number, base64.b64decode(padded + "=" * (-len(padded) % 4), validate=True))
    except (AttributeError, ValueError, binascii.Error):
        raise _wrong(path, "base64", value) from None


def _wrong(path: str, wanted: str, value: Any) -> BadInputError:
    shown = repr(value)
    return BadInputError(f"OTLP/JSON: {path} is {shown[:40]}{'…' * (len(shown) > 40)}, expected {wanted}")


def _numbered(prefix: str, names: str, first: int = 0) -> dict[str, int]:
    return {f"{prefix}{name}": number for number, name in enumerate(names.split(), first)}


# Protobuf's own JSON has the names of enum values; OTLP's forbids them, and senders use them.
_ENUMS = {
    **_numbered("SPAN_KIND_", "UNSPECIFIED INTERNAL SERVER CLIENT PRODUCER CONSUMER"),
    **_numbered("STATUS_CODE_", "UNSET OK ERROR"),
    **_numbered("AGGREGATION_TEMPORALITY_", "UNSPECIFIED DELTA CUMULATIVE"),
    "SEVERITY_NUMBER_UNSPECIFIED": 0,
    **{
        f"SEVERITY_NUMBER_{name}{nth if nth > 1 else ''}": 4 * level + nth
        for level, name in enumerate(("TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"))
        for nth in range(1, 5)
    },
}


def _message(**fields: tuple[int, _Reader]) -> _Message:
    """Fields by both of their names: `start_time` and `startTime`."""
    both = dict(fields)
    for name, field in fields.items():
        first, *rest = name.split("_")
        both[first + "".join(word.capitalize() for word in rest)] = field
    return both


def _array() -> _Message:
    return _ARRAY


def _kvlist() -> _Message:
    return _KVLIST


_ANY = _message(
    string_value=(1, _string),
    bool_value=(2, _boolean),
    int_value=(3, _int64),
    double_value=(4, _double),
    array_value=(5, _one(_array)),
    kvlist_value=(6, _one(_kvlist)),
    bytes_value=(7, _base64),
)
_PAIR = _message(key=(1, _string), value=(2, _one(lambda: _ANY)))
_ARRAY = _message(values=(1, _many(lambda: _ANY)))
_KVLIST = _message(values=(1, _many(lambda: _PAIR)))
_ATTRIBUTES = _many(lambda: _PAIR)
_RESOURCE = _message(attributes=(1, _ATTRIBUTES))
_SCOPE = _message(name=(1, _string), version=(2, _string), attributes=(3, _ATTRIBUTES))
_EVENT = _message(time_unix_nano=(1, _fixed64), name=(2, _string), attributes=(3, _ATTRIBUTES))
_LINK = _message(trace_id=(1, _hex), span_id=(2, _hex), trace_state=(3, _string), attributes=(4, _ATTRIBUTES))
_STATUS = _message(message=(2, _string), code=(3, _enum))
_SPAN = _message(
    trace_id=(1, _hex),
    span_id=(2, _hex),
    trace_state=(3, _string),
    parent_span_id=(4, _hex),
    name=(5, _string),
    kind=(6, _enum),
    start_time_unix_nano=(7, _fixed64),
    end_time_unix_nano=(8, _fixed64),
    attributes=(9, _ATTRIBUTES),
    events=(11, _many(lambda: _EVENT)),
    links=(13, _many(lambda: _LINK)),
    status=(15, _one(lambda: _STATUS)),
)
_LOG = _message(
    time_unix_nano=(1, _fixed64),
    severity_number=(2, _enum),
    severity_text=(3, _string),
    body=(5, _one(lambda: _ANY)),
    attributes=(6, _ATTRIBUTES),
    flags=(8, _fixed32),
    trace_id=(9, _hex),
    span_id=(10, _hex),
    observed_time_unix_nano=(11, _fixed64),
    event_name=(12, _string),
)


_EXEMPLAR = _message(
    time_unix_nano=(2, _fixed64),
    as_double=(3, _double),
    span_id=(4, _hex),
    trace_id=(5, _hex),
    as_int=(6, _sfixed64),
    filtered_attributes=(7, _ATTRIBUTES),
)
_EXEMPLARS = _many(lambda: _EXEMPLAR)
_TIMES = {"start_time_unix_nano": (2, _fixed64), "time_unix_nano": (3, _fixed64)}
_NUMBER = _message(
    **_TIMES,
    as_double=(4, _double),
    exemplars=(5, _EXEMPLARS),
    as_int=(6, _sfixed64),
    attributes=(7, _ATTRIBUTES),
    flags=(8, _uint64),
)
_HISTOGRAM_POINT = _message(
    **_TIMES,
    count=(4, _fixed64),
    sum=(5, _double),
    bucket_counts=(6, _listed(_fixed64)),
    explicit_bounds=(7, _listed(_double)),
    exemplars=(8, _EXEMPLARS),
    attributes=(9, _ATTRIBUTES),
    flags=(10, _uint64),
)
_BUCKETS = _message(offset=(1, _sint32), bucket_counts=(2, _listed(_uint64)))
_EXPONENTIAL_POINT = _message(
    **_TIMES,
    attributes=(1, _ATTRIBUTES),
    count=(4, _fixed64),
    sum=(5, _double),
    scale=(6, _sint32),
    zero_count=(7, _fixed64),
    positive=(8, _one(lambda: _BUCKETS)),
    negative=(9, _one(lambda: _BUCKETS)),
    flags=(10, _uint64),
    exemplars=(11, _EXEMPLARS),
    zero_threshold=(14, _double),
)
_QUANTILE = _message(quantile=(1, _double), value=(2, _double))
_SUMMARY_POINT = _message(
    **_TIMES,
    count=(4, _fixed64),
    sum=(5, _double),
    quantile_values=(6, _many(lambda: _QUANTILE)),
    attributes=(7, _ATTRIBUTES),
    flags=(8, _uint64),
)


def _data(point: _Message) -> _Reader:
    message = _message(
        data_points=(1, _many(lambda: point)), aggregation_temporality=(2, _enum), is_monotonic=(3, _boolean)
    )
    return _one(lambda: message)


_METRIC = _message(
    name=(1, _string),
    description=(2, _string),
    unit=(3, _string),
    gauge=(5, _data(_NUMBER)),
    sum=(7, _data(_NUMBER)),
    histogram=(9, _data(_HISTOGRAM_POINT)),
    exponential_histogram=(10, _data(_EXPONENTIAL_POINT)),
    summary=(11, _data(_SUMMARY_POINT)),
)


def _request(batches: str, scoped: str, records: str, record: _Message) -> _Message:
    scope = _message(scope=(1, _one(lambda: _SCOPE)), schema_url=(3, _string), **{records: (2, _many(lambda: record))})
    batch = _message(
        resource=(1, _one(lambda: _RESOURCE)), schema_url=(3, _string), **{scoped: (2, _many(lambda: scope))}
    )
    return _message(**{batches: (1, _many(lambda: batch))})


_REQUESTS = {
    "traces": _request("resource_spans", "scope_spans", "spans", _SPAN),
    "logs": _request("resource_logs", "scope_logs", "log_records", _LOG),
    "metrics": _request("resource_metrics", "scope_metrics", "metrics", _METRIC),
}
