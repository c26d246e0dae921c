"""The engine's part of metrics of spans: spans of a range of commits, with those of their traces near them in time.

`fill` brings them into the table `span_news`; the other statements count what is fresh there: spans that the range
was first to bring, and pairs of which at least one span is fresh.
"""

from __future__ import annotations

from collections.abc import Sequence

from windvane.tracing import span_pairs
from windvane.tracing.span_pairs import CLIENT, COLUMNS, DATABASE, REACH_S, SERVER

VIRTUAL, USER = "virtual_node", "user"

RANGE = "Commit > {after:UInt64} AND Commit <= {upto:UInt64}"
COMMITS = f"SELECT Commit AS number, count() AS spans FROM otel_traces WHERE {RANGE} GROUP BY number ORDER BY number"
LINKED = "SELECT max(Commit) AS number FROM service_links"
EMPTY = "TRUNCATE TABLE span_news"

_PEERS = f"startsWith(Peer, '{VIRTUAL} ')"
UNPAIRED_PEERS = f"SELECT count() AS spans FROM otel_traces WHERE {RANGE} AND {_PEERS}"


def fill(where: str = "1") -> str:
    """Spans of the traces of the range (of its spans for which `where` holds), up to the commit {now:UInt64}."""
    reach = -(-REACH_S // 60)
    of_range = f"FROM otel_traces WHERE {RANGE} AND {where}"
    minutes = (
        "SELECT toDateTime(arrayJoin(arrayMap(n -> toUnixTimestamp(minute) + 60 * n,"
        f" range({-reach}, {reach + 1})))) FROM (SELECT DISTINCT toStartOfMinute(Timestamp) AS minute {of_range})"
    )
    near = (
        f"Commit <= {{now:UInt64}} AND toStartOfMinute(Timestamp) IN ({minutes})"
        f" AND TraceId IN (SELECT TraceId {of_range})"
    )
    fresh = "first > {after:UInt64} AND first <= {upto:UInt64}"
    return (
        f"INSERT INTO span_news ({COLUMNS}) SELECT {COLUMNS} FROM ({span_pairs.distinct_spans(near, fresh)})"
        " SETTINGS max_insert_threads = 1"
    )


def _counts(column: str, seconds: Sequence[float], letter: str) -> str:
    return "".join(
        f", sumIf(Weight, {column} <= {round(bound * 1e9)}) AS {letter}{place}" for place, bound in enumerate(seconds)
    )


def spans(bounds: Sequence[float]) -> str:
    """Fresh spans by service, name, kind and status: calls, seconds, and b0, b1, … within each bound (seconds)."""
    return (
        "SELECT Service AS service, Name AS name, Kind AS kind, Status AS status, sum(Weight) AS calls,"
        f" sum(Weight * (Duration / 1e9)) AS seconds{_counts('Duration', bounds, 'b')}"
        " FROM span_news WHERE Fresh GROUP BY service, name, kind, status"
    )


def edges(bounds: Sequence[float]) -> str:
    """Requests that became known by fresh spans: client, server, connection, requests, failed, and of both sides'
    seconds the sum and s0, c0, … within each bound.

    A pair is a client's (producer's) span and its child, a server's (consumer's). A client that says it asks a
    database is one by itself, and a server without a parent was asked by `user`, who tells no duration.
    """
    pair = (
        f"SELECT p.Service AS client, c.Service AS server, {span_pairs.connection()} AS connection,"
        " c.Weight AS Weight, c.Status = 'Error' OR p.Status = 'Error' AS bad,"
        " c.Duration AS ours, p.Duration AS theirs "
        + span_pairs.pairs(
            "span_news",
            "span_news",
            f"(c.Fresh OR p.Fresh) AND c.Kind {SERVER} AND p.Kind {CLIENT} AND NOT startsWith(p.Peer, '{DATABASE} ')",
        )
    )
    database = (
        f"SELECT Service, substring(Peer, {len(DATABASE) + 2}), '{DATABASE}', Weight, Status = 'Error', Duration,"
        f" Duration FROM span_news WHERE Fresh AND startsWith(Peer, '{DATABASE} ')"
    )
    user = (
        f"SELECT '{USER}', Service, '{VIRTUAL}', Weight, Status = 'Error', Duration, toUInt64(0)"
        f" FROM span_news WHERE Fresh AND Parent = 0 AND Kind {SERVER}"
    )
    return _edges(f"{pair} UNION ALL {database} UNION ALL {user}", bounds)


def virtual_edges(bounds: Sequence[float]) -> str:
    """As `edges`: fresh clients that say whom they ask, and of whom no server has been heard."""
    answered = f"SELECT Parent FROM span_news WHERE Kind {SERVER}"
    return _edges(
        f"SELECT Service AS client, substring(Peer, {len(VIRTUAL) + 2}) AS server, '{VIRTUAL}' AS connection, Weight,"
        " Status = 'Error' AS bad, toUInt64(0) AS ours, Duration AS theirs FROM span_news"
        f" WHERE Fresh AND {_PEERS} AND Id NOT IN ({answered})",
        bounds,
    )


def peers() -> str:
    """`fill` for the traces of clients that say whom they ask."""
    return fill(_PEERS)


def _edges(requests: str, bounds: Sequence[float]) -> str:
    return (
        "SELECT client, server, connection, sum(Weight) AS requests, sumIf(Weight, bad) AS failed,"
        " sum(Weight * (ours / 1e9)) AS server_seconds, sum(Weight * (theirs / 1e9)) AS client_seconds"
        f"{_counts('ours', bounds, 's')}{_counts('theirs', bounds, 'c')}"
        f" FROM ({requests}) GROUP BY client, server, connection"
    )


def link() -> str:
    """Adds what fresh spans make known to `service_links`, and an empty row: so much, {upto:UInt64}, is counted."""
    pairs = span_pairs.pairs("span_news", "span_news", "(c.Fresh OR p.Fresh)")
    rows = span_pairs.links(pairs, "FROM span_news AS c WHERE c.Fresh", span_pairs.BUCKET)
    return (
        "INSERT INTO service_links"
        " (Bucket, Parent, Child, Connection, Commit, Calls, Errors, Weight, FailedWeight, Sizes)"
        " SELECT Bucket, Parent, Child, Connection, {upto:UInt64}, Calls, Errors, Weighted, FailedWeighted, Sizes"
        f" FROM ({rows}) UNION ALL SELECT toStartOfFiveMinutes(now('UTC')), '', '', '', {{upto:UInt64}}, 0, 0, 0, 0,"
        " ([], []) SETTINGS max_insert_threads = 1, max_block_size = 1048576, min_insert_block_size_rows = 1048576,"
        " min_insert_block_size_bytes = 0, max_partitions_per_insert_block = 0"
    )
