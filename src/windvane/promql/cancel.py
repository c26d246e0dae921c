"""A query that nobody waits for any more stops: between nodes, between blocks, and inside the engine.

`Stop` is asked between pieces of work. A read that gives no block for long is ended from outside: one
thread looks at the events of all reads under way, and lives only as long as there are any.
"""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from windvane.kit.errors import WindvaneError
from windvane.promql.errors import QueryCancelledError, QueryTimeoutError
from windvane.promql.fair import Gate
from windvane.store.api import Engine

_LOOK_SECONDS = 0.02
_numbers = itertools.count(1)


class Stop:
    """When one query has to end: at its deadline (of the monotonic clock), or when its event is set.

    With a gate it holds one of the gate's places while it works (`with stop:`), and gives way at every check.
    `waits` while it waits for another query, without a place.
    """

    def __init__(self, deadline: float, cancelled: threading.Event | None = None, gate: Gate | None = None) -> None:
        self.deadline = deadline
        self.cancelled = cancelled
        self._gate = gate
        self._ticket = None if gate is None else gate.ticket()
        self.waits = False

    @property
    def seconds(self) -> float:
        """Time left, never less than a moment; whole seconds where there is time, for a new bound costs a statement."""
        left = self.deadline - time.monotonic()
        return max(0.001, left if left < 1 else math.ceil(left))

    def __enter__(self) -> Stop:
        self._enter()
        return self

    def __exit__(self, *_: object) -> None:
        self._leave()

    def check(self, where: str = "expression evaluation") -> None:
        """`QueryCancelledError` or `QueryTimeoutError` if the query has to end; else others may pass."""
        self._over(where)
        if self._gate is not None and self._ticket is not None:
            self._gate.give_way(self._ticket, self._over)

    def acquire(self, lock: threading.Lock, where: str) -> None:
        """Wait for a lock no longer than the query may, and without holding a place."""
        if lock.acquire(blocking=False):
            return
        self._leave()
        self.waits = True
        while not lock.acquire(timeout=min(_LOOK_SECONDS, self.seconds)):
            self._over(where)
        self.waits = False
        try:
            self._enter()
        except BaseException:
            lock.release()
            raise

    def _over(self, where: str = "query queue") -> None:
        if self.cancelled is not None and self.cancelled.is_set():
            raise QueryCancelledError(f"query was canceled in {where}")
        if time.monotonic() > self.deadline:
            raise QueryTimeoutError(f"query timed out in {where}")

    def _enter(self) -> None:
        if self._gate is not None and self._ticket is not None:
            self._gate.enter(self._ticket, self._over)

    def _leave(self) -> None:
        if self._gate is not None and self._ticket is not None:
            self._gate.leave(self._ticket)


class Watch:
    """Ends reads inside the engine whose query was cancelled."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self._reads: dict[str, threading.Event] = {}
        self._running = False

    @contextmanager
    def read(self, stop: Stop) -> Iterator[str]:
        """A tag for a read of this query, to be watched while it runs; '' where nobody can cancel it."""
        if stop.cancelled is None:
            yield ""
            return
        tag = f"windvane-{next(_numbers)}"
        with self._lock:
            self._reads[tag] = stop.cancelled
            if not self._running:
                self._running = True
                threading.Thread(target=self._look, name="promql-cancel", daemon=True).start()
        try:
            yield tag
        finally:
            with self._lock:
                self._reads.pop(tag, None)

    def _look(self) -> None:
        while True:
            time.sleep(_LOOK_SECONDS)
            with self._lock:
                if not self._reads:
                    self._running = False
                    return
                cancelled = [tag for tag, event in self._reads.items() if event.is_set()]
            for tag in cancelled:
                with suppress(WindvaneError):  # tried again at the next look
                    self._engine.stop(tag)
