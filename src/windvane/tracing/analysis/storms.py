"""Retry storms, from the proxies' access logs: one request that becomes many attempts on its way.

Every proxy says how often it tried a request upstream. The attempts of one request id at one cluster, over all proxies
that called it, are its amplification there: three tries at each of three hops are 3, 9, 27.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine, Limits

MIN_ATTEMPTS = 4
_LIMITS = Limits(seconds=60.0, memory_bytes=4 << 30)
_HOPS = 16  # clusters told of the example's way


@dataclass(frozen=True, slots=True)
class Hop:
    """One cluster that a request was sent to: by `entries` of proxies, in so many attempts, so many entries failed."""

    cluster: str
    entries: int
    attempts: int
    failed: int


@dataclass(frozen=True, slots=True)
class Storm:
    """Requests that were attempted too often at a cluster by a route.

    `requests` reached the cluster, `stormy` of them with the least number of attempts; `attempts` are all of
    theirs, `most` those of one. `retried` requests had any attempt beyond the first. The example is the request
    with most attempts, and `way` what became of it at every cluster, the most attempts last.
    """

    cluster: str
    route: str
    requests: int
    retried: int
    stormy: int
    attempts: int
    most: int
    failed: int
    request_id: str
    trace_id: str
    way: list[Hop]


def storms(engine: Engine, window_ns: tuple[int, int], least: int = MIN_ATTEMPTS, limit: int = 50) -> list[Storm]:
    """Clusters and routes with requests that were attempted `least` times or more, those of most attempts first."""
    if least < 2:
        raise BadInputError(f"attempts {least}: expected at least 2")
    params = {"low": window_ns[0], "high": window_ns[1], "least": least, "limit": limit}
    frame = engine.query(
        "SELECT Cluster, Route, count() AS Requests, countIf(Attempts > Entries OR Entries > 1) AS Retried,"
        " countIf(Attempts >= {least:UInt64}) AS Stormy, sumIf(Attempts, Attempts >= {least:UInt64}) AS Total,"
        " max(Attempts) AS Most, countIf(Failed > 0) AS Failing, argMax(RequestId, (Attempts, RequestId)) AS Request,"
        f" argMax(Trace, (Attempts, RequestId)) AS Trace FROM ({_BY_REQUEST})"
        " GROUP BY Cluster, Route HAVING Stormy > 0 ORDER BY Most DESC, Total DESC, Cluster, Route"
        " LIMIT {limit:UInt64}",
        params,
        limits=_LIMITS,
    )
    rows: list[tuple[Any, ...]] = list(zip(*(frame[name].tolist() for name in frame.columns), strict=True))
    ways = _ways(engine, window_ns, sorted({request for *_, request, _ in rows}))
    fields = [field.name for field in dataclasses.fields(Storm)]
    return [Storm(**dict(zip(fields, [*row, ways[row[-2]]], strict=True))) for row in rows]


_WITHIN = (
    "Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
    " AND Reporter = 'source' AND Kind = 'http' AND Intermediate = 0 AND RequestId != '' AND UpstreamCluster != ''"
)
_COUNTS = (
    "count() AS Entries, sum(greatest(UpstreamAttempts, 1)) AS Attempts,"
    " countIf(ResponseCode >= 500 OR ResponseCode = 0) AS Failed"
)
_BY_REQUEST = (
    "SELECT toString(UpstreamCluster) AS Cluster, toString(RouteName) AS Route, RequestId,"
    f" any(TraceId) AS Trace, {_COUNTS} FROM envoy_access_logs WHERE {_WITHIN}"
    " GROUP BY Cluster, Route, RequestId"
)


def _ways(engine: Engine, window_ns: tuple[int, int], request_ids: list[str]) -> dict[str, list[Hop]]:
    if not request_ids:
        return {}
    frame = engine.query(
        f"SELECT RequestId, toString(UpstreamCluster) AS Cluster, {_COUNTS} FROM envoy_access_logs"
        f" WHERE {_WITHIN} AND RequestId IN {{requests:Array(String)}} GROUP BY RequestId, Cluster"
        f" ORDER BY RequestId, Attempts, min(Timestamp) LIMIT {_HOPS} BY RequestId",
        {"low": window_ns[0], "high": window_ns[1], "requests": request_ids},
    )
    ways: dict[str, list[Hop]] = {}
    for request, *hop in zip(*(frame[name].tolist() for name in frame.columns), strict=True):
        ways.setdefault(str(request), []).append(Hop(*hop))
    return ways
