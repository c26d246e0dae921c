"""The console's pages about dependencies and lost trace context in a real Chromium, on a server with a real store."""

from __future__ import annotations

import contextlib
import dataclasses
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from console_browser import NEEDS_BROWSER, in_thread
from playwright.sync_api import Page, expect
from propagation_mesh import T0, Workload, entries, spans, traffic
from telemetry_rows import store_entries, store_spans

from windvane.api import console
from windvane.api.app import build_app
from windvane.api.jaeger import http as jaeger
from windvane.api.jaeger.queries import JaegerQueries
from windvane.api.windvane import analysis, graphs, propagation, telemetry, traces
from windvane.api.windvane.analysis_exemplars import istio_naming
from windvane.app.web import WebListener
from windvane.ingest.istio_labels import Directory
from windvane.kit.clock import SystemClock
from windvane.kit.values import Address
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.model import Span

SECOND, MS = 10**9, 10**6
CALLS = 40

expect.set_options(timeout=20_000)

pytestmark = NEEDS_BROWSER


def _call(number: int, start_ns: int) -> list[Span]:
    """web calls db; every fourth time db fails."""
    ids = {"trace_id": f"{number:032x}", "kind": "Server"}
    root = Span(span_id=f"{1:016x}", parent_id="", name="GET /", service="web.shop", start_ns=start_ns,
                duration_ns=20 * MS, **ids)  # fmt: skip
    called = Span(span_id=f"{2:016x}", parent_id=root.span_id, name="SELECT", service="db.data",
                  start_ns=start_ns + MS, duration_ns=10 * MS, status="Unset" if number % 4 else "Error",
                  **ids)  # fmt: skip
    return [root, called]


async def _start(engine: Engine, stack: contextlib.AsyncExitStack) -> str:
    clock = SystemClock()
    naming = istio_naming(lambda: Directory(services=pd.DataFrame()))
    listener = WebListener(
        build_app(
            [
                graphs.routes(engine, clock, naming),
                traces.routes(engine, clock),
                analysis.routes(engine, clock, naming),
                propagation.routes(engine, clock),
                telemetry.routes(engine, lambda *_: [], clock),
                jaeger.routes(JaegerQueries(engine, clock)),
                console.routes(),
            ]
        ),
        Address("127.0.0.1", 0),
    )
    listener.start()
    stack.push_async_callback(listener.stop)
    return f"http://127.0.0.1:{listener.address.port}"


@pytest.fixture(scope="module")
def server(data_directory: Path) -> Iterator[str]:
    engine = EmbeddedEngine.open(data_directory, database="console_context")
    migrate(engine, Retention(default=None))
    now = time.time_ns()
    workloads = (Workload("keeps-v1.shop", rate=4), Workload("half-v1.shop", rate=4, keeps_trace=0.5))
    made = [one for seed, workload in enumerate(workloads) for one in traffic(workload, seed, 30)]
    made = [dataclasses.replace(one, start=one.start - T0 + now - 60 * SECOND) for one in made]
    store_entries(engine, entries(made))
    store_spans(engine, [*spans(made), *(span for n in range(1, CALLS + 1) for span in _call(n, now - n * SECOND))])
    with in_thread(lambda stack: _start(engine, stack)) as url:
        yield url
    engine.command("DROP DATABASE console_context")
    engine.close()


def test_calls_are_drawn_listed_and_lead_to_their_traces(page: Page) -> None:
    page.goto("/dependencies")
    expect(page.get_by_test_id("graph-node").first).to_be_visible()
    row = page.get_by_test_id("dependencies").locator("tr", has_text="db.data")
    expect(row).to_contain_text("10 (25.0%)")
    expect(page.get_by_test_id("service-paths")).to_contain_text("web")
    row.get_by_role("button", name="db.data").click()
    expect(page.get_by_test_id("dependency-count")).to_have_text("1 calls between services")
    expect(page.get_by_test_id("service-paths").locator("tbody tr")).to_have_count(1)
    page.get_by_test_id("dependency-source").get_by_text("Access logs").click()
    expect(page.get_by_test_id("empty-state")).to_be_visible()
    page.get_by_test_id("dependency-source").get_by_text("Spans").click()
    row.get_by_role("link", name="10 (25.0%)").click()
    expect(page.get_by_test_id("trace-count")).to_have_text("10 traces")


def test_what_loses_context_is_told_with_advice_and_examples(page: Page) -> None:
    page.goto("/propagation")
    table = page.get_by_test_id("propagation")
    expect(table.locator("tr", has_text="half-v1")).to_contain_text("loses context")
    expect(table.locator("tr", has_text="keeps-v1")).to_contain_text("keeps it")
    card = page.get_by_test_id("propagation-workload")
    expect(card).to_contain_text("traceparent")
    expect(card.locator("h2")).to_have_text("half-v1.shop")
    page.get_by_test_id("propagation-examples").get_by_text("Whole, with inferred links").first.click()
    expect(page.get_by_test_id("trace-inferred")).to_contain_text("1 attached")
    expect(page.get_by_test_id("span-inferred")).to_have_text("100%")
    attached = page.get_by_test_id("span-row").count()
    page.get_by_test_id("trace-inferred").locator("label").click()
    expect(page.get_by_test_id("span-inferred")).to_have_count(0)
    expect(page.get_by_test_id("span-row")).not_to_have_count(attached)


def test_no_page_is_wider_than_the_window_in_chinese(page: Page) -> None:
    page.goto("/dependencies")
    page.get_by_test_id("language").click()
    for path in ("dependencies", "propagation"):
        page.goto(f"/{path}")
        page.locator("main table").first.wait_for()
        for width in (1280, 1920):
            page.set_viewport_size({"width": width, "height": width * 9 // 16})
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (path, width)
