"""Native histograms as Prometheus's test files write them: `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`.

Fields: schema, sum, count, z_bucket (count), z_bucket_w (threshold), buckets and offset (the index of the first),
n_buckets and n_offset, custom_values (with schema -53), counter_reset_hint. What is not given is 0.
https://prometheus.io/docs/prometheus/latest/configuration/unit_testing_rules/
"""

from __future__ import annotations

import re

import numpy as np

from windvane.kit.errors import BadInputError
from windvane.promql import numbers
from windvane.promql.native.histogram import CUSTOM, GAUGE, NO_RESET, RESET, UNKNOWN, Floats, Histogram, Index

_FIELD = re.compile(r"\s*(\w+):\s*(\[[^\]]*\]|[^\s\[\]]+)")
_HINTS = {"unknown": UNKNOWN, "reset": RESET, "not_reset": NO_RESET, "gauge": GAUGE}
_LISTS = ("buckets", "n_buckets", "custom_values")
_NUMBERS = ("schema", "sum", "count", "z_bucket", "z_bucket_w", "offset", "n_offset")
_MOST_BUCKETS = 100_000


def parse(text: str) -> Histogram:
    """The histogram that `{{…}}` stands for; `BadInputError` names what is wrong."""
    fields = _fields(text)
    hint = fields.pop("counter_reset_hint", "unknown")
    if hint not in _HINTS:
        raise BadInputError(f"{text}: counter_reset_hint is {', '.join(_HINTS)}, not {hint}")
    single = {name: _number(text, name, fields.get(name, "0")) for name in _NUMBERS}
    lists = {name: _list(text, name, fields.get(name, "[]")) for name in _LISTS}
    schema, first, n_first = (_whole(text, name, single[name]) for name in ("schema", "offset", "n_offset"))
    if not (-4 <= schema <= 8 or schema == CUSTOM):
        raise BadInputError(f"{text}: schema is -4 to 8, or {CUSTOM} for custom_values, not {schema}")
    return Histogram(
        schema,
        _HINTS[hint],
        single["count"],
        single["sum"],
        single["z_bucket_w"],
        single["z_bucket"],
        (np.arange(len(lists["buckets"])) + first).astype(np.int32),
        lists["buckets"],
        (np.arange(len(lists["n_buckets"])) + n_first).astype(np.int32),
        lists["n_buckets"],
        lists["custom_values"],
    )


def _fields(text: str) -> dict[str, str]:
    inner = text.strip()
    if not (inner.startswith("{{") and inner.endswith("}}")):
        example = "{{schema:0 sum:3 count:2 buckets:[2]}}"
        raise BadInputError(f"not a histogram: {text!r} (expected for example {example})")
    inner, fields, place = inner[2:-2], {}, 0
    while inner[place:].strip():
        match = _FIELD.match(inner, place)
        if match is None:
            raise BadInputError(f"{text}: not a field of a histogram: {inner[place:].strip()!r}")
        name, place = match[1], match.end()
        if name not in (*_NUMBERS, *_LISTS, "counter_reset_hint"):
            raise BadInputError(f"{text}: histograms have no field {name}")
        if name in fields:
            raise BadInputError(f"{text}: {name} is given twice")
        fields[name] = match[2]
    return fields


def _number(text: str, name: str, value: str) -> float:
    number = numbers.parse(value)
    if number is None:
        raise BadInputError(f"{text}: {name} is not a number: {value}")
    return number


def _whole(text: str, name: str, value: float) -> int:
    if not (value.is_integer() and abs(value) < 2**30):
        raise BadInputError(f"{text}: {name} is not a whole number")
    return int(value)


def _list(text: str, name: str, value: str) -> Floats:
    if not value.startswith("["):
        raise BadInputError(f"{text}: {name} is a list, as [1 2], not {value}")
    parts = value.strip("[]").split()
    if len(parts) > _MOST_BUCKETS:
        raise BadInputError(f"{name}: more than {_MOST_BUCKETS} buckets")
    return np.array([_number(text, name, part) for part in parts], np.float64)


def shown(histogram: Histogram) -> str:
    """A histogram in this notation, without its hint of resets unless it is a gauge; empty fields are left out."""
    one = histogram.compacted()
    single = [("count", one.count), ("sum", one.sum), ("z_bucket", one.zero_count), ("z_bucket_w", one.zero_threshold)]
    fields = [f"schema:{one.schema}"] if one.schema else []
    fields += [f"{name}:{numbers.general(value)}" for name, value in single if value]
    if one.is_custom:
        fields.append(f"custom_values:{_texts(one.custom_bounds)}")
    if one.hint == GAUGE:
        fields.append("counter_reset_hint:gauge")
    fields += _side("", one.positive_index, one.positive_count)
    fields += _side("n_", one.negative_index, one.negative_count)
    return f"{{{{{' '.join(fields)}}}}}"


def _side(prefix: str, index: Index, count: Floats) -> list[str]:
    if not len(index):
        return []
    first, last = int(index[0]), int(index[-1])
    if last - first > _MOST_BUCKETS:
        pairs = zip(index.tolist(), count.tolist(), strict=True)
        return [f"{prefix}buckets:[{' '.join(f'{at}={numbers.general(value)}' for at, value in pairs)}]"]
    counts = np.zeros(last - first + 1)
    counts[index - first] = count
    offset = [f"{prefix}offset:{first}"] if first else []
    return [*offset, f"{prefix}buckets:{_texts(counts)}"]


def _texts(values: Floats) -> str:
    return f"[{' '.join(map(numbers.general, values.tolist()))}]"
