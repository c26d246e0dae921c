"""Dependencies and paths over HTTP and on the command line; the queries of Grafana's and Jaeger's service graphs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest
from asgi_client import AsgiClient
from click.testing import CliRunner
from telemetry_rows import store_entries, store_spans

from windvane.api import prometheus
from windvane.api.prometheus_status import StatusInfo
from windvane.api.windvane import graphs
from windvane.api.windvane.analysis_exemplars import istio_naming
from windvane.cli.traces import command
from windvane.ingest.istio_labels import Directory
from windvane.ingest.span_metrics import SpanMetrics, SpanMetricsSettings, SpanNames
from windvane.kit.clock import ManualClock
from windvane.promql.engine import QueryEngine
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.model import Span

NOW = 1_790_000_000 * 10**9
SECOND = 10**9
BASE = "/api/windvane/v1/traces"


def request(number: int, start: int, status: str = "Unset") -> list[Span]:
    """A request to web, which calls cart, which asks a database."""

    def span(place: int, name: str, kind: str, service: str, length: int, **given: Any) -> Span:
        parent = f"{place - 1:016x}" if place > 1 else ""
        return Span(f"{number:032x}", f"{place:016x}", parent, name, kind, service, start + place, length, **given)

    return [
        span(1, "GET /", "Server", "web.shop", SECOND, status=status),
        span(2, "cart", "Client", "web.shop", SECOND // 2, trace_state="ot=th:8"),
        span(3, "GET /cart", "Server", "cart.shop", SECOND // 4, status=status, trace_state="ot=th:8"),
        span(4, "SELECT", "Client", "cart.shop", 5_000_000, attributes={"db.system": "mysql", "db.name": "carts"}),
    ]


@contextlib.contextmanager
def store(directory: Path, database: str) -> Iterator[Engine]:
    engine = EmbeddedEngine.open(directory, database=database)
    migrate(engine, Retention(default=None))
    yield engine
    engine.command(f"DROP DATABASE {database}")
    engine.close()


@pytest.fixture(scope="module")
def client(data_directory: Path) -> Iterator[AsgiClient]:
    with store(data_directory, "trace_graphs") as engine:
        yield filled(engine)


def filled(engine: Engine) -> AsgiClient:
    spans = [one for n in range(4) for one in request(n, NOW - 60 * SECOND, "Error" if n == 3 else "Unset")]
    store_spans(engine, [*spans, *spans[:4]], 1)
    store_entries(engine, [{"Timestamp": NOW - 30 * SECOND, "Reporter": "source", "Kind": "http", "DurationNs": 10**6,
                            "LogName": "http_outbound", "Protocol": "http", "ResponseCode": 502,
                            "NodeId": "sidecar~10.0.0.1~web-v1.shop~shop.svc.cluster.local",
                            "UpstreamCluster": "PassthroughCluster"}])  # fmt: skip
    return AsgiClient(graphs.routes(engine, ManualClock(NOW), istio_naming(Directory)))


def get(client: AsgiClient, path: str, **params: Any) -> Any:
    answer = client.get(f"{BASE}/{path}", params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_dependencies(client: AsgiClient) -> None:
    found = {(one["parent"], one["child"]): one for one in get(client, "dependencies")["dependencies"]}
    call = found["web.shop", "cart.shop"]
    assert (call["connection"], call["access_logs"]) == ("", None)
    assert {name: call["spans"][name] for name in ("calls", "errors", "estimated_calls", "error_share")} == {
        "calls": 4, "errors": 1, "estimated_calls": 8.0, "error_share": 0.25
    }  # fmt: skip
    assert call["spans"]["duration_ms"]["p95"] == pytest.approx(250, rel=0.011)
    assert found["cart.shop", "carts"]["connection"] == "database"
    assert found["web.shop", "web.shop"]["spans"]["calls"] == 4
    (logged,) = [one for (_, child), one in found.items() if child == "PassthroughCluster"]
    assert (logged["spans"], logged["access_logs"]["errors"]) == (None, 1)
    only = get(client, "dependencies", service="carts", access_logs="false")["dependencies"]
    assert [one["child"] for one in only] == ["carts"]
    assert get(client, "dependencies", start=NOW // SECOND - 10, access_logs="false") == {"dependencies": []}


def test_paths(client: AsgiClient) -> None:
    found = get(client, "paths", service="cart")
    assert found["truncated"] is False
    (path,) = found["paths"]
    assert [one["service"] for one in path["entries"]] == ["web.shop", "cart.shop"]
    assert (path["traces"], path["failed"], path["duration_ms"]["p50"]) == (4, 1, 1_000)
    assert len(path["exemplars"]) == 4
    assert get(client, "paths", service="cart", tag="error:true")["paths"][0]["traces"] == 1
    assert get(client, "paths", limit=2)["truncated"] is True


@pytest.mark.parametrize(
    ("path", "params", "message"),
    [
        ("dependencies", {"start": "x"}, "start 'x'"),
        ("dependencies", {"start": 5, "end": 4}, "start 5.000 is after end 4.000"),
        ("dependencies", {"access_logs": "maybe"}, "access_logs 'maybe': expected true or false"),
        ("paths", {"limit": 5_000}, "limit 5000: at most 1000"),
        ("paths", {"trace_id": "1"}, "trace_id: paths are of the traces that a search finds"),
        ("paths", {"q": "("}, ""),
    ],
)
def test_mistakes_are_told(client: AsgiClient, path: str, params: dict[str, Any], message: str) -> None:
    answer = client.get(f"{BASE}/{path}", params)
    assert answer.status_code == 400
    assert message in answer.json()["error"]["message"]


def test_commands(client: AsgiClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def asked(_: str, url: str, **given: Any) -> httpx.Response:
        return client.get(httpx.URL(url).path, given["params"])

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(command, arguments)
        assert result.exit_code == 0, result.output
        return result.output

    monkeypatch.setattr(httpx, "request", asked)
    table = run("dependencies", "--service", "cart.shop")
    assert "carts" in table
    assert "25.0%" in table
    assert "Passthrough" not in run("dependencies", "--no-access-logs")
    assert "logs" in run("dependencies")
    assert len(orjson.loads(run("dependencies", "--output", "json"))["dependencies"]) == 5
    shown = run("paths", "--service", "cart")
    assert "→" in shown
    assert shown.count("cart.shop: GET") == 1
    assert "there may be more" in run("paths", "--limit", "1")


@pytest.fixture(scope="module")
def ask(data_directory: Path) -> Iterator[Any]:
    """Prometheus's API over two minutes of requests, one a tick, and one that failed."""
    with store(data_directory, "span_series") as engine:
        yield from asked_of(engine)


