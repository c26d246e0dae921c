"""Recorded requests as the few that two configurations can tell apart, each with who asks and how often it was seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from windvane.kit.errors import BadInputError
from windvane.local.diff.alike import told_apart
from windvane.local.diff.matchers import Lens
from windvane.local.diff.recorded import Recorded
from windvane.local.placement import imagined_placement
from windvane.local.trial.asking import (
    CLIENT,
    Asked,
    Header,
    covering,
    is_in_mesh,
    onwards,
    plain,
    tables,
    unnamed_client,
    whole,
)
from windvane.mesh.protocols import named_protocol
from windvane.mesh.view import MeshView, MeshWorkload
from windvane.xds.proxy import Proxy, role_of
from windvane.xds.resources import LDS
from windvane.xds.snapshot import MeshSettings, Snapshot

_SENT = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE")
_EXAMPLES = 3
_LARGE = 200
"""Workloads of a mesh of which no more is started than has to be asked."""


@dataclass(slots=True)
class Distinct:
    """A request that stands for `count` recorded ones in `shapes` different forms; `examples` are the most frequent.

    `headers` are those of its headers that something looks at.
    """

    client: str
    asked: Asked
    count: int
    shapes: int = 1
    examples: tuple[str, ...] = ()
    headers: tuple[Header, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be asked of both configurations: their views with everyone who asks in them.

    `left_out` counts recorded requests by the reason why they are not sent. `unseen` are headers that rules look at
    and the recording does not have.
    """

    views: tuple[MeshView, MeshView]
    requests: list[Distinct]
    left_out: Counter[str] = field(default_factory=Counter)
    unseen: tuple[str, ...] = ()
    beyond: tuple[int, int] = (0, 0)
    """Distinct requests past the limit, and the recorded ones they stand for."""
    alike: tuple[int, int] = (0, 0)
    """Distinct requests that meet nothing that differs, and the recorded ones they stand for; these are not sent."""

    @property
    def total(self) -> int:
        """Recorded requests that something is told of."""
        return self.alike[1] + sum(each.count for each in self.requests)


def plan(views: tuple[MeshView, MeshView], traffic: Mapping[Recorded, int], limit: int) -> Plan:
    """The most frequent `limit` distinct requests, most frequent first."""
    askers = Askers(views)
    placed: list[tuple[Recorded, Asked, str, int]] = []
    left_out: Counter[str] = Counter()
    for recorded, count in traffic.items():
        asked = _asked(recorded, views, askers)
        if isinstance(asked, Asked):
            placed.append((recorded, asked, askers.of(recorded, asked), count))
        else:
            left_out[asked] += count
    both = askers.views()
    lenses = _Lenses(both)
    groups: dict[Any, _Group] = {}
    for _, asked, client, count in placed:
        groups.setdefault(lenses.key(client, asked), _Group(client)).add(asked, lenses.names(client, asked), count)
    made = sorted((group.distinct() for group in groups.values()), key=lambda each: -each.count)
    large = max(len(view.workloads) for view in both) > _LARGE
    made, alike = told_apart(both, made) if large else (made, [])
    past = made[limit:]
    seen = {name for recorded in traffic for name, _ in recorded.headers}
    return Plan(
        both, made[:limit], left_out, tuple(sorted(lenses.header_names - seen)),
        (len(past), sum(each.count for each in past)), (len(alike), sum(each.count for each in alike)),
    )  # fmt: skip


@dataclass(slots=True)
class _Group:
    """Requests that are one: their forms without headers that nothing looks at, each with the first of it."""

    client: str
    forms: Counter[Asked] = field(default_factory=Counter)
    first: dict[Asked, Asked] = field(default_factory=dict)

    def add(self, asked: Asked, names: set[str], count: int) -> None:
        form = replace(asked, headers=tuple(each for each in asked.headers if each[0] in names))
        self.forms[form] += count
        self.first.setdefault(form, asked)

    def distinct(self) -> Distinct:
        often = [form for form, _ in self.forms.most_common(_EXAMPLES)]
        examples = tuple(map(str, often))
        return Distinct(
            self.client, self.first[often[0]], self.forms.total(), len(self.forms), examples, often[0].headers
        )


def _asked(recorded: Recorded, views: Sequence[MeshView], askers: Askers) -> Asked | str:
    """The request as it is sent; the reason where it is not."""
    if recorded.kind == "http" and recorded.method not in _SENT:
        return f"method {recorded.method or 'unknown'}"
    host, _, number = recorded.authority.partition(":")
    if not host or any(c.isspace() for c in recorded.authority + recorded.path):
        return "no host is told"
    if not recorded.path.startswith("/") and recorded.kind != "tcp":
        return "no path is told"
    _, cluster_port, _, cluster_host = recorded.cluster.split("|") if recorded.cluster.count("|") == 3 else [""] * 4
    port = int(number) if number.isdecimal() else int(cluster_port or 0)
    if not askers.is_gateway(recorded) and not any(is_in_mesh(view, host) for view in views):
        known = any(is_in_mesh(view, cluster_host) for view in views)
        host = cluster_host if known else host  # called by address, or by a name of another network
    authority = recorded.authority
    if any(is_in_mesh(view, host) for view in views) and not askers.is_gateway(recorded):
        authority = f"{host}:{port or 80}"
    elif port == 0:
        port = recorded.port if askers.is_gateway(recorded) else 0
    method = "" if recorded.kind == "tcp" else recorded.method
    if not askers.is_gateway(recorded):
        return Asked(
            method, host, port or 80, authority, recorded.path, recorded.headers, b"", bool(port), recorded.kind
        )
    return Asked(
        method, host, askers.gateway_port(port, tls=recorded.tls), authority, recorded.path, recorded.headers,
        has_port=port in askers.gateway_ports[recorded.tls], kind=recorded.kind, tls=recorded.tls,
    )  # fmt: skip


