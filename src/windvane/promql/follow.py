"""A thread that keeps something held in memory up to date with the store."""

from __future__ import annotations

import logging
import threading
import time
import weakref
from typing import Protocol

from windvane.kit.errors import WindvaneError

log = logging.getLogger(__name__)

_EVERY = 2.0
_REST = 10.0
"""While there is much to do at once, so many times as long as it works it rests."""


class Followed(Protocol):
    """What can be brought up to date."""

    def tick(self) -> None:
        """Look what is new; cheap where nothing is."""


class Follower:
    """Calls `tick` every two seconds until `close`, or until nobody else has the object any more."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def ended(self) -> bool:
        """Whether it was closed: what takes long gives up then."""
        return self._ended.is_set()

    def start(self, followed: Followed) -> None:
        """Begin; nothing if it was begun before."""
        if self._thread is None and not self.ended:
            self._thread = threading.Thread(
                target=_follow, args=(weakref.ref(followed), self._ended), name=self._name, daemon=True
            )
            self._thread.start()

    def close(self) -> None:
        """End. Idempotent."""
        self._ended.set()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()


def _follow(followed: weakref.ref[Followed], ended: threading.Event) -> None:
    while not ended.is_set():
        one, started = followed(), time.monotonic()
        if one is None:
            return
        try:
            one.tick()
        except WindvaneError as error:  # the store is busy or closed: tried again
            log.debug("what is held in memory could not be brought up to date: %s", error)
        del one
        if ended.wait(max(_EVERY, _REST * (time.monotonic() - started))):
            return
