"""The walk over a query's tree: every node becomes a matrix over all steps at once.

Pure but for the samples it is given; between nodes it looks at the clock, so that a query over its
time stops. A subquery's result becomes flat samples like a selector's, and the same window kernels
serve both.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from windvane.promql import binary, kernels
from windvane.promql.aggregate import aggregate
from windvane.promql.errors import QueryLimitError, UnsupportedError
from windvane.promql.functions import REGISTRY, edges
from windvane.promql.functions.base import Window, position
from windvane.promql.functions.rolled import rolled_vector
from windvane.promql.labels import Pool
from windvane.promql.native import select as natives
from windvane.promql.pieces import over, with_native, without_stale
from windvane.promql.plan import Context, Read, range_read, rolled_node, selector_read, subquery_steps, window_ends
from windvane.promql.rollup.nodes import Buckets, RolledNode
from windvane.promql.signatures import SET_OPERATORS
from windvane.promql.syntax import (
    Aggregate,
    Binary,
    Call,
    Edges,
    Expr,
    Number,
    Paren,
    Range,
    Selector,
    String,
    Subquery,
    Unary,
    unwrap,
)
from windvane.promql.value import Floats, Notes, Sampled, Samples, Scalar, Steps, Text, Times, Value, Vector


@dataclass(slots=True)
class NodeCost:
    """What one node of the tree cost, its operands included."""

    node: str
    depth: int
    steps: int
    series: int = 0
    seconds: float = 0.0


def node_name(expr: Expr) -> str:
    """A node without its operands."""
    match expr:
        case Selector(matchers=matchers):
            return f"{{{', '.join(map(str, matchers))}}}"
        case Call(function=function):
            return f"{function}()"
        case Aggregate(op=op, grouping=grouping, without=without):
            labels = f" {'without' if without else 'by'} ({', '.join(grouping)})" if grouping or without else ""
            return op + labels
        case Binary(op=op) | Unary(op=op):
            return op
        case _:
            return type(expr).__name__.lower()


@dataclass(slots=True)
class Evaluator:
    """One query: its samples by read, its clock, what it has to note."""

    context: Context
    pool: Pool
    samples: Callable[[Read], Sampled]
    check: Callable[[], None]
    max_cells: int = 50_000_000
    notes: Notes = field(default_factory=Notes)
    costs: list[NodeCost] | None = None
    buckets: Callable[[RolledNode], Buckets] | None = None
    without_buckets: frozenset[int] = frozenset()
    """Selectors (by `id`) of whose native histograms only count and sum matter."""
    _depth: int = 0

    def value(self, expr: Expr, steps: Steps) -> Value:
        """What `expr` is at every step; `ExecutionError` where the data forbid it."""
        self.check()
        if self.costs is not None and not isinstance(expr, Paren | Number | String):
            return self._measured(expr, steps, self.costs)
        with np.errstate(all="ignore"):
            return self._value(expr, steps)

    def _measured(self, expr: Expr, steps: Steps, costs: list[NodeCost]) -> Value:
        """As `value`, with an entry in `costs`, parents before their operands."""
        cost = NodeCost(node_name(expr), self._depth, len(steps))
        costs.append(cost)
        self._depth += 1
        started = time.perf_counter()
        with np.errstate(all="ignore"):
            value = self._value(expr, steps)
        cost.seconds = time.perf_counter() - started
        cost.series = len(value) if isinstance(value, Vector) else 1
        self._depth -= 1
        return value

    def _value(self, expr: Expr, steps: Steps) -> Value:  # noqa: PLR0911 - a case a node
        node = rolled_node(expr, steps, self.context)
        if node is not None:
            assert self.buckets is not None
            return rolled_vector(self, expr, node, self.buckets(node))
        match expr:
            case Number(value=value):
                return Scalar(np.full(len(steps), value))
            case String(value=text):
                return Text(text)
            case Paren(expr=inner):
                return self.value(inner, steps)
            case Unary():
                return self._unary(expr, steps)
            case Selector():
                return self._selector(expr, steps)[0]
            case Aggregate():
                param = None if expr.param is None else self.value(expr.param, steps)
                assert not isinstance(param, Vector)
                return aggregate(expr, self.vector(expr.expr, steps), param, self.notes)
            case Call():
                return self._call(expr, steps)
            case Binary():
                return self._binary(expr, steps)
            case _:
                raise AssertionError(f"a range vector has no value of its own: {expr}")

    # Operands, as functions ask for them

    def vector(self, expr: Expr, steps: Steps) -> Vector:
        """An operand that is an instant vector."""
        value = self.value(expr, steps)
        assert isinstance(value, Vector)
        return value

    def numbers(self, expr: Expr, steps: Steps) -> Floats:
        """An operand that is a scalar, one number a step."""
        value = self.value(expr, steps)
        assert isinstance(value, Scalar)
        return value.values

    def text(self, expr: Expr) -> str:
        """An operand that is a string."""
        inner = unwrap(expr)
        assert isinstance(inner, String)
        return inner.value

    def window(self, expr: Expr, steps: Steps) -> Window:
        """An operand that is a range vector: a selector's samples or a subquery's results."""
        expr = unwrap(expr)
        if isinstance(expr, Range):
            selector = expr.selector
            samples = self._fitting(range_read(expr, steps, self.context), steps)
            native = natives.without_stale(samples.native)
            if id(selector) in self.without_buckets:
                native = natives.without_buckets(native)
            samples = with_native(without_stale(samples), native)
            ends = window_ends(selector.offset, selector.at, steps, self.context)
            return Window(samples, ends, expr.duration, self.context.lookback)
        assert isinstance(expr, Subquery)
        inner = subquery_steps(expr, steps, self.context)
        samples = flat_samples(self.vector(expr.expr, inner), inner.times())
        samples.native = natives.of_subquery(samples.native)
        return Window(samples, window_ends(expr.offset, expr.at, steps, self.context), expr.duration)

    def matrix(self, expr: Range | Subquery, steps: Steps) -> Window:
        """A range vector by itself, at the only step of an instant query."""
        window = self.window(expr, steps)
        modifier = expr.selector.edges if isinstance(expr, Range) else None
        return window if modifier is None else edges.extended(window, modifier)

    def sample_times(self, selector: Selector, steps: Steps) -> Vector:
        """The times (seconds) of the samples that an instant selector finds."""
        vector, times = self._selector(selector, steps)
        return Vector(vector.labels, times / 1000, vector.present)

    # Nodes

    def _selector(self, selector: Selector, steps: Steps) -> tuple[Vector, Times]:
        lookback = self.context.lookback
        samples = self._fitting(selector_read(selector, steps, self.context), steps)
        ends = window_ends(selector.offset, selector.at, steps, self.context)
        if selector.edges is Edges.SMOOTHED:
            return edges.smoothed(samples, ends, lookback)
        values, present, times = over(kernels.latest, samples, ends, lookback)
        if id(selector) in self.without_buckets:
            samples = with_native(samples, natives.without_buckets(samples.native))
        native = natives.latest(samples, ends, lookback, (values, present, times))
        some = np.asarray(present.any(axis=1))
        vector = Vector(samples.labels, values, present, native)
        return (vector, times) if some.all() else (vector.take(some), times[some])

    def _fitting(self, read: Read, steps: Steps) -> Sampled:
        """A read's samples, unless their series at all steps would be a matrix too large to hold."""
        samples = self.samples(read)
        if len(samples.labels) * len(steps) > self.max_cells:
            raise QueryLimitError(
                "query processing would load too many samples into memory in query execution "
                f"({len(samples.labels)} series at {len(steps)} steps)"
            )
        return samples

    def _unary(self, node: Unary, steps: Steps) -> Value:
        value = self.value(node.expr, steps)
        if node.op == "+" or isinstance(value, Text):
            return value
        if isinstance(value, Scalar):
            return Scalar(-value.values)
        native = natives.negated(value.native)
        return binary.merge_same(Vector(value.labels.drop_name(), -value.values, value.present, native))

    def _call(self, call: Call, steps: Steps) -> Value:
        function = REGISTRY.get(call.function)
        if function is None:
            raise UnsupportedError(f"function {call.function}() is not supported by this version")
        edges.check(call)
        return function(self, call, steps)

    def _binary(self, node: Binary, steps: Steps) -> Value:
        left, right = self.value(node.left, steps), self.value(node.right, steps)
        how = binary.How(node.return_bool, self.notes, position(node))
        match left, right:
            case Scalar(), Scalar():
                return binary.scalars(node.op, left, right)
            case Vector(), Scalar():
                return binary.vector_scalar(node.op, left, right, how, swapped=False)
            case Scalar(), Vector():
                return binary.vector_scalar(node.op, right, left, how, swapped=True)
            case Vector(), Vector():
                assert node.matching is not None
                if node.op in SET_OPERATORS:
                    return binary.set_operation(node.op, left, right, node.matching)
                return binary.vectors(node.op, left, right, node.matching, how)
            case _:
                raise AssertionError(f"operands of {node.op} were not checked")


def flat_samples(vector: Vector, times: Times) -> Samples:
    """A matrix as flat samples in series order, values that are absent left out."""
    floats = vector.present if vector.native is None else vector.present & ~vector.is_native()
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(floats.sum(axis=1))])
    rows, columns = np.nonzero(floats)
    native = natives.flat(vector, times)
    return Samples(vector.labels, offsets, times[columns], vector.values[rows, columns], native=native)
