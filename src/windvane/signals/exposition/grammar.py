"""The text of a series: a metric name and labels, in the classic form and in the one for UTF-8 names.

`name{label="value"}` or `{"any name", "any label"="value"}`; in quotes `\\\\`, `\\"` and `\\n` are escapes.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from windvane.signals.exposition.model import Labels
from windvane.signals.exposition.values import canonical

NAME = "__name__"

_SPACE = rb"[ \t]*"
_QUOTED = rb'"((?:[^"\\\n]|\\.)*)"'
_METRIC = re.compile(rb"[a-zA-Z_:][a-zA-Z0-9_:]*")
_BLANKS = re.compile(_SPACE)
_KEY = re.compile(_SPACE + rb"(?:([a-zA-Z_][a-zA-Z0-9_]*)|" + _QUOTED + rb")" + _SPACE)
_VALUE = re.compile(rb"=" + _SPACE + _QUOTED + _SPACE)
_NEXT = re.compile(rb"(,)?" + _SPACE + rb"(\})?")
_CLASSIC = rb'[a-zA-Z_][a-zA-Z0-9_]*="[^"\\\n]*"'
_PLAIN = re.compile(rb"\{(" + _CLASSIC + rb"(?:," + _CLASSIC + rb")*),?\}")
_PAIR = re.compile(r'(\w+)="([^"]*)"', re.ASCII)
_BLANK_OUTSIDE = re.compile(rb'^[^"]*[ \t]|[ \t]$')
_ESCAPE = re.compile(r'\\([\\"n])')
_ESCAPED = {"\\": "\\", '"': '"', "n": "\n"}


class GrammarError(ValueError):
    """What was expected at a byte of the line."""

    def __init__(self, expected: str, position: int) -> None:
        super().__init__(expected, position)
        self.expected = expected
        self.position = position


class Series(NamedTuple):
    """The series that a line starts with: its labels, where it ends, and a label that occurs twice ('' if none)."""

    labels: Labels
    end: int
    twice: str


def series(line: bytes, family_type: str = "", *, strict: bool = False) -> Series:
    """The series that a line starts with.

    `family_type` histogram or summary makes numbers in `le` and `quantile` canonical. With `strict`
    (OpenMetrics) there are no blanks inside, and commas between labels.
    """
    match = _METRIC.match(line)
    labels: Labels = {}
    position, twice = 0, ""
    if match is not None:
        labels[NAME] = match[0].decode()
        position = match.end()
    opening = position if strict else _skip(line, position)
    if line.startswith(b"{", opening):
        position, twice = braces(line, opening, labels, named=match is None, strict=strict)
    if not labels.get(NAME):
        raise GrammarError("a metric name", position)
    _canonical(labels, family_type)
    return Series(labels, position, twice)


def braces(line: bytes, position: int, labels: Labels, *, named: bool, strict: bool) -> tuple[int, str]:
    """Read `{…}` at `position` into `labels`: where it ends, and a label that occurs twice ('' if none).

    With `named` the metric's name may be its first item.
    """
    plain = _PLAIN.match(line, position)
    if plain is not None and not named:
        pairs = _PAIR.findall(text_plain(plain[1], plain.start(1)))
        fresh = dict(pairs)
        if len(fresh) == len(pairs) and NAME not in fresh:
            labels.update(fresh)
            return plain.end(), ""
    position = position + 1 if strict else _skip(line, position + 1)
    if line.startswith(b"}", position):
        return position + 1, ""
    twice = ""
    while True:
        start = position
        position, again = _item(line, position, labels, named=named)
        twice = twice or again
        if strict and _BLANK_OUTSIDE.search(line[start:position]):
            raise GrammarError("no blank between labels", start)
        after = _NEXT.match(line, position)
        assert after is not None
        if after[2]:
            return after.end(), twice
        if not after[1] and strict:
            raise GrammarError('"," or "}"', position)
        position = after.end()


def _item(line: bytes, position: int, labels: Labels, *, named: bool) -> tuple[int, str]:
    key = _KEY.match(line, position)
    if key is None:
        raise GrammarError("a label name", position)
    name = key[1].decode() if key[1] is not None else text(key[2], key.start(2))
    value = _VALUE.match(line, key.end())
    if value is None:
        if line.startswith(b"=", key.end()):
            raise GrammarError("a label value in quotes", key.end() + 1)
        if key[1] is not None or not named or NAME in labels:
            raise GrammarError('"=" after the label name', key.end())
        labels[NAME] = name
        return key.end(), ""
    if not name:
        raise GrammarError("a label name", position)
    content = text(value[1], value.start(1))
    if name in labels or name == NAME:
        return value.end(), name
    labels[name] = content
    return value.end(), ""


def _skip(line: bytes, position: int) -> int:
    match = _BLANKS.match(line, position)
    assert match is not None
    return match.end()


def text_plain(raw: bytes, position: int = 0) -> str:
    """Text as it stands; `GrammarError` when it is not UTF-8."""
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise GrammarError("valid UTF-8", position + error.start) from None


def text(raw: bytes, position: int = 0) -> str:
    """Quoted text without its escapes; `GrammarError` when it is not UTF-8."""
    decoded = text_plain(raw, position)
    return _ESCAPE.sub(lambda match: _ESCAPED[match[1]], decoded) if "\\" in decoded else decoded


def _canonical(labels: Labels, family_type: str) -> None:
    special = {"histogram": "le", "gaugehistogram": "le", "summary": "quantile"}.get(family_type)
    if special is not None and special in labels:
        labels[special] = canonical(labels[special])
