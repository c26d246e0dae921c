"""Rules of TLSRoutes and TCPRoutes as rules of VirtualServices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from windvane.mesh.gateway_api.attach import Attachment, hostnames
from windvane.mesh.gateway_api.backends import Backends, used
from windvane.mesh.models import (
    Destination,
    L4MatchAttributes,
    PortSelector,
    RouteDestination,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    gateway_api,
)
from windvane.mesh.models.gateway_api.stream_routes import StreamRouteRule

_NONE = Destination(host="internal.cluster.local", subset="zero-weight", port=PortSelector(number=65535))
"""A cluster that is nowhere, by Istio's name of it: connections to it are closed."""


def tls_rules(route: gateway_api.TLSRoute, attached: Attachment, backends: Backends) -> Iterator[TLSRoute]:
    """Rules for the server names that a route and where it is attached have in common."""
    names = attached.hosts
    if attached.is_mesh and hostnames(route) != ("*",):
        names = hostnames(route)
    match = TLSMatchAttributes(sni_hosts=names, port=attached.port)
    for targets in _targets(route.spec.rules, backends):
        yield TLSRoute(match=(match,), route=targets)


def tcp_rules(route: gateway_api.TCPRoute, attached: Attachment, backends: Backends) -> Iterator[TCPRoute]:
    """Rules for all connections of a listener or of a service's port; the first decides."""
    match = (L4MatchAttributes(port=attached.port),) if attached.port else ()
    for targets in _targets(route.spec.rules, backends):
        yield TCPRoute(match=match, route=targets)


def _targets(rules: Sequence[StreamRouteRule], backends: Backends) -> Iterator[tuple[RouteDestination, ...]]:
    for index, rule in enumerate(rules):
        path = ("spec", "rules", index, "backendRefs")
        found = [
            RouteDestination(destination=backends.destination(ref, (*path, number)), weight=ref.weight)
            for number, ref in used(rule.backend_refs)
        ]
        yield tuple(found) or (RouteDestination(destination=_NONE),)
