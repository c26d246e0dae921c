"""`windvane anomalies|forecast|why`: what people and programs are told, and exit codes."""

from __future__ import annotations

from typing import Any

import click
import httpx
import numpy as np
import orjson
import pytest
from asgi_client import AsgiClient
from click.testing import CliRunner
from seeing_series import FRONT, NOBODY, NOW, REVIEWS, Floats, both, minutes, write

from windvane.api.windvane import analytics_releases, analytics_seeing
from windvane.cli import anomalies, forecast, why
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine

SIZE = 300


@pytest.fixture
def asked(engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A command's exit code and output, asked of a mesh whose reviews became slow eight minutes ago."""
    slow: Floats = 8 * np.exp(np.random.default_rng(1).normal(0, 0.05, SIZE))
    slow[-8:] *= 15
    rate, none = minutes(SIZE, 600), minutes(SIZE, 0)
    write(engine, [*both(NOBODY, FRONT, rate, none, slow + 20)[:1], *both(FRONT, REVIEWS, rate, none, slow)])
    ask = analytics_releases.range_asker(QueryEngine(engine))
    client = AsgiClient(analytics_seeing.routes(ask, ManualClock(NOW * 10**9)))
    monkeypatch.setattr(httpx, "request", lambda _, url, **given: client.get(httpx.URL(url).path, given["params"]))

    def run(command: click.Command, *arguments: str) -> tuple[int, str]:
        result = CliRunner().invoke(command, arguments)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, result.output

    return run


def test_what_is_odd_and_why(asked: Any) -> None:
    code, text = asked(anomalies.command, "--since", "1h", "--history", "8d")
    assert code == 1
    assert "1 incident since 01-07 11:00; 2 services judged by 0.2 days" in text
    assert "reviews.shop" in text
    assert "going on" in text
    code, text = asked(why.command, "front")
    assert code == 0
    assert "front.shop: latency since" in text
    assert "1. reviews.shop itself: 7.91 ms a call usually" in text
    assert "by way of front.shop, front.shop → reviews.shop, reviews.shop" in text
    assert text.startswith("front.shop is slower than usual since ")
    assert 'windvane query \'sum(rate(istio_request_duration_milliseconds_sum{reporter="destination"' in text
    code, text = asked(why.command, "front", "--lang", "zh")
    assert text.startswith("front.shop 自 ")
    code, text = asked(why.command, "front", "--at", "2026-01-07T12:00:00+00:00", "--output", "json")
    assert orjson.loads(text)["causes"][0]["service"] == "reviews"
    code, text = asked(why.command, "front", "--at", str(NOW - 3_600))
    assert "front.shop: nothing about its answers is out of the usual" in text
    with pytest.raises(BadInputError, match="at 'noon': expected Unix seconds or ISO 8601"):
        asked(why.command, "front", "--at", "noon")


def test_no_forecast_from_five_hours(asked: Any) -> None:
    code, text = asked(forecast.command, "sum(rate(istio_requests_total[5m]))", "--horizon", "1h")
    assert code == 1
    assert "no forecast: history of 0.2 days is too short for a forecast of 0.042 days: 3.0 days" in text
