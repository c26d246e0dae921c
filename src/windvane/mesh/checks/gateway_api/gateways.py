"""What Gateway API asks of Gateways and their classes."""

from __future__ import annotations

import re
from collections.abc import Iterator

from windvane.mesh.checks.common import Problem, check_host, check_port, invalid, is_dns_label, is_ip, repeated
from windvane.mesh.models import gateway_api
from windvane.mesh.yaml_source import Path

_MOST_LISTENERS = 64
_CONTROLLER = re.compile(
    r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
)
_STREAMS = ("TCP", "UDP")


def check_gateway_class(item: gateway_api.GatewayClass) -> Iterator[Problem]:
    """Everything that makes a cluster refuse a GatewayClass."""
    if not _CONTROLLER.fullmatch(item.spec.controller_name):
        path = ("spec", "controllerName")
        yield invalid(path, f"{item.spec.controller_name!r} is not a controller's name (a domain, / and a path)")


def check_gateway(item: gateway_api.Gateway) -> Iterator[Problem]:
    """Everything that makes a cluster refuse a Gateway."""
    path: Path = ("spec", "listeners")
    listeners = item.spec.listeners
    if not item.spec.gateway_class_name:
        yield invalid(("spec", "gatewayClassName"), "the name of a GatewayClass must be given")
    if not listeners:
        yield invalid(path, "a Gateway must have at least one listener")
    if len(listeners) > _MOST_LISTENERS:
        yield invalid(path, f"a Gateway has at most {_MOST_LISTENERS} listeners")
    for index, name in repeated(listener.name for listener in listeners):
        yield invalid((*path, index, "name"), f"listener names must be unique: duplicate name {name}")
    for index, _ in repeated((one.port, one.protocol, one.hostname) for one in listeners):
        yield invalid((*path, index), "port, protocol and hostname together must be unique for each listener")
    for index, listener in enumerate(listeners):
        yield from _check_listener((*path, index), listener)


def _check_listener(path: Path, listener: gateway_api.Listener) -> Iterator[Problem]:
    yield from check_name((*path, "name"), listener.name)
    yield from check_port((*path, "port"), listener.port)
    if listener.hostname:
        yield from check_hostname((*path, "hostname"), listener.hostname)
        if listener.protocol in _STREAMS:
            yield invalid((*path, "hostname"), f"a listener of protocol {listener.protocol} has no hostname")
    namespaces = listener.allowed_routes.namespaces
    if namespaces.from_ == "Selector" and namespaces.selector is None:
        yield invalid((*path, "allowedRoutes", "namespaces", "selector"), "from: Selector needs a selector")
    yield from _check_tls((*path, "tls"), listener)


def _check_tls(path: Path, listener: gateway_api.Listener) -> Iterator[Problem]:
    tls, protocol = listener.tls, listener.protocol
    if tls is None:
        if protocol in ("HTTPS", "TLS"):
            yield invalid(path, f"tls must be given for protocol {protocol}")
        return
    if protocol not in ("HTTPS", "TLS"):
        yield invalid(path, f"tls must not be given for protocol {protocol}")
    elif protocol == "HTTPS" and tls.mode != "Terminate":
        yield invalid((*path, "mode"), "tls mode must be Terminate for protocol HTTPS")
    elif tls.mode == "Terminate" and not tls.certificate_refs and not tls.options:
        yield invalid((*path, "certificateRefs"), "certificateRefs or options must be given when mode is Terminate")


def check_name(path: Path, name: str) -> Iterator[Problem]:
    """The name of a listener or of an object: DNS labels with dots between them."""
    if not name or len(name) > 253 or not all(is_dns_label(part) for part in name.split(".")):
        yield invalid(path, f"{name!r} is not a name that Kubernetes accepts")


def check_hostname(path: Path, host: str) -> Iterator[Problem]:
    """A host name, or `*.` and a name; no address, no port, in lower case."""
    if host == "*" or is_ip(host) or host != host.lower():
        yield invalid(path, f"{host!r} is not a host name (a wildcard is *.name)")
    else:
        yield from check_host(path, host)
