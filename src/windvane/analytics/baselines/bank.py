"""All scopes as matrices: minutes come in, are held against what is due, judged, and learnt half an hour later.

A block of minutes is judged at once, be it one of now or three hours of the past, so that learning a history and
watching are one thing. Scopes are independent of each other: threads take some hundreds of them at a time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from os import cpu_count

import numpy as np

from windvane.analytics.baselines import means
from windvane.analytics.baselines.lessons import SLOT, Course, at_minutes, flags_at
from windvane.analytics.baselines.levels import BACK, YOUNG_BEHIND, Levels
from windvane.analytics.baselines.noise import SAMPLED, Noise
from windvane.analytics.baselines.rings import RING, Rings, Small
from windvane.analytics.baselines.rules import (
    LEAD,
    Burning,
    Lag,
    Verdict,
    failing,
    fewer_requests,
    slower,
)
from windvane.analytics.baselines.sums import Rate
from windvane.analytics.baselines.tracks import Burns, Tracks, learnable
from windvane.analytics.baselines.usual import Usual
from windvane.analytics.red_rules import RATE_WINDOWS

MINUTES = 1_440
SETTLE = 30
"""Minutes after which a minute is learnt: an incident is known by then."""
STARTING = 2
"""Errors of a scope's first minutes are not held against it: proxies wait for their configuration."""
_AT_ONCE = 38_400
"""Cells of the matrices that a thread works on at a time, so that they stay in its cache."""
_LONGEST = 240
"""Minutes in a block: six-hour sums of it end before it (`Burns`)."""


