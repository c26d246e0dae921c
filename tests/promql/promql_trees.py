"""Random PromQL of every syntactic form, as hypothesis strategies of valid text."""

from __future__ import annotations

import math
from dataclasses import fields, replace
from typing import Any

from hypothesis import strategies as st

from windvane.promql.quoting import quote
from windvane.promql.syntax import Expr, Number, Selector

_names = st.sampled_from(["a", "up", "job:x:rate5m", "sum", "offset", "and", "step", "fill", "_x1", "start"])
_labels = st.sampled_from(["job", "le", "instance", "by", "on", '"with.dot"', "'ü'"])
_strings = st.text(max_size=8).map(quote) | st.sampled_from(["'single'", "`raw\\`", '"\\u00e9"'])
_durations = st.sampled_from(["5m", "1h30m", "300", "1.5", "10m0s", "1d", "0x10", "2w"])
_offsets = st.sampled_from(["5m", "-1h", "+10", "(1m + 30s)", "-step()", "max(1m, step())", "-(2 * 1m)"])
_ranges = _durations | st.sampled_from(["step()", "2 * step() + 1m", "range() / 10 - -5", "min(1m, 2 ^ 5) % 7"])
_numbers = st.sampled_from(["1", "-0.5", "1e3", "0x1F", "017", "Inf", "NaN", "1_000", "5m", ".5"]) | st.floats(
    allow_nan=False, allow_infinity=False
).map(repr)
_steps = st.just("") | _ranges
_ats = st.sampled_from(["", " @ 1.5", " @ -10", " @ start()", " @ end()"])


@st.composite
def _selectors(draw: st.DrawFn) -> str:
    name = draw(_names | st.just(""))
    ops = st.sampled_from(["=", "!="])
    some = [f"{draw(_labels)}{draw(ops)}{draw(_strings)}" for _ in range(draw(st.integers(0, 2)))]
    if draw(st.booleans()):
        some.append(f'x=~"{draw(st.sampled_from(["a.*", "b|c", ".+", "[0-9]{2}"]))}"')
    if not name:
        some.append('"a.metric"')
    return f"{name}{{{','.join(some)}}}" if some else name


def _modified(text: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    offset = st.just("") | _offsets.map(lambda one: f" offset {one}")
    return st.builds("{}{}{}".format, text, _ats, offset)


_range_selectors = _modified(
    st.builds("{}[{}]{}".format, _selectors(), _ranges, st.sampled_from(["", " anchored", " smoothed"]))
)


def _grown(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    grouping = st.sampled_from(["", " by (job)", " without (le, instance)", " by ()", ' by ("a b")'])
    bools = st.sampled_from(["", " bool"])
    matching = st.sampled_from(
        [
            "",
            " on (job)",
            " ignoring (le)",
            " on (job) group_left (le)",
            " ignoring (job) group_right ()",
            " on (job) fill (0)",
        ]
    )
    functions = st.sampled_from(["abs", "ceil", "timestamp", "absent", "scalar(vector(1)) + abs"])
    subqueries = _modified(st.builds("({})[{}:{}]".format, inner, _ranges, _steps))
    return st.one_of(
        st.builds("{}{} ({})".format, st.sampled_from(["sum", "MAX", "group"]), grouping, inner),
        st.builds("{}({}){}".format, st.sampled_from(["count", "avg"]), inner, grouping),
        st.builds("topk{} ({}, {})".format, grouping, _numbers, inner),
        st.builds("count_values({}, {})".format, _strings, inner),
        st.builds("{}({})".format, functions, inner),
        st.builds("{}({})".format, st.sampled_from(["rate", "max_over_time"]), _range_selectors | subqueries),
        st.builds("({}) {}{} ({})".format, inner, st.sampled_from(["+", "^", "atan2", "%"]), matching, inner),
        st.builds("({}) {}{}{} ({})".format, inner, st.sampled_from(["==", ">", "<="]), bools, matching, inner),
        st.builds("({}) {} ({})".format, inner, st.sampled_from(["and", "or", "UNLESS on (job)"]), inner),
        st.builds("{} {} ({})".format, _numbers, st.sampled_from(["*", "-"]), inner),
        st.builds("{}({})".format, st.sampled_from(["-", "+", "--", ""]), inner),
    )


def expressions() -> st.SearchStrategy[str]:
    """Text that parses to an instant vector."""
    return st.recursive(_modified(_selectors()), _grown, max_leaves=6)


def canonical(expr: Expr) -> Expr:
    """`expr` with the matchers of every selector in one order, as printing sorts them, and one NaN, equal to itself."""
    if isinstance(expr, Number):
        return replace(expr, value=math.nan) if math.isnan(expr.value) else expr
    if isinstance(expr, Selector):
        return replace(expr, matchers=tuple(sorted(expr.matchers, key=str)))
    changed: dict[str, Any] = {}
    for field in fields(expr):
        value = getattr(expr, field.name)
        if isinstance(value, Expr):
            changed[field.name] = canonical(value)
        elif field.name == "args":
            changed["args"] = tuple(canonical(arg) for arg in value)
    return replace(expr, **changed)
