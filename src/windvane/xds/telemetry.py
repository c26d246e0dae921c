"""What a proxy reports: spans over OTLP, one access-log entry a request or connection over ALS.

Windvane derives Istio's metrics from the access log, so every proxy always sends it; a Telemetry
resource decides on sampling, tags, and an additional log in text on the proxy's standard output.
Messages made here are the same for every listener of a proxy, so they are made once and shared.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Literal, NamedTuple

import betterproto2
from envoy_data_plane.envoy.config.accesslog import v3 as accesslog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.trace import v3 as trace
from envoy_data_plane.envoy.extensions.access_loggers.file.v3 import FileAccessLog
from envoy_data_plane.envoy.extensions.access_loggers.filters.cel.v3 import ExpressionFilter
from envoy_data_plane.envoy.extensions.access_loggers.grpc import v3 as als
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm
from envoy_data_plane.envoy.extensions.request_id.uuid.v3 import UuidRequestIdConfig
from envoy_data_plane.envoy.type import v3 as types
from envoy_data_plane.envoy.type.tracing import v3 as tracing_types

from windvane.mesh.models import CustomTag
from windvane.mesh.resolve import telemetry_for
from windvane.xds.bootstrap import ALS_CLUSTER, OTLP_CLUSTER
from windvane.xds.encoding import any_of
from windvane.xds.filters import PEER_METADATA_STATE
from windvane.xds.proxy import Proxy
from windvane.xds.snapshot import Snapshot

Direction = Literal["inbound", "outbound", "gateway"]
"""Also the second half of access-log names: `http_inbound`, …, `tcp_outbound`."""

_CONNECTION_TAGS = {
    "upstream_peer_san": "%UPSTREAM_PEER_URI_SAN%",
    "upstream_local_san": "%UPSTREAM_LOCAL_URI_SAN%",
    # The entry's own field is empty when no endpoint was chosen, and its flags lose the order they were set in.
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "response_flags": "%RESPONSE_FLAGS%",
}
_REQUEST_TAGS = {
    "trace_id": "%TRACE_ID%",
    **_CONNECTION_TAGS,
    "grpc_status": "%GRPC_STATUS_NUMBER%",
    "grpc_messages": "%FILTER_STATE(envoy.filters.http.grpc_stats:PLAIN)%",
    "peer_metadata": f"%FILTER_STATE({PEER_METADATA_STATE}:PLAIN)%",
}
# Istio's default text format (its documentation, "Envoy access logs"), one line a request.
_TEXT_FORMAT = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%\n"
)
_FLUSH_INTERVAL, _FLUSH_BYTES = timedelta(milliseconds=200), 16_384


class Tag(NamedTuple):
    """A span tag: `source` says what `value` is. (A tuple, because listeners are looked up by it often.)"""

    name: str
    source: Literal["literal", "header", "environment", "formatter"]
    value: str
    default: str = ""


@dataclass(frozen=True, slots=True)
class Reporting:
    """What one side of a proxy reports: the Telemetry in force, with the proxy's own names filled in.

    `sampling` is in percent; with `propagation` requests carry the trace's context on; `tags` are Istio's and the
    Telemetry's, by name.
    """

    direction: Direction
    service_name: str
    sampling: float
    spans: bool = True
    sampling_by_request_id: bool = True
    propagation: bool = True
    tags: tuple[Tag, ...] = ()
    text_log: bool = False
    text_filter: str = ""


def reporting(proxy: Proxy, snapshot: Snapshot, direction: Direction) -> Reporting:
    """What a proxy is to report of the requests it gets (`inbound`) or makes."""
    effective = telemetry_for(snapshot.view, proxy.workload)
    side = effective.server if direction == "inbound" else effective.client
    sampling, providers = side.random_sampling_percentage, side.access_log_providers
    tags = _istio_tags(proxy, snapshot) if side.enable_istio_tags else {}
    return Reporting(
        direction=direction,
        service_name=proxy.node_cluster,
        sampling=snapshot.settings.sampling if sampling is None else sampling,
        spans=not side.disable_span_reporting,
        sampling_by_request_id=side.use_request_id_for_trace_sampling,
        propagation=not side.disable_context_propagation,
        tags=tuple(sorted({**tags, **{name: _tag(name, tag) for name, tag in side.custom_tags.items()}}.values())),
        text_log=bool(side.access_log) and (not providers or "envoy" in providers),
        text_filter=side.access_log_filter,
    )


@lru_cache(maxsize=4096)
def tracing(wanted: Reporting) -> hcm.HttpConnectionManagerTracing | None:
    """Spans of a connection manager; None when a Telemetry switched them off."""
    if not wanted.spans:
        return None
    config = trace.OpenTelemetryConfig(grpc_service=_grpc_service(OTLP_CLUSTER), service_name=wanted.service_name)
    return hcm.HttpConnectionManagerTracing(
        client_sampling=types.Percent(value=100.0),
        random_sampling=types.Percent(value=wanted.sampling),
        overall_sampling=types.Percent(value=100.0),
        custom_tags=[_custom_tag(tag) for tag in wanted.tags],
        provider=trace.TracingHttp(name="envoy.tracers.opentelemetry", typed_config=any_of(config)),
        # A gateway is a hop of its own: its span has a child for the call it makes.
        spawn_upstream_span=True if wanted.direction == "gateway" else None,
        no_context_propagation=not wanted.propagation,
    )


def request_ids(wanted: Reporting) -> hcm.RequestIdExtension | None:
    """None for Envoy's default, which writes the sampling decision into the request id."""
    if wanted.sampling_by_request_id:
        return None
    config = UuidRequestIdConfig(use_request_id_for_trace_sampling=False)
    return hcm.RequestIdExtension(typed_config=any_of(config))


