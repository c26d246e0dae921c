"""Spans of a checked request as columns, in one compiled pass: what the engine need not decode then.

Only for requests that `windvane.signals.otlp.scan` found right, without events and links, nested values
already text (`nested.rewrite`). Doubles and bytes are left to the engine, whose way of writing them as text
is its own: such a request gives None.

Texts that repeat (keys, names) become numbers of a dictionary for each kind of text; all others are kept as
the engine's formats have strings: a varint of the length, then the bytes.
"""

# ruff: noqa: PLR0917, SIM110 - compiled functions: arguments by place, loops without generators

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from windvane.signals.walk import varint

Bytes = NDArray[np.uint8]

NAMES, SERVICES, SCOPES, VERSIONS, KEYS, SPAN_TYPES, RESOURCE_TYPES, SCOPE_TYPES = range(8)
"""Dictionaries. The last three hold keys of attributes that are no strings."""

KINDS = ("none", "string", "bool", "int", "double", "array", "kvlist", "bytes")
"""What an attribute's value is, by the number of its field."""

_TEXTS, _TABLE = 4_096, 16_384
_LEFT, _FULL = 1, 2

# Regions of the two buffers: texts in the one, keys and kinds of values in the other; a kind lies where its key does.
_ATTRIBUTES, _RESOURCE, _SCOPE, _TYPES, _KINDS = range(5)
_TRACE, _SPAN, _PARENT, _STATE, _MESSAGE = range(3, 8)
_HELD, _HELD_SCOPE = 8, 9  # what the spans to come have of their resource and scope
_REGIONS = 10

# The pass's numbers: for every region, where it is written to and where it ends, in texts and in keys; how many
# texts each dictionary has; how many there are; then the texts (start, length, dictionary, number), then a hash table.
_AT, _END, _KEYS_AT, _KEYS_END = 0, _REGIONS, 2 * _REGIONS, 3 * _REGIONS
_COUNTS = 4 * _REGIONS
_FOUND, _KIND = _COUNTS + 8, _COUNTS + 9
_ENTRIES = _KIND + 1
_HASHED = _ENTRIES + 4 * _TEXTS


@dataclass(frozen=True, slots=True)
class Maps:
    """A column of maps: where each row's entries end, their keys (numbers of a dictionary), their values as strings."""

    ends: NDArray[np.uint64]
    keys: NDArray[np.uint16]
    values: Bytes


@dataclass(frozen=True, slots=True)
class Types:
    """As `Maps`; values are numbers of `KINDS`."""

    ends: NDArray[np.uint64]
    keys: NDArray[np.uint16]
    values: NDArray[np.uint16]


@dataclass(frozen=True, slots=True)
class SpanColumns:
    """Spans in columns. `texts` are the dictionaries; kinds and statuses are OTLP's numbers; times nanoseconds.

    `types` are the attributes that are no strings: keys are numbers of `type_keys`, which holds names such as
    `span.http.status_code`.
    """

    rows: int
    start: NDArray[np.int64]
    duration: NDArray[np.uint64]
    name: NDArray[np.uint16]
    service: NDArray[np.uint16]
    scope: NDArray[np.uint16]
    version: NDArray[np.uint16]
    kind: NDArray[np.uint16]
    status: NDArray[np.uint16]
    trace_id: Bytes
    span_id: Bytes
    parent_id: Bytes
    trace_state: Bytes
    message: Bytes
    attributes: Maps
    resource: Maps
    scope_attributes: Maps
    types: Types
    texts: tuple[list[bytes], ...]
    type_keys: list[bytes]


def span_columns(payload: bytes, spans: int) -> SpanColumns | None:
    """The spans of a request that holds so many, or None for one that the engine must decode."""
    data = np.frombuffer(payload, np.uint8)
    room = 1
    while room <= 64:
        work = _Work(data, spans, room)
        state = _build(data, work.numbers, work.words, work.ends, work.texts, work.keys, work.state)
        if state == 0:
            return work.columns(payload)
        if state == _LEFT:
            return None
        room *= 4
    return None


