"""What is asked: a request, call or connection as people write it, who makes it, and which workloads may get it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import SplitResult, urlsplit

from windvane.kit.errors import BadInputError
from windvane.kit.values import Address
from windvane.mesh import hosts
from windvane.mesh.models import ClientTLSSettings, DestinationRule, TrafficPolicy
from windvane.mesh.view import MeshService, MeshView, MeshWorkload
from windvane.xds.configuration import configuration
from windvane.xds.listeners import HTTP_PROXY
from windvane.xds.proxy import Proxy, selects
from windvane.xds.resources import LDS, RDS, Bundle, Resource
from windvane.xds.route_tables import table_hosts
from windvane.xds.snapshot import Snapshot

Header = tuple[str, str]

CLIENT = "windvane-try"
"""The workload that asks where none is named: no policy knows it."""
OUTSIDE = "outside"
"""The workload that stands in for what is outside of the mesh."""
Kind = Literal["http", "grpc", "tcp"]
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")


@dataclass(frozen=True, slots=True)
class Asked:
    """A request: `authority` as in its Host header, `path` with its query; `port` is the service's or gateway's
    (80, with `tls` 443, where the URL has none: `has_port`). `kind` is what is spoken: a `grpc` call is a POST whose
    path is `/package.Service/Method`; a `tcp` connection has no method, path or headers. `certificate` is the Secret
    `namespace/name` that the client shows."""

    method: str
    host: str
    port: int
    authority: str
    path: str
    headers: tuple[Header, ...] = ()
    body: bytes = b""
    has_port: bool = True
    kind: Kind = "http"
    tls: bool = False
    certificate: str = ""

    def __str__(self) -> str:
        """As people write it."""
        if self.kind == "tcp":
            return f"tcp://{self.authority}"
        scheme = f"{self.kind}s" if self.tls else self.kind
        return f"{'' if self.kind == 'grpc' else self.method + ' '}{scheme}://{self.authority}{self.path}"


def parse_request(text: str, headers: Sequence[str] = (), body: bytes = b"") -> Asked:
    """`METHOD URL` (GET where only a URL is given), `grpc://HOST:PORT/package.Service/Method` or `tcp://HOST:PORT`,
    and headers as `name: value`; `BadInputError` says what is wrong."""
    method, _, address = text.strip().rpartition(" ")
    try:
        parts = urlsplit(address)
        host, port = parts.hostname or "", parts.port
    except ValueError as error:
        raise BadInputError(f"--request {text!r}: {error}") from None
    given = tuple(_header(each) for each in headers)
    if host and parts.scheme in ("grpc", "tcp"):
        return _call(text, method.strip(), parts, given, body)
    method = method.strip().upper() or "GET"
    if method not in _METHODS:
        raise BadInputError(f"--request {text!r}: {method!r} is none of {', '.join(_METHODS)}")
    if parts.scheme not in ("http", "https") or not host:
        raise BadInputError(
            f"--request {text!r}: expected a URL such as http://reviews:9080/reviews/1?x=y, "
            "grpc://cart:7070/shop.Cart/Add or tcp://mongo:27017"
        )
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    named, sent = _authority(parts, given)
    tls = parts.scheme == "https"
    return Asked(method, host, port or (443 if tls else 80), named, path, sent, body, port is not None, tls=tls)


def _call(text: str, method: str, parts: SplitResult, given: tuple[Header, ...], body: bytes) -> Asked:
    """A call of gRPC or a connection."""
    named, sent = _authority(parts, given)
    if method:
        raise BadInputError(f"--request {text!r}: {parts.scheme} has no methods such as {method!r}")
    if parts.scheme == "tcp":
        if parts.port is None or parts.path not in ("", "/") or parts.query:
            raise BadInputError(f"--request {text!r}: expected a host and port, such as tcp://mongo:27017")
        if given:
            raise BadInputError(f"--request {text!r}: a TCP connection has no headers")
        return Asked("", parts.hostname or "", parts.port, parts.netloc, "", (), body, kind="tcp")
    service, slash, name = parts.path[1:].rpartition("/")
    if not service or not slash or not name or "/" in service or parts.query:
        raise BadInputError(f"--request {text!r}: expected a method, such as grpc://cart:7070/shop.Cart/Add")
    has_port = parts.port is not None
    return Asked("POST", parts.hostname or "", parts.port or 80, named, parts.path, sent, body, has_port, "grpc")


def _authority(parts: SplitResult, given: tuple[Header, ...]) -> tuple[str, tuple[Header, ...]]:
    named = next((value for name, value in given if name == "host"), parts.netloc)
    return named, tuple(each for each in given if each[0] != "host")


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
    client = unnamed_client(view, asked)
    return replace(view, workloads={**view.workloads, client.key: client}), client.key


def unnamed_client(view: MeshView, asked: Asked) -> MeshWorkload:
    """Who asks where nobody is named: a workload that no policy knows, or a gateway where the mesh has no such host."""
    namespace = _namespace_of(view, asked.host)
    gateway = _gateway_of(view, asked.host) if namespace is None else None
    return gateway or MeshWorkload(
        name=CLIENT, namespace=namespace or "default", labels={"app": CLIENT}, annotations={}, service_account=CLIENT
    )


def is_in_mesh(view: MeshView, host: str) -> bool:
    """Whether a name means a service of the mesh."""
    return _namespace_of(view, host) is not None


def with_outside(view: MeshView, stand_in: Address) -> MeshView:
    """The view with every endpoint outside of this machine replaced by one that echoes."""
    services = {
        host: replace(service, endpoints=(_outside(service, stand_in),), resolution="static")
        if service.endpoints or service.location == "external"
        else service
        for host, service in view.services.items()
    }
    stood_in = [host for host, service in services.items() if service is not view.services[host]]
    rules = [
        _believing(rule) if any(hosts.covers(rule.spec.host, host) for host in stood_in) else rule
        for rule in view.destination_rules
    ]
    return replace(view, services=services, destination_rules=tuple(rules))


def _believing(rule: DestinationRule) -> DestinationRule:
    """A rule that secures what it did and believes any server: nobody has the certificate of what is stood in for."""
    spec = rule.spec
    subsets = [each.model_copy(update={"traffic_policy": _open(each.traffic_policy)}) for each in spec.subsets]
    update = {"traffic_policy": _open(spec.traffic_policy), "subsets": tuple(subsets)}
    return rule.model_copy(update={"spec": spec.model_copy(update=update)})


def _open(policy: TrafficPolicy | None) -> TrafficPolicy | None:
    if policy is None:
        return None
    settings = [each.model_copy(update={"tls": _unchecked(each.tls)}) for each in policy.port_level_settings]
    return policy.model_copy(update={"tls": _unchecked(policy.tls), "port_level_settings": tuple(settings)})


def _unchecked(tls: ClientTLSSettings | None) -> ClientTLSSettings | None:
    if tls is None or tls.mode not in ("SIMPLE", "MUTUAL"):
        return tls
    return tls.model_copy(update={"insecure_skip_verify": True})


def _outside(service: MeshService, stand_in: Address) -> MeshWorkload:
    return MeshWorkload(
        name=OUTSIDE, namespace=service.namespace, labels={}, annotations={}, service_account="default",
        address=stand_in.host, ports={port.name: stand_in.port for port in service.ports},
    )  # fmt: skip


def _namespace_of(view: MeshView, host: str) -> str | None:
    """The namespace from which a host's name means a service of the mesh; None when it means none."""
    names, headless = view.derive("namespaces of names", lambda: _namespaces(view))
    while host not in names and host:
        host = host.partition(".")[2]  # a pod of a headless service
        names = headless
    return names.get(host)


