"""From text to a tree: a descent by hand over the tokens.

Operators bind as in Tempo's grammar, which is not that of most languages: `&&` and `||` bind equally
and to the left; `!` binds tighter than `+`, but not than `*`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from windvane.tracing.traceql import lexer
from windvane.tracing.traceql.errors import ParseError, UnsupportedError
from windvane.tracing.traceql.lexer import Token
from windvane.tracing.traceql.syntax import (
    COMPARISONS,
    ORDERINGS,
    Aggregate,
    Attribute,
    Binary,
    Calculation,
    Coalesce,
    Combined,
    Duration,
    Field,
    Filter,
    GroupBy,
    Hints,
    Intrinsic,
    IntrinsicField,
    Kind,
    Literal,
    Nil,
    Number,
    Pipeline,
    Presence,
    Reference,
    Scalar,
    ScalarFilter,
    Select,
    Spanset,
    Stage,
    Status,
    Unary,
)

MAX_DEPTH = 60
"""Levels of nesting."""
MAX_OPERATORS = 250
"""Binary operators of a query; with the levels of nesting they bound the height of the tree."""

AGGREGATES = frozenset({"count", "avg", "min", "max", "sum"})
STRUCTURAL = frozenset({">>", "<<", ">", "<", "~", "!>>", "!<<", "!>", "!<", "!~", "&>>", "&<<", "&>", "&<", "&~"})

_FIELD_LEVELS = {
    "&&": 1, "||": 1, **dict.fromkeys(COMPARISONS, 2), "+": 3, "-": 3, "*": 5, "/": 5, "%": 5, "^": 6,
}  # fmt: skip
_UNARY_LEVELS = {"-": 3, "!": 4}
_SPANSET_LEVELS = {"&&": 1, "||": 1, **dict.fromkeys(STRUCTURAL, 2)}
_NUMBER_LEVELS = {"+": 3, "-": 3, "*": 5, "/": 5, "%": 5, "^": 6}
_RIGHT = "^"
_OF_SPANSETS = frozenset({"by", "select", "coalesce", "{", "|"}) | ORDERINGS
"""What stands among spansets, but not among numbers."""

_INTRINSIC_WORDS = {
    **{one.value: one for one in Intrinsic if ":" not in one.value},
    "childCount": Intrinsic.CHILD_COUNT,
}
_SCOPED_INTRINSICS = {
    **{one.value: one for one in Intrinsic if ":" in one.value},
    "span:duration": Intrinsic.DURATION,
    "span:name": Intrinsic.NAME,
    "span:status": Intrinsic.STATUS,
    "span:statusMessage": Intrinsic.STATUS_MESSAGE,
    "span:kind": Intrinsic.KIND,
    "trace:duration": Intrinsic.TRACE_DURATION,
    "trace:rootName": Intrinsic.ROOT_NAME,
    "trace:rootService": Intrinsic.ROOT_SERVICE,
}
_CONSTANTS: dict[str, Scalar] = {
    "true": True,
    "false": False,
    "minInt": -lexer.MAX_INT - 1,
    "maxInt": lexer.MAX_INT,
    **{one.value: one for one in Status},
    **{one.value: one for one in Kind},
}
_LITERALS = {lexer.Kind.STRING, lexer.Kind.INTEGER, lexer.Kind.FLOAT, lexer.Kind.DURATION}
_NUMBERS = _LITERALS - {lexer.Kind.STRING}

Node = TypeVar("Node")


class Parser:
    """One query being read; every method leaves `self` at the token after what it read."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.tokens = lexer.tokens(text)
        self.place = 0
        self._depth = 0
        self._operators = 0

    @property
    def token(self) -> Token:
        """The token that is next."""
        return self.tokens[self.place]

    def fail(self, expected: str, token: Token | None = None) -> ParseError:
        """The error that something else was expected here."""
        found = token or self.token
        return ParseError(self.text, found.start, f"syntax error: unexpected {found}, expected {expected}")

    def take(self) -> Token:
        """The next token, consumed."""
        token = self.token
        if token.kind is not lexer.Kind.END:
            self.place += 1
        return token

    def at(self, *raws: str) -> bool:
        """Whether the next token is one of these symbols or words."""
        return self.token.raw in raws and self.token.kind in (lexer.Kind.SYMBOL, lexer.Kind.WORD)

    def accept(self, raw: str) -> bool:
        """Consume a symbol or word if it is next."""
        if self.at(raw):
            self.place += 1
            return True
        return False

    def expect(self, raw: str) -> None:
        """Consume a symbol or word that must be next."""
        if not self.accept(raw):
            raise self.fail(f"'{raw}'")

    def nested(self, read: Callable[[], Node]) -> Node:
        """What `read` reads, one level further in."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise ParseError(self.text, self.token.start, f"the query nests deeper than {MAX_DEPTH} levels")
        try:
            return read()
        finally:
            self._depth -= 1

    def climb(
        self,
        levels: dict[str, int],
        operand: Callable[[], Node],
        join: Callable[[str, Node, Node], Node],
        lowest: int = 1,
    ) -> Node:
        """Operands joined by binary operators of at least the level `lowest`."""
        left = operand()
        while True:
            token = self.token
            level = levels.get(token.raw, 0) if token.kind is lexer.Kind.SYMBOL else 0
            if not level or level < lowest:
                return left
            self._operators += 1
            if self._operators > MAX_OPERATORS:
                raise ParseError(self.text, token.start, f"the query has more than {MAX_OPERATORS} operators")
            self.take()
            above = level if token.raw == _RIGHT else level + 1
            left = join(token.raw, left, self._right(levels, operand, join, above))

    def _right(
        self,
        levels: dict[str, int],
        operand: Callable[[], Node],
        join: Callable[[str, Node, Node], Node],
        lowest: int,
    ) -> Node:
        return self.nested(lambda: self.climb(levels, operand, join, lowest))

    # Fields: expressions over one span

    def field(self, lowest: int = 1) -> Field:
        """An expression within braces or the parentheses of a function."""
        return self.climb(_FIELD_LEVELS, self._field_operand, self._join_fields, lowest)

    def _field_operand(self) -> Field:
        if self.accept("("):
            inner = self.nested(self.field)
            self.expect(")")
            return inner
        if self.at("!", "-"):
            op = self.take().raw
            return Unary(op, self.nested(lambda: self.field(_UNARY_LEVELS[op] + 1)))
        return self._field_atom()

    def _join_fields(self, op: str, left: Field, right: Field) -> Field:
        if op not in ("=", "!=") or not (isinstance(left, Nil) or isinstance(right, Nil)):
            return Binary(op, left, right)
        if isinstance(left, Nil) and isinstance(right, Nil):
            return Literal(False)
        return Presence(right if isinstance(left, Nil) else left, op == "!=")

    def _field_atom(self) -> Field:
        token = self.token
        if token.kind in _LITERALS:
            self.take()
            assert token.value is not None
            assert not isinstance(token.value, Attribute)
            return Literal(token.value)
        if self.accept("nil"):
            return Nil()
        if token.kind is lexer.Kind.WORD and token.raw in _CONSTANTS:
            self.take()
            return Literal(_CONSTANTS[token.raw])
        return self.reference("an attribute, an intrinsic or a value")

    def reference(self, expected: str = "an attribute or an intrinsic") -> Reference:
        """An attribute or an intrinsic."""
        token = self.take()
        if token.kind is lexer.Kind.ATTRIBUTE:
            assert isinstance(token.value, Attribute)
            return token.value
        if token.kind is lexer.Kind.PARENT or (token.kind is lexer.Kind.WORD and token.raw == "parent"):
            raise UnsupportedError("parent")
        if token.kind is lexer.Kind.WORD and token.raw in _INTRINSIC_WORDS:
            return IntrinsicField(_INTRINSIC_WORDS[token.raw])
        if token.kind is lexer.Kind.INTRINSIC:
            which = _SCOPED_INTRINSICS.get(token.raw)
            if which is None:
                raise ParseError(self.text, token.start, f"syntax error: no intrinsic is named {token.raw}")
            return IntrinsicField(which)
        hint = " (attributes begin with a scope: span., resource., or a dot)" if token.kind is lexer.Kind.WORD else ""
        raise self.fail(expected + hint, token)

    def references(self) -> tuple[Reference, ...]:
        """Attributes and intrinsics between parentheses, separated by commas."""
        self.expect("(")
        found = [self.reference()]
        while self.accept(","):
            found.append(self.reference())
        self.expect(")")
        return tuple(found)

    # Spansets

    def filter(self) -> Filter:
        """`{ … }`."""
        self.expect("{")
        if self.accept("}"):
            return Filter()
        expression = self.field()
        self.expect("}")
        return Filter(expression)

    def spanset(self) -> Spanset:
        """Filters and pipelines in parentheses, joined by spanset operators."""
        return self.climb(_SPANSET_LEVELS, self._spanset_operand, Combined)

    def _spanset_operand(self) -> Spanset:
        if self.at("{"):
            return self.filter()
        if not self.accept("("):
            raise self.fail("'{' or '('")
        inner = self.nested(self.pipeline)
        self.expect(")")
        first = inner.stages[0]
        return first if len(inner.stages) == 1 and isinstance(first, Filter | Combined | Pipeline) else inner

    # Pipelines

    def pipeline(self, before: Callable[[], bool] = lambda: False) -> Pipeline:
        """Stages joined by pipes; `before` tells at a pipe whether it belongs to something else."""
        if self.at("coalesce"):
            raise self.fail("spansets before coalesce()")
        stages = [self._stage()]
        while self.at("|") and not before():
            self.take()
            stages.append(self._stage())
        return Pipeline(tuple(stages))

    def _stage(self) -> Stage:
        if self.accept("by"):
            self.expect("(")
            operand = self.field()
            self.expect(")")
            return GroupBy(operand)
        if self.accept("coalesce"):
            self.expect("(")
            self.expect(")")
            return Coalesce()
        if self.accept("select"):
            return Select(self.references())
        if self.at("{") or (self.at("(") and self._opens_spanset()):
            return self.spanset()
        return self._scalar_filter()

    def _opens_spanset(self) -> bool:
        """Whether the parenthesis that is next holds spansets rather than numbers.

        Numbers have no pipe, comparison or brace outside the arguments of aggregates.
        """
        depth, place = 0, self.place
        while place < len(self.tokens):
            raw, kind = self.tokens[place].raw, self.tokens[place].kind
            if kind is lexer.Kind.WORD and raw in AGGREGATES and self.tokens[place + 1].raw == "(":
                place = self.closing(place + 1)
            elif raw in _OF_SPANSETS and kind in (lexer.Kind.WORD, lexer.Kind.SYMBOL):
                return True
            elif kind is lexer.Kind.SYMBOL and raw in "()":
                depth += 1 if raw == "(" else -1
                if not depth:
                    break
            place += 1
        return False

    def closing(self, place: int) -> int:
        """The place of the parenthesis that closes the one at `place`; the last token when none does."""
        depth = 0
        for index in range(place, len(self.tokens)):
            token = self.tokens[index]
            if token.kind is lexer.Kind.SYMBOL and token.raw in ("(", ")"):
                depth += 1 if token.raw == "(" else -1
                if not depth:
                    return index
        return len(self.tokens) - 1

    def _scalar_filter(self) -> ScalarFilter:
        left = self._number()
        if not self.at(*ORDERINGS):
            raise self.fail("a comparison of the aggregate: = != < <= > >=")
        op = self.take().raw
        return ScalarFilter(op, left, self._number())

    def _number(self) -> Number:
        return self.climb(_NUMBER_LEVELS, self._number_operand, Calculation)

    def _number_operand(self) -> Number:
        if self.accept("("):
            inner = self.nested(self._number)
            self.expect(")")
            return inner
        if self.at(*AGGREGATES):
            return self._aggregate()
        return Literal(self.number())

    def number(self) -> int | float | Duration:
        """A number or duration, perhaps negative."""
        negative = self.accept("-")
        token = self.token
        if token.kind not in _NUMBERS:
            raise self.fail("a spanset filter, an aggregate or a number")
        self.take()
        value = token.value
        assert isinstance(value, int | float)
        if isinstance(value, Duration):
            return Duration(-value) if negative else value
        return -value if negative else value

    def _aggregate(self) -> Aggregate:
        op = self.take().raw
        self.expect("(")
        operand = None if op == "count" else self.field()
        self.expect(")")
        return Aggregate(op, operand)

    # Hints

    def hints(self) -> Hints:
        """`with (name=value, …)`, or nothing."""
        if not self.accept("with"):
            return ()
        self.expect("(")
        found = [self._hint()]
        while self.accept(","):
            found.append(self._hint())
        self.expect(")")
        return tuple(found)

    def _hint(self) -> tuple[str, Scalar]:
        name = self.take()
        if name.kind is not lexer.Kind.WORD:
            raise self.fail("the name of a hint", name)
        self.expect("=")
        if self.at("-"):
            return name.raw, self.number()
        value = self._field_atom()
        if not isinstance(value, Literal):
            raise self.fail("a value")
        return name.raw, value.value
