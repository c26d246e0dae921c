"""Incidents and why in a real Chromium, over a store that holds two incidents: one goes on, one is over."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from console_browser import NEEDS_BROWSER, in_thread
from playwright.sync_api import Page, expect
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from windvane.analytics.baselines import Scope
from windvane.analytics.red import Signal
from windvane.api import console, prometheus
from windvane.api.app import build_app
from windvane.api.prometheus_status import StatusInfo
from windvane.api.windvane import analytics_releases, config_history, incidents
from windvane.api.windvane.telemetry import PREFIX
from windvane.app.web import WebListener
from windvane.history.book import Book
from windvane.incidents.archive import Archive
from windvane.incidents.changes import KnownChanges
from windvane.incidents.desk import Desk, Parts
from windvane.incidents.series import SeriesWriter
from windvane.incidents.values import Anomaly, Change, Event, Incident, Watching
from windvane.kit.clock import SystemClock
from windvane.kit.values import Address
from windvane.promql.engine import QueryEngine
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.store.series import SampleWriter

expect.set_options(timeout=20_000)

pytestmark = NEEDS_BROWSER

GOES_ON, IS_OVER = "goes0n00", "isover00"


def _odd(service: str, start: int, end: int, signal: Signal = "latency") -> Anomaly:
    return Anomaly(Scope("service", "shop", service), signal, start, end, True, 2.0, 9.0, 100.0, 200.0)


def _cause(service: str) -> dict[str, Any]:
    return {
        "service": service, "namespace": "shop", "caller": None, "kind": "service", "only": None,
        "text": f"{service}.shop itself: 9 ms a call usually, 90 ms now", "explains": 0.9, "confidence": 0.8,
        "departure": 9.0, "usual": 9.0, "now": 90.0, "calls_per_minute": 60.0, "flags": {},
        "path": ["front.shop", f"front.shop → {service}.shop", f"{service}.shop"],
        "evidence": [{"kind": "trace", "text": "a slow trace", "at": None, "ref": {"kind": "trace", "id": "ab" * 16}}],
    }  # fmt: skip


def _why(at: int, causes: list[dict[str, Any]]) -> dict[str, Any]:
    return {
        "service": "front", "namespace": "shop", "signal": "latency" if causes else None, "since": at, "at": at,
        "onset": at, "causes": causes, "abstained": not causes, "language": "en", "changes": [],
        "notes": [] if causes else ["looked at its proxy and 2 ways to it"],
        "explanation": [{"text": "cart is slow", "ref": {"kind": "service", "namespace": "shop", "name": "cart"}}]
        if causes else [],
    }  # fmt: skip


def _kept(now: int) -> list[Incident]:
    return [
        Incident(
            GOES_ON, now - 500, "page", "cart answers in 200 ms, 2.0 times the usual 100 ms",
            (_odd("cart", now - 600, now), _odd("front", now - 540, now)),
            events=(Event(now - 500, "noticed"),),
            changes=(Change(now - 660, "version", "version v2 of cart was first seen"),),
            why=_why(now - 500, [_cause("cart")]),
        ),
        Incident(
            IS_OVER, now - 7_000, "ticket", "front gets fewer requests",
            (_odd("front", now - 7_200, now - 6_000, "rate"),), end=now - 6_000,
        ),
    ]  # fmt: skip


async def _answer(request: Request) -> JSONResponse:
    name = request.query_params["service"]
    return JSONResponse(_why(int(time.time()), [_cause("cart")] if name == "front.shop" else []))


async def _services(_: Request) -> JSONResponse:
    row = {
        "namespace": "shop", "host": "", "protocols": ["http"], "rate": 1.0, "error_ratio": 0.0, "p50_ms": None,
        "p95_ms": None, "p99_ms": None, "versions": [], "mtls": None, "health": "Healthy",
    }  # fmt: skip
    return JSONResponse({"services": [{**row, "name": name} for name in ("cart", "front", "other")]})


async def _nothing(_: Request) -> JSONResponse:
    return JSONResponse({"timestamp": 0, "duration": 300, "graphType": "app", "elements": {"nodes": [], "edges": []}})


async def _start(engine: Engine, stack: contextlib.AsyncExitStack) -> str:
    clock = SystemClock()

    ask = analytics_releases.range_asker(QueryEngine(engine))
    desk = Desk(
        Parts(
            Archive(engine), SeriesWriter(SampleWriter(engine)), ask, KnownChanges(Book(engine), ask),
            lambda *_: None, clock, "",
        )
    )  # fmt: skip
    now = clock.now_ns() // 10**9
    desk.archive.write(_kept(now), clock.now_ns())
    watching = Watching(since=now - 86_400, last=now, services=2, scopes=5, days=8.4)
    listener = WebListener(
        build_app(
            [
                incidents.routes(desk, lambda: watching, clock),
                [
                    Route(f"{PREFIX}/analytics/why", _answer),
                    Route(f"{PREFIX}/services", _services),
                    Route("/api/namespaces/graph", _nothing),
                ],
                prometheus.routes(QueryEngine(engine), clock, StatusInfo(started_ms=0)),
                config_history.routes(Book(engine), clock),
                console.routes(),
            ]
        ),
        Address("127.0.0.1", 0),
    )
    listener.start()
    stack.push_async_callback(listener.stop)
    return f"http://127.0.0.1:{listener.address.port}"


@pytest.fixture(scope="module")
def keeps_incidents() -> bool:
    return True


@pytest.fixture(scope="module")
def server(data_directory: Path) -> Iterator[str]:
    engine = EmbeddedEngine.open(data_directory, database="console_insights")
    migrate(engine, Retention(default=None))
    with in_thread(lambda stack: _start(engine, stack)) as url:
        yield url
    engine.command("DROP DATABASE console_insights")
    engine.close()


def test_incidents_are_reached_and_left_by_keyboard_and_told_as_normal(page: Page) -> None:
    page.goto("/insights")
    expect(page.get_by_test_id("open-incidents")).to_contain_text("1")
    rows = page.get_by_test_id("incident-row")
    expect(rows).to_have_count(2)
    rows.nth(1).focus()
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    incident = page.get_by_test_id("incident")
    expect(incident.get_by_test_id("explanation")).to_have_text("cart is slow")
    expect(incident.get_by_test_id("causes")).to_contain_text("cart.shop")
    expect(incident.get_by_test_id("incident-path")).to_contain_text("Latency × 2.00")
    expect(incident.get_by_test_id("incident-timeline")).to_contain_text("version v2 of cart was first seen")
    incident.get_by_test_id("feedback-note").fill("a test of load")
    incident.get_by_test_id("feedback-dismiss").click()
    expect(incident.get_by_test_id("feedback")).to_contain_text("a test of load")
    page.keyboard.press("Escape")
    expect(page).to_have_url(re.compile(r"/insights$"))
    expect(rows.filter(has_text="Not an anomaly")).to_have_count(1)
    expect(page.get_by_test_id("open-incidents")).to_have_count(0)


def test_why_answers_with_causes_or_says_that_nothing_deviates(page: Page) -> None:
    page.goto("/insights/why")
    page.get_by_test_id("why-service").select_option("front.shop")
    answer = page.get_by_test_id("why-answer")
    expect(answer.get_by_role("link", name="cart is slow")).to_have_attribute("href", "/services/shop/cart")
    expect(answer.get_by_role("link", name="a slow trace")).to_have_attribute("href", f"/traces/{'ab' * 16}")
    page.get_by_test_id("why-service").select_option("other.shop")
    expect(page.get_by_test_id("why-healthy")).to_contain_text("looked at its proxy")
