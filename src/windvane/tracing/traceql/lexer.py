"""TraceQL text to tokens.

An attribute is one token: its scope and its name, which goes on to the first blank or one of
`{}()=~!<>&|^,` and may have quoted parts. So `span.a-b` is a name, `span.a - b` a difference.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction

from windvane.tracing.traceql.errors import ParseError
from windvane.tracing.traceql.syntax import Attribute, Duration, Scalar, Scope

MAX_QUERY = 131_072
"""Characters of a query, as in Tempo."""


class Kind(Enum):
    """What a token is; the value is how messages name it."""

    ATTRIBUTE = "attribute"
    INTRINSIC = "intrinsic"
    """`scope:name`."""
    WORD = "identifier"
    STRING = "string"
    INTEGER = "integer"
    FLOAT = "float"
    DURATION = "duration"
    SYMBOL = "symbol"
    PARENT = "parent attribute"
    END = "end of the query"


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: as written, where, and what it stands for."""

    kind: Kind
    raw: str
    start: int
    value: Scalar | Attribute | None = None

    def __str__(self) -> str:
        if self.kind is Kind.END:
            return str(self.kind.value)
        return f"'{self.raw}'" if self.kind is Kind.SYMBOL else f"{self.kind.value} {self.raw}"


_BLANK = re.compile(r"(?:\s+|//[^\n]*|/\*.*?\*/)+", re.DOTALL)
_NUMBER = re.compile(r"(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
_DURATION = re.compile(r"\d[\d.nsumhµμdwy]*[nsumhµμdwy][\d.nsumhµμdwy]*|\.\d+[nsumhµμdwy][\d.nsumhµμdwy]*")
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|d|w|y)")
_SCOPED = re.compile(r"(parent\.(?:span\.|resource\.)?|span\.|resource\.|event\.|link\.|instrumentation\.|\.)")
_INTRINSIC = re.compile(r"(?:span|trace|event|link|instrumentation):\w*")
_WORD = re.compile(r"[^\W\d]\w*")
_SYMBOL = re.compile(r"!>>|!<<|&>>|&<<|>>|<<|>=|<=|!=|=~|!~|!>|!<|&>|&<|&~|&&|\|\||[{}(),=<>~!|+\-*/%^]")
_NAME = re.compile(r"[^\s{}()=~!<>&|^,\"]+")
_QUOTED_NAME = re.compile(r'"((?:[^"\\]|\\["\\])*)"')
_RAW = re.compile(r"`([^`]*)`")
_STRING = re.compile(r'"((?:[^"\\\n]|\\.)*)"')
_ESCAPE = re.compile(r"\\(x[0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|[0-7]{3}|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v", "\\": "\\", '"': '"'}
_UNITS = {
    "ns": 1, "us": 10**3, "µs": 10**3, "μs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9,
    "d": 86_400 * 10**9, "w": 604_800 * 10**9, "y": 31_536_000 * 10**9,
}  # fmt: skip
MAX_INT = (1 << 63) - 1


def tokens(text: str) -> list[Token]:
    """All tokens, an END last; `ParseError` for text that is none."""
    if len(text) > MAX_QUERY:
        raise ParseError(text, MAX_QUERY, f"the query is longer than {MAX_QUERY} characters")
    found: list[Token] = []
    position = 0
    while True:
        blank = _BLANK.match(text, position)
        position = blank.end() if blank else position
        if position >= len(text):
            return [*found, Token(Kind.END, "", len(text))]
        token, position = _next(text, position)
        found.append(token)


def _next(text: str, start: int) -> tuple[Token, int]:
    if text[start].isdecimal() or (text[start] == "." and text[start + 1 : start + 2].isdecimal()):
        return _number(text, start)
    if scoped := _SCOPED.match(text, start):
        return _attribute(text, start, scoped)
    if text[start] in '"`':
        return _string(text, start)
    for kind, pattern in ((Kind.INTRINSIC, _INTRINSIC), (Kind.WORD, _WORD), (Kind.SYMBOL, _SYMBOL)):
        if match := pattern.match(text, start):
            return Token(kind, match[0], start), match.end()
    raise ParseError(text, start, f"unexpected character {text[start]!r}")


