"""Requests of access logs and traces, and which of them a configuration tells apart."""

from __future__ import annotations

from typing import Any

import pytest
import re2
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.local.diff.matchers import Lens
from windvane.local.diff.patterns import example
from windvane.local.diff.recorded import Recorded, of_entries
from windvane.local.diff.traces import is_traces, of_traces

CLUSTER = "outbound|9080||reviews.default.svc.cluster.local"


def entry(**given: Any) -> dict[str, Any]:
    usual = {
        "Method": "GET",
        "Authority": "reviews:9080",
        "Path": "/",
        "Reporter": "source",
        "UpstreamCluster": CLUSTER,
    }
    return {**usual, "NodeId": "sidecar~1.2.3.4~page-v1-abc.shop~shop.svc.cluster.local", **given}


def test_a_request_that_both_proxies_tell_of_counts_once() -> None:
    served = {
        "Reporter": "destination",
        "UpstreamCluster": "inbound|9080||",
        "NodeId": "sidecar~~r.d~d.svc.cluster.local",
    }
    found = of_entries([
        entry(RequestId="1"),
        entry(RequestId="1", **served),
        entry(RequestId="2", **served, PeerPrincipal="spiffe://cluster.local/ns/a/sa/b"),
        entry(RequestId="3", UserAgent="curl", RequestHeaders={"X-Env": "prod", "x-request-id": "3"}),
    ])  # fmt: skip
    assert found == {
        Recorded("GET", "reviews:9080", "/", "page-v1-abc", "shop", cluster=CLUSTER): 1,
        Recorded("GET", "reviews:9080", "/", principal="spiffe://cluster.local/ns/a/sa/b"): 1,
        Recorded(
            "GET", "reviews:9080", "/", "page-v1-abc", "shop", cluster=CLUSTER,
            headers=(("user-agent", "curl"), ("x-env", "prod")),
        ): 1,
    }  # fmt: skip


def test_connections_and_calls_are_requests_of_their_kind() -> None:
    mongo = "outbound|27017||mongo.bank.svc.cluster.local"
    found = of_entries([
        entry(Kind="tcp", Method="", Authority="", Path="", UpstreamCluster=mongo),
        entry(Kind="tcp", Method="", Authority="", Path="", UpstreamCluster="PassthroughCluster"),
        entry(Method="POST", Path="/shop.Cart/Add", GrpcStatus="0"),
    ])  # fmt: skip
    assert {(each.kind, each.authority, each.path) for each in found} == {
        ("tcp", "mongo.bank.svc.cluster.local:27017", ""),
        ("grpc", "reviews:9080", "/shop.Cart/Add"),
    }


def attributes(**given: Any) -> list[dict[str, Any]]:
    return [{"key": key.replace("__", "."), "value": {"stringValue": value}} for key, value in given.items()]


def otlp(service: str, *spans: dict[str, Any]) -> dict[str, Any]:
    return {"resource": {"attributes": attributes(service__name=service)}, "scopeSpans": [{"spans": list(spans)}]}


def test_a_call_in_a_trace_counts_once_and_names_its_caller() -> None:
    page = {"traceId": "t", "spanId": "1", "kind": 2, "attributes": attributes(
        http__method="GET", http__url="http://books.example/page?x=1", user_agent="curl")}  # fmt: skip
    inner = {"traceId": "t", "spanId": "2", "parentSpanId": "1", "kind": 1}
    proxied = {"traceId": "t", "spanId": "3", "parentSpanId": "2", "kind": "SPAN_KIND_CLIENT", "attributes": attributes(
        node_id="sidecar~1.2.3.4~page-v1-abc.shop~shop.svc.cluster.local", http__method="GET",
        http__url="http://reviews:9080/reviews/1", upstream_cluster=CLUSTER)}  # fmt: skip
    served = {"traceId": "t", "spanId": "4", "parentSpanId": "3", "kind": 2, "attributes": attributes(
        http__method="GET", http__url="http://reviews:9080/reviews/1")}  # fmt: skip
    direct = {"traceId": "t", "spanId": "5", "parentSpanId": "2", "kind": 2, "attributes": [
        *attributes(http__request__method="PUT", url__path="/r", server__address="ratings"),
        {"key": "server.port", "value": {"intValue": "9080"}},
        {"key": "http.request.header.x_env", "value": {"arrayValue": {"values": [{"stringValue": "prod"}]}}},
    ]}  # fmt: skip
    silent = {"traceId": "t", "spanId": "6", "parentSpanId": "2", "kind": 2}
    document = {"resourceSpans": [otlp("page.shop", page, inner, proxied), otlp("reviews.shop", served),
                                  otlp("ratings", direct), otlp("other", silent)]}  # fmt: skip
    assert is_traces(document)
    found, skipped = of_traces([document])
    assert found == {
        Recorded("GET", "books.example", "/page?x=1", headers=(("user-agent", "curl"),)): 1,
        Recorded("GET", "reviews:9080", "/reviews/1", "page-v1-abc", "shop", cluster=CLUSTER): 1,
        Recorded("PUT", "ratings:9080", "/r", "page", "shop", headers=(("x-env", "prod"),)): 1,
    }
    assert skipped == 1


