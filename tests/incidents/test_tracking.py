"""What becomes of incidents: grouping along the calls, growth, ends, returns, words, and what people say of them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from incident_samples import CALLS, CART, FRONT, NOW, OTHER, STOCK, odd, scope

from windvane.analytics.baselines import Scope
from windvane.incidents.grouping import Calls, grouped
from windvane.incidents.tolerance import DAY, Tolerances
from windvane.incidents.tracker import QUIET, REOPEN, Tracker
from windvane.incidents.values import Anomaly, Incident, from_json, to_json
from windvane.incidents.words import description, title

MINUTE = 60


def texts(one: Incident) -> list[str]:
    return [each.text for each in one.events]


def only(tracker: Tracker) -> Incident:
    [one] = [each for each in tracker.incidents.values() if not each.joined]
    return one


def test_what_callers_show_is_one_incident_led_by_the_deepest() -> None:
    [group] = grouped([odd(FRONT), odd(STOCK), odd(CART, "errors")], CALLS)
    assert [one.node for one in group] == [STOCK, CART, FRONT]


def test_a_service_between_that_is_not_odd_does_not_part_them() -> None:
    assert len(grouped([odd(FRONT), odd(STOCK)], CALLS)) == 1
    assert len(grouped([odd(CART), odd(OTHER)], CALLS)) == 2  # only called by the same third
    assert len(grouped([odd(FRONT), odd(STOCK, start=NOW + 3_600, end=NOW + 3_600)], CALLS)) == 2


def test_what_is_wrong_all_day_does_not_take_up_what_comes_later() -> None:
    chronic = odd(STOCK, "errors", NOW - 7_200, NOW)
    assert len(grouped([chronic, odd(CART, "errors")], CALLS)) == 2
    assert len(grouped([chronic, odd(STOCK)], CALLS)) == 1


def test_a_slow_caller_is_not_explained_by_failures_nor_by_what_its_other_callees_are_called() -> None:
    assert len(grouped([odd(FRONT), odd(CART, "errors")], CALLS)) == 2
    assert len(grouped([odd(FRONT, "errors"), odd(CART)], CALLS)) == 1
    ways = [odd(Scope("edge", *CART, "front.shop"), "errors"), odd(Scope("edge", *OTHER, "front.shop"))]
    assert len(grouped(ways, CALLS)) == 2


def test_a_slow_way_joins_both_of_its_ends() -> None:
    way = odd(Scope("edge", *CART, "front.shop"))
    [group] = grouped([odd(FRONT), way], Calls())
    assert group[0] == way
    told = "Calls from front to cart are answered in 200 ms, 2.0 times the usual 100 ms; 1 more service affected"
    assert title(group) == told


def test_fewer_requests_below_what_fails_do_not_lead_and_lone_falls_begin_at_the_top() -> None:
    [group] = grouped([odd(CART, "errors", factor=90), odd(STOCK, "rate", factor=0.2)], CALLS)
    assert group[0].node == CART
    [falls] = grouped([odd(node, "rate", factor=0.2) for node in (STOCK, FRONT, CART)], CALLS)
    assert [one.node for one in falls] == [FRONT, CART, STOCK]


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.sampled_from([FRONT, CART, STOCK, OTHER]), st.sampled_from(["errors", "latency", "rate"]),
                          st.integers(0, 5)), max_size=8, unique=True))  # fmt: skip
def test_groups_hold_every_anomaly_once_whatever_their_order(given_: list[tuple[tuple[str, str], str, int]]) -> None:
    found = [odd(node, signal, NOW + 600 * at, NOW + 600 * at) for node, signal, at in given_]  # type: ignore[arg-type]
    groups = grouped(found, CALLS)
    assert sorted(one.start for group in groups for one in group) == sorted(one.start for one in found)
    again = grouped(found[::-1], CALLS)
    assert {frozenset(group) for group in groups} == {frozenset(group) for group in again}


def test_an_incident_opens_grows_ends_and_keeps_its_id() -> None:
    tracker = Tracker()
    assert tracker.step(NOW, [odd(FRONT)], CALLS) == {only(tracker).id}
    first = only(tracker)
    assert (first.node, first.severity, first.start, first.open) == (FRONT, "ticket", NOW, True)
    at = NOW + 2 * MINUTE
    tracker.step(at, [odd(FRONT, end=at), odd(CART, "errors", at, at, 30), odd(STOCK, start=at, end=at)], CALLS)
    grown = only(tracker)
    assert (grown.id, grown.node, grown.severity) == (first.id, STOCK, "page")
    assert texts(grown) == [
        "noticed: latency of front", "grows: latency of stock, errors of cart", "serious enough to page",
        "seems to begin at stock.shop",
    ]  # fmt: skip
    assert tracker.step(at + QUIET - MINUTE, [], CALLS) == set()
    tracker.step(at + QUIET, [], CALLS)
    over = only(tracker)
    assert (over.open, over.end, texts(over)[-1]) == (False, at, "over: nothing odd for 5 minutes")
    assert not any(one.open for one in over.anomalies)


def test_odd_again_soon_is_the_same_incident_and_later_another() -> None:
    tracker = Tracker()
    tracker.step(NOW, [odd(FRONT)], CALLS)
    tracker.step(NOW + QUIET, [odd(FRONT)], CALLS)
    first = only(tracker)
    assert not first.open
    at = NOW + QUIET + 10 * MINUTE
    tracker.step(at, [odd(FRONT, end=at)], CALLS)
    assert (only(tracker).id, only(tracker).open, texts(only(tracker))[-1]) == (
        first.id, True, "odd again: latency of front"
    )  # fmt: skip
    tracker.step(at + QUIET, [], CALLS)
    late = at + REOPEN + QUIET + MINUTE
    tracker.step(late, [odd(FRONT, start=late, end=late)], CALLS)
    assert only(tracker).id != first.id


def test_what_ended_lately_is_not_told_as_new() -> None:
    tracker = Tracker()
    tracker.step(NOW + QUIET, [odd(FRONT)], CALLS)
    assert not tracker.incidents


def test_two_that_turn_out_to_be_one_are_joined_in_the_older() -> None:
    tracker = Tracker()
    tracker.step(NOW, [odd(OTHER)], CALLS)
    tracker.step(NOW + MINUTE, [odd(OTHER, end=NOW + MINUTE), odd(STOCK, start=NOW + MINUTE)], CALLS)
    assert len(tracker.open()) == 2
    at = NOW + 2 * MINUTE
    tracker.step(at, [odd(OTHER, end=at), odd(STOCK, end=at), odd(FRONT, start=at, end=at)], CALLS)
    [left] = tracker.open()
    assert {one.node for one in left.anomalies} == {OTHER, STOCK, FRONT}
    [joined] = [one for one in tracker.incidents.values() if one.joined]
    assert (joined.joined, joined.open, texts(joined)[-1]) == (left.id, False, f"part of incident {left.id}")


def test_not_an_anomaly_ends_it_and_asks_for_a_clearly_larger_departure() -> None:
    tracker = Tracker()
    tracker.step(NOW, [odd(FRONT, factor=3)], CALLS)
    said = tracker.said(only(tracker), "not-an-anomaly", "nightly import", NOW + MINUTE)
    assert (said.open, said.silenced, texts(said)[-1]) == (False, True, "said to be no anomaly: nightly import")
    tracker.tolerances = Tolerances([said])
    at = NOW + 2 * MINUTE
    assert tracker.step(at, [odd(FRONT, end=at, factor=3.6)], CALLS) == set()
    part = replace(odd(FRONT, end=at, factor=3.6), scope=Scope("version", *FRONT, "v2"))
    assert tracker.step(at, [part, odd(CART, end=at, factor=1.6)], CALLS)
    assert [one.node for one in tracker.open()] == [CART]
    tracker.step(at + MINUTE, [odd(FRONT, end=at + MINUTE, factor=4)], CALLS)
    assert {one.node for each in tracker.open() for one in each.anomalies} == {CART, FRONT}
    assert said.id not in {one.id for one in tracker.open()}


def test_what_was_called_normal_fades() -> None:
    known = Tolerances([spoken(3.0, "not-an-anomaly")])
    assert known.allows(odd(FRONT, factor=3.5), NOW)
    assert not known.allows(odd(FRONT, factor=3.5), NOW + 14 * DAY)
    assert known.allows(odd(FRONT, factor=2.1), NOW + 14 * DAY)  # the root of three, and a quarter
    assert not known.allows(odd(FRONT, factor=1.6), NOW + 57 * DAY)
    assert not known.allows(odd(FRONT, "errors", factor=3), NOW)


def test_what_is_confirmed_later_is_tolerated_no_more() -> None:
    later = replace(spoken(2.0, "confirmed"), id="b")
    later = replace(later, feedback=replace(later.feedback, at=NOW + 60))  # type: ignore[type-var]
    assert not Tolerances([spoken(3.0, "not-an-anomaly"), later]).allows(odd(FRONT, factor=2.0), NOW + 60)
    far = replace(later, anomalies=(odd(FRONT, factor=9),))
    assert Tolerances([spoken(3.0, "not-an-anomaly"), far]).allows(odd(FRONT, factor=2.0), NOW + 60)


def test_few_requests_are_as_far_off_as_many() -> None:
    assert odd(FRONT, "rate", factor=0.25).departure == pytest.approx(4)
    assert Tolerances([spoken(0.25, "not-an-anomaly", "rate")]).allows(odd(FRONT, "rate", factor=0.22), NOW)


def spoken(factor: float, verdict: str, signal: str = "latency") -> Incident:
    tracker = Tracker()
    tracker.step(NOW, [odd(FRONT, signal, factor=factor)], CALLS)  # type: ignore[arg-type]
    return tracker.said(only(tracker), verdict, "", NOW)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("anomaly", "told"),
    [
        (odd(CART), "cart answers in 200 ms, 2.0 times the usual 100 ms"),
        (replace(odd(CART, "errors", factor=120), expected=0.001, seen=0.12),
         "cart fails 12 % of requests (0.1 % may)"),
        (replace(odd(CART, "rate", factor=0.2), expected=300.0, seen=60.0),
         "cart gets 60 requests a minute, 20 % of the usual 300"),
        (odd(Scope("version", *CART, "v2")), "cart version v2 answers in 200 ms, 2.0 times the usual 100 ms"),
        (replace(odd(CART, factor=2000), seen=200_000.0), "cart answers in 200 s, 2000.0 times the usual 100 ms"),
    ],
)  # fmt: skip
def test_titles_are_plain(anomaly: Anomaly, told: str) -> None:
    assert title((anomaly,)) == told


def test_a_notification_tells_the_explanation() -> None:
    tracker = Tracker()
    tracker.step(NOW, [odd(CART)], CALLS)
    one = replace(only(tracker), why={"explanation": [{"text": "cart is slow "}, {"text": "itself."}]})
    assert description(one) == "cart is slow itself. What is odd: cart answers in 200 ms, 2.0 times the usual 100 ms."


def test_an_incident_survives_json() -> None:
    tracker = Tracker()
    tracker.step(NOW, [odd(FRONT, "errors"), odd(Scope("edge", *CART, "front.shop"), "errors")], CALLS)
    one = tracker.said(only(tracker), "confirmed", "yes", NOW)
    assert from_json(to_json(one)) == one
    assert scope(FRONT) in {each.scope for each in one.anomalies}
