"""Prometheus's protobuf exposition: length-delimited io.prometheus.client.MetricFamily messages.

The key of a series is its family's name, its labels as the body has them, and which sample of the
metric it is (a bucket, a quantile, the sum, …). Native histograms come as spans of buckets: the first
offset is an index, later ones are gaps; integer counts are deltas from bucket to bucket.
Field numbers: https://github.com/prometheus/client_model, io/prometheus/client/metrics.proto
"""

from __future__ import annotations

import math
from collections.abc import Container, Sequence
from itertools import accumulate

import numpy as np

from windvane.signals.exposition.grammar import NAME
from windvane.signals.exposition.model import (
    NO_TIME,
    Exemplar,
    Exposition,
    ExpositionError,
    FamilyMetadata,
    Labels,
    NativeHistogram,
    Span,
)
from windvane.signals.exposition.values import label_number
from windvane.signals.exposition.wire import (
    Value,
    WireError,
    double,
    fields,
    int64,
    message,
    packed_doubles,
    packed_signed,
    signed,
    string,
    varint,
)

_TYPES = ("counter", "gauge", "summary", "unknown", "histogram", "gaugehistogram")
_MAX_BUCKETS = 1 << 20


class ProtobufReader:
    """Reads bodies of delimited metric families."""

    def __init__(self, *, native: bool, classic: bool) -> None:
        self._native = native
        self._classic = classic

    def read(self, body: bytes, known: Container[bytes]) -> Exposition:
        """As `Reader.read`."""
        found = _Found(known, native=self._native, classic=self._classic)
        position = count = 0
        try:
            while position < len(body):
                count += 1
                size, position = varint(body, position)
                if size > len(body) - position:
                    raise WireError("truncated message")
                found.family(body[position : position + size])
                position += size
        except WireError as error:
            raise ExpositionError(f"metric family {count}: {error}", samples=len(found.keys)) from None
        return found.exposition()


class _Found:
    """The families of one body, as they are read."""

    def __init__(self, known: Container[bytes], *, native: bool, classic: bool) -> None:
        self._known = known
        self._native = native
        self._classic = classic
        self.keys: list[bytes] = []
        self._values: list[float] = []
        self._times: dict[int, int] = {}
        self._fresh: dict[bytes, Labels] = {}
        self._exemplars: list[Exemplar] = []
        self._metadata: dict[str, FamilyMetadata] = {}
        self._histograms: dict[int, NativeHistogram] = {}
        self._name = ""
        self._pairs: list[bytes] = []
        self._time = NO_TIME

    def exposition(self) -> Exposition:
        times = None
        if self._times:
            times = np.full(len(self.keys), NO_TIME, np.int64)
            times[list(self._times)] = list(self._times.values())
        return Exposition(
            self.keys,
            np.array(self._values, np.float64),
            times,
            self._fresh,
            self._exemplars,
            self._metadata,
            self._histograms,
        )

    def family(self, data: bytes) -> None:
        kind, help_, unit, metrics = 0, "", "", []
        self._name = ""
        for number, value in fields(data):
            if number == 1:
                self._name = string(value)
            elif number == 2:
                help_ = string(value)
            elif number == 3:
                kind = int64(value)
            elif number == 4:
                metrics.append(message(value))
            elif number == 5:
                unit = string(value)
        if not self._name:
            raise WireError("it has no name")
        if not 0 <= kind < len(_TYPES):
            raise WireError(f"{self._name} has unknown type {kind}")
        self._metadata[self._name] = FamilyMetadata(_TYPES[kind], help_, unit)
        for metric in metrics:
            self._metric(metric)

    def _metric(self, data: bytes) -> None:
        self._pairs, self._time, bodies = [], NO_TIME, []
        for number, value in fields(data):
            if number == 1:
                self._pairs.append(message(value))
            elif number == 6:
                self._time = int64(value)
            elif number in _BODIES:
                bodies.append((number, message(value)))
        for number, body in bodies:
            _BODIES[number](self, body)

    def _add(self, value: float, suffix: str = "", extra: tuple[str, str] | None = None) -> int:
        """A sample of the metric at hand; its row."""
        mark = f"{suffix}\xff{extra[1] if extra else ''}".encode()
        key = b"\xff".join((self._name.encode(), *self._pairs, mark))
        if key not in self._known and key not in self._fresh:
            self._fresh[key] = self._labels(suffix, extra)
        self.keys.append(key)
        self._values.append(value)
        row = len(self.keys) - 1
        if self._time != NO_TIME:
            self._times[row] = self._time
        return row

    def _labels(self, suffix: str, extra: tuple[str, str] | None) -> Labels:
        labels = {NAME: self._name + suffix}
        for pair in self._pairs:
            name, value = _pair(pair)
            if name in labels:
                raise WireError(f"{self._name} has label {name!r} twice")
            labels[name] = value
        if extra is not None:
            labels[extra[0]] = extra[1]
        return labels

    def _simple(self, data: bytes) -> None:
        value, exemplar = 0.0, None
        for number, field in fields(data):
            if number == 1:
                value = double(field)
            elif number == 2:
                exemplar = message(field)
        row = self._add(value)
        if exemplar is not None:
            self._exemplar(row, exemplar)

    def _summary(self, data: bytes) -> None:
        count, total, quantiles = 0, 0.0, []
        for number, field in fields(data):
            if number == 1:
                count = int64(field)
            elif number == 2:
                total = double(field)
            elif number == 3:
                quantiles.append(dict(fields(message(field))))
        self._add(float(count), "_count")
        self._add(total, "_sum")
        for one in quantiles:
            self._add(double(one.get(2, 0.0)), "", ("quantile", label_number(double(one.get(1, 0.0)))))

    def _histogram(self, data: bytes) -> None:
        histogram = _Histogram(data)
        if self._native and histogram.native:
            row = self._add(histogram.total)
            self._histograms[row] = histogram.native_histogram(gauge=self._metadata[self._name].type != "histogram")
            for exemplar in histogram.exemplars or [b[2] for b in histogram.buckets if b[2] is not None]:
                self._exemplar(row, exemplar)
            if not self._classic:
                return
        self._classic_histogram(histogram)

    def _classic_histogram(self, histogram: _Histogram) -> None:
        self._add(histogram.total, "_count")
        self._add(histogram.sum, "_sum")
        bounded = False
        for bound, count, exemplar in histogram.buckets:
            row = self._add(count, "_bucket", ("le", label_number(bound)))
            bounded = bounded or bound == math.inf
            if exemplar is not None:
                self._exemplar(row, exemplar)
        if not bounded:
            self._add(histogram.total, "_bucket", ("le", "+Inf"))

    def _exemplar(self, row: int, data: bytes) -> None:
        labels: Labels = {}
        value, time = 0.0, NO_TIME
        for number, field in fields(data):
            if number == 1:
                name, text = _pair(message(field))
                labels[name] = text
            elif number == 2:
                value = double(field)
            elif number == 3:
                stamp = dict(fields(message(field)))
                time = int64(stamp.get(1, 0)) * 1000 + int64(stamp.get(2, 0)) // 1_000_000
        self._exemplars.append(Exemplar(row, labels, value, time))


