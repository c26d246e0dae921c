"""LDS: what a proxy listens on.

A sidecar has one HTTP proxy for all HTTP services (`HTTP_PROXY`), one listener for each service
port (the address an application is given as `<NAME>_SERVICE_HOST/_PORT`), and one for each port of
its own application. A gateway has one listener for each port of its Gateways' servers.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.extensions.filters.listener.tls_inspector.v3 import TlsInspector
from envoy_data_plane.envoy.extensions.filters.network.http_connection_manager.v3 import (
    HttpConnectionManager,
    HttpFilter,
)

from windvane.mesh.inbound import ended_tls
from windvane.mesh.models import Gateway, JWTRule, MTLSMode, Server, ServerTLSSettings
from windvane.mesh.protocols import is_http, named_protocol
from windvane.mesh.resolve import jwt_rules_for, mtls_mode
from windvane.mesh.view import MeshService, ServicePort
from windvane.xds import (
    authentication,
    authorization,
    external_authorization,
    filters,
    http,
    sni_dnat,
    telemetry,
    tls,
    wasm,
)
from windvane.xds.authorization import Guard
from windvane.xds.clusters import inbound_name, inbound_ports, inbound_protocol
from windvane.xds.encoding import any_of, head, text_field, type_url, varint
from windvane.xds.endpoints import cluster_name, socket_address
from windvane.xds.external_authorization import Authorizer, authorizer
from windvane.xds.proxy import Proxy, selects
from windvane.xds.resources import LDS, Resource, joined, pack
from windvane.xds.scope import outbound_scope, unknown_hosts
from windvane.xds.snapshot import Snapshot
from windvane.xds.tcp_routes import (
    TcpRoute,
    filter_chains,
    gateway_routes,
    limit_addresses,
    outbound_routes,
    resolving,
    tcp_filter,
    to_cluster,
)
from windvane.xds.telemetry import Reporting
from windvane.xds.wasm import Plugin

_OUTBOUND = varint(16 << 3) + varint(core.TrafficDirection.OUTBOUND)
HTTP_PROXY = "http_proxy"
"""The name of the HTTP proxy's listener and of its routes."""
_UNOPENED = ("PASSTHROUGH", sni_dnat.MODE)
"""Modes in which TLS is not ended."""


@dataclass(frozen=True, slots=True)
class ServerSpec:
    """A Gateway's server: `routes` names it and its RDS, `names` are for SNI (none: any), `tls` None for plaintext.

    With `tcp` it passes connections on; otherwise it speaks HTTP.
    """

    number: int
    routes: str
    names: tuple[str, ...] = ()
    tls: ServerTLSSettings | None = None
    tcp: tuple[TcpRoute, ...] = ()


@dataclass(frozen=True, slots=True)
class ListenerSpec:
    """All that a listener is made of.

    `target` is the RDS name of HTTP, else the cluster; `tcp` is where connections go that are not HTTP;
    `peer_metadata` is what the proxy says of itself; `mode` is what an inbound listener accepts, `tls` how it ends TLS
    that is not the mesh's; `operation` names the server's spans; `report_interval` (seconds) is for open TCP
    connections. `tokens` and `guards` are the authentication and authorization in force; `guarded_ports` maps ports
    that policies name to listened ones; `asked` is the external authorizer of policies with action CUSTOM. `plugins`
    are Wasm modules.
    """

    name: str
    address: str
    port: int
    reporting: Reporting
    target: str
    is_http: bool = False
    tls: ServerTLSSettings | None = None
    tcp: tuple[TcpRoute, ...] = ()
    peer_metadata: str = ""
    mode: MTLSMode = "DISABLE"
    trust_domain: str = ""
    operation: str = ""
    report_interval: float = 5.0
    servers: tuple[ServerSpec, ...] = ()
    tokens: tuple[JWTRule, ...] = ()
    guards: tuple[Guard, ...] = ()
    guarded_ports: tuple[tuple[int, int], ...] = ()
    asked: Authorizer | None = None
    plugins: tuple[Plugin, ...] = ()


