"""Istio's analysis of Gateways: what they share with others, and the ports and routes behind them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

from windvane.mesh import hosts
from windvane.mesh.build import MESH_GATEWAY
from windvane.mesh.checks.references import Registry, exposed, selector_text
from windvane.mesh.decode import Loaded
from windvane.mesh.findings import Finding
from windvane.mesh.models import Gateway, Server, Service, VirtualService
from windvane.mesh.selectable import chosen

_Gateways = Sequence[tuple[Loaded, Gateway]]


def gateways(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """IST0138, IST0140, IST0145 and IST0162."""
    found = [(item, item.resource) for item in loaded if isinstance(item.resource, Gateway)]
    services = [item.resource for item in loaded if isinstance(item.resource, Service) and item.resource.spec.selector]
    yield from _same_hosts(found)
    yield from _same_certificates(found)
    for item, gateway in found:
        yield from _ports(item, gateway, services, registry)
    yield from _ignored_subsets(loaded, registry)


def _name(gateway: Gateway | VirtualService) -> str:
    return f"{gateway.namespace}/{gateway.name}"


def _same_hosts(found: _Gateways) -> Iterator[Finding]:
    """IST0145: gateways of the same proxies with hosts in common on one port."""
    users: dict[tuple[str, int], list[tuple[Gateway, Server]]] = defaultdict(list)
    for _, gateway in found:
        for server in gateway.spec.servers:
            if server.port is not None:
                users[selector_text(gateway.spec.selector), server.port.number].append((gateway, server))
    for item, gateway in found:
        selector = selector_text(gateway.spec.selector)
        for index, server in enumerate(gateway.spec.servers):
            others = users[selector, server.port.number] if server.port is not None else []
            names = sorted({_name(other) for other, theirs in others if _meet(gateway, server, other, theirs)})
            if names and server.port is not None:
                words = f"Conflict with gateways {','.join(names)} (workload selector {selector}, "
                words += f"port {server.port.number}, hosts {','.join(server.hosts)})."
                yield item.finding("IST0145", words, ("spec", "servers", index))


def _meet(gateway: Gateway, server: Server, other: Gateway, theirs: Server) -> bool:
    """Whether two servers of different gateways have a host in common, for some namespace."""
    if _name(gateway) == _name(other):
        return False
    ours = [exposed(host, gateway.namespace) for host in server.hosts]
    pairs = ((one, exposed(host, other.namespace)) for host in theirs.hosts for one in ours)
    return any(hosts.matches(one[1], two[1]) and ("*" in (one[0], two[0]) or one[0] == two[0]) for one, two in pairs)


def _same_certificates(found: _Gateways) -> Iterator[Finding]:
    """IST0138: a gateway and another whose selector holds all of its own serve with one certificate."""
    for item, gateway in found:
        for other in (other for _, other in found if _name(other) != _name(gateway)):
            if gateway.spec.selector.items() <= other.spec.selector.items() and _certificates(gateway) & _certificates(
                other
            ):
                words = f"Duplicate certificate in multiple gateways [{_name(gateway)} {_name(other)}] may cause 404s "
                yield item.finding("IST0138", f"{words}if clients re-use HTTP2 connections.", ("metadata", "name"))


def _certificates(gateway: Gateway) -> set[tuple[str, ...]]:
    """What a gateway serves with: Secrets by name, files by their paths."""
    settings = [server.tls for server in gateway.spec.servers if server.tls is not None]
    files = {
        (tls.server_certificate, tls.private_key) for tls in settings if tls.server_certificate and tls.private_key
    }
    return {*files, *((tls.credential_name,) for tls in settings if tls.credential_name)}


def _ports(item: Loaded, gateway: Gateway, services: Sequence[Service], registry: Registry) -> Iterator[Finding]:
    """IST0162. Proxies without any Service are reached otherwise, as those of a local mesh: nothing is said."""
    selector = gateway.spec.selector
    picked = chosen(registry.view, gateway.namespace, selector, everywhere=True) if selector else ()
    ports = {
        number
        for service in services
        if any(_selects(service, one.namespace, one.labels) for one in picked)
        for port in service.spec.ports
        for number in (port.port, port.target_port)
    }
    for index, server in enumerate(gateway.spec.servers):
        if ports and server.port is not None and server.port.number not in ports:
            words = f"The gateway is listening on a target port (port {server.port.number}) that is not defined in the "
            words += f"Service associated with its workload instances (Pod selector {selector_text(selector)}). If you "
            words += "need to access the gateway port through the gateway Service, it will not be available."
            yield item.finding("IST0162", words, ("spec", "servers", index, "port"))


def _selects(service: Service, namespace: str, labels: Mapping[str, str]) -> bool:
    return service.namespace == namespace and service.spec.selector.items() <= labels.items()


def _ignored_subsets(loaded: Sequence[Loaded], registry: Registry) -> Iterator[Finding]:
    """IST0140: a gateway's routes lead to a host whose own VirtualService, with subsets, the gateway does not know."""
    found = [(item, item.resource) for item in loaded if isinstance(item.resource, VirtualService)]
    splitting: dict[str, list[VirtualService]] = defaultdict(list)
    for _, service in found:
        own = {registry.full(host, service.namespace) for host in service.spec.hosts}
        for host in own & _targets(service, registry, with_subset=True):
            splitting[host].append(service)
    for item, service in found:
        at = _edges(service)
        for host in sorted(_targets(service, registry, with_subset=False)) if at else ():
            for other in splitting[host]:
                if _name(other) != _name(service) and not at & _edges(other):
                    words = (
                        f"Subset in virtual service {_name(other)} has no effect on ingress gateway {_name(service)} "
                    )
                    yield item.finding("IST0140", f"{words}requests", ("spec", "http"))


def _edges(service: VirtualService) -> set[str]:
    """The Gateways of a VirtualService, in full."""
    names = (name for name in service.spec.gateways if name != MESH_GATEWAY)
    return {name if "/" in name else f"{service.namespace}/{name}" for name in names}


def _targets(service: VirtualService, registry: Registry, *, with_subset: bool) -> set[str]:
    destinations = [target.destination for route in service.spec.http for target in route.route if target.destination]
    return {
        registry.full(destination.host, service.namespace)
        for destination in destinations
        if bool(destination.subset) == with_subset
    }