class Bank:
    """Baselines of `rows` scopes, by their row. `budget` is the share of requests that may fail."""

    def __init__(self, rows: int, budget: float) -> None:
        self.budget = budget
        self.rows = rows
        self.rings = Rings(rows)
        self.rate, self.slow = Course(rows, counts=True), Course(rows, counts=False)
        self.noise = Noise(rows)
        self.levels = Levels(rows)
        self.burns = Burns(rows)
        self.usual = Usual(rows)
        self.tracks = Tracks(rows)
        self.settled = 0
        """The minute up to which all is learnt."""
        self.born = np.zeros(rows, np.int64)
        """The first minute in which a scope was seen; nought before."""
        self.seen = np.zeros(rows, np.int64)
        """The last minute in which a scope was seen."""
        self.since = 0
        """The first minute in which anything was."""

    def feed(
        self, first: int, requests: Small, errors: Small, latency: Small, mean: Small | None = None
    ) -> None:  # fmt: skip
        """Judge minutes from `first` (minutes since the epoch) on: scopes x minutes of requests, failures, and
        milliseconds (95th percentile, mean); NaN is unknown. Minutes that are learnt already are passed over."""
        slow = _log(latency)
        middle = np.full_like(slow, np.nan) if mean is None else _log(mean)
        self._born(first, requests)
        done = self.settled if self.rings.next else first
        begin = first + max(0, min(done - first, requests.shape[1]))
        last = first + requests.shape[1]
        for start, stop in pairwise([begin, *self._cuts(begin, last), last]):
            if start < stop:
                part = slice(start - first, stop - first)
                self._block(start, requests[:, part], errors[:, part], slow[:, part], middle[:, part])

    def adopt(self, row: int, other: int) -> None:
        """A new scope is a part of another: its latency is expected to be as that one's."""
        self.slow.adopt(row, other)
        self.noise.adopt(row, other)
        self.usual.adopt(row, other)
        self.levels.slow[row], self.levels.slow_known[row] = self.levels.slow[other], self.levels.slow_known[other]

    def expect(self, day: int) -> None:
        """Fill in what is due in a day (since the epoch) from what days before taught."""
        self.each(lambda rows: self._expect(rows, day))

    def _born(self, first: int, requests: Small) -> None:
        seen = np.isfinite(requests)
        fresh = seen.any(axis=1) & (self.born == 0)
        self.born[fresh] = first + seen[fresh].argmax(axis=1)
        now = seen.any(axis=1)
        self.seen[now] = first + seen.shape[1] - 1 - seen[now, ::-1].argmax(axis=1)
        if self.since == 0 and self.born.any():
            self.since = int(self.born[self.born > 0].min())

    def _cuts(self, begin: int, last: int) -> Iterator[int]:
        """Where blocks end: at midnight, and where figures are made anew: often while the mesh is young."""
        at = begin
        while at < last:
            age = at - self.since if self.since else MINUTES
            every = 5 if age < 120 else 60 if age < MINUTES else _LONGEST
            at = min(at - at % every + every, last)
            if at < last:
                yield at

    def _block(self, first: int, requests: Small, errors: Small, slow: Small, middle: Small) -> None:
        rings = self.rings
        known = rings.next
        if first >= known:
            self._turn(first)
        rings.append(first, requests, errors, slow, middle)
        self._forgive(first, requests.shape[1])
        self._refresh(first)
        last = rings.next
        fresh = max(0, last - max(known, first))
        self.each(lambda rows: self._judge(rows, first, last - first, fresh), last - first)
        due = (last - SETTLE) // SLOT * SLOT
        if due > self.settled:
            self._settle(due)

    def _forgive(self, first: int, size: int) -> None:
        young = np.flatnonzero((self.born > 0) & (self.born + STARTING > first))
        for row in young:
            until = min(int(self.born[row]) + STARTING, first + size)
            at = self.rings.column(first)
            self.rings.errors[row, at : at + until - first] *= 0.0

    def _refresh(self, first: int) -> None:
        """What share usually fails: anew at every block while a scope is younger than a day, else some times a day."""
        young = (self.born > 0) & (first - self.born < MINUTES)
        if young.any() or first % _LONGEST == 0:
            born = self.born + STARTING
            self.each(lambda rows: self.usual.refresh(rows, self.rings, born[rows]))

    def _turn(self, first: int) -> None:
        """Before the first minute of a block: close a day that is over, make figures anew."""
        if not self.rings.next:
            self.settled = first // SLOT * SLOT
            day = first // MINUTES
            self.expect(day)
            return
        if first % MINUTES == 0:
            self._settle(first)
            self._close(first // MINUTES - 1)
        age = first - self.since
        if first % _LONGEST == 0 or (age < MINUTES and first % 60 == 0) or (age < 120 and first % 5 == 0):
            self.noise.refresh()

    def _close(self, day: int) -> None:
        self.noise.fade()
        self.noise.refresh()
        self.burns.recount()

        def close(rows: slice) -> None:
            for course in (self.rate, self.slow):
                course.close(rows, day)
            self.usual.close(rows, day)
            self._expect(rows, day + 1)

        self.each(close)

    def _expect(self, rows: slice, day: int) -> None:
        self.rate.expect(rows, day)
        self.slow.expect(rows, day)

    def each(self, work: Callable[[slice], None], size: int = _LONGEST) -> None:
        """Do it for all rows, some at a time, on all processors; `size` is in minutes."""
        many = _AT_ONCE // (size + LEAD)
        parts = [slice(at, min(at + many, self.rows)) for at in range(0, self.rows, many)]
        if len(parts) < 2:
            for part in parts:
                work(part)
            return
        with ThreadPoolExecutor(max(1, cpu_count() or 1)) as threads:
            list(threads.map(work, parts))

    def _judge(self, rows: slice, first: int, size: int, fresh: int) -> None:
        if fresh:
            self._due(rows, self.rings.next - fresh, fresh)
        at = self.rings.end
        here = slice(at - size, at)
        rate, slow, errors = self._rate(rows, size), self._slow(rows, size), self._errors(rows, size)
        for number, verdict in enumerate((errors, slow, rate)):
            self.rings.odd[rows, number, here] = verdict.odd
            self.rings.factor[rows, number, here] = verdict.factor
            self.rings.score[rows, number, here] = verdict.score

    def _due(self, rows: slice, first: int, size: int) -> None:
        """What is expected of new minutes."""
        rings, minute = self.rings, first % MINUTES
        here = slice(rings.end - size, rings.end)
        shape, due = at_minutes(self.rate.recent[rows], minute, size), at_minutes(self.rate.due[rows], minute, size)
        rings.rate_shape[rows, here] = shape
        rings.rate_due[rows, here] = self.levels.rate(rows, rings, first, due, shape)
        rings.rate_unseen[rows, here] = flags_at(self.rate.unseen[rows], minute, size)
        lag = at_minutes(self.slow.due[rows], minute, size)
        usual = ~rings.odd[rows, 1, here.start - BACK : here.stop]
        minutes = np.arange(first - BACK, first + size)
        usual |= minutes > self.tracks.accepted_from(rows, 1)[:, None]
        rings.slow_due[rows, here], rings.slow_known[rows, here] = self.levels.slow_due(rows, rings, first, lag, usual)
        _backwards(rings.slow_due[rows, here.start - YOUNG_BEHIND - 1 : here.stop])
        rings.slow_unseen[rows, here] = flags_at(self.slow.unseen[rows], minute, size)

    def _lead(self, size: int, lead: int = LEAD) -> slice:
        return slice(self.rings.end - size - lead, self.rings.end)

    def _rate(self, rows: slice, size: int) -> Verdict:
        return fewer_requests(self._requests(rows, self._lead(size, max(RATE_WINDOWS))),
                              self.noise.rate_spread[rows], size)  # fmt: skip

    def _requests(self, rows: slice, part: slice) -> Rate:
        due = np.exp(self.rings.rate_due[rows, part].astype(np.float64))
        return Rate.of(self.rings.requests[rows, part].astype(np.float64), due, self.rings.rate_unseen[rows, part])

    def _slow(self, rows: slice, size: int) -> Verdict:
        rings, part, noise = self.rings, self._lead(size), self.noise
        residual = rings.slow[rows, part].astype(np.float64) - rings.slow_due[rows, part]
        known = rings.slow_known[rows, rings.end - size : rings.end].astype(np.float64)
        stray = noise.of(rows, rings.requests[rows, part].astype(np.float64))
        lag = Lag.of(residual, stray, rings.slow_unseen[rows, part], known)
        found = slower(lag, noise.excess[rows], noise.beyond[rows], noise.freedom[rows])
        return self._slow_of_mean(rows, size, found) if size <= means.SHORT else found

    def _slow_of_mean(self, rows: slice, size: int, found: Verdict) -> Verdict:
        """The verdict with what the means of young scopes say."""
        rings, part = self.rings, self._lead(size, means.BACK + 1)
        young = np.isfinite(rings.slow_known[rows, rings.end - 1]) & np.isfinite(rings.means[rows, rings.end - 1])
        if not young.any():
            return found
        middle, many = (one[rows, part][young].astype(np.float64) for one in (rings.means, rings.requests))
        minutes = np.arange(rings.next - size - means.BACK - 1, rings.next)
        odd = rings.odd[rows, 1, part][young] & (minutes <= self.tracks.accepted_from(rows, 1)[young, None])
        other = means.slower(middle, many, odd, size)
        return found.beside(young, other)

    def _errors(self, rows: slice, size: int) -> Verdict:
        rings, part = self.rings, self._lead(size)
        requests, errors = rings.requests[rows, part].astype(np.float64), rings.errors[rows, part].astype(np.float64)
        long = self.burns.long(rows, rings, self.settled, size)
        before = rings.odd[rows, 0, rings.end - size - 1]
        usual = self.usual.share[rows], self.usual.least[rows]
        age = np.maximum(rings.next - size - self.born[rows, None] + 1.0 + np.arange(size), 0.0)
        burning = Burning(requests, errors, long, usual, age)
        return failing(burning, before, self.budget)

    def _settle(self, until: int) -> None:
        """Learn minutes up to `until`, but for what was odd."""
        begin = self.settled
        if begin >= until:
            return
        self.each(lambda rows: self._learn(rows, begin, until), until - begin)
        self.burns.add(self.rings, begin, until)
        self.tracks.fold(self.rings, begin, until)
        self.settled = until

    def _learn(self, rows: slice, begin: int, until: int) -> None:
        rings, minute = self.rings, begin % MINUTES
        at = rings.column(begin)
        here, part = slice(at, at + until - begin), slice(at - LEAD, at + until - begin)
        requests = rings.requests[rows, here].astype(np.float64)
        usual = learnable(rings, rows, 0, (begin, until), self.tracks.accepted_from(rows, 0))
        usual &= np.arange(begin, until) >= self.born[rows, None] + STARTING
        self.usual.learn(rows, begin, np.where(usual, requests, np.nan), rings.errors[rows, here].astype(np.float64))
        usual = learnable(rings, rows, 2, (begin, until), self.tracks.accepted_from(rows, 2))
        self.rate.add(rows, minute, np.where(usual, requests, np.nan))
        sampled = np.arange(begin, until) % SAMPLED == 0
        self.noise.learn_rates(rows, self._requests(rows, part), usual, sampled)
        usual = learnable(rings, rows, 1, (begin, until), self.tracks.accepted_from(rows, 1))
        slow = rings.slow[rows, part].astype(np.float64)
        self.slow.add(rows, minute, np.where(usual, slow[:, LEAD:], np.nan))
        residual = slow - rings.slow_due[rows, part]
        residual[:, LEAD:][~usual] = np.nan
        self.noise.learn_slow(rows, residual, rings.requests[rows, part].astype(np.float64), sampled)


def _log(values: Small) -> Small:
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.log(values)
    found[~np.isfinite(found)] = np.nan
    return found


def _backwards(due: Small) -> None:
    """A first level holds for the minutes just before it, too: those that it is too young to be made of."""
    for _ in range(YOUNG_BEHIND + 1):
        if not (missing := np.isnan(due[:, :-1])).any():
            return
        due[:, :-1][missing] = due[:, 1:][missing]


__all__ = ["MINUTES", "RING", "Bank"]
