"""Where connections go: VirtualServices' `tcp` and `tls` routes for a sidecar's listener and a gateway's server.

Ports of protocol TLS and HTTPS follow `tls` routes, by the server name that the client asks for (SNI); all
other ports that are not HTTP follow `tcp` routes. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from ipaddress import ip_network

from envoy_data_plane.envoy.config.accesslog.v3 import AccessLog
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.listener import v3 as listener
from envoy_data_plane.envoy.extensions.filters.network.sni_dynamic_forward_proxy import v3 as sni
from envoy_data_plane.envoy.extensions.filters.network.tcp_proxy import v3 as tcp_proxy
from envoy_data_plane.envoy.type import v3 as types

from windvane.mesh import hosts
from windvane.mesh.models import (
    Gateway,
    L4MatchAttributes,
    RouteDestination,
    Server,
    TLSMatchAttributes,
    VirtualService,
)
from windvane.mesh.models.destination_rule import TunnelSettings
from windvane.mesh.resolve import destination_rule_for
from windvane.mesh.view import MeshService, MeshView, ServicePort
from windvane.xds.encoding import any_of
from windvane.xds.endpoints import cluster_name
from windvane.xds.filters import dns_cache
from windvane.xds.policy import policy_for
from windvane.xds.route_actions import RouteScope
from windvane.xds.routes import RoutedProxy, seen_in_mesh, shared_hosts

_EARLY_DATA = 65_536
"""Bytes of a TCP client kept until the application's connection is there."""


@dataclass(frozen=True, slots=True)
class TcpRoute:
    """Connections that ask for one of `names` (SNI; none: all others) and the clusters they are shared among.

    `clusters` have relative weights; `idle_timeout` is in seconds; `by_source` keeps a client's address at
    one endpoint; `subnets` limit the address that a gateway must have been called by; `resolved` is
    the port at which the server name itself is asked for; with `tunnel` connections go through HTTP to its target.
    """

    clusters: tuple[tuple[str, int], ...]
    names: tuple[str, ...] = ()
    stat: str = ""
    idle_timeout: float | None = None
    by_source: bool = False
    subnets: tuple[str, ...] = ()
    resolved: int = 0
    tunnel: TunnelSettings | None = None


def to_cluster(cluster: str) -> TcpRoute:
    """All connections to one cluster."""
    return TcpRoute(((cluster, 1),), stat=cluster)


def is_tls(port: ServicePort) -> bool:
    """Whether clients speak TLS of their own on a port."""
    return port.protocol in ("tls", "https")


def outbound_routes(
    proxy: RoutedProxy, view: MeshView, service: MeshService, port: ServicePort, *, allow_any: bool
) -> tuple[TcpRoute, ...]:
    """Routes of a sidecar's listener for one service port, each server name once, the one for all others last.

    Server names that no rule has are passed on to the service itself if `allow_any`, as they would be to the
    address that the client called; otherwise the connection is closed.
    """
    scope = RouteScope(view, proxy.workload.namespace, proxy.workload.labels, port=port.number)
    own = _policed(TcpRoute(((cluster_name(port.number, "", service.hostname), 1),)), scope, service.hostname)
    items = [
        item
        for item in _with_connections(view, scope.namespace)
        if any(hosts.covers(host, service.hostname) for host in item.spec.hosts)
    ]
    if not is_tls(port):
        return (next(_tcp(items, scope, service.addresses), own),)
    found = list(_without_repeats(_tls(items, scope, service.addresses)))
    return (*found, own) if allow_any or not found else tuple(found)


def gateway_routes(proxy: RoutedProxy, view: MeshView, gateway: Gateway, server: Server) -> tuple[TcpRoute, ...]:
    """Routes of a Gateway's server that does not speak HTTP; none where no VirtualService is bound to it."""
    name = f"{gateway.namespace}/{gateway.name}"
    assert server.port is not None
    scope = RouteScope(
        view,
        proxy.workload.namespace,
        proxy.workload.labels,
        gateways=frozenset((name,)),
        port=server.port.number,
    )
    items = [
        item
        for item in view.virtual_services
        if name in item.spec.gateways
        and hosts.is_visible(item.spec.export_to, item.namespace, proxy.workload.namespace)
        and any(True for _ in shared_hosts(item, gateway, server))
    ]
    if server.tls is not None and server.tls.mode == "PASSTHROUGH":
        return tuple(_without_repeats(_tls(items, scope)))
    return tuple(_tcp(items, scope))[:1]


