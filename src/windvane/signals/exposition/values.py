"""Numbers of the text formats: as Go's ParseFloat reads them, and as labels `le` and `quantile` write them."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from decimal import Decimal

import numpy as np
from numpy.typing import NDArray

_DIGITS = b"0123456789.eE+-"
_SPELLED = re.compile(rb"[+-]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?|(?i:inf(?:inity)?))|(?i:nan)")


class BadNumberError(ValueError):
    """Text at `position` of those given is no number."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


def number(text: bytes) -> float:
    """One number; `ValueError` when it is none or out of range."""
    if _SPELLED.fullmatch(text) is None:
        raise ValueError(text)
    value = float(text)
    if math.isinf(value) and b"n" not in text.lower():
        raise ValueError(text)
    return value


def numbers(texts: Sequence[bytes]) -> NDArray[np.float64]:
    """All of them; `BadNumberError` names the first that is none."""
    try:
        values = np.array(list(map(float, texts)), np.float64)
    except ValueError:
        values = None
    # float() takes more than Go does (underscores, signed nan, spaces): look closer where letters are
    if values is None or b"".join(texts).translate(None, _DIGITS) or np.isinf(values).any():
        return _one_by_one(texts)
    return values


def _one_by_one(texts: Sequence[bytes]) -> NDArray[np.float64]:
    values = np.empty(len(texts))
    for position, text in enumerate(texts):
        try:
            values[position] = number(text)
        except ValueError:
            raise BadNumberError(position) from None
    return values


def canonical(text: str) -> str:
    """A label value `le` or `quantile` as Prometheus 3 stores it: always with a fraction or an exponent."""
    try:
        value = number(text.encode())
    except ValueError:
        return text
    return label_number(value)


def label_number(value: float) -> str:
    """A float as OpenMetrics writes it in labels: `1.0`, `0.005`, `2.5e+06`, `+Inf`."""
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "+Inf" if value > 0 else "-Inf"
    if value and (abs(value) < 1e-4 or abs(value) >= 1e6):
        sign, digits, exponent = Decimal(repr(value)).normalize().as_tuple()
        text = "".join(map(str, digits))
        point = len(text) + int(exponent) - 1
        return f"{'-' if sign else ''}{text[0]}{'.' + text[1:] if text[1:] else ''}e{point:+03d}"
    return repr(value)
