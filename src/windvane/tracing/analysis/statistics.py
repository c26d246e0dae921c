"""Tests and intervals that findings rest on; plain functions, NumPy only.

- `fisher`: two-sided exact test of a 2x2 table, the sum over tables as unlikely (R. A. Fisher 1935).
- `share_difference`: Newcombe's hybrid score interval, his method 10 (Statistics in Medicine 17, 1998).
- `share_ratio`: the log interval with a half added to every count (Walter; Agresti, Categorical Data Analysis).
- `brunner_munzel`: which of two samples tends to be larger, for any shapes and spreads (Biometrical Journal 42, 2000).
- `benjamini_hochberg` (J. R. Stat. Soc. B 57, 1995), `holm` (Scand. J. Stat. 6, 1979): adjusted p-values.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from windvane.kit.shares import Z95, wilson
from windvane.tracing.analysis.spans import Floats, Ints

_ALIKE = 1 + 1e-7  # tables count as equally unlikely within rounding
_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate and its 95 % confidence interval."""

    value: float
    low: float
    high: float


def fisher(a: Ints, n: int, b: Ints, m: int) -> Floats:
    """P-values for `a` of `n` against `b` of `m`, a table each."""
    logs = np.concatenate([np.zeros(1), np.cumsum(np.log(np.arange(1, n + m + 1)))])
    known: dict[tuple[int, int], float] = {}
    for pair in zip(a.tolist(), b.tolist(), strict=True):
        if pair not in known:
            known[pair] = _fisher(pair[0], n, sum(pair), n + m, logs)
    return np.array([known[pair] for pair in zip(a.tolist(), b.tolist(), strict=True)])


def _fisher(a: int, n: int, hits: int, total: int, logs: Floats) -> float:
    possible = np.arange(max(0, hits - (total - n)), min(hits, n) + 1)
    chances = np.exp(
        logs[hits] - logs[possible] - logs[hits - possible]
        + logs[total - hits] - logs[n - possible] - logs[total - hits - n + possible]
        - (logs[total] - logs[n] - logs[total - n])
    )  # fmt: skip
    return min(1.0, float(chances[chances <= chances[a - possible[0]] * _ALIKE].sum()))


def share_of(hits: int, of: int) -> Interval:
    """A share and its score interval."""
    return Interval(hits / of if of else 0.0, *wilson(hits, of))


def share_difference(a: int, n: int, b: int, m: int) -> Interval:
    """a/n - b/m."""
    first, second = share_of(a, n), share_of(b, m)
    difference = first.value - second.value
    return Interval(
        difference,
        difference - math.hypot(first.value - first.low, second.high - second.value),
        difference + math.hypot(first.high - first.value, second.value - second.low),
    )


def share_ratio(a: int, n: int, b: int, m: int) -> Interval:
    """(a/n) / (b/m), a half added to every count so that it is finite."""
    ratio = ((a + 0.5) / (n + 0.5)) / ((b + 0.5) / (m + 0.5))
    spread = math.sqrt(max(0.0, 1 / (a + 0.5) - 1 / (n + 0.5) + 1 / (b + 0.5) - 1 / (m + 0.5)))
    return Interval(ratio, ratio * math.exp(-Z95 * spread), ratio * math.exp(Z95 * spread))


@dataclass(frozen=True, slots=True)
class Superiority:
    """P(first > second) + P(equal)/2 with its interval, and the p-value of its being one half."""

    chance: Interval
    p: float


