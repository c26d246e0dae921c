"""Kayenta's canary-config JSON: what is read, how metrics are classified, how a score is made of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from windvane.analytics.releases.kayenta_config import Config, Scored, classified, read, scored
from windvane.cli import canary, kayenta_options
from windvane.kit.errors import BadInputError
from windvane.kit.yaml_nodes import FileError

EXAMPLE = Path(__file__).parents[2] / "examples" / "kayenta" / "reviews.json"
TEXT = EXAMPLE.read_text(encoding="utf-8")
CONTROL = {"scope": "v1", "location": "shop", "service": "reviews"}
EXPERIMENT = CONTROL | {"scope": "v2"}
RNG = np.random.default_rng(3)


def config(*metrics: Mapping[str, Any], **more: Any) -> Config:
    """A config of these metrics: name, groups, and what its analysis says."""
    made = [
        {"name": one["name"], "groups": one["groups"],
         "query": {"customInlineTemplate": f"PromQL:{one['name']}_${{scope}}"},
         "analysisConfigurations": {"canary": {k: v for k, v in one.items() if k not in ("name", "groups")}}}
        for one in metrics
    ]  # fmt: skip
    return read(json.dumps({"metrics": made, **more}), "canary.json")


def score(which: Config, **series: tuple[list[float], list[float]]) -> Scored:
    def ask(query: str) -> np.ndarray:
        name, _, version = query.partition("_")
        return np.array(series[name][version == "v2"])

    return scored(which, CONTROL, EXPERIMENT, ask)


def test_queries_of_both_scopes() -> None:
    assert read(TEXT.replace("  ", "\t"), "kayenta.json") == read(TEXT, "kayenta.json")
    asked: list[str] = []

    def ask(query: str) -> np.ndarray:
        asked.append(query)
        return np.array([1.0, 2.0])

    found = scored(read(TEXT, "kayenta.json"), CONTROL, EXPERIMENT, ask)
    assert (found.score, found.label) == (100, "Pass")
    assert asked[0].startswith('sum(rate(istio_requests_total{destination_service_name="reviews"')
    assert asked[3] == (
        'avg(container_memory_working_set_bytes{destination_version="v2",destination_service_namespace="shop",'
        'container="reviews"})'
    )
    with pytest.raises(BadInputError, match="has no value"):
        scored(read(TEXT, "kayenta.json"), CONTROL, {"scope": "v2", "location": "shop"}, ask)


LOW, HIGH = [1.0, 1.2, 0.9, 1.1, 1.0, 0.8, 1.3] * 3, [3.0, 3.2, 2.9, 3.1, 3.0, 2.8, 3.3] * 3


@pytest.mark.parametrize(
    ("analysis", "control", "experiment", "label", "critical"),
    [
        ({"direction": "increase"}, LOW, HIGH, "High", False),
        ({"direction": "decrease"}, LOW, HIGH, "Pass", False),
        ({"direction": "either"}, HIGH, LOW, "Low", False),
        ({"direction": "increase", "effectSize": {"allowedIncrease": 4}}, LOW, HIGH, "Pass", False),
        ({"direction": "increase", "critical": True}, LOW, HIGH, "High", True),
        ({"direction": "increase", "critical": True, "effectSize": {"criticalIncrease": 5}}, LOW, HIGH, "High", False),
        ({"direction": "either", "effectSize": {"measure": "cles", "allowedIncrease": 0.9}}, LOW, HIGH, "High", False),
        ({}, LOW, [], "Nodata", False),
        ({"mustHaveData": True}, LOW, [float("nan")] * 3, "NodataFailMetric", False),
        ({"mustHaveData": True, "critical": True}, LOW, [], "Nodata", True),
        ({"nanStrategy": "replace"}, [], [], "Pass", False),
        ({}, [5.0] * 9, [7.0] * 9, "High", False),
        ({"outliers": {"strategy": "remove"}}, LOW, [*LOW, 1e6], "Pass", False),
    ],
)
def test_a_metric(
    analysis: dict[str, Any], control: list[float], experiment: list[float], label: str, critical: bool
) -> None:
    (metric,) = config({"name": "a", "groups": ["g"], **analysis}).metrics
    assert classified(metric, np.array(control), np.array(experiment))[:2] == (label, critical)


def test_groups_and_weights() -> None:
    three = ({"name": "a", "groups": ["x"]}, {"name": "b", "groups": ["x", "y"]}, {"name": "c", "groups": ["z"]})
    same, worse = (LOW, LOW), (LOW, HIGH)
    weighted = config(*three, classifier={"groupWeights": {"x": 60}})
    found = score(weighted, a=same, b=worse, c=same)
    assert (dict(found.groups), found.score, found.label) == ({"x": 50, "y": 0, "z": 100}, 50, "Fail")
    assert score(weighted, a=same, b=same, c=(LOW, [])).score == 100
    assert score(weighted, a=same, b=(LOW, []), c=(LOW, [])).reason == "2 of 3 metrics have no data"
    marginal = config(*three, classifier={"groupWeights": {"x": 60}, "scoreThresholds": {"pass": 90, "marginal": 50}})
    assert score(marginal, a=same, b=worse, c=same).label == "Marginal"
    fatal = config({**three[0], "critical": True}, *three[1:])
    assert (score(fatal, a=worse, b=same, c=same).score, score(fatal, a=worse, b=same, c=same).reason) == (
        0, "critical: a",
    )  # fmt: skip


@given(st.lists(st.floats(0, 100), min_size=3, max_size=12), st.integers(1, 5))
def test_equal_values_pass_in_any_order(values: list[float], seed: int) -> None:
    (metric,) = config({"name": "a", "groups": ["g"], "critical": True}).metrics
    shuffled = np.random.default_rng(seed).permutation(values)
    assert classified(metric, np.array(values), shuffled)[:2] == ("Pass", False)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("NetflixACAJudge-v1.0", "dredd-v1.0", "judge.name: 'dredd-v1.0' is not there"),
        ('"customFilterTemplate": "errors"', '"customFilterTemplate": "faults"', "there is no template 'faults'"),
        ('"customFilterTemplate": "errors"', '"resourceType": "gce_instance"', "needs customInlineTemplate"),
        ('"type": "prometheus", "metricName"', '"type": "datadog", "metricName"', "'datadog' cannot be asked"),
        ('"direction": "either"', '"direction": "up"', "'up' is none of increase, decrease, either"),
        ('"Errors": 70', '"Errors": 90', "groupWeights: add up to 120, beyond 100"),
    ],
)
def test_what_cannot_be_read_is_told(old: str, new: str, message: str) -> None:
    assert old in TEXT
    with pytest.raises(FileError) as error:
        read(TEXT.replace(old, new), "kayenta.json")
    assert message in error.value.message
    assert "kayenta.json:" in error.value.message


def test_beside_the_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(server: str, path: str, form: dict[str, str], headers: dict[str, str]) -> dict[str, Any]:
        start, end, step = int(form["start"]), int(form["end"]), int(form["step"])
        bad = 'destination_version="v2"' in form["query"] and "5.." in form["query"]
        values = [[at, str((0.2 if bad else 0.01) * (1 + at % 7))] for at in range(start, end + 1, step)]
        return {"data": {"result": [{"metric": {}, "values": values}]}}

    verdict = {"service": "reviews.shop", "baseline": "v1", "canary": "v2", "verdict": "safe", "reasons": [],
               "evidence": 0.1, "needed": 20, "split": None, "findings": [], "pods": [],
               "kayenta": {"score": 100, "label": "Pass", "metrics": []}}  # fmt: skip
    monkeypatch.setattr(kayenta_options, "ask_promql", ask)
    monkeypatch.setattr(canary, "answer", lambda *given, **named: dict(verdict))
    command: click.Command = canary.command
    arguments = ["judge", "--service", "reviews.shop", "--baseline", "v1", "--canary", "v2", "--end", "6000.4",
                 "--kayenta-config", str(EXAMPLE), "--scope-param", "service=reviews"]  # fmt: skip
    shown = CliRunner().invoke(command, arguments)
    assert shown.exit_code == 0  # it does not count
    assert "reviews.json: 0 Fail (critical: errors)" in shown.output
    told = json.loads(CliRunner().invoke(command, [*arguments, "--output", "json"]).output)
    assert told["kayenta_config"]["metrics"][0]["label"] == "High"
    assert CliRunner().invoke(command, [*arguments[:-1], "service"]).exception is not None
