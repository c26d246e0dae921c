"""A watcher over a mesh in memory: what it learns, finds, keeps, and takes up again."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from watched_mesh import MONDAY, Floats, Mesh, Traffic, call, steady

from windvane.analytics.baselines import Found, Reading, Scope, StateError, Watcher, WatchSettings

DAYS = 1
SIZE = DAYS * 1_440 + 240
"""Minutes of the mesh: a day is learnt, then four hours are to be judged."""
LEARNT = MONDAY + DAYS * 86_400
CART = Scope("service", "shop", "cart")


def mesh(change: Callable[[dict[str, tuple[Floats, Floats, Floats]]], None] | None = None) -> Mesh:
    """Three services called by the front, as both proxies report; `change` breaks something."""
    draw = np.random.default_rng(7)
    series = {name: steady(draw, SIZE, per_minute) for name, per_minute in
              (("cart", 600.0), ("items", 200.0), ("pay", 30.0))}  # fmt: skip
    if change is not None:
        change(series)
    traffic = []
    for name, (requests, errors, latency) in series.items():
        traffic += [call(name, requests, errors, latency), call(name, requests, errors, latency + 1, reporter="source")]
    return Mesh(MONDAY, traffic)


@pytest.fixture(scope="module")
def kept() -> bytes:
    """What was learnt of a day."""
    watcher, told = Watcher(mesh().ask), []
    watcher.learn(LEARNT, told.append)
    assert told == sorted(told)
    assert told[-1] == 1.0
    return watcher.dump()


def taken_up(kept: bytes, over: Mesh, settings: WatchSettings | None = None) -> Watcher:
    watcher = Watcher(over.ask, settings)
    watcher.restore(kept)
    return watcher


def of(found: list[Found], scope: Scope, signal: str) -> list[Found]:
    return [one for one in found if one.scope == scope and one.incident.signal == signal]


def reading(readings: list[Reading], scope: Scope, signal: str) -> Reading:
    return next(one for one in readings if one.scope == scope and one.signal == signal)


def test_a_quiet_hour_has_readings_and_nothing_odd(kept: bytes) -> None:
    quiet = mesh()
    judged = taken_up(kept, quiet).advance(LEARNT + 3_600)
    assert judged.found == []
    assert judged.at == LEARNT + 3_600
    one = reading(judged.readings, CART, "rate")
    assert one.seen == pytest.approx(900, rel=0.15)
    assert one.expected == pytest.approx(900, rel=0.15)
    assert one.low is not None
    assert one.high is not None
    assert one.low < 900 < one.high
    assert one.score < 6.5
    assert all(0 <= other.score <= 20 for other in judged.readings)
    assert {other.scope.kind for other in judged.readings} == {"service", "edge"}
    times = {start for _, start, _ in quiet.asked}
    assert LEARNT - 2 * 60 <= min(times) <= LEARNT + 60, "only what is new is read, and the last minutes again"


@pytest.mark.parametrize(
    ("signal", "place", "change"),
    [
        ("latency", 2, lambda values: values * 3),
        ("errors", 1, lambda values: np.floor(values + 40)),
        ("rate", 0, lambda values: np.floor(values * 0.1)),
    ],
)
def test_each_signal_is_found_and_ends(kept: bytes, signal: str, place: int, change) -> None:  # type: ignore[no-untyped-def]
    begin = DAYS * 1_440 + 30

    def broken(series: dict[str, tuple[Floats, Floats, Floats]]) -> None:
        values = series["cart"][place]
        values[begin : begin + 20] = change(values[begin : begin + 20])

    watcher, onset = taken_up(kept, mesh(broken)), MONDAY + begin * 60
    (one,) = of(watcher.advance(onset + 6 * 60).found, CART, signal)
    assert one.incident.open
    assert 0 <= one.incident.start - onset <= 4 * 60
    assert one.score >= 6.5
    assert one.expected is not None
    assert one.seen is not None
    assert (one.seen < 0.5 * one.expected) == (signal == "rate")
    (over,) = of(watcher.advance(onset + 60 * 60).found, CART, signal)
    assert not over.incident.open
    assert abs(over.incident.end - (onset + 20 * 60)) <= (40 if signal == "errors" else 15) * 60
    assert watcher.advance(onset + 150 * 60).found == []


def test_steps_and_restarts_change_nothing(kept: bytes) -> None:
    begin = DAYS * 1_440 + 20

    def broken(series: dict[str, tuple[Floats, Floats, Floats]]) -> None:
        series["items"][2][begin : begin + 70] *= 2.5

    end = LEARNT + 75 * 60
    whole = taken_up(kept, mesh(broken)).advance(end)
    stepwise = taken_up(kept, mesh(broken))
    for now in range(LEARNT + 300, end, 300):
        stepwise.advance(now)
        if now == LEARNT + 40 * 60 + 300:
            stepwise = taken_up(stepwise.dump(), mesh(broken))
    found = stepwise.advance(end).found
    assert len(found) == len(whole.found) > 0
    for one, other in zip(found, whole.found, strict=True):
        assert one.scope == other.scope
        assert (one.incident.start, one.incident.end) == (other.incident.start, other.incident.end)
        assert one.incident.factor == pytest.approx(other.incident.factor, rel=0.01), "kept figures have twelve bits"


def test_late_samples_are_read_again_and_gaps_are_unknown(kept: bytes) -> None:
    gap = DAYS * 1_440 + 30

    def late(series: dict[str, tuple[Floats, Floats, Floats]]) -> None:
        for values in series["cart"]:
            values[gap : gap + 30] = np.nan

    over = mesh(late)
    watcher = taken_up(kept, over)
    judged = watcher.advance(MONDAY + (gap + 1) * 60)
    assert judged.found == []
    assert not [one for one in judged.readings if one.scope == CART]
    for traffic, whole in zip(over.traffic, mesh().traffic, strict=True):
        traffic.requests[gap : gap + 2] = whole.requests[gap : gap + 2]
    watcher.advance(MONDAY + (gap + 2) * 60)
    column = watcher._bank.rings.column(MONDAY // 60 + gap)
    row = watcher._roster.rows[CART]
    assert np.isfinite(watcher._bank.rings.requests[row, column])
    assert watcher.advance(MONDAY + (gap + 29) * 60).found == []


def test_a_store_that_is_down_leaves_the_watcher_as_it_was(kept: bytes) -> None:
    over = mesh()
    watcher = taken_up(kept, over)
    over.broken = True
    with pytest.raises(OSError, match="the store is down"):
        watcher.advance(LEARNT + 600)
    over.broken = False
    assert watcher.advance(LEARNT + 600).at == LEARNT + 600


def test_what_only_the_caller_sees_is_the_edges(kept: bytes) -> None:
    over = mesh()
    begin = DAYS * 1_440 + 30
    for one in over.traffic:
        if one.labels["reporter"] == "source" and one.labels["destination_service_name"] == "cart":
            one.errors[begin:] += 60
    judged = taken_up(kept, over).advance(MONDAY + (begin + 8) * 60)
    (edge,) = of(judged.found, Scope("edge", "shop", "cart", "front.shop"), "errors")
    assert edge.seen == pytest.approx(60 / 900, rel=0.25)
    assert str(edge.scope) == "front.shop -> cart.shop"


def test_a_second_version_is_held_against_its_service(kept: bytes) -> None:
    over = mesh()
    begin = DAYS * 1_440 + 30
    requests, errors, latency = (np.full(SIZE, np.nan) for _ in range(3))
    requests[begin:], errors[begin:], latency[begin:] = 60.0, 0.0, 40 * 3.0
    over.traffic.append(call("cart", requests, errors, latency, version="v2"))
    watcher = taken_up(kept, over)
    judged = watcher.advance(MONDAY + (begin + 8) * 60)
    canary = Scope("version", "shop", "cart", "v2")
    (one,) = of(judged.found, canary, "latency")
    assert one.expected == pytest.approx(40, rel=0.2)
    assert one.seen == pytest.approx(120, rel=0.05)
    assert reading(judged.readings, canary, "rate").expected is None, "releases move the rate of versions"
    assert watcher.watched.scopes["version"] == 2
    assert watcher.watched.scopes["workload"] == 2


def test_operations_of_spans_are_scopes() -> None:
    draw = np.random.default_rng(5)
    requests, errors, latency = steady(draw, 60, 400.0, daily=0.0)
    latency[45:] *= 6
    labels = {"service": "cart.shop", "span_name": "GET /cart/{id}"}
    over = Mesh(MONDAY, [*mesh().traffic[:2], Traffic(labels, requests, errors, latency / 1_000, spans=True)])
    judged = Watcher(over.ask, WatchSettings(days=1)).advance(MONDAY + 50 * 60)
    scope = Scope("operation", "shop", "cart", "GET /cart/{id}")
    (one,) = of(judged.found, scope, "latency")
    assert one.seen == pytest.approx(40 * 6, rel=0.15)


def test_the_budget_of_scopes_is_for_services_and_the_busiest(kept: bytes) -> None:
    watcher = Watcher(mesh().ask, WatchSettings(days=1, scopes=5, kinds=("service", "edge")))
    judged = watcher.advance(MONDAY + 120 * 60)
    assert watcher.watched.scopes == {"service": 3, "edge": 1}
    assert watcher.watched.cut == {"edge": 2}
    edges = {one.scope.service for one in judged.readings if one.scope.kind == "edge"}
    assert edges == {"cart"}
    assert watcher.watched.since == MONDAY


def test_a_known_change_of_the_level_is_normal_after_an_hour(kept: bytes) -> None:
    begin = DAYS * 1_440 + 30

    def slower(series: dict[str, tuple[Floats, Floats, Floats]]) -> None:
        series["cart"][2][begin:] *= 2.5

    at = MONDAY + begin * 60
    told, untold = taken_up(kept, mesh(slower)), taken_up(kept, mesh(slower))
    told.advance(at + 600)
    told.changed(CART, at - 60)
    told = taken_up(told.dump(), mesh(slower))
    assert of(told.advance(at + 50 * 60).found, CART, "latency")[0].incident.open
    told.advance(at + 62 * 60)
    after = told.advance(at + 90 * 60)
    assert not any(one.incident.open for one in after.found)
    one = reading(after.readings, CART, "latency")
    assert one.expected == pytest.approx(100, rel=0.1)
    assert of(untold.advance(at + 90 * 60).found, CART, "latency")[0].incident.open


def test_a_state_that_cannot_be_used_says_why(kept: bytes) -> None:
    watcher = taken_up(kept, mesh())
    before = watcher.dump()
    for broken, message in (
        (b"nonsense", "not a state of baselines"),
        (kept[:18] + b"\x00\x63" + kept[20:], "version 99, where 3 is known"),
        (kept[:-20] + bytes(20), "damaged, the checksum is another"),
    ):
        with pytest.raises(StateError, match=message):
            watcher.restore(broken)
    assert watcher.dump() == before


def test_a_state_too_old_is_learnt_anew(kept: bytes) -> None:
    watcher = taken_up(kept, mesh(), WatchSettings(days=1))
    later = Mesh(MONDAY + 30 * 86_400, [call("cart", *steady(np.random.default_rng(1), 90))])
    watcher._reader.ask = later.ask
    judged = watcher.advance(MONDAY + 30 * 86_400 + 60 * 60)
    assert {one.scope.service for one in judged.readings} == {"cart"}
    assert watcher.watched.since == MONDAY + 30 * 86_400


def test_an_empty_mesh_is_watched_until_there_is_something() -> None:
    over = Mesh(MONDAY)
    watcher = Watcher(over.ask, WatchSettings(days=1))
    judged = watcher.advance(MONDAY + 600)
    assert (judged.at, judged.found, judged.readings) == (MONDAY + 600, [], [])
    assert (watcher.watched.since, watcher.watched.days) == (None, 0.0)
    watcher = taken_up(watcher.dump(), over)
    values = tuple(np.concatenate([np.full(15, np.nan), one]) for one in steady(np.random.default_rng(1), 30))
    over.traffic.append(call("cart", *values))
    judged = watcher.advance(MONDAY + 30 * 60)
    assert reading(judged.readings, CART, "rate").seen is not None
    assert watcher.watched.since == MONDAY + 15 * 60


def test_settings_are_checked() -> None:
    with pytest.raises(ValueError, match=r"slo 99: expected a share between 0 and 1, as 0\.999"):
        WatchSettings(slo=99)
    with pytest.raises(ValueError, match="must be 1 or more"):
        WatchSettings(days=0)
