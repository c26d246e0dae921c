"""The console's pages about traces in a real Chromium, on a server with a real store."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import orjson
import pandas as pd
import pytest
from console_browser import NEEDS_BROWSER, in_thread
from playwright.sync_api import Page, Route, expect
from telemetry_rows import store_spans

from windvane.api import console
from windvane.api.app import build_app
from windvane.api.jaeger import http as jaeger
from windvane.api.jaeger.queries import JaegerQueries
from windvane.api.windvane import analysis, telemetry, traces
from windvane.api.windvane.analysis_exemplars import istio_naming
from windvane.app.web import WebListener
from windvane.ingest.istio_labels import Directory
from windvane.kit.clock import SystemClock
from windvane.kit.values import Address
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.model import Span

MS = 10**6
FAILED = f"{32:032x}"
BIG_SPANS = 20_000

expect.set_options(timeout=20_000)

pytestmark = NEEDS_BROWSER


def _trace(number: int, start_ns: int, *, slow: bool, failed: bool) -> list[Span]:
    """A request to web that calls db three times; a slow one waits in db, a failed one fails there."""
    ids = {"trace_id": f"{number:032x}", "kind": "Server"}
    length = (40 if slow else 4) * MS
    root = Span(span_id=f"{1:016x}", parent_id="", name="GET /", service="web.shop", start_ns=start_ns,
                duration_ns=3 * length + 10 * MS, status="Error" if failed else "Unset", **ids)  # fmt: skip
    calls = [
        Span(span_id=f"{2 + n:016x}", parent_id=root.span_id, name=f"SELECT {n}", service="db.shop",
             start_ns=start_ns + (n + 1) * MS + n * length, duration_ns=length,
             status="Error" if failed and n == 2 else "Unset",
             attributes={"db.version": "2" if slow else "1"}, **ids)
        for n in range(3)
    ]  # fmt: skip
    return [root, *calls]


async def _start(engine: Engine, stack: contextlib.AsyncExitStack) -> str:
    clock = SystemClock()
    naming = istio_naming(lambda: Directory(services=pd.DataFrame()))
    listener = WebListener(
        build_app(
            [
                traces.routes(engine, clock),
                analysis.routes(engine, clock, naming),
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
    engine = EmbeddedEngine.open(data_directory, database="console_traces")
    migrate(engine, Retention(default=None))
    now = time.time_ns()
    slow, failed = range(31, 71), range(32, 71, 2)
    spans = [_trace(n, now - (200 - n) * 1000 * MS, slow=n in slow, failed=n in failed) for n in range(1, 71)]
    store_spans(engine, [span for trace in spans for span in trace])
    with in_thread(lambda stack: _start(engine, stack)) as url:
        yield url
    engine.command("DROP DATABASE console_traces")
    engine.close()


def test_a_query_is_completed_run_and_kept_in_the_address(page: Page) -> None:
    page.goto("/traces")
    expect(page.get_by_test_id("trace-count")).to_have_text("50 traces, more to come")
    page.get_by_test_id("load-more").click()
    expect(page.get_by_test_id("trace-count")).to_have_text("70 traces")
    page.get_by_test_id("trace-query").click()
    page.keyboard.type("db.ver")
    page.locator(".cm-tooltip-autocomplete li", has_text="db.version").wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Space")
    page.locator(".cm-tooltip-autocomplete li", has_text="spans").first.wait_for()
    page.keyboard.press("Escape")
    page.keyboard.type("2")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("trace-count")).to_have_text("40 traces")
    expect(page.get_by_test_id("trace-matches").first).to_contain_text("SELECT 0")
    assert "q=db.version%3A2" in page.url
    page.reload()
    expect(page.get_by_test_id("trace-query").locator(".cm-content")).to_have_text("db.version:2")
    page.get_by_test_id("trace-service").select_option("web.shop")
    expect(page.get_by_test_id("trace-query").locator(".cm-content")).to_have_text("db.version:2 service:web.shop")
    expect(page.get_by_test_id("empty-state")).to_be_visible()  # no one span is both
    page.get_by_test_id("recent-queries").click()
    page.locator(".recent-queries button", has_text="db.version:2").last.click()
    expect(page.get_by_test_id("trace-count")).to_have_text("40 traces")


def test_a_mistake_is_shown_with_its_place(page: Page) -> None:
    page.goto("/traces?q=service:web (x")
    expect(page.get_by_test_id("query-error")).to_contain_text("Character 13")
    expect(page.get_by_test_id("trace-query").locator(".cm-lintRange-error")).to_have_count(1)


def test_a_part_of_the_heat_map_narrows_time_and_duration(page: Page) -> None:
    page.goto("/traces")
    heat = page.get_by_test_id("trace-heatmap")
    heat.wait_for()
    box = heat.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + box["width"] * 0.5, box["y"] + 15)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 20, box["y"] + 60)
    page.mouse.up()
    page.wait_for_url("**from=**")
    expect(page.get_by_test_id("trace-query").locator(".cm-content")).to_contain_text("duration:[")
    expect(page.get_by_test_id("trace-count")).to_contain_text("traces")


def test_two_traces_chosen_in_the_list_are_compared(page: Page) -> None:
    page.goto("/traces?sort=oldest")
    rows = page.get_by_test_id("trace-results").get_by_label("Choose for comparison")
    rows.nth(0).check(force=True)
    rows.nth(31).check(force=True)
    page.get_by_role("button", name="Compare 2 of 2").click()
    compared = page.get_by_test_id("comparison")
    expect(compared).to_contain_text("failed")
    expect(compared.locator("tbody tr").first).to_contain_text("web")
    page.get_by_text("Swap").click()
    expect(compared).to_contain_text("recovered")


def test_a_trace_is_read_by_keyboard(page: Page) -> None:
    page.goto(f"/traces/{FAILED}")
    expect(page.get_by_test_id("span-row")).to_have_count(4)
    expect(page.locator(".span-critical").first).to_be_visible()
    page.keyboard.press("x")
    expect(page.get_by_test_id("span-panel")).to_contain_text("SELECT 2")
    page.wait_for_url("**span=*4*")
    page.get_by_test_id("span-form").get_by_text("Raw").click()
    assert json.loads(page.get_by_test_id("span-raw").inner_text())["operationName"] == "SELECT 2"
    page.keyboard.press("Escape")
    page.keyboard.press("[")
    expect(page.get_by_test_id("span-row")).to_have_count(1)
    page.keyboard.press("e")
    page.keyboard.press("/")
    page.keyboard.type("SELECT 1")
    expect(page.locator(".field-note")).to_have_text("0 of 1")
    page.keyboard.press("Enter")
    expect(page.locator(".span-row.chosen")).to_contain_text("SELECT 1")
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_test_id("key-help")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("key-help")).to_have_count(0)


def test_a_trace_has_four_views_and_two_files(page: Page) -> None:
    page.goto(f"/traces/{FAILED}#span={4:016x}")
    expect(page.get_by_test_id("span-panel")).to_contain_text("SELECT 2")
    page.keyboard.press("2")
    page.get_by_test_id("flame-canvas").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("flame-described")).to_contain_text("db.shop")
    page.get_by_test_id("flame-reset").click()
    page.get_by_test_id("trace-view").get_by_text("Spans").click()
    page.get_by_role("button", name="Duration").click()
    expect(page.get_by_test_id("span-table-row").first).to_contain_text("GET /")
    page.get_by_test_id("trace-view").get_by_text("Statistics").click()
    page.get_by_test_id("stats-by").select_option("db.version")
    expect(page.get_by_test_id("trace-statistics").locator("tbody tr")).to_have_count(2)
    for name, key in (("jaeger", "data"), ("otlp", "resourceSpans")):
        page.get_by_test_id("trace-export").click()
        with page.expect_download() as download:
            page.get_by_test_id(f"export-{name}").click()
        assert key in orjson.loads(download.value.path().read_bytes())


def test_twenty_thousand_spans_are_a_page_of_rows(page: Page) -> None:
    def answer(route: Route) -> None:
        route.fulfill(body=_big_trace(), content_type="application/json")

    page.route(f"**/api/traces/{FAILED}", answer)
    page.goto(f"/traces/{FAILED}")
    rows = page.get_by_test_id("span-row")
    rows.first.wait_for()
    assert page.evaluate("window.__windvane.trace.spans") == BIG_SPANS
    page.locator(".waterfall-rows").evaluate("rows => { rows.scrollTop = rows.scrollHeight }")
    expect(rows.last).to_contain_text(f"op {BIG_SPANS - 1}")
    assert rows.count() < 100
    page.get_by_test_id("trace-find").fill("op 1500")
    expect(page.locator(".field-note")).to_have_text("0 of 11")


def _big_trace() -> bytes:
    """A root and chains of ten below it."""
    spans = [
        {
            "traceID": FAILED, "spanID": f"{n:016x}", "operationName": f"op {n}", "processID": "p",
            "startTime": 10**15 + n, "duration": 10 if n else BIG_SPANS,
            "references": [{"refType": "CHILD_OF", "traceID": FAILED, "spanID": f"{0 if n % 10 == 1 else n - 1:016x}"}]
            if n else [],
        }
        for n in range(BIG_SPANS)
    ]  # fmt: skip
    return orjson.dumps({"data": [{"traceID": FAILED, "spans": spans, "processes": {"p": {"serviceName": "s"}}}]})


def test_critical_paths_and_what_would_help(page: Page) -> None:
    page.goto("/traces/critical-path")
    owners = page.get_by_test_id("paths-owners")
    expect(owners.locator("tbody tr").first).to_contain_text("db.shop")
    page.get_by_test_id("paths-kind").get_by_text("Calls").click()
    expect(owners).to_contain_text("web.shop → db.shop")
    page.get_by_test_id("paths-kind").get_by_text("Services").click()
    owners.get_by_label("What if it were faster: db.shop").click()
    answered = page.get_by_test_id("what-if").locator("tbody tr")
    expect(answered).to_have_count(1)
    page.get_by_test_id("what-if-faster").fill("100")
    expect(answered).to_contain_text("−9")


def test_what_tells_failed_traces_apart_narrows_the_query(page: Page) -> None:
    page.goto("/traces/cohorts?q=service:db.shop")
    differences = page.get_by_test_id("cohort-differences")
    differences.get_by_role("link", name="attribute db.version = 2").first.click()
    expect(page.get_by_test_id("trace-query").locator(".cm-content")).to_have_text("service:db.shop db.version:2")
    expect(page.get_by_test_id("trace-count")).to_have_text("40 traces")


def test_findings_and_flame_graph_of_many_traces(page: Page) -> None:
    page.goto("/traces/findings")
    expect(page.get_by_test_id("findings-errors")).to_contain_text("SELECT 2")
    page.get_by_role("link", name="Flame graph").click()
    expect(page.get_by_test_id("flame-described")).to_contain_text("70 traces")


def test_no_page_is_wider_than_the_window_in_chinese(page: Page) -> None:
    page.goto("/traces")
    page.get_by_test_id("language").click()
    for path in ("critical-path", "flame", "cohorts", "findings", "compare", FAILED):
        page.goto(f"/traces/{path}")
        page.locator("main h1, main .state").first.wait_for()
        for width in (1280, 1920):
            page.set_viewport_size({"width": width, "height": width * 9 // 16})
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (path, width)