def filter_chains(
    routes: Sequence[TcpRoute], access_logs: Sequence[AccessLog], report_interval: float
) -> list[listener.FilterChain]:
    """One filter chain a route, chosen by the server name that is asked for."""
    return [
        listener.FilterChain(
            filter_chain_match=listener.FilterChainMatch(server_names=list(each.names)) if each.names else None,
            filters=[*resolving(each), tcp_filter(each, access_logs, report_interval)],
        )
        for each in routes
    ]


def resolving(wanted: TcpRoute) -> list[listener.Filter]:
    """What resolves the server name that a client asks for, where its cluster has no endpoints of its own."""
    if not wanted.resolved:
        return []
    config = sni.FilterConfig(dns_cache_config=dns_cache(), port_value=wanted.resolved)
    return [listener.Filter(name="envoy.filters.network.sni_dynamic_forward_proxy", typed_config=any_of(config))]


def limit_addresses(chain: listener.FilterChain, wanted: TcpRoute) -> None:
    """Let a chain be for connections to a route's subnets only."""
    networks = [ip_network(text, strict=False) for text in wanted.subnets]
    if chain.filter_chain_match is not None:
        chain.filter_chain_match.prefix_ranges = [
            core.CidrRange(address_prefix=str(each.network_address), prefix_len=each.prefixlen) for each in networks
        ]


def tcp_filter(
    wanted: TcpRoute, access_logs: Sequence[AccessLog], report_interval: float, *, after_handshake: bool = False
) -> listener.Filter:
    """Bytes to clusters; `after_handshake` waits until the client is known, so that its first entry names it.

    An open connection reports every `report_interval` seconds.
    """
    config = tcp_proxy.TcpProxy(
        stat_prefix=f"{wanted.stat};",
        access_log=list(access_logs),
        access_log_options=tcp_proxy.TcpProxyTcpAccessLogOptions(
            access_log_flush_interval=timedelta(seconds=report_interval), flush_access_log_on_connected=True
        ),
        idle_timeout=None if wanted.idle_timeout is None else timedelta(seconds=wanted.idle_timeout),
        hash_policy=[types.HashPolicy(source_ip=types.HashPolicySourceIp())] if wanted.by_source else [],
    )
    if wanted.tunnel is not None:
        config.tunneling_config = tcp_proxy.TcpProxyTunnelingConfig(
            hostname=_host_and_port(wanted.tunnel), use_post=wanted.tunnel.protocol == "POST"
        )
    if len(wanted.clusters) == 1:
        config.cluster = wanted.clusters[0][0]
    else:
        config.weighted_clusters = tcp_proxy.TcpProxyWeightedCluster(
            clusters=[
                tcp_proxy.TcpProxyWeightedClusterClusterWeight(name=name, weight=weight)
                for name, weight in wanted.clusters
            ]
        )
    if after_handshake:
        config.upstream_connect_mode = tcp_proxy.UpstreamConnectMode.ON_DOWNSTREAM_TLS_HANDSHAKE
        config.max_early_data_bytes = _EARLY_DATA
    return listener.Filter(name="envoy.filters.network.tcp_proxy", typed_config=any_of(config))


def _host_and_port(tunnel: TunnelSettings) -> str:
    host = f"[{tunnel.target_host}]" if ":" in tunnel.target_host else tunnel.target_host
    return f"{host}:{tunnel.target_port}"


def _with_connections(view: MeshView, namespace: str) -> list[VirtualService]:
    """The VirtualServices in the mesh that say anything of connections, the oldest first."""
    return view.derive(
        ("connections", namespace),
        lambda: [item for item in seen_in_mesh(view, namespace) if item.spec.tcp or item.spec.tls],
    )


def _tcp(
    items: Sequence[VirtualService], scope: RouteScope, addresses: Sequence[str] | None = None
) -> Iterator[TcpRoute]:
    """Routes of rules that hold for a service at `addresses` (None: at a gateway); the first is the one that counts."""
    for item in items:
        for rule in item.spec.tcp:
            if not rule.match or any(_applies(match, scope, addresses) for match in rule.match):
                yield _route(item, rule.route, scope)


