"""Reading a whole query: a search, or metrics with their stages and arithmetic."""

from __future__ import annotations

from windvane.tracing.traceql import lexer
from windvane.tracing.traceql.check import check
from windvane.tracing.traceql.errors import ParseError
from windvane.tracing.traceql.parser import AGGREGATES, Parser
from windvane.tracing.traceql.syntax import (
    ORDERINGS,
    Compare,
    Filter,
    Function,
    Literal,
    Metrics,
    MetricsMath,
    Query,
    Reference,
    Search,
    SecondStage,
    Series,
    Threshold,
    Top,
)

PLAIN = frozenset({"rate", "count_over_time"})
OVER_FIELD = frozenset({"min_over_time", "max_over_time", "avg_over_time", "sum_over_time", "histogram_over_time"})
FUNCTIONS = PLAIN | OVER_FIELD | {"quantile_over_time", "compare"}
_SECOND = frozenset({"topk", "bottomk"})
_MATH_LEVELS = {"+": 3, "-": 3, "*": 5, "/": 5}


def parse(text: str) -> Query:
    """The checked tree of a query; `TraceQLError` tells what is wrong, and where."""
    query = read(text)
    check(query)
    return query


def read(text: str) -> Query:
    """The tree of a query, unchecked."""
    parser = _Root(text)
    query = parser.root()
    if parser.token.kind is not lexer.Kind.END:
        raise parser.fail("an operator, '|' or the end of the query")
    return query


def parse_filter(text: str) -> Filter:
    """A single `{ … }`; anything else is a `TraceQLError`."""
    query = parse(text)
    if isinstance(query, Search) and len(query.pipeline.stages) == 1:
        first = query.pipeline.stages[0]
        if isinstance(first, Filter):
            return first
    raise ParseError(text, 0, "a single spanset filter { … } is expected here, without pipelines or operators")


def parse_reference(text: str) -> Reference:
    """One attribute or intrinsic, as tag values are asked for; `TraceQLError` for anything else."""
    parser = Parser(text)
    found = parser.reference()
    if parser.token.kind is not lexer.Kind.END:
        raise parser.fail("nothing after the attribute")
    return found


class _Root(Parser):
    """Adds what only stands at the root of a query: metrics."""

    def root(self) -> Query:
        if not any(self._calls(place) for place in range(len(self.tokens) - 1)):
            return Search(self.pipeline(), self.hints())
        series = self.series()
        if isinstance(series, Literal):
            raise self.fail("a metrics query, not a number alone")
        return series

    def _calls(self, place: int) -> bool:
        """Whether a metrics function is called here."""
        token = self.tokens[place]
        return token.kind is lexer.Kind.WORD and token.raw in FUNCTIONS and self.tokens[place + 1].raw == "("

    def series(self) -> Series:
        """Metrics queries in parentheses and numbers, joined by arithmetic; or one metrics query."""
        if self.at("{") or (self.at("(") and not self._holds_metrics()) or self.at(*AGGREGATES, "by", "select"):
            return self._metrics()
        found = self.climb(_MATH_LEVELS, self._series_operand, _joined)
        then, hints = self._second_stages(), self.hints()
        if not then and not hints:
            return found
        if isinstance(found, MetricsMath):
            return MetricsMath(found.op, found.left, found.right, found.then + then, found.hints + hints)
        if isinstance(found, Metrics):
            return Metrics(found.pipeline, found.function, found.then + then, found.hints + hints)
        raise self.fail("a metrics query before this")

    def _holds_metrics(self) -> bool:
        end = self.closing(self.place)
        return any(self._calls(place) for place in range(self.place, end))

    def _series_operand(self) -> Series:
        if self.accept("("):
            inner = self.nested(self.series)
            self.expect(")")
            return inner
        return Literal(self.number())

    def _metrics(self) -> Metrics:
        pipeline = self.pipeline(before=lambda: self._calls(self.place + 1))
        self.expect("|")
        function = self._compare() if self.at("compare") else self._function()
        return Metrics(pipeline, function, self._second_stages(), self.hints())

    def _function(self) -> Function:
        token = self.take()
        name = token.raw
        self.expect("(")
        operand, quantiles = None, tuple[float, ...]()
        if name not in PLAIN:
            operand = self.reference()
        if name == "quantile_over_time":
            quantiles = self._quantiles()
        self.expect(")")
        by = self.references() if self.accept("by") else ()
        return Function(name, operand, quantiles, by)

    def _quantiles(self) -> tuple[float, ...]:
        found = []
        while self.accept(","):
            token = self.take()
            if token.kind not in (lexer.Kind.INTEGER, lexer.Kind.FLOAT):
                raise self.fail("a quantile", token)
            assert isinstance(token.value, int | float)
            found.append(float(token.value))
        if not found:
            raise self.fail("',' and a quantile")
        return tuple(found)

    def _compare(self) -> Compare:
        self.take()
        self.expect("(")
        selection = self.filter()
        numbers: list[int] = []
        while len(numbers) < 3 and self.accept(","):
            numbers.append(self._integer())
        if len(numbers) == 2:
            raise self.fail("',' and the end of the selection: both times or neither")
        self.expect(")")
        return Compare(selection, *numbers)

    def _integer(self) -> int:
        token = self.take()
        if token.kind is not lexer.Kind.INTEGER:
            raise self.fail("an integer", token)
        assert isinstance(token.value, int)
        return token.value

    def _second_stages(self) -> tuple[SecondStage, ...]:
        """`| topk(n)`, `| bottomk(n)` and comparisons, with or without a pipe before them."""
        found: list[SecondStage] = []
        while self.at("|", *ORDERINGS):
            self.accept("|")
            token = self.take()
            if token.raw in _SECOND:
                self.expect("(")
                found.append(Top(token.raw, self._integer()))
                self.expect(")")
            elif token.kind is lexer.Kind.SYMBOL and token.raw in ORDERINGS:
                found.append(Threshold(token.raw, float(self.number())))
            else:
                raise self.fail("topk(n), bottomk(n) or a comparison", token)
        return tuple(found)


def _joined(op: str, left: Series, right: Series) -> Series:
    return MetricsMath(op, left, right)
