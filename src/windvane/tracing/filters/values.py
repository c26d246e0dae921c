"""Words as the values that users mean: numbers, sizes, durations, truth."""

from __future__ import annotations

import math
import re
from fractions import Fraction

from windvane.kit.errors import BadInputError
from windvane.tracing.duration import parse_go_duration

DURATION_UNITS = {
    "ns": 1, "us": 1_000, "µs": 1_000, "μs": 1_000, "ms": 1_000_000, "s": 10**9, "m": 60 * 10**9, "h": 3_600 * 10**9,
    "d": 86_400 * 10**9,
}  # fmt: skip
"""Nanoseconds of a unit."""

_SIZE = re.compile(r"([+-]?\d+(?:\.\d*)?|\.\d+)([kKMGT]i?)?(B)?")
_SIZES = {letter: power for power, letter in enumerate("kMGT", start=1)} | {"K": 1}
_EXACT = 1 << 53
_DAYS = re.compile(r"(\d+(?:\.\d*)?)d")


def number(text: str) -> float | None:
    """A finite number as written (`500`, `5e2`, `-.5`), or a size (`10kB`, `4MiB`, `2G`); None for any other text."""
    try:
        if not set(text) <= set("0123456789+-.eE"):
            return _size(text)
        found = float(text)
    except ValueError:
        return None
    return found if math.isfinite(found) else None


def _size(text: str) -> float | None:
    match = _SIZE.fullmatch(text)
    if match is None or not (match[2] or match[3]):
        return None
    prefix = match[2] or ""
    base = 1024 if prefix.endswith("i") else 1_000
    return float(Fraction(match[1]) * base ** _SIZES.get(prefix[:1], 0))


def duration(text: str) -> int | None:
    """Nanoseconds of `1.5s`, `250ms`, `1h30m`, `2d`; None for any other text."""
    if (days := _DAYS.fullmatch(text)) is not None:
        return int(Fraction(days[1]) * DURATION_UNITS["d"])
    try:
        return parse_go_duration(text) if text and text != "0" else None
    except BadInputError:
        return None


def exact_number(text: str) -> float | None:
    """A number that floating point holds without loss, else None: what equality can be asked of."""
    found = number(text)
    return found if found is not None and abs(found) <= _EXACT else None


def spellings(text: str) -> list[str]:
    """The texts under which a value can be stored: itself, the shortest of a number, truth in small letters."""
    found = exact_number(text)
    if found is None:
        return list(dict.fromkeys([text, text.lower()])) if text.lower() in ("true", "false") else [text]
    shortest = str(int(found)) if found.is_integer() else repr(found)
    return list(dict.fromkeys([text, shortest, re.sub(r"e([+-])0*", r"e\1", shortest)]))
