"""The push plan: which proxies an edit concerns, and which types of their configuration it can change. Pure.

Two snapshots are compared kind by kind. A plan may name more than changes (what is generated again and comes out
equal is not sent) but never less: of what it leaves out a proxy's configuration is the same in both snapshots.
A field of the mesh's view that has no rule here concerns everybody with everything.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, TypeVar

from windvane.mesh import hosts
from windvane.mesh.models import AuthorizationPolicy, DestinationRule, RequestAuthentication, VirtualService
from windvane.mesh.placement import WorkloadPlace
from windvane.mesh.resolve import selects
from windvane.mesh.view import MeshService, MeshView, MeshWorkload
from windvane.xds.ca import identity_of
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, EDS, LDS, RDS
from windvane.xds.scope import outbound_scope
from windvane.xds.snapshot import Snapshot
from windvane.xds.sni_dnat import is_passing_on

V = TypeVar("V")
Types = frozenset[str]

NOTHING: Types = frozenset()
EVERYTHING: Types = frozenset((CDS, EDS, LDS, RDS))
"""What is generated from a snapshot; certificates (SDS) have a life of their own."""

_WITHOUT_EFFECT = {"version", "delegates", "proxy_configs", "gateway_api_conditions", "_derived"}
"""Fields of a view that no generator reads: a ProxyConfig is for the process, delegates are in their roots."""


@dataclass(frozen=True, slots=True)
class Effect:
    """Types that may differ, for proxies that fit every limit that is set (an empty one is for nobody).

    `services` are host names, `rules` VirtualServices by reference, of which the proxy knows one as a client;
    `namespaces` are the proxy's; `proxies` are keys of workloads; `fits` is asked about the proxy's workload.
    """

    types: Types
    services: frozenset[str] | None = None
    rules: frozenset[str] | None = None
    namespaces: frozenset[str] | None = None
    proxies: frozenset[str] | None = None
    fits: Callable[[MeshWorkload], bool] | None = None


@dataclass(frozen=True, slots=True)
class Changes:
    """What lies between two snapshots; `before` is None when there was none."""

    before: Snapshot | None
    after: Snapshot
    effects: tuple[Effect, ...] = ()

    def concerning(self, key: str) -> Types:
        """The types that may differ for a proxy; everything for one that is new to the mesh or leaves it."""
        then = self.before.proxy(key) if self.before is not None else None
        now = self.after.proxy(key)
        if self.before is None or (then is None) != (now is None):
            return EVERYTHING
        if then is None or now is None:
            return NOTHING
        found = NOTHING
        for effect in self.effects:
            if not effect.types <= found and self._reaches(effect, then, now):
                found |= effect.types
        return found

    def _reaches(self, effect: Effect, then: Proxy, now: Proxy) -> bool:
        if effect.proxies is not None and now.key not in effect.proxies:
            return False
        if effect.namespaces is not None and now.namespace not in effect.namespaces:
            return False
        if effect.fits is not None and not (effect.fits(then.workload) or effect.fits(now.workload)):
            return False
        if effect.services is None and effect.rules is None:
            return True
        assert self.before is not None
        scopes = outbound_scope(then, self.before), outbound_scope(now, self.after)
        return any(_knows(effect, scope) for scope in scopes)


def _knows(effect: Effect, scope: Snapshot) -> bool:
    """Whether a client of a scope knows any of the services, and any of the rules, of those that are set."""
    if effect.services is not None and effect.services.isdisjoint(scope.view.services):
        return False
    known = scope.derive("known rules", lambda: frozenset(item.reference for item in scope.view.virtual_services))
    return effect.rules is None or not effect.rules.isdisjoint(known)


def changes(before: Snapshot | None, after: Snapshot) -> Changes:
    """Compare two snapshots of one mesh."""
    if before is None or _others_differ(before, after):
        return Changes(before, after, (Effect(EVERYTHING),))
    made = _Comparison(before, after)
    return Changes(before, after, tuple(made.effects()))


def _others_differ(before: Snapshot, after: Snapshot) -> bool:
    """Whether anything differs that there is no rule for."""
    if before.settings != after.settings:
        return True
    names = {each.name for each in fields(MeshView)} - _WITHOUT_EFFECT - _RULES.keys() - {"services", "workloads"}
    return any(getattr(before.view, name) != getattr(after.view, name) for name in names)


class _Comparison:
    """The rules, one a kind: each yields the effects of what changed."""

    def __init__(self, before: Snapshot, after: Snapshot) -> None:
        self.before, self.after = before, after
        self.views = (before.view, after.view)
        self.root = after.view.root_namespace

    def effects(self) -> Iterator[Effect]:
        workloads = _differing(self.before.view.workloads, self.after.view.workloads, _without_lines)
        yield Effect(EVERYTHING, proxies=frozenset(workloads))
        places = self.before.placement.places, self.after.placement.places
        served = _differing(*places, _inbound_side)
        yield Effect(EVERYTHING, proxies=frozenset(served))
        yield Effect(frozenset((LDS, RDS)), proxies=frozenset(_differing(*places, _outbound_side)))
        yield from self._services(workloads | served)
        for name, rule in _RULES.items():
            former, newer = (_by_reference(getattr(view, name)) for view in self.views)
            for key in sorted(_differing(former, newer, _meanings)):
                yield from rule(self, [*former.get(key, ()), *newer.get(key, ())])
            if _in_other_order(former, newer):
                yield Effect(EVERYTHING)

    def _services(self, changed: set[str]) -> Iterator[Effect]:
        """`changed` are workloads that are others now, or elsewhere."""
        former, newer = (view.services for view in self.views)
        for name in former.keys() | newer.keys():
            old, new = former.get(name), newer.get(name)
            if old is None or new is None or _without_endpoints(old) != _without_endpoints(new):
                yield Effect(EVERYTHING, services=frozenset((name,)))
                yield Effect(EVERYTHING, proxies=_workloads_of(old, new))
                yield Effect(frozenset((RDS,)), namespaces=self._with_egress_proxy())
            elif _members(old) != _members(new) or not changed.isdisjoint(new.workloads):
                yield Effect(self._types_of_endpoints(old, new), services=frozenset((name,)))
                yield Effect(EVERYTHING, proxies=frozenset({*old.workloads} ^ {*new.workloads}))

    def _types_of_endpoints(self, old: MeshService, new: MeshService) -> Types:
        """EDS alone, unless clusters hold the endpoints or the identities that they may have."""
        if new.resolution != "static" or _identities(old, self.views[0]) != _identities(new, self.views[1]):
            return frozenset((CDS, EDS))
        return frozenset((EDS,))

    def virtual_service(self, items: list[VirtualService]) -> Iterator[Effect]:
        connections = any(item.spec.tcp or item.spec.tls for item in items)
        types = frozenset((RDS, LDS)) if connections else frozenset((RDS,))
        references = frozenset(item.reference for item in items)
        yield Effect(types, rules=references, fits=lambda workload: any(_is_seen(item, workload) for item in items))
        # What a Sidecar's egress imports brings the services with it that it sends to.
        scoped = {item.namespace for view in self.views for item in view.sidecars if item.spec.egress}
        everywhere = None if self.root in scoped else frozenset(scoped)
        yield Effect(EVERYTHING, rules=references, namespaces=everywhere)

    def destination_rule(self, items: list[DestinationRule]) -> Iterator[Effect]:
        covered = [
            service
            for view in self.views
            for service in view.services.values()
            if any(hosts.covers(item.spec.host, service.hostname) for item in items)
        ]
        types = frozenset((CDS, EDS, RDS))
        if any(not port.is_http for service in covered for port in service.ports):
            types |= {LDS}
        yield Effect(
            types,
            services=frozenset(service.hostname for service in covered),
            fits=lambda workload: any(_is_seen(item, workload) for item in items),
        )
        # Gateways pass connections on by server names that subsets are part of.
        passing = [gateway for view in self.views for gateway in view.gateways if is_passing_on(gateway)]
        yield Effect(
            frozenset((LDS,)),
            fits=lambda workload: any(each.picks(workload.labels, workload.namespace) for each in passing),
        )
        # Its limits are also those towards the application, whatever the proxy knows as a client.
        yield Effect(frozenset((CDS,)), proxies=_workloads_of(*covered))

    def gateway(self, _: list[Any]) -> Iterator[Effect]:
        # A selector makes a workload a gateway, which does not take the mesh's mutual TLS.
        yield Effect(EVERYTHING)

    def sidecar(self, items: list[Any]) -> Iterator[Effect]:
        yield Effect(EVERYTHING, namespaces=self._ruled_by(items))

    def peer_authentication(self, items: list[Any]) -> Iterator[Effect]:
        ruled = self._ruled_by(items)
        # A Sidecar's ingress listener ends TLS, and is HTTP then, where mutual TLS is switched off.
        yield Effect(frozenset((LDS, CDS)), namespaces=ruled)
        named = {
            service.hostname
            for view in self.views
            for service in view.services.values()
            if ruled is None or any(key.rpartition(".")[2] in ruled for key in service.workloads)
        }
        yield Effect(frozenset((EDS,)), services=frozenset(named))

    def guard(self, items: list[AuthorizationPolicy] | list[RequestAuthentication]) -> Iterator[Effect]:
        if any(item.spec.targets for item in items):
            # A Gateway that is named may be served by workloads of another namespace.
            yield Effect(frozenset((LDS,)))
            return
        yield Effect(
            frozenset((LDS,)),
            namespaces=self._ruled_by(items),
            fits=lambda workload: any(selects(item.spec.selector, workload.labels) for item in items),
        )

    def telemetry(self, items: list[Any]) -> Iterator[Effect]:
        attached = any(item.spec.targets for item in items)
        yield Effect(frozenset((LDS,)), namespaces=None if attached else self._ruled_by(items))

    def _with_egress_proxy(self) -> frozenset[str] | None:
        """Namespaces whose Sidecar names a service, known to them or not, that gets requests for unknown hosts."""
        policies = ((item, item.spec.outbound_traffic_policy) for view in self.views for item in view.sidecars)
        return self._ruled_by(item for item, policy in policies if policy is not None and policy.egress_proxy)

    def _ruled_by(self, items: Iterable[Any]) -> frozenset[str] | None:
        """The namespaces that policies are for: those of the root namespace are for all."""
        names = frozenset(item.namespace for item in items)
        return None if self.root in names else names


_RULES: dict[str, Callable[[_Comparison, list[Any]], Iterator[Effect]]] = {
    "virtual_services": _Comparison.virtual_service,
    "destination_rules": _Comparison.destination_rule,
    "gateways": _Comparison.gateway,
    "sidecars": _Comparison.sidecar,
    "peer_authentications": _Comparison.peer_authentication,
    "request_authentications": _Comparison.guard,
    "authorization_policies": _Comparison.guard,
    "telemetries": _Comparison.telemetry,
}
"""By the field of a view: the rule for its resources, given what stood before and what stands now."""


def _differing(former: Mapping[str, V], newer: Mapping[str, V], meaning: Callable[[V], Hashable | object]) -> set[str]:
    """The keys of things that only one has, or that mean something else."""
    both = former.keys() & newer.keys()
    return (former.keys() ^ newer.keys()) | {
        key for key in both if former[key] is not newer[key] and meaning(former[key]) != meaning(newer[key])
    }


def _by_reference(items: Iterable[Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for item in items:
        found.setdefault(item.reference, []).append(item)
    return found


def _in_other_order(former: Mapping[str, Any], newer: Mapping[str, Any]) -> bool:
    """Whether those that both have changed places: between equals the older one decides."""
    return [key for key in former if key in newer] != [key for key in newer if key in former]


def _meanings(items: list[Any]) -> object:
    """Resources without the places they were read from."""
    return [(item.api_version, item.namespace, item.metadata, item.spec) for item in items]


def _inbound_side(place: WorkloadPlace) -> object:
    return (place.address, place.inbound, place.app)


def _outbound_side(place: WorkloadPlace) -> object:
    return (place.http_proxy, place.outbound)


def _without_lines(workload: MeshWorkload) -> object:
    return replace(workload, file="", line=0)


def _without_endpoints(service: MeshService) -> object:
    return replace(service, workloads=(), endpoints=())


def _members(service: MeshService) -> object:
    return (service.workloads, [_without_lines(each) for each in service.endpoints])


def _workloads_of(*services: MeshService | None) -> frozenset[str]:
    return frozenset(key for service in services if service is not None for key in service.workloads)


def _identities(service: MeshService, view: MeshView) -> set[str]:
    found = (view.workloads[key] for key in service.workloads if key in view.workloads)
    return {identity_of(workload, view.trust_domain) for workload in found}


def _is_seen(item: VirtualService | DestinationRule, workload: MeshWorkload) -> bool:
    return hosts.is_visible(item.spec.export_to, item.namespace, workload.namespace)
