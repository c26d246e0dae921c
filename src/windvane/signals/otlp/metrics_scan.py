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
from windvane.signals.hashing import SEED, Keys, step, string_hash, word
from windvane.signals.walk import WIRE_ERRORS, field

GAUGE, SUM, HISTOGRAM, EXPONENTIAL, SUMMARY = 5, 7, 9, 10, 11
"""Kinds of metrics: their field numbers in Metric."""
VALUE, TOTAL, COUNT, BUCKET, LAST_BUCKET, QUANTILE, NATIVE = range(7)
"""Roles of rows: a number; _sum, _count and _bucket of a histogram; a summary's quantile; a native histogram."""
DELTA, CUMULATIVE = 1, 2
"""Aggregation temporalities; others are none."""
NO_VALUE = 1
"""The flag of a data point that ends its series."""

_STALE = np.uint64(0x7FF0000000000002)
_MIX = np.uint64(0x9E3779B97F4A7C15)
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
def _bits(data: Any, start: int) -> Any:
    return np.int64(word(data, start))


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


@njit(nogil=True)
def _mixed(a: Any, b: Any, role: int, bits: Any) -> Any:
    return step(a, b, np.uint64(role) * _MIX, np.uint64(bits))


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
            error, place = _point(
                data, start, after, seed, a, b, kind, sizes, fill, points, keys, row_points, roles, bounds, values,
                exemplars,
            )  # fmt: skip
            if error:
                return error, place
        position = after
    return 0, 0


@njit(nogil=True)
def _point(  # noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 - as _scan
    data: Any,
    begin: int,
    end: int,
    seed: Any,
    a: Any,
    b: Any,
    kind: int,
    sizes: Any,
    fill: bool,
    points: Any,
    keys: Any,
    row_points: Any,
    roles: Any,
    bounds: Any,
    values: Any,
    exemplars: Any,
) -> tuple[int, int]:
    attributes = 9 if kind == 9 else 1 if kind == 10 else 7
    flags_field = 10 if kind in (9, 10) else 8
    exemplar_field = 8 if kind == 9 else 11 if kind == 10 else 0 if kind == 11 else 5
    time, start_time, flags, number_of = 0, 0, 0, 0
    value, total, count = np.uint64(0), np.uint64(0), np.uint64(0)
    has_total, buckets, edges, quantiles = False, 0, 0, 0
    bits = values.view(np.uint64)
    attributes_a, attributes_b = np.uint64(0), np.uint64(0)
    position = begin
    while position < end:
        number, wire, raw, start, after = field(data, position, end)
        if number == 0:
            return wire, position
        if number in (attributes, exemplar_field):
            if wire != 2:
                return 3, position
            if number == attributes:
                first, second = string_hash(data, start, after, seed)
                attributes_a, attributes_b = attributes_a + first, attributes_b + second
            else:
                if fill:
                    exemplars[sizes[5], 0], exemplars[sizes[5], 1], exemplars[sizes[5], 2] = sizes[3], start, after
                sizes[5] += 1
        elif number == flags_field:
            if wire != 0:
                return 3, position
            flags = raw
        elif number in (2, 3):
            if wire != 1:
                return 3, position
            if number == 2:
                start_time = _bits(data, start)
            else:
                time = _bits(data, start)
        elif kind in (5, 7) and number in (4, 6):
            if wire != 1:
                return 3, position
            number_of, value = number, word(data, start)
        elif kind in (9, 10, 11) and number in (4, 5):
            if wire != 1:
                return 3, position
            if number == 4:
                count = word(data, start)
            else:
                total, has_total = word(data, start), True
        elif (kind == 9 and number in (6, 7)) or (kind == 11 and number == 6):
            if wire not in (1, 2) or (kind == 9 and (after - start) % 8):
                return 3, position
            if kind == 11:
                quantiles += 1
            elif number == 6:
                buckets += (after - start) // 8
            else:
                edges += (after - start) // 8
        position = after
    if kind == 9 and not (buckets == 0 and edges == 0) and buckets != edges + 1:
        return 6, begin
    if kind == 11:
        has_total = True
    stale = flags & 1 != 0
    a, b = step(a, b, attributes_a, attributes_b)
    point = sizes[3]
    if fill:
        own = points[point]
        own[0], own[1], own[2], own[3], own[4], own[5] = sizes[2] - 1, begin, end, time, start_time, flags
        own[6] = sizes[4]
    sizes[3] += 1
    rows = sizes[4]
    if kind in (5, 7):
        if fill:
            row_points[rows], roles[rows], bits[rows] = point, 0, value
            keys[rows, 0], keys[rows, 1] = a, b
            bounds[rows] = float(number_of)
            if number_of == 6:
                values[rows] = float(np.int64(value))
            if stale:
                bits[rows], bounds[rows] = _STALE, 4.0
        sizes[4] += 1
    elif kind == 10:
        if fill:
            row_points[rows], roles[rows] = point, 6
            keys[rows, 0], keys[rows, 1] = _mixed(a, b, 6, 0)
        sizes[4] += 1
    else:
        if has_total:
            if fill:
                row_points[rows], roles[rows], bits[rows] = point, 1, _STALE if stale else total
                keys[rows, 0], keys[rows, 1] = _mixed(a, b, 1, 0)
            rows += 1
        if fill:
            row_points[rows], roles[rows], values[rows] = point, 2, float(count)
            if stale:
                bits[rows] = _STALE
            keys[rows, 0], keys[rows, 1] = _mixed(a, b, 2, 0)
        rows += 1
        if kind == 11:
            if fill:
                error, place = _quantiles(
                    data, begin, end, a, b, point, rows, flags, keys, row_points, roles, bounds, values
                )
                if error:
                    return error, place
            rows += quantiles
        else:
            if fill:
                _buckets(data, begin, end, a, b, point, rows, flags, keys, row_points, roles, bounds, values)
                last = rows + edges
                row_points[last], roles[last], bits[last], bounds[last] = point, 4, bits[rows - 1], np.inf
                keys[last, 0], keys[last, 1] = _mixed(a, b, 4, 0)
            rows += edges + 1
        sizes[4] = rows
    return 0, 0


