"""The verdict on a canary: regress, safe, or more traffic needed; it may be asked for every minute.

Three things are watched: errors, the typical time, and the tail of times. Each yields an e-value against "not worse
than the baseline" (`windvane.analytics.sequential`). Their weighted mean is an e-value itself, however they depend on
each other: at 1/alpha the canary has regressed, with a false alarm in at most a share alpha of good releases, however
often one looks. That nothing was found does not make a canary safe: for that each of the three must be proven to lie
below its margin (non-inferiority, an intersection of tests, so that no correction is needed).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from windvane.analytics import grouped
from windvane.analytics.releases.counts import Arm, Counts, dispersion
from windvane.analytics.sequential import Mixture, RateTest, RatioTest, log_e_above, msprt
from windvane.kit.errors import BadInputError

Floats = NDArray[np.float64]
Verdict = Literal["regress", "safe", "more traffic needed"]

_PRIOR_SHIFT = 0.2
"""Standard deviation of the prior on a shift of times, in normal scores: a fifth of the spread of all requests."""
_REGRESS_TAIL, _SAFE_TAIL = 0.01, 0.05
_WEIGHTS = {"errors": 0.5, "typical time": 0.25, "tail of times": 0.25}
_NEVER_MIN = 60 * 24 * 30


@dataclass(frozen=True, slots=True)
class Settings:
    """What counts as worse, and how sure a verdict must be.

    `alpha`: the share of good canaries that may ever be called regressed. `tolerated`: ratio of error rates (and of
    tails) that is no regression. `margin`: the ratio below which errors and the tail are safe. `acceptable`: an error
    rate that is safe whatever the baseline's. `shift`: the shift of times, in normal scores, below which they are
    safe (0.15 is P(canary's request is slower) = 0.54). `weights`: of baseline and canary in the routing, for the
    check of the split.
    """

    alpha: float = 0.05
    tolerated: float = 1.0
    margin: float = 2.0
    acceptable: float = 0.005
    shift: float = 0.15
    weights: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        if not 0 < self.alpha < 0.5:
            raise BadInputError(f"alpha must lie between 0 and 0.5, not {self.alpha:g}")
        if not 0 < self.tolerated < self.margin:
            raise BadInputError(f"the margin ({self.margin:g}) must exceed the tolerated ratio ({self.tolerated:g})")
        if not 0 < self.acceptable < 1 or self.shift <= 0:
            raise BadInputError("acceptable must lie between 0 and 1, and shift above 0")

    @property
    def threshold(self) -> float:
        """The logarithm of the e-value that proves."""
        return -math.log(self.alpha)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing watched: its verdict, evidence for harm and for safety (e-values), values of both arms, and their
    change.

    `change` with its always-valid interval is a ratio (errors, tail) or a shift in normal scores. `clump` is how many
    events come together. `minutes` is how much longer until it is decided if all goes on as it did; None: never.
    """

    name: str
    verdict: Verdict
    harm: float
    safety: float
    base: float | None
    canary: float | None
    unit: str
    change: float | None
    low: float | None
    high: float | None
    clump: float
    minutes: float | None
    text: str


@dataclass(frozen=True, slots=True)
class Judgement:
    """The whole verdict. `evidence` is the e-value of harm over all three, `minimum` the canary's requests that prove
    an equally good canary safe, `minutes` how much longer it may take; None: not at this traffic.
    """

    verdict: Verdict
    reasons: tuple[str, ...]
    evidence: float
    findings: tuple[Finding, ...]
    split: float | None
    minimum: int | None
    minutes: float | None


def judge(counts: Counts, settings: Settings | None = None) -> Judgement:
    """What the counts of all minutes since the release prove."""
    settings = settings or Settings()
    split = split_p(counts, settings.weights)
    if not counts.canary.total or not counts.base.total:
        return _without_traffic(counts, split)
    findings = tuple(_findings(counts, settings))
    log_e = _log_mean([(math.log(_WEIGHTS[one.name]), math.log(one.harm)) for one in findings])
    verdict, reasons = _decide(findings, log_e, split, settings)
    waits = [one.minutes for one in findings if one.verdict != "safe"]
    minutes = None if verdict != "more traffic needed" or None in waits else max((w for w in waits if w), default=None)
    return Judgement(
        verdict,
        reasons,
        _e(log_e),
        findings,
        split,
        minimum(counts, settings),
        0.0 if verdict == "regress" else minutes,
    )


def _decide(
    findings: Sequence[Finding], log_e: float, split: float | None, settings: Settings
) -> tuple[Verdict, tuple[str, ...]]:
    if log_e >= settings.threshold:
        worst = max(findings, key=lambda one: _WEIGHTS[one.name] * one.harm)
        others = [one.text for one in findings if one is not worst and one.verdict == "regress"]
        return "regress", (worst.text, *others)
    if split is not None and split < 0.001:
        return "more traffic needed", (
            f"traffic is not divided by the weights (p = {split:.1g}): requests may differ, not the versions",
        )
    if all(one.verdict == "safe" for one in findings):
        return "safe", tuple(one.text for one in findings)
    return "more traffic needed", tuple(one.text for one in findings if one.verdict != "safe")


def _without_traffic(counts: Counts, split: float | None) -> Judgement:
    names = [arm.name for arm in (counts.base, counts.canary) if not arm.total]
    reason = f"no requests reached {' and '.join(names)}: that is no verdict"
    return Judgement("more traffic needed", (reason,), 1.0, (), split, None, None)


def _findings(counts: Counts, settings: Settings) -> Iterator[Finding]:
    base, canary = counts.base, counts.canary
    yield _errors(base, canary, counts.minutes, settings)
    if base.times.sum() and canary.times.sum():
        yield _typical(counts, settings)
        yield _tail(counts, settings)


def _errors(base: Arm, canary: Arm, minutes: float, settings: Settings) -> Finding:
    columns = tuple(one.sum(axis=0) for one in (base.requests, base.errors, canary.requests, canary.errors))
    tests = _ratio_tests(columns, settings)
    low_rate = RateTest(settings.acceptable)
    low_rate.add(canary.total, canary.failed)
    if low_rate.log_e(tests.clump) > tests.safety.log_e(tests.clump):
        tests = replace(tests, safety=low_rate)
    text = (
        f"errors: {canary.failed:.0f} of {canary.total:.0f} ({_percent(canary.rate)}) in {canary.name}, "
        f"{base.failed:.0f} of {base.total:.0f} ({_percent(base.rate)}) in {base.name}"
    )
    return _ratio_finding("errors", tests, minutes, text, settings)


def _tail(counts: Counts, settings: Settings) -> Finding:
    base, canary = counts.base.times, counts.canary.times
    pooled = (base + canary).sum(axis=0)
    bucket = grouped.tail_bucket(pooled, _REGRESS_TAIL)
    wide = grouped.tail_bucket(pooled, _SAFE_TAIL)
    if bucket is None or wide is None:
        return _no_tail(counts)
    tests = _ratio_tests(_beyond(base, canary, bucket), settings)
    safe = _ratio_tests(_beyond(base, canary, wide), settings)
    tests = replace(tests, safety=safe.safety, clump=max(tests.clump, safe.clump))
    text = (
        f"tail of times: {_percent(tests.shares[1])} of {counts.canary.name} took more than "
        f"{counts.bounds[bucket - 1]:g} ms, {_percent(tests.shares[0])} of {counts.base.name}"
    )
    return _ratio_finding("tail of times", tests, counts.minutes, text, settings)


def _no_tail(counts: Counts) -> Finding:
    text = f"tail of times: all requests lie in one bucket (up to {counts.bounds[0]:g} ms or the one that holds them)"
    return Finding("tail of times", "safe", 1.0, 1.0, None, None, "", None, None, None, 1.0, 0.0, text)


def _beyond(base: Floats, canary: Floats, bucket: int) -> tuple[Floats, Floats, Floats, Floats]:
    return base.sum(axis=1), base[:, bucket:].sum(axis=1), canary.sum(axis=1), canary[:, bucket:].sum(axis=1)


def _ratio_tests(columns: tuple[Floats, Floats, Floats, Floats], settings: Settings) -> _Tests:
    requests, events, canary_requests, canary_events = columns
    harm, safety = RatioTest(settings.tolerated), RatioTest(settings.margin, below=True)
    for one in zip(*(column.tolist() for column in columns), strict=True):
        harm.add(*one)
        safety.add(*one)
    return _Tests(harm, safety, dispersion(events, canary_events, requests, canary_requests), columns)


@dataclass(frozen=True, slots=True)
class _Tests:
    """Of a share of requests: "worse than tolerated", "below the margin", how events clump, columns by minute."""

    harm: Mixture
    safety: Mixture
    clump: float
    columns: tuple[Floats, Floats, Floats, Floats]

    @property
    def shares(self) -> tuple[float, float]:
        requests, events, canary_requests, canary_events = (float(one.sum()) for one in self.columns)
        return events / requests, canary_events / canary_requests


def _ratio_finding(name: str, tests: _Tests, minutes: float, text: str, settings: Settings) -> Finding:
    clump, (base, canary) = tests.clump, tests.shares
    log_harm, log_safety = tests.harm.log_e(clump), tests.safety.log_e(clump)
    own = math.log(_WEIGHTS[name])
    verdict = _verdict(log_harm + own, log_safety, settings)
    low, high = ratio_interval(tests.columns, clump, settings.alpha)
    return Finding(
        name, verdict, _e(log_harm), _e(log_safety), base, canary, "share", canary / base if base else None, low, high,
        clump, 0.0 if verdict != "more traffic needed" else _wait(tests, minutes, settings.threshold, own), text,
    )  # fmt: skip


def _wait(tests: _Tests, minutes: float, threshold: float, own: float) -> float | None:
    """Minutes until harm or safety is proven, if proportions stay."""
    found = [
        test.times_to(needed, tests.clump)
        for test, needed in ((tests.harm, threshold - own), (tests.safety, threshold))
    ]
    times = min((one for one in found if one is not None), default=None)
    wait = None if times is None else minutes * (times - 1)
    return None if wait is None or wait > _NEVER_MIN else wait


def ratio_interval(
    columns: tuple[Floats, Floats, Floats, Floats], clump: float, alpha: float
) -> tuple[float | None, float | None]:
    """Ratios that are not refuted at any time: the always-valid interval; None where it has no end."""
    ratios = np.geomspace(0.02, 50, 80)
    kept = []
    for ratio in ratios.tolist():
        tests = RatioTest(ratio), RatioTest(ratio, below=True)
        for test in tests:
            test.add(*(float(column.sum()) for column in columns))
        # both sides together are one two-sided test at alpha
        if max(test.log_e(clump) for test in tests) < math.log(2 / alpha):
            kept.append(ratio)
    low = kept[0] if kept and kept[0] > ratios[0] else None
    high = kept[-1] if kept and kept[-1] < ratios[-1] else None
    return low, high


def _typical(counts: Counts, settings: Settings) -> Finding:
    shift, variance, clump = shift_of(counts.base.times, counts.canary.times)
    tau2 = _PRIOR_SHIFT**2
    log_harm = log_e_above(shift, variance, tau2)
    log_safety = log_e_above(-shift, variance, tau2, -settings.shift)
    interval = msprt(shift, variance, tau2, settings.alpha)
    medians = [grouped.quantile(counts.bounds, arm.times.sum(axis=0), 0.5) for arm in (counts.base, counts.canary)]
    verdict = _verdict(log_harm + math.log(_WEIGHTS["typical time"]), log_safety, settings)
    chance = grouped.superiority(counts.base.times.sum(axis=0), counts.canary.times.sum(axis=0))
    text = (
        f"typical time: median {_ms(medians[1])} in {counts.canary.name}, {_ms(medians[0])} in {counts.base.name}; "
        f"a request of {counts.canary.name} is the slower one of two with {_percent(chance)}"
    )
    wait = _shift_wait(shift, variance, counts.minutes, settings)
    return Finding(
        "typical time", verdict, _e(log_harm), _e(log_safety), medians[0], medians[1], "ms", shift, interval.low,
        interval.high, clump, 0.0 if verdict != "more traffic needed" else wait, text,
    )  # fmt: skip


def shift_of(base: Floats, canary: Floats) -> tuple[float, float, float]:
    """How much slower the canary is, in normal scores, with the estimate's variance and how requests clump.

    Arms are compared within each minute, so that a load both share does not count; minutes count by how many
    requests they compare, and the variance is at least what their disagreement shows.
    """
    scores = grouped.normal_scores((base + canary).sum(axis=0))
    pooled = (base + canary).sum(axis=0)
    middle = float(pooled @ scores) / float(pooled.sum())
    spread = max(float(pooled @ (scores - middle) ** 2) / float(pooled.sum()), 1e-9)
    n, m = base.sum(axis=1), canary.sum(axis=1)
    used = (n > 0) & (m > 0)
    if not used.any():
        return 0.0, 1.0, 1.0
    n, m = n[used], m[used]
    differences = canary[used] @ scores / m - base[used] @ scores / n
    weights = n * m / (n + m)
    shift = float(weights @ differences / weights.sum())
    chi2 = float(weights @ (differences - shift) ** 2) / spread
    clump = max(1.0, (5.0 + chi2) / (4.0 + len(n) - 1))
    return shift, spread * clump / float(weights.sum()), clump


def _shift_wait(shift: float, variance: float, minutes: float, settings: Settings) -> float | None:
    tau2 = _PRIOR_SHIFT**2
    harmful = settings.threshold - math.log(_WEIGHTS["typical time"])
    for times in np.geomspace(1, 1e4, 120).tolist():
        smaller = variance / times
        if (
            log_e_above(shift, smaller, tau2) >= harmful
            or log_e_above(-shift, smaller, tau2, -settings.shift) >= settings.threshold
        ):
            wait = minutes * (times - 1)
            return wait if wait <= _NEVER_MIN else None
    return None


def split_p(counts: Counts, weights: tuple[float, float] | None) -> float | None:
    """P-value of the split of traffic; None where weights are unknown. Requests come in clumps here too."""
    from windvane.analytics.ab.effects import sample_ratio  # noqa: PLC0415  # loads SciPy

    if weights is None or min(weights) <= 0:
        return None
    base, canary = counts.base.requests.sum(axis=0), counts.canary.requests.sum(axis=0)
    both = base + canary
    used = both > 0
    if not used.any():
        return None
    share = float(canary.sum() / both.sum())
    spread = both[used] * share * (1 - share)
    chi2 = float(((canary[used] - both[used] * share) ** 2 / np.maximum(spread, 1e-9)).sum())
    clump = max(1.0, (4.0 + chi2) / (4.0 + float(used.sum()) - 1))
    return sample_ratio([round(float(base.sum()) / clump), round(float(canary.sum()) / clump)], weights)


def minimum(counts: Counts, settings: Settings) -> int | None:
    """Requests of the canary that prove it safe if it is exactly as good as the baseline, at today's split and
    errors.
    """
    base, canary = counts.base, counts.canary
    rate = (base.failed + canary.failed + 0.5) / (base.total + canary.total + 1)
    odds = base.total / canary.total
    by_ratio = RatioTest(settings.margin, below=True)
    by_ratio.add(1_000 * odds, 1_000 * odds * rate, 1_000, 1_000 * rate)
    by_rate = RateTest(settings.acceptable)
    by_rate.add(1_000, 1_000 * rate)
    tail = RatioTest(settings.margin, below=True)
    tail.add(1_000 * odds, 1_000 * odds * _SAFE_TAIL, 1_000, 1_000 * _SAFE_TAIL)
    errors = [_needed(test, settings.threshold) for test in (by_ratio, by_rate)]
    least = min((one for one in errors if one is not None), default=None)
    last = _needed(tail, settings.threshold)
    return None if least is None or last is None else math.ceil(max(least, last))


def _needed(test: Mixture, threshold: float) -> float | None:
    """Requests of the canary, where the test has seen a thousand."""
    test.logs = test.logs / 1_000
    return test.times_to(threshold)


def _verdict(log_harm: float, log_safety: float, settings: Settings) -> Verdict:
    if log_harm >= settings.threshold:
        return "regress"
    return "safe" if log_safety >= settings.threshold else "more traffic needed"


def _log_mean(parts: Sequence[tuple[float, float]]) -> float:
    """Of e-values by their weights, all as logarithms."""
    whole = math.log(sum(math.exp(weight) for weight, _ in parts))
    top = max(log_e for _, log_e in parts)
    return top + math.log(sum(math.exp(weight - whole + log_e - top) for weight, log_e in parts))


def _e(log: float) -> float:
    return math.exp(max(-700.0, min(log, 700.0)))


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _ms(value: float | None) -> str:
    return "unknown" if value is None else f"{value:.3g} ms"