class _Work:
    """Memory for the pass; what is written per span from its resource may need `room` times as much."""

    def __init__(self, data: Bytes, spans: int, room: int) -> None:
        size = len(data)
        self.numbers = np.empty((2, spans), np.int64)
        self.words = np.empty((6, spans), np.uint16)
        self.ends = np.empty((4, spans), np.uint64)
        entries = size // 2 + 16
        strings = size + 10 * spans
        own, around = 2 * size + 64, (size + 1_024) * room
        texts = [own * room, around, around, 33 * spans, 17 * spans, 17 * spans, strings, strings, own, own]
        keys = [*[entries * room] * 5, 0, 0, 0, entries, entries]
        self.state = np.zeros(_HASHED + _TABLE, np.int64)
        for sizes, at, end in ((texts, _AT, _END), (keys, _KEYS_AT, _KEYS_END)):
            self.state[end : end + _REGIONS] = np.cumsum(sizes)
            self.state[at + 1 : at + _REGIONS] = self.state[end : end + _REGIONS - 1]
        self.starts = self.state[: 4 * _REGIONS].copy()
        self.texts = np.empty(sum(texts), np.uint8)
        self.keys = np.empty(sum(keys), np.uint16)

    def _text(self, region: int) -> Bytes:
        return self.texts[self.starts[_AT + region] : self.state[_AT + region]]

    def _key(self, region: int) -> NDArray[np.uint16]:
        return self.keys[self.starts[_KEYS_AT + region] : self.state[_KEYS_AT + region]]

    def columns(self, payload: bytes) -> SpanColumns:
        """What the pass left."""
        texts: tuple[list[bytes], ...] = tuple([] for _ in range(8))
        type_keys: list[bytes] = []
        entries = self.state[_ENTRIES : _ENTRIES + 4 * int(self.state[_FOUND])].reshape(-1, 4)
        for start, length, dictionary, _ in entries.tolist():
            text = payload[start : start + length]
            texts[dictionary].append(text)
            if dictionary >= SPAN_TYPES:
                type_keys.append((b"span.", b"resource.", b"scope.")[dictionary - SPAN_TYPES] + text)
        name, service, scope, version, kind, status = self.words
        attributes, resource, scope_attributes = (
            Maps(self.ends[region], self._key(region), self._text(region)) for region in range(3)
        )
        return SpanColumns(
            rows=self.numbers.shape[1], start=self.numbers[0], duration=self.numbers[1].view(np.uint64), name=name,
            service=service, scope=scope, version=version, kind=kind, status=status, trace_id=self._text(_TRACE),
            span_id=self._text(_SPAN), parent_id=self._text(_PARENT), trace_state=self._text(_STATE),
            message=self._text(_MESSAGE), attributes=attributes, resource=resource, scope_attributes=scope_attributes,
            types=Types(self.ends[3], self._key(_TYPES), self._key(_KINDS)), texts=texts, type_keys=type_keys,
        )  # fmt: skip


# Places are unsigned where bytes are read and written in loops: no check for negative ones, and so vector code.


@njit(cache=True, nogil=True)
def _number(data: Any, start: int, length: int, dictionary: int, state: Any) -> int:
    """Where a text's entry is in `state`, a new one if need be; -1 when there are too many."""
    mixed = np.uint64(14695981039346656037) ^ np.uint64(dictionary)
    for at in range(length):
        mixed = (mixed ^ np.uint64(data[np.uint64(start + at)])) * np.uint64(1099511628211)
    slot = np.int64((mixed ^ (mixed >> np.uint64(29))) & np.uint64(_TABLE - 1))
    while state[_HASHED + slot]:
        entry = int(state[_HASHED + slot])
        if state[entry + 2] == dictionary and _same(data, start, length, state, entry):
            return entry
        slot = (slot + 1) & (_TABLE - 1)
    if state[_FOUND] == _TEXTS:
        return -1
    entry = _ENTRIES + 4 * int(state[_FOUND])
    shared = min(dictionary, SPAN_TYPES)  # keys of types are numbered together
    state[entry], state[entry + 1], state[entry + 2], state[entry + 3] = (
        start,
        length,
        dictionary,
        state[_COUNTS + shared],
    )
    state[_COUNTS + shared] += 1
    state[_FOUND] += 1
    state[_HASHED + slot] = entry
    return entry


@njit(cache=True, nogil=True)
def _same(data: Any, start: int, length: int, state: Any, entry: int) -> bool:
    if state[entry + 1] != length:
        return False
    other = state[entry]
    for at in range(length):
        if data[np.uint64(start + at)] != data[np.uint64(other + at)]:
            return False
    return True


@njit(cache=True, nogil=True)
def _field(data: Any, position: int, end: int) -> tuple[int, int, int, int]:
    """(number, varint or 0, start, end) of the next field of a checked message."""
    tag = int(data[np.uint64(position)])
    position += 1
    if tag > 127:
        tag, position = varint(data, position - 1, end)
    wire = tag & 7
    if wire == 2:
        size = int(data[np.uint64(position)])
        position += 1
        if size > 127:
            size, position = varint(data, position - 1, end)
        return tag >> 3, 0, position, position + size
    if wire == 0:
        value, after = varint(data, position, end)
        return tag >> 3, value, position, after
    return tag >> 3, 0, position, position + (8 if wire == 1 else 4)


