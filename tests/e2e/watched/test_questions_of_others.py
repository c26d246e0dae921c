"""Every question of Istio's dashboards and of Kiali, on the demo: none fails, and answers are those of plain sums.

`WINDVANE_ISTIO_DASHBOARDS` names a folder of dashboards in Grafana's JSON, such as Istio's own; each of their
expressions and variables is asked too.
"""

from __future__ import annotations

import json
import math
import os
import re
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import httpx
import istio_questions
import kiali_questions
import pytest
from asked import Data, Node, Vector, labels_of
from demo_process import Demo, until

pytestmark = pytest.mark.e2e

FOLDER = os.environ.get("WINDVANE_ISTIO_DASHBOARDS")
HTTP, TCP = "reviews.shop.svc.cluster.local", "ledger-db.payments.svc.cluster.local"
METRICS = (
    "istio_requests_total", "istio_tcp_sent_bytes_total", "istio_tcp_received_bytes_total",
    "istio_tcp_connections_opened_total", "istio_tcp_connections_closed_total",
    "istio_request_messages_total", "istio_response_messages_total",
    *(f"istio_request_duration_milliseconds_{part}" for part in ("bucket", "sum", "count")),
    *(f"istio_{way}_bytes_{part}" for way in ("request", "response") for part in ("bucket", "sum", "count")),
)  # fmt: skip
SETTLED = 20.0
"""Seconds after which no sample of a time is missing any more: metrics are made every five."""


def ask(demo: Demo, path: str, **parameters: Any) -> Any:
    answer = httpx.post(f"{demo.url}/api/v1/{path}", data=parameters, timeout=60, trust_env=False)
    assert answer.status_code == 200, f"{parameters}: {answer.text}"
    return answer.json()["data"]


@pytest.fixture(scope="module")
def data(demo: Demo) -> Data:
    """Ten minutes (or as many as there are) of all samples of Istio's metrics, once calls and bytes have been seen."""

    def at() -> float:
        return time.time() - SETTLED

    def seen() -> bool:
        rates = (f"count(rate({name}[1m]) > 0)" for name in ("istio_requests_total", "istio_tcp_sent_bytes_total"))
        return all(ask(demo, "query", query=rate, time=at())["result"] for rate in rates)

    until(seen, 90, "traffic over HTTP and TCP")
    now = math.floor(at())
    series = {
        name: [
            (item["metric"], [(float(when), float(value)) for when, value in item["values"]])
            for item in ask(demo, "query", query=f"{name}[10m]", time=now)["result"]
        ]
        for name in METRICS
    }
    return Data(now, series)


def answered(demo: Demo, expression: str, at: float) -> Vector:
    result = ask(demo, "query", query=expression, time=at)["result"]
    return {labels_of(item["metric"]): float(item["value"][1]) for item in result}


def compared(demo: Demo, data: Data, questions: Iterable[Node]) -> tuple[int, int]:
    """How many questions there were, and how many of them had an answer."""
    asked = with_data = 0
    for question in questions:
        wanted, found = question.value(data), answered(demo, question.text(), data.at)
        assert found.keys() == wanted.keys(), question.text()
        for labels, number in wanted.items():
            # a sum in another order may round to the next thousandth
            near = pytest.approx(number, rel=1e-6, abs=0.0101 if "round(" in question.text() else 1e-9, nan_ok=True)
            assert found[labels] == near, (question.text(), labels)
        asked, with_data = asked + 1, with_data + bool(wanted)
    return asked, with_data


@pytest.mark.parametrize(("service", "reporter"), [(HTTP, "destination"), (HTTP, "source|waypoint"), (TCP, "source")])
def test_the_service_dashboard(demo: Demo, data: Data, service: str, reporter: str) -> None:
    _, with_data = compared(demo, data, istio_questions.service(service, reporter))
    assert with_data >= (8 if service == TCP else 30)


@pytest.mark.parametrize("workload", ["reviews-v1", "checkout-v1"])
def test_the_workload_dashboard(demo: Demo, data: Data, workload: str) -> None:
    _, with_data = compared(demo, data, istio_questions.workload("shop", workload, "destination"))
    assert with_data >= 15


def test_the_mesh_dashboard_and_the_cost_of_proxies(demo: Demo, data: Data) -> None:
    asked, with_data = compared(demo, data, istio_questions.mesh())
    assert with_data == asked
    asked, with_data = compared(demo, data, istio_questions.proxies_cost())
    assert with_data == asked


