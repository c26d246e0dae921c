"""Durations as Go writes and reads them (`1.5s`, `250ms`, `1h2m3s`): Jaeger's parameters and warnings."""

from __future__ import annotations

import re
from fractions import Fraction

from windvane.kit.errors import BadInputError

_UNITS = {
    "ns": 1,
    "us": 1_000,
    "µs": 1_000,
    "μs": 1_000,
    "ms": 1_000_000,
    "s": 1_000_000_000,
    "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}
_PART = re.compile(r"(\d+\.?\d*|\.\d+)(ns|us|µs|μs|ms|s|m|h|[^\d.]*)")
_MAX_NS = (1 << 63) - 1


def parse_go_duration(text: str) -> int:
    """Nanoseconds in a Go duration; the error texts are those of Go's `time.ParseDuration`."""
    sign, rest = (-1 if text.startswith("-") else 1), text.removeprefix("-").removeprefix("+")
    if rest == "0":
        return 0
    total, position = Fraction(0), 0
    while position < len(rest):
        part = _PART.match(rest, position)
        if part is None:
            raise BadInputError(f'time: invalid duration "{text}"')
        if not part[2]:
            raise BadInputError(f'time: missing unit in duration "{text}"')
        if part[2] not in _UNITS:
            raise BadInputError(f'time: unknown unit "{part[2]}" in duration "{text}"')
        total += Fraction(part[1]) * _UNITS[part[2]]
        position = part.end()
    if not rest or total > _MAX_NS:
        raise BadInputError(f'time: invalid duration "{text}"')
    return sign * int(total)


def format_go_duration(nanoseconds: int) -> str:
    """A duration as Go's `Duration.String` prints it."""
    if nanoseconds == 0:
        return "0s"
    sign, rest = ("-" if nanoseconds < 0 else ""), abs(nanoseconds)
    for unit, size in (("ns", 1), ("µs", 1_000), ("ms", 1_000_000)):
        if rest < size * 1_000:
            return f"{sign}{_decimal(rest, size)}{unit}"
    minutes, seconds = divmod(rest, 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{_decimal(seconds, 1_000_000_000)}s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text


def _decimal(value: int, size: int) -> str:
    whole, part = divmod(value, size)
    digits = str(part).zfill(len(str(size)) - 1).rstrip("0") if part else ""
    return f"{whole}.{digits}" if digits else str(whole)
