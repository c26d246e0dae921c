"""RDS: the virtual hosts of `windvane.xds.routes` put into the tables that listeners ask for.

The HTTP proxy's table has every HTTP service, found by authority. A service's own listener is
reached by address, whatever the authority: its table has that service alone, for every domain.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import replace

from envoy_data_plane.envoy.config.route import v3 as route

from windvane.mesh.view import MeshService, ServicePort
from windvane.xds.listeners import HTTP_PROXY, called_by_address, gateway_servers
from windvane.xds.proxy import Proxy
from windvane.xds.resources import Resource, pack
from windvane.xds.routes import virtual_hosts
from windvane.xds.snapshot import Snapshot

BLOCK_ALL = "block_all"
"""Istio's name of the route for hosts that the mesh does not know."""


def route_tables(proxy: Proxy, snapshot: Snapshot) -> list[Resource]:
    """RDS of a proxy."""
    if proxy.role == "router":
        return _gateway(proxy, snapshot)
    key = _reader(proxy, snapshot)
    tables = [snapshot.derive(("routes", key), lambda: _http_proxy(proxy, snapshot))]
    for service, port, _ in called_by_address(proxy, snapshot):
        if port.is_http:
            tables.append(_service_table(proxy, snapshot, service, port, key))
    return tables


def _reader(proxy: Proxy, snapshot: Snapshot) -> Hashable:
    """What of a sidecar decides its routes: its namespace, and its labels if any route matches on them."""

    def selective() -> bool:
        services = snapshot.view.virtual_services
        return any(match.source_labels for each in services for rule in each.spec.http for match in rule.match)

    by_labels = snapshot.derive("selective routes", selective)
    return proxy.namespace, tuple(sorted(proxy.workload.labels.items())) if by_labels else ()


def _http_proxy(proxy: Proxy, snapshot: Snapshot) -> Resource:
    hosts = virtual_hosts(proxy, snapshot.view, None)
    everyone = any("*" in host.domains for host in hosts)
    return _table(HTTP_PROXY, hosts if everyone else [*hosts, _block_all()])


def _service_table(
    proxy: Proxy, snapshot: Snapshot, service: MeshService, port: ServicePort, key: Hashable
) -> Resource:
    name = f"{service.hostname}:{port.number}"

    def make() -> Resource:
        hosts = snapshot.derive(
            ("virtual hosts", port.number, key),
            lambda: {host.name: host for host in virtual_hosts(proxy, snapshot.view, port.number)},
        )
        return _table(name, [replace(hosts[name], domains=["*"])] if name in hosts else [])

    return snapshot.derive(("routes", name, key), make)


def _gateway(proxy: Proxy, snapshot: Snapshot) -> list[Resource]:
    numbers = {server.routes: server.number for server in gateway_servers(proxy, snapshot)}
    return [_table(name, virtual_hosts(proxy, snapshot.view, number)) for name, number in numbers.items()]


def _table(name: str, hosts: Sequence[route.VirtualHost]) -> Resource:
    return pack(name, route.RouteConfiguration(name=name, virtual_hosts=list(hosts), validate_clusters=False))


def _block_all() -> route.VirtualHost:
    """Hosts nobody knows get 502, as in Istio's REGISTRY_ONLY: a workload's name means nothing to DNS here."""
    refused = route.Route(
        name=BLOCK_ALL,
        match=route.RouteMatch(prefix="/"),
        direct_response=route.DirectResponseAction(status=502),
    )
    return route.VirtualHost(name=BLOCK_ALL, domains=["*"], routes=[refused])
