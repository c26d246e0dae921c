"""Forecasts: how wrong they are, how honest their bands, and when there is none."""

from __future__ import annotations

import sys
from dataclasses import fields

import numpy as np
import pytest
from numpy.typing import NDArray

from windvane.analytics.forecast import History, forecast, forecasts, gapless
from windvane.analytics.forecast_views import Series, views_of
from windvane.kit.errors import BadInputError

Floats = NDArray[np.float64]
STEP = 1_800
DAY = 48


def history(days: float, seed: int = 1, noise: float = 5.0) -> History:
    """Half hours of a load with days and weekends."""
    at = np.arange(int(days * DAY))
    shape = 100 + 60 * np.sin(2 * np.pi * at / DAY) - np.where(at // DAY % 7 >= 5, 50, 0)
    values = np.maximum(shape + np.random.default_rng(seed).normal(0, noise, len(at)), 0)
    return History(1_767_571_200 + STEP * at, values, STEP)


def cut(whole: History, ahead: int) -> tuple[History, Floats]:
    return History(whole.times[:-ahead], whole.values[:-ahead], STEP), whole.values[-ahead:]


def test_a_daily_and_weekly_load_is_foreseen_within_its_noise() -> None:
    past, truth = cut(history(29), DAY)
    for learnt in (True, False):
        found = forecast(past, DAY, learnt=learnt)
        assert np.mean(np.abs(found.mean - truth)) < 7.0
        assert found.error < 0.8
        assert sum(found.weights.values()) == pytest.approx(1.0)
    assert found.times[0] == past.times[-1] + STEP
    assert "learnt" not in found.weights


def test_what_the_last_hours_were_off_is_carried_on_where_that_lasts() -> None:
    whole = history(22, noise=0)
    wandering = np.cumsum(np.random.default_rng(3).normal(0, 4, len(whole.values)))
    values = whole.values + 500 + wandering
    errors: dict[bool, list[float]] = {True: [], False: []}
    for back in (2, 30, 60, 90):
        past = History(whole.times[:-back], values[:-back], STEP)
        found = forecast(past, 2, learnt=False)
        truth = values[len(values) - back :][:2]
        origin = np.full(2, len(past.values) - 1)
        naive = views_of(Series(past.values, DAY, 0), origin, np.array([1, 2])).both
        errors[True].append(float(np.mean(np.abs(found.mean - truth))))
        errors[False].append(float(np.mean(np.abs(naive - truth))))
    assert np.mean(errors[True]) < 0.6 * np.mean(errors[False])


@pytest.mark.parametrize("error", [OSError("libgomp.so.1: cannot open shared object file"), ImportError("none")])
def test_where_the_learner_cannot_be_loaded_medians_stand_alone(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Broken:
        """Finds LightGBM, whose loading fails."""

        def find_spec(self, name: str, *_: object) -> None:
            if name == "lightgbm":
                raise error

    monkeypatch.delitem(sys.modules, "lightgbm", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Broken(), *sys.meta_path])
    past, truth = cut(history(22), DAY)
    found = forecast(past, DAY)
    assert "learnt" not in found.weights
    assert np.mean(np.abs(found.mean - truth)) < 7.0
    assert "lightgbm" not in sys.modules


def test_bands_hold_what_they_promise() -> None:
    inside: dict[float, list[Floats]] = {0.8: [], 0.95: []}
    pasts, truths = zip(*(cut(history(22, seed), DAY) for seed in range(8)), strict=True)
    for found, truth in zip(forecasts(pasts, DAY, learnt=False), truths, strict=True):
        for band, held in inside.items():
            held.append((truth >= found.low[band]) & (truth <= found.high[band]))
    assert 0.70 < np.mean(inside[0.8]) < 0.92
    assert 0.90 < np.mean(inside[0.95]) < 0.995


def test_short_histories_are_refused_with_what_is_needed() -> None:
    with pytest.raises(BadInputError, match=r"history of 2\.0 days is too short for a forecast of 1 days: 3\.0 days"):
        forecast(history(2), DAY)
    with pytest.raises(BadInputError, match=r"6\.0 days without long gaps are needed"):
        forecast(history(5), 2 * DAY)
    with pytest.raises(BadInputError, match="step 7 s"):
        forecast(History(np.arange(5), np.ones(5), 7), 1)


def test_long_gaps_begin_history_anew_and_short_ones_are_bridged() -> None:
    whole = history(10)
    values = whole.values.copy()
    values[100:130] = np.nan
    values[300:304] = np.nan
    times, filled = gapless(History(whole.times, values, STEP))
    assert times[0] == whole.times[130]
    assert np.isfinite(filled).all()
    assert filled[170] == whole.values[300 - DAY]
    with pytest.raises(BadInputError, match="no values"):
        gapless(History(whole.times, np.full(len(values), np.nan), STEP))


def test_views_use_nothing_after_their_origin() -> None:
    values = history(20).values
    origin, lead = np.array([500, 600, 700]), np.array([1, 30, 90])
    before = views_of(Series(values, DAY, 0), origin, lead)
    after = values.copy()
    after[501:] = 1e9
    again = views_of(Series(after, DAY, 0), origin, lead)
    for field in fields(before):
        assert getattr(again, field.name)[0] == getattr(before, field.name)[0]


def test_what_is_never_negative_is_not_forecast_so() -> None:
    past = history(15, noise=40)
    found = forecast(past, DAY, learnt=False)
    assert (found.mean >= 0).all()
    assert (found.low[0.95] >= 0).all()
