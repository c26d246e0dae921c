"""Nodes of a query that rollups answer: found by planner and evaluator alike, from the tree and the times alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from windvane.promql.labels import Labels
from windvane.promql.rollup import kernels
from windvane.promql.rollup.choose import OPERATIONS, Choice
from windvane.promql.syntax import Call, Expr, Matcher, Range, Selector, unwrap
from windvane.promql.value import Floats, Mask, Steps, Times

if TYPE_CHECKING:
    from windvane.promql.plan import Context


@dataclass(frozen=True, slots=True)
class RolledNode:
    """A function of windows (end - span, end] over the buckets of `choice`."""

    matchers: tuple[Matcher, ...]
    operation: int
    ends: Times
    span: int
    choice: Choice


@dataclass(frozen=True, slots=True)
class Buckets:
    """Buckets of series in series order: series i has offsets[i]:offsets[i + 1], ascending by end."""

    labels: Labels
    offsets: Times
    ends: Times
    facts: Floats

    def windows(self, node: RolledNode) -> tuple[Floats, Mask]:
        """The node's value for every series and step, and where it is there."""
        return kernels.windows(self.offsets, self.ends, self.facts, node.ends, node.span, node.operation)


def rolled(expr: Expr, ends: Times, steps: Steps, context: Context) -> RolledNode | None:
    """The node as rollups answer it; None where samples must. `ends` are the ends of its selector's windows."""
    selector, operation, span = _parts(expr, context.lookback)
    if selector is None or context.rollups is None or selector.edges is not None:
        return None
    step = 0 if selector.at is not None else steps.step
    choice = context.rollups.choose(operation, ends, span, step)
    return None if choice is None else RolledNode(selector.matchers, operation, ends, span, choice)


def selector_of(expr: Expr) -> Selector | None:
    """The selector of a node that rollups might answer."""
    return _parts(expr, 0)[0]


def _parts(expr: Expr, lookback: int) -> tuple[Selector | None, int, int]:
    """Selector, operation and span of a node that is a selector or a function of a range; None for others."""
    if isinstance(expr, Selector):
        return expr, kernels.LATEST, lookback
    if isinstance(expr, Call) and expr.function in OPERATIONS:
        argument = unwrap(expr.args[0])
        if isinstance(argument, Range):
            return argument.selector, OPERATIONS[expr.function], argument.duration
    return None, 0, 0
