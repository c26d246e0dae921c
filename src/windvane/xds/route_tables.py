"""RDS: the virtual hosts of `windvane.xds.routes` as the tables that listeners ask for.

The HTTP proxy's table finds a service by authority. A service's own listener is reached by address,
whatever the authority: its table has that service alone. Proxies that routes cannot tell apart
share their tables.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any, cast

import betterproto2
from envoy_data_plane.envoy.config.route import v3 as route

from windvane.mesh.view import MeshView
from windvane.xds.encoding import encode, head, text_field
from windvane.xds.listeners import HTTP_PROXY, called_by_address, gateway_servers
from windvane.xds.proxy import Proxy
from windvane.xds.resources import RDS, Bundle, Resource, joined
from windvane.xds.routes import (
    gateway_virtual_hosts,
    routes_key,
    service_virtual_hosts,
    virtual_hosts,
)
from windvane.xds.scope import egress_proxy, outbound_scope, unknown_hosts
from windvane.xds.snapshot import Snapshot


def route_tables(proxy: Proxy, snapshot: Snapshot) -> Bundle:
    """RDS of a proxy: one bundle for all sidecars that have equal routes and listeners for the same services."""
    scope = outbound_scope(proxy, snapshot)
    if proxy.role == "router":
        return Bundle(_gateway(proxy, scope))
    unknown = unknown_hosts(proxy, scope), egress_proxy(proxy, scope)
    key = ("tables", _reader(proxy, scope), unknown, frozenset(proxy.place.outbound))
    return scope.derive(key, lambda: Bundle(_sidecar(proxy, scope)))


def _sidecar(proxy: Proxy, snapshot: Snapshot) -> Iterator[Resource]:
    view, key, unknown = snapshot.view, ("routes", _reader(proxy, snapshot)), unknown_hosts(proxy, snapshot)
    proxied = egress_proxy(proxy, snapshot)
    yield snapshot.derive(
        (*key, HTTP_PROXY, unknown, proxied),
        lambda: _table(HTTP_PROXY, virtual_hosts(proxy, view, unknown=unknown, passed_to=proxied)),
    )
    for service, port, _ in called_by_address(proxy, snapshot):
        if port.is_http:
            yield snapshot.derive(
                (*key, service.hostname, port.number), partial(_service, proxy, view, service.hostname, port.number)
            )


def _service(proxy: Proxy, view: MeshView, hostname: str, port: int) -> Resource:
    return _table(f"{hostname}:{port}", service_virtual_hosts(proxy, view, hostname, port))


def _gateway(proxy: Proxy, snapshot: Snapshot) -> Iterator[Resource]:
    view = snapshot.view
    for name in dict.fromkeys(server.routes for server in gateway_servers(proxy, snapshot) if not server.tcp):
        yield _table(name, gateway_virtual_hosts(proxy, view, name))


def _reader(proxy: Proxy, snapshot: Snapshot) -> Hashable:
    """What of a proxy decides its routes, worked out once a snapshot."""
    return snapshot.derive(("reader", proxy.key), lambda: routes_key(proxy, snapshot.view))


def _table(name: str, hosts: Sequence[route.VirtualHost]) -> Resource:
    """Put together from bytes, so that an edit costs the hosts that it changed."""
    parts = [text_field(1, name), *(part for each in hosts for part in _encoded(_Once(each))), _REST]
    return joined(name, text_field(1, RDS), head(2, *parts), *parts)


def table_hosts(table: Resource) -> list[dict[str, Any]]:
    """The virtual hosts of a table as JSON has them, not to be changed: one that many tables have is decoded once."""
    if len(table.parts) < _BEFORE_HOSTS:  # encoded as a whole, after a patch
        return list(table.to_dict().get("virtual_hosts", ()))
    return [_decoded(body) for body in table.parts[_BEFORE_HOSTS:-1:2]]


@lru_cache(maxsize=32_768)
def _decoded(body: bytes) -> dict[str, Any]:
    return dict(route.VirtualHost.parse(body).to_dict(casing=cast("betterproto2.Casing", str)))


class _Once:
    """A message as itself, whatever it holds: what is shared is encoded once."""

    __slots__ = ("message",)

    def __init__(self, message: route.VirtualHost) -> None:
        self.message = message

    def __hash__(self) -> int:
        return id(self.message)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once) and other.message is self.message


@lru_cache(maxsize=8_192)
def _encoded(once: _Once) -> tuple[bytes, bytes]:
    """A virtual host as a field of its table."""
    body = encode(once.message)
    return head(2, body), body


_BEFORE_HOSTS = 4
"""Parts of a table that is put together, before the first virtual host; each host follows as its head and its body."""
_REST = encode(route.RouteConfiguration(validate_clusters=False))
