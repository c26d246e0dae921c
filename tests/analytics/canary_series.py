"""Counters of two versions of a service in a store, a value a minute, as Istio's proxies would have counted."""

from __future__ import annotations

import numpy as np
from istio_series import Peer, series

from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_700_000_040_000
MINUTE = 60_000
BOUNDS = ("10.0", "50.0", "100.0", "+Inf")
PAGE = Peer("productpage-v1", app="productpage")


def write_version(
    engine: EmbeddedEngine, version: str, *, minutes: int, requests: int, errors: int = 0, slow: float = 0.1,
    born: int = 0, lost: int = 0,
    reporter: str = "destination",
) -> None:  # fmt: skip
    """Every minute up to NOW: so many requests, of which some fail, some take 50 to 100 ms, and some never arrive."""
    peer = Peer(f"reviews-{version}", app="reviews", version=version)

    def labels(metric: str, side: str = reporter, **more: str) -> dict[str, str]:
        named = series(side, PAGE, peer, "reviews", **more)
        return {"__name__": metric, **named, "destination_version": version}

    rows = [(labels("istio_requests_total"), requests - errors)]
    if errors:
        rows.append((labels("istio_requests_total", response_code="503"), errors))
    if lost:
        rows.append((labels("istio_requests_total", "source", response_code="503", response_flags="UF,URX"), lost))
    upto = {"10.0": 0.5, "50.0": 1 - slow, "100.0": 1.0, "+Inf": 1.0}
    for le in BOUNDS:
        bucket = {**labels("istio_request_duration_milliseconds_bucket"), "le": le}
        rows.append((bucket, round(requests * upto[le])))
    rows.append((labels("istio_request_duration_milliseconds_count"), requests))
    rows.append((labels("istio_request_duration_milliseconds_sum"), 30 * requests))
    counts = np.arange(born, minutes + 1)
    grown = counts + (1 if born else 0) - born
    times = NOW - MINUTE * (minutes - counts)
    SampleWriter(engine).write(
        [named for named, _ in rows for _ in counts],
        np.tile(times, len(rows)).astype(np.int64),
        np.concatenate([each * grown for _, each in rows]).astype(np.float64),
    )
