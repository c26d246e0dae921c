"""Query results as the JSON that Prometheus writes, byte for byte where clients may look.

Sample values are strings in Go's shortest form; times are seconds with no or three decimals. Points
are written in bulk (`windvane.api.prometheus_points`).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import orjson

from windvane.api.prometheus_native import histogram_json
from windvane.api.prometheus_points import points, series
from windvane.promql import numbers
from windvane.promql.engine import QueryStats
from windvane.promql.value import (
    MatrixResult,
    NativeSamples,
    QueryValue,
    ScalarResult,
    StringResult,
    VectorResult,
)

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
            "resultSortTime": 0,
            "queryPreparationTime": stats.read_seconds,
            "innerEvalTime": stats.evaluate_seconds,
            "execQueueTime": 0,
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
                "source": cost.source,
                "rows": cost.rows,
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
            return b'[%s,"%s"]' % (time_text(value.time), numbers.json(value.value).encode())
        case StringResult():
            return b"[%s,%s]" % (time_text(value.time), orjson.dumps(value.value))
        case VectorResult():
            return _vector(value, limit)
        case MatrixResult():
            return _matrix(value, limit)


def _vector(value: VectorResult, limit: int) -> bytes:
    chosen = slice(limit or None)
    labels, values = value.labels.take(chosen), value.values[chosen]
    times, offsets = np.full(len(values), value.time, np.int64), np.arange(len(values) + 1)
    if value.native is None:
        return series((b',"value":', b"}"), labels, times, values, offsets)
    metrics, texts = labels.dicts(), points(times, values, offsets)
    time = time_text(value.time)
    samples = [
        b'"value":%s' % text if histogram is None else b'"histogram":[%s,%s]' % (time, histogram_json(histogram))
        for text, histogram in zip(texts, value.native[chosen], strict=True)
    ]
    return _joined(b'{"metric":%s,%s}', metrics, samples)


def _matrix(value: MatrixResult, limit: int) -> bytes:
    labels, offsets = value.labels.take(slice(limit or None)), value.offsets
    if limit:
        offsets = offsets[: limit + 1]
    last = int(offsets[-1])
    times, values = value.times[:last], value.values[:last]
    if value.native is None:
        return series((b',"values":[', b"]}"), labels, times, values, offsets)
    metrics, texts = labels.dicts(), points(times, values, offsets)
    samples = [_samples(text, value.native, row) for row, text in enumerate(texts)]
    return _joined(b'{"metric":%s%s}', metrics, samples)


def _samples(floats: memoryview, native: NativeSamples, row: int) -> bytes:
    """The members of a series that has native histograms and maybe floats."""
    parts = [b',"values":[%s]' % floats] if len(floats) else []
    pairs = zip(native.times_of(row).tolist(), native.histograms_of(row), strict=True)
    histograms = [b"[%s,%s]" % (time_text(time), histogram_json(one)) for time, one in pairs if one is not None]
    if histograms:
        parts.append(b',"histograms":[%s]' % b",".join(histograms))
    return b"".join(parts)


def _joined(form: bytes, metrics: list[dict[str, str]], texts: Sequence[memoryview | bytes]) -> bytes:
    parts = (form % (orjson.dumps(metric), text) for metric, text in zip(metrics, texts, strict=True))
    return b"[%s]" % b",".join(parts)


def time_text(milliseconds: int) -> bytes:
    """Milliseconds as seconds with no or three decimals."""
    seconds, rest = divmod(abs(milliseconds), 1000)
    text = f"{'-' if milliseconds < 0 else ''}{seconds}"
    return (f"{text}.{rest:03d}" if rest else text).encode()
