"""A value read from a file or a URL, and read again while the program runs: a bad edit keeps the last good one."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, UnavailableError, WindvaneError

T = TypeVar("T")
_NOT_READ = "not read: "

log = logging.getLogger(__name__)


class Reloaded(Generic[T]):
    """`fetch` gives the text (or raises a `WindvaneError`), `parse` makes the value of it; both may block.

    `before` is in force until there is a text; without it, the first one must be there. A wrong one is an error.
    """

    def __init__(
        self, name: str, fetch: Callable[[], str], parse: Callable[[str], T], clock: Clock, before: T | None = None
    ) -> None:
        self.name = name
        self._fetch = fetch
        self._parse = parse
        self._clock = clock
        self.loaded_ns = clock.now_ns()
        """When the value in force was read."""
        self.error = ""
        """Why the newest text is not in force; empty when it is."""
        self._seen: str | None = None
        try:
            self._seen = fetch()
            self.value = parse(self._seen)
        except UnavailableError as error:
            if before is None:
                raise
            self.value = before
            self._failed(error)

    def check(self) -> bool:
        """Read again; whether there is a new value."""
        try:
            text = self._fetch()
            if text == self._seen:
                self._read_again()
                return False
            self._seen = text
            self.value = self._parse(text)
        except WindvaneError as error:
            self._failed(error)
            return False
        self.error, self.loaded_ns = "", self._clock.now_ns()
        log.info("%s was read again", self.name)
        return True

    def _read_again(self) -> None:
        """The text is as it was: an error of reading is over, one in it is not."""
        if self.error.startswith(_NOT_READ):
            self.error = ""

    def _failed(self, error: WindvaneError) -> None:
        message = error.message if isinstance(error, BadInputError) else _NOT_READ + error.message
        if message != self.error:
            self.error = message
            log.error("%s stays as it was: %s", self.name, message)
