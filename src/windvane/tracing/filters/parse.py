"""Text to expression: a recursive-descent parser whose errors tell where the text goes wrong."""

from __future__ import annotations

from collections.abc import Callable

import re2  # type: ignore[import-untyped]

from windvane.tracing.filters.ast import (
    EVERYTHING,
    SCOPES,
    And,
    Between,
    Equal,
    Expression,
    FilterError,
    Key,
    Like,
    Not,
    Or,
    Pattern,
    Present,
    Regex,
    Text,
    Wildcard,
    Words,
)

MAX_LENGTH = 8_192
_MAX_DEPTH = 50
_OPERATORS = ("!=", "!~", ">=", "<=", ":", "=", ">", "<", "~")
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def parse(text: str) -> Expression:
    """The expression that a query bar's text stands for; empty text is everything."""
    if len(text) > MAX_LENGTH:
        raise FilterError(f"the query is longer than {MAX_LENGTH} characters", MAX_LENGTH + 1)
    parser = _Parser(text)
    if parser.at_end():
        return EVERYTHING
    found = parser.either(parser.term)
    if not parser.at_end():
        raise parser.error("a parenthesis closes that was not opened")
    return found


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0

    # What surrounds terms. The same rules hold for whole terms and for values in parentheses.

    def either(self, term: Callable[[], Expression]) -> Expression:
        terms = [self._all(term)]
        while self._keyword("OR") or self._mark("||"):
            terms.append(self._all(term))
        return terms[0] if len(terms) == 1 else Or(tuple(terms))

    def _all(self, term: Callable[[], Expression]) -> Expression:
        terms = [self._negated(term)]
        while not self.at_end() and self._text[self._place] != ")" and not self._sees_or():
            if self._keyword("AND") or self._mark("&&"):
                self._operand("AND")
            terms.append(self._negated(term))
        return terms[0] if len(terms) == 1 else And(tuple(terms))

    def _negated(self, term: Callable[[], Expression]) -> Expression:
        self._operand("")
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise self.error(f"more than {_MAX_DEPTH} levels of NOT and parentheses")
        try:
            if self._keyword("NOT") or self._mark("-") or self._mark("!"):
                return Not(self._negated(term))
            opening = self._place
            if not self._mark("("):
                return term()
            inside = self.either(term)
            if self.at_end() or not self._mark(")"):
                raise FilterError("this parenthesis is not closed", opening + 1)
            return inside
        finally:
            self._depth -= 1

    def _operand(self, after: str) -> None:
        if self.at_end() or self._text[self._place] == ")" or self._sees_or():
            raise self.error("a condition is missing here" + (f", after {after}" if after else ""))
        if not after and self._sees("AND"):
            raise self.error("a condition is missing here, before AND")

    # Terms

    def term(self) -> Expression:
        start = self._place
        if self._sees_regex():
            return Words(self._regex(Key("")))
        if self._here('"'):
            text = self._quoted()
            return (
                self._about(Key(text, "", True, start + 1))
                if self._operator(peek=True)
                else Words(Text(text, True, start + 1))
            )
        key = self._key(start)
        if key is not None:
            return self._about(key)
        self._place = start
        value = self._word()
        if isinstance(value, Pattern):
            return EVERYTHING if value == Pattern((Wildcard.MANY,)) else Words(value)
        return Words(value)

    def _key(self, start: int) -> Key | None:
        """A key in front of an operator, else None."""
        name = self._bare('():=<>~!"')
        scope, dot, rest = name.partition(".")
        if self._here('"') and dot and not rest and scope in SCOPES:
            name = self._quoted()
            if not self._operator(peek=True):
                raise self.error(f"an operator is missing after {scope}.{name!r}")
            return Key(name, scope, True, start + 1)
        if not self._operator(peek=True):
            return None
        if not name:
            raise self.error("a name is missing before the operator")
        return Key(rest, scope, False, start + 1) if scope in SCOPES and rest else Key(name, "", False, start + 1)

    def _about(self, key: Key) -> Expression:
        operator = self._operator()
        if operator in ("!=", "!~"):
            return Not(self._compared(key, operator[1]))
        if operator == ":":
            operator = self._comparison() or ":"
        return self._compared(key, operator)

    def _compared(self, key: Key, operator: str) -> Expression:
        if operator in (":", "="):
            return self._value(key, operator)
        start = self._place
        value = self._plain(operator)
        if operator == "~":
            return self._checked(Regex(key, value.text, start + 1))
        if operator in (">", ">="):
            return Between(key, low=value, open_low=operator == ">")
        return Between(key, high=value, open_high=operator == "<")

    def _value(self, key: Key, operator: str) -> Expression:
        if self._here("("):
            opening = self._place
            self._place += 1
            inside = self.either(lambda: self._value(key, operator))
            if self.at_end() or not self._mark(")"):
                raise FilterError("this parenthesis is not closed", opening + 1)
            return inside
        if self._here("[") or self._here("{"):
            return self._range(key)
        if self._sees_regex():
            return self._regex(key)
        if self._here('"'):
            start = self._place
            return Equal(key, Text(self._quoted(), True, start + 1))
        value = self._word(operator)
        if not isinstance(value, Pattern):
            return Equal(key, value)
        return Present(key) if value == Pattern((Wildcard.MANY,)) else Like(key, value)

    def _range(self, key: Key) -> Expression:
        opening = self._place
        open_low = self._text[self._place] == "{"
        self._place += 1
        low = self._bound()
        if not self._keyword("TO"):
            raise self.error("a range is written [low TO high]: TO is missing here")
        high = self._bound()
        if self.at_end() or self._text[self._place] not in "]}":
            raise FilterError("this range is not closed", opening + 1)
        open_high = self._text[self._place] == "}"
        self._place += 1
        if low is None and high is None:
            return Present(key)
        return Between(key, low, high, open_low and low is not None, open_high and high is not None)

    def _bound(self) -> Text | None:
        self._skip()
        value = self._plain("[", stops="]})")
        return None if value == Text("*") else value

    # Values

    def _plain(self, operator: str, stops: str = ")") -> Text:
        """A value without wildcards."""
        if self._here('"'):
            start = self._place
            return Text(self._quoted(), True, start + 1)
        start = self._place
        if operator == "~" and self._sees_regex():
            return Text(self._regex_text(), True, start + 1)
        text = self._bare(stops, plain=operator == "~")
        if not text:
            raise self.error(f"a value is missing after {operator!r}")
        return Text(text, False, start + 1)

    def _word(self, operator: str = "") -> Text | Pattern:
        """A bare value; a pattern if it has wildcards."""
        start = self._place
        pieces: list[str | Wildcard] = []
        text = ""
        while self._place < len(self._text) and not self._ends(")("):
            character = self._text[self._place]
            if character in "*?":
                pieces += [text] if text else []
                pieces.append(Wildcard(character))
                text = ""
            else:
                text += self._unescaped()
                continue
            self._place += 1
        if not pieces and not text:
            where = f"a value is missing after {operator!r}" if operator else "a word was expected here"
            raise self.error(where)
        return Pattern(tuple(pieces + ([text] if text else []))) if pieces else Text(text, False, start + 1)

    def _bare(self, stops: str, *, plain: bool = False) -> str:
        """Characters up to a space or one of `stops`; a backslash takes the meaning of the next away unless `plain`."""
        text = ""
        while self._place < len(self._text) and not self._ends(stops):
            if plain:
                text += self._text[self._place]
                self._place += 1
            else:
                text += self._unescaped()
        return text

    def _unescaped(self) -> str:
        character = self._text[self._place]
        if character == "\\" and self._place + 1 < len(self._text):
            self._place += 1
            character = self._text[self._place]
        self._place += 1
        return character

    def _quoted(self) -> str:
        opening = self._place
        self._place += 1
        text = ""
        while self._place < len(self._text):
            if self._text[self._place] == '"':
                self._place += 1
                return text
            text += self._unescaped()
        raise FilterError("this quote is not closed", opening + 1)

    def _sees_regex(self) -> bool:
        """Whether `/…/` stands here: its second slash ends a word. A path such as /api/v1 is no regex."""
        if not self._here("/"):
            return False
        end = self._regex_end()
        return end > self._place + 1 and (
            end + 1 == len(self._text) or self._text[end + 1].isspace() or self._text[end + 1] == ")"
        )

    def _regex_end(self) -> int:
        end = self._place + 1
        while end < len(self._text) and self._text[end] != "/":
            end += 2 if self._text[end] == "\\" else 1
        return end if end < len(self._text) else -1

    def _regex_text(self) -> str:
        end = self._regex_end()
        text = self._text[self._place + 1 : end].replace("\\/", "/")
        self._place = end + 1
        return text

    def _regex(self, key: Key) -> Regex:
        start = self._place
        return self._checked(Regex(key, self._regex_text(), start + 1))

    def _checked(self, found: Regex) -> Regex:
        try:
            re2.compile(found.pattern, _OPTIONS)
        except re2.error as error:
            reason = error.args[0] if error.args else "wrong"
            text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
            raise FilterError(f"not a regular expression: {text}", found.at) from None
        return found

    # Reading on

    def error(self, reason: str) -> FilterError:
        """A mistake at the present place."""
        return FilterError(reason, self._place + 1)

    def at_end(self) -> bool:
        """Whether nothing but space is left."""
        self._skip()
        return self._place >= len(self._text)

    def _skip(self) -> None:
        while self._place < len(self._text) and self._text[self._place].isspace():
            self._place += 1

    def _here(self, mark: str) -> bool:
        return self._text.startswith(mark, self._place)

    def _ends(self, stops: str) -> bool:
        character = self._text[self._place]
        return character.isspace() or character in stops

    def _mark(self, mark: str) -> bool:
        self._skip()
        if not self._here(mark):
            return False
        self._place += len(mark)
        return True

    def _sees(self, word: str) -> bool:
        self._skip()
        after = self._place + len(word)
        return self._here(word) and (
            after >= len(self._text) or self._text[after].isspace() or self._text[after] in "()"
        )

    def _sees_or(self) -> bool:
        return self._sees("OR") or self._here("||")

    def _keyword(self, word: str) -> bool:
        if not self._sees(word):
            return False
        self._place += len(word)
        return True

    def _operator(self, *, peek: bool = False) -> str:
        for operator in _OPERATORS:
            if self._here(operator):
                self._place += 0 if peek else len(operator)
                return operator
        return ""

    def _comparison(self) -> str:
        """The comparison in `key:>=5`."""
        for operator in (">=", "<=", ">", "<"):
            if self._here(operator):
                self._place += len(operator)
                return operator
        return ""
