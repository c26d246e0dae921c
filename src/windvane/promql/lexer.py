"""PromQL text to tokens, as Prometheus 3 cuts it.

What a character means depends on where it stands: between braces every word is a label's name, between
brackets only durations and their arithmetic are known, and elsewhere a word may be a keyword. Where the
text is no token, or ends with something open, the list ends with an ERROR token: the parser reports
it only if it gets that far, so that the first mistake of a query is the one named.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum, auto

from windvane.promql.quoting import quote
from windvane.promql.signatures import AGGREGATIONS
from windvane.promql.strings import StringError, scan_string


class Kind(Enum):
    """What a token is."""

    NUMBER = auto()
    DURATION = auto()
    STRING = auto()
    IDENTIFIER = auto()
    METRIC_IDENTIFIER = auto()
    """A word with a colon."""
    KEYWORD = auto()
    AGGREGATOR = auto()
    PREPROCESSOR = auto()
    """start, end, step, range."""
    OPERATOR = auto()
    PUNCTUATION = auto()
    ERROR = auto()
    """`value` says what is wrong."""
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: `raw` as written, `text` in lower case, `value` decoded."""

    kind: Kind
    raw: str
    start: int
    end: int
    value: float | str = ""

    @property
    def text(self) -> str:
        """The word in lower case."""
        return self.raw.lower()

    def describe(self) -> str:  # noqa: PLR0911 - a case a kind
        """As messages about an unexpected token show it."""
        match self.kind:
            case Kind.END:
                return "end of input"
            case Kind.IDENTIFIER | Kind.METRIC_IDENTIFIER:
                return f"{self.kind.name.lower().replace('_', ' ')} {quote(self.raw)}"
            case Kind.KEYWORD:
                return f"<{self.raw}>"
            case Kind.OPERATOR:
                return f"<op:{self.raw}>"
            case Kind.AGGREGATOR:
                return f"<aggr:{self.raw}>"
            case Kind.NUMBER | Kind.DURATION | Kind.STRING:
                return f"{self.kind.name.lower()} {self._shortened()}"
            case _:
                return self._shortened()

    def _shortened(self) -> str:
        return f"{quote(self.raw[:10])}..." if len(self.raw.encode()) > 10 else quote(self.raw)


WORD_OPERATORS = frozenset({"and", "or", "unless", "atan2"})
KEYWORDS = frozenset(
    {"offset", "smoothed", "anchored", "by", "without", "on", "ignoring", "group_left", "group_right", "bool"}
)
FILLS = frozenset({"fill", "fill_left", "fill_right"})
"""Keywords only before a parenthesis."""
PREPROCESSORS = frozenset({"start", "end", "step", "range"})
_DURATION_WORDS = {
    "step": Kind.PREPROCESSOR,
    "range": Kind.PREPROCESSOR,
    "min": Kind.AGGREGATOR,
    "max": Kind.AGGREGATOR,
}

_CALLED = re.compile(r"[ \t\r\n]*\(")
_DIGIT = re.compile(r"\.?[0-9]")
_BLANK = re.compile(r"(?:[ \t\r\n]+|#[^\r\n]*)+")
_SYMBOL = re.compile(r"==|!=|<=|>=|</|>/|[-+*/%^<>@]")
_LABEL_SYMBOL = re.compile(r"=~|!~|!=|[=,]")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORD = re.compile(r"[A-Za-z_:][A-Za-z0-9_:]*")
_DURATION = re.compile(r"(?:[0-9]+(?:ms|[smhdwy]))+(?![A-Za-z0-9_])")
_NUMBER = re.compile(
    r"(?:0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*"
    r"|(?:[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?|\.[0-9]+(?:_[0-9]+)*)(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?)"
    r"(?![A-Za-z0-9_.])"
)
_BAD_NUMBER = re.compile(
    r"(?:0[xX][0-9a-fA-F_]*|[0-9]*(?:_[0-9]+)*(?:_[._eE]?|(?:\.[0-9_]*)?(?:[eE][+-]?[0-9_]*)?\.?))"
    r"(?:[smhdwy]s?(?:[0-9]+[smhdw]s?)*(?:[0-9]+|[A-Za-z0-9_])?)?"
)
_PART = re.compile(r"([0-9]+)(ms|[smhdwy])")
_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_ORDER = list(_UNITS)
MAX_DURATION_MS = (1 << 63) // 1_000_000 - 1
"""Prometheus keeps durations as 64-bit nanoseconds."""


