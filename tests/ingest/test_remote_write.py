"""Remote write in by HTTP, out by SQL: both versions, partial refusals, limits, accounting."""

from __future__ import annotations

import asyncio
import gzip
import struct
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import cramjam
import httpx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from remote_write_messages import MESSAGES_V1, request_v1, request_v2, snappy
from starlette.applications import Starlette

from windvane.api.remote_write import routes
from windvane.ingest.accounting import METRICS, Accounting
from windvane.ingest.metric_commit import MetricStore, kinds
from windvane.ingest.remote_write import RemoteWriteReceiver, RemoteWriteSettings
from windvane.ingest.series_book import SeriesBook
from windvane.ingest.series_rules import MetricLimits, SeriesBudget
from windvane.kit.clock import ManualClock
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.store.commit import CommitSettings, GroupCommit
from windvane.store.embedded import EmbeddedEngine
from windvane.store.metric_facts import MetadataWriter
from windvane.store.series import STALE_BITS, series_id

NOW = 1_700_000_000_000
V2_TYPE = "application/x-protobuf;proto=io.prometheus.write.v2.Request"
STALE = struct.unpack("<d", struct.pack("<Q", STALE_BITS))[0]


class Parts:
    """A receiver on an engine, reached without a socket."""

    def __init__(self, engine: Engine, commit: GroupCommit, settings: RemoteWriteSettings) -> None:
        clock = ManualClock(NOW * 1_000_000)
        self.accounting = Accounting(Metrics())
        book = SeriesBook(SeriesBudget(engine, settings.limits.series, clock), settings.limits)
        self.store = MetricStore(commit, book, MetadataWriter(engine, clock))
        self.receiver = RemoteWriteReceiver(self.store, self.accounting, clock=clock, settings=settings)
        self.app = Starlette(routes=routes(self.receiver))

    async def post(self, body: bytes, kind: str = "application/x-protobuf", **headers: str) -> httpx.Response:
        sent = {"content-type": kind, "content-encoding": "snappy"} | {
            k.replace("_", "-"): v for k, v in headers.items()
        }
        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://windvane") as client:
            return await client.post("/api/v1/write", content=body, headers={k: v for k, v in sent.items() if v})


def run(engine: Engine, scenario: Callable[[Parts], Awaitable[Any]], **options: Any) -> Any:
    async def whole() -> Any:
        commit = GroupCommit(engine, kinds(), settings=CommitSettings(delay=0.01))
        async with commit, asyncio.timeout(60):
            parts = Parts(engine, commit, RemoteWriteSettings(**options))
            result = await scenario(parts)
            totals = parts.accounting.summary().get(METRICS, {"received": 0, "stored": 0, "refused": 0})
            assert totals["received"] == totals["stored"] + totals["refused"]
            return result

    return asyncio.run(whole())


def post(engine: Engine, version: int, series: list[Mapping[str, Any]], **options: Any) -> httpx.Response:
    if version == 1:
        return run(engine, lambda parts: parts.post(snappy(request_v1(series))), **options)
    return run(engine, lambda parts: parts.post(snappy(request_v2(series)), V2_TYPE), **options)


def stored(engine: EmbeddedEngine) -> dict[int, list[tuple[int, int]]]:
    """Samples by id, as (time, bits of the value)."""
    rows = engine.query(
        "SELECT Id, toUnixTimestamp64Milli(Time) AS t, reinterpretAsUInt64(Value) AS v FROM samples ORDER BY Id, t, v"
    )
    found: dict[int, list[tuple[int, int]]] = {}
    for number, time, bits in zip(rows["Id"].tolist(), rows["t"].tolist(), rows["v"].tolist(), strict=True):
        found.setdefault(number, []).append((time, bits))
    return found


def bits(value: float) -> int:
    return int(struct.unpack("<Q", struct.pack("<d", value))[0])


def clear(engine: EmbeddedEngine) -> None:
    for table in ("samples", "series", "native_histograms", "exemplars", "metric_metadata"):
        engine.command(f"TRUNCATE TABLE {table}")


TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)
LABELS = st.dictionaries(TEXT, TEXT, max_size=4).map(
    lambda labels: {**labels, "__name__": labels.get("__name__", "up")}
)
SAMPLES = st.lists(
    st.tuples(st.integers(NOW - 9 * 10**9, NOW), st.floats(allow_nan=True) | st.just(STALE)),
    max_size=6,
    unique_by=lambda s: s[0],
)


