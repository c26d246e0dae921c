"""The SELECT that turns enveloped access-log entries into rows of `envoy_access_logs`.

One envelope is one row of the source; ARRAY JOIN unfolds its entries. What Envoy's entries lose,
custom tags carry (see `TAGS`): a tag wins over the field. Text that is not UTF-8 (protobuf forbids
it) makes the payload undecodable.
"""

from __future__ import annotations

from collections.abc import Sequence

from windvane.signals.envoy_als.schema import FIELDS, FLAGS, HTTP_VERSIONS, LOG_TYPES, METHODS, PROTO, STRUCTURE

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


def _texts(values: Sequence[str]) -> str:
    return f"[{', '.join(repr(value) for value in values)}]"


def _name(values: Sequence[str], index: str) -> str:
    """The name of an enum's value; '' for one that is not known."""
    return f"{_texts(values)}[{index} + 1]"


def _address(side: str) -> str:
    """`ip:port` (`[ip]:port` for IPv6), a pipe's path, or an internal listener's name."""
    host = f"common_{side}_socket_host"
    return (
        f"if({host} = '', concat(common_{side}_pipe_path, common_{side}_internal_name), "
        f"concat(if(position({host}, ':') > 0, concat('[', {host}, ']'), {host}), "
        f"':', toString(common_{side}_socket_port)))"
    )


def _nanoseconds(field: str) -> str:
    return f"({field}_seconds * 1000000000 + {field}_nanos)"


def _principal(side: str) -> str:
    return f"arrayFirst(uri -> uri != '', common_tls_{side}_names_uri)"


def _flags() -> str:
    fields = [f"common_flags_{'uaex_reason' if code == 'UAEX' else code.lower()}" for code in FLAGS]
    listed = f"arrayFilter((code, isset) -> isset != 0, {_texts(FLAGS)}, [{', '.join(fields)}])"
    return (
        f"multiIf({_tag('response_flags')} != '', {_tag('response_flags')}, empty({listed}), '-', "
        f"arrayStringConcat({listed}, ','))"
    )


def _map(path: str) -> str:
    return f"mapFromArrays({path}_key, {path}_value)"


def _tag(name: str) -> str:
    return f"common_tags_value[indexOf(common_tags_key, '{name}')]"


def _pair(path: str, name: str) -> str:
    return f"{path}_value[indexOf({path}_key, '{name}')]"


