"""RE2 regular expressions, anchored at both ends; the engine's `match` uses the same library."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import re2  # type: ignore[import-untyped]

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def anchored_text(pattern: str) -> str:
    """The pattern as it is matched, here and in SQL."""
    return f"^(?s:{pattern})$"


@lru_cache(maxsize=1024)
def anchored(pattern: str) -> Any:
    """The compiled pattern; use its `search`. Raises `re2.error`."""
    return re2.compile(anchored_text(pattern), _OPTIONS)


def problem(pattern: str) -> str:
    """What is wrong with a pattern; '' when it compiles."""
    try:
        anchored(pattern)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        return reason.decode(errors="replace") if isinstance(reason, bytes) else str(reason)
    return ""


def alternatives(pattern: str) -> list[str] | None:
    """The texts of a pattern that is only `a|b|c`; None when it is more than that."""
    parts = pattern.split("|")
    if any(not part or any(one in _SPECIAL for one in part) for part in parts):
        return None
    return parts


_SPECIAL = frozenset("\\.+*?()[]{}^$")
