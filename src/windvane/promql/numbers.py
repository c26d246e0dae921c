"""Floating-point numbers as text, the way Go's strconv and Prometheus's JSON write them."""

from __future__ import annotations

import math
import re
from decimal import Decimal

_DECIMAL = re.compile(r"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d+)?|inf(?:inity)?|nan)\Z", re.IGNORECASE | re.ASCII)
_HEX = re.compile(r"[+-]?0x(?:[0-9a-f]+\.?[0-9a-f]*|\.[0-9a-f]+)p[+-]?\d+\Z", re.IGNORECASE | re.ASCII)


def fixed(value: float) -> str:
    """Shortest decimal that reads back the same, without an exponent: FormatFloat(v, 'f', -1, 64)."""
    if not math.isfinite(value):
        return _special(value)
    text = repr(float(value))
    if "e" not in text:
        return text.removesuffix(".0")
    mantissa, _, exponent = text.partition("e")
    sign = "-" if mantissa.startswith("-") else ""
    whole, _, fraction = mantissa.lstrip("-").partition(".")
    point = len(whole) + int(exponent)
    digits = whole + fraction
    if point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    if point >= len(digits):
        return f"{sign}{digits}{'0' * (point - len(digits))}"
    return f"{sign}{digits[:point]}.{digits[point:]}"


def json(value: float) -> str:
    """As Prometheus's API writes sample values: no exponent from 1e-6 up to 1e21."""
    size = abs(value)
    if size != 0 and (size < 1e-6 or size >= 1e21) and math.isfinite(value):
        return _exponent(value)
    return fixed(value)


def general(value: float) -> str:
    """As messages show numbers (Go's %g): an exponent below 1e-4 and from 1e6."""
    size = abs(value)
    if math.isfinite(value) and size != 0 and (size < 1e-4 or size >= 1e6):
        return _exponent(value)
    return fixed(value)


def open_metrics(value: float) -> str:
    """As label values show numbers in OpenMetrics: like Go's shortest %g, and never looking like an integer."""
    size = abs(value)
    if math.isfinite(value) and size != 0 and (size < 1e-4 or size >= 1e6):
        return _exponent(value)
    text = fixed(value)
    return f"{text}.0" if math.isfinite(value) and "." not in text else text


def parse(text: str) -> float | None:
    """A number as Go's ParseFloat reads it; None when it does not."""
    if _DECIMAL.match(text):
        return float(text)
    if _HEX.match(text):
        try:
            return float.fromhex(text)
        except OverflowError:
            return None
    return None


def _special(value: float) -> str:
    if math.isnan(value):
        return "NaN"
    return "+Inf" if value > 0 else "-Inf"


def _exponent(value: float) -> str:
    """Shortest digits with an exponent of at least two digits."""
    sign, digits, exponent = Decimal(repr(float(value))).normalize().as_tuple()
    assert isinstance(exponent, int)
    power = exponent + len(digits) - 1
    first, *rest = map(str, digits)
    fraction = f".{''.join(rest)}" if rest else ""
    return f"{'-' if sign else ''}{first}{fraction}e{'-' if power < 0 else '+'}{abs(power):02d}"
