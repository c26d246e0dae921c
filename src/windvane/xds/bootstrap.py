"""The configuration an Envoy starts with: who it is, where its control plane and collector are.

Everything else arrives over ADS. It holds the mesh's token if there is one: keep the file to its owner.
Run it as
`envoy --config-path FILE --concurrency 1 --disable-hot-restart`: several Envoys on one machine
must not share the hot-restart segment.
"""

from __future__ import annotations

from typing import Any

from windvane.kit.values import Address
from windvane.mesh.placement import WorkloadPlace
from windvane.mesh.view import MeshView, MeshWorkload
from windvane.xds.proxy import Proxy, role_of
from windvane.xds.snapshot import MeshSettings

ADS_CLUSTER = "xds-grpc"
OTLP_CLUSTER = "windvane-otlp"
ALS_CLUSTER = "windvane-als"
ADMISSION_HEADER = "x-windvane-token"
"""gRPC metadata in which a proxy shows the mesh's token."""

_HTTP2 = {
    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {
            "http2_protocol_options": {"connection_keepalive": {"interval": "30s", "timeout": "10s"}}
        },
    }
}
_RUNTIME = {
    "re2.max_program_size.error_level": 32_768,
    # Spans leave after a second (5 s by itself), many together when there are many.
    "tracing.opentelemetry.flush_interval_ms": 1_000,
    "tracing.opentelemetry.min_flush_spans": 64,
}
# Cluster and connection-manager names hold dots; those of ours end in ";" so that one pattern finds the end.
# Envoy's own pause between attempts grows to half a minute; a control plane on this machine is back sooner.
_RECONNECT = {"retry_back_off": {"base_interval": "0.1s", "max_interval": "1s"}}
_STATS_TAGS = [
    {"tag_name": "cluster_name", "regex": r"^cluster\.((outbound\|[^;]*|[^.]+?);?\.)"},
    {"tag_name": "http_conn_manager_prefix", "regex": r"^http\.((outbound_[^;]*|[^.]+?);?\.)"},
    {"tag_name": "tcp_prefix", "regex": r"^tcp\.((outbound\|[^;]*|[^.]+?);?\.)"},
    {"tag_name": "listener_address", "regex": r"^listener\.(((?:[0-9.]+|\[[0-9a-f_]+\])_\d+)\.)"},
    {"tag_name": "response_code_class", "regex": r"_rq(_(\dxx))$"},
    {"tag_name": "response_code", "regex": r"_rq(_(\d{3}))$"},
]


def bootstrap(view: MeshView, workload: MeshWorkload, place: WorkloadPlace, settings: MeshSettings) -> dict[str, Any]:
    """Envoy's bootstrap (JSON-ready) for one workload's proxy, a gateway when the view says so."""
    proxy = Proxy(role_of(view, workload), workload, place)
    return {
        "node": _node(proxy, view, settings),
        "admin": {"address": socket_address(place.address, place.admin), "ignore_global_conn_limit": True},
        "dynamic_resources": _dynamic_resources(settings),
        "static_resources": {
            "clusters": [
                _grpc_cluster(ADS_CLUSTER, settings.ads),
                _grpc_cluster(OTLP_CLUSTER, settings.collector),
                _grpc_cluster(ALS_CLUSTER, settings.collector),
            ]
        },
        "layered_runtime": {
            "layers": [
                {"name": "mesh", "static_layer": _RUNTIME},
                {"name": "admin", "admin_layer": {}},
            ]
        },
        "overload_manager": _overload(),
        "stats_config": {"use_all_default_tags": False, "stats_tags": _STATS_TAGS},
    }


def socket_address(address: str, port: int) -> dict[str, Any]:
    """An Envoy Address, JSON-ready."""
    return {"socket_address": {"address": address, "port_value": port}}


def _node(proxy: Proxy, view: MeshView, settings: MeshSettings) -> dict[str, Any]:
    workload = proxy.workload
    region, zone, sub_zone = [*workload.locality.split("/"), "", ""][:3]
    return {
        "id": proxy.node_id,
        "cluster": proxy.node_cluster,
        "locality": {"region": region, "zone": zone, "sub_zone": sub_zone},
        "metadata": node_metadata(proxy, view, settings),
    }


def node_metadata(proxy: Proxy, view: MeshView, settings: MeshSettings) -> dict[str, Any]:
    """What a proxy says of itself, under Istio's names."""
    workload = proxy.workload
    return {
        "NAME": workload.name,
        "WORKLOAD_NAME": workload.name,
        "NAMESPACE": workload.namespace,
        "SERVICE_ACCOUNT": workload.service_account,
        "CLUSTER_ID": view.cluster_id,
        "MESH_ID": settings.mesh_id,
        "LABELS": {
            **workload.labels,
            "service.istio.io/canonical-name": workload.canonical_name,
            "service.istio.io/canonical-revision": workload.canonical_revision,
        },
        "INSTANCE_IPS": proxy.place.address,
    }


def _dynamic_resources(settings: MeshSettings) -> dict[str, Any]:
    token = [{"key": ADMISSION_HEADER, "value": settings.ads_token}] if settings.ads_token else []
    over_ads = {"ads": {}, "initial_fetch_timeout": "0s", "resource_api_version": "V3"}
    return {
        "ads_config": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [
                {
                    "envoy_grpc": {"cluster_name": ADS_CLUSTER, "retry_policy": _RECONNECT},
                    "initial_metadata": token,
                }
            ],
        },
        "cds_config": over_ads,
        "lds_config": over_ads,
    }


def _grpc_cluster(name: str, address: Address) -> dict[str, Any]:
    endpoint = {"endpoint": {"address": socket_address(address.host, address.port)}}
    return {
        "name": name,
        "type": "STATIC",
        "connect_timeout": "1s",
        "typed_extension_protocol_options": _HTTP2,
        "upstream_connection_options": {"tcp_keepalive": {"keepalive_time": 300}},
        "load_assignment": {"cluster_name": name, "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _overload() -> dict[str, Any]:
    """Refuse connections past a bound rather than run out of descriptors."""
    package = "envoy.extensions.resource_monitors.downstream_connections.v3"
    connections = {
        "@type": f"type.googleapis.com/{package}.DownstreamConnectionsConfig",
        "max_active_downstream_connections": 20_000,
    }
    return {
        "resource_monitors": [
            {"name": "envoy.resource_monitors.global_downstream_max_connections", "typed_config": connections}
        ]
    }