class _LexicalError(Exception):
    """The text is no token: what is wrong, and where."""

    def __init__(self, position: int, reason: str) -> None:
        super().__init__(reason)
        self.position = position
        self.reason = reason


def tokenize(text: str) -> list[Token]:
    """All tokens of `text`, the last of them END or ERROR."""
    lexer = _Lexer(text)
    try:
        while lexer.step():
            pass
    except _LexicalError as refused:
        lexer.tokens.append(Token(Kind.ERROR, "", refused.position, len(text), refused.reason))
    return lexer.tokens


class _Lexer:
    def __init__(self, text: str) -> None:
        self.tokens: list[Token] = []
        self._text = text
        self._position = 0
        self._parentheses = 0
        self._in_braces = False
        self._in_brackets = False
        self._colon_seen = False
        self._wants_duration = False
        """Between brackets: no number since the bracket, an operator or a parenthesis."""

    def step(self) -> bool:
        """Add the next token; False after the last."""
        blank = _BLANK.match(self._text, self._position)
        self._position = blank.end() if blank else self._position
        if self._position >= len(self._text):
            self._end()
            return False
        if self._in_braces:
            self._label_token()
        elif self._in_brackets:
            self._duration_token()
        else:
            self._statement_token()
        return True

    def _add(self, kind: Kind, end: int, value: float | str = "") -> None:
        self.tokens.append(Token(kind, self._text[self._position : end], self._position, end, value))
        self._position = end

    def _fail(self, reason: str, position: int | None = None) -> _LexicalError:
        return _LexicalError(self._position if position is None else position, reason)

    def _end(self) -> None:
        if self._in_braces:
            raise self._fail("unexpected end of input inside braces")
        if self._in_brackets and self.tokens[-1].raw == "[":
            raise self._fail("unexpected end of input in duration expression")
        if self._parentheses:
            raise self._fail("unclosed left parenthesis")
        if self._in_brackets:
            raise self._fail("unclosed left bracket")
        self._add(Kind.END, self._position)

    def _quoted(self, ahead: int) -> str:
        """A character as messages show it; none at the end is shown as Go shows it."""
        place = self._position + ahead
        return quote(self._text[place], "'") if place < len(self._text) else "'\ufffd'"

    # Outside of braces and brackets

    def _statement_token(self) -> None:
        character = self._text[self._position]
        if character in "(),":
            self._parenthesis(character)
        elif character in "{[":
            self._in_braces, self._in_brackets = character == "{", character == "["
            self._colon_seen, self._wants_duration = False, True
            self._add(Kind.PUNCTUATION, self._position + 1)
        elif character in "\"'`":
            self._string()
        elif self._starts_number():
            self._number()
        elif word := _WORD.match(self._text, self._position):
            self._word(word.end())
        else:
            self._symbol()

    def _parenthesis(self, character: str) -> None:
        self._parentheses += {"(": 1, ")": -1, ",": 0}[character]
        if self._parentheses < 0:
            raise self._fail("unexpected right parenthesis ')'", self._position + 1)
        self._add(Kind.PUNCTUATION, self._position + 1)

    def _symbol(self) -> None:
        if symbol := _SYMBOL.match(self._text, self._position):
            self._add(Kind.OPERATOR, symbol.end())
            return
        match self._text[self._position]:
            case "=" if self._text.startswith("=~", self._position):
                raise self._fail("unexpected character after '=': '~'")
            case "=":
                self._add(Kind.PUNCTUATION, self._position + 1)
            case "!":
                raise self._fail(f"unexpected character after '!': {self._quoted(1)}")
            case "]":
                raise self._fail("unexpected right bracket ']'")
            case _:
                raise self._fail(f"unexpected character: {self._quoted(0)}")

    def _word(self, end: int) -> None:
        raw = self._text[self._position : end]
        word = raw.lower()
        if word in ("inf", "nan"):
            self._add(Kind.NUMBER, end, float(word))
        elif word in FILLS:
            called = _CALLED.match(self._text, end)
            self._add(Kind.KEYWORD if called else Kind.IDENTIFIER, end)
        else:
            self._add(_word_kind(word), end)

    # Between braces

    def _label_token(self) -> None:
        character = self._text[self._position]
        if character == "}":
            self._in_braces = False
            self._add(Kind.PUNCTUATION, self._position + 1)
        elif character in "\"'`":
            self._string()
        elif name := _NAME.match(self._text, self._position):
            self._add(Kind.IDENTIFIER, name.end())
        elif symbol := _LABEL_SYMBOL.match(self._text, self._position):
            operator = len(symbol[0]) == 2
            self._add(Kind.OPERATOR if operator else Kind.PUNCTUATION, symbol.end())
        elif character == "!":
            raise self._fail(f"unexpected character after '!' inside braces: {self._quoted(1)}")
        elif character == "{":
            raise self._fail("unexpected left brace '{'")
        else:
            raise self._fail(f"unexpected character inside braces: {self._quoted(0)}")

    # Between brackets

    def _duration_token(self) -> None:
        character = self._text[self._position]
        if character == "]":
            self._in_brackets = False
            self._add(Kind.PUNCTUATION, self._position + 1)
        elif character in "(),":
            self._parenthesis(character)
        elif character == ":":
            self._colon()
        elif character in "+-*/%^":
            self._add(Kind.OPERATOR, self._position + 1)
            self._wants_duration = True
        elif self._starts_number():
            self._number()
            self._wants_duration = False
        else:
            self._duration_word()

    def _colon(self) -> None:
        if self._colon_seen:
            raise self._fail("unexpected colon ':'")
        if self.tokens[-1].raw == "[":
            raise self._fail("unexpected colon before duration in duration expression", self._position + 1)
        self._colon_seen = self._wants_duration = True
        self._add(Kind.PUNCTUATION, self._position + 1)

    def _duration_word(self) -> None:
        word = _NAME.match(self._text, self._position)
        kind = _DURATION_WORDS.get(word[0].lower()) if word else None
        if word and kind:
            self._add(kind, word.end())
        elif self._wants_duration:
            raise self._fail(f"unexpected character in duration expression: {self._quoted(0)}")
        elif self._text[self._position] == "[":
            raise self._fail("unexpected left bracket '['")
        else:
            expected = ", expected ':'" if word else ""
            raise self._fail(f"unexpected character: {self._quoted(0)}{expected}")

    # Literals

    def _starts_number(self) -> bool:
        return _DIGIT.match(self._text, self._position) is not None

    def _string(self) -> None:
        try:
            value, end = scan_string(self._text, self._position)
        except StringError as error:
            raise self._fail(str(error)) from error
        self._add(Kind.STRING, end, value)

    def _number(self) -> None:
        if match := _DURATION.match(self._text, self._position):
            self._add(Kind.DURATION, match.end(), self._seconds(match[0]))
        elif match := _NUMBER.match(self._text, self._position):
            self._add(Kind.NUMBER, match.end(), self._float(match[0]))
        else:
            bad = _BAD_NUMBER.match(self._text, self._position)
            assert bad is not None
            raise self._fail(f"bad number or duration syntax: {quote(bad[0])}")

    def _float(self, raw: str) -> float:
        digits = raw.replace("_", "")
        if digits[:2].lower() == "0x":
            return float(int(digits, 16))
        if len(digits) > 1 and digits[0] == "0" and digits.isdigit() and not set(digits) & set("89"):
            return float(int(digits, 8))
        value = float(digits)
        if math.isinf(value):
            raise self._fail(f"error parsing number: strconv.ParseFloat: parsing {quote(raw)}: value out of range")
        return value

    def _seconds(self, raw: str) -> float:
        """Seconds in a duration; units go from large to small, each at most once."""
        total, previous = 0, -1
        for amount, unit in _PART.findall(raw):
            place = _ORDER.index(unit)
            if place <= previous:
                raise self._fail(f"not a valid duration string: {quote(raw)}")
            previous = place
            total += int(amount) * _UNITS[unit]
        if total > MAX_DURATION_MS:
            raise self._fail("duration out of range")
        return total / 1_000


def _word_kind(word: str) -> Kind:
    if word in WORD_OPERATORS:
        return Kind.OPERATOR
    if word in KEYWORDS:
        return Kind.KEYWORD
    if word in AGGREGATIONS:
        return Kind.AGGREGATOR
    if word in PREPROCESSORS:
        return Kind.PREPROCESSOR
    return Kind.METRIC_IDENTIFIER if ":" in word else Kind.IDENTIFIER
