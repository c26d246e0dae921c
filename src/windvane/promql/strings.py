"""String literals: Go's escapes between double or single quotes, nothing escaped between back quotes."""

from __future__ import annotations

import re

_PLAIN = {'"': re.compile(r'[^"\\\n]*'), "'": re.compile(r"[^'\\\n]*")}
_SIMPLE = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", "\\": "\\"}
_DIGITS = {"x": (2, 16, 0xFF), "u": (4, 16, 0x10FFFF), "U": (8, 16, 0x10FFFF)}
"""Digits after the letter, their base, and the greatest code."""


class StringError(Exception):
    """What is wrong with a literal."""


def scan_string(text: str, start: int) -> tuple[str, int]:
    """The string that the literal at `start` stands for, and the position after it. `StringError`."""
    delimiter = text[start]
    if delimiter == "`":
        end = text.find("`", start + 1)
        if end < 0:
            raise StringError("unterminated raw string")
        return text[start + 1 : end], end + 1
    pieces: list[bytes] = []
    position = start + 1
    while True:
        plain = _PLAIN[delimiter].match(text, position)
        assert plain is not None
        pieces.append(plain[0].encode(errors="replace"))
        position = plain.end()
        if position >= len(text) or text[position] == "\n":
            raise StringError("unterminated quoted string")
        if text[position] == delimiter:
            return b"".join(pieces).decode(errors="replace"), position + 1
        piece, position = _escape(text, position + 1, delimiter)
        pieces.append(piece)


def _escape(text: str, position: int, delimiter: str) -> tuple[bytes, int]:
    """The bytes of the escape whose backslash stands before `position`, and the position after it."""
    character = text[position : position + 1]
    if character in _SIMPLE and character:
        return _SIMPLE[character].encode(), position + 1
    if character == delimiter:
        return delimiter.encode(), position + 1
    if character in _DIGITS and character:
        count, base, greatest = _DIGITS[character]
        first = position + 1
    elif character and character in "01234567":
        count, base, greatest, first = 3, 8, 255, position
    elif not character:
        raise StringError("escape sequence not terminated")
    else:
        raise StringError(f"unknown escape sequence {_named(character)}")
    code = _code(text, first, count, base)
    if code > greatest or 0xD800 <= code < 0xE000:
        raise StringError("escape sequence is an invalid Unicode code point")
    return (bytes([code]) if greatest == 255 else chr(code).encode()), first + count


def _code(text: str, first: int, count: int, base: int) -> int:
    allowed = "01234567" if base == 8 else "0123456789abcdefABCDEF"
    for place in range(first, first + count):
        if place >= len(text):
            raise StringError("escape sequence not terminated")
        if text[place] not in allowed:
            raise StringError(f"illegal character {_named(text[place])} in escape sequence")
    return int(text[first : first + count], base)


def _named(character: str) -> str:
    """A character by its number and, if it prints, itself."""
    shown = f" '{character}'" if character.isprintable() else ""
    return f"U+{ord(character):04X}{shown}"
