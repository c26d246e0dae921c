"""One compiled pass over an ExportMetricsServiceRequest: data points as rows of series.

A row is one float sample of what will be a Prometheus series: the value of a number, the sum, count
and cumulative buckets of a histogram, the quantiles of a summary; an exponential histogram is one
row without a value. A row's key is a hash of everything that its labels come from (resource, scope,
metric, attributes, bound), so that a receiver translates labels only when they are new. Attributes
are hashed in no order: SDKs send them in any.

The pass runs twice, first to count. Wire format and field numbers: opentelemetry-proto.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError
from windvane.signals.hashing import SEED, Keys, step, string_hash
from windvane.signals.otlp.metrics_points import point
from windvane.signals.walk import WIRE_ERRORS, field

GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = 5, 7, 9, 10, 11
"""Kinds of metrics: their field numbers in Metric."""
VALUE, TOTAL, COUNT, BUCKET, LAST_BUCKET, QUANTILE, NATIVE = range(7)
"""Roles of rows: a number; _sum, _count and _bucket of a histogram; a summary's quantile; a native histogram."""
DELTA, CUMULATIVE = 1, 2
"""Aggregation temporalities; others are none."""
NO_VALUE = 1
"""The flag of a data point that ends its series."""

_REASONS = {**WIRE_ERRORS, 6: "a histogram's bucket counts and bounds do not fit together"}

Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Metrics:
    """What a request holds; places are (start, end) in `payload`.

    `resources`: place of the Resource, hash. `scopes`: place of the scope, of its schema URL. `metrics`:
    resource, scope, place, kind, temporality, monotonic. `points`: metric, place, time and start in
    nanoseconds, flags, first row. Rows: `keys`, `row_points`, `roles`, `bounds` (of a bucket or
    quantile; of a number: 0 when it has none), `values`. `facts` are hashes of what metadata says of
    each metric.
    """

    payload: bytes
    resources: Places
    scopes: Places
    metrics: Places
    facts: Keys
    points: Places
    keys: Keys
    row_points: Places
    roles: Places
    bounds: NDArray[np.float64]
    values: NDArray[np.float64]
    exemplars: Places
    """Point, place."""

    def part(self, start: int, end: int) -> bytes:
        """Bytes of a place."""
        return self.payload[start:end]


def scan(payload: bytes) -> Metrics:
    """Read a request; `BadInputError` says what is wrong where."""
    data = np.frombuffer(payload, np.uint8)
    sizes = np.zeros(6, np.int64)
    made = _arrays(sizes)
    error, place = _scan(data, SEED, sizes, False, *made)
    if not error:
        made = _arrays(sizes)
        sizes[:] = 0
        error, place = _scan(data, SEED, sizes, True, *made)
    if error:
        raise BadInputError(f"not an OTLP request: {_REASONS[error]} (byte {place})")
    return Metrics(payload, *made)


def warm() -> None:
    """Compile (or load from the cache on disk) now rather than with the first request."""
    scan(b"")


def _arrays(sizes: Places) -> list[Any]:
    resources, scopes, metrics, points, rows, exemplars = sizes.tolist()
    return [
        np.zeros((resources, 4), np.int64),
        np.zeros((scopes, 4), np.int64),
        np.zeros((metrics, 7), np.int64),
        np.zeros(metrics, np.uint64),
        np.zeros((points, 7), np.int64),
        np.zeros((rows, 2), np.uint64),
        np.zeros(rows, np.int64),
        np.zeros(rows, np.int64),
        np.zeros(rows),
        np.zeros(rows),
        np.zeros((exemplars, 3), np.int64),
    ]


@njit(nogil=True)
def _find(data: Any, position: int, end: int, wanted: int) -> tuple[int, int, int]:
    """(error, start, end) of the last field `wanted` of a message, which is a block; empty when there is none."""
    found, found_end = end, end
    while position < end:
        number, wire, _, start, after = field(data, position, end)
        if number == 0:
            return wire, position, 0
        if number == wanted:
            if wire != 2:
                return 3, position, 0
            found, found_end = start, after
        position = after
    return 0, found, found_end


