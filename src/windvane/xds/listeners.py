"""LDS: what a proxy listens on.

A sidecar has one HTTP proxy for all HTTP services (`HTTP_PROXY`), one listener for each service
port (the address an application is given as `<NAME>_SERVICE_HOST/_PORT`), and one for each port of
its own application. A gateway has one listener for each port of its Gateways' servers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector.v3 import TlsInspector
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import HttpFilter
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy import v3 as tcp_proxy

from windvane.mesh.models import Gateway, JWTRule, MTLSMode, Server, ServerTLSSettings
from windvane.mesh.resolve import jwt_rules_for, mtls_mode
from windvane.mesh.view import MeshService, ServicePort
from windvane.xds import authentication, authorization, filters, http, telemetry, tls
from windvane.xds.authorization import Guard
from windvane.xds.clusters import inbound_name, inbound_ports
from windvane.xds.encoding import any_of
from windvane.xds.endpoints import cluster_name, socket_address
from windvane.xds.proxy import Proxy, selects
from windvane.xds.resources import Resource, pack
from windvane.xds.snapshot import Snapshot
from windvane.xds.telemetry import Reporting

HTTP_PROXY = "http_proxy"
"""The name of the HTTP proxy's listener and of its routes."""
_EARLY_DATA = 65_536
"""Bytes of a TCP client kept until the application's connection is there."""


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """A Gateway's server: `routes` names its RDS, `names` are for SNI (none: any), `tls` None for plain HTTP."""

    number: int
    routes: str
    names: tuple[str, ...] = ()
    tls: ServerTLSSettings | None = None


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """All that a listener is made of.

    `target` is the RDS name of HTTP, the cluster of TCP and of inbound listeners; `peer_metadata` is
    what the proxy says of itself; `mode` is what an inbound listener accepts; `operation` names the
    server's spans; `report_interval` (seconds) is for open TCP connections. `tokens` and `guards` are the
    authentication and authorization in force; `guarded_ports` maps ports that policies name to listened ones.
    """

    name: str
    address: str
    port: int
    reporting: Reporting
    target: str
    is_http: bool = False
    peer_metadata: str = ""
    mode: MTLSMode = "DISABLE"
    trust_domain: str = ""
    operation: str = ""
    report_interval: float = 5.0
    servers: tuple[ServerSpec, ...] = ()
    tokens: tuple[JWTRule, ...] = ()
    guards: tuple[Guard, ...] = ()
    guarded_ports: tuple[tuple[int, int], ...] = ()


def listeners(proxy: Proxy, snapshot: Snapshot) -> list[Resource]:
    """LDS of a proxy."""
    return [build(spec) for spec in listener_specs(proxy, snapshot)]


def listener_specs(proxy: Proxy, snapshot: Snapshot) -> list[ListenerSpec]:
    """What a proxy listens on."""
    if proxy.role == "router":
        return list(_gateway(proxy, snapshot))
    return [*_outbound(proxy, snapshot), *_inbound(proxy, snapshot)]


@lru_cache(maxsize=65_536)
def build(spec: ListenerSpec) -> Resource:
    """A listener's LDS resource."""
    makers = {"outbound": _build_outbound, "inbound": _build_inbound, "gateway": _build_gateway}
    inbound, outbound = core.TrafficDirection.INBOUND, core.TrafficDirection.OUTBOUND
    message = listener.Listener(
        name=spec.name,
        address=socket_address(spec.address, spec.port),
        traffic_direction=inbound if spec.reporting.direction == "inbound" else outbound,
    )
    makers[spec.reporting.direction](message, spec)
    return pack(spec.name, message)


def called_by_address(proxy: Proxy, snapshot: Snapshot) -> list[tuple[MeshService, ServicePort, int]]:
    """The service ports a proxy has a listener for, with the port that it listens on."""
    return snapshot.derive(("called by address", proxy.key), lambda: list(_called_by_address(proxy, snapshot)))


def _called_by_address(proxy: Proxy, snapshot: Snapshot) -> Iterator[tuple[MeshService, ServicePort, int]]:
    for key, bound in sorted(proxy.place.outbound.items()):
        hostname, _, number = key.rpartition(":")
        service = snapshot.view.services.get(hostname)
        for port in service.ports if service else ():
            if service and str(port.number) == number:
                yield service, port, bound


