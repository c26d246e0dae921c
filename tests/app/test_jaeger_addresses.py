"""Jaeger's own ports of a running server: what answers there, and which tenant it answers for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import httpx
import pytest
from jaeger_messages import HEALTH, V2, V3
from test_serve import TRACE, start, stop
from test_tenants import write

SERVICES = "/jaeger.api_v3.QueryService/GetServices"
ADDRESSES = tuple[str, str, str]


def serve(data: Path, free_port: Callable[[], int], *options: str) -> tuple[Any, ADDRESSES]:
    """A server, its URL, that of Jaeger's API, and the address of the same over gRPC."""
    query, over_grpc = f"127.0.0.1:{free_port()}", f"127.0.0.1:{free_port()}"
    server, url = start(data, *options, "--jaeger-query", query, "--jaeger-grpc-query", over_grpc)
    return server, (url, f"http://{query}", over_grpc)


def get(url: str, **headers: str) -> httpx.Response:
    return httpx.get(url, headers=headers, timeout=60, trust_env=False)


def services(address: str, *metadata: tuple[str, str]) -> list[str]:
    with grpc.insecure_channel(address) as channel:
        answer = channel.unary_unary(SERVICES)(b"", metadata=metadata, timeout=60)
    return list(V3.GetServicesResponse.FromString(answer).services)


def refused(call: Callable[[], object]) -> tuple[str, str]:
    with pytest.raises(grpc.RpcError) as error:
        call()
    return error.value.code().name, error.value.details()


def test_both_addresses_answer(tmp_path: Path, free_port: Callable[[], int]) -> None:
    server, (url, query, over_grpc) = serve(tmp_path, free_port)
    assert httpx.post(url + "/v1/traces", json=TRACE, timeout=60, trust_env=False).status_code == 200
    for base in (query, query + "/jaeger", url, url + "/jaeger"):
        assert get(base + "/api/services").json()["data"] == ["cart.shop"]
        assert get(base + "/api/v3/services", **{"x-tenant": "ignored"}).json() == {"services": ["cart.shop"]}
    page = get(query + "/trace/0af7651916cd43dd8448eb211c80319c")
    assert (page.status_code, page.headers["location"].rpartition("/traces/")[2]) == (
        302, "0af7651916cd43dd8448eb211c80319c",
    )  # fmt: skip
    assert get(query + "/api/v1/query?query=1").text == "404 page not found\n", "other faces are not here"
    assert services(over_grpc) == ["cart.shop"]
    with grpc.insecure_channel(over_grpc) as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60)
        assert HEALTH.HealthCheckResponse.FromString(check).status == 1
        unknown = refused(lambda: channel.unary_unary("/jaeger.api_v2.QueryService/Nothing")(b"", timeout=60))
        assert unknown[0] == "UNIMPLEMENTED"
    assert stop(server) == 0


def test_with_tenants_a_request_there_names_one(tmp_path: Path, free_port: Callable[[], int]) -> None:
    server, (url, query, over_grpc) = serve(tmp_path, free_port, "--tenants", "auto")
    assert write(url, "team-a", "a" * 32).status_code == 200
    for headers, status, text in (
        ({}, 401, "missing tenant header"),
        ({"x-tenant": ""}, 401, "missing tenant header"),
        ({"x-tenant": "nobody"}, 401, "unknown tenant"),
        ({"x-tenant": "no/name"}, 401, "unknown tenant"),
    ):
        answer = get(query + "/api/services", **headers)
        assert (answer.status_code, answer.text) == (status, text)
        assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    for header in ("x-tenant", "X-Scope-OrgID"):
        assert get(query + "/api/services", **{header: "team-a"}).json()["data"] == ["cart.shop"]
    assert get(url + "/api/services").json()["data"] == [], "the default tenant, on the server's own address"
    assert services(over_grpc, ("x-tenant", "team-a")) == ["cart.shop"]
    assert refused(lambda: services(over_grpc)) == ("UNAUTHENTICATED", "missing tenant header")
    assert refused(lambda: services(over_grpc, ("x-tenant", "nobody"))) == ("PERMISSION_DENIED", "unknown tenant")
    twice = ("x-tenant", "team-a"), ("x-tenant", "team-b")
    assert refused(lambda: services(over_grpc, *twice)) == ("PERMISSION_DENIED", "extra tenant header")
    with grpc.insecure_channel(over_grpc) as channel:
        find = channel.unary_stream("/jaeger.api_v2.QueryService/GetTrace")
        request = V2.GetTraceRequest(trace_id=b"\xaa" * 16).SerializeToString()
        (chunk,) = find(request, metadata=(("x-tenant", "team-a"),), timeout=60)
        assert len(V2.SpansResponseChunk.FromString(chunk).spans) == 1
        told = refused(lambda: list(find(request, timeout=60)))
        assert told == ("UNAUTHENTICATED", "missing tenant header")
        assert channel.unary_unary("/grpc.health.v1.Health/Check")(b"", timeout=60) == b"\x08\x01"
    assert stop(server) == 0
