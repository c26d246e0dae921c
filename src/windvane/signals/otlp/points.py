"""What a scan of OTLP metrics leaves as byte ranges: attributes, exponential histograms, exemplars.

Attribute values become text as the OpenTelemetry Collector writes them (`Value.AsString`).
"""

from __future__ import annotations

import base64
import math
from collections.abc import Iterator
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from windvane.kit.errors import BadInputError
from windvane.signals import protobuf
from windvane.signals.native_histograms import (
    COARSEST,
    FINEST,
    NO_COUNT,
    NO_INDEX,
    Floats,
    Indexes,
    NativeHistogram,
    halved,
)
from windvane.signals.otlp.nested import json_text

_ZERO_THRESHOLD = 1e-128
"""Where Prometheus's OTLP receiver sets the zero bucket's width when a sender does not."""
_FINEST_SCALE, _LARGEST_INDEX = 20, 2**31 - 1


class Exemplar(NamedTuple):
    """An exemplar with its labels: trace_id, span_id and the filtered attributes."""

    labels: dict[str, str]
    value: float
    time_ns: int


def attributes(message: bytes, number: int) -> Iterator[tuple[str, str]]:
    """Keys and texts of the attributes in field `number` of a message."""
    for found, _, value in protobuf.fields(message):
        if found == number:
            pair = {part: content for part, _, content in protobuf.fields(protobuf.block(value))}
            yield protobuf.text(pair.get(1, b"")), text(protobuf.block(pair.get(2, b"")))


def text(any_value: bytes) -> str:
    """An AnyValue as text."""
    made = ""
    for number, _, value in protobuf.fields(any_value):
        if number == 1:
            made = protobuf.text(value)
        elif number == 2:
            made = "true" if protobuf.whole(value) else "false"
        elif number == 3:
            made = str(protobuf.signed(value))
        elif number == 4:
            made = _json_number(protobuf.double(value))
        elif number in (5, 6):
            made = json_text(protobuf.block(value), is_list=number == 5).decode()
        elif number == 7:
            made = base64.b64encode(protobuf.block(value)).decode()
    return made


def decimal(number: float) -> str:
    """A bound or quantile as a label: no exponent, no trailing zeros."""
    if not math.isfinite(number):
        return "NaN" if math.isnan(number) else "+Inf" if number > 0 else "-Inf"
    return format(Decimal(repr(number)), "f").removesuffix(".0")


def _json_number(number: float) -> str:
    if not math.isfinite(number) or number == 0 or 1e-6 <= abs(number) < 1e21:
        return decimal(number)
    digits, exponent = repr(number).split("e")
    sign = exponent[0] if exponent[0] in "+-" else "+"
    return f"{digits.removesuffix('.0')}e{sign}{exponent.lstrip('+-').lstrip('0')}"


def string(message: bytes, number: int) -> str:
    """A string field of a message."""
    return next((protobuf.text(value) for found, _, value in protobuf.fields(message) if found == number), "")


def exponential(message: bytes) -> NativeHistogram:
    """An ExponentialHistogramDataPoint in a schema that Prometheus has."""
    numbers: dict[int, float] = {}
    scale, sides = 0, {8: (NO_INDEX, NO_COUNT), 9: (NO_INDEX, NO_COUNT)}
    for number, _, value in protobuf.fields(message):
        if number in (4, 7):
            numbers[number] = float(protobuf.fixed64(value))
        elif number in (5, 14):
            numbers[number] = protobuf.double(value)
        elif number == 6:
            scale = protobuf.zigzag(value)
        elif number in sides:
            sides[number] = _buckets(protobuf.block(value))
    if not COARSEST <= scale <= _FINEST_SCALE:
        raise BadInputError(
            f"an exponential histogram has scale {scale}, which is none of {COARSEST} to {_FINEST_SCALE}"
        )
    by = max(0, scale - FINEST)
    positive, negative = (halved(*sides[side], by) for side in (8, 9))
    return NativeHistogram(
        schema=min(scale, FINEST),
        hint=0,
        is_float=False,
        zero_threshold=numbers.get(14) or _ZERO_THRESHOLD,
        zero_count=numbers.get(7, 0.0),
        count=numbers.get(4, 0.0),
        sum=numbers.get(5, 0.0),
        positive_index=positive[0],
        positive_count=positive[1],
        negative_index=negative[0],
        negative_count=negative[1],
    )


def _buckets(message: bytes) -> tuple[Indexes, Floats]:
    """Indexes as Prometheus counts them (one more than OTLP's) and counts of the buckets that have any."""
    offset, counts = 0, list[int]()
    for number, wire, value in protobuf.fields(message):
        if number == 1:
            offset = protobuf.zigzag(value)
        elif number == 2:
            counts += protobuf.varints(wire, value)
    if abs(offset) + len(counts) + 1 > _LARGEST_INDEX:
        raise BadInputError("an exponential histogram's bucket index is beyond 32 bits")
    dense = np.array(counts, np.float64)
    some = np.flatnonzero(dense)
    return (some + offset + 1).astype(np.int32), dense[some]


def exemplar(message: bytes) -> Exemplar:
    """An Exemplar; attributes that would make its labels longer than 128 characters are left out."""
    value, time, ids, others = 0.0, 0, dict[str, str](), dict[str, str]()
    for number, _, part in protobuf.fields(message):
        if number == 2:
            time = protobuf.fixed64(part)
        elif number == 3:
            value = protobuf.double(part)
        elif number == 6:
            raw = protobuf.fixed64(part)
            value = float(raw - (1 << 64) if raw >= 1 << 63 else raw)
        elif number in (4, 5) and any(raw_id := protobuf.block(part)):
            ids["span_id" if number == 4 else "trace_id"] = raw_id.hex()
    others = dict(attributes(message, 7))
    length = sum(len(name) + len(content) for name, content in [*ids.items(), *others.items()])
    return Exemplar({**others, **ids} if length <= 128 else ids, value, time)
