"""`windvane canary|capacity|slo`: what people and programs are told, and exit codes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import httpx
import orjson
import pytest
from asgi_client import AsgiClient
from canary_series import NOW, write_version
from click.testing import CliRunner

from windvane.api.windvane import analytics_capacity, analytics_releases, analytics_slo
from windvane.cli import canary, capacity, slo
from windvane.kit.clock import ManualClock
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine

SLO = """
apiVersion: windvane.dev/v1alpha1
kind: ServiceLevelObjective
metadata: {name: reviews, namespace: shop}
spec: {service: reviews, period: 1d, errors: {objective: 99}}
"""
Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> Run:
    write_version(engine, "v1", minutes=60, requests=600, errors=2)
    write_version(engine, "v2", minutes=60, requests=60, errors=3, born=30)
    clock, ask = ManualClock(NOW * 10**6), analytics_releases.range_asker(QueryEngine(engine))
    rooms = (analytics_releases, analytics_capacity, analytics_slo)
    client = AsgiClient([route for room in rooms for route in room.routes(ask, clock)])

    def request(method: str, url: str, **given: Any) -> httpx.Response:
        path = httpx.URL(url).path
        return client.post(path, given["content"]) if method == "POST" else client.get(path, given["params"])

    monkeypatch.setattr(httpx, "request", request)

    def asked(command: click.Command, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(command, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return asked


def test_a_bad_canary(run: Run) -> None:
    question = ("judge", "--service", "reviews.shop", "--baseline", "v1", "--canary", "v2", "--since", "40m")
    code, text = run(canary.command, *question)
    assert code == 1
    assert "reviews.shop v2 against v1: REGRESS" in text
    assert "errors: 93 of 1860 (5 %) in v2" in text
    assert "Kayenta's judge would say" in text
    code, text = run(canary.command, *question, "--output", "json")
    assert orjson.loads(text)["findings"][0]["change"] == pytest.approx(15)


def test_what_a_service_can_take(run: Run) -> None:
    code, text = run(capacity.command, "reviews.shop", "--latency", "100ms", "--since", "1h")
    assert code == 0
    assert "saturation" in text
    assert "note: traffic hardly varied" in text
    assert "note: growth is not known" in text


def test_objectives(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "slo.yaml"
    file.write_text(SLO, encoding="utf-8")
    code, text = run(slo.command, "status", str(file))
    assert code == 0
    assert "99%" in text
    assert "reviews errors: 1 of 24 hours have data" in text
    assert run(slo.command, "check", str(file)) == (0, f"{file}: valid, 1 objectives: reviews\n")
    code, text = run(slo.command, "rules", str(file))
    assert "alert: SloErrorBudgetBurn" in text
