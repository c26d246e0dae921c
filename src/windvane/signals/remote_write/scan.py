"""One compiled pass over a request: samples into flat arrays, labels into a hash, the rest into places.

The pass checks the structure down to every sample, so a malformed request is refused by name and
place. Labels are only hashed here: whether they are valid is asked once, when a list of labels
is new. Histograms, exemplars and metadata, which few requests have, are left as byte ranges.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError
from windvane.signals import protobuf
from windvane.signals.hashing import SEED, Keys, step, string_hash, word
from windvane.signals.walk import WIRE_ERRORS, field, varint

Places = NDArray[np.int64]

V1, V2 = 1, 2
# Field numbers: of the request (series, metadata, symbols), then of a series (labels, samples, histograms,
# exemplars, metadata, created); 0 where a version has no such field.
_FIELDS = {
    V1: np.array([1, 3, 0, 1, 2, 4, 3, 0, 0], np.int64),
    V2: np.array([5, 0, 4, 1, 2, 3, 4, 5, 6], np.int64),
}
_SERIES, _FAMILY, _SYMBOL, _LABELS, _SAMPLES, _HISTOGRAMS, _EXEMPLARS, _METADATA, _CREATED = range(9)

_REASONS = {
    **WIRE_ERRORS,
    6: "a reference to a symbol that the request does not have",
    7: "an odd number of label references",
}


@dataclass(frozen=True, slots=True)
class Request:
    """What a request holds. Places are (series, start, end) in `payload`; series are numbered from 0.

    Series i has the samples `ends[i]` to `ends[i + 1]` of `times` (milliseconds) and `values`. `keys` are
    hashes of the label lists as sent; `facts` of the metadata sent with the series (0: none).
    """

    payload: bytes
    version: int
    series: Places  # (start, end) of the message
    keys: Keys
    facts: Keys
    created: NDArray[np.int64]
    ends: NDArray[np.int64]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    histograms: Places
    exemplars: Places
    metadata: Places
    symbols: Places

    def part(self, place: Sequence[int]) -> bytes:
        """The bytes of a place."""
        return self.payload[place[-2] : place[-1]]

    def labels(self, series: int) -> list[tuple[bytes, bytes]]:
        """The label list of a series as sent."""
        start, end = self.series[series].tolist()
        if self.version == V1:
            places = _label_places(np.frombuffer(self.payload, np.uint8), start, end)
            if places is not None:
                return [(self.payload[a:b], self.payload[c:d]) for a, b, c, d in places.tolist()]
        return self.pairs(self.payload[start:end], 1)

    def pairs(self, message: bytes, number: int) -> list[tuple[bytes, bytes]]:
        """A label list: field `number` of a message, label messages (1.0) or references (2.0)."""
        if self.version == V1:
            return [_label(protobuf.block(value)) for found, _, value in protobuf.fields(message) if found == number]
        refs = [
            ref
            for found, wire, value in protobuf.fields(message)
            if found == number
            for ref in protobuf.varints(wire, value)
        ]
        if len(refs) % 2:
            raise BadInputError(_REASONS[7])
        words = [self.symbol(ref) for ref in refs]
        return list(zip(words[::2], words[1::2], strict=True))

    def symbol(self, reference: int) -> bytes:
        """A string of the request's table."""
        if reference >= len(self.symbols):
            raise BadInputError(f"a reference to symbol {reference} of {len(self.symbols)}")
        return self.part(self.symbols[reference].tolist())


def _label(message: bytes) -> tuple[bytes, bytes]:
    name = value = b""
    for number, _, part in protobuf.fields(message):
        if number == 1:
            name = protobuf.block(part)
        elif number == 2:
            value = protobuf.block(part)
    return name, value


def scan(payload: bytes, version: int) -> Request:
    """Read a WriteRequest (`V1`) or a 2.0 Request (`V2`); `BadInputError` says what is wrong where."""
    data = np.frombuffer(payload, np.uint8)
    numbers = _FIELDS[version]
    error, place, counts = _count(data, numbers)
    if not error:
        made = [
            np.empty((counts[0], 2), np.int64),
            np.empty((counts[0], 2), np.uint64),
            np.zeros(counts[0], np.uint64),
            np.zeros(counts[0], np.int64),
            np.empty(counts[0] + 1, np.int64),
            np.empty(counts[1], np.int64),
            np.empty(counts[1], np.float64),
            *(np.empty((count, 3), np.int64) for count in counts[2:5]),
            np.empty((counts[5], 2), np.int64),
        ]
        error, place = _fill(data, numbers, SEED, *made)
    if error:
        name = "prometheus.WriteRequest" if version == V1 else "io.prometheus.write.v2.Request"
        raise BadInputError(f"not a {name}: {_REASONS[error]} (byte {place})")
    return Request(payload, version, *made)


