"""The critical path: which spans a trace's duration is made of.

From the end of the main root one walks back: the child that finished last held the span up; before that child began,
the child that had finished last by then, and so on; in between the span itself worked. The same holds within every
child found. (Jaeger's and CRISP's walk; a child that ends just when the next begins is on the path here.) Each span
between its children on the path owns a section, and the sections cover the root without gap or overlap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from windvane.tracing.analysis.spans import Floats, Ints, Mask
from windvane.tracing.analysis.tree import Tree, callers, durations, quantile, self_time, sums, traces_of

BANDS = {"p50": (0.45, 0.55), "p95": (0.925, 0.975), "p99": (0.98, 1.0)}
"""Which traces stand for a quantile: those whose rank by duration, as a share, lies between these."""


@dataclass(frozen=True, slots=True)
class Section:
    """A span's piece of the path, nanoseconds since the epoch."""

    row: int
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Path:
    """The path of every trace: the rows on it, which children each walk went through, and the time each row owns."""

    on: Mask
    own: Ints


@dataclass(frozen=True, slots=True)
class Band:
    """What an owner has of the traces at a quantile: nanoseconds a trace, and the share of their time."""

    mean_ns: float
    share: float


@dataclass(frozen=True, slots=True)
class Owner:
    """A service, an operation or an edge, and the latency it owns: on the path, of all traces and by band.

    `self_ns` is its self time on the path or not. `traces` have it on the path.
    """

    label: tuple[str, ...]
    traces: int
    path_ns: int
    self_ns: int
    share: float
    at: dict[str, Band] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """The paths of many traces; owners are ordered by the time they own."""

    traces: int
    total_ns: int
    quantiles_ns: dict[str, float]
    services: list[Owner]
    operations: list[Owner]
    edges: list[Owner]


def walk(tree: Tree) -> Path:
    """The critical path of every trace, from its main root."""
    chosen = _chosen(tree)
    tops = tree.roots[tree.roots >= 0]
    on = tree.inherit(tops, chosen)
    own = np.where(on, tree.length, 0)
    through = np.flatnonzero(on & chosen)
    return Path(on, own - sums(tree.spans.parent[through], tree.length[through], len(own)))


def _chosen(tree: Tree) -> Mask:
    """Children that their parent waits for: the last that finished, and before each the last finished by its start."""
    rows, begins, ends = tree.line()
    chosen = np.zeros(len(tree.spans), np.bool_)
    if not len(rows):
        return chosen
    order = np.lexsort((-rows, ends))  # of those that end together, the earliest (and longest) comes last
    rows, begins, ends = rows[order], begins[order], ends[order]
    above = tree.spans.parent[rows]
    place = np.arange(len(rows))
    before = np.minimum(np.searchsorted(ends, begins, side="right") - 1, place - 1)
    before = np.where((before >= 0) & (above[before] == above), before, -1)
    current = np.flatnonzero(np.append(above[1:] != above[:-1], True))
    while len(current):
        chosen[rows[current]] = True
        current = before[current]
        current = current[current >= 0]
    return chosen


def sections(tree: Tree, path: Path, trace: int = 0) -> list[Section]:
    """The sections of one trace in the order of time; together they are as long as its main root."""
    within = np.flatnonzero(path.on & (tree.spans.columns.trace == trace))
    cuts: dict[int, list[tuple[int, int]]] = {row: [] for row in within.tolist()}
    for row in within.tolist():
        above = int(tree.spans.parent[row])
        if above in cuts and tree.attached[row]:
            cuts[above].append((int(tree.low[row]), int(tree.high[row])))
    found: list[Section] = []
    for row, inner in cuts.items():
        start = int(tree.low[row])
        for low, high in [*sorted(inner), (int(tree.high[row]), int(tree.high[row]))]:
            if low > start:
                found.append(Section(row, start, low))
            start = high
    return sorted(found, key=lambda section: section.start_ns)


def aggregate(tree: Tree, path: Path) -> Aggregate:
    """Who owns the latency of the traces."""
    spans = tree.spans
    lengths = durations(tree)
    of_name, services = spans.services()
    caller = callers(tree)
    service = of_name[spans.columns.name] if len(spans) else spans.columns.name
    edge = (caller + 1) * max(1, len(services)) + service
    edges, edge_of = np.unique(edge, return_inverse=True)
    edge_labels = [
        ("" if number < len(services) else services[number // len(services) - 1], services[number % len(services)])
        for number in edges.tolist()
    ]
    measure = _Measure(tree, path, self_time(tree), lengths)
    return Aggregate(
        traces=len(lengths),
        total_ns=int(lengths.sum()),
        quantiles_ns=quantiles(lengths),
        services=measure.owners(service, [(name,) for name in services]),
        operations=measure.owners(spans.columns.name, [tuple(name) for name in spans.names]),
        edges=measure.owners(edge_of, edge_labels),
    )


def quantiles(lengths: Ints | Floats) -> dict[str, float]:
    """The quantiles that bands stand for, interpolated."""
    return {name: quantile(lengths, float(name[1:]) / 100) for name in BANDS}


def band(lengths: Ints, name: str) -> Mask:
    """The traces that stand for a quantile; at least one where there are any."""
    low, high = BANDS[name]
    count = len(lengths)
    chosen = np.zeros(count, np.bool_)
    first = min(int(low * count), count - 1)
    chosen[np.argsort(lengths, kind="stable")[first : max(first + 1, int(np.ceil(high * count)))]] = True
    return chosen if count else chosen[:0]


@dataclass(frozen=True, slots=True)
class _Measure:
    tree: Tree
    path: Path
    self_ns: Ints
    lengths: Ints

    def owners(self, code: Ints, labels: Sequence[tuple[str, ...]]) -> list[Owner]:
        """What each label owns; `code` numbers the label of every row."""
        trace, size = self.tree.spans.columns.trace, len(labels)
        own = sums(code, self.path.own, size)
        alone = sums(code, self.self_ns, size)
        on = self.path.own > 0
        traces = traces_of(code[on], trace[on], size)
        total = max(1, int(self.lengths.sum()))
        bands = {name: self._band(name, code, size) for name in BANDS}
        found = [
            Owner(label, int(traces[i]), int(own[i]), int(alone[i]), own[i] / total,
                  {name: Band(means[i], shares[i]) for name, (means, shares) in bands.items()})
            for i, label in enumerate(labels)
            if own[i] or alone[i]
        ]  # fmt: skip
        return sorted(found, key=lambda owner: (-owner.path_ns, owner.label))

    def _band(self, name: str, code: Ints, size: int) -> tuple[list[float], list[float]]:
        chosen = band(self.lengths, name)
        rows = chosen[self.tree.spans.columns.trace] & self.path.on
        own = sums(code[rows], self.path.own[rows], size)
        total = max(1, int(self.lengths[chosen].sum()))
        return (own / max(1, int(chosen.sum()))).tolist(), (own / total).tolist()