def test_jaegers_traces_are_read() -> None:
    def tags(**given: str) -> list[dict[str, str]]:
        return [{"key": key.replace("__", "."), "value": value} for key, value in given.items()]

    above = {"traceID": "t", "spanID": "1", "processID": "p1", "tags": tags(span__kind="server")}
    below = {
        "traceID": "t", "spanID": "2", "processID": "p2", "references": [{"refType": "CHILD_OF", "spanID": "1"}],
        "tags": tags(span__kind="server", rpc__system="grpc", rpc__service="shop.Cart", rpc__method="Add",
                     http__host="cart:7070"),
    }  # fmt: skip
    processes = {"p1": {"serviceName": "page"}, "p2": {"serviceName": "cart"}}
    found, skipped = of_traces([{"data": [{"spans": [above, below], "processes": processes}]}])
    assert found == {Recorded("POST", "cart:7070", "/shop.Cart/Add", "page", kind="grpc"): 1}
    assert skipped == 1
    assert not is_traces([1])
    assert of_traces([{"data": [{"spans": [{"processID": 3, "tags": "x"}, 4]}, None]}, 5]) == ({}, 0)


def routes(*matches: dict[str, Any]) -> dict[str, Any]:
    return {"virtual_hosts": [{"routes": [{"match": match} for match in matches]}]}


@pytest.mark.parametrize(
    ("configuration", "alike", "apart"),
    [
        (routes({"prefix": "/api/"}), ("/api/1", "/api/2?x=1"), ("/api/1", "/apis")),
        (routes({"path": "/a", "case_sensitive": False}), ("/a", "/A"), ("/a", "/b")),
        (routes({"path": "/a", "case_sensitive": True}), ("/b", "/A"), ("/a", "/A")),
        (routes({"path_separated_prefix": "/a"}), ("/a", "/a/b"), ("/a", "/ab")),
        (routes({"safe_regex": {"regex": "/v[12]/.*"}}), ("/v1/x", "/v2/y"), ("/v1/x", "/v3/x")),
        (routes({"prefix": "/", "query_parameters": [{"name": "q", "string_match": {"exact": "1"}}]}),
         ("/?q=2", "/a?q=3"), ("/?q=1", "/?q=2")),
        ({"permissions": [{"url_path": {"path": {"suffix": "/secret"}}}]}, ("/a/secret", "/secret"), ("/a", "/secret")),
        ({"uri_template": {"typed_config": {"path_template": "/r/*/x/**"}}}, ("/r/1/x/a/b", "/r/2/x/c"),
         ("/r/1/x/a", "/r/1/2/x/a")),
        ({}, ("/a", "/b"), None),
    ],
)  # fmt: skip
def test_paths_are_alike_when_no_matcher_tells_them_apart(
    configuration: dict[str, Any], alike: tuple[str, str], apart: tuple[str, str] | None
) -> None:
    lens = Lens([configuration])
    assert lens.key("GET", "a", alike[0], ()) == lens.key("GET", "a", alike[1], ())
    if apart is not None:
        assert lens.key("GET", "a", apart[0], ()) != lens.key("GET", "a", apart[1], ())


@pytest.mark.parametrize(
    ("matcher", "same", "other"),
    [
        ({"name": "X-Env", "string_match": {"exact": "prod"}}, ({"x-env": "a"}, {"x-env": "b"}),
         ({"x-env": "prod"}, {})),
        ({"name": "x", "string_match": {"prefix": "A", "ignore_case": True}}, ({"x": "ab"}, {"x": "AC"}),
         ({"x": "b"}, {"x": "a"})),
        ({"name": "x", "string_match": {"contains": "m"}}, ({"x": "am"}, {"x": "mb"}), ({"x": "b"}, {"x": "m"})),
        ({"name": "x", "present_match": True}, ({"x": "1"}, {"x": "2"}), ({"x": "1"}, {})),
        ({"name": "x", "range_match": {"start": "1", "end": "5"}}, ({"x": "1"}, {"x": "4"}), ({"x": "5"}, {"x": "4"})),
        ({"name": "x", "exact_match": "1"}, ({"x": "2"}, {"x": "3"}), ({"x": "1"}, {"x": "2"})),
    ],
)  # fmt: skip
def test_headers_are_alike_when_no_matcher_tells_them_apart(
    matcher: dict[str, Any], same: tuple[dict[str, str], ...], other: tuple[dict[str, str], ...]
) -> None:
    lens = Lens([routes({"prefix": "/", "headers": [matcher]})])
    keys = [lens.key("GET", "a", "/", headers.items()) for headers in (*same, *other)]
    assert keys[0] == keys[1]
    assert keys[2] != keys[3]
    assert lens.header_names == {matcher["name"].lower()}


@pytest.mark.parametrize(
    "pattern", ["/reviews/[0-9]+", "/(a|b)/x?", r"/v\d{2,}/\w+", "[^/]+", "/.*", "^/a$", "(?i)/A", "/a{3}[^a]", r"/\S+"]
)
def test_a_pattern_has_an_example(pattern: str) -> None:
    found = example(pattern)
    assert found is not None
    assert re2.compile(pattern).fullmatch(found)


@settings(max_examples=60)
@given(st.text(max_size=12))
def test_any_text_has_an_example_or_none(pattern: str) -> None:
    found = example(pattern)
    assert found is None or re2.compile(pattern).fullmatch(found)
