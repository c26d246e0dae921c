"""PromQL text to a typed syntax tree, by precedence climbing.

The grammar is Prometheus 3's. What a query costs to parse is bounded: its length, and how deeply it
nests, so that hostile text ends in an error. Duration expressions, `anchored`, `smoothed` and `fill`
are experimental in Prometheus and refused here by name.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NoReturn

from windvane.promql import check
from windvane.promql.errors import ParseError, UnsupportedError
from windvane.promql.lexer import Kind, Token, tokenize
from windvane.promql.signatures import AGGREGATIONS, COMPARISON, FUNCTIONS, SET_OPERATORS
from windvane.promql.syntax import (
    METRIC_NAME,
    Aggregate,
    At,
    AtEdge,
    Binary,
    Call,
    Cardinality,
    Expr,
    Matcher,
    Matching,
    MatchOp,
    Number,
    Paren,
    Range,
    Selector,
    String,
    Subquery,
    Unary,
    ValueType,
    depth,
)

MAX_LENGTH = 256 * 1024
MAX_NESTING = 100
MAX_DEPTH = 300
_PRECEDENCE = {
    "or": 1,
    **dict.fromkeys(("and", "unless"), 2),
    **dict.fromkeys(COMPARISON, 3),
    **dict.fromkeys("+-", 4),
    **dict.fromkeys(("*", "/", "%", "atan2"), 5),
    "^": 6,
}
_NOT_METRICS = {"bool", "on", "ignoring", "group_left", "group_right"}
_MAX_TIME_MS = (1 << 63) // 1_000_000
_MATCH_OPS = {op.value: op for op in MatchOp}


@lru_cache(maxsize=1024)
def parse(text: str) -> Expr:
    """The checked syntax tree of `text`; `ParseError` says what is wrong and where."""
    if len(text) > MAX_LENGTH:
        raise ParseError(text, 0, f"query of {len(text)} characters is longer than {MAX_LENGTH}")
    parser = _Parser(text)
    expr = parser.expression(0)
    parser.expect_end()
    if depth(expr) > MAX_DEPTH:
        raise ParseError(text, 0, f"expression is deeper than {MAX_DEPTH} levels")
    check.check(text, expr)
    return expr


def parse_selector(text: str) -> Selector:
    """A series selector such as the HTTP API's `match[]` takes."""
    expr = parse(text)
    if not isinstance(expr, Selector) or expr.offset or expr.at is not None:
        raise ParseError(text, 0, "expected a series selector")
    return expr


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokenize(text)
        self._next = 0
        self._depth = 0

    # Tokens

    @property
    def _token(self) -> Token:
        return self._tokens[self._next]

    def _advance(self) -> Token:
        token = self._tokens[self._next]
        self._next += token.kind is not Kind.END
        return token

    def _at(self, *texts: str) -> bool:
        return self._token.kind is Kind.OPERATOR and self._token.text in texts

    def _word(self, *words: str) -> bool:
        return self._token.kind is Kind.NAME and self._token.text.lower() in words

    def _accept(self, text: str) -> bool:
        found = self._at(text)
        self._next += found
        return found

    def _expect(self, text: str, where: str) -> Token:
        if not self._at(text):
            self._unexpected(where, f'"{text}"')
        return self._advance()

    def _fail(self, reason: str, position: int | None = None) -> NoReturn:
        raise ParseError(self._text, self._token.start if position is None else position, reason)

    def _unexpected(self, where: str = "", wanted: str = "") -> NoReturn:
        token = self._token
        what = token.text if token.kind is Kind.END else f"{token.kind.name.lower()} {token.text!r}"
        place = f" in {where}" if where else ""
        self._fail(f"unexpected {what}{place}" + (f", expected {wanted}" if wanted else ""))

    def _refuse(self, feature: str) -> NoReturn:
        raise UnsupportedError(f"{feature} is not supported by this version")

    def expect_end(self) -> None:
        """Fail unless the whole text has been read."""
        if self._token.kind is not Kind.END:
            self._unexpected()

    # Expressions

    def expression(self, floor: int) -> Expr:
        """An expression whose operators all bind at least as tightly as `floor`."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            self._fail(f"expression nests deeper than {MAX_NESTING} levels")
        left = self._operand()
        length = 0
        while self._token.kind is Kind.OPERATOR and _PRECEDENCE.get(self._token.text, -1) >= floor:
            left = self._binary(left)
            length += 1
            if length > MAX_DEPTH:
                self._fail(f"more than {MAX_DEPTH} operators in a row")
        self._depth -= 1
        return left

    def _binary(self, left: Expr) -> Expr:
        op = self._advance().text
        return_bool = self._word("bool")
        if return_bool:
            if op not in COMPARISON:
                self._fail("bool modifier can only be used on comparison operators")
            self._advance()
        matching = self._matching(op)
        right = self.expression(_PRECEDENCE[op] + (op != "^"))
        span = (left.span[0], right.span[1])
        both = check.type_of(left) is ValueType.VECTOR and check.type_of(right) is ValueType.VECTOR
        if matching is None and both:
            matching = Matching(Cardinality.MANY_TO_MANY if op in SET_OPERATORS else Cardinality.ONE_TO_ONE)
        elif matching is not None and not both and matching != Matching(matching.cardinality):
            self._fail("vector matching only allowed between instant vectors", span[0])
        return Binary(op, left, right, matching, return_bool, span)

    def _matching(self, op: str) -> Matching | None:
        if self._word("fill", "fill_left", "fill_right") and self._tokens[self._next + 1].text == "(":
            self._refuse("the fill modifier")
        if not self._word("on", "ignoring"):
            return None
        on = self._advance().text.lower() == "on"
        labels = self._labels("grouping opts")
        many = Cardinality.MANY_TO_MANY if op in SET_OPERATORS else Cardinality.ONE_TO_ONE
        if not self._word("group_left", "group_right"):
            return Matching(many, labels, on)
        side = self._advance()
        if op in SET_OPERATORS:
            self._fail(f'no grouping allowed for "{op}" operation', side.start)
        cardinality = Cardinality.MANY_TO_ONE if side.text.lower() == "group_left" else Cardinality.ONE_TO_MANY
        include = self._labels("grouping opts") if self._at("(") else ()
        if on and (both := set(labels) & set(include)):
            self._fail(f'label "{min(both)}" must not occur in ON and GROUP clause at once', side.start)
        return Matching(cardinality, labels, on, include)

    def _operand(self) -> Expr:
        if self._at("+", "-"):
            operator = self._advance()
            inner = self.expression(_PRECEDENCE["^"])
            span = (operator.start, inner.span[1])
            if isinstance(inner, Number):
                return Number(-inner.value if operator.text == "-" else inner.value, span)
            return Unary(operator.text, inner, span)
        expr = self._primary()
        while True:
            if self._at("["):
                expr = self._range(expr)
            elif self._at("@"):
                expr = self._at_modifier(expr)
            elif self._word("offset"):
                expr = self._offset(expr)
            elif self._word("anchored", "smoothed"):
                self._refuse(f"the {self._token.text.lower()} modifier")
            else:
                return expr

    def _primary(self) -> Expr:  # noqa: RET503 - _fail and _unexpected never return
        token = self._token
        span = (token.start, token.end)
        match token.kind:
            case Kind.NUMBER | Kind.DURATION:
                self._advance()
                return Number(float(token.value), span)
            case Kind.STRING:
                self._advance()
                return String(str(token.value), span)
            case Kind.NAME:
                return self._name()
            case Kind.OPERATOR if token.text == "(":
                self._advance()
                inner = self.expression(0)
                return Paren(inner, (token.start, self._expect(")", "paren expression").end))
            case Kind.OPERATOR if token.text == "{":
                return self._selector(None)
            case Kind.OPERATOR if token.text in _PRECEDENCE and isinstance(token.value, str) and token.value:
                self._advance()  # a word such as `and` is a metric's name where no operator can stand
                return self._selector(Token(Kind.NAME, token.value, token.start, token.end))
            case Kind.END if len(self._tokens) == 1:
                self._fail("no expression found in input")
            case _:
                self._unexpected()

    def _name(self) -> Expr:
        token = self._advance()
        word = token.text.lower()
        if word in AGGREGATIONS and (self._at("(") or self._word("by", "without")):
            return self._aggregate(token, word)
        if self._at("("):
            return self._call(token)
        if word in ("inf", "nan"):
            return Number(float(word), (token.start, token.end))
        if word in _NOT_METRICS:
            self._fail(f"unexpected <{word}>", token.start)
        return self._selector(token)

    # Calls

    def _call(self, name: Token) -> Expr:
        if name.text not in FUNCTIONS:
            self._fail(f'unknown function with name "{name.text}"', name.start)
        args, end = self._arguments()
        return Call(name.text, args, (name.start, end))

    def _arguments(self) -> tuple[tuple[Expr, ...], int]:
        self._expect("(", "function call")
        args: list[Expr] = []
        while not self._at(")"):
            args.append(self.expression(0))
            if not self._accept(","):
                break
            if self._at(")"):
                self._fail("trailing commas not allowed in function call args")
        return tuple(args), self._expect(")", "function call args").end

    def _aggregate(self, name: Token, op: str) -> Expr:
        grouping, without, given = self._grouping()
        args, end = self._arguments()
        if not given:
            before = self._next
            grouping, without, given = self._grouping()
            if given:
                end = self._tokens[max(before, self._next - 1)].end
        wanted = 1 if AGGREGATIONS[op] is None else 2
        if not args:
            self._fail("no arguments for aggregate expression provided", name.start)
        if len(args) != wanted:
            reason = f"wrong number of arguments for aggregate expression provided, expected {wanted}, got {len(args)}"
            self._fail(reason, name.start)
        return Aggregate(op, args[-1], args[0] if wanted == 2 else None, grouping, without, (name.start, end))

    def _grouping(self) -> tuple[tuple[str, ...], bool, bool]:
        """Labels of `by (…)` or `without (…)`, whether it is the latter, and whether either was there."""
        if not self._word("by", "without"):
            return (), False, False
        without = self._advance().text.lower() == "without"
        return self._labels("grouping opts"), without, True

    def _labels(self, where: str) -> tuple[str, ...]:
        self._expect("(", where)
        labels: list[str] = []
        while not self._at(")"):
            labels.append(self._label(where))
            if not self._accept(","):
                break
        self._expect(")", where)
        return tuple(labels)

    def _label(self, where: str) -> str:
        token = self._token
        if token.kind is Kind.STRING and token.value:
            return str(self._advance().value)
        word = token.kind is Kind.NAME or (token.kind is Kind.OPERATOR and bool(token.value))
        if not word or ":" in token.text:
            self._unexpected(where, "label")
        self._advance()
        return str(token.value)

    # Selectors

    def _selector(self, name: Token | None) -> Selector:
        matchers = [Matcher(METRIC_NAME, MatchOp.EQUAL, name.text)] if name else []
        start = name.start if name else self._token.start
        end = name.end if name else start
        if self._at("{"):
            end = self._matchers(matchers)
        return Selector(tuple(matchers), span=(start, end))

    def _matchers(self, matchers: list[Matcher]) -> int:
        """Read `{…}` into `matchers`; the position after it."""
        self._advance()
        while not self._at("}"):
            matchers.append(self._matcher(matchers))
            if not self._accept(","):
                break
        return self._expect("}", "label matching").end

    def _matcher(self, before: list[Matcher]) -> Matcher:
        start = self._token
        label = self._label("label matching")
        if start.kind is Kind.STRING and self._at(",", "}"):
            named = [matcher.value for matcher in before if matcher.name == METRIC_NAME]
            if named:
                self._fail(f'metric name must not be set twice: "{named[0]}" or "{label}"', start.start)
            return Matcher(METRIC_NAME, MatchOp.EQUAL, label)
        if self._word("or"):
            self._refuse("`or` between label matchers")
        operator = self._token
        if not self._at(*_MATCH_OPS):
            self._unexpected("label matching", "label matching operator")
        self._advance()
        if self._token.kind is not Kind.STRING:
            self._unexpected("label matching", "string")
        matcher = Matcher(label, _MATCH_OPS[operator.text], str(self._advance().value))
        if label == METRIC_NAME:
            self._name_once(before, matcher, start.start)
        return matcher

    def _name_once(self, before: list[Matcher], matcher: Matcher, position: int) -> None:
        named = [m.value for m in before if m.name == METRIC_NAME and m.op is MatchOp.EQUAL]
        if named and matcher.op is MatchOp.EQUAL:
            self._fail(f'metric name must not be set twice: "{named[0]}" or "{matcher.value}"', position)

    # Ranges, offsets, @

    def _range(self, expr: Expr) -> Expr:
        self._advance()
        duration = self._positive_duration()
        if self._accept(":"):
            step = None if self._at("]") else self._positive_duration()
            end = self._expect("]", "subquery selector").end
            return Subquery(expr, duration, step, span=(expr.span[0], end))
        end = self._expect("]", "range").end
        if not isinstance(expr, Selector):
            self._fail("ranges only allowed for vector selectors", expr.span[0])
        if expr.at is not None:
            self._fail("no @ modifiers allowed before range", expr.span[0])
        if expr.offset:
            self._fail("no offset modifiers allowed before range", expr.span[0])
        return Range(expr, duration, (expr.span[0], end))

    def _positive_duration(self) -> int:
        start = self._token.start
        milliseconds = self._milliseconds("subquery or range selector")
        if milliseconds <= 0:
            self._fail("duration must be greater than 0", start)
        if self._at("+", "-", "*", "/", "%", "^"):
            self._refuse("arithmetic on durations")
        return milliseconds

    def _milliseconds(self, where: str) -> int:
        sign = -1 if self._at("-") else 1
        if self._at("+", "-"):
            self._advance()
        token = self._token
        if self._at("(") or self._word("step", "range", "min", "max"):
            self._refuse("a duration expression")
        if token.kind not in (Kind.NUMBER, Kind.DURATION):
            self._unexpected(where, "number or duration")
        self._advance()
        seconds = float(token.value)
        if not math.isfinite(seconds) or abs(seconds * 1000) > _MAX_TIME_MS:
            self._fail("duration out of range", token.start)
        return sign * math.trunc(seconds * 1000 + math.copysign(1e-6, seconds))

    def _offset(self, expr: Expr) -> Expr:
        token = self._advance()
        offset = self._milliseconds("offset")
        return self._modified(expr, token, "offset", offset=offset)

    def _at_modifier(self, expr: Expr) -> Expr:
        token = self._advance()
        return self._modified(expr, token, "@", at=self._time())

    def _time(self) -> At:
        for edge, word in ((AtEdge.START, "start"), (AtEdge.END, "end")):
            if self._word(word):
                self._advance()
                self._expect("(", "@ modifier")
                self._expect(")", "@ modifier")
                return edge
        sign = -1 if self._at("-") else 1
        if self._at("+", "-"):
            self._advance()
        token = self._token
        if token.kind is Kind.NAME and token.text.lower() in ("inf", "nan"):
            self._fail(f"timestamp out of bounds for @ modifier: {token.text}")
        if token.kind not in (Kind.NUMBER, Kind.DURATION):
            self._unexpected("@ modifier", "timestamp")
        self._advance()
        milliseconds = sign * float(token.value) * 1000
        if not abs(milliseconds) < float(1 << 63):
            self._fail(f"timestamp out of bounds for @ modifier: {token.text}", token.start)
        return round_half_away(milliseconds)

    def _modified(self, expr: Expr, token: Token, word: str, *, offset: int = 0, at: At = None) -> Expr:
        """`expr` with an offset or a fixed time; each at most once, and only on what reads samples."""
        inner = expr.selector if isinstance(expr, Range) else expr
        if not isinstance(inner, Selector | Subquery):
            wanted = "an instant vector selector or range vector selector or a subquery"
            self._fail(f"{word} modifier must be preceded by {wanted}", expr.span[0])
        if (word == "offset" and inner.offset) or (word == "@" and inner.at is not None):
            twice = (
                "offset may not be set multiple times"
                if word == "offset"
                else "@ <timestamp> may not be set multiple times"
            )
            self._fail(twice, token.start)
        end = self._tokens[self._next - 1].end
        offset, at = (offset, inner.at) if word == "offset" else (inner.offset, at)
        span = (inner.span[0], end)
        if isinstance(inner, Subquery):
            return Subquery(inner.expr, inner.duration, inner.step, offset, at, span)
        moved = Selector(inner.matchers, offset, at, span)
        return Range(moved, expr.duration, span) if isinstance(expr, Range) else moved


def round_half_away(value: float) -> int:
    """The nearest integer, halves away from zero (Go's math.Round)."""
    return math.floor(value + 0.5) if value >= 0 else math.ceil(value - 0.5)
