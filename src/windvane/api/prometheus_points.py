"""Points as Prometheus's JSON has them, `[1700000000.5,"0.25"]`, written in bulk.

orjson finds the shortest digits of all fractions in one call; a kernel then lays each number out as Go's
strconv does (plain from 1e-6 up to 1e21, else with an exponent of at least two digits; NaN, +Inf,
-Inf), puts its time in front, and copies it into one buffer. Whole numbers, which most are, it writes by
itself, two digits at a time. No Python runs for a point, nor for a series: each distinct label value is
quoted once, and a second kernel copies what belongs together.
"""

# numba takes arrays by position
# ruff: noqa: PLR0917

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import orjson
from numpy.typing import NDArray

from windvane.promql.jit import inlined, kernel
from windvane.promql.labels import Labels, Pool
from windvane.promql.value import Floats, Mask, Times

Bytes = NDArray[np.uint8]

_MOST = 64
"""Bytes that one point takes at most: a time of 20 with its dot, a number of 27, what stands around them."""
_DOT, _ZERO, _MINUS, _PLUS, _COMMA, _E, _QUOTE = (np.uint8(ord(letter)) for letter in '.0-+,e"')
_OPEN, _CLOSE = np.uint8(ord("[")), np.uint8(ord("]"))
_PAIRS = np.frombuffer(b"".join(b"%02d" % number for number in range(100)), np.uint8)
_WHOLE = 1e15
"""Whole numbers below are written as such."""
_NAN, _INF = np.frombuffer(b"NaN", np.uint8), np.frombuffer(b"Inf", np.uint8)


def points(times: Times, values: Floats, offsets: Times) -> list[memoryview]:
    """For each series its points, with commas between them; series i has those from offsets[i] to offsets[i + 1]."""
    text, ends = _written(times, values, offsets)
    view, bounds = memoryview(text.data), ends.tolist()
    return [view[bounds[row] : max(bounds[row], bounds[row + 1] - 1)] for row in range(len(offsets) - 1)]


def series(form: tuple[bytes, bytes], labels: Labels, times: Times, values: Floats, offsets: Times) -> bytes:
    """Series as a JSON array of `{"metric":{…}<form[0]><points><form[1]>`, without Python running for one of them."""
    if not len(labels):
        return b"[]"
    text, ends = _written(times, values, offsets)
    codes = np.ascontiguousarray(labels.codes)
    used = np.zeros(int(codes.max(initial=0)) + 1, np.bool_)
    used[codes] = True
    place = np.cumsum(used) - 1
    names = _Table.of(b"%s:" % orjson.dumps(name) for name in labels.names)
    strings = _Table.of(orjson.dumps(labels.pool[code]) for code in np.flatnonzero(used).tolist())
    rows, columns = codes.shape
    cells = int(strings.sizes[place[codes]].sum()) + rows * (columns + int(names.at[-1]))
    out = np.empty(cells + rows * (16 + len(form[0]) + len(form[1])) + len(text) + 2, np.uint8)
    before, after = (np.frombuffer(part, np.uint8) for part in form)
    length = write_series(codes, place, names.flat, names.at, strings.flat, strings.at, text, ends, before, after, out)
    return out[:length].tobytes()


@dataclass(frozen=True, slots=True)
class _Table:
    """Texts one after the other; text i is flat[at[i]:at[i + 1]]."""

    flat: Bytes
    at: Times

    @classmethod
    def of(cls, texts: Iterable[bytes]) -> _Table:
        listed = list(texts)
        sizes = np.fromiter(map(len, listed), np.int64, len(listed))
        at = np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])
        return cls(np.frombuffer(b"".join(listed) or b" ", np.uint8), at)

    @property
    def sizes(self) -> Times:
        """How long each text is."""
        return np.diff(self.at)


def _written(times: Times, values: Floats, offsets: Times) -> tuple[Bytes, Times]:
    """All points, each with a comma behind it, and where those of each series begin (the last entry: where all end)."""
    ends = np.zeros(len(offsets), np.int64)
    if not len(values):
        return np.zeros(1, np.uint8), ends
    values = np.ascontiguousarray(values, np.float64)
    fractions = values[~whole(values)]
    printed = np.frombuffer(orjson.dumps(fractions, option=orjson.OPT_SERIALIZE_NUMPY), np.uint8)
    out = np.empty(len(values) * _MOST, np.uint8)
    length = write_points(printed, times, values, offsets, out, ends)
    return out[:length], ends


