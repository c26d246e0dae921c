"""The score that Kayenta's NetflixACAJudge-v1.0 would give, for comparison with its users' habits.

Each metric is a series of values a side; it is classified by Wilcoxon's rank-sum test in its normal approximation
(ties corrected, continuity 0.5): a confidence interval of the shift at 98 % beyond 0.25 of the Hodges-Lehmann estimate
means High or Low. It takes values of neighbouring minutes for independent and is not corrected for looks or metrics,
which is why our verdict does not rest on it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from windvane.analytics import grouped
from windvane.analytics.releases.counts import Counts

Floats = NDArray[np.float64]
Label = Literal["Pass", "High", "Low", "Nodata"]
Direction = Literal["increase", "decrease", "either"]

TOLERANCE = 0.25
CONFIDENCE = 0.98


@dataclass(frozen=True, slots=True)
class Shift:
    """The experiment's shift against the control: estimate and interval."""

    estimate: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Classified:
    """A metric and what Kayenta would call it; `ratio` is that of means, None where the control's is zero."""

    name: str
    label: Label
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Score:
    """0 to 100: the share of metrics that pass; and the word for it."""

    score: float
    label: Literal["Pass", "Marginal", "Fail"]
    metrics: tuple[Classified, ...]


def shift(control: Floats, experiment: Floats, confidence: float = CONFIDENCE) -> Shift:
    """Interval and estimate of the shift, by the roots of the test's statistic."""
    from scipy.optimize import brentq  # noqa: PLC0415  # loaded when first needed
    from scipy.special import ndtri  # noqa: PLC0415

    low, high = float(experiment.min() - control.max()), float(experiment.max() - control.min())
    z = float(ndtri((1 + confidence) / 2))

    def root(quantile: float, continuity: float) -> float:
        def away(mu: float) -> float:
            return _statistic(control, experiment - mu, continuity) - quantile

        first, last = away(low), away(high)
        if first <= 0:
            return low
        return high if last >= 0 else float(brentq(away, low, high, xtol=1e-4))

    return Shift(root(0.0, 0.0), root(z, 0.5), root(-z, 0.5))


def _statistic(control: Floats, experiment: Floats, continuity: float) -> float:
    from scipy.stats import rankdata  # noqa: PLC0415  # loaded when first needed

    n, m = len(experiment), len(control)
    together = np.concatenate([experiment, control])
    ranks = rankdata(together)
    away = float(ranks[:n].sum()) - n * (n + 1) / 2 - n * m / 2
    _, ties = np.unique(together, return_counts=True)
    total = n + m
    spread = math.sqrt(n * m / 12 * (total + 1 - float((ties**3 - ties).sum()) / (total * (total - 1))))
    return (away - math.copysign(continuity, away) * (away != 0)) / spread if spread else 0.0


def classify(name: str, control: Floats, experiment: Floats, direction: Direction = "increase") -> Classified:
    """One metric; values that are not numbers are left out, as Kayenta's default does."""
    control, experiment = control[np.isfinite(control)], experiment[np.isfinite(experiment)]
    if not len(control) or not len(experiment):
        return Classified(name, "Nodata", None)
    mean = float(control.mean())
    ratio = float(experiment.mean()) / mean if mean else None
    if np.array_equal(np.sort(control), np.sort(experiment)) or len(np.unique([*control, *experiment])) == 1:
        return Classified(name, "Pass", ratio)
    if len(np.unique(control)) == len(np.unique(experiment)) == 1:
        rng = np.random.default_rng(0)  # two constants: a little noise, so that there is something to rank
        control = control + rng.normal(0, 1e-5 * abs(control[0]) or 1e-5, len(control))
        experiment = experiment + rng.normal(0, 1e-5 * abs(experiment[0]) or 1e-5, len(experiment))
    found = shift(control, experiment)
    limit = TOLERANCE * abs(found.estimate)
    if direction in ("increase", "either") and found.low > limit and (ratio is None or ratio >= 1):
        return Classified(name, "High", ratio)
    if direction in ("decrease", "either") and found.high < -limit and (ratio is None or ratio <= 1):
        return Classified(name, "Low", ratio)
    return Classified(name, "Pass", ratio)


def score(metrics: Sequence[Classified], good: float = 95, marginal: float = 75) -> Score:
    """Of all metrics as one group: passes over those with data; where half or more have none it is 0."""
    known = [one for one in metrics if one.label != "Nodata"]
    if 2 * len(known) <= len(metrics):
        return Score(0.0, "Fail", tuple(metrics))
    value = 100 * sum(one.label == "Pass" for one in known) / len(known)
    label: Literal["Pass", "Marginal", "Fail"] = (
        "Pass" if value >= good else "Marginal" if value >= marginal else "Fail"
    )
    return Score(value, label, tuple(metrics))


def score_of(counts: Counts) -> Score:
    """What Kayenta would say of error rate, mean and p99 of times, a value a minute each."""
    middles = _middles(counts.bounds)
    series: dict[str, list[Floats]] = {"error rate": [], "mean time": [], "p99": []}
    for arm in (counts.base, counts.canary):
        requests = arm.requests.sum(axis=0)
        with np.errstate(invalid="ignore", divide="ignore"):
            series["error rate"].append(arm.errors.sum(axis=0) / requests)
            series["mean time"].append(arm.times @ middles / arm.times.sum(axis=1))
        p99 = (grouped.quantile(counts.bounds, minute, 0.99) for minute in arm.times)
        series["p99"].append(np.array([math.nan if one is None else one for one in p99]))
    return score([classify(name, sides[0], sides[1]) for name, sides in series.items()])


def _middles(bounds: Floats) -> Floats:
    lower = np.concatenate([[0.0], bounds[:-1]])
    return np.where(np.isfinite(bounds), (lower + bounds) / 2, lower)
