"""The SELECT that turns enveloped access-log messages into rows of `envoy_access_logs`.

One envelope is one row of the source; the entries of its message are unfolded by ARRAY JOIN. HTTP
and TCP entries share their common part; arrays of what only one kind has are padded with empty
values, so both kinds leave one SELECT. What Envoy's message loses, custom tags carry (see
`TAGS`): a tag wins over the field.
"""

from __future__ import annotations

from windvane.signals.envoy_als.schema import FLAGS, HTTP_VERSIONS, LOG_TYPES, METHODS, PROTO, STRUCTURE

__all__ = ["COLUMNS", "FORMAT", "SETTINGS", "STRUCTURE", "TABLE", "TAGS", "select"]

TABLE = "envoy_access_logs"
FORMAT = "Protobuf"
SETTINGS: dict[str, str | int] = {
    "format_schema_source": "string",
    "format_schema": PROTO,
    "format_schema_message_name": "Envelope",
}

# Custom tags with a meaning (Envoy's substitution format); they become columns and leave the map `Tags`.
TAGS = {
    "trace_id": "%TRACE_ID%",
    "upstream_peer_san": "%UPSTREAM_PEER_URI_SAN%",
    "upstream_local_san": "%UPSTREAM_LOCAL_URI_SAN%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",  # the field is empty when no host was chosen
    "response_flags": "%RESPONSE_FLAGS%",  # in the order in which Envoy set them
    "grpc_status": "%GRPC_STATUS_NUMBER%",  # from trailers or headers
    "grpc_messages": "%FILTER_STATE(envoy.filters.http.grpc_stats:PLAIN)%",  # "requests,responses"
    "peer_metadata": "%FILTER_STATE(windvane.peer_metadata:PLAIN)%",
}


def _names(values: tuple[str, ...], index: str) -> str:
    return f"[{', '.join(repr(value) for value in values)}][{index} + 1]"


def _address(field: str) -> str:
    """`ip:port` (`[ip]:port` for IPv6), a pipe's path, or an internal listener's name."""
    socket = f"{field}.socket_address"
    host = f"if(position({socket}.address, ':') > 0, concat('[', {socket}.address, ']'), {socket}.address)"
    return (
        f"multiIf({socket}.address != '', concat({host}, ':', toString({socket}.port_value)), "
        f"{field}.pipe.path != '', {field}.pipe.path, {field}.envoy_internal_address.server_listener_name)"
    )


def _nanoseconds(field: str) -> str:
    return f"({field}.seconds * 1000000000 + {field}.nanos)"


def _principal(side: str) -> str:
    return f"arrayFirst(name -> name != '', c.tls_properties.{side}_certificate_properties.subject_alt_name.uri)"


def _flags() -> str:
    set_ = {"unauthorized_details": "c.response_flags.unauthorized_details.reason"}
    codes = ", ".join(f"if({set_.get(name, f'c.response_flags.{name}')} != 0, '{code}', '')" for name, code in FLAGS)
    return (
        "multiIf(tags['response_flags'] != '', tags['response_flags'], "
        "toString(c.response_flags) = empty_flags, '-', "
        f"arrayStringConcat(arrayFilter(code -> code != '', [{codes}]), ','))"
    )


_CONNECTIONS = "Array(Tuple(received_bytes UInt64, sent_bytes UInt64))"
_HTTP_COUNT = "length(message.http_logs.log_entry)"
_TCP_COUNT = "length(message.tcp_logs.log_entry)"