def listeners(proxy: Proxy, snapshot: Snapshot) -> list[Resource]:
    """LDS of a proxy."""
    return [build(spec) for spec in listener_specs(proxy, snapshot)]


def listener_specs(proxy: Proxy, snapshot: Snapshot) -> list[ListenerSpec]:
    """What a proxy listens on."""
    if proxy.role == "router":
        return list(_gateway(proxy, snapshot))
    return [*_outbound(proxy, outbound_scope(proxy, snapshot)), *_inbound(proxy, snapshot)]


def build(spec: ListenerSpec) -> Resource:
    """A listener's LDS resource."""
    if not spec.is_http or spec.reporting.direction != "outbound":
        return _build(spec)
    made = _made(spec.address, spec.reporting)
    had = made.get(spec.name)
    if had is None or had[0] != spec:
        had = made[spec.name] = (spec, _build_outbound_http(spec))
    return had[1]


@lru_cache(maxsize=1024)
def _made(_address: str, _reporting: Reporting) -> dict[str, tuple[ListenerSpec, Resource]]:
    """What a proxy's outbound listeners were made of last, by name: kept by proxy, so that many do not thrash it."""
    return {}


@lru_cache(maxsize=16_384)
def _build(spec: ListenerSpec) -> Resource:
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
    """The service ports of a scope that a proxy has a listener for, with the port that it listens on."""
    return snapshot.derive(("called by address", proxy.key), lambda: list(_called_by_address(proxy, snapshot)))


def _called_by_address(proxy: Proxy, snapshot: Snapshot) -> Iterator[tuple[MeshService, ServicePort, int]]:
    for key, bound in sorted(proxy.place.outbound.items()):
        hostname, _, number = key.rpartition(":")
        service = snapshot.view.services.get(hostname)
        for port in service.ports if service else ():
            if service and str(port.number) == number:
                yield service, port, bound


def gateway_servers(proxy: Proxy, snapshot: Snapshot) -> list[ServerSpec]:
    """The servers of the Gateways that select a proxy, in order; one for connections that no route is bound to has
    nothing to serve and is left out."""
    made = (
        _server(proxy, snapshot, gateway, server)
        for gateway in snapshot.view.gateways
        if selects(gateway, proxy.workload)
        for server in gateway.spec.servers
    )
    return [each for each in made if each is not None]


def _server(proxy: Proxy, snapshot: Snapshot, gateway: Gateway, server: Server) -> ServerSpec | None:
    """Routes are named as in Istio: plain servers of a port share one name, each HTTPS server has its own."""
    assert server.port is not None
    number, protocol = server.port.number, named_protocol(server.port.protocol)
    if protocol in ("http", "http2", "grpc", "grpc-web"):
        return ServerSpec(number, f"http.{number}")
    settings = server.tls if protocol in ("https", "tls") else None
    passed_on = settings is not None and settings.mode in _UNOPENED
    hosts = {host.rpartition("/")[2].lower() for host in server.hosts}
    names = () if "*" in hosts or settings is None else tuple(sorted(hosts))
    name = f"{number}.{server.port.name}.{gateway.name}.{gateway.namespace}"
    if protocol == "https" and not passed_on:
        return ServerSpec(number, f"https.{name}", names, settings)
    if settings is not None and settings.mode == sni_dnat.MODE:
        routes = sni_dnat.passed_on_routes(proxy, snapshot, gateway, server)
    else:
        routes = gateway_routes(proxy, snapshot.view, gateway, server)
    return ServerSpec(number, f"tcp.{name}", names, settings, routes) if routes else None


