"""Tempo's HTTP API: shapes, parameters and errors; what Grafana's data source and Kiali ask, in their order."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest
from asgi_client import AsgiClient
from google.protobuf.json_format import ParseDict
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData
from starlette.datastructures import QueryParams
from telemetry_rows import store_spans

from windvane.api import tempo, tempo_params
from windvane.api.tempo_params import default_step, moment, tags_condition
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.model import Event, Span
from windvane.tracing.traceql.printer import print_field
from windvane.tracing.traceql.tags import lenient_condition

SECOND = 10**9
NOW = 1_790_000_000 * SECOND
ROOT = Span(
    "0" * 16 + "00000000000000ab", "00000000000000a1", "", "GET /cart", "Server", "front", NOW - 60 * SECOND,
    250_000_000, status="Ok", resource={"service.name": "front", "zone": "a", "hostname": "h1"},
    attributes={"http.status_code": 200, "node_id": "sidecar~1", "component": "proxy", "cached": True, "ratio": 0.5},
)  # fmt: skip
CHILD = Span(
    ROOT.trace_id, "00000000000000a2", ROOT.span_id, "charge", "Client", "pay", NOW - 59 * SECOND, 100_000_000,
    status="Error", status_message="boom", scope_name="envoy",
    resource={"service.name": "pay", "zone": "b"}, attributes={"http.status_code": 503, "node_id": "sidecar~2"},
    events=(Event(NOW - 58 * SECOND, "exception", {"level": "warn"}),),
)  # fmt: skip
OTHER = replace(ROOT, trace_id="b" * 32, span_id="b" * 16, service="front", start_ns=NOW - 120 * SECOND, status="Unset")
TIMES = {"start": str(NOW // SECOND - 3600), "end": str(NOW // SECOND)}


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    store_spans(engine, [ROOT, CHILD, OTHER])
    return AsgiClient(tempo.routes(engine, ManualClock(NOW)))


def ids(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [trace["traceID"] for trace in answer.json()["traces"]]


def test_a_search_in_tempos_shape(client: AsgiClient) -> None:
    answer = client.get("/tempo/api/search", {"q": "{ status = error } | select(span.node_id)", **TIMES})
    assert answer.json()["traces"] == [
        {
            "traceID": "ab",
            "rootServiceName": "front",
            "rootTraceName": "GET /cart",
            "startTimeUnixNano": str(ROOT.start_ns),
            "durationMs": 1_100,
            "spanSet": (sets := {
                "spans": [
                    {
                        "spanID": "00000000000000a2",
                        "name": "charge",
                        "startTimeUnixNano": str(CHILD.start_ns),
                        "durationNanos": "100000000",
                        "attributes": [
                            {"key": "status", "value": {"stringValue": "error"}},
                            {"key": "node_id", "value": {"stringValue": "sidecar~2"}},
                        ],
                    }
                ],
                "matched": 1,
            }),
            "spanSets": [sets],
            "serviceStats": {"front": {"spanCount": 1, "errorCount": 0}, "pay": {"spanCount": 1, "errorCount": 1}},
        }
    ]  # fmt: skip
    assert answer.json()["metrics"]["completedJobs"] == answer.json()["metrics"]["totalJobs"] == 1


@pytest.mark.parametrize(
    ("params", "found"),
    [
        ({}, ["ab", "b" * 32]),
        ({"q": "{ }", "limit": "1"}, ["ab"]),
        ({"q": "{ span.http.status_code >= 500 }"}, ["ab"]),
        ({"q": "{ name = `nothing` }"}, []),
        ({"q": "{ }", "minDuration": "1s"}, ["ab"]),
        ({"q": "{ }", "maxDuration": "1s"}, ["b" * 32]),
        ({"tags": "service.name=PAY"}, ["ab"]),
        ({"tags": 'service.name=pay zone="b" http.status_code=503'}, ["ab"]),
        ({"tags": "service.name=front cached=true", "minDuration": "1s"}, ["ab"]),
        ({"tags": "error=true"}, ["ab"]),
        ({"tags": "root.name=cart status=unset"}, ["b" * 32]),
        ({"tags": "zone=c"}, []),
        ({"start": str(NOW // SECOND - 125), "end": str(NOW // SECOND - 100)}, ["b" * 32]),
        ({"end": str(NOW // SECOND - 86_400 * 3)}, []),
        ({"q": "{ } | by(resource.service.name) | count() = 1 with (most_recent=true)"}, ["ab", "b" * 32]),
    ],
)
def test_what_parameters_of_a_search_do(client: AsgiClient, params: dict[str, str], found: list[str]) -> None:
    assert ids(client.get("/tempo/api/search", params)) == found


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        (
            "search",
            {"q": "{ .a = }"},
            "invalid TraceQL query: parse error at line 1, col 8: syntax error: unexpected '}'",
        ),
        ("search", {"q": "{ parent.a = 1 }"}, "invalid TraceQL query: parent not yet supported"),
        ("search", {"q": "{ 1 = `a` }"}, "invalid TraceQL query: binary operations must operate on the same type"),
        ("search", {"q": "{ } | rate()"}, "a metrics query is answered by /api/metrics/query_range"),
        ("search", {"q": "{ }", "tags": "a=b"}, "invalid request: can't specify tags and q in the same query"),
        ("search", {"limit": "x"}, 'invalid limit: strconv.Atoi: parsing "x": invalid syntax'),
        ("search", {"limit": "0"}, "invalid limit: must be a positive number"),
        ("search", {"limit": "10001"}, "invalid limit: must be from 1 to 10000"),
        ("search", {"spss": "-1"}, "invalid spss: must be a non-negative number"),
        ("search", {"start": "20", "end": "10"}, "http parameter start must be before end. received start=20 end=10"),
        ("search", {"minDuration": "1"}, "invalid minDuration: time: missing unit in duration"),
        ("search", {"minDuration": "2s", "maxDuration": "1s"}, "invalid maxDuration: must be greater than minDuration"),
        ("search", {"tags": '="'}, "invalid tags: unexpected text at pos 1"),
        ("search/tags", {"scope": "nowhere"}, "invalid scope: nowhere"),
        ("v2/search/tag/span:nothing/values", {}, "no intrinsic is named span:nothing"),
        ("v2/search/tag/nothing/values", {}, "unexpected identifier nothing"),
        ("metrics/query_range", {}, "invalid request: missing query"),
        ("metrics/query_range", {"q": "{ }"}, "not a metrics query"),
        ("metrics/query_range", {"q": "{ } | rate()", "step": "x"}, 'invalid step: not a valid duration string: "x"'),
        ("metrics/query_range", {"q": "{ } | rate()", "since": "x"}, "invalid since"),
        ("metrics/query_range", {"q": "{ } | rate()", "start": "x"}, 'invalid start: cannot parse "x"'),
        ("metrics/query_range", {"q": "{ } | rate()", "start": "9", "end": "1"}, "http parameter start must be before"),
        ("metrics/query_range", {"q": "{ } | rate()", "step": "1ms"}, "a step of 1ms makes 3600000 points"),
        ("metrics/query", {"q": "{ } | rate() by (nothing)"}, "unexpected identifier nothing"),
        ("traces/xyz", {}, "trace IDs can only contain hex characters: invalid character 'x' at position 1"),
        ("traces/" + "a" * 33, {}, "trace IDs can't be larger than 128 bits"),
        ("v2/traces/ab", {"q": "{ } | count() > 1"}, "a single spanset filter"),
    ],
)
def test_errors_are_a_line_of_text(client: AsgiClient, path: str, params: dict[str, str], message: str) -> None:
    answer = client.get(f"/tempo/api/{path}", params)
    assert answer.status_code == 400, answer.text
    assert message in answer.text
    assert answer.text.endswith("\n")
    assert answer.headers["content-type"].startswith("text/plain")


def test_a_trace_as_json_and_protobuf(client: AsgiClient) -> None:
    plain = client.get("/tempo/api/traces/AB").json()
    assert [batch["resource"]["attributes"][0]["value"]["stringValue"] for batch in plain["batches"]] == [
        "front",
        "pay",
    ]
    span = plain["batches"][1]["scopeSpans"][0]["spans"][0]
    assert base64.b64decode(span["traceId"]).hex() == ROOT.trace_id
    assert (span["kind"], span["status"]["code"]) == ("SPAN_KIND_CLIENT", "STATUS_CODE_ERROR")

    wire = client.get("/tempo/api/traces/ab", headers={"Accept": "application/protobuf"})
    assert wire.headers["content-type"] == "application/protobuf"
    assert TracesData.FromString(wire.content) == ParseDict({"resourceSpans": plain["batches"]}, TracesData())

    newer = client.get("/tempo/api/v2/traces/ab").json()
    assert newer["trace"]["resourceSpans"] == plain["batches"]
    wrapped = client.get("/tempo/api/v2/traces/ab", headers={"Accept": "application/protobuf"}).content
    assert (wrapped[0], wrapped[-len(wire.content) :]) == (0x0A, wire.content)


def test_a_trace_that_is_not_there(client: AsgiClient) -> None:
    for path, params in (("traces/cc", {}), ("v2/traces/cc", {}), ("traces/ab", {"start": "1", "end": "2"})):
        answer = client.get(f"/tempo/api/{path}", params)
        assert (answer.status_code, answer.text) == (404, "trace not found\n")
    assert client.get("/tempo/api/traces/ab", TIMES).status_code == 200


def names(answer: httpx.Response) -> list[str]:
    batches = answer.json()["trace"]["resourceSpans"]
    return [span["name"] for batch in batches for scope in batch["scopeSpans"] for span in scope["spans"]]


def test_a_part_of_a_trace(client: AsgiClient) -> None:
    path = "/tempo/api/v2/traces/ab"
    assert names(client.get(path, {"q": "{ status = error }"})) == ["GET /cart", "charge"]
    assert names(client.get(path, {"q": "{ status = error }", "keep_hierarchy": "false"})) == ["charge"]
    assert names(client.get(path, {"q": "{ }"})) == ["GET /cart", "charge"]


def test_names_of_tags(client: AsgiClient) -> None:
    v1 = client.get("/tempo/api/search/tags", TIMES).json()["tagNames"]
    assert {"service.name", "zone", "http.status_code", "level", "duration"} <= set(v1)
    assert v1 == sorted(v1)
    scopes = {one["name"]: one["tags"] for one in client.get("/tempo/api/v2/search/tags", TIMES).json()["scopes"]}
    assert scopes["resource"] == ["hostname", "service.name", "zone"]
    assert scopes["event"] == ["level"]
    assert "span:status" in scopes["intrinsic"]
    (only,) = client.get("/tempo/api/v2/search/tags", {"scope": "span", "limit": "2"}).json()["scopes"]
    assert only == {"name": "span", "tags": ["cached", "component"]}
    filtered = client.get("/tempo/api/v2/search/tags", {"scope": "span", "q": "{ name = `charge` }"}).json()["scopes"]
    assert filtered == [{"name": "span", "tags": ["http.status_code", "node_id"]}]
    assert client.get("/tempo/api/v2/search/tags", {"scope": "span", "start": "1", "end": "2"}).json()["scopes"] == []


@pytest.mark.parametrize(
    ("tag", "params", "found"),
    [
        ("resource.service.name", {}, [("string", "front"), ("string", "pay")]),
        (".service.name", {"q": "{ name = `charge` }"}, [("string", "pay")]),
        ("span.http.status_code", {}, [("int", "200"), ("int", "503")]),
        ("span.http.status_code", {"limit": "1"}, [("int", "200")]),
        ("span.cached", {}, [("bool", "true")]),
        ("span.ratio", {}, [("float", "0.5")]),
        ("event.level", {}, [("string", "warn")]),
        ("status", {}, [("keyword", "error"), ("keyword", "ok"), ("keyword", "unset")]),
        ("span:kind", {}, [("keyword", "server"), ("keyword", "client")]),
        ("name", {"q": "{ resource.service.name = }"}, [("string", "GET /cart"), ("string", "charge")]),
        ("name", {"q": "{ resource.service.name = `pay` && span.x = }"}, [("string", "charge")]),
        ("rootServiceName", {}, [("string", "front")]),
        ("event:name", {}, [("string", "exception")]),
        ("duration", {}, []),
        ("span.missing", {}, []),
        ('span."no such"', {}, []),
    ],
)
def test_values_of_tags(client: AsgiClient, tag: str, params: dict[str, str], found: list[tuple[str, str]]) -> None:
    answer = client.get(f"/tempo/api/v2/search/tag/{tag}/values", params)
    assert [(one["type"], one["value"]) for one in answer.json()["tagValues"]] == found


def test_values_of_tags_without_scope(client: AsgiClient) -> None:
    assert client.get("/tempo/api/search/tag/service.name/values").json()["tagValues"] == ["front", "pay"]
    assert client.get("/tempo/api/search/tag/status/values").json()["tagValues"] == ["error", "ok", "unset"]


def test_metrics_over_a_range_and_at_once(client: AsgiClient) -> None:
    query = "{ } | count_over_time() by (resource.service.name)"
    params = {"q": query, "start": str(NOW // SECOND - 180), "end": str(NOW // SECOND), "step": "60s", "exemplars": "5"}
    series = client.get("/tempo/api/metrics/query_range", params).json()["series"]
    front = next(one for one in series if one["promLabels"] == '{"resource.service.name"="front"}')
    assert front["labels"] == [{"key": "resource.service.name", "value": {"stringValue": "front"}}]
    assert [sample["value"] for sample in front["samples"]] == [0, 1, 1, 0]
    step = 60 * 1_000
    assert all(int(sample["timestampMs"]) % step == 0 for sample in front["samples"])
    assert {one["labels"][0]["value"]["stringValue"] for one in front["exemplars"]} == {"ab", "b" * 32}
    quiet = client.get("/tempo/api/metrics/query_range", params | {"q": query + " with (exemplars=false)"}).json()
    assert all("exemplars" not in one for one in quiet["series"])

    at_once = client.get("/tempo/api/metrics/query", {"q": query, "since": "1h"}).json()["series"]
    assert {one["promLabels"]: one["value"] for one in at_once} == {
        '{"resource.service.name"="front"}': 2, '{"resource.service.name"="pay"}': 1,
    }  # fmt: skip
    nothing = client.get("/tempo/api/metrics/query_range", params | {"q": "{ } | max_over_time(span.none)"})
    assert nothing.json()["series"] == []
    (rate,) = client.get("/tempo/api/metrics/query", {"q": "{ status = error } | rate()"}).json()["series"]
    assert (rate["promLabels"], rate["value"]) == ('{__name__="rate"}', pytest.approx(1 / 3600))


def test_times_and_steps() -> None:
    class Params(dict[str, str]):
        pass

    def read(text: str) -> int | None:
        return moment(Params(t=text), "t")  # type: ignore[arg-type]

    assert read("1790000000") == NOW
    assert read(str(NOW)) == NOW
    assert read("2026-09-21T14:13:20Z") == NOW
    assert read("") is None
    assert [default_step(length * SECOND) for length in (60, 3_600, 86_400)] == [SECOND, 15 * SECOND, 360 * SECOND]


_TEXTS = st.text(max_size=12) | st.sampled_from(
    ["1", "0", "-1", "1e9", "9" * 30, "10s", "a=b", '="', "{", "2026-01-01"]
)


@given(st.dictionaries(st.sampled_from(["start", "end", "since", "step", "limit", "q", "tags", "minDuration",
                                        "maxDuration"]), _TEXTS))  # fmt: skip
def test_no_parameters_break_the_reader(params: dict[str, str]) -> None:
    given_ = QueryParams(params)
    readers: list[Callable[[], object]] = [
        lambda: tempo_params.window(given_, NOW),
        lambda: tempo_params.trace_window(given_),
        lambda: tempo_params.search_pipeline(given_),
        lambda: tempo_params.metrics_query(given_),
        lambda: tempo_params.metrics_slots(given_, NOW, instant=False),
        lambda: tempo_params.metrics_slots(given_, NOW, instant=True),
        lambda: tempo_params.integer(given_, "limit", 20),
        lambda: lenient_condition(params.get("q", "")),
    ]
    for read in readers:
        with contextlib.suppress(BadInputError):
            read()


def test_tags_as_a_condition() -> None:
    assert print_field(tags_condition('a="x y" b=1')) == ('(.a =~ "(?i).*x y.*") && ((.b =~ "(?i).*1.*") || (.b = 1))')
    assert print_field(tags_condition("k=a.b*")) == '.k =~ "(?i).*a\\\\.b\\\\*.*"'
    with pytest.raises(BadInputError, match="status is one of"):
        tags_condition("status=fine")


def test_what_grafanas_data_source_asks(engine: Engine) -> None:
    store_spans(engine, [ROOT, CHILD, OTHER])
    client = AsgiClient(tempo.routes(engine, ManualClock(NOW), prefix=""))  # an address of its own
    assert client.get("/api/echo").text == "echo"
    assert client.get("/api/status/buildinfo").json()["version"] == tempo.API_LEVEL
    assert client.get("/ready").text == "ready\n"
    assert client.get("/api/v2/search/tags", {"limit": "5000", **TIMES}).status_code == 200
    values = client.get("/api/v2/search/tag/resource.service.name/values", {"q": '{resource.zone="b"}', **TIMES})
    assert values.json()["tagValues"] == [{"type": "string", "value": "pay"}]
    found = client.get("/api/search", {"q": '{resource.service.name="pay" && status=error}', "limit": "20",
                                       "spss": "3", **TIMES})  # fmt: skip
    (trace_id,) = ids(found)
    wire = client.get(f"/api/traces/{trace_id}", TIMES, headers={"Accept": "application/protobuf"})
    assert len(TracesData.FromString(wire.content).resource_spans) == 2
    drilldown = "{nestedSetParent<0 && true} | rate() by(resource.service.name)"
    answer = client.get("/api/metrics/query_range", {"q": drilldown, "step": "30s", "exemplars": "100", **TIMES})
    assert [one["promLabels"] for one in answer.json()["series"]] == ['{"resource.service.name"="front"}']
    comparison = "{nestedSetParent<0 && true} | compare({status=unset}, 10)"
    assert client.get("/api/metrics/query", {"q": comparison, **TIMES}).status_code == 200


def test_what_kiali_asks(client: AsgiClient) -> None:
    assert "service.name" in client.get("/tempo/api/search/tags").json()["tagNames"]
    assert client.get("/tempo/status/services").status_code == 200
    query = (
        '{ .service.name = "pay" && .node_id =~ ".*" } && { } | select(status, .service_name, .node_id, .component,'
        " .upstream_cluster, .http.method, .response_flags, resource.hostname)"
    )
    params: dict[str, Any] = {"q": query, "spss": "10", "limit": "5", "minDuration": "10ms", **TIMES}
    (trace,) = client.get("/tempo/api/search", params).json()["traces"]
    assert trace["spanSet"]["matched"] == 2
    shown = [
        {one["key"]: one["value"]["stringValue"] for one in span["attributes"]} for span in trace["spanSet"]["spans"]
    ]
    assert shown[0] | {"node_id": "sidecar~1", "component": "proxy", "hostname": "h1", "status": "ok"} == shown[0]
    assert shown[1] | {"service.name": "pay", "status": "error"} == shown[1]
    assert client.get(f"/tempo/api/traces/{trace['traceID']}").json()["batches"]