def warm() -> None:
    """Compile (or load from the cache on disk) now rather than with the first request."""
    scan(b"", V1)
    _label_places(np.frombuffer(b"\0", np.uint8), 0, 0)  # bytes are read-only arrays


# A sample as every sender writes it: field 2, 16 bytes, a value, and a time of our day, which takes six bytes.
_USUAL = 18
_HEAD, _HEAD_MASK = np.uint64(0x09_10_12), np.uint64(0xFF_FF_FF)
_TIME, _TIME_MASK = np.uint64(0x0080_8080_8080_10_00), np.uint64(0x8080_8080_8080_FF_00)


@njit(nogil=True)
def _is_usual(data: Any, position: int) -> bool:
    """Whether the 18 bytes here are such a sample."""
    head, rest = word(data, position), word(data, position + 10)
    return bool((head & _HEAD_MASK) == _HEAD and (rest & _TIME_MASK) == _TIME)


@njit(nogil=True)
def _usual(  # noqa: PLR0917 - numba takes arrays by position
    data: Any, position: int, end: int, times: Any, bits: Any, place: int
) -> tuple[int, int]:
    """Read such samples as long as they follow each other; (position, place) after them."""
    seven = np.uint64(0x7F)
    while position + _USUAL <= end and _is_usual(data, position):
        rest = word(data, position + 10) >> np.uint64(16)
        time = np.uint64(0)
        for byte in range(6):
            time |= ((rest >> np.uint64(8 * byte)) & seven) << np.uint64(7 * byte)
        times[np.uint64(place)], bits[np.uint64(place)] = np.int64(time), np.int64(word(data, position + 3))
        place += 1
        position += _USUAL
    return position, place


@njit(cache=True, nogil=True)
def _count(data: Any, numbers: Any) -> tuple[int, int, Any]:
    """(error, place, [series, samples, histograms, exemplars, metadata, symbols])."""
    counts = np.zeros(6, np.int64)
    position = 0
    while position < data.size:
        number, wire, _, start, after = field(data, position, data.size)
        if number == 0:
            return wire, position, counts
        if number == numbers[_SERIES] and wire == 2:
            counts[0] += 1
            inner = start
            while inner < after:
                while inner + _USUAL <= after and _is_usual(data, inner):
                    counts[1] += 1
                    inner += _USUAL
                if inner == after:
                    break
                number, wire, _, start, next_ = field(data, inner, after)
                if number == 0:
                    return wire, inner, counts
                if wire == 2:
                    for kind in range(1, 4):
                        counts[kind] += number == numbers[_LABELS + kind]
                    counts[4] += number == numbers[_METADATA]
                inner = next_
        elif wire == 2:
            counts[4] += number == numbers[_FAMILY]
            counts[5] += number == numbers[_SYMBOL]
        position = after
    return 0, 0, counts


@njit(nogil=True)
def _sample(  # noqa: PLR0917 - numba takes arrays by position
    data: Any, position: int, end: int, times: Any, bits: Any, place: int
) -> tuple[int, int]:
    """Read a sample into its place; (error, position)."""
    times[place], bits[place] = 0, 0
    while position < end:
        number, wire, value, start, after = field(data, position, end)
        if number == 0:
            return wire, position
        if number == 1:
            if wire != 1:
                return 3, position
            bits[place] = np.int64(word(data, start))
        elif number == 2:
            if wire != 0:
                return 3, position
            times[place] = value
        position = after
    return 0, 0


@njit(nogil=True)
def _refs_hash(  # noqa: PLR0917 - numba takes arrays by position
    data: Any, position: int, end: int, words: Any, key: Any, count: int
) -> tuple[int, int]:
    """Take packed references into a key; (error or 0, references so far)."""
    while position < end:
        reference, position = varint(data, position, end)
        if position < 0:
            return 1, count
        if reference < 0 or reference >= words.shape[0]:
            return 6, count
        key[0], key[1] = step(key[0], key[1], words[reference, 0], words[reference, 1])
        count += 1
    return 0, count


@njit(nogil=True)
def _facts_hash(data: Any, position: int, end: int, words: Any) -> tuple[int, Any]:
    """(error, hash) of a 2.0 metadata message."""
    a, b = np.uint64(1), np.uint64(2)
    while position < end:
        number, wire, value, _, after = field(data, position, end)
        if number == 0:
            return wire, a
        if wire != 0:
            return 3, a
        if number in (3, 4):
            if value < 0 or value >= words.shape[0]:
                return 6, a
            a, b = step(a, b, words[value, 0] ^ np.uint64(number), words[value, 1])
        else:
            a, b = step(a, b, np.uint64(value), np.uint64(number))
        position = after
    return 0, a | np.uint64(1)


