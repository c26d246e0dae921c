"""Virtual hosts: which requests go where, from VirtualServices and the registry's services.

Pure generators of a proxy and a view, for three kinds of listeners: a sidecar's HTTP proxy (all
services, by authority), a sidecar's listener for one service port, and a gateway's port.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Iterator, Sequence
from datetime import timedelta
from functools import lru_cache
from typing import Literal, Protocol

from envoy_data_plane.envoy.config.route import v3 as route

from windvane.mesh import hosts
from windvane.mesh.build import MESH_GATEWAY
from windvane.mesh.models import ConsistentHashLB, Gateway, Server, VirtualService
from windvane.mesh.resolve import destination_rule_for
from windvane.mesh.view import MeshService, MeshView, MeshWorkload, ServicePort
from windvane.xds.route_actions import RouteScope, default_route, rule_routes
from windvane.xds.route_match import takes_everything
from windvane.xds.route_policy import consistent_hash

PASSTHROUGH_CLUSTER = "PassthroughCluster"
UnknownHosts = Literal["ALLOW_ANY", "REGISTRY_ONLY"]


class RoutedProxy(Protocol):
    """What routes depend on of a proxy; `role` is `sidecar` or `router` (a gateway)."""

    @property
    def role(self) -> str: ...

    @property
    def workload(self) -> MeshWorkload: ...


def virtual_hosts(
    proxy: RoutedProxy,
    view: MeshView,
    port: int | None = None,
    *,
    unknown: UnknownHosts | None = None,
    passed_to: str = "",
) -> list[route.VirtualHost]:
    """A sidecar's HTTP proxy: every HTTP service by the names its clients use; a gateway: all servers of a port.

    With `port` a sidecar's are only services of that port. Names carry their port, but for port 80,
    where a client leaves it out. `unknown` adds Istio's virtual host for unknown hosts: `ALLOW_ANY` passes their
    requests through (to the cluster `passed_to` if given), `REGISTRY_ONLY` refuses them.
    """
    if proxy.role == "router":
        servers = [pair for pair in _servers(proxy, view) if pair[1].port and pair[1].port.number == port]
        return _gateway_hosts(proxy, view, servers)
    taken: set[str] = set()
    made: list[route.VirtualHost] = []
    for name, domains, routes in (*_service_hosts(proxy, view, port), *_foreign_hosts(proxy, view, port)):
        free = [domain for domain in domains if domain not in taken]
        taken.update(free)
        if free:
            made.append(_virtual_host(name, free, routes))
    made.sort(key=lambda host: host.name)
    if unknown is None:
        return made
    return [*made, _allow_any(passed_to or PASSTHROUGH_CLUSTER) if unknown == "ALLOW_ANY" else _block_all()]


def service_virtual_hosts(proxy: RoutedProxy, view: MeshView, hostname: str, port: int) -> list[route.VirtualHost]:
    """A sidecar's listener for one service port: whatever authority is asked for, the service is meant."""
    service = view.services.get(hostname)
    number = next((item for item in service.ports if item.number == port), None) if service is not None else None
    if service is None or number is None:
        return []
    return [_virtual_host(f"{hostname}:{port}", ["*"], _service_routes(proxy, view, service, number))]


def gateway_virtual_hosts(proxy: RoutedProxy, view: MeshView, table: str) -> list[route.VirtualHost]:
    """A gateway's route table of Istio's name.

    `http.<port>` is for all plain servers of a port, `https.<port>.<port name>.<gateway>.<namespace>`
    for one HTTPS server.
    """
    return _gateway_hosts(proxy, view, [pair for pair in _servers(proxy, view) if _table_name(*pair) == table])


def routes_key(proxy: RoutedProxy, view: MeshView) -> Hashable:
    """What routes depend on of a proxy: proxies with equal keys have equal routes in a view."""
    labels: frozenset[tuple[str, str]] = frozenset()
    if _labels_matter(view):
        labels = frozenset(proxy.workload.labels.items())
    gateways = tuple(
        f"{gateway.namespace}/{gateway.name}"
        for gateway in view.gateways
        if gateway.picks(proxy.workload.labels, proxy.workload.namespace)
    )
    return (proxy.workload.namespace, labels, gateways)


def _labels_matter(view: MeshView) -> bool:
    """Whether any rule is for clients with certain labels."""

    def look() -> bool:
        matches = (match for item in view.virtual_services for rule in item.spec.http for match in rule.match)
        return any(match.source_labels for match in matches) or any(
            rule.spec.workload_selector is not None for rule in view.destination_rules
        )

    return view.derive("labels matter to routes", look)


def _servers(proxy: RoutedProxy, view: MeshView) -> list[tuple[Gateway, Server]]:
    """The servers of all Gateways that select a proxy."""
    return [
        (gateway, server)
        for gateway in view.gateways
        if gateway.picks(proxy.workload.labels, proxy.workload.namespace)
        for server in gateway.spec.servers
    ]


