"""What lasts longer than the newest minutes: stretches that are odd, and sums of requests and failures for days."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from windvane.analytics.baselines.lessons import SLOT
from windvane.analytics.baselines.rings import SIGNALS, Rings, Small
from windvane.analytics.baselines.sums import counted
from windvane.analytics.red import ACCEPTED, GAP, stretches
from windvane.analytics.red_rules import BURNS
from windvane.analytics.seasonal import Flags, Floats

NEVER: Final = np.iinfo(np.int64).max
_GAP, _ACCEPTED = GAP // 60, ACCEPTED // 60
_LONG = tuple(sorted({minutes for long, short, *_ in BURNS for minutes in (long, short) if minutes > 60}))
BLOCKS = max(_LONG) // SLOT
ENDED = 60
"""Minutes for which incidents that ended are still told."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """One signal of one scope, odd from minute `start` to minute `last` (ends of minutes since the epoch).

    `seen` and `expected` are sums over its `many` odd minutes: requests, logarithms of milliseconds, or failures and
    requests.
    """

    row: int
    signal: int
    start: int
    last: int
    factor: float
    score: float
    many: int
    seen: float
    expected: float

    def joined(self, later: Stretch) -> Stretch:
        """One stretch of both."""
        strongest = min if self.signal == 2 else max
        return replace(
            self, last=later.last, factor=strongest(self.factor, later.factor), score=max(self.score, later.score),
            many=self.many + later.many, seen=self.seen + later.seen, expected=self.expected + later.expected,
        )  # fmt: skip


class Tracks:
    """Stretches that go on or may be joined to, and those that ended within the hour, by what is learnt already."""

    def __init__(self, rows: int) -> None:
        self.start = np.zeros((rows, SIGNALS), np.int64)
        self.last = np.zeros((rows, SIGNALS), np.int64)
        self.open: dict[tuple[int, int], Stretch] = {}
        self.ended: list[Stretch] = []

    def accepted_from(self, rows: slice, signal: int) -> npt.NDArray[np.int64]:
        """The minute from which what is odd counts as normal, of each scope."""
        start = self.start[rows, signal]
        return np.where(start > 0, start + _ACCEPTED, NEVER)

    def fold(self, rings: Rings, begin: int, until: int) -> None:
        """Take in what was judged of minutes [begin, until)."""
        for row, signal in _odd_rows(rings, begin, until):
            for one in _found(rings, row, signal, begin, until):
                self._take(one)
        for key in [key for key, one in self.open.items() if one.last < until - _GAP]:
            self._end(key)
        self.ended = [one for one in self.ended if one.last >= until - ENDED - _GAP]

    def _take(self, one: Stretch) -> None:
        key = one.row, one.signal
        before = self.open.get(key)
        if before is not None and one.start - before.last > _GAP:
            self._end(key)
            before = None
        joined = one if before is None else before.joined(one)
        self.open[key] = joined
        self.start[key], self.last[key] = joined.start, joined.last

    def _end(self, key: tuple[int, int]) -> None:
        self.ended.append(self.open.pop(key))
        self.start[key] = self.last[key] = 0

    def forget(self, row: int, signal: int) -> None:
        """What goes on is normal from now on."""
        if (row, signal) in self.open:
            self._end((row, signal))

    def drop(self, row: int) -> None:
        """The scope of a row is gone."""
        for key in [key for key in self.open if key[0] == row]:
            del self.open[key]
        self.ended = [one for one in self.ended if one.row != row]

    def now(self, rings: Rings, settled: int) -> Iterator[Stretch]:
        """Stretches that go on or ended within the hour, newest minutes included."""
        yet = dict(self.open)
        over = list(self.ended)
        for row, signal in _odd_rows(rings, settled, rings.next):
            for one in _found(rings, row, signal, settled, rings.next):
                before = yet.get((row, signal))
                if before is not None and one.start - before.last > _GAP:
                    over.append(before)
                    before = None
                yet[row, signal] = one if before is None else before.joined(one)
        for one in (*over, *yet.values()):
            if one.last >= rings.next - 1 - ENDED:
                yield one


def _odd_rows(rings: Rings, begin: int, until: int) -> Iterator[tuple[int, int]]:
    here = slice(rings.column(begin), rings.column(until))
    rows, signals = np.nonzero(rings.odd[..., here].any(axis=2))
    return zip(rows.tolist(), signals.tolist(), strict=True)


def _found(rings: Rings, row: int, signal: int, begin: int, until: int) -> Iterator[Stretch]:
    """Stretches of one signal of one scope in minutes [begin, until)."""
    at = rings.column(begin)
    odd = rings.odd[row, signal, at : at + until - begin]
    for start, end in stretches(odd, _GAP):
        part = slice(at + start, at + end + 1)
        chosen = rings.odd[row, signal, part]
        factor = rings.factor[row, signal, part][chosen]
        seen, expected = _levels(rings, row, signal, part, chosen)
        yield Stretch(
            row, signal, begin + start, begin + end, float(factor.min() if signal == 2 else factor.max()),
            float(rings.score[row, signal, part].max()), int(chosen.sum()), seen, expected,
        )  # fmt: skip


def _levels(rings: Rings, row: int, signal: int, part: slice, chosen: Flags) -> tuple[float, float]:
    requests = rings.requests[row, part][chosen].astype(np.float64)
    if signal == 0:
        return float(np.nansum(rings.errors[row, part][chosen])), float(np.nansum(requests))
    if signal == 1:
        slow, due = rings.slow[row, part][chosen], rings.slow_due[row, part][chosen]
        both = np.isfinite(slow) & np.isfinite(due)
        share = len(slow) / max(1, both.sum())  # of minutes without requests nothing is known: the others' mean
        return float(slow[both].sum() * share), float(due[both].sum() * share)
    return float(np.nansum(requests)), float(np.nansum(np.exp(rings.rate_due[row, part][chosen].astype(np.float64))))


def learnable(rings: Rings, rows: slice, signal: int, span: tuple[int, int], accepted: npt.NDArray[np.int64]) -> Flags:
    """Minutes [begin, until) that may be learnt: not odd, not between odd ones that belong together, not shortly
    before; what is odd for longer than a day may."""
    begin, until = span
    low = max(0, rings.column(begin) - _GAP - 1)
    here = slice(low, rings.end)
    odd = rings.odd[rows, signal, here]
    minute = np.arange(rings.next - (rings.end - low), rings.next)
    part = slice(rings.column(begin) - low, rings.column(until) - low)
    if not odd.any():
        return np.ones((len(odd), until - begin), bool)
    far = 10 * _GAP
    before = np.maximum.accumulate(np.where(odd, minute, minute[0] - far), axis=1)
    after = np.minimum.accumulate(np.where(odd, minute, minute[-1] + far)[:, ::-1], axis=1)[:, ::-1]
    left_out = odd | (after - before <= _GAP) | (after - minute <= _GAP // 2)
    left_out &= minute <= accepted[:, None]
    return np.asarray(~left_out[:, part])


class Burns:
    """Requests and failures of three days in sums of five minutes; `total` is of all of them."""

    def __init__(self, rows: int) -> None:
        self.requests: Small = np.zeros((rows, BLOCKS), np.float32)
        self.errors: Small = np.zeros((rows, BLOCKS), np.float32)
        self.total: Floats = np.zeros((rows, 2))

    def add(self, rings: Rings, begin: int, until: int) -> None:
        """Take in minutes [begin, until), whole blocks."""
        here = slice(rings.column(begin), rings.column(until))
        places = np.arange(begin // SLOT, until // SLOT) % BLOCKS
        for number, (sums, values) in enumerate(((self.requests, rings.requests), (self.errors, rings.errors))):
            fresh = counted(values[:, here]).reshape(len(values), len(places), SLOT).sum(axis=2)
            self.total[:, number] += fresh.sum(axis=1) - sums[:, places].sum(axis=1)
            sums[:, places] = fresh

    def recount(self) -> None:
        """Totals anew: differences of many sums drift."""
        self.total[:, 0] = self.requests.sum(axis=1, dtype=np.float64)
        self.total[:, 1] = self.errors.sum(axis=1, dtype=np.float64)

    def long(self, rows: slice, rings: Rings, settled: int, size: int) -> dict[int, tuple[Floats, Floats]]:
        """Sums over long windows up to each of the last `size` minutes, their beginning rounded down to a block."""
        first, block, at = rings.next - size, settled // SLOT, rings.column(settled)
        newest = [
            np.cumsum(counted(values[rows, at : rings.end]), axis=1, dtype=np.float64)[:, rings.end - at - size :]
            for values in (rings.requests, rings.errors)
        ]
        found = {}
        for minutes in _LONG:
            oldest, begin = (np.arange(first, rings.next) - minutes + 1) // SLOT, block - minutes // SLOT
            whole = minutes // SLOT >= BLOCKS
            columns = np.arange(begin, oldest[-1] if whole else block) % BLOCKS
            both = []
            for number, blocks in enumerate((self.requests, self.errors)):
                part = np.cumsum(blocks[rows][:, columns], axis=1, dtype=np.float64)
                dropped = np.concatenate([np.zeros((len(part), 1)), part], axis=1)
                total = self.total[rows, number] if whole else dropped[:, -1]
                both.append(total[:, None] - dropped[:, oldest - begin] + newest[number])
            found[minutes] = (both[0], both[1])
        return found