class Askers:
    """Who made recorded requests, as workloads of both configurations."""

    def __init__(self, views: tuple[MeshView, MeshView]) -> None:
        self._views = views
        self._known: dict[str, MeshWorkload] = {**views[1].workloads, **views[0].workloads}
        self._used: dict[str, MeshWorkload] = {}
        self._named: dict[str, list[MeshWorkload]] = {}
        for workload in self._known.values():
            self._named.setdefault(workload.name, []).append(workload)
        self.gateway_ports: dict[bool, dict[int, None]] = {False: {}, True: {}}
        for view in views:
            for gateway in view.gateways:
                for server in gateway.spec.servers:
                    if server.port is not None:
                        secured = named_protocol(server.port.protocol) in ("https", "tls")
                        self.gateway_ports[secured][server.port.number] = None

    def gateway_port(self, port: int, *, tls: bool) -> int:
        """A gateway's port as it is told, where there is such a one; else the first of its kind."""
        known = self.gateway_ports[tls]
        return port if port in known else next(iter(known), 443 if tls else 80)

    def named(self, recorded: Recorded) -> MeshWorkload | None:
        """The workload of a name, or of a pod's: `reviews-v1-6b746f74dc-9stvs` is of reviews-v1.

        Lines that kubectl prints tell no namespace: one of another namespace is taken where just one has the name.
        """
        name = recorded.source
        while name:
            own = self._known.get(f"{name}.{recorded.namespace}")
            others = self._named.get(name, [])
            if own is not None or len(others) == 1:
                return own or others[0]
            name = name.rpartition("-")[0]
        return None

    def is_gateway(self, recorded: Recorded) -> bool:
        """Whether a gateway made it of one from outside."""
        found = self.named(recorded)
        return found is not None and any(role_of(view, found) == "router" for view in self._views)

    def of(self, recorded: Recorded, asked: Asked) -> str:
        """The key of who asks: the named workload, one with the identity, or one that no policy knows."""
        found = self.named(recorded) or self._identified(recorded.principal) or self._unnamed(asked)
        self._used[found.key] = found
        return found.key

    def _identified(self, principal: str) -> MeshWorkload | None:
        parts = principal.removeprefix("spiffe://").split("/")
        if len(parts) != 5 or parts[1] != "ns" or parts[3] != "sa":
            return None
        namespace, account = parts[2], parts[4]
        for workload in sorted(self._known.values(), key=lambda each: each.key):
            if (workload.namespace, workload.service_account) == (namespace, account):
                return workload
        name = f"{CLIENT}-{account}"
        return MeshWorkload(name, namespace, labels={"app": name}, annotations={}, service_account=account)

    def _unnamed(self, asked: Asked) -> MeshWorkload:
        return unnamed_client(self._views[0] if is_in_mesh(self._views[0], asked.host) else self._views[1], asked)

    def views(self) -> tuple[MeshView, MeshView]:
        """Both views with everyone who asks: an asker is a fact of the recording, not of a configuration."""
        old, new = (replace(view, workloads={**self._used, **view.workloads}) for view in self._views)
        return old, new


class _Lenses:
    """What both configurations look at, by who asks and whom."""

    def __init__(self, views: Sequence[MeshView]) -> None:
        self._snapshots = [Snapshot(view, imagined_placement(view), MeshSettings()) for view in views]
        self._made: dict[tuple[str, str, str], tuple[Lens, ...]] = {}
        self.header_names: set[str] = set()

    def key(self, client: str, asked: Asked) -> tuple[Any, ...]:
        """Equal for requests that neither configuration tells apart."""
        lenses = self._of(client, asked)
        said = (lens.key(asked.method, asked.authority, asked.path, asked.headers) for lens in lenses)
        return (*self._whom(client, asked), asked.method, asked.port, *said)

    def names(self, client: str, asked: Asked) -> set[str]:
        """The headers that either looks at."""
        return {name for lens in self._of(client, asked) for name in lens.header_names}

    def _whom(self, client: str, asked: Asked) -> tuple[str, str, str]:
        return client, f"{asked.kind}s" if asked.tls else asked.kind, asked.authority.lower()

    def _of(self, client: str, asked: Asked) -> tuple[Lens, ...]:
        whom = self._whom(client, asked)
        if whom not in self._made:
            self._made[whom] = tuple(Lens(self._configuration(each, client, asked)) for each in self._snapshots)
            self.header_names |= {name for lens in self._made[whom] for name in lens.header_names}
        return self._made[whom]

    def _configuration(self, snapshot: Snapshot, client: str, asked: Asked) -> Iterable[Mapping[str, Any]]:
        proxy = snapshot.proxy(client)
        if proxy is None:
            return []
        try:
            hosts = covering(proxy, snapshot, asked.authority) if asked.kind != "tcp" else []
            keys = onwards(proxy, snapshot, asked)
        except BadInputError:  # told when it is asked
            return []
        others = [other for key in keys if (other := snapshot.proxy(key)) is not None]
        guarding = [proxy] if proxy.role == "router" else []
        passing = (table for each in others if each.role == "router" for table in tables(each, snapshot))
        return [*hosts, *passing, *(_listeners(each, snapshot) for each in (*guarding, *others))]


def _listeners(proxy: Proxy, snapshot: Snapshot) -> Mapping[str, Any]:
    """The listeners that other proxies or the outside reach."""

    def make() -> Mapping[str, Any]:
        every = (each for each in whole(proxy, snapshot)[LDS] if proxy.role == "router" or "inbound" in each.name)
        return {"listeners": [plain(each) for each in every]}

    return snapshot.derive(("reached listeners", proxy.key), make)
