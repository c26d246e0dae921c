"""Samples in a tenth of their memory, to the last bit: how a stretch of one series is packed and unpacked.

A series' samples are cut into blocks of at most `BLOCK`. A block is words of 64 bits: a header, what the
values start from, the values' differences and the times' differences, each in as many bits as the widest
of the block needs (after the smallest is taken off, and zero bits that all end in). Values are packed

- CONST: all have the same bits; the only kind that holds NaN (staleness markers) and infinities;
- LEVEL: as integers, less the smallest; STEP: as the integers' differences, less the smallest. A value
  counts as the integer `m` where it is exactly `m / 10^e`, |m| < 2^53, one `e` a block: such a quotient is
  the double nearest to a decimal of at most 15 digits, which is what instrumented programs count in;
- XOR: as the bits that differ from those of the value before; anything fits.

Header, from the lowest bit: samples less one (8), kind (2), width of a value (7), its zero bits (6), e (4),
width of a time (5), its zero bits (5), smallest difference of times (23: a stretch is less than 2^23 ms).
A LEVEL begins with the smallest integer, a STEP with the first and the smallest difference, an XOR and a
CONST with the first value's bits.
"""

# Kernels take flat arrays by position, and branch where a table of functions would not compile.
# ruff: noqa: PLR0917
# Words are unsigned, and become integers and back: annotations say `int` for both.
# mypy: disable-error-code="no-any-return, arg-type, assignment, return-value"

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from windvane.promql.jit import inlined, kernel
from windvane.promql.value import STALE_BITS, Floats, Times

Words = NDArray[np.uint64]
Places = NDArray[np.uint32]

BLOCK = 240
STRETCH_MS = 7_200_000
"""The time of a stretch; times are held as differences from its beginning."""

CONST, LEVEL, STEP, XOR = range(4)
_EXPONENTS = 13
_POWERS = 10.0 ** np.arange(_EXPONENTS)
_FEWEST = 32
"""Decimals in a row that are worth a block of their own among other values."""
_EXACT = float(1 << 53)
_STALE = np.int64(STALE_BITS)
_NEGATIVE_ZERO = np.int64(-(1 << 63))
_SPECIAL = np.int64(0x7FF0000000000000)
_ONE, _ALL = np.uint64(1), np.uint64(0xFFFFFFFFFFFFFFFF)
_6, _63, _64 = np.uint64(6), np.uint64(63), np.uint64(64)


@kernel
def encoded(offsets: Times, times: Times, values: Floats, origin: int) -> tuple[Times, Places, Places, Words, bool]:
    """Flat samples of a stretch that begins at `origin`, packed: of each series its first block (and the end),
    of each block its first time (ms after `origin`) and its first word (and the end), the words, and whether any
    is a staleness marker.
    """
    samples = offsets[-1] - offsets[0]
    starts = np.empty(len(offsets), np.int64)
    first = np.empty(samples, np.uint32)
    place = np.empty(samples + 1, np.uint32)
    data = np.empty(5 * samples + 2, np.uint64)  # what is never touched costs nothing
    bits = values.view(np.int64)
    numbers = np.empty(BLOCK, np.int64)
    block = word = stale = 0
    for i in range(len(offsets) - 1):
        starts[i] = block
        j, stop = offsets[i], offsets[i + 1]
        while j < stop:
            first[block], place[block] = times[j] - origin, word
            block += 1
            end, exponent = _extent(values, bits, j, min(stop, j + BLOCK), numbers)
            stale += bits[j] == _STALE
            word = _block(times, bits, j, end, exponent, numbers, data, word)
            j = end
    starts[-1], place[block] = block, word
    data[word] = 0  # readers look one word ahead
    return starts, first[:block].copy(), place[: block + 1].copy(), data[: word + 1].copy(), stale > 0


@inlined
def _extent(values: Floats, bits: Times, begin: int, limit: int, numbers: Times) -> tuple[int, int]:
    """Where a block that begins here ends, and its decimal exponent (-1: not decimal); fills `numbers`."""
    if bits[begin] & _SPECIAL == _SPECIAL:
        end = begin + 1
        while end < limit and bits[end] == bits[begin]:
            end += 1
        return end, -1
    plain = begin
    while plain < limit and bits[plain] & _SPECIAL != _SPECIAL:
        plain += 1
    if _integers(values[begin:plain], bits[begin:plain], numbers):
        return plain, 0
    exponent = 0
    for j in range(begin, plain):
        while exponent < _EXPONENTS and not _decimal(values[j], bits[j], exponent):
            exponent += 1
        if exponent == _EXPONENTS:
            break
    if exponent == _EXPONENTS:
        exponent = 0
    power = _POWERS[exponent]
    end = begin
    while end < plain and _decimal(values[end], bits[end], exponent):
        numbers[end - begin] = np.int64(np.rint(values[end] * power))
        end += 1
    if end < plain and end - begin < _FEWEST:
        return plain, -1
    return end, exponent


