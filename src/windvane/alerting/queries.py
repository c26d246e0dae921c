"""What rules and templates ask of PromQL: one moment, as a vector."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from windvane.promql.engine import QueryEngine
from windvane.promql.errors import ExecutionError
from windvane.promql.native.histogram import Histogram
from windvane.promql.parse import parse
from windvane.promql.syntax import METRIC_NAME, Expr, MatchOp, Selector, children
from windvane.promql.value import ScalarResult, VectorResult

LabelSet = dict[str, str]
Key = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Element:
    """One series of a result (its name in `__name__`) and its value: a number, or a native histogram (then 0)."""

    labels: LabelSet
    value: float
    histogram: Histogram | None = None


QueryFunction = Callable[[str, int], list[Element]]
"""PromQL and a time in milliseconds to elements; raises the errors of `windvane.kit.errors`."""


def key_of(labels: LabelSet) -> Key:
    """A label set as something that can be compared and looked up."""
    return tuple(sorted(labels.items()))


def vector_function(queries: QueryEngine) -> QueryFunction:
    """Queries whose result must be a vector or a scalar, as those of rules must."""

    def evaluate(expr: str, time_ms: int) -> list[Element]:
        value = queries.instant(expr, time_ms).value
        if isinstance(value, ScalarResult):
            return [Element({}, value.value)]
        if isinstance(value, VectorResult):
            found = [Element(*pair) for pair in zip(value.metrics, value.values.tolist(), strict=True)]
            natives = value.native or ()
            for place, histogram in enumerate(natives):
                if histogram is not None:
                    found[place] = Element(found[place].labels, 0.0, histogram)
            return found
        raise ExecutionError("rule result is not a vector or scalar")

    return evaluate


def template_query(queries: QueryFunction, text: str, time_ms: int) -> list[tuple[LabelSet, float | str]]:
    """A query of a template."""
    return [(one.labels, one.value) for one in queries(text, time_ms)]


def read_names(expr: str) -> frozenset[str] | None:
    """The metrics an expression reads; None when that is not certain."""
    names: set[str] = set()
    open_: list[Expr] = [parse(expr)]
    while open_:
        node = open_.pop()
        if isinstance(node, Selector):
            equal = [m.value for m in node.matchers if m.name == METRIC_NAME and m.op is MatchOp.EQUAL and m.value]
            if not equal:
                return None
            names.add(equal[0])
        open_.extend(children(node))
    return frozenset(names)
