"""Answers of the query API, brought to a form in which two engines' can be compared."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import orjson

from windvane.api.prometheus_json import query_data
from windvane.kit.errors import WindvaneError
from windvane.promql.engine import QueryResult

Numbers = Mapping[Any, float]
"""A sample: a float under "", or a histogram's count, sum and buckets under (rule, lower, upper)."""


def ours(run: Callable[[], QueryResult]) -> dict[str, Any]:
    try:
        return {"status": "success", "data": orjson.loads(query_data(run().value))}
    except WindvaneError as error:
        return {"status": "error", "errorType": getattr(error, "error_type", error.kind), "error": error.message}


def normal(answer: dict[str, Any]) -> Any:
    """An answer as a value that does not depend on order: series by their labels, points as numbers."""
    if answer["status"] != "success":
        return ("error", answer["errorType"])
    kind, result = answer["data"]["resultType"], answer["data"]["result"]
    if kind in ("scalar", "string"):
        return kind, {(): [(float(result[0]), {"": float(result[1])})]}
    series = {}
    for one in result:
        points = [*one.get("values", ()), *one.get("histograms", ())]
        points += [one[name] for name in ("value", "histogram") if name in one]
        series[tuple(sorted(one["metric"].items()))] = sorted(
            ((float(time), _numbers(value)) for time, value in points), key=lambda point: point[0]
        )
    return kind, series


def _numbers(value: Any) -> Numbers:
    if isinstance(value, str):
        return {"": float(value)}
    buckets = {(rule, float(low), float(high)): float(count) for rule, low, high, count in value.get("buckets", ())}
    return {"count": float(value["count"]), "sum": float(value["sum"]), **buckets}


def close(left: float, right: float) -> bool:
    if math.isnan(left) or math.isnan(right):
        return math.isnan(left) and math.isnan(right)
    return left == right or abs(left - right) <= 1e-9 * max(abs(left), abs(right), 1e-3)


def _close(left: Numbers, right: Numbers) -> bool:
    """A bucket that one side leaves out counts nothing."""
    keys = left.keys() | right.keys()
    return ("" in left) == ("" in right) and all(close(left.get(key, 0.0), right.get(key, 0.0)) for key in keys)


def difference(mine: Any, theirs: Any) -> str:
    if mine[0] != theirs[0]:
        return f"{mine} against {theirs}"[:400]
    if mine[0] == "error":
        return "" if mine == theirs else f"{mine} against {theirs}"
    if mine[1].keys() != theirs[1].keys():
        own_only, other = (sorted(a[1].keys() - b[1].keys())[:4] for a, b in ((mine, theirs), (theirs, mine)))
        return f"series {own_only} only here, {other} only there"
    for labels, points in theirs[1].items():
        own = mine[1][labels]
        if len(own) != len(points):
            return f"{labels}: {len(own)} points against {len(points)}"
        for (t1, v1), (t2, v2) in zip(own, points, strict=True):
            if t1 != t2 or not _close(v1, v2):
                return f"{labels}: {v1!r} at {t1} against {v2!r} at {t2}"
    return ""