@inlined
def _integers(values: Floats, bits: Times, numbers: Times) -> bool:
    """Whether all values are integers, which are then in `numbers`."""
    odd = 0
    for j in range(len(values)):
        number = np.int64(values[j])
        numbers[j] = number
        odd |= int(float(number) != values[j]) | int(abs(values[j]) >= _EXACT) | int(bits[j] == _NEGATIVE_ZERO)
    return odd == 0


@inlined
def _decimal(value: float, bits: int, exponent: int) -> bool:
    """Whether a value is exactly an integer divided by this power of ten."""
    if exponent == 0:
        return abs(value) < _EXACT and value == np.rint(value) and bits != _NEGATIVE_ZERO
    number = np.rint(value * _POWERS[exponent])
    return abs(number) < _EXACT and number / _POWERS[exponent] == value and bits != _NEGATIVE_ZERO


@inlined
def _block(
    times: Times, bits: Times, begin: int, end: int, exponent: int, numbers: Times, data: Words, word: int
) -> int:
    """Write a block's words; returns where the next begins."""
    count = end - begin
    kind, base, least, width, zeros = _choice(bits, begin, end, exponent, numbers)
    step, time_width, time_zeros = _time_steps(times, begin, end)
    header = np.uint64(count - 1) | np.uint64(kind) << np.uint64(8) | np.uint64(width) << np.uint64(10)
    header |= np.uint64(zeros) << np.uint64(17) | np.uint64(max(exponent, 0)) << np.uint64(23)
    header |= np.uint64(time_width) << np.uint64(27) | np.uint64(time_zeros) << np.uint64(32)
    data[word] = header | np.uint64(step) << np.uint64(37)
    data[word + 1] = np.uint64(base)
    word += 2
    if kind == STEP:
        data[word] = np.uint64(least)
        word += 1
    acc, used = np.uint64(0), 0
    if width:
        shift = np.uint64(zeros)
        for j in range(0 if kind == LEVEL else 1, count):
            if kind == LEVEL:
                x = np.uint64(numbers[j] - base) >> shift
            elif kind == STEP:
                x = np.uint64(numbers[j] - numbers[j - 1] - least) >> shift
            else:
                x = np.uint64(bits[begin + j] ^ bits[begin + j - 1]) >> shift
            acc, used, word = _put(data, word, acc, used, x, width)
        if used:
            data[word] = acc
            word += 1
    acc, used = np.uint64(0), 0
    if time_width:
        shift = np.uint64(time_zeros)
        for j in range(begin + 1, end):
            x = np.uint64(times[j] - times[j - 1] - step) >> shift
            acc, used, word = _put(data, word, acc, used, x, time_width)
        if used:
            data[word] = acc
            word += 1
    return word


@inlined
def _put(data: Words, word: int, acc: int, used: int, x: int, width: int) -> tuple[int, int, int]:
    """Append `width` bits: the word under way, how much of it is used, and where it goes."""
    acc |= x << np.uint64(used)
    used += width
    if used >= 64:
        data[word] = acc
        word += 1
        used -= 64
        acc = x >> np.uint64(width - used) if used else np.uint64(0)
    return acc, used, word


@inlined
def _choice(bits: Times, begin: int, end: int, exponent: int, numbers: Times) -> tuple[int, int, int, int, int]:
    """The kind that takes fewest bits: kind, base, smallest difference, width, zero bits."""
    differ = np.uint64(0)
    for j in range(begin + 1, end):
        differ |= np.uint64(bits[j] ^ bits[j - 1])
    if differ == 0:
        return CONST, bits[begin], 0, 0, 0
    zeros = _trailing(differ)
    width = _length(differ) - zeros
    if exponent < 0:
        return XOR, bits[begin], 0, width, zeros
    count = end - begin
    low = numbers[0]
    least = numbers[1] - numbers[0]
    for j in range(1, count):
        low = min(low, numbers[j])
        least = min(least, numbers[j] - numbers[j - 1])
    level = np.uint64(numbers[0] - low)
    step = np.uint64(0)
    for j in range(1, count):
        level |= np.uint64(numbers[j] - low)
        step |= np.uint64(numbers[j] - numbers[j - 1] - least)
    level_zeros, step_zeros = _trailing(level), _trailing(step)
    level_width, step_width = _length(level) - level_zeros, _length(step) - step_zeros
    if width < level_width and width < step_width:
        return XOR, bits[begin], 0, width, zeros
    if level_width <= step_width:
        return LEVEL, low, 0, level_width, level_zeros
    return STEP, numbers[0], least, step_width, step_zeros


