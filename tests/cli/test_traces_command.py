"""`windvane traces` against a running server: a search, a trace as a tree, series; errors in one line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import httpx
import pytest
from quiet_server import QUIET

NOW = time.time_ns()


def _span(number: int, parent: str, name: str, code: int = 0) -> dict[str, object]:
    return {
        "traceId": "0af7651916cd43dd8448eb211c80319c", "spanId": f"{number:016x}", "parentSpanId": parent, "name": name,
        "kind": 2, "startTimeUnixNano": str(NOW - 9_000_000 + number), "endTimeUnixNano": str(NOW),
        "status": {"code": code, "message": "boom"} if code else {},
    }  # fmt: skip


TRACE = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart"}}]},
            "scopeSpans": [{"spans": [_span(1, "", "GET /"), _span(2, f"{1:016x}", "charge", 2)]}],
        }
    ]
}


def _sidecar(trace: str, number: int, kind: int, at_ms: int, length_ms: int, guid: str) -> dict[str, object]:
    """A span of a sidecar: 2 for a request that it served, 3 for one that it made."""
    start, end = NOW - 60_000_000_000 + at_ms * 1_000_000, at_ms + length_ms
    values = {
        "node_id": "sidecar~10.0.0.1~page-v1.shop~x",
        "component": "proxy",
        "guid:x-request-id": guid,
        "upstream_cluster": "inbound|80||" if kind == 2 else "outbound|80||cart.shop.svc.cluster.local",
    }
    return {
        "traceId": trace, "spanId": f"{number:016x}", "name": "page", "kind": kind, "startTimeUnixNano": str(start),
        "endTimeUnixNano": str(NOW - 60_000_000_000 + end * 1_000_000), "status": {},
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in values.items()],
    }  # fmt: skip


# The application handed on x-request-id alone.
LOST = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "page.shop"}}]},
            "scopeSpans": [{"scope": {"name": "envoy"}, "spans": [
                _sidecar("a" * 32, 1, 2, 0, 50, "r"), _sidecar("b" * 32, 2, 3, 10, 20, "r"),
                _sidecar("c" * 32, 3, 2, 5_000, 50, "s"),
            ]}],
        }
    ]
}  # fmt: skip


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, str]]:
    """The addresses of the console and of Tempo's API."""
    command = [sys.executable, "-m", "windvane", "serve", "--data", str(tmp_path_factory.mktemp("traces")),
               "--http", "127.0.0.1:0", *QUIET, "--tempo", "127.0.0.1:0"]  # fmt: skip
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr is not None
    try:
        found: dict[str, str] = {}
        for line in process.stderr:
            if match := re.search(r"(Tempo's API|console and APIs) on (http://[\d.:]+)", line):
                found[match[1]] = match[2]
            if len(found) == 2:
                break
        http = found["console and APIs"]
        assert httpx.post(http + "/v1/traces", json=TRACE, timeout=60, trust_env=False).status_code == 200
        yield http, found["Tempo's API"]
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


def traces(server: tuple[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "windvane", "traces", *arguments, "--server", server[0]]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, "COLUMNS": "160"}
    )


def test_a_search(server: tuple[str, str]) -> None:
    result = traces(server, "search", "{ status = error }")
    assert result.returncode == 0, result.stderr
    assert "af7651916cd43dd8448eb211c80319c" in result.stdout
    assert re.search(r"cart GET / +\d+ +2 +1 +1$", result.stdout.strip())
    listed = json.loads(traces(server, "search", "{ name = `none` }", "--output", "json").stdout)
    assert listed["traces"] == []


def test_a_trace_as_a_tree(server: tuple[str, str]) -> None:
    lines = traces(server, "show", "af7651916cd43dd8448eb211c80319c").stdout.splitlines()
    assert "2 spans" in lines[0]
    assert re.search(r"^└── cart  GET /  server", lines[1])
    assert re.search(r"^    └── cart  charge  server .* failed boom", lines[2])
    missing = traces(server, "show", "abc")
    assert (missing.returncode, missing.stderr) == (1, "windvane: trace not found\n")


def test_series(server: tuple[str, str]) -> None:
    result = traces(server, "metrics", "{ } | count_over_time() by (name)", "--since", "2h")
    assert result.stdout.split() == ["series", "value", '{name="GET', '/"}', "1", '{name="charge"}', "1"]
    stepped = traces(server, "metrics", "{ } | rate()", "--since", "2h", "--step", "5m")
    assert '{__name__="rate"}' in stepped.stdout


def test_errors_are_one_line(server: tuple[str, str]) -> None:
    wrong = traces(server, "search", "{ .a = }")
    assert wrong.returncode == 2
    assert wrong.stderr.startswith("windvane: invalid TraceQL query: parse error at line 1, col 8")
    assert traces(("http://127.0.0.1:1", ""), "search", "{ }").returncode == 1


def test_tempos_api_has_an_address_of_its_own(server: tuple[str, str]) -> None:
    client = httpx.Client(timeout=60, trust_env=False)
    assert client.get(server[1] + "/api/echo").text == "echo"
    assert len(client.get(server[1] + "/api/search", params={"q": "{ }"}).json()["traces"]) == 1
    assert client.get(server[1] + "/api/services").status_code == 404  # nothing but Tempo's
    assert client.get(server[0] + "/tempo/api/nothing").status_code == 404


def test_lost_context(server: tuple[str, str]) -> None:
    assert httpx.post(server[0] + "/v1/traces", json=LOST, timeout=60, trust_env=False).status_code == 200
    result = traces(server, "propagation")
    assert result.returncode == 1, "findings"
    assert re.search(r"^page-v1.shop +1 +1 +100.0% .* seen +traceparent \(seen\) +loses context$", result.stdout, re.M)
    assert "page-v1.shop: The application hands on x-request-id alone: copy traceparent" in result.stdout
    other = traces(server, "propagation", "--workload", "cart-v1", "--output", "json")
    assert (other.returncode, json.loads(other.stdout)["workloads"]) == (0, [])
    whole = traces(server, "show", "a" * 32, "--inferred").stdout
    assert "2 spans" in whole
    assert re.search(r"^    └── page.shop  page  \(inferred, 1.00\)  client", whole, re.M)
