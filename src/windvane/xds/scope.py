"""What a proxy knows of the mesh as a client: what is exported to its namespace, and of that what its Sidecar says.

A scope is a snapshot of its own whose view has fewer services and VirtualServices; proxies with the same scope
share what is derived from it. What a proxy serves does not depend on it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from windvane.mesh import hosts
from windvane.mesh.models import Destination, HTTPRoute, Sidecar, TCPRoute, TLSRoute, VirtualService
from windvane.mesh.resolve import sidecar_for
from windvane.mesh.view import MeshService, MeshView
from windvane.xds.proxy import Proxy
from windvane.xds.routes import UnknownHosts
from windvane.xds.snapshot import Snapshot

_Imports = Mapping[str, Sequence[str]]


def outbound_scope(proxy: Proxy, snapshot: Snapshot) -> Snapshot:
    """The snapshot as the proxy sees it as a client."""
    sidecar = _sidecar(proxy, snapshot)
    egress = sidecar.spec.egress if sidecar is not None else ()
    if not egress and not snapshot.derive("limited exports", lambda: _has_limited_exports(snapshot.view)):
        return snapshot
    key = ("scope", proxy.namespace, sidecar.reference if sidecar is not None and egress else "")
    listeners = {each.port.number if each.port else 0: each.hosts for each in egress} if egress else {0: ("*/*",)}
    return snapshot.derive(key, lambda: _with_view(snapshot, _narrowed(snapshot.view, proxy.namespace, listeners)))


def unknown_hosts(proxy: Proxy, snapshot: Snapshot) -> UnknownHosts:
    """What becomes of requests for unknown hosts: let through unless the proxy's Sidecar says otherwise."""
    sidecar = _sidecar(proxy, snapshot)
    policy = sidecar.spec.outbound_traffic_policy if sidecar is not None else None
    return policy.mode if policy is not None else "ALLOW_ANY"


def egress_proxy(proxy: Proxy, snapshot: Snapshot) -> str:
    """The cluster that requests for unknown hosts go to instead of where they ask for; "" for none."""
    sidecar = _sidecar(proxy, snapshot)
    policy = sidecar.spec.outbound_traffic_policy if sidecar is not None else None
    wanted = policy.egress_proxy if policy is not None else None
    if sidecar is None or wanted is None or wanted.port is None:
        return ""
    full = _full_host(wanted.host, sidecar.namespace, snapshot.view)
    return f"outbound|{wanted.port.number}|{wanted.subset}|{full}"


def _full_host(host: str, namespace: str, view: MeshView) -> str:
    """A short name as the service that it means in a namespace."""
    known = (name for name, each in view.services.items() if host in hosts.short_names(name, namespace))
    return host if host in view.services else next(known, host)


def _sidecar(proxy: Proxy, snapshot: Snapshot) -> Sidecar | None:
    if proxy.role != "sidecar":
        return None
    return snapshot.derive(("sidecar", proxy.key), lambda: sidecar_for(snapshot.view, proxy.workload))


def _with_view(snapshot: Snapshot, view: MeshView) -> Snapshot:
    return Snapshot(view, snapshot.placement, snapshot.settings)


def _has_limited_exports(view: MeshView) -> bool:
    return any(service.export_to not in ((), ("*",)) for service in view.services.values())


def _narrowed(view: MeshView, namespace: str, listeners: Mapping[int, Sequence[str]]) -> MeshView:
    """The view with what is exported to a namespace and imported by `namespace/host` texts.

    `listeners` has the texts by port; 0 is for all ports that have none of their own. Services that an imported
    VirtualService sends to are known with it.
    """
    by_port = {number: _imports(texts, namespace) for number, texts in listeners.items()}
    exported = {
        name: service
        for name, service in view.services.items()
        if hosts.is_visible(service.export_to, service.namespace, namespace)
    }
    rules = tuple(item for item in view.virtual_services if any(_imports_rule(each, item) for each in by_port.values()))
    sent_to = {
        destination.host
        for item in rules
        if "mesh" in item.spec.gateways and hosts.is_visible(item.spec.export_to, item.namespace, namespace)
        for destination in _destinations(item)
    }
    found = {name: service if name in sent_to else _imported(by_port, service) for name, service in exported.items()}
    services = {name: service for name, service in found.items() if service is not None}
    return replace(view, services=services, virtual_services=rules)


def _imports(texts: Sequence[str], namespace: str) -> _Imports:
    imports: dict[str, list[str]] = {}
    for text in texts:
        owner, _, host = text.partition("/")
        imports.setdefault(namespace if owner == "." else owner, []).append(host)
    return imports


def _imported(by_port: Mapping[int, _Imports], service: MeshService) -> MeshService | None:
    """A service with the ports that listeners import it for: a port's own listener decides alone."""
    everywhere = by_port.get(0, {})
    if by_port.keys() <= {0}:
        return service if _imports_service(everywhere, service) else None
    known = tuple(port for port in service.ports if _imports_service(by_port.get(port.number, everywhere), service))
    return replace(service, ports=known) if known else None


def _imports_service(imports: _Imports, service: MeshService) -> bool:
    """A namespace that is named decides alone; `*` is for all others."""
    wanted = imports[service.namespace] if service.namespace in imports else imports.get("*", ())
    return any(hosts.covers(host, service.hostname) for host in wanted)


def _imports_rule(imports: _Imports, item: VirtualService) -> bool:
    wanted = (*imports.get(item.namespace, ()), *imports.get("*", ()))
    return any(hosts.matches(host, own) for host in wanted for own in item.spec.hosts)


def _destinations(item: VirtualService) -> Iterator[Destination]:
    spec = item.spec
    for http in spec.http:
        yield from filter(None, (http.mirror, *(mirror.destination for mirror in http.mirrors)))
    rules: list[HTTPRoute | TLSRoute | TCPRoute] = [*spec.http, *spec.tls, *spec.tcp]
    for rule in rules:
        yield from filter(None, (target.destination for target in rule.route))
