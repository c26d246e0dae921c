"""Moves of a series' level: found where they are, and not in noise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.analytics.baselines import changepoints

MINUTES = 1_767_571_200 + 60 * np.arange(180)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 10_000), at=st.integers(20, 160), move=st.floats(0.5, 3.0), up=st.booleans(),
    level=st.floats(-5, 5),
)  # fmt: skip
def test_a_step_is_found_where_it_is(seed: int, at: int, move: float, up: bool, level: float) -> None:
    draw = np.random.default_rng(seed)
    values = level + draw.normal(0, 0.08, 180)
    values[at:] += move if up else -move
    values[draw.integers(0, 180, 12)] = np.nan
    found = changepoints(MINUTES, values)
    nearest = min(found, key=lambda one: abs(one.at - int(MINUTES[at])))
    assert abs(nearest.at - int(MINUTES[at])) <= 4 * 60
    assert nearest.after - nearest.before == pytest.approx(move if up else -move, abs=0.15)
    assert nearest.certainty > 0.999


def test_noise_has_none_and_overlapping_windows_have_none() -> None:
    draw = np.random.default_rng(4)
    some = 0
    for _ in range(40):
        plain = draw.normal(0, 0.2, 181)
        some += len(changepoints(MINUTES, plain[1:])) + len(changepoints(MINUTES, (plain[1:] + plain[:-1]) / 2))
    assert some == 0


def test_an_incident_is_two_moves_and_an_outlier_none() -> None:
    draw = np.random.default_rng(5)
    values = draw.normal(0, 0.1, 180)
    values[[20, 21, 150]] = 4.0
    assert changepoints(MINUTES, values) == []
    values[80:100] += 1.0
    up, down = changepoints(MINUTES, values)
    assert (up.moved, down.moved) == (pytest.approx(1, abs=0.1), pytest.approx(-1, abs=0.1))
    assert abs(up.at - int(MINUTES[80])) <= 120
    assert abs(down.at - int(MINUTES[100])) <= 120


def test_little_is_known_of_few_points() -> None:
    assert changepoints(MINUTES[:9], np.arange(9.0)) == []
    assert changepoints(MINUTES, np.full(180, np.nan)) == []
    assert changepoints(MINUTES, np.full(180, 2.0)) == []
    with pytest.raises(ValueError, match="2 times for 3 values"):
        changepoints(MINUTES[:2], np.zeros(3))
