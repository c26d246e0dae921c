"""Own routes that answer from many traces: their shapes, their choices of traces, and what they refuse."""

from __future__ import annotations

from typing import Any

import orjson
import pandas as pd
import pytest
from asgi_client import AsgiClient
from telemetry_rows import store_entries, store_spans

from windvane.api.windvane import analysis
from windvane.api.windvane.analysis_exemplars import istio_naming
from windvane.api.windvane.docs import operations
from windvane.ingest.istio_labels import Directory
from windvane.kit.clock import ManualClock
from windvane.store.api import Engine
from windvane.store.series import NAME, SampleWriter
from windvane.tracing.model import Span

NOW = 1_790_000_000 * 10**9
MS = 10**6
BASE = "/api/windvane/v1/traces"


def trace(number: int, *, slow: bool = False, failed: bool = False, start: int = NOW - 60 * 10**9) -> list[Span]:
    """A request to web that calls db six times; a slow one waits in db, a failed one fails there."""
    ids = {"trace_id": f"{number:032x}", "kind": "Internal"}
    length = (50 if slow else 5) * MS
    root = Span(span_id=f"{1:016x}", parent_id="", name="GET /", service="web.shop", start_ns=start,
                duration_ns=6 * length + 20 * MS, status="Error" if failed else "Unset", **ids)  # fmt: skip
    calls = [
        Span(span_id=f"{2 + n:016x}", parent_id=root.span_id, name=f"SELECT {n}", service="db",
             start_ns=start + (n + 1) * MS + n * length, duration_ns=length,
             status="Error" if failed and n == 5 else "Unset",
             attributes={"db.version": "2" if slow else "1"}, **ids)
        for n in range(6)
    ]  # fmt: skip
    return [root, *calls]


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    spans = [one for n in range(1, 31) for one in trace(n)]
    spans += [one for n in range(31, 51) for one in trace(n, slow=True, failed=n % 2 == 0)]
    store_spans(engine, spans)
    directory = Directory(services=pd.DataFrame(
        [{"upstream_cluster": "outbound|80||db.shop.svc.cluster.local", "host": "db.shop", "name": "db",
          "namespace": "shop"}]
    ))  # fmt: skip
    return AsgiClient(analysis.routes(engine, ManualClock(NOW), istio_naming(lambda: directory)))