@lru_cache(maxsize=4096)
def http_logs(wanted: Reporting) -> tuple[accesslog.AccessLog, ...]:
    """The access logs of a connection manager."""
    config = als.HttpGrpcAccessLogConfig(
        common_config=_common(f"http_{wanted.direction}", _REQUEST_TAGS),
        additional_request_headers_to_log=["content-type"],
        additional_response_headers_to_log=["x-envoy-upstream-service-time"],
    )
    return (_log("envoy.access_loggers.http_grpc", config), *_text_log(wanted))


@lru_cache(maxsize=4096)
def tcp_logs(wanted: Reporting) -> tuple[accesslog.AccessLog, ...]:
    """The access logs of a TCP proxy."""
    config = als.TcpGrpcAccessLogConfig(common_config=_common(f"tcp_{wanted.direction}", _CONNECTION_TAGS))
    return (_log("envoy.access_loggers.tcp_grpc", config), *_text_log(wanted))


def _istio_tags(proxy: Proxy, snapshot: Snapshot) -> dict[str, Tag]:
    values = {
        "istio.canonical_revision": proxy.workload.canonical_revision,
        "istio.canonical_service": proxy.workload.canonical_name,
        "istio.cluster_id": snapshot.view.cluster_id,
        "istio.mesh_id": snapshot.settings.mesh_id,
        "istio.namespace": proxy.namespace,
    }
    return {name: Tag(name, "literal", value) for name, value in values.items() if value}


def _tag(name: str, tag: CustomTag) -> Tag:
    if tag.header is not None:
        return Tag(name, "header", tag.header.name, tag.header.default_value)
    if tag.environment is not None:
        return Tag(name, "environment", tag.environment.name, tag.environment.default_value)
    if tag.formatter is not None:
        return Tag(name, "formatter", tag.formatter.value)
    return Tag(name, "literal", tag.literal.value if tag.literal else "")


def _custom_tag(tag: Tag) -> tracing_types.CustomTag:
    made = tracing_types.CustomTag(tag=tag.name)
    if tag.source == "header":
        made.request_header = tracing_types.CustomTagHeader(name=tag.value, default_value=tag.default)
    elif tag.source == "environment":
        made.environment = tracing_types.CustomTagEnvironment(name=tag.value, default_value=tag.default)
    elif tag.source == "formatter":
        made.value = tag.value
    else:
        made.literal = tracing_types.CustomTagLiteral(value=tag.value)
    return made


def _common(name: str, tags: Mapping[str, str]) -> als.CommonGrpcAccessLogConfig:
    return als.CommonGrpcAccessLogConfig(
        log_name=name,
        grpc_service=_grpc_service(ALS_CLUSTER),
        transport_api_version=core.ApiVersion.V3,
        buffer_flush_interval=_FLUSH_INTERVAL,
        buffer_size_bytes=_FLUSH_BYTES,
        custom_tags=[tracing_types.CustomTag(tag=tag, value=value) for tag, value in tags.items()],
    )


def _text_log(wanted: Reporting) -> list[accesslog.AccessLog]:
    if not wanted.text_log:
        return []
    text = core.SubstitutionFormatString(text_format_source=core.DataSource(inline_string=_TEXT_FORMAT))
    log = _log("envoy.access_loggers.file", FileAccessLog(path="/dev/stdout", log_format=text))
    if wanted.text_filter:
        expression = any_of(ExpressionFilter(expression=wanted.text_filter))
        extension = accesslog.ExtensionFilter(
            name="envoy.access_loggers.extension_filters.cel", typed_config=expression
        )
        log.filter = accesslog.AccessLogFilter(extension_filter=extension)
    return [log]


def _log(name: str, config: betterproto2.Message) -> accesslog.AccessLog:
    return accesslog.AccessLog(name=name, typed_config=any_of(config))


def _grpc_service(cluster: str) -> core.GrpcService:
    return core.GrpcService(envoy_grpc=core.GrpcServiceEnvoyGrpc(cluster_name=cluster))
