"""Pairs of a span and its parent, as SQL: what service graphs, dependencies and their tables are counted from.

A span is taken once, however many identical copies of it were sent. A pair counts when its two spans begin
within `REACH_S` of each other; so whichever of them comes last, the other is found by looking at few minutes.
It belongs to the time in which the child begins. Sources are SELECTs or tables with the columns of `span_news`
(migration 0013): Id and Parent are 64-bit hashes of trace and span ids, which join several times faster than two
texts; among ten million spans the chance that any parent is mistaken is about one in 200,000.
"""

from __future__ import annotations

import math

REACH_S = 120
BUCKET_S = 300
"""Rows of `service_links` are sums over so many seconds of the child's start."""

GROWTH = math.log(1.02)
"""Durations are kept in size classes, one 2% longer than the next: class n ends at exp(n * GROWTH) nanoseconds."""

COLUMNS = "Id, Parent, Service, Name, Kind, Status, Peer, Start, Duration, Weight, Fresh, Copy"

CLIENT, SERVER = "IN ('Client', 'Producer')", "IN ('Server', 'Consumer')"
MESSAGING = "messaging_system"
DATABASE = "database"

_PLAIN = (
    "cityHash64(TraceId, SpanId, ServiceName, SpanName, SpanKind, Timestamp, Duration) AS copy,"
    " cityHash64(TraceId, SpanId) AS id, if(ParentSpanId = '', 0, cityHash64(TraceId, ParentSpanId)) AS parent,"
    " ServiceName AS service, SpanName AS name, SpanKind AS kind, StatusCode AS status, Peer AS peer,"
    " toUnixTimestamp64Nano(Timestamp) AS start, Duration AS duration, Weight AS weight, Commit AS commit"
)


def plain_spans(where: str, fresh: str) -> str:
    """Spans for which `where` (over otel_traces) holds, every copy; `fresh` is said of its commit, `first`."""
    return (
        "SELECT id AS Id, parent AS Parent, service AS Service, name AS Name, kind AS Kind, status AS Status,"
        " peer AS Peer, start AS Start, duration AS Duration, weight AS Weight, commit AS first,"
        f" toUInt8({fresh}) AS Fresh, copy AS Copy FROM (SELECT {_PLAIN} FROM otel_traces WHERE {where})"
    )


def spans_once(where: str) -> str:
    """As `plain_spans`, any one copy of each, all of them fresh."""
    return plain_spans(where, "1") + " LIMIT 1 BY Copy"


def distinct_spans(where: str, fresh: str) -> str:
    """As `plain_spans`, each span once; `first` is its first commit."""
    return (
        "SELECT any(id) AS Id, any(parent) AS Parent, any(service) AS Service, any(name) AS Name, any(kind) AS Kind,"
        " any(status) AS Status, any(peer) AS Peer, any(start) AS Start, any(duration) AS Duration,"
        f" any(weight) AS Weight, min(commit) AS first, toUInt8({fresh}) AS Fresh, copy AS Copy"
        f" FROM (SELECT {_PLAIN} FROM otel_traces WHERE {where}) GROUP BY copy"
    )


CALLS = "Parent, Child, Connection, Start, Duration, Caller, Weight, Failed, CallerFailed, Edge"
"""Columns of `calls`: those of `span_calls` (migration 0013)."""


def calls(children: str, parents: str, pair: str = "1", alone: str = "1") -> str:
    """Calls: pairs of a child `c` and its parent `p` for which `pair` holds, and spans `c` that name the database they
    ask, for which `alone` holds. Edge is said of those that Tempo's service graph has: between a client (or producer)
    and a server (or consumer), or to a database.
    """
    database = f"startsWith({{}}.Peer, '{DATABASE} ')"
    return (
        "SELECT p.Service AS Parent, c.Service AS Child,"
        f" if(p.Kind = 'Producer' OR c.Kind = 'Consumer', '{MESSAGING}', '') AS Connection,"
        " c.Start AS Start, c.Duration AS Duration, p.Duration AS Caller, c.Weight AS Weight,"
        " c.Status = 'Error' AS Failed, p.Status = 'Error' AS CallerFailed,"
        f" p.Kind {CLIENT} AND c.Kind {SERVER} AND NOT {database.format('p')} AS Edge"
        f" FROM {children} AS c INNER JOIN {parents} AS p ON c.Parent = p.Id"
        f" WHERE c.Parent != 0 AND abs(c.Start - p.Start) <= {REACH_S * 10**9} AND {pair}"
        f" UNION ALL SELECT Service, substring(Peer, {len(DATABASE) + 2}), '{DATABASE}', Start, Duration, Duration,"
        f" Weight, Status = 'Error', 0, 1 FROM {children} AS c WHERE {database.format('c')} AND {alone}"
    )


LINK_SUMS = (
    "count() AS calls, countIf(Failed) AS errors, sum(Weight) AS weight, sumIf(Weight, Failed) AS failed,"
    f" sumMap([toInt16(ceil(log(greatest(Duration, 1)) / {GROWTH!r}))], [Weight]) AS sizes"
)
"""What `service_links` keeps of a group of calls."""

BUCKET = f"toDateTime(intDiv(Start, {BUCKET_S * 10**9}) * {BUCKET_S}, 'UTC')"
"""The bucket that a call belongs to."""
