"""Patches of route configurations, virtual hosts and routes.

Istio has a route configuration for each port that is called; a sidecar's HTTP proxy here has one for all. A match by
port is therefore held against its virtual hosts, which have the port in their names.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from functools import partial

from envoy_data_plane.envoy.config.route.v3 import Route, RouteConfiguration, VirtualHost

from windvane.mesh.models.envoy_filter import RouteConfigurationMatch
from windvane.xds.envoy_filters.merge import merge
from windvane.xds.envoy_filters.order import operate
from windvane.xds.envoy_filters.select import Context, Patch, Patches

_ACTIONS = {"ROUTE": "route", "REDIRECT": "redirect", "DIRECT_RESPONSE": "direct_response"}
_ALL_PORTS = "http_proxy"


def patch_routes(table: RouteConfiguration, context: Context, patches: Patches, hits: set[Patch]) -> None:
    """A route configuration after its patches, in place."""
    for patch in patches.of("ROUTE_CONFIGURATION"):
        if patch.operation == "MERGE" and patch.is_for(context) and _matches_table(table, context, patch):
            hits.add(patch)
            assert isinstance(patch.value, RouteConfiguration)
            merge(table, patch.value)
    kept = []
    for host in table.virtual_hosts:
        after = _patched_host(table, host, context, patches, hits)
        if after is not None:
            kept.append(after)
    for patch in _fitting(patches.of("VIRTUAL_HOST"), table, context):
        if patch.operation == "ADD" and _is_of_port(table, None, patch):
            hits.add(patch)
            assert isinstance(patch.value, VirtualHost)
            kept.append(copy.deepcopy(patch.value))
    table.virtual_hosts = kept


def _fitting(patches: Sequence[Patch], table: RouteConfiguration, context: Context) -> list[Patch]:
    """Patches of what is in a table, for that table; of a table of all ports the port is looked at later."""
    return [patch for patch in patches if patch.is_for(context) and _matches_table(table, context, patch, inner=True)]


def _patched_host(
    table: RouteConfiguration, host: VirtualHost, context: Context, patches: Patches, hits: set[Patch]
) -> VirtualHost | None:
    for patch in _fitting(patches.of("VIRTUAL_HOST"), table, context):
        if not _matches_host(table, host, patch) or patch.operation not in ("REMOVE", "MERGE", "REPLACE"):
            continue
        hits.add(patch)
        if patch.operation == "REMOVE":
            return None
        assert isinstance(patch.value, VirtualHost)
        if patch.operation == "REPLACE":
            host = copy.deepcopy(patch.value)
        else:
            merge(host, patch.value)
    wanted = [
        patch for patch in _fitting(patches.of("HTTP_ROUTE"), table, context) if _matches_host(table, host, patch)
    ]
    _patch_routes_of(host, wanted, hits)
    return host


def _patch_routes_of(host: VirtualHost, patches: Sequence[Patch], hits: set[Patch]) -> None:
    kept = []
    for route in host.routes:
        found = [patch for patch in patches if patch.operation in ("MERGE", "REMOVE") and _matches_route(route, patch)]
        removed = False
        for patch in found:
            hits.add(patch)
            if patch.operation == "REMOVE":
                removed = True
                break
            assert isinstance(patch.value, Route)
            merge(route, patch.value)
        if not removed:
            kept.append(route)
    host.routes = kept
    for patch in patches:
        if patch.operation in ("MERGE", "REMOVE", "REPLACE"):
            continue
        named = _has_route(patch)
        if patch.operation == "INSERT_FIRST" and named and not any(_matches_route(one, patch) for one in host.routes):
            continue
        host.routes, applied = operate(host.routes, patch, partial(_matches_route, patch=patch), named=named)
        if applied:
            hits.add(patch)


def _matches_table(table: RouteConfiguration, context: Context, patch: Patch, *, inner: bool = False) -> bool:
    match = patch.routes
    if match is None:
        return True
    if match.name and match.name != table.name:
        return False
    if context == "GATEWAY":
        return _matches_gateway(table.name, match)
    if not match.port_number or (inner and table.name == _ALL_PORTS):
        return True
    return _port_of(table.name) == str(match.port_number)


def _port_of(name: str) -> str:
    """The port in `inbound|80||` or `host:80`."""
    return name.split("|")[1] if name.startswith("inbound|") else name.rpartition(":")[2]


def _matches_gateway(name: str, match: RouteConfigurationMatch) -> bool:
    """`http.PORT`, or `https.PORT.PORTNAME.GATEWAY.NAMESPACE`."""
    _, port, port_name, gateway, namespace = [*name.split(".", 4), "", "", "", ""][:5]
    return (
        (not match.port_number or str(match.port_number) == port)
        and match.port_name in ("", port_name)
        and match.gateway in ("", f"{namespace}/{gateway}")
    )


def _is_of_port(table: RouteConfiguration, host: VirtualHost | None, patch: Patch) -> bool:
    """Whether a virtual host of the table of all ports is of the port that is asked for; one that is added is not."""
    number = patch.routes.port_number if patch.routes is not None else 0
    if not number or table.name != _ALL_PORTS:
        return True
    return host is not None and host.name.rpartition(":")[2] == str(number)


def _matches_host(table: RouteConfiguration, host: VirtualHost, patch: Patch) -> bool:
    if not _is_of_port(table, host, patch):
        return False
    match = patch.routes.vhost if patch.routes is not None else None
    if match is None:
        return True
    if match.domain_name:
        return match.domain_name in host.domains
    return match.name in ("", host.name)


def _has_route(patch: Patch) -> bool:
    vhost = patch.routes.vhost if patch.routes is not None else None
    return vhost is not None and vhost.route is not None


def _matches_route(route: Route, patch: Patch) -> bool:
    vhost = patch.routes.vhost if patch.routes is not None else None
    match = vhost.route if vhost is not None else None
    if match is None:
        return True
    if match.name and match.name != route.name:
        return False
    return match.action == "ANY" or getattr(route, _ACTIONS[match.action]) is not None
