"""Forecasts of any series: medians of its own past, a learnt model beside them, bands from their real errors.

Every series is first forecast at moments that are already past. What each member would have been off there decides
its weight, and how far the blend was off, by how far ahead, makes the bands (split conformal: no distribution is
assumed). One model (LightGBM) learns of all series that are asked together, each in units of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt

from windvane.analytics.forecast_views import Indices, Series, Views, shift, views_of
from windvane.analytics.seasonal import DAY, WEEK, Flags, Floats
from windvane.kit.errors import BadInputError

LEAST_PERIODS = 3
"""Days of history below which nothing is said: two to compare, one to test on."""
GAP_DAYS = 0.25
"""Longest gap that is bridged by the day before; a series with a longer one begins after it."""
ROWS = 6_000
"""Points a series gives the model and its backtest each: more no longer changes errors by a hundredth."""
ROUNDS = 100
RECENT = (0, 1, 2, 5)
"""Steps back whose departures the model sees."""
POWER = 5.0
"""Weights fall with this power of a member's error: twice the error, a thirty-second of the weight."""
MARKS = 8
"""Leads, evenly spaced in their logarithm, at which weights and bands are learnt, from leads between half and twice."""
NEAR_LEAST = 50
"""Points below which a lead's neighbourhood says too little, and all leads are taken."""
BANDS = (0.8, 0.95)
MEMBERS = ("levelled", "scaled", "weeks", "both", "quick", "slow")
"""Of `Views`; the last value, the last hour and the learnt model are members too."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """`times` (Unix seconds) ahead with `mean`, and of each band its `low` and `high`.

    `error` is the blend's mean absolute scaled error in the backtest: 1 is what repeating yesterday errs by.
    `weights` are the members', the mean over all leads, and `history` the days it was learnt from.
    """

    times: npt.NDArray[np.int64]
    mean: Floats
    low: Mapping[float, Floats]
    high: Mapping[float, Floats]
    error: float
    weights: Mapping[str, float]
    history: float


@dataclass(frozen=True, slots=True)
class History:
    """One series as it is known: Unix seconds and values (NaN unknown); times ascend by multiples of `step`."""

    times: npt.NDArray[np.int64]
    values: Floats
    step: int


def forecast(history: History, horizon: int, *, learnt: bool = True) -> Forecast:
    """A series' next `horizon` steps. `BadInputError` where its history is too short to tell how wrong it would be."""
    return forecasts([history], horizon, learnt=learnt)[0]


def forecasts(histories: Sequence[History], horizon: int, *, learnt: bool = True) -> list[Forecast]:
    """Many series at once: one model learns of all of them. Without `learnt` there are medians only (no LightGBM)."""
    works = [_Work.of(history, horizon) for history in histories]
    model = _Model.trained([work.lesson for work in works], horizon) if learnt else None
    final = _Model.trained([work.everything for work in works], horizon) if learnt else None
    return [work.told(model, final) for work in works]


def gapless(history: History) -> tuple[npt.NDArray[np.int64], Floats]:
    """The newest stretch without a long gap, on a grid; short gaps take the day before's values, or the last."""
    index = (history.times - history.times[0]) // history.step
    values = np.full(int(index[-1]) + 1, np.nan)
    values[index] = history.values
    known = np.flatnonzero(np.isfinite(values))
    if not len(known):
        raise BadInputError("the series has no values")
    long = np.flatnonzero(np.diff(known) > GAP_DAYS * DAY / history.step)
    begin, end = int(known[long[-1] + 1] if len(long) else known[0]), int(known[-1]) + 1
    values, day = values[begin:end], DAY // history.step
    for at in np.flatnonzero(~np.isfinite(values)):
        values[at] = values[at - day] if at >= day else values[at - 1]
    return history.times[0] + history.step * np.arange(begin, end), values


@dataclass(frozen=True)
class Points:
    """Pairs of origin and lead of one series."""

    series: Series
    origin: Indices
    lead: Indices

    @property
    def truth(self) -> Floats:
        return np.asarray(self.series.values[self.origin + self.lead])


