"""One data point of OTLP metrics as rows of series; a part of the compiled pass of `metrics_scan`.

Field numbers: opentelemetry-proto, metrics.proto.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from windvane.signals.hashing import step, string_hash, word
from windvane.signals.walk import field

_STALE = np.uint64(0x7FF0000000000002)
_MIX = np.uint64(0x9E3779B97F4A7C15)


@njit(nogil=True)
def _bits(data: Any, start: int) -> Any:
    return np.int64(word(data, start))


@njit(nogil=True)
def _mixed(a: Any, b: Any, role: int, bits: Any) -> Any:
    return step(a, b, np.uint64(role) * _MIX, np.uint64(bits))


@njit(nogil=True)
def point(  # noqa: C901, PLR0911, PLR0912, PLR0915, PLR0917 -- one walk, compiled; a return is an error
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
    own_number = sizes[3]
    if fill:
        own = points[own_number]
        own[0], own[1], own[2], own[3], own[4], own[5] = sizes[2] - 1, begin, end, time, start_time, flags
        own[6] = sizes[4]
    sizes[3] += 1
    rows = sizes[4]
    if kind in (5, 7):
        if fill:
            row_points[rows], roles[rows], bits[rows] = own_number, 0, value
            keys[rows, 0], keys[rows, 1] = a, b
            bounds[rows] = float(number_of)
            if number_of == 6:
                values[rows] = float(np.int64(value))
            if stale:
                bits[rows], bounds[rows] = _STALE, 4.0
        sizes[4] += 1
    elif kind == 10:
        if fill:
            row_points[rows], roles[rows] = own_number, 6
            keys[rows, 0], keys[rows, 1] = _mixed(a, b, 6, 0)
        sizes[4] += 1
    else:
        if has_total:
            if fill:
                row_points[rows], roles[rows], bits[rows] = own_number, 1, _STALE if stale else total
                keys[rows, 0], keys[rows, 1] = _mixed(a, b, 1, 0)
            rows += 1
        if fill:
            row_points[rows], roles[rows], values[rows] = own_number, 2, float(count)
            if stale:
                bits[rows] = _STALE
            keys[rows, 0], keys[rows, 1] = _mixed(a, b, 2, 0)
        rows += 1
        if kind == 11:
            if fill:
                error, place = _quantiles(
                    data, begin, end, a, b, own_number, rows, flags, keys, row_points, roles, bounds, values
                )
                if error:
                    return error, place
            rows += quantiles
        else:
            if fill:
                _buckets(data, begin, end, a, b, own_number, rows, flags, keys, row_points, roles, bounds, values)
                last = rows + edges
                row_points[last], roles[last], bits[last], bounds[last] = own_number, 4, bits[rows - 1], np.inf
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
