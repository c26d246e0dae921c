"""The engine's part of metrics of spans: spans of a range of commits, with those of their traces near them in time.

`fill` brings them into the table `span_news`; the other statements count what is fresh there: spans that the range
was first to bring, and pairs of which at least one span is fresh.
"""

from __future__ import annotations

from collections.abc import Sequence

from windvane.tracing import span_pairs
from windvane.tracing.span_pairs import CALLS, COLUMNS, REACH_S, SERVER

VIRTUAL, USER = "virtual_node", "user"

# A tick is in no hurry, and one thread does the work for less than two.
_ONE = "SETTINGS max_threads = 1, max_insert_threads = 1"

RANGE = "Commit > {after:UInt64} AND Commit <= {upto:UInt64}"
_PEERS = f"startsWith(Peer, '{VIRTUAL} ')"
COMMITS = (
    f"SELECT Commit AS number, count() AS spans, countIf({_PEERS}) AS peers FROM otel_traces WHERE {RANGE}"
    " GROUP BY number ORDER BY number"
)
LINKED = "SELECT max(Commit) AS number FROM service_links"
EMPTY = ("TRUNCATE TABLE span_news", "TRUNCATE TABLE span_calls")

COPIES = "SELECT count() - uniqExact(Copy) AS spans FROM span_news"


def fill(*, distinct: bool) -> str:
    """Spans of the traces of the range, up to the commit {now:UInt64}; `distinct` if there may be copies of some,
    which takes longer than to see that there are none (`COPIES`)."""
    return _fill("1", distinct=distinct)


def fill_peers() -> str:
    """Spans of traces in the range of which clients say whom they ask."""
    return _fill(_PEERS, distinct=True)


def _fill(where: str, *, distinct: bool) -> str:
    reach = -(-REACH_S // 60)
    of_range = f"FROM otel_traces WHERE {RANGE} AND {where}"
    minutes = (
        "SELECT toDateTime(arrayJoin(arrayMap(n -> toUnixTimestamp(minute) + 60 * n,"
        f" range({-reach}, {reach + 1})))) FROM (SELECT DISTINCT toStartOfMinute(Timestamp) AS minute {of_range})"
    )
    near = (
        f"Commit <= {{now:UInt64}} AND toStartOfMinute(Timestamp) IN ({minutes})"
        f" AND cityHash64(TraceId) IN (SELECT cityHash64(TraceId) {of_range})"
    )
    spans = span_pairs.distinct_spans if distinct else span_pairs.plain_spans
    return (
        f"INSERT INTO span_news ({COLUMNS}) SELECT {COLUMNS}"
        f" FROM ({spans(near, 'first > {after:UInt64} AND first <= {upto:UInt64}')}) {_ONE}"
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
        f" FROM span_news WHERE Fresh GROUP BY service, name, kind, status {_ONE}"
    )


def calls() -> str:
    """Brings what fresh spans make known into `span_calls`: pairs of which one is fresh, fresh clients of databases,
    and servers without a parent, whom `user` asked, who tells no duration."""
    known = span_pairs.calls("span_news", "span_news", "(c.Fresh OR p.Fresh)", "c.Fresh")
    return (
        f"INSERT INTO span_calls ({CALLS}) {known} UNION ALL SELECT '{USER}', Service, '{VIRTUAL}', Start, Duration, 0,"
        f" Weight, Status = 'Error', 0, 1 FROM span_news WHERE Fresh AND Parent = 0 AND Kind {SERVER} {_ONE}"
    )


def virtual_calls() -> str:
    """As `calls`: fresh clients that say whom they ask, and of whom no server has been heard."""
    answered = f"SELECT Parent FROM span_news WHERE Kind {SERVER}"
    return (
        f"INSERT INTO span_calls ({CALLS}) SELECT Service, substring(Peer, {len(VIRTUAL) + 2}), '{VIRTUAL}', Start, 0,"
        f" Duration, Weight, Status = 'Error', 0, 1 FROM span_news WHERE Fresh AND {_PEERS} AND Id NOT IN ({answered})"
    )


def edges(bounds: Sequence[float]) -> str:
    """Requests of the service graph in `span_calls`: client, server, connection, requests, failed, and of both sides'
    seconds the sum and s0, c0, … within each bound."""
    return (
        "SELECT Parent AS client, Child AS server, Connection AS connection, sum(Weight) AS requests,"
        " sumIf(Weight, Failed OR CallerFailed) AS failed, sum(Weight * (Duration / 1e9)) AS server_seconds,"
        f" sum(Weight * (Caller / 1e9)) AS client_seconds{_counts('Duration', bounds, 's')}"
        f"{_counts('Caller', bounds, 'c')} FROM span_calls WHERE Edge GROUP BY client, server, connection {_ONE}"
    )


def link() -> str:
    """Adds `span_calls` to `service_links`, and an empty row: so much, {upto:UInt64}, is counted."""
    return (
        "INSERT INTO service_links"
        " (Bucket, Parent, Child, Connection, Commit, Calls, Errors, Weight, FailedWeight, Sizes)"
        f" SELECT {span_pairs.BUCKET} AS bucket, Parent AS parent, Child AS child, Connection AS connection,"
        f" {{upto:UInt64}}, {span_pairs.LINK_SUMS} FROM span_calls WHERE Connection != '{VIRTUAL}'"
        " GROUP BY bucket, parent, child, connection"
        " UNION ALL SELECT toStartOfFiveMinutes(now('UTC')), '', '', '', {upto:UInt64}, 0, 0, 0, 0, ([], [])"
        f" {_ONE}, max_block_size = 1048576, min_insert_block_size_rows = 1048576, min_insert_block_size_bytes = 0"
    )
