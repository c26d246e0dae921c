"""Floating-point numbers as Go's fmt and strconv print them."""

from __future__ import annotations

import math
from decimal import Decimal

from windvane.promql.numbers import fixed


def shortest(value: float) -> str:
    """%v: the shortest digits that read back the same, with an exponent below 1e-4 and from 1e6."""
    size = abs(value)
    if math.isfinite(value) and size and not 1e-4 <= size < 1e6:
        return scientific(value)
    return fixed(value)


def scientific(value: float) -> str:
    """The shortest digits, always with an exponent (FormatFloat(v, 'e', -1, 64))."""
    if not math.isfinite(value):
        return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"
    sign, digits, exponent = Decimal(repr(value)).as_tuple()
    assert isinstance(exponent, int)
    written = "".join(map(str, digits)).lstrip("0")
    power = exponent + len(written) - 1 if written else 0
    shown = written.rstrip("0") or "0"
    mantissa = f"{shown[0]}.{shown[1:]}" if shown[1:] else shown
    return f"{'-' * sign}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"
