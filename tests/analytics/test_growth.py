"""Peaks to come: trend and season found again, limits reached in time, bands that widen, and what is refused."""

from __future__ import annotations

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from windvane.analytics.capacity.growth import HORIZON_DAYS, growth, reached
from windvane.analytics.capacity.queue import Estimate

Floats = NDArray[np.float64]
STEP = 1_200.0


def traffic(days: int, slope: float, noise: float = 0.03, weekend: float = 1.0) -> tuple[Floats, Floats]:
    rng, at = np.random.default_rng(2), np.arange(STEP, days * 86_400 + 1, STEP)
    day = np.ceil(at / 86_400)
    week = np.where(day % 7 >= 5, weekend, 1.0)
    shape = 1 + 0.5 * np.sin(at / 86_400 * 2 * math.pi)
    return at, 40 * np.exp(slope * (at - at[-1]) / 86_400) * shape * week * np.exp(rng.normal(0, noise, len(at)))


@pytest.mark.parametrize("slope", [0.04, 0.0, -0.03])
def test_trend_and_peaks(slope: float) -> None:
    found = growth(*traffic(10, slope))
    assert found is not None
    assert found.slope.value == pytest.approx(slope, abs=0.006)
    assert found.season_days == 3
    assert found.expected[0] == pytest.approx(60 * math.exp(slope * 0.25), rel=0.12)
    assert found.expected[13] / found.expected[0] == pytest.approx(math.exp(slope * 13), rel=0.1)
    assert (found.low < found.expected).all()
    assert (found.expected < found.high).all()
    ratio = found.high / found.low
    assert ratio[-1] > ratio[0]


def test_weekends_are_no_trend() -> None:
    found = growth(*traffic(21, 0.0, weekend=0.5))
    assert found is not None
    assert abs(found.slope.value) < 0.003
    assert found.expected[:7].min() < 0.7 * found.expected[:7].max()


def test_when_a_limit_is_reached() -> None:
    found = growth(*traffic(14, 0.05))
    assert found is not None
    days = reached(found, Estimate(120.0, 110.0, 130.0))
    assert days is not None
    assert days.value == pytest.approx(math.log(120 / 60) / 0.05, abs=2)
    assert days.low < days.value < days.high
    assert reached(found, Estimate(1e9, 1e9, 1e9)) is None
    calm = growth(*traffic(14, -0.02))
    assert calm is not None
    assert reached(calm, Estimate(120.0, 110.0, 130.0)) is None


def test_gaps_make_days_alike() -> None:
    at, rate = traffic(8, 0.02)
    kept = (at % 86_400 < 40_000) | (at % 86_400 > 70_000)
    found = growth(at[kept], rate[kept])
    assert found is not None
    assert found.season_days == 0
    assert len(found.expected) == HORIZON_DAYS


def test_two_days_have_no_trend() -> None:
    assert growth(*traffic(2, 0.1)) is None
