"""`windvane serve` as a process: it starts empty, answers on every face, describes itself and stops cleanly."""

from __future__ import annotations

import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from thrift_writer import I64, STRUCT, batch, binary, compact_call, span

NOW = time.time_ns()
TRACE = {
    "resourceSpans": [
        {
            "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "cart.shop"}}]},
            "scopeSpans": [
                {
                    "spans": [
                        {
                            "traceId": "0af7651916cd43dd8448eb211c80319c",
                            "spanId": "b7ad6b7169203331",
                            "name": "GET /cart",
                            "kind": 2,
                            "startTimeUnixNano": str(NOW - 5_000_000),
                            "endTimeUnixNano": str(NOW),
                            "attributes": [{"key": "items", "value": {"intValue": "3"}}],
                        }
                    ]
                }
            ],
        }
    ]
}


STARTED: list[subprocess.Popen[str]] = []


@pytest.fixture(scope="module", autouse=True)
def nothing_left() -> Iterator[None]:
    """Servers of failed tests do not stay."""
    yield
    for server in STARTED:
        if server.poll() is None:
            server.kill()
            server.wait()


def start(data: Path, *options: str) -> tuple[subprocess.Popen[str], str]:
    """A server on ports of the system's choice, and its URL once it is ready."""
    command = [sys.executable, "-m", "windvane", "serve", "--data", str(data), "--http", "127.0.0.1:0"]
    command += ["--grpc", "none", "--otlp-http", "none", "--zipkin", "none", "--tempo", "none"]
    command += ["--jaeger-query", "none", "--jaeger-grpc-query", "none"]
    command += ["--sampling-http", "none", "--sampling-grpc", "none", *options]
    server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    STARTED.append(server)
    assert server.stderr is not None
    deadline = time.monotonic() + 60
    said = ""
    for line in server.stderr:
        said += line
        if found := re.search(r"console and APIs on (http://[\d.:]+)", line):
            return server, found[1]
        if time.monotonic() > deadline:
            break
    pytest.fail(f"the server did not start (exit code {server.poll()}):\n{said}")


def stop(server: subprocess.Popen[str]) -> int:
    server.send_signal(signal.SIGTERM)
    server.communicate(timeout=60)
    return server.returncode


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    server, address = start(tmp_path_factory.mktemp("serve"))
    yield address
    assert stop(server) == 0


def get(url: str) -> httpx.Response:
    return httpx.get(url, timeout=30, trust_env=False)


@pytest.mark.parametrize(
    "path",
    [
        "/-/healthy",
        "/-/ready",
        "/metrics",
        "/api/v1/query?query=vector(1)",
        "/api/v1/labels",
        "/api/services",
        "/api/traces?service=nobody",
        "/api/namespaces",
        "/api/namespaces/graph?namespaces=shop",
        "/api/windvane/v1/services",
        "/api/windvane/v1/access-logs",
        "/api/windvane/v1/status",
        "/api/windvane/v1/mesh/proxies",
        "/",
        "/services/shop/cart",
    ],
)
def test_every_face_of_an_empty_server_answers(url: str, path: str) -> None:
    assert get(url + path).status_code == 200


def status_of(method: str, url: str) -> int:
    """The status that a route answers with; what follows it may never end (a live tail)."""
    given: dict[str, Any] = {} if method == "get" else {"json": {}}
    with httpx.stream(method, url, timeout=30, trust_env=False, **given) as answer:
        return answer.status_code


def test_openapi_describes_every_route_of_our_own(url: str) -> None:
    document = get(url + "/api/openapi.json").json()
    assert document["openapi"].startswith("3.1")
    named = {"namespace": "a", "name": "b", "uid": "istio-mesh", "id": "1", "version": "1", "action": "pause"}
    answered = [
        path
        for path, methods in document["paths"].items()
        for method in methods
        if status_of(method, url + path.format(**named)) < 500
    ]
    assert answered == list(document["paths"])
    assert {"/api/windvane/v1/services", "/api/windvane/v1/access-logs", "/api/windvane/v1/status"} <= set(answered)


def test_errors_of_our_own_routes_have_one_shape(url: str) -> None:
    answer = get(url + "/api/windvane/v1/services?window=soon")
    assert answer.status_code == 400
    assert answer.json()["error"]["kind"] == "bad_input"
    assert "soon" in answer.json()["error"]["message"]


def test_an_acknowledged_trace_is_there_after_a_restart_and_the_directory_is_one_servers(tmp_path: Path) -> None:
    server, url = start(tmp_path)
    answer = httpx.post(url + "/v1/traces", json=TRACE, timeout=30, trust_env=False)
    assert answer.status_code == 200
    second = subprocess.run(
        [sys.executable, "-m", "windvane", "serve", "--data", str(tmp_path), "--http", "127.0.0.1:0"],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert second.returncode == 1
    assert str(server.pid) in second.stderr
    assert "Traceback" not in second.stderr
    assert stop(server) == 0
    server, url = start(tmp_path)
    found = get(url + "/api/traces/0af7651916cd43dd8448eb211c80319c").json()["data"][0]
    assert found["spans"][0]["operationName"] == "GET /cart"
    assert {"key": "items", "type": "int64", "value": 3} in found["spans"][0]["tags"]
    assert stop(server) == 0


def test_spans_of_other_formats_have_addresses_of_their_own(tmp_path: Path, free_port: Callable[[], int]) -> None:
    zipkin, over_grpc, over_http, datagrams = (f"127.0.0.1:{free_port()}" for _ in range(4))
    server, url = start(tmp_path, "--tenants", "auto", "--zipkin", zipkin, "--jaeger-grpc", over_grpc,
                        "--jaeger-http", over_http, "--jaeger-udp", datagrams)  # fmt: skip
    thrift = {"content-type": "application/x-thrift"}
    now = NOW // 1_000
    with httpx.Client(timeout=60, trust_env=False) as client:
        for number, address in enumerate((f"http://{zipkin}/api/v2/spans", f"{url}/api/v1/spans"), 1):
            json = [{"traceId": "a", "id": str(number), "timestamp": now, "localEndpoint": {"serviceName": "z"}}]
            assert client.post(address, json=json, headers={"X-Scope-OrgID": "team-a"}).status_code == 202
        for number, address in enumerate((f"http://{over_http}", url), 3):
            body = binary(STRUCT, batch(span(f3=(I64, number), f8=(I64, now)), service="j"))
            assert client.post(f"{address}/api/traces", content=body, headers=thrift).status_code == 202
        with grpc.insecure_channel(over_grpc) as channel:
            assert channel.unary_unary("/jaeger.api_v2.CollectorService/PostSpans")(b"", timeout=60) == b""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            host, _, port = datagrams.partition(":")
            call = compact_call("emitBatch", {1: (STRUCT, batch(span(f3=(I64, 5), f8=(I64, now)), service="j"))})
            sender.sendto(call, (host, int(port)))
        found: list[Any] = []
        deadline = time.monotonic() + 60
        while len(found) < 3 and time.monotonic() < deadline:
            traces = client.get(url + "/api/traces", params={"service": "j"}).json()["data"]
            found = [each["spanID"] for trace in traces for each in trace["spans"]]
        assert sorted(found) == [f"{number:016x}" for number in (3, 4, 5)]
        theirs = client.get(url + "/api/traces/a", headers={"X-Scope-OrgID": "team-a"}).json()["data"][0]["spans"]
        assert sorted(each["spanID"] for each in theirs) == [f"{number:016x}" for number in (1, 2)]
        assert client.get(url + "/api/traces/a").status_code == 404
    assert stop(server) == 0
