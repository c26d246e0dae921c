"""HTTP connection managers: the part of a listener that sees requests."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import cache, lru_cache

from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager import v3 as hcm

from windvane.xds import filters, telemetry, wasm
from windvane.xds.encoding import any_of, encode, head, text_field
from windvane.xds.secrets import ads_source
from windvane.xds.telemetry import Reporting

SERVER_NAME = "istio-envoy"
MANAGER = "envoy.filters.network.http_connection_manager"


@lru_cache(maxsize=4096)
def outbound_manager(wanted: Reporting, peer_metadata: str, plugins: tuple[wasm.Plugin, ...] = ()) -> bytes:
    """Requests of the application: told to the server who sends them. What `outbound_names` says comes before it;
    `plugins` come first."""
    manager = _client_side(wanted, peer_metadata, "", "")
    manager.rds = None
    manager.http_filters = [*wasm.http_filters(plugins, *wasm.PHASES), *manager.http_filters]
    return encode(manager)


def outbound_names(stat_prefix: str, routes: str) -> bytes:
    """What the connection managers of a proxy's outbound listeners do not have in common: all else is encoded once."""
    name = text_field(2, routes)
    return text_field(2, stat_prefix) + head(3, _over_ads(), name) + _over_ads() + name


def gateway_manager(
    wanted: Reporting, peer_metadata: str, stat_prefix: str, routes: str, guarding: Sequence[hcm.HttpFilter] = ()
) -> listener.Filter:
    """Requests from outside the mesh: nothing they say of themselves is believed. `guarding` filters come first."""
    manager = _client_side(wanted, peer_metadata, stat_prefix, routes)
    manager.http_filters = [*guarding, *manager.http_filters]
    manager.use_remote_address = True
    manager.preserve_external_request_id = True
    _forward_identity(manager)
    return _filter(manager)


def inbound_manager(
    wanted: Reporting,
    stat_prefix: str,
    routes: route.RouteConfiguration,
    guarding: Sequence[hcm.HttpFilter] = (),
    *,
    mutual_tls: bool,
) -> listener.Filter:
    """Requests for the application. What a caller says of itself is kept only if mutual TLS vouches for it.

    `guarding` filters refuse requests; by then it is known for telemetry who asks.
    """
    manager = _manager(wanted, stat_prefix)
    manager.route_config = routes
    manager.server_header_transformation = hcm.HttpConnectionManagerServerHeaderTransformation.PASS_THROUGH
    _forward_identity(manager)
    manager.http_filters = [
        *([filters.keep_peer_metadata()] if mutual_tls else []),
        filters.header_mutation(remove=filters.PEER_METADATA_HEADER),
        filters.grpc_stats(),
        *guarding,
        filters.router(),
    ]
    return _filter(manager)


def inbound_routes(name: str, operation: str) -> route.RouteConfiguration:
    """Everything to the application; `operation` names the server's spans, as in Istio `host:port/*`."""
    action = route.RouteAction(
        cluster=name,
        timeout=timedelta(),
        max_stream_duration=route.RouteActionMaxStreamDuration(grpc_timeout_header_max=timedelta()),
    )
    only = route.Route(
        name="default",
        match=route.RouteMatch(prefix="/"),
        route=action,
        decorator=route.Decorator(operation=operation) if operation else None,
    )
    port = name.split("|")[1]
    host = route.VirtualHost(name=f"inbound|http|{port}", domains=["*"], routes=[only])
    return route.RouteConfiguration(name=name, virtual_hosts=[host], validate_clusters=False)


@cache
def _over_ads() -> bytes:
    return encode(hcm.Rds(config_source=ads_source()))


def _client_side(wanted: Reporting, peer_metadata: str, stat_prefix: str, routes: str) -> hcm.HttpConnectionManager:
    manager = _manager(wanted, stat_prefix)
    manager.rds = hcm.Rds(config_source=ads_source(), route_config_name=routes)
    manager.http_filters = [
        filters.say_who_we_are(peer_metadata),
        filters.grpc_stats(),
        filters.fault(),
        filters.cors(),
        filters.forward_proxy(),
        filters.router(),
    ]
    return manager


def _manager(wanted: Reporting, stat_prefix: str) -> hcm.HttpConnectionManager:
    return hcm.HttpConnectionManager(
        stat_prefix=stat_prefix,
        codec_type=hcm.HttpConnectionManagerCodecType.AUTO,
        server_name=SERVER_NAME,
        generate_request_id=True,
        request_id_extension=telemetry.request_ids(wanted),
        use_remote_address=False,
        normalize_path=True,
        stream_idle_timeout=timedelta(),
        tracing=telemetry.tracing(wanted),
        access_log=list(telemetry.http_logs(wanted)),
        upgrade_configs=[hcm.HttpConnectionManagerUpgradeConfig(upgrade_type="websocket")],
    )


def _forward_identity(manager: hcm.HttpConnectionManager) -> None:
    """Tell who the caller is by its certificate, in place of whatever header it sent."""
    manager.forward_client_cert_details = hcm.HttpConnectionManagerForwardClientCertDetails.SANITIZE_SET
    manager.set_current_client_cert_details = hcm.HttpConnectionManagerSetCurrentClientCertDetails(
        subject=True, dns=True, uri=True
    )


def _filter(manager: hcm.HttpConnectionManager) -> listener.Filter:
    return listener.Filter(name=MANAGER, typed_config=any_of(manager))
