"""Kernels over the columns of native histograms: what most windows and groups need, without an object each.

A kernel answers for an element whose histograms have one resolution, zero threshold and set of custom
bounds; its `status` says which those are. For the rest, which is rare, callers go through objects
(`arithmetic`, `totals`, `resets`), and results are the same. Counts of one set of histograms (a series, a
group) are added in a row as wide as the union of its buckets, found by marking them.
"""

# Kernels take flat arrays by position.
# ruff: noqa: C901, PLR0912, PLR0917, SIM110
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

from typing import Any

import numpy as np

from windvane.promql.jit import inlined, kernel
from windvane.promql.native.columns import Columns, Floats, Mask, Places
from windvane.promql.native.histogram import CUSTOM, GAUGE, NO_RESET, RESET, UNKNOWN

ABSENT, DONE, OTHERWISE = 0, 1, 2
"""Status of an element: it has no result, one, or has to be computed by other means."""
IS_GAUGE, NOT_GAUGE, COLLISION = 1, 2, 4
"""What an element's hints say: for `change` whether it saw a gauge, whether an end of it is none."""
INCREASE, RATE, PLAIN, SECOND = range(4)
"""A change is extrapolated, and divided by the window's seconds, or left as it is, or divided by its own seconds."""
_WIDEST = 1 << 20
"""The range of bucket indices for which a table is made."""
NUMBERS = 3
"""Count, sum and zero count stand before the buckets of a row."""


# Unions of buckets


@inlined
def _marked(c: Columns, numbers: Places) -> Any:
    """The union of the buckets of some histograms.

    A table for each side from index - lowest to the place in a row, the lowest index of each, the index at every
    place, and the places of positive buckets; these come first. Too wide a range gives no table.
    """
    low, high = np.full(2, 2**31, np.int64), np.full(2, -(2**31), np.int64)
    for number in numbers:
        if number < 0:
            continue
        start = c.start[number]
        middle, end = start + c.positive[number], start + c.positive[number] + c.negative[number]
        if middle > start:
            low[0], high[0] = min(low[0], c.indices[start]), max(high[0], c.indices[middle - 1])
        if end > middle:
            low[1], high[1] = min(low[1], c.indices[middle]), max(high[1], c.indices[end - 1])
    wide = np.zeros(2, np.int64)
    for side in range(2):
        wide[side] = max(0, high[side] - low[side] + 1)
    table = np.full(0, -1, np.int32)
    place = np.zeros(0, np.int32)
    if wide[0] + wide[1] > _WIDEST:
        return False, table, low, wide[0], place, 0
    table = np.full(wide[0] + wide[1], -1, np.int32)
    for number in numbers:
        if number < 0:
            continue
        start = c.start[number]
        middle, end = start + c.positive[number], start + c.positive[number] + c.negative[number]
        for at in range(start, middle):
            table[c.indices[at] - low[0]] = 1
        for at in range(middle, end):
            table[wide[0] + c.indices[at] - low[1]] = 1
    buckets, positive = 0, 0
    place = np.empty(np.sum(table == 1), np.int32)
    for at in range(len(table)):
        if table[at] == 1:
            table[at] = buckets
            place[buckets] = at + low[0] if at < wide[0] else at - wide[0] + low[1]
            buckets += 1
            positive += at < wide[0]
    return True, table, low, wide[0], place, positive


@inlined
def _gathered(c: Columns, number: int, table: Any, low: Any, split: int, row: Floats) -> None:
    """A histogram's numbers and buckets as a row."""
    row[:] = 0.0
    row[0], row[1], row[2] = c.population[number], c.sum[number], c.zero[number]
    start = c.start[number]
    middle = start + c.positive[number]
    for at in range(start, middle):
        row[NUMBERS + table[c.indices[at] - low[0]]] = c.counts[at]
    for at in range(middle, middle + c.negative[number]):
        row[NUMBERS + table[split + c.indices[at] - low[1]]] = c.counts[at]


@inlined
def _plus(c: Columns, number: int, sign: float, table: Any, low: Any, split: int, row: Floats) -> None:
    """Add a histogram to a row."""
    row[0] += sign * c.population[number]
    row[1] += sign * c.sum[number]
    row[2] += sign * c.zero[number]
    start = c.start[number]
    middle = start + c.positive[number]
    for at in range(start, middle):
        row[NUMBERS + table[c.indices[at] - low[0]]] += sign * c.counts[at]
    for at in range(middle, middle + c.negative[number]):
        row[NUMBERS + table[split + c.indices[at] - low[1]]] += sign * c.counts[at]


