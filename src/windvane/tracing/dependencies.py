"""Dependencies of services in any window: who calls whom, how often, how it ended, how long it took.

A span and its parent are a call (`windvane.tracing.span_pairs`), which belongs to the window in which the called
span begins; windows side by side add up. Whole buckets come from `service_links`, where calls are summed as spans
arrive; the ends of the window, and what was not counted yet, from the spans themselves: the answer is the same as
if all of it were. Where a window has spans that nobody counts (of another writer, or from before the table), or
where nothing is counted, all of it comes from spans. Access logs add the calls that no span tells of.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from windvane.store.api import Engine, Limits
from windvane.tracing import span_pairs
from windvane.tracing.analysis.exemplars import Naming
from windvane.tracing.span_pairs import BUCKET_S, DATABASE, GROWTH, REACH_S

_SPANS_A_SLICE = 2_000_000  # what one join holds in memory: about 200 bytes a span
_LIMITS = Limits(seconds=120.0)
_BUCKET_NS, _REACH_NS = BUCKET_S * 10**9, REACH_S * 10**9
_LAST_NS = (1 << 63) - 1 - 2 * _REACH_NS

Edge = tuple[str, str, str]
"""Parent, child, and Tempo's connection_type: '', messaging_system or database."""


@dataclass(slots=True)
class Calls:
    """Calls of one edge. `calls` and `errors` are what was stored, `weight` and `failed` what that stands for.

    Sizes are classes of duration with their weights (see `span_pairs.GROWTH`).
    """

    calls: int = 0
    errors: int = 0
    weight: float = 0.0
    failed: float = 0.0
    sizes: list[tuple[NDArray[np.int64], NDArray[np.float64]]] = field(default_factory=list)

    @property
    def error_share(self) -> float:
        """Failed calls of all, 0 to 1."""
        return self.failed / self.weight if self.weight else 0.0

    def quantiles_ns(self, quantiles: Iterable[float]) -> list[float]:
        """Durations that a share of calls do not exceed, off by at most 1% of their value."""
        classes = np.concatenate([np.empty(0, np.int64), *(own for own, _ in self.sizes)])
        known, place = np.unique(classes, return_inverse=True)
        counts = np.bincount(place, np.concatenate([np.empty(0), *(own for _, own in self.sizes)]), len(known)).cumsum()
        if not len(known):
            return [0.0 for _ in quantiles]
        ranks = [quantile * counts[-1] * (1 - 1e-12) for quantile in quantiles]
        return [math.exp((int(known[np.searchsorted(counts, rank)]) - 0.5) * GROWTH) for rank in ranks]


@dataclass(frozen=True, slots=True)
class Dependency:
    """An edge, by spans, by access logs or by both."""

    parent: str
    child: str
    connection: str
    spans: Calls | None = None
    entries: Calls | None = None


def dependencies(engine: Engine, start_ns: int, end_ns: int, naming: Naming | None = None) -> list[Dependency]:
    """Edges with calls that began in the window (both ends included), sorted; `naming` adds those of access logs."""
    known = calls_of_spans(engine, start_ns, end_ns)
    logged = _logged(engine, start_ns, end_ns, naming) if naming is not None else {}
    matched = _matched(known, logged)
    found = [Dependency(*edge, known.get(edge), matched.get(edge)) for edge in sorted({**known, **matched})]
    return [one for one in found if one.spans or one.entries]


