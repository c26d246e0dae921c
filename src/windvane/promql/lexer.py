"""PromQL text to tokens, by one regular expression.

Numbers and durations follow Prometheus 3: decimal, hexadecimal, leading-zero octal, `_` between
digits, and durations such as `1h30m` that stand wherever a number of seconds may.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum, auto

from windvane.promql.errors import ParseError


class Kind(Enum):
    """What a token is."""

    NUMBER = auto()
    DURATION = auto()
    STRING = auto()
    NAME = auto()
    OPERATOR = auto()
    END = auto()


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the text: `text` as written (operators lower-cased), `value` decoded."""

    kind: Kind
    text: str
    start: int
    end: int
    value: float | str = ""


_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\n]+|\#[^\n]*)
    |(?P<duration>(?:[0-9]+(?:ms|[smhdwy]))+(?![A-Za-z0-9_.]))
    |(?P<number>0[xX]_?[0-9a-fA-F]+(?:_[0-9a-fA-F]+)*(?![A-Za-z0-9_])
        |(?:[0-9]+(?:_[0-9]+)*(?:\.(?:[0-9]+(?:_[0-9]+)*)?)?|\.[0-9]+(?:_[0-9]+)*)(?:[eE][+-]?[0-9]+(?:_[0-9]+)*)?
        (?![A-Za-z0-9_.]))
    |(?P<string>"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'|`[^`]*`)
    |(?P<name>[A-Za-z_:][A-Za-z0-9_:]*)
    |(?P<operator>=~|!~|==|!=|>=|<=|[-+*/%^=<>(){}\[\],:@])""",
    re.VERBOSE | re.ASCII,
)
_WORD_OPERATORS = {"and", "or", "unless", "atan2"}
_PART = re.compile(r"([0-9]+)(ms|[smhdwy])")
_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_ORDER = list(_UNITS)
_ESCAPE = re.compile(
    r"\\(?:([abfnrtv\\'\"])|x([0-9a-fA-F]{2})|u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|([0-7]{3})|(.?))", re.DOTALL
)
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
MAX_DURATION_MS = (1 << 63) // 1_000_000 - 1
"""Prometheus keeps durations as 64-bit nanoseconds."""


def tokenize(text: str) -> list[Token]:
    """All tokens of `text`, ending with an END token; `ParseError` at what is none."""
    tokens: list[Token] = []
    position, in_range = 0, False
    while position < len(text):
        if in_range and text[position] == ":":  # elsewhere a colon belongs to a name
            tokens.append(Token(Kind.OPERATOR, ":", position, position + 1))
            position += 1
            continue
        match = _TOKEN.match(text, position)
        if match is None:
            raise ParseError(text, position, _complaint(text, position))
        position = match.end()
        if match.lastgroup != "space":
            tokens.append(_token(text, match))
            in_range = (in_range or tokens[-1].text == "[") and tokens[-1].text != "]"
    tokens.append(Token(Kind.END, "end of input", len(text), len(text)))
    return tokens


def _token(text: str, match: re.Match[str]) -> Token:
    start, end, raw = match.start(), match.end(), match.group()
    match match.lastgroup:
        case "duration":
            return Token(Kind.DURATION, raw, start, end, _duration(text, start, raw))
        case "number":
            return Token(Kind.NUMBER, raw, start, end, _number(raw))
        case "string":
            return Token(Kind.STRING, raw, start, end, _unquote(text, start, raw))
        case "name" if raw.lower() in _WORD_OPERATORS:
            return Token(Kind.OPERATOR, raw.lower(), start, end, raw)
        case "name":
            return Token(Kind.NAME, raw, start, end, raw)
        case _:
            return Token(Kind.OPERATOR, raw, start, end)


def _number(raw: str) -> float:
    digits = raw.replace("_", "")
    if digits[:2].lower() == "0x":
        return float(int(digits, 16))
    if len(digits) > 1 and digits[0] == "0" and digits.isdigit() and not set(digits) & set("89"):
        return float(int(digits, 8))
    return float(digits)


def _duration(text: str, start: int, raw: str) -> float:
    """Seconds in a duration; units go from large to small, each at most once."""
    total, previous = 0, -1
    for amount, unit in _PART.findall(raw):
        place = _ORDER.index(unit)
        if place <= previous:
            raise ParseError(text, start, f"not a valid duration string: {raw!r}")
        previous = place
        total += int(amount) * _UNITS[unit]
    if total > MAX_DURATION_MS:
        raise ParseError(text, start, "duration out of range")
    return total / 1_000


def _unquote(text: str, start: int, raw: str) -> str:
    """The string that a literal stands for; escapes are Go's, back-quoted text is taken as it is."""
    body = raw[1:-1]
    if raw[0] == "`" or "\\" not in body:
        return body
    pieces: list[bytes] = []
    position = 0
    for match in _ESCAPE.finditer(body):
        pieces.append(body[position : match.start()].encode())
        pieces.append(_escaped(text, start, raw[0], match))
        position = match.end()
    pieces.append(body[position:].encode())
    return b"".join(pieces).decode(errors="replace")


def _escaped(text: str, start: int, delimiter: str, match: re.Match[str]) -> bytes:
    simple, byte, short, long, octal, _ = match.groups()
    where = start + 1 + match.start()
    if simple is not None and (simple not in "'\"" or simple == delimiter):
        return _SIMPLE.get(simple, simple).encode()
    if byte is not None:
        return bytes([int(byte, 16)])
    if octal is not None and int(octal, 8) < 256:
        return bytes([int(octal, 8)])
    if short is not None or long is not None:
        code = int(short or long, 16)
        if code <= 0x10FFFF and not 0xD800 <= code < 0xE000:
            return chr(code).encode()
        raise ParseError(text, where, "escape sequence is an invalid Unicode code point")
    raise ParseError(text, where, f"unknown escape sequence {match.group()!r}")


def _complaint(text: str, position: int) -> str:
    character = text[position]
    if character in "\"'`":
        return "unterminated quoted string"
    if character.isascii() and (character.isdigit() or character == "."):
        word = re.match(r"[0-9A-Za-z_.]+", text[position:])
        return f'bad number or duration syntax: "{word[0] if word else character}"'
    if character == "!":
        return 'unexpected character after "!"'
    return f"unexpected character: {character!r}"