_HEAD = np.frombuffer(b'{"metric":{', np.uint8)
_BRACE = np.uint8(ord("}"))


@kernel
def write_series(
    codes: NDArray[np.int32],
    index: Times,
    names: Bytes,
    name_at: Times,
    strings: Bytes,
    string_at: Times,
    text: Bytes,
    ends: Times,
    before: Bytes,
    after: Bytes,
    out: Bytes,
) -> int:
    """Put series together from texts: of names, of label values by code (0: absent), of points. The bytes written."""
    rows, columns = codes.shape
    out[0] = _OPEN
    place = 1
    for row in range(rows):
        if row:
            out[place] = _COMMA
            place += 1
        place = _copy(_HEAD, 0, len(_HEAD), out, place)
        first = True
        for column in range(columns):
            code = codes[row, column]
            if code == 0:
                continue
            if not first:
                out[place] = _COMMA
                place += 1
            first = False
            place = _copy(names, name_at[column], name_at[column + 1], out, place)
            place = _copy(strings, string_at[index[code]], string_at[index[code] + 1], out, place)
        out[place] = _BRACE
        place = _copy(before, 0, len(before), out, place + 1)
        place = _copy(text, ends[row], max(ends[row], ends[row + 1] - 1), out, place)
        place = _copy(after, 0, len(after), out, place)
    out[place] = _CLOSE
    return place + 1


@inlined
def _copy(source: Bytes, first: int, last: int, out: Bytes, place: int) -> int:
    for position in range(first, last):
        out[place] = source[position]
        place += 1
    return place


@kernel
def whole(values: Floats) -> Mask:
    """Which values are whole numbers of at most 15 digits."""
    out = np.empty(len(values), np.bool_)
    for row in range(len(values)):
        out[row] = abs(values[row]) < _WHOLE and values[row] == np.floor(values[row])
    return out


@kernel
def write_points(printed: Bytes, times: Times, values: Floats, offsets: Times, out: Bytes, ends: Times) -> int:
    """Write `[time,"value"],` for every point; ends[i] is where series i begins. The number of bytes written.

    `printed` has those values in print that are not whole, as a JSON array.
    """
    at, place = 1, 0  # after the opening bracket
    digits = np.empty(32, np.uint8)
    ends[0] = 0
    for series in range(len(offsets) - 1):
        for point in range(offsets[series], offsets[series + 1]):
            out[place] = _OPEN
            place = _write_time(times[point], out, place + 1)
            out[place] = _COMMA
            out[place + 1] = _QUOTE
            place += 2
            value = values[point]
            if abs(value) < _WHOLE and value == np.floor(value):
                if np.signbit(value):
                    out[place] = _MINUS
                    place += 1
                place = _write_whole(int(abs(value)), out, place)
            else:
                at, place = _write_fraction(printed, at, value, digits, out, place)
            out[place] = _QUOTE
            out[place + 1] = _CLOSE
            out[place + 2] = _COMMA
            place += 3
        ends[series + 1] = place
    return place


@inlined
def _write_whole(number: int, out: Bytes, place: int) -> int:
    """Digits of a number that is not negative, below 10^18."""
    width, bound = 1, 10
    while number >= bound and width < 18:
        width += 1
        bound *= 10
    end = place + width
    position = end
    while position - place > 1:
        rest = number // 100
        pair = 2 * (number - 100 * rest)
        number = rest
        position -= 2
        out[position] = _PAIRS[pair]
        out[position + 1] = _PAIRS[pair + 1]
    if position > place:
        out[place] = _ZERO + np.uint8(number)
    return end


