"""Pipelines over one trace: from all its spans to the spansets that are the answer.

A spanset is places of spans in the trace, in its order, and what grouping and aggregates found out
about it. Each stage takes the spansets of the one before.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from windvane.tracing.traceql import printer
from windvane.tracing.traceql.fields import (
    Several,
    Value,
    calculate,
    comparison,
    compile_field,
    is_number,
    matcher,
)
from windvane.tracing.traceql.syntax import (
    Aggregate,
    Calculation,
    Combined,
    Duration,
    Field,
    Filter,
    GroupBy,
    Literal,
    Number,
    Pipeline,
    ScalarFilter,
    Select,
    Spanset,
    Stage,
)
from windvane.tracing.traceql.view import TraceView


@dataclass(frozen=True, slots=True)
class Found:
    """A spanset; `facts` are shown beside it: `by(name)`, `count()` and their values."""

    places: tuple[int, ...]
    facts: tuple[tuple[str, Value], ...] = ()


Evaluator: TypeAlias = Callable[[TraceView, Sequence[Found]], list[Found]]


def compile_pipeline(pipeline: Pipeline) -> Callable[[TraceView], list[Found]]:
    """The function from a trace to its spansets, none of them empty."""
    run = _sequence(pipeline)

    def evaluate(view: TraceView) -> list[Found]:
        return run(view, [Found(tuple(range(len(view.spans))))])

    return evaluate


def _sequence(pipeline: Pipeline) -> Evaluator:
    stages = [_stage(stage) for stage in pipeline.stages]

    def evaluate(view: TraceView, found: Sequence[Found]) -> list[Found]:
        current = list(found)
        for stage in stages:
            if not current:
                break
            current = stage(view, current)
        return current

    return evaluate


def _stage(stage: Stage) -> Evaluator:
    match stage:
        case ScalarFilter():
            return _scalar_filter(stage)
        case GroupBy(operand):
            return _group_by(operand, printer.print_stage(stage))
        case Filter() | Combined() | Pipeline():
            return _spanset(stage)
        case Select():
            return lambda _view, found: list(found)
    return _coalesce


def _spanset(spanset: Spanset) -> Evaluator:
    match spanset:
        case Filter(expression):
            matches = matcher(expression)
            return lambda view, found: _kept(found, lambda place: matches(view, place))
        case Combined():
            return _combined(spanset)
    return _sequence(spanset)


def _kept(found: Sequence[Found], wanted: Callable[[int], bool]) -> list[Found]:
    kept = (replace(one, places=tuple(place for place in one.places if wanted(place))) for one in found)
    return [one for one in kept if one.places]


def _combined(combined: Combined) -> Evaluator:
    left, right, join = _spanset(combined.left), _spanset(combined.right), _JOINS[combined.op]

    def evaluate(view: TraceView, found: Sequence[Found]) -> list[Found]:
        joined = []
        for one in found:
            places = join(view, _places(left(view, [one])), _places(right(view, [one])))
            if places:
                joined.append(Found(tuple(sorted(places)), one.facts))
        return joined

    return evaluate


def _places(found: Sequence[Found]) -> set[int]:
    return {place for one in found for place in one.places}


Join: TypeAlias = Callable[[TraceView, set[int], set[int]], set[int]]


def _siblings(view: TraceView, places: set[int]) -> dict[str, int]:
    """How many of the spans have each parent."""
    counts: dict[str, int] = {}
    for place in places:
        parent = view.spans[place].parent_id
        if parent:
            counts[parent] = counts.get(parent, 0) + 1
    return counts


def _beside(view: TraceView, left: set[int], right: set[int]) -> set[int]:
    counts = _siblings(view, left)
    return {place for place in right if counts.get(view.spans[place].parent_id, 0) > (place in left)}


def _below(view: TraceView, left: set[int], right: set[int]) -> set[int]:
    return view.descendants(left) & right


def _above(view: TraceView, left: set[int], right: set[int]) -> set[int]:
    return view.ancestors(left) & right


def _child(view: TraceView, left: set[int], right: set[int]) -> set[int]:
    return {place for place in right if not left.isdisjoint(view.parents[place])}


def _parent(view: TraceView, left: set[int], right: set[int]) -> set[int]:
    return {place for place in right if not left.isdisjoint(view.children[place])}


_RELATIONS: dict[str, tuple[Join, Join]] = {
    ">>": (_below, _above),
    "<<": (_above, _below),
    ">": (_child, _parent),
    "<": (_parent, _child),
    "~": (_beside, _beside),
}
"""An operator's matches on its right side, and, asked the other way round, those on its left."""


