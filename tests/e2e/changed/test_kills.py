"""`kill -9` of a sidecar, of the emulator, of the server: each comes back, and what was stored is there."""

from __future__ import annotations

import os
import signal

import httpx
import pytest
from demo_process import Demo, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

TOTAL = 'sum(istio_requests_total{reporter="source",source_workload="istio-ingressgateway"})'


def kill(demo: Demo, process: str) -> int:
    """SIGKILL the newest process of that name as the demo told it; the old pid."""
    pid = next(int(e["pid"]) for e in reversed(demo.drain()) if e["event"] == "started" and e["process"] == process)
    os.kill(pid, signal.SIGKILL)
    return pid


def again(demo: Demo, process: str, old: int) -> None:
    """Wait until the process is ready under another pid."""

    def ready() -> bool:
        return any(
            event["event"] == "ready" and event.get("process") == process and event["pid"] != old
            for event in demo.drain()
        )

    until(ready, 60, f"{process} ready again")


def reachable(demo: Demo, path: str) -> bool:
    try:
        return httpx.get(demo.gateway + path, timeout=5, trust_env=False).status_code == 200
    except httpx.HTTPError:
        return False


@pytest.mark.parametrize("process", ["envoy-catalog-v1.shop", "emulator"])
def test_a_killed_part_of_the_mesh_comes_back_and_serves(running: Demo, process: str) -> None:
    again(running, process, kill(running, process))
    until(lambda: reachable(running, "/product/42"), 30, "a page through the mended mesh")


def test_a_killed_server_keeps_what_it_stored_and_goes_on_counting(running: Demo) -> None:
    until(lambda: running.scalar(TOTAL) > 100, 60, "counted requests")
    total = running.scalar(TOTAL)
    trace = running.get("/api/traces", service="frontend.shop", limit=1)["data"][0]
    again(running, "server", kill(running, "server"))
    same = running.get(f"/api/traces/{trace['traceID']}")["data"][0]
    assert {span["spanID"] for span in trace["spans"]} <= {span["spanID"] for span in same["spans"]}
    until(lambda: running.scalar(TOTAL) > total, 60, "the counter going on from where it was")
    assert running.scalar(f"resets({TOTAL.removeprefix('sum(').removesuffix(')')}[10m])") == 0
    until(running.in_sync, 30, "sidecars in sync with the new server")