def _table_name(gateway: Gateway, server: Server) -> str:
    assert server.port is not None
    if server.port.protocol.upper() in ("HTTPS", "TLS"):
        return f"https.{server.port.number}.{server.port.name}.{gateway.name}.{gateway.namespace}"
    return f"http.{server.port.number}"


def _gateway_hosts(
    proxy: RoutedProxy, view: MeshView, servers: Iterable[tuple[Gateway, Server]]
) -> list[route.VirtualHost]:
    """The hosts of servers, each with the rules of all VirtualServices bound to them.

    Rules of several VirtualServices for one host are all used, those that take everything at the end.
    """
    routes: dict[str, list[route.Route]] = {}
    redirected: set[str] = set()
    number = 0
    for gateway, server in servers:
        number = server.port.number if server.port is not None else 0
        if server.tls is not None and server.tls.https_redirect:
            redirected.update(host.rpartition("/")[2] for host in server.hosts)
        for host, made in _server_routes(proxy, view, gateway, server):
            routes.setdefault(host, []).extend(made)
    for host in redirected:
        routes.setdefault(host, [])
    found = [
        _gateway_host(host, number, _everything_last(made), must_be_tls=_is_redirected(host, redirected))
        for host, made in sorted(routes.items())
    ]
    return found or [_virtual_host(f"blackhole:{number}", ["*"], [])]


def _scope(proxy: RoutedProxy, view: MeshView, port: int) -> RouteScope:
    return RouteScope(view, proxy.workload.namespace, proxy.workload.labels, port=port)


def _in_mesh(proxy: RoutedProxy, view: MeshView) -> hosts.HostIndex[VirtualService]:
    """The VirtualServices with rules for HTTP that sidecars of a namespace see, by host, the oldest first."""
    namespace = proxy.workload.namespace
    return view.derive(
        ("virtual services in the mesh", namespace),
        lambda: hosts.HostIndex(
            (host, item) for item in seen_in_mesh(view, namespace) if item.spec.http for host in item.spec.hosts
        ),
    )


def seen_in_mesh(view: MeshView, namespace: str) -> list[VirtualService]:
    """The VirtualServices that sidecars of a namespace see, the oldest first."""
    return [
        item
        for item in view.virtual_services
        if MESH_GATEWAY in item.spec.gateways and hosts.is_visible(item.spec.export_to, item.namespace, namespace)
    ]


def _rule_for(proxy: RoutedProxy, view: MeshView, hostname: str) -> VirtualService | None:
    """The VirtualService in force for a service: the most specific host, the oldest of several."""
    return next((level[0] for level in _in_mesh(proxy, view).find(hostname)), None)


def _service_hosts(
    proxy: RoutedProxy, view: MeshView, port: int | None
) -> Iterator[tuple[str, list[str], list[route.Route]]]:
    for hostname, service in sorted(view.services.items()):
        for item in service.ports:
            if item.is_http and port in (None, item.number):
                names = hosts.short_names(hostname, proxy.workload.namespace)
                if service.is_headless:
                    # Its pods have names below its own.
                    names += [f"*.{name}" for name in names]
                yield (
                    f"{hostname}:{item.number}",
                    _domains(names, item.number),
                    _service_routes(proxy, view, service, item),
                )


def _service_routes(proxy: RoutedProxy, view: MeshView, service: MeshService, port: ServicePort) -> list[route.Route]:
    rule = _rule_for(proxy, view, service.hostname)
    routes = rule_routes(rule, _scope(proxy, view, port.number)) if rule is not None else []
    if routes:
        return routes
    policy = destination_rule_for(view, service.hostname, proxy.workload.namespace, proxy.workload.labels)
    hashing = consistent_hash(policy, "", port.number)
    return [_default_route(service.hostname, port.number, hashing)]


def _default_route(hostname: str, port: int, hashing: ConsistentHashLB | None) -> route.Route:
    if hashing is not None:
        return default_route(f"outbound|{port}||{hostname}", f"{hostname}:{port}/*", hashing)
    return _plain_route(hostname, port)


@lru_cache(maxsize=16_384)
def _plain_route(hostname: str, port: int) -> route.Route:
    return default_route(f"outbound|{port}||{hostname}", f"{hostname}:{port}/*")


def _foreign_hosts(
    proxy: RoutedProxy, view: MeshView, port: int | None
) -> Iterator[tuple[str, list[str], list[route.Route]]]:
    """Hosts of VirtualServices that no service has.

    As in Istio they are known on the HTTP ports of the services that the same VirtualService is for,
    and on port 80 where it is for none.
    """
    for item in seen_in_mesh(view, proxy.workload.namespace):
        foreign = [host for host in item.spec.hosts if not _services_of(host, view)]
        for number in _ports_of(item, view) if foreign else ():
            if port in (None, number):
                routes = rule_routes(item, _scope(proxy, view, number))
                for host in foreign if routes else ():
                    yield f"{host}:{number}", _domains([host], number), routes


