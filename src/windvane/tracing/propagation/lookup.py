"""From columns of numbers back to what is stored: ids and names of single requests, found by proxy and time."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from windvane.store.api import Engine
from windvane.tracing.analysis.spans import Ints
from windvane.tracing.propagation.calls import Requests
from windvane.tracing.propagation.keys import grouped, numbered

Key = tuple[int, int, int]
"""A request: the hash of its proxy's node id, its start in nanoseconds, the lower half of its trace id."""


@dataclass(frozen=True, slots=True)
class Fact:
    """What is stored of a request."""

    node: str
    cluster: str
    trace_id: str
    request_id: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class SidecarSpan:
    """The span of a request; `parent_id` is "" for a root."""

    span_id: str
    parent_id: str
    service: str


_SELECT = "SELECT cityHash64({node}) AS N, toUnixTimestamp64Nano(Timestamp) AS S, {columns} FROM {table}"
_AT = (
    " WHERE {bucket}(Timestamp) IN (SELECT {bucket}(fromUnixTimestamp64Nano(arrayJoin({{times:Array(Int64)}}))))"
    " AND toUnixTimestamp64Nano(Timestamp) IN {{times:Array(Int64)}}"
)
_NODE = "SpanAttributes['node_id']"
_LOG = (_SELECT + _AT).format(
    node="NodeId", table="envoy_access_logs", bucket="toStartOfFiveMinutes",
    columns="toString(NodeId) AS Node, toString(UpstreamCluster) AS Cluster, TraceId, RequestId,"
    " toString(UserAgent) AS Agent",
)  # fmt: skip
_SPAN = (_SELECT + _AT).format(
    node=_NODE, table="otel_traces", bucket="toStartOfMinute",
    columns=f"{_NODE} AS Node, SpanAttributes['upstream_cluster'] AS Cluster, TraceId,"
    " SpanAttributes['guid:x-request-id'] AS RequestId, SpanAttributes['user_agent'] AS Agent",
)  # fmt: skip


def key(requests: Requests, row: int) -> Key:
    """What a request is looked up by."""
    return int(requests.node[row]), int(requests.start[row]), int(requests.trace[row])


def facts(engine: Engine, chosen: Sequence[tuple[Requests, Iterable[int]]]) -> dict[Key, Fact]:
    """What is stored of these rows; rows that have gone meanwhile are left out."""
    wanted: dict[bool, set[Key]] = {True: set(), False: set()}
    for requests, rows in chosen:
        for row in rows:
            wanted[bool(requests.logged[row])].add(key(requests, row))
    found: dict[Key, Fact] = {}
    for logged, keys in wanted.items():
        if keys:
            frame = engine.query(_LOG if logged else _SPAN, {"times": sorted({one[1] for one in keys})})
            for node, start, *told in zip(*(frame[name].tolist() for name in frame.columns), strict=True):
                fact = Fact(*(str(one) for one in told))
                at = (int(node), int(start), lower_half(fact.trace_id))
                if at in keys:
                    found.setdefault(at, fact)
    return found


def lower_half(trace_id: str) -> int:
    """The number that stands for a trace id in columns."""
    return int(trace_id[16:], 16) if re.fullmatch("[0-9a-f]{32}", trace_id) else 0


def sidecar_spans(
    engine: Engine, wanted: Iterable[tuple[str, str]], kind: str, starts: Sequence[int]
) -> dict[tuple[str, str], SidecarSpan]:
    """The earliest span of a kind (Server, Client) that a proxy has in a trace, by (trace id, node id).

    `starts` of the requests (nanoseconds) bound the time in which it is looked for.
    """
    pairs = set(wanted)
    if not pairs:
        return {}
    frame = engine.query(
        f"SELECT TraceId, {_NODE} AS Node, SpanId, ParentSpanId, toString(ServiceName) AS Service FROM otel_traces"
        f" WHERE TraceId IN {{traces:Array(String)}} AND SpanKind = {{kind:String}} AND {_NODE} != ''"
        " AND Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
        " ORDER BY Timestamp DESC, SpanId DESC",
        {
            "traces": sorted({trace for trace, _ in pairs}),
            "kind": kind,
            "low": min(starts) - _ASIDE_NS,
            "high": max(starts) + _ASIDE_NS,
        },
    )
    rows = zip(*(frame[name].tolist() for name in frame.columns), strict=True)
    return {(trace, node): SidecarSpan(*rest) for trace, node, *rest in rows if (trace, node) in pairs}


_ASIDE_NS = 10**9  # an entry and a span of one request may differ by so much in their start


class ServedByNode:
    """Served requests, found by proxy, request id and time."""

    def __init__(self, served: Requests) -> None:
        self._served = served
        self._nodes, number = numbered(served.node)
        self._order, self._begins = grouped(number, len(self._nodes))

    def rows(self, node: int) -> Ints:
        """Those of one proxy."""
        number = int(np.searchsorted(self._nodes, np.uint64(node)))
        if number == len(self._nodes) or self._nodes[number] != node:
            return np.empty(0, np.int64)
        return self._order[self._begins[number] : self._begins[number + 1]]

    def candidates(self, made: Requests, call: int) -> tuple[Ints, bool]:
        """Requests that a call may have been made for, the latest first, and whether the request id tells so.

        Those that were being served from the call's begin to its end, if there are any, before those that were at its
        begin: an application mostly waits for what it calls.
        """
        served, rows = self._served, self.rows(int(made.node[call]))
        rows = rows[np.argsort(-served.start[rows], kind="stable")]
        during = (served.start[rows] <= made.start[call]) & (served.end[rows] >= made.start[call])
        around = during & (served.end[rows] >= made.end[call])
        same = (served.request[rows] == made.request[call]) & (made.request[call] > 0)
        for chosen in (same & around, same & during, same):
            if chosen.any():
                return rows[chosen], True
        return rows[around if around.any() else during], False


_POD = re.compile(r"-(?:[bcdf-hj-np-tv-xz2456789]{1,10}-)?[bcdf-hj-np-tv-xz2456789]{5}")
_SERVICE = re.compile(r"\.svc\.[\w.-]+$")


def workload_of(node_id: str) -> tuple[str, str]:
    """Name and namespace of a proxy's workload: its pod's name without what Kubernetes adds (no vowels, no 0, 1, 3)."""
    parts = node_id.split("~")
    name, _, namespace = (parts[2] if len(parts) > 2 else node_id).partition(".")
    ending = re.search(_POD.pattern + "$", name)
    return (name[: ending.start()] if ending and ending.start() else name), namespace


def destination_of(cluster: str) -> str:
    """What people call an upstream cluster: `reviews.shop:9080` of `outbound|9080|v1|reviews.shop.svc…`."""
    parts = cluster.split("|")
    if len(parts) != 4:
        return cluster
    return f"{_SERVICE.sub('', parts[3])}:{parts[1]}"
