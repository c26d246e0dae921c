"""Who calls whom, counted from spans: the links of Jaeger's dependency graph.

A span whose parent is in the same trace is a call from the parent's service to the span's, also
when both are the same. Only traces that lie in the window entirely count, so that a call is never
counted in one window and its parent looked for in another.
"""

from __future__ import annotations

from windvane.store.api import Engine

_SPANS_A_SLICE = 4_000_000  # what one join holds in memory: about 50 bytes a span
_EDGE_NS = 3_600 * 10**9  # how far beyond the window spans of a trace that crosses its edge are looked for

_WINDOW = "Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
_CROSSING = (
    "SELECT TraceId FROM otel_traces"
    " WHERE Timestamp BETWEEN fromUnixTimestamp64Nano({before:Int64}) AND fromUnixTimestamp64Nano({after:Int64})"
    " AND (Timestamp < fromUnixTimestamp64Nano({low:Int64})"
    " OR toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) > {high:Int64})"
)
_SLICE = "cityHash64(TraceId) % {slices:UInt32} = {slice:UInt32}"
# A span is known by 64 bits of a hash, which join several times faster than two texts; among ten million spans the
# chance that any parent is mistaken is about one in 200,000.
_PARENTS = (
    f"SELECT cityHash64(TraceId, SpanId) AS Id, ServiceName AS Parent, 1 AS Found FROM otel_traces"
    f" WHERE {_WINDOW} AND {_SLICE}"
)
_CHILDREN = (
    "SELECT cityHash64(TraceId, ParentSpanId) AS Id, ServiceName AS Child FROM otel_traces"
    f" WHERE {_WINDOW} AND {_SLICE} AND ParentSpanId != '' AND TraceId NOT IN ({_CROSSING})"
)


def links(engine: Engine, start_ns: int, end_ns: int) -> list[tuple[str, str, int]]:
    """(parent, child, calls) of the traces within the window, sorted.

    Traces are joined slice by slice of their ids, so memory does not grow with the window.
    """
    if start_ns > end_ns:
        return []
    params = {"low": start_ns, "high": end_ns, "before": max(0, start_ns - _EDGE_NS), "after": end_ns + _EDGE_NS}
    spans = int(engine.query(f"SELECT count() AS Spans FROM otel_traces WHERE {_WINDOW}", params)["Spans"][0])
    slices = -(-spans // _SPANS_A_SLICE)
    calls: dict[tuple[str, str], int] = {}
    for number in range(slices):
        frame = engine.query(
            f"SELECT Parent, Child, count() AS Calls FROM ({_CHILDREN}) AS c LEFT ANY JOIN ({_PARENTS}) AS p"
            " ON c.Id = p.Id WHERE Found GROUP BY Parent, Child",
            {**params, "slices": slices, "slice": number},
        )
        for parent, child, count in zip(*(frame[name].tolist() for name in frame.columns), strict=True):
            calls[parent, child] = calls.get((parent, child), 0) + int(count)
    return sorted((parent, child, count) for (parent, child), count in calls.items())
