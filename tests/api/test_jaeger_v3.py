"""api_v3 over HTTP: both spellings of parameters, OTLP-JSON (golden), summaries, errors."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import datetime
import json
from collections.abc import Callable
from dataclasses import replace

import orjson
import otlp_messages
import pytest
from asgi_client import AsgiClient
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from jaeger_traces import NOW, SHOP, SHORT, TRACES
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from telemetry_rows import store_spans
from test_otlp_traces import _comparable, _ingest, _sent

from windvane.api import jaeger
from windvane.api.jaeger.params import parse_time, parse_trace_id
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.store.api import Engine

TIMES = {"query.startTimeMin": "2026-09-21T00:00:00Z", "query.startTimeMax": "2026-09-22T00:00:00.5+00:00"}
OLD_TIMES = {"query.start_time_min": "2026-09-21T00:00:00Z", "query.start_time_max": "2026-09-22T00:00:00Z"}


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    store_spans(engine, TRACES)
    return AsgiClient(jaeger.shared_routes(jaeger.JaegerQueries(engine, ManualClock(NOW))))


def ids(body: dict[str, object]) -> list[str]:
    """Trace ids in the order of appearance."""
    message = ParseDict({"resourceSpans": _b64(body["result"]["resourceSpans"])}, TracesData())  # type: ignore[index]
    spans = [s for r in message.resource_spans for scope in r.scope_spans for s in scope.spans]
    return list(dict.fromkeys(span.trace_id.hex() for span in spans))


_IDS = ("traceId", "spanId", "parentSpanId")


def _b64(value: object) -> object:
    """OTLP's hex ids as protobuf's JSON wants them."""
    if isinstance(value, dict):
        return {
            key: base64.b64encode(bytes.fromhex(item)).decode() if key in _IDS else _b64(item)
            for key, item in value.items()
        }
    return [_b64(item) for item in value] if isinstance(value, list) else value


def test_a_trace_as_otlp(client: AsgiClient, golden: Callable[[str, str], None]) -> None:
    answer = client.get(f"/api/v3/traces/{SHOP}")
    assert answer.headers["content-type"] == "application/json"
    golden("jaeger_v3_trace.json", orjson.dumps(answer.json(), option=orjson.OPT_INDENT_2).decode() + "\n")
    assert ids(answer.json()) == [SHOP]


def test_warnings_travel_as_an_attribute_and_raw_has_none(client: AsgiClient) -> None:
    assert "@jaeger@warnings" in client.get(f"/api/v3/traces/{SHOP}").text
    for name in ("rawTraces", "raw_traces"):
        assert "@jaeger@warnings" not in client.get(f"/api/v3/traces/{SHOP}", params={name: "true"}).text


def test_services_and_operations(client: AsgiClient, engine: Engine) -> None:
    assert client.get("/api/v3/services").json() == {"services": ["gateway.shop", "ratings", "reviews.shop"]}
    kinds_of = {"name": "GET /", "spanKind": "server"}, {"name": "call reviews", "spanKind": "client"}
    found = client.get("/api/v3/operations", params={"service": "gateway.shop"}).json()
    assert found == {"operations": list(kinds_of)}
    for name in ("spanKind", "span_kind"):
        found = client.get("/api/v3/operations", params={"service": "gateway.shop", name: "client"}).json()
        assert found == {"operations": [kinds_of[1]]}
    assert client.get("/api/v3/operations", params={"service": "nobody"}).json() == {}


def test_what_searches_may_ask(client: AsgiClient) -> None:
    answer = client.get("/api/v3/capabilities").json()
    assert answer == {"search": {"withoutServiceName": True, "sameSpanConjunction": True}}


def test_an_empty_store_has_empty_answers(engine: Engine) -> None:
    client = AsgiClient(jaeger.shared_routes(jaeger.JaegerQueries(engine, ManualClock(NOW))))
    assert client.get("/api/v3/services").json() == {}
    assert client.get("/api/v3/trace-summaries", params=TIMES).json() == {}


def test_an_operation_of_no_kind_is_internal(client: AsgiClient, engine: Engine) -> None:
    store_spans(engine, [replace(TRACES[6], service="plain", kind="Unspecified", name="step")])
    found = client.get("/api/v3/operations", params={"service": "plain"}).json()
    assert found == {"operations": [{"name": "step", "spanKind": "internal"}]}


@pytest.mark.parametrize(
    ("params", "found"),
    [
        (TIMES, [SHORT, SHOP]),
        (OLD_TIMES, [SHORT, SHOP]),
        ({"query.start_time_min": "2026-09-21T00:00:00 00:00", "query.start_time_max": "2026-09-22T00:00:00Z"},
         [SHORT, SHOP]),  # a plus that nobody encoded, as Grafana sends it
        ({**TIMES, "query.serviceName": "gateway.shop"}, [SHOP]),
        ({**TIMES, "query.service_name": "gateway.shop"}, [SHOP]),
        ({**TIMES, "query.operationName": "query"}, [SHOP]),
        ({**TIMES, "query.operation_name": "query"}, [SHOP]),
        ({**TIMES, "query.attributes": '{"http.status_code": "200"}'}, [SHOP]),
        ({**TIMES, "query.attributes": '{"error": "true", "span.kind": "server"}'}, [SHOP]),
        ({**TIMES, "query.attributes": '{"span.status": "ok"}'}, [SHOP]),
        ({**TIMES, "query.durationMin": "50ms"}, [SHOP]),
        ({**TIMES, "query.duration_min": "50ms"}, [SHOP]),
        ({**TIMES, "query.durationMax": "0.02s", "query.serviceName": "reviews"}, [SHORT, SHOP]),
        ({**TIMES, "query.duration_max": "20ms", "query.serviceName": "gateway"}, [SHOP]),
        ({**TIMES, "query.searchDepth": "1"}, [SHORT]),
        ({**TIMES, "query.search_depth": "1"}, [SHORT]),
        ({**TIMES, "query.num_traces": "1"}, [SHORT]),
        ({**TIMES, "query.searchDepth": "2", "query.num_traces": "1"}, [SHORT, SHOP]),  # the newer name wins
    ],
)  # fmt: skip
def test_search(client: AsgiClient, params: dict[str, str], found: list[str]) -> None:
    answer = client.get("/api/v3/traces", params=params)
    assert answer.status_code == 200, answer.text
    assert ids(answer.json()) == found
    summaries = client.get("/api/v3/trace-summaries", params=params).json()["summaries"]
    assert [summary["traceId"] for summary in summaries] == found


def test_a_summary_leaves_out_what_is_zero(client: AsgiClient) -> None:
    first, second = client.get("/api/v3/trace-summaries", params=TIMES).json()["summaries"]
    assert first == {
        "traceId": SHORT, "rootServiceName": "reviews.shop", "rootOperationName": "GET /reviews",
        "minStartTimeUnixNano": str(NOW - 5 * 10**9), "maxEndTimeUnixNano": str(NOW - 5 * 10**9 + 20 * 10**6),
        "spanCount": 1, "services": [{"name": "reviews.shop", "spanCount": 1}],
    }  # fmt: skip
    assert second["orphanSpanCount"] == 1
    assert second["errorSpanCount"] == 2
    assert second["services"] == [
        {"name": "gateway.shop", "spanCount": 2, "errorSpanCount": 1},
        {"name": "ratings", "spanCount": 3},
        {"name": "reviews.shop", "spanCount": 1, "errorSpanCount": 1},
    ]


def test_a_window_narrows_one_trace(client: AsgiClient) -> None:
    for names in (("startTime", "endTime"), ("start_time", "end_time")):
        window = dict(zip(names, ("2026-09-21T14:13:10.0025Z", "2026-09-21T14:13:10.003Z"), strict=True))
        body = client.get(f"/api/v3/traces/{SHOP}", params=window).json()
        (batch,) = body["result"]["resourceSpans"]
        assert [span["name"] for span in batch["scopeSpans"][0]["spans"]] == ["GET /reviews"]


def test_dependencies(client: AsgiClient) -> None:
    for names in (("startTime", "endTime"), ("start_time", "end_time")):
        window = dict(zip(names, ("2026-09-21T00:00:00Z", "2026-09-22T00:00:00Z"), strict=True))
        found = client.get("/api/v3/dependencies", params=window).json()["dependencies"]
        assert {"parent": "reviews.shop", "child": "ratings", "callCount": "2"} in found
    window = {"startTime": "2020-01-01T00:00:00Z", "endTime": "2020-01-02T00:00:00Z"}
    assert client.get("/api/v3/dependencies", params=window).json() == {}


@pytest.mark.parametrize(
    ("path", "params", "status", "message"),
    [
        ("traces/00ff", {}, 404, "No traces found"),
        ("traces/xyz", {}, 400, "malformed parameter trace_id: "),
        ("traces/1", {"startTime": "abc"}, 400, "malformed parameter startTime: parsing time \"abc\" as "),
        ("traces/1", {"end_time": "2026-13-01T00:00:00Z"}, 400, "malformed parameter end_time: "),
        ("traces/1", {"rawTraces": "x"}, 400, "malformed parameter rawTraces: strconv.ParseBool: parsing \"x\""),
        ("traces/1", {"raw_traces": "x"}, 400, "malformed parameter raw_traces: "),
        ("traces", {}, 400, "query.startTimeMin and query.startTimeMax are required"),
        ("traces", {"query.startTimeMin": "2026-09-21T00:00:00Z"}, 400,
         "query.startTimeMin and query.startTimeMax are required"),
        ("traces", {**TIMES, "query.startTimeMax": TIMES["query.startTimeMin"]}, 400,
         "query.startTimeMin must be before query.startTimeMax"),
        ("traces", {**TIMES, "query.startTimeMax": "soon"}, 400, "malformed parameter query.startTimeMax: "),
        ("traces", {**TIMES, "query.durationMin": "5"}, 400,
         'malformed parameter query.durationMin: time: missing unit in duration "5"'),
        ("traces", {**TIMES, "query.duration_max": "x"}, 400, "malformed parameter query.duration_max: "),
        ("traces", {**TIMES, "query.searchDepth": "x"}, 400,
         'malformed parameter query.searchDepth: strconv.Atoi: parsing "x": invalid syntax'),
        ("traces", {**TIMES, "query.num_traces": "x"}, 400, "malformed parameter query.num_traces: "),
        ("traces", {**TIMES, "query.searchDepth": "0"}, 400, "search depth must be greater than 0"),
        ("traces", {**TIMES, "query.attributes": "{"}, 400, "malformed parameter query.attributes: "),
        ("traces", {**TIMES, "query.attributes": '{"a": 1}'}, 400, "malformed parameter query.attributes: "),
        ("traces", {**TIMES, "query.rawTraces": "x"}, 400, "malformed parameter query.rawTraces: "),
        ("traces", {**TIMES, "query.filter": "{}"}, 400, "query.filter is not supported"),
        ("trace-summaries", {**TIMES, "query.pagination.pageToken": "x"}, 400,
         "query.pagination.pageToken is not supported"),
        ("traces", {**TIMES, "query.pagination.page_size": "5"}, 400, "query.pagination.pageSize is not supported"),
        ("traces", {**TIMES, "query.serviceName": "nobody"}, 404, "No traces found"),
        ("trace-summaries", {}, 400, "query.startTimeMin and query.startTimeMax are required"),
        ("trace-summaries", {**TIMES, "query.raw_traces": "x"}, 400, "malformed parameter query.raw_traces: "),
        ("dependencies", {}, 400, "malformed parameter startTime: "),
        ("dependencies", {"start_time": "2026-09-21T00:00:00Z"}, 400, "malformed parameter endTime: "),
        ("dependencies", {"startTime": "2026-09-21T00:00:00Z", "endTime": "2026-09-21T00:00:00Z"}, 400,
         "malformed parameter endTime: "),
    ],
)  # fmt: skip
def test_errors(client: AsgiClient, path: str, params: dict[str, str], status: int, message: str) -> None:
    answer = client.get(f"/api/v3/{path}", params=params)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.text.endswith("}\n")
    error = json.loads(answer.text)["error"]
    assert error.keys() == {"httpCode", "message"}
    assert error["httpCode"] == status
    assert error["message"].startswith(message)


@pytest.mark.parametrize(
    ("text", "nanoseconds"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:01.000000001Z", 1_000_000_001),
        ("1970-01-01T02:00:00.5+02:00", 500_000_000),
        ("1969-12-31T22:30:00-01:30", 0),
        ("1970-01-01T02:00:00 02:00", 0),
        ("2000-02-29T00:00:00Z", 951_782_400 * 10**9),
    ],
)
def test_times(text: str, nanoseconds: int) -> None:
    assert parse_time(text) == nanoseconds


@given(st.integers(86_400 * 10**6, 7 * 10**15), st.integers(-23 * 60, 23 * 60))
def test_a_time_in_any_zone_is_the_same(microseconds: int, minutes: int) -> None:
    epoch = datetime.datetime(1970, 1, 1, tzinfo=datetime.timezone(datetime.timedelta(0)))
    utc = epoch + datetime.timedelta(microseconds=microseconds)
    there = utc.astimezone(datetime.timezone(datetime.timedelta(minutes=minutes)))
    assert parse_time(there.isoformat()) == microseconds * 1_000


@given(st.text(max_size=40))
def test_any_text_is_a_time_or_refused(text: str) -> None:
    for read in (parse_time, parse_trace_id):
        with contextlib.suppress(BadInputError):
            read(text)


def test_every_field_of_otlp_comes_back(engine: Engine) -> None:
    asyncio.run(_ingest(engine, otlp_messages.rich_traces().SerializeToString()))
    client = AsgiClient(jaeger.shared_routes(jaeger.JaegerQueries(engine, ManualClock(NOW))))
    body = client.get(f"/api/v3/traces/{otlp_messages.TRACE.hex()}", params={"rawTraces": "1"}).json()
    received = ParseDict({"resourceSpans": _b64(body["result"]["resourceSpans"])}, TracesData())
    assert _comparable(received) == _comparable(_sent())