def gateway_servers(proxy: Proxy, snapshot: Snapshot) -> list[ServerSpec]:
    """HTTP and HTTPS servers of the Gateways that select a proxy, in order; other protocols are not served yet."""
    return [
        _server(gateway, server)
        for gateway in snapshot.view.gateways
        if selects(gateway, proxy.workload)
        for server in gateway.spec.servers
        if _is_served(server)
    ]


def _is_served(server: Server) -> bool:
    protocol = server.port.protocol.upper() if server.port else ""
    if protocol == "HTTPS":
        return server.tls is not None and server.tls.mode in ("SIMPLE", "MUTUAL")
    return protocol in ("HTTP", "HTTP2", "GRPC")


def _server(gateway: Gateway, server: Server) -> ServerSpec:
    """Routes are named as in Istio: plain servers of a port share one name, each HTTPS server has its own."""
    assert server.port is not None
    number = server.port.number
    if server.port.protocol.upper() != "HTTPS":
        return ServerSpec(number, f"http.{number}")
    hosts = {host.rpartition("/")[2] for host in server.hosts}
    names = () if "*" in hosts else tuple(sorted(hosts))
    routes = f"https.{number}.{server.port.name}.{gateway.name}.{gateway.namespace}"
    return ServerSpec(number, routes, names, server.tls)


def _outbound(proxy: Proxy, snapshot: Snapshot) -> Iterator[ListenerSpec]:
    view, settings = snapshot.view, snapshot.settings
    reporting = telemetry.reporting(proxy, snapshot, "outbound")
    peer, address = filters.peer_metadata(proxy.workload, view.cluster_id), proxy.place.address
    yield ListenerSpec(
        HTTP_PROXY, address, proxy.place.http_proxy, reporting, HTTP_PROXY, is_http=True, peer_metadata=peer
    )
    for service, port, bound in called_by_address(proxy, snapshot):
        cluster = cluster_name(port.number, "", service.hostname)
        yield ListenerSpec(
            name=cluster,
            address=address,
            port=bound,
            reporting=reporting,
            target=f"{service.hostname}:{port.number}" if port.is_http else cluster,
            is_http=port.is_http,
            peer_metadata=peer if port.is_http else "",
            report_interval=settings.tcp_report_interval,
        )


def _inbound(proxy: Proxy, snapshot: Snapshot) -> Iterator[ListenerSpec]:
    view, settings = snapshot.view, snapshot.settings
    reporting = telemetry.reporting(proxy, snapshot, "inbound")
    tokens, guarding = tuple(jwt_rules_for(view, proxy.workload)), authorization.guards(proxy, snapshot)
    for number, served in inbound_ports(proxy, snapshot).items():
        yield ListenerSpec(
            name=inbound_name(number),
            address=proxy.place.address,
            port=proxy.place.inbound[number],
            reporting=reporting,
            target=inbound_name(number),
            is_http=served is not None and served[1].is_http,
            mode=mtls_mode(view, proxy.workload, number),
            trust_domain=view.trust_domain,
            operation=f"{served[0].hostname}:{served[1].number}/*" if served else "",
            report_interval=settings.tcp_report_interval,
            tokens=tokens,
            guards=guarding,
            guarded_ports=((number, proxy.place.inbound[number]),) if guarding else (),
        )


def _gateway(proxy: Proxy, snapshot: Snapshot) -> Iterator[ListenerSpec]:
    reporting = telemetry.reporting(proxy, snapshot, "gateway")
    peer = filters.peer_metadata(proxy.workload, snapshot.view.cluster_id)
    servers = gateway_servers(proxy, snapshot)
    for number in dict.fromkeys(server.number for server in servers):
        here = tuple(dict.fromkeys(server for server in servers if server.number == number))
        yield ListenerSpec(
            name=f"gateway|{number}",
            address=proxy.place.address,
            port=proxy.place.inbound.get(number, number),
            reporting=reporting,
            target=here[0].routes,
            is_http=True,
            peer_metadata=peer,
            servers=here,
            tokens=tuple(jwt_rules_for(snapshot.view, proxy.workload)),
            guards=authorization.guards(proxy, snapshot),
            guarded_ports=((number, proxy.place.inbound.get(number, number)),),
        )


