"""How a pipeline is looked for: which spans can be in its answer, and what else a trace must have.

`produces` is a condition that every span of an answer satisfies; `requires` are conditions of which
each is satisfied by some span of every trace that answers; `reads` says which spans decide, when
not the whole trace does.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from windvane.tracing.traceql.check import references
from windvane.tracing.traceql.pushdown import Pushdown, Sql, both, either
from windvane.tracing.traceql.syntax import (
    OF_THE_TRACE,
    Aggregate,
    Attribute,
    Binary,
    Calculation,
    Combined,
    Field,
    Filter,
    GroupBy,
    Intrinsic,
    IntrinsicField,
    Literal,
    Number,
    Pipeline,
    Reference,
    Scalar,
    ScalarFilter,
    Scope,
    Select,
    Spanset,
    Stage,
)

_OF_EVENTS = {Intrinsic.EVENT_NAME, Intrinsic.EVENT_TIME}
_OF_LINKS = {Intrinsic.LINK_TRACE_ID, Intrinsic.LINK_SPAN_ID}


@dataclass(frozen=True, slots=True)
class Reach:
    """What a spanset can hold and needs; `reads` is None when the whole trace is needed."""

    produces: Sql
    requires: tuple[Sql, ...]
    reads: Sql | None
    counts: tuple[tuple[str, int], ...] = ()
    """Conditions that more than so many spans of the trace satisfy."""


def reach(spanset: Spanset, pushdown: Pushdown) -> Reach:
    """The reach of a spanset that is fed with the whole trace."""
    match spanset:
        case Filter(expression):
            found = pushdown.condition(expression)
            whole = any(of_trace(one) for one in references(expression))
            return Reach(found, (found,), None if whole else found)
        case Combined(op, left, right):
            return _combined(op, reach(left, pushdown), reach(right, pushdown))
    return _pipeline(spanset, pushdown)


def _combined(op: str, left: Reach, right: Reach) -> Reach:
    if op == "||":
        produces = either(left.produces, right.produces)
        return Reach(produces, (produces,), _read_either(left, right))
    if op == "&&":
        return Reach(either(left.produces, right.produces), left.requires + right.requires, _read_either(left, right))
    if op.startswith("!"):
        return Reach(right.produces, right.requires, None)
    produces = either(left.produces, right.produces) if op.startswith("&") else right.produces
    return Reach(produces, left.requires + right.requires, None)


def _read_either(left: Reach, right: Reach) -> Sql | None:
    return None if left.reads is None or right.reads is None else either(left.reads, right.reads)


def _pipeline(pipeline: Pipeline, pushdown: Pushdown) -> Reach:
    """The first spanset decides what is read; later filters narrow what comes out."""
    stages = list(pipeline.stages)
    first = stages.pop(0) if isinstance(stages[0], Filter | Combined | Pipeline) else Filter()
    assert isinstance(first, Filter | Combined | Pipeline)
    found = reach(first, pushdown)
    produces, requires, reads, counts = found.produces, found.requires, found.reads, found.counts
    for stage in stages:
        if any(of_trace(one) for one in used(stage)):
            reads = None
        if isinstance(stage, Filter):
            narrowed = both(produces, pushdown.condition(stage.expression))
            requires = (*(one for one in requires if one != produces), narrowed)
            produces = narrowed
        elif isinstance(stage, Combined | Pipeline):
            reads = None if _structural(stage) else reads
            inner = reach(stage, pushdown)
            produces, requires = inner.produces, requires + inner.requires
        elif isinstance(stage, ScalarFilter):
            if (least := _least_count(stage)) is not None:
                counts = (*counts, (produces.text, least))
            if (extreme := _extreme(stage)) is not None:
                requires = (*requires, both(produces, pushdown.condition(extreme)))
    return Reach(produces, tuple(one for one in requires if not one.anything), reads, counts)


def _least_count(stage: ScalarFilter) -> int | None:
    """The number of spans that `count() > n` and its like say there are more of."""
    if stage.left != Aggregate("count") or not isinstance(stage.right, Literal):
        return None
    bound = stage.right.value
    if type(bound) is not int or bound < 2:
        return None
    return {">": bound, ">=": bound - 1, "=": bound - 1}.get(stage.op)


def _extreme(stage: ScalarFilter) -> Field | None:
    """What a span satisfies for which `max(x) > n`, or `min(x) < n`, is said."""
    left = stage.left
    if not isinstance(left, Aggregate) or left.operand is None or not isinstance(stage.right, Literal):
        return None
    if (left.op, stage.op[0]) not in (("max", ">"), ("min", "<")):
        return None
    return Binary(stage.op, left.operand, stage.right)


def _structural(spanset: Spanset) -> bool:
    match spanset:
        case Combined(op, left, right):
            return op not in ("&&", "||") or _structural(left) or _structural(right)
        case Pipeline(stages):
            return any(_structural(stage) for stage in stages if isinstance(stage, Combined | Pipeline))
    return False


def of_trace(reference: Reference) -> bool:
    """Whether a field needs the whole trace."""
    return isinstance(reference, IntrinsicField) and reference.which in OF_THE_TRACE


def used(stage: Stage) -> list[Reference]:  # noqa: PLR0911 - a case a kind of stage
    """The fields that a stage looks at."""
    match stage:
        case Filter(expression):
            return references(expression)
        case Combined(_, left, right):
            return used(left) + used(right)
        case Pipeline(stages):
            return [one for inner in stages for one in used(inner)]
        case GroupBy(operand):
            return references(operand)
        case Select(fields):
            return list(fields)
        case ScalarFilter(_, left, right):
            return _of_number(left) + _of_number(right)
    return []


def _of_number(number: Number) -> list[Reference]:
    match number:
        case Aggregate(_, operand) if operand is not None:
            return references(operand)
        case Calculation(_, left, right):
            return _of_number(left) + _of_number(right)
    return []


@dataclass(frozen=True, slots=True)
class Needs:
    """Which attributes have to be read. Names None: all of them."""

    names: frozenset[str] | None
    events: bool
    links: bool

    @classmethod
    def of(cls, fields: Iterable[Reference]) -> Needs:
        """What these fields need."""
        listed = list(fields)
        return cls(
            frozenset(one.name for one in listed if isinstance(one, Attribute)),
            any(_scope(one) is Scope.EVENT or _which(one) in _OF_EVENTS for one in listed),
            any(_scope(one) is Scope.LINK or _which(one) in _OF_LINKS for one in listed),
        )


def _scope(reference: Reference) -> Scope | None:
    return reference.scope if isinstance(reference, Attribute) else None


def _which(reference: Reference) -> Intrinsic | None:
    return reference.which if isinstance(reference, IntrinsicField) else None


def single_filter(pipeline: Pipeline) -> Field | None:
    """The expression of a pipeline that is one filter (and selections), None for any other."""
    filters = [stage for stage in pipeline.stages if not isinstance(stage, Select)]
    if len(filters) == 1 and isinstance(filters[0], Filter):
        return filters[0].expression
    return None


def hint(hints: Iterable[tuple[str, Scalar]], name: str) -> Scalar | None:
    """A hint's value."""
    return next((value for key, value in hints if key == name), None)
