"""Gateways to listeners that routes attach to: each becomes a Gateway of Istio with one server."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windvane.mesh.gateway_api.certificates import server_tls
from windvane.mesh.gateway_api.conditions import Condition, key_of
from windvane.mesh.gateway_api.semantics import GATEWAY_NAME, SUFFIX, ListenerGateway
from windvane.mesh.gateway_api.surroundings import Surroundings, each
from windvane.mesh.models import ObjectMeta, Resource, Server, ServerTLSSettings, gateway_api
from windvane.mesh.models.gateway import GatewaySpec
from windvane.mesh.models.services import ServicePort
from windvane.mesh.yaml_source import Path

CONTROLLER = "istio.io/gateway-controller"
CLASS = "istio"
"""The class that is there without a GatewayClass."""
_OTHER_CLASSES = ("istio-remote", "istio-waypoint", "istio-east-west")
_NAME_OVERRIDE = "gateway.istio.io/name-override"
_HTTP = ("HTTPRoute", "GRPCRoute")
_SECURED = ("HTTPS", "TLS")
_PROTOCOLS = ("HTTP", *_SECURED, "TCP")


@dataclass(frozen=True, slots=True)
class Attachable:
    """A listener that is served: its name among Istio's Gateways, and the kinds of routes that may attach."""

    gateway: gateway_api.Gateway
    listener: gateway_api.Listener
    name: str
    kinds: tuple[str, ...]

    @property
    def hostname(self) -> str:
        return self.listener.hostname or "*"

    def allows(self, namespace: str, around: Surroundings) -> bool:
        """Whether routes of a namespace may attach."""
        wanted = self.listener.allowed_routes.namespaces
        if wanted.from_ == "Selector":
            return wanted.selector is not None and around.is_selected(namespace, wanted.selector)
        return wanted.from_ == "All" or (wanted.from_ == "Same" and namespace == self.gateway.namespace)


@dataclass(frozen=True, slots=True)
class Proxies:
    """The proxies that serve a Gateway: their namespace and labels, what they are called, who deploys them."""

    namespace: str
    selector: Mapping[str, str]
    deployment: str
    managed: bool = False


def is_served(gateway: gateway_api.Gateway, classes: Mapping[str, str]) -> bool:
    """Whether a Gateway is of a class of Istio's controller; `classes` are controllers by class."""
    return classes.get(gateway.spec.gateway_class_name) == CONTROLLER


def classes_of(resources: Iterable[Resource]) -> dict[str, str]:
    """The controller of every class; Istio's own class needs no object."""
    return {CLASS: CONTROLLER} | {
        item.name: item.spec.controller_name for item in each(resources, gateway_api.GatewayClass)
    }


def class_conditions(gateway: gateway_api.Gateway, classes: Mapping[str, str]) -> Iterator[Condition]:
    """That a Gateway is of no class of Istio's controller."""
    name, path = gateway.spec.gateway_class_name, ("spec", "gatewayClassName")
    if is_served(gateway, classes):
        return
    if name in _OTHER_CLASSES and name not in classes:
        words = f"Istio's class {name!r} is not for ingress, and what it deploys is not run here"
    elif name in classes:
        words = f"class {name!r} is served by {classes[name]}, not by {CONTROLLER}"
    else:
        words = f"GatewayClass {name!r} not found"
    yield Condition(key_of(gateway), "WV0501", "Accepted", "Pending", words, path)


def listeners(
    gateway: gateway_api.Gateway, around: Surroundings
) -> tuple[list[tuple[Attachable, ListenerGateway]], list[Condition]]:
    """The listeners of a Gateway that can be served, and what is wrong with the others."""
    proxies, conditions = _proxies(gateway, around)
    made: list[tuple[Attachable, ListenerGateway]] = []
    for index, listener in enumerate(gateway.spec.listeners):
        wrong = [*_refused(gateway, index), *_conflicted(gateway, index)]
        tls, problems = server_tls(gateway, index, around)
        conditions += [*wrong, *problems, *_wrong_kinds(gateway, index)]
        unsecured = tls is None and bool(problems)
        if not wrong and not unsecured and proxies is not None:
            attachable = _attachable(gateway, listener)
            made.append((attachable, _translated(attachable, proxies, tls)))
    return made, conditions


def _attachable(gateway: gateway_api.Gateway, listener: gateway_api.Listener) -> Attachable:
    name = f"{gateway.namespace}/{gateway.name}-{SUFFIX}-{listener.name}"
    return Attachable(gateway, listener, name, _allowed_kinds(listener))


def _translated(own: Attachable, proxies: Proxies, tls: ServerTLSSettings | None) -> ListenerGateway:
    port = ServicePort(number=own.listener.port, protocol=own.listener.protocol, name="default")
    # Who may attach is decided where routes are translated: here every namespace may.
    server = Server(port=port, hosts=(f"*/{own.hostname}",), tls=tls)
    made = ListenerGateway(
        api_version="networking.istio.io/v1",
        metadata=ObjectMeta(
            name=own.name.partition("/")[2],
            namespace=own.gateway.namespace,
            creation_timestamp=own.gateway.metadata.creation_timestamp,
        ),
        spec=GatewaySpec(servers=(server,), selector=dict(proxies.selector)),
        workload_namespace=proxies.namespace,
        deployment=proxies.deployment,
        managed=proxies.managed,
    )
    made.locate(own.gateway.file, own.gateway.line, own.gateway.namespace)
    return made


