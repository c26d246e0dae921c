"""Rate, errors and latency of services over time, from the spans themselves.

A point at time t tells of the spans that began in (t - window, t]. The engine counts spans by slot
of time and, for latencies, by size class; windows are sums of slots, so one that overlaps the next
(ten minutes every five seconds) costs no more than one that does not. A size class is 2% wide: a
quantile is off by at most 1% of its value.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine

MAX_POINTS = 11_000
_GROWTH = math.log(1.02)  # one size class to the next
_MS = 1_000_000
_LONGEST_MS = 10 * 366 * 86_400_000

Measure = Literal["calls", "errors", "latencies"]


@dataclass(frozen=True, slots=True)
class RateQuery:
    """Which spans, and the points in time. Times and lengths in milliseconds.

    Points lie at `start_ms`, `start_ms + step_ms`, … up to `end_ms`; `kinds` are those of the store
    (Server, Client, …). `by_operation` asks for a series each span name.
    """

    services: Sequence[str]
    start_ms: int
    end_ms: int
    step_ms: int
    window_ms: int
    kinds: Sequence[str] = ("Server",)
    by_operation: bool = False
    measure: Measure = "calls"
    quantile: float = 0.0

    @property
    def slot_ms(self) -> int:
        """The longest slot of which every window is a whole number."""
        return math.gcd(self.step_ms, self.window_ms)

    def points(self) -> NDArray[np.int64]:
        """The points' times; `BadInputError` for a step or window that is none, or too many points."""
        if not (0 < self.step_ms <= _LONGEST_MS and 0 < self.window_ms <= _LONGEST_MS):
            raise BadInputError("step and ratePer must be positive, and no longer than ten years")
        if (self.end_ms - self.start_ms) // self.step_ms >= MAX_POINTS:
            raise BadInputError(f"more than {MAX_POINTS} points: ask for a longer step or a shorter lookback")
        return np.arange(self.start_ms, self.end_ms + 1, self.step_ms, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class RateSeries:
    """One service (and operation, else ''): points in time (ms) and their values."""

    service: str
    operation: str
    times_ms: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


def read_rates(engine: Engine, query: RateQuery) -> list[RateSeries]:
    """A series for each service (and operation) with spans, sorted.

    `calls` are spans a second, at every point; `errors` the share of spans with the status Error,
    `latencies` the quantile of their durations in milliseconds, both at points whose window has spans.
    """
    if not len(query.points()) or not query.services:
        return []
    asked = _Question.of(query)
    rows = _rows(engine, asked)
    return [
        _series(service, operation, {name: column[first:last] for name, column in rows.items()}, query)
        for service, operation, key in _names(engine, asked)
        for first, last in [np.searchsorted(rows["Key"], np.array([key, key], np.uint64) + _UP_TO).tolist()]
        if first < last
    ]


_UP_TO = np.array([0, 1], np.uint64)


@dataclass(frozen=True, slots=True)
class _Question:
    """Parts of SQL over spans: whose they are, which, and what fills the placeholders.

    A series is known by a hash of its names, less one bit so that it has a next number: numbers
    leave the engine much faster than text. Slot n is the time (first + (n - 1) * width, first + n *
    width], where the first window begins at `first`.
    """

    names: str
    key: str
    size: str
    where: str
    params: dict[str, Any]

    @classmethod
    def of(cls, query: RateQuery) -> _Question:
        first = query.start_ms - query.window_ms  # may lie before the epoch, where no span does
        operation = "SpanName" if query.by_operation else "''"
        size = f"toInt32(ceil(log(greatest(Duration, 1)) / {_GROWTH!r}))"
        return cls(
            f"ServiceName AS Service, {operation} AS Operation",
            f"CAST(intDiv(cityHash64(ServiceName, {operation}), 2), 'UInt64') AS Key",
            size if query.measure == "latencies" else "toInt32(0)",
            "ServiceName IN {services:Array(String)} AND SpanKind IN {kinds:Array(String)}"
            " AND Timestamp > fromUnixTimestamp64Nano(greatest({first:Int64}, 0))"
            " AND Timestamp <= fromUnixTimestamp64Nano({last:Int64})",
            {
                "first": first * _MS,
                "last": query.end_ms * _MS,
                "width": query.slot_ms * _MS,
                "services": list(query.services),
                "kinds": list(query.kinds),
            },
        )


def _names(engine: Engine, asked: _Question) -> list[tuple[str, str, int]]:
    """Service, operation and key of every series, sorted."""
    sql = f"SELECT DISTINCT {asked.names}, {asked.key} FROM otel_traces WHERE {asked.where}"
    frame = engine.query(sql, asked.params)
    return sorted(zip(*(frame[name].tolist() for name in ("Service", "Operation", "Key")), strict=True))


def _rows(engine: Engine, asked: _Question) -> dict[str, NDArray[Any]]:
    """Spans and errors of every series by slot and size class, in this order."""
    blocks = engine.stream(
        f"SELECT {asked.key},"
        " intDiv(toUnixTimestamp64Nano(Timestamp) - {first:Int64} - 1, {width:Int64}) + 1 AS Slot,"
        f" {asked.size} AS Class, count() AS Spans, countIf(StatusCode = 'Error') AS Errors"
        f" FROM otel_traces WHERE {asked.where} GROUP BY Key, Slot, Class",
        asked.params,
    )
    kinds = {"Key": np.uint64, "Slot": np.int64, "Class": np.int64, "Spans": np.int64, "Errors": np.int64}
    parts = [{name: block.column(name).astype(kind) for name, kind in kinds.items()} for block in blocks]
    rows = {name: np.concatenate([np.empty(0, kind), *(part[name] for part in parts)]) for name, kind in kinds.items()}
    order = np.lexsort((rows["Slot"], rows["Key"]))
    return {name: column[order] for name, column in rows.items()}


def _series(service: str, operation: str, rows: Mapping[str, NDArray[Any]], query: RateQuery) -> RateSeries:
    points, windows = query.points(), _Windows(rows, query)
    spans = windows.sums(rows["Spans"])
    if query.measure == "calls":
        return RateSeries(service, operation, points.tolist(), (spans / (query.window_ms / 1_000)).tolist())
    told = spans > 0
    if query.measure == "errors":
        values = windows.sums(rows["Errors"])[told] / spans[told]
    else:
        values = np.array([*windows.quantiles(rows, query.quantile)])
    return RateSeries(service, operation, points[told].tolist(), values.tolist())


class _Windows:
    """Which rows, ordered by slot, each point's window has: from `low` up to but without `high`."""

    def __init__(self, rows: Mapping[str, NDArray[Any]], query: RateQuery) -> None:
        slots = rows["Slot"]
        last = (query.points() - query.start_ms + query.window_ms) // query.slot_ms  # the newest slot of each window
        self.low = np.searchsorted(slots, last - query.window_ms // query.slot_ms, side="right")
        self.high = np.searchsorted(slots, last, side="right")

    def sums(self, values: NDArray[np.int64]) -> NDArray[np.int64]:
        """The sum of a row's value over each window."""
        total = np.concatenate([[0], np.cumsum(values)])
        found: NDArray[np.int64] = total[self.high] - total[self.low]
        return found

    def quantiles(self, rows: Mapping[str, NDArray[Any]], quantile: float) -> Iterator[float]:
        """Milliseconds below which a share of each window's spans lie; windows without spans are left out."""
        classes, spans = rows["Class"], rows["Spans"]
        known, index = np.unique(classes, return_inverse=True)
        counts = np.zeros(len(known), np.int64)
        low = high = 0
        for start, end in zip(self.low.tolist(), self.high.tolist(), strict=True):
            np.add.at(counts, index[high:end], spans[high:end])
            np.subtract.at(counts, index[low:start], spans[low:start])
            low, high = start, end
            if total := int(counts.sum()):
                rank = max(1, math.ceil(quantile * total))
                found = int(known[np.searchsorted(np.cumsum(counts), rank)])
                yield math.exp((found - 0.5) * _GROWTH) / _MS