@inlined
def _alike(c: Columns, a: int, b: int) -> bool:
    """Whether two histograms have one layout but for the buckets they have."""
    return c.schema[a] == c.schema[b] and c.threshold[a] == c.threshold[b] and c.bounds[a] == c.bounds[b]


@inlined
def _grown(array: Any, used: int, more: int) -> Any:
    """An array with room for more."""
    if used + more <= len(array):
        return array
    larger = np.empty(max(2 * len(array), used + more), array.dtype)
    larger[:used] = array[:used]
    return larger


# Resets


@kernel
def resets(c: Columns, numbers: Places, offsets: Places) -> Any:
    """Of histograms in series order, which follow a reset (1), which do not (0), and which have to be looked at (2)."""
    found = np.zeros(len(numbers), np.int8)
    for series in range(len(offsets) - 1):
        for at in range(offsets[series] + 1, offsets[series + 1]):
            found[at] = _reset(c, numbers[at], numbers[at - 1])
    return found


@inlined
def _reset(c: Columns, now: int, before: int) -> int:
    if c.hint[now] == RESET or c.hint[now] == NO_RESET:
        return int(c.hint[now] == RESET)
    if c.population[now] < c.population[before]:
        return 1
    if not _alike(c, now, before):
        return 2
    if c.zero[now] < c.zero[before]:
        return 1
    a, b = c.start[now], c.start[before]
    positive = _fell(c, a, a + c.positive[now], b, b + c.positive[before])
    a, b = a + c.positive[now], b + c.positive[before]
    negative = _fell(c, a, a + c.negative[now], b, b + c.negative[before])
    if not positive and not negative:
        return 0
    return 1 if c.threshold[now] == 0 else 2  # what lies inside the zero bucket does not count


@inlined
def _fell(c: Columns, a: int, a_end: int, b: int, b_end: int) -> bool:
    """Whether a bucket of the second has less in the first, or is not in it."""
    while b < b_end:
        while a < a_end and c.indices[a] < c.indices[b]:
            a += 1
        now = c.counts[a] if a < a_end and c.indices[a] == c.indices[b] else 0.0
        if now < c.counts[b]:
            return True
        b += 1
    return False


# Windows


@kernel
def windows(offsets: Places, times: Places, ends: Places, span: int) -> tuple[Places, Places]:
    """The samples low to high of each series in every window (end - span, end]."""
    series, steps = len(offsets) - 1, len(ends)
    low, high = np.empty((series, steps), np.int64), np.empty((series, steps), np.int64)
    for i in range(series):
        a = b = offsets[i]
        for s in range(steps):
            while b < offsets[i + 1] and times[b] <= ends[s]:
                b += 1
            while a < b and times[a] <= ends[s] - span:
                a += 1
            low[i, s], high[i, s] = a, b
    return low, high


@kernel
def members(low: Places, high: Places, which: Mask, numbers: Places) -> tuple[Places, Places]:
    """The histograms of every window of `which` one after the other, and where each begins."""
    total, cells = 0, 0
    for i in range(low.shape[0]):
        for s in range(low.shape[1]):
            if which[i, s]:
                total += high[i, s] - low[i, s]
                cells += 1
    out, starts = np.empty(total, np.int64), np.zeros(cells + 1, np.int64)
    at, cell = 0, 0
    for i in range(low.shape[0]):
        for s in range(low.shape[1]):
            if which[i, s]:
                for j in range(low[i, s], high[i, s]):
                    out[at] = numbers[j]
                    at += 1
                cell += 1
                starts[cell] = at
    return out, starts