def _outbound(proxy: Proxy, snapshot: Snapshot) -> Iterator[ListenerSpec]:
    view, settings = snapshot.view, snapshot.settings
    allow_any = unknown_hosts(proxy, snapshot) == "ALLOW_ANY"
    reporting = telemetry.reporting(proxy, snapshot, "outbound")
    peer, address = filters.peer_metadata(proxy.workload, view.cluster_id), proxy.place.address
    yield ListenerSpec(
        HTTP_PROXY, address, proxy.place.http_proxy, reporting, HTTP_PROXY, is_http=True, peer_metadata=peer,
        plugins=wasm.plugins(proxy, snapshot, "outbound", 0),
    )  # fmt: skip
    for service, port, bound in called_by_address(proxy, snapshot):
        cluster = cluster_name(port.number, "", service.hostname)
        connections = () if port.is_http else outbound_routes(proxy, view, service, port, allow_any=allow_any)
        yield ListenerSpec(
            name=cluster,
            address=address,
            port=bound,
            reporting=reporting,
            target=f"{service.hostname}:{port.number}" if port.is_http else cluster,
            is_http=port.is_http,
            tcp=connections,
            peer_metadata=peer if port.is_http else "",
            report_interval=settings.tcp_report_interval,
            plugins=wasm.plugins(proxy, snapshot, "outbound", port.number),
        )


def _inbound(proxy: Proxy, snapshot: Snapshot) -> Iterator[ListenerSpec]:
    view, settings = snapshot.view, snapshot.settings
    reporting = telemetry.reporting(proxy, snapshot, "inbound")
    tokens, guarding = tuple(jwt_rules_for(view, proxy.workload)), authorization.guards(proxy, snapshot)
    asked = authorizer(proxy, snapshot, guarding)
    for number, served in inbound_ports(proxy, snapshot).items():
        yield ListenerSpec(
            name=inbound_name(number),
            address=proxy.place.address,
            port=proxy.place.inbound[number],
            reporting=reporting,
            target=inbound_name(number),
            is_http=is_http(inbound_protocol(proxy, snapshot, number)),
            tls=ended_tls(view, proxy.workload, number),
            tcp=(to_cluster(inbound_name(number)),),
            mode=mtls_mode(view, proxy.workload, number),
            trust_domain=view.trust_domain,
            operation=f"{served[0].hostname}:{served[1].number}/*" if served else "",
            report_interval=settings.tcp_report_interval,
            tokens=tokens,
            guards=guarding,
            guarded_ports=((number, proxy.place.inbound[number]),) if guarding else (),
            asked=asked,
            plugins=wasm.plugins(proxy, snapshot, "inbound", number),
        )


def _gateway(proxy: Proxy, snapshot: Snapshot) -> Iterator[ListenerSpec]:
    reporting = telemetry.reporting(proxy, snapshot, "gateway")
    peer = filters.peer_metadata(proxy.workload, snapshot.view.cluster_id)
    servers, guarding = gateway_servers(proxy, snapshot), authorization.guards(proxy, snapshot)
    for number in dict.fromkeys(server.number for server in servers):
        here = tuple(dict.fromkeys(server for server in servers if server.number == number))
        yield ListenerSpec(
            name=f"gateway|{number}",
            address=proxy.place.address,
            port=proxy.place.inbound.get(number, number),
            reporting=reporting,
            target=here[0].routes,
            is_http=not here[0].tcp,
            peer_metadata=peer,
            trust_domain=snapshot.view.trust_domain,
            report_interval=snapshot.settings.tcp_report_interval,
            servers=here,
            tokens=tuple(jwt_rules_for(snapshot.view, proxy.workload)),
            guards=guarding,
            guarded_ports=((number, proxy.place.inbound.get(number, number)),),
            asked=authorizer(proxy, snapshot, guarding),
            plugins=wasm.plugins(proxy, snapshot, "gateway", number),
        )


