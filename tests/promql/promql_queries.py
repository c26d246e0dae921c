"""Random PromQL that both this engine and an old Prometheus evaluate alike, and the data it is asked of.

Sample times, evaluation times, ranges and steps never meet, so that whether a window includes its
left end (it does up to Prometheus 2, not from 3 on) cannot show. Counters that are rated never
reset: Prometheus 3 bounds extrapolation to zero differently right after a reset.
"""

from __future__ import annotations

import random
from collections.abc import Callable

import numpy as np
from promql_samples import TestSeries

START = 1_700_000_000_000
SECONDS = 3 * 3600


def data(seed: int) -> list[TestSeries]:
    """Counters, resetting counters, gauges and classic histograms with jitter and gaps."""
    rng = np.random.default_rng(seed)
    series: list[TestSeries] = []
    for job in ("api", "web"):
        for instance in ("1", "2", "3"):
            base = {"job": job, "instance": instance}
            for code in ("200", "404", "500"):
                labels = {**base, "code": code}
                series.append(_series(rng, "c_total", labels, _counter(rng)))
                series.append(_series(rng, "r_total", labels, _resetting(rng)))
            series.append(_series(rng, "g", {**base, "zone": str(int(instance) % 2)}, _gauge(rng)))
            series.append(_series(rng, "few", base, lambda n: np.round(rng.normal(size=n) * 2), gap=0.7))
            series += _histogram(rng, base)
        series.append(_series(rng, "about", {"job": job, "team": f"team-{job}", "tier": "gold"}, np.ones))
    series.append(_series(rng, "odd", {"job": "api"}, _odd(rng)))
    return series


Values = Callable[[int], np.ndarray]


