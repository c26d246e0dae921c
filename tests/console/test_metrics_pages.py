"""The console's metrics pages in a real Chromium, on a server with a real store, rules and targets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from console_browser import NEEDS_BROWSER
from console_server import TRACE, serving
from playwright.sync_api import Page, expect

from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

BY_SERVICE = 'sum by (destination_service_name) (rate(istio_requests_total{reporter="source"}[1m]))'
BUCKETS = "sum by (le) (rate(istio_request_duration_milliseconds_bucket[1m]))"

expect.set_options(timeout=20_000)

pytestmark = NEEDS_BROWSER


@pytest.fixture(scope="module")
def server(data_directory: Path, tmp_path_factory: pytest.TempPathFactory, unused_port: int) -> Iterator[str]:
    engine = EmbeddedEngine.open(data_directory, database="console")
    migrate(engine, Retention(default=None))
    with serving(engine, tmp_path_factory.mktemp("console"), unused_port) as url:
        yield url
    engine.command("DROP DATABASE console")
    engine.close()


@pytest.fixture(scope="module")
def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def explore(page: Page, *queries: str, **options: str) -> None:
    page.goto(f"/explore?{urlencode([('q', query) for query in queries] + list(options.items()))}")


def test_a_query_is_completed_run_and_shared_by_its_address(page: Page) -> None:
    page.goto("/explore")
    page.get_by_test_id("promql-editor").click()
    page.keyboard.type("istio_tcp_sent_by")
    page.locator(".cm-tooltip-autocomplete li", has_text="istio_tcp_sent_bytes_total").wait_for()
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("promql-editor").locator(".cm-content")).to_have_text("istio_tcp_sent_bytes_total")
    page.keyboard.press("Enter")
    expect(page.get_by_test_id("legend-row")).to_have_count(2)
    assert "q=istio_tcp_sent_bytes_total" in page.url
    page.reload()
    expect(page.get_by_test_id("legend-row")).to_have_count(2)


def test_queries_that_were_run_can_be_run_again(page: Page) -> None:
    page.goto("/explore")
    page.get_by_test_id("recent-queries").click()
    expect(page.locator(".recent-queries")).to_contain_text("kept here")
    page.keyboard.press("Escape")
    page.get_by_test_id("promql-editor").click()
    page.keyboard.type("vector(7)")
    page.get_by_test_id("run-query").click()
    expect(page.get_by_test_id("legend-row")).to_have_count(1)
    page.goto("/explore")
    page.get_by_test_id("recent-queries").click()
    page.locator(".recent-queries button", has_text="vector(7)").click()
    expect(page.get_by_test_id("legend-row")).to_have_count(1)
    expect(page.get_by_test_id("promql-editor").locator(".cm-content")).to_have_text("vector(7)")


def test_series_can_be_hidden_shown_alone_and_explained(page: Page) -> None:
    explore(page, BY_SERVICE, BUCKETS, range="15m")
    rows = page.get_by_test_id("legend-row")
    expect(rows).to_have_count(2 + 14)
    rows.first.get_by_role("button").first.click()
    expect(page.locator("tr.legend-off")).to_have_count(1)
    rows.first.get_by_role("button").last.click()
    expect(page.locator("tr.legend-off")).to_have_count(15)
    page.get_by_test_id("explain-toggle").click()
    explained = page.get_by_test_id("explain")
    expect(explained).to_contain_text('{__name__="istio_requests_total", reporter="source"}')
    expect(explained.locator(".explain-nodes")).to_have_count(2)
    assert "explain=1" in page.url
    expect(page.get_by_test_id("query-cost").first).to_contain_text("samples read")


def test_answers_are_shown_as_a_table_and_as_a_heatmap(page: Page) -> None:
    explore(page, BY_SERVICE, view="table")
    expect(page.get_by_test_id("metrics-table").locator("tbody tr")).to_have_count(2)
    explore(page, BUCKETS, view="heatmap")
    expect(page.locator(".heatmap canvas")).to_be_visible()
    page.get_by_test_id("metrics-view").get_by_text("Graph").click()
    expect(page.get_by_test_id("legend-row")).to_have_count(14)


def test_an_error_is_shown_with_its_place(page: Page) -> None:
    explore(page, "sum by (a) (rate(b[5m])")
    expect(page.get_by_test_id("query-error")).to_contain_text("Line 1, column")
    expect(page.get_by_test_id("promql-editor").locator(".cm-lintRange-error")).to_have_count(1)


def test_exemplars_lead_to_their_traces(page: Page) -> None:
    explore(page, "rate(istio_request_duration_milliseconds_bucket[1m])", exemplars="1", range="15m")
    expect(page.get_by_test_id("exemplar")).to_have_attribute("href", f"/traces/{TRACE}")


def test_dashboards_are_drawn_from_their_definitions(page: Page) -> None:
    page.goto("/dashboards")
    expect(page.get_by_test_id("dashboard-list").locator("li")).to_have_count(8)
    page.get_by_text("Istio mesh", exact=True).click()
    expect(page.get_by_test_id("stat-value").first).to_contain_text("/s")
    success = page.get_by_test_id("panel").filter(has_text="Success rate").first
    expect(success.get_by_test_id("stat-value")).to_have_text("98.00%")
    page.get_by_role("link", name="reviews-v2").click()
    page.wait_for_url("**/dashboards/istio-workload?*")
    expect(page.get_by_test_id("variable-workload")).to_have_value("reviews-v2")


def test_a_variable_changes_what_panels_ask(page: Page) -> None:
    page.goto("/dashboards/istio-service?range=15m")
    expect(page.get_by_test_id("variable-service")).to_have_value("cart.shop.svc.cluster.local")
    page.get_by_test_id("variable-service").select_option("reviews.shop.svc.cluster.local")
    page.wait_for_url("**var-service=reviews*")
    first = page.get_by_test_id("panel").first
    explorer = first.locator(f"a[href*='{quote('reviews.shop.svc', safe='')}']")
    expect(explorer).to_have_count(1)
    first.get_by_test_id("panel-zoom").click()
    expect(page.get_by_test_id("panel")).to_have_count(1)
    page.keyboard.press("Escape")
    expect(page.get_by_test_id("panel").nth(1)).to_be_visible()


def test_leaving_a_dashboard_cancels_what_it_still_asks(page: Page) -> None:
    held: list[Any] = []

    def hold(route: Any) -> None:
        held.append(route)

    page.route("**/api/v1/query_range**", hold)
    with page.expect_request("**/api/v1/query_range**"):
        page.goto("/dashboards/istio-mesh")
    with page.expect_event("requestfailed"):
        page.get_by_role("link", name="Alerts").click()
    page.unroute_all(behavior="ignoreErrors")


def test_rules_tell_their_state_and_their_alerts(page: Page) -> None:
    page.goto("/alerts?refresh=5s")
    firing = page.locator("[data-testid=rule][data-state=firing]")
    expect(firing).to_contain_text("ServiceFails")
    expect(page.get_by_test_id("active-alerts").locator("tbody tr")).to_have_count(2)
    expect(page.locator("[data-testid=rule][data-state=broken]")).to_contain_text("CannotBeAsked")
    page.get_by_test_id("state-inactive").click()
    expect(page.get_by_test_id("rule")).to_have_count(1)
    expect(page.get_by_test_id("rule")).to_contain_text("NothingComesIn")


def test_targets_tell_their_health_and_why(page: Page) -> None:
    page.goto("/targets?refresh=5s")
    expect(page.locator("[data-testid=target][data-health=up]")).to_contain_text("job=windvane")
    down = page.locator("[data-testid=target][data-health=down]")
    expect(down.locator(".target-error")).not_to_be_empty()
    down.get_by_role("button").click()
    expect(page.locator(".target-details")).to_contain_text("__address__")


def test_cardinality_leads_into_the_explorer(page: Page) -> None:
    page.goto("/cardinality")
    tables = page.get_by_test_id("cardinality-table")
    expect(tables.first).to_contain_text("istio_request_duration_milliseconds_bucket")
    tables.first.get_by_role("link").first.click()
    page.wait_for_url("**/explore?*")
    expect(page.get_by_test_id("metrics-table").locator("tbody tr").first).to_be_visible()


@pytest.mark.parametrize("path", ["/explore", "/dashboards/istio-service", "/alerts", "/targets", "/cardinality"])
@pytest.mark.parametrize("width", [1280, 1920])
def test_no_page_is_wider_than_the_window(page: Page, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": width * 9 // 16})
    page.goto(path)
    page.locator("main h1, main .state").first.wait_for()
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def test_pages_speak_chinese(page: Page) -> None:
    page.goto("/dashboards/istio-mesh")
    page.get_by_test_id("language").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Istio 网格")
    expect(page.get_by_test_id("panel").first).to_contain_text("请求速率")
