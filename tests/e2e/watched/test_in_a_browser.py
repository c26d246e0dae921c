"""The console in a real Chromium against the demo, after tests that need none: charts want a minute of samples."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from demo_process import SERVICES, Demo
from page_complaints import complaints_of
from playwright.sync_api import Page, expect, sync_playwright

CHROMIUM = shutil.which("chromium")
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
SPLIT = """
() => {
  const reviews = window.__windvane.graph.nodes.filter(node => node.app === "reviews");
  const shares = Object.fromEntries(reviews.map(node => [node.version, node.share]));
  return reviews.length === 3 && Math.abs(shares.v1 - 0.9) < 0.06 && shares.v2 < 0.15 && shares.v3 < 0.06;
}
"""
"""The split as weighted, once there were requests enough for all three versions."""
HTTP_EDGES = """
() => {
  const graph = window.__windvane.graph, apps = Object.fromEntries(graph.nodes.map(node => [node.id, node.app]));
  const edges = graph.edges.filter(edge => ["http", "grpc"].includes(edge.protocol) && apps[edge.source]);
  return edges.length >= 10 && edges.every(edge => edge.mtls === 1);
}
"""
"""Every HTTP edge is under mutual TLS. An edge that appeared a moment ago is known from its client alone,
which cannot tell, so this is waited for."""

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.timeout(240),
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed (Debian: apt install chromium)"),
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield browser
        browser.close()


@pytest.fixture
def page(chromium: Any) -> Iterator[Page]:
    """A page that fails its test when the browser's console saw an error or a warning."""
    context = chromium.new_context(viewport={"width": 1280, "height": 720}, locale="en-GB")
    shown = context.new_page()
    complaints = complaints_of(shown)
    shown.set_default_timeout(30_000)
    yield shown
    context.close()
    assert complaints == []


def graph(page: Page) -> dict[str, Any]:
    return page.evaluate("window.__windvane.graph")  # type: ignore[no-any-return]


def open_graph(page: Page, demo: Demo, query: str = "") -> dict[str, Any]:
    page.goto(f"{demo.url}/{query}")
    services = sorted(SERVICES)
    page.wait_for_function(
        "names => names.every(name => (window.__windvane.graph?.nodes ?? []).some(node => node.app === name))",
        arg=services,
        timeout=90_000,
    )
    return graph(page)


def test_the_graph_shows_services_split_and_locks(page: Page, demo: Demo) -> None:
    seen = open_graph(page, demo)
    expect(page.get_by_test_id("graph-node").first).to_be_visible()
    assert {node["version"] for node in seen["nodes"] if node["app"] == "reviews"} >= {"v1"}
    page.wait_for_function(SPLIT, timeout=60_000)
    page.wait_for_function(HTTP_EDGES, timeout=60_000)


def test_nodes_stay_where_they_are_over_a_refresh(page: Page, demo: Demo) -> None:
    before = open_graph(page, demo)["positions"]
    page.get_by_test_id("refresh-now").click()
    page.wait_for_timeout(1_500)
    after = graph(page)["positions"]
    assert {key: after[key] for key in before if key in after} == before


def test_a_click_on_a_node_shows_its_signals_and_traces(page: Page, demo: Demo) -> None:
    seen = open_graph(page, demo)
    frontend = next(node for node in seen["nodes"] if node["app"] == "frontend")
    page.locator(f"[data-node='{frontend['id']}']").click()
    panel = page.get_by_test_id("side-panel")
    expect(panel).to_contain_text("frontend")
    expect(panel.locator("canvas").first).to_be_visible()
    expect(panel.locator("a[href*='/traces/']").first).to_be_visible()


def test_a_trace_opens_as_a_waterfall_with_its_access_logs(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/traces")
    page.get_by_test_id("trace-results").locator("a").last.click()  # the oldest: all its spans have arrived
    expect(page.get_by_test_id("waterfall")).to_be_visible()
    shown = page.evaluate("window.__windvane.trace")
    assert shown["roots"] == 1
    assert shown["spans"] >= 4
    page.get_by_test_id("span-row").first.click()
    expect(page.get_by_test_id("access-logs")).to_be_visible()


def test_the_status_page_shows_sidecars_and_configuration(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/status")
    expect(page.get_by_test_id("proxies")).to_contain_text("frontend-v1")
    expect(page.get_by_test_id("config")).to_be_visible()
    expect(page.get_by_test_id("ingest")).to_be_visible()


def test_the_console_speaks_chinese_when_asked_and_remembers(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/services")
    page.get_by_test_id("language").click()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    page.reload()
    expect(page.locator("html")).to_have_attribute("lang", "zh-CN")
    expect(page.get_by_role("heading", level=1)).to_have_text("服务")


def test_the_demo_scrapes_itself_so_that_its_dashboard_has_data(page: Page, demo: Demo) -> None:
    page.goto(f"{demo.url}/targets")
    expect(page.get_by_test_id("target")).to_have_attribute("data-health", "up", timeout=60_000)
    page.goto(f"{demo.url}/dashboards/windvane-server")
    received = page.get_by_test_id("panel").filter(has_text="Records received").first
    expect(received.get_by_test_id("stat-value")).to_contain_text("/s", timeout=90_000)
