"""A queue with c workers fitted to a service's history of rate and latency (and utilisation, where it is known).

Times follow S(x) + Wq(x): the service time grows with the load as in the Universal Scalability Law, S(x) = c / (A - B
x), so that utilisation is x / (A - B x) and saturation at A / (1 + B); the queue is that of G/G/c. For every number
of workers the rest is fitted by least squares of logarithms with weak priors; the models are then averaged by how
well they fit, because history at light load does not tell a few fast workers from many slow ones; few are believed
before many.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.capacity.laws import waiting
from windvane.kit.errors import BadInputError

Floats = NDArray[np.float64]

WORKERS = (1, 2, 3, 4, 6, 8, 11, 16, 23, 32, 64)
MIN_POINTS = 8
_VARIABILITY = 0.5
"""Standard deviation of the prior on the logarithm of (ca2 + cs2) / 2; its middle is 1, a Poisson stream."""
_SLOWDOWN = 0.15
"""Scale of the prior on B: workers seldom disturb each other much."""
_BUSY_NOISE = 0.03
_TIME_NOISE = 0.02
_SAFEST = 0.985
_GRID = np.concatenate([np.linspace(0, 0.8, 81)[:-1], np.linspace(0.8, _SAFEST, 112)])
_DISCREPANCY = np.diag([0.04, 0.3, 0.0]) ** 2
"""Variances that bands have beyond the fit's own, of the logarithms: a queue is a simplification of a service. Chosen
so that bands hold 80 % of simulated limits."""


@dataclass(frozen=True, slots=True)
class History:
    """A service's past: requests a second, mean time in seconds, and the busy share of workers (NaN where unknown)."""

    rate: Floats
    time: Floats
    busy: Floats

    @classmethod
    def of(cls, rows: Sequence[tuple[float, float, float | None]]) -> History:
        """Rows of rate, time, utilisation; those without traffic are left out. `BadInputError` when too few."""
        kept = [(x, t, math.nan if u is None else u) for x, t, u in rows if x > 0 and t > 0 and math.isfinite(t)]
        if len(kept) < MIN_POINTS:
            raise BadInputError(f"{len(kept)} points of history with traffic: {MIN_POINTS} are needed")
        table = np.array(sorted(kept), dtype=np.float64)
        return cls(table[:, 0], table[:, 1], table[:, 2])


@dataclass(frozen=True, slots=True)
class Queue:
    """One fitted model; `weight` is how much it counts among its like (sum one)."""

    workers: int
    top: float
    slowdown: float
    variability: float
    weight: float

    @property
    def saturation(self) -> float:
        """The rate at which all workers are always busy."""
        return self.top / (1 + self.slowdown)

    def utilisation(self, rate: float | Floats) -> Floats:
        """Busy share at a rate."""
        return _busy(np.asarray(rate, dtype=np.float64), self.top, self.slowdown)

    def time(self, rate: float | Floats) -> Floats:
        """Mean time in the system, seconds; infinite from saturation on."""
        return _time(np.asarray(rate, dtype=np.float64), self.workers, self.top, self.slowdown, self.variability)

    def limit(self, seconds: float) -> float:
        """The highest rate at which the mean time is at most this; 0 where it never is."""
        rates = self.saturation * _GRID
        within = np.flatnonzero(self.time(rates) <= seconds)
        if not len(within):
            return 0.0
        last = int(within[-1])
        if last == len(rates) - 1:
            return float(rates[-1])
        first, second = self.time(rates[last : last + 2])
        return float(rates[last] + (rates[last + 1] - rates[last]) * (seconds - first) / (second - first))

    def scaled(self, factor: float) -> Queue:
        """The same with more (or fewer) replicas: workers and saturation grow in proportion."""
        workers = max(1, round(self.workers * factor))
        return Queue(workers, self.top * factor, self.slowdown, self.variability, self.weight)


def _busy(rate: Floats, top: float, slowdown: float) -> Floats:
    left = top - slowdown * rate
    found: Floats = np.where(left > rate, rate / np.where(left > 0, left, 1.0), 1.0)
    return found


def _time(rate: Floats, workers: int, top: float, slowdown: float, variability: float) -> Floats:
    rho = _busy(rate, top, slowdown)
    service = workers / np.maximum(top - slowdown * rate, top / (1 + slowdown) * 1e-3)
    found: Floats = service + waiting(workers, rho, service, variability)
    return found


