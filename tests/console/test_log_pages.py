"""The console's pages about logs in a real Chromium, on a server with a real store."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pytest
from console_browser import NEEDS_BROWSER, in_thread
from playwright.sync_api import Page, expect
from telemetry_rows import store_entries, store_logs, store_spans

from windvane.api import console
from windvane.api.app import build_app
from windvane.api.jaeger import http as jaeger
from windvane.api.jaeger.queries import JaegerQueries
from windvane.api.windvane import analysis, logs, logs_tail, telemetry
from windvane.api.windvane.analysis_exemplars import istio_naming
from windvane.app.web import WebListener
from windvane.ingest.istio_labels import Directory
from windvane.kit.clock import SystemClock
from windvane.kit.values import Address
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.logs.tail import Tail, TailSettings
from windvane.tracing.model import Span

SECOND = 10**9
TRACE, SPAN, REQUEST = f"{0xABC:032x}", f"{0xDEF:016x}", "11111111-2222-4333-8444-555555555555"

expect.set_options(timeout=20_000)

pytestmark = NEEDS_BROWSER


async def _start(engine: Engine, stack: contextlib.AsyncExitStack) -> str:
    clock = SystemClock()
    listener = WebListener(
        build_app(
            [
                logs.routes(engine, clock),
                logs_tail.routes(Tail(engine, clock, TailSettings(interval=0.05))),
                analysis.routes(engine, clock, istio_naming(lambda: Directory(services=pd.DataFrame()))),
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
def engine(data_directory: Path) -> Iterator[Engine]:
    engine = EmbeddedEngine.open(data_directory, database="console_logs")
    migrate(engine, Retention(default=None))
    now = time.time_ns()
    _store(engine, now)
    yield engine
    engine.command("DROP DATABASE console_logs")
    engine.close()


def _store(engine: Engine, now: int) -> None:
    """240 lines of cart in ten minutes, ten of them errors; one failed call of a trace that has a line of pay."""
    store_logs(
        engine,
        [{"Timestamp": now - (2 * i + 1) * SECOND, "Body": f"order {i} stored in {i + 7} ms" if i % 24 else "no stock",
          "SeverityNumber": 9 if i % 24 else 17, "ServiceName": "cart.shop",
          "LogAttributes": {"zone": "b" if i % 3 else "a"}} for i in range(240)],
    )  # fmt: skip
    at = now - 700 * SECOND
    store_logs(
        engine,
        [{"Timestamp": at, "Body": "card refused", "SeverityNumber": 13, "ServiceName": "pay.shop", "TraceId": TRACE,
          "SpanId": SPAN}],
    )  # fmt: skip
    store_entries(
        engine,
        [{"Timestamp": at + 1, "Method": "POST", "Authority": "pay.shop", "Path": "/charge", "ResponseCode": 503,
          "ResponseFlags": "UF", "RequestId": REQUEST, "TraceId": TRACE, "Reporter": "source", "DurationNs": 5 * 10**6,
          "UpstreamCluster": "outbound|80||pay.shop.svc.cluster.local"}],
    )  # fmt: skip
    store_spans(
        engine,
        [Span(trace_id=TRACE, span_id=SPAN, parent_id="", name="POST /charge", kind="Server", service="pay.shop",
              start_ns=at - SECOND, duration_ns=2 * SECOND)],
    )  # fmt: skip


@pytest.fixture(scope="module")
def server(engine: Engine) -> Iterator[str]:
    with in_thread(lambda stack: _start(engine, stack)) as url:
        yield url


def test_lines_are_found_page_after_page(page: Page) -> None:
    page.goto("/logs?kind=log")
    expect(page.get_by_test_id("log-count")).to_have_text("100 lines, more to come")
    page.get_by_test_id("load-more").click()
    expect(page.get_by_test_id("log-count")).to_have_text("200 lines, more to come")
    page.get_by_test_id("load-more").click()
    expect(page.get_by_test_id("log-count")).to_have_text("241 lines")
    page.get_by_test_id("log-sort").select_option("oldest")
    expect(page.get_by_test_id("log-line").first).to_contain_text("card refused")


def test_a_query_is_completed_and_kept_in_the_address(page: Page) -> None:
    page.goto("/logs")
    page.get_by_test_id("log-query").click()
    page.keyboard.type("zon")
    page.locator(".cm-tooltip-autocomplete li", has_text="zone").wait_for()
    page.keyboard.press("Enter")
    page.keyboard.press("Control+Space")
    page.locator(".cm-tooltip-autocomplete li", has_text="80 lines").wait_for()
    page.keyboard.press("Escape")
    page.keyboard.type("a")
    page.keyboard.press("Escape")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("log-count")).to_have_text("80 lines")
    assert "q=log.zone%3Aa" in page.url
    page.get_by_role("button", name="Errors").click()
    expect(page.get_by_test_id("log-count")).to_have_text("10 lines")
    page.goto("/logs?q=service:cart (x")
    expect(page.get_by_test_id("query-error")).to_contain_text("Character 14")


def test_values_of_a_line_narrow_the_query(page: Page) -> None:
    page.goto("/logs?q=severity:error service:cart.shop")
    page.get_by_test_id("log-line").first.click()
    details = page.get_by_test_id("log-details")
    expect(details).to_contain_text("no stock")
    details.get_by_label("Exclude: body:").click()
    expect(page.get_by_test_id("empty-state")).to_be_visible()
    page.go_back()
    page.get_by_test_id("log-line").first.click()
    page.get_by_test_id("log-details").get_by_label("Add to query: log.zone:a").click()
    expect(page.get_by_test_id("log-query").locator(".cm-content")).to_have_text(
        "severity:error service:cart.shop log.zone:a"
    )
    expect(page.get_by_test_id("log-count")).to_have_text("10 lines")


def test_a_part_of_the_histogram_narrows_the_time_and_a_name_the_query(page: Page) -> None:
    page.goto("/logs")
    bars = page.get_by_test_id("log-histogram")
    bars.locator("rect").first.wait_for()
    page.locator(".log-key button", has_text="error").click()
    expect(page.get_by_test_id("log-count")).to_have_text("11 lines")
    page.get_by_test_id("log-by").get_by_text("Status").click()
    expect(page.locator(".log-key")).to_contain_text("5xx 1")
    box = bars.bounding_box()
    assert box is not None
    page.mouse.move(box["x"] + 60, box["y"] + 40)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] * 0.4, box["y"] + 40)
    page.mouse.up()
    page.wait_for_url("**from=**")
    expect(page.get_by_test_id("log-count")).to_have_text("1 lines")
    expect(page.get_by_test_id("log-line")).to_contain_text("/charge")


def test_lines_are_followed_paused_and_none_is_missed(page: Page, engine: Engine) -> None:
    def write(*bodies: str) -> None:
        now = time.time_ns()
        store_logs(
            engine, [{"Timestamp": now, "Body": body, "SeverityNumber": 9, "ServiceName": "tail"} for body in bodies]
        )

    page.goto("/logs?q=service:tail")
    page.get_by_test_id("log-live").click()
    expect(page.get_by_test_id("log-status")).to_have_text("following")
    lines = page.get_by_test_id("log-line")
    write("first", "second")
    expect(lines).to_have_count(2)
    page.get_by_test_id("log-pause").click()
    expect(page.get_by_test_id("log-status")).to_contain_text("paused")
    write("third")
    page.get_by_test_id("log-pause").click()
    expect(lines).to_have_count(3)
    expect(lines.first).to_contain_text("third")
    page.get_by_test_id("log-live").click()
    expect(lines).to_have_count(3)  # found again by the search


def test_patterns_tell_what_is_new_and_find_their_lines(page: Page) -> None:
    page.goto("/logs/patterns?kind=log&range=5m")
    patterns = page.get_by_test_id("log-patterns")
    expect(patterns).to_contain_text("order <*> stored in <*> ms")
    page.get_by_text("Compare with the 5 min before").click()
    page.get_by_test_id("pattern-change").get_by_text("Gone").click()
    expect(page.get_by_test_id("empty-state")).to_be_visible()
    page.get_by_test_id("pattern-change").get_by_text("All").click()
    page.get_by_test_id("log-pattern").filter(has_text="no stock").click()
    expect(page.get_by_test_id("log-line").first).to_contain_text("no stock")
    expect(page.get_by_test_id("log-count")).not_to_contain_text("more")


def test_a_trace_has_its_lines(page: Page) -> None:
    page.goto("/logs?q=refused&kind=log")
    page.get_by_test_id("log-line").click()
    page.get_by_test_id("log-trace").click()
    page.wait_for_url(f"**/traces/{TRACE}?span={SPAN}")
    page.get_by_test_id("span-row").wait_for()
    page.keyboard.press("5")
    lines = page.get_by_test_id("trace-logs").get_by_test_id("log-line")
    expect(lines).to_have_count(2)
    expect(lines.nth(1)).to_contain_text("503")
    lines.nth(1).click()
    page.get_by_label("Add to query: response_flags:UF").click()
    expect(page.get_by_test_id("log-count")).to_have_text("1 lines")


def test_no_page_about_logs_is_wider_than_the_window_in_chinese(page: Page) -> None:
    page.goto("/logs")
    page.get_by_test_id("language").click()
    for path in ("logs", "logs/patterns?compare=on", f"traces/{TRACE}?view=logs"):
        page.goto(f"/{path}")
        page.locator("main h1").first.wait_for()
        for width in (1280, 1920):
            page.set_viewport_size({"width": width, "height": width * 9 // 16})
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), (path, width)