def _namespaces(view: MeshView) -> tuple[dict[str, str], dict[str, str]]:
    """The namespaces of the names of services, and of those that are headless alone."""
    found: dict[str, str] = {}
    headless: dict[str, str] = {}
    for service in sorted(view.services.values(), key=lambda each: (each.namespace != "default", each.hostname)):
        for name in hosts.short_names(service.hostname, service.namespace):
            found.setdefault(name, service.namespace)
            if service.is_headless:
                headless.setdefault(name, service.namespace)
    return found, headless


def _gateway_of(view: MeshView, host: str) -> MeshWorkload | None:
    """The gateway that is for a host, the more exactly the better; else the first of all."""
    edges: list[tuple[tuple[bool, int], MeshWorkload]] = []
    for workload in sorted(view.workloads.values(), key=lambda each: each.key):
        gateways = [gateway for gateway in view.gateways if selects(gateway, workload)]
        names = [name.rpartition("/")[2] for one in gateways for server in one.spec.servers for name in server.hosts]
        best = hosts.most_specific(names, host) or ""
        edges += [((best == host, len(best)), workload)] if gateways else []
    return max(edges, key=lambda edge: edge[0])[1] if edges else None


def whole(proxy: Proxy, snapshot: Snapshot) -> dict[str, Bundle]:
    """All that a proxy is sent, made once a snapshot."""
    return snapshot.derive(("whole configuration", proxy.key), lambda: configuration(proxy, snapshot))


@lru_cache(maxsize=16_384)
def plain(resource: Resource) -> dict[str, Any]:
    """A resource as JSON has it, not to be changed: most are the same for many proxies."""
    return resource.to_dict()


def reached(proxy: Proxy, snapshot: Snapshot, asked: Asked) -> list[str]:
    """Keys of the workloads that routes of the request's host can send to, mirrors included.

    `BadInputError` for a host that only the way out of the mesh is left for.
    """
    whom = asked.port if asked.kind == "tcp" else asked.authority
    key = ("reached", proxy.key, asked.kind, asked.host if asked.kind == "tcp" else "", whom)
    return snapshot.derive(key, lambda: _reached(proxy, snapshot, asked))


def _reached(proxy: Proxy, snapshot: Snapshot, asked: Asked) -> list[str]:
    if asked.kind == "tcp":
        listener = whole(proxy, snapshot)[LDS].get(listener_name(proxy, snapshot, asked))
        clusters = dict.fromkeys(clusters_in(plain(listener)) if listener else ())
    else:
        found_hosts = covering(proxy, snapshot, asked.authority)
        clusters = dict.fromkeys(cluster for host in found_hosts for cluster in clusters_in(host))
    return _behind(clusters, snapshot)


