"""Tenants of a running server: made by a write, kept apart, bounded, there again after a restart."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from test_serve import TRACE, get, start, stop

from windvane.app.settings import TenantSettings
from windvane.kit.errors import BadInputError
from windvane.kit.metrics import Metrics

IDS = {"team-a": "a" * 32, "team-b": "b" * 32, "": "c" * 32}
EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def trace(trace_id: str) -> dict[str, Any]:
    one = copy.deepcopy(TRACE)
    one["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"] = trace_id  # type: ignore[index]
    return one


def named(tenant: str) -> dict[str, str]:
    return {"X-Scope-OrgID": tenant} if tenant else {}


def write(url: str, tenant: str, trace_id: str) -> httpx.Response:
    return httpx.post(url + "/v1/traces", json=trace(trace_id), headers=named(tenant), timeout=60, trust_env=False)


def status(url: str, tenant: str, trace_id: str) -> int:
    """The status that Jaeger's API and Tempo's both answer with."""
    statuses = {
        httpx.get(f"{url}{face}/api/traces/{trace_id}", headers=named(tenant), timeout=60, trust_env=False).status_code
        for face in ("", "/tempo")
    }
    [one] = statuses
    return one


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("tenants")
    server, address = start(folder, "--tenants", "auto", "--max-tenants", "3", "--grpc", "127.0.0.1:0")
    yield address
    assert stop(server) == 0


def test_what_tenants_store_never_meets_and_is_there_after_a_restart(tmp_path: Path) -> None:
    server, url = start(tmp_path, "--tenants", "auto")
    for tenant, trace_id in IDS.items():
        assert write(url, tenant, trace_id).status_code == 200
    for _ in range(2):
        for tenant in IDS:
            seen = {owner: status(url, tenant, trace_id) for owner, trace_id in IDS.items()}
            assert seen == {owner: 200 if owner == tenant else 404 for owner in IDS}
        metrics = get(url + "/metrics").text
        if _ == 0:
            assert 'windvane_ingest_records_stored_total{signal="traces",tenant="team-a"} 1.0' in metrics
            assert 'windvane_ingest_records_stored_total{signal="traces"} 1.0' in metrics
            assert metrics.count("# TYPE windvane_ingest_records_stored_total ") == 1
            assert stop(server) == 0
            server, url = start(tmp_path, "--tenants", "auto")
    assert stop(server) == 0


def test_reading_from_a_tenant_that_never_wrote_is_an_error_and_makes_none(url: str) -> None:
    answer = httpx.get(url + "/api/services", headers=named("nobody"), timeout=60, trust_env=False)
    assert (answer.status_code, answer.json()["error"]["kind"]) == (404, "not_found")
    assert "nobody" in answer.json()["error"]["message"]


@pytest.mark.parametrize("name", ["a|b", "..", "a/b", "x" * 151])
def test_names_that_cannot_be_tenants_are_refused(url: str, name: str) -> None:
    assert write(url, name, "d" * 32).status_code == 400


def test_no_more_tenants_than_allowed(url: str) -> None:
    answers = [write(url, f"one-more-{number}", "d" * 32).status_code for number in range(4)]
    assert answers[-1] == 422
    assert 200 in answers
    assert status(url, "", "d" * 32) == 404


def test_grpc_calls_name_tenants_too(tmp_path: Path, free_port: Callable[[], int]) -> None:
    port = free_port()
    server, url = start(tmp_path, "--tenants", "a", "--grpc", f"127.0.0.1:{port}")
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add()
    span.trace_id, span.span_id, span.name = bytes.fromhex("e" * 32), b"12345678", "one"
    span.start_time_unix_nano = span.end_time_unix_nano = time.time_ns()
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        export = channel.unary_unary(EXPORT)
        export(request.SerializeToString(), metadata=(("x-scope-orgid", "a"),), timeout=60)
        with pytest.raises(grpc.RpcError) as refused:
            export(request.SerializeToString(), metadata=(("x-scope-orgid", "b"),), timeout=60)
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    assert (status(url, "a", "e" * 32), status(url, "", "e" * 32)) == (200, 404)
    assert stop(server) == 0


def test_settings_of_tenants_are_read_strictly() -> None:
    assert TenantSettings.parse("off") == TenantSettings()
    parsed = TenantSettings.parse("auto", ("a:30d,traces=3d",))
    assert (parsed.names, parsed.retention["a"].of("traces"), parsed.retention["a"].of("logs")) == (
        None,
        259_200,
        2_592_000,
    )
    for wrong in (("off", ("a:1d",)), ("auto", ("a",)), ("a/b", ()), ("auto", ("a|b:1d",))):
        with pytest.raises(BadInputError):
            TenantSettings.parse(*wrong)


def test_metrics_of_children_are_shown_with_their_label() -> None:
    metrics = Metrics()
    metrics.counter("x_total", "X").inc()
    child = metrics.child("tenant", "a")
    child.counter("x_total", "X").inc(2)
    child.gauge("only", "Only the child's").set(3)
    lines = [line for line in metrics.exposition().decode().splitlines() if "_created" not in line]
    assert lines == [
        "# HELP x_total X", "# TYPE x_total counter", "x_total 1.0", 'x_total{tenant="a"} 2.0',
        "# HELP only Only the child's", "# TYPE only gauge", 'only{tenant="a"} 3.0',
    ]  # fmt: skip
