"""Query results as the JSON that Prometheus writes, byte for byte where clients may look.

Sample values are strings in Go's shortest form; times are seconds with no or three decimals. Series
with many points are formatted in bulk: orjson prints the numbers, and only those that need an
exponent or are not finite are formatted one by one.
"""

from __future__ import annotations

import numpy as np
import orjson

from windvane.promql import numbers
from windvane.promql.engine import QueryStats
from windvane.promql.value import Floats, MatrixResult, QueryValue, ScalarResult, StringResult, Times, VectorResult

_NAMES = {ScalarResult: "scalar", StringResult: "string", VectorResult: "vector", MatrixResult: "matrix"}


def query_data(value: QueryValue, limit: int = 0, stats: QueryStats | None = None) -> bytes:
    """`data` of an instant or range query, at most `limit` series (0: all)."""
    cost = b"" if stats is None else b',"stats":%s' % orjson.dumps(_stats(stats))
    return b'{"resultType":"%s","result":%s%s}' % (_NAMES[type(value)].encode(), _result(value, limit), cost)


def _stats(stats: QueryStats) -> dict[str, object]:
    """Prometheus's timings and sample counts, and our reads and nodes (the latter with `stats=all`)."""
    total = stats.read_seconds + stats.evaluate_seconds
    return {
        "timings": {
            "evalTotalTime": total,
            "queryPreparationTime": stats.read_seconds,
            "innerEvalTime": stats.evaluate_seconds,
            "execTotalTime": total,
        },
        "samples": {"totalQueryableSamples": stats.samples, "peakSamples": stats.samples},
        "reads": [
            {
                "matchers": ", ".join(map(str, cost.read.matchers)),
                "after": cost.read.after / 1000,
                "until": cost.read.until / 1000,
                "series": cost.series,
                "samples": cost.samples,
                "milliseconds": round(cost.seconds * 1000, 3),
            }
            for cost in stats.reads
        ],
        "nodes": [
            {
                "node": cost.node,
                "depth": cost.depth,
                "series": cost.series,
                "steps": cost.steps,
                "milliseconds": round(cost.seconds * 1000, 3),
            }
            for cost in stats.nodes
        ],
    }


def series_count(value: QueryValue) -> int:
    """How many series a result has."""
    return len(value.labels) if isinstance(value, VectorResult | MatrixResult) else 1


def _result(value: QueryValue, limit: int) -> bytes:
    match value:
        case ScalarResult():
            return b'[%s,"%s"]' % (_time(value.time), numbers.json(value.value).encode())
        case StringResult():
            return b"[%s,%s]" % (_time(value.time), orjson.dumps(value.value))
        case VectorResult():
            return _vector(value, limit)
        case MatrixResult():
            return _matrix(value, limit)


def _vector(value: VectorResult, limit: int) -> bytes:
    time, chosen = _time(value.time), slice(limit or None)
    metrics = value.labels.take(chosen).dicts()
    parts = (
        b'{"metric":%s,"value":[%s,"%s"]}' % (orjson.dumps(metric), time, text)
        for metric, text in zip(metrics, _texts(value.values[chosen]), strict=True)
    )
    return b"[%s]" % b",".join(parts)


def _matrix(value: MatrixResult, limit: int) -> bytes:
    """Points are pieced together by list slices and one join a series: no Python runs for a point."""
    metrics = value.labels.take(slice(limit or None)).dicts()
    texts, before = _texts(value.values), _before(value.times)
    bounds = value.offsets.tolist()
    parts = []
    for row, metric in enumerate(metrics):
        first, last = bounds[row], bounds[row + 1]
        pieces = [b""] * (2 * (last - first))
        pieces[0::2] = before[first:last]
        pieces[1::2] = texts[first:last]
        parts.append(b'{"metric":%s,"values":[%s"]]}' % (orjson.dumps(metric), b"".join(pieces)[3:]))
    return b"[%s]" % b",".join(parts)


def _time(milliseconds: int) -> bytes:
    seconds, rest = divmod(abs(milliseconds), 1000)
    text = f"{'-' if milliseconds < 0 else ''}{seconds}"
    return (f"{text}.{rest:03d}" if rest else text).encode()


def _before(times: Times) -> list[bytes]:
    """What stands between a value and the next: the end of its point and the start of the next one."""
    distinct, which = np.unique(times, return_inverse=True)
    texts = np.array([b'"],[%s,"' % _time(time) for time in distinct.tolist()], object)
    between: list[bytes] = texts[which.reshape(-1)].tolist()
    return between


def _texts(values: Floats) -> list[bytes]:
    """Each value as Prometheus prints it."""
    if not len(values):
        return []
    printed = orjson.dumps(np.ascontiguousarray(values), option=orjson.OPT_SERIALIZE_NUMPY)[1:-1] + b","
    texts = printed.replace(b".0,", b",").split(b",")[:-1]
    odd = ~np.isfinite(values) | ((values != 0) & ((np.abs(values) < 1e-3) | (np.abs(values) >= 1e15)))
    for place in np.flatnonzero(odd).tolist():
        texts[place] = numbers.json(float(values[place])).encode()
    return texts
