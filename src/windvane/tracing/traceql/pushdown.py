"""What of an expression the engine can decide: SQL that no matching span fails, exact where it can be.

`Sql.exact` tells that the condition holds for matching spans only; then nothing is left to decide
after it. Equality with a text, a number or a bool goes to the index of `key=value` tokens, except
for keys under which an array was ever stored: the elements of an array have no tokens.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from windvane.store.tokens import token
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.traceql import regex
from windvane.tracing.traceql.columns import MAP_LISTS, NO_KIND, SERVICE, TEXT_COLUMNS, TEXT_LISTS, stored
from windvane.tracing.traceql.syntax import (
    Attribute,
    Binary,
    Field,
    Intrinsic,
    IntrinsicField,
    Kind,
    Literal,
    Presence,
    Scalar,
    Scope,
    Status,
    Unary,
)

_EXACT_FLOAT = 1 << 53
_PLAIN_FLOAT = 1e15
"""Below it the engine and Python print a whole number alike."""


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition over one row of spans."""

    text: str
    exact: bool

    @property
    def anything(self) -> bool:
        """Whether it leaves out nothing."""
        return self.text == "1"


ANYTHING = Sql("1", False)


class Pushdown:
    """Translates expressions; values go to the parameters of `where`.

    `arrays` are the names in `AttributeTypes` under which arrays are stored (`span.k`, `resource.k`, …);
    `of_roots` makes SQL that finds the ids of traces by a condition on their root span. `loose` leaves it
    at the index where that knows the attribute's value, but not whose attribute it is: the engine would
    read the whole map of every row to tell, which costs ten times what it saves when the rows found are
    decided exactly afterwards.
    """

    def __init__(
        self,
        where: Conditions,
        arrays: Collection[str],
        of_roots: Callable[[str], str] = lambda _: "1",
        *,
        loose: bool = False,
    ) -> None:
        self._where = where
        self._arrays = arrays
        self._of_roots = of_roots
        self._loose = loose

    def condition(self, field: Field) -> Sql:  # noqa: PLR0911 - a case a kind of node
        """The condition of an expression that is to be true."""
        match field:
            case Literal(value):
                return Sql("1" if value is True else "0", True)
            case Attribute():
                return self._compared("=", field, True)
            case Presence(operand, there):
                return self._presence(operand, there)
            case Unary("!", Unary("!", operand)):
                return self.condition(operand)
            case Unary("!", operand):
                return self._not(operand)
            case Binary("&&", left, right):
                return both(self.condition(left), self.condition(right))
            case Binary("||", left, right):
                return either(self.condition(left), self.condition(right))
            case Binary(op, Attribute() | IntrinsicField() as left, Literal(value)):
                return self._compared(op, left, value)
        return ANYTHING

    def _not(self, operand: Field) -> Sql:
        if isinstance(operand, Attribute):
            return self._compared("=", operand, False)
        inner = self.condition(operand)
        return Sql(f"(NOT {inner.text})", True) if inner.exact else ANYTHING

    def _presence(self, operand: Field, there: bool) -> Sql:
        if not isinstance(operand, Attribute):
            return ANYTHING
        if operand.scope in MAP_LISTS:
            key = self._where.bind(operand.name)
            text = f"arrayExists(a -> mapContains(a, {key}), {MAP_LISTS[operand.scope]})"
        else:
            text = stored(self._where, operand).present
        return Sql(f"({text})" if there else f"(NOT ({text}))", True)

    def _compared(self, op: str, left: Attribute | IntrinsicField, value: Scalar) -> Sql:
        if isinstance(left, IntrinsicField):
            return self._intrinsic(op, left.which, value)
        if left.scope in MAP_LISTS:
            return self._within(op, left, value)
        return self._attribute(op, left, value)

    # Intrinsics

    def _intrinsic(self, op: str, which: Intrinsic, value: Scalar) -> Sql:
        if isinstance(value, Status) and which is Intrinsic.STATUS:
            return _enum(op, "StatusCode", value.value, ("unset", "Ok", "Error"))
        if isinstance(value, Kind) and which is Intrinsic.KIND:
            kinds = ("unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
            return _enum(op, "SpanKind", value.value, kinds)
        if isinstance(value, str):
            return self._intrinsic_text(op, which, value)
        return self._intrinsic_number(op, which, value) if isinstance(value, int | float) else ANYTHING

    def _intrinsic_number(self, op: str, which: Intrinsic, value: float) -> Sql:
        if which is Intrinsic.DURATION:
            return Sql(f"Duration {op} {self._number(value)}", True)
        if which is Intrinsic.TRACE_DURATION and op in ("<", "<=", "="):
            return Sql(f"Duration {'<=' if op == '=' else op} {self._number(value)}", False)
        if which is Intrinsic.EVENT_TIME:
            since = "toUnixTimestamp64Nano(t) - toUnixTimestamp64Nano(Timestamp)"
            return Sql(f"arrayExists(t -> {since} {op} {self._number(value)}, `Events.Timestamp`)", True)
        return ANYTHING

    def _intrinsic_text(self, op: str, which: Intrinsic, value: str) -> Sql:
        if which in (Intrinsic.ROOT_NAME, Intrinsic.ROOT_SERVICE):
            column = "SpanName" if which is Intrinsic.ROOT_NAME else "ServiceName"
            return Sql(self._of_roots(self._text_test(op, column, value)), False)
        if which in TEXT_COLUMNS:
            return Sql(self._text_test(op, TEXT_COLUMNS[which], value), True)
        if which in TEXT_LISTS:
            return Sql(f"arrayExists(x -> {self._text_test(op, 'x', value)}, {TEXT_LISTS[which]})", True)
        return ANYTHING

    def _text_test(self, op: str, text: str, value: str) -> str:
        if op in ("=~", "!~"):
            parts = regex.alternatives(value)
            if parts is not None:
                test = f"{text} IN {self._where.bind(parts, 'Array(String)')}"
            else:
                test = f"match({text}, {self._where.bind(regex.anchored_text(value))})"
            return f"({test})" if op == "=~" else f"(NOT {test})"
        return f"({text} {op} {self._where.bind(value)})"

    def _number(self, value: float) -> str:
        if isinstance(value, int):
            return self._where.bind(int(value), "Int64")
        return self._where.bind(value, "Float64")

    # Attributes

    def _attribute(self, op: str, attribute: Attribute, value: Scalar) -> Sql:
        column = stored(self._where, attribute)
        match value:
            case bool():
                test, exact = f"{column.kind} = 'bool' AND {column.text} {op} '{str(value).lower()}'", True
            case int() | float():
                test, exact = self._number_test(op, column.text, column.kind, value)
            case str():
                untyped = f"{column.kind} = '' AND " if column.kind != NO_KIND else ""
                test, exact = untyped + self._text_test(op, column.text, value), True
            case _:
                return Sql("0", True)
        if op == "=~" and value == ".*":
            test = f"{column.present} AND {column.kind} = ''"
        elif not self._implied(op, value):
            test = f"{column.present} AND {test}"
        if self._arrays_of(attribute):
            return Sql(f"(({test}) OR {column.kind} = 'array')", False)
        tokens = self._tokens(op, attribute.name, value)
        if attribute.name == SERVICE and attribute.scope in (Scope.ANY, Scope.RESOURCE):
            if not tokens or not self._loose or attribute.scope is Scope.RESOURCE:
                return Sql(f"({test})", exact)
            # of the span or of the resource: told without reading a map
            return Sql(f"({self._text_test(op, 'ServiceName', str(value))} OR {tokens})", False)
        if tokens and self._loose:
            return Sql(tokens, False)
        return Sql(f"({tokens} AND {test})" if tokens else f"({test})", exact)

    def _implied(self, op: str, value: Scalar) -> bool:
        """Whether an attribute that is not there fails the test anyway: it reads as an untyped empty text."""
        if not isinstance(value, str):
            return True
        if op == "=~":
            return regex.anchored(value).search("") is None
        return value != "" and op in ("=", ">", ">=")

    def _number_test(self, op: str, text: str, kind: str, value: float) -> tuple[str, bool]:
        numeric = f"{kind} IN ('int', 'double')"
        if abs(value) >= _EXACT_FLOAT:
            return numeric, False
        bound = self._where.bind(float(value), "Float64")
        return f"{numeric} AND toFloat64OrZero({text}) {op} {bound}", True

    def _arrays_of(self, attribute: Attribute) -> bool:
        scopes = {
            Scope.ANY: ("span.", "resource."),
            Scope.SPAN: ("span.",),
            Scope.RESOURCE: ("resource.",),
            Scope.INSTRUMENTATION: ("scope.",),
        }[attribute.scope]
        return any(scope + attribute.name in self._arrays for scope in scopes)

    def _tokens(self, op: str, name: str, value: Scalar) -> str:
        """`hasAnyTokens(…)`, or nothing where tokens do not help."""
        texts = _spellings(op, value)
        if not texts:
            return ""
        found = self._where.bind([token(name, text) for text in texts], "Array(String)")
        return f"hasAnyTokens(SearchTokens, {found})"

    def _within(self, op: str, attribute: Attribute, value: Scalar) -> Sql:
        """A condition on an attribute of events or links; their types are left to the exact evaluation."""
        key, column = self._where.bind(attribute.name), MAP_LISTS[attribute.scope]
        prefix = f"{attribute.scope.value}."
        if any(name.startswith(prefix) and name.endswith("." + attribute.name) for name in self._arrays):
            return Sql(f"arrayExists(a -> mapContains(a, {key}), {column})", False)
        match value:
            case bool():
                test = f"a[{key}] {op} '{str(value).lower()}'"
            case int() | float():
                bound = self._where.bind(float(value), "Float64")
                test = f"ifNull(toFloat64OrNull(a[{key}]) {op} {bound}, 0)" if abs(value) < _EXACT_FLOAT else "1"
            case str():
                test = self._text_test(op, f"a[{key}]", value)
            case _:
                return Sql("0", True)
        inner = f"arrayExists(a -> mapContains(a, {key}) AND {test}, {column})"
        return Sql(self._tokens(op, attribute.name, value) or inner, False)


def _spellings(op: str, value: Scalar) -> list[str]:
    """The texts under which equal values are stored; empty when they cannot be listed."""
    if op == "=~" and isinstance(value, str):
        return regex.alternatives(value) or []
    if op != "=":
        return []
    if isinstance(value, bool):
        return [str(value).lower()]
    if isinstance(value, int):
        return [str(int(value))] if value and abs(value) < _PLAIN_FLOAT else []  # a float's zero has a sign
    if isinstance(value, float):
        return _float_spellings(value)
    return [value] if isinstance(value, str) else []


def _float_spellings(value: float) -> list[str]:
    if value.is_integer() and abs(value) < _PLAIN_FLOAT:
        return [str(int(value))] if value else []
    text = repr(value)
    return [text] if "e" not in text and 1e-4 < abs(value) < _PLAIN_FLOAT else []


def _enum(op: str, column: str, value: str, known: tuple[str, ...]) -> Sql:
    """A comparison with one of a column's words; the first of `known` stands for every other."""
    first, *rest = known
    if value == first:
        test = f"{column} NOT IN ({', '.join(repr(one) for one in rest)})"
    else:
        test = f"{column} = '{value.capitalize()}'"
    return Sql(f"({test})" if op == "=" else f"(NOT {test})", True)


def both(left: Sql, right: Sql) -> Sql:
    """Two conditions that both hold."""
    if left.anything or right.anything:
        kept = right if left.anything else left
        return Sql(kept.text, left.exact and right.exact)
    return Sql(f"({left.text} AND {right.text})", left.exact and right.exact)


def either(left: Sql, right: Sql) -> Sql:
    """Two conditions of which one holds."""
    if left.anything or right.anything:
        return Sql("1", (left.anything and left.exact) or (right.anything and right.exact))
    return Sql(f"({left.text} OR {right.text})", left.exact and right.exact)
