"""Which label sets are stored, and how many: the rules that every receiver of metrics applies.

A series needs a metric name; names are unique and not empty; all is UTF-8. A label with an empty
value is the same as none. Everything else is a limit that the operator sets.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.kit.clock import Clock, SystemClock
from windvane.signals.refusals import RefusedError
from windvane.store.api import Engine
from windvane.store.series import NAME

_RECOUNT_SECONDS = 60.0
DAY_MS = 86_400_000
FIRST_MS, LAST_MS = 0, 179 * 365 * DAY_MS
"""Times that the days of the store's partitions can hold, in milliseconds: 1970 to 2148."""


@dataclass(frozen=True, slots=True)
class MetricLimits:
    """What a receiver of metrics takes.

    `series` bounds how many a tenant may have active (seen in about the last hour); None: any number.
    Lengths are bytes of UTF-8. `ahead_seconds` is how far in the future a sample may lie, as in
    Prometheus; `age_seconds` how old it may be (None: any age; retention will tell). `samples` bounds
    one request, and so does `days`: of samples from more different days, the newest days are taken.
    """

    series: int | None = None
    labels: int = 256
    name_bytes: int = 1_024
    value_bytes: int = 65_536
    ahead_seconds: float = 600.0
    age_seconds: float | None = None
    samples: int = 2_000_000
    days: int = 180

    def times(self, now_ms: int, sent: NDArray[np.int64]) -> tuple[int, int]:
        """The first and the last time that a sample of a request with these times may have, in milliseconds."""
        oldest = FIRST_MS if self.age_seconds is None else now_ms - int(self.age_seconds * 1_000)
        lowest, highest = max(FIRST_MS, oldest), min(LAST_MS, now_ms + int(self.ahead_seconds * 1_000))
        if len(sent) and int(sent.max()) // DAY_MS - int(sent.min()) // DAY_MS >= self.days:
            days = np.unique(sent[(sent >= lowest) & (sent <= highest)] // DAY_MS)
            if len(days) > self.days:
                lowest = int(days[-self.days]) * DAY_MS
        return lowest, highest


def checked(pairs: Sequence[tuple[bytes, bytes]], limits: MetricLimits) -> dict[str, str]:
    """A label list as a label set, sorted by name; `RefusedError` says what is wrong with it."""
    try:
        labels = {name.decode(): value.decode() for name, value in sorted(pairs)}
    except UnicodeDecodeError:
        raise RefusedError("invalid_labels", f"labels that are no UTF-8: {_shown(pairs)}") from None
    if len(labels) != len(pairs):
        raise RefusedError("duplicate_labels", f"a label name occurs twice: {_shown(pairs)}")
    if "" in labels:
        raise RefusedError("invalid_labels", f"a label has no name: {_shown(pairs)}")
    labels = {name: value for name, value in labels.items() if value}
    if NAME not in labels:
        raise RefusedError("invalid_labels", f"no metric name ({NAME}): {_shown(pairs)}")
    if len(labels) > limits.labels:
        raise RefusedError("label_limit", f"{len(labels)} labels, the limit is {limits.labels}: {_shown(pairs)}")
    for name, value in pairs:
        if len(name) > limits.name_bytes:
            raise RefusedError(
                "label_limit", f"a label name of {len(name)} bytes, the limit is {limits.name_bytes}: {_shown(pairs)}"
            )
        if len(value) > limits.value_bytes:
            raise RefusedError(
                "label_limit",
                f"a label value of {len(value)} bytes, the limit is {limits.value_bytes}: {_shown(pairs)}",
            )
    return labels


def _shown(pairs: Sequence[tuple[bytes, bytes]]) -> str:
    text = ", ".join(f"{name.decode(errors='replace')}={value.decode(errors='replace')!r}" for name, value in pairs)
    return "{" + (text if len(text) <= 200 else text[:200] + "…") + "}"


class SeriesBudget:
    """Counts the active series of a store against a limit. Safe from any thread."""

    def __init__(self, engine: Engine, limit: int | None, clock: Clock | None = None) -> None:
        self._engine = engine
        self._limit = limit
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        self._active: NDArray[np.uint64] | None = None
        self._added: set[int] = set()
        self._counted = 0.0

    @property
    def message(self) -> str:
        """What to tell the sender of a series that there is no room for."""
        return f"there are {self._limit} active series, the limit"

    def admit(self, ids: Sequence[int]) -> list[bool]:
        """Which of these series may have samples: those that are active, and new ones while there is room."""
        if self._limit is None:
            return [True] * len(ids)
        with self._lock:
            if self._active is None:
                self._count()
            answers = [self._admitted(one) for one in ids]
            if not all(answers) and self._clock.monotonic() - self._counted > _RECOUNT_SECONDS:
                self._count()
                answers = [self._admitted(one) for one in ids]
            return answers

    def _admitted(self, one: int) -> bool:
        assert self._active is not None
        assert self._limit is not None
        place = int(np.searchsorted(self._active, np.uint64(one)))
        if one in self._added or (place < len(self._active) and int(self._active[place]) == one):
            return True
        if len(self._active) + len(self._added) >= self._limit:
            return False
        self._added.add(one)
        return True

    def _count(self) -> None:
        now = self._clock.now_ns() // 1_000_000
        frame = self._engine.query(_ACTIVE, {"now": now})
        self._active = frame["Id"].to_numpy(np.uint64)
        self._added.clear()
        self._counted = self._clock.monotonic()


_ACTIVE = "SELECT Id FROM series GROUP BY Id HAVING max(LastSeen) > fromUnixTimestamp64Milli({now:Int64}) ORDER BY Id"
