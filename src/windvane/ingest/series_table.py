"""What a receiver knows of series by the hash of their labels as sent: an open-addressing table in arrays.

A request of thousands of series is looked up in one compiled call. An entry says which id the
series has, for which times it was announced (see `windvane.store.series`), and which metadata
was last heard with it.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

UNKNOWN, UNANNOUNCED, OTHER_FACTS = 1, 2, 4
"""Bits of a look-up: never seen, not announced for these times, metadata differs from the last heard."""

_SMALLEST, _LARGEST = 1 << 12, 1 << 22

Times = NDArray[np.int64]
Words = NDArray[np.uint64]


@dataclass(slots=True)
class _Arrays:
    keys: Words
    ids: Words
    spans: Times
    facts: Words

    @classmethod
    def empty(cls, size: int) -> _Arrays:
        return cls(
            np.zeros((size, 2), np.uint64),
            np.zeros(size, np.uint64),
            np.zeros((size, 2), np.int64),
            np.zeros(size, np.uint64),
        )


class SeriesTable:
    """Series by key; keys are pairs of 64-bit hashes. Safe from any thread.

    It is a cache: when it would outgrow its bound it is emptied, and everything is found out anew.
    """

    def __init__(self, largest: int = _LARGEST) -> None:
        self._largest = largest
        self._lock = threading.Lock()
        self._arrays = _Arrays.empty(_SMALLEST)
        self._used = 0

    def __len__(self) -> int:
        return self._used

    def look_up(self, keys: Words, firsts: Times, lasts: Times, facts: Words) -> tuple[Words, NDArray[np.uint8]]:
        """Ids (0 where unknown) and state bits of series with data from `firsts` to `lasts`, both inclusive."""
        with self._lock:
            own = self._arrays
            return _look_up(own.keys, own.ids, own.spans, own.facts, keys, firsts, lasts, facts)

    def learn(self, keys: Words, ids: Words, firsts: Times, untils: Times, facts: Words) -> None:
        """Series were announced from `firsts` until `untils`; `facts` of 0 leaves what was known of metadata."""
        with self._lock:
            while 2 * (self._used + len(keys)) > len(self._arrays.ids):
                self._grow()
            own = self._arrays
            self._used += _learn(own.keys, own.ids, own.spans, own.facts, keys, ids, firsts, untils, facts)

    def forget(self) -> None:
        """Know nothing."""
        with self._lock:
            self._arrays, self._used = _Arrays.empty(_SMALLEST), 0

    def _grow(self) -> None:
        old, size = self._arrays, 2 * len(self._arrays.ids)
        self._arrays, self._used = _Arrays.empty(size), 0
        if size <= self._largest:
            full = old.keys[:, 0] != 0
            new = self._arrays
            spans = np.ascontiguousarray(old.spans[full])
            self._used = _learn(
                new.keys, new.ids, new.spans, new.facts,
                old.keys[full], old.ids[full], spans[:, 0].copy(), spans[:, 1].copy(), old.facts[full],
            )  # fmt: skip


def warm() -> None:
    """Compile (or load from the cache on disk) now rather than with the first request."""
    table, none, times = SeriesTable(), np.zeros(0, np.uint64), np.zeros(0, np.int64)
    table.look_up(np.zeros((0, 2), np.uint64), times, times, none)
    table.learn(np.zeros((0, 2), np.uint64), none, times, times, none)
    spans(np.zeros(1, np.int64), times, 0, 0)
    arranged(np.zeros(0, np.int64), np.zeros(1, np.int64), none, times, np.zeros(0))


@njit(nogil=True)
def _slot(table: Any, first: Any, second: Any) -> int:
    """Where a key is, or the free place where it belongs."""
    mask = np.uint64(table.shape[0] - 1)
    place = first & mask
    while table[place, 0] != np.uint64(0):
        if table[place, 0] == first and table[place, 1] == second:
            break
        place = (place + np.uint64(1)) & mask
    return int(place)


@njit(nogil=True, cache=True)
def _look_up(  # noqa: PLR0917 - numba takes arrays by position
    table: Any, ids: Any, spans: Any, facts: Any, keys: Any, firsts: Any, lasts: Any, heard: Any
) -> tuple[Any, Any]:
    found = np.zeros(keys.shape[0], np.uint64)
    state = np.zeros(keys.shape[0], np.uint8)
    for i in range(keys.shape[0]):
        first = keys[i, 0] | np.uint64(1)
        place = _slot(table, first, keys[i, 1])
        if table[place, 0] == np.uint64(0):
            state[i] = UNKNOWN | UNANNOUNCED | (OTHER_FACTS if heard[i] != np.uint64(0) else 0)
            continue
        found[i] = ids[place]
        if firsts[i] < spans[place, 0] or lasts[i] > spans[place, 1]:
            state[i] |= UNANNOUNCED
        if heard[i] != np.uint64(0) and heard[i] != facts[place]:
            state[i] |= OTHER_FACTS
    return found, state


@njit(nogil=True, cache=True)
def _learn(  # noqa: PLR0917 - numba takes arrays by position
    table: Any, ids: Any, spans: Any, facts: Any, keys: Any, new: Any, firsts: Any, untils: Any, heard: Any
) -> int:
    added = 0
    for i in range(keys.shape[0]):
        first = keys[i, 0] | np.uint64(1)
        place = _slot(table, first, keys[i, 1])
        if table[place, 0] == np.uint64(0):
            table[place, 0], table[place, 1], ids[place] = first, keys[i, 1], new[i]
            spans[place, 0], spans[place, 1] = firsts[i], untils[i]
            added += 1
        spans[place, 0] = min(spans[place, 0], firsts[i])
        spans[place, 1] = max(spans[place, 1], untils[i])
        if heard[i] != np.uint64(0):
            facts[place] = heard[i]
    return added


@njit(nogil=True, cache=True)
def spans(ends: Any, times: Any, lowest: int, highest: int) -> tuple[Any, Any, int]:
    """First and last time of each series (`ends` as in a scan) within bounds, and how many times lie outside.

    A series without times has a first after its last.
    """
    firsts = np.full(len(ends) - 1, np.iinfo(np.int64).max, np.int64)
    lasts = np.full(len(ends) - 1, np.iinfo(np.int64).min, np.int64)
    outside = 0
    for i in range(len(ends) - 1):
        for j in range(ends[i], ends[i + 1]):
            if times[j] < lowest or times[j] > highest:
                outside += 1
                continue
            firsts[i] = min(firsts[i], times[j])
            lasts[i] = max(lasts[i], times[j])
    return firsts, lasts, outside


@njit(nogil=True, cache=True)
def arranged(order: Any, ends: Any, ids: Any, times: Any, values: Any) -> tuple[Any, Any, Any]:
    """(ids, times, values) of all samples, series in this order; `ids` has one a series, `ends` as in a scan."""
    each, moments, numbers = np.empty(len(times), np.uint64), np.empty(len(times), np.int64), np.empty(len(times))
    place = 0
    for i in order:
        for j in range(ends[i], ends[i + 1]):
            each[place], moments[place], numbers[place] = ids[i], times[j], values[j]
            place += 1
    return each, moments, numbers
