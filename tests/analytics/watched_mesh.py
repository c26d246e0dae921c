"""A mesh in memory that answers the queries of baselines, as a PromQL engine would of minute-wise series."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from windvane.promql.labels import Labels, Pool
from windvane.promql.value import MatrixResult

Floats = NDArray[np.float64]
MONDAY = 1_767_571_200
_BY = re.compile(r"by \(([\w, ]+)\)")


@dataclass
class Traffic:
    """One reporter's counts by the minute, under the labels that queries group by."""

    labels: dict[str, str]
    requests: Floats
    errors: Floats
    latency: Floats
    spans: bool = False


@dataclass
class Mesh:
    """Traffic whose first minute ends at `start` (Unix seconds); `asked` has all queries with their ranges."""

    start: int
    traffic: list[Traffic] = field(default_factory=list)
    asked: list[tuple[str, int, int]] = field(default_factory=list)
    broken: bool = False
    _pool: Pool = field(default_factory=Pool)

    def ask(self, query: str, start_ms: int, end_ms: int, step_ms: int) -> MatrixResult:
        """Sums by the query's labels; a latency is that of the busiest row."""
        if self.broken:
            raise OSError("the store is down")
        self.asked.append((query, start_ms // 1_000, end_ms // 1_000))
        times = np.arange(start_ms, end_ms + 1, step_ms)
        place = (times // 1_000 - self.start) // 60
        if query.startswith("count("):
            some = np.array([any(0 <= at < len(one.requests) for one in self.traffic) for at in place], bool)
            return _matrix(self._pool, [({}, times[some], np.ones(some.sum()))])
        series = []
        for labels, values in self._grouped(query):
            inside = (place >= 0) & (place < len(values))
            inside[inside] = np.isfinite(values[place[inside]])
            series.append((dict(labels), times[inside], values[place[inside]]))
        return _matrix(self._pool, series)

    def _grouped(self, query: str) -> list[tuple[tuple[tuple[str, str], ...], Floats]]:
        found = _BY.search(query)
        assert found is not None
        names = [name for name in found[1].split(", ") if name != "le"]
        groups: dict[tuple[tuple[str, str], ...], Floats] = {}
        for one in self.traffic:
            if one.spans != ("traces_spanmetrics" in query) or "grpc_response_status=~" in query:
                continue
            key = tuple((name, one.labels.get(name, "")) for name in names)
            if "histogram_quantile" in query:
                groups[key] = np.fmax(groups[key], one.latency) if key in groups else one.latency
            else:
                failed = 'response_code=~"5' in query or "STATUS_CODE_ERROR" in query
                spent = one.requests * one.latency / 2.5
                values = spent if "_sum{" in query else one.errors if failed else one.requests
                groups[key] = groups[key] + values if key in groups else values
        return list(groups.items())


def _matrix(pool: Pool, series: list[tuple[dict[str, str], NDArray[np.int64], Floats]]) -> MatrixResult:
    series = [one for one in series if len(one[1])]
    offsets = np.concatenate([[0], np.cumsum([len(one[1]) for one in series])]).astype(np.int64)
    times = np.concatenate([one[1] for one in series]) if series else np.empty(0, np.int64)
    values = np.concatenate([one[2] for one in series]) if series else np.empty(0)
    return MatrixResult(Labels.of(pool, [one[0] for one in series]), offsets, times, values)


def call(
    service: str, requests: Floats, errors: Floats, latency: Floats, *,
    reporter: str = "destination", caller: str = "front", version: str = "v1", namespace: str = "shop",
) -> Traffic:  # fmt: skip
    """Calls of one service by another, as one proxy reports them."""
    labels = {
        "reporter": reporter, "destination_service_namespace": namespace, "destination_service_name": service,
        "destination_version": version, "destination_canonical_revision": version,
        "destination_workload": f"{service}-{version}", "destination_canonical_service": service,
        "destination_workload_namespace": namespace, "source_canonical_service": caller,
        "source_workload_namespace": namespace,
    }  # fmt: skip
    return Traffic(labels, requests, errors, latency)


def steady(
    draw: np.random.Generator, minutes: int, per_minute: float = 300.0, latency: float = 40.0, daily: float = 0.5
) -> tuple[Floats, Floats, Floats]:
    """Requests, failures and latency of a quiet service: a daily shape, counting noise, noisy latency."""
    shape = 1 + daily * np.cos(2 * np.pi * np.arange(minutes) / 1_440)
    requests = draw.poisson(per_minute * shape).astype(float)
    errors = draw.binomial(requests.astype(int), 0.0001).astype(float)
    noise = draw.normal(0, 0.05 + 1.2 / np.sqrt(np.maximum(requests, 1)))
    return requests, errors, np.where(requests > 0, latency * np.exp(noise), np.nan)
