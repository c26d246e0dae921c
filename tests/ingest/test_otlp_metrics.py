"""OTLP metrics in by gRPC and HTTP, out as Prometheus series."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import Awaitable, Callable
from typing import Any

import cramjam
import grpc
import httpx
import pytest
from google.protobuf.json_format import MessageToDict
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceRequest,
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric
from starlette.applications import Starlette

from windvane.api.otlp import routes
from windvane.ingest.accounting import METRICS, Accounting
from windvane.ingest.grpc_server import GrpcServer, otlp_services
from windvane.ingest.metric_commit import MetricStore, kinds
from windvane.ingest.metric_names import Strategy
from windvane.ingest.otlp import JSON, PROTOBUF, OtlpReceiver
from windvane.ingest.otlp_labels import OtlpMetricSettings
from windvane.ingest.otlp_metrics import OtlpMetrics, warm
from windvane.ingest.series_book import SeriesBook
from windvane.ingest.series_rules import MetricLimits, SeriesBudget
from windvane.kit.clock import ManualClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.store.api import Engine
from windvane.store.commit import CommitSettings, GroupCommit
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import MetadataWriter
from windvane.store.series import STALE_BITS

NOW = 1_700_000_000_000
EXPORT = "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export"
DELTA, CUMULATIVE = 1, 2


@pytest.fixture(scope="module", autouse=True)
def compiled() -> None:
    """So that no call's deadline pays for compiling."""
    warm()


class Parts:
    """A receiver on an engine."""

    def __init__(self, engine: Engine, commit: GroupCommit, options: OtlpMetricSettings) -> None:
        clock = ManualClock(NOW * 1_000_000)
        self.accounting = Accounting(Metrics())
        book = SeriesBook(SeriesBudget(engine, options.limits.series, clock), options.limits)
        store = MetricStore(commit, book, MetadataWriter(engine, clock))
        self.receiver = OtlpReceiver(
            commit, self.accounting, metrics=OtlpMetrics(engine, store, clock=clock, settings=options)
        )
        self.app = Starlette(routes=routes(self.receiver))

    async def post(self, body: bytes, kind: str = PROTOBUF, encoding: str = "") -> httpx.Response:
        headers = {"content-type": kind} | ({"content-encoding": encoding} if encoding else {})
        async with httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://windvane") as client:
            return await client.post("/v1/metrics", content=body, headers=headers)

    async def send(self, request: ExportMetricsServiceRequest) -> ExportMetricsServiceResponse:
        answer = await self.post(request.SerializeToString())
        assert answer.status_code == 200, answer.content
        return ExportMetricsServiceResponse.FromString(answer.content)


def run(engine: Engine, scenario: Callable[[Parts], Awaitable[Any]], **options: Any) -> Any:
    async def whole() -> Any:
        commit = GroupCommit(engine, kinds(), settings=CommitSettings(delay=0.01))
        async with commit, asyncio.timeout(60):
            parts = Parts(engine, commit, OtlpMetricSettings(**options))
            result = await scenario(parts)
            totals = parts.accounting.summary().get(METRICS, {"received": 0, "stored": 0, "refused": 0})
            assert totals["received"] == totals["stored"] + totals["refused"]
            return result

    return asyncio.run(whole())


def send(engine: Engine, *requests: ExportMetricsServiceRequest, **options: Any) -> ExportMetricsServiceResponse:
    async def scenario(parts: Parts) -> ExportMetricsServiceResponse:
        return [await parts.send(request) for request in requests][-1]

    answer: ExportMetricsServiceResponse = run(engine, scenario, **options)
    return answer


def request(**resource: str) -> tuple[ExportMetricsServiceRequest, Callable[..., Metric]]:
    made = ExportMetricsServiceRequest()
    batch = made.resource_metrics.add()
    for key, value in resource.items():
        batch.resource.attributes.add(key=key.replace("__", ".")).value.string_value = value
    scope = batch.scope_metrics.add()
    scope.scope.name, scope.scope.version = "lib", "1.2"
    return made, scope.metrics.add