@inlined
def _write_fraction(printed: Bytes, at: int, value: float, digits: Bytes, out: Bytes, place: int) -> tuple[int, int]:
    """The number in print at `at`, which is no whole number or a large one: where the next begins, and the place."""
    start, stop, plain = place, at, True
    while printed[stop] != _COMMA and printed[stop] != _CLOSE:
        out[place] = printed[stop]
        plain = plain and printed[stop] != _E
        place += 1
        stop += 1
    size = abs(value)
    if not np.isfinite(value):
        place = _write_special(value, out, start)
    elif not plain or not 1e-6 <= size < 1e21:
        place = _write_odd(printed, at, stop, 1e-6 <= size < 1e21, digits, out, start)
    elif printed[stop - 1] == _ZERO and printed[stop - 2] == _DOT:
        place -= 2
    return stop + 1, place


@inlined
def _write_time(time: int, out: Bytes, place: int) -> int:
    """Seconds with no or three decimals."""
    if time < 0:
        out[place] = _MINUS
        place += 1
        time = -time
    seconds = time // 1000
    rest = time - 1000 * seconds
    place = _write_whole(seconds, out, place)
    if rest:
        out[place] = _DOT
        out[place + 1] = _ZERO + np.uint8(rest // 100)
        out[place + 2] = _ZERO + np.uint8(rest // 10 % 10)
        out[place + 3] = _ZERO + np.uint8(rest % 10)
        place += 4
    return place


@inlined
def _write_special(value: float, out: Bytes, place: int) -> int:
    text = _NAN
    if not np.isnan(value):
        out[place] = _PLUS if value > 0 else _MINUS
        place += 1
        text = _INF
    for letter in text:
        out[place] = letter
        place += 1
    return place


@inlined
def _write_odd(printed: Bytes, at: int, stop: int, fixed: bool, digits: Bytes, out: Bytes, place: int) -> int:
    """A number with an exponent, in print or to be: its digits are taken apart and laid out anew."""
    if printed[at] == _MINUS:
        out[place] = _MINUS
        place += 1
        at += 1
    count, point, seen = 0, 0, False  # the value is 0.d1d2d3… x 10^point
    while at < stop and printed[at] != _E:
        if printed[at] == _DOT:
            seen = True
        elif count or printed[at] != _ZERO:
            digits[count] = printed[at]
            count += 1
            point += not seen
        elif seen:
            point -= 1
        at += 1
    if at < stop:
        point += _read_exponent(printed, at + 1, stop)
    while count > 1 and digits[count - 1] == _ZERO:
        count -= 1
    if fixed:
        return _write_fixed(digits, count, point, out, place)
    return _write_exponent(digits, count, point - 1, out, place)


@inlined
def _read_exponent(printed: Bytes, at: int, stop: int) -> int:
    negative = printed[at] == _MINUS
    if negative or printed[at] == _PLUS:
        at += 1
    power = 0
    for position in range(at, stop):
        power = power * 10 + int(printed[position] - _ZERO)
    return -power if negative else power


@inlined
def _write_fixed(digits: Bytes, count: int, point: int, out: Bytes, place: int) -> int:
    if point <= 0:
        out[place] = _ZERO
        out[place + 1] = _DOT
        place += 2
        for _ in range(-point):
            out[place] = _ZERO
            place += 1
    for position in range(max(count, point)):
        if position == point and position:
            out[place] = _DOT
            place += 1
        out[place] = digits[position] if position < count else _ZERO
        place += 1
    return place


@inlined
def _write_exponent(digits: Bytes, count: int, power: int, out: Bytes, place: int) -> int:
    for position in range(count):
        if position == 1:
            out[place] = _DOT
            place += 1
        out[place] = digits[position]
        place += 1
    out[place] = _E
    out[place + 1] = _MINUS if power < 0 else _PLUS
    place += 2
    power = abs(power)
    if power >= 100:
        out[place] = _ZERO + np.uint8(power // 100)
        place += 1
    out[place] = _ZERO + np.uint8(power // 10 % 10)
    out[place + 1] = _ZERO + np.uint8(power % 10)
    return place + 2


def warm() -> None:
    """Load (or, once, compile) the kernels."""
    labels = Labels.of(Pool(), [{"a": "b"}])
    series((b",", b"}"), labels, np.zeros(1, np.int64), np.full(1, 0.5), np.array([0, 1]))
