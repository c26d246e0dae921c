"""Jaeger's JSON API: shapes (golden), parameters, and the errors as Jaeger's own server words them."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace

import orjson
import pytest
from asgi_client import AsgiClient
from telemetry_rows import store_spans

from windvane.api import jaeger
from windvane.api.jaeger import http
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine
from windvane.tracing.model import Event, Link, Span

NOW = 1_790_000_000 * 10**9
ROOT = Span(
    "0" * 16 + "00000000000000ab", "00000000000000a1", "", "GET /productpage", "Server", "gateway.shop", NOW - 10**9,
    250_000_000, status="Ok", scope_name="envoy", scope_version="1.36",
    resource={"service.name": "gateway.shop", "host.name": "h1", "process.pid": 42},
    attributes={"http.status_code": 200, "node_id": "router~127.0.0.1~gateway.shop", "big": 2**60, "ratio": 0.25},
    trace_state="k=v",
)  # fmt: skip
CHILD = Span(
    ROOT.trace_id, "00000000000000a2", ROOT.span_id, "reviews:9080", "Client", "reviews.shop", NOW - 950_000_000,
    100_000_000, status="Error", status_message="upstream reset", resource={"service.name": "reviews.shop"},
    attributes={"error": "true", "blob": b"\x01\x02", "list": ["a", 1]},
    events=(Event(NOW - 940_000_000, "retry", {"attempt": "1"}), Event(NOW - 930_000_000, "", {"event": "own"})),
    links=(Link("c" * 32, "d" * 16), Link(ROOT.trace_id, ROOT.span_id, "", {"opentracing.ref_type": "child_of"})),
)  # fmt: skip
OTHER = replace(
    ROOT, trace_id="b" * 32, span_id="b" * 16, name="query", service="ratings", start_ns=NOW - 2 * 10**9, status="Unset"
)


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    store_spans(engine, [ROOT, CHILD, OTHER])
    return AsgiClient(jaeger.shared_routes(jaeger.JaegerQueries(engine, ManualClock(NOW))))


def test_a_trace_in_jaegers_shape(client: AsgiClient, golden: Callable[[str, str], None]) -> None:
    answer = client.get(f"/api/traces/{ROOT.trace_id}")
    assert answer.status_code == 200
    golden("jaeger_trace.json", orjson.dumps(answer.json(), option=orjson.OPT_INDENT_2).decode() + "\n")


def test_services_and_operations(client: AsgiClient) -> None:
    envelope = {"limit": 0, "offset": 0, "errors": None}
    names = ["gateway.shop", "ratings", "reviews.shop"]
    assert client.get("/api/services").json() == {"data": names, "total": 3, **envelope}
    legacy = client.get("/api/services/reviews.shop/operations").json()
    assert legacy == {"data": ["reviews:9080"], "total": 1, **envelope}
    found = client.get("/api/operations", params={"service": "gateway.shop", "spanKind": "server"}).json()
    assert found == {"data": [{"name": "GET /productpage", "spanKind": "server"}], "total": 1, **envelope}
    assert client.get("/api/services/unknown/operations").json() == {"data": [], "total": 0, **envelope}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["00000000000000ab", "b" * 32]),
        ({"service": "reviews"}, ["00000000000000ab"]),
        ({"service": "reviews.shop", "tags": '{"error":"true"}'}, ["00000000000000ab"]),
        ({"service": "gateway.shop", "tag": "http.status_code:200"}, ["00000000000000ab"]),
        ({"limit": 1}, ["00000000000000ab"]),
        ({"operation": "query"}, ["b" * 32]),
        ({"minDuration": "120ms", "service": "reviews"}, []),
        ({"maxDuration": "120ms"}, ["00000000000000ab"]),
        ({"start": (NOW - 10**9) // 1000, "end": NOW // 1000}, ["00000000000000ab"]),
        ({"end": (NOW - 10**9 - 1000) // 1000, "lookback": "1h"}, ["b" * 32]),
        ({"service": "nobody"}, []),
    ],
)
def test_search(client: AsgiClient, params: dict[str, str], found: list[str]) -> None:
    answer = client.get("/api/traces", params=params)
    assert answer.status_code == 200
    body = answer.json()
    assert [trace["traceID"] for trace in body["data"]] == found
    assert body["total"] == 0
    assert body["errors"] is None


def test_several_ids_report_the_missing_one(client: AsgiClient) -> None:
    body = client.get("/api/traces", params=[("traceID", "ab"), ("traceID", "cd"), ("traceID", "b" * 32)]).json()
    assert [trace["traceID"] for trace in body["data"]] == ["00000000000000ab", "b" * 32]
    assert body["errors"] == [{"msg": "trace not found", "traceID": "00000000000000cd"}]


@pytest.mark.parametrize("text", ["ab", "0" * 30 + "AB", "AAAAAAAAAAAAAAAAAAAAqw==", "AAAAAAAAAAAAAAAAAAAAqw"])
def test_an_id_in_any_spelling(client: AsgiClient, text: str) -> None:
    assert client.get(f"/api/traces/{text}").json()["data"][0]["traceID"] == "00000000000000ab"


@pytest.mark.parametrize(
    ("path", "params", "status", "message"),
    [
        ("/api/traces/00ff", {}, 404, "trace not found"),
        ("/api/traces/ab", {"start": NOW // 1000}, 404, "trace not found"),
        ("/api/operations", {}, 400, "parameter 'service' is required"),
        ("/api/traces", {"start": "x"}, 400,
         "unable to parse param 'start': strconv.ParseInt: parsing \"x\": invalid syntax"),
        ("/api/traces", {"minDuration": "5"}, 400,
         'unable to parse param \'minDuration\': time: missing unit in duration "5"'),
        ("/api/traces", {"minDuration": "2s", "maxDuration": "1s"}, 400,
         "'maxDuration' should be greater than 'minDuration'"),
        ("/api/traces", {"limit": "x"}, 400, 'strconv.ParseInt: parsing "x": invalid syntax'),
        ("/api/traces", {"limit": "3000000000"}, 400, 'strconv.ParseInt: parsing "3000000000": value out of range'),
        ("/api/traces", {"limit": "0"}, 400, "invalid parameter: limit must be greater than 0"),
        ("/api/traces", {"start": "2", "end": "1"}, 400, "invalid parameter: start time must be before end time"),
        ("/api/traces", {"raw": "perhaps"}, 400,
         "unable to parse param 'raw': strconv.ParseBool: parsing \"perhaps\": invalid syntax"),
        ("/api/traces/ab", {"raw": "perhaps"}, 400,
         "unable to parse param 'raw': strconv.ParseBool: parsing \"perhaps\": invalid syntax"),
        ("/api/traces", {"traceID": "xyz"}, 400,
         "cannot parse traceID param: malformed trace ID 'xyz': expected 1 to 32 hex characters, or base64 of 8 or 16"
         " bytes"),
        ("/api/traces", {"tag": "nothing"}, 400, "malformed 'tag' parameter, expecting key:value, received: nothing"),
    ],
)  # fmt: skip
def test_errors_are_the_envelope_as_text(client: AsgiClient, path, params, status, message) -> None:
    answer = client.get(path, params=params)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.text.endswith("}\n")
    errors = [{"code": status, "msg": message}]
    assert json.loads(answer.text) == {"data": None, "total": 0, "limit": 0, "offset": 0, "errors": errors}


@pytest.mark.parametrize("params", [{"tags": '{"a":1}'}, {"tags": "{"}, {"tags": "[1]"}, {"traceID": "%%"},
                                    {"limit": "1e9"}, {"limit": "0"}])  # fmt: skip
def test_malformed_parameters_are_refused(client: AsgiClient, params: dict[str, str]) -> None:
    assert client.get("/api/traces", params=params).status_code == 400


def test_raw_skips_the_adjusters(client: AsgiClient, engine: Engine) -> None:
    store_spans(engine, [replace(ROOT, trace_id="e" * 32, parent_id="9" * 16)])
    adjusted = client.get("/api/traces/" + "e" * 32).json()["data"][0]["spans"][0]
    assert adjusted["warnings"]
    raw = client.get("/api/traces/" + "e" * 32, params={"raw": "true"}).json()["data"][0]["spans"][0]
    assert raw["warnings"] is None


def test_pretty_printing(client: AsgiClient) -> None:
    assert '\n    "total": 3' in client.get("/api/services?prettyPrint=1").text


def test_every_answer_names_the_trace_of_its_request(client: AsgiClient) -> None:
    for path, status in (("/api/services", 200), ("/api/traces/00ff", 404), ("/jaeger/api/nothing", 404)):
        answer = client.get(path, headers={"traceparent": f"00-{'a' * 32}-{'b' * 16}-01"})
        assert answer.status_code == status
        assert re.fullmatch(f"00-{'a' * 32}-[0-9a-f]{{16}}-00", answer.headers["traceresponse"])
    for sent in ("", "nonsense", f"00-{'0' * 32}-{'b' * 16}-01"):
        header = client.get("/api/services", headers={"traceparent": sent}).headers["traceresponse"]
        assert re.fullmatch("00-[0-9a-f]{32}-[0-9a-f]{16}-00", header)
        assert "0" * 32 not in header


def test_a_base_path_of_jaegers_has_the_same_faces(client: AsgiClient) -> None:
    for path in ("/api/services", f"/api/traces/{ROOT.trace_id}", "/api/v3/services", "/api/dependencies"):
        assert client.get("/jaeger" + path).json() == client.get(path).json()
    unknown = client.get("/jaeger/api/nothing")
    assert (unknown.status_code, unknown.text) == (404, "404 page not found\n")


def test_on_an_address_of_its_own(engine: Engine) -> None:
    store_spans(engine, [ROOT])
    application = jaeger.application(jaeger.JaegerQueries(engine, ManualClock(NOW)), "http://console:9900/")
    client = AsgiClient(application.routes)
    assert client.get("/api/services").json()["data"] == ["gateway.shop"]
    assert (client.get("/api/nothing").status_code, client.get("/api/nothing").text) == (404, "404 page not found\n")
    assert client.get("/api/quality-metrics").status_code == 404, "Jaeger has samples there, no measurements"
    for page, console in {
        "/trace/ab": "/traces/ab", "/jaeger/trace/ab": "/traces/ab", "/search": "/traces", "/": "/traces",
        "/dependencies": "/traces",
    }.items():  # fmt: skip
        answer = client.get(page)
        assert (answer.status_code, answer.headers["location"]) == (302, f"http://console:9900{console}")


def test_a_body_that_is_too_long_is_refused(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(http, "UPLOAD_BYTES", 10)
    client = AsgiClient(jaeger.shared_routes(jaeger.JaegerQueries(engine, ManualClock(NOW))))
    answer = client.post("/api/transform", b" " * 11)
    assert answer.status_code == 413
    assert json.loads(answer.text)["errors"][0]["msg"] == "the body is longer than 10 bytes"
