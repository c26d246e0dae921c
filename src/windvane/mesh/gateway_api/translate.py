"""All of Gateway API's resources, made into Istio's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from windvane.mesh.gateway_api.attach import Attachment, Parents, attachments
from windvane.mesh.gateway_api.backends import Backends, UnsupportedFilterError
from windvane.mesh.gateway_api.conditions import Condition, Key, key_of
from windvane.mesh.gateway_api.deployments import deployed_services
from windvane.mesh.gateway_api.grpc import grpc_rules
from windvane.mesh.gateway_api.http import http_rules
from windvane.mesh.gateway_api.listeners import Attachable, class_conditions, classes_of, is_served, listeners
from windvane.mesh.gateway_api.precedence import age, specificity
from windvane.mesh.gateway_api.semantics import SUFFIX, ListenerGateway, Origin, TranslatedRoutes
from windvane.mesh.gateway_api.streams import tcp_rules, tls_rules
from windvane.mesh.gateway_api.surroundings import Surroundings, each
from windvane.mesh.models import HTTPMatchRequest, HTTPRoute, ObjectMeta, Resource, VirtualService, gateway_api
from windvane.mesh.models.virtual_service import VirtualServiceSpec
from windvane.mesh.view import MeshService

_HTTPRoutes = gateway_api.HTTPRoute | gateway_api.GRPCRoute
_Streams = gateway_api.TLSRoute | gateway_api.TCPRoute


@dataclass(frozen=True, slots=True)
class Translation:
    """What Gateway API's resources are to Istio, and every condition of theirs that is false.

    `services` are all of the mesh, by host name, with those that are deployed for Gateways.
    """

    gateways: tuple[ListenerGateway, ...] = ()
    services: Mapping[str, MeshService] = field(default_factory=dict)
    routes: tuple[TranslatedRoutes, ...] = ()
    conditions: tuple[Condition, ...] = ()


@dataclass(slots=True)
class _Host:
    """Rules of all routes for one host at one place, in the order of the routes."""

    first: gateway_api.Route
    attached: Attachment
    rules: list[tuple[HTTPRoute, Origin]] = field(default_factory=list)


_Places = dict[tuple[str, str, str], _Host]


def translate(resources: Sequence[Resource], around: Surroundings) -> Translation:
    """Everything among resources that is Gateway API's."""
    classes = classes_of(resources)
    gateways = sorted(each(resources, gateway_api.Gateway), key=age)
    conditions = [found for item in gateways for found in class_conditions(item, classes)]
    parents: dict[tuple[str, str], list[Attachable]] = {}
    made: list[ListenerGateway] = []
    for item in gateways:
        if is_served(item, classes):
            found, wrong = listeners(item, around)
            parents[item.namespace, item.name] = [attachable for attachable, _ in found]
            made += [translated for _, translated in found]
            conditions += wrong
    others = frozenset((item.namespace, item.name) for item in gateways if not is_served(item, classes))
    services = {**deployed_services(made, around.workloads, around.domain), **around.services}
    routes, problems = _routes(resources, parents, replace(around, services=services), others)
    return Translation(tuple(made), services, tuple(routes), (*conditions, *problems))


def in_order(own: Sequence[VirtualService], translated: Sequence[TranslatedRoutes]) -> tuple[VirtualService, ...]:
    """VirtualServices in the order in which they count for a host of the mesh.

    What a namespace says of services of others, for its own clients, comes first; else the oldest.
    """
    private = [item for item in translated if item.spec.export_to]
    shared = [item for item in translated if not item.spec.export_to]
    return (*private, *sorted((*own, *shared), key=lambda item: item.age_key))