def _build_outbound_http(spec: ListenerSpec) -> Resource:
    """One for each service and proxy, the most there is of anything: put together from bytes, not from messages.

    All that a proxy's listeners have in common is encoded once and kept once.
    """
    manager = (
        http.outbound_names(_stat_prefix(spec), spec.target),
        http.outbound_manager(spec.reporting, spec.peer_metadata, spec.plugins),
    )
    socket = text_field(2, spec.address) + varint(3 << 3) + varint(spec.port)
    address = head(1, socket) + socket
    before = b""
    # From the inside: the manager in an Any, in a filter, in a filter chain, in a listener after its name and address.
    for number, lead in (
        (2, text_field(1, type_url(HttpConnectionManager))),
        (4, text_field(1, http.MANAGER)),
        (3, b""),
        (3, text_field(1, spec.name) + head(2, address) + address),
    ):
        before = lead + head(number, before, *manager) + before
    before = text_field(1, LDS) + head(2, before, *manager, _OUTBOUND) + before
    return joined(spec.name, before + manager[0], manager[1], _OUTBOUND)


def _build_outbound(message: listener.Listener, spec: ListenerSpec) -> None:
    message.filter_chains = filter_chains(spec.tcp, telemetry.tcp_logs(spec.reporting), spec.report_interval)
    for chain in message.filter_chains:
        chain.filters = [*wasm.network_filters(spec.plugins, *wasm.PHASES), *chain.filters]
    if any(each.names for each in spec.tcp):
        _inspect(message, wait_no_longer=True)


def _build_inbound(message: listener.Listener, spec: ListenerSpec) -> None:
    if spec.mode != "DISABLE":
        secured = _inbound_chain(spec, mutual_tls=True)
        secured.filter_chain_match = listener.FilterChainMatch(transport_protocol="tls")
        secured.transport_socket = tls.mesh_server(spec.trust_domain, http=spec.is_http)
        message.filter_chains.append(secured)
        _inspect(message, wait_no_longer=spec.mode == "PERMISSIVE")
    if spec.mode != "STRICT":
        plain = _inbound_chain(spec, mutual_tls=False)
        if spec.tls is not None:
            plain.transport_socket = tls.server(spec.tls, http=spec.is_http)
        if spec.mode == "PERMISSIVE":
            plain.filter_chain_match = listener.FilterChainMatch(transport_protocol="raw_buffer")
        message.filter_chains.append(plain)


def _inbound_chain(spec: ListenerSpec, *, mutual_tls: bool) -> listener.FilterChain:
    name = "mutual-tls" if mutual_tls else "plaintext"
    if not spec.is_http:
        return listener.FilterChain(
            name=name, filters=[*_guarding_tcp(spec), _tcp(spec, spec.tcp[0], after_handshake=mutual_tls)]
        )
    routes = http.inbound_routes(spec.target, spec.operation)
    only = http.inbound_manager(spec.reporting, _stat_prefix(spec), routes, _guarding(spec), mutual_tls=mutual_tls)
    plugins = wasm.network_filters(spec.plugins, *wasm.PHASES)
    return listener.FilterChain(name=name, filters=[*plugins, only])


def _build_gateway(message: listener.Listener, spec: ListenerSpec) -> None:
    secured = [server for server in spec.servers if server.tls is not None]
    taken: set[tuple[str, ...]] = set()
    for server in secured or spec.servers[:1]:
        for chain in _gateway_chains(spec, server):
            if _is_new(chain, taken):
                message.filter_chains.append(chain)
    if secured:
        message.listener_filters = [_tls_inspector()]


def _is_new(chain: listener.FilterChain, taken: set[tuple[str, ...]]) -> bool:
    """Whether a chain has server names of its own, which it keeps: Envoy refuses two chains for one name."""
    if chain.filter_chain_match is None:
        return True
    wanted = chain.filter_chain_match.server_names or [""]
    networks = [f"{each.address_prefix}/{each.prefix_len}" for each in chain.filter_chain_match.prefix_ranges]
    own = [name for name in wanted if (name, *networks) not in taken]
    taken.update((name, *networks) for name in own)
    chain.filter_chain_match.server_names = [name for name in own if name]
    return bool(own)