@pytest.mark.parametrize("version", [1, 2])
def test_whatever_is_sent_is_stored_bit_by_bit(engine: EmbeddedEngine, version: int) -> None:
    @settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
    @given(sent=st.lists(st.tuples(LABELS, SAMPLES), max_size=5, unique_by=lambda one: series_id(one[0])))
    def check(sent: list[tuple[dict[str, str], list[tuple[int, float]]]]) -> None:
        clear(engine)
        answer = post(engine, version, [{"labels": labels, "samples": samples} for labels, samples in sent])
        assert (answer.status_code, answer.text) == (204, "")
        assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == str(sum(len(s) for _, s in sent))
        wanted = {series_id(labels): sorted((t, bits(v)) for t, v in samples) for labels, samples in sent if samples}
        assert stored(engine) == wanted
        rows = engine.query("SELECT Id, Name, Labels FROM series")
        named = {row.Id: {"__name__": row.Name, **row.Labels} for row in rows.itertuples()}
        assert named == {series_id(labels): labels for labels, samples in sent if samples}

    check()


def test_series_are_announced_once_and_again_when_time_passes(engine: EmbeddedEngine) -> None:
    async def scenario(parts: Parts) -> None:
        for body in (request_v1([one(NOW)]), request_v1([one(NOW + 1)]), request_v1([one(NOW - 7_200_000)])):
            assert (await parts.post(snappy(body))).status_code == 204
        assert (await parts.post(snappy(request_v2([one(NOW + 2)])), V2_TYPE)).status_code == 204

    def one(time: int) -> dict[str, Any]:
        return {"labels": {"__name__": "up"}, "samples": [(time, 1.0)]}

    run(engine, scenario)
    rows = engine.query("SELECT toUnixTimestamp64Milli(FirstSeen) AS f FROM series FINAL")
    assert rows["f"].tolist() == [NOW - 7_200_000]
    assert len(stored(engine)[series_id({"__name__": "up"})]) == 4


@pytest.mark.parametrize("version", [1, 2])
@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ([("job", "a")], "no metric name"),
        ([("__name__", ""), ("job", "a")], "no metric name"),
        ([("__name__", "up"), ("", "a")], "no name"),
        ([("__name__", "up"), ("a", "1"), ("a", "2")], "occurs twice"),
        ([("__name__", "up"), ("a" * 1_025, "1")], "label name of 1025 bytes"),
        ([("__name__", "up"), ("a", "1" * 65_537)], "label value of 65537 bytes"),
        ([("__name__", "up")] + [(f"l{i:03d}", "1") for i in range(256)], "257 labels"),
    ],
)
def test_a_bad_series_is_refused_and_the_others_are_kept(
    engine: EmbeddedEngine, version: int, labels: list[tuple[str, str]], reason: str
) -> None:
    good = {"labels": {"__name__": "good"}, "samples": [(NOW, 1.0)]}
    answer = post(engine, version, [good, {"labels": labels, "samples": [(NOW, 1.0), (NOW + 1, 2.0)]}])
    assert answer.status_code == 400
    assert "2 of 3 records refused" in answer.text
    assert reason in answer.text
    assert answer.headers["X-Prometheus-Remote-Write-Samples-Written"] == "1"
    assert list(stored(engine)) == [series_id({"__name__": "good"})]


def test_unsorted_labels_and_empty_values_are_the_same_series(engine: EmbeddedEngine) -> None:
    series = [
        {"labels": [("b", "2"), ("__name__", "up"), ("c", ""), ("a", "1")], "samples": [(NOW, 1.0)]},
        {"labels": {"__name__": "up", "a": "1", "b": "2"}, "samples": [(NOW + 1, 1.0)]},
    ]
    assert post(engine, 1, series).status_code == 204
    assert list(stored(engine)) == [series_id({"__name__": "up", "a": "1", "b": "2"})]


def test_bytes_that_are_no_text_are_refused(engine: EmbeddedEngine) -> None:
    body = request_v1([{"labels": {"__name__": "up", "a": "@@"}, "samples": [(NOW, 1.0)]}]).replace(b"@@", b"\xff\xfe")
    answer = run(engine, lambda parts: parts.post(snappy(body)))
    assert (answer.status_code, "no UTF-8" in answer.text) == (400, True)
    assert stored(engine) == {}


def test_times_out_of_range_are_refused_one_by_one(engine: EmbeddedEngine) -> None:
    times = [NOW - 86_400_000 * 400, -5, NOW + 601_000, 2**62, NOW + 599_000, 0]
    answer = post(engine, 2, [{"labels": {"__name__": "up"}, "samples": [(time, 1.0) for time in times]}])
    assert answer.status_code == 400
    assert "3 of 6 records refused (3 time_range)" in answer.text
    assert [time for time, _ in stored(engine)[series_id({"__name__": "up"})]] == [
        0,
        NOW - 86_400_000 * 400,
        NOW + 599_000,
    ]
    old = MetricLimits(age_seconds=3_600)
    answer = post(engine, 1, [{"labels": {"__name__": "up"}, "samples": [(NOW - 3_601_000, 1.0)]}], limits=old)
    assert "before the first that is taken now" in answer.text


