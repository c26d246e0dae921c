"""Windvane's answers beside those of a real Prometheus that holds the same samples; and a Prometheus as its client."""

from __future__ import annotations

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from prometheus_process import MISSING, installed, prometheus, served, until
from starlette.applications import Starlette

from windvane.api import prometheus as face
from windvane.api import prometheus_admin, prometheus_facts, prometheus_federate, prometheus_read
from windvane.api.app import build_app
from windvane.api.prometheus_http import fallback
from windvane.api.prometheus_status import StatusInfo
from windvane.kit.clock import ManualClock, SystemClock
from windvane.promql.engine import QueryEngine
from windvane.store.delete import SeriesDeletion
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.store.series import STALE, SampleWriter

pytestmark = [pytest.mark.skipif(not installed(), reason=MISSING), pytest.mark.timeout(240)]

NOW = 1_700_000_000
SETS = [
    *({"__name__": "up", "instance": f"{n}:80", "job": "ab"[n % 2]} for n in range(4)),
    *({"__name__": "http_requests_total", "code": code, "job": "a"} for code in ("200", "404", "500")),
    *({"__name__": "lat_bucket", "le": le} for le in ("0.1", "1", "+Inf")),
    {"__name__": "odd", "quote": 'a"b\\c', "html": "<a&b>", "chinese": "风向标"},
    {"__name__": "job:up:sum"},
]


def application(engine: EmbeddedEngine, clock: ManualClock | SystemClock, **external: str) -> Starlette:
    queries = QueryEngine(engine)
    admin = prometheus_admin.routes(SeriesDeletion(engine, clock), clock, prometheus_admin.AdminSettings())
    return build_app(
        [
            prometheus_facts.routes(engine, clock),
            prometheus_read.routes(engine, lambda: external),
            prometheus_federate.routes(engine, clock, lambda: external),
            admin,
            face.routes(queries, clock, StatusInfo(started_ms=NOW * 1000)),
            fallback(),
        ]
    )


class Pair:
    """Both servers, asked the same."""

    def __init__(self, ours: httpx.Client, theirs: httpx.Client) -> None:
        self.ours, self.theirs = ours, theirs

    def ask(self, method: str, path: str, **request: Any) -> tuple[httpx.Response, httpx.Response]:
        return self.ours.request(method, path, **request), self.theirs.request(method, path, **request)