@njit(nogil=True, cache=True)
def _scan(  # noqa: PLR0917 -- one walk, compiled; a return is an error
    data: Any,
    seed: Any,
    sizes: Any,
    fill: bool,
    resources: Any,
    scopes: Any,
    metrics: Any,
    facts: Any,
    points: Any,
    keys: Any,
    row_points: Any,
    roles: Any,
    bounds: Any,
    values: Any,
    exemplars: Any,
) -> tuple[int, int]:
    """Count into `sizes`, or fill the arrays; (error, place)."""
    position, end = 0, data.size
    while position < end:
        number, wire, _, start, after = field(data, position, end)
        if number == 0:
            return wire, position
        if number == 1:
            if wire != 2:
                return 3, position
            error, resource, resource_end = _find(data, start, after, 1)
            if error:
                return error, resource
            a, b = string_hash(data, resource, resource_end, seed)
            if fill:
                resources[sizes[0], 0], resources[sizes[0], 1] = resource, resource_end
                resources[sizes[0], 2], resources[sizes[0], 3] = np.int64(a), np.int64(b)
            sizes[0] += 1
            inner = start
            while inner < after:
                number, wire, _, start, next_ = field(data, inner, after)
                if number == 2:
                    if wire != 2:
                        return 3, inner
                    error, place = _scope(
                        data, start, next_, seed, a, b, sizes, fill, scopes, metrics, facts, points, keys, row_points,
                        roles, bounds, values, exemplars,
                    )  # fmt: skip
                    if error:
                        return error, place
                inner = next_
        position = after
    return 0, 0


@njit(nogil=True)
def _scope(  # noqa: PLR0917 - as _scan
    data: Any,
    position: int,
    end: int,
    seed: Any,
    a: Any,
    b: Any,
    sizes: Any,
    fill: bool,
    scopes: Any,
    metrics: Any,
    facts: Any,
    points: Any,
    keys: Any,
    row_points: Any,
    roles: Any,
    bounds: Any,
    values: Any,
    exemplars: Any,
) -> tuple[int, int]:
    error, scope, scope_end = _find(data, position, end, 1)
    if error:
        return error, scope
    error, url, url_end = _find(data, position, end, 3)
    if error:
        return error, url
    if fill:
        own = scopes[sizes[1]]
        own[0], own[1], own[2], own[3] = scope, scope_end, url, url_end
    sizes[1] += 1
    first, second = string_hash(data, scope, scope_end, seed)
    a, b = step(a, b, first, second)
    first, second = string_hash(data, url, url_end, seed)
    a, b = step(a, b, first, second)
    while position < end:
        number, wire, _, start, after = field(data, position, end)
        if number == 2:
            if wire != 2:
                return 3, position
            error, place = _metric(
                data, start, after, seed, a, b, sizes, fill, metrics, facts, points, keys, row_points, roles, bounds,
                values, exemplars,
            )  # fmt: skip
            if error:
                return error, place
        position = after
    return 0, 0


@njit(nogil=True)
def _metric(  # noqa: C901, PLR0912, PLR0917 - as _scan
    data: Any,
    position: int,
    end: int,
    seed: Any,
    a: Any,
    b: Any,
    sizes: Any,
    fill: bool,
    metrics: Any,
    facts: Any,
    points: Any,
    keys: Any,
    row_points: Any,
    roles: Any,
    bounds: Any,
    values: Any,
    exemplars: Any,
) -> tuple[int, int]:
    begin, kind, body, body_end = position, 0, end, end
    said_a, said_b = seed[0], seed[1]
    while position < end:
        number, wire, _, start, after = field(data, position, end)
        if number == 0:
            return wire, position
        if number in (1, 2, 3, 5, 7, 9, 10, 11) and wire != 2:
            return 3, position
        if number in (1, 3):
            first, second = string_hash(data, start, after, seed)
            a, b = step(a, b, first + np.uint64(number), second)
        if number in (2, 3):
            first, second = string_hash(data, start, after, seed)
            said_a, said_b = step(said_a, said_b, first + np.uint64(number), second)
        if number in (5, 7, 9, 10, 11):
            kind, body, body_end = number, start, after
        position = after
    temporality, monotonic, position = 0, 0, body
    while position < body_end:
        number, wire, value, start, after = field(data, position, body_end)
        if number == 0:
            return wire, position
        if number in (2, 3) and wire == 0:
            if number == 2:
                temporality = value
            else:
                monotonic = value != 0
        position = after
    described = np.uint64(kind * 16 + temporality * 2 + monotonic)
    a, b = step(a, b, described, described)
    said_a, said_b = step(said_a, said_b, described, said_b)
    if fill:
        own = metrics[sizes[2]]
        own[0], own[1], own[2], own[3], own[4] = sizes[0] - 1, sizes[1] - 1, begin, end, kind
        own[5], own[6] = temporality, monotonic
        facts[sizes[2]] = said_a | np.uint64(1)
    sizes[2] += 1
    position = body
    while position < body_end:
        number, wire, _, start, after = field(data, position, body_end)
        if number == 1:
            if wire != 2:
                return 3, position
            error, place = point(
                data, start, after, seed, a, b, kind, sizes, fill, points, keys, row_points, roles, bounds, values,
                exemplars,
            )  # fmt: skip
            if error:
                return error, place
        position = after
    return 0, 0
