"""Queueing laws. Rates are a second, times in seconds, utilisation (rho) is the busy share of all workers, 0 to 1."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def concurrency(rate: float, time: float) -> float:
    """Little's law: requests in the system, N = X R."""
    return rate * time


def erlang_c(workers: int, rho: float | Floats) -> Floats:
    """The chance that a request waits in M/M/c; 1 where rho is 1 or more."""
    rho = np.asarray(rho, dtype=np.float64)
    inside = np.clip(rho, 0.0, 1.0)
    blocked = np.ones_like(inside)  # Erlang B by its recursion over workers
    for count in range(1, workers + 1):
        offered = inside * workers
        blocked = offered * blocked / (count + offered * blocked)
    waits: Floats = np.where(rho >= 1, 1.0, blocked / (1 - inside * (1 - blocked)))
    return waits


def waiting(workers: int, rho: float | Floats, service: float | Floats, variability: float = 1.0) -> Floats:
    """Time in the queue of G/G/c: that of M/M/c times (ca2 + cs2) / 2 (Allen and Cunneen); infinite at saturation."""
    rho = np.asarray(rho, dtype=np.float64)
    room = np.where(rho < 1, 1 - rho, 1.0)
    found: Floats = np.where(rho < 1, variability * service * erlang_c(workers, rho) / (workers * room), np.inf)
    return found


def sakasegawa(workers: int, rho: float, service: float, variability: float = 1.0) -> float:
    """The same in closed form: Wq = S (ca2 + cs2)/2 rho^(sqrt(2(c+1)) - 1) / (c (1 - rho))."""
    if rho >= 1:
        return math.inf
    return float(service * variability * rho ** (math.sqrt(2 * (workers + 1)) - 1) / (workers * (1 - rho)))


def response(workers: int, rho: float, service: float, variability: float = 1.0) -> float:
    """Time in the system: service and queue."""
    return service + float(waiting(workers, rho, service, variability))


@dataclass(frozen=True, slots=True)
class Scalability:
    """The Universal Scalability Law: X(N) = l N / (1 + s (N - 1) + k N (N - 1)).

    `l` is the rate of one alone, `s` the share that is serial, `k` what keeping in step costs.
    """

    one: float
    serial: float
    crosstalk: float

    def rate(self, n: float | Floats) -> Floats:
        """Throughput with n in the system."""
        n = np.asarray(n, dtype=np.float64)
        found: Floats = self.one * n / (1 + self.serial * (n - 1) + self.crosstalk * n * (n - 1))
        return found

    @property
    def peak(self) -> float:
        """The concurrency with the highest throughput: sqrt((1 - s) / k); infinite without crosstalk."""
        return math.sqrt((1 - self.serial) / self.crosstalk) if self.crosstalk > 0 else math.inf

    @property
    def ceiling(self) -> float:
        """The highest throughput there is."""
        if self.crosstalk > 0:
            return float(self.rate(max(1.0, self.peak)))
        return self.one / self.serial if self.serial > 0 else math.inf


def fit_scalability(n: Floats, rate: Floats) -> Scalability:
    """The law fitted to concurrency and throughput, coefficients not negative.

    N / X is a straight sum of 1, N - 1 and N (N - 1), so that non-negative least squares finds the one best fit.
    """
    from scipy.optimize import nnls  # noqa: PLC0415  # loaded when first needed

    columns = np.stack([np.ones_like(n), n - 1, n * (n - 1)], axis=1)
    weights = rate / n  # relative errors count
    found, _ = nnls(columns * weights[:, None], np.ones_like(n))
    base = max(float(found[0]), 1e-12)
    return Scalability(1 / base, float(found[1]) / base, float(found[2]) / base)