@kernel
def change(
    c: Columns,
    numbers: Places,
    times: Places,
    offsets: Places,
    low: Places,
    high: Places,
    which: Mask,
    resets_: Any,
    ends: Places,
    span: int,
    counter: bool,
    mode: int,
) -> Any:
    """What changed from the first to the last sample of each window of `which`: status, notes, and the results.

    For a `counter` what went before each reset is added. `mode` says what becomes of the change.

    The results are rows (model, lengths of both sides, count, sum, zero count) and flat buckets, without empty ones.
    """
    series, steps = low.shape
    status, notes = np.zeros((series, steps), np.int8), np.zeros((series, steps), np.int8)
    models, lengths = np.empty(1024, np.int64), np.empty((1024, 2), np.int32)
    results, index, counts = np.empty((1024, NUMBERS)), np.empty(4096, np.int32), np.empty(4096)
    used = filled = 0
    for i in range(series):
        if not which[i].any():
            continue
        fine, table, lowest, split, place, positive = _marked(c, numbers[offsets[i] : offsets[i + 1]])
        row = np.empty(NUMBERS + len(place))
        base = offsets[i]
        since, gauge = _runs(c, numbers, base, offsets[i + 1])
        for s in range(steps):
            if not which[i, s]:
                continue
            a, b = low[i, s], high[i, s]
            status[i, s] = OTHERWISE
            if not fine or since[b - 1 - base] > a:
                continue
            status[i, s] = DONE
            notes[i, s] = IS_GAUGE if gauge[b - 1 - base] >= a else 0
            if gauge[a - base] != a or gauge[b - 1 - base] != b - 1:
                notes[i, s] |= NOT_GAUGE
            _gathered(c, numbers[b - 1], table, lowest, split, row)
            restarted = counter and resets_[a + 1]
            if not restarted:
                _plus(c, numbers[a], -1.0, table, lowest, split, row)
            if counter:
                for j in range(a + 2, b):
                    if resets_[j]:
                        _plus(c, numbers[j - 1], 1.0, table, lowest, split, row)
            first = c.population[numbers[a]] if counter and row[0] > 0 else -1.0
            if mode == SECOND:
                row /= (times[b - 1] - times[a]) / 1000
            elif mode != PLAIN:
                factor = _factor(times, a, b, ends[s], span, first, row[0])
                row *= factor / (span / 1000) if mode == RATE else factor
            if used == len(models):
                models, results = _grown(models, used, 1), _more_rows(results)
                lengths = _more_lengths(lengths)
            index, counts = _grown(index, filled, len(place)), _grown(counts, filled, len(place))
            models[used] = numbers[b - 1]
            filled = _emitted(row, place, positive, used, lengths, results, index, counts, filled)
            used += 1
    return status, notes, models[:used], lengths[:used], results[:used], index[:filled], counts[:filled]


@inlined
def _one_layout(c: Columns, numbers: Places, a: int, b: int) -> bool:
    for j in range(a + 1, b):
        if not _alike(c, numbers[j], numbers[j - 1]):
            return False
    return True


@inlined
def _runs(c: Columns, numbers: Places, first: int, end: int) -> tuple[Places, Places]:
    """For each sample of a series: since which one all have its layout, and the last gauge up to it (or -1)."""
    since, gauge = np.empty(end - first, np.int64), np.empty(end - first, np.int64)
    for j in range(first, end):
        here = j - first
        alike = j > first and _alike(c, numbers[j], numbers[j - 1])
        since[here] = since[here - 1] if alike else j
        before = gauge[here - 1] if j > first else -1
        gauge[here] = j if c.hint[numbers[j]] == GAUGE else before
    return since, gauge


