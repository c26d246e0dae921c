"""A service's capacity from the mesh's own metrics: what it does now, what it can do, and when it will be too little.

History is read as rate, mean time and a quantile of time on a grid, gathered into bins of like rate (medians, so that
an incident does not pass for load), and explained by the queue models. An objective on a quantile becomes one on the
mean by their ratio in the busiest quarter of history; the ratio is told. When peaks will reach the limit is told by
their forecast (`growth`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.capacity.growth import LEAST_DAYS, Growth, growth, reached
from windvane.analytics.capacity.laws import Scalability, concurrency, fit_scalability
from windvane.analytics.capacity.queue import MIN_POINTS, WORKERS, Estimate, History, Mixture, fit
from windvane.kit.errors import BadInputError, NotFoundError

Floats = NDArray[np.float64]

_BINS = 40
_LEAST_SPREAD = 1.3
_VAGUE = 3.0
_CURVE = 40
_CURVE_TOP = 1.5
"""How far beyond the busiest seen the curve is drawn, unless saturation comes first."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A service on a grid: times (seconds since the epoch), requests a second, mean and quantile in seconds, busy
    share.

    NaN where unknown.
    """

    at: Floats
    rate: Floats
    mean: Floats
    quantile: Floats
    busy: Floats


@dataclass(frozen=True, slots=True)
class Question:
    """`latency` (seconds) may be exceeded by a share 1 - `quantile` of requests; `replicas` and `traffic` are what-if
    factors on today's. `workers` are the numbers of workers that are tried."""

    latency: float | None = None
    quantile: float = 0.95
    replicas: float = 1.0
    traffic: float = 1.0
    workers: tuple[int, ...] = WORKERS

    def __post_init__(self) -> None:
        if not 0.5 <= self.quantile < 1:
            raise BadInputError(f"quantile must lie between 0.5 and 1, not {self.quantile:g}")
        if self.replicas <= 0 or self.traffic <= 0 or (self.latency is not None and self.latency <= 0):
            raise BadInputError("latency, replicas and traffic must be above zero")


@dataclass(frozen=True, slots=True)
class Curve:
    """The quantile of time (seconds) and the utilisation by the rate, with what was seen; bands hold 80 %."""

    rate: Floats
    time: tuple[Estimate, ...]
    utilisation: tuple[Estimate, ...]
    seen_rate: Floats
    seen_time: Floats


@dataclass(frozen=True, slots=True)
class Report:
    """Rates are requests a second, times seconds. `limit` is the highest rate that meets the objective, `days` until
    daily peaks reach it (None: not within twelve weeks) and `full_days` until they reach saturation, `growth` the
    peaks to come, `notes` what makes the figures less sure. All but `now`, `peak`, `mean` and what was seen are of the
    what-if's replicas and traffic. `headroom` is how many times those peaks the limit (or saturation) is.
    """

    now: float
    peak: float
    mean: float
    in_flight: float
    ratio: float
    utilisation: Estimate
    saturation: Estimate
    at_traffic: Estimate
    limit: Estimate | None
    days: Estimate | None
    full_days: Estimate | None
    headroom: float
    growth: Growth | None
    scalability: Scalability
    points: int
    curve: Curve
    notes: tuple[str, ...]


def report(measured: Measured, question: Question) -> Report:
    """What history says; `NotFoundError` without traffic, `BadInputError` where it is too little to tell."""
    used = np.isfinite(measured.rate) & np.isfinite(measured.mean) & (measured.rate > 0) & (measured.mean > 0)
    if not used.any():
        raise NotFoundError("the service had no requests with a duration in this time")
    rate, mean = measured.rate[used], measured.mean[used]
    if used.sum() < MIN_POINTS:
        raise BadInputError(f"{used.sum()} points of history with traffic: {MIN_POINTS} are needed")
    rows = list(_bins(rate, mean, measured.busy[used]))
    model = fit(History.of(rows), question.workers).scaled(question.replicas)
    ratio = _ratio(rate, mean, measured.quantile[used])
    limit = None if question.latency is None else model.limit(question.latency / ratio)
    grown = growth(measured.at[used], rate * question.traffic)
    peak = float(np.quantile(rate, 0.98))
    wanted, saturation = peak * question.traffic, model.saturation
    return Report(
        now=float(rate[-1]), peak=peak, mean=float(mean[-1]),
        in_flight=concurrency(float(rate[-1]), float(mean[-1])), ratio=ratio,
        utilisation=model.utilisation(wanted), saturation=saturation,
        at_traffic=_scaled(model.time(wanted), ratio), limit=limit,
        days=None if limit is None else _days(wanted, limit, grown), full_days=_days(wanted, saturation, grown),
        headroom=(saturation if limit is None else limit).value / wanted, growth=grown,
        scalability=fit_scalability(*_in_flight(rows)), points=int(used.sum()),
        curve=_curve(model, max(wanted, float(rate.max())), ratio, rows),
        notes=tuple(_notes(rate, model, limit, measured.busy, grown)),
    )  # fmt: skip


def _days(peak: float, limit: Estimate, grown: Growth | None) -> Estimate | None:
    """Until daily peaks reach a limit; at once where they do already."""
    if peak >= limit.value:
        return Estimate(0.0, 0.0, 0.0)
    return None if grown is None else reached(grown, limit)


