"""Every function and aggregation of PromQL with its argument types (Prometheus 3.x).

What Prometheus has only with `--enable-feature=promql-experimental-functions` is always there.

`variadic` is Prometheus's: 0 for exactly the arguments named; else the last of them may be left out, and
up to `variadic` arguments of its type (-1: any number) may stand in its place.
"""

from __future__ import annotations

from dataclasses import dataclass

from windvane.promql.syntax import ValueType

_S, _V, _M, _T = ValueType.SCALAR, ValueType.VECTOR, ValueType.MATRIX, ValueType.STRING


@dataclass(frozen=True, slots=True)
class Signature:
    """Argument types of a function, what it returns, and how often the last argument may stand."""

    args: tuple[ValueType, ...]
    returns: ValueType = _V
    variadic: int = 0

    @property
    def least(self) -> int:
        """The fewest arguments."""
        return len(self.args) - (self.variadic != 0)

    @property
    def most(self) -> int | None:
        """The most arguments; None without a limit."""
        return None if self.variadic < 0 else self.least + self.variadic


def _names(text: str) -> list[str]:
    return text.split()


_OVER_TIME = _names(
    "absent avg count first last mad max min present stddev stdvar sum ts_of_first ts_of_last ts_of_max ts_of_min"
)
_OF_VECTOR = _names(
    "abs absent acos acosh asin asinh atan atanh ceil cos cosh deg exp floor histogram_avg histogram_count "
    "histogram_stddev histogram_stdvar histogram_sum ln log10 log2 rad sgn sin sinh sort sort_desc sqrt tan tanh "
    "timestamp"
)
_OF_RANGE = _names("changes delta deriv idelta increase irate rate resets")
_OF_DATE = _names("day_of_month day_of_week day_of_year days_in_month hour minute month year")

FUNCTIONS: dict[str, Signature] = {
    **{f"{name}_over_time": Signature((_M,)) for name in _OVER_TIME},
    **{name: Signature((_V,)) for name in _OF_VECTOR},
    **{name: Signature((_M,)) for name in _OF_RANGE},
    **{name: Signature((_V,), variadic=1) for name in _OF_DATE},
    "clamp": Signature((_V, _S, _S)),
    "clamp_max": Signature((_V, _S)),
    "clamp_min": Signature((_V, _S)),
    "double_exponential_smoothing": Signature((_M, _S, _S)),
    "histogram_fraction": Signature((_S, _S, _V)),
    "histogram_quantile": Signature((_S, _V)),
    "histogram_quantiles": Signature((_V, _T, _S, _S), variadic=9),
    "info": Signature((_V, _V), variadic=1),
    "label_join": Signature((_V, _T, _T, _T), variadic=-1),
    "label_replace": Signature((_V, _T, _T, _T, _T)),
    **{name: Signature((), _S) for name in _names("pi time start end range step")},
    "predict_linear": Signature((_M, _S)),
    "quantile_over_time": Signature((_S, _M)),
    "round": Signature((_V, _S), variadic=1),
    "scalar": Signature((_V,), _S),
    "sort_by_label": Signature((_V, _T), variadic=-1),
    "sort_by_label_desc": Signature((_V, _T), variadic=-1),
    "vector": Signature((_S,)),
}

AGGREGATIONS: dict[str, ValueType | None] = {
    **dict.fromkeys(_names("sum avg min max count group stddev stdvar")),
    **dict.fromkeys(_names("topk bottomk quantile limitk limit_ratio"), _S),
    "count_values": _T,
}
"""The type of each aggregation's parameter; None where it takes none."""

ARITHMETIC = frozenset({"+", "-", "*", "/", "%", "^", "atan2"})
COMPARISON = frozenset({"==", "!=", ">", "<", ">=", "<="})
TRIM = frozenset({"</", ">/"})
"""Only observations of a native histogram below or above a number."""
SET_OPERATORS = frozenset({"and", "or", "unless"})
