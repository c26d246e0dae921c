"""Pairs of a span and its parent, as SQL: what service graphs, dependencies and their tables are counted from.

A span is taken once, however many identical copies of it were sent. A pair counts when its two spans begin
within `REACH_S` of each other; so whichever of them comes last, the other is found by looking at few minutes.
It belongs to the time in which the child begins. Sources are SELECTs or tables with the columns of `span_news`
(migration 0013): Id and Parent are 64-bit hashes of trace and span ids, which join several times faster than two
texts; among ten million spans the chance that any parent is mistaken is about one in 200,000.
"""

from __future__ import annotations

import math

REACH_S = 300
BUCKET_S = 300
"""Rows of `service_links` are sums over so many seconds of the child's start."""

GROWTH = math.log(1.02)
"""Durations are kept in size classes, one 2% longer than the next: class n ends at exp(n * GROWTH) nanoseconds."""

COLUMNS = "Id, Parent, Service, Name, Kind, Status, Peer, Start, Duration, Weight, Fresh"

CLIENT, SERVER = "IN ('Client', 'Producer')", "IN ('Server', 'Consumer')"
MESSAGING = "messaging_system"
DATABASE = "database"

_PLAIN = (
    "cityHash64(TraceId, SpanId, ServiceName, SpanName, SpanKind, Timestamp, Duration) AS copy,"
    " cityHash64(TraceId, SpanId) AS id, if(ParentSpanId = '', 0, cityHash64(TraceId, ParentSpanId)) AS parent,"
    " ServiceName AS service, SpanName AS name, SpanKind AS kind, StatusCode AS status, Peer AS peer,"
    " toUnixTimestamp64Nano(Timestamp) AS start, Duration AS duration, Weight AS weight, Commit AS commit"
)


def distinct_spans(where: str, fresh: str = "1") -> str:
    """Spans for which `where` (over otel_traces) holds, each once; `fresh` is said of `first`, its first commit."""
    return (
        "SELECT any(id) AS Id, any(parent) AS Parent, any(service) AS Service, any(name) AS Name, any(kind) AS Kind,"
        " any(status) AS Status, any(peer) AS Peer, any(start) AS Start, any(duration) AS Duration,"
        f" any(weight) AS Weight, min(commit) AS first, toUInt8({fresh}) AS Fresh"
        f" FROM (SELECT {_PLAIN} FROM otel_traces WHERE {where}) GROUP BY copy"
    )


def pairs(children: str, parents: str, where: str = "1") -> str:
    """FROM … WHERE of child `c` and parent `p`."""
    return (
        f"FROM {children} AS c INNER JOIN {parents} AS p ON c.Parent = p.Id"
        f" WHERE c.Parent != 0 AND abs(c.Start - p.Start) <= {REACH_S * 10**9} AND {where}"
    )


def connection(child: str = "c", parent: str = "p") -> str:
    """Tempo's connection_type of a pair."""
    return f"if({parent}.Kind = 'Producer' OR {child}.Kind = 'Consumer', '{MESSAGING}', '')"


def link_sums(span: str) -> str:
    """What `service_links` keeps of a group of calls, told by the called span, in the order of its columns."""
    failed = f"{span}.Status = 'Error'"
    return (
        f"count() AS Calls, countIf({failed}) AS Errors, sum({span}.Weight) AS Weighted,"
        f" sumIf({span}.Weight, {failed}) AS FailedWeighted,"
        f" sumMap([toInt16(ceil(log(greatest({span}.Duration, 1)) / {GROWTH!r}))], [{span}.Weight]) AS Sizes"
    )


def links(calls: str, databases: str, bucket: str) -> str:
    """SELECT of Bucket, Parent, Child, Connection and the sums of `link_sums`.

    `calls` is FROM … WHERE of pairs, `databases` of spans `c` that may ask a database; `bucket` an expression over `c`.
    """
    name = f"substring(c.Peer, {len(DATABASE) + 2})"
    return (
        f"SELECT {bucket} AS Bucket, p.Service AS Parent, c.Service AS Child, {connection()} AS Connection,"
        f" {link_sums('c')} {calls} GROUP BY Bucket, Parent, Child, Connection"
        f" UNION ALL SELECT {bucket} AS Bucket, c.Service AS Parent, {name} AS Child, '{DATABASE}' AS Connection,"
        f" {link_sums('c')} {databases} AND startsWith(c.Peer, '{DATABASE} ') GROUP BY Bucket, Parent, Child"
    )


BUCKET = f"toDateTime(intDiv(c.Start, {BUCKET_S * 10**9}) * {BUCKET_S}, 'UTC')"
"""The bucket that a child belongs to."""