def _number(text: str, start: int) -> tuple[Token, int]:
    if timed := _DURATION.match(text, start):
        nanoseconds = parse_duration(timed[0])
        if nanoseconds is not None:
            return Token(Kind.DURATION, timed[0], start, Duration(nanoseconds)), timed.end()
    match = _NUMBER.match(text, start)
    if match is None:
        raise ParseError(text, start, f"unexpected character {text[start]!r}")
    raw, end = match[0], match.end()
    following = _WORD.match(text, end)
    if following:
        raise ParseError(text, start, f"not a number or duration: {raw}{following[0]}")
    if not raw.isdigit():
        if math.isinf(number := float(raw)):
            raise ParseError(text, start, f"a number beyond what a float holds: {raw[:40]}")
        return Token(Kind.FLOAT, raw, start, number), end
    if len(raw) > 19 or int(raw) > MAX_INT:
        raise ParseError(text, start, f"an integer beyond 64 bits: {raw[:40]}")
    return Token(Kind.INTEGER, raw, start, int(raw)), end


def parse_duration(text: str) -> int | None:
    """Nanoseconds in `1h30m`, `1.5s`, `2d`; None when the text is no duration or beyond 64 bits."""
    total, position = Fraction(0), 0
    while position < len(text):
        part = _PART.match(text, position)
        if part is None or len(part[1]) > 40:
            return None
        total += Fraction(part[1]) * _UNITS[part[2]]
        position = part.end()
    return int(total) if text and total <= MAX_INT else None


def _attribute(text: str, start: int, scoped: re.Match[str]) -> tuple[Token, int]:
    name, position = "", scoped.end()
    while position < len(text):
        if plain := _NAME.match(text, position):
            name, position = name + plain[0], plain.end()
        elif text[position] == '"':
            quoted = _QUOTED_NAME.match(text, position)
            if quoted is None:
                raise ParseError(text, position, 'a quoted name that does not end, or escapes other than \\" and \\\\')
            name, position = name + re.sub(r"\\(.)", r"\1", quoted[1]), quoted.end()
        else:
            break
    raw = text[start:position]
    if position == scoped.end():
        raise ParseError(text, start, f"'{raw}' is followed by no name of an attribute")
    if scoped[0].startswith("parent."):
        return Token(Kind.PARENT, raw, start), position
    scope = Scope(scoped[0].removesuffix("."))
    return Token(Kind.ATTRIBUTE, raw, start, Attribute(scope, name)), position


def _string(text: str, start: int) -> tuple[Token, int]:
    if text[start] == "`":
        raw = _RAW.match(text, start)
        if raw is None:
            raise ParseError(text, start, "a string that does not end, expected `")
        return Token(Kind.STRING, raw[0], start, raw[1].replace("\r", "")), raw.end()
    match = _STRING.match(text, start)
    if match is None:
        raise ParseError(text, start, 'a string that does not end, expected "')
    return Token(Kind.STRING, match[0], start, _unescaped(text, start, match[1])), match.end()


def _unescaped(text: str, start: int, inner: str) -> str:
    def replaced(match: re.Match[str]) -> str:
        code = match[1]
        if code in _ESCAPES:
            return _ESCAPES[code]
        number = int(code[1:], 16) if code[0] in "xuU" and len(code) > 1 else int(code, 8) if len(code) == 3 else -1
        if not 0 <= number <= 0x10FFFF or 0xD800 <= number <= 0xDFFF:
            raise ParseError(text, start + 1 + match.start(), f"an unknown escape: \\{code}")
        return chr(number)

    return _ESCAPE.sub(replaced, inner)