@njit(cache=True, nogil=True)
def _string(out: Any, place: int, data: Any, start: int, end: int) -> int:
    size = end - start
    while size > 127:
        out[np.uint64(place)] = size & 127 | 128
        size >>= 7
        place += 1
    out[np.uint64(place)] = size
    place += 1
    for at in range(end - start):
        out[np.uint64(place + at)] = data[np.uint64(start + at)]
    return place + end - start


@njit(cache=True, nogil=True)
def _hex(out: Any, place: int, data: Any, start: int, end: int) -> int:
    out[np.uint64(place)] = 2 * (end - start)
    for at in range(end - start):
        byte = data[np.uint64(start + at)]
        high, low = byte >> 4, byte & 15
        out[np.uint64(place + 2 * at + 1)] = high + (48 if high < 10 else 87)
        out[np.uint64(place + 2 * at + 2)] = low + (48 if low < 10 else 87)
    return place + 2 * (end - start) + 1


@njit(cache=True, nogil=True)
def _decimal(out: Any, place: int, value: int) -> int:
    left = np.uint64(value)
    digits = 1
    if value < 0:
        left = np.uint64(0) - left
        digits = 2
    rest = left // np.uint64(10)
    while rest:
        digits += 1
        rest //= np.uint64(10)
    out[place] = digits
    at = place + digits
    if value < 0:
        out[place + 1] = 45
    while True:
        out[at] = 48 + np.int64(left % np.uint64(10))
        left //= np.uint64(10)
        at -= 1
        if not left:
            return place + digits + 1


@njit(cache=True, nogil=True)
def _word(out: Any, place: int, truth: int) -> int:
    text = (116, 114, 117, 101, 0) if truth else (102, 97, 108, 115, 101)
    size = 4 if truth else 5
    out[place] = size
    for at in range(size):
        out[place + 1 + at] = text[at]
    return place + 1 + size


@njit(cache=True, nogil=True)
def _pair(data: Any, position: int, end: int) -> tuple[int, int, int, int, int, int]:
    """A KeyValue: (start and end of the key, the value's kind, its varint or 0, its start and end)."""
    start, last, kind, number, first, stop = position, position, 0, 0, position, position
    while position < end:
        field, _, inner, position = _field(data, position, end)
        if field == 1:
            start, last = inner, position
        elif field == 2:
            while inner < position:
                case, value, place, inner = _field(data, inner, position)
                if 1 <= case <= 7:
                    kind, number, first, stop = case, value, place, inner
    return start, last, kind, number, first, stop


@njit(cache=True, nogil=True)
def _attribute(data: Any, position: int, end: int, region: int, guess: int, texts: Any, keys: Any, state: Any) -> int:
    """Add one KeyValue to the map of a region: its key's entry, its kind in `state`; or below zero why not."""
    start, last, kind, number, first, stop = _pair(data, position, end)
    if kind in (4, 7):
        return -_LEFT
    at, place = state[_KEYS_AT + region], state[_AT + region]
    if at >= state[_KEYS_END + region] or place + (stop - first) + 32 > state[_END + region]:
        return -_FULL
    entry = guess
    if entry < 0 or not _same(data, start, last - start, state, entry):
        entry = _number(data, start, last - start, KEYS, state)
        if entry < 0:
            return -_LEFT
    if kind == 2:
        place = _word(texts, place, number)
    elif kind == 3:
        place = _decimal(texts, place, number)
    else:
        place = _string(texts, place, data, first, stop)
    state[_AT + region] = place
    keys[np.uint64(at)] = state[entry + 3]
    state[_KEYS_AT + region] = at + 1
    state[_KIND] = kind
    return entry


@njit(cache=True, nogil=True)
def _note(key: int, kind: int, keys: Any, state: Any) -> bool:
    """Add an attribute that is no string to the types of the row; False when there is no room."""
    at, kinds = state[_KEYS_AT + _TYPES], state[_KEYS_AT + _KINDS]
    if at >= state[_KEYS_END + _TYPES]:
        return False
    keys[np.uint64(at)], keys[np.uint64(kinds)] = key, kind
    state[_KEYS_AT + _TYPES], state[_KEYS_AT + _KINDS] = at + 1, kinds + 1
    return True


