"""`/api/v1/status/tsdb`: how many series there are, and what makes them many.

Counted by the engine over table `series`: those whose samples are still kept. A million series take
about a second, so an answer is kept while the table's parts are the same, and for a while after.
"""

from __future__ import annotations

import heapq
import threading
from dataclasses import dataclass

import orjson

from windvane.api.prometheus_http import success
from windvane.api.prometheus_params import Params
from windvane.kit.clock import Clock
from windvane.promql.errors import QueryError
from windvane.promql.syntax import METRIC_NAME
from windvane.store.api import Engine, Limits

MOST = 1000
"""So many entries each statistic has at most."""
_DEFAULT = 10
_FRESH_NS = 30 * 10**9
_LIMITS = Limits(seconds=60)

_STATE = """
SELECT toInt64(sum(rows)) AS Rows, toInt64(count()) AS Parts, toInt64(max(modification_time)) AS Changed
FROM system.parts WHERE active AND database = currentDatabase() AND table IN ('series', 'samples')
"""
_BOUNDS = """
SELECT toInt64(count()) AS Samples,
    toUnixTimestamp64Milli(min(Time)) AS First, toUnixTimestamp64Milli(max(Time)) AS Last
FROM {table}
"""
_KEPT = "LastSeen >= fromUnixTimestamp64Milli({first:Int64})"
_METRICS = f"SELECT toString(Name) AS N, toInt64(uniqExact(Id)) AS C FROM series WHERE {_KEPT} GROUP BY N"
_LABELS = f"""
SELECT K, toInt64(count()) AS Distinct, toInt64(sum(length(V))) AS Bytes,
    toJSONString(groupArraySorted({MOST})((-toInt64(C), V))) AS Top
FROM (
    SELECT toString(k) AS K, v AS V, count() AS C
    FROM series FINAL ARRAY JOIN Labels.keys AS k, Labels.values AS v
    WHERE {_KEPT} GROUP BY K, V
) GROUP BY K
"""


@dataclass(frozen=True, slots=True)
class _Counts:
    """The statistics: (name, count) pairs, the largest first."""

    head: dict[str, int]
    metrics: list[tuple[str, int]]
    values: list[tuple[str, int]]
    memory: list[tuple[str, int]]
    pairs: list[tuple[str, int]]


class Cardinality:
    """Counts series of one store; safe from any thread."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self._engine = engine
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: tuple[tuple[int, ...], int, _Counts] | None = None

    def status(self, params: Params) -> bytes:
        """`/status/tsdb`."""
        try:
            limit = params.number("limit", _DEFAULT)
        except QueryError:
            limit = 0
        if not 0 < limit <= MOST:
            raise QueryError("limit must be a positive number" if limit <= 0 else f"limit must not be above {MOST}")
        counts = self._counts()
        data: dict[str, object] = {"headStats": counts.head}
        for name, entries in (
            ("seriesCountByMetricName", counts.metrics),
            ("labelValueCountByLabelName", counts.values),
            ("memoryInBytesByLabelName", counts.memory),
            ("seriesCountByLabelValuePair", counts.pairs),
        ):
            data[name] = [{"name": label, "value": count} for label, count in entries[:limit]]
        return success(orjson.dumps(data))

    def _counts(self) -> _Counts:
        """The statistics of now, or of less than half a minute ago."""
        with self._lock:
            state = tuple(int(value) for value in self._engine.query(_STATE).iloc[0])
            now = self._clock.now_ns()
            if self._kept is not None and (self._kept[0] == state or now - self._kept[1] < _FRESH_NS):
                return self._kept[2]
            counts = self._count()
            self._kept = (state, now, counts)
            return counts

    def _count(self) -> _Counts:
        samples, first, last = self._bounds()
        params = {"first": first}
        metrics = self._engine.query(_METRICS, params, limits=_LIMITS)
        labels = self._engine.query(_LABELS, params, limits=_LIMITS)
        named = list(zip(metrics["N"].tolist(), metrics["C"].tolist(), strict=True))
        values = [*zip(labels["K"].tolist(), labels["Distinct"].tolist(), strict=True), (METRIC_NAME, len(named))]
        memory = list(zip(labels["K"].tolist(), labels["Bytes"].tolist(), strict=True))
        memory.append((METRIC_NAME, sum(len(name.encode()) for name, _ in named)))
        pairs = [(f"{METRIC_NAME}={name}", count) for name, count in named]
        for label, top in zip(labels["K"].tolist(), labels["Top"].tolist(), strict=True):
            pairs += [(f"{label}={value}", -int(count)) for count, value in orjson.loads(top)]
        head = {
            "numSeries": sum(count for _, count in named),
            "numLabelPairs": sum(count for _, count in values) if named else 0,
            "chunkCount": -(-samples // _SAMPLES_A_CHUNK),
            "minTime": first if samples else 0,
            "maxTime": last if samples else 0,
        }
        if not named:
            return _Counts(head, [], [], [], [])
        return _Counts(head, *(_largest(entries) for entries in (named, values, memory, pairs)))

    def _bounds(self) -> tuple[int, int, int]:
        """How many samples there are, floats and histograms, and the times of the first and the last."""
        frames = [self._engine.query(_BOUNDS.format(table=table)) for table in ("samples", "native_histograms")]
        rows = [tuple(int(value) for value in frame.iloc[0]) for frame in frames]
        some = [row for row in rows if row[0]] or [(0, 0, 0)]
        return sum(row[0] for row in some), min(row[1] for row in some), max(row[2] for row in some)


_SAMPLES_A_CHUNK = 120
"""Samples that a chunk of Prometheus holds: the store has no chunks, and counts what would fill them."""


def _largest(entries: list[tuple[str, int]]) -> list[tuple[str, int]]:
    return heapq.nsmallest(MOST, entries, key=lambda entry: (-entry[1], entry[0]))