@njit(nogil=True)
def _buckets(  # noqa: PLR0917 - as _scan
    data: Any,
    begin: int,
    end: int,
    a: Any,
    b: Any,
    point: int,
    rows: int,
    flags: int,
    keys: Any,
    row_points: Any,
    roles: Any,
    bounds: Any,
    values: Any,
) -> None:
    """Rows of the finite buckets, cumulative; the structure was checked when they were counted."""
    edge, place = 0, 0
    bits, bound_bits = values.view(np.uint64), bounds.view(np.uint64)
    position = begin
    while position < end:
        number, _, _, start, after = field(data, position, end)
        if number == 7:
            for at in range(start, after, 8):
                bound = word(data, at)
                row = rows + edge
                row_points[row], roles[row], bound_bits[row] = point, 3, bound
                keys[row, 0], keys[row, 1] = _mixed(a, b, 3, bound)
                edge += 1
        position = after
    position, total = begin, np.uint64(0)
    while position < end:
        number, _, _, start, after = field(data, position, end)
        if number == 6:
            for at in range(start, after, 8):
                total += word(data, at)
                if place < edge:
                    values[rows + place] = float(total)
                place += 1
        position = after
    if flags & 1:
        for row in range(rows, rows + edge):
            bits[row] = _STALE


@njit(nogil=True)
def _quantiles(  # noqa: PLR0917 - as _scan
    data: Any,
    begin: int,
    end: int,
    a: Any,
    b: Any,
    point: int,
    row: int,
    flags: int,
    keys: Any,
    row_points: Any,
    roles: Any,
    bounds: Any,
    values: Any,
) -> tuple[int, int]:
    """Rows of a summary's quantiles; (error, place)."""
    bits, bound_bits = values.view(np.uint64), bounds.view(np.uint64)
    position = begin
    while position < end:
        number, _, _, start, after = field(data, position, end)
        if number == 6:
            quantile, value = np.uint64(0), np.uint64(0)
            inner = start
            while inner < after:
                number, wire, _, start, next_ = field(data, inner, after)
                if number == 0:
                    return wire, inner
                if number in (1, 2):
                    if wire != 1:
                        return 3, inner
                    if number == 1:
                        quantile = word(data, start)
                    else:
                        value = word(data, start)
                inner = next_
            row_points[row], roles[row] = point, 5
            bound_bits[row], bits[row] = quantile, _STALE if flags & 1 else value
            keys[row, 0], keys[row, 1] = _mixed(a, b, 5, quantile)
            row += 1
        position = after
    return 0, 0
