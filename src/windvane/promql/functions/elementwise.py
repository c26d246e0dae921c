"""Functions of each value by itself: mathematics, clamping, rounding, dates."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from windvane.promql.binary import merge_same
from windvane.promql.functions.base import Evaluation, Function, constant
from windvane.promql.syntax import Call
from windvane.promql.value import Floats, Steps, Vector

Map = Callable[[Floats], Floats]


def _mapped(vector: Vector, values: Floats) -> Vector:
    return merge_same(Vector(vector.labels.drop_name(), values, vector.present))


def _elementwise(change: Map, evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    vector = evaluation.vector(call.args[0], steps).floats()
    return _mapped(vector, change(vector.values))


def _round(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    """To the nearest multiple, ties upwards; by the inverse, which loses fewer bits."""
    vector = evaluation.vector(call.args[0], steps).floats()
    nearest = evaluation.numbers(call.args[1], steps) if len(call.args) > 1 else np.ones(len(steps))
    inverse = 1.0 / nearest
    return _mapped(vector, np.floor(vector.values * inverse + 0.5) / inverse)


def _clamp(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    vector = evaluation.vector(call.args[0], steps).floats()
    least, most = np.full(len(steps), -np.inf), np.full(len(steps), np.inf)
    if call.function == "clamp_max":
        most = evaluation.numbers(call.args[1], steps)
    else:
        least = evaluation.numbers(call.args[1], steps)
    if call.function == "clamp":
        most = evaluation.numbers(call.args[2], steps)
    values = _maximum(least, _minimum(most, vector.values))
    result = Vector(vector.labels, values, vector.present & ~(most < least))
    return _mapped(result.without_empty(), result.without_empty().values)


def _minimum(bound: Floats, values: Floats) -> Floats:
    """Go's math.Min: NaN wins, but -Inf wins over NaN."""
    return np.where((bound == -np.inf) | (values == -np.inf), -np.inf, np.minimum(bound, values))


def _maximum(bound: Floats, values: Floats) -> Floats:
    return np.where((bound == np.inf) | (values == np.inf), np.inf, np.maximum(bound, values))


def _sgn(values: Floats) -> Floats:
    return np.where(values < 0, -1.0, np.where(values > 0, 1.0, values))


_SECONDS = 1 << 62


def _date(part: Callable[[np.ndarray], np.ndarray], evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    """A part of the UTC date of each value (seconds), or of the evaluation time without an argument."""
    if not call.args:
        return constant(evaluation.pool, part(steps.times() // 1000).astype(np.float64))
    vector = evaluation.vector(call.args[0], steps).floats()
    known = np.abs(vector.values) < _SECONDS
    seconds = np.where(known, vector.values, 0).astype(np.int64)
    return _mapped(vector, np.where(known, part(seconds).astype(np.float64), np.nan))


def _days(seconds: np.ndarray) -> np.ndarray:
    return np.asarray(np.floor_divide(seconds, 86_400))


def _civil(seconds: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Year, month and day of the proleptic Gregorian calendar (Howard Hinnant's civil_from_days)."""
    shifted = _days(seconds) + 719_468
    era = np.floor_divide(shifted, 146_097)
    day_of_era = shifted - era * 146_097
    year_of_era = (day_of_era - day_of_era // 1460 + day_of_era // 36_524 - day_of_era // 146_096) // 365
    day_of_year = day_of_era - (365 * year_of_era + year_of_era // 4 - year_of_era // 100)
    shifted_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * shifted_month + 2) // 5 + 1
    month = np.where(shifted_month < 10, shifted_month + 3, shifted_month - 9)
    return year_of_era + era * 400 + (month <= 2), month, day


def _leap(year: np.ndarray) -> np.ndarray:
    return np.asarray((year % 4 == 0) & ((year % 100 != 0) | (year % 400 == 0)))


_BEFORE_MONTH = np.array([0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334])
_IN_MONTH = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])


def _days_in_month(seconds: np.ndarray) -> np.ndarray:
    year, month, _ = _civil(seconds)
    return np.asarray(_IN_MONTH[month - 1] + ((month == 2) & _leap(year)))


def _day_of_year(seconds: np.ndarray) -> np.ndarray:
    year, month, day = _civil(seconds)
    return np.asarray(_BEFORE_MONTH[month - 1] + day + ((month > 2) & _leap(year)))


_MAPS: dict[str, Map] = {
    "abs": np.abs,
    "ceil": np.ceil,
    "floor": np.floor,
    "exp": np.exp,
    "sqrt": np.sqrt,
    "ln": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "sin": np.sin,
    "cos": np.cos,
    "tan": np.tan,
    "asin": np.arcsin,
    "acos": np.arccos,
    "atan": np.arctan,
    "sinh": np.sinh,
    "cosh": np.cosh,
    "tanh": np.tanh,
    "asinh": np.arcsinh,
    "acosh": np.arccosh,
    "atanh": np.arctanh,
    "rad": lambda values: values * np.pi / 180,
    "deg": lambda values: values * 180 / np.pi,
    "sgn": _sgn,
}
_DATES: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "minute": lambda seconds: np.floor_divide(seconds, 60) % 60,
    "hour": lambda seconds: np.floor_divide(seconds, 3600) % 24,
    "day_of_week": lambda seconds: (_days(seconds) + 4) % 7,
    "day_of_month": lambda seconds: _civil(seconds)[2],
    "day_of_year": _day_of_year,
    "days_in_month": _days_in_month,
    "month": lambda seconds: _civil(seconds)[1],
    "year": lambda seconds: _civil(seconds)[0],
}

FUNCTIONS: dict[str, Function] = {
    **{name: partial(_elementwise, change) for name, change in _MAPS.items()},
    **{name: partial(_date, part) for name, part in _DATES.items()},
    **dict.fromkeys(("clamp", "clamp_min", "clamp_max"), _clamp),
    "round": _round,
}