@inlined
def _time_steps(times: Times, begin: int, end: int) -> tuple[int, int, int]:
    """Smallest difference of times, width and zero bits of what is above it."""
    if end - begin < 2:
        return 0, 0, 0
    least = times[begin + 1] - times[begin]
    for j in range(begin + 1, end):
        least = min(least, times[j] - times[j - 1])
    above = np.uint64(0)
    for j in range(begin + 1, end):
        above |= np.uint64(times[j] - times[j - 1] - least)
    zeros = _trailing(above)
    return least, _length(above) - zeros, zeros


@inlined
def _length(x: int) -> int:
    """Bits up to the highest that is set."""
    length = 0
    for shift in (32, 16, 8, 4, 2, 1):
        if x >> np.uint64(shift):
            x >>= np.uint64(shift)
            length += shift
    return length + int(x)


@inlined
def _trailing(x: int) -> int:
    """Zero bits below the lowest that is set; 0 where none is."""
    return _length(x & (~x + _ONE)) - 1 if x else 0


# And back


@inlined
def _times_of(data: Words, word: int, first: int, times: Times, at: int) -> int:
    """Unpack the times of the block that begins at `word` to `at` and on; returns how many."""
    header = data[word]
    count = int(header & np.uint64(255)) + 1
    width = int(header >> np.uint64(27) & np.uint64(31))
    step = np.int64(header >> np.uint64(37) & np.uint64(0x7FFFFF))
    if width == 0:
        for j in range(count):
            times[at + j] = first + j * step
        return count
    kind = int(header >> np.uint64(8) & np.uint64(3))
    packed = int(header >> np.uint64(10) & np.uint64(127)) * (count - (kind != LEVEL))
    word += 2 + (kind == STEP) + (packed + 63) // 64
    zeros, mask = header >> np.uint64(32) & np.uint64(31), _ALL >> (_64 - np.uint64(width))
    bit, wide = np.uint64(word) << _6, np.uint64(width)
    times[at] = first
    for j in range(1, count):
        k, s = bit >> _6, bit & _63
        x = (data[k] >> s | data[k + _ONE] << _ONE << (_63 - s)) & mask
        first += step + np.int64(x << zeros)
        times[at + j] = first
        bit += wide
    return count


@inlined
def _values_of(data: Words, word: int, values: Floats, bits: Times, at: int) -> None:
    """Unpack the values of the block that begins at `word` to `at` and on; `bits` is the same memory."""
    header = data[word]
    count = int(header & np.uint64(255)) + 1
    kind = int(header >> np.uint64(8) & np.uint64(3))
    width = int(header >> np.uint64(10) & np.uint64(127))
    zeros = header >> np.uint64(17) & np.uint64(63)
    base = np.int64(data[word + 1])
    if kind == CONST:
        for j in range(count):
            bits[at + j] = base
        return
    mask = _ALL >> (_64 - np.uint64(width)) if width else np.uint64(0)
    wide = np.uint64(width)
    bit = np.uint64(word + 2 + (kind == STEP)) << _6
    if kind == LEVEL:
        for j in range(count):
            k, s = bit >> _6, bit & _63
            x = (data[k] >> s | data[k + _ONE] << _ONE << (_63 - s)) & mask
            values[at + j] = float(base + np.int64(x << zeros))
            bit += wide
    elif kind == STEP:
        least = np.int64(data[word + 2])
        values[at] = float(base)
        for j in range(1, count):
            k, s = bit >> _6, bit & _63
            x = (data[k] >> s | data[k + _ONE] << _ONE << (_63 - s)) & mask
            base += least + np.int64(x << zeros)
            values[at + j] = float(base)
            bit += wide
    else:
        bits[at] = base
        for j in range(1, count):
            k, s = bit >> _6, bit & _63
            x = (data[k] >> s | data[k + _ONE] << _ONE << (_63 - s)) & mask
            base ^= np.int64(x << zeros)
            bits[at + j] = base
            bit += wide
        return
    exponent = int(header >> np.uint64(23) & np.uint64(15))
    if exponent:
        power = _POWERS[exponent]
        for j in range(count):
            values[at + j] /= power