def _tls(
    items: Sequence[VirtualService], scope: RouteScope, addresses: Sequence[str] | None = None
) -> Iterator[TcpRoute]:
    for item in items:
        for rule in item.spec.tls:
            for match in rule.match:
                if _applies(match, scope, addresses):
                    subnets = match.destination_subnets if addresses is None else ()
                    yield replace(_route(item, rule.route, scope), names=match.sni_hosts, subnets=subnets)


def _without_repeats(routes: Iterator[TcpRoute]) -> Iterator[TcpRoute]:
    """Each server name once, for the first route that has it: Envoy refuses two; `*` is for all others."""
    taken: set[tuple[str, tuple[str, ...]]] = set()
    others: TcpRoute | None = None
    for each in routes:
        names = tuple(name for name in dict.fromkeys(map(str.lower, each.names)) if (name, each.subnets) not in taken)
        taken.update((name, each.subnets) for name in names)
        if "*" in names and others is None:
            others = replace(each, names=())
        elif names:
            yield replace(each, names=names)
    if others is not None:
        yield others


def _applies(match: L4MatchAttributes | TLSMatchAttributes, scope: RouteScope, addresses: Sequence[str] | None) -> bool:
    """Whether a match can hold here. A gateway is asked from outside: who asks has no labels to look at.

    A sidecar's listener for a service stands for its address, which is that of the cluster.
    """
    if match.port not in (0, scope.port):
        return False
    if addresses is not None and match.destination_subnets and not lies_in(addresses, match.destination_subnets):
        return False
    if match.gateways and scope.gateways.isdisjoint(match.gateways):
        return False
    if "mesh" not in scope.gateways:
        return True
    same_source = match.source_labels.items() <= scope.labels.items()
    return same_source and match.source_namespace in ("", scope.namespace)


def lies_in(addresses: Sequence[str], subnets: Sequence[str]) -> bool:
    """Whether any address (or network) is within one of some networks."""
    wanted = [ip_network(text, strict=False) for text in subnets]
    given = [ip_network(text, strict=False) for text in addresses]
    return any(one.version == two.version and one.subnet_of(two) for one in given for two in wanted)  # type: ignore[arg-type]


def _route(item: VirtualService, targets: Collection[RouteDestination], scope: RouteScope) -> TcpRoute:
    # A destination of weight 0 gets nothing and is left out; one alone gets everything, whatever its weight.
    used = [each for each in targets if each.weight > 0 or len(targets) == 1]
    clusters = tuple((scope.cluster(each.destination), each.weight) for each in used if each.destination is not None)
    made = TcpRoute(clusters, stat=f"{item.name}.{item.namespace}")
    first = used[0].destination
    assert first is not None
    if not first.host:
        return made
    port = int(clusters[0][0].split("|")[1])
    service = scope.view.services.get(first.host)
    resolved = port if service is not None and service.resolution == "dynamic" else 0
    return _policed(replace(made, resolved=resolved), scope, first.host, first.subset, port)


def _policed(made: TcpRoute, scope: RouteScope, hostname: str, subset: str = "", port: int | None = None) -> TcpRoute:
    """A route with what the DestinationRule of its first destination says of connections."""
    rule = destination_rule_for(scope.view, hostname, scope.namespace, scope.labels)
    named = next((each for each in rule.spec.subsets if each.name == subset), None) if rule and subset else None
    policy = policy_for(rule, named, scope.port if port is None else port)
    tcp = policy.connection_pool.tcp if policy.connection_pool else None
    hashing = policy.load_balancer.consistent_hash if policy.load_balancer else None
    # A subset's tunnel is its own: that of the whole host is not its.
    whole = named.traffic_policy if subset and named else rule.spec.traffic_policy if rule and not subset else None
    return replace(
        made,
        stat=made.clusters[0][0] if len(made.clusters) == 1 else made.stat,
        idle_timeout=tcp.idle_timeout if tcp else None,
        by_source=bool(hashing and hashing.use_source_ip),
        tunnel=whole.tunnel if whole else None,
    )
