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
    texts = [text for listener in egress for text in listener.hosts] if egress else ["*/*"]
    return snapshot.derive(key, lambda: _with_view(snapshot, _narrowed(snapshot.view, proxy.namespace, texts)))


def unknown_hosts(proxy: Proxy, snapshot: Snapshot) -> UnknownHosts:
    """What becomes of requests for unknown hosts: let through unless the proxy's Sidecar says otherwise."""
    sidecar = _sidecar(proxy, snapshot)
    policy = sidecar.spec.outbound_traffic_policy if sidecar is not None else None
    return policy.mode if policy is not None else "ALLOW_ANY"


def _sidecar(proxy: Proxy, snapshot: Snapshot) -> Sidecar | None:
    if proxy.role != "sidecar":
        return None
    return snapshot.derive(("sidecar", proxy.key), lambda: sidecar_for(snapshot.view, proxy.workload))


def _with_view(snapshot: Snapshot, view: MeshView) -> Snapshot:
    return Snapshot(view, snapshot.placement, snapshot.settings)


def _has_limited_exports(view: MeshView) -> bool:
    return any(service.export_to not in ((), ("*",)) for service in view.services.values())


def _narrowed(view: MeshView, namespace: str, texts: Sequence[str]) -> MeshView:
    """The view with what is exported to a namespace and imported by `namespace/host` texts.

    Services that an imported VirtualService sends to are known with it.
    """
    imports: dict[str, list[str]] = {}
    for text in texts:
        owner, _, host = text.partition("/")
        imports.setdefault(namespace if owner == "." else owner, []).append(host)
    exported = {
        name: service
        for name, service in view.services.items()
        if hosts.is_visible(service.export_to, service.namespace, namespace)
    }
    rules = tuple(item for item in view.virtual_services if _imports_rule(imports, item))
    sent_to = {
        destination.host
        for item in rules
        if "mesh" in item.spec.gateways and hosts.is_visible(item.spec.export_to, item.namespace, namespace)
        for destination in _destinations(item)
    }
    services = {
        name: service for name, service in exported.items() if name in sent_to or _imports_service(imports, service)
    }
    return replace(view, services=services, virtual_services=rules)


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