@njit(cache=True, nogil=True)
def _hold(data: Any, position: int, end: int, level: int, held: Any, texts: Any, keys: Any, state: Any) -> int:
    """Keep an attribute of a resource (level 0) or scope (1) for the spans to come; as `_attribute`."""
    entry = _attribute(data, position, end, _HELD + level, -1, texts, keys, state)
    kind = state[_KIND]
    if entry < 0 or kind <= 1:
        return entry
    typed = _number(data, state[entry], state[entry + 1], RESOURCE_TYPES + level, state)
    count = held[level, 0, 0]
    if typed < 0 or count + 1 == held.shape[1]:
        return -_LEFT
    held[level, count + 1, 0], held[level, count + 1, 1] = state[typed + 3], kind
    held[level, 0, 0] = count + 1
    return entry


@njit(cache=True, nogil=True)
def _repeat(level: int, held: Any, texts: Any, keys: Any, state: Any, starts: Any) -> bool:
    """Give a row what is held of its resource or scope; False when there is no room."""
    region, source = _RESOURCE + level, _HELD + level
    at, place = state[_KEYS_AT + region], state[_AT + region]
    first, begin = starts[_KEYS_AT + source], starts[_AT + source]
    count, size = state[_KEYS_AT + source] - first, state[_AT + source] - begin
    if at + count > state[_KEYS_END + region] or place + size > state[_END + region]:
        return False
    for i in range(count):
        keys[np.uint64(at + i)] = keys[np.uint64(first + i)]
    for i in range(size):
        texts[np.uint64(place + i)] = texts[np.uint64(begin + i)]
    state[_KEYS_AT + region], state[_AT + region] = at + count, place + size
    for i in range(1, held[level, 0, 0] + 1):
        if not _note(held[level, i, 0], held[level, i, 1], keys, state):
            return False
    return True


@njit(cache=True, nogil=True)
def _release(level: int, held: Any, state: Any, starts: Any) -> None:
    """Forget what is held of the last resource or scope."""
    state[_KEYS_AT + _HELD + level], state[_AT + _HELD + level] = (
        starts[_KEYS_AT + _HELD + level],
        starts[_AT + _HELD + level],
    )
    held[level, 0, 0] = 0


@njit(cache=True, nogil=True)
def _is_service_name(data: Any, start: int, end: int) -> bool:
    text = (115, 101, 114, 118, 105, 99, 101, 46, 110, 97, 109, 101)
    if end - start != len(text):
        return False
    for at in range(len(text)):
        if data[start + at] != text[at]:
            return False
    return True


@njit(cache=True, nogil=True)
def _resource(data: Any, position: int, end: int, held: Any, texts: Any, keys: Any, state: Any) -> tuple[int, int, int]:
    """Hold the attributes of a batch's resource: (reason, start, end) of its service's name."""
    service, service_end, named = 0, 0, False
    while position < end:
        number, _, inner, position = _field(data, position, end)
        while number == 1 and inner < position:
            field, _, pair, inner = _field(data, inner, position)
            if field != 1:
                continue
            entry = _hold(data, pair, inner, 0, held, texts, keys, state)
            if entry < 0:
                return -entry, 0, 0
            start, last, kind, _, first, stop = _pair(data, pair, inner)
            if not named and _is_service_name(data, start, last):
                service, service_end, named = first, stop, True
                if kind > 1:
                    return _LEFT, 0, 0
    return 0, service, service_end


@njit(cache=True, nogil=True)
def _scope(data: Any, position: int, end: int, held: Any, texts: Any, keys: Any, state: Any) -> tuple[int, int, int]:
    """Hold the attributes of a scope: (reason, entry of its name, entry of its version)."""
    name, name_end, version, version_end = 0, 0, 0, 0
    while position < end:
        number, _, inner, position = _field(data, position, end)
        while number == 1 and inner < position:
            field, _, first, inner = _field(data, inner, position)
            if field == 1:
                name, name_end = first, inner
            elif field == 2:
                version, version_end = first, inner
            elif field == 3:
                entry = _hold(data, first, inner, 1, held, texts, keys, state)
                if entry < 0:
                    return -entry, 0, 0
    called = _number(data, name, name_end - name, SCOPES, state)
    versioned = _number(data, version, version_end - version, VERSIONS, state)
    return _LEFT if min(called, versioned) < 0 else 0, called, versioned


@njit(cache=True, nogil=True)
def _fixed64(data: Any, position: int) -> Any:
    number = np.uint64(0)
    for at in range(8):
        number |= np.uint64(data[position + at]) << np.uint64(8 * at)
    return number


