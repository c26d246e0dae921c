"""What a query must read: pure arithmetic on the tree, before anything is asked of the store.

Each selector is evaluated at the end of a window at every step: `ends` are the step times moved by
`offset`, or one fixed time for `@`. A window is open on the left and closed on the right, so a
selector reads (ends[0] - span, ends[-1]], where the span is its range, or the lookback for an instant
vector. A subquery evaluates its inside on a grid of its own, aligned to multiples of its step.
Selectors with equal matchers and touching times share one read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from windvane.promql.errors import ExecutionError
from windvane.promql.rollup.choose import Policy
from windvane.promql.rollup.nodes import RolledNode, rolled, selector_of
from windvane.promql.syntax import At, AtEdge, Call, Edges, Expr, Matcher, Range, Selector, Subquery, children, unwrap
from windvane.promql.value import Steps, Times

MIN_TIME = -(1 << 53)
MAX_TIME = 1 << 53
"""Times are kept where 64-bit arithmetic on them cannot overflow and floats are exact."""


@dataclass(frozen=True, slots=True)
class Context:
    """What selectors of one query have in common: its own range, and defaults in milliseconds."""

    start: int
    end: int
    lookback: int = 300_000
    subquery_step: int = 60_000
    rollups: Policy | None = None
    """Which windows may be answered from rollups."""


@dataclass(frozen=True, slots=True)
class Read:
    """Samples of all series that match, at times in (after, until] (ms)."""

    matchers: tuple[Matcher, ...]
    after: int
    until: int

    def covers(self, other: Read) -> bool:
        """Whether this read holds everything the other asks for."""
        return self.matchers == other.matchers and self.after <= other.after and other.until <= self.until


@dataclass(slots=True)
class Plan:
    """A query's reads, fewest possible, in the order the tree asks for them."""

    reads: list[Read] = field(default_factory=list)

    def find(self, read: Read) -> int:
        """The position of the read that covers `read`."""
        return next(place for place, planned in enumerate(self.reads) if planned.covers(read))


def plan(expr: Expr, steps: Steps, context: Context) -> Plan:
    """All reads of `expr` evaluated at `steps`."""
    merged: list[Read] = []
    for read in _reads(expr, steps, context):
        _merge(merged, read)
    return Plan(merged)


def _merge(merged: list[Read], read: Read) -> None:
    for place, other in enumerate(merged):
        apart = read.until < other.after or other.until < read.after
        if other.matchers == read.matchers and not apart:
            del merged[place]
            wider = Read(read.matchers, min(read.after, other.after), max(read.until, other.until))
            _merge(merged, wider)
            return
    merged.append(read)


def rolled_node(expr: Expr, steps: Steps, context: Context) -> RolledNode | None:
    """The node as rollups answer it, if they do: then it reads no samples of its own."""
    selector = selector_of(expr) if context.rollups is not None else None
    if selector is None:
        return None
    return rolled(expr, window_ends(selector.offset, selector.at, steps, context), steps, context)


def _reads(expr: Expr, steps: Steps, context: Context) -> Iterator[Read]:
    if rolled_node(expr, steps, context) is not None:
        return
    match expr:
        case Call() if reads_sample_times(expr):
            selector = unwrap(expr.args[0])
            assert isinstance(selector, Selector)
            yield selector_read(selector, steps, context)
        case Selector():
            yield selector_read(expr, steps, context)
        case Range():
            yield range_read(expr, steps, context)
        case Subquery(expr=inner):
            yield from _reads(inner, subquery_steps(expr, steps, context), context)
        case _:
            for child in children(expr):
                yield from _reads(child, steps, context)


def selector_read(selector: Selector, steps: Steps, context: Context) -> Read:
    """The read of an instant selector; a smoothed one looks ahead as far as back."""
    after = context.lookback if selector.edges is Edges.SMOOTHED else 0
    return _read(selector, context.lookback, after, steps, context)


def range_read(node: Range, steps: Steps, context: Context) -> Read:
    """The read of a range selector; one that meets its bounds needs samples outside of its windows."""
    edges = node.selector.edges
    before = context.lookback if edges is not None else 0
    after = context.lookback if edges is Edges.SMOOTHED else 0
    return _read(node.selector, node.duration + before, after, steps, context)


def _read(selector: Selector, before: int, after: int, steps: Steps, context: Context) -> Read:
    ends = window_ends(selector.offset, selector.at, steps, context)
    if not len(ends):
        return Read(selector.matchers, 0, 0)
    return Read(selector.matchers, int(ends[0]) - before, int(ends[-1]) + after)


def window_ends(offset: int, at: At, steps: Steps, context: Context) -> Times:
    """The end of the window of every step."""
    times = steps.times()
    if at is not None:
        times = np.full_like(times, _fixed(at, context))
    ends: Times = times - offset
    if len(ends) and (ends[0] <= MIN_TIME or ends[-1] >= MAX_TIME):
        raise ExecutionError("time out of range")
    return ends


def _fixed(at: At, context: Context) -> int:
    if isinstance(at, AtEdge):
        return context.start if at is AtEdge.START else context.end
    assert at is not None
    return max(MIN_TIME, min(MAX_TIME, at))


def subquery_steps(subquery: Subquery, steps: Steps, context: Context) -> Steps:
    """The grid a subquery evaluates its inside on: multiples of its step within all its windows."""
    step = subquery.step or context.subquery_step
    ends = window_ends(subquery.offset, subquery.at, steps, context)
    if not len(ends):
        return Steps(0, -1, step)
    after = int(ends[0]) - subquery.duration
    start = step * int(after / step if abs(after) < 1 << 50 else after // step)
    if start <= after:
        start += step
    return Steps(start, int(ends[-1]), step)


def reads_sample_times(call: Call) -> bool:
    """`timestamp(selector)` gives the time of the sample itself, not of the evaluation."""
    return call.function == "timestamp" and isinstance(unwrap(call.args[0]), Selector)
