"""Tokens one after the other, for the parser: looking ahead by one, and errors in Prometheus's words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

from windvane.promql.errors import ParseError, Places
from windvane.promql.lexer import Kind, Token, tokenize
from windvane.promql.syntax import Span

MAX_NESTING = 100


class Stream:
    """The tokens of one query.

    Prometheus's grammar knows in a few places what it expected; elsewhere only what it did not expect, and
    whether that was inside an aggregation.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._tokens = tokenize(text)
        self._places = Places(text)
        self._next = 0
        self._depth = 0
        self._aggregations = 0

    @property
    def token(self) -> Token:
        """The next token, not yet consumed."""
        return self._tokens[self._next]

    @property
    def end(self) -> int:
        """Where the last consumed token ends."""
        return self._tokens[self._next - 1].end if self._next else 0

    @property
    def single(self) -> bool:
        """Whether the text has no token but its end."""
        return len(self._tokens) == 1

    def advance(self) -> Token:
        """Consume a token; the last one stays."""
        token = self.token
        if token.kind is Kind.ERROR:
            self.unexpected()
        self._next += token.kind is not Kind.END
        return token

    def at(self, *raw: str) -> bool:
        """Whether the next token is one of these operators or marks."""
        return self.token.kind in (Kind.OPERATOR, Kind.PUNCTUATION) and self.token.text in raw

    def word(self, *words: str) -> bool:
        """Whether the next token is one of these keywords."""
        return self.token.kind in (Kind.KEYWORD, Kind.PREPROCESSOR, Kind.AGGREGATOR) and self.token.text in words

    def called(self) -> bool:
        """Whether the token after the next is an opening parenthesis."""
        return self._tokens[min(self._next + 1, len(self._tokens) - 1)].raw == "("

    def followed_by(self, *words: str) -> bool:
        """Whether the token after the next is one of these keywords."""
        after = self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        return after.kind is Kind.KEYWORD and after.text in words

    def accept(self, raw: str) -> bool:
        """Consume this mark, if it is next."""
        found = self.at(raw)
        self._next += found
        return found

    def expect(self, raw: str, context: str = "", expected: str = "") -> Token:
        """Consume this mark or fail."""
        if not self.at(raw):
            self.unexpected(context, expected)
        return self.advance()

    def span(self, start: int, end: int | None = None) -> Span:
        """The span of a node."""
        line, column = self._places.of(start)
        return Span(start, self.end if end is None else end, line, column)

    def fail(self, reason: str, position: int | None = None) -> NoReturn:
        """Raise `ParseError`, by default at the next token."""
        raise ParseError(self.text, self.token.start if position is None else position, reason)

    def unexpected(self, context: str = "", expected: str = "") -> NoReturn:
        """Complain about the next token."""
        token = self.token
        if token.kind is Kind.ERROR:
            self.fail(str(token.value))
        context = context or ("aggregation" if self._aggregations else "")
        where = f" in {context}" if context else ""
        self.fail(f"unexpected {token.describe()}{where}" + (f", expected {expected}" if expected else ""))

    @contextmanager
    def nested(self) -> Iterator[None]:
        """One level deeper, of a bounded number."""
        self._depth += 1
        if self._depth > MAX_NESTING:
            self.fail(f"expression nests deeper than {MAX_NESTING} levels")
        yield
        self._depth -= 1

    @contextmanager
    def aggregation(self) -> Iterator[None]:
        """Inside an aggregation, whose operands have no better context for errors."""
        self._aggregations += 1
        yield
        self._aggregations -= 1