@njit(nogil=True)
def _words(data: Any, numbers: Any, seed: Any, symbols: Any) -> Any:
    """Hashes of the symbols; fills their places. The structure was checked by `_count`."""
    words = np.empty((symbols.shape[0], 2), np.uint64)
    position, found = 0, 0
    while position < data.size and symbols.shape[0]:
        number, wire, _, start, after = field(data, position, data.size)
        if number == numbers[_SYMBOL] and wire == 2:
            symbols[found, 0], symbols[found, 1] = start, after
            words[found, 0], words[found, 1] = string_hash(data, start, after, seed)
            found += 1
        position = after
    return words


@njit(cache=True, nogil=True)
def _fill(  # noqa: C901, PLR0911, PLR0912, PLR0917 -- one loop, compiled; a return is an error
    data: Any,
    numbers: Any,
    seed: Any,
    series: Any,
    keys: Any,
    facts: Any,
    created: Any,
    ends: Any,
    times: Any,
    values: Any,
    histograms: Any,
    exemplars: Any,
    metadata: Any,
    symbols: Any,
) -> tuple[int, int]:
    """Fill the arrays of a request; (error, place)."""
    words = _words(data, numbers, seed, symbols)
    bits = values.view(np.int64)
    one, samples, histogram, exemplar, known = 0, 0, 0, 0, 0
    ends[0] = 0
    position = 0
    while position < data.size:
        number, wire, _, start, after = field(data, position, data.size)
        if number in (numbers[_SERIES], numbers[_FAMILY], numbers[_SYMBOL]) and wire != 2:
            return 3, position
        if number == numbers[_FAMILY]:
            metadata[known, 0], metadata[known, 1], metadata[known, 2] = -1, start, after
            known += 1
        if number != numbers[_SERIES]:
            position = after
            continue
        series[one, 0], series[one, 1] = start, after
        key = keys[one]
        key[0], key[1] = seed[1], seed[0]
        references, inner = 0, start
        while inner < after:
            inner, samples = _usual(data, inner, after, times, bits, samples)
            if inner == after:
                break
            number, wire, value, start, next_ = field(data, inner, after)
            error = 0
            if number == numbers[_LABELS] and numbers[_SYMBOL]:
                if wire not in (0, 2):
                    return 3, inner
                error, references = _refs_hash(data, start, next_, words, key, references)
            elif number == numbers[_CREATED]:
                if wire != 0:
                    return 3, inner
                created[one] = value
            elif number == 0 or number > 5:
                pass
            elif wire != 2:
                return 3, inner
            elif number == numbers[_LABELS]:
                a, b = string_hash(data, start, next_, seed)
                key[0], key[1] = step(key[0], key[1], a, b)
            elif number == numbers[_SAMPLES]:
                error, _ = _sample(data, start, next_, times, bits, samples)
                samples += 1
            elif number == numbers[_HISTOGRAMS]:
                histograms[histogram, 0], histograms[histogram, 1], histograms[histogram, 2] = one, start, next_
                histogram += 1
            elif number == numbers[_EXEMPLARS]:
                exemplars[exemplar, 0], exemplars[exemplar, 1], exemplars[exemplar, 2] = one, start, next_
                exemplar += 1
            elif number == numbers[_METADATA]:
                metadata[known, 0], metadata[known, 1], metadata[known, 2] = one, start, next_
                error, facts[one] = _facts_hash(data, start, next_, words)
                known += 1
            if error:
                return error, inner
            inner = next_
        if references % 2:
            return 7, position
        one += 1
        ends[one] = samples
        position = after
    return 0, 0


@njit(cache=True, nogil=True)
def _label_places(data: Any, start: int, end: int) -> Any:
    """(name from, to, value from, to) of the labels of a 1.0 series; None where one is malformed."""
    count, position = 0, start
    while position < end:
        number, wire, _, inner, position = field(data, position, end)
        if number == 0:
            return None
        count += number == 1
    places = np.zeros((count, 4), np.int64)
    count, position = 0, start
    while position < end:
        number, wire, _, inner, position = field(data, position, end)
        if number != 1:
            continue
        if wire != 2:
            return None
        while inner < position:
            number, wire, _, first, inner = field(data, inner, position)
            if number == 0:
                return None
            if number in (1, 2):
                if wire != 2:
                    return None
                places[count, 2 * number - 2], places[count, 2 * number - 1] = first, inner
        count += 1
    return places
