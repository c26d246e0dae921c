"""Gateways of mode AUTO_PASSTHROUGH: mutual TLS of the mesh is passed on unopened to the service that its server name
spells, `outbound_.PORT_.SUBSET_.HOST`. Pure.

Each such name has a cluster of its own without TLS, whose endpoints are those that speak mutual TLS themselves.
"""

from __future__ import annotations

from dataclasses import replace

from windvane.mesh import hosts
from windvane.mesh.models import ClientTLSSettings, Gateway, Server
from windvane.mesh.view import MeshService
from windvane.xds.clusters import OutboundCluster, outbound_clusters
from windvane.xds.proxy import Proxy, selects
from windvane.xds.scope import outbound_scope
from windvane.xds.snapshot import Snapshot
from windvane.xds.tcp_routes import TcpRoute, to_cluster

MODE = "AUTO_PASSTHROUGH"


def is_passing_on(gateway: Gateway) -> bool:
    """Whether any server of a Gateway has the mode."""
    return any(server.tls is not None and server.tls.mode == MODE for server in gateway.spec.servers)


def passed_on_name(port: int, subset: str, host: str) -> str:
    """Istio's name of the cluster, which is also the server name that leads there."""
    return f"outbound_.{port}_.{subset}_.{host}"


def passed_on_clusters(proxy: Proxy, snapshot: Snapshot) -> dict[str, OutboundCluster]:
    """The clusters by name; none unless a Gateway makes the proxy pass connections on by itself."""
    scope = outbound_scope(proxy, snapshot)
    return scope.derive(("passed on", proxy.key), lambda: _clusters(proxy, scope))


def passed_on_routes(proxy: Proxy, snapshot: Snapshot, gateway: Gateway, server: Server) -> tuple[TcpRoute, ...]:
    """A route by server name for each cluster whose service is one of a server's hosts."""
    services = snapshot.view.services
    return tuple(
        replace(to_cluster(name), names=(name.lower(),))
        for name, each in passed_on_clusters(proxy, snapshot).items()
        if each.spec.service is not None and _is_exposed(server, gateway, services[each.spec.service[0]])
    )


def _clusters(proxy: Proxy, scope: Snapshot) -> dict[str, OutboundCluster]:
    if not any(is_passing_on(gateway) and selects(gateway, proxy.workload) for gateway in scope.view.gateways):
        return {}
    made = (_unopened(each) for each in outbound_clusters(proxy, scope).values())
    return {each.spec.name: each for each in made}


def _unopened(each: OutboundCluster) -> OutboundCluster:
    plain = replace(each.spec.policy, tls=ClientTLSSettings(mode="DISABLE"))
    name = passed_on_name(each.spec.port, each.spec.subset, each.spec.name.rpartition("|")[2])
    spec = replace(each.spec, name=name, protocol="tcp", policy=plain)
    return OutboundCluster(spec, tuple(endpoint for endpoint in each.endpoints if endpoint.mutual_tls))


def _is_exposed(server: Server, gateway: Gateway, service: MeshService) -> bool:
    for text in server.hosts:
        namespace, _, host = text.rpartition("/")
        wanted = gateway.namespace if namespace == "." else namespace
        if wanted in ("", "*", service.namespace) and hosts.covers(host, service.hostname):
            return True
    return False
