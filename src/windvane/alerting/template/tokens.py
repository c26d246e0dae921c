"""Template text to tokens: Go's text/template syntax, with `{{- -}}` trimming and comments.

Positions are character offsets into the text. Text outside actions becomes `text` tokens; inside
an action spaces are tokens too, because they separate arguments.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator
from dataclasses import dataclass

KEYWORDS = {"block", "break", "continue", "define", "else", "end", "if", "range", "template", "with"}
_SPACE = " \t\r\n"
_STRING = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"')
_CHAR = re.compile(r"'(?:[^'\\\n]|\\[^\n])*'")
_WORD = re.compile(r"\w+")
_NUMBER = re.compile(r"[+-]?(?:0[xX][0-9a-fA-F_]+|0[bB][01_]+|0[oO][0-7_]+|(?:[0-9][0-9_]*\.?[0-9_]*|\.[0-9][0-9_]*)"
                     r"(?:[eE][+-]?[0-9_]+)?)")  # fmt: skip
_PUNCTUATION = {"|": "pipe", "(": "lparen", ")": "rparen", ",": "comma", "=": "assign"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the template; `kind` is `text`, `begin`, `end`, `space`, `eof`, `error` or what stands in actions."""

    kind: str
    text: str
    position: int

    def __str__(self) -> str:
        if self.kind == "eof":
            return "EOF"
        if self.kind == "error":
            return self.text
        if self.kind in ("keyword", "dot", "nil"):
            return f"<{self.text}>"
        return f"{quoted(self.text[:10])}..." if len(self.text) > 10 else quoted(self.text)


def quoted(text: str) -> str:
    """As Go's %q shows a string."""
    named = {"\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t", "\v": "\\v"}
    pieces = []
    for character in text:
        if character in '"\\':
            pieces.append(f"\\{character}")
        elif character in named:
            pieces.append(named[character])
        elif character.isprintable():
            pieces.append(character)
        else:
            code = ord(character)
            pieces.append(f"\\x{code:02x}" if code < 0x80 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return f'"{"".join(pieces)}"'


def tokenize(text: str) -> Iterator[Token]:
    """All tokens; the last is `eof`, or `error` with the reason where the text stops being a template."""
    position, trim = 0, False
    while True:
        begin = text.find("{{", position)
        literal = text[position:] if begin < 0 else text[position:begin]
        trims_left = begin >= 0 and text[begin + 2 : begin + 3] == "-" and text[begin + 3 : begin + 4] in tuple(_SPACE)
        shown = literal.lstrip(_SPACE) if trim else literal
        if trims_left:
            shown = shown.rstrip(_SPACE)
        if shown:
            yield Token("text", shown, position + (len(literal) - len(literal.lstrip(_SPACE)) if trim else 0))
        if begin < 0:
            yield Token("eof", "", len(text))
            return
        after = begin + 2 + 2 * trims_left
        if text.startswith("/*", after):
            closed = _comment_end(text, after)
            if isinstance(closed, str):
                yield Token("error", closed, begin)
                return
            position, trim = closed
            continue
        yield Token("begin", "{{", begin)
        position, trim = yield from _action(text, after)
        if position < 0:
            return


def _comment_end(text: str, start: int) -> tuple[int, bool] | str:
    """Where the text goes on after a comment and whether it is trimmed there; or what is wrong."""
    end = text.find("*/", start)
    if end < 0:
        return "unclosed comment"
    end += 2
    if text.startswith("}}", end):
        return end + 2, False
    if text[end : end + 1] in tuple(_SPACE) and text.startswith("-}}", end + 1):
        return end + 4, True
    return "comment ends before closing delimiter"


def _action(text: str, position: int) -> Generator[Token, None, tuple[int, bool]]:
    """Tokens up to the closing delimiter; returns the position after it (-1: none) and whether it trims."""
    nesting = 0
    while True:
        if text.startswith("}}", position) or _trims(text, position):
            if nesting:
                yield Token("error", "unclosed left paren", position)
                return -1, False
            trims = not text.startswith("}}", position)
            position += 4 if trims else 2
            yield Token("end", "}}", position - 2)
            return position, trims
        if position >= len(text):
            yield Token("error", "unclosed action", position)
            return -1, False
        token = _token(text, position)
        nesting += (token.kind == "lparen") - (token.kind == "rparen")
        if nesting < 0:
            token = Token("error", "unexpected right paren", position)
        yield token
        if token.kind == "error":
            return -1, False
        position += len(token.text)


def _trims(text: str, position: int) -> bool:
    return text[position : position + 1] in tuple(_SPACE) and text.startswith("-}}", position + 1)


def _token(text: str, start: int) -> Token:  # noqa: PLR0911 - a case a kind
    character = text[start]
    if character in _SPACE:
        end = start
        while end < len(text) and text[end] in _SPACE and not _trims(text, end):
            end += 1
        return Token("space", text[start : max(end, start + 1)], start)
    if character in _PUNCTUATION:
        return Token(_PUNCTUATION[character], character, start)
    if character == ":":
        found = text.startswith(":=", start)
        return Token("declare", ":=", start) if found else Token("error", "expected :=", start)
    if character in "\"'`":
        return _quoted_token(text, start)
    if character == "$":
        return _ending(text, start, "variable", _word_end(text, start + 1))
    if character == "." and not text[start + 1 : start + 2].isdigit():
        end = _word_end(text, start + 1)
        return _ending(text, start, "field", end) if end > start + 1 else Token("dot", ".", start)
    if character.isascii() and (character.isdigit() or character in "+-."):
        return _number(text, start)
    if character.isalpha() or character == "_":
        end = _word_end(text, start)
        return _ending(text, start, _word_kind(text[start:end]), end)
    if character.isascii() and character.isprintable():
        return Token("symbol", character, start)
    return Token("error", f"unrecognized character in action: U+{ord(character):04X} '{character}'", start)


def _word_end(text: str, start: int) -> int:
    match = _WORD.match(text, start)
    return match.end() if match else start


def _word_kind(word: str) -> str:
    if word in KEYWORDS:
        return "keyword"
    if word in ("true", "false"):
        return "bool"
    return "nil" if word == "nil" else "identifier"


def _ending(text: str, start: int, kind: str, end: int) -> Token:
    """A word, if something stands after it that can end one."""
    following = text[end : end + 1]
    if following and following not in " \t\r\n.,|:=()" and not text.startswith("}}", end):
        return Token("error", f"bad character U+{ord(following):04X} '{following}'", start)
    return Token(kind, text[start:end], start)


def _quoted_token(text: str, start: int) -> Token:
    if text[start] == "`":
        end = text.find("`", start + 1)
        if end < 0:
            return Token("error", "unterminated raw quoted string", start)
        return Token("raw", text[start : end + 1], start)
    is_char = text[start] == "'"
    match = (_CHAR if is_char else _STRING).match(text, start)
    if match is None:
        return Token("error", f"unterminated {'character constant' if is_char else 'quoted string'}", start)
    return Token("char" if is_char else "string", match[0], start)


def _number(text: str, start: int) -> Token:
    match = _NUMBER.match(text, start)
    end = match.end() if match else start + 1
    if match is None or text[end : end + 1].isalnum() or text[end : end + 1] == "_":
        while end < len(text) and (text[end].isalnum() or text[end] in "_."):
            end += 1
        return Token("error", f"bad number syntax: {quoted(text[start:end])}", start)
    return Token("number", text[start:end], start)