def calls_of_spans(engine: Engine, start_ns: int, end_ns: int) -> dict[Edge, Calls]:
    """Edges of the spans that begin in the window."""
    start_ns, end_ns = max(0, start_ns), min(end_ns, _LAST_NS)
    within = -(-start_ns // _BUCKET_NS) * _BUCKET_NS, (end_ns + 1) // _BUCKET_NS * _BUCKET_NS
    for first, last in (_widest(engine, start_ns, end_ns, within), within):
        found: dict[Edge, Calls] = {}
        counted = first < last and _add_counted(engine, found, first, last)
        if counted and _none(engine, first, start_ns - 1) and _none(engine, end_ns + 1, last - 1):
            _add_live(engine, found, start_ns, first - 1)
            _add_live(engine, found, last, end_ns)
            return found
    found = {}
    _add_live(engine, found, start_ns, end_ns)
    return found


def _widest(engine: Engine, start_ns: int, end_ns: int, within: tuple[int, int]) -> tuple[int, int]:
    """Bounds of whole buckets, one that the window cuts included where nothing lies beyond: the last one, until now."""
    first, last = start_ns // _BUCKET_NS * _BUCKET_NS, -(-(end_ns + 1) // _BUCKET_NS) * _BUCKET_NS
    return (
        first if _none(engine, first, start_ns - 1) else within[0],
        last if _none(engine, end_ns + 1, last - 1) else within[1],
    )


def _none(engine: Engine, low: int, high: int) -> bool:
    """Whether no span begins in [low, high]."""
    sql = f"SELECT 1 FROM otel_traces WHERE {_WINDOW} LIMIT 1"
    return low > high or not len(engine.query(sql, {"low": low, "high": high}, limits=_LIMITS))


def _add_counted(engine: Engine, found: dict[Edge, Calls], first: int, last: int) -> bool:
    """Add what began in [first, last) from the table, and what it lacks from spans; False if the table cannot tell."""
    around = {"low": max(0, first - _REACH_NS), "high": last + _REACH_NS}
    uncounted = f"SELECT 1 FROM otel_traces WHERE Commit = 0 AND {_WINDOW} LIMIT 1"
    while linked := _linked(engine):
        if len(engine.query(uncounted, around, limits=_LIMITS)):
            return False
        table = engine.query(_TABLE, {"first": first // 10**9, "last": last // 10**9}, limits=_LIMITS)
        if _linked(engine) == linked:  # else the table grew in between
            bounds = {**around, "after": linked, "first": first, "last": last}
            _add(found, table)
            _add(found, engine.query(_fresh(), bounds, limits=_LIMITS))
            return True
    return False


def _linked(engine: Engine) -> int:
    return int(engine.query("SELECT max(Commit) AS number FROM service_links")["number"][0])


_TABLE = (
    "SELECT toString(Parent) AS parent, toString(Child) AS child, toString(Connection) AS connection,"
    " sum(Calls) AS calls, sum(Errors) AS errors, sum(Weight) AS weight, sum(FailedWeight) AS failed,"
    " sumMap(Sizes) AS sizes, sizes.1 AS classes, sizes.2 AS weights FROM service_links"
    " WHERE Bucket >= toDateTime({first:Int64}, 'UTC') AND Bucket < toDateTime({last:Int64}, 'UTC')"
    " AND service_links.Calls > 0 GROUP BY parent, child, connection"
)
_WINDOW = "Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"


def _sums(calls: str) -> str:
    """Edges with their sums, named as in `_TABLE`."""
    return (
        "SELECT toString(Parent) AS parent, toString(Child) AS child, toString(Connection) AS connection,"
        f" {span_pairs.LINK_SUMS}, sizes.1 AS classes, sizes.2 AS weights FROM ({calls})"
        " GROUP BY parent, child, connection"
    )


def _fresh() -> str:
    """Calls in [first, last) that are known by a span of a commit after {after:UInt64}."""
    fresh = f"Commit > {{after:UInt64}} AND {_WINDOW}"
    near = f"{_WINDOW} AND TraceId IN (SELECT TraceId FROM otel_traces WHERE {fresh})"
    spans = f"({span_pairs.distinct_spans(near, 'first > {after:UInt64}')})"
    within = "c.Start >= {first:Int64} AND c.Start < {last:Int64}"
    return _sums(span_pairs.calls(spans, spans, f"(c.Fresh OR p.Fresh) AND {within}", f"c.Fresh AND {within}"))


def _add_live(engine: Engine, found: dict[Edge, Calls], start_ns: int, end_ns: int) -> None:
    """Add the calls that begin in [start, end], joined slice by slice of trace ids: memory does not grow with them."""
    if start_ns > end_ns:
        return
    params = {"low": start_ns, "high": end_ns}
    spans = int(engine.query(f"SELECT count() AS n FROM otel_traces WHERE {_WINDOW}", params)["n"][0])
    slices = -(-spans // _SPANS_A_SLICE)
    own = "cityHash64(TraceId) % {slices:UInt32} = {slice:UInt32}"
    children = span_pairs.spans_once(
        f"Timestamp BETWEEN fromUnixTimestamp64Nano({{first:Int64}}) AND fromUnixTimestamp64Nano({{last:Int64}})"
        f" AND {own} AND (ParentSpanId != '' OR startsWith(Peer, '{DATABASE} '))"
    )
    parents = span_pairs.spans_once(f"{_WINDOW} AND {own}")
    query = _sums(span_pairs.calls(f"({children})", f"({parents})"))
    bounds = {"first": start_ns, "last": end_ns, "low": max(0, start_ns - _REACH_NS), "high": end_ns + _REACH_NS}
    for number in range(slices):
        _add(found, engine.query(query, {**bounds, "slices": slices, "slice": number}, limits=_LIMITS))


def _add(found: dict[Edge, Calls], frame: pd.DataFrame) -> None:
    names = "parent", "child", "connection", "calls", "errors", "weight", "failed", "classes", "weights"
    for parent, child, connection, *sums in zip(*(frame[name].tolist() for name in names), strict=True):
        _grow(found.setdefault((parent, child, connection), Calls()), *sums)


def _grow(own: Calls, calls: int, errors: int, weight: float, failed: float, *sizes: Any) -> None:
    own.calls += int(calls)
    own.errors += int(errors)
    own.weight += float(weight)
    own.failed += float(failed)
    own.sizes.append((np.asarray(sizes[0], np.int64), np.asarray(sizes[1], np.float64)))


_FAILED = "ResponseCode >= 500 OR ResponseCode = 0 OR GrpcStatus NOT IN ('', '0')"


def _logged(engine: Engine, start_ns: int, end_ns: int, naming: Naming) -> dict[Edge, Calls]:
    """Edges of the requests that callers' proxies tell of, named as Istio's metrics name both ends."""
    columns = ", ".join(f"{sql} AS t_{name}" for name, sql in naming.columns.items())
    size = f"toInt16(ceil(log(greatest(DurationNs, 1)) / {GROWTH!r}))"
    frame = engine.query(
        f"SELECT {columns}, count() AS calls, countIf({_FAILED}) AS errors, sumMap([{size}], [1.]) AS sizes,"
        " sizes.1 AS classes, sizes.2 AS weights FROM envoy_access_logs"
        f" WHERE Reporter = 'source' AND Kind = 'http' AND Intermediate = 0 AND {_WINDOW}"
        f" GROUP BY {', '.join(f't_{name}' for name in naming.columns)}",
        {"low": max(0, start_ns), "high": min(end_ns, _LAST_NS)},
        limits=_LIMITS,
    )
    found: dict[Edge, Calls] = {}
    for row in frame.to_dict("records"):
        labels = naming.labels({str(name).removeprefix("t_"): value for name, value in row.items()})
        parent = _name(labels, "source_canonical_service", "source_workload_namespace")
        child = _name(labels, "destination_service_name", "destination_service_namespace")
        if parent and child:
            own = found.setdefault((parent, child, ""), Calls())
            _grow(own, row["calls"], row["errors"], row["calls"], row["errors"], row["classes"], row["weights"])
    return found


def _name(labels: Mapping[str, str], name: str, namespace: str) -> str:
    """`app.namespace`, as proxies name their spans' service; '' for one that nobody knows."""
    service, space = labels.get(name, ""), labels.get(namespace, "")
    if service in ("", "unknown"):
        return ""
    return service if space in ("", "unknown") else f"{service}.{space}"


def _matched(known: Mapping[Edge, Calls], logged: Mapping[Edge, Calls]) -> dict[Edge, Calls]:
    """Edges of access logs under the names that spans have for them, where spans have them."""
    short: dict[tuple[str, str], list[Edge]] = {}
    for edge in known:
        short.setdefault((_short(edge[0]), _short(edge[1])), []).append(edge)
    found: dict[Edge, Calls] = {}
    for edge, calls in logged.items():
        alike = [one for one in short.get((_short(edge[0]), _short(edge[1])), ())
                 if _same(one[0], edge[0]) and _same(one[1], edge[1]) and one[2] != DATABASE]  # fmt: skip
        own = found.setdefault(edge if edge in known else min(alike, default=edge), Calls())
        _grow(own, calls.calls, calls.errors, calls.weight, calls.failed, [], [])
        own.sizes += calls.sizes
    return found


def _short(name: str) -> str:
    return name.partition(".")[0]


def _same(one: str, other: str) -> bool:
    """Whether two names may be one service: alike, or one of them without its namespace."""
    return one == other or (_short(one) == _short(other) and ("." not in one or "." not in other))