@inlined
def _factor(times: Places, a: int, b: int, end: int, span: int, first: float, change_: float) -> float:
    """By how much a change grows when carried to the window's bounds; `first` is a counter's start, or negative."""
    to_start, to_end = (times[a] - (end - span)) / 1000, (end - times[b - 1]) / 1000
    sampled = (times[b - 1] - times[a]) / 1000
    average = sampled / (b - a - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if first >= 0:
        to_start = min(to_start, sampled * (first / change_))
    if to_end >= threshold:
        to_end = average / 2
    return (sampled + to_start + to_end) / sampled


@inlined
def _more_rows(rows: Floats) -> Floats:
    larger = np.empty((2 * len(rows), NUMBERS))
    larger[: len(rows)] = rows
    return larger


@inlined
def _more_lengths(rows: Any) -> Any:
    larger = np.empty((2 * len(rows), 2), np.int32)
    larger[: len(rows)] = rows
    return larger


@inlined
def _emitted(
    row: Floats,
    place: Any,
    positive: int,
    used: int,
    lengths: Any,
    results: Floats,
    index: Any,
    counts: Floats,
    at: int,
) -> int:
    """Write a row as a result, without empty buckets; where the flat buckets end."""
    results[used, 0], results[used, 1], results[used, 2] = row[0], row[1], row[2]
    lengths[used, 0] = lengths[used, 1] = 0
    for k in range(len(place)):
        if row[NUMBERS + k] != 0:
            index[at], counts[at] = place[k], row[NUMBERS + k]
            lengths[used, 0 if k < positive else 1] += 1
            at += 1
    return at


# Sums and means


@kernel
def summed(c: Columns, numbers: Places, starts: Places, sets: Places, mean: bool, compact: bool) -> Any:
    """The compensated sum (`mean`: the mean) of the histograms starts[i] to starts[i + 1] of each element.

    Elements sets[k] to sets[k + 1] share a table of buckets. Status and hints (hint, whether they collide), and
    results as of `change`; not `compact` keeps empty buckets. A sum that is not finite is left to others.
    """
    cells = len(starts) - 1
    status, hints, notes = np.zeros(cells, np.int8), np.zeros(cells, np.int32), np.zeros(cells, np.int8)
    models, lengths = np.empty(max(cells, 1), np.int64), np.empty((max(cells, 1), 2), np.int32)
    results, index, counts = np.empty((max(cells, 1), NUMBERS)), np.empty(4096, np.int32), np.empty(4096)
    used = filled = 0
    for k in range(len(sets) - 1):
        fine, table, low, split, place, positive = _marked(c, numbers[starts[sets[k]] : starts[sets[k + 1]]])
        width = NUMBERS + len(place)
        row, total, rest = np.empty(width), np.empty(width), np.empty(width)
        seen = np.full(len(place), -1, np.int64)
        for cell in range(sets[k], sets[k + 1]):
            a, b = starts[cell], starts[cell + 1]
            if a == b:
                continue
            status[cell] = OTHERWISE
            hints[cell], notes[cell] = _joined_hints(c, numbers, a, b)
            if not fine or not _one_layout(c, numbers, a, b):
                continue
            _gathered(c, numbers[a], table, low, split, total)
            rest[:] = 0.0
            for j in range(a + 1, b):
                _gathered(c, numbers[j], table, low, split, row)
                for at in range(width):
                    grown = total[at] + row[at]
                    share = grown - total[at]
                    rest[at] += (total[at] - (grown - share)) + (row[at] - share)
                    total[at] = grown
            if not np.isfinite(total).all():
                continue
            if mean:
                total[:] = total / (b - a) + rest / (b - a)
            else:
                total += rest
            status[cell] = DONE
            index, counts = _grown(index, filled, len(place)), _grown(counts, filled, len(place))
            models[used] = numbers[a]
            if compact:
                filled = _emitted(total, place, positive, used, lengths, results, index, counts, filled)
            else:
                _see(c, numbers, a, b, table, low, split, seen, cell)
                filled = _emitted_seen(
                    total, place, positive, used, lengths, results, index, counts, filled, seen, cell
                )
            used += 1
    return status, hints, notes, models[:used], lengths[:used], results[:used], index[:filled], counts[:filled]


@inlined
def _joined_hints(c: Columns, numbers: Places, a: int, b: int) -> tuple[int, int]:
    """The hint of a sum, and whether some say reset and some no reset."""
    hint, reset, unreset = c.hint[numbers[a]], False, False
    for j in range(a, b):
        other = c.hint[numbers[j]]
        reset |= other == RESET
        unreset |= other == NO_RESET
        if other != hint:
            hint = GAUGE if hint == GAUGE or other == GAUGE else UNKNOWN  # noqa: PLR1714 - for the compiler
    return hint, COLLISION if reset and unreset else 0


@inlined
def _see(c: Columns, numbers: Places, a: int, b: int, table: Any, low: Any, split: int, seen: Any, cell: int) -> None:
    """Mark the buckets that any histogram of an element has."""
    for j in range(a, b):
        number = numbers[j]
        start = c.start[number]
        middle = start + c.positive[number]
        for at in range(start, middle):
            seen[table[c.indices[at] - low[0]]] = cell
        for at in range(middle, middle + c.negative[number]):
            seen[table[split + c.indices[at] - low[1]]] = cell


@inlined
def _emitted_seen(
    row: Floats, place: Any, positive: int, used: int, lengths: Any, results: Floats, index: Any, counts: Floats,
    at: int, seen: Any, cell: int,
) -> int:  # fmt: skip
    """As `_emitted`, with the marked buckets instead of those that are not empty."""
    results[used, 0], results[used, 1], results[used, 2] = row[0], row[1], row[2]
    lengths[used, 0] = lengths[used, 1] = 0
    for k in range(len(place)):
        if seen[k] == cell:
            index[at], counts[at] = place[k], row[NUMBERS + k]
            lengths[used, 0 if k < positive else 1] += 1
            at += 1
    return at


# Buckets of each histogram


@kernel
def without_empty(c: Columns) -> Any:
    """The buckets that count something: start, lengths of both sides, flat index and count."""
    start, lengths = np.empty(len(c.start), np.int64), np.zeros((len(c.start), 2), np.int32)
    index, counts = np.empty(len(c.indices), np.int32), np.empty(len(c.indices))
    at = 0
    for number in range(len(start)):
        start[number] = at
        first = c.start[number]
        middle, end = first + c.positive[number], first + c.positive[number] + c.negative[number]
        index, counts = _grown(index, at, end - first), _grown(counts, at, end - first)
        for j in range(first, end):
            if c.counts[j] != 0:
                index[at], counts[at] = c.indices[j], c.counts[j]
                lengths[number, 0 if j < middle else 1] += 1
                at += 1
    return start, lengths[:, 0].copy(), lengths[:, 1].copy(), index[:at], counts[:at]


NEGATIVE, ZERO, POSITIVE, NO_BUCKET = -1, 0, 1, 2


@kernel
def ranked(c: Columns, numbers: Places, q: Floats) -> Any:
    """Where the q-quantile of each histogram lies: side, bucket, its count, the rank, and what is counted to its end.

    Also the count of all buckets. Ranks are counted from below for q < 0.5 or an unknown sum, else from above.
    """
    side, bucket = np.full(len(numbers), NO_BUCKET, np.int8), np.zeros(len(numbers), np.int32)
    out = np.zeros((len(numbers), 4))
    for i in range(len(numbers)):
        number = numbers[i]
        count = c.population[number]
        upwards = np.isnan(c.sum[number]) or q[i] < 0.5
        rank = (q[i] if upwards else 1 - q[i]) * count
        first = c.start[number]
        middle, end = first + c.positive[number], first + c.positive[number] + c.negative[number]
        zero, total, reached, found = c.zero[number], 0.0, 0.0, False
        length = end - first + 1
        for k in range(length):
            # Ascending: negative side backwards, zero bucket, positive side.
            at = k if upwards else length - 1 - k
            if at < end - middle:
                which, place = NEGATIVE, end - 1 - at
                own = c.counts[place]
            elif at == end - middle:
                which, place = ZERO, 0
                own = zero if zero > 0 else 0.0
            else:
                which, place = POSITIVE, first + at - 1 - (end - middle)
                own = c.counts[place]
            if own == 0:
                continue
            total += own
            if found:
                continue
            reached += own
            side[i], out[i, 0], out[i, 2] = which, own, reached
            bucket[i] = 0 if which == ZERO else c.indices[place]
            found = reached >= rank
        out[i, 1], out[i, 2], out[i, 3] = rank, min(out[i, 2], count), total
    return side, bucket, out


@kernel
def deviations(c: Columns, numbers: Places, bounds: Floats, bound_starts: Places, fractions: Floats) -> Floats:
    """The population variance of each histogram, every observation at the middle of its bucket.

    `bounds` has the custom bounds by number, `fractions` the bounds of schema 8 in [0.5, 1).
    """
    out = np.empty(len(numbers))
    for i in range(len(numbers)):
        number = numbers[i]
        mean = c.sum[number] / c.population[number]
        first = c.start[number]
        middle, end = first + c.positive[number], first + c.positive[number] + c.negative[number]
        custom = c.schema[number] == CUSTOM
        threshold = c.threshold[number]
        total, rest, plain = 0.0, 0.0, 0.0
        for k in range(end - first + 1):
            at = k - 1
            if k == 0:
                count, centre = (c.zero[number] if c.zero[number] > 0 else 0.0), 0.0
                if custom:
                    centre = 0.0
            else:
                count, centre = c.counts[first + at], 0.0
                index = c.indices[first + at]
                if custom:
                    known = bounds[bound_starts[c.bounds[number]] : bound_starts[c.bounds[number] + 1]]
                    centre = (_custom(index, known) + _custom(index - 1, known)) / 2
                else:
                    lower = max(_bound(index - 1, c.schema[number], fractions), threshold)
                    centre = np.sqrt(_bound(index, c.schema[number], fractions) * lower)
                    if lower <= 0:
                        centre = 0.0
                    if first + at >= middle:
                        centre = -centre
            if count == 0:
                continue
            more = count * (centre - mean) ** 2
            plain += more
            grown = total + more
            rest += (total - grown) + more if abs(total) >= abs(more) else (more - grown) + total
            total = grown
        out[i] = (total + rest if np.isfinite(plain) else plain) / c.population[number]
    return out


@inlined
def _custom(index: int, bounds: Floats) -> float:
    if index < 0:
        return -np.inf
    return bounds[index] if index < len(bounds) else np.inf


@inlined
def _bound(index: int, schema: int, fractions: Floats) -> float:
    """The upper bound of a standard bucket (see `histogram.bound`)."""
    if schema < 0:
        exponent = index << -schema
        if exponent == 1024:
            return 1.7976931348623157e308
        return np.inf if exponent > 1024 else 0.0 if exponent < -1100 else np.ldexp(1.0, exponent)
    part, exponent = index & ((1 << schema) - 1), (index >> schema) + 1
    fraction = fractions[part << (8 - schema)]
    if exponent == 1025 and fraction == 0.5:
        return 1.7976931348623157e308
    return np.inf if exponent > 1024 else 0.0 if exponent < -1100 else np.ldexp(fraction, exponent)


@kernel
def below(c: Columns, numbers: Places, values: Floats, bounds: Floats, bound_starts: Places, fractions: Floats) -> Any:
    """How many observations of each histogram are below a value: in whole buckets, and the bucket that holds the value.

    Rows of count before, lower, upper, count of that bucket, all of the histogram's buckets; and kinds: 0 for a
    number that is final, 1 for a share on a linear scale, 2 for one on a logarithmic scale.
    """
    out, kind = np.zeros((len(numbers), 5)), np.zeros(len(numbers), np.int8)
    for i in range(len(numbers)):
        number, value = numbers[i], values[i]
        first = c.start[number]
        middle, end = first + c.positive[number], first + c.positive[number] + c.negative[number]
        custom, threshold, zero = c.schema[number] == CUSTOM, c.threshold[number], c.zero[number]
        known = bounds[bound_starts[c.bounds[number]] : bound_starts[c.bounds[number] + 1]]
        rank, total, ended = 0.0, 0.0, False
        for k in range(end - first + 1):
            linear = custom
            if k < end - middle:
                place = end - 1 - k
                count = c.counts[place]
                index = c.indices[place]
                if custom:
                    low, high = -_custom(index, known), -_custom(index - 1, known)
                else:
                    low = -_bound(index, c.schema[number], fractions)
                    high = min(-_bound(index - 1, c.schema[number], fractions), -threshold)
            elif k == end - middle:
                if not zero > 0:
                    continue
                count, low, high = zero, -threshold, threshold
            else:
                place = first + k - 1 - (end - middle)
                count = c.counts[place]
                index = c.indices[place]
                if custom:
                    low, high = _custom(index - 1, known), _custom(index, known)
                else:
                    low = max(_bound(index - 1, c.schema[number], fractions), threshold)
                    high = _bound(index, c.schema[number], fractions)
            total += count
            if ended:
                continue
            if not linear and low <= 0 <= high:
                linear = True
                if middle > first and end == middle:
                    low = 0.0
                elif end > middle and middle == first:
                    high = 0.0
            elif linear and low == -np.inf and high > 0:
                low = 0.0
            if low >= value:
                out[i, 0], ended = rank, True
            elif high > value:
                ended = True
                if low == -np.inf and linear:
                    out[i, 0] = count
                else:
                    out[i, 0], out[i, 1], out[i, 2], out[i, 3] = rank, low, high, count
                    kind[i] = 1 if linear else 2
            else:
                rank += count
        if not ended:
            out[i, 0] = np.inf
        out[i, 4] = total
    return out, kind


# Records of the store


@kernel
def record_starts(stream: Floats, header: int) -> Places:
    """Where the records of a stream begin."""
    out, used, place = np.empty(1024, np.int64), 0, 0
    while place < len(stream):
        out = _grown(out, used, 1)
        out[used] = place
        used += 1
        place += header + 2 * int(stream[place + 8]) + 2 * int(stream[place + 9]) + int(stream[place + 10])
    return out[:used]


@kernel
def record_buckets(stream: Floats, starts: Places, header: int, ends: Places) -> Any:
    """The flat buckets of records: positive and negative index, and counts; those of record i end at ends[i]."""
    index, counts = np.empty(ends[-1] if len(ends) else 0, np.int32), np.empty(ends[-1] if len(ends) else 0)
    at = 0
    for start in starts:
        place = start + header
        for side in range(2):
            length = int(stream[start + 8 + side])
            for k in range(length):
                index[at + k] = np.int32(stream[place + k])
                counts[at + k] = stream[place + length + k]
            place += 2 * length
            at += length
    return index, counts