@pytest.fixture(scope="module")
def pair(data_directory: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    engine = EmbeddedEngine.open(data_directory, database="peer")
    migrate(engine, Retention(default=None))
    rng = np.random.default_rng(5)
    lines: list[str] = []
    writer = SampleWriter(engine)
    for number, labels in enumerate(SETS):
        times = (NOW - 3600 + np.arange(241) * 15) * 1000 + number
        values = np.cumsum(rng.integers(0, 9, len(times))) * rng.choice([1.0, 1e-7, 1 / 3, 1e18])
        writer.write([labels] * len(times), times, values)
        shown = ",".join(f"{k}={json.dumps(v, ensure_ascii=False)}" for k, v in labels.items() if k != "__name__")
        head = f"{labels['__name__']}{{{shown}}}"
        lines += [
            f"{head} {value!r} {time / 1000:.3f}\n" for time, value in zip(times.tolist(), values.tolist(), strict=True)
        ]
    directory = tmp_path_factory.mktemp("prometheus")
    with (
        served(application(engine, ManualClock(NOW * 10**9))) as base,
        httpx.Client(base_url=base, timeout=30) as ours,
        prometheus(directory, _free_port(), "global: {scrape_interval: 1h}\n", lines) as theirs,
    ):
        yield Pair(ours, theirs)
    engine.command("DROP DATABASE peer")
    engine.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def at(**more: object) -> dict[str, object]:
    return {"time": NOW, **more}


def over(**more: object) -> dict[str, object]:
    return {"start": NOW - 1800, "end": NOW, "step": 60, **more}


SAME: list[tuple[str, dict[str, Any]]] = [
    *(("/api/v1/query", at(query=query)) for query in (
        "up", "max by (job) (http_requests_total)", "odd", "lat_bucket", "1 / 3", '"text"',
        "vector(1e-9)", "vector(1e21)", "-vector(1)/0", "up[59s]", "http_requests_total[2m:30s]", "nothing", "time()",
        "topk(2, up)", "histogram_quantile(0.9, lat_bucket)", "{__name__=~'.+'}", "absent(nothing{a='b'})",
    )),
    *(("/api/v1/query_range", over(query=query)) for query in (
        "up", "max by (job) (http_requests_total)", "odd / 0", "1", "nothing", "lat_bucket > 3",
    )),
    ("/api/v1/query", at(query="up", timeout="5s")),
    ("/api/v1/query", {"query": "up", "time": "2023-11-14T22:13:19.5Z"}),
    ("/api/v1/query", {"query": "up", "time": "2023-11-14T23:13:19.123456+01:00"}),
    ("/api/v1/query_range", over(query="up", step="1m30s")),
    ("/api/v1/query_range", over(query="up", step="0.5", start=NOW - 2)),
    ("/api/v1/labels", {}),
    ("/api/v1/labels", {"match[]": "up"}),
    ("/api/v1/labels", {"match[]": ["up", "odd"]}),
    ("/api/v1/labels", {"start": NOW - 600, "end": NOW}),
    ("/api/v1/labels", {"match[]": "nothing"}),
    ("/api/v1/label/job/values", {}),
    ("/api/v1/label/__name__/values", {}),
    ("/api/v1/label/__name__/values", {"match[]": '{job="a"}'}),
    ("/api/v1/label/instance/values", {"match[]": ['{job="a"}', '{job="b"}']}),
    ("/api/v1/label/nothing/values", {}),
    ("/api/v1/label/html/values", {}),
    ("/api/v1/series", {"match[]": "up"}),
    ("/api/v1/series", {"match[]": ["up", '{le=~".+"}', "up"]}),
    ("/api/v1/series", {"match[]": '{__name__!=""}'}),
    ("/api/v1/series", {"match[]": '{job!="a",__name__=~"up|odd"}'}),
    ("/api/v1/series", {"match[]": "nothing"}),
    ("/api/v1/query_exemplars", {"query": "up"}),
    ("/api/v1/query_exemplars", {"query": "1"}),
    ("/api/v1/status/walreplay", {}),
    ("/api/v1/metadata", {}),
    ("/api/v1/metadata", {"metric": "up", "limit": "0"}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "params"), SAME, ids=lambda value: str(value)[:60])
def test_answers_are_those_of_prometheus(pair: Pair, path: str, params: dict[str, Any]) -> None:
    ours, theirs = pair.ask("GET", path, params=params)
    assert (ours.status_code, _compared(ours)) == (theirs.status_code, _compared(theirs))
    assert ours.headers.get("content-type") == theirs.headers.get("content-type")
    if "query" in path:
        assert pair.ours.post(path, data=params).text == ours.text


def _compared(answer: httpx.Response) -> object:
    """The body, series in order; what newer versions of Prometheus say besides is left out."""
    if not answer.content:
        return None
    body = answer.json()
    body.pop("infos", None)
    data = body.get("data")
    if isinstance(data, dict) and data.get("resultType") in ("vector", "matrix"):
        data["result"].sort(key=lambda one: sorted(one["metric"].items()))  # Prometheus promises no order
    return body


WRONG: list[tuple[str, str, dict[str, Any]]] = [
    *(("GET", "/api/v1/query", params) for params in (
        {}, {"query": "up{"}, at(query="up", timeout="x"), at(query="up", timeout="0"), at(query="up", timeout="-1s"),
        at(query="up", timeout="-1"), at(query="up", timeout="1e30"), at(query="up", timeout="1h1d"),
        at(query="up", timeout="1.5m"), at(query="up{", timeout="0"), at(query="up", timeout=" 1"),
        {"query": "up", "time": "yesterday"}, {"query": "up", "time": "2023-11-14"},
        {"query": "up", "time": "2023-13-14T00:00:00Z"}, {"query": "up", "time": "2023-02-30T00:00:00Z"},
        {"query": "up", "time": "2023-11-14t00:00:00z"}, {"query": "up", "time": "2023-11-14T00:00:00"},
        {"query": "up", "time": "1_000"}, {"query": "up", "time": "0x10"}, {"query": "up", "time": 'a"b\n\u98a8\x01'},
        {"query": "{}"}, {"query": '{x=""}'}, {"query": "foo(up)"}, {"query": "rate(up)"}, {"query": "sum("},
        {"query": '1 + "a"'},
    )),
    *(("GET", "/api/v1/query_range", params) for params in (
        {"query": "up"}, {"query": "up", "start": 1}, {"query": "up", "start": 1, "end": 2}, over(query="up", step=0),
        over(query="up", step=-1), over(query="up", step="x"), over(query="up", step="1e30"),
        over(query="up", start=NOW + 1), over(query="up", step="0.1s"), over(query="up", step=1, start=NOW - 11_001),
        over(query="up", start="x"), over(query="up", end="x"), over(query="up", timeout="y"),
        over(query="up", timeout="0"),
    )),
    *(("GET", "/api/v1/query_exemplars", params) for params in (
        {}, {"query": "up{"}, {"query": "up", "start": 2, "end": 1}, {"query": "up", "start": "x"},
        {"query": "up", "end": "y"},
    )),
    *(("GET", "/api/v1/labels", params) for params in (
        {"start": "x"}, {"end": "x"}, {"match[]": "up{"}, {"match[]": "{}"}, {"match[]": '{a=""}'},
        {"match[]": '{a=~".*"}'}, {"start": 2, "end": 1},
    )),
    *(("GET", "/api/v1/label/job/values", params) for params in (
        {"start": "x"}, {"match[]": "up{"}, {"match[]": "{}"}, {"end": "z"},
    )),
    *(("GET", "/api/v1/series", params) for params in (
        {}, {"match[]": "up{"}, {"match[]": "{}"}, {"match[]": ["up", "{}"]}, {"match[]": "up", "start": "x"},
        {"match[]": "up", "end": "x"}, {"match[]": "up", "start": 2, "end": 1},
    )),
    ("GET", "/api/v1/metadata", {"limit": "x"}),
    ("GET", "/api/v1/status/nothing", {}), ("GET", "/api/v1/nothing", {}), ("POST", "/api/v1/status/buildinfo", {}),
    ("DELETE", "/api/v1/series", {}), ("POST", "/api/v1/label/job/values", {}), ("PUT", "/api/v1/query", {}),
    ("OPTIONS", "/api/v1/query", {}), ("OPTIONS", "/api/v1/nothing", {}),
    ("GET", "/api/v1/format_query", {}), ("GET", "/api/v1/format_query", {"query": "up{"}),
    ("POST", "/api/v1/admin/tsdb/delete_series", {"match[]": "up"}), ("GET", "/api/v1/admin/tsdb/snapshot", {}),
    ("PUT", "/api/v1/admin/tsdb/clean_tombstones", {}), ("POST", "/api/v1/admin/tsdb/snapshot", {}),
    ("POST", "/api/v1/read", {}), ("GET", "/api/v1/read", {}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "params"), WRONG, ids=lambda value: str(value)[:60])
def test_wrong_requests_are_refused_in_the_words_of_prometheus(
    pair: Pair, method: str, path: str, params: dict[str, Any]
) -> None:
    ours, theirs = pair.ask(method, path, params=params)
    assert ours.status_code == theirs.status_code
    wanted = theirs.text
    if path == "/api/v1/query_range":  # since version 3 a query range names the parameter, as an instant query does
        wanted = wanted.replace('"error":"1:', '"error":"invalid parameter \\"query\\": 1:')
    for place in ("expression evaluation", "query execution"):  # where the time ran out is chance
        wanted = wanted.replace(f"query timed out in {place}", "query timed out in query queue")
    assert ours.text == wanted
    assert ours.headers.get("content-type") == theirs.headers.get("content-type")


def test_pages_of_other_origins_may_read(pair: Pair) -> None:
    for method in ("GET", "OPTIONS"):
        ours, theirs = pair.ask(method, "/api/v1/labels", headers={"Origin": "http://grafana"})
        for name, value in theirs.headers.items():
            if name.startswith("access-control") or name == "vary":
                assert value in ours.headers[name]


def test_federation_is_exposed_as_prometheus_exposes_it(pair: Pair) -> None:
    def federated(client: httpx.Client, **params: object) -> list[str]:
        return client.get("/federate", params=params).text.splitlines()

    assert federated(pair.ours) == federated(pair.theirs) == []
    wrong = [client.get("/federate", params={"match[]": "up{"}) for client in (pair.ours, pair.theirs)]
    assert wrong[0].status_code == wrong[1].status_code == 400
    assert wrong[0].text == wrong[1].text
    lines = federated(pair.ours, **{"match[]": ["{job=~'a|b'}", "up"]})
    assert lines[0] == "# TYPE http_requests_total untyped"
    assert len([line for line in lines if line.startswith("up{")]) == 4


@pytest.mark.parametrize(
    "command",
    [
        ["instant", "{url}", "sum by (job) (up)", "--time={now}"],
        ["range", "{url}", "up", "--start={start}", "--end={now}", "--step=5m"],
        ["series", "{url}", "--match=up", "--start={start}", "--end={now}"],
        ["labels", "{url}", "job", "--start={start}", "--end={now}"],
    ],
    ids=lambda command: command[0],
)
def test_promtool_prints_the_same_of_both(pair: Pair, command: list[str]) -> None:
    printed = []
    for client in (pair.ours, pair.theirs):
        words = [word.format(url=client.base_url, now=NOW, start=NOW - 1800) for word in command]
        done = subprocess.run(["promtool", "query", *words], capture_output=True, text=True, timeout=30, check=False)
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout if command[0] in ("range", "labels") else sorted(done.stdout.splitlines()))
    assert printed[0] == printed[1]
    assert printed[0]


