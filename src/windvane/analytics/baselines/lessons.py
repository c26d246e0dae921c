"""What days taught: of every scope the usual course of a day, five minutes a slot, and what is due in the day to come.

The same views as `seasonal`: medians of the recent days and of the same weekday. A slot's value is the mean of the
fifteen minutes around it, so that minutes between slots lie on a line between them. Days are kept as thousandths of
a logarithm in two bytes.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from windvane.analytics.seasonal import RECENT_DAYS, SAME_WEEKDAYS, WEEK, Flags, Floats, medians

SLOT = 5
"""Minutes."""
SLOTS = 1_440 // SLOT
KEPT = WEEK * SAME_WEEKDAYS
"""Days: the same weekday of three weeks."""
UNKNOWN = np.int16(-32_768)
_FINE = 1_000.0
_AROUND = 1
"""Slots on either side that are taken together with one."""

Packed = npt.NDArray[np.int16]


def pack(logs: Floats) -> Packed:
    """Logarithms as thousandths; what is not finite is unknown."""
    scaled = np.clip(np.round(logs * _FINE), -32_767, 32_767)
    return np.where(np.isfinite(scaled), np.nan_to_num(scaled), UNKNOWN).astype(np.int16)


def unpack(packed: Packed) -> Floats:
    """Logarithms again; NaN where unknown."""
    return np.asarray(np.where(packed == UNKNOWN, np.nan, packed / _FINE))


class Course:
    """One signal of all scopes: days that are over, the sums of the day that runs, and what is due in it."""

    def __init__(self, rows: int, *, counts: bool) -> None:
        self.counts = counts
        """Logarithms are taken after smoothing of counts, before it of latency."""
        self.past: Packed = np.full((rows, KEPT, SLOTS), UNKNOWN, np.int16)
        self.sums: Floats = np.zeros((rows, SLOTS))
        self.known: npt.NDArray[np.float32] = np.zeros((rows, SLOTS), np.float32)
        self._forget(rows)

    def _forget(self, rows: int) -> None:
        self.recent = np.full((rows, SLOTS), np.nan, np.float32)
        self.due = np.full((rows, SLOTS), np.nan, np.float32)
        self.unseen: Flags = np.ones((rows, SLOTS), bool)

    def add(self, rows: slice, first: int, values: Floats) -> None:
        """Learn minutes from `first` of the day on (rows x a multiple of five; NaN is not learnt)."""
        size = values.shape[1] // SLOT
        parts = values.reshape(len(values), size, SLOT)
        known = np.isfinite(parts)
        here = slice(first // SLOT, first // SLOT + size)
        self.sums[rows, here] += np.where(known, parts, 0.0).sum(axis=2)
        self.known[rows, here] += known.sum(axis=2)

    def close(self, rows: slice, day: int) -> None:
        """The day is over: keep it."""
        sums, known = _around(self.sums[rows]), _around(self.known[rows].astype(np.float64))
        with np.errstate(invalid="ignore", divide="ignore"):
            mean = np.where(known > 0.5, sums / known, np.nan)
        least = 0.5 / (SLOT * (2 * _AROUND + 1))
        self.past[rows, day % KEPT] = pack(np.log(np.maximum(mean, least)) if self.counts else mean)
        self.sums[rows], self.known[rows] = 0.0, 0.0

    def expect(self, rows: slice, day: int) -> None:
        """Fill in what days before say of this one: the lower view of counts, the higher of latency."""
        past = self.past[rows]
        recent = _middle(past, [(day - back) % KEPT for back in range(1, RECENT_DAYS + 1)])
        week = _middle(past, [(day - WEEK * back) % KEPT for back in range(1, SAME_WEEKDAYS + 1)])
        self.recent[rows] = recent
        self.due[rows] = np.fmin(recent, week) if self.counts else np.fmax(recent, week)
        self.unseen[rows] = ~np.isfinite(week)

    def shift(self, row: int, moved: float) -> None:
        """The level is another from now on: move all days by a logarithm."""
        self.past[row] = pack(unpack(self.past[row]) + moved)
        if self.counts:
            self.sums[row] *= np.exp(moved)
        else:
            self.sums[row] += moved * self.known[row]

    def adopt(self, row: int, other: int) -> None:
        """Begin with what another scope taught."""
        for one in (self.past, self.sums, self.known, self.recent, self.due, self.unseen):
            one[row] = one[other]


def _around(values: Floats) -> Floats:
    """Sums over each slot and its neighbours of the same day."""
    found = values.copy()
    for back in range(1, _AROUND + 1):
        found[:, back:] += values[:, :-back]
        found[:, :-back] += values[:, back:]
    return found


def _middle(past: Packed, days: list[int]) -> Floats:
    """Medians of chosen days, rows x slots."""
    chosen = [one for one in days if (past[:, one] != UNKNOWN).any()]
    if not chosen:
        return np.full((len(past), past.shape[2]), np.nan)
    return medians(unpack(np.stack([past[:, one] for one in chosen])))


def at_minutes(slots: npt.NDArray[np.generic], first: int, size: int) -> Floats:
    """Values of slots (rows x slots of a day) at minutes of the day, on lines between the slots' middles."""
    place = np.clip((first + np.arange(size) - SLOT // 2) / SLOT, 0.0, SLOTS - 1.0)
    low = place.astype(np.int64)
    high = np.minimum(low + 1, SLOTS - 1)
    part = place - low
    below, above = slots[:, low].astype(np.float64), slots[:, high].astype(np.float64)
    line = below * (1.0 - part) + above * part
    return np.asarray(np.where(np.isfinite(line), line, np.fmax(below, above)))


def flags_at(slots: Flags, first: int, size: int) -> Flags:
    """Flags of slots at minutes of the day."""
    return np.asarray(slots[:, (first + np.arange(size)) // SLOT])
