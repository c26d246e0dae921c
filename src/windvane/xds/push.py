"""The push queue: edits that come together become one push, and a proxy waits in it at most once.

An edit is held until the edits have been quiet for a moment (or the first has waited long enough).
Proxies are then handed out one by one; what is pushed is the newest state at that moment, so an
edit for a proxy that still waits costs nothing more.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from windvane.kit.clock import Clock


class PushQueue:
    """Proxies to push to. `quiet` and `longest` are seconds; `longest` bounds what `quiet` can add up to."""

    def __init__(self, clock: Clock, *, quiet: float, longest: float) -> None:
        self._clock, self._quiet, self._longest = clock, quiet, longest
        self._waiting: dict[str, None] = {}
        self._ready: dict[str, None] = {}
        self._first = self._last = 0.0
        self._added = asyncio.Event()

    def add(self, keys: Iterable[str]) -> None:
        """Ask for a push to these proxies; restarts the quiet time."""
        now = self._clock.monotonic()
        if not self._waiting:
            self._first = now
        self._last = now
        self._waiting.update(dict.fromkeys(keys))
        self._added.set()

    async def next(self) -> str:
        """The next proxy whose push is due."""
        while not self._ready:
            await self._settle()
            self._ready, self._waiting = self._waiting, {}
            self._added.clear()
        key = next(iter(self._ready))
        del self._ready[key]
        return key

    def __len__(self) -> int:
        """Proxies that wait."""
        return len(self._waiting.keys() | self._ready.keys())

    async def _settle(self) -> None:
        await self._added.wait()
        while (remaining := self._due() - self._clock.monotonic()) > 0:
            await self._clock.sleep(remaining)

    def _due(self) -> float:
        return min(self._last + self._quiet, self._first + self._longest)
