"""The syntax tree of a PromQL expression: plain frozen values, compared by content.

Times are integers in milliseconds. `span` takes no part in comparison, so equal expressions are equal
wherever they stand.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from windvane.promql.quoting import quote

METRIC_NAME = "__name__"


class Span(NamedTuple):
    """The half-open range of characters a node came from, and the line and column of its start."""

    start: int = 0
    end: int = 0
    line: int = 1
    column: int = 1

    def __str__(self) -> str:
        return f"({self.line}:{self.column})"


NOWHERE = Span()


class ValueType(Enum):
    """What an expression evaluates to, by the names Prometheus uses in messages."""

    SCALAR = "scalar"
    VECTOR = "instant vector"
    MATRIX = "range vector"
    STRING = "string"


class MatchOp(Enum):
    """How a label matcher compares; regular expressions are RE2 and anchored at both ends."""

    EQUAL = "="
    NOT_EQUAL = "!="
    REGEX = "=~"
    NOT_REGEX = "!~"


@dataclass(frozen=True, slots=True, order=True)
class Matcher:
    """One condition on a label; a label that is absent has the value ''."""

    name: str
    op: MatchOp = field(compare=True)
    value: str

    def __str__(self) -> str:
        return f"{quote_label(self.name)}{self.op.value}{quote(self.value)}"


class AtEdge(Enum):
    """`@ start()` and `@ end()`: the edges of the query's own range."""

    START = "start()"
    END = "end()"


At = int | AtEdge | None


class Edges(Enum):
    """How a selector finds values at the bounds of its window, where no sample need be (experimental)."""

    ANCHORED = "anchored"
    SMOOTHED = "smoothed"


@dataclass(frozen=True, slots=True)
class Duration:
    """Arithmetic that stands for a duration; known only with the query's own range and step.

    `op` is an arithmetic operator (a sign when `left` is None), `min`, `max`, `step` or `range`; operands
    are seconds. `wrapped`: written in parentheses.
    """

    op: str
    left: Duration | Number | None = None
    right: Duration | Number | None = None
    wrapped: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Number:
    """A number; `duration` when it was written as one, such as `5m` for 300."""

    value: float
    span: Span = field(default=NOWHERE, compare=False)
    duration: bool = field(default=False, compare=False)


@dataclass(frozen=True, slots=True)
class String:
    value: str
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Selector:
    """An instant vector selector; `matchers` includes the one for the metric's name, if given.

    `name` is the metric's name where it stands before the braces. `offset_expr` stands for `offset` until
    `durations.resolve`.
    """

    matchers: tuple[Matcher, ...]
    offset: int = 0
    at: At = None
    span: Span = field(default=NOWHERE, compare=False)
    name: str = field(default="", compare=False)
    edges: Edges | None = None
    offset_expr: Duration | None = None


@dataclass(frozen=True, slots=True)
class Range:
    """A range vector selector: the samples of `selector` in the `duration` before its time."""

    selector: Selector
    duration: int
    span: Span = field(default=NOWHERE, compare=False)
    duration_expr: Duration | None = None


@dataclass(frozen=True, slots=True)
class Subquery:
    """`expr[duration:step]`; `step` None means the default evaluation interval."""

    expr: Expr
    duration: int
    step: int | None
    offset: int = 0
    at: At = None
    span: Span = field(default=NOWHERE, compare=False)
    duration_expr: Duration | None = None
    step_expr: Duration | None = None
    offset_expr: Duration | None = None


@dataclass(frozen=True, slots=True)
class Call:
    function: str
    args: tuple[Expr, ...]
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Aggregate:
    """An aggregation over the labels `grouping` (or over all others, if `without`)."""

    op: str
    expr: Expr
    param: Expr | None = None
    grouping: tuple[str, ...] = ()
    without: bool = False
    span: Span = field(default=NOWHERE, compare=False)


class Cardinality(Enum):
    """How many elements of each side one element of the other may meet."""

    ONE_TO_ONE = "one-to-one"
    MANY_TO_ONE = "many-to-one"
    ONE_TO_MANY = "one-to-many"
    MANY_TO_MANY = "many-to-many"


@dataclass(frozen=True, slots=True)
class Matching:
    """Which labels two vectors are joined on; `include` are copied from the "one" side.

    `fill_left`, `fill_right`: the value of a series that only the other side has (experimental).
    """

    cardinality: Cardinality = Cardinality.ONE_TO_ONE
    labels: tuple[str, ...] = ()
    on: bool = False
    include: tuple[str, ...] = ()
    fill_left: float | None = None
    fill_right: float | None = None


@dataclass(frozen=True, slots=True)
class Binary:
    """A binary operation; `matching` is set when both sides are vectors."""

    op: str
    left: Expr
    right: Expr
    matching: Matching | None = None
    return_bool: bool = False
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Unary:
    op: str
    expr: Expr
    span: Span = field(default=NOWHERE, compare=False)


@dataclass(frozen=True, slots=True)
class Paren:
    expr: Expr
    span: Span = field(default=NOWHERE, compare=False)


Expr = Number | String | Selector | Range | Subquery | Call | Aggregate | Binary | Unary | Paren


def unwrap(expr: Expr) -> Expr:
    """The expression inside any number of parentheses."""
    while isinstance(expr, Paren):
        expr = expr.expr
    return expr


def children(expr: Expr) -> tuple[Expr, ...]:
    """The direct operands of an expression, in evaluation order."""
    match expr:
        case Range(selector=selector):
            return (selector,)
        case Subquery(expr=inner) | Unary(expr=inner) | Paren(expr=inner):
            return (inner,)
        case Call(args=args):
            return args
        case Aggregate(expr=inner, param=param):
            return (inner,) if param is None else (param, inner)
        case Binary(left=left, right=right):
            return (left, right)
        case _:
            return ()


def quote_label(name: str) -> str:
    """A label name as PromQL writes it: bare when classic, quoted when UTF-8."""
    return name if is_classic(name) else quote(name)


def is_classic(name: str) -> bool:
    """Whether a label's name needs no quotes."""
    return name.isascii() and name.replace("_", "a").isalnum() and not name[0].isdigit()


def depth(expr: Expr) -> int:
    """The number of levels of the tree."""
    deepest, open_ = 0, [(expr, 1)]
    while open_:
        node, level = open_.pop()
        deepest = max(deepest, level)
        open_.extend((child, level + 1) for child in children(node))
    return deepest
