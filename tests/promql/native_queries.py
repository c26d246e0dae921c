"""Random queries of native histograms that this engine and Prometheus 2.42 evaluate alike, and their data.

As with `promql_queries`, sample times and the ends of windows never meet. Prometheus 3 also keeps a histogram's
extrapolation from going below a count of zero: counters start high, and every reset leaves half as much, so that
no window comes near it.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import numpy as np
from promql_samples import TestSeries

from windvane.promql.native.histogram import GAUGE, UNKNOWN, Histogram

START = 1_700_000_000_000
SECONDS = 2 * 3600
STEP = 15


@dataclass(frozen=True, slots=True)
class Layout:
    """Buckets of a metric's series: schema, threshold of the zero bucket, indexes of both sides."""

    schema: int
    threshold: float
    positive: range
    negative: range
    part: float = 1.0
    """What counts are multiples of: below 1 they are float histograms, and no sample of a series has whole counts
    only, as 2.42 drops some samples of a series that has both kinds in one request."""
    resets: bool = True


LAYOUTS = {
    "h_coarse": Layout(-1, 2.0**-8, range(-1, 5), range(3)),
    "h_both": Layout(0, 2.0**-6, range(-3, 9), range(-2, 4)),
    "h_fine": Layout(3, 0.0, range(-10, 30), range(0)),
    "h_float": Layout(2, 2.0**-6, range(-8, 12), range(0), part=0.25),
    "h_steady": Layout(5, 2.0**-6, range(10, 60), range(0), resets=False),
}
GAUGES = {"h_gauge": Layout(1, 2.0**-6, range(-4, 10), range(-1, 2))}


def data(seed: int) -> list[TestSeries]:
    """Counters that are reset now and then, and gauges, with jitter and gaps."""
    rng = np.random.default_rng(seed)
    series = []
    for name, layout in (LAYOUTS | GAUGES).items():
        for job in ("api", "web"):
            for instance in ("1", "2"):
                labels = {"__name__": name, "job": job, "instance": instance}
                times = _times(rng)
                counts = _gauge(rng, layout, len(times)) if name in GAUGES else _counter(rng, layout, len(times))
                hint = GAUGE if name in GAUGES else UNKNOWN
                values = _histograms(layout, hint, counts, np.round(rng.normal(size=len(times)) * 100, 2))
                none = np.zeros(0)
                series.append(TestSeries(labels, none.astype(np.int64), none, dict(zip(times, values, strict=True))))
    return series


def _times(rng: np.random.Generator) -> list[int]:
    count = SECONDS // STEP
    times = START + 1000 * STEP * np.arange(count) + rng.integers(1, 300, count)
    keep = rng.random(count) > 0.05
    hole = int(rng.integers(0, count - 60))
    keep[hole : hole + 40] = False
    found: list[int] = times[keep].tolist()
    return found


def _width(layout: Layout) -> int:
    return 1 + len(layout.positive) + len(layout.negative)


def _counter(rng: np.random.Generator, layout: Layout, count: int) -> np.ndarray:
    """Rows of counts (zero bucket, positive, negative): a reset leaves half of what there was at the last one."""
    width = _width(layout)
    base = 65_536 * rng.integers(1, 9, width) * (rng.random(width) > 0.2)
    grown = rng.poisson(rng.choice([0, 1, 5], width), (count, width)).cumsum(axis=0)
    counts = base + grown
    if layout.resets:
        for number, reset in enumerate(sorted(rng.integers(1, count, 3).tolist()), 1):
            counts[reset:] = (base >> number) + grown[reset:] - grown[reset]
    parts: np.ndarray = counts * layout.part + (layout.part / 2 if layout.part < 1 else 0)
    return parts


def _gauge(rng: np.random.Generator, layout: Layout, count: int) -> np.ndarray:
    counts: np.ndarray = rng.poisson(rng.choice([0, 3, 40], _width(layout)), (count, _width(layout)))
    return counts * layout.part


