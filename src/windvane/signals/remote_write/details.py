"""What a scan leaves as byte ranges: native histograms, exemplars, metadata.

The messages of 1.0 and 2.0 have the same field numbers but for labels (messages against references)
and metadata (of a family against of a series).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from windvane.kit.errors import BadInputError
from windvane.signals import protobuf
from windvane.signals.native_histograms import NO_COUNT, Floats, NativeHistogram, check, fitted, indexes
from windvane.signals.remote_write.scan import Request

METRIC_TYPES = ("unknown", "counter", "gauge", "histogram", "gaugehistogram", "summary", "info", "stateset")
_STALE = struct.pack("<Q", 0x7FF0000000000002)
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "summary": ("_sum", "_count")}
_SUFFIXES["gaugehistogram"] = ("_bucket", "_gsum", "_gcount")


class Exemplar(NamedTuple):
    """An exemplar with its label list as sent; a time of 0 means none was given."""

    labels: list[tuple[bytes, bytes]]
    value: float
    time_ms: int


class Facts(NamedTuple):
    """Metadata of a family (1.0) or of a series (2.0, `family` empty); `type` is one of METRIC_TYPES."""

    family: str
    type: str
    help: str
    unit: str


def histogram_time(message: bytes) -> int:
    """When a histogram sample was taken, in milliseconds."""
    return next((protobuf.signed(value) for number, _, value in protobuf.fields(message) if number == 15), 0)


def histogram(message: bytes) -> NativeHistogram:
    """A Histogram message as a row; `BadInputError` when it contradicts itself."""
    one = _Parts(message).row()
    if struct.pack("<d", one.sum) != _STALE:
        check(one)
    return fitted(one)


class _Parts:
    """The fields of a Histogram message as they come."""

    def __init__(self, message: bytes) -> None:
        self.numbers: dict[int, float] = {}
        self.spans: dict[int, list[tuple[int, int]]] = {8: [], 11: []}
        self.deltas: dict[int, list[int]] = {9: [], 12: []}
        self.doubles: dict[int, list[Floats]] = {10: [], 13: [], 16: []}
        self.is_float = False
        for number, wire, value in protobuf.fields(message):
            self._take(number, wire, value)

    def _take(self, number: int, wire: int, value: protobuf.Value) -> None:
        if number in (1, 6):
            self.numbers[number] = float(protobuf.whole(value))
        elif number in (2, 3, 5, 7):
            self.numbers[number] = protobuf.double(value)
        elif number == 4:
            self.numbers[number] = _small(protobuf.zigzag(value))
        elif number == 14:
            self.numbers[number] = _small(protobuf.whole(value))
        elif number in self.spans:
            self.spans[number].append(_span(protobuf.block(value)))
        elif number in self.deltas:
            self.deltas[number] += [protobuf.zigzag(delta) for delta in protobuf.varints(wire, value)]
        elif number in self.doubles:
            self.doubles[number].append(protobuf.doubles(wire, value))
        if number in (1, 2):
            self.is_float = number == 2

    def row(self) -> NativeHistogram:
        get = self.numbers.get
        negative, positive = self._side(8), self._side(11)
        return NativeHistogram(
            schema=int(get(4, 0)),
            hint=int(get(14, 0)) if get(14, 0) in (0, 1, 2, 3) else 0,
            is_float=self.is_float,
            zero_threshold=get(5, 0.0),
            zero_count=get(7, 0.0) if self.is_float else get(6, 0.0),
            count=get(2, 0.0) if self.is_float else get(1, 0.0),
            sum=get(3, 0.0),
            positive_index=indexes(self.spans[11]),
            positive_count=positive,
            negative_index=indexes(self.spans[8]),
            negative_count=negative,
            custom_bounds=_joined(self.doubles[16]),
        )

    def _side(self, spans: int) -> Floats:
        """Absolute counts of one side; buckets without observations are kept as sent."""
        if self.is_float:
            count = _joined(self.doubles[spans + 2])
        else:
            count = np.cumsum(np.array(self.deltas[spans + 1], np.float64))
        buckets = sum(length for _, length in self.spans[spans])
        if buckets != len(count):
            raise BadInputError(f"a native histogram's spans have {buckets} buckets, but {len(count)} counts")
        return count


def _joined(pieces: list[Floats]) -> Floats:
    return np.concatenate(pieces) if pieces else NO_COUNT


def _span(message: bytes) -> tuple[int, int]:
    gap = length = 0
    for number, _, value in protobuf.fields(message):
        if number == 1:
            gap = protobuf.zigzag(value)
        elif number == 2:
            length = protobuf.whole(value) & 0xFFFFFFFF
    return gap, length


def _small(number: int) -> int:
    return max(-(1 << 31), min((1 << 31) - 1, number))


def exemplar(request: Request, message: bytes) -> Exemplar:
    """An Exemplar message."""
    value, time = 0.0, 0
    for number, _, part in protobuf.fields(message):
        if number == 2:
            value = protobuf.double(part)
        elif number == 3:
            time = protobuf.signed(part)
    return Exemplar(request.pairs(message, 1), value, time)


def families(request: Request) -> Iterator[Facts]:
    """Metadata of a 1.0 request."""
    for place in request.metadata.tolist():
        if place[0] < 0:
            found = {number: value for number, _, value in protobuf.fields(request.part(place))}
            family, help_, unit = (protobuf.text(found.get(number, b"")) for number in (2, 4, 5))
            yield Facts(family, _type(found.get(1, 0)), help_, unit)


def facts(request: Request, place: list[int]) -> Facts:
    """Metadata of a series in a 2.0 request, from its place."""
    found = {number: value for number, _, value in protobuf.fields(request.part(place))}
    help_, unit = (protobuf.text(request.symbol(protobuf.whole(found.get(number, 0)))) for number in (3, 4))
    return Facts("", _type(found.get(1, 0)), help_, unit)


def family_of(name: str, type_: str) -> str:
    """The family that a series of this name and type belongs to."""
    for suffix in _SUFFIXES.get(type_, ()):
        if name.endswith(suffix):
            return name.removesuffix(suffix)
    return name


def _type(value: protobuf.Value) -> str:
    number = protobuf.whole(value)
    return METRIC_TYPES[number] if number < len(METRIC_TYPES) else "unknown"