def _gateway_chains(spec: ListenerSpec, server: ServerSpec) -> Iterator[listener.FilterChain]:
    if server.tls is not None and server.tls.mode in _UNOPENED:
        for route in server.tcp:
            chain = _gateway_chain(server, route.names, _gateway_tcp(spec, route))
            limit_addresses(chain, route)
            yield chain
    elif server.tcp:
        yield _gateway_chain(server, server.names, _gateway_tcp(spec, server.tcp[0]), _transport(spec, server))
    else:
        made = http.gateway_manager(
            spec.reporting, spec.peer_metadata, _stat_prefix(spec), server.routes, _guarding(spec)
        )
        yield _gateway_chain(server, server.names, [made], _transport(spec, server))


def _gateway_chain(
    server: ServerSpec,
    names: Sequence[str],
    made: Sequence[listener.Filter],
    transport: core.TransportSocket | None = None,
) -> listener.FilterChain:
    chain = listener.FilterChain(name=server.routes, filters=list(made), transport_socket=transport)
    if server.tls is not None:
        chain.filter_chain_match = listener.FilterChainMatch(transport_protocol="tls", server_names=list(names))
    return chain


def _transport(spec: ListenerSpec, server: ServerSpec) -> core.TransportSocket | None:
    """How a server ends TLS; None for plaintext."""
    if server.tls is None:
        return None
    if server.tls.mode == "ISTIO_MUTUAL":
        return tls.mesh_server(spec.trust_domain, http=not server.tcp)
    return tls.server(server.tls, http=not server.tcp)


def _gateway_tcp(spec: ListenerSpec, route: TcpRoute) -> list[listener.Filter]:
    return [*_guarding_tcp(spec), *resolving(route), _tcp(spec, route)]


def _guarding(spec: ListenerSpec) -> list[HttpFilter]:
    """The filters that refuse requests, in Istio's order: external authorizers, then wrong tokens, for policies ask
    about right ones."""
    return [
        *external_authorization.http_filters(spec.guards, spec.asked, spec.guarded_ports),
        *wasm.http_filters(spec.plugins, "AUTHN"),
        *authentication.http_filters(spec.tokens),
        *wasm.http_filters(spec.plugins, "AUTHZ"),
        *authorization.http_filters(spec.guards, spec.guarded_ports),
        *wasm.http_filters(spec.plugins, "STATS", "UNSPECIFIED_PHASE"),
    ]


def _guarding_tcp(spec: ListenerSpec) -> list[listener.Filter]:
    return [
        *external_authorization.network_filters(spec.guards, spec.asked, spec.guarded_ports),
        *wasm.network_filters(spec.plugins, "AUTHN", "AUTHZ"),
        *authorization.network_filters(spec.guards, spec.guarded_ports),
        *wasm.network_filters(spec.plugins, "STATS", "UNSPECIFIED_PHASE"),
    ]


def _tcp(spec: ListenerSpec, route: TcpRoute, *, after_handshake: bool = False) -> listener.Filter:
    logs = telemetry.tcp_logs(spec.reporting)
    return tcp_filter(route, logs, spec.report_interval, after_handshake=after_handshake)


def _stat_prefix(spec: ListenerSpec) -> str:
    direction = "inbound" if spec.reporting.direction == "inbound" else "outbound"
    return f"{direction}_{spec.target.removesuffix('||').rpartition('|')[2]};"


def _inspect(message: listener.Listener, *, wait_no_longer: bool) -> None:
    """See whether TLS is spoken. A protocol whose server speaks first sends nothing to inspect: after a second the
    connection is closed, or goes on as one without TLS."""
    message.listener_filters = [_tls_inspector()]
    message.listener_filters_timeout = timedelta(seconds=1)
    message.continue_on_listener_filters_timeout = wait_no_longer


def _tls_inspector() -> listener.ListenerFilter:
    return listener.ListenerFilter(name="envoy.filters.listener.tls_inspector", typed_config=any_of(TlsInspector()))
