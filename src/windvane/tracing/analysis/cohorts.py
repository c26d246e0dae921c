"""What tells two sets of traces apart: attributes, operations, edges, failures, durations.

A trace counts once, however many of its spans have a property, for spans of one trace are no independent
observations. Every property that enough traces of both sets together have is one comparison (Fisher's exact test);
every operation's latency is another (Brunner and Munzel's). All comparisons of one question are one family: with
Benjamini and Hochberg's correction a share `rate` of the findings is false on average, with Holm's the chance of any
false finding is `rate`. Properties that the very same traces have are one comparison with several names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np

from windvane.kit.errors import BadInputError
from windvane.tracing.analysis import statistics
from windvane.tracing.analysis.spans import ERROR, Floats, Ints, Keys, Mask
from windvane.tracing.analysis.statistics import Interval
from windvane.tracing.analysis.tree import Tree, callers, durations, quantile, sums

Correction = Literal["benjamini-hochberg", "holm"]
Kind = Literal["attribute", "failing", "edge", "operation", "duration"]

CORRECTIONS: dict[Correction, Callable[[Floats], Floats]] = {
    "benjamini-hochberg": statistics.benjamini_hochberg,
    "holm": statistics.holm,
}
_EDGES = (0.0, 0.5, 0.75, 0.9, 0.95, 0.99, 1.0)  # bands of duration, as quantiles of both sets together
_LEAST_LATENCIES = 10  # traces of each set, below which the test's distribution is not to be trusted


@dataclass(frozen=True, slots=True)
class Property:
    """Something a trace has or has not.

    `key` and `value` by kind: an attribute's scoped name and its value; service and operation (called, or failing);
    calling and called service; the least and the greatest duration in milliseconds (both included).
    """

    kind: Kind
    key: str
    value: str


@dataclass(frozen=True, slots=True)
class Candidates:
    """Properties to compare: how many traces of the selection (`a`) and the baseline (`b`) have each.

    Equal `signature`s mean the same traces. `example` is the index of a trace that has the property. `label` says what
    some of the candidates are.
    """

    a: Ints
    b: Ints
    signature: Keys
    example: Ints
    label: Callable[[Sequence[int]], list[Property]]


@dataclass(frozen=True, slots=True)
class Difference:
    """A property that one set has more often; `also` has the properties of exactly the same traces."""

    property: Property
    also: list[Property]
    selection: int
    baseline: int
    difference: Interval
    ratio: Interval
    p: float
    adjusted: float
    example: str


@dataclass(frozen=True, slots=True)
class LatencyDifference:
    """An operation (or, with two '', the whole trace) that takes longer in one set.

    Of every trace the mean of its spans counts. `chance` is that of a trace of the selection being slower than one
    of the baseline.
    """

    service: str
    operation: str
    selection: int
    baseline: int
    selection_ns: dict[str, float]
    baseline_ns: dict[str, float]
    chance: Interval
    p: float
    adjusted: float


@dataclass(frozen=True, slots=True)
class CohortDiff:
    """What was found among how many comparisons, the least adjusted p-values first; `found` differences in all."""

    selection: int
    baseline: int
    comparisons: int
    found: int
    differences: list[Difference]
    latencies: list[LatencyDifference]


@dataclass(frozen=True, slots=True)
class Demand:
    """What a finding must meet: adjusted p-value, and traces of both sets together that have the property.

    `limit` is how many differences are told, the clearest first.
    """

    rate: float = 0.05
    correction: Correction = "benjamini-hochberg"
    support: int = 10
    limit: int = 100

    def __post_init__(self) -> None:
        if not 0 < self.rate < 1:
            raise BadInputError(f"rate {self.rate:g}: expected a share between 0 and 1, such as 0.05")
        if self.support < 1:
            raise BadInputError(f"support {self.support}: expected at least one trace")
        if self.limit < 1:
            raise BadInputError(f"limit {self.limit}: expected at least one difference")
        if self.correction not in CORRECTIONS:
            raise BadInputError(f"correction {self.correction!r}: expected {' or '.join(CORRECTIONS)}")


def diff(tree: Tree, selected: Mask, attributes: Candidates | None = None, demand: Demand | None = None) -> CohortDiff:
    """Compare the traces where `selected` with the others; `attributes` as `tracing.analysis.attributes` counts."""
    demand = demand or Demand()
    selection, baseline = int(selected.sum()), int((~selected).sum())
    if not selection or not baseline:
        which = "baseline" if selection else "selection"
        raise BadInputError(f"the {which} has no traces; nothing can be compared")
    groups = [*structure(tree, selected), *([attributes] if attributes is not None else [])]
    chosen = [_supported(group, demand.support, selection + baseline) for group in groups]
    tests = [
        statistics.fisher(group.a[rows], selection, group.b[rows], baseline)
        for group, (rows, _) in zip(groups, chosen, strict=True)
    ]
    latencies = list(_latencies(tree, selected))
    p = np.concatenate([*tests, np.array([one.p for one in latencies])])
    adjusted = CORRECTIONS[demand.correction](p)
    differences: list[Difference] = []
    place = total = 0
    for group, (rows, same), test in zip(groups, chosen, tests, strict=True):
        own = adjusted[place : place + len(test)]
        place += len(test)
        passed = np.argsort(own, kind="stable")[: int((own <= demand.rate).sum())]
        total += len(passed)
        told = _Told(group, rows, same, test, own)
        differences += told.differences(passed[: demand.limit], selection, baseline, tree.spans.trace_ids)
    differences.sort(key=_clearest)
    slower = [
        replace(one, adjusted=value)
        for one, value in zip(latencies, adjusted[place:].tolist(), strict=True)
        if value <= demand.rate
    ]
    slower.sort(key=lambda one: (one.adjusted, -abs(one.chance.value - 0.5), one.service, one.operation))
    return CohortDiff(selection, baseline, len(p), total, differences[: demand.limit], slower)


def _clearest(one: Difference) -> tuple[object, ...]:
    """What explains most comes first; of findings alike, attributes before what they may have led to."""
    kind, key, value = one.property.kind, one.property.key, one.property.value
    return one.adjusted, -abs(one.difference.value), get_args(Kind).index(kind), key, value


def _supported(group: Candidates, support: int, traces: int) -> tuple[Ints, dict[int, list[int]]]:
    """Candidates to test, one of those with the same traces, and for each all of them.

    What every trace has cannot differ. Neither choice looks at which set a trace is of.
    """
    together = group.a + group.b
    rows = np.flatnonzero((together >= support) & (together < traces))
    same: dict[tuple[int, int], list[int]] = {}
    for row, signature, count in zip(
        rows.tolist(), group.signature[rows].tolist(), together[rows].tolist(), strict=True
    ):
        same.setdefault((signature, count), []).append(row)
    return np.array([alike[0] for alike in same.values()], np.int64), {alike[0]: alike for alike in same.values()}


@dataclass(frozen=True, slots=True)
class _Told:
    """Candidates that were tested, ready to be told."""

    group: Candidates
    rows: Ints
    same: dict[int, list[int]]
    p: Floats
    adjusted: Floats

    def differences(self, passed: Ints, n: int, m: int, trace_ids: Sequence[str]) -> Iterator[Difference]:
        """The findings among the tests; only they are given names."""
        alike = [self.same[int(self.rows[test])] for test in passed.tolist()]
        every = [row for rows in alike for row in rows]
        named = dict(zip(every, self.group.label(every), strict=True)) if every else {}
        for test, rows in zip(passed.tolist(), alike, strict=True):
            a, b = int(self.group.a[rows[0]]), int(self.group.b[rows[0]])
            first, *also = sorted((named[row] for row in rows), key=lambda one: (len(one.key), one.key, one.value))
            yield Difference(
                first, also, a, b,
                statistics.share_difference(a, n, b, m), statistics.share_ratio(a, n, b, m),
                float(self.p[test]), float(self.adjusted[test]), trace_ids[int(self.group.example[rows[0]])],
            )  # fmt: skip


def structure(tree: Tree, selected: Mask) -> list[Candidates]:
    """What can be compared without attributes: operations, failing ones, edges, bands of duration."""
    spans, columns = tree.spans, tree.spans.columns
    sets = _Sets(selected, np.random.default_rng(0x5EED).integers(0, 1 << 64, len(selected), np.uint64))
    failed = columns.status == ERROR
    of_name, services = spans.services()
    service = of_name[columns.name]
    caller = callers(tree)
    edge = caller * np.int64(len(services)) + service
    called = np.flatnonzero(caller >= 0)
    edges, edge_of = np.unique(edge[called], return_inverse=True)
    lengths = durations(tree)
    band, bounds = _bands(lengths)

    def operations(kind: Kind) -> Callable[[Sequence[int]], list[Property]]:
        return lambda rows: [Property(kind, *spans.names[row]) for row in rows]

    def edge_label(rows: Sequence[int]) -> list[Property]:
        numbers = [int(edges[row]) for row in rows]
        return [Property("edge", services[n // len(services)], services[n % len(services)]) for n in numbers]

    def band_label(rows: Sequence[int]) -> list[Property]:
        return [Property("duration", *(f"{bound / 1e6:g}" for bound in bounds[row])) for row in rows]

    trace, everyone = columns.trace, np.arange(len(lengths))
    return [
        _presence(sets, columns.name, trace, len(spans.names), operations("operation")),
        _presence(sets, columns.name[failed], trace[failed], len(spans.names), operations("failing")),
        _presence(sets, edge_of, trace[called], len(edges), edge_label),
        _presence(sets, band, everyone, len(bounds), band_label),
    ]


@dataclass(frozen=True, slots=True)
class _Sets:
    """Which traces are selected; `marks` are random numbers, the same every time: sums of them tell sets apart."""

    selected: Mask
    marks: Keys


def _presence(
    sets: _Sets, code: Ints, trace: Ints, size: int, label: Callable[[Sequence[int]], list[Property]]
) -> Candidates:
    """Count traces by what their rows are coded with; a trace counts once a code."""
    selected, marks = sets.selected, sets.marks
    keys = np.sort(code + trace * np.int64(size))
    keys = keys[np.append(True, keys[1:] != keys[:-1])[: len(keys)]]
    code, trace = keys % max(1, size), keys // max(1, size)
    signature = np.zeros(size, np.uint64)
    np.add.at(signature, code, marks[trace])
    example = np.zeros(size, np.int64)
    example[code[::-1]] = trace[::-1]
    first = selected[trace]
    example[code[first][::-1]] = trace[first][::-1]  # of the selection, where it has one
    return Candidates(
        np.bincount(code[first], minlength=size), np.bincount(code[~first], minlength=size), signature, example, label
    )


def _bands(lengths: Ints) -> tuple[Ints, list[tuple[int, int]]]:
    """The band of every trace, and the least and greatest duration in each."""
    inner = np.unique(np.quantile(lengths, _EDGES[1:-1]))
    band = np.searchsorted(inner, lengths, side="left")
    used, band = np.unique(band, return_inverse=True)
    return band, [(int(lengths[band == b].min()), int(lengths[band == b].max())) for b in range(len(used))]


def _latencies(tree: Tree, selected: Mask) -> Iterator[LatencyDifference]:
    """The test of every operation, and of the whole trace, with enough traces in both sets."""
    columns, names = tree.spans.columns, tree.spans.names
    yield from _latency("", "", durations(tree).astype(np.float64), selected)
    keys, of_row = np.unique(columns.name * np.int64(len(tree.spans.trace_ids)) + columns.trace, return_inverse=True)
    means = sums(of_row, columns.duration, len(keys)) / np.bincount(of_row, minlength=len(keys))
    name, trace = keys // max(1, len(tree.spans.trace_ids)), keys % max(1, len(tree.spans.trace_ids))
    cuts = np.searchsorted(name, np.arange(len(names) + 1))
    for number, (low, high) in enumerate(zip(cuts[:-1].tolist(), cuts[1:].tolist(), strict=True)):
        yield from _latency(*names[number], means[low:high], selected[trace[low:high]])


def _latency(service: str, operation: str, values: Floats, selected: Mask) -> Iterator[LatencyDifference]:
    first, second = values[selected], values[~selected]
    if min(len(first), len(second)) < _LEAST_LATENCIES:
        return
    test = statistics.brunner_munzel(first, second)
    at = {"p50": 0.5, "p95": 0.95}
    yield LatencyDifference(
        service, operation, len(first), len(second),
        {name: quantile(first, share) for name, share in at.items()},
        {name: quantile(second, share) for name, share in at.items()},
        test.chance, test.p, 1.0,
    )  # fmt: skip