@dataclass(frozen=True, slots=True)
class Estimate:
    """A figure and the band that holds it with 80 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Mixture:
    """All models, and draws from around each for bands."""

    queues: tuple[Queue, ...]
    draws: tuple[Queue, ...]

    def time(self, rate: float) -> Estimate:
        """Mean time at a rate."""
        logs = np.log(np.minimum([float(one.time(rate)) for one in self.queues], 1e6))
        weights = np.array([one.weight for one in self.queues])
        return self._band(math.exp(float(weights @ logs)), [float(one.time(rate)) for one in self.draws])

    def limit(self, seconds: float) -> Estimate:
        """The highest rate that keeps the mean time at or below this."""
        value = self._cautious([one.limit(seconds) for one in self.queues])
        return self._band(value, [one.limit(seconds) for one in self.draws])

    @property
    def saturation(self) -> Estimate:
        """The rate at which the queue grows without end."""
        value = self._cautious([one.saturation for one in self.queues])
        return self._band(value, [one.saturation for one in self.draws])

    def utilisation(self, rate: float) -> Estimate:
        """Busy share at a rate."""
        value = sum(one.weight * float(one.utilisation(rate)) for one in self.queues)
        return self._band(value, [float(one.utilisation(rate)) for one in self.draws])

    def scaled(self, factor: float) -> Mixture:
        """With so many times the replicas."""
        return Mixture(
            tuple(one.scaled(factor) for one in self.queues), tuple(one.scaled(factor) for one in self.draws)
        )

    def _cautious(self, rates: Sequence[float]) -> float:
        """The rate that two thirds of the belief exceed: one too high costs an outage, one too low a replica."""
        return _quantile(rates, [one.weight for one in self.queues], _CAUTION)

    def _band(self, value: float, draws: Sequence[float]) -> Estimate:
        weights = [one.weight for one in self.draws]
        low, high = (_quantile(draws, weights, q) for q in (0.1, 0.9))
        return Estimate(value, min(value, low), max(value, high))


def _quantile(values: Sequence[float], weights: Sequence[float], q: float) -> float:
    order = np.argsort(values)
    upto = np.cumsum(np.asarray(weights)[order])
    return float(np.asarray(values)[order[min(int(np.searchsorted(upto, q * upto[-1])), len(order) - 1)]])


_CAUTION = 1 / 3
_DRAWS = 40


COARSE = (1, 2, 4, 8, 16, 32)
"""Numbers of workers for many services at once: half the work, limits a little less sharp."""


def fit(history: History, counts: Sequence[int] = WORKERS) -> Mixture:
    """The models that explain a history, of so many workers."""
    found = [_fit(history, workers) for workers in counts]
    best = min(cost for _, _, cost in found)
    rng = np.random.default_rng(1)  # bands are the same each time they are asked for
    weights = [math.exp(min(0.0, best - cost)) / workers for workers, (_, _, cost) in zip(counts, found, strict=True)]
    queues, draws = [], []
    for workers, (at, spread, _), weight in zip(counts, found, weights, strict=True):
        share = weight / sum(weights)
        if share < 1e-4:
            continue
        queues.append(_queue(at, workers, share))
        draws += [
            _queue(one, workers, share)
            for one in rng.multivariate_normal(at, 2 * spread + _DISCREPANCY, _DRAWS, check_valid="ignore")
        ]
    return Mixture(tuple(queues), tuple(draws))


def _queue(at: Floats, workers: int, weight: float) -> Queue:
    top, variability, slowdown = (float(one) for one in np.exp(np.clip(at, -20, 20)))
    return Queue(workers, top, slowdown, variability, weight)


def _noise(times: Floats) -> Floats:
    """How much means of a while scatter, as logarithms: the more of the time was waiting, the more.

    It rests on what was seen alone: a noise that depended on the model would reward models that expect much of it.
    """
    alone = float(np.quantile(times, 0.1))
    noise: Floats = _TIME_NOISE + 0.05 * np.clip(times / alone - 1, 0.0, 4.0)
    return noise


def _fit(history: History, workers: int) -> tuple[Floats, Floats, float]:
    """Logarithms of top, variability and slowdown; their covariance; the cost of the fit."""
    from scipy.optimize import least_squares  # noqa: PLC0415  # loaded when first needed

    rate, known = history.rate, np.isfinite(history.busy) & (history.busy > 0)
    if known.any():
        top = float(np.median(rate[known] / history.busy[known]))
    else:
        top = max(workers / float(history.time[: max(3, len(rate) // 5)].min()), float(rate.max()) * 1.2)

    noise = _noise(history.time)

    def residuals(at: Floats) -> Floats:
        own = np.exp(np.clip(at, -20, 20))
        rho = _busy(rate, own[0], own[2])
        expected = np.minimum(_time(rate, workers, own[0], own[2], own[1]), 1e6)
        parts = [
            np.log(history.time / expected) / noise,
            np.log(history.busy[known] / np.minimum(rho[known], 1)) / _BUSY_NOISE,
            np.array([at[1] / _VARIABILITY, own[2] / _SLOWDOWN, (at[2] + 5) / 4]),
        ]
        return np.concatenate(parts)

    start = np.array([math.log(top), 0.0, -5.0])
    done = least_squares(residuals, start, loss="soft_l1", f_scale=3.0, max_nfev=60)
    hessian = done.jac.T @ done.jac + 1e-9 * np.eye(len(start))
    spread = np.linalg.inv(hessian)
    return done.x, spread, float(done.cost)