@kernel
def decoded(
    starts: Times,
    first: Places,
    place: Places,
    data: Words,
    origin: int,
    rows: Times,
    after: int,
    until: int,
    times: Times,
    values: Floats,
    at: Times,
) -> None:
    """Unpack the samples in (after, until] of the series `rows` (-1: none) to their places, which move on."""
    bits = values.view(np.int64)
    own_times, own_values = np.empty(BLOCK, np.int64), np.empty(BLOCK)
    own_bits = own_values.view(np.int64)
    for i in range(len(rows)):
        row = rows[i]
        if row < 0:
            continue
        out = at[i]
        stop = starts[row + 1]
        for block in range(starts[row], stop):
            begin = origin + np.int64(first[block])
            if begin > until:
                break
            following = origin + (np.int64(first[block + 1]) if block + 1 < stop else STRETCH_MS)
            if following <= after + 1:  # the next one begins so early that nothing here is later than `after`
                continue
            if begin > after and following <= until + 1:
                _values_of(data, np.int64(place[block]), values, bits, out)
                out += _times_of(data, np.int64(place[block]), begin, times, out)
                continue
            count = _times_of(data, np.int64(place[block]), begin, own_times, 0)
            _values_of(data, np.int64(place[block]), own_values, own_bits, 0)
            for j in range(count):
                if after < own_times[j] <= until:
                    times[out], bits[out] = own_times[j], own_bits[j]
                    out += 1
        at[i] = out


@kernel
def counted(
    starts: Times,
    first: Places,
    place: Places,
    data: Words,
    origin: int,
    rows: Times,
    after: int,
    until: int,
    total: Times,
) -> None:
    """Add to `total` how many samples in (after, until] each of the series `rows` (-1: none) has."""
    own_times = np.empty(BLOCK, np.int64)
    for i in range(len(rows)):
        row = rows[i]
        if row < 0:
            continue
        stop = starts[row + 1]
        for block in range(starts[row], stop):
            begin = origin + np.int64(first[block])
            if begin > until:
                break
            following = origin + (np.int64(first[block + 1]) if block + 1 < stop else STRETCH_MS)
            if following <= after + 1:
                continue
            if begin > after and following <= until + 1:
                total[i] += int(data[place[block]] & np.uint64(255)) + 1
                continue
            count = _times_of(data, np.int64(place[block]), begin, own_times, 0)
            for j in range(count):
                total[i] += after < own_times[j] <= until


@kernel
def spliced(
    a_rows: Times,
    b_rows: Times,
    a_starts: Times,
    a_first: Places,
    a_place: Places,
    a_data: Words,
    b_starts: Times,
    b_first: Places,
    b_place: Places,
    b_data: Words,
) -> tuple[Times, Places, Places, Words]:
    """Series of two packed stretches in one, row by row: that of the second where it has it (row not -1)."""
    starts = np.empty(len(a_rows) + 1, np.int64)
    first = np.empty(len(a_first) + len(b_first), np.uint32)
    place = np.empty(len(first) + 1, np.uint32)
    data = np.empty(len(a_data) + len(b_data), np.uint64)
    block = word = 0
    for i in range(len(a_rows)):
        starts[i] = block
        if b_rows[i] >= 0:
            block, word = _copied(b_rows[i], b_starts, b_first, b_place, b_data, first, place, data, block, word)
        else:
            block, word = _copied(a_rows[i], a_starts, a_first, a_place, a_data, first, place, data, block, word)
    starts[-1], place[block], data[word] = block, word, 0
    return starts, first[:block].copy(), place[: block + 1].copy(), data[: word + 1].copy()


@inlined
def _copied(
    row: int,
    starts: Times,
    first: Places,
    place: Places,
    data: Words,
    to_first: Places,
    to_place: Places,
    to_data: Words,
    block: int,
    word: int,
) -> tuple[int, int]:
    begin, end = starts[row], starts[row + 1]
    low, high = np.int64(place[begin]), np.int64(place[end])
    for j in range(begin, end):
        to_first[block + j - begin] = first[j]
        to_place[block + j - begin] = np.int64(place[j]) - low + word
    for j in range(low, high):
        to_data[word + j - low] = data[j]
    return block + end - begin, word + high - low
