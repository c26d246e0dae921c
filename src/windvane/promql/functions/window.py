"""Functions of range vectors: a kernel over every window of every series."""

from __future__ import annotations

import numpy as np

from windvane.promql import kernels
from windvane.promql.binary import SAME_LABELS
from windvane.promql.errors import ExecutionError
from windvane.promql.functions.base import Evaluation, Function, Window, position
from windvane.promql.labels import METADATA, Labels
from windvane.promql.native import window as natives
from windvane.promql.native.reports import Reports
from windvane.promql.numbers import general
from windvane.promql.pieces import over
from windvane.promql.syntax import METRIC_NAME, Call, Expr, Matcher, MatchOp, Range, Selector, Subquery, unwrap
from windvane.promql.value import Floats, Mask, Steps, Vector

_OVER_TIME = {
    "sum_over_time": kernels.SUM,
    "avg_over_time": kernels.AVG,
    "count_over_time": kernels.COUNT,
    "min_over_time": kernels.MIN,
    "max_over_time": kernels.MAX,
    "last_over_time": kernels.LAST,
    "first_over_time": kernels.FIRST,
    "present_over_time": kernels.PRESENT,
    "stddev_over_time": kernels.STDDEV,
    "stdvar_over_time": kernels.STDVAR,
    "ts_of_first_over_time": kernels.TS_FIRST,
    "ts_of_last_over_time": kernels.TS_LAST,
    "ts_of_min_over_time": kernels.TS_MIN,
    "ts_of_max_over_time": kernels.TS_MAX,
    "changes": kernels.CHANGES,
    "resets": kernels.RESETS,
    "irate": kernels.IRATE,
    "idelta": kernels.IDELTA,
}
_KEEP_NAME = {"last_over_time", "first_over_time"}
_COUNTER_ENDINGS = ("_total", "_sum", "_count", "_bucket")


def _result(evaluation: Evaluation, call: Call, window: Window, values: Floats, present: Mask) -> Vector:
    """A function's result; series that come to equal labels by losing their name are an error."""
    labels = window.samples.labels
    reports = Reports(evaluation.notes, matrix_position(call))
    native = natives.overlay(call.function, window.samples, (window.ends, window.span), (values, present), reports)
    if call.function not in _KEEP_NAME:
        labels = labels.drop_name()
    vector = Vector(labels, values, present, native).without_empty()
    if not vector.labels.unique():
        raise ExecutionError(SAME_LABELS)
    return vector


