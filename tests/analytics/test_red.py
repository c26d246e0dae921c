"""Rate, errors and latency judged by days before: what is told, and what is not."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from windvane.analytics.red import Incident, RedFrame, incidents, judge_red
from windvane.analytics.seasonal import Grid, local_level, medians, smoothed, views

Floats = NDArray[np.float64]
MONDAY = 1_767_571_200
DAY = 1_440


def service(days: int = 9, per_minute: float = 300.0, seed: int = 1) -> dict[str, Floats]:
    """A service with a daily and weekly shape, counting noise and a latency that is noisier at few requests."""
    draw = np.random.default_rng(seed)
    minute = np.arange(days * DAY)
    shape = 1 + 0.6 * np.cos(2 * np.pi * minute / DAY)
    weekend = np.where(minute // DAY % 7 >= 5, 0.45, 1.0)
    requests = draw.poisson(per_minute * shape * weekend).astype(float)
    errors = draw.binomial(requests.astype(int), 0.0002).astype(float)
    latency = 80 * np.exp(draw.normal(0, np.minimum(0.05 + 1.2 / np.sqrt(np.maximum(requests, 1)), 0.8)))
    return {"requests": requests, "errors": errors, "latency": np.where(requests > 0, latency, np.nan)}


def frame(series: dict[str, Floats]) -> RedFrame:
    return RedFrame(MONDAY + 60 * np.arange(len(series["requests"])), **series)


def found(series: dict[str, Floats]) -> list[Incident]:
    return incidents(judge_red(frame(series)), 60)


def test_usual_days_nights_and_a_first_weekend_are_quiet() -> None:
    assert found(service()) == []
    assert found(service(per_minute=8, seed=2)) == []


@pytest.mark.parametrize(
    ("signal", "change", "within"),
    [
        ("rate", lambda s, part: s["requests"].__setitem__(part, np.floor(s["requests"][part] * 0.4)), 6),
        ("latency", lambda s, part: s["latency"].__setitem__(part, s["latency"][part] * 2), 5),
        ("errors", lambda s, part: s["errors"].__setitem__(part, np.floor(s["requests"][part] * 0.05)), 5),
    ],
)  # fmt: skip
def test_each_signal_is_told_alone_and_soon(signal: str, change, within: int) -> None:  # type: ignore[no-untyped-def]
    series = service()
    begin = 8 * DAY + 600
    change(series, slice(begin, begin + 40))
    one, *more = found(series)
    assert more == []
    assert one.signal == signal
    assert 0 <= (one.start - MONDAY) // 60 - begin < within
    assert not one.open


def test_nothing_depends_on_what_came_later() -> None:
    series = service()
    series["latency"][5 * DAY : 5 * DAY + 60] *= 3
    whole = judge_red(frame(series))
    cut = 6 * DAY + 777
    part = judge_red(frame({name: values[:cut] for name, values in series.items()}))
    for signal in ("rate", "latency", "errors"):
        assert (part.odd[signal] == whole.odd[signal][:cut]).all()


def test_gaps_are_unknown_not_nought() -> None:
    series = service()
    for values in series.values():
        values[8 * DAY + 500 : 8 * DAY + 560] = np.nan
    assert found(series) == []
    kept = np.isfinite(series["requests"])
    lacking = RedFrame(MONDAY + 60 * np.flatnonzero(kept), **{name: values[kept] for name, values in series.items()})
    assert incidents(judge_red(lacking), 60) == []


def test_an_incident_is_not_learnt_but_a_new_normal_is() -> None:
    series = service(days=12)
    series["latency"][7 * DAY + 300 :] *= 2.5
    one = found(series)[0]
    assert one.signal == "latency"
    assert (one.end - one.start) / 86_400 > 1
    assert (one.end - MONDAY) / 86_400 < 12


def test_a_slow_burn_of_the_budget_is_told_and_a_blip_is_not() -> None:
    series = service()
    series["errors"][8 * DAY + 100] = 40
    assert found(series) == []
    series["errors"][8 * DAY + 200 : 8 * DAY + 800] += np.random.default_rng(3).binomial(300, 0.01, 600)
    assert [one.signal for one in found(series)] == ["errors"]


def test_times_must_lie_on_a_grid() -> None:
    with pytest.raises(ValueError, match="step 7 does not divide a day"):
        Grid.over(np.array([0, 7]), 7)
    with pytest.raises(ValueError, match="times do not ascend"):
        Grid.over(np.array([60, 60]), 60)


def test_views_are_medians_of_known_days() -> None:
    past = np.arange(9.0)[:, None] * np.ones(2)
    past[7, 0] = np.nan
    recent, week = views(past, 9)
    assert recent.tolist() == [4.5, 5.0]
    assert week.tolist() == [2.0, 2.0]
    assert np.isnan(views(past, 0)[0]).all()
    assert medians(np.array([[1.0, np.nan], [3.0, np.nan]])).tolist()[0] == 2.0


def test_smoothing_ignores_what_is_unknown() -> None:
    assert smoothed(np.array([1.0, np.nan, 3.0, 8.0]), 3).tolist() == [1.0, 2.0, 5.5, 5.5]


def test_the_local_level_lags() -> None:
    values = np.concatenate([np.ones(150), np.full(30, 9.0)])
    level = local_level(values, 0, 180, 60)
    assert np.isnan(level[:30]).all()
    assert (level[60:] == 1.0).all()
