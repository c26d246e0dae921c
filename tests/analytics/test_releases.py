"""Releases over HTTP and by command: what is answered, who may steer, what series and notifications tell."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from canary_series import NOW, write_version
from click.testing import CliRunner

from windvane.alerting.manager import Notification
from windvane.api.app import build_app
from windvane.api.windvane import releases
from windvane.api.windvane.analytics_releases import range_asker
from windvane.api.windvane.releases import ReleaseSettings
from windvane.app.release_shelf import StoreShelf
from windvane.app.releases import Outside, samples
from windvane.cli.canary import command
from windvane.kit.clock import ManualClock
from windvane.mesh.files import FileSource
from windvane.promql.engine import QueryEngine
from windvane.rollout.evidence import examine
from windvane.rollout.keeper import Keeper
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import NAME, SampleWriter

CANARY = """\
apiVersion: windvane.dev/v1alpha1
kind: Canary
metadata: {name: reviews, namespace: shop}
spec:
  baseline: v1
  canary: v2
  analysis: {interval: 1m, stepWeights: [5, 20, 50], hold: 3m}
"""
ROUTES = """\
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: reviews, namespace: shop}
spec:
  hosts: [reviews]
  http:
    - route:
        - {destination: {host: reviews, subset: v1}, weight: 100}
        - {destination: {host: reviews, subset: v2}, weight: 0}
