"""Keeps the history: told of what happens in the event loop, written to the store behind it.

Whoever tells never waits and never fails: while the store does not answer, what is to be written waits here.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping

from windvane.history.book import Book
from windvane.history.versions import Answer, Key, Resource, Version, changes
from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError

log = logging.getLogger(__name__)

_AGAIN_SECONDS = 2.0


class Recorder:
    """The writer of one store's history; `load` comes first, `run` writes until cancelled, `close` the rest."""

    def __init__(self, book: Book, clock: Clock) -> None:
        self._book, self._clock = book, clock
        self._current: Version | None = None
        self._resources: dict[Key, Resource] = {}
        self._answered: set[tuple[str, str, str]] = set()
        self._waiting: deque[Callable[[], None]] = deque()
        self._told = asyncio.Event()
        self._writing = threading.Lock()

    def load(self) -> None:
        """Learn from the store what was live last. Blocks."""
        self._book.drop_unfinished()
        newest = self._book.newest()
        if newest is None:
            return
        self._current = self._book.version(str(newest.number))
        self._resources = {one.key: one for one in self._book.resources(newest.number)}
        self._answered = {(one.node, one.type, one.reason) for one in self._current.answers}

    def live(self, content: str, resources: Iterable[Resource], services: int, workloads: int) -> None:
        """A configuration (by the hash of its content) has taken effect; nothing new if it is the one before."""
        if self._current is not None and self._current.hash == content:
            return
        found = list(resources)
        number = self._current.number + 1 if self._current else 1
        moment = max(self._now_ms(), self._current.live_ms + 1 if self._current else 0)
        version = Version(number, content, moment, services, workloads, changes=changes(self._resources, found))
        self._current, self._resources = version, {one.key: one for one in found}
        self._answered.clear()
        self._later(lambda: self._book.write(version))

    def answered(self, node: str, workload: str, namespace: str, rejected: Mapping[str, str] | None) -> None:
        """A proxy has all of the version that is live (None), or rejects types of it: reasons by type."""
        if self._current is None:
            return
        for kind, reason in ({"": ""} if rejected is None else rejected).items():
            if (node, kind, reason) not in self._answered:
                self._answered.add((node, kind, reason))
                self._write_answer(
                    self._current.number, Answer(node, workload, namespace, kind, reason, self._now_ms())
                )

    def _write_answer(self, number: int, answer: Answer) -> None:
        self._later(lambda: self._book.answer(number, [answer]))

    async def run(self) -> None:
        """Write what is told, in its order."""
        while True:
            await self._told.wait()
            self._told.clear()
            while self._waiting:
                if not await asyncio.to_thread(self._write_first):
                    await self._clock.sleep(_AGAIN_SECONDS)

    def close(self) -> None:
        """Write what still waits; what cannot be written is told and left. Blocks."""
        while self._waiting and self._write_first():
            pass

    def _write_first(self) -> bool:
        with self._writing:  # the thread of a loop that was cancelled may still be at it
            if not self._waiting:
                return False
            try:
                self._waiting[0]()
            except WindvaneError as error:
                log.warning("the history of the configuration cannot be written: %s", error)
                return False
            self._waiting.popleft()
            return True

    def _later(self, write: Callable[[], None]) -> None:
        self._waiting.append(write)
        self._told.set()

    def _now_ms(self) -> int:
        return self._clock.now_ns() // 1_000_000