# Column → expression over the leaf fields.
_COLUMNS = {
    "Timestamp": (
        "if(common_start_seconds BETWEEN 1 AND 9000000000, "
        f"fromUnixTimestamp64Nano({_nanoseconds('common_start')}), now64(9))"
    ),
    "NodeId": "node_id",
    "LogName": "log_name",
    "Reporter": "if(endsWith(log_name, '_inbound'), 'destination', 'source')",
    "Kind": "if(http, 'http', 'tcp')",
    "LogType": f"if(common_type BETWEEN 0 AND {len(LOG_TYPES) - 1}, "
    f"{_name(LOG_TYPES, 'common_type')}, toString(common_type))",
    "Intermediate": "common_intermediate",
    "StreamId": "common_stream",
    "Protocol": "multiIf(NOT http, 'tcp', is_grpc, 'grpc', 'http')",
    "HttpVersion": _name(HTTP_VERSIONS, "version"),
    "Method": _name(METHODS, "request_method"),
    "Scheme": "request_scheme",
    "Authority": "request_authority",
    "Path": "if(request_originalpath != '', request_originalpath, request_path)",
    "RouteName": "common_route",
    "ResponseCode": "toUInt16(least(response_code_value, 65535))",
    "ResponseCodeDetails": "response_details",
    "ResponseFlags": _flags(),
    "GrpcStatus": "if(is_grpc, grpc_status, '')",
    "RequestId": "request_id",
    "TraceId": f"lower({_tag('trace_id')})",
    "UserAgent": "request_agent",
    "ForwardedFor": "request_forwarded",
    "DurationNs": f"toUInt64(greatest({_nanoseconds('common_duration')}, 0))",
    "UpstreamServiceTimeMs": f"toUInt32OrZero({_pair('response_headers', 'x-envoy-upstream-service-time')})",
    "RequestBytes": "common_received",
    "ResponseBytes": "common_sent",
    "BodyReceived": "if(http, request_body, tcp_received)",
    "BodySent": "if(http, response_body, tcp_sent)",
    "RequestMessages": f"toUInt64OrZero(splitByChar(',', {_tag('grpc_messages')})[1])",
    "ResponseMessages": f"toUInt64OrZero(splitByChar(',', {_tag('grpc_messages')})[2])",
    "UpstreamAttempts": "common_attempts",
    "UpstreamCluster": f"if({_tag('upstream_cluster')} != '', {_tag('upstream_cluster')}, common_cluster)",
    "UpstreamHost": _address("upstream"),
    "UpstreamLocalAddress": _address("upstreamlocal"),
    "DownstreamLocalAddress": _address("local"),
    "DownstreamRemoteAddress": _address("remote"),
    "DownstreamDirectRemoteAddress": _address("direct"),
    "RequestedServerName": "common_tls_sni",
    "PeerPrincipal": _principal("theirs"),
    "LocalPrincipal": f"if({_tag('upstream_local_san')} != '', {_tag('upstream_local_san')}, {_principal('ours')})",
    "UpstreamPeerPrincipal": _tag("upstream_peer_san"),
    "UpstreamFailure": "common_upstreamfailure",
    "DownstreamFailure": "common_downstreamfailure",
    "TerminationDetails": "common_termination",
    "PeerMetadata": f"if({_tag('peer_metadata')} != '', {_tag('peer_metadata')}, "
    f"{_pair('request_headers', 'x-envoy-peer-metadata')})",
    "RequestHeaders": _map("request_headers"),
    "ResponseHeaders": _map("response_headers"),
    "ResponseTrailers": _map("response_trailers"),
    "Tags": "mapFromArrays("
    f"arrayFilter(key -> NOT has({_texts(tuple(TAGS))}, key), common_tags_key), "
    f"arrayFilter((value, key) -> NOT has({_texts(tuple(TAGS))}, key), common_tags_value, common_tags_key))",
}

COLUMNS = ("Commit", "Received", *_COLUMNS)

_GRPC_STATUS = (
    f"multiIf({_tag('grpc_status')} != '', {_tag('grpc_status')}, {_pair('response_trailers', 'grpc-status')} != '', "
    f"{_pair('response_trailers', 'grpc-status')}, {_pair('response_headers', 'grpc-status')})"
)
_IS_GRPC = (
    f"http AND (grpc_status != '' OR {_tag('grpc_messages')} != '' "
    f"OR match({_pair('request_headers', 'content-type')}, '^application/grpc($|[+;])'))"
)


def select(commit: int) -> str:
    """The SELECT for one group commit; `{source}` stands for the table function that yields envelopes."""
    rows = ", ".join(f"{expression} AS `{column}`" for column, expression in _COLUMNS.items())
    fields = ", ".join(f"entries_log_{name} AS {name}" for name in FIELDS)
    return (
        f"WITH {_GRPC_STATUS} AS grpc_status, {_IS_GRPC} AS is_grpc "
        f"SELECT toUInt64({commit:d}) AS `Commit`, now64(3) AS Received, {rows} "
        f"FROM {{source}} ARRAY JOIN {fields} WHERE NOT throwIf(NOT isValidUTF8({_ALL_TEXT}), 'text is not UTF-8')"
    )


_ALL_TEXT = "concatWithSeparator('|', node_id, log_name, {})".format(
    ", ".join(
        name if kind == "String" else f"arrayStringConcat({name}, '|')"
        for name, kind in FIELDS.items()
        if "String" in kind
    )
)
