"""Durations as Prometheus's files write them: `1h30m`, units from large to small, each at most once."""

from __future__ import annotations

import re

from windvane.kit.errors import BadInputError

_UNITS = {"y": 31_536_000_000, "w": 604_800_000, "d": 86_400_000, "h": 3_600_000, "m": 60_000, "s": 1_000, "ms": 1}
_DURATION = re.compile("".join(rf"(?:([0-9]+){unit})?" for unit in _UNITS))
_MAX_MS = (1 << 63) // 1_000_000
_EXACT_ONLY = {"y", "w"}


def parse_duration(text: str) -> float:
    """Seconds in a duration; `0` needs no unit."""
    if text == "0":
        return 0.0
    match = _DURATION.fullmatch(text)
    if not text or match is None:
        reason = "empty duration string" if not text else f'not a valid duration string: "{text}"'
        raise BadInputError(reason)
    amounts = (int(amount or 0) for amount in match.groups())
    total = sum(amount * scale for amount, scale in zip(amounts, _UNITS.values(), strict=True))
    if total > _MAX_MS:
        raise BadInputError("duration out of range")
    return total / 1_000


def duration_text(seconds: float) -> str:
    """A duration as Prometheus prints it: years and weeks only where they fit exactly."""
    left = round(seconds * 1_000)
    if left == 0:
        return "0s"
    text = "-" if left < 0 else ""
    left = abs(left)
    for unit, scale in _UNITS.items():
        if unit in _EXACT_ONLY and left % scale:
            continue
        amount, left = divmod(left, scale)
        text += f"{amount}{unit}" if amount else ""
    return text
