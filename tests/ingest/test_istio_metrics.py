"""Istio's metrics against a brute-force count of the same rows, over ticks, restarts and crashes."""

from __future__ import annotations

import math
import pickle
import random
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from als_recording import envelopes, insert
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windvane.ingest.istio_labels import HTTP_LABELS, PEER_LABELS, TCP_LABELS, Changes, Directory, Resolver, Traffic
from windvane.ingest.istio_metrics import WATERMARK, IstioMetrics, IstioMetricsSettings
from windvane.ingest.istio_sql import BUCKETS
from windvane.kit.clock import ManualClock
from windvane.kit.errors import UnavailableError
from windvane.store.api import PayloadInsert
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import STALE_BITS, series_id

Totals = dict[tuple[str, tuple[tuple[str, str], ...]], float]
START_MS = 1_700_000_000_000
DIRECTORY = Directory()


def random_rows(seed: int, count: int) -> list[dict[str, Any]]:
    """Requests and connection reports as the decoder leaves them, few of a kind."""
    rng = random.Random(seed)
    rows: list[dict[str, Any]] = []
    streams = [(i, rng.choice(["tcp_outbound", "tcp_inbound"])) for i in range(max(count // 8, 1))]
    progress: Counter[int] = Counter()
    ended: set[int] = set()
    for _ in range(count):
        if rng.random() < 0.3:
            stream, log_name = rng.choice(streams)
            if stream in ended:
                continue
            progress[stream] += rng.randrange(1000)
            done = rng.random() < 0.3
            if done:
                ended.add(stream)
            rows.append(
                row(log_name, Kind="tcp", Protocol="tcp", StreamId=f"s{stream}", ResponseBytes=progress[stream] * 2)
                | {
                    "RequestBytes": progress[stream],
                    "Intermediate": 0 if done else 1,
                    "LogType": "TcpConnectionEnd" if done else "TcpPeriodic",
                }
            )
            continue
        grpc = rng.random() < 0.3
        rows.append(
            row(
                rng.choice(["http_outbound", "http_inbound", "http_gateway"]),
                Protocol="grpc" if grpc else "http",
                GrpcStatus=rng.choice(["0", "14"]) if grpc else "",
                ResponseCode=rng.choice([0, 200, 503]),
                ResponseFlags=rng.choice(["-", "UF,URX"]),
                DurationNs=rng.choice([0, 499_999, 500_000, 500_001, 10**6, 10**9, 4 * 10**12, rng.randrange(10**9)]),
                RequestBytes=rng.choice([0, 1, 10, 11, rng.randrange(10**7)]),
                ResponseBytes=rng.randrange(10**6),
                RequestMessages=rng.randrange(5) if grpc else 0,
                ResponseMessages=rng.randrange(5) if grpc else 0,
                UpstreamCluster=rng.choice(["outbound|80||a.shop.svc.cluster.local", "PassthroughCluster", ""]),
                RouteName=rng.choice(["default", "block_all", "anything"]),
                Authority=rng.choice(["A.example", "b.example"]),
                PeerPrincipal=rng.choice(["", "spiffe://td/ns/shop/sa/web"]),
                PeerMetadata=rng.choice(["", "web-v1;shop;web;v1;web;v1;K"]),
                DownstreamDirectRemoteAddress=f"10.0.0.{rng.randrange(2)}:{rng.randrange(60000)}",
            )
        )
    return rows


def row(log_name: str, **values: Any) -> dict[str, Any]:
    defaults = {
        "Timestamp": np.datetime64("2023-11-14T22:13:20", "ns"),
        "Received": np.datetime64("2023-11-14T22:13:20", "ms"),
        "NodeId": "sidecar~10.0.0.1~web-v1.shop~shop.svc.cluster.local",
        "LogName": log_name,
        "Reporter": "destination" if log_name.endswith("_inbound") else "source",
        "Kind": "http",
        "LogType": "DownstreamEnd",
        "Intermediate": 0,
        "StreamId": "",
        "LocalPrincipal": "spiffe://td/ns/shop/sa/web",
        **dict.fromkeys(("Protocol", "GrpcStatus", "UpstreamCluster", "RouteName", "Authority"), ""),
        **dict.fromkeys(("PeerPrincipal", "PeerMetadata", "DownstreamDirectRemoteAddress"), ""),
        **dict.fromkeys(("ResponseCode", "DurationNs", "RequestBytes", "ResponseBytes"), 0),
        **dict.fromkeys(("RequestMessages", "ResponseMessages"), 0),
        "ResponseFlags": "-",
    }
    return {**defaults, **values}


def store(engine: EmbeddedEngine, rows: Sequence[dict[str, Any]], commit: int) -> None:
    if rows:
        engine.insert_frame("envoy_access_logs", pd.DataFrame(list(rows)).assign(Commit=np.uint64(commit)))


def traffic_of(one: dict[str, Any]) -> Traffic:
    source = one["Reporter"] == "source"
    gateway = one["LogName"] == "http_gateway"
    known = one["UpstreamCluster"].startswith("outbound|")
    return Traffic(
        node_id=one["NodeId"],
        gateway=gateway,
        reporter=one["Reporter"],
        protocol=one["Protocol"],
        response_code=one["ResponseCode"],
        grpc_status=one["GrpcStatus"],
        response_flags=one["ResponseFlags"],
        upstream_cluster=one["UpstreamCluster"],
        route=one["RouteName"] if one["RouteName"] in ("block_all", "allow_any") else "",
        upstream_host="",
        local_principal=one["LocalPrincipal"],
        peer_principal="" if source else one["PeerPrincipal"],
        upstream_principal="",
        peer_metadata="" if source else one["PeerMetadata"],
        source_ip="" if source else one["DownstreamDirectRemoteAddress"].rpartition(":")[0],
        authority=one["Authority"].lower() if source and not gateway and not known else "",
    )


def counted(rows: Sequence[dict[str, Any]]) -> Totals:
    """What Istio's metrics must be after these rows, counted one by one."""
    totals: Counter[tuple[str, tuple[tuple[str, str], ...]]] = Counter()
    resolver = Resolver(DIRECTORY)
    streams: dict[str, dict[str, Any]] = {}
    for one in rows:
        labels = resolver.labels(traffic_of(one))

        def add(name: str, names: Sequence[str], amount: float, _labels: dict[str, str] = labels, **extra: str) -> None:
            chosen = {key: _labels[key] for key in names if _labels[key]} | extra
            totals[name, tuple(sorted(chosen.items()))] += amount

        if one["Kind"] == "tcp":
            before = streams.get(one["StreamId"])
            add("istio_tcp_connections_opened_total", TCP_LABELS, 0 if before else 1)
            add("istio_tcp_connections_closed_total", TCP_LABELS, 0 if one["Intermediate"] else 1)
            for metric, column in (("sent", "ResponseBytes"), ("received", "RequestBytes")):
                grown = one[column] - (before[column] if before else 0)
                add(f"istio_tcp_{metric}_bytes_total", TCP_LABELS, grown)
            streams[one["StreamId"]] = one
            continue
        add("istio_requests_total", HTTP_LABELS, 1)
        if one["Protocol"] == "grpc":
            add("istio_request_messages_total", PEER_LABELS, one["RequestMessages"])
            add("istio_response_messages_total", PEER_LABELS, one["ResponseMessages"])
        for metric, value, amount in (
            ("istio_request_duration_milliseconds", one["DurationNs"] / 1e6, one["DurationNs"] // 1000 / 1000),
            ("istio_request_bytes", one["RequestBytes"], one["RequestBytes"]),
            ("istio_response_bytes", one["ResponseBytes"], one["ResponseBytes"]),
        ):
            add(f"{metric}_sum", HTTP_LABELS, amount)
            add(f"{metric}_count", HTTP_LABELS, 1)
            for bound in (*BUCKETS, math.inf):
                le = "+Inf" if bound == math.inf else f"{bound:.16g}"
                add(f"{metric}_bucket", HTTP_LABELS, 1 if value <= bound else 0, le=le)
    return dict(totals)


def newest(engine: EmbeddedEngine) -> Totals:
    """The newest value of every istio_* series in the store."""
    frame = engine.query(
        "SELECT Name, Labels, argMax(Value, Time) AS value FROM samples JOIN "
        "(SELECT Id, any(Name) AS Name, any(Labels) AS Labels FROM series GROUP BY Id) AS s USING Id "
        "WHERE Name LIKE 'istio\\\\_%' AND Name != 'istio_build' GROUP BY Id, Name, Labels"
    )
    rows = zip(frame["Name"], frame["Labels"], frame["value"], strict=True)
    return {(name, tuple(sorted(labels.items()))): value for name, labels, value in rows}


def same(found: Totals, wanted: Totals) -> bool:
    assert found.keys() == wanted.keys()
    assert all(found[key] == pytest.approx(wanted[key], rel=1e-12, abs=1e-9) for key in wanted)
    return True


def clean(engine: EmbeddedEngine) -> None:
    for table in ("envoy_access_logs", "samples", "series"):
        engine.command(f"TRUNCATE TABLE {table}")


def make(engine: EmbeddedEngine, clock: ManualClock, **changes: Any) -> IstioMetrics:
    return IstioMetrics(engine, lambda: DIRECTORY, clock=clock, settings=IstioMetricsSettings(**changes))


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(START_MS * 1_000_000)


def test_the_engine_counts_as_brute_force_does(engine: EmbeddedEngine, clock: ManualClock) -> None:
    rows = random_rows(seed=1, count=600)
    store(engine, rows, commit=1)
    make(engine, clock).tick()
    assert same(newest(engine), counted(rows))


def test_a_side_that_reports_no_metrics_is_not_counted(engine: EmbeddedEngine, clock: ManualClock) -> None:
    rows = random_rows(seed=2, count=120)
    store(engine, rows, commit=1)
    quiet = Directory(changes={(rows[0]["NodeId"], "destination"): Changes(silent=True)})
    IstioMetrics(engine, lambda: quiet, clock=clock, settings=IstioMetricsSettings()).tick()
    told = [one for one in rows if one["Reporter"] == "source"]
    assert len(told) < len(rows)
    assert same(newest(engine), counted(told))


@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(seed=st.integers(0, 10_000), data=st.data())
def test_any_split_over_commits_ticks_and_restarts_counts_the_same(
    engine: EmbeddedEngine, seed: int, data: st.DataObject
) -> None:
    clean(engine)
    clock = ManualClock(START_MS * 1_000_000)
    rows = random_rows(seed, count=60)
    metrics, commit, position = make(engine, clock), 1, 0
    while position < len(rows):
        size = data.draw(st.integers(1, 30))
        store(engine, rows[position : position + size], commit)
        commit, position = commit + data.draw(st.integers(1, 5)), position + size
        step = data.draw(st.sampled_from(["tick", "tick twice", "restart", "go on"]))
        if step == "restart":
            metrics = make(engine, clock)
        for _ in range({"tick": 1, "tick twice": 2}.get(step, 0)):
            clock.advance(5)
            metrics.tick()
    clock.advance(5)
    metrics.tick()
    assert same(newest(engine), counted(rows))
    requests = sum(value for (name, _), value in newest(engine).items() if name == "istio_requests_total")
    assert requests == sum(1 for one in rows if one["Kind"] == "http")


def test_the_recording_reconciles(engine: EmbeddedEngine, clock: ManualClock) -> None:
    metrics = make(engine, clock)
    for commit, (payload, _) in enumerate(envelopes(), 1):
        insert(engine, payload, commit)
        clock.advance(5)
        metrics.tick()
    found: Counter[tuple[str, str]] = Counter()
    for (name, labels), value in newest(engine).items():
        found[name, dict(labels)["reporter"]] += value
    assert found["istio_requests_total", "source"] == 14
    assert found["istio_requests_total", "destination"] == 9
    assert found["istio_request_messages_total", "source"] == found["istio_request_messages_total", "destination"] == 5
    assert found["istio_response_messages_total", "source"] == 7
    assert found["istio_tcp_connections_opened_total", "source"] == 2
    assert found["istio_tcp_connections_closed_total", "source"] == 2
    assert found["istio_tcp_sent_bytes_total", "source"] == found["istio_tcp_received_bytes_total", "source"] == 400
    assert found["istio_tcp_sent_bytes_total", "destination"] == 400
    assert found["istio_tcp_connections_opened_total", "destination"] == 1


def test_every_series_of_a_request(engine: EmbeddedEngine, clock: ManualClock) -> None:
    store(engine, [row("http_outbound", Protocol="grpc", DurationNs=3_000_000)], 1)
    tick = make(engine, clock, build="1.30").tick()
    frame = engine.query("SELECT Name, count() AS n FROM series GROUP BY Name ORDER BY Name")
    histogram = {
        f"istio_{name}_{part}"
        for name in ("request_duration_milliseconds", "request_bytes", "response_bytes")
        for part in ("sum", "count", "bucket")
    }
    counts = dict(frame.to_numpy().tolist())
    assert set(counts) == histogram | {
        "istio_requests_total",
        "istio_request_messages_total",
        "istio_response_messages_total",
        "istio_build",
        WATERMARK,
    }
    assert {counts[name] for name in histogram if name.endswith("_bucket")} == {20}
    live = 3 * 22 + 1 + 2
    assert tick.samples == live + 2 + live  # with the watermark, istio_build, and a zero before each new series
    labels = engine.query("SELECT Labels FROM series WHERE Name = 'istio_build'")["Labels"][0]
    assert labels == {"component": "proxy", "tag": "1.30"}


def test_announced_ids_are_those_of_the_labels(engine: EmbeddedEngine, clock: ManualClock) -> None:
    store(engine, random_rows(seed=5, count=60), 1)
    make(engine, clock).tick()
    frame = engine.query("SELECT Id, Name, Labels FROM series")
    for number, name, labels in zip(frame["Id"], frame["Name"], frame["Labels"], strict=True):
        assert number == series_id({"__name__": name, **labels})
    unannounced = engine.query("SELECT count() AS n FROM samples WHERE Id NOT IN (SELECT Id FROM series)")
    assert unannounced["n"][0] == 0


def test_series_are_not_announced_again_for_a_restart(engine: EmbeddedEngine, clock: ManualClock) -> None:
    store(engine, [row("http_outbound", Protocol="http")], 1)
    for _ in range(3):
        make(engine, clock).tick()
        clock.advance(5)
    count = engine.query("SELECT count() AS n FROM series WHERE Name = 'istio_requests_total'")["n"][0]
    assert count == 1


def test_a_new_series_starts_from_zero_just_after_the_tick_before(engine: EmbeddedEngine, clock: ManualClock) -> None:
    metrics = make(engine, clock)
    store(engine, [row("http_outbound", Protocol="http")], 1)
    metrics.tick()
    clock.advance(5)
    store(engine, [row("http_outbound", Protocol="http", ResponseCode=500)] * 3, 2)
    metrics.tick()
    frame = engine.query(
        "SELECT toUnixTimestamp64Milli(Time) AS time, Value FROM samples WHERE Id IN "
        "(SELECT Id FROM series WHERE Name = 'istio_requests_total' AND Labels['response_code'] = '500') ORDER BY time"
    )
    assert frame.to_numpy().tolist() == [[START_MS + 1, 0.0], [START_MS + 5_000, 3.0]]


def test_an_idle_series_ends_with_a_staleness_marker_and_may_return(engine: EmbeddedEngine, clock: ManualClock) -> None:
    metrics = make(engine, clock, idle=60)
    store(engine, [row("http_outbound", Protocol="http")] * 2, 1)
    metrics.tick()
    clock.advance(61)
    metrics.tick()
    clock.advance(5)
    metrics.tick()
    store(engine, [row("http_outbound", Protocol="http")], 2)
    clock.advance(5)
    metrics.tick()
    frame = engine.query(
        "SELECT toUnixTimestamp64Milli(Time) - {start:Int64} AS time, reinterpretAsUInt64(Value) AS bits, Value "
        "FROM samples WHERE Id IN (SELECT Id FROM series WHERE Name = 'istio_requests_total') ORDER BY time",
        {"start": START_MS},
    )
    assert frame["time"].tolist() == [-9_999, 0, 61_000, 66_001, 71_000]
    assert frame["bits"][2] == STALE_BITS
    assert frame["Value"].tolist()[3:] == [0.0, 1.0]


def test_a_failed_write_counts_nothing_and_is_repeated(engine: EmbeddedEngine, clock: ManualClock) -> None:
    class Failing:
        """The engine, unless told to fail the insert of samples, before or after doing it."""

        fail = ""

        def __getattr__(self, name: str) -> Any:
            return getattr(engine, name)

        def insert_payload(self, insert: PayloadInsert, payload: bytes) -> int:
            if insert.table == "samples" and self.fail == "before":
                raise UnavailableError("gone")
            stored = engine.insert_payload(insert, payload)
            if insert.table == "samples" and self.fail == "after":
                raise UnavailableError("did it work?")
            return stored

    failing = Failing()
    metrics = IstioMetrics(failing, lambda: DIRECTORY, clock=clock)
    rows = random_rows(seed=3, count=80)
    for commit, fail in enumerate(("", "before", "after", "before", ""), 1):
        store(engine, rows[(commit - 1) * 16 : commit * 16], commit)
        clock.advance(5)
        failing.fail = fail
        if fail:
            with pytest.raises(UnavailableError):
                metrics.tick()
        else:
            metrics.tick()
    assert same(newest(engine), counted(rows[:80]))


def test_a_connection_from_before_a_restart_goes_on_counting(engine: EmbeddedEngine, clock: ManualClock) -> None:
    def report(sent: int, **more: Any) -> dict[str, Any]:
        open_ = {"Intermediate": 1, "LogType": "TcpPeriodic", **more}
        return row("tcp_outbound", Kind="tcp", Protocol="tcp", StreamId="long", ResponseBytes=sent, **open_)

    metrics = make(engine, clock)
    for commit, sent in enumerate((100, 150, 400), 1):
        store(engine, [report(sent)], commit)
        clock.advance(5)
        metrics.tick()
        metrics = make(engine, clock)
    store(engine, [report(1_000, Intermediate=0, LogType="TcpConnectionEnd")], 9)
    clock.advance(5)
    metrics.tick()
    found: Counter[str] = Counter()
    for (name, _), value in newest(engine).items():
        found[name] += value
    assert found["istio_tcp_sent_bytes_total"] == 1_000
    assert found["istio_tcp_connections_opened_total"] == found["istio_tcp_connections_closed_total"] == 1


def test_the_first_moments_of_a_connection_are_not_counted_before_the_peer_is_known(
    engine: EmbeddedEngine, clock: ManualClock
) -> None:
    early = {"Kind": "tcp", "Protocol": "tcp", "StreamId": "s", "Intermediate": 1, "LogType": "TcpUpstreamConnected"}
    store(engine, [row("tcp_inbound", **early)], 1)
    make(engine, clock).tick()
    assert newest(engine) == {}


def test_time_running_backwards_still_writes_later_samples(engine: EmbeddedEngine, clock: ManualClock) -> None:
    store(engine, [row("http_outbound", Protocol="http")], 1)
    make(engine, clock).tick()
    store(engine, [row("http_outbound", Protocol="http")], 2)
    make(engine, ManualClock((START_MS - 60_000) * 1_000_000)).tick()
    (value,) = [value for (name, _), value in newest(engine).items() if name == "istio_requests_total"]
    assert value == 2


CHILD = """
    import os, signal, sys
    from windvane.ingest.istio_metrics import Directory, IstioMetrics
    from windvane.store.embedded import EmbeddedEngine
    from windvane.store.migrate import Retention, migrate
    sys.path[:0] = sys.argv[3:]
    from test_istio_metrics import random_rows, store

    engine = EmbeddedEngine.open(sys.argv[1])
    migrate(engine, Retention(default=None))
    metrics = IstioMetrics(engine, lambda: Directory())
    start = int(sys.argv[2])
    rows = random_rows(7, 200)
    metrics.tick()
    for number in range(start, start + 3):
        store(engine, rows[number * 20 : number * 20 + 20], number + 1)
        if number - start == 1:
            metrics.tick()
    if start == 3:  # the last thing done is a tick, in other rounds an insert
        metrics.tick()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.timeout(120)
def test_killed_between_insert_and_tick_every_row_counts_once(tmp_path: Path) -> None:
    folder = tmp_path / "killed"
    here = Path(__file__).parent
    for start in (0, 3, 6):
        arguments = [str(folder), str(start), str(here), str(here.parent)]
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(CHILD), *arguments], check=False, timeout=60, capture_output=True
        )
        assert done.returncode == -signal.SIGKILL, done.stderr.decode()
    read = """
        import pickle, sys
        from windvane.ingest.istio_metrics import Directory, IstioMetrics
        from windvane.store.embedded import EmbeddedEngine
        sys.path[:0] = sys.argv[2:]
        from test_istio_metrics import newest
        engine = EmbeddedEngine.open(sys.argv[1])
        IstioMetrics(engine, lambda: Directory()).tick()
        sys.stdout.buffer.write(pickle.dumps(newest(engine)))
        engine.close()
    """
    arguments = [str(folder), str(here), str(here.parent)]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(read), *arguments], check=True, timeout=60, stdout=subprocess.PIPE
    )
    assert same(pickle.loads(done.stdout), counted(random_rows(7, 200)[:180]))
