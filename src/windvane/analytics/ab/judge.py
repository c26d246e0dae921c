"""The verdict on an A/B test: the split first, then every metric with its interval, Holm's correction over all of them.

A table has a row a unit; where a unit has several rows they are added up first, so that what was randomised is what is
counted. No metric is told as won or lost where the split is broken.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.ab.effects import MISMATCH, Effect, cuped, mean_effect, ratio_effect, sample_ratio
from windvane.kit.errors import BadInputError
from windvane.tracing.analysis.statistics import holm

Floats = NDArray[np.float64]
Verdict = Literal["better", "worse", "no difference shown", "not judged"]


@dataclass(frozen=True, slots=True)
class Metric:
    """A column's mean, or with `over` the ratio of two columns' sums; `before` is a covariate for CUPED."""

    name: str
    over: str | None = None
    before: str | None = None
    lower_is_better: bool = False

    @classmethod
    def parse(cls, text: str, lower_is_better: bool = False) -> Metric:
        """`clicks`, `clicks/views`, or `revenue~revenue_before`."""
        name, tilde, before = text.partition("~")
        above, slash, over = name.partition("/")
        if not above or (tilde and not before) or (slash and (not over or tilde)):
            raise BadInputError(f"not a metric: {text!r} (expected COLUMN, COLUMN/COLUMN or COLUMN~COVARIATE)")
        return cls(above, over or None, before or None, lower_is_better)

    @property
    def label(self) -> str:
        """As it was written."""
        return f"{self.name}/{self.over}" if self.over else self.name

    def columns(self) -> list[str]:
        """The columns it needs."""
        return [one for one in (self.name, self.over, self.before) if one]


@dataclass(frozen=True, slots=True)
class Outcome:
    """A metric's effect, its p-value after the correction, and what it says."""

    metric: Metric
    effect: Effect
    adjusted: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judged:
    """Units of both arms, the p-value of the split, and every metric."""

    a: str
    b: str
    units: tuple[int, int]
    split: float
    outcomes: tuple[Outcome, ...]

    @property
    def valid(self) -> bool:
        """Whether the split is as it was meant."""
        return self.split >= MISMATCH


@dataclass(frozen=True, slots=True)
class Table:
    """Units' arms, and their values by column."""

    arms: NDArray[np.str_]
    columns: Mapping[str, Floats]

    def arm(self, name: str, column: str) -> Floats:
        """Values of one arm."""
        if column not in self.columns:
            raise BadInputError(f"no column {column!r}; there are {', '.join(sorted(self.columns))}")
        chosen: Floats = self.columns[column][self.arms == name]
        return chosen


def judge(
    table: Table,
    arms: tuple[str, str],
    metrics: Sequence[Metric],
    *,
    weights: tuple[float, float] = (1, 1),
    alpha: float = 0.05,
) -> Judged:
    """Judge B against A."""
    units = [int((table.arms == name).sum()) for name in arms]
    if not metrics:
        raise BadInputError("no metric is named")
    for name, count in zip(arms, units, strict=True):
        if not count:
            raise BadInputError(f"no unit of arm {name!r}; there are {', '.join(sorted(set(table.arms.tolist())))}")
    split = sample_ratio(units, weights)
    effects = [effect_of(table, arms, metric, 1 - alpha) for metric in metrics]
    adjusted = holm(np.array([one.p for one in effects]))
    outcomes = [
        Outcome(metric, effect, float(p), _verdict(metric, effect, float(p) < alpha, split >= MISMATCH))
        for metric, effect, p in zip(metrics, effects, adjusted, strict=True)
    ]
    return Judged(*arms, (units[0], units[1]), split, tuple(outcomes))


def effect_of(table: Table, arms: tuple[str, str], metric: Metric, confidence: float) -> Effect:
    """One metric's effect, by the method that its form asks for."""
    a, b = (table.arm(name, metric.name) for name in arms)
    if metric.over:
        over = [table.arm(name, metric.over) for name in arms]
        return ratio_effect((a, over[0]), (b, over[1]), confidence)
    if metric.before:
        before = [table.arm(name, metric.before) for name in arms]
        return cuped(a, b, before[0], before[1], confidence)
    return mean_effect(a, b, confidence)


def _verdict(metric: Metric, effect: Effect, shown: bool, valid: bool) -> Verdict:
    if not valid:
        return "not judged"
    if not shown:
        return "no difference shown"
    return "better" if (effect.effect > 0) != metric.lower_is_better else "worse"
