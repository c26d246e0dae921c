"""Comparison of two histograms: a mesh keeps counts between bounds, not the times of single requests.

Counts are arrays of one number a bucket, lowest bucket first; samples become such counts by `group`. A test gives each
bucket a score, the same for all requests in it, and asks whether the canary's sum of scores is larger than if arms had
been drawn by lot (the permutation distribution, which needs no model of latencies):

- `normal_scores`: where the bucket's middle rank lies in a normal distribution (van der Waerden). Finds shifts better
  than Wilcoxon's plain ranks where latencies are near log-normal, and is as robust: only ranks count.
- `tail_test`: the share beyond a bound that about one request in a hundred exceeds, by the exact hypergeometric test.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

TAIL = 0.01
"""The share of all requests that the tail test looks at."""
_RANK_SHARE, _TAIL_SHARE = 0.65, 0.25
"""How the error of a verdict is divided; the rest is kept back for what normal approximations get wrong."""


@dataclass(frozen=True, slots=True)
class ScoreTest:
    """A sum of scores in standard deviations, and the chance of one as large where there is no difference."""

    z: float
    p: float


@dataclass(frozen=True, slots=True)
class TailTest:
    """Requests in buckets from `bucket` on, of either arm, and the chance of as many of the canary's."""

    bucket: int
    base: int
    canary: int
    p: float


@dataclass(frozen=True, slots=True)
class Comparison:
    """Whether the canary is slower: one p-value for both tests, and P(slower) + P(equal)/2 of a pair of requests."""

    p: float
    rank: ScoreTest
    tail: TailTest | None
    superiority: float


def group(base: Floats, canary: Floats) -> tuple[Ints, Ints]:
    """Samples as counts, a bucket a distinct value."""
    values, places = np.unique(np.concatenate([base, canary]), return_inverse=True)
    first = np.bincount(places[: len(base)], minlength=len(values)).astype(np.int64)
    return first, np.bincount(places, minlength=len(values)).astype(np.int64) - first


def middle_ranks(counts: Floats | Ints) -> Floats:
    """For each bucket the middle of its requests' ranks, as a share of all (0 to 1)."""
    total = counts.sum()
    shares: Floats = (np.cumsum(counts) - counts / 2) / total
    return shares


def normal_scores(counts: Floats | Ints) -> Floats:
    """For each bucket the normal quantile of its middle rank."""
    from scipy.special import ndtri  # noqa: PLC0415  # loaded when first needed

    scores: Floats = ndtri(np.clip(middle_ranks(counts), 1e-12, 1 - 1e-12))
    return scores


def score_test(scores: Floats, base: Floats | Ints, canary: Floats | Ints) -> ScoreTest:
    """One-sided: large sums of the canary's scores count."""
    pooled = base + canary
    n, m = float(base.sum()), float(canary.sum())
    if not n or not m:
        return ScoreTest(0.0, 1.0)
    total = n + m
    centred = scores - float(pooled @ scores) / total
    variance = n * m / (total * max(total - 1, 1)) * float(pooled @ centred**2)
    if variance <= 0:
        return ScoreTest(0.0, 1.0)
    z = float(canary @ centred) / math.sqrt(variance)
    return ScoreTest(z, 0.5 * math.erfc(z / math.sqrt(2)))


def mann_whitney(base: Ints, canary: Ints) -> ScoreTest:
    """Wilcoxon's rank-sum test on grouped data, corrected for ties; one-sided as `score_test`."""
    return score_test(middle_ranks(base + canary), base, canary)


def superiority(base: Floats | Ints, canary: Floats | Ints) -> float:
    """P(canary's request is slower) + P(both in one bucket)/2; one half where there is nothing to compare."""
    n, m = float(base.sum()), float(canary.sum())
    if not n or not m:
        return 0.5
    return float(canary @ (np.cumsum(base) - base / 2)) / (n * m)


def tail_bucket(counts: Floats | Ints, share: float = TAIL) -> int | None:
    """The first bucket of the tail that holds about `share` of all requests; None where all are in one bucket."""
    beyond = np.cumsum(counts[::-1])[::-1][1:] / max(float(counts.sum()), 1.0)
    possible = np.flatnonzero((beyond > 0) & (beyond < 1))
    if not len(possible):
        return None
    away = np.abs(np.log(beyond[possible] / share))
    return int(possible[np.argmin(away)]) + 1


def tail_test(base: Ints, canary: Ints, share: float = TAIL) -> TailTest | None:
    """Whether more of the canary's requests lie in the tail than by lot; None where there is no tail."""
    from scipy.stats import hypergeom  # noqa: PLC0415  # loaded when first needed

    bucket = tail_bucket(base + canary, share)
    if bucket is None:
        return None
    first, second = int(base[bucket:].sum()), int(canary[bucket:].sum())
    total, of = int(base.sum() + canary.sum()), int(canary.sum())
    p = float(hypergeom.sf(second - 1, total, first + second, of))
    return TailTest(bucket, first, second, p)


def slower(base: Ints, canary: Ints) -> Comparison:
    """Whether the canary's requests take longer, in the middle or in the tail; one look only."""
    rank = score_test(normal_scores(base + canary), base, canary)
    tail = tail_test(base, canary)
    p = min(1.0, rank.p / _RANK_SHARE, 1.0 if tail is None else tail.p / _TAIL_SHARE)
    return Comparison(p, rank, tail, superiority(base, canary))


def quantile(bounds: Floats, counts: Floats | Ints, q: float) -> float | None:
    """The q-quantile between bounds (upper ends, the last one infinite), spread evenly as histogram_quantile does."""
    total = float(counts.sum())
    if not total:
        return None
    upto = np.cumsum(counts)
    place = int(np.searchsorted(upto, q * total))
    place = min(place, len(bounds) - 1)
    if math.isinf(bounds[place]):
        return float(bounds[place - 1]) if place else None
    low = float(bounds[place - 1]) if place else 0.0
    inside = float(counts[place])
    before = float(upto[place]) - inside
    part = (q * total - before) / inside if inside else 1.0
    return low + (float(bounds[place]) - low) * part
