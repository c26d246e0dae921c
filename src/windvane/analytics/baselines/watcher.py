"""The baselines of a mesh, kept minute by minute."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from windvane.analytics.baselines import state, telling
from windvane.analytics.baselines.bank import MINUTES, Bank
from windvane.analytics.baselines.contract import Judgement, Kind, Scope, Watched, WatchSettings
from windvane.analytics.baselines.moves import Moves
from windvane.analytics.baselines.reading import Minutes, Reader
from windvane.analytics.baselines.roster import Roster
from windvane.analytics.baselines.tables import clear, widen
from windvane.analytics.releases.read import AskRange

AGAIN = 2
"""Minutes that are read and judged once more: their last scrapes may have come late."""
RECENT = 180
"""Minutes of which mean latency is read as well, which is held against no longer past."""
PIECE = 360
"""Minutes that are read at a time, which bounds the memory."""
GONE = 7 * MINUTES
"""Minutes after which a scope that was not seen is forgotten."""


class Watcher:
    """Learns a mesh's history once, then reads and judges only what is new.

    Not safe for threads: one call at a time. `ask` may block and may raise; what it raises goes through, and the
    watcher is then as it was after the last hours that were read whole: the next call goes on from there.
    """

    def __init__(self, ask: AskRange, settings: WatchSettings | None = None) -> None:
        self._settings = settings or WatchSettings()
        self._reader = Reader(ask, self._settings.kinds)
        self._roster = Roster(self._settings)
        self._bank = self._blank(0)
        self._moves = Moves()

    def learn(self, until_s: int, progress: Callable[[float], None] | None = None) -> None:
        """Forget all and learn `settings.days` up to a time (Unix seconds), some hours at a time.

        `progress` is told the share that is done (0 to 1), from the same thread.
        """
        last = until_s // 60
        first = last - self._settings.days * MINUTES
        begin = self._reader.earliest(first - first % MINUTES, last)
        self._roster, self._bank, self._moves = Roster(self._settings), self._blank(0), Moves()
        self._read(begin, last + 1, progress)

    def advance(self, until_s: int) -> Judgement:
        """Read what came since the last call, with the last few minutes once more, and judge it.

        Minutes that end at `until_s` (Unix seconds) or before are judged; so call it some seconds after a minute's
        end, when scrapes have landed. Missed minutes are made up for; with nothing learnt, it learns first. Asked for
        a minute that was judged already, it answers for the newest minute again.
        """
        last = until_s // 60
        known = self._bank.rings.next
        if not known or last - known > self._settings.days * MINUTES:
            self.learn(until_s)
        elif last >= known:
            self._read(max(known - AGAIN, self._bank.settled), last + 1, None)
        self._moves.follow(self._bank, self._roster.rows)
        return telling.judgement(self._bank, self._roster.rows, self._settings.slo)

    def changed(self, scope: Scope, at: int) -> None:
        """A deployment or a configuration change touched a scope at a time (Unix seconds).

        If its level moved then, and has stayed so for an hour, the new level is normal: what was learnt is moved to
        it, where otherwise a day would have to pass. Of a service, all its versions, workloads and edges are meant.
        """
        self._moves.add(scope, at // 60)

    def dump(self) -> bytes:
        """All that was learnt, to be given to `restore`; compact."""
        return state.dump(self._bank, self._roster, self._reader.names, self._moves.pending)

    def restore(self, kept: bytes) -> None:
        """Take up a kept state; `advance` then makes up for what was missed.

        `StateError` where it is damaged or of another version: nothing is changed then, and `learn` is the remedy.
        """
        found = state.load(kept, self._blank, Roster(self._settings))
        self._bank, self._roster = found.bank, found.roster
        self._reader.names = found.names
        self._moves = Moves(found.pending)

    @property
    def watched(self) -> Watched:
        """How much is watched."""
        bank = self._bank
        since, last = (bank.since * 60, (bank.rings.next - 1) * 60) if bank.since else (None, None)
        return Watched(self._roster.counts(), dict(self._roster.cut), since, last)

    def _blank(self, rows: int) -> Bank:
        return Bank(rows, 1.0 - self._settings.slo)

    def _read(self, begin: int, end: int, progress: Callable[[float], None] | None) -> None:
        """Take in minutes [begin, end)."""
        for first, size in _pieces(begin, end):
            means = first + size > end - RECENT
            self._take(first, size, list(self._reader.read(first, size, means=means)))
            if progress is not None:
                progress((first + size - begin) / (end - begin))

    def _take(self, first: int, size: int, found: list[tuple[Kind, Minutes]]) -> None:
        for kind, minutes in found:
            self._admit(kind, minutes)
        rows = self._bank.rows
        requests, errors, latency, mean = (np.full((rows, size), np.nan, np.float32) for _ in range(4))
        for _, minutes in found:
            places = [(row, at) for at, scope in enumerate(minutes.scopes)
                      if (row := self._roster.rows.get(scope)) is not None]  # fmt: skip
            if places:
                into, place = np.array(places, np.int64).T
                requests[into], errors[into] = minutes.requests[place], minutes.errors[place]
                latency[into], mean[into] = minutes.latency[place], minutes.mean[place]
        self._bank.feed(first, requests, errors, latency, mean)
        if (first + size) // MINUTES > first // MINUTES:
            self._forget()

    def _admit(self, kind: Kind, found: Minutes) -> None:
        fresh = self._roster.admit(kind, found)
        lacking = self._roster.size - self._bank.rows
        if lacking > 0:
            wider = self._blank(max(64, self._bank.rows + max(lacking, self._bank.rows // 4)))
            widen(self._bank, wider)
            self._bank.rows = wider.rows
        for scope in fresh:
            whole = self._roster.rows.get(Scope("service", scope.namespace, scope.service))
            if kind in ("version", "workload") and whole is not None:
                self._bank.adopt(self._roster.rows[scope], whole)

    def _forget(self) -> None:
        """Scopes that were not seen for long."""
        oldest = self._bank.rings.next - GONE
        gone = [scope for scope, row in self._roster.rows.items() if self._bank.seen[row] < oldest]
        blank = self._blank(1)
        for scope in gone:
            row = self._roster.drop(scope)
            self._bank.tracks.drop(row)
            clear(self._bank, row, blank)


def _pieces(begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Begin and size of pieces that end at multiples of `PIECE`."""
    at = begin
    while at < end:
        stop = min(at - at % PIECE + PIECE, end)
        yield at, stop - at
        at = stop
