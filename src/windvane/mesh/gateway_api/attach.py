"""Which listeners and services a route is for, and for which hosts there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from windvane.mesh import hosts
from windvane.mesh.gateway_api.conditions import Condition, Key, key_of
from windvane.mesh.gateway_api.listeners import Attachable
from windvane.mesh.gateway_api.surroundings import Surroundings
from windvane.mesh.models import gateway_api
from windvane.mesh.yaml_source import Path

MESH = "mesh"
_RANK = ("NotAllowedByListeners", "NoMatchingListenerHostname", "NoMatchingParent")
"""Which of several reasons is told, the first before the others."""
_CODES = {"NoMatchingParent": "WV0505", "NotAllowedByListeners": "WV0506", "NoMatchingListenerHostname": "WV0507"}
_GATEWAY = (gateway_api.GROUP, "Gateway")
_SERVICES = {("", "Service"): "service", ("networking.istio.io", "ServiceEntry"): "service entry"}

Parents = Mapping[tuple[str, str], Sequence[Attachable]]
"""Listeners of Gateways by the Gateway's namespace and name."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """Where a route is in force: Istio's name of the Gateway, or `mesh` with the namespace of the parent and perhaps
    one port; for these hosts."""

    gateway: str
    hosts: tuple[str, ...]
    namespace: str
    port: int = 0

    @property
    def is_mesh(self) -> bool:
        return self.gateway == MESH


@dataclass(frozen=True, slots=True)
class _Refusal:
    reason: str
    message: str


def attachments(
    route: gateway_api.Route, parents: Parents, around: Surroundings, others: frozenset[tuple[str, str]]
) -> tuple[list[Attachment], list[Condition]]:
    """Where a route is in force, and why a parent does not take it.

    `others` are the Gateways of other controllers, of which nothing is said.
    """
    found: dict[Attachment, None] = {}
    conditions: list[Condition] = []
    for index, ref in enumerate(route.spec.parent_refs):
        place = ("spec", "parentRefs", index)
        namespace = route.namespace if ref.namespace is None else ref.namespace
        if (ref.group, ref.kind) == _GATEWAY:
            if (namespace, ref.name) not in others:
                made, refusals = _to_gateway(route, ref, parents.get((namespace, ref.name)), around)
                found.update(dict.fromkeys(made))
                conditions += [] if made else _told(key_of(route), refusals, place)
        elif (ref.group, ref.kind) in _SERVICES:
            own, refusal = _to_service(ref, namespace, around)
            found.update(dict.fromkeys([own] if own else []))
            conditions += _told(key_of(route), [refusal], place) if refusal else []
        else:
            words = f"unsupported parent: {ref.group}/{ref.kind}{_right_group(ref.kind)}"
            conditions.append(Condition(key_of(route), "WV0505", "Accepted", "NoMatchingParent", words, place))
    return list(found), conditions


def _right_group(kind: str) -> str:
    """A hint for a kind of which the group was left out: it is this API's then."""
    group = next((group for group, known in _SERVICES if known == kind), None)
    return f' (the group of a {kind} is "{group}")' if group is not None else ""


def _told(of: Key, refusals: Sequence[_Refusal], path: Path) -> list[Condition]:
    """The worst reason, with everything that is said of it."""
    worst = min((each.reason for each in refusals), key=_RANK.index)
    words = "; ".join(dict.fromkeys(each.message for each in refusals if each.reason == worst))
    return [Condition(of, _CODES[worst], "Accepted", worst, words, path)]


def _to_gateway(
    route: gateway_api.Route,
    ref: gateway_api.ParentReference,
    listeners: Sequence[Attachable] | None,
    around: Surroundings,
) -> tuple[list[Attachment], list[_Refusal]]:
    namespace = route.namespace if ref.namespace is None else ref.namespace
    if listeners is None:
        return [], [_Refusal("NoMatchingParent", f"parent gateway {namespace}/{ref.name} not found")]
    made: list[Attachment] = []
    refusals: list[_Refusal] = []
    for one in listeners:
        refusal = _refusal(route, ref, one, around)
        if refusal is not None:
            refusals.append(refusal)
        else:
            common = tuple(host for host in _common_hosts(route, one) if _is_isolated(host, one, listeners))
            made += [Attachment(one.name, common, namespace)] if common else []
    return made, refusals or [_Refusal("NoMatchingParent", f"gateway {namespace}/{ref.name} has no valid listener")]


def _refusal(
    route: gateway_api.Route, ref: gateway_api.ParentReference, own: Attachable, around: Surroundings
) -> _Refusal | None:
    """Why a listener does not take a route."""
    listener = own.listener
    if ref.port is not None and ref.port != listener.port:
        return _Refusal("NoMatchingParent", f"port {ref.port} not found")
    if ref.section_name is not None and ref.section_name != listener.name:
        return _Refusal("NoMatchingParent", f'sectionName "{ref.section_name}" not found')
    if not any(True for _ in _common_hosts(route, own)):
        return _Refusal("NoMatchingListenerHostname", f'no hostnames matched parent hostname "{listener.hostname}"')
    if not own.allows(route.namespace, around):
        words = f'hostnames matched parent hostname "{listener.hostname}", but namespace "{route.namespace}" is not '
        return _Refusal("NotAllowedByListeners", f"{words}allowed by the parent")
    if route.kind not in own.kinds:
        return _Refusal("NotAllowedByListeners", f"kind {route.kind} is not allowed")
    return None


def hostnames(route: gateway_api.Route) -> tuple[str, ...]:
    """The hosts of a route; `*` where it names none."""
    given: tuple[str, ...] = getattr(route.spec, "hostnames", ())
    return given or ("*",)


def _common_hosts(route: gateway_api.Route, own: Attachable) -> Iterator[str]:
    """Hosts that a route and a listener have in common: of two that overlap the narrower one."""
    pattern = own.hostname
    shared = [host for host in hostnames(route) if hosts.matches(pattern, host)]
    yield from dict.fromkeys(host if hosts.covers(pattern, host) else pattern for host in shared)


def _is_isolated(host: str, own: Attachable, listeners: Sequence[Attachable]) -> bool:
    """Whether no other listener of the same port is for a host more exactly than this one."""
    rivals = (
        other.hostname
        for other in listeners
        if other is not own
        and (other.listener.port, other.listener.protocol) == (own.listener.port, own.listener.protocol)
    )
    return not any(
        hosts.covers(rival, host) and rival != own.hostname and hosts.covers(own.hostname, rival) for rival in rivals
    )


def _to_service(
    ref: gateway_api.ParentReference, namespace: str, around: Surroundings
) -> tuple[Attachment | None, _Refusal | None]:
    """A route of the mesh (GAMMA): for all who call a service, on one of its ports if it says so."""
    what = _SERVICES[ref.group, ref.kind]
    own: tuple[str, ...] = (around.service_host(namespace, ref.name),)
    known = own[0] in around.services
    if what != "service":
        own = around.entries.get((namespace, ref.name), ())
        known = bool(own)
    if not known:
        return None, _Refusal("NoMatchingParent", f'parent {what}: "{ref.name}" not found')
    ports = {port.number for host in own if host in around.services for port in around.services[host].ports}
    if ref.port is not None and ref.port not in ports:
        return None, _Refusal("NoMatchingParent", f'port {ref.port} of {what} "{ref.name}" not found')
    return Attachment(MESH, own, namespace, ref.port or 0), None
