"""Functions of range vectors whose windows meet their bounds: `rate(m[5m] anchored)`, `delta(m[5m] smoothed)`."""

from __future__ import annotations

import numpy as np

from windvane.promql.arrange import without_stale
from windvane.promql.binary import SAME_LABELS
from windvane.promql.errors import ExecutionError
from windvane.promql.functions import kernels_edges
from windvane.promql.functions.base import Evaluation, Function, Window
from windvane.promql.functions.window import note_gauges
from windvane.promql.syntax import Call, Edges, Expr, Range, unwrap
from windvane.promql.value import Floats, Mask, Sampled, Samples, Steps, Times, Value, Vector

FUNCTIONS = {
    Edges.ANCHORED: frozenset({"changes", "delta", "increase", "rate", "resets"}),
    Edges.SMOOTHED: frozenset({"delta", "increase", "rate"}),
}
"""The functions that know each modifier."""


def check(call: Call) -> None:
    """Refuse a modifier that a function does not know."""
    for arg in call.args:
        edges = _edges(arg)
        if edges is not None and call.function not in FUNCTIONS[edges]:
            known = ", ".join(sorted(FUNCTIONS[edges]))
            raise ExecutionError(f"{edges.value} modifier can only be used with: {known} - not with {call.function}")


def _edges(arg: Expr) -> Edges | None:
    inner = unwrap(arg)
    return inner.selector.edges if isinstance(inner, Range) else None


def or_edges(plain: Function) -> Function:
    """`plain`, but for windows with a modifier."""

    def chosen(evaluation: Evaluation, call: Call, steps: Steps) -> Value:
        edges = _edges(call.args[0])
        return plain(evaluation, call, steps) if edges is None else _edged(edges, evaluation, call, steps)

    return chosen


def _edged(edges: Edges, evaluation: Evaluation, call: Call, steps: Steps) -> Vector:
    window = evaluation.window(call.args[0], steps)
    _refuse_natives(window.samples)
    s, name = window.samples, call.function
    place = (s.offsets, s.times, s.values, window.ends, window.span, window.lookback)
    if name in ("resets", "changes"):
        return _result(window, *kernels_edges.anchored_count(*place, name == "resets"))
    smooth = edges is Edges.SMOOTHED
    values, present = kernels_edges.change(*place, smooth, name != "delta", name == "rate")
    if name != "delta":
        note_gauges(evaluation, call, s.labels.take(np.asarray(present.any(axis=1))))
    return _result(window, values, present)


def _result(window: Window, values: Floats, present: Mask) -> Vector:
    vector = Vector(window.samples.labels.drop_name(), values, present).without_empty()
    if not vector.labels.unique():
        raise ExecutionError(SAME_LABELS)
    return vector


def smoothed(samples: Sampled, ends: Times, lookback: int) -> tuple[Vector, Times]:
    """What an instant selector with `smoothed` finds at each time, and the times."""
    _refuse_natives(samples)
    flat = without_stale(samples.offsets, samples.times, samples.values) if samples.stale else None
    offsets, times, numbers = flat or (samples.offsets, samples.times, samples.values)
    values, present, at = kernels_edges.smoothed_latest(offsets, times, numbers, ends, lookback)
    some = np.asarray(present.any(axis=1))
    return Vector(samples.labels, values, present).take(some), at[some]


def _refuse_natives(samples: Sampled) -> None:
    if samples.native is not None:
        raise ExecutionError("smoothed and anchored modifiers do not work with native histograms")


def extended(window: Window, edges: Edges) -> Window:
    """The samples of the only window with those that stand for its bounds, as a range vector by itself shows them."""
    _refuse_natives(window.samples)
    s, end = window.samples, int(window.ends[0])
    start, parts = end - window.span, []
    for row in range(len(s.labels)):
        part = slice(int(s.offsets[row]), int(s.offsets[row + 1]))
        after = end + (window.lookback if edges is Edges.SMOOTHED else 0)
        near = (s.times[part] > start - window.lookback) & (s.times[part] <= after)
        parts.append(_with_bounds(s.times[part][near], s.values[part][near], start, end, edges))
    offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum([len(times) for times, _ in parts], dtype=np.int64)])
    times = np.concatenate([np.zeros(0, np.int64), *(times for times, _ in parts)])
    values = np.concatenate([np.zeros(0), *(values for _, values in parts)])
    return Window(Samples(s.labels, offsets, times, values), window.ends, window.span + 1)


def _with_bounds(
    times: np.ndarray, values: np.ndarray, start: int, end: int, edges: Edges
) -> tuple[np.ndarray, np.ndarray]:
    """Samples of one series in the window, between the values at its bounds."""
    after = int(np.searchsorted(times, end, "left" if edges is Edges.SMOOTHED else "right"))
    last = min(after - (edges is Edges.ANCHORED), len(times) - 1)
    if last < 0 or times[last] <= start:
        return times[:0], values[:0]
    first = max(0, int(np.searchsorted(times, start, "right")) - 1)
    left, right = values[first], values[last]
    if edges is Edges.SMOOTHED:
        left = np.interp(start, times, values) if times[first] < start else left
        right = np.interp(end, times, values) if times[last] > end else right
    inner = (times > start) & (times < end)
    return np.array([start, *times[inner], end], np.int64), np.array([left, *values[inner], right])