def _histograms(layout: Layout, hint: int, counts: np.ndarray, sums: np.ndarray) -> list[Histogram]:
    positive, negative = (np.array(side, np.int32) for side in (layout.positive, layout.negative))
    first = 1 + len(positive)
    return [
        Histogram(layout.schema, hint, float(row.sum()), total, layout.threshold, float(row[0]),
                  positive, row[1:first], negative, row[first:])
        for row, total in zip(counts.astype(np.float64), sums.tolist(), strict=True)
    ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Query:
    """A query; `schema` if its values are quantiles of histograms of that schema.

    2.42 neither scales histograms nor takes one from another (there a difference is the float 0): it is asked `text`
    and `right`, and the test does the rest.
    """

    text: str
    schema: int | None = None
    operation: str = ""
    right: str | float = ""

    def shown(self) -> str:
        """What this engine is asked."""
        if self.operation == "swapped *":
            return f"{self.right} * ({self.text})"
        return f"({self.text}) {self.operation} ({self.right})" if self.operation else self.text

    def corrected(self, value: float) -> float:
        """What Prometheus 3 has for a value of 2.42: inside a bucket observations lay evenly, now they do by logarithm.

        In the zero bucket, which ends where no other bucket has begun, they still lie evenly.
        """
        if isinstance(self.right, float):
            return value / self.right if self.operation == "/" else value * self.right
        if self.schema is None or not 2.0**-6 < abs(value) < np.inf:
            return value
        size = abs(value)
        width = 2.0**-self.schema
        low = float(2.0 ** (width * (np.ceil(np.log2(size) / width) - 1)))
        ratio = 2.0**width
        return float(np.copysign(low * ratio ** ((size / low - 1) / (ratio - 1)), value))


class Generator:
    """Draws queries: histograms, and floats of them.

    Not asked, as 2.42 has it not or otherwise: avg, irate, functions over time but count and last (no histograms),
    -H and comparisons, histogram_avg, _stddev, _stdvar; the sum of a vector with mixed floats and histograms.
    """

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)

    def query(self) -> Query:
        name = self._pick(*LAYOUTS, *GAUGES)
        schema = (LAYOUTS | GAUGES)[name].schema
        choice = self._random.random()
        if choice < 0.2:
            return Query(self._histogram(name, 3))
        if choice < 0.28:
            number = self._random.choice([2.0, 0.5, 3.7])
            return Query(self._histogram(name, 2), None, self._pick("*", "/", "swapped *"), number)
        if choice < 0.35:
            return Query(self._histogram(name, 2), None, "-", self._histogram(name, 1))
        if choice < 0.5:
            q = self._pick("0.01", "0.3", "0.5", "0.9", "0.99", "-1", "1.5")
            return Query(f"histogram_quantile({q}, {self._grown(name)})", schema)
        if choice < 0.65:
            # At powers of 4 no bucket is cut: within one, 2.42 shares observations evenly, 3 by logarithm.
            low, high = self._pick("-Inf", "-4", "-1", "0", "0.25"), self._pick("0.25", "1", "4", "16", "+Inf")
            return Query(f"histogram_fraction({low}, {high}, {self._grown(name)})")
        if choice < 0.8:
            function = self._pick("histogram_count", "histogram_sum")
            return Query(f"{function}({self._histogram(name, 2, counted=True)})")
        return Query(self._float(name))

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _selector(self, name: str, duration: str = "") -> str:
        matchers = self._pick("", "", '{job="api"}', '{instance!="1"}', '{job=~"a.*",instance="2"}')
        moved = self._pick("", "", "", " offset 5m", " offset -3m", " @ 1700003000.451", " @ end()")
        return f"{name}{matchers}{duration}{moved}"

    def _rate(self, name: str) -> str:
        duration = self._pick("[1m]", "[2m30s]", "[5m]", "[17m]", "[1h]")
        function = "delta" if name in GAUGES else self._pick("rate", "increase")
        return f"{function}({self._selector(name, duration)})"

    def _sum(self, inner: str) -> str:
        return f"sum{self._pick('', ' by (job)', ' without (instance)', ' by (no)')} ({inner})"

    def _grown(self, name: str) -> str:
        """Histograms without negative counts."""
        inner = self._selector(name) if name in GAUGES else self._rate(name)
        return self._sum(inner) if self._random.random() < 0.5 else inner

    def _histogram(self, name: str, depth: int, *, counted: bool = False) -> str:
        """Histograms; `counted` are those of which only count or sum are asked.

        The latter are read without buckets and with hints of resets, and where these contradict each other, a sum of
        two has no result in Prometheus 3. Gauges have none: neither those stored nor rates.
        """
        choice = self._random.random()
        if depth == 0 or choice < 0.2:
            return self._selector(name)
        if choice < 0.45:
            return self._rate(name)
        if choice < 0.65:
            return self._sum(self._histogram(name, depth - 1, counted=counted))
        return " + ".join(f"({self._rate(name) if counted else self._histogram(name, depth - 1)})" for _ in range(2))

    def _float(self, name: str) -> str:
        one = self._histogram(name, 1, counted=True)
        return self._pick(
            f"count by (job) ({one})", f"group({one})", f"histogram_sum({one}) / histogram_count({one})",
            f"count_over_time({self._selector(name, '[5m]')})", f"sum by (job) (histogram_count({one}))",
            f"histogram_count({one}) > 100", f"max(histogram_sum({one}))",
        )  # fmt: skip
