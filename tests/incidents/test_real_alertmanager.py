"""Incidents as a real Alertmanager takes them: Debian's, where it is installed."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from incident_samples import CART, FRONT, odd

from windvane.alerting.notify import AlertmanagerNotifier
from windvane.incidents import telling
from windvane.incidents.grouping import Calls
from windvane.incidents.tracker import QUIET, Tracker
from windvane.kit.clock import SystemClock
from windvane.kit.metrics import Metrics

PROGRAM = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="no Alertmanager (Debian: prometheus-alertmanager)")


@pytest.fixture
def alertmanager(tmp_path: Path, free_port: Callable[[], int]) -> Iterator[str]:
    config = tmp_path / "alertmanager.yml"
    config.write_text("route: {receiver: none}\nreceivers: [{name: none}]\n")
    url = f"http://127.0.0.1:{free_port()}"
    process = subprocess.Popen(
        [str(PROGRAM), f"--config.file={config}", f"--storage.path={tmp_path / 'state'}", "--cluster.listen-address=",
         f"--web.listen-address={url.removeprefix('http://')}"],
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        asyncio.run(until(lambda: ready(url)))
        yield url
    finally:
        process.terminate()
        process.wait(30)


def ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/-/ready", trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


async def until(condition: Callable[[], Any], within: float = 30.0) -> Any:
    deadline = time.monotonic() + within
    while not (found := condition()):
        if time.monotonic() > deadline:
            pytest.fail(f"not within {within:g} s")
        await asyncio.sleep(0.05)
    return found


def firing(url: str) -> list[dict[str, Any]]:
    answer = httpx.get(f"{url}/api/v2/alerts", params={"active": "true"}, timeout=10, trust_env=False)
    return list(answer.json())


@contextlib.asynccontextmanager
async def running(notifier: AlertmanagerNotifier) -> AsyncIterator[None]:
    task = asyncio.create_task(notifier.run())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_an_incident_is_one_alert_and_its_end_is_the_alerts(alertmanager: str) -> None:
    clock, now = SystemClock(), int(time.time())
    tracker = Tracker()
    tracker.step(now, [odd(CART, start=now - 60, end=now, factor=4.0), odd(FRONT, start=now - 60, end=now)],
                 Calls([(FRONT, CART)]))  # fmt: skip

    def told() -> list[Any]:
        for one in tracker.open():
            tracker.incidents[one.id] = telling.labelled(one)[0]
        return telling.notifications(tracker.incidents.values(), [], "http://windvane:9900", clock.now_ns())

    async def story() -> None:
        notifier = AlertmanagerNotifier(lambda: [alertmanager], clock=clock, metrics=Metrics())
        async with running(notifier):
            (incident,) = tracker.open()
            for _ in range(2):  # told again each minute, it stays one
                notifier.send(told())
            (alert,) = await until(lambda: firing(alertmanager))
            assert alert["labels"] == {
                "alertname": "WindvaneIncident", "incident": incident.id, "service": "cart", "namespace": "shop",
                "signal": "latency", "severity": "page",
            }  # fmt: skip
            assert alert["annotations"]["summary"] == incident.title
            assert alert["generatorURL"].endswith(f"/insights?incident={incident.id}")
            tracker.step(now + QUIET + 60, [], Calls())
            ended = tracker.incidents[incident.id]
            tracker.incidents[incident.id] = replace(ended, end=now)
            notifier.send(told())
            await until(lambda: not firing(alertmanager))

    asyncio.run(story())
