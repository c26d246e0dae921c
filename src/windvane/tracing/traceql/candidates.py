"""Traces that may match, newest first, a page at a time: by the latest start among their likely spans."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from windvane.store.api import Engine
from windvane.tracing.filters.sql import Conditions

_RECENT = 32
"""The newest traces are looked for in the last 1/_RECENT of the time asked for, then in all of it."""
_FEW = 4
"""Spans read for every trace wanted, at first; four times as many with every page."""
_MOST = 1 << 20


@dataclass(frozen=True, slots=True)
class Page:
    """Ids of traces not seen before with their latest likely start; none that follows has one after `bound_ns`."""

    latest_ns: dict[str, int]
    bound_ns: int


def pages(
    engine: Engine, condition: Callable[[tuple[int, int]], Conditions], window: tuple[int, int], wanted: int
) -> Iterator[Page]:
    """Pages until no trace is left.

    `condition` gives what holds for spans that start in a part of the time; it does not bound the time
    itself, which `window` does (both ends included).
    """
    start, end = window
    recent = end - max(0, end - start) // _RECENT
    seen: set[str] = set()
    portion = max(1, wanted) * _FEW
    for low, last in ((recent, end), (start, recent - 1)):
        high = last
        where = condition((low, high))
        while low <= high:
            trace_ids, starts = _newest_spans(engine, where, (low, high), portion)
            fresh: dict[str, int] = {}
            for one, latest in zip(trace_ids, starts, strict=True):
                if one not in seen:
                    fresh.setdefault(one, latest)
            seen.update(fresh)
            exhausted = len(starts) < portion
            bound = low - 1 if exhausted else starts[-1]
            yield Page(fresh, bound)
            if exhausted:
                break
            stuck, high = bound == high, bound  # the rows of the last moment are read again: more may share it
            portion = portion * _FEW if stuck else min(portion * _FEW, _MOST)


def _newest_spans(
    engine: Engine, where: Conditions, window: tuple[int, int], portion: int
) -> tuple[list[str], list[int]]:
    params: dict[str, Any] = {**where.params, "low": window[0], "high": window[1]}
    frame = engine.query(
        f"SELECT TraceId, toUnixTimestamp64Nano(Timestamp) AS Start FROM otel_traces WHERE {where}"
        f" AND {within('{low:Int64}', '{high:Int64}')} ORDER BY Timestamp DESC LIMIT {portion}",
        params,
    )
    return frame["TraceId"].tolist(), frame["Start"].tolist()


def within(low: str, high: str) -> str:
    """SQL of a bound on the start of spans, both ends included; for placeholders of nanoseconds."""
    return f"Timestamp BETWEEN fromUnixTimestamp64Nano({low}) AND fromUnixTimestamp64Nano({high})"