def get(client: AsgiClient, path: str, **params: Any) -> Any:
    answer = client.get(f"{BASE}/{path}", params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_one_traces_path(client: AsgiClient) -> None:
    found = get(client, "1/critical-path")
    assert (found["trace_id"], found["service"], found["operation"]) == (f"{1:032x}", "web.shop", "GET /")
    assert found["duration_ms"] == 50.0
    assert found["start"] == "2026-09-21T14:12:20.000000000Z"
    assert sum(one["duration_ms"] for one in found["sections"]) == pytest.approx(50.0)
    assert found["sections"][1]["operation"] == "SELECT 0"
    assert found["sections"][1]["start_ms"] == 1.0
    assert found["operations"][0]["path_ms"] == 20.0
    assert (found["spans"], found["roots"]) == (7, 1)


def test_who_owns_the_latency(client: AsgiClient) -> None:
    found = get(client, "critical-path", service="web")
    assert (found["traces"], found["spans"], found["truncated"]) == (50, 350, False)
    assert found["duration_ms"] == {"p50": 50.0, "p95": 320.0, "p99": 320.0}
    db, web = found["services"]
    assert (db["service"], web["service"]) == ("db", "web.shop")
    assert db["at"]["p50"] == {"mean_ms": 30.0, "share": 0.6}
    assert db["at"]["p95"]["share"] == pytest.approx(300 / 320)
    assert [(one["caller"], one["service"]) for one in found["edges"]] == [("web.shop", "db"), ("", "web.shop")]
    assert len(found["what_if"]) == 5
    [better] = get(client, "critical-path", faster_service="db", faster="0.5")["what_if"]
    assert better["before_ms"]["p95"] == 320.0
    assert better["after_ms"]["p95"] == 170.0
    assert get(client, "critical-path", tag="error:true")["traces"] == 10
    assert get(client, "critical-path", limit=7)["truncated"] is True
    assert get(client, "critical-path", q="service:db -db.version:1")["traces"] == 20
    assert get(client, "critical-path", limit=7, sort="slowest")["duration_ms"]["p50"] == 320.0
    assert get(client, "critical-path", trace_id="1f")["duration_ms"]["p50"] == 320.0
    assert get(client, "critical-path", service="nobody")["what_if"] == []


def test_flame_graphs(client: AsgiClient) -> None:
    found = get(client, "flame")
    root, *calls = found["nodes"]
    assert (root["parent"], root["spans"], root["traces"], root["errors"]) == (-1, 50, 50, 10)
    assert {one["parent"] for one in calls} == {0}
    assert sum(one["self_ms"] for one in found["nodes"]) == pytest.approx(found["total_ms"])
    assert found["left_out"] == 0
    small = get(client, "flame", min_share="0.2")
    assert [one["depth"] for one in small["nodes"]] == [0]
    assert small["left_out"] == 6
    assert get(client, "1/flame")["nodes"][0]["total_ms"] == 50.0


def test_two_traces(client: AsgiClient) -> None:
    found = get(client, "compare", a="1", b="32")
    assert (found["a"]["duration_ms"], found["b"]["duration_ms"]) == (50.0, 320.0)
    changes = {one["operation"]: one["change"] for one in found["places"]}
    assert (changes["GET /"], changes["SELECT 0"], changes["SELECT 5"]) == ("failed", "slower", "failed")


def test_cohorts(client: AsgiClient) -> None:
    question = {"selection": {"service": "db", "tags": {"db.version": "2"}}, "baseline": {"service": "db"}}
    answer = client.post(f"{BASE}/cohorts", orjson.dumps(question))
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert found["selection"] == {"traces": 20, "estimated_traces": 20, "truncated": False, "overlap": 0}
    assert found["baseline"] == {"traces": 30, "estimated_traces": 30, "truncated": False, "overlap": 20}
    first = found["differences"][0]
    names = {(one["key"], one["value"]) for one in [first, *first["also"]]}
    assert names <= {("span.db.version", "2"), ("span.db.version", "1")}
    assert abs(first["difference"]["value"]) == 1.0
    slower = {one["operation"]: one for one in found["latencies"]}
    assert slower["SELECT 0"]["chance"]["value"] == 1.0
    assert slower["SELECT 0"]["selection"] == {"traces": 20, "p50_ms": 50.0, "p95_ms": 50.0}
    assert found["comparisons"] > 8
    without = client.post(f"{BASE}/cohorts", orjson.dumps({"selection": question["selection"], "correction": "holm"}))
    assert without.json()["baseline"]["traces"] == 30


def test_findings(client: AsgiClient, engine: Engine) -> None:
    entry = {"Timestamp": NOW - 10**9, "Reporter": "source", "Kind": "http", "RequestId": "r", "UpstreamCluster": "c",
             "UpstreamAttempts": 4, "ResponseCode": 503}  # fmt: skip
    store_entries(engine, [entry])
    found = get(client, "findings")
    [begins] = found["error_roots"]
    assert (begins["operation"], begins["traces"], begins["reached"]) == ("SELECT 5", 10, 10)
    assert [one["operation"] for one in begins["chain"]] == ["SELECT 5", "GET /"]
    [repeated] = found["n_plus_one"]
    assert repeated["called"] == {"service": "db", "operation": "SELECT *"}
    assert (repeated["parents"], repeated["calls"]) == (50, 6)
    [storm] = found["retry_storms"]
    assert (storm["cluster"], storm["most"], storm["way"][0]["attempts"]) == ("c", 4, 4)
    assert found["slow"] == []
    assert get(client, "findings", calls="7")["n_plus_one"] == []


def test_slower_than_the_time_before(client: AsgiClient, engine: Engine) -> None:
    before = NOW - 7_000 * 10**9
    store_spans(engine, [one for n in range(200, 320) for one in trace(n, start=before)])
    slower = {one["operation"]: one for one in get(client, "findings")["slow"]}
    assert slower["SELECT 0"]["slow"] == 20
    assert slower["SELECT 0"]["times"] == pytest.approx(10, rel=1e-3)


CALL = {"Reporter": "source", "Kind": "http", "Protocol": "http", "ResponseCode": 200,
        "UpstreamCluster": "outbound|80||db.shop.svc.cluster.local"}  # fmt: skip


def test_from_a_metric_to_its_traces(client: AsgiClient, engine: Engine) -> None:
    store_entries(engine, [
        {**CALL, "Timestamp": NOW - (10 + n) * 10**9, "TraceId": f"{n:032x}", "DurationNs": n * 10 * MS}
        for n in range(1, 9)
    ] + [{**CALL, "Timestamp": NOW - 10**9, "TraceId": "f" * 32, "ResponseCode": 503}])  # fmt: skip

    def traces(query: str, **params: Any) -> list[tuple[int, float]]:
        found = get(client, "exemplars", query=query, **params)["exemplars"]
        return [(int(one["trace_id"], 16), one["value"]) for one in found]

    ok = 'istio_requests_total{destination_service_name="db",response_code="200"}'
    assert [one[0] for one in traces(f"sum(rate({ok}[1m]))")] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert traces(ok, value="42", limit=2) == [(4, 40.0), (5, 50.0)]
    assert traces('istio_requests_total{response_code=~"5.."}') == [(int("f" * 32, 16), 0.0)]
    assert traces('istio_requests_total{response_code!~"2..|503"}') == []
    bucket = 'istio_request_duration_milliseconds_bucket{reporter="source",le="50"}'
    assert [one[0] for one in traces(bucket, above="25")] == [5, 4, 3]
    assert traces(ok, time=NOW // 10**9 - 3_600) == []
    spans = 'traces_spanmetrics_latency_bucket{service="db",span_name="SELECT 1",span_kind="SPAN_KIND_INTERNAL"}'
    assert {one[1] for one in traces(spans, value="0.05", window="5m")} == {0.05}
    assert traces("up") == []


def test_stored_exemplars(client: AsgiClient, engine: Engine) -> None:
    labels = {NAME: "seconds_bucket", "le": "0.1", "job": "a"}
    [series] = SampleWriter(engine).ids([labels], pd.Series([NOW // MS]).to_numpy()).tolist()
    engine.command(
        f"INSERT INTO exemplars VALUES ({series}, fromUnixTimestamp64Milli({NOW // MS - 5_000}), 0.07,"
        " map('trace_id', 'abc1'))"
    )
    [found] = get(client, "exemplars", query='seconds{job="a"}')["exemplars"]
    assert (found["trace_id"], found["value"], found["source"]) == ("abc1", 0.07, "exemplar")
    assert get(client, "exemplars", query='seconds{job="b"}')["exemplars"] == []


@pytest.mark.parametrize(
    ("path", "params", "said"),
    [
        ("critical-path", {"tag": "error"}, "key:value"),
        ("critical-path", {"limit": "0"}, "limit"),
        ("critical-path", {"start": "x"}, "start"),
        ("critical-path", {"start": "9", "end": "1"}, "after end"),
        ("critical-path", {"min_duration": "soon"}, "min_duration"),
        ("critical-path", {"faster": "2"}, "faster"),
        ("critical-path", {"q": "service:("}, "character"),
        ("critical-path", {"sort": "best"}, "sort"),
        ("critical-path", {"faster_service": "nobody"}, "nobody"),
        ("critical-path", {"trace_id": "xyz"}, "trace id"),
        ("flame", {"min_share": "-1"}, "min_share"),
        ("compare", {"a": "1", "b": "1"}, "same trace"),
        ("compare", {"a": "1"}, "trace id"),
        ("xyz/critical-path", {}, "trace id"),
        ("findings", {"calls": "1"}, "calls"),
        ("findings", {"attempts": "0"}, "attempts"),
        ("exemplars", {"query": "up +"}, "parse error"),
        ("exemplars", {"query": "up + up"}, "2 selectors"),
        ("exemplars", {"query": '{job="a"}'}, "no metric"),
        ("exemplars", {"query": "up", "limit": "x"}, "limit"),
        ("exemplars", {"query": "up", "value": "x"}, "value"),
        ("exemplars", {"query": 'a_bucket{le="x"}'}, "le"),
    ],
)
def test_what_is_refused(client: AsgiClient, path: str, params: dict[str, str], said: str) -> None:
    answer = client.get(f"{BASE}/{path}", params)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]["message"]


@pytest.mark.parametrize("path", ["ffff/critical-path", "ffff/flame", "compare?a=1&b=ffff"])
def test_traces_that_are_not_there(client: AsgiClient, path: str) -> None:
    assert client.get(f"{BASE}/{path}").status_code == 404


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"{", "not JSON"),
        (b"{}", "selection"),
        (b'{"selection": {"servce": "a"}}', "servce"),
        (b'{"selection": {"limit": 0}}', "selection.limit"),
        (b'{"selection": {}, "rate": 2}', "rate"),
        (b'{"selection": {}, "correction": "none"}', "correction"),
        (b'{"selection": {"service": "nobody"}}', "selection has no traces"),
        (b'{"selection": {}}', "baseline has no traces"),
    ],
)
def test_questions_that_cannot_be_answered(client: AsgiClient, body: bytes, said: str) -> None:
    answer = client.post(f"{BASE}/cohorts", body)
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]["message"]


def test_the_routes_describe_themselves(engine: Engine) -> None:
    paths, schemas = operations(analysis.routes(engine, ManualClock(NOW), istio_naming(Directory)))
    body = paths[f"{BASE}/cohorts"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert body["$ref"].removeprefix("#/components/schemas/") in schemas
    assert len(paths) == 8
