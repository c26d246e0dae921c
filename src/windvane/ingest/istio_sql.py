"""The engine's part of Istio's metrics: rows of a range of commits, summed by what labels derive from.

Values are whole numbers (requests, microseconds, bytes), so sums do not depend on how rows fall
into ticks.
"""

from __future__ import annotations

# Envoy's default histogram bounds, in the metric's unit (ms or bytes); +Inf follows.
BUCKETS = (
    0.5,
    1,
    5,
    10,
    25,
    50,
    100,
    250,
    500,
    1000,
    2500,
    5000,
    10000,
    30000,
    60000,
    300000,
    600000,
    1800000,
    3600000,
)

_OUTBOUND = "Reporter = 'source'"

# Column of Traffic -> expression. What labels of one reporter never use is blanked, so groups stay few.
TRAFFIC = {
    "node_id": "NodeId",
    "gateway": "LogName IN ('http_gateway', 'tcp_gateway')",
    "reporter": "Reporter",
    "protocol": "Protocol",
    "response_code": "ResponseCode",
    "grpc_status": "GrpcStatus",
    "response_flags": "ResponseFlags",
    "upstream_cluster": "UpstreamCluster",
    "route": "if(RouteName IN ('block_all', 'allow_any'), RouteName, '')",
    "upstream_host": f"if({_OUTBOUND}, UpstreamHost, '')",
    "local_principal": "LocalPrincipal",
    "peer_principal": f"if({_OUTBOUND}, '', PeerPrincipal)",
    "upstream_principal": f"if({_OUTBOUND}, UpstreamPeerPrincipal, '')",
    "peer_metadata": f"if({_OUTBOUND}, '', PeerMetadata)",
    "source_ip": f"if({_OUTBOUND}, '', {{ip}})",
    # Istio falls back to the Host header in sidecars only, where no service is known of the cluster.
    "authority": f"if({_OUTBOUND} AND LogName != 'http_gateway' AND NOT startsWith(UpstreamCluster, 'outbound|'), "
    "lower(Authority), '')",
}
TRAFFIC["source_ip"] = TRAFFIC["source_ip"].format(
    ip="substring(DownstreamDirectRemoteAddress, 1, length(DownstreamDirectRemoteAddress) "
    "- position(reverse(DownstreamDirectRemoteAddress), ':'))"
)

NEWEST_COMMIT = "SELECT max(Commit) AS newest FROM envoy_access_logs"

_RANGE = "Commit > {after:UInt64} AND Commit <= {upto:UInt64}"


def _buckets(alias: str, column: str, unit: int = 1) -> str:
    return ", ".join(f"countIf({column} <= {int(bound * unit)}) AS {alias}{i}" for i, bound in enumerate(BUCKETS))


def requests() -> str:
    """HTTP and gRPC requests that ended: one row a kind of traffic, with histograms.

    Columns: those of Traffic, then requests, duration_us, request_bytes, response_bytes,
    request_messages, response_messages, and d0…d18, q0…q18, p0…p18 (cumulative buckets of duration,
    request and response bytes).
    """
    columns = ", ".join(f"{expression} AS t_{name}" for name, expression in TRAFFIC.items())
    return (
        f"SELECT {columns}, count() AS requests, sum(intDiv(DurationNs, 1000)) AS duration_us, "
        "sum(RequestBytes) AS request_bytes, sum(ResponseBytes) AS response_bytes, "
        "sum(RequestMessages) AS request_messages, sum(ResponseMessages) AS response_messages, "
        f"{_buckets('d', 'DurationNs', 1_000_000)}, {_buckets('q', 'RequestBytes')}, "
        f"{_buckets('p', 'ResponseBytes')} FROM envoy_access_logs "
        f"WHERE {_RANGE} AND Kind = 'http' AND Intermediate = 0 GROUP BY {_keys()}"
    )


def connections() -> str:
    """TCP connections that were heard of: one row a connection, with its counters so far.

    Columns: those of Traffic, then stream (hash of proxy and stream), stream_id, began_ms, ended,
    sent, received (bytes).
    """
    newest = f"tuple(Intermediate = 0, {_BYTES})"
    columns = ", ".join(f"argMax({expression}, {newest}) AS t_{name}" for name, expression in TRAFFIC.items())
    return (
        f"SELECT {columns}, {_STREAM} AS stream, any(StreamId) AS stream_id, "
        "min(toUnixTimestamp64Milli(Timestamp)) AS began_ms, toUInt8(min(Intermediate) = 0) AS ended, "
        "max(ResponseBytes) AS sent, max(RequestBytes) AS received FROM envoy_access_logs "
        f"WHERE {_RANGE} AND {_CONNECTION} GROUP BY stream"
    )


def earlier_connections() -> str:
    """Counters that given streams had reached at a commit: stream, sent, received, ended."""
    return (
        f"SELECT {_STREAM} AS stream, max(ResponseBytes) AS sent, max(RequestBytes) AS received, "
        "toUInt8(min(Intermediate) = 0) AS ended FROM envoy_access_logs "
        f"WHERE {_CONNECTION} AND "
        "Commit <= {upto:UInt64} AND StreamId IN {streams:Array(String)} "
        "AND Received >= fromUnixTimestamp64Milli({since:Int64}) GROUP BY stream"
    )


_BYTES = "RequestBytes + ResponseBytes"
# Entries of the first moment come before the TLS handshake: who the peer is, they do not know yet.
_CONNECTION = "Kind = 'tcp' AND LogType NOT IN ('TcpConnectionStart', 'TcpUpstreamConnected')"
_STREAM = "cityHash64(NodeId, LogName, StreamId)"


def _keys() -> str:
    return ", ".join(f"t_{name}" for name in TRAFFIC)
