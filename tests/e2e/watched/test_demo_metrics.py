"""What users of Prometheus and Grafana see of a demo: dashboards, rules and cardinality, on real traffic."""

from __future__ import annotations

import re
import time
from typing import Any

import httpx
import pytest
from demo_process import Demo, until

from windvane.dashboards import DASHBOARDS
from windvane.dashboards.model import Dashboard

pytestmark = pytest.mark.e2e

VALUES = {
    "datasource": "default", "namespace": "shop", "service": "reviews.shop.svc.cluster.local", "workload": "reviews-v1",
    "reporter": "destination", "qrep": "destination", "srcns": ".*", "srcwl": ".*", "dstns": ".*", "dstwl": ".*",
    "dstsvc": ".*", "srccluster": ".*", "dstcluster": ".*",
    "__rate_interval": "30s", "__range": "5m", "__interval": "15s",
}  # fmt: skip


def substituted(expr: str) -> str:
    return re.sub(r"\$(?:\{(\w+)\}|(\w+))", lambda found: VALUES[found[1] or found[2]], expr)


def expressions(dashboard: Dashboard) -> list[str]:
    return [substituted(target.expr) for row in dashboard.rows for panel in row.panels for target in panel.targets]


def ask(demo: Demo, path: str, **params: Any) -> dict[str, Any]:
    answer = httpx.get(f"{demo.url}/api/v1/{path}", params=params, timeout=60, trust_env=False)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert not [
        text for text in body.get("infos", []) + body.get("warnings", []) if "might not be a counter" not in text
    ]
    return body["data"]


@pytest.mark.parametrize("dashboard", DASHBOARDS, ids=lambda dashboard: dashboard.uid)
def test_every_expression_of_a_dashboard_runs_on_the_demo(demo: Demo, dashboard: Dashboard) -> None:
    now = time.time()
    for expr in expressions(dashboard):
        ask(demo, "query_range", query=expr, start=now - 300, end=now, step=15)


def test_dashboards_tell_the_rate_of_requests_that_the_graph_tells(demo: Demo) -> None:
    def rate() -> float:
        data = ask(
            demo,
            "query",
            query='sum(rate(istio_requests_total{reporter="source",destination_service_name="frontend"}[30s]))',
        )
        return float(data["result"][0]["value"][1]) if data["result"] else 0.0

    assert until(lambda: 30 < rate() < 90, 60, "about 60 requests a second at the ingress, as --rate says")


def test_cardinality_counts_the_series_of_istio(demo: Demo) -> None:
    names = {row["name"] for row in ask(demo, "status/tsdb")["seriesCountByMetricName"]}
    assert "istio_request_duration_milliseconds_bucket" in names
