"""What is asked: a request as people write it, who makes it, and which workloads may get it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from windvane.kit.errors import BadInputError
from windvane.kit.values import Address
from windvane.mesh import hosts
from windvane.mesh.view import MeshService, MeshView, MeshWorkload
from windvane.xds.configuration import configuration
from windvane.xds.proxy import Proxy, selects
from windvane.xds.resources import RDS
from windvane.xds.snapshot import Snapshot

Header = tuple[str, str]

CLIENT = "windvane-try"
"""The workload that asks where none is named: no policy knows it."""
OUTSIDE = "outside"
"""The workload that stands in for what is outside of the mesh."""
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `authority` as in its Host header, `path` with its query; `port` is the service's or gateway's
    (80, with `tls` 443, where the URL has none: `has_port`). `certificate` is the Secret `namespace/name` that the
    client shows."""

    method: str
    host: str
    port: int
    authority: str
    path: str
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    has_port: bool = True
    tls: bool = False
    certificate: str = ""


def parse_request(text: str, headers: Sequence[str] = (), body: bytes = b"") -> Asked:
    """`METHOD URL` (GET where only a URL is given) and headers as `name: value`; `BadInputError` says what is wrong."""
    method, _, address = text.strip().rpartition(" ")
    method = method.strip().upper() or "GET"
    if method not in _METHODS:
        raise BadInputError(f"--request {text!r}: {method!r} is none of {', '.join(_METHODS)}")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadInputError(f"--request {text!r}: {error}") from None
    if parts.scheme not in ("http", "https") or not host:
        raise BadInputError(f"--request {text!r}: expected a URL such as http://reviews:9080/reviews/1?x=y")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    given = tuple(_header(each) for each in headers)
    named = next((value for name, value in given if name == "host"), parts.netloc)
    headers_sent = tuple(each for each in given if each[0] != "host")
    tls = parts.scheme == "https"
    return Asked(method, host, port or (443 if tls else 80), named, path, headers_sent, body, port is not None, tls)


def _header(text: str) -> Header:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(c in text for c in "\r\n"):
        raise BadInputError(f"-H {text!r}: expected 'name: value'")
    return name.strip().lower(), value.strip()


def with_client(view: MeshView, asked: Asked, named: str) -> tuple[MeshView, str]:
    """The view with whoever asks in it, and the key of that workload.

    Named, it must exist. Otherwise a host of the mesh is asked by a workload of its own in the host's namespace
    or `default`, and any other host is asked from outside, at a gateway.
    """
    if named:
        if named not in view.workloads:
            known = ", ".join(sorted(view.workloads)) or "none"
            raise BadInputError(f"--from {named!r}: no such workload (there are: {known})")
        return view, named
    namespace = _namespace_of(view, asked.host)
    if namespace is None:
        gateway = _gateway_of(view, asked.host)
        if gateway is not None:
            return view, gateway.key
    client = MeshWorkload(
        name=CLIENT, namespace=namespace or "default", labels={"app": CLIENT}, annotations={}, service_account=CLIENT
    )
    return replace(view, workloads={**view.workloads, client.key: client}), client.key


def with_outside(view: MeshView, stand_in: Address) -> MeshView:
    """The view with every endpoint outside of this machine replaced by one that echoes."""
    services = {
        host: replace(service, endpoints=(_outside(service, stand_in),), resolution="static")
        if service.endpoints or service.location == "external"
        else service
        for host, service in view.services.items()
    }
    return replace(view, services=services)


def _outside(service: MeshService, stand_in: Address) -> MeshWorkload:
    return MeshWorkload(
        name=OUTSIDE, namespace=service.namespace, labels={}, annotations={}, service_account="default",
        address=stand_in.host, ports={port.name: stand_in.port for port in service.ports},
    )  # fmt: skip


def _namespace_of(view: MeshView, host: str) -> str | None:
    """The namespace from which a host's name means a service of the mesh; None when it means none."""
    for service in sorted(view.services.values(), key=lambda each: (each.namespace != "default", each.hostname)):
        names = hosts.short_names(service.hostname, service.namespace)
        if host in names or (service.is_headless and any(host.endswith(f".{name}") for name in names)):
            return service.namespace
    return None


def _gateway_of(view: MeshView, host: str) -> MeshWorkload | None:
    """The gateway that is for a host, the more exactly the better; else the first of all."""
    edges: list[tuple[tuple[bool, int], MeshWorkload]] = []
    for workload in sorted(view.workloads.values(), key=lambda each: each.key):
        gateways = [gateway for gateway in view.gateways if selects(gateway, workload)]
        names = [name.rpartition("/")[2] for one in gateways for server in one.spec.servers for name in server.hosts]
        best = hosts.most_specific(names, host) or ""
        edges += [((best == host, len(best)), workload)] if gateways else []
    return max(edges, key=lambda edge: edge[0])[1] if edges else None


def reached(proxy: Proxy, snapshot: Snapshot, asked: Asked) -> list[str]:
    """Keys of the workloads that routes of the request's host can send to, mirrors included.

    `BadInputError` for a host that only the way out of the mesh is left for.
    """
    known = snapshot.derive(("virtual hosts", proxy.key), lambda: _virtual_hosts(proxy, snapshot))
    covering = [host for host in known if any(_covers(domain, asked.authority.lower()) for domain in host["domains"])]
    named = [host for host in covering if host["domains"] != ["*"] or host["name"] == "block_all" or _is_proxied(host)]
    if proxy.role == "sidecar" and not named:
        raise BadInputError(f"{asked.authority} is no host of the mesh: the request would leave it, and is not sent")
    clusters = dict.fromkeys(cluster for host in named or covering for cluster in _clusters(host))
    found: dict[str, None] = {}
    for cluster in clusters:
        service = snapshot.view.services.get(cluster.rpartition("|")[2])
        found.update(dict.fromkeys(service.workloads if service else ()))
    return [key for key in found if key in snapshot.placement.places]


def _virtual_hosts(proxy: Proxy, snapshot: Snapshot) -> list[Mapping[str, Any]]:
    """Of all tables of a proxy; to read them costs a second for a large mesh, and tests ask for each request."""
    tables = configuration(proxy, snapshot)[RDS]
    return [host for table in tables for host in table.to_dict().get("virtual_hosts", ())]


def _is_proxied(host: Mapping[str, Any]) -> bool:
    """Whether unknown hosts are left to a service of the mesh (`egressProxy`)."""
    return host["name"] == "allow_any" and any(cluster.startswith("outbound|") for cluster in _clusters(host))


def _covers(domain: str, authority: str) -> bool:
    bare = authority.rpartition(":")[0] if ":" in authority else authority
    if domain.startswith("*"):
        return authority.endswith(domain[1:]) or bare.endswith(domain[1:])
    return domain.lower() in (authority, bare)


def _clusters(value: Any) -> Iterator[str]:
    """Every cluster that a virtual host names, in weights and mirrors too."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and (key == "cluster" or (key == "name" and "|" in item)):
                yield item
            else:
                yield from _clusters(item)
    elif isinstance(value, list):
        for item in value:
            yield from _clusters(item)