def _build_outbound(message: listener.Listener, spec: ListenerSpec) -> None:
    if spec.is_http:
        only = http.outbound_manager(spec.reporting, spec.peer_metadata, _stat_prefix(spec), spec.target)
    else:
        only = _tcp(spec)
    message.filter_chains = [listener.FilterChain(filters=[only])]


def _build_inbound(message: listener.Listener, spec: ListenerSpec) -> None:
    if spec.mode != "DISABLE":
        secured = _inbound_chain(spec, mutual_tls=True)
        secured.filter_chain_match = listener.FilterChainMatch(transport_protocol="tls")
        secured.transport_socket = tls.mesh_server(spec.trust_domain, http=spec.is_http)
        message.filter_chains.append(secured)
        message.listener_filters = [_tls_inspector()]
        # A protocol whose server speaks first sends nothing to inspect: without TLS it goes on after this long.
        message.listener_filters_timeout = timedelta(seconds=1)
        message.continue_on_listener_filters_timeout = spec.mode == "PERMISSIVE"
    if spec.mode != "STRICT":
        plain = _inbound_chain(spec, mutual_tls=False)
        if spec.mode == "PERMISSIVE":
            plain.filter_chain_match = listener.FilterChainMatch(transport_protocol="raw_buffer")
        message.filter_chains.append(plain)


def _inbound_chain(spec: ListenerSpec, *, mutual_tls: bool) -> listener.FilterChain:
    name = "mutual-tls" if mutual_tls else "plaintext"
    if not spec.is_http:
        guarding = authorization.network_filters(spec.guards, spec.guarded_ports)
        return listener.FilterChain(name=name, filters=[*guarding, _tcp(spec, after_handshake=mutual_tls)])
    routes = http.inbound_routes(spec.target, spec.operation)
    only = http.inbound_manager(spec.reporting, _stat_prefix(spec), routes, _guarding(spec), mutual_tls=mutual_tls)
    return listener.FilterChain(name=name, filters=[only])


def _build_gateway(message: listener.Listener, spec: ListenerSpec) -> None:
    secured = [server for server in spec.servers if server.tls is not None]
    message.filter_chains = [_gateway_chain(spec, server) for server in secured or spec.servers[:1]]
    message.listener_filters = [_tls_inspector()] if secured else []


def _gateway_chain(spec: ListenerSpec, server: ServerSpec) -> listener.FilterChain:
    only = http.gateway_manager(spec.reporting, spec.peer_metadata, _stat_prefix(spec), server.routes, _guarding(spec))
    chain = listener.FilterChain(name=server.routes, filters=[only])
    if server.tls is not None:
        chain.filter_chain_match = listener.FilterChainMatch(transport_protocol="tls", server_names=list(server.names))
        chain.transport_socket = tls.server_from_files(server.tls)
    return chain


def _guarding(spec: ListenerSpec) -> list[HttpFilter]:
    """The filters that refuse requests: wrong tokens first, for policies ask about right ones."""
    return [
        *authentication.http_filters(spec.tokens),
        *authorization.http_filters(spec.guards, spec.guarded_ports),
    ]


def _tcp(spec: ListenerSpec, *, after_handshake: bool = False) -> listener.Filter:
    """Bytes to a cluster; `after_handshake` waits until the client is known, so that its first entry names it."""
    config = tcp_proxy.TcpProxy(
        stat_prefix=f"{spec.target};",
        cluster=spec.target,
        access_log=list(telemetry.tcp_logs(spec.reporting)),
        access_log_options=tcp_proxy.TcpProxyTcpAccessLogOptions(
            access_log_flush_interval=timedelta(seconds=spec.report_interval), flush_access_log_on_connected=True
        ),
    )
    if after_handshake:
        config.upstream_connect_mode = tcp_proxy.UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE
        config.max_early_data_bytes = _EARLY_DATA
    return listener.Filter(name="envoy.filters.network.tcp_proxy", typed_config=any_of(config))


def _stat_prefix(spec: ListenerSpec) -> str:
    direction = "inbound" if spec.reporting.direction == "inbound" else "outbound"
    return f"{direction}_{spec.target.removesuffix('||').rpartition('|')[2]};"


def _tls_inspector() -> listener.ListenerFilter:
    return listener.ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=any_of(TlsInspector()))
