"""Metadata, exemplars, cardinality, deletion and federation over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cramjam
import httpx
import numpy as np
import pytest
from click.testing import CliRunner
from prometheus_process import served

from windvane.api import prometheus, prometheus_admin, prometheus_facts, prometheus_federate, prometheus_read
from windvane.api.app import build_app
from windvane.api.prometheus_federate import Sample, exposition, number
from windvane.api.prometheus_http import fallback
from windvane.api.prometheus_status import StatusInfo
from windvane.cli.delete_series import command
from windvane.kit.clock import ManualClock
from windvane.promql.engine import QueryEngine
from windvane.signals.exposition.protobuf import ProtobufReader
from windvane.signals.native_histograms import NativeHistogram
from windvane.signals.remote_read.histograms import block, read_histogram, varint
from windvane.store.delete import SeriesDeletion
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import Metadata, MetadataWriter, write_exemplars, write_histograms
from windvane.store.series import STALE, SampleWriter, series_id
from windvane.store.snapshot import snapshot

NOW = 1_700_000_000
SETS = [
    {"__name__": "req_total", "code": "200", "pod": "a"},
    {"__name__": "req_total", "code": "500", "pod": "a"},
    {"__name__": "req_total", "code": "200", "pod": "b"},
    {"__name__": "my.gauge", "pod": "b", "utf.8": 'x"y\n'},
]


class Client:
    """Requests without sockets."""

    def __init__(self, engine: EmbeddedEngine, snapshots: Path | None = None, enabled: bool = True) -> None:
        self.clock = ManualClock(NOW * 10**9)
        queries = QueryEngine(engine)
        admin = prometheus_admin.routes(
            SeriesDeletion(engine, self.clock, forget=lambda: None),
            self.clock,
            prometheus_admin.AdminSettings(enabled, snapshots),
            take=lambda folder: snapshot(engine, folder),
        )
        self.app = build_app(
            [
                prometheus.routes(queries, self.clock, StatusInfo(NOW * 1000, flags={"web.enable-admin-api": "true"})),
                prometheus_facts.routes(engine, self.clock),
                prometheus_federate.routes(engine, self.clock, lambda: {"replica": "r", "pod": "x"}),
                prometheus_read.routes(engine),
                admin,
                fallback(),
            ]
        )

    def request(self, method: str, path: str, **kwargs: Any) -> httpx.Response:
        async def send() -> httpx.Response:
            transport = httpx.ASGITransport(self.app)
            async with httpx.AsyncClient(transport=transport, base_url="http://windvane") as client:
                return await client.request(method, path, **kwargs)

        return asyncio.run(send())

    def get(self, path: str, **params: Any) -> Any:
        answer = self.request("GET", f"/api/v1/{path}", params=params)
        return answer.json()["data"] if answer.status_code == 200 else (answer.status_code, answer.json()["error"])


@pytest.fixture
def filled(engine: EmbeddedEngine) -> EmbeddedEngine:
    writer = SampleWriter(engine)
    for n in range(4):
        writer.write(SETS, np.full(4, (NOW - 60 + n * 15) * 1000), np.array([n, 2.5e7, 1e-5, 1 / 3]))
    return engine


@pytest.fixture
def client(filled: EmbeddedEngine) -> Client:
    return Client(filled)


def test_metadata_is_by_family_the_newest_first(filled: EmbeddedEngine, client: Client) -> None:
    assert client.get("metadata") == {}
    clock = ManualClock(10**18)
    writer = MetadataWriter(filled, clock)
    writer.write([Metadata("b", "gauge", "old", "seconds"), Metadata("a", "counter", "of a")])
    clock.advance(10)
    writer.write([Metadata("b", "gauge", "new", "")])
    old, new = {"type": "gauge", "help": "old", "unit": "seconds"}, {"type": "gauge", "help": "new", "unit": ""}
    a = {"type": "counter", "help": "of a", "unit": ""}
    assert client.get("metadata") == {"a": [a], "b": [new, old]}
    assert client.get("metadata", metric="b", limit_per_metric=1) == {"b": [new]}
    assert client.get("metadata", limit=1) == {"a": [a]}
    assert client.get("metadata", limit=0) == {}
    assert client.get("metadata", metric="c") == {}
    assert client.get("metadata", limit_per_metric="x") == (400, "limit_per_metric must be a number")


def test_families_that_windvane_derives_have_metadata_too(filled: EmbeddedEngine, client: Client) -> None:
    writer = SampleWriter(filled)
    names = ["istio_requests_total", "istio_request_bytes_count", "istio_request_bytes_sum"]
    writer.write([{"__name__": name} for name in names], np.full(3, NOW * 1000), np.ones(3))
    found = client.get("metadata")
    assert {name: entries[0]["type"] for name, entries in found.items()} == {
        "istio_request_bytes": "histogram",
        "istio_requests_total": "counter",
    }
    assert list(client.get("metadata", metric="istio_requests_total")) == ["istio_requests_total"]


def test_exemplars_of_the_series_that_a_query_selects(filled: EmbeddedEngine, client: Client) -> None:
    ids = np.array([series_id(SETS[place]) for place in (1, 0, 0)], np.uint64)
    times = np.array([NOW * 1000, NOW * 1000 + 250, (NOW - 30) * 1000])
    write_exemplars(filled, ids, times, np.array([0.5, 1e21, 2.0]), [{"trace_id": "x"}, {}, {"trace_id": "y"}])
    text = client.request("GET", "/api/v1/query_exemplars", params={"query": "rate(req_total[1m]) + my.gauge"}).text
    assert "parse error" in text
    answer = client.request("POST", "/api/v1/query_exemplars", data={"query": "sum(rate(req_total[1m]))"})
    assert answer.text == (
        '{"status":"success","data":[{"seriesLabels":{"__name__":"req_total","code":"200","pod":"a"},"exemplars":['
        '{"labels":{"trace_id":"y"},"value":"2","timestamp":1699999970},'
        '{"labels":{},"value":"1e+21","timestamp":1700000000.250}]},'
        '{"seriesLabels":{"__name__":"req_total","code":"500","pod":"a"},"exemplars":['
        '{"labels":{"trace_id":"x"},"value":"0.5","timestamp":1700000000}]}]}'
    )
    some = client.get("query_exemplars", query='req_total{code="200"} / req_total{code="404"}', start=NOW, end=NOW + 1)
    assert [one["exemplars"][0]["value"] for one in some] == ["1e+21"]
    assert client.get("query_exemplars", query="nothing") == []


def test_cardinality(filled: EmbeddedEngine, client: Client) -> None:
    found = client.get("status/tsdb")
    assert found["headStats"] == {
        "numSeries": 4, "numLabelPairs": 7, "chunkCount": 1, "minTime": (NOW - 60) * 1000, "maxTime": (NOW - 15) * 1000,
    }  # fmt: skip
    assert found["seriesCountByMetricName"] == [{"name": "req_total", "value": 3}, {"name": "my.gauge", "value": 1}]
    assert found["labelValueCountByLabelName"] == [
        {"name": name, "value": count} for name, count in (("__name__", 2), ("code", 2), ("pod", 2), ("utf.8", 1))
    ]
    assert found["memoryInBytesByLabelName"][0] == {"name": "__name__", "value": 17}
    assert found["seriesCountByLabelValuePair"][:3] == [
        {"name": "__name__=req_total", "value": 3}, {"name": "code=200", "value": 2}, {"name": "pod=a", "value": 2},
    ]  # fmt: skip
    assert [len(value) for value in client.get("status/tsdb", limit=1).values()] == [5, 1, 1, 1, 1]
    for wrong in ("0", "-1", "x"):
        assert client.get("status/tsdb", limit=wrong) == (400, "limit must be a positive number")
    SampleWriter(filled).write([{"__name__": "new"}], np.array([NOW * 1000]), np.ones(1))
    assert client.get("status/tsdb")["headStats"]["numSeries"] == 4  # of less than half a minute ago
    client.clock.advance(31)
    assert client.get("status/tsdb")["headStats"]["numSeries"] == 5


def test_cardinality_of_nothing(engine: EmbeddedEngine) -> None:
    found = Client(engine).get("status/tsdb")
    assert found.pop("headStats") == {"numSeries": 0, "numLabelPairs": 0, "chunkCount": 0, "minTime": 0, "maxTime": 0}
    assert set(map(str, found.values())) == {"[]"}


def test_flags_and_status(client: Client) -> None:
    assert client.get("status/flags") == {"web.enable-admin-api": "true"}
    assert set(client.get("status/runtimeinfo")) == {
        "startTime", "CWD", "hostname", "serverTime", "reloadConfigSuccess", "lastConfigTime", "corruptionCount",
        "goroutineCount", "GOMAXPROCS", "GOMEMLIMIT", "GOGC", "GODEBUG", "storageRetention",
    }  # fmt: skip
    assert client.get("status/buildinfo")["version"].startswith("3.")
    assert client.get("format_query", query="sum(up)by(job)") == "sum by (job) (up)"
    assert client.get("parse_query", query="1")["type"] == "numberLiteral"


def test_deleted_series_are_gone_at_once(client: Client) -> None:
    form = {"match[]": ['req_total{code="200"}', "nothing"]}
    assert len(client.get("query", query="req_total", time=NOW)["result"]) == 3
    answer = client.request("POST", "/api/v1/admin/tsdb/delete_series", data=form)
    assert (answer.status_code, answer.content) == (204, b"")
    assert [one["metric"]["code"] for one in client.get("query", query="req_total", time=NOW)["result"]] == ["500"]
    assert client.get("label/code/values") == ["500"]
    part = {"match[]": "req_total", "start": NOW - 60, "end": NOW - 30}
    assert client.request("PUT", "/api/v1/admin/tsdb/delete_series", params=part).status_code == 204
    left = client.get("query", query="req_total[5m]", time=NOW)["result"][0]["values"]
    assert [time for time, _ in left] == [NOW - 15]
    assert client.request("POST", "/api/v1/admin/tsdb/clean_tombstones").status_code == 204


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ({}, "no match[] parameter provided"),
        ({"match[]": "up{"}, 'invalid parameter "match[]": 1:4: parse error: unexpected end of input inside braces'),
        ({"match[]": ["my_gauge", "{}"]}, 'invalid parameter "match[]": match[] must contain at least one non-empty'),
        ({"match[]": "up", "start": "x"}, "invalid parameter \"start\": Invalid time value for 'start'"),
    ],
)
def test_a_wrong_deletion_deletes_nothing(client: Client, form: dict[str, Any], message: str) -> None:
    answer = client.request("POST", "/api/v1/admin/tsdb/delete_series", data=form)
    assert answer.status_code == 400
    assert answer.json()["error"].startswith(message)
    assert len(client.get("series", **{"match[]": '{__name__!=""}'})) == 4


def test_admin_is_off_unless_enabled_and_snapshots_need_a_place(
    filled: EmbeddedEngine, data_directory: Path, client: Client
) -> None:
    for path in ("delete_series", "clean_tombstones", "snapshot"):
        answer = Client(filled, enabled=False).request("POST", f"/api/v1/admin/tsdb/{path}", data={"match[]": "up"})
        assert (answer.status_code, answer.json()["errorType"]) == (500, "unavailable")
        assert answer.json()["error"] == "admin APIs disabled"
    assert client.request("POST", "/api/v1/admin/tsdb/snapshot").status_code == 500
    folder = data_directory / "kept"
    name = Client(filled, folder).request("POST", "/api/v1/admin/tsdb/snapshot").json()["data"]["name"]
    assert name.startswith("20231114T221320Z-")
    assert list((folder / name / "samples").iterdir())


@pytest.fixture
def base(client: Client) -> Iterator[str]:
    with served(client.app) as url:
        yield url


def test_the_command_asks_and_deletes(base: str, client: Client) -> None:
    run = CliRunner().invoke
    assert run(command, ["--server", base, "nothing"]).output == "no series match\n"
    refused = run(command, ["--server", base, "req_total"], input="n\n")
    assert refused.exit_code == 1
    assert "Delete samples of 3 series?" in refused.output
    assert len(client.get("series", **{"match[]": "req_total"})) == 3
    done = run(command, ["--server", base, "--yes", 'req_total{pod="a"}', "{__name__='my.gauge'}"])
    assert done.output == "deleted samples of 3 series\n"
    assert len(client.get("series", **{"match[]": '{__name__!=""}'})) == 1
    wrong = run(command, ["--server", base, "req_total{"])
    assert "unexpected end of input" in str(wrong.exception)
    nowhere = run(command, ["--server", "http://127.0.0.1:1", "up"])
    assert "no answer from" in str(nowhere.exception)


def test_federation(filled: EmbeddedEngine, client: Client) -> None:
    SampleWriter(filled).write([SETS[1]], np.array([NOW * 1000]), np.array([STALE]))
    params = {"match[]": ["req_total", '{pod="b"}']}
    answer = client.request("GET", "/federate", params=params)
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    at = (NOW - 15) * 1000
    assert answer.text == (
        "# TYPE my_gauge untyped\n"
        f'my_gauge{{pod="b",utf_8="x\\"y\\n",instance="",replica="r"}} 0.3333333333333333 {at}\n'
        "# TYPE req_total untyped\n"
        f'req_total{{code="200",pod="a",instance="",replica="r"}} 3 {at}\n'
        f'req_total{{code="200",pod="b",instance="",replica="r"}} 1e-05 {at}\n'
    )
    utf8 = client.request("GET", "/federate", params=params, headers={"Accept": "text/plain;escaping=allow-utf-8"}).text
    assert utf8.splitlines()[:2] == [
        '# TYPE "my.gauge" untyped',
        f'{{"my.gauge",pod="b","utf.8"="x\\"y\\n",instance="",replica="r"}} 0.3333333333333333 {at}',
    ]
    client.clock.advance(300)
    assert client.request("GET", "/federate", params=params).text == ""
    wrong = client.request("GET", "/federate", params={"match[]": "{}"})
    assert (wrong.status_code, wrong.text) == (400, "match[] must contain at least one non-empty matcher\n")


PROTOBUF = "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited"


def test_native_histograms_are_federated_as_protobuf_and_read_remotely(filled: EmbeddedEngine, client: Client) -> None:
    index, count = np.array([1, 2, 5], np.int32), np.array([3.0, 0.0, 4.0])
    one = NativeHistogram(3, 0, False, 1e-9, 2.0, 9.0, 12.5, index, count)
    labels = {"__name__": "req_native", "pod": "b"}
    ids = SampleWriter(filled).ids([labels], np.array([NOW * 1000]))
    write_histograms(filled, ids, np.array([NOW * 1000]), [one])
    answer = client.request(
        "GET", "/federate", params={"match[]": '{pod="b"}'}, headers={"Accept": f"{PROTOBUF};q=0.9,text/plain;q=0.1"}
    )
    assert answer.headers["content-type"] == PROTOBUF.replace(";", "; ")
    read = ProtobufReader(native=True, classic=False).read(answer.content, set())
    assert len(read.histograms) == 1
    assert answer.content.count(b"req_total") == answer.content.count(b"my_gauge") == 1
    text = client.request("GET", "/federate", params={"match[]": '{pod="b"}'}).text
    assert "req_native" not in text
    matcher = block(3, block(2, b"__name__") + block(3, b"req_native"))
    query = block(1, b"\x08\x00\x10" + varint(NOW * 1000) + matcher)
    for accepted in (b"", b"\x10\x00\x10\x01"):
        reply = client.request("POST", "/api/v1/read", content=bytes(cramjam.snappy.compress_raw(query + accepted)))
        raw = bytes(cramjam.snappy.decompress_raw(reply.content))
        assert read_histogram(one, NOW * 1000) in raw
    chunks = bytes(cramjam.snappy.compress_raw(query + b"\x10\x01"))
    streamed = client.request("POST", "/api/v1/read", content=chunks)
    assert streamed.headers["content-type"].startswith("application/x-streamed-protobuf")
    assert streamed.content.count(b"req_native") == 1


def test_remote_read_streams_chunks(client: Client) -> None:
    matcher = block(3, b"\x08\x02" + block(2, b"__name__") + block(3, b"req.*"))
    query = block(1, b"\x08\x00\x10" + varint(NOW * 1000) + matcher)
    content = bytes(cramjam.snappy.compress_raw(query + b"\x10\x01\x10\x00"))
    answer = client.request("POST", "/api/v1/read", content=content)
    assert answer.headers["content-type"] == "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    assert answer.content.count(b"req_total") == 3
    wrong = block(1, block(3, b"\x08\x02" + block(2, b"a") + block(3, b"(")))
    answer = client.request("POST", "/api/v1/read", content=bytes(cramjam.snappy.compress_raw(wrong)))
    assert (answer.status_code, answer.text[:40]) == (400, "error parsing regexp: missing closing ):")


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (-0.0, "-0"), (1.0, "1"), (999999.0, "999999"), (1e6, "1e+06"), (1.23456789e8, "1.23456789e+08"),
     (2.5e7, "2.5e+07"), (1e-4, "0.0001"), (1e-5, "1e-05"), (-1.5e-7, "-1.5e-07"), (1e300, "1e+300"),
     (float("nan"), "NaN"), (float("inf"), "+Inf"), (float("-inf"), "-Inf"), (5e-324, "5e-324")],
)  # fmt: skip
def test_numbers_of_exposition(value: float, text: str) -> None:
    assert number(value) == text


def test_names_that_are_not_classic() -> None:
    samples = [Sample({"__name__": "1a:b", "2": "x"}, 5, 1.0), Sample({"a": "nameless"}, 5, 1.0)]
    assert exposition(samples, {"instance": ""}).splitlines() == [
        "# TYPE _a:b untyped",
        '_a:b{_="x",instance=""} 1 5',
    ]


def test_remote_read_refuses_what_it_cannot_read(client: Client) -> None:
    for body, message in ((b"", "snappy: corrupt input"), (b"\x00", ""), (b"x" * 40, "snappy: corrupt input")):
        answer = client.request("POST", "/api/v1/read", content=body)
        assert (answer.status_code, answer.text.strip("\0\n")) == (400 if message else 200, message)
    assert client.request("POST", "/api/v1/read", content=b"x" * (5 << 20)).status_code == 400


def test_shapes_that_grafana_reads(client: Client, golden: Any) -> None:
    """What its Prometheus data source asks when it is saved, explored and drawn."""
    asked = {
        "buildinfo": ("status/buildinfo", {}),
        "query": ("query", {"query": "1+1", "time": NOW}),
        "range": ("query_range", {"query": "req_total", "start": NOW - 60, "end": NOW, "step": 15}),
        "labels": ("labels", {"start": NOW - 3600, "end": NOW}),
        "values": ("label/__name__/values", {"start": NOW - 3600, "end": NOW, "match[]": '{pod="a"}', "limit": 40000}),
        "series": ("series", {"match[]": "req_total", "start": NOW - 3600, "end": NOW}),
        "metadata": ("metadata", {"limit": 1000}),
        "exemplars": ("query_exemplars", {"query": "req_total", "start": NOW - 3600, "end": NOW}),
        "error": ("query", {"query": "rate(req_total)"}),
    }
    shown = {}
    for name, (path, params) in asked.items():
        answer = client.request("GET", f"/api/v1/{path}", params=params)
        shown[name] = {"status": answer.status_code, "body": answer.json()}
    shown["buildinfo"]["body"]["data"].update(revision="", applicationVersion="")
    golden("grafana.json", json.dumps(shown, indent=1, ensure_ascii=False) + "\n")