def attributes(point: Any, **values: str) -> Any:
    for key, value in values.items():
        point.attributes.add(key=key.replace("__", ".")).value.string_value = value
    return point


def nanos(offset_ms: int = 0) -> int:
    return (NOW + offset_ms) * 1_000_000


def series(engine: EmbeddedEngine) -> dict[str, list[tuple[int, float]]]:
    """Samples as (milliseconds after NOW, value) by series, written as Prometheus writes them."""
    rows = engine.query(
        "SELECT s.Name AS name, s.Labels AS labels, toUnixTimestamp64Milli(Time) AS t, Value AS v FROM samples "
        "JOIN (SELECT Id, any(Name) AS Name, any(Labels) AS Labels FROM series GROUP BY Id) AS s USING Id ORDER BY t"
    )
    found: dict[str, list[tuple[int, float]]] = {}
    for row in rows.itertuples():
        labels = ",".join(f"{key}={value}" for key, value in sorted(row.labels.items()))
        found.setdefault(f"{row.name}{{{labels}}}", []).append((row.t - NOW, row.v))
    return found


def every_kind() -> ExportMetricsServiceRequest:
    made, add = request(service__name="shop", service__namespace="prod", service__instance__id="i1", zone="b")
    point = add(name="temp.now", unit="Cel", description="How warm.").gauge.data_points.add(time_unix_nano=nanos())
    attributes(point, room="a").as_double = -1.5
    total = add(name="requests", unit="{req}").sum
    total.aggregation_temporality, total.is_monotonic = CUMULATIVE, True
    point = attributes(total.data_points.add(time_unix_nano=nanos(), as_int=7), http__method="GET")
    point.exemplars.add(time_unix_nano=nanos(-3), as_int=1, trace_id=b"\1" * 16, span_id=b"\2" * 8)
    queue = add(name="queue").sum
    queue.aggregation_temporality = CUMULATIVE
    queue.data_points.add(time_unix_nano=nanos(), as_int=-3)
    histogram = add(name="latency", unit="s").histogram
    histogram.aggregation_temporality = CUMULATIVE
    point = histogram.data_points.add(
        time_unix_nano=nanos(), count=6, sum=2.5, bucket_counts=[1, 2, 3], explicit_bounds=[0.25, 1]
    )
    point.exemplars.add(as_double=0.5, time_unix_nano=nanos()).filtered_attributes.add(key="k").value.int_value = 5
    summary = add(name="old", unit="ms").summary.data_points.add(time_unix_nano=nanos(), count=3, sum=9.0)
    summary.quantile_values.add(quantile=0.5, value=2.0)
    summary.quantile_values.add(quantile=1, value=4.0)
    exponential = add(name="size", unit="By").exponential_histogram
    exponential.aggregation_temporality = CUMULATIVE
    point = exponential.data_points.add(time_unix_nano=nanos(), count=9, sum=-4.0, scale=9, zero_count=2)
    point.positive.offset = -2
    point.positive.bucket_counts.extend([1, 1, 0, 2])
    point.negative.bucket_counts.extend([3])
    return made


IDENTITY = "instance=i1,job=prod/shop"
EVERY_KIND = {
    f"temp_now_celsius{{{IDENTITY},room=a}}": [(0, -1.5)],
    f"requests_total{{http_method=GET,{IDENTITY}}}": [(0, 7.0)],
    f"queue{{{IDENTITY}}}": [(0, -3.0)],
    f"latency_seconds_sum{{{IDENTITY}}}": [(0, 2.5)],
    f"latency_seconds_count{{{IDENTITY}}}": [(0, 6.0)],
    f"latency_seconds_bucket{{{IDENTITY},le=0.25}}": [(0, 1.0)],
    f"latency_seconds_bucket{{{IDENTITY},le=1}}": [(0, 3.0)],
    f"latency_seconds_bucket{{{IDENTITY},le=+Inf}}": [(0, 6.0)],
    f"old_milliseconds_sum{{{IDENTITY}}}": [(0, 9.0)],
    f"old_milliseconds_count{{{IDENTITY}}}": [(0, 3.0)],
    f"old_milliseconds{{{IDENTITY},quantile=0.5}}": [(0, 2.0)],
    f"old_milliseconds{{{IDENTITY},quantile=1}}": [(0, 4.0)],
    f"target_info{{{IDENTITY},zone=b}}": [(0, 1.0)],
}


