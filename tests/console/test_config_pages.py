"""The configuration's pages in a real Chromium, on a mesh of files whose changes are followed and kept."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any

import pytest
from console_browser import NEEDS_BROWSER, in_thread
from playwright.sync_api import Page, expect

from windvane.api import console
from windvane.api.app import build_app
from windvane.api.windvane import config_editing, config_history, config_resources
from windvane.api.windvane.config_editing import EditSettings
from windvane.app.control import MeshControl
from windvane.app.history import keep_history
from windvane.app.web import WebListener
from windvane.history.book import Book
from windvane.kit.clock import SystemClock
from windvane.kit.values import Address
from windvane.mesh.build import MeshIdentity
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

MESH = """\
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {selector: {app: reviews}, ports: [{name: http, port: 9080}]}
---
{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: reviews-v1, namespace: shop},
 spec: {labels: {app: reviews, version: v1}}}
---
{apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: reviews-v2, namespace: shop},
 spec: {labels: {app: reviews, version: v2}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: nobody, namespace: shop}
spec:
  host: nobody
"""

expect.set_options(timeout=20_000)

pytestmark = NEEDS_BROWSER


def _keep(stack: contextlib.AsyncExitStack, loop: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(loop)

    async def end() -> None:
        task.cancel()
        await asyncio.wait([task])

    stack.push_async_callback(end)


async def _start(engine: Engine, folder: Path, stack: contextlib.AsyncExitStack) -> str:
    clock = SystemClock()
    control = MeshControl((folder,), None, MeshIdentity(), clock)
    await keep_history(control, engine, clock, stack, _keep)
    _keep(stack, control.run())
    faces = [
        config_resources.routes(lambda: control),
        config_history.routes(Book(engine), clock),
        config_editing.routes(control, EditSettings(no_trial="no Envoys in this test"), clock),
        console.routes(),
    ]
    listener = WebListener(build_app(faces), Address("127.0.0.1", 0))
    listener.start()
    stack.push_async_callback(listener.stop)
    return f"http://127.0.0.1:{listener.address.port}"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mesh")
    (folder / "mesh.yaml").write_text(MESH)
    return folder


@pytest.fixture(scope="module")
def server(data_directory: Path, folder: Path) -> Iterator[str]:
    engine = EmbeddedEngine.open(data_directory, database="console_config")
    migrate(engine, Retention(default=None))
    with in_thread(lambda stack: _start(engine, folder, stack)) as url:
        yield url
    engine.command("DROP DATABASE console_config")
    engine.close()


def test_a_resource_shows_what_was_found_at_its_line(page: Page) -> None:
    page.goto("/config?only=findings")
    page.get_by_test_id("config-rows").get_by_text("nobody").click()
    line = page.get_by_test_id("yaml").locator(".yaml-line").filter(has_text="IST0174")
    expect(line).to_contain_text("host: nobody")
    expect(line.locator("i")).to_have_text("16")


def test_a_change_is_drafted_written_and_then_in_the_history(page: Page, folder: Path) -> None:
    page.goto("/config/new?service=shop/reviews")
    page.get_by_test_id("share-v2").fill("25")
    draft = page.get_by_test_id("config-draft")
    expect(draft).to_contain_text("weight: 25")
    expect(page.get_by_test_id("config-trial")).to_contain_text("no Envoys in this test")
    page.get_by_test_id("apply").click()
    expect(page.get_by_test_id("applied")).to_contain_text("Live as version 2")
    assert "weight: 25" in (folder / "reviews-canary.yaml").read_text()
    page.get_by_test_id("applied").get_by_role("link").click()
    expect(page.get_by_test_id("config-changes")).to_contain_text("2 changes")
    expect(page.get_by_test_id("diff").first).to_contain_text("host: reviews")
    page.get_by_test_id("config-versions").get_by_text("Added: 4").click()
    expect(page.get_by_role("heading", name="Version 1")).to_be_visible()
