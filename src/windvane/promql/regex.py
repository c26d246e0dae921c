"""RE2 regular expressions, anchored at both ends with `.` matching newlines, as Prometheus 3 has them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False
_OPTIONS.dot_nl = True


_REASONS = {
    "missing )": "missing closing )",
    "missing ]": "missing closing ]",
    "trailing \\": "trailing backslash at end of expression",
    "no argument for repetition operator": "missing argument to repetition operator",
    "bad repetition operator": "invalid nested repetition operator",
    "invalid repetition size": "invalid repeat count",
    "invalid perl operator": "invalid or unsupported Perl syntax",
    "invalid named capture group": "invalid named capture",
}
"""RE2's words for what is wrong with a pattern, and those of Go's port of it."""


@lru_cache(maxsize=4096)
def anchored(pattern: str) -> Any:
    """The compiled pattern; use its `fullmatch`. Raises `re2.error`."""
    return re2.compile(f"^(?s:{pattern})$", _OPTIONS)


@lru_cache(maxsize=4096)
def problem(pattern: str) -> str:
    """What is wrong with a pattern; '' when it compiles."""
    try:
        anchored(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text = reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
        code, _, fragment = text.partition(": ")
        return f"{_REASONS.get(code, code)}: `{fragment or pattern}`"
    return ""


def expand(template: str, match: Any) -> str:
    """`template` with `$1`, `${1}`, `$name` and `$$` replaced from `match` (Go's Regexp.Expand)."""
    pieces: list[str] = []
    position = 0
    while (dollar := template.find("$", position)) >= 0:
        pieces.append(template[position:dollar])
        if template.startswith("$$", dollar):
            pieces.append("$")
            position = dollar + 2
            continue
        name, position = _reference(template, dollar)
        pieces.append("$" if name is None else _group(match, name))
    return "".join(pieces) + template[position:]


def _reference(template: str, dollar: int) -> tuple[str | None, int]:
    """The name that a `$` refers to (None: a plain dollar) and the position after it."""
    start = dollar + 1
    braced = template.startswith("{", start)
    start += braced
    end = start
    while end < len(template) and (template[end] == "_" or template[end].isalnum()):
        end += 1
    if end == start or (braced and not template.startswith("}", end)):
        return None, dollar + 1
    return template[start:end], end + braced


def _group(match: Any, name: str) -> str:
    if name.isdecimal():
        number = int(name)
        return (match.group(number) or "") if number <= match.re.groups else ""
    return (match.group(name) or "") if name in match.re.groupindex else ""