_BODIES = {
    2: _Found._simple,
    3: _Found._simple,
    4: _Found._summary,
    5: _Found._simple,
    7: _Found._histogram,
}


class _Histogram:
    """Field by field, what a Histogram message says."""

    def __init__(self, data: bytes) -> None:
        self.total = self.sum = self.zero_threshold = self.zero_count = 0.0
        self.schema = 0
        self.is_float = False
        self.buckets: list[tuple[float, float, bytes | None]] = []
        self.exemplars: list[bytes] = []
        self._spans: dict[int, list[Span]] = {9: [], 12: []}
        self._counts: dict[int, list[float]] = {9: [], 12: []}
        for number, value in fields(data):
            self._field(number, value)
        self.native = bool(self._spans[9] or self._spans[12] or self.zero_threshold or self.zero_count)

    def _field(self, number: int, value: Value) -> None:
        match number:
            case 1:
                self.total = self.total or float(int64(value))
            case 2:
                self.sum = double(value)
            case 3:
                self.buckets.append(_bucket(message(value)))
            case 4:
                self._floats(double(value), "total")
            case 16:
                self.exemplars.append(message(value))
            case _:
                self._native_field(number, value)

    def _native_field(self, number: int, value: Value) -> None:
        match number:
            case 5:
                self.schema = signed(int64(value))
            case 6:
                self.zero_threshold = double(value)
            case 7:
                self.zero_count = self.zero_count or float(int64(value))
            case 8:
                self._floats(double(value), "zero_count")
            case 9 | 12:
                self._spans[number].append(_span(message(value)))
            case 10 | 13:
                self._counts[number - 1] += map(float, packed_signed(value))
            case 11 | 14:
                self.is_float = True
                self._counts[number - 2] += packed_doubles(value)

    def _floats(self, value: float, name: str) -> None:
        if value:
            self.is_float = True
            setattr(self, name, value)

    def native_histogram(self, *, gauge: bool) -> NativeHistogram:
        if not -4 <= self.schema <= 8:
            raise WireError(f"native histogram schema {self.schema} is not from -4 to 8")
        return NativeHistogram(
            self.schema,
            self.total,
            self.sum,
            self.zero_threshold,
            self.zero_count,
            *self._side(12),
            *self._side(9),
            hint=3 if gauge else 0,
            is_float=self.is_float,
        )

    def _side(self, number: int) -> tuple[Sequence[int], Sequence[float]]:
        """Indices and absolute counts of the buckets of one side that have any."""
        counts = self._counts[number]
        if not self.is_float:
            counts = list(accumulate(counts))
        spans = self._spans[number]
        if sum(span.length for span in spans) != len(counts) or len(counts) > _MAX_BUCKETS:
            raise WireError(f"spans of a native histogram do not match its {len(counts)} buckets")
        indices: list[int] = []
        at = 0
        for span in spans:
            at += span.offset
            indices.extend(range(at, at + span.length))
            at += span.length
        if any(abs(index) >= 1 << 31 for index in (*indices[:1], *indices[-1:])):
            raise WireError("a bucket of a native histogram is out of range")
        kept = [(index, count) for index, count in zip(indices, counts, strict=True) if count]
        return [index for index, _ in kept], [count for _, count in kept]


def _bucket(data: bytes) -> tuple[float, float, bytes | None]:
    bound, count, exemplar = 0.0, 0.0, None
    for number, value in fields(data):
        if number == 1:
            count = count or float(int64(value))
        elif number == 2:
            bound = double(value)
        elif number == 3:
            exemplar = message(value)
        elif number == 4:
            count = double(value) or count
    return bound, count, exemplar


def _span(data: bytes) -> Span:
    said = dict(fields(data))
    length = int64(said.get(2, 0))
    if not 0 <= length <= _MAX_BUCKETS:
        raise WireError(f"a span of {length} buckets")
    return Span(signed(int64(said.get(1, 0))), length)


def _pair(data: bytes) -> tuple[str, str]:
    name = value = ""
    for number, field in fields(data):
        if number == 1:
            name = string(field)
        elif number == 2:
            value = string(field)
    return name, value