def _negated(relation: Join) -> Join:
    return lambda view, left, right: right - relation(view, left, right)


def _both(relation: Join, reverse: Join) -> Join:
    return lambda view, left, right: relation(view, left, right) | reverse(view, right, left)


_JOINS: dict[str, Join] = {
    "&&": lambda _view, left, right: left | right if left and right else set(),
    "||": lambda _view, left, right: left | right,
    **{op: relation for op, (relation, _) in _RELATIONS.items()},
    **{f"!{op}": _negated(relation) for op, (relation, _) in _RELATIONS.items()},
    **{f"&{op}": _both(relation, reverse) for op, (relation, reverse) in _RELATIONS.items()},
}


def _group_by(operand: Field, label: str) -> Evaluator:
    value_of = compile_field(operand)

    def evaluate(view: TraceView, found: Sequence[Found]) -> list[Found]:
        grouped = []
        for one in found:
            groups: dict[Hashable, tuple[Value, list[int]]] = {}
            for place in one.places:
                value = first(value_of(view, place))
                groups.setdefault(key_of(value), (value, []))[1].append(place)
            grouped += [Found(tuple(places), (*one.facts, (label, value))) for value, places in groups.values()]
        return grouped

    return evaluate


def first(value: Value) -> Value:
    """One value to show: of events and links the first that there is."""
    if type(value) is Several:
        return next((one for one in value.values if one is not None), None)
    return value


def key_of(value: Value) -> Hashable:
    """What tells values apart, whatever their type."""
    if isinstance(value, list | dict):
        return (type(value).__name__, repr(value))
    return (type(value).__name__, value)


def _coalesce(_: TraceView, found: Sequence[Found]) -> list[Found]:
    return [Found(tuple(sorted(_places(found))))] if found else []


def _scalar_filter(stage: ScalarFilter) -> Evaluator:
    left, right, test = _number(stage.left), _number(stage.right), comparison(stage.op)
    shown = [
        (printer.print_number(number), compute)
        for number, compute in ((stage.left, left), (stage.right, right))
        if isinstance(number, Aggregate)
    ]

    def evaluate(view: TraceView, found: Sequence[Found]) -> list[Found]:
        kept = []
        for one in found:
            if test(left(view, one.places), right(view, one.places)):
                facts = tuple((label, compute(view, one.places)) for label, compute in shown)
                kept.append(replace(one, facts=one.facts + tuple(fact for fact in facts if fact not in one.facts)))
        return kept

    return evaluate


def _number(number: Number) -> Callable[[TraceView, tuple[int, ...]], Value]:
    match number:
        case Literal(value):
            return lambda _view, _places: value
        case Calculation(op, left, right):
            one, other = _number(left), _number(right)
            return lambda view, places: calculate(op, one(view, places), other(view, places))
        case Aggregate("count", _):
            return lambda _view, places: len(places)
    assert isinstance(number, Aggregate)
    assert number.operand is not None
    value_of, fold = compile_field(number.operand), _FOLDS[number.op]

    def aggregate(view: TraceView, places: tuple[int, ...]) -> Value:
        values = [value for place in places if is_number(value := first(value_of(view, place)))]
        return fold(values) if values else None

    return aggregate


def _sum(values: list[Any]) -> Value:
    total = sum(values)
    return Duration(total) if all(type(value) is Duration for value in values) else total


def _average(values: list[Any]) -> Value:
    mean = sum(values) / len(values)
    return Duration(int(mean)) if all(type(value) is Duration for value in values) else mean


_FOLDS: dict[str, Callable[[list[Any]], Value]] = {"min": min, "max": max, "sum": _sum, "avg": _average}