"""
JSON = {"content-type": "application/json"}


class Told:
    """A notifier that remembers."""

    def __init__(self) -> None:
        self.notifications: list[Notification] = []

    def send(self, notifications: Sequence[Notification]) -> None:
        self.notifications += notifications


class Server:
    """A mesh's folder, a store with two versions' counters, a keeper over both, and its routes."""

    def __init__(self, engine: EmbeddedEngine, folder: Path) -> None:
        self.folder, self.clock, self.notified = folder, ManualClock((NOW - 40 * 60_000) * 10**6), Told()
        (folder / "canary.yaml").write_text(CANARY, encoding="utf-8")
        (folder / "routes.yaml").write_text(ROUTES, encoding="utf-8")
        self.outside = Outside(SampleWriter(engine), self.notified, "http://windvane.example", self.clock)
        self.ask = range_asker(QueryEngine(engine))
        self.shelf = StoreShelf(engine)
        self.keeper = Keeper(lambda *of: examine(self.ask, *of), self.shelf, self.clock, self.outside.told)
        self.app = build_app([releases.routes(self.keeper, self.ask, self.clock, ReleaseSettings())])
        self.source = FileSource([folder])
        self.loop = asyncio.new_event_loop()
        self.tasks = [self.loop.create_task(self.keeper.run()), self.loop.create_task(self.outside.run(self.keeper))]
        self.load()

    def load(self) -> None:
        result = self.source.load()
        self.keeper.given(result.beside, self.source.texts(), whole=result.accepted)
        self.turn()

    def turn(self) -> None:
        async def turns() -> None:
            for _ in range(60):
                await asyncio.sleep(0)

        self.loop.run_until_complete(turns())

    def minutes(self, count: int) -> None:
        for _ in range(count):
            self.clock.advance(60)
            self.turn()

    def request(self, method: str, url: str, **given: Any) -> httpx.Response:
        async def answered() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
                return await client.request(method, httpx.URL(url).path, **given)

        given.pop("timeout", None)
        return self.loop.run_until_complete(answered())

    def steer(self, action: str, **headers: str) -> httpx.Response:
        path = f"/api/windvane/v1/releases/shop/reviews/{action}"
        return self.request("POST", path, content=b"{}", headers=JSON | headers)

    def close(self) -> None:
        for task in self.tasks:
            task.cancel()
        self.loop.run_until_complete(asyncio.gather(*self.tasks, return_exceptions=True))
        self.loop.close()


@pytest.fixture
def server(engine: EmbeddedEngine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    async def at_once(work: Any, *given: Any) -> Any:
        return work(*given)

    monkeypatch.setattr(asyncio, "to_thread", at_once)
    write_version(engine, "v1", minutes=60, requests=600, errors=6)
    write_version(engine, "v2", minutes=60, requests=60, errors=3, born=20)
    running = Server(engine, tmp_path)
    monkeypatch.setattr(httpx, "request", running.request)
    yield running
    running.close()


def test_a_bad_canary_is_rolled_back_and_everything_tells_why(server: Server, engine: EmbeddedEngine) -> None:
    listed = server.request("GET", "/api/windvane/v1/releases").json()
    (row,) = listed["releases"]
    assert (listed["off"], row["phase"], row["weight"], row["verdict"]) == ("", "Progressing", 5, None)
    assert row["actions"] == ["pause", "promote", "rollback"]
    server.minutes(30)
    found = server.request("GET", "/api/windvane/v1/releases/shop/reviews").json()
    assert (found["phase"], found["weight"], found["verdict"]) == ("Failed", 0, "regress")
    assert found["evidence"] >= found["needed"] == pytest.approx(20)
    assert found["events"][0]["weight"] == 5
    assert found["events"][-1]["text"].startswith("rolled back: errors: ")
    assert found["judged"]["findings"][0]["name"] == "errors"
    assert found["judged"]["kayenta"]["label"]
    assert {pod["version"] for pod in found["judged"]["pods"]} == {"v1", "v2"}
    assert max(one["evidence"] for one in found["evidence_over_time"]) >= 20
    assert "weight: 0" in (server.folder / "routes.yaml").read_text(encoding="utf-8").splitlines()[-1]
    (told,) = server.notified.notifications
    assert told.labels["alertname"] == "ReleaseRolledBack"
    assert told.labels["version"] == "v2"
    assert told.generator_url == "http://windvane.example/insights/releases?release=shop/reviews"
    series = {row[NAME]: row | {"value": value} for row, value in samples(server.keeper.named("shop", "reviews"))}
    assert series["flagger_canary_status"]["value"] == 2
    assert series["windvane_release_weight"] == {
        NAME: "windvane_release_weight", "name": "reviews", "namespace": "shop", "service": "reviews",
        "version": "v2", "value": 0.0,
    }  # fmt: skip


def test_states_are_kept_in_the_store(server: Server, engine: EmbeddedEngine) -> None:
    server.minutes(3)
    assert server.steer("pause").json()["phase"] == "Paused"
    kept = StoreShelf(engine).load()["shop", "reviews"]
    assert (kept.canary, kept.state.phase) == ("v2", "Paused")
    (server.folder / "canary.yaml").unlink()
    server.load()
    assert StoreShelf(engine).load() == {}


def test_steering_is_guarded(server: Server) -> None:
    assert server.steer("pause", origin="http://evil.example").status_code == 400
    assert server.steer("jump").json()["error"]["message"].startswith("action 'jump': expected one of pause")
    refused = server.steer("resume")
    assert (refused.status_code, refused.json()["error"]["kind"]) == (409, "conflict")
    path = "/api/windvane/v1/releases/shop/reviews/pause"
    assert server.request("POST", path, content=b'{"x":1}', headers=JSON).status_code == 400
    assert server.request("GET", "/api/windvane/v1/releases/shop/none").status_code == 404


def test_a_server_without_releases_says_so(server: Server) -> None:
    settings = ReleaseSettings("this server carries out no releases: it was started with --no-releases")
    server.app = build_app([releases.routes(None, server.ask, server.clock, settings)])
    assert server.request("GET", "/api/windvane/v1/releases").json() == {"off": settings.off, "releases": []}
    assert server.steer("pause").status_code == 409


def test_commands(server: Server, tmp_path: Path) -> None:
    def run(*arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(command, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            return -1, str(result.exception)
        return result.exit_code, result.output

    server.minutes(3)
    assert "shop/reviews" in run("list")[1]
    code, text = run("status", "reviews")
    assert code == 3
    assert "shop/reviews: reviews v1 → v2" in text
    assert "evidence of harm" in text
    assert run("pause", "shop/reviews") == (0, "shop/reviews: Paused, 20 %\n")
    assert run("pause", "reviews") == (-1, "shop/reviews is paused already")
    assert run("pause", "other") == (-1, "no release other (there is: shop/reviews)")
    assert "no such file" in run("pause", "other.yaml")[1]
    code, text = run("rollback", "reviews", "--output", "json")
    assert orjson.loads(text)["phase"] == "Failed"
    assert run("status", "reviews")[0] == 1


def test_series_are_numbers(server: Server) -> None:
    server.minutes(3)
    rows = list(samples(server.keeper.named("shop", "reviews")))
    assert np.isfinite([value for _, value in rows]).all()
    assert {labels["metric"] for labels, _ in rows if labels[NAME] == "windvane_release_evidence"} >= {"", "errors"}
