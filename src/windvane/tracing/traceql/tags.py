"""Names and values of attributes, for those who write a query: what is there in a time, most frequent first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from windvane.store.api import Engine
from windvane.tracing.assembly import restore
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.traceql import lexer
from windvane.tracing.traceql.candidates import within
from windvane.tracing.traceql.columns import MAP_LISTS, TEXT_COLUMNS, TEXT_LISTS, stored
from windvane.tracing.traceql.errors import TraceQLError
from windvane.tracing.traceql.fields import Value
from windvane.tracing.traceql.parse import parse, parse_filter
from windvane.tracing.traceql.plan import single_filter
from windvane.tracing.traceql.pushdown import Pushdown
from windvane.tracing.traceql.simplify import simplify
from windvane.tracing.traceql.syntax import (
    COMPARISONS,
    Attribute,
    Field,
    Filter,
    Intrinsic,
    Kind,
    Literal,
    Reference,
    Scope,
    Search,
    Status,
)

_NAMES = {
    Scope.RESOURCE: "mapKeys(ResourceAttributes)",
    Scope.SPAN: "mapKeys(SpanAttributes)",
    Scope.EVENT: "arrayFlatten(arrayMap(a -> mapKeys(a), `Events.Attributes`))",
    Scope.LINK: "arrayFlatten(arrayMap(a -> mapKeys(a), `Links.Attributes`))",
    Scope.INSTRUMENTATION: "mapKeys(ScopeAttributes)",
}
SCOPES = tuple(_NAMES)
INTRINSICS = sorted(
    [*(one.value for one in Intrinsic if one not in (Intrinsic.NESTED_LEFT, Intrinsic.NESTED_RIGHT)),
     "span:duration", "span:kind", "span:name", "span:status", "span:statusMessage", "trace:duration",
     "trace:rootName", "trace:rootService"]
)  # fmt: skip
_ROOTS = {Intrinsic.ROOT_NAME: "SpanName", Intrinsic.ROOT_SERVICE: "ServiceName"}
_LISTED = (Intrinsic.NAME, Intrinsic.STATUS_MESSAGE, Intrinsic.SCOPE_NAME, Intrinsic.SCOPE_VERSION)
_WORDS = {Intrinsic.STATUS: ("StatusCode", Status), Intrinsic.KIND: ("SpanKind", Kind)}


@dataclass(frozen=True, slots=True)
class TagRequest:
    """Where to look: spans that started in `window_ns` (both ends included) and may satisfy `condition`."""

    window_ns: tuple[int, int]
    condition: Field = Literal(True)  # noqa: RUF009 - frozen
    limit: int = 1_000


def tag_names(engine: Engine, scopes: Iterable[Scope], request: TagRequest) -> dict[Scope, list[str]]:
    """The names of attributes by scope, sorted; of each scope at most the limit."""
    asked = list(scopes)
    if not asked:
        return {}
    where = _where(request)
    columns = ", ".join(f"groupUniqArrayArray({_NAMES[scope]}) AS `{scope.value}`" for scope in asked)
    frame = engine.query(f"SELECT {columns} FROM otel_traces WHERE {where}", where.params)
    found = {scope: sorted(map(str, frame[scope.value].tolist()[0])) for scope in asked}
    return {scope: names[: request.limit] for scope, names in found.items()}


def tag_values(engine: Engine, reference: Reference, request: TagRequest) -> list[Value]:
    """The values of a field. Of numbers and ids that every span has, there are none to suggest."""
    where = _where(request)
    expression, only = _values(where, reference)
    if not expression:
        return []
    where.add(only)
    frame = engine.query(
        f"SELECT {expression} AS Value, count() AS N FROM otel_traces WHERE {where}"
        f" GROUP BY Value ORDER BY N DESC, Value LIMIT {request.limit}",
        where.params,
    )
    texts = [str(text) for text in frame["Value"].tolist()]
    return list(_typed(reference, texts))


def _values(where: Conditions, reference: Reference) -> tuple[str, str]:
    """SQL of a field's values and of which rows have one; '' for a field whose values nobody picks from a list."""
    if isinstance(reference, Attribute):
        return _attribute_values(where, reference)
    which = reference.which
    if which in _ROOTS:
        return f"concat('=', {_ROOTS[which]})", "ParentSpanId = ''"
    if which in _WORDS:
        return _WORDS[which][0], "1"
    if which in _LISTED:
        column = TEXT_COLUMNS[which]
        return f"concat('=', {column})", f"{column} != ''"
    if which is Intrinsic.EVENT_NAME:
        names = TEXT_LISTS[which]
        return f"arrayJoin(arrayMap(x -> concat('=', x), {names}))", f"notEmpty({names})"
    return "", ""


def _attribute_values(where: Conditions, attribute: Attribute) -> tuple[str, str]:
    if attribute.scope in MAP_LISTS:
        key = where.bind(attribute.name)
        held = f"arrayFilter(a -> mapContains(a, {key}), {MAP_LISTS[attribute.scope]})"
        return f"arrayJoin(arrayMap(a -> concat('=', a[{key}]), {held}))", f"notEmpty({held})"
    column = stored(where, attribute)
    return f"concat({column.kind}, '=', {column.text})", column.present


def _typed(reference: Reference, texts: Sequence[str]) -> Iterable[Value]:
    if not isinstance(reference, Attribute) and reference.which in _WORDS:
        enum: Any = _WORDS[reference.which][1]
        known = {one.value: one for one in enum}
        return list(dict.fromkeys(known[text.lower()] for text in texts if text.lower() in known))
    values: list[Value] = []
    for text in texts:
        kind, _, rest = text.partition("=")
        value = restore(rest, kind)
        values += value if isinstance(value, list) else [value]
    return [value for value in dict.fromkeys(map(_hashable, values)) if value is not None]


def _hashable(value: Value) -> Value:
    return None if isinstance(value, list | dict | bytes) else value


def _where(request: TagRequest) -> Conditions:
    where = Conditions()
    low, high = (where.bind(moment, "Int64") for moment in request.window_ns)
    where.add(within(low, high))
    where.add(Pushdown(where, frozenset(), loose=True).condition(simplify(request.condition)).text)
    return where


def lenient_condition(text: str) -> Field:
    """The condition of a query that may be incomplete, as editors send it while it is written.

    What does not parse is searched for comparisons of a field with a literal, which then all have to
    hold; with none of them, or with `||` among them, everything matches.
    """
    try:
        query = parse(text)
        expression = single_filter(query.pipeline) if isinstance(query, Search) else None
        return Literal(True) if expression is None else expression
    except TraceQLError:
        return _comparisons(text)


def _comparisons(text: str) -> Field:
    try:
        tokens = lexer.tokens(text)
    except TraceQLError:
        return Literal(True)
    if any(token.raw == "||" for token in tokens):
        return Literal(True)
    parts = []
    for left, op, right in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if op.kind is lexer.Kind.SYMBOL and op.raw in COMPARISONS and left.kind is not lexer.Kind.SYMBOL:
            try:
                parse_filter(f"{{ {left.raw} {op.raw} {right.raw} }}")
            except TraceQLError:
                continue
            parts.append(f"{left.raw} {op.raw} {right.raw}")
    found = parse_filter(f"{{ {' && '.join(parts)} }}")
    assert isinstance(found, Filter)
    return found.expression
