"""The tree of a TraceQL query: frozen values, equal when they mean the same text.

An intrinsic has one name here, whichever of its spellings (`name`, `span:name`) was read.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TypeAlias


class Duration(int):
    """Nanoseconds, as a type of its own."""


class Status(Enum):
    """A span's status."""

    OK = "ok"
    ERROR = "error"
    UNSET = "unset"


class Kind(Enum):
    """A span's kind."""

    UNSPECIFIED = "unspecified"
    INTERNAL = "internal"
    SERVER = "server"
    CLIENT = "client"
    PRODUCER = "producer"
    CONSUMER = "consumer"


Scalar: TypeAlias = str | bool | int | float | Duration | Status | Kind


class Scope(Enum):
    """Where an attribute is looked for; ANY is the span, then its resource."""

    ANY = ""
    SPAN = "span"
    RESOURCE = "resource"
    EVENT = "event"
    LINK = "link"
    INSTRUMENTATION = "instrumentation"


class Intrinsic(Enum):
    """What every span has. The value is the name under which it is printed and labelled."""

    DURATION = "duration"
    NAME = "name"
    STATUS = "status"
    STATUS_MESSAGE = "statusMessage"
    KIND = "kind"
    CHILD_COUNT = "span:childCount"
    SPAN_ID = "span:id"
    PARENT_ID = "span:parentID"
    TRACE_ID = "trace:id"
    TRACE_DURATION = "traceDuration"
    ROOT_NAME = "rootName"
    ROOT_SERVICE = "rootServiceName"
    EVENT_NAME = "event:name"
    EVENT_TIME = "event:timeSinceStart"
    LINK_TRACE_ID = "link:traceID"
    LINK_SPAN_ID = "link:spanID"
    SCOPE_NAME = "instrumentation:name"
    SCOPE_VERSION = "instrumentation:version"
    NESTED_LEFT = "nestedSetLeft"
    NESTED_RIGHT = "nestedSetRight"
    NESTED_PARENT = "nestedSetParent"


OF_THE_TRACE = frozenset(
    {
        Intrinsic.CHILD_COUNT,
        Intrinsic.TRACE_DURATION,
        Intrinsic.ROOT_NAME,
        Intrinsic.ROOT_SERVICE,
        Intrinsic.NESTED_LEFT,
        Intrinsic.NESTED_RIGHT,
        Intrinsic.NESTED_PARENT,
    }
)
"""Intrinsics that only the whole trace can tell."""


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in the query."""

    value: Scalar

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Literal) and type(self.value) is type(other.value) and self.value == other.value

    def __hash__(self) -> int:
        return hash((type(self.value), self.value))


@dataclass(frozen=True, slots=True)
class Attribute:
    """An attribute by name."""

    scope: Scope
    name: str


@dataclass(frozen=True, slots=True)
class IntrinsicField:
    """An intrinsic."""

    which: Intrinsic


@dataclass(frozen=True, slots=True)
class Nil:
    """`nil` where it is not beside `=` or `!=`, which means nothing."""


@dataclass(frozen=True, slots=True)
class Unary:
    """`!x` or `-x`."""

    op: str
    operand: Field


@dataclass(frozen=True, slots=True)
class Binary:
    """A comparison, an arithmetic operation, `&&` or `||`."""

    op: str
    left: Field
    right: Field


@dataclass(frozen=True, slots=True)
class Presence:
    """`x != nil` (there), `x = nil` (not there)."""

    operand: Field
    there: bool


Reference: TypeAlias = Attribute | IntrinsicField
Field: TypeAlias = Literal | Attribute | IntrinsicField | Unary | Binary | Presence | Nil

COMPARISONS = frozenset({"=", "!=", "<", "<=", ">", ">=", "=~", "!~"})
ORDERINGS = frozenset({"=", "!=", "<", "<=", ">", ">="})
ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^"})


@dataclass(frozen=True, slots=True)
class Filter:
    """`{ expression }`; without one every span matches."""

    expression: Field = Literal(True)


@dataclass(frozen=True, slots=True)
class Combined:
    """Two spansets joined: `&&`, `||`, or a structural operator (`>>`, `!<`, `&~`, …)."""

    op: str
    left: Spanset
    right: Spanset


@dataclass(frozen=True, slots=True)
class Aggregate:
    """`count()`, `avg(x)`, … over the spans of a spanset."""

    op: str
    operand: Field | None = None


@dataclass(frozen=True, slots=True)
class Calculation:
    """Arithmetic of aggregates and numbers."""

    op: str
    left: Number
    right: Number


Number: TypeAlias = Aggregate | Calculation | Literal


@dataclass(frozen=True, slots=True)
class ScalarFilter:
    """Spansets for which a comparison of numbers holds."""

    op: str
    left: Number
    right: Number


@dataclass(frozen=True, slots=True)
class GroupBy:
    """One spanset for each value."""

    operand: Field


@dataclass(frozen=True, slots=True)
class Coalesce:
    """All spansets of a trace as one again."""


@dataclass(frozen=True, slots=True)
class Select:
    """Fields to show beside the spans."""

    fields: tuple[Reference, ...]


Stage: TypeAlias = "Spanset | ScalarFilter | GroupBy | Coalesce | Select"


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Stages, each fed with the spansets of the one before; the first with all spans of the trace."""

    stages: tuple[Stage, ...]


Spanset: TypeAlias = Filter | Combined | Pipeline

Hints: TypeAlias = tuple[tuple[str, Scalar], ...]


@dataclass(frozen=True, slots=True)
class Search:
    """A query whose answer is traces."""

    pipeline: Pipeline
    hints: Hints = ()


@dataclass(frozen=True, slots=True)
class Function:
    """How spans become series: `rate`, `count_over_time`, `quantile_over_time(operand, *quantiles)`, …"""

    name: str
    operand: Reference | None = None
    quantiles: tuple[float, ...] = ()
    by: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class Compare:
    """`compare({selection}, top, start, end)`; times are nanoseconds, 0 for none."""

    selection: Filter
    top: int = 10
    start_ns: int = 0
    end_ns: int = 0


@dataclass(frozen=True, slots=True)
class Top:
    """`topk(n)` or `bottomk(n)`: at each time."""

    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Threshold:
    """Points for which a comparison holds."""

    op: str
    value: float


SecondStage: TypeAlias = Top | Threshold


@dataclass(frozen=True, slots=True)
class Metrics:
    """A query whose answer is series."""

    pipeline: Pipeline
    function: Function | Compare
    then: tuple[SecondStage, ...] = ()
    hints: Hints = ()


@dataclass(frozen=True, slots=True)
class MetricsMath:
    """Arithmetic of series, point by point."""

    op: str
    left: Series
    right: Series
    then: tuple[SecondStage, ...] = field(default=())
    hints: Hints = ()


Series: TypeAlias = Metrics | MetricsMath | Literal
Query: TypeAlias = Search | Metrics | MetricsMath
