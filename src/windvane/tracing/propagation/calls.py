"""What sidecars served and what they called, as columns: from access logs where they name traces, else from spans.

An access-log entry exists of every request, sampled or not, so a proxy whose entries carry trace ids is read from its
log alone. Of other proxies spans tell the trace; their log, if there is one, still tells when they were serving.
Both sides of a workload are told by one proxy with one clock. Gateways and waypoints forward by themselves and are
left out. Ids travel as numbers: of a trace id the lower half, so that an id cut to 64 bits is still known.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from windvane.store.api import Engine, Limits
from windvane.tracing.analysis.spans import Ints, Keys, Mask
from windvane.tracing.propagation.keys import among

MAX_ROWS = 4_000_000
"""Entries or spans that are read of a window; of more, the newest minutes that hold so many."""

_LIMITS = Limits(seconds=60.0, memory_bytes=4 << 30)
_TYPES: dict[str, type[np.generic]] = {
    "N": np.uint64, "S": np.int64, "D": np.uint64, "T": np.uint64, "R": np.uint64, "C": np.uint64, "H": np.uint8,
    "K": np.uint8,
}  # fmt: skip

Window = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Requests:
    """Requests of one direction, an entry each: what proxy, when, and which ids.

    `node` is a hash of the proxy's node id, `start` and `end` nanoseconds, `trace` the lower half of the trace id and
    `request` a hash of the request id (0: unknown), `cluster` a hash of the upstream cluster. `short`: the trace
    id has 64 bits only. `logged`: told by an access log.
    """

    node: Keys
    start: Ints
    end: Ints
    trace: Keys
    request: Keys
    cluster: Keys
    short: Mask
    logged: Mask

    def take(self, rows: Ints | Mask) -> Requests:
        """The chosen ones."""
        return Requests(*(getattr(self, name)[rows] for name in Requests.__slots__))

    def __len__(self) -> int:
        return len(self.node)


@dataclass(frozen=True, slots=True)
class Calls:
    """What sidecars `served` and `made` in a window from `start_ns` on; `truncated` when that is later than asked.

    `known` are served requests whose ids count, though another source tells when they were served.
    """

    served: Requests
    known: Requests
    made: Requests
    start_ns: int
    truncated: bool


def read_calls(engine: Engine, window_ns: Window, nodes: Sequence[str] | None = None) -> Calls:
    """Requests that began in a window (both ends included), of these proxies or of all sidecars."""
    start_ns, truncated = _affordable(engine, window_ns)
    window = (start_ns, window_ns[1])
    logs = _read(engine, _LOGS, window, nodes, logged=True)
    traced = np.sort(np.unique(logs[0].node[logs[0].trace > 0]))
    spans = _read(engine, _SPANS, window, nodes, logged=False, but=traced)
    own = ~among(spans[0].node, traced)
    spans = (spans[0].take(own), spans[1][own])
    return _joined(logs, spans, traced, start_ns, truncated)


def _joined(
    logs: tuple[Requests, Mask], spans: tuple[Requests, Mask], traced: Keys, start_ns: int, truncated: bool
) -> Calls:
    (entries, inbound), (spanned, server) = logs, spans
    complete = among(entries.node, traced)
    timed = among(spanned.node, np.sort(np.unique(entries.node[inbound])))
    return Calls(
        served=_both(entries.take(inbound), spanned.take(server & ~timed)),
        known=spanned.take(server & timed),
        made=_both(entries.take(complete & ~inbound), spanned.take(~server)),
        start_ns=start_ns,
        truncated=truncated,
    )


def _both(first: Requests, second: Requests) -> Requests:
    return Requests(*(np.concatenate([getattr(one, name) for one in (first, second)]) for name in Requests.__slots__))


_TRACE = (
    "if(length(TraceId) = 32, reinterpretAsUInt64(reverse(unhex(substring(TraceId, 17, 16)))), toUInt64(0)) AS T,"
    " toUInt8(startsWith(TraceId, '0000000000000000')) AS H"
)
_WITHIN = "Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
_LOGS = (
    "SELECT CAST(cityHash64(NodeId) AS UInt64) AS N, toUnixTimestamp64Nano(Timestamp) AS S, DurationNs AS D,"
    f" {_TRACE}, if(RequestId = '', 0, cityHash64(RequestId)) AS R, CAST(cityHash64(UpstreamCluster) AS UInt64) AS C,"
    " CAST(Reporter = 'destination' AS UInt8) AS K FROM envoy_access_logs"
    f" WHERE {_WITHIN} AND Kind = 'http' AND Intermediate = 0 AND startsWith(NodeId, 'sidecar~')"
    " AND Reporter IN ('source', 'destination')"
)
_NODE = "SpanAttributes['node_id']"
_SPANS = (
    f"SELECT cityHash64({_NODE}) AS N, toUnixTimestamp64Nano(Timestamp) AS S, Duration AS D, {_TRACE},"
    " if(SpanAttributes['guid:x-request-id'] = '', 0, cityHash64(SpanAttributes['guid:x-request-id'])) AS R,"
    " cityHash64(SpanAttributes['upstream_cluster']) AS C, CAST(SpanKind = 'Server' AS UInt8) AS K FROM otel_traces"
    f" WHERE {_WITHIN} AND SpanKind IN ('Server', 'Client') AND startsWith({_NODE}, 'sidecar~')"
)
_OF_NODES = {_LOGS: " AND NodeId IN {nodes:Array(String)}", _SPANS: f" AND {_NODE} IN {{nodes:Array(String)}}"}


def _read(
    engine: Engine, sql: str, window: Window, nodes: Sequence[str] | None, *, logged: bool, but: Keys | None = None
) -> tuple[Requests, Mask]:
    """Requests of a source, and which of them were served."""
    params: dict[str, Any] = {"low": window[0], "high": window[1]}
    if nodes is not None:
        sql, params["nodes"] = sql + _OF_NODES[sql], list(nodes)
    if but is not None and len(but):
        # so that the spans of a mesh that is read from its logs cost one column
        sql, params["but"] = sql + f" AND cityHash64({_NODE}) NOT IN {{but:Array(UInt64)}}", but.tolist()
    parts: dict[str, list[Any]] = {name: [np.empty(0, kind)] for name, kind in _TYPES.items()}
    for block in engine.stream(sql, params, limits=_LIMITS):
        for name, kind in _TYPES.items():
            parts[name].append(block.column(name).astype(kind))
    read = {name: np.concatenate(part) for name, part in parts.items()}
    rows = len(read["N"])
    end = read["S"] + np.minimum(read["D"], np.uint64(1 << 62)).astype(np.int64)
    short = (read["H"] > 0) & (read["T"] > 0)
    found = Requests(read["N"], read["S"], end, read["T"], read["R"], read["C"], short, np.full(rows, logged))
    return found, read["K"] > 0


def _affordable(engine: Engine, window_ns: Window) -> tuple[int, bool]:
    """From when on no more than `MAX_ROWS` are read of either table, and whether that is later than asked."""
    start = window_ns[0]
    for table, bucket in (("otel_traces", "toStartOfMinute"), ("envoy_access_logs", "toStartOfFiveMinutes")):
        frame = engine.query(
            f"SELECT toInt64(toUnixTimestamp({bucket}(Timestamp))) AS Minute, count() AS Rows FROM {table}"
            f" WHERE {_WITHIN} GROUP BY Minute ORDER BY Minute DESC",
            {"low": window_ns[0], "high": window_ns[1]},
        )
        minutes, total = frame["Minute"].to_numpy(np.int64), np.cumsum(frame["Rows"].to_numpy(np.int64))
        if len(total) > 1 and total[-1] > MAX_ROWS:
            kept = max(1, int(np.searchsorted(total, MAX_ROWS, side="right")))
            start = max(start, int(minutes[kept - 1]) * 10**9)
    return start, start > window_ns[0]