def asked_of(engine: Engine) -> Iterator[Any]:
    clock, commit = ManualClock(NOW), 0
    counter = SpanMetrics(engine, lambda: commit, settings=SpanMetricsSettings(SpanNames.BOTH), clock=clock)
    counter.tick()
    for number in range(8):
        commit += 1
        store_spans(engine, request(number, clock.now_ns(), "Error" if number == 5 else "Unset"), commit)
        clock.advance(15)
        counter.tick()
    queries = QueryEngine(engine)
    info = StatusInfo(0, "none", "15s", "", lambda: "", lambda: 0, {})
    face = AsgiClient(prometheus.routes(queries, clock, info))

    def value(query: str) -> dict[tuple[str, ...], float]:
        answer = face.get("/api/v1/query", {"query": query, "time": clock.now_ns() / 1e9}).json()
        assert answer["status"] == "success", answer
        return {tuple(one["metric"].values()): float(one["value"][1]) for one in answer["data"]["result"]}

    yield value
    queries.close()


def test_grafanas_service_graph_asks_and_is_answered(ask: Any) -> None:
    """The expressions of the Tempo data source (graphTransform.ts, datasource.ts)."""
    edge = ("web.shop", "cart.shop")
    for name, ratio in (("request_total", 1), ("request_failed_total", 1 / 8), ("request_server_seconds_sum", 1 / 4)):
        found = ask(f"sum by (client, server) (rate(traces_service_graph_{name}{{}}[2m]))")
        assert found[edge] * 120 == pytest.approx(16 * ratio, rel=0.1), "each of eight requests counts twice"
        assert ("user", "web.shop") in found
    assert ask("topk(5, sum(rate(traces_spanmetrics_calls_total{}[2m])) by (span_name))").keys() == {
        ("GET /",), ("cart",), ("GET /cart",), ("SELECT",)
    }  # fmt: skip
    failed = 'topk(5, sum(rate(traces_spanmetrics_calls_total{status_code="STATUS_CODE_ERROR"}[2m])) by (span_name))'
    assert ask(failed).keys() == {("GET /",), ("GET /cart",)}
    slow = 'histogram_quantile(.9, sum(rate(traces_spanmetrics_latency_bucket{span_name=~"GET /cart"}[2m])) by (le))'
    assert 0.128 < ask(slow)[()] <= 0.256
    server = 'histogram_quantile(.9, sum(rate(traces_service_graph_request_server_seconds_bucket{server="cart.shop"}[2m])) by (le))'  # noqa: E501
    assert 0.2 < ask(server)[()] <= 0.4


def test_jaegers_monitor_asks_and_is_answered(ask: Any) -> None:
    """The expressions of Jaeger's Prometheus metric store (metricstore/prometheus/metricstore/reader.go)."""
    which = 'service_name =~ "cart.shop|web.shop", span_kind =~ "SPAN_KIND_SERVER"'
    calls = ask(f"sum(rate(traces_span_metrics_calls_total{{{which}}}[2m])) by (service_name,span_name)")
    assert calls.keys() == {("cart.shop", "GET /cart"), ("web.shop", "GET /")}
    calls_of = 'sum(rate(traces_span_metrics_calls_total{service_name =~ "web.shop", '
    asked = 'span_kind =~ "SPAN_KIND_SERVER"}[2m])) by (service_name)'
    errors = ask(f'{calls_of}status_code = "STATUS_CODE_ERROR", {asked} / {calls_of}{asked}')
    assert errors == {("web.shop",): pytest.approx(1 / 8, rel=0.1)}
    latency = ask(
        f"histogram_quantile(0.95, sum(rate(traces_span_metrics_duration_milliseconds_bucket{{{which}}}[2m]))"
        " by (service_name,le))"
    )
    assert 200 < latency["cart.shop",] <= 400
