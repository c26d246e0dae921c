"""`/api/v1/rules`, `/alerts`, `/alertmanagers`: Prometheus 3's JSON, filters and pages."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from asgi_client import AsgiClient

from windvane.alerting.manager import RuleManager, RuleSettings
from windvane.api.prometheus_rules import routes
from windvane.kit.clock import ManualClock
from windvane.kit.metrics import Metrics
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

NOW = 1_700_000_000
RULES = """
groups:
- name: g
  interval: 30s
  limit: 10
  rules:
  - {record: "a:b", expr: "sum by (x)   (up)"}
  - {record: "a:c", expr: "vector(1)", labels: {foo: bar}}
  - alert: Al
    expr: up == 0.5
    labels: {sev: "x{{ $value }}"}
    annotations: {s: "{{ $labels.job }}"}
  - {alert: Bad, expr: "up + on() group_left() (up or vector(1))", keep_firing_for: 90s}
- name: empty
  rules: []
"""


@pytest.fixture
def client(engine: EmbeddedEngine, tmp_path: Path) -> AsgiClient:
    (tmp_path / "a.yml").write_text(RULES)
    (tmp_path / "b.yml").write_text(RULES.replace("name: g", "name: h"))
    writer = SampleWriter(engine)
    series = [{"__name__": "up", "job": "a"}]
    writer.write(series, np.array([NOW * 1000], np.int64), np.array([0.5]))
    manager = RuleManager(
        QueryEngine(engine), writer, engine, clock=ManualClock(NOW * 10**9), metrics=Metrics(),
        settings=RuleSettings(globs=[str(tmp_path / "*.yml")]),
    )  # fmt: skip

    async def evaluated() -> None:
        await manager.reload()
        for group in manager.groups():
            if group.spec.name == "g":
                group.evaluate(NOW * 10**9, NOW * 10**9 + 1_500_000)
        await manager._close()

    asyncio.run(evaluated())
    return AsgiClient(routes(manager, lambda: ["http://am:9093/api/v2/alerts"]))


def rules_of(client: AsgiClient, **params: Any) -> dict[str, Any]:
    answer = client.get("/api/v1/rules", params)
    assert answer.status_code == 200, answer.text
    data: dict[str, Any] = answer.json()["data"]
    return data


def test_groups_are_written_as_prometheus_writes_them(client: AsgiClient, tmp_path: Path) -> None:
    first, second = rules_of(client)["groups"]
    times = {"lastEvaluation": "2023-11-14T22:13:20.0015Z"}
    assert list(first) == ["name", "file", "rules", "interval", "limit", "evaluationTime", "lastEvaluation"]
    assert (first["name"], first["file"], first["interval"], first["limit"]) == ("g", str(tmp_path / "a.yml"), 30, 10)
    assert first["lastEvaluation"] == times["lastEvaluation"]
    assert (second["name"], second["lastEvaluation"]) == ("h", "0001-01-01T00:00:00Z")
    recording, labelled, alerting, bad = first["rules"]
    for rule in first["rules"]:
        assert rule.pop("evaluationTime") > 0
        assert rule.pop("lastEvaluation").startswith("2023-11-14T22:1")
    assert recording == {"name": "a:b", "query": "sum by (x) (up)", "health": "ok", "type": "recording"}
    assert labelled["labels"] == {"foo": "bar"}
    alert = {
        "labels": {"alertname": "Al", "job": "a", "sev": "x0.5"},
        "annotations": {"s": "a"},
        "state": "pending",
        "activeAt": "2023-11-14T22:13:20Z",
        "value": "5e-01",
    } | {"state": "firing"}
    assert alerting == {
        "state": "firing",
        "name": "Al",
        "query": "up == 0.5",
        "duration": 0,
        "keepFiringFor": 0,
        "labels": {"sev": "x{{ $value }}"},
        "annotations": {"s": "{{ $labels.job }}"},
        "alerts": [alert],
        "health": "ok",
        "type": "alerting",
    }
    assert (bad["health"], bad["keepFiringFor"], bad["state"]) == ("err", 90, "inactive")
    assert "many-to-many" in bad["lastError"] or "duplicate series" in bad["lastError"]
    assert client.get("/api/v1/alerts").json() == {"status": "success", "data": {"alerts": [alert]}}


@pytest.mark.parametrize(
    ("params", "names"),
    [
        ({"type": "alert"}, ["Al", "Bad"]),
        ({"type": "record"}, ["a:b", "a:c"]),
        ({"rule_name[]": ["Al", "a:b"]}, ["a:b", "Al"]),
        ({"match[]": '{foo="bar"}'}, ["a:c"]),
        ({"match[]": ['{sev=~"x.*"}', '{foo=~".+"}']}, ["a:c", "Al"]),
        ({"match[]": '{foo!="bar",sev!~"x.*",__name__!="q",sev=""}', "type": "record"}, None),
    ],
)
def test_rules_are_filtered(client: AsgiClient, params: dict[str, Any], names: list[str] | None) -> None:
    if names is None:
        assert client.get("/api/v1/rules", params).status_code == 400
        return
    groups = rules_of(client, **{"rule_group[]": "g", **params})["groups"]
    assert [rule["name"] for group in groups for rule in group["rules"]] == names


def test_groups_are_filtered_and_alerts_left_out(client: AsgiClient, tmp_path: Path) -> None:
    (group,) = rules_of(client, **{"file[]": str(tmp_path / "b.yml"), "exclude_alerts": "true"})["groups"]
    assert group["name"] == "h"
    assert group["rules"][2]["alerts"] is None
    assert rules_of(client, **{"rule_group[]": "nothing"}) == {"groups": []}


def test_groups_come_in_pages(client: AsgiClient) -> None:
    page = rules_of(client, group_limit="1", **{"rule_group[]": ["g", "h"]})
    assert [group["name"] for group in page["groups"]] == ["g"]
    rest = rules_of(client, group_limit="1", group_next_token=page["groupNextToken"], **{"rule_group[]": ["g", "h"]})
    assert [group["name"] for group in rest["groups"]] == ["h"]
    assert "groupNextToken" not in rest


@pytest.mark.parametrize(
    ("params", "error"),
    [
        ({"type": "x"}, 'invalid parameter "type": not supported value "x"'),
        ({"exclude_alerts": "x"}, "error converting exclude_alerts"),
        ({"group_limit": "x"}, "group_limit needs to be a valid number"),
        ({"group_limit": "0"}, "group_limit needs to be greater than 0"),
        ({"group_next_token": "x"}, "group_limit needs to be present in order to paginate over the groups"),
        ({"group_limit": "1", "group_next_token": "x"}, "invalid group_next_token 'x'. were rule groups changed?"),
        ({"match[]": "{"}, "parse error"),
    ],
)
def test_bad_parameters_are_refused(client: AsgiClient, params: dict[str, str], error: str) -> None:
    answer = client.get("/api/v1/rules", params)
    assert answer.status_code == 400
    assert answer.json()["errorType"] == "bad_data"
    assert error in answer.json()["error"]


def test_alertmanagers(client: AsgiClient) -> None:
    assert client.get("/api/v1/alertmanagers").json()["data"] == {
        "activeAlertmanagers": [{"url": "http://am:9093/api/v2/alerts"}],
        "droppedAlertmanagers": [],
    }
