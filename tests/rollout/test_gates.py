"""Gates, checks and webhooks: what a release waits for, what it counts, what it tells."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from releases import CANARY, ROUTES

from windvane.analytics.releases.judge import Verdict
from windvane.kit.clock import ManualClock
from windvane.kit.errors import ConflictError, UnavailableError
from windvane.rollout import hooks
from windvane.rollout.hooks import post
from windvane.rollout.look import Around, close, look
from windvane.rollout.machine import Answer, Check, Found, State, Wish, resumed, shape, step
from windvane.rollout.model import Hook, Plan
from windvane.rollout.plan import read
from windvane.rollout.run import Files, _looked, _resumed, run
from windvane.rollout.weights import find

GATES = """\
    threshold: 2
    metrics:
      - {name: request-success-rate, thresholdRange: {min: 99}}
      - {name: queue, query: 'max(queue{app="{{ service }}"})', thresholdRange: {max: 10}}
    webhooks:
      - {name: start, type: confirm-rollout}
      - {name: smoke, type: pre-rollout, url: "http://tests/smoke", metadata: {suite: all}}
      - {name: load, url: "http://tests/load", timeout: 5s, retries: 1}
      - {name: more, type: confirm-traffic-increase, url: "http://gates/more"}
      - {name: end, type: confirm-promotion, url: "http://gates/end"}
      - {name: stop, type: rollback, url: "http://gates/stop"}
      - {name: done, type: post-rollout, url: "http://tests/done"}
      - {name: chat, type: event, url: "http://chat/"}
