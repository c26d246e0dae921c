"""PromQL as a tree that writes itself and answers itself from plain samples, apart from Windvane's engine.

Only what Istio's dashboards and Kiali ask is here. A value of a node is a dictionary from the labels of a
series, sorted, to its number; formulas are Prometheus's (functions.go, quantile.go).
"""

from __future__ import annotations

import itertools
import math
import re
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

Labels = tuple[tuple[str, str], ...]
Vector = dict[Labels, float]
Series = tuple[Mapping[str, str], list[tuple[float, float]]]
"""Labels (with __name__), and samples as (seconds, value) in order."""

OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "=": lambda value, wanted: value == wanted,
    "!=": lambda value, wanted: value != wanted,
    "=~": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "!~": lambda value, pattern: re.fullmatch(pattern, value) is None,
}


def quoted(text: str) -> str:
    """A string literal as Go clients write it: each backslash doubled."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def labels_of(series: Mapping[str, str], by: Iterable[str] | None = None) -> Labels:
    """Sorted labels without the name; only those in `by`, where it is given."""
    names = (set(series) if by is None else set(by)) - {"__name__"}
    return tuple(sorted((name, series[name]) for name in names if series.get(name)))


@dataclass(frozen=True)
class Data:
    """Samples of every metric in one time window that ends at `at` (seconds)."""

    at: float
    series: Mapping[str, list[Series]]


class Node(ABC):
    """A part of a question."""

    @abstractmethod
    def text(self) -> str:
        """As PromQL."""

    @abstractmethod
    def value(self, data: Data) -> Vector:
        """What Prometheus would answer."""


@dataclass(frozen=True)
class Rates(Node):
    """`function(metric{matchers}[seconds])`; `written` is how the client writes the window."""

    function: str
    metric: str
    matchers: tuple[tuple[str, str, str], ...]
    seconds: float
    written: str
    gap: str = ""

    def text(self) -> str:
        inner = ",".join(name + operator + quoted(value) for name, operator, value in self.matchers)
        return f"{self.function}({self.metric}{{{inner}}}{self.gap}[{self.written}])"

    def value(self, data: Data) -> Vector:
        answer: Vector = {}
        for labels, samples in data.series.get(self.metric, []):
            if not all(OPERATORS[how](labels.get(name, ""), wanted) for name, how, wanted in self.matchers):
                continue
            window = [sample for sample in samples if data.at - self.seconds < sample[0] <= data.at]
            if len(window) > 1:
                answer[labels_of(labels)] = _RATES[self.function](window, data.at - self.seconds, data.at)
        return answer


def _irate(window: list[tuple[float, float]], _start: float, _end: float) -> float:
    (before, old), (after, new) = window[-2:]
    return (new if new < old else new - old) / (after - before)


def _rate(window: list[tuple[float, float]], start: float, end: float) -> float:
    return _extrapolated(window, start, end, counter=True) / (end - start)


def _delta(window: list[tuple[float, float]], start: float, end: float) -> float:
    return _extrapolated(window, start, end, counter=False)


def _extrapolated(window: list[tuple[float, float]], start: float, end: float, *, counter: bool) -> float:
    (first, low), (last, high) = window[0], window[-1]
    pairs = itertools.pairwise(window)
    total = high - low + (sum(old for (_, old), (_, new) in pairs if new < old) if counter else 0)
    sampled = last - first
    mean = sampled / (len(window) - 1)
    before, after = first - start, end - last
    if before >= mean * 1.1:
        before = mean / 2
    if counter and total > 0 and low >= 0:
        before = min(before, sampled * low / total)
    if after >= mean * 1.1:
        after = mean / 2
    return total * (sampled + before + after) / sampled


_RATES = {"irate": _irate, "rate": _rate, "delta": _delta}


@dataclass(frozen=True)
class Sum(Node):
    """`sum(…) by (…)`, or with `by` in front; no labels at all where `by` is empty."""

    of: Node
    by: tuple[str, ...] = ()
    after: bool = True

    def text(self) -> str:
        by = f" by ({', '.join(self.by)})" if self.by else ""
        return f"sum({self.of.text()}){by}" if self.after else f"sum{by} ({self.of.text()})"

    def value(self, data: Data) -> Vector:
        answer: Vector = defaultdict(float)
        for labels, number in self.of.value(data).items():
            answer[labels_of(dict(labels), self.by)] += number
        return dict(answer)


@dataclass(frozen=True)
class Quantile(Node):
    """`histogram_quantile(q, …)` over buckets; q as the client prints it."""

    q: str
    of: Node

    def text(self) -> str:
        return f"histogram_quantile({self.q}, {self.of.text()})"

    def value(self, data: Data) -> Vector:
        groups: dict[Labels, list[tuple[float, float]]] = defaultdict(list)
        for labels, number in self.of.value(data).items():
            rest = tuple(pair for pair in labels if pair[0] != "le")
            groups[rest].append((float(dict(labels)["le"]), number))
        return {labels: _quantile(float(self.q), sorted(buckets)) for labels, buckets in groups.items()}


def _quantile(q: float, buckets: list[tuple[float, float]]) -> float:
    total = buckets[-1][1]
    if buckets[-1][0] != math.inf or len(buckets) < 2 or total == 0:
        return math.nan
    rank = q * total
    place = next((place for place, (_, count) in enumerate(buckets[:-1]) if count >= rank), len(buckets) - 1)
    if place == len(buckets) - 1:
        return buckets[-2][0]
    upper, count = buckets[place]
    lower, below = buckets[place - 1] if place else (0.0, 0.0)
    return lower + (upper - lower) * (rank - below) / (count - below)


@dataclass(frozen=True)
class Round(Node):
    """`round(…, step)`."""

    of: Node
    step: str = "0.001"

    def text(self) -> str:
        return f"round({self.of.text()}, {self.step})"

    def value(self, data: Data) -> Vector:
        inverse = 1 / float(self.step)
        return {
            labels: number if math.isnan(number) else math.floor(number * inverse + 0.5) / inverse
            for labels, number in self.of.value(data).items()
        }


@dataclass(frozen=True)
class Above(Node):
    """`… > 0`, without parentheses of its own."""

    of: Node

    def text(self) -> str:
        return f"{self.of.text()} > 0"

    def value(self, data: Data) -> Vector:
        return {labels: number for labels, number in self.of.value(data).items() if number > 0}


@dataclass(frozen=True)
class Over(Node):
    """`… / …`, one series to one."""

    top: Node
    bottom: Node

    def text(self) -> str:
        return f"{self.top.text()} / {self.bottom.text()}"

    def value(self, data: Data) -> Vector:
        bottom = self.bottom.value(data)
        return {
            labels: _divided(number, bottom[labels])
            for labels, number in self.top.value(data).items()
            if labels in bottom
        }


def _divided(top: float, bottom: float) -> float:
    return top / bottom if bottom else math.nan if top == 0 else math.copysign(math.inf, top)


@dataclass(frozen=True)
class Scaled(Node):
    """`(… / 1000)`."""

    of: Node
    by: float = 1000

    def text(self) -> str:
        return f"({self.of.text()} / {self.by:g})"

    def value(self, data: Data) -> Vector:
        return {labels: number / self.by for labels, number in self.of.value(data).items()}


@dataclass(frozen=True)
class Plus(Node):
    """`… + …`, one series to one."""

    left: Node
    right: Node

    def text(self) -> str:
        return f"{self.left.text()} + {self.right.text()}"

    def value(self, data: Data) -> Vector:
        right = self.right.value(data)
        return {labels: number + right[labels] for labels, number in self.left.value(data).items() if labels in right}


@dataclass(frozen=True)
class Either(Node):
    """`(…) OR (…)`: what the first has, and what only the second has."""

    first: Node
    second: Node
    word: str = "OR"

    def text(self) -> str:
        return f"({self.first.text()}) {self.word} ({self.second.text()})"

    def value(self, data: Data) -> Vector:
        return self.second.value(data) | self.first.value(data)


@dataclass(frozen=True)
class Highest(Node):
    """`topk(count, …)`."""

    count: int
    of: Node

    def text(self) -> str:
        return f"topk({self.count}, {self.of.text()})"

    def value(self, data: Data) -> Vector:
        found = sorted(self.of.value(data).items(), key=lambda item: -item[1] if item[1] == item[1] else math.inf)
        return dict(found[: self.count])


@dataclass(frozen=True)
class Joined(Node):
    """`label_join(…, target, ".", labels…)`."""

    of: Node
    target: str
    labels: tuple[str, ...]

    def text(self) -> str:
        names = ", ".join(map(quoted, self.labels))
        return f'label_join({self.of.text()}, {quoted(self.target)}, ".", {names})'

    def value(self, data: Data) -> Vector:
        answer: Vector = {}
        for labels, number in self.of.value(data).items():
            known = dict(labels)
            known[self.target] = ".".join(known.get(name, "") for name in self.labels)
            answer[labels_of(known)] = number
        return answer


@dataclass(frozen=True)
class OrZero(Node):
    """`… or vector(0)`."""

    of: Node

    def text(self) -> str:
        return f"{self.of.text()} or vector(0)"

    def value(self, data: Data) -> Vector:
        return {(): 0.0} | self.of.value(data)