# Column -> expression over: c (common), h (request), r (response), n (connection), version, tags.
_EXPRESSIONS = {
    "Timestamp": (
        f"if(c.start_time.seconds BETWEEN 1 AND 9000000000, fromUnixTimestamp64Nano({_nanoseconds('c.start_time')}), "
        "now64(9))"
    ),
    "NodeId": "node_id",
    "LogName": "log_name",
    "Reporter": "if(endsWith(log_name, '_inbound'), 'destination', 'source')",
    "Kind": "if(is_http, 'http', 'tcp')",
    "LogType": f"if(c.access_log_type BETWEEN 0 AND {len(LOG_TYPES) - 1}, "
    f"{_names(LOG_TYPES, 'c.access_log_type')}, toString(c.access_log_type))",
    "Intermediate": "c.intermediate_log_entry != 0",
    "StreamId": "c.stream_id",
    "Protocol": "multiIf(NOT is_http, 'tcp', is_grpc, 'grpc', 'http')",
    "HttpVersion": _names(HTTP_VERSIONS, "version"),
    "Method": _names(METHODS, "h.request_method"),
    "Scheme": "h.scheme",
    "Authority": "h.authority",
    "Path": "if(h.original_path != '', h.original_path, h.path)",
    "RouteName": "c.route_name",
    "ResponseCode": "toUInt16(least(r.response_code.value, 65535))",
    "ResponseCodeDetails": "r.response_code_details",
    "ResponseFlags": _flags(),
    "GrpcStatus": "if(is_grpc, grpc_status, '')",
    "RequestId": "h.request_id",
    "TraceId": "lower(tags['trace_id'])",
    "UserAgent": "h.user_agent",
    "ForwardedFor": "h.forwarded_for",
    "DurationNs": f"toUInt64(greatest({_nanoseconds('c.duration')}, 0))",
    "UpstreamServiceTimeMs": "toUInt32OrZero(r.response_headers['x-envoy-upstream-service-time'])",
    "RequestBytes": "c.downstream_wire_bytes_received",
    "ResponseBytes": "c.downstream_wire_bytes_sent",
    "BodyReceived": "if(is_http, h.request_body_bytes, n.received_bytes)",
    "BodySent": "if(is_http, r.response_body_bytes, n.sent_bytes)",
    "RequestMessages": "toUInt64OrZero(splitByChar(',', tags['grpc_messages'])[1])",
    "ResponseMessages": "toUInt64OrZero(splitByChar(',', tags['grpc_messages'])[2])",
    "UpstreamAttempts": "c.upstream_request_attempt_count",
    "UpstreamCluster": "if(tags['upstream_cluster'] != '', tags['upstream_cluster'], c.upstream_cluster)",
    "UpstreamHost": _address("c.upstream_remote_address"),
    "UpstreamLocalAddress": _address("c.upstream_local_address"),
    "DownstreamLocalAddress": _address("c.downstream_local_address"),
    "DownstreamRemoteAddress": _address("c.downstream_remote_address"),
    "DownstreamDirectRemoteAddress": _address("c.downstream_direct_remote_address"),
    "RequestedServerName": "c.tls_properties.tls_sni_hostname",
    "PeerPrincipal": _principal("peer"),
    "LocalPrincipal": f"if(tags['upstream_local_san'] != '', tags['upstream_local_san'], {_principal('local')})",
    "UpstreamPeerPrincipal": "tags['upstream_peer_san']",
    "UpstreamFailure": "c.upstream_transport_failure_reason",
    "DownstreamFailure": "c.downstream_transport_failure_reason",
    "TerminationDetails": "c.connection_termination_details",
    "PeerMetadata": "if(tags['peer_metadata'] != '', tags['peer_metadata'], "
    "h.request_headers['x-envoy-peer-metadata'])",
    "RequestHeaders": "h.request_headers",
    "ResponseHeaders": "r.response_headers",
    "ResponseTrailers": "r.response_trailers",
    "Tags": f"mapFilter((key, value) -> key NOT IN ({', '.join(repr(tag) for tag in TAGS)}), tags)",
}

COLUMNS = ("Commit", "Received", *_EXPRESSIONS)


def select(commit: int) -> str:
    """The SELECT for one group commit; `{source}` stands for the table function that yields envelopes."""
    padded_http = ", ".join(
        f"arrayResize(message.http_logs.log_entry.{field}, http_count + tcp_count) AS {alias}"
        for field, alias in (("protocol_version", "version"), ("request", "h"), ("response", "r"))
    )
    rows = ", ".join(f"{expression} AS `{column}`" for column, expression in _EXPRESSIONS.items())
    return (
        f"WITH c.custom_tags AS tags, {_GRPC}, "
        "toString(defaultValueOfTypeName(toTypeName(c.response_flags))) AS empty_flags "
        f"SELECT toUInt64({commit:d}) AS `Commit`, now64(3) AS Received, {rows} FROM ("
        f"SELECT node_id, log_name, message, {_HTTP_COUNT} AS http_count, {_TCP_COUNT} AS tcp_count FROM {{source}}) "
        "ARRAY JOIN "
        "arrayConcat(message.http_logs.log_entry.common_properties, "
        "message.tcp_logs.log_entry.common_properties) AS c, "
        f"{padded_http}, "
        f"arrayConcat(arrayResize(CAST([], '{_CONNECTIONS}'), http_count), "
        "message.tcp_logs.log_entry.connection_properties) AS n, "
        "arrayMap(i -> i <= http_count, range(1, http_count + tcp_count + 1)) AS is_http"
    )


_GRPC = (
    "multiIf(tags['grpc_status'] != '', tags['grpc_status'], r.response_trailers['grpc-status'] != '', "
    "r.response_trailers['grpc-status'], r.response_headers['grpc-status']) AS grpc_status, "
    "is_http AND (grpc_status != '' OR tags['grpc_messages'] != '' "
    "OR match(h.request_headers['content-type'], '^application/grpc($|[+;])')) AS is_grpc"
)
