"""Shares of a whole: as people write them, and how sure one can be of one that was counted."""

from __future__ import annotations

import math

from windvane.kit.errors import BadInputError

Z95 = 1.959963984540054
"""Half-width of a 95 % interval in standard errors."""


def parse_share(text: str) -> float:
    """A share such as `2%` or `0.02`, 0 to 1."""
    try:
        share = float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise BadInputError(f"not a share: {text!r} (expected for example 2% or 0.02)")
    return share


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The 95 % interval of a share by Wilson's score (1927): right for shares near 0 and 1; of none: 0 to 1."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, Z95**2
    middle = (share + square / (2 * of)) / (1 + square / of)
    half = Z95 * math.sqrt(share * (1 - share) / of + square / (4 * of**2)) / (1 + square / of)
    return max(0.0, middle - half) if hits else 0.0, min(1.0, middle + half) if hits < of else 1.0
