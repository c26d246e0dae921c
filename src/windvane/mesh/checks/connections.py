"""Istio's validation of what a VirtualService says of connections: TCP and TLS routes, and any destinations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windvane.mesh import hosts
from windvane.mesh.checks.common import (
    Problem,
    check_host,
    check_labels,
    check_port,
    doubtful,
    idle,
    invalid,
    is_dns_label,
    is_ip,
    is_subnet,
)
from windvane.mesh.models import (
    Destination,
    L4MatchAttributes,
    RouteDestination,
    TLSMatchAttributes,
    VirtualService,
)
from windvane.mesh.yaml_source import Path


def check_connections(item: VirtualService) -> Iterator[Problem]:
    """The `tcp` and `tls` routes of a VirtualService."""
    spec = item.spec
    for index, route in enumerate(spec.tcp):
        path: Path = ("spec", "tcp", index)
        for number, match in enumerate(route.match):
            yield from _check_match((*path, "match", number), match)
        yield from _check_targets(path, route.route, "TCP")
    for index, tls in enumerate(spec.tls):
        path = ("spec", "tls", index)
        if not tls.match:
            yield invalid(path, "TLS route must have at least one match condition")
        for number, asked in enumerate(tls.match):
            yield from _check_match((*path, "match", number), asked)
            yield from _check_names((*path, "match", number), asked, spec.hosts)
        yield from _check_targets(path, tls.route, "TLS")
    if not spec.hosts:
        for field in ("tls", "tcp"):
            if getattr(spec, field):
                yield invalid(("spec", field), f"a delegate has no {field} routes: only http is delegated")


def _check_targets(path: Path, targets: Sequence[RouteDestination], kind: str) -> Iterator[Problem]:
    if not targets:
        yield invalid(path, f"{kind} route is required")
    yield from check_weights(path, targets)


def _check_match(path: Path, match: L4MatchAttributes | TLSMatchAttributes) -> Iterator[Problem]:
    if match.port:
        yield from check_port((*path, "port"), match.port)
    yield from check_labels((*path, "sourceLabels"), match.source_labels)
    for index, gateway in enumerate(match.gateways):
        yield from check_gateway((*path, "gateways", index), gateway)
    for index, subnet in enumerate(match.destination_subnets):
        if not is_subnet(subnet):
            yield invalid((*path, "destinationSubnets", index), f"{subnet!r} is not an IP address or CIDR block")
    if isinstance(match, L4MatchAttributes) and match.source_subnet:
        if not is_subnet(match.source_subnet):
            words = f"{match.source_subnet!r} is not an IP address or CIDR block"
            yield invalid((*path, "sourceSubnet"), words)
        else:
            yield idle((*path, "sourceSubnet"), "Istio does not look at it")
    if match.source_namespace and not is_dns_label(match.source_namespace):
        yield invalid((*path, "sourceNamespace"), f"sourceNamespace match {match.source_namespace} is invalid")


def _check_names(path: Path, match: TLSMatchAttributes, own: Sequence[str]) -> Iterator[Problem]:
    if not match.sni_hosts:
        yield invalid(path, "TLS match must have at least one SNI host")
    for index, name in enumerate(match.sni_hosts):
        place: Path = (*path, "sniHosts", index)
        if is_ip(name):
            words = f"using an IP address ({name!r}) goes against SNI spec and most clients do not support this"
            yield doubtful(place, words)
            continue
        wrong = list(check_host(place, name))
        yield from wrong
        if not wrong and not any(hosts.covers(host, name) for host in own):
            words = f"SNI host {name!r} is not a compatible subset of any of the virtual service hosts: "
            yield invalid(place, f"{words}[{', '.join(own)}]")


def check_weights(path: Path, targets: Sequence[RouteDestination]) -> Iterator[Problem]:
    """Destinations and their relative weights."""
    total = 0
    for index, target in enumerate(targets):
        place: Path = (*path, "route", index)
        if target.destination is None:
            yield invalid(place, "destination is required")
        else:
            yield from check_destination((*place, "destination"), target.destination)
        if target.weight < 0:
            yield invalid((*place, "weight"), f"weight {target.weight} < 0")
        total += max(target.weight, 0)
    if len(targets) > 1 and total == 0:
        yield invalid((*path, "route"), "total destination weight = 0")
    if total > 2**32 - 1:
        yield invalid((*path, "route"), f"total destination weight {total} > {2**32 - 1}")


def check_destination(path: Path, destination: Destination) -> Iterator[Problem]:
    """A destination's host, subset name and port."""
    if destination.host == "*":
        yield invalid((*path, "host"), "invalid destination host *")
    else:
        yield from check_host((*path, "host"), destination.host)
    if destination.subset and not is_dns_label(destination.subset):
        yield invalid((*path, "subset"), f"subset name {destination.subset!r} is not a DNS label")
    if destination.port is not None:
        yield from check_port((*path, "port", "number"), destination.port.number)


def check_gateway(path: Path, gateway: str) -> Iterator[Problem]:
    """A gateway's name, with or without its namespace."""
    parts = gateway.split("/")
    if len(parts) > 2 or not all(parts) or not all(is_dns_label(label) for part in parts for label in part.split(".")):
        yield invalid(path, f"{gateway!r} is not a gateway (expected name, namespace/name or mesh)")