"""
MINUTE = 60.0


class World:
    """A release whose surroundings answer as a test says, a look a minute."""

    def __init__(self, plan: Plan) -> None:
        self.plan, self.state, self.now = plan, State(), 1_000_000.0
        self.closed: set[str] = {"stop"}
        self.found: Found | None = Found("safe", ("fine",))
        self.values: dict[str, float | None] = {"rate": 100.0, "queue": 3.0}
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.told: list[str] = []
        self.around = Around(self._judge, ManualClock(), self.told.append, self._measure, self._post)

    def _judge(self, plan: Plan, start: float, end: float) -> Found:
        if self.found is None:
            raise UnavailableError("nobody judges")
        return self.found

    def _measure(self, query: str, at: float) -> float | None:
        return self.values["queue" if "queue" in query else "rate"]

    def _post(self, hook: Hook, payload: Mapping[str, Any]) -> tuple[int, str]:
        self.sent.append((hook.name, dict(payload)))
        return (403, "not\nnow") if hook.name in self.closed else (200, "")

    def looks(self, number: int = 1, wish: Wish = "") -> State:
        for _ in range(number):
            self.now += MINUTE
            self.state = look(self.plan, self.state, self.around, wish, self.now)
        return self.state

    def called(self, name: str) -> list[dict[str, Any]]:
        return [payload for known, payload in self.sent if known == name]


@pytest.fixture
def world() -> World:
    return World(read(CANARY + GATES, "canary.yaml"))


def of(analysis: str, more: str = "") -> World:
    return World(read(CANARY.replace("  canary: v2\n", f"  canary: v2\n{more}") + analysis, "canary.yaml"))


def test_a_release_through_all_its_gates(world: World) -> None:
    world.closed |= {"more", "end"}
    assert (world.looks(3).phase, world.state.waiting, world.state.started) == ("Waiting", "confirm-rollout", None)
    assert world.state.events[-1].text == "waits for confirm-rollout: start: needs approval"
    assert world.called("smoke") == []
    assert (world.looks(wish="approve").phase, world.state.weight) == ("Progressing", 5)
    assert world.called("smoke")[0] == {
        "name": "reviews", "namespace": "shop", "phase": "Waiting", "type": "pre-rollout",
        "checksum": world.called("smoke")[0]["checksum"], "failedChecks": 0, "canaryWeight": 0, "iterations": 0,
        "remainingRetries": 2, "metadata": {"suite": "all"},
    }  # fmt: skip
    assert (world.looks(5).weight, world.state.waiting) == (5, "confirm-traffic-increase")
    assert world.looks(wish="approve").weight == 20
    assert (world.looks(4).weight, world.state.waiting) == (20, "confirm-traffic-increase")  # each step anew
    world.closed.discard("more")
    assert world.looks(1).weight == 50
    assert (world.looks(4).phase, world.state.waiting) == ("WaitingPromotion", "confirm-promotion")
    world.closed.discard("end")
    assert (world.looks().phase, world.state.weight) == ("Succeeded", 100)
    assert close(world.plan, world.state, world.around).finished
    assert world.called("done")[0]["phase"] == "Succeeded"
    event = world.called("chat")[-1]
    assert (event["phase"], event["metadata"]["eventMessage"]) == ("Succeeded", "promoted: fine")
    assert event["metadata"]["eventType"] == "Normal"
    assert int(event["metadata"]["timestamp"]) == world.now * 1_000
    assert len(world.called("chat")) == len(world.state.events)


def test_failed_checks_are_counted_and_roll_back(world: World) -> None:
    world.looks()
    world.looks(wish="approve")
    world.values["rate"] = 98.5
    world.looks()
    assert (world.state.failed, world.state.weight) == (1, 5)
    assert world.state.events[-1].text == "check 1 of 2 failed: request-success-rate: 98.5 < 99"
    assert [one.name for one in world.state.checks] == ["load", "request-success-rate"]
    world.values["rate"] = 100.0
    world.looks(2)
    world.values["queue"] = 11.0
    assert (world.looks().phase, world.state.weight) == ("Failed", 0)
    assert world.state.events[-1].text == "rolled back: 2 failed checks, the last queue: 11 > 10"
    assert world.state.events[-1].warning


def test_no_value_decides_nothing(world: World) -> None:
    world.looks()
    world.looks(wish="approve")
    world.values["rate"] = None
    world.looks(20)
    assert (world.state.phase, world.state.weight, world.state.failed) == ("Progressing", 5, 0)
    world.values["rate"] = float("nan")
    world.looks(41)
    assert world.state.events[-1].text == (
        "rolled back: not proven safe within 3600 s (request-success-rate: no value)"
    )  # fmt: skip


def test_a_webhook_that_fails_is_a_failed_check(world: World) -> None:
    world.closed.add("smoke")
    world.looks()
    assert world.looks(wish="approve").events[-1].text == (
        "check 1 of 2 failed: smoke: http://tests/smoke answered 403: not now"
    )
    world.closed.discard("smoke")
    world.looks()
    world.closed.add("load")
    assert world.looks().phase == "Failed"
    assert len(world.called("load")) == 2  # tried again


def test_a_rollback_webhook_rolls_back_at_any_time(world: World) -> None:
    world.looks(2)
    world.closed.discard("stop")
    assert (world.looks().phase, world.state.events[-1].text) == (
        "Failed", "rolled back: a rollback webhook asked for it",
    )  # fmt: skip


def test_time_at_a_gate_is_not_the_releases(world: World) -> None:
    world.looks(100)
    world.looks(wish="approve")
    world.closed.add("more")
    world.looks(100)
    assert (world.state.phase, world.state.waiting) == ("Progressing", "confirm-traffic-increase")
    world.looks(wish="pause")
    world.looks(100)
    world.looks(wish="resume")
    world.closed.discard("more")
    assert world.looks(20).phase == "Succeeded"


def test_event_hooks_hold_nothing_up(world: World) -> None:
    world.closed.add("chat")
    world.looks()
    world.looks(wish="approve")
    assert world.state.weight == 5
    assert "webhook chat did not take an event: http://chat/ answered 403: not now" in world.told


def test_copies_come_before_traffic() -> None:
    world = of("    mirror: true\n    mirrorWeight: 30\n")
    assert (shape(world.plan, world.looks()).mirror, world.state.weight) == (30, 0)
    world.looks(2)
    assert (shape(world.plan, world.state).mirror, world.state.weight) == (30, 0)
    assert (shape(world.plan, world.looks()).mirror, world.state.weight) == (0, 5)
    world.found = Found("regress", ("worse",))
    assert (world.looks().phase, shape(world.plan, world.state).mirror) == ("Failed", 0)


def test_who_matches_gets_the_canary_for_so_many_looks() -> None:
    release = of("    iterations: 3\n    match: [{headers: {x-tester: {exact: 'yes'}}}]\n")
    release.looks()
    assert shape(release.plan, release.state).matching
    release.found = Found("more traffic needed", ("wait",))
    release.looks(30)
    assert (release.state.iteration, release.state.phase, release.state.weight) == (3, "Progressing", 0)
    release.found = Found("safe", ("fine",))
    assert (release.looks().phase, release.state.weight) == ("Succeeded", 100)
    assert not shape(release.plan, release.state).matching


def test_blue_green_is_decided_by_checks() -> None:
    world = of(f"    iterations: 2\n{GATES.replace('- {name: start, type: confirm-rollout}', '')}")
    world.found = Found("more traffic needed", (), traffic=False)
    world.looks(5)
    assert (world.state.weight, world.state.iteration) == (0, 1)
    assert world.looks(6).phase == "Succeeded"
    mirrored = of("    iterations: 2\n    mirror: true\n")
    mirrored.found = Found("more traffic needed", ())
    assert mirrored.looks(20).phase == "Progressing"


def test_promotion_in_steps_and_back() -> None:
    world = of("    stepWeightPromotion: 20\n")
    world.looks(10)
    assert (world.state.phase, world.state.weight) == ("Promoting", 70)
    world.looks()
    assert (world.state.phase, world.state.weight) == ("Promoting", 90)
    worse = of("    stepWeightPromotion: 20\n")
    worse.looks(10)
    worse.found = Found("regress", ("worse",))
    assert (worse.looks().phase, worse.state.weight) == ("Failed", 0)
    assert world.looks().phase == "Succeeded"


def test_without_analysis() -> None:
    assert of("", "  skipAnalysis: true\n").looks().weight == 100


def test_over_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        if request.url.path == "/slow":
            raise httpx.ReadTimeout("slow")
        return httpx.Response(302 if request.url.path == "/moved" else 200, content=b"x" * 5_000)

    client = httpx.Client
    monkeypatch.setattr(
        hooks.httpx, "Client", lambda **given: client(transport=httpx.MockTransport(answer), **given)
    )  # fmt: skip
    hook = Hook("rollout", "load", "http://tests/moved", 5.0)
    status, body = post(hook, {"name": "reviews"})
    assert (status, len(body)) == (302, 2_048)
    assert json.loads(asked[0].content) == {"name": "reviews"}
    with pytest.raises(UnavailableError, match="no answer from http://tests/slow within 5 s"):
        post(Hook("rollout", "load", "http://tests/slow", 5.0), {})


VERDICTS = st.sampled_from(["safe", "regress", "more traffic needed", "nobody", "no traffic"])
WISHES: st.SearchStrategy[Wish] = st.sampled_from(["", "", "", "pause", "resume", "approve", "promote"])
LOOKS = st.lists(
    st.tuples(
        VERDICTS,
        WISHES,
        st.sampled_from([True, True, None, False]),
        st.sets(st.sampled_from(["confirm-rollout", "pre-rollout", "confirm-traffic-increase", "confirm-promotion"])),
    ),
    max_size=40,
)
PLANS = st.sampled_from(
    [
        read(CANARY + more + GATES, "canary.yaml")
        for more in ("", "    mirror: true\n", "    iterations: 2\n", "    stepWeightPromotion: 15\n",
                     "    iterations: 2\n    match: [{headers: {a: {exact: b}}}]\n")
    ]
)  # fmt: skip


def found_of(word: str) -> Found | None:
    if word == "nobody":
        return None
    verdict: Verdict = "more traffic needed" if word == "no traffic" else word  # type: ignore[assignment]
    return Found(verdict, ("why",), word != "no traffic")


@given(PLANS, LOOKS)
@settings(max_examples=50, deadline=None)
def test_whatever_happens_at_gates(plan: Plan, looks: list[tuple[str, Wish, bool | None, set[str]]]) -> None:
    state, now = State(), 0.0
    most = max(plan.steps) if not plan.iterations else 0
    for verdict, wish, passed, closed in looks:
        before, now = state, now + 60
        found = found_of(verdict)
        state = step(plan, before, found, wish, now, checks=(Check("c", passed, ""),),
                     ask=lambda kind, closed=closed: Answer(kind not in closed and kind != "rollback"))  # fmt: skip
        assert State.of(json.loads(json.dumps(state.json()))) == state
        assert 0 <= state.weight <= 100
        if before.over:
            assert state == before
        if not state.over and state.phase != "Promoting" and before.phase != "Promoting":
            assert state.weight <= max(most, before.weight)
        if state.phase == "Paused" and before.phase == "Paused":
            assert state.weight == before.weight
        if state.weight > before.weight and before.started is not None and wish != "promote":
            assert passed is not False
            assert found is not None or plan.strategy == "blue-green"
            assert now - before.since >= min(plan.hold, plan.interval)
        if state.phase == "Failed":
            assert state.weight == 0
        if not before.over:
            # Whatever came before, a person can end it at once.
            assert step(plan, state, None, "rollback", now).phase in ("Failed", "Succeeded")
    if state.started is not None and not state.over and not state.waiting and state.phase != "Paused":
        late = step(plan, state, None, "", now + plan.deadline + 1, ask=lambda kind: Answer(kind != "rollback"))
        assert late.phase == "Failed"


def test_killed_at_any_point_the_next_one_goes_on(tmp_path: Path) -> None:
    """Every write is the last that a process makes; who comes after it ends with routes that are as its state says."""
    reference = killed_after(tmp_path / "whole", 10_000)
    assert reference.phase == "Succeeded"
    for writes in (1, 2, 3, 8, 9):
        state = killed_after(tmp_path / str(writes), writes)
        assert (state.phase, state.finished) == ("Succeeded", True)
        assert [one.weight for one in state.events] == [one.weight for one in reference.events]


class KilledError(Exception):
    """The process is gone."""


def killed_after(folder: Path, writes: int) -> State:
    """The end of a release whose process dies at its so many-th write (before it is made), and is begun again."""
    folder.mkdir()
    files = Files(folder / "canary.yaml", folder / "routes.yaml")
    files.canary.write_text(CANARY, encoding="utf-8")
    files.routes.write_text(ROUTES.partition("---")[0], encoding="utf-8")
    clock, plan, left = ManualClock(), files.plan(), [writes]
    around = Around(lambda plan, start, end: Found("safe", ("fine",)), clock, lambda text: None)

    def counted(path: Path, text: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise KilledError
        Path(path).write_text(text, encoding="utf-8")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("windvane.rollout.run.write", counted)
        patch.setattr("windvane.rollout.weights.write", counted)
        state = State()
        for _ in range(80):
            try:
                state = _resumed(files, plan) if left[0] <= 0 or state == State() else state
                assert routed(folder, plan) == state.weight
                clock.advance(60)
                state = _looked(files, plan, state, around)
                if state.finished:
                    break
            except KilledError:
                state = State()
    assert routed(folder, plan) == state.weight
    return files.load()


def test_other_versions_are_another_release(tmp_path: Path) -> None:
    plan, later = read(CANARY, ""), read(CANARY.replace("canary: v2", "canary: v3"), "")
    state = resumed(plan, State())
    assert resumed(plan, state) == state
    with pytest.raises(ConflictError, match="shop/reviews is for v1 and v3, and the release of v1 and v2 is not over"):
        resumed(later, state)
    over = replace(state, phase="Succeeded", weight=100, finished=True)
    assert resumed(plan, over) == over
    assert resumed(later, over) == State(versions="v1 v3")
    files = Files(tmp_path / "canary.yaml", tmp_path / "routes.yaml")
    files.canary.write_text(CANARY, encoding="utf-8")
    files.routes.write_text(ROUTES, encoding="utf-8")
    files.save(over)
    told: list[str] = []
    around = Around(lambda plan, start, end: Found("safe", ()), ManualClock(), told.append)
    assert asyncio.run(run(files, around)) == over
    assert told == ["Succeeded: this release is over, long since"]


def test_a_file_that_somebody_writes_in_is_tried_again(tmp_path: Path) -> None:
    files = Files(tmp_path / "canary.yaml", tmp_path / "routes.yaml")
    files.canary.write_text(f"{CANARY}---\n{ROUTES}", encoding="utf-8")  # other objects beside it are none of ours
    files.routes.write_text(ROUTES, encoding="utf-8")
    clock, told, plan = ManualClock(), [], files.plan()
    around = Around(lambda plan, start, end: Found("regress", ("worse",)), clock, told.append)
    state = _looked(files, plan, State(), around)
    files.routes.write_text(ROUTES.partition("- route:")[0], encoding="utf-8")
    clock.advance(60)
    state = _looked(files, plan, state, around)
    assert (state.phase, state.finished, files.load()) == ("Failed", False, state)
    assert told[-1].startswith("the routes are not changed yet:")
    files.routes.write_text(ROUTES, encoding="utf-8")
    assert _looked(files, plan, state, around).finished
    assert routed(tmp_path, plan) == 0


def routed(folder: Path, plan: Plan) -> int:
    return find((folder / "routes.yaml").read_text(encoding="utf-8"), "", plan)[0].weight


def test_a_wish_is_taken_up_once(tmp_path: Path) -> None:
    files = Files(tmp_path / "canary.yaml", tmp_path / "routes.yaml")
    files.save(State())
    files.ask("pause")
    wish, stamp = files.peek()
    assert (wish, files.peek()) == ("pause", (wish, stamp))
    files.drop(stamp - 1)
    assert files.peek()[0] == "pause"
    files.drop(stamp)
    assert files.peek() == ("", 0)
