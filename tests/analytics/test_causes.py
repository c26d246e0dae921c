"""Causes: excess in accounts along the calls."""

from __future__ import annotations

import numpy as np
import pytest

from windvane.analytics.causes import Reading, at_its_worst, most_departed, rank

CALLS = [("front", "cart"), ("front", "stock"), ("cart", "prices"), ("stock", "prices"), ("prices", "store")]


def reading(level: float, now: float, calls: float = 100.0) -> Reading:
    return Reading(level, 0.1 * level, now, calls)


def usual(**more: Reading) -> dict[str, Reading]:
    names = ("front", "cart", "stock", "prices", "store")
    return {name: reading(10.0, 10.0) for name in names} | more


def test_the_deepest_that_explains_it_comes_first() -> None:
    found = rank("front", usual(front=reading(50, 150), cart=reading(20, 120), prices=reading(5, 105)), CALLS)
    assert [one.node for one in found] == ["prices", "cart", "front"]
    assert found[0].explains == pytest.approx(1.0)
    assert found[0].path == ("front", "cart", "prices")
    assert found[0].confidence > 0.9
    assert found[1].explains == found[2].explains == 0.0


def test_a_service_that_is_slow_of_itself_is_named_itself() -> None:
    found = rank("front", usual(front=reading(50, 150), cart=reading(20, 25, 10)), CALLS)
    assert found[0].node == "front"


def test_a_noisy_leaf_of_few_calls_explains_nothing() -> None:
    found = rank("front", usual(front=reading(50, 150), cart=reading(20, 120), store=reading(1, 90, 1)), CALLS)
    assert found[0].node == "cart"


def test_two_causes_share_what_they_explain() -> None:
    found = rank("front", usual(front=reading(50, 150), cart=reading(20, 90), stock=reading(20, 50)), CALLS)
    assert [one.node for one in found][:2] == ["cart", "stock"]
    assert found[0].explains == pytest.approx(0.7)
    assert found[1].explains == pytest.approx(0.3)
    assert found[0].confidence > found[1].confidence


def test_known_shares_divide_a_callee_among_its_callers() -> None:
    readings = usual(cart=reading(20, 40), prices=reading(5, 25, 500), stock=reading(20, 100))
    found = rank("cart", readings, CALLS, {("cart", "prices"): 0.2, ("stock", "prices"): 0.8})
    assert found[0].node == "prices"
    assert {one.node: one.explains for one in found}["cart"] == pytest.approx(0.0)


def test_where_nothing_is_worse_there_is_no_cause() -> None:
    assert rank("front", usual(), CALLS) == []
    assert rank("nobody", usual(), CALLS) == []


def test_a_circle_of_calls_ends() -> None:
    found = rank("a", {"a": reading(10, 90), "b": reading(10, 80)}, [("a", "b"), ("b", "a"), ("a", "a")])
    assert {one.node for one in found} == {"a", "b"}


def test_readings_are_robust_and_know_heavy_tails() -> None:
    before = np.concatenate([np.full(90, 10.0), np.full(10, 100.0)])
    assert Reading.learnt(before, 100.0, 1.0).departure < 3.0  # type: ignore[union-attr]
    assert Reading.learnt(np.full(90, 10.0), 20.0, 1.0).departure == pytest.approx(20.0)  # type: ignore[union-attr]
    assert Reading.learnt(np.array([np.nan]), 1.0, 1.0) is None


def test_now_is_when_the_symptom_is_worst() -> None:
    assert at_its_worst(np.array([1.0, 4.0, 9.0, np.nan, 5.0]), 1.0).tolist() == [False, False, True, False, True]


def test_without_a_symptom_all_signals_count_together() -> None:
    assert most_departed({"a": [reading(1, 50)], "b": [reading(1, 10), reading(1, 10)], "c": []}) == ["b", "a", "c"]