def _kinds(listener: gateway_api.Listener) -> tuple[str, ...]:
    """The kinds of routes that a listener's protocol takes."""
    if listener.protocol in ("HTTP", "HTTPS"):
        return _HTTP
    passed_on = listener.tls is not None and listener.tls.mode == "Passthrough"
    return ("TLSRoute",) if listener.protocol == "TLS" and passed_on else ("TCPRoute",)


def _allowed_kinds(listener: gateway_api.Listener) -> tuple[str, ...]:
    wanted = [each.kind for each in listener.allowed_routes.kinds if each.group == gateway_api.GROUP]
    return tuple(kind for kind in _kinds(listener) if not listener.allowed_routes.kinds or kind in wanted)


def _wrong_kinds(gateway: gateway_api.Gateway, index: int) -> Iterator[Condition]:
    listener = gateway.spec.listeners[index]
    for number, wanted in enumerate(listener.allowed_routes.kinds):
        if wanted.group != gateway_api.GROUP or wanted.kind not in _kinds(listener):
            words = f"{listener.protocol} listeners take {' and '.join(_kinds(listener))}, not {wanted.kind}"
            path = (*_path(index), "allowedRoutes", "kinds", number)
            yield Condition(key_of(gateway), "WV0502", "ResolvedRefs", "InvalidRouteKinds", words, path)


def _refused(gateway: gateway_api.Gateway, index: int) -> Iterator[Condition]:
    protocol = gateway.spec.listeners[index].protocol
    if protocol in _PROTOCOLS:
        return
    words = f"protocol {protocol!r} is unsupported"
    if protocol.upper() in _PROTOCOLS:
        words += f". hint: {protocol.upper()!r} (uppercase) may be supported"
    path = (*_path(index), "protocol")
    yield Condition(key_of(gateway), "WV0502", "Accepted", "UnsupportedProtocol", words, path)


def _conflicted(gateway: gateway_api.Gateway, index: int) -> Iterator[Condition]:
    """The first listener of a port says whether TLS is spoken there."""
    own = gateway.spec.listeners[index]
    first = next(one for one in gateway.spec.listeners if one.port == own.port)
    if _speaks(first) != _speaks(own):
        words = f"port {own.port} already speaks {first.protocol}, of listener {first.name!r}"
        path = (*_path(index), "protocol")
        yield Condition(key_of(gateway), "WV0502", "Accepted", "ProtocolConflict", words, path)


def _speaks(listener: gateway_api.Listener) -> str:
    return "TLS" if listener.protocol in _SECURED else listener.protocol


def _path(index: int) -> Path:
    return ("spec", "listeners", index)


def _proxies(gateway: gateway_api.Gateway, around: Surroundings) -> tuple[Proxies | None, list[Condition]]:
    """Who serves a Gateway: pods deployed for it, or those of the Service that it names as its address."""
    addresses = gateway.spec.addresses
    if not addresses or (len(addresses) == 1 and addresses[0].type == "IPAddress"):
        default = f"{gateway.name}-{gateway.spec.gateway_class_name}"
        name = gateway.annotations.get(_NAME_OVERRIDE) or default
        return Proxies(gateway.namespace, {GATEWAY_NAME: gateway.name}, name, managed=True), []
    found, conditions = [], []
    for index, address in enumerate(addresses):
        proxies = _of_service(address.value, gateway.namespace, around) if address.type == "Hostname" else None
        if proxies is None:
            conditions.append(_unusable(gateway, index))
        else:
            found.append(proxies)
    return _first(found), conditions


def _first(found: Sequence[Proxies]) -> Proxies | None:
    return found[0] if found else None


def _unusable(gateway: gateway_api.Gateway, index: int) -> Condition:
    address = gateway.spec.addresses[index]
    reason = "AddressNotUsable" if address.type == "Hostname" else "UnsupportedAddress"
    words = f"only Hostname is supported, ignoring {address.value!r}"
    if address.type == "Hostname":
        words = f"{address.value!r} is no Service of the cluster"
    return Condition(key_of(gateway), "WV0504", "Programmed", reason, words, ("spec", "addresses", index))


def _of_service(value: str, namespace: str, around: Surroundings) -> Proxies | None:
    """The pods of a Service; one that no file has is taken for a gateway that Istio's installation brings."""
    full = value if "." in value else around.service_host(namespace, value)
    name, _, rest = full.partition(".")
    owner, svc, domain = rest.partition(".svc.")
    if not svc or domain != around.domain:
        return None
    selector = around.selectors.get((owner, name), {"istio": name.removeprefix("istio-")})
    return Proxies(owner, selector, name) if selector else None