def _times(rng: np.random.Generator, gap: float) -> np.ndarray:
    times = START + np.arange(0, SECONDS, 15) * 1000 + rng.integers(1, 300, SECONDS // 15)
    keep = rng.random(len(times)) > gap
    hole = rng.integers(0, len(times) - 60)
    keep[hole : hole + 40] = False
    return times[keep]


def _series(
    rng: np.random.Generator, name: str, labels: dict[str, str], values: Values, gap: float = 0.05
) -> TestSeries:
    times = _times(rng, gap)
    return TestSeries({"__name__": name, **labels}, times, values(len(times)).astype(np.float64))


def _counter(rng: np.random.Generator) -> Values:
    return lambda n: 1e5 + np.cumsum(rng.poisson(3, n))


def _resetting(rng: np.random.Generator) -> Values:
    return lambda n: np.cumsum(rng.poisson(3, n)) % 500


def _gauge(rng: np.random.Generator) -> Values:
    return lambda n: np.round(100 + np.cumsum(rng.normal(size=n)), 3)


def _odd(rng: np.random.Generator) -> Values:
    return lambda n: rng.choice([np.nan, np.inf, -np.inf, 0.0, -0.0, 1.5, -2.0], n)


def _histogram(rng: np.random.Generator, base: dict[str, str]) -> list[TestSeries]:
    times = _times(rng, 0.05)
    bounds = ["0.1", "0.5", "1", "2.5", "10", "+Inf"]
    growth = rng.poisson([4, 6, 5, 3, 1, 0.3], (len(times), 6))
    counts = 1e4 + np.cumsum(np.cumsum(growth, axis=0), axis=1)
    return [
        TestSeries({"__name__": "h_bucket", **base, "le": bound}, times, counts[:, place].astype(np.float64))
        for place, bound in enumerate(bounds)
    ]


class Generator:
    """Draws expressions of a type from a grammar."""

    def __init__(self, seed: int) -> None:
        self._random = random.Random(seed)
        self._nested = False

    def query(self) -> str:
        return self._vector(3) if self._random.random() < 0.93 else self._scalar(3)

    def _pick(self, *choices: str) -> str:
        return self._random.choice(choices)

    def _matchers(self) -> str:
        return self._pick(
            "", "", "", '{job="api"}', '{job!="api"}', '{instance=~"1|3"}', '{instance!~"[12]"}', '{missing=""}',
            '{job=~".+",instance="2"}', '{code=~"2..|5.."}', '{zone!="1"}', '{job=~"a.*",missing!="x"}',
        )  # fmt: skip

    def _moved(self) -> str:
        return self._pick(
            "", "", "", "", " offset 5m", " offset -3m", " @ 1700005000.451", " @ end()", " @ start() offset 2m"
        )

    def _name(self) -> str:
        return self._pick("c_total", "r_total", "g", "few", "h_bucket", "about", "odd")

    def _selector(self, name: str = "") -> str:
        return f"{name or self._name()}{self._matchers()}{self._moved()}"

    def _range(self, name: str = "") -> str:
        duration = self._pick("1m", "2m30s", "5m", "17m", "1h")
        if self._random.random() < 0.15 and not self._nested:
            self._nested = True  # the grid of a subquery meets the left end of one inside it
            step = self._pick("30s", "1m", "2m", "7m", "")
            inner = self._vector(1)
            self._nested = False
            return f"({inner})[{duration}:{step}]{self._moved()}"
        return f"{name or self._name()}{self._matchers()}[{duration}]{self._moved()}"

    def _scalar(self, depth: int) -> str:
        choice = self._random.random()
        if depth == 0 or choice < 0.5:
            return self._pick("1", "2.5", "-3", "1e3", "0.001", "0", "Inf", "NaN", "0x10", "pi()")
        if choice < 0.75:
            return f"scalar({self._vector(depth - 1)})"
        return f"({self._scalar(depth - 1)} {self._pick('+', '-', '*', '/', '%', '^')} {self._scalar(depth - 1)})"

    def _vector(self, depth: int) -> str:
        if depth == 0:
            return self._selector()
        makers = [
            self._over_time, self._rate, self._math, self._aggregate, self._aggregate, self._with_scalar,
            self._with_vector, self._set, self._labels, self._selected, self._histogram, self._other, self._smoothing,
        ]  # fmt: skip
        return self._random.choice(makers)(depth - 1)

    def _selected(self, _: int) -> str:
        return self._selector()

    def _smoothing(self, _: int) -> str:
        factors = f"{self._pick('0.1', '0.5', '0.9')}, {self._pick('0.3', '0.7')}"
        return f"double_exponential_smoothing({self._range(self._pick('g', 'few'))}, {factors})"

    def _over_time(self, _: int) -> str:
        function = self._pick("sum", "avg", "min", "max", "count", "last", "stddev", "stdvar", "present", "quantile")
        argument = f"{self._pick('0.5', '0.9', '0', '1', '-1', '2', 'NaN')}, " if function == "quantile" else ""
        # The variance of Prometheus 2 lost all digits on large counters: only moderate values are compared.
        name = self._pick("g", "few") if function in ("stddev", "stdvar") else ""
        return f"{function}_over_time({argument}{self._range(name)})"

    def _rate(self, _: int) -> str:
        function = self._pick("rate", "increase", "irate", "delta", "idelta", "deriv", "changes", "resets", "predict")
        if function in ("rate", "increase"):
            duration = self._pick("1m", "2m30s", "5m", "17m", "1h")
            name = self._pick("c_total", "h_bucket")
            return f"{function}({name}{self._matchers()}[{duration}]{self._moved()})"
        if function == "predict":
            return f"predict_linear(g{self._matchers()}[5m] offset 1m, 60)"  # 2.x gives one step only with @
        return f"{function}({self._range('g' if function == 'deriv' else '')})"

    def _math(self, depth: int) -> str:
        function = self._pick(
            "abs", "ceil", "floor", "exp", "ln", "log2", "log10", "sqrt", "sgn", "round", "clamp_min", "clamp_max",
            "clamp", "-", "sin", "cos", "atan", "tanh", "rad", "deg", "asin", "acos", "asinh", "acosh", "atanh", "sinh",
            "cosh", "tan", "hour", "minute", "month", "year", "day_of_week",
            "day_of_month", "day_of_year", "days_in_month",
        )  # fmt: skip
        inner = self._vector(depth)
        extra = {"round": ", 0.5", "clamp_min": ", 3", "clamp_max": ", 50", "clamp": ", 1, 100"}.get(function, "")
        if function in (
            "hour",
            "minute",
            "month",
            "year",
            "day_of_week",
            "day_of_month",
            "day_of_year",
            "days_in_month",
        ):
            inner = f"(timestamp({self._selector()}))"
        return f"{function}({inner}{extra})"

    def _grouping(self) -> str:
        return self._pick(
            "", " by (job)", " by (job, instance)", " without (instance)", " by (le)", " without (code, le)", " by (no)"
        )

    def _aggregate(self, depth: int) -> str:
        op = self._pick(
            "sum",
            "avg",
            "min",
            "max",
            "count",
            "group",
            "stddev",
            "stdvar",
            "topk",
            "bottomk",
            "quantile",
            "count_values",
        )
        inner = self._vector(depth)
        ranks = self._pick("1, ", "2, ", "4, ", "0, ", "2.9, ")
        q = self._pick("0.75, ", "0.5, ", "0, ", "1, ", "1.1, ", "-0.1, ", f"{self._scalar(1)}, ")
        parameter = {"topk": ranks, "bottomk": ranks, "quantile": q, "count_values": '"v", '}.get(op, "")
        if op in ("stddev", "stdvar"):
            inner = self._selector(self._pick("g", "few"))
        if op == "count_values":
            inner = self._pick(self._selector("few"), f"round({self._selector('g')}, 10)", self._selector("odd"))
        if op in ("topk", "bottomk"):  # distinct values, so that ties cannot show
            inner = self._selector("g")
        return f"{op}{self._grouping()} ({parameter}{inner})"

    def _with_scalar(self, depth: int) -> str:
        op = self._pick("+", "-", "*", "/", "%", "^", "==", "!=", ">", "<", ">=", "<=", "> bool", "== bool")
        sides = [self._vector(depth), self._scalar(depth)]
        if self._random.random() < 0.3:
            sides.reverse()
        return f"({sides[0]}) {op} ({sides[1]})"

    def _with_vector(self, depth: int) -> str:
        op = self._pick("+", "-", "*", "/", ">", "<", "==", "!= bool")
        shape = self._random.randrange(8)
        if shape == 0:
            return f"sum by (job) ({self._vector(depth)}) {op} on (job) max by (job) ({self._vector(depth)})"
        if shape == 1:
            return f"{self._selector()} {op} on (job) group_left (team) about"
        if shape == 2:
            return f"about {op} on (job) group_right (tier) {self._selector()}"
        if shape == 3:
            return f"{self._selector('c_total')} {op} ignoring (code) group_left {self._selector('g')}"
        if shape == 4:
            return f"{self._selector('c_total')} {op} on (job, instance) group_left (zone) {self._selector('g')}"
        if shape == 5:
            return f"{self._selector('g')} {op} ignoring (zone) {self._selector('few')}"
        if shape == 6:
            return f"avg({self._vector(depth)}) atan2 max({self._vector(depth)})"
        return f"({self._vector(depth)}) {op} ({self._vector(depth)})"

    def _set(self, depth: int) -> str:
        op = self._pick("and", "or", "unless", "OR", "and on (job)", "unless ignoring (code)", "or on (instance)")
        return f"({self._vector(depth)}) {op} ({self._vector(depth)})"

    def _labels(self, depth: int) -> str:
        inner = self._vector(depth)
        return self._pick(
            f'label_replace({inner}, "new", "$1-$2", "job", "(a)(.*)")',
            f'label_replace({inner}, "job", "", "instance", "2")',
            f'label_join({inner}, "both", "/", "job", "instance")',
        )

    def _histogram(self, _: int) -> str:
        q = self._pick("0.5", "0.9", "0.99", "0", "1", "-1", "1.5")
        grouping = self._pick("by (le)", "by (le, job)", "without (instance)")
        return f"histogram_quantile({q}, sum {grouping} (rate(h_bucket{self._matchers()}[{self._pick('2m', '5m')}])))"

    def _other(self, depth: int) -> str:
        return self._pick(
            f"absent({self._selector()})", 'absent(nothing{job="x",y=~"z"})', f"absent_over_time({self._range()})",
            f"vector({self._scalar(depth)})", f"timestamp({self._selector()})", f"sort({self._vector(depth)})",
            f"timestamp({self._vector(depth)})", f"absent({self._vector(depth)})", "time() - vector(3)",
            f"scalar({self._vector(depth)}) > bool {self._scalar(depth)}", f"-{self._selector('g')} ^ 2",
            f"sort_desc({self._selector()})", "hour()", "month()", f"scalar({self._selector('about')}) + vector(1)",
        )  # fmt: skip
