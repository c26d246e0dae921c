"""The last hour of every judged signal, in memory: what an incident's charts show from before it was noticed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from windvane.analytics.baselines import Scope
from windvane.analytics.red import Signal

MINUTES = 61
_FIRST_ROOM = 64


@dataclass(frozen=True, slots=True)
class Minute:
    """A signal at a minute (Unix seconds): what was seen, expected, and the band around that; NaN is unknown."""

    scope: Scope
    signal: Signal
    at: int
    figures: tuple[float, float, float, float]
    """Seen, expected, low, high."""
    score: float = 0.0


class Recent:
    """A ring of the last `MINUTES` minutes, 4 numbers of 4 bytes for each signal of a scope and minute."""

    def __init__(self) -> None:
        self._rows: dict[tuple[Scope, Signal], int] = {}
        self._figures = np.full((_FIRST_ROOM, MINUTES, 4), np.nan, np.float32)
        self._times = np.zeros(MINUTES, np.int64)

    def add(self, minutes: Iterable[Minute]) -> None:
        """Take readings; those of a minute that is older than the ring reaches are dropped."""
        for one in minutes:
            slot = one.at // 60 % MINUTES
            if self._times[slot] > one.at - one.at % 60:
                continue
            if self._times[slot] < one.at - one.at % 60:
                self._times[slot] = one.at - one.at % 60
                self._figures[:, slot] = np.nan
            row = self._row(one)  # which may make room: first
            self._figures[row, slot] = one.figures

    def of(self, scope: Scope, signal: Signal) -> list[Minute]:
        """The known minutes of a signal, in their order."""
        row = self._rows.get((scope, signal))
        if row is None:
            return []
        known = np.isfinite(self._figures[row]).any(axis=1) & (self._times > self._times.max() - 60 * MINUTES)
        order = [int(slot) for slot in np.argsort(self._times) if known[slot]]
        return [Minute(scope, signal, int(self._times[slot]), self._told(row, slot)) for slot in order]

    def _told(self, row: int, slot: int) -> tuple[float, float, float, float]:
        seen, expected, low, high = self._figures[row, slot].tolist()
        return seen, expected, low, high

    def _row(self, one: Minute) -> int:
        row = self._rows.setdefault((one.scope, one.signal), len(self._rows))
        if row >= len(self._figures):
            if self._drop_unknown():
                return self._row(one)
            more = np.full_like(self._figures, np.nan)
            self._figures = np.concatenate([self._figures, more])
        return row

    def _drop_unknown(self) -> bool:
        """Make room by forgetting signals of which nothing was known in the last hour; whether there were any."""
        alive = {
            key: row
            for key, row in self._rows.items()
            if row < len(self._figures) and np.isfinite(self._figures[row]).any()
        }
        if len(alive) > 0.75 * len(self._figures):
            return False
        kept = self._figures[list(alive.values())]
        self._figures = np.full_like(self._figures, np.nan)
        self._figures[: len(kept)] = kept
        self._rows = {key: place for place, key in enumerate(alive)}
        return True