def _routes(
    resources: Sequence[Resource], parents: Parents, around: Surroundings, others: frozenset[tuple[str, str]]
) -> tuple[list[TranslatedRoutes], list[Condition]]:
    made: list[TranslatedRoutes] = []
    conditions: list[Condition] = []
    places: _Places = {}
    for route in sorted(each(resources, gateway_api.Route), key=age):
        attached, refusals = attachments(route, parents, around, others)
        conditions += refusals
        for mesh in (False, True):
            here = [one for one in attached if one.is_mesh == mesh]
            backends = Backends(route, around, asks_for_grants=not mesh)
            if isinstance(route, gateway_api.HTTPRoute | gateway_api.GRPCRoute):
                _collect(route, here, backends, places)
            elif isinstance(route, gateway_api.TLSRoute | gateway_api.TCPRoute):
                made += [_stream(route, attached.index(one), one, backends) for one in here]
            conditions += backends.conditions
    return [*_merged(places), *made], list(dict.fromkeys(conditions))


def _collect(route: _HTTPRoutes, attached: Sequence[Attachment], backends: Backends, places: _Places) -> None:
    """Add a route's rules to those of every host that it is attached for."""
    if not attached:
        return
    of, file, line = key_of(route), route.file, route.line
    try:
        rules = [(rule, Origin(of, file, line, *place)) for *place, rule in _rules(route, backends)]
    except UnsupportedFilterError:
        return
    for one in attached:
        for host in one.hosts:
            owner = route.namespace if one.is_mesh else ""
            place = places.setdefault((one.gateway, owner, host), _Host(route, one))
            place.rules += [(_on_port(rule, one.port), origin) for rule, origin in rules]


def _rules(route: _HTTPRoutes, backends: Backends) -> Iterator[tuple[int, int, HTTPRoute]]:
    return http_rules(route, backends) if isinstance(route, gateway_api.HTTPRoute) else grpc_rules(route, backends)


def _on_port(rule: HTTPRoute, port: int) -> HTTPRoute:
    """A rule that holds on one port of a service."""
    if not port:
        return rule
    matches = [match.model_copy(update={"port": port}) for match in rule.match] or [HTTPMatchRequest(port=port)]
    return rule.model_copy(update={"match": tuple(matches)})


def _merged(places: Mapping[tuple[str, str, str], _Host]) -> Iterator[TranslatedRoutes]:
    numbers: Counter[Key] = Counter()  # within a route, so that one more changes nothing of others
    for (gateway, _, host), found in places.items():
        ordered = sorted(found.rules, key=lambda pair: specificity(pair[0]))
        spec = VirtualServiceSpec(
            hosts=(host,),
            gateways=(gateway,),
            http=tuple(rule for rule, _ in ordered),
            export_to=_exported(found.first, found.attached),
        )
        yield _translated(found.first, numbers[key_of(found.first)], spec, tuple(origin for _, origin in ordered))
        numbers[key_of(found.first)] += 1


def _exported(route: gateway_api.Route, attached: Attachment) -> tuple[str, ...]:
    """Routes for a service of another namespace are for the clients of their own."""
    return (".",) if attached.is_mesh and attached.namespace != route.namespace else ()


def _stream(route: _Streams, number: int, attached: Attachment, backends: Backends) -> TranslatedRoutes:
    spec = VirtualServiceSpec(hosts=attached.hosts, gateways=(attached.gateway,), export_to=_exported(route, attached))
    if isinstance(route, gateway_api.TLSRoute):
        spec = spec.model_copy(update={"tls": tuple(tls_rules(route, attached, backends))})
    else:
        spec = spec.model_copy(update={"tcp": tuple(tcp_rules(route, attached, backends))})
    return _translated(route, number, spec)


def _translated(
    route: gateway_api.Route, number: int, spec: VirtualServiceSpec, origins: tuple[Origin, ...] = ()
) -> TranslatedRoutes:
    made = TranslatedRoutes(
        api_version="networking.istio.io/v1",
        metadata=ObjectMeta(
            name=f"{route.name}~{number}~{SUFFIX}",
            namespace=route.namespace,
            creation_timestamp=route.metadata.creation_timestamp,
        ),
        spec=spec,
        origins=origins,
    )
    made.locate(route.file, route.line, route.namespace)
    return made