def _curve(model: Mixture, busiest: float, ratio: float, rows: list[tuple[float, float, float | None]]) -> Curve:
    top = min(max(busiest * _CURVE_TOP, model.saturation.value), model.saturation.value * 1.02, busiest * 4)
    rates = np.linspace(top / _CURVE, max(top, busiest), _CURVE)
    seen = np.array([(rate, mean * ratio) for rate, mean, _ in rows])
    return Curve(
        rates, tuple(_scaled(model.time(one), ratio) for one in rates.tolist()),
        tuple(model.utilisation(one) for one in rates.tolist()), seen[:, 0], seen[:, 1],
    )  # fmt: skip


def _bins(rate: Floats, mean: Floats, busy: Floats) -> Iterator[tuple[float, float, float | None]]:
    """Points of like rate as one, by medians; at least as many as a fit needs."""
    order = np.argsort(rate)
    for part in np.array_split(order, max(MIN_POINTS, min(_BINS, len(order) // 3))):
        if len(part):
            known = busy[part][np.isfinite(busy[part])]
            share = float(np.median(known)) if len(known) else None
            yield float(np.median(rate[part])), float(np.median(mean[part])), share


def _in_flight(rows: list[tuple[float, float, float | None]]) -> tuple[Floats, Floats]:
    rates, times = (np.array([row[place] for row in rows], dtype=np.float64) for place in (0, 1))
    return rates * times, rates


def _ratio(rate: Floats, mean: Floats, quantile: Floats) -> float:
    """The quantile over the mean where there was most traffic; that of an exponential tail where it is unknown."""
    busy = (rate >= np.quantile(rate, 0.75)) & np.isfinite(quantile)
    return max(1.0, float(np.median(quantile[busy] / mean[busy]))) if busy.any() else 3.0


def _scaled(found: Estimate, ratio: float) -> Estimate:
    return Estimate(*(min(one, 1e6) * ratio for one in (found.value, found.low, found.high)))


def _notes(rate: Floats, model: Mixture, limit: Estimate | None, busy: Floats, grown: Growth | None) -> Iterator[str]:
    spread = float(np.quantile(rate, 0.98) / max(float(np.quantile(rate, 0.02)), 1e-12))
    if spread < _LEAST_SPREAD:
        yield f"traffic hardly varied (by {100 * (spread - 1):.0f} %): how times grow with it is a guess"
    if not np.isfinite(busy).any():
        yield "utilisation is not known: saturation is inferred from times alone (give --utilisation a PromQL query)"
    for name, found in (("saturation", model.saturation), ("limit", limit)):
        if found is not None and found.high > _VAGUE * max(found.low, 1e-12):
            yield f"the {name} is vague: history at this load does not tell it"
    if grown is None:
        yield f"growth is not known: history covers fewer than {LEAST_DAYS} days"
    elif not grown.season_days:
        yield "days are taken to be alike: history has gaps, or too few days to know a season"
    elif grown.slope.low <= 0 <= grown.slope.high:
        yield "peaks may as well not grow: the band of their trend holds none at all"


Ask = Callable[[str, int, int, int], tuple[Floats, Floats]]
"""A PromQL range query to one series: times in seconds and values, NaN where there are none."""


def measure(
    ask: Ask, matchers: str, start_ms: int, end_ms: int, *, quantile: float, utilisation: str | None
) -> Measured:
    """Read a service's history; steps are as long as keeps them to about a thousand."""
    step_ms = step_of(start_ms, end_ms)
    queries = {name: f"sum({rate})" for name, rate in _rates(matchers, step_ms).items() if name != "bucket"}
    at, count = ask(queries["count"], start_ms, end_ms, step_ms)
    _, total = ask(queries["sum"], start_ms, end_ms, step_ms)
    buckets = _rates(matchers, step_ms)["bucket"]
    _, high = ask(f"histogram_quantile({quantile:g}, sum by (le) ({buckets}))", start_ms, end_ms, step_ms)
    busy = np.full(len(at), np.nan) if utilisation is None else ask(utilisation, start_ms, end_ms, step_ms)[1]
    return measured_of(at, count, total, high, busy)


def step_of(start_ms: int, end_ms: int) -> int:
    """Milliseconds of a step: a thousand of them or so, whole minutes."""
    return max(60_000, math.ceil((end_ms - start_ms) / 1_000 / 60_000) * 60_000)


def queries_by(labels: str, matchers: str, step_ms: int, quantile: float) -> dict[str, str]:
    """PromQL by these labels: requests a second, milliseconds of work a second, the quantile of time."""
    rates = _rates(matchers, step_ms)
    return {
        "count": f"sum by ({labels}) ({rates['count']})",
        "sum": f"sum by ({labels}) ({rates['sum']})",
        "quantile": f"histogram_quantile({quantile:g}, sum by ({labels}, le) ({rates['bucket']}))",
    }


def _rates(matchers: str, step_ms: int) -> dict[str, str]:
    window = f"{max(120, step_ms // 1_000)}s"
    metric = "istio_request_duration_milliseconds"
    return {suffix: f"rate({metric}_{suffix}{{{matchers}}}[{window}])" for suffix in ("count", "sum", "bucket")}


def measured_of(at: Floats, count: Floats, total_ms: Floats, quantile_ms: Floats, busy: Floats) -> Measured:
    """Rates and milliseconds as they are asked for, as a history."""
    with np.errstate(invalid="ignore", divide="ignore"):
        known = np.where((busy > 0) & (busy < 1), busy, np.nan)
        return Measured(at, count, total_ms / count / 1_000, quantile_ms / 1_000, known)