def check_every_kind(engine: EmbeddedEngine) -> None:
    assert series(engine) == EVERY_KIND
    row = engine.query("SELECT * EXCEPT Time, s.Name AS name FROM native_histograms JOIN series AS s USING Id").iloc[0]
    assert (row["name"], row["Schema"], row["Count"], row["Sum"], row["ZeroCount"]) == ("size_bytes", 8, 9.0, -4.0, 2.0)
    assert (list(row["PositiveIndex"]), list(row["PositiveCount"])) == ([0, 1], [2.0, 2.0])
    assert (list(row["NegativeIndex"]), list(row["NegativeCount"])) == ([1], [3.0])
    exemplars = engine.query(
        "SELECT s.Name AS name, s.Labels['le'] AS le, e.Labels AS labels, Value AS v FROM exemplars AS e "
        "JOIN (SELECT Id, any(Name) AS Name, any(Labels) AS Labels FROM series GROUP BY Id) AS s USING Id ORDER BY name"
    )
    assert exemplars.to_numpy().tolist() == [
        ["latency_seconds_bucket", "1", {"k": "5"}, 0.5],
        ["requests_total", "", {"span_id": "02" * 8, "trace_id": "01" * 16}, 1.0],
    ]
    facts = engine.query("SELECT Family, Type, Help, Unit FROM metric_metadata ORDER BY Family")
    assert facts.to_numpy().tolist() == [
        ["latency_seconds", "histogram", "", "seconds"],
        ["old_milliseconds", "summary", "", "milliseconds"],
        ["queue", "gauge", "", ""],
        ["requests_total", "counter", "", ""],
        ["size_bytes", "histogram", "", "bytes"],
        ["target_info", "gauge", "Target metadata", ""],
        ["temp_now_celsius", "gauge", "How warm.", "celsius"],
    ]


def test_every_kind_over_grpc(engine: EmbeddedEngine) -> None:
    async def scenario(parts: Parts) -> list[bytes]:
        server = GrpcServer(Address("127.0.0.1", 0), otlp_services(parts.receiver))
        await server.start()
        try:
            async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
                body = every_kind().SerializeToString()
                return [await channel.unary_unary(EXPORT)(body, timeout=20) for _ in range(2)]
        finally:
            await server.stop()

    assert run(engine, scenario) == [b"", b""]
    for table in ("samples", "native_histograms", "exemplars"):  # the second request repeats all of the first
        assert engine.query(f"SELECT count() / uniqExact(tuple(*)) AS n FROM {table}")["n"][0] == 2
        engine.command(f"CREATE TEMPORARY TABLE IF NOT EXISTS t_{table} AS SELECT DISTINCT * FROM {table}")
        engine.command(f"TRUNCATE TABLE {table}")
    engine.command("TRUNCATE TABLE series")
    engine.command("TRUNCATE TABLE metric_metadata")
    send(engine, every_kind())
    check_every_kind(engine)


