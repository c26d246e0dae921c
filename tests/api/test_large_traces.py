"""A trace of fifty thousand spans, in a broad and a deep part, with a megabyte in an attribute: every face answers."""

from __future__ import annotations

import pytest
from asgi_client import AsgiClient
from telemetry_rows import store_spans

from windvane.api import jaeger
from windvane.api.windvane import analysis, traces
from windvane.api.windvane.analysis_exemplars import istio_naming
from windvane.ingest.istio_labels import Directory
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine
from windvane.tracing.model import Span

NOW = 1_790_000_000 * 10**9
START = NOW - 60 * 10**9
TRACE = "7" * 32
BROAD, DEEP = 40_000, 10_000
TEXT = "windvane " * 120_000


def spans() -> list[Span]:
    """A root with 40,000 calls one after another, and a chain of 10,000 within the last of its time."""
    step, length = 10**6, (BROAD + 2 * DEEP) * 10**6
    root = Span(TRACE, f"{1:016x}", "", "GET /", "Server", "web.shop", START, length, attributes={"body": TEXT})
    broad = [
        Span(TRACE, f"{2 + n:016x}", root.span_id, f"SELECT {n % 50}", "Client", "db.shop", START + n * step, step)
        for n in range(BROAD)
    ]
    deep = [
        Span(
            TRACE, f"{100_000 + n:016x}", f"{99_999 + n:016x}" if n else root.span_id, "recurse", "Internal",
            "deep.shop", START + (BROAD + n) * step, (2 * DEEP - 2 * n) * step,
        )
        for n in range(DEEP)
    ]  # fmt: skip
    return [root, *broad, *deep]


def test_faces_show_it_whole_and_it_is_analysed(engine: Engine) -> None:
    store_spans(engine, spans())
    clock = ManualClock(NOW)
    client = AsgiClient([
        *jaeger.shared_routes(jaeger.JaegerQueries(engine, clock)), *traces.routes(engine, clock),
        *analysis.routes(engine, clock, istio_naming(Directory)),
    ])  # fmt: skip
    found = client.get(f"/api/traces/{TRACE}").json()["data"][0]["spans"]
    assert len(found) == 1 + BROAD + DEEP
    [body] = [tag["value"] for span in found for tag in span["tags"] if tag["key"] == "body"]
    assert body == TEXT
    own = "/api/windvane/v1/traces"
    [row] = client.get(own, {"service": "web.shop"}).json()["traces"]
    assert row["spans"] == 1 + BROAD + DEEP
    path = client.get(f"{own}/{TRACE}/critical-path").json()
    assert sum(one["duration_ms"] for one in path["sections"]) == pytest.approx(path["duration_ms"])
    assert client.get(f"{own}/{TRACE}/flame").json()["spans"] == 1 + BROAD + DEEP
    assert client.get(f"{own}/findings", {"query": "service:web.shop"}).json()["n_plus_one"]
