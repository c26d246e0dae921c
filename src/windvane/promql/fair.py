"""Concurrent queries share the machine: as many at once as it has cores, and a long one lets short ones pass.

A query needs a place to work. Between blocks of a read and between nodes of its tree it offers the
place to whoever waits and has had less time so far, and waits in turn. So a query over a day, which
may take seconds, delays one over minutes by one piece of work, and two long ones take turns.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

Clock = Callable[[], float]
_LOOK_SECONDS = 0.05


@dataclass(slots=True, eq=False)
class Ticket:
    """One query's claim: the time it has had, and since when it works."""

    number: int
    served: float = 0.0
    since: float = 0.0
    working: bool = False


@dataclass(slots=True)
class Gate:
    """`places` queries work at once; `slice_seconds` a query may always work before it gives way."""

    places: int
    slice_seconds: float = 0.02
    clock: Clock = time.monotonic
    _changed: threading.Condition = field(default_factory=threading.Condition)
    _numbers: itertools.count[int] = field(default_factory=itertools.count)
    _waiting: list[Ticket] = field(default_factory=list)
    _working: int = 0

    def ticket(self) -> Ticket:
        """For a new query."""
        return Ticket(next(self._numbers))

    @property
    def waiting(self) -> int:
        """Queries that wait for a place."""
        with self._changed:
            return len(self._waiting)

    def enter(self, ticket: Ticket, check: Callable[[], None]) -> None:
        """Wait for a place; `check` is called now and again and raises when the query has to end."""
        with self._changed:
            self._waiting.append(ticket)
            try:
                while self._working >= self.places or self._first() is not ticket:
                    self._changed.wait(_LOOK_SECONDS)
                    check()
            finally:
                self._waiting.remove(ticket)
                self._changed.notify_all()
            self._working += 1
            ticket.working = True
            ticket.since = self.clock()

    def leave(self, ticket: Ticket) -> None:
        """Give the place up; nothing if the query has none."""
        with self._changed:
            if ticket.working:
                ticket.working = False
                ticket.served += self.clock() - ticket.since
                self._working -= 1
                self._changed.notify_all()

    def give_way(self, ticket: Ticket, check: Callable[[], None]) -> None:
        """Let a query pass that waits and has had less time."""
        with self._changed:
            if not ticket.working or not self._waiting:
                return
            worked = self.clock() - ticket.since
            if worked < self.slice_seconds or self._first().served >= ticket.served + worked:
                return
        self.leave(ticket)
        self.enter(ticket, check)

    def _first(self) -> Ticket:
        return min(self._waiting, key=lambda ticket: (ticket.served, ticket.number))
