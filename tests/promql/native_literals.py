"""Native histograms as test scripts write them: `{{schema:0 sum:5 count:4 buckets:[1 2 1]}}`."""

from __future__ import annotations

import math
import re

import numpy as np

from windvane.promql.native import arithmetic
from windvane.promql.native.histogram import GAUGE, NO_RESET, RESET, UNKNOWN, Histogram

ITEM = re.compile(r"(\{\{.*?\}\})(?:([+-])(\{\{.*?\}\}))?(?:x(\d+))?")
"""One histogram, or a run of them: `{{…}}x3`, `{{…}}+{{…}}x3`."""
_FIELD = re.compile(r"(\w+):\s*(\[[^\]]*\]|\S+)")
_HINTS = {"unknown": UNKNOWN, "reset": RESET, "not_reset": NO_RESET, "gauge": GAUGE}
_TOLERANCE = 1e-10


def parse(text: str) -> Histogram:
    """One literal."""
    fields = dict(_FIELD.findall(text.removeprefix("{{").removesuffix("}}")))

    def number(name: str) -> float:
        return float(fields.pop(name, "0"))

    def numbers(name: str) -> np.ndarray:
        return np.array([float(part) for part in fields.pop(name, "[]").strip("[]").split()], np.float64)

    positive, negative = numbers("buckets"), numbers("n_buckets")
    histogram = Histogram(
        int(number("schema")),
        _HINTS[fields.pop("counter_reset_hint", "unknown")],
        number("count"),
        number("sum"),
        number("z_bucket_w"),
        number("z_bucket"),
        (np.arange(len(positive)) + int(number("offset"))).astype(np.int32),
        positive,
        (np.arange(len(negative)) + int(number("n_offset"))).astype(np.int32),
        negative,
        numbers("custom_values"),
    )
    assert not fields, f"{text}: unknown fields {list(fields)}"
    return histogram


def values(item: str) -> list[Histogram]:
    """What one item stands for."""
    match = ITEM.fullmatch(item)
    assert match is not None, item
    first, sign, step, times = match.groups()
    run = [parse(first)]
    for _ in range(int(times or 0)):
        change = arithmetic.add if sign == "+" else arithmetic.subtract
        run.append(run[-1] if step is None else change(run[-1], parse(step)).value)
    return run


def close(left: Histogram, right: Histogram) -> bool:
    """Equal but for rounding and empty buckets; an expected (right) hint counts unless it is unknown."""
    left, right = left.compacted(), right.compacted()
    return (
        left.schema == right.schema
        and right.hint in (UNKNOWN, left.hint)
        and np.array_equal(left.custom_bounds, right.custom_bounds)
        and np.array_equal(left.positive_index, right.positive_index)
        and np.array_equal(left.negative_index, right.negative_index)
        and all(_close(a, b) for a, b in zip(_numbers(left), _numbers(right), strict=True))
    )


def _numbers(histogram: Histogram) -> list[float]:
    own = [histogram.count, histogram.sum, histogram.zero_threshold, histogram.zero_count]
    return [*own, *histogram.positive_count.tolist(), *histogram.negative_count.tolist()]


def _close(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or abs(left - right) <= _TOLERANCE * max(abs(left), abs(right))