def _ports_of(item: VirtualService, view: MeshView) -> list[int]:
    """The HTTP ports of the services a VirtualService is for; 80 when it is for none."""
    own = [service for host in item.spec.hosts for service in _services_of(host, view)]
    return sorted({port.number for service in own for port in service.ports if port.is_http}) or [80]


def _services_of(host: str, view: MeshView) -> list[MeshService]:
    if not host.startswith("*"):
        return [view.services[host]] if host in view.services else []
    return [service for name, service in view.services.items() if hosts.covers(host, name)]


def _domains(names: Iterable[str], port: int) -> list[str]:
    return [domain for name in names for domain in ((name, f"{name}:{port}") if port == 80 else (f"{name}:{port}",))]


def _server_routes(
    proxy: RoutedProxy, view: MeshView, gateway: Gateway, server: Server
) -> Iterator[tuple[str, list[route.Route]]]:
    """By host, the rules of the VirtualServices that are bound to a server's gateway and share a host with it."""
    name = f"{gateway.namespace}/{gateway.name}"
    assert server.port is not None
    scope = RouteScope(
        view,
        proxy.workload.namespace,
        proxy.workload.labels,
        gateways=frozenset((name,)),
        port=server.port.number,
        is_tls=server.tls is not None and not server.tls.https_redirect,
    )
    for item in view.virtual_services:
        seen = hosts.is_visible(item.spec.export_to, item.namespace, proxy.workload.namespace)
        if name not in item.spec.gateways or not seen:
            continue
        routes = rule_routes(item, scope)
        for host in dict.fromkeys(shared_hosts(item, gateway, server)) if routes else ():
            yield host, list(routes)


def shared_hosts(item: VirtualService, gateway: Gateway, server: Server) -> Iterator[str]:
    """Hosts that a VirtualService and a server have in common: of two that overlap the narrower one."""
    for exposed in server.hosts:
        namespace, slash, pattern = exposed.rpartition("/")
        allowed = gateway.namespace if namespace == "." else namespace
        if slash and allowed not in ("*", item.namespace):
            continue
        for host in item.spec.hosts:
            if hosts.matches(pattern, host):
                yield host if hosts.covers(pattern, host) else pattern


def _everything_last(routes: list[route.Route]) -> list[route.Route]:
    return sorted(routes, key=takes_everything)


def _is_redirected(host: str, redirected: set[str]) -> bool:
    return any(hosts.covers(pattern, host) for pattern in redirected)


def _gateway_host(host: str, port: int, routes: list[route.Route], *, must_be_tls: bool) -> route.VirtualHost:
    # A client behind the gateway's address may name any port; Envoy takes one wildcard in a domain only.
    other = [] if host == "*" else [f"{host}:{port}"] if host.startswith("*") else [f"{host}:*"]
    made = _virtual_host(f"{host}:{port}", [host, *other], routes)
    if must_be_tls:
        made.require_tls = route.VirtualHostTlsRequirementType.ALL
    return made


def _virtual_host(name: str, domains: Sequence[str], routes: Sequence[route.Route]) -> route.VirtualHost:
    hostname, _, port = name.rpartition(":")
    if len(routes) == 1 and port.isdecimal() and routes[0] is _plain_route(hostname, int(port)):
        return _plain_host(name, tuple(domains))
    return _new_host(name, domains, routes)


@lru_cache(maxsize=16_384)
def _plain_host(name: str, domains: tuple[str, ...]) -> route.VirtualHost:
    """One that no rule is for: the same in every table, and encoded once."""
    hostname, _, port = name.rpartition(":")
    return _new_host(name, domains, [_plain_route(hostname, int(port))])


def _new_host(name: str, domains: Sequence[str], routes: Sequence[route.Route]) -> route.VirtualHost:
    return route.VirtualHost(name=name, domains=list(domains), routes=list(routes), include_request_attempt_count=True)


def _allow_any(cluster: str) -> route.VirtualHost:
    """Hosts that the mesh does not know are reached as they are, or by a proxy for them (Istio's ALLOW_ANY)."""
    action = route.RouteAction(
        cluster=cluster,
        timeout=timedelta(),
        max_stream_duration=route.RouteActionMaxStreamDuration(grpc_timeout_header_max=timedelta()),
    )
    only = route.Route(name="allow_any", match=route.RouteMatch(prefix="/"), route=action)
    return _virtual_host("allow_any", ["*"], [only])


def _block_all() -> route.VirtualHost:
    """Hosts that the proxy does not know are refused (Istio's REGISTRY_ONLY)."""
    refusal = route.DirectResponseAction(status=502)
    only = route.Route(name="block_all", match=route.RouteMatch(prefix="/"), direct_response=refusal)
    return _virtual_host("block_all", ["*"], [only])