QUERIES = (
    "remote_total", "rate(remote_total[5m])", "sum(remote_total) by (job)", 'remote_total{i=~"1|2"}',
    'remote_total{i!="1"}', 'remote_total{nothing=""}', 'remote_total{i!~"0|1"}',
)  # fmt: skip


def _points(answer: dict[str, Any]) -> dict[str, float]:
    """Value by series and time."""
    return {
        f"{sorted(one['metric'].items())} {moment}": float(value)
        for one in answer["data"]["result"]
        for moment, value in one["values"]
    }


def test_prometheus_reads_from_windvane_and_scrapes_its_federation(
    data_directory: Path, tmp_path: Path, free_port: Any
) -> None:
    """Its answers over what it reads remotely, and over what it scrapes, are those of Windvane."""
    engine = EmbeddedEngine.open(data_directory, database="served")
    migrate(engine, Retention(default=None))
    now = int(time.time())
    writer = SampleWriter(engine)
    sets = [{"__name__": "remote_total", "i": str(n), "job": "x"} for n in range(3)]
    for step in range(240):
        some = 3 if step <= 200 else 2  # the last one ends
        values = np.array([step * 1.5, step**2 / 7, STALE if step == 200 else 1.0])
        writer.write(sets[:some], np.full(some, (now - 3600 + step * 15) * 1000), values[:some])
    config = """
global: {{scrape_interval: 1s, external_labels: {{replica: one}}}}
remote_read: [{{url: '{base}/api/v1/read', read_recent: true}}]
scrape_configs:
- job_name: federation
  honor_labels: true
  metrics_path: /federate
  params: {{'match[]': ['{{__name__="remote_total"}}']}}
  static_configs: [{{targets: ['{host}']}}]
"""
    try:
        with served(application(engine, SystemClock(), replica="one")) as base, httpx.Client(base_url=base) as ours:
            text = config.format(base=base, host=base.removeprefix("http://"))
            with prometheus(tmp_path, free_port(), text) as theirs:
                for query in QUERIES:
                    params = {"query": query, "start": now - 3007, "end": now - 127, "step": 60}
                    mine, other = (one.get("/api/v1/query_range", params=params).json() for one in (ours, theirs))
                    assert _points(mine) == pytest.approx(_points(other), rel=1e-12), query
                    assert _points(mine)

                def scraped() -> dict[str, Any] | None:
                    target = theirs.get("/api/v1/targets").json()["data"]["activeTargets"]
                    return target[0] if target and target[0]["health"] != "unknown" else None

                assert until(scraped)["lastError"] == ""
                lines = [
                    line for line in ours.get("/federate?match[]=remote_total").text.splitlines() if "#" not in line
                ]
                assert [line.split("{")[1].split("}")[0] for line in lines] == [
                    f'i="{n}",job="x",instance="",replica="one"' for n in range(2)
                ]
    finally:
        engine.command("DROP DATABASE served")
        engine.close()
