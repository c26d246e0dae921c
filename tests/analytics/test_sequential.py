"""Tests that may be looked at any time: published vectors, and false alarms under the null by simulation."""

from __future__ import annotations

import math

import numpy as np
import pytest

from windvane.analytics.releases.counts import dispersion
from windvane.analytics.sequential import RateTest, RatioTest, first_alarm, log_bayes_factor, log_e_above, msprt


@pytest.mark.parametrize(
    ("base", "base_errors", "canary", "canary_errors", "expected"),
    [(1000, 10, 1000, 25, 1.837), (1000, 10, 1000, 15, -0.275), (9500, 95, 500, 15, 3.796)],
)
def test_bayes_factor_of_errors(base: int, base_errors: int, canary: int, canary_errors: int, expected: float) -> None:
    assert log_bayes_factor(base, base_errors, canary, canary_errors) == pytest.approx(expected, abs=5e-4)


def looks(seed: int, base: float, canary: float, count: int, requests: int) -> list[tuple[int, int, int, int]]:
    rng = np.random.default_rng(seed)
    first, second = (np.cumsum(rng.binomial(requests, rate, count)).tolist() for rate in (base, canary))
    return [(requests * n, first[n - 1], requests * n, second[n - 1]) for n in range(1, count + 1)]


def test_false_alarms_stay_below_alpha_over_all_looks() -> None:
    alarms = [first_alarm(looks(seed, 0.01, 0.01, 60, 200), 0.05) for seed in range(300)]
    assert sum(at > 0 for at in alarms) <= 0.05 * 300


def test_twice_the_errors_are_found_soon() -> None:
    alarms = [first_alarm(looks(seed, 0.01, 0.02, 60, 200), 0.05) for seed in range(100)]
    assert sum(at > 0 for at in alarms) >= 98
    assert np.median([at for at in alarms if at]) <= 14


@pytest.mark.parametrize("below", [False, True])
def test_the_mean_of_an_e_value_is_one_under_its_null(below: bool) -> None:
    """The split of traffic changes on the way; given all errors, each is the canary's by lot."""
    rng, values = np.random.default_rng(3), []
    for _ in range(4000):
        test = RatioTest(1.5, below=below)
        for base, canary in ((900.0, 100.0), (500.0, 500.0)):
            share = 1.5 * canary / (1.5 * canary + base)
            hits = rng.binomial(8, share)
            test.add(base, 8 - hits, canary, hits)
        values.append(math.exp(test.log_e()))
    assert np.mean(values) == pytest.approx(1.0, abs=0.1)


def test_a_ratio_on_the_near_side_gives_less() -> None:
    nearer, at = RatioTest(2.0, below=True), RatioTest(2.0)
    for test in (nearer, at):
        test.add(10_000, 100, 10_000, 100)
    assert nearer.log_e() > 3
    assert at.log_e() < 0


def test_shared_outages_and_empty_arms_prove_nothing() -> None:
    test = RatioTest()
    test.add(1_000, 900, 100, 90)
    test.add(1_000, 900, 0, 0)
    assert test.log_e() < 0


def test_how_much_longer_is_what_it_then_takes() -> None:
    test = RatioTest()
    test.add(1_000, 10, 1_000, 16)
    times = test.times_to(3.0)
    assert times is not None
    later = RatioTest()
    later.add(1_000 * times, 10 * times, 1_000 * times, 16 * times)
    assert later.log_e() == pytest.approx(3.0, abs=0.01)
    better = RatioTest()
    better.add(1_000, 16, 1_000, 10)
    assert better.times_to(3.0) is None


def test_a_low_rate_is_proven_without_a_single_error() -> None:
    test = RateTest(0.005)
    test.add(1_000, 0)
    assert math.exp(test.log_e()) > 8
    test = RateTest(0.005)
    test.add(1_000, 6)
    assert test.log_e() < 0


def test_the_mean_test_by_its_formula() -> None:
    found = msprt(0.3, 0.01, 0.04, 0.05)
    expected = math.sqrt(0.01 / 0.05) * math.exp(0.04 * 0.09 / (2 * 0.01 * 0.05))
    assert math.exp(found.log_e) == pytest.approx(expected)
    assert found.p == pytest.approx(1 / expected)
    half = math.sqrt(0.01 * 0.05 / 0.04 * (2 * math.log(20) + math.log(5)))
    assert (found.low, found.high) == pytest.approx((0.3 - half, 0.3 + half))
    assert log_e_above(0.3, 0.01, 0.04) > found.log_e
    assert log_e_above(-0.3, 0.01, 0.04) < 0


def clumped(seed: int, clump: int) -> list[np.ndarray]:
    rng = np.random.default_rng(seed)
    requests = [rng.poisson(mean, 60).astype(float) for mean in (600, 60)]
    errors = [np.minimum(one, rng.poisson(one * 0.01 / clump) * clump) for one in requests]
    return [requests[0], errors[0], requests[1], errors[1]]


def alarm(columns: list[np.ndarray]) -> bool:
    test = RatioTest()
    for minute, values in enumerate(zip(*(column.tolist() for column in columns), strict=True), 1):
        test.add(*values)
        if test.log_e() >= math.log(20):
            until = [column[:minute] for column in columns]
            if test.log_e(dispersion(until[1], until[3], until[0], until[2])) >= math.log(20):
                return True
    return False


def test_errors_that_come_in_clumps_raise_no_more_alarms() -> None:
    assert sum(alarm(clumped(seed, 5)) for seed in range(100)) <= 5


def test_clumps_are_measured() -> None:
    single, fives = (np.mean([_dispersion(clumped(seed, clump)) for seed in range(20)]) for clump in (1, 5))
    assert single < 1.4
    assert 3 < fives < 8


def _dispersion(columns: list[np.ndarray]) -> float:
    return dispersion(columns[1], columns[3], columns[0], columns[2])
