"""What is odd in any series: refusals, explanations, the route and `windvane detect`."""

from __future__ import annotations

from typing import Any

import httpx
import numpy as np
import orjson
import pytest
from asgi_client import AsgiClient
from click.testing import CliRunner
from numpy.typing import NDArray

from windvane.analytics.detect_series import ALERT, LEAST, judge
from windvane.api.windvane import analytics_detect
from windvane.cli import detect as command
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.promql.labels import Labels, Pool
from windvane.promql.value import MatrixResult

Floats = NDArray[np.float64]
STEP = 300
END = 1_767_787_200
PATH = "/api/windvane/v1/analytics/detect"


def load(days: float, seed: int = 1) -> Floats:
    at = np.arange(int(days * 288))
    return 100 + 40 * np.sin(2 * np.pi * at / 288) + np.random.default_rng(seed).normal(0, 3, len(at))


def broken(seed: int = 1) -> Floats:
    """Ten days of which the last two hours are at nought."""
    values = load(10, seed)
    values[-24:] = 0
    return values


class Answers:
    """What a range query would answer; remembers what it was asked."""

    def __init__(self, *series: Floats) -> None:
        self.series = series
        self.asked: list[tuple[str, int, int, int]] = []

    def __call__(self, query: str, start: int, end: int, step: int) -> MatrixResult:
        self.asked.append((query, start, end, step))
        sizes = [len(one) for one in self.series]
        times = [end - step * np.arange(size, dtype=np.int64)[::-1] for size in sizes]
        return MatrixResult(
            Labels.of(Pool(), [{"app": f"svc-{number}"} for number in range(len(sizes))]),
            np.cumsum([0, *sizes]), np.concatenate([*times, np.zeros(0, np.int64)]),
            np.concatenate([*self.series, np.zeros(0)]),
        )  # fmt: skip


def client(answers: Answers) -> AsgiClient:
    return AsgiClient(analytics_detect.routes(answers, ManualClock(END * 10**9)))


def ask(answers: Answers, **params: str) -> dict[str, Any]:
    found: dict[str, Any] = client(answers).get(PATH, params).json()
    return found


def test_gaps_are_unknown_and_never_odd() -> None:
    values = load(10)
    times = END + STEP * np.arange(len(values))
    kept = np.r_[0:1_500, 1_700 : len(values)]
    judged = judge(times[kept], values[kept], STEP)
    assert len(judged.times) == len(values)
    assert np.isnan(judged.values[1_500:1_700]).all()
    assert not judged.found.alert[1_500:1_700].any()
    assert (judged.found.score[1_500:1_700] < ALERT).all()


def test_too_short_a_history_is_refused_with_what_is_needed() -> None:
    values = load(10)[: LEAST - 1]
    with pytest.raises(BadInputError, match=r"history of 299 points.*300 are needed \(1 days\)"):
        judge(END + STEP * np.arange(len(values)), values, STEP)
    unknown = np.full(1_000, np.nan)
    with pytest.raises(BadInputError, match="history of 0 points"):
        judge(END + STEP * np.arange(1_000), unknown, STEP)


def test_each_series_is_judged_refused_and_explained() -> None:
    answers = Answers(broken(), load(10, 2), load(0.5))
    found = ask(answers, query="sum by (app) (rate(x[5m]))", history="10d", since="6h")
    assert answers.asked == [("sum by (app) (rate(x[5m]))", (END - 10 * 86_400) * 1_000, END * 1_000, 300_000)]
    assert (found["step"], found["threshold"], found["since"]) == (300, ALERT, END - 6 * 3_600)
    odd, quiet, short = found["series"]
    assert odd["labels"] == {"app": "svc-0"}
    assert len(odd["times"]) == len(odd["scores"]) == len(odd["values"]) == 6 * 12 + 1
    first = odd["alerts"][0]
    assert END - 24 * STEP < first["at"] <= END - 20 * STEP
    assert first["score"] >= ALERT
    assert first["value"] == 0
    assert set(first["ways"]) == {"level", "season", "shape", "sudden"}
    assert first["why"] in first["ways"]
    assert (first["expected"] is None) == (first["why"] == "shape")
    assert quiet["refused"] is None
    assert "history of 144 points a step of 300 s apart is too short" in short["refused"]
    assert short["scores"] == []


def test_long_histories_are_read_in_longer_steps() -> None:
    answers = Answers(load(2))
    assert ask(answers, query="x", history="60d")["step"] == 1_800
    assert ask(answers, query="x", history="3d", since="1h")["step"] == 60


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "parameter query is missing"),
        ({"query": "x", "since": "91d"}, "since '91d': expected a minute at least and 90d at most"),
        ({"query": "x", "history": "1s"}, "history '1s': expected a minute at least and 90d at most"),
    ],
)
def test_what_is_wrong_is_named(given: dict[str, str], message: str) -> None:
    assert ask(Answers(), **given)["error"]["message"] == message


def test_too_many_series_are_refused() -> None:
    found = ask(Answers(*[np.ones(2)] * 51), query="x")
    assert found["error"]["message"] == "x: has 51 series, 50 at most are judged at once"


def test_the_command_tells_alerts_refusals_and_exit_codes(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(answers: Answers, *arguments: str) -> tuple[int, str]:
        asked = client(answers)
        monkeypatch.setattr(httpx, "request", lambda _, url, **given: asked.get(httpx.URL(url).path, given["params"]))
        result = CliRunner().invoke(command.command, ["up", "--since", "6h", *arguments])
        return result.exit_code, result.output

    code, text = run(Answers(broken(), load(0.5)))
    assert code == 1
    assert "since 01-07 06:00; 1 of 2 series judged" in text
    assert '{app="svc-1"}\n  not judged: history of 144 points' in text
    assert '{app="svc-0"}' in text
    code, text = run(Answers(broken()), "--output", "json")
    assert orjson.loads(text)["series"][0]["alerts"][0]["value"] == 0
    assert run(Answers(np.ones(3_000)))[0] == 0
    assert run(Answers(load(0.5)))[0] == 2