@njit(cache=True, nogil=True)
def _span(  # noqa: C901, PLR0912 - a branch a field
    data: Any, position: int, end: int, row: int, numbers: Any, words: Any, texts: Any, keys: Any, state: Any,
    guesses: Any, places: Any,
) -> int:  # fmt: skip
    """Fill one row from a span; as `_build`."""
    places[:] = 0  # trace, span, parent, state, message, name: start and end
    start, finish = np.uint64(0), np.uint64(0)
    kind, status, listed = 0, 0, 0
    while position < end:
        number, value, first, position = _field(data, position, end)
        if number == 9:
            entry = _attribute(data, first, position, _ATTRIBUTES, guesses[listed], texts, keys, state)
            if entry < 0:
                return -entry
            guesses[listed] = entry
            listed = min(listed + 1, guesses.size - 1)
            if state[_KIND] > 1:
                what = state[_KIND]
                typed = _number(data, state[entry], state[entry + 1], SPAN_TYPES, state)
                if typed < 0:
                    return _LEFT
                if not _note(state[typed + 3], what, keys, state):
                    return _FULL
        elif 1 <= number <= 5:
            slot = (0, 0, 1, 3, 2, 5)[number]
            places[slot, 0], places[slot, 1] = first, position
        elif number == 6:
            kind = value
        elif number == 7:
            start = _fixed64(data, first)
        elif number == 8:
            finish = _fixed64(data, first)
        elif number == 15:
            while first < position:
                field, value, inside, first = _field(data, first, position)
                if field == 2:
                    places[4, 0], places[4, 1] = inside, first
                elif field == 3:
                    status = value
    numbers[0, row] = np.int64(start & np.uint64(9223372036854775807))
    numbers[1, row] = np.int64(finish - start) if finish > start else 0
    words[4, row] = kind if 1 <= kind <= 5 else 0
    words[5, row] = status if 1 <= status <= 2 else 0
    return _strings(data, row, words, texts, state, places)


@njit(cache=True, nogil=True)
def _strings(data: Any, row: int, words: Any, texts: Any, state: Any, places: Any) -> int:
    """Write a span's ids and texts; an id of a parent that is all zeros means there is none."""
    zeros = True
    for at in range(places[2, 0], places[2, 1]):
        zeros = zeros and data[at] == 0
    if zeros:
        places[2, 1] = places[2, 0]
    for slot in range(3):
        state[_AT + _TRACE + slot] = _hex(texts, state[_AT + _TRACE + slot], data, places[slot, 0], places[slot, 1])
    for slot in range(3, 5):
        state[_AT + _TRACE + slot] = _string(texts, state[_AT + _TRACE + slot], data, places[slot, 0], places[slot, 1])
    name = _number(data, places[5, 0], places[5, 1] - places[5, 0], NAMES, state)
    if name < 0:
        return _LEFT
    words[0, row] = state[name + 3]
    return 0


@njit(cache=True, nogil=True)
def _build(  # noqa: C901 - nested loops as messages nest
    data: Any, numbers: Any, words: Any, ends: Any, texts: Any, keys: Any, state: Any
) -> int:
    """Fill the columns: 0, or why not: the engine has to (_LEFT), or there is too little memory (_FULL)."""
    held = np.zeros((2, 65, 2), np.int64)
    guesses, places = np.full(128, -1, np.int64), np.zeros((6, 2), np.int64)
    starts = state[: 4 * _REGIONS].copy()
    row, request = 0, 0
    while request < data.size:
        number, _, batch, request = _field(data, request, data.size)
        if number != 1:
            continue
        _release(0, held, state, starts)
        reason, first, last = _resource(data, batch, request, held, texts, keys, state)
        service = -1 if reason else _number(data, first, last - first, SERVICES, state)
        if service < 0:
            return max(reason, _LEFT)
        while batch < request:
            number, _, scoped, batch = _field(data, batch, request)
            if number != 2:
                continue
            _release(1, held, state, starts)
            reason, name, version = _scope(data, scoped, batch, held, texts, keys, state)
            if reason:
                return reason
            while scoped < batch:
                number, _, first, scoped = _field(data, scoped, batch)
                if number != 2:
                    continue
                for level in range(2):
                    if not _repeat(level, held, texts, keys, state, starts):
                        return _FULL
                reason = _span(data, first, scoped, row, numbers, words, texts, keys, state, guesses, places)
                if reason:
                    return reason
                words[1, row], words[2, row], words[3, row] = state[service + 3], state[name + 3], state[version + 3]
                for region in range(4):
                    ends[region, row] = state[_KEYS_AT + region] - starts[_KEYS_AT + region]
                row += 1
    return 0
