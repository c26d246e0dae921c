"""Counters of calls in a store, a value a minute, as both proxies of each call would have counted."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from istio_series import NOBODY, Peer, series
from numpy.typing import NDArray

from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

Floats = NDArray[np.float64]
NOW = 1_767_787_200
"""A Wednesday, noon (Unix seconds)."""
BOUNDS = (5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1000.0)
FRONT, REVIEWS, RATINGS = (Peer(f"{name}-v1", app=name) for name in ("front", "reviews", "ratings"))


@dataclass(frozen=True)
class Calls:
    """One proxy's report of calls: of every minute the requests, those that failed, and the milliseconds of each."""

    reporter: str
    caller: Peer
    callee: Peer
    requests: Floats
    failed: Floats
    each: Floats
    flags: str = "-"


def both(caller: Peer, callee: Peer, requests: Floats, failed: Floats, each: Floats, way: float = 1.0) -> list[Calls]:
    """Calls that both proxies saw; the way there and back takes `way` milliseconds."""
    return [
        Calls("destination", caller, callee, requests, failed, each),
        Calls("source", caller, callee, requests, failed, each + way),
    ]


def write(engine: EmbeddedEngine, calls: list[Calls], end: int = NOW) -> None:
    """Counters of these calls, whose last minute ends at `end`."""
    for one in calls:
        rows = [("istio_requests_total", {"response_code": "200"}, one.requests - one.failed)]
        if one.failed.any():
            rows.append(("istio_requests_total", {"response_code": "503", "response_flags": one.flags}, one.failed))
        rows.append(("istio_request_duration_milliseconds_sum", {}, one.requests * one.each))
        for bound in (*BOUNDS, np.inf):
            name = "+Inf" if np.isinf(bound) else f"{bound:g}"
            share = 1 - np.exp(-bound / np.maximum(one.each, 0.1)) if np.isfinite(bound) else 1.0
            rows.append(("istio_request_duration_milliseconds_bucket", {"le": name}, one.requests * share))
        size = len(one.requests)
        times = 1_000 * (end - 60 * np.arange(size)[::-1])
        named = [
            {"__name__": metric, **series(one.reporter, one.caller, one.callee, one.callee.app, **more)}
            for metric, more, _ in rows
        ]
        SampleWriter(engine).write(
            [labels for labels in named for _ in range(size)],
            np.tile(times, len(rows)).astype(np.int64),
            np.concatenate([np.cumsum(values) for _, _, values in rows]).astype(np.float64),
        )


def minutes(size: int, value: float) -> Floats:
    return np.full(size, value)


__all__ = ["FRONT", "NOBODY", "NOW", "RATINGS", "REVIEWS", "Calls", "both", "minutes", "write"]