@pytest.mark.parametrize(
    ("kind", "encoding"), [(PROTOBUF, ""), (PROTOBUF, "zstd"), (PROTOBUF, "gzip"), (JSON, ""), (JSON, "gzip")]
)
def test_every_kind_over_http(engine: EmbeddedEngine, kind: str, encoding: str) -> None:
    body = every_kind().SerializeToString()
    if kind == JSON:
        tree = MessageToDict(every_kind())
        for metric in tree["resourceMetrics"][0]["scopeMetrics"][0]["metrics"]:
            for field in ("sum", "histogram", "exponentialHistogram"):
                if field in metric:
                    metric[field]["aggregationTemporality"] = CUMULATIVE
            for point in metric.get("sum", {}).get("dataPoints", []):
                for one in point.get("exemplars", []):
                    one["traceId"], one["spanId"] = "01" * 16, "02" * 8
        body = json.dumps(tree).encode()
    squeeze = {
        "": bytes,
        "zstd": lambda b: bytes(cramjam.zstd.compress(b)),
        "gzip": lambda b: bytes(cramjam.gzip.compress(b)),
    }
    answer = run(engine, lambda parts: parts.post(squeeze[encoding](body), kind, encoding))
    assert answer.status_code == 200
    assert answer.content == (b"{}" if kind == JSON else b"")
    check_every_kind(engine)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({}, {"a_b_seconds_total{job=s,x_y=1}", "target_info{job=s,zone=b}"}),
        ({"strategy": Strategy.NO_TRANSLATION}, {"a.b{job=s,x.y=1}", "target_info{job=s,zone=b}"}),
        (
            {"strategy": Strategy.NO_UTF8_ESCAPING_WITH_SUFFIXES},
            {"a.b_seconds_total{job=s,x.y=1}", "target_info{job=s,zone=b}"},
        ),
        ({"promote": frozenset({"zone"})}, {"a_b_seconds_total{job=s,x_y=1,zone=b}", "target_info{job=s,zone=b}"}),
        (
            {"promote": None, "ignore": frozenset({"zone"}), "target_info": False},
            {"a_b_seconds_total{job=s,service_name=s,x_y=1}"},
        ),
        ({"keep_identifying": True}, {"a_b_seconds_total{job=s,x_y=1}", "target_info{job=s,service_name=s,zone=b}"}),
        (
            {"promote_scope": True, "target_info": False},
            {"a_b_seconds_total{job=s,otel_scope_name=lib,otel_scope_version=1.2,x_y=1}"},
        ),
    ],
)
def test_settings(engine: EmbeddedEngine, options: dict[str, Any], names: set[str]) -> None:
    made, add = request(service__name="s", zone="b")
    total = add(name="a.b", unit="s").sum
    total.aggregation_temporality, total.is_monotonic = CUMULATIVE, True
    attributes(total.data_points.add(time_unix_nano=nanos(), as_int=1), x__y="1")
    send(engine, made, **options)
    assert set(series(engine)) == names


def test_attributes_of_every_type_and_names_that_meet(engine: EmbeddedEngine) -> None:
    made, add = request(host="h")
    point = add(name="m").gauge.data_points.add(time_unix_nano=nanos(), as_int=1)
    values = {
        "a.b": AnyValue(string_value="2"), "a_b": AnyValue(string_value="1"), "bool": AnyValue(bool_value=True),
        "int": AnyValue(int_value=-4), "d1": AnyValue(double_value=0.5), "d2": AnyValue(double_value=1e21),
        "d3": AnyValue(double_value=1.5e-7), "d4": AnyValue(double_value=3.0), "bytes": AnyValue(bytes_value=b"\0\1"),
        "empty": AnyValue(string_value=""),
    }  # fmt: skip
    values["list"] = AnyValue()
    values["list"].array_value.values.add(int_value=1)
    for key, value in values.items():
        point.attributes.add(key=key, value=value)
    send(engine, made)
    assert set(series(engine)) == {"m{a_b=2;1,bool=true,bytes=AAE=,d1=0.5,d2=1e+21,d3=1.5e-7,d4=3,int=-4,list=[1]}"}


def test_attributes_in_another_order_are_the_same_series(engine: EmbeddedEngine) -> None:
    made, add = request()
    points = add(name="m").gauge.data_points
    attributes(points.add(time_unix_nano=nanos(), as_int=1), a="1", b="2")
    attributes(points.add(time_unix_nano=nanos(1), as_int=2), b="2", a="1")
    send(engine, made)
    assert series(engine) == {"m{a=1,b=2}": [(0, 1.0), (1, 2.0)]}