def test_what_is_refused_twice_counts_once(engine: EmbeddedEngine) -> None:
    answer = post(engine, 1, [{"labels": {"job": "a"}, "samples": [(NOW, 1.0), (-1, 1.0)]}])
    assert "2 of 2 records refused (1 invalid_labels, 1 time_range)" in answer.text


def test_a_request_may_cover_many_days_but_not_any_number(engine: EmbeddedEngine) -> None:
    day = 86_400_000
    sent = {"labels": {"__name__": "up"}, "samples": [(NOW - 3 * i * day, 1.0) for i in range(200)]}
    answer = post(engine, 1, [sent])
    assert "20 of 200 records refused (20 time_range)" in answer.text
    assert [time for time, _ in stored(engine)[series_id({"__name__": "up"})]] == [
        NOW - 3 * i * day for i in range(179, -1, -1)
    ]


def test_there_are_only_so_many_series(engine: EmbeddedEngine) -> None:
    def some(*names: str) -> bytes:
        return snappy(request_v1([{"labels": {"__name__": name}, "samples": [(NOW, 1.0)]} for name in names]))

    async def scenario(parts: Parts) -> None:
        assert (await parts.post(some("a", "b"))).status_code == 204
        answer = await parts.post(some("a", "c", "d"))
        assert (answer.status_code, "1 of 3 records refused (1 series_limit)" in answer.text) == (400, True)
        assert (await parts.post(some("a", "b", "c"))).status_code == 204
        assert (await parts.post(some("d"))).status_code == 400

    run(engine, scenario, limits=MetricLimits(series=3))
    answer = run(engine, lambda parts: parts.post(some("a", "e")), limits=MetricLimits(series=3))
    assert "1 of 2 records refused" in answer.text  # counted from the store after a restart


HISTOGRAM = {
    "count_int": 12, "sum": 18.4, "schema": 1, "zero_threshold": 0.001, "zero_count_int": 2,
    "positive_spans": [(0, 2), (1, 2)], "positive_deltas": [1, 1, -1, 0],
    "negative_spans": [(-2, 2)], "negative_deltas": [2, 1], "reset_hint": 2, "timestamp": NOW,
}  # fmt: skip
FLOATS = {
    "count_float": 5.5, "sum": 1.0, "schema": -53, "positive_spans": [(1, 2)], "positive_counts": [1.5, 4.0],
    "custom_values": [0.5, 1.0], "timestamp": NOW + 1,
}  # fmt: skip


@pytest.mark.parametrize("version", [1, 2])
def test_native_histograms_become_absolute(engine: EmbeddedEngine, version: int) -> None:
    stale = {"sum": STALE, "timestamp": NOW + 2}
    bad = HISTOGRAM | {"count_int": 3}
    fine = {
        "count_int": 3,
        "sum": 1.0,
        "schema": 9,
        "positive_spans": [(1, 3)],
        "positive_deltas": [1, 0, 0],
        "timestamp": NOW + 3,
    }
    answer = post(engine, version, [{"labels": {"__name__": "h"}, "histograms": [HISTOGRAM, FLOATS, stale, bad, fine]}])
    assert answer.status_code == 400
    assert "1 of 5 records refused (1 invalid_histogram)" in answer.text
    assert answer.headers["X-Prometheus-Remote-Write-Histograms-Written"] == "4"
    rows = engine.query("SELECT * EXCEPT Time, reinterpretAsUInt64(Sum) AS bits FROM native_histograms ORDER BY Time")
    assert set(rows["Id"]) == {series_id({"__name__": "h"})}
    assert rows[["Schema", "Hint", "IsFloat", "Count", "ZeroCount"]].to_numpy().tolist() == [
        [1, 2, 0, 12.0, 2.0], [-53, 0, 1, 5.5, 0.0], [0, 0, 0, 0.0, 0.0], [8, 0, 0, 3.0, 0.0]
    ]  # fmt: skip
    arrays = [[list(rows[name][i]) for name in ("PositiveIndex", "PositiveCount")] for i in range(4)]
    assert arrays == [[[0, 1, 3, 4], [1, 2, 1, 1]], [[1, 2], [1.5, 4.0]], [[], []], [[1, 2], [2, 1]]]
    assert (list(rows["NegativeIndex"][0]), list(rows["NegativeCount"][0])) == ([-2, -1], [2, 3])
    assert (list(rows["CustomBounds"][1]), rows["bits"][2]) == ([0.5, 1.0], STALE_BITS)


