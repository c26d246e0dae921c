"""A text that a regular expression matches: what a route of a pattern is asked with."""

from __future__ import annotations

from collections.abc import Iterable
from re import _constants as ops  # type: ignore[attr-defined]
from re import _parser  # type: ignore[attr-defined]
from typing import Any

import re2  # type: ignore[import-untyped]

_CATEGORIES = {
    ops.CATEGORY_DIGIT: "1", ops.CATEGORY_WORD: "a", ops.CATEGORY_SPACE: " ", ops.CATEGORY_NOT_DIGIT: "a",
    ops.CATEGORY_NOT_WORD: "-", ops.CATEGORY_NOT_SPACE: "a",
}  # fmt: skip
_TRIED = "a1-/._ A"


def example(pattern: str) -> str | None:
    """A text that matches as a whole, as Envoy's engine (RE2) sees it; None where none was found."""
    try:
        text = _text(_parser.parse(pattern))
        compiled = re2.compile(pattern)
    except Exception:  # two engines, each with errors of its own: there is no example
        return None
    return text if compiled.fullmatch(text) else None


def _text(nodes: Iterable[tuple[Any, Any]]) -> str:
    return "".join(_one(kind, value) for kind, value in nodes)


def _one(kind: Any, value: Any) -> str:
    """One node of the parser's tree; positions and assertions add nothing."""
    if kind is ops.LITERAL:
        return chr(value)
    if kind is ops.ANY:
        return "a"
    if kind in (ops.IN, ops.NOT_LITERAL):
        return _member(value if kind is ops.IN else [(ops.NEGATE, None), (ops.LITERAL, value)])
    if kind in (ops.BRANCH, ops.SUBPATTERN):
        return _text(value[1][0] if kind is ops.BRANCH else value[-1])
    if kind in (ops.MAX_REPEAT, ops.MIN_REPEAT):
        least, most, inner = value
        return _text(inner) * (least or min(1, int(most)))
    return ""


def _member(members: list[tuple[Any, Any]]) -> str:
    """A character of a set; of a negated one, a common character that is not in it."""
    if members and members[0][0] is ops.NEGATE:
        return next(each for each in _TRIED if not any(_holds(kind, value, each) for kind, value in members[1:]))
    kind, value = members[0]
    if kind is ops.RANGE:
        return chr(value[0])
    return _CATEGORIES[value] if kind is ops.CATEGORY else chr(value)


def _holds(kind: Any, value: Any, character: str) -> bool:
    if kind is ops.RANGE:
        return bool(value[0] <= ord(character) <= value[1])
    if kind is ops.CATEGORY:
        tests = {ops.CATEGORY_DIGIT: str.isdigit, ops.CATEGORY_WORD: str.isalnum, ops.CATEGORY_SPACE: str.isspace}
        return bool(tests[value](character)) if value in tests else True
    return bool(value == ord(character))