def counter(offset_ms: int, value: float, name: str = "c", temporality: int = DELTA) -> ExportMetricsServiceRequest:
    made, add = request()
    total = add(name=name).sum
    total.aggregation_temporality, total.is_monotonic = temporality, True
    total.data_points.add(time_unix_nano=nanos(offset_ms), start_time_unix_nano=nanos(offset_ms - 10), as_double=value)
    return made


def test_deltas_become_totals_that_survive_a_restart(engine: EmbeddedEngine) -> None:
    send(engine, counter(0, 2), counter(10, 3), counter(20, 0.5))
    answer = send(engine, counter(30, 4), counter(40, 1), counter(40, 1))
    assert (answer.partial_success.rejected_data_points, "out_of_order" in answer.partial_success.error_message) == (
        1,
        True,
    )
    assert series(engine) == {"c_total{}": [(0, 2.0), (10, 5.0), (20, 5.5), (30, 9.5), (40, 10.5)]}


def test_a_delta_that_was_not_stored_is_not_counted(engine: EmbeddedEngine) -> None:
    class Failing:
        fail = False

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def insert_payload(self, insert: Any, payload: bytes) -> int:
            if self.fail and insert.table == "samples":
                from windvane.kit.errors import UnavailableError  # noqa: PLC0415

                raise UnavailableError("gone")
            return engine.insert_payload(insert, payload)

    failing = Failing()

    async def scenario(parts: Parts) -> None:
        await parts.send(counter(0, 2))
        failing.fail = True
        assert (await parts.post(counter(10, 3).SerializeToString())).status_code == 503
        failing.fail = False
        await parts.send(counter(10, 3))

    run(failing, scenario)  # type: ignore[arg-type]
    assert series(engine) == {"c_total{}": [(0, 2.0), (10, 5.0)]}


def test_delta_histograms_of_both_kinds(engine: EmbeddedEngine) -> None:
    def both(offset_ms: int) -> ExportMetricsServiceRequest:
        made, add = request()
        plain = add(name="h").histogram
        plain.aggregation_temporality = DELTA
        plain.data_points.add(
            time_unix_nano=nanos(offset_ms), count=3, sum=1.5, bucket_counts=[1, 2], explicit_bounds=[1]
        )
        exponential = add(name="e").exponential_histogram
        exponential.aggregation_temporality = DELTA
        point = exponential.data_points.add(
            time_unix_nano=nanos(offset_ms), count=3, sum=6.0, scale=1 - offset_ms // 10
        )
        point.positive.bucket_counts.extend([1, 2])
        return made

    send(engine, both(0), both(10))
    send(engine, both(20))
    assert series(engine) == {
        "h_sum{}": [(0, 1.5), (10, 3.0), (20, 4.5)],
        "h_count{}": [(0, 3.0), (10, 6.0), (20, 9.0)],
        "h_bucket{le=1}": [(0, 1.0), (10, 2.0), (20, 3.0)],
        "h_bucket{le=+Inf}": [(0, 3.0), (10, 6.0), (20, 9.0)],
    }
    rows = engine.query("SELECT Schema, Count, Sum, PositiveIndex, PositiveCount FROM native_histograms ORDER BY Time")
    assert rows[["Schema", "Count", "Sum"]].to_numpy().tolist() == [[1, 3, 6], [0, 6, 12], [-1, 9, 18]]
    assert [list(one) for one in rows["PositiveIndex"]] == [[1, 2]] * 3
    assert [list(one) for one in rows["PositiveCount"]] == [[1, 2], [4, 2], [7, 2]]