def _over_time(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    window = evaluation.window(call.args[0], steps)
    s = window.samples
    operation = _OVER_TIME[call.function]
    if operation in (kernels.MIN, kernels.MAX):
        most = operation == kernels.MAX
        return _result(evaluation, call, window, *over(kernels.extremes, s, window.ends, window.span, most))
    result = over(kernels.over_time, s, window.ends, window.span, operation)
    return _result(evaluation, call, window, *result)


def _extrapolated(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    window = evaluation.window(call.args[0], steps)
    s, name = window.samples, call.function
    result = over(kernels.extrapolated, s, window.ends, window.span, name != "delta", name == "rate")
    floats = result[1].copy()
    vector = _result(evaluation, call, window, *result)
    floats &= result[1]  # windows with native histograms too have lost theirs
    if name != "delta":
        note_gauges(evaluation, call, s.labels.take(np.asarray(floats.any(axis=1))))
    return vector


def matrix_position(call: Call) -> str:
    """Where the range vector of a call stands; Prometheus forgets the place of a subquery."""
    return "(1:1)" if isinstance(unwrap(call.args[0]), Subquery) else position(call.args[0])


def note_gauges(evaluation: Evaluation, call: Call, labels: Labels) -> None:
    """Inform of metrics that are used as counters but not named so."""
    for code in np.unique(labels.column(METRIC_NAME)).tolist():
        name = evaluation.pool[code]
        if name and not name.endswith(_COUNTER_ENDINGS):
            evaluation.notes.inform(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: "
                f'"{name}" {matrix_position(call)}'
            )


def _deriv(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    window = evaluation.window(call.args[0], steps)
    s, none = window.samples, np.zeros(len(steps))
    result = over(kernels.regression, s, window.ends, window.span, window.ends, none, False)
    return _result(evaluation, call, window, *result)


def _predict_linear(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    window = evaluation.window(call.args[0], steps)
    s, ahead = window.samples, evaluation.numbers(call.args[1], steps)
    times = steps.times()
    result = over(kernels.regression, s, window.ends, window.span, times, ahead, True)
    return _result(evaluation, call, window, *result)


def _quantile_over_time(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    q = evaluation.numbers(call.args[0], steps)
    window = evaluation.window(call.args[1], steps)
    s = window.samples
    result = over(kernels.quantile_over_time, s, window.ends, window.span, q)
    note_quantiles(evaluation, call.args[0], q[result[1].any(axis=0)])
    return _result(evaluation, call, window, *result)


def note_quantiles(evaluation: Evaluation, expr: Expr, q: Floats) -> None:
    """Warn of quantiles outside 0 to 1."""
    for value in np.unique(q[~((q >= 0) & (q <= 1))]).tolist():
        text = f"quantile value should be between 0 and 1, got {general(value)} {position(expr)}"
        evaluation.notes.warn(text)


def _mad_over_time(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    window = evaluation.window(call.args[0], steps)
    s = window.samples
    result = over(kernels.deviation_over_time, s, window.ends, window.span)
    return _result(evaluation, call, window, *result)


def _smoothing(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    window = evaluation.window(call.args[0], steps)
    factors = [evaluation.numbers(arg, steps) for arg in call.args[1:]]
    s = window.samples
    if len(s.labels):
        for factor, name, symbol in zip(factors, ("smoothing", "trend"), ("sf", "tf"), strict=True):
            bad = factor[(factor <= 0) | (factor >= 1)]
            if len(bad):
                reason = f"invalid {name} factor. Expected: 0 < {symbol} < 1, got: {bad[0]:f}"
                raise ExecutionError(reason)
    result = over(kernels.smoothed, s, window.ends, window.span, *factors)
    return _result(evaluation, call, window, *result)


def _absent_over_time(evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    window = evaluation.window(call.args[0], steps)
    s = window.samples
    values, present = over(kernels.over_time, s, window.ends, window.span, kernels.PRESENT)
    reports = Reports(evaluation.notes, position(call.args[0]))
    natives.overlay("present_over_time", s, (window.ends, window.span), (values, present), reports)
    return absence(evaluation, call.args[0], np.asarray(~present.any(axis=0)))


def absence(evaluation: Evaluation, expr: Expr, missing: Mask) -> Vector:
    """The value 1 at steps where something is missing, with the labels its selector pins down."""
    labels = Labels.of(evaluation.pool, [_pinned(expr)])
    return Vector(labels, np.ones((1, len(missing))), missing.reshape(1, -1)).without_empty()


def _pinned(expr: Expr) -> dict[str, str]:
    """Labels that a selector fixes by `=`, each by one matcher only."""
    inner = unwrap(expr)
    selector = inner.selector if isinstance(inner, Range) else inner
    if not isinstance(selector, Selector):
        return {}
    fixed: dict[str, str] = {}
    seen: set[str] = set()
    for matcher in selector.matchers:
        if matcher.name == METRIC_NAME:
            continue
        if _pins(matcher) and matcher.name not in seen:
            fixed[matcher.name] = matcher.value
            seen.add(matcher.name)
        else:
            fixed.pop(matcher.name, None)
    return {name: value for name, value in fixed.items() if value and name not in METADATA}


def _pins(matcher: Matcher) -> bool:
    return matcher.op is MatchOp.EQUAL


FUNCTIONS: dict[str, Function] = {
    **dict.fromkeys(_OVER_TIME, _over_time),
    **dict.fromkeys(("rate", "increase", "delta"), _extrapolated),
    "deriv": _deriv,
    "predict_linear": _predict_linear,
    "quantile_over_time": _quantile_over_time,
    "mad_over_time": _mad_over_time,
    "double_exponential_smoothing": _smoothing,
    "absent_over_time": _absent_over_time,
}