@pytest.mark.parametrize("version", [1, 2])
def test_exemplars_are_kept_in_any_order_and_do_not_fail_a_request(engine: EmbeddedEngine, version: int) -> None:
    exemplars = [
        {"labels": {"trace_id": "ab"}, "value": 0.5, "timestamp": NOW},
        {"labels": {}, "value": 0.25, "timestamp": NOW - 5_000},
        {"labels": {"trace_id": "x" * 130}, "value": 1.0, "timestamp": NOW},
    ]
    answer = post(engine, version, [{"labels": {"__name__": "up"}, "samples": [(NOW, 1.0)], "exemplars": exemplars}])
    assert answer.status_code == 204
    assert answer.headers["X-Prometheus-Remote-Write-Exemplars-Written"] == "2"
    rows = engine.query("SELECT Id, Value, Labels FROM exemplars ORDER BY Time")
    assert rows["Labels"].tolist() == [{}, {"trace_id": "ab"}]
    assert set(rows["Id"]) == {series_id({"__name__": "up"})}


def test_metadata_of_both_versions(engine: EmbeddedEngine) -> None:
    families = [{"type": 1, "metric_family_name": "a_total", "help": "Of a.", "unit": "s"}]
    histogram = {"metadata": {"type": 3, "help": "Of b.", "unit": ""}, "samples": [(NOW, 1.0)]}
    series = [{"labels": {"__name__": name}, **histogram} for name in ("b_bucket", "b_sum", "b_count")]

    async def scenario(parts: Parts) -> None:
        assert (await parts.post(snappy(request_v1([], families)))).status_code == 204
        for _ in range(2):
            assert (await parts.post(snappy(request_v2(series)), V2_TYPE)).status_code == 204
        renamed = [one | {"metadata": {"type": 3, "help": "Of B.", "unit": ""}} for one in series]
        assert (await parts.post(snappy(request_v2(renamed)), V2_TYPE)).status_code == 204

    run(engine, scenario)
    rows = engine.query("SELECT Family, Type, Help, Unit FROM metric_metadata ORDER BY Family, Help")
    assert rows.to_numpy().tolist() == [
        ["a_total", "counter", "Of a.", "s"],
        ["b", "histogram", "Of B.", ""],
        ["b", "histogram", "Of b.", ""],
    ]


def test_created_timestamps_become_zeros_where_asked(engine: EmbeddedEngine) -> None:
    one = {"labels": {"__name__": "c"}, "samples": [(NOW, 5.0)], "created_timestamp": NOW - 9_000}
    assert post(engine, 2, [one], created_zeros=True).status_code == 204
    assert stored(engine)[series_id({"__name__": "c"})] == [(NOW - 9_000, bits(0.0)), (NOW, bits(5.0))]
    assert (
        engine.query("SELECT count() AS n FROM series WHERE FirstSeen > (SELECT min(Time) FROM samples)")["n"][0] == 0
    )


@pytest.mark.parametrize(
    ("encoding", "squeeze"),
    [
        ("snappy", snappy), ("", snappy), ("", bytes), ("identity", bytes), ("gzip", gzip.compress),
        ("zstd", lambda body: bytes(cramjam.zstd.compress(body))),
    ],
)  # fmt: skip
def test_content_encodings(engine: EmbeddedEngine, encoding: str, squeeze: Callable[[bytes], bytes]) -> None:
    body = squeeze(request_v1([{"labels": {"__name__": f"s{i}"}, "samples": [(NOW, 1.0)]} for i in range(50)]))
    assert run(engine, lambda parts: parts.post(body, content_encoding=encoding)).status_code == 204
    assert len(stored(engine)) == 50