def brunner_munzel(first: Floats, second: Floats) -> Superiority:
    """Whether values of `first` tend to be larger; both need two values at least.

    Where the samples do not overlap, variances are zero: the p-value is then that of the most extreme of
    all divisions of the values into two such samples, two-sided.
    """
    n, m = len(first), len(second)
    together = _midranks(np.concatenate([first, second]))
    inner_first, inner_second = _midranks(first), _midranks(second)
    mean = float(together[:n].mean())
    chance = (mean - (n + 1) / 2) / m
    spread_first = float(((together[:n] - inner_first - mean + (n + 1) / 2) ** 2).sum()) / (n - 1)
    rest = float(together[n:].mean())
    spread_second = float(((together[n:] - inner_second - rest + (m + 1) / 2) ** 2).sum()) / (m - 1)
    error2 = spread_first / (m * m * n) + spread_second / (n * n * m)
    if error2 <= 0:
        if chance in (0.0, 1.0):
            ways = math.lgamma(n + m + 1) - math.lgamma(n + 1) - math.lgamma(m + 1)
            return Superiority(Interval(chance, chance, chance), min(1.0, 2 * math.exp(-ways)))
        return Superiority(Interval(chance, chance, chance), 1.0)
    error = math.sqrt(error2)
    weights = spread_first / m + spread_second / n
    freedom = weights**2 / ((spread_first / m) ** 2 / (n - 1) + (spread_second / n) ** 2 / (m - 1))
    half = t_quantile(freedom) * error
    chances = Interval(chance, max(0.0, chance - half), min(1.0, chance + half))
    return Superiority(chances, t_two_sided((chance - 0.5) / error, freedom))


def _midranks(values: Floats) -> Floats:
    """Ranks from 1; equal values share the mean of theirs."""
    ordered = np.sort(values)
    left = np.searchsorted(ordered, values, side="left")
    return (left + np.searchsorted(ordered, values, side="right") + 1) / 2


def t_two_sided(t: float, freedom: float) -> float:
    """P(|T| >= |t|) of Student's distribution."""
    return incomplete_beta(freedom / 2, 0.5, freedom / (freedom + t * t))


def t_quantile(freedom: float) -> float:
    """The half-width of a 95 % interval, by bisection."""
    low, high = 0.0, 2.0
    while t_two_sided(high, freedom) > 0.05:
        high *= 2
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if t_two_sided(middle, freedom) > 0.05 else (low, middle)
    return high


def incomplete_beta(a: float, b: float, x: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22), Lentz's way."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - incomplete_beta(b, a, 1 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    c, d, value = 1.0, 0.0, 1.0
    for step in range(1, 2_000):
        half = step // 2
        if step % 2:
            term = -(a + half) * (a + b + half) * x / ((a + 2 * half) * (a + 2 * half + 1))
        else:
            term = half * (b - half) * x / ((a + 2 * half - 1) * (a + 2 * half))
        d = 1 / _nonzero(1 + term * d)
        c = _nonzero(1 + term / c)
        value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return front / value


def _nonzero(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def benjamini_hochberg(p: Floats) -> Floats:
    """P-values adjusted so that those below q are false in a share q at most, on average."""
    count = len(p)
    order = np.argsort(p, kind="stable")
    scaled = p[order] * count / np.arange(1, count + 1)
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(1.0, np.minimum.accumulate(scaled[::-1])[::-1])
    return adjusted


def holm(p: Floats) -> Floats:
    """P-values adjusted so that the chance of any false one below alpha is alpha at most."""
    count = len(p)
    order = np.argsort(p, kind="stable")
    adjusted = np.empty(count)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(p[order] * (count - np.arange(count))))
    return adjusted


def binomial_tail(hits: int, of: int, share: float) -> float:
    """P(X >= hits) of `of` tries that succeed with a chance of `share`."""
    return 1.0 if hits <= 0 else incomplete_beta(hits, of - hits + 1, share)


def precedence(above: int, of: int, rank: int, baseline: int) -> float:
    """P-value of `above` of `of` values exceeding the `rank`-th largest of `baseline` values of the same distribution.

    Exact for values that do not tie (the precedence test; Nelson, Technometrics 5, 1963): among the
    `above + rank - 1` largest of all, fewer than `rank` are the baseline's. A large baseline's value is as good as
    the distribution's own, and the test is the binomial one.
    """
    if above <= 0:
        return 1.0
    if baseline > _LARGE:
        return binomial_tail(above, of, rank / baseline)
    total, top = of + baseline, above + rank - 1
    first = max(0, top - of)
    ways = _log_ways(total, top)
    return min(1.0, sum(
        math.exp(_log_ways(baseline, own) + _log_ways(of, top - own) - ways) for own in range(first, rank)
    ))  # fmt: skip


def _log_ways(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


_LARGE = 100_000