@dataclass(frozen=True)
class _Work:
    """One series: points to learn from, points to be tested on, and all of them."""

    times: npt.NDArray[np.int64]
    series: Series
    horizon: int
    step: int
    lesson: Points
    test: Points
    everything: Points

    @classmethod
    def of(cls, history: History, horizon: int) -> _Work:
        if history.step <= 0 or DAY % history.step or DAY // history.step < 4:
            raise BadInputError(f"step {history.step} s: expected a divisor of a day, of six hours at most")
        if horizon < 1:
            raise BadInputError("the horizon is shorter than a step")
        times, values = gapless(history)
        day = DAY // history.step
        needed = LEAST_PERIODS * max(day, horizon)
        if len(values) < needed:
            raise BadInputError(
                f"history of {len(values) / day:.1f} days is too short for a forecast of {horizon / day:.2g} days: "
                f"{needed / day:.1f} days without long gaps are needed"
            )
        series = Series(values, day, int(times[0]) % DAY // history.step)
        first, last = day, len(values) - 1
        tested = max(horizon, (last - first) // 4)
        cut = last - tested
        return cls(
            times, series, horizon, history.step,
            _points(series, first, cut, horizon), _test_points(series, cut, last, horizon),
            _points(series, first, last, horizon),
        )  # fmt: skip

    def told(self, model: _Model | None, final: _Model | None) -> Forecast:
        tested = _members(self.test, model)
        truth, scale = self.test.truth, self.series.scale(self.test.origin)
        lead = np.arange(1, self.horizon + 1)
        weights = _Weights.learnt({name: np.abs(truth - one) / scale for name, one in tested.items()}, self.test.lead)
        off = (truth - weights.blend(tested, self.test.lead)) / scale
        ahead = Points(self.series, np.full(self.horizon, len(self.series.values) - 1), lead)
        mean = weights.blend(_members(ahead, final), lead)
        now = self.series.scale(ahead.origin)
        low, high = {}, {}
        for band in BANDS:
            width = _conformal(np.abs(off), self.test.lead, lead, band) * now
            low[band], high[band] = mean - width, mean + width
        if (self.series.values >= 0).all():  # rates, shares and latencies are never negative
            mean = np.maximum(mean, 0.0)
            low = {band: np.maximum(one, 0.0) for band, one in low.items()}
        return Forecast(
            self.times[-1] + self.step * lead, mean, low, high, float(np.mean(np.abs(off))), weights.over(lead),
            len(self.times) * self.step / DAY,
        )  # fmt: skip


def _points(series: Series, first: int, last: int, horizon: int) -> Points:
    """Points whose origin is `first` or later and whose target is `last` or earlier, drawn the same way every time."""
    draw = np.random.default_rng(0)
    lead = draw.integers(1, horizon + 1, ROWS)
    room = last - lead - first
    kept = room > 0
    origin = first + (draw.random(kept.sum()) * (room[kept] + 1)).astype(np.int64)
    return Points(series, origin, lead[kept].astype(np.int64))


def _test_points(series: Series, first: int, last: int, horizon: int) -> Points:
    points = _points(series, first, last, horizon)
    return points if len(points.lead) else Points(series, np.array([first]), np.array([last - first]))


@dataclass(frozen=True)
class _Weights:
    """Each member's weight at some leads; between them on a line."""

    marks: Indices
    of: Mapping[str, Floats]

    @classmethod
    def learnt(cls, errors: Mapping[str, Floats], leads: Indices) -> _Weights:
        """From the members' absolute errors at points with these leads."""
        marks = _marks(int(leads.max()))
        near = [_near(leads, mark) for mark in marks]
        raw = {name: np.array([(one[part].mean() + 1e-3) ** -POWER for part in near]) for name, one in errors.items()}
        total = np.sum(list(raw.values()), axis=0)
        return cls(marks, {name: one / total for name, one in raw.items()})

    def blend(self, members: Mapping[str, Floats], leads: Indices) -> Floats:
        """The members' forecasts of points with these leads as one."""
        return np.asarray(sum(np.interp(leads, self.marks, self.of[name]) * one for name, one in members.items()))

    def over(self, leads: Indices) -> dict[str, float]:
        """Each member's mean weight."""
        return {name: float(np.interp(leads, self.marks, one).mean()) for name, one in self.of.items()}


def _marks(longest: int) -> Indices:
    return np.unique(np.geomspace(1, max(longest, 1), MARKS).round().astype(np.int64))


def _near(leads: Indices, mark: int) -> Flags:
    """Which points have about this lead; all where those are few."""
    near = (leads >= mark / 2) & (leads <= mark * 2)
    return near if near.sum() >= NEAR_LEAST else np.ones(len(leads), bool)


def _conformal(off: Floats, leads: Indices, wanted: Indices, band: float) -> Floats:
    """The quantile of real errors for each lead, of points with about that lead."""
    marks, widths = _marks(int(wanted[-1])), []
    for mark in marks:
        near = off[_near(leads, mark)]
        widths.append(np.quantile(near, min(1.0, band * (1 + 1 / len(near)))))
    return np.asarray(np.interp(wanted, marks, np.maximum.accumulate(widths)))


def _members(points: Points, model: _Model | None) -> dict[str, Floats]:
    """Each member's forecasts of points."""
    views = views_of(points.series, points.origin, points.lead)
    found = {name: getattr(views, name) for name in MEMBERS}
    found["last"] = points.series.at(points.origin)
    found["hour"] = points.series.level(points.origin, max(1, points.series.day // 24))
    if model is not None:
        found["learnt"] = model.told(points, views)
    return found


def _lightgbm() -> Any:
    """LightGBM, or None where it cannot be loaded: its library needs the system's libgomp. Medians then stand alone."""
    try:
        import lightgbm  # noqa: PLC0415  most of a second, and a server starts without it
    except (ImportError, OSError):
        return None
    return lightgbm


@dataclass(frozen=True)
class _Model:
    """One model of all series: the departure from the `moved` view, in a series' own scale."""

    booster: Any
    horizon: int

    @classmethod
    def trained(cls, lessons: Sequence[Points], horizon: int) -> _Model | None:
        lightgbm = _lightgbm()
        if lightgbm is None:
            return None
        inputs, wanted = [], []
        for points in lessons:
            views = views_of(points.series, points.origin, points.lead)
            inputs.append(_features(points, views, horizon))
            wanted.append(np.clip((points.truth - views.moved) / points.series.scale(points.origin), -8, 8))
        rows = np.concatenate(inputs)
        if len(rows) < 200:
            return None
        settings = {
            "objective": "l1", "learning_rate": 0.06, "num_leaves": 15,
            "min_data_in_leaf": max(20, min(100, len(rows) // 60)),
            "feature_fraction": 0.7, "bagging_fraction": 0.7, "bagging_freq": 1, "lambda_l2": 5.0,
            "verbose": -1, "num_threads": 1, "seed": 1, "deterministic": True,
        }  # fmt: skip
        return cls(lightgbm.train(settings, lightgbm.Dataset(rows, np.concatenate(wanted)), ROUNDS), horizon)

    def told(self, points: Points, views: Views) -> Floats:
        scale = points.series.scale(points.origin)
        return np.asarray(
            views.moved + scale * self.booster.predict(_features(points, views, self.horizon), num_threads=1)
        )


def _features(points: Points, views: Views, horizon: int) -> Floats:
    """What the model sees of each point: views and levels about the median, in the series' scale; the calendar."""
    series, origin, lead = points.series, points.origin, points.lead
    day, scale = series.day, series.scale(points.origin)
    hour = max(1, day // 24)
    levels = [series.level(origin, width) for width in (1, hour, 3 * hour, day, WEEK * day)]
    told = [getattr(views, field.name) for field in fields(views) if field.name not in ("both", "spread")]
    relative = [(one - views.both) / scale for one in (*told, *levels)]
    shifts = [shift(series, origin, width) / scale for width in (hour, 3 * hour, day // 2, day)]
    lately = [series.departures[np.maximum(origin - back, 0)] / scale for back in RECENT]
    lately += [one[origin] / scale for one in series.lately.values()]
    first = -(-lead // day) * day
    before = (views.yesterday - series.level(origin - first, hour)) / scale  # how the day before went on from here
    drift = (series.at(origin) - series.at(np.maximum(origin - 1, 0))) / scale
    slot = (series.begin + origin + lead) % day / day * 2 * np.pi
    weekday = (series.begin + origin + lead) // day % WEEK
    return np.stack(
        [*relative, *shifts, *lately, before, drift, views.spread / scale, lead / horizon, np.sin(slot), np.cos(slot),
         weekday],
        axis=1,
    )  # fmt: skip
