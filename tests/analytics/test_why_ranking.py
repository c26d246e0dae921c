"""Why, on meshes made by chance: the faulty place comes first, and what does not matter changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from why_meshes import FAULTS, Fault, Mesh, service, simulated, strength

from windvane.analytics.accounts import Node
from windvane.analytics.mesh_series import CallSeries
from windvane.analytics.why import Answer, poisson_tail, why

FRONT = service("s0")


def drawn(seed: int, kind: str, **more: float) -> tuple[Mesh, Fault]:
    draw = np.random.default_rng(seed)
    mesh = Mesh.drawn(draw, int(draw.integers(6, 16)), **more)
    return mesh, Fault(kind, f"s{int(draw.integers(1, len(mesh.own)))}", strength(kind, draw), int(draw.integers(2, 4)))


def first(answer: Answer) -> tuple[str, bool] | None:
    return (answer.causes[0].node.service[1], answer.causes[0].node.caller is not None) if answer.causes else None


@pytest.mark.parametrize("minutes", [8, 70])
@pytest.mark.parametrize("kind", FAULTS)
def test_where_it_begins_comes_first(kind: str, minutes: int) -> None:
    """Asked at the entrance; what does not show there is told of as near."""
    right = told = 0
    for seed in range(8):
        mesh, fault = drawn(seed, kind, minutes=minutes)
        answer = why(*simulated(mesh, fault, seed), FRONT)
        told += bool(answer.causes)
        right += first(answer) in ((fault.at, kind in ("network", "outage")), (fault.at, kind == "network"))
        if not answer.causes and kind == "errors":
            assert fault.at in {one.node.service[1] for one in answer.nearby}
    assert right == told >= 5


@pytest.mark.parametrize("minutes", [8, 15, 70])
def test_nothing_wrong_is_nothing_told(minutes: int) -> None:
    for seed in range(6):
        mesh, _ = drawn(seed, "errors", minutes=minutes, rate=200)
        answer = why(*simulated(mesh, None, seed), FRONT)
        assert answer.causes == ()
        assert answer.signal is None


def same(one: Answer, other: Answer) -> None:
    assert [cause.node for cause in one.causes] == [cause.node for cause in other.causes]
    assert one.causes[0].cause.explains == pytest.approx(other.causes[0].cause.explains, abs=0.02)
    assert one.causes[0].cause.confidence == pytest.approx(other.causes[0].cause.confidence, abs=0.05)


@pytest.mark.parametrize("kind", FAULTS)
@pytest.mark.parametrize("seed", [3, 4])
def test_a_healthy_service_more_changes_nothing(kind: str, seed: int) -> None:
    mesh, fault = drawn(seed, kind)
    times, calls = simulated(mesh, fault, seed)
    like = next(one for one in calls if one.reporter == "destination" and one.callee == FRONT)
    steady = replace(
        like, caller=FRONT, callee=service("new"), errors=like.errors * 0, milliseconds=like.requests * 7.0
    )
    same(why(times, calls, FRONT), why(times, [*calls, steady, replace(steady, reporter="source")], FRONT))


@pytest.mark.parametrize("kind", FAULTS)
def test_ten_times_the_traffic_changes_nothing(kind: str) -> None:
    mesh, fault = drawn(5, kind, rate=3_000)
    times, calls = simulated(mesh, fault, 5)

    def scaled(one: CallSeries) -> CallSeries:
        return replace(one, requests=one.requests * 10, errors=one.errors * 10, milliseconds=one.milliseconds * 10)

    same(why(times, calls, FRONT), why(times, [scaled(one) for one in calls], FRONT))


def test_a_leaf_far_off_but_seldom_called_is_not_blamed() -> None:
    mesh, _ = drawn(6, "latency")
    fault = Fault("latency", "s1", 200.0)
    times, calls = simulated(mesh, fault, 6)
    few = np.full(mesh.minutes, 2.0)
    late = np.where(np.arange(mesh.minutes) >= mesh.minutes - 4, 5_000.0, 5.0)
    leaf = CallSeries("destination", service("s1"), service("rare"), few, few * 0, few * late)
    answer = why(times, [*calls, leaf, replace(leaf, reporter="source")], FRONT)
    assert first(answer) == ("s1", False)


def surging(by: float, last: int = 4) -> tuple[Mesh, list[CallSeries], np.ndarray]:  # type: ignore[type-arg]
    mesh = Mesh({"s0": 5.0, "s1": 5.0, "s2": 5.0}, {("s0", "s1"): 1.0, ("s1", "s2"): 1.0})
    times, calls = simulated(mesh, None, 1)
    factor = np.where(np.arange(mesh.minutes) >= mesh.minutes - last, by, 1.0)
    return (
        mesh,
        [
            replace(
                one, requests=one.requests * factor, errors=one.errors * factor, milliseconds=one.milliseconds * factor
            )
            for one in calls
        ],
        times,
    )


@pytest.mark.parametrize(("by", "kind"), [(3.0, "demand"), (0.2, "demand"), (1.2, None)])
def test_demand_is_followed_up_to_where_it_comes_from(by: float, kind: str | None) -> None:
    _, calls, times = surging(by)
    answer = why(times, calls, service("s2"))
    assert (answer.causes[0].kind if answer.causes else None) == kind
    if kind:
        assert answer.signal == "rate"
        assert answer.causes[0].node == Node(FRONT, service("outside"))
        assert [node.name for node in answer.causes[0].path][:2] == ["s2.shop", "s1.shop → s2.shop"]


def test_a_service_asked_less_since_its_caller_fails_is_no_cause() -> None:
    """The entrance answers with errors before it calls: whoever is below is fine, and so told."""
    mesh = Mesh({"s0": 5.0, "s1": 5.0, "s2": 5.0}, {("s0", "s1"): 1.0, ("s1", "s2"): 1.0})
    times, calls = simulated(mesh, Fault("errors", "s0", 0.8), 1)
    late = np.arange(mesh.minutes) >= mesh.minutes - 4
    below = [
        replace(one, requests=np.where(late, one.requests * 0.2, one.requests),
                milliseconds=np.where(late, one.milliseconds * 0.2, one.milliseconds))
        if one.callee != FRONT else one
        for one in calls
    ]  # fmt: skip
    answer = why(times, below, service("s2"))
    assert answer.signal == "rate"
    assert (answer.causes[0].node, answer.causes[0].signal) == (Node(FRONT), "errors")
    assert (answer.causes[1].kind, answer.causes[1].node) == ("caller", Node(service("s1"), FRONT))


def test_an_onset_before_the_window_is_not_learnt_as_usual() -> None:
    """A quarter of an hour into it, the first minutes of it lie in the hour before."""
    mesh, _ = drawn(7, "errors", minutes=70)
    fault = Fault("errors", "s1", 0.3, last=17)
    times, calls = simulated(mesh, fault, 7)
    answer = why(times, calls, FRONT)
    assert first(answer) == ("s1", False)
    assert answer.began is not None
    assert abs(answer.began - (int(times[-1]) - 16 * 60)) <= 60


def test_too_few_minutes_are_said() -> None:
    mesh, fault = drawn(1, "errors", minutes=6)
    answer = why(*simulated(mesh, fault, 1), FRONT)
    assert answer.notes == ("6 minutes are too few: 7 are needed",)


def test_a_poisson_tail_is_an_upper_bound() -> None:
    assert poisson_tail(1, 2) == 1.0
    assert poisson_tail(3, 0) == 0.0
    assert poisson_tail(20, 5) < 1e-5
