"""A release from its first traffic to its end, on a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st
from releases import CANARY, ROUTES

from windvane.analytics.releases.counts import Arm, Counts
from windvane.analytics.releases.judge import Verdict
from windvane.analytics.releases.judge import judge as judge_counts
from windvane.cli import rollout_options
from windvane.cli.canary import command
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, NotFoundError, UnavailableError
from windvane.rollout.machine import Found, State, Wish, step
from windvane.rollout.plan import Plan, read
from windvane.rollout.run import Around, Files, run
from windvane.rollout.weights import find

PLAN = read(CANARY, "canary.yaml")
Judge = Callable[[Plan, float, float], Found]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    own = Files(tmp_path / "canary.yaml", tmp_path / "routes.yaml")
    own.canary.write_text(CANARY, encoding="utf-8")
    own.routes.write_text(ROUTES, encoding="utf-8")
    return own


def weight(files: Files) -> int:
    return find(files.routes.read_text(encoding="utf-8"), "", PLAN)[0].weight


def carried_out(files: Files, judge: Judge, minutes: int, told: list[str] | None = None) -> State:
    """The state after so many minutes, or at the end."""
    clock = ManualClock()

    async def looked() -> State:
        tell = [].append if told is None else told.append
        task = asyncio.create_task(run(files, Around(judge, clock, tell)))
        looks = 0
        while not task.done():
            if clock._sleepers:
                if looks == minutes:
                    break
                clock.advance(60)
                looks += 1
            await asyncio.sleep(0.001)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return files.load()

    return asyncio.run(looked())


def always(verdict: Verdict, *, traffic: bool = True) -> Judge:
    return lambda plan, start, end: Found(verdict, (f"it is {verdict}",), traffic)


def test_a_good_canary_is_promoted(files: Files) -> None:
    told: list[str] = []
    state = carried_out(files, always("safe"), 20, told)
    assert (state.phase, weight(files)) == ("Succeeded", 100)
    assert [event.weight for event in state.events] == [5, 20, 50, 100]
    assert np.diff([event.at for event in state.events]).min() >= 180
    assert told[-1] == "Succeeded, 100 %: promoted: it is safe"


def test_a_bad_canary_is_rolled_back(files: Files) -> None:
    state = carried_out(files, lambda plan, start, end: Found("regress" if end - start > 240 else "safe", ("bad",)), 20)
    assert (state.phase, weight(files)) == ("Failed", 0)
    assert [event.weight for event in state.events] == [5, 20, 0]
    assert files.routes.read_text(encoding="utf-8") == ROUTES


def test_without_proof_it_waits_and_then_gives_up(files: Files) -> None:
    state = carried_out(files, always("more traffic needed"), 30)
    assert (state.phase, weight(files)) == ("Progressing", 50)
    state = carried_out(files, always("more traffic needed"), 90)
    assert state.events[-1].text == "rolled back: not proven safe within 3600 s"


def test_without_traffic_or_a_judge_nothing_moves(files: Files) -> None:
    def nobody(plan: Plan, start: float, end: float) -> Found:
        raise UnavailableError("no answer")

    told: list[str] = []
    assert carried_out(files, nobody, 10, told).weight == 5
    assert "no verdict: no answer" in told
    assert carried_out(files, always("more traffic needed", traffic=False), 10).weight == 5


def test_people_hold_it_and_let_it_go(files: Files) -> None:
    with pytest.raises(NotFoundError, match="there is no release"):
        files.ask("pause")
    carried_out(files, always("safe"), 2)
    assert CliRunner().invoke(command, ["pause", str(files.canary)]).exit_code == 0
    assert carried_out(files, always("safe"), 10).phase == "Paused"
    assert weight(files) == 5
    files.ask("promote")
    assert carried_out(files, always("safe"), 5).phase == "Succeeded"
    shown = CliRunner().invoke(command, ["status", str(files.canary)])
    assert "Succeeded, 100 %" in shown.output
    assert weight(files) == 100


def test_a_promotion_that_must_be_confirmed_waits(files: Files) -> None:
    files.canary.write_text(CANARY + "    confirmPromotion: true\n", encoding="utf-8")
    state = carried_out(files, always("safe"), 30)
    assert (state.phase, state.weight) == ("WaitingPromotion", 50)
    files.ask("promote")
    assert carried_out(files, always("safe"), 3).phase == "Succeeded"


def test_a_plan_that_becomes_wrong_is_not_taken(files: Files) -> None:
    carried_out(files, always("safe"), 1)
    told: list[str] = []

    def judge(plan: Plan, start: float, end: float) -> Found:
        files.canary.write_text("{}", encoding="utf-8")
        return Found("safe", ("fine",))

    files.canary.write_text(CANARY, encoding="utf-8")
    assert carried_out(files, judge, 20, told).phase == "Succeeded"
    assert any(text.startswith("the plan is not changed") for text in told)


LOOKS = st.lists(
    st.tuples(st.sampled_from(["safe", "regress", "more traffic needed"]), st.sampled_from(["", "pause", "resume"])),
    max_size=60,
)


@given(LOOKS)
@settings(deadline=None)
def test_whatever_happens(looks: list[tuple[Verdict, Wish]]) -> None:
    state, now, weights = State(), 0.0, [0]
    for verdict, wish in looks:
        before, now = state, now + 60
        state = step(PLAN, state, Found(verdict, ("why",)), wish, now)
        weights.append(state.weight)
        if state.phase == "Succeeded" and before.phase != "Succeeded":
            assert verdict == "safe"
        if verdict == "regress" and before.started is not None and not before.over and not wish:
            assert (state.phase, state.weight) == ("Failed", 0)
    assert set(weights) <= {0, 5, 20, 50, 100}


def counted(seed: int, ratio: float) -> Judge:
    """A judge of simulated minutes: 1,200 requests a minute in all, errors 1 %, of the canary `ratio` times as many.

    The canary's share is 5, 20, 50 % for three minutes each, as the plan raises it.
    """

    def judge(plan: Plan, start: float, end: float) -> Found:
        rng, minutes = np.random.default_rng(seed), int((end - start) // 60)
        share = np.repeat([0.05, 0.2, 0.5], [3, 3, 60])[:minutes]
        arms = []
        for name, part, rate in (("v1", 1 - share, 0.01), ("v2", share, 0.01 * ratio)):
            requests = rng.poisson(1200 * part)
            errors, times = rng.binomial(requests, rate), rng.multinomial(requests, [0.5, 0.3, 0.15, 0.05])
            arms.append(
                Arm(name, ("p",), requests[None].astype(float), errors[None].astype(float), times.astype(float))
            )
        found = judge_counts(Counts(np.arange(minutes) * 60.0, np.array([10, 50, 100, np.inf]), *arms))
        return Found(found.verdict, found.reasons)

    return judge


@pytest.mark.parametrize(("ratio", "phase"), [(3.0, "Failed"), (1.0, "Succeeded")])
def test_with_the_real_judge(files: Files, ratio: float, phase: str) -> None:
    assert carried_out(files, counted(7, ratio), 59).phase == phase


@pytest.mark.parametrize(
    ("data", "value"),
    [
        ({"resultType": "vector", "result": []}, None),
        ({"resultType": "vector", "result": [{"metric": {}, "value": [1, "99.5"]}]}, 99.5),
        ({"resultType": "scalar", "result": [1, "2"]}, 2.0),
        ({"resultType": "vector", "result": [{"metric": {}, "value": [1, "NaN"]}] * 2}, "2 values, one is needed"),
    ],
)
def test_a_metric_is_asked_of_the_server(
    monkeypatch: pytest.MonkeyPatch, data: dict[str, object], value: float | str | None
) -> None:
    asked: list[object] = []

    def answer(*given: object, **named: object) -> dict[str, object]:
        asked.append((given, named))
        return {"data": data}

    monkeypatch.setattr(rollout_options, "ask_promql", answer)
    if isinstance(value, str):
        with pytest.raises(BadInputError, match=value):
            rollout_options.measured("http://server", "shop", "up", 1.5)
    else:
        assert rollout_options.measured("http://server", "shop", "up", 1.5) == value
    assert asked == [
        (("http://server", "query", {"query": "up", "time": "1.500"}), {"headers": {"X-Scope-OrgID": "shop"}})
    ]