@pytest.mark.parametrize("namespace", ["shop", "payments"])
def test_the_graph_of_kiali_its_appenders_and_its_health(demo: Demo, data: Data, namespace: str) -> None:
    for part in (kiali_questions.graph, kiali_questions.appenders, kiali_questions.health):
        _, with_data = compared(demo, data, part(namespace))
        assert with_data >= 3, part.__name__


def test_charts_and_overview_of_kiali(demo: Demo, data: Data) -> None:
    _, with_data = compared(demo, data, kiali_questions.charts("shop", "reviews"))
    assert with_data >= 40
    asked, with_data = compared(demo, data, kiali_questions.overview())
    assert with_data == asked


def test_questions_to_istiod_ztunnel_and_the_kubelet_run(demo: Demo, data: Data) -> None:
    for expression in (*istio_questions.of_others(), *kiali_questions.of_others()):
        ask(demo, "query", query=expression, time=data.at)
        ask(demo, "query_range", query=expression, start=data.at - 60, end=data.at, step=15)
    found = ask(demo, "query", query='count({reporter="destination"}) by (__name__)', time=data.at)["result"]
    assert {item["metric"]["__name__"] for item in found} >= {"istio_requests_total", "istio_tcp_sent_bytes_total"}


# -- dashboards in a folder

VARIABLE = re.compile(r"\$(?:\{(\w+)(?::\w+)?\}|(\w+))|\[\[(\w+)\]\]")
VALUES = {
    "datasource": "default", "namespace": "shop", "service": HTTP, "workload": "checkout-v1", "qrep": "destination",
    "__rate_interval": "30s", "__interval": "15s", "__range": "5m",
}  # fmt: skip
"""What a reader of the dashboards has chosen; of other variables, All."""


def substituted(text: str) -> str:
    return VARIABLE.sub(lambda found: VALUES.get(next(filter(None, found.groups())), ".*"), text)


def expressions(value: Any) -> Iterator[str]:
    """Every `expr` of Grafana's JSON, however deep its panels nest, and every `query` of Perses's."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key in ("expr", "query") and isinstance(inner, str):
                yield inner
            else:
                yield from expressions(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from expressions(inner)


def variables(dashboard: Any) -> Iterator[str]:
    for variable in dashboard.get("templating", {}).get("list", []):
        if variable.get("type") == "query":
            query = variable["query"]
            yield query["query"] if isinstance(query, dict) else query


def run_variable(demo: Demo, query: str) -> list[Any]:
    """As Grafana's Prometheus source does: label_values by the API of labels, query_result by a query."""
    if found := re.fullmatch(r"\s*query_result\((.*)\)\s*", query, re.DOTALL):
        return list(ask(demo, "query", query=found[1])["result"])
    if found := re.fullmatch(r"\s*label_values\((?:(.*),)?\s*(\w+)\)\s*", query, re.DOTALL):
        return list(demo.get(f"/api/v1/label/{found[2]}/values", **({"match[]": found[1]} if found[1] else {}))["data"])
    return list(ask(demo, "query", query=query)["result"])


FILES = sorted(Path(FOLDER).glob("*.json")) if FOLDER else []


@pytest.mark.skipif(not FILES, reason="WINDVANE_ISTIO_DASHBOARDS names no folder with dashboards in JSON")
@pytest.mark.parametrize("file", FILES or [Path("none")], ids=lambda file: file.stem)
def test_every_expression_of_a_dashboard_in_the_folder_runs(
    demo: Demo, data: Data, file: Path, record_property: Any
) -> None:
    dashboard = json.loads(file.read_text())
    panels = list(dict.fromkeys(substituted(text) for text in expressions(dashboard.get("panels", dashboard))))
    chosen = list(dict.fromkeys(substituted(text) for text in variables(dashboard)))
    with_data = 0
    for expression in panels:
        with_data += bool(ask(demo, "query", query=expression, time=data.at)["result"])
        ask(demo, "query_range", query=expression, start=data.at - 300, end=data.at, step=15)
    of_proxies = [query for query in chosen if "istio_" in query or "reporter" in query]
    answers = {query: run_variable(demo, query) for query in chosen}
    assert panels
    assert [query for query in of_proxies if not answers[query] and "istio_build" not in query] == []
    record_property("expressions", len(panels))
    record_property("variables", len(chosen))
    record_property("with data", with_data)
    print(f"{file.name}: {len(panels)} expressions, {with_data} with data; {len(chosen)} variables")
