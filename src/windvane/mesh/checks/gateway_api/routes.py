"""What Gateway API asks of routes and grants."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from windvane.mesh.checks.common import Problem, check_header_name, check_port, check_regex, invalid
from windvane.mesh.checks.gateway_api.filters import check_filters
from windvane.mesh.checks.gateway_api.gateways import check_hostname, check_name
from windvane.mesh.models import gateway_api
from windvane.mesh.models.gateway_api.http_route import HTTPHeaderMatch
from windvane.mesh.models.gateway_api.stream_routes import StreamRouteRule
from windvane.mesh.yaml_source import Path

_MOST_RULES, _MOST_WEIGHT = 16, 1_000_000
_PATH = re.compile(r"/[A-Za-z0-9/\-._~%!$&'()*+,;=:@]*")
_NOT_IN_PATHS = ("//", "/./", "/../", "%2f", "%2F", "#")
_GRPC_SERVICE = re.compile(r"(?i)\.?[a-z_][a-z_0-9]*(\.[a-z_][a-z_0-9]*)*")
_GRPC_METHOD = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")


def check_http_route(item: gateway_api.HTTPRoute) -> Iterator[Problem]:
    """Everything that makes a cluster refuse an HTTPRoute."""
    yield from _check_common(item, item.spec.hostnames, item.spec.rules)
    for index, rule in enumerate(item.spec.rules):
        path: Path = ("spec", "rules", index)
        for number, match in enumerate(rule.matches):
            yield from _check_match((*path, "matches", number), match)
        yield from check_filters(path, rule.filters, rule)
        for number, ref in enumerate(rule.backend_refs):
            yield from _check_backend((*path, "backendRefs", number), ref)
            yield from check_filters((*path, "backendRefs", number), ref.filters, rule)
        yield from _check_times(path, rule)


def check_grpc_route(item: gateway_api.GRPCRoute) -> Iterator[Problem]:
    """Everything that makes a cluster refuse a GRPCRoute."""
    yield from _check_common(item, item.spec.hostnames, item.spec.rules)
    for index, rule in enumerate(item.spec.rules):
        path: Path = ("spec", "rules", index)
        for number, match in enumerate(rule.matches):
            if match.method is not None:
                yield from _check_method((*path, "matches", number, "method"), match.method)
            yield from _check_headers((*path, "matches", number, "headers"), match.headers)
        yield from check_filters(path, rule.filters, None)
        for number, ref in enumerate(rule.backend_refs):
            yield from _check_backend((*path, "backendRefs", number), ref)
            yield from check_filters((*path, "backendRefs", number), ref.filters, None)


def check_tls_route(item: gateway_api.TLSRoute) -> Iterator[Problem]:
    """Everything that makes a cluster refuse a TLSRoute."""
    yield from _check_common(item, item.spec.hostnames, item.spec.rules)
    yield from _check_streams(item.spec.rules)


def check_tcp_route(item: gateway_api.TCPRoute) -> Iterator[Problem]:
    """Everything that makes a cluster refuse a TCPRoute."""
    yield from _check_common(item, (), item.spec.rules)
    yield from _check_streams(item.spec.rules)


def check_reference_grant(item: gateway_api.ReferenceGrant) -> Iterator[Problem]:
    """Everything that makes a cluster refuse a ReferenceGrant."""
    for name, given in (("from", item.spec.from_), ("to", item.spec.to)):
        if not given:
            yield invalid(("spec", name), "at least one must be given")


def _check_common(item: gateway_api.Route, hostnames: Iterable[str], rules: Sequence[object]) -> Iterator[Problem]:
    for index, ref in enumerate(item.spec.parent_refs):
        path: Path = ("spec", "parentRefs", index)
        yield from check_name((*path, "name"), ref.name)
        if ref.port is not None:
            yield from check_port((*path, "port"), ref.port)
    for index, host in enumerate(hostnames):
        yield from check_hostname(("spec", "hostnames", index), host)
    if len(rules) > _MOST_RULES:
        yield invalid(("spec", "rules"), f"a route has at most {_MOST_RULES} rules")


def _check_streams(rules: Sequence[StreamRouteRule]) -> Iterator[Problem]:
    if not rules:
        yield invalid(("spec", "rules"), "a route must have at least one rule")
    for index, rule in enumerate(rules):
        path: Path = ("spec", "rules", index, "backendRefs")
        if not rule.backend_refs:
            yield invalid(path, "a rule must have at least one backend")
        for number, ref in enumerate(rule.backend_refs):
            yield from _check_backend((*path, number), ref)


def check_backend_object(path: Path, ref: gateway_api.BackendObjectReference) -> Iterator[Problem]:
    """An object that requests go to; a Service needs a port."""
    yield from check_name((*path, "name"), ref.name)
    if ref.port is not None:
        yield from check_port((*path, "port"), ref.port)
    elif ref.kind in ("Service", "Hostname", "ServiceImport"):
        yield invalid((*path, "port"), f"port is required for a {ref.kind}")


def _check_backend(path: Path, ref: gateway_api.BackendRef) -> Iterator[Problem]:
    yield from check_backend_object(path, ref)
    if not 0 <= ref.weight <= _MOST_WEIGHT:
        yield invalid((*path, "weight"), f"weight {ref.weight} is not in range 0..{_MOST_WEIGHT}")


def _check_match(path: Path, match: gateway_api.HTTPRouteMatch) -> Iterator[Problem]:
    value, place = match.path.value, (*path, "path", "value")
    if match.path.type == "RegularExpression":
        yield from check_regex(place, value)
    elif not _PATH.fullmatch(value):
        yield invalid(place, f"{value!r} is not an absolute path")
    else:
        found = [part for part in _NOT_IN_PATHS if part in value] or [
            part for part in ("/.", "/..") if value.endswith(part)
        ]
        if found:
            yield invalid(place, f"{value!r} must not contain {found[0]!r}")
    yield from _check_headers((*path, "headers"), match.headers)
    for index, one in enumerate(match.query_params):
        yield from check_header_name((*path, "queryParams", index, "name"), one.name)
        if one.type == "RegularExpression":
            yield from check_regex((*path, "queryParams", index, "value"), one.value)


def _check_headers(path: Path, matches: Sequence[HTTPHeaderMatch]) -> Iterator[Problem]:
    for index, one in enumerate(matches):
        yield from check_header_name((*path, index, "name"), one.name)
        if one.type == "RegularExpression":
            yield from check_regex((*path, index, "value"), one.value)


def _check_method(path: Path, match: gateway_api.GRPCMethodMatch) -> Iterator[Problem]:
    if not match.service and not match.method:
        yield invalid(path, "one or both of service and method must be given")
    for name, value, form in (("service", match.service, _GRPC_SERVICE), ("method", match.method, _GRPC_METHOD)):
        if value and match.type == "RegularExpression":
            yield from check_regex((*path, name), value)
        elif value and not form.fullmatch(value):
            yield invalid((*path, name), f"{value!r} is not the name of a gRPC {name}")


def _check_times(path: Path, rule: gateway_api.HTTPRouteRule) -> Iterator[Problem]:
    times, retry = rule.timeouts, rule.retry
    if times is not None and times.request and times.backend_request and times.backend_request > times.request:
        yield invalid((*path, "timeouts", "backendRequest"), "backendRequest must not be longer than request")
    if retry is None:
        return
    for index, code in enumerate(retry.codes):
        if not 400 <= code <= 599:
            yield invalid((*path, "retry", "codes", index), f"status code {code} is not in range 400..599")
    if retry.attempts is not None and retry.attempts < 0:
        yield invalid((*path, "retry", "attempts"), "attempts must not be negative")