def test_points_without_a_recorded_value_end_their_series(engine: EmbeddedEngine) -> None:
    made, add = request()
    add(name="g").gauge.data_points.add(time_unix_nano=nanos(), flags=1)
    histogram = add(name="h").histogram
    histogram.aggregation_temporality = CUMULATIVE
    histogram.data_points.add(time_unix_nano=nanos(), flags=1, explicit_bounds=[1], bucket_counts=[0, 0])
    exponential = add(name="e").exponential_histogram
    exponential.aggregation_temporality = CUMULATIVE
    exponential.data_points.add(time_unix_nano=nanos(), flags=1)
    send(engine, made)
    bits = {struct.unpack("<Q", struct.pack("<d", value))[0] for ((_, value),) in series(engine).values()}
    assert (bits, len(series(engine))) == ({STALE_BITS}, 4)
    assert engine.query("SELECT reinterpretAsUInt64(Sum) AS b FROM native_histograms")["b"].tolist() == [STALE_BITS]


def test_target_info_is_there_all_the_time_of_a_batch(engine: EmbeddedEngine) -> None:
    made, add = request(service__name="s", zone="b")
    points = add(name="m").gauge.data_points
    points.add(time_unix_nano=nanos(-400_000), as_int=1)
    points.add(time_unix_nano=nanos(), as_int=1)
    send(engine, made)
    assert [time for time, _ in series(engine)["target_info{job=s,zone=b}"]] == [-400_000, -250_000, -100_000, 0]
    alone, add = request(service__name="s")
    add(name="m").gauge.data_points.add(time_unix_nano=nanos(), as_int=1)
    engine.command("TRUNCATE TABLE samples")
    send(engine, alone)
    assert set(series(engine)) == {"m{job=s}"}


def test_bad_points_are_refused_and_the_others_kept(engine: EmbeddedEngine) -> None:
    made, add = request()
    add(name="good").gauge.data_points.add(time_unix_nano=nanos(), as_int=1)
    add(name="timeless").gauge.data_points.add(as_int=1)
    add(name="late").gauge.data_points.add(time_unix_nano=nanos(601_000), as_int=1)
    add(name="empty").gauge.data_points.add(time_unix_nano=nanos())
    add(name="...").gauge.data_points.add(time_unix_nano=nanos(), as_int=1)
    add(name="vague").sum.data_points.add(time_unix_nano=nanos(), as_int=1)
    attributes(add(name="m").gauge.data_points.add(time_unix_nano=nanos(), as_int=1), x="y" * 70_000)
    exponential = add(name="e").exponential_histogram
    exponential.aggregation_temporality = CUMULATIVE
    exponential.data_points.add(time_unix_nano=nanos(), scale=-5)
    answer = send(engine, made).partial_success
    assert answer.rejected_data_points == 7
    for reason in ("time_range", "no_value", "invalid_name", "temporality", "label_limit", "invalid_histogram"):
        assert reason in answer.error_message
    assert series(engine) == {"good{}": [(0, 1.0)]}
    limited = send(
        engine, counter(0, 1, "x", CUMULATIVE), counter(1, 1, "y", CUMULATIVE), limits=MetricLimits(series=2)
    )
    assert "series_limit" in limited.partial_success.error_message


def test_what_is_no_request_is_400(engine: EmbeddedEngine) -> None:
    answer = run(engine, lambda parts: parts.post(b"\x0a\xff"))
    assert (answer.status_code, b"not an OTLP request" in answer.content) == (400, True)
    answer = run(engine, lambda parts: parts.post(b"{", JSON))
    assert answer.status_code == 400


def test_mutated_requests_are_answered(engine: EmbeddedEngine) -> None:
    whole = every_kind().SerializeToString()
    bodies = [whole]

    @settings(max_examples=150, deadline=None)
    @given(edits=st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=4))
    def check(edits: list[tuple[int, int]]) -> None:
        body = bytearray(whole)
        for place, byte in edits:
            body[place] = byte
        bodies.append(bytes(body))

    check()

    async def scenario(parts: Parts) -> set[int]:
        answers = [await parts.receiver.export_http("metrics", body, PROTOBUF, "") for body in bodies]
        answers.append(await parts.receiver.export_http("metrics", whole, PROTOBUF, ""))
        assert answers[-1].body == b""
        return {answer.status for answer in answers}

    assert run(engine, scenario) <= {200, 400}