def onwards(proxy: Proxy, snapshot: Snapshot, asked: Asked) -> list[str]:
    """Those, and the workloads that gateways among them pass the request on to."""
    found = dict.fromkeys(reached(proxy, snapshot, asked))
    waiting = list(found)
    while waiting:
        on_the_way = snapshot.proxy(waiting.pop())
        if on_the_way is not None and on_the_way.role == "router":
            new = [key for key in _passed_on(on_the_way, snapshot, asked) if key not in found]
            found.update(dict.fromkeys(new))
            waiting += new
    return list(found)


def _passed_on(proxy: Proxy, snapshot: Snapshot, asked: Asked) -> list[str]:
    """Keys of the workloads that a gateway on the way can send a request to.

    Those of its host; of every route of the gateway where the host was rewritten.
    """
    return reached(proxy, snapshot, asked) or _behind(
        dict.fromkeys(cluster for table in tables(proxy, snapshot) for cluster in clusters_in(table)), snapshot
    )


def _behind(clusters: Iterable[str], snapshot: Snapshot) -> list[str]:
    """The placed workloads of clusters."""
    found: dict[str, None] = {}
    for cluster in clusters:
        service = snapshot.view.services.get(cluster.rpartition("|")[2])
        found.update(dict.fromkeys(service.workloads if service else ()))
    return [key for key in found if key in snapshot.placement.places]


def tables(proxy: Proxy, snapshot: Snapshot) -> list[dict[str, Any]]:
    """The route tables that requests by name go through, as JSON has them: a gateway's, or that of the HTTP proxy."""

    def make() -> list[dict[str, Any]]:
        every = whole(proxy, snapshot)[RDS]
        wanted = (table for table in every if proxy.role == "router" or table.name == HTTP_PROXY)
        return [{"name": table.name, "virtual_hosts": table_hosts(table)} for table in wanted]

    return snapshot.derive(("tables as JSON", proxy.key), make)


def covering(proxy: Proxy, snapshot: Snapshot, authority: str) -> list[dict[str, Any]]:
    """The virtual hosts of a proxy's tables that an authority may be of, the one for every host only where it is alone.

    `BadInputError` where a sidecar has none: the request would leave the mesh.
    """
    found = snapshot.derive(("hosts by domain", proxy.key), lambda: _Hosts(tables(proxy, snapshot))).covering(authority)
    named = [host for host in found if host["domains"] != ["*"] or host["name"] == "block_all" or _is_proxied(host)]
    if proxy.role == "sidecar" and not named:
        raise BadInputError(f"{authority} is no host of the mesh: the request would leave it, and is not sent")
    return named or found


def listener_name(proxy: Proxy, snapshot: Snapshot, asked: Asked) -> str:
    """The listener that a connection to a host and port is made to; `BadInputError` where the proxy has none."""
    if proxy.role == "router":
        return f"gateway|{asked.port}"
    for key in proxy.place.outbound:
        hostname, _, number = key.rpartition(":")
        service = snapshot.view.services.get(hostname)
        known = service is not None and asked.host in hosts.short_names(hostname, proxy.namespace)
        if known and number == str(asked.port):
            return f"outbound|{number}||{hostname}"
    raise BadInputError(f"{asked.authority} is no service port of the mesh: the connection would leave it")


def _is_proxied(host: Mapping[str, Any]) -> bool:
    """Whether unknown hosts are left to a service of the mesh (`egressProxy`)."""
    return host["name"] == "allow_any" and any(cluster.startswith("outbound|") for cluster in clusters_in(host))


class _Hosts:
    """Virtual hosts by their domains; a domain covers an authority with its port, or without."""

    def __init__(self, among: Iterable[Mapping[str, Any]]) -> None:
        self._hosts = [host for table in among for host in table["virtual_hosts"]]
        self._exact: dict[str, list[int]] = {}
        self._endings: list[tuple[str, int]] = []
        for index, host in enumerate(self._hosts):
            for domain in host["domains"]:
                if domain.startswith("*"):
                    self._endings.append((domain[1:], index))
                else:
                    self._exact.setdefault(domain.lower(), []).append(index)

    def covering(self, authority: str) -> list[dict[str, Any]]:
        """In the order of the tables."""
        asked = authority.lower()
        bare = asked.rpartition(":")[0] if ":" in asked else asked
        found = {*self._exact.get(asked, ()), *self._exact.get(bare, ())}
        found |= {index for end, index in self._endings if asked.endswith(end) or bare.endswith(end)}
        return [self._hosts[index] for index in sorted(found)]


def clusters_in(value: Any) -> Iterator[str]:
    """Every cluster that a virtual host or listener names, in weights and mirrors too."""
    if isinstance(value, Mapping):
        for key, item in value.items():
            if isinstance(item, str) and (key == "cluster" or (key == "name" and "|" in item)):
                yield item
            else:
                yield from clusters_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from clusters_in(item)
