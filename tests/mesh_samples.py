"""Samples of a small mesh and its server, as a test's dashboards and pages read them: no stubs, real series.

Four workloads call each other for some minutes, a sample each 15 seconds: Istio's request and TCP
metrics with their histograms, a few of istiod's and of Windvane's own.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping

import numpy as np
from istio_series import Peer, series, without_request

from windvane.store.api import Engine
from windvane.store.series import SampleWriter

STEP_MS = 15_000
FRONTEND = Peer("frontend-v1")
REVIEWS = Peer("reviews-v2", version="v2")
CART = Peer("cart-v1")
LEDGER = Peer("ledger-v1", "payments")
BUCKETS = (0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000)

Series = tuple[dict[str, str], float]


def mesh_series() -> Iterator[Series]:
    """Label sets with the rate at which each counter rises a second."""
    for source, destination, rate, mean in ((FRONTEND, REVIEWS, 20.0, 40.0), (FRONTEND, CART, 8.0, 9.0)):
        for reporter in ("source", "destination"):
            for code, share in (("200", 0.97), ("503", 0.02), ("404", 0.01)):
                labels = series(reporter, source, destination, response_code=code)
                yield _named("istio_requests_total", labels), rate * share
                yield from _histogram("istio_request_duration_milliseconds", labels, rate * share, mean)
                yield from _histogram("istio_request_bytes", labels, rate * share, 800.0)
                yield from _histogram("istio_response_bytes", labels, rate * share, 3000.0)
    for reporter in ("source", "destination"):
        labels = without_request(series(reporter, CART, LEDGER))
        for name, rate in (("sent_bytes", 4096.0), ("received_bytes", 1024.0), ("connections_opened", 0.2)):
            yield _named(f"istio_tcp_{name}_total", labels), rate


def server_series() -> Iterator[Series]:
    """Windvane's own counters, and a few of istiod's."""
    for signal, rate in (("traces", 900.0), ("logs", 120.0)):
        by = {"signal": signal}
        yield _named("windvane_ingest_records_received_total", {**by, "transport": "grpc"}), rate
        yield _named("windvane_ingest_records_stored_total", by), rate * 0.9995
        yield _named("windvane_ingest_records_refused_total", {**by, "reason": "malformed"}), rate * 0.0005
    for kind in ("traces", "access_logs"):
        yield _named("windvane_commit_rows_total", {"kind": kind}), 500.0
        yield _named("windvane_commit_bisections_total", {"kind": kind}), 0.01
        yield _named("windvane_commit_rows_unlike_records_total", {"kind": kind}), 0.0
        yield from _histogram("windvane_commit_seconds", {"kind": kind}, 4.0, 0.06, scale=0.001)
    yield from _histogram("windvane_istio_tick_seconds", {}, 0.2, 0.02, scale=0.001)
    yield from _histogram("windvane_xds_convergence_seconds", {}, 0.1, 0.3, scale=0.001)
    for type_ in ("cds", "lds"):
        yield _named("windvane_xds_responses_total", {"type": type_}), 0.3
        yield _named("windvane_xds_rejections_total", {"type": type_}), 0.0
        yield _named("pilot_xds_pushes", {"type": type_}), 0.5
    for name in ("windvane_commit_held_bytes", "windvane_istio_series", "windvane_xds_proxies", "pilot_xds"):
        yield _named(name, {}), 1.0
    yield from _histogram("pilot_xds_push_time", {}, 0.5, 0.2)
    yield _named("istio_build", {"component": "pilot", "tag": "1.29.0"}), 0.0
    yield _named("up", {"job": "windvane", "instance": "127.0.0.1:9900"}), 0.0


def write_mesh(engine: Engine, end_ms: int, minutes: int = 20) -> int:
    """Store it all up to `end_ms`; the number of samples."""
    rows = [*mesh_series(), *server_series()]
    times = np.arange(end_ms - minutes * 60_000, end_ms + 1, STEP_MS, dtype=np.int64)
    elapsed = (times - times[0]) / 1000.0
    writer = SampleWriter(engine)
    for seen in times[:: 3_000_000 // STEP_MS]:  # as a live writer announces a series, at least once an hour
        ids = writer.ids([labels for labels, _ in rows], np.full(len(rows), seen))
    swing = elapsed + 60.0 * np.sin(elapsed / 200.0) / 3.0
    values = np.array([rate for _, rate in rows])[:, None] * swing[None, :] + 1.0
    return writer.write_ids(np.repeat(ids, len(times)), np.tile(times, len(rows)), values.ravel())


def _named(name: str, labels: Mapping[str, str]) -> dict[str, str]:
    return {"__name__": name, **labels}


def _histogram(name: str, labels: Mapping[str, str], rate: float, mean: float, scale: float = 1.0) -> Iterable[Series]:
    """Buckets of an exponential distribution, its sum and its count."""
    for bound in BUCKETS:
        share = 1.0 - math.exp(-bound * scale / mean)
        yield _named(f"{name}_bucket", {**labels, "le": f"{bound * scale:g}"}), rate * share
    yield _named(f"{name}_bucket", {**labels, "le": "+Inf"}), rate
    yield _named(f"{name}_sum", labels), rate * mean
    yield _named(f"{name}_count", labels), rate