@pytest.mark.parametrize(
    ("kind", "encoding", "body", "status", "text"),
    [
        ("application/json", "snappy", b"", 415, "content type"),
        ("application/x-protobuf;proto=some.Other", "snappy", b"", 415, "some.Other"),
        ("application/x-protobuf", "br", b"", 415, "content encoding"),
        ("application/x-protobuf", "snappy", b"\xff\xff\xff", 400, "does not decompress"),
        ("application/x-protobuf", "zstd", b"nonsense", 400, "does not decompress"),
        ("application/x-protobuf", "identity", b"\x0a\xff", 400, "not a prometheus.WriteRequest"),
        (V2_TYPE, "identity", b"\x2a\x03\x0a\x01\x07", 400, "symbol"),
        ("application/x-protobuf", "snappy", snappy(bytes(2 << 20)), 413, "larger than 1048576"),
        ("application/x-protobuf", "zstd", bytes(cramjam.zstd.compress(bytes(2 << 20))), 413, "larger than 1048576"),
        ("application/x-protobuf", "identity", bytes(2 << 20), 413, "longer than 1048576"),
    ],
)
def test_requests_that_cannot_be_read(
    engine: EmbeddedEngine, kind: str, encoding: str, body: bytes, status: int, text: str
) -> None:
    answer = run(engine, lambda parts: parts.post(body, kind, content_encoding=encoding), message_bytes=1 << 20)
    assert (answer.status_code, text in answer.text) == (status, True), answer.text


def test_a_store_that_is_full_says_when_to_come_back(engine: EmbeddedEngine) -> None:
    async def scenario() -> httpx.Response:
        async with GroupCommit(engine, kinds(), settings=CommitSettings(memory_bytes=400)) as commit:
            parts = Parts(engine, commit, RemoteWriteSettings())
            series = [{"labels": {"__name__": f"s{i}"}, "samples": [(NOW, 1.0)]} for i in range(5)]
            answers = await asyncio.gather(*(parts.post(snappy(request_v1(series))) for _ in range(9)))
            totals = parts.accounting.summary()[METRICS]
            assert totals["received"] == totals["stored"] + totals["refused"] == 45
            return next(answer for answer in answers if answer.status_code == 503)

    answer = asyncio.run(scenario())
    assert answer.headers["Retry-After"] == "1"


@pytest.mark.parametrize("version", [1, 2])
def test_mutated_requests_are_answered(engine: EmbeddedEngine, version: int) -> None:
    series = [
        {"labels": {"__name__": "up", "a": "b"}, "samples": [(NOW, 1.0)], "histograms": [HISTOGRAM],
         "exemplars": [{"labels": {"x": "y"}, "value": 1.0, "timestamp": NOW}]}
    ]  # fmt: skip
    whole = request_v1(series) if version == 1 else request_v2(series)
    kind = "application/x-protobuf" if version == 1 else V2_TYPE

    @settings(max_examples=150, deadline=None)
    @given(edits=st.lists(st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)), min_size=1, max_size=4))
    def check(edits: list[tuple[int, int]]) -> None:
        body = bytearray(whole)
        for place, byte in edits:
            body[place] = byte
        bodies.append(bytes(body))

    bodies: list[bytes] = []
    check()

    async def scenario(parts: Parts) -> list[int]:
        answers = [await parts.receiver.write(body, kind, "identity") for body in bodies]
        assert all(answer.text for answer in answers if answer.status == 400)
        good = await parts.receiver.write(whole, kind, "identity")
        return [answer.status for answer in [*answers, good]]

    found = run(engine, scenario)
    assert set(found) <= {204, 400}
    assert found[-1] == 204


def test_a_scan_accepts_what_protobuf_accepts(engine: EmbeddedEngine) -> None:
    """Fields in another order, unknown fields, unpacked references."""
    label = MESSAGES_V1["Label"](name="__name__", value="up").SerializeToString()
    sample = MESSAGES_V1["Sample"](timestamp=NOW, value=2.0).SerializeToString()
    series = b"\x12" + bytes([len(sample)]) + sample + b"\x7a\x01\x00" + b"\x0a" + bytes([len(label)]) + label
    body = b"\x50\x07" + b"\x0a" + bytes([len(series)]) + series
    assert run(engine, lambda parts: parts.post(snappy(body))).status_code == 204
    inner = b"\x08\x01\x08\x02" + b"\x12" + bytes([len(sample)]) + sample
    body = b"\x2a" + bytes([len(inner)]) + inner + b"\x22\x00\x22\x08__name__\x22\x02up"
    assert run(engine, lambda parts: parts.post(snappy(body), V2_TYPE)).status_code == 204
    assert stored(engine) == {series_id({"__name__": "up"}): [(NOW, bits(2.0))] * 2}


def test_many_new_series_at_once(engine: EmbeddedEngine) -> None:
    series = [{"labels": {"__name__": "many", "i": str(i)}, "samples": [(NOW + i, float(i))]} for i in range(20_000)]
    answer = post(engine, 2, series)
    assert answer.status_code == 204
    rows = engine.query("SELECT count() AS n, uniqExact(Id) AS ids, sum(Value) AS total FROM samples")
    assert rows.iloc[0].tolist() == [20_000, 20_000, float(np.arange(20_000).sum())]
