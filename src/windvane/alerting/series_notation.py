"""The notation of series and their values in Prometheus's unit-test files: `1+2x10 _x3 stale`.

`a+bxn` is a, a+b, … with n steps (n + 1 values, added up one by one); `axn` repeats a; `_` is no sample,
`stale` a staleness marker, `{{…}}` a native histogram (`promql.native.notation`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from windvane.kit.errors import BadInputError
from windvane.promql import numbers
from windvane.promql.native import arithmetic, notation
from windvane.promql.native.histogram import Histogram
from windvane.promql.parse import parse
from windvane.promql.quoting import quote
from windvane.promql.syntax import METRIC_NAME, MatchOp, Selector
from windvane.store.series import STALE

MAX_VALUES = 10_000_000
_NUMBER = r"(?:[iI][nN][fF]|[nN][aA][nN]|(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)"
_ITEM = re.compile(
    rf"(?:(?P<blank>_)|(?P<stale>stale)|(?P<value>[+-]?{_NUMBER}))(?:(?P<step>[+-]{_NUMBER})?x(?P<times>[0-9]+))?"
)
_WORD = re.compile(r"(?:[^\s{]+|\{\{[^{}]*\}\})+|\S+")
_HISTOGRAM = re.compile(r"(?P<first>\{\{[^{}]*\}\})(?:(?:(?P<sign>[+-])(?P<step>\{\{[^{}]*\}\}))?x(?P<times>[0-9]+))?")
MAX_HISTOGRAMS = 1_000_000
_METRIC = re.compile(
    r"(?:[a-zA-Z_:][\w:]*)?\s*(?:\{(?:[^\"'`{}]|\"(?:[^\"\\]|\\.)*\"|'(?:[^'\\]|\\.)*'|`[^`]*`)*\})?", re.ASCII
)


@dataclass(frozen=True, slots=True)
class Values:
    """Values in order; where `present` is False there is no sample, at places in `histograms` a native histogram."""

    values: NDArray[np.float64]
    present: NDArray[np.bool_]
    histograms: Mapping[int, Histogram] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.values)


def parse_values(text: str) -> Values:
    """The values that a text stands for; `BadInputError` names the item that is none."""
    parts: list[tuple[NDArray[np.float64], bool]] = []
    total = 0
    histograms: dict[int, Histogram] = {}
    for item in _WORD.findall(text):
        if item.startswith("{{"):
            found = _histograms(item)
            histograms.update(enumerate(found, total))
            values, present = np.zeros(len(found)), True
        else:
            values, present = _item(item)
        total += len(values)
        if total > MAX_VALUES:
            raise BadInputError(f"more than {MAX_VALUES} values")
        parts.append((values, present))
    if not parts:
        return Values(np.empty(0), np.empty(0, np.bool_))
    flags = [np.full(len(values), present) for values, present in parts]
    return Values(np.concatenate([values for values, _ in parts]), np.concatenate(flags), histograms)


def _item(item: str) -> tuple[NDArray[np.float64], bool]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise BadInputError(f"not a series value: {item!r} (expected for example 1, 1+2x10, _x3, stale)")
    times = int(match["times"] or 0)
    if times > MAX_VALUES:
        raise BadInputError(f"more than {MAX_VALUES} values: {item}")
    if match["blank"]:
        if match["step"]:
            raise BadInputError(f"no sample cannot grow: {item!r}")
        return np.zeros(times if match["times"] else 1), False
    start = STALE if match["stale"] else _number(match["value"])
    if match["step"] is None:
        return np.full(times + 1, start), True
    steps = np.full(times + 1, _number(match["step"]))
    steps[0] = start
    with np.errstate(invalid="ignore"):
        return np.add.accumulate(steps), True


def _histograms(item: str) -> list[Histogram]:
    """`{{…}}` once, `{{…}}x3` and three more, `{{…}}+{{…}}x3` and three more, each greater than the one before."""
    match = _HISTOGRAM.fullmatch(item)
    if match is None:
        example = "{{…}}, {{…}}x3, {{…}}+{{…}}x3"
        raise BadInputError(f"not a series value: {item!r} (expected for example {example})")
    times = int(match["times"] or 0)
    if times > MAX_HISTOGRAMS:
        raise BadInputError(f"more than {MAX_HISTOGRAMS} histograms: {item}")
    run = [notation.parse(match["first"])]
    if match["step"] is None:
        return run * (times + 1)
    step = notation.parse(match["step"])
    if run[0].schema > step.schema:
        schemas = f"from schema {step.schema} to {run[0].schema}"
        raise BadInputError(f"error combining histograms: cannot merge {schemas}: {item}")
    change = arithmetic.add if match["sign"] == "+" else arithmetic.subtract
    for _ in range(times):
        try:
            run.append(change(run[-1], step).value)
        except arithmetic.MixedSchemasError:
            raise BadInputError(f"custom and standard buckets do not add up: {item}") from None
    return run


def _number(text: str) -> float:
    value = numbers.parse(text)
    if value is None:
        raise BadInputError(f"not a number: {text!r}")
    return value


def parse_metric(text: str) -> dict[str, str]:
    """The labels of `name{label="value"}`, the name in `__name__`; `BadInputError` when it is something else."""
    plain = text.strip()
    if plain in ("{}", ""):
        return {}
    expr = parse(plain)
    if not isinstance(expr, Selector) or not _METRIC.fullmatch(plain):
        raise BadInputError(f'not a series: {text!r} (expected for example name{{label="value"}})')
    labels: dict[str, str] = {}
    for one in expr.matchers:
        if one.op is not MatchOp.EQUAL:
            raise BadInputError(f"not a series: {text!r}: a label has one value")
        if labels.get(one.name, one.value) != one.value:
            raise BadInputError(f"not a series: {text!r}: {one.name} is given twice")
        labels[one.name] = one.value
    return {name: value for name, value in labels.items() if value}


def metric_text(labels: dict[str, str]) -> str:
    """Labels as PromQL writes a series."""
    inner = ", ".join(f"{name}={quote(labels[name])}" for name in sorted(labels) if name != METRIC_NAME)
    return f"{labels.get(METRIC_NAME, '')}{{{inner}}}" if inner or METRIC_NAME not in labels else labels[METRIC_NAME]
