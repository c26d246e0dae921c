"""A service's capacity from the mesh's own metrics: what it does now, what it can do, and when it will be too little.

History is read as rate, mean time and a quantile of time on a grid, gathered into bins of like rate (medians, so that
an incident does not pass for load), and explained by the queue models. An objective on a quantile becomes one on the
mean by their ratio in the busiest quarter of history; the ratio is told. Growth is the median slope of daily peaks
(Theil and Sen).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.capacity.laws import Scalability, concurrency, fit_scalability
from windvane.analytics.capacity.queue import MIN_POINTS, Estimate, History, Mixture, fit
from windvane.kit.errors import BadInputError, NotFoundError

Floats = NDArray[np.float64]

_BINS = 40
_LEAST_SPREAD = 1.3
_VAGUE = 3.0
_DAY = 86_400.0
_LEAST_DAYS = 3


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
    factors on today's."""

    latency: float | None = None
    quantile: float = 0.95
    replicas: float = 1.0
    traffic: float = 1.0

    def __post_init__(self) -> None:
        if not 0.5 <= self.quantile < 1:
            raise BadInputError(f"quantile must lie between 0.5 and 1, not {self.quantile:g}")
        if self.replicas <= 0 or self.traffic <= 0 or (self.latency is not None and self.latency <= 0):
            raise BadInputError("latency, replicas and traffic must be above zero")


@dataclass(frozen=True, slots=True)
class Report:
    """Rates are requests a second, times seconds. `limit` is the highest rate that meets the objective, `days` until
    daily peaks reach it (None: they do not grow so far), `notes` what makes the figures less sure.
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
    growth: float | None
    scalability: Scalability
    points: int
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
    model = fit(History.of(rows)).scaled(question.replicas)
    ratio = _ratio(rate, mean, measured.quantile[used])
    limit = None if question.latency is None else model.limit(question.latency / ratio)
    growth = _growth(measured.at[used], rate)
    peak = float(np.quantile(rate, 0.98))
    wanted = peak * question.traffic
    return Report(
        now=float(rate[-1]), peak=peak, mean=float(mean[-1]),
        in_flight=concurrency(float(rate[-1]), float(mean[-1])), ratio=ratio,
        utilisation=model.utilisation(wanted), saturation=model.saturation,
        at_traffic=_scaled(model.time(wanted), ratio), limit=limit, days=_days(peak, limit, growth),
        growth=None if growth is None else growth.value, scalability=fit_scalability(*_in_flight(rows)),
        points=int(used.sum()), notes=tuple(_notes(rate, model, limit, measured.busy, growth)),
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


def _growth(at: Floats, rate: Floats) -> Estimate | None:
    """Growth of daily peaks a day, of the logarithm; None with fewer than three days."""
    days = np.ceil((at - at[-1]) / _DAY)  # 0 is the last whole day
    peaks = [(float(day), float(np.quantile(rate[days == day], 0.98))) for day in np.unique(days)]
    if len(peaks) < _LEAST_DAYS or peaks[-1][0] - peaks[0][0] < _LEAST_DAYS - 1:
        return None
    slopes = [
        (math.log(later[1]) - math.log(earlier[1])) / (later[0] - earlier[0])
        for place, earlier in enumerate(peaks) for later in peaks[place + 1 :]
    ]  # fmt: skip
    low, middle, high = (float(one) for one in np.quantile(slopes, (0.1, 0.5, 0.9)))
    return Estimate(middle, low, high)


def _days(peak: float, limit: Estimate | None, growth: Estimate | None) -> Estimate | None:
    """Until daily peaks reach the limit."""
    if limit is None or growth is None or growth.value <= 0:
        return None

    def until(rate: float, slope: float) -> float:
        return max(0.0, math.log(rate / peak) / slope) if rate > 0 and slope > 0 else (0.0 if rate <= 0 else math.inf)

    return Estimate(until(limit.value, growth.value), until(limit.low, growth.high), until(limit.high, growth.low))


def _notes(
    rate: Floats, model: Mixture, limit: Estimate | None, busy: Floats, growth: Estimate | None
) -> Iterator[str]:
    spread = float(np.quantile(rate, 0.98) / max(float(np.quantile(rate, 0.02)), 1e-12))
    if spread < _LEAST_SPREAD:
        yield f"traffic hardly varied (by {100 * (spread - 1):.0f} %): how times grow with it is a guess"
    if not np.isfinite(busy).any():
        yield "utilisation is not known: saturation is inferred from times alone (give --utilisation a PromQL query)"
    for name, found in (("saturation", model.saturation), ("limit", limit)):
        if found is not None and found.high > _VAGUE * max(found.low, 1e-12):
            yield f"the {name} is vague: history at this load does not tell it"
    if growth is None:
        yield f"growth is not known: history covers fewer than {_LEAST_DAYS} days"


Ask = Callable[[str, int, int, int], tuple[Floats, Floats]]
"""A PromQL range query to one series: times in seconds and values, NaN where there are none."""


def measure(
    ask: Ask, matchers: str, start_ms: int, end_ms: int, *, quantile: float, utilisation: str | None
) -> Measured:
    """Read a service's history; steps are as long as keeps them to about a thousand."""
    step_ms = max(60_000, math.ceil((end_ms - start_ms) / 1_000 / 60_000) * 60_000)
    window = f"{max(120, step_ms // 1_000)}s"
    metric = "istio_request_duration_milliseconds"

    def rate(suffix: str) -> str:
        return f"rate({metric}_{suffix}{{{matchers}}}[{window}])"

    at, count = ask(f"sum({rate('count')})", start_ms, end_ms, step_ms)
    _, total = ask(f"sum({rate('sum')})", start_ms, end_ms, step_ms)
    _, high = ask(f"histogram_quantile({quantile:g}, sum by (le) ({rate('bucket')}))", start_ms, end_ms, step_ms)
    busy = np.full(len(at), np.nan) if utilisation is None else ask(utilisation, start_ms, end_ms, step_ms)[1]
    with np.errstate(invalid="ignore", divide="ignore"):
        return Measured(at, count, total / count / 1_000, high / 1_000, np.where((busy > 0) & (busy < 1), busy, np.nan))
