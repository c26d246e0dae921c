"""Istio's validation of a VirtualService."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator

from windvane.mesh.checks.common import (
    Problem,
    check_duration,
    check_export_to,
    check_header_name,
    check_host,
    check_labels,
    check_percent,
    check_port,
    check_regex,
    check_string_match,
    doubtful,
    invalid,
    is_dns_label,
    repeated,
)
from windvane.mesh.checks.connections import (
    check_connections,
    check_destination,
    check_gateway,
    check_weights,
)
from windvane.mesh.models import (
    Headers,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    VirtualService,
)
from windvane.mesh.models.virtual_service import (
    Abort,
    CorsPolicy,
    Delay,
    HeaderOperations,
    HTTPDirectResponse,
    HTTPRedirect,
    HTTPRewrite,
)
from windvane.mesh.yaml_source import Path

GRPC_STATUS = {
    name: code
    for code, name in enumerate(
        (
            "OK",
            "CANCELLED",
            "UNKNOWN",
            "INVALID_ARGUMENT",
            "DEADLINE_EXCEEDED",
            "NOT_FOUND",
            "ALREADY_EXISTS",
            "PERMISSION_DENIED",
            "RESOURCE_EXHAUSTED",
            "FAILED_PRECONDITION",
            "ABORTED",
            "OUT_OF_RANGE",
            "UNIMPLEMENTED",
            "INTERNAL",
            "UNAVAILABLE",
            "DATA_LOSS",
            "UNAUTHENTICATED",
        )
    )
}
"""gRPC's status codes by name."""

RETRY_CONDITIONS = frozenset(
    (
        "5xx",
        "gateway-error",
        "reset",
        "reset-before-request",
        "connect-failure",
        "envoy-ratelimited",
        "retriable-4xx",
        "refused-stream",
        "retriable-status-codes",
        "retriable-headers",
        "http3-post-connect-failure",
        "cancelled",
        "deadline-exceeded",
        "internal",
        "resource-exhausted",
        "unavailable",
    )
)
"""Envoy's conditions for `retryOn`, HTTP's and gRPC's; status codes may stand among them."""

_MAX_BODY = 1024 * 1024
_COMMAND = re.compile(r"%%|%[A-Z0-9_]+(?:\([^)]*\))?(?::\d+)?%")
_REDIRECT_CODES = (0, 301, 302, 303, 307, 308)


def check(item: VirtualService) -> Iterator[Problem]:
    """Everything that makes Istio refuse, or warn of, a VirtualService."""
    spec = item.spec
    yield from _check_hosts(item)
    for index, gateway in enumerate(spec.gateways):
        yield from check_gateway(("spec", "gateways", index), gateway)
    if not (spec.http or spec.tls or spec.tcp):
        yield invalid(("spec",), "http, tcp or tls must be provided in virtual service")
    for index, route in enumerate(spec.http):
        yield from _check_route(("spec", "http", index), route)
    yield from check_connections(item)
    for number, name in repeated(route.name for route in spec.http if route.name):
        yield doubtful(("spec", "http", number, "name"), f"route name {name!r} is used more than once")
    yield from check_export_to(("spec", "exportTo"), spec.export_to)


def _check_hosts(item: VirtualService) -> Iterator[Problem]:
    spec = item.spec
    if not spec.hosts:
        yield from _check_delegated(item)
    in_mesh = not spec.gateways or "mesh" in spec.gateways
    for index, host in enumerate(spec.hosts):
        path: Path = ("spec", "hosts", index)
        if host == "*" and in_mesh:
            yield invalid(path, "wildcard host * is not allowed for virtual services bound to the mesh gateway")
        yield from check_host(path, host)
    for index, host in repeated(spec.hosts):
        yield invalid(("spec", "hosts", index), f"duplicate host {host!r} in virtual service")


def _check_delegated(item: VirtualService) -> Iterator[Problem]:
    """A VirtualService without hosts is one that others delegate to."""
    if item.spec.gateways:
        yield invalid(("spec", "gateways"), "virtual service must have at least one host (a delegate has no gateways)")
    for index, route in enumerate(item.spec.http):
        path: Path = ("spec", "http", index)
        if route.delegate is not None:
            yield invalid((*path, "delegate"), "delegate HTTP route cannot contain delegate")
        for number, match in enumerate(route.match):
            if match.source_labels or match.source_namespace or match.gateways:
                words = "sourceLabels, sourceNamespace and gateways cannot be set in a delegate"
                yield invalid((*path, "match", number), words)


def _check_route(path: Path, route: HTTPRoute) -> Iterator[Problem]:
    yield from _check_action(path, route)
    for index, match in enumerate(route.match):
        yield from _check_match((*path, "match", index), match)
    yield from _check_headers((*path, "headers"), route.headers)
    yield from _check_destinations(path, route)
    yield from _check_fault((*path, "fault"), route.fault)
    yield from _check_mirrors(path, route)
    yield from check_duration((*path, "timeout"), route.timeout)
    yield from _check_retries((*path, "retries"), route.retries)
    yield from _check_rewrite((*path, "rewrite"), route.rewrite)
    yield from _check_authority(path, route)
    yield from _check_cors((*path, "corsPolicy"), route.cors_policy)


def _check_cors(path: Path, cors: CorsPolicy | None) -> Iterator[Problem]:
    if cors is None:
        return
    for index, origin in enumerate(cors.allow_origins):
        yield from check_string_match((*path, "allowOrigins", index), origin)
    if cors.allow_origin:
        yield doubtful((*path, "allowOrigin"), "allowOrigin is deprecated, use allowOrigins instead")
    for index, method in enumerate(cors.allow_methods):
        if not method.isalpha() and method != "*":
            yield invalid((*path, "allowMethods", index), f"{method!r} is not an HTTP method")
    for field, names in (("allowHeaders", cors.allow_headers), ("exposeHeaders", cors.expose_headers)):
        for index, name in enumerate(names):
            if name != "*":
                yield from check_header_name((*path, field, index), name)
    if cors.max_age is not None and (cors.max_age < 0 or cors.max_age != int(cors.max_age)):
        yield invalid((*path, "maxAge"), "maxAge must be whole seconds")


def _check_action(path: Path, route: HTTPRoute) -> Iterator[Problem]:
    if route.delegate is not None:
        if not route.delegate.name:
            yield invalid((*path, "delegate", "name"), "delegate name is required")
        return
    if route.redirect is None and route.direct_response is None and not route.route:
        yield invalid(path, "HTTP route, redirect or direct_response is required")
    if route.redirect is not None:
        if route.fault is not None:
            yield invalid((*path, "fault"), "HTTP route cannot contain both fault and redirect")
        if route.rewrite is not None:
            yield invalid((*path, "rewrite"), "HTTP route rule cannot contain both rewrite and redirect")
        yield from _check_redirect((*path, "redirect"), route.redirect)
    if route.direct_response is not None:
        yield from _check_direct_response((*path, "directResponse"), route.direct_response)


def _check_match(path: Path, match: HTTPMatchRequest) -> Iterator[Problem]:
    for field in ("uri", "scheme", "method", "authority"):
        yield from check_string_match((*path, field), getattr(match, field))
    for field, headers in (("headers", match.headers), ("withoutHeaders", match.without_headers)):
        for name, wanted in headers.items():
            yield from check_header_name((*path, field, name), name)
            yield from check_string_match((*path, field, name), wanted, presence=True)
    for name, wanted in match.query_params.items():
        yield from check_string_match((*path, "queryParams", name), wanted, presence=True)
    if match.port:
        yield from check_port((*path, "port"), match.port)
    yield from check_labels((*path, "sourceLabels"), match.source_labels)
    for index, gateway in enumerate(match.gateways):
        yield from check_gateway((*path, "gateways", index), gateway)
    if match.source_namespace and not is_dns_label(match.source_namespace):
        yield invalid((*path, "sourceNamespace"), f"sourceNamespace match {match.source_namespace} is invalid")


def _check_destinations(path: Path, route: HTTPRoute) -> Iterator[Problem]:
    yield from check_weights(path, route.route)
    for index, target in enumerate(route.route):
        yield from _check_headers((*path, "route", index, "headers"), target.headers)


def _check_headers(path: Path, headers: Headers | None) -> Iterator[Problem]:
    if headers is None:
        return
    for side, operations in (("request", headers.request), ("response", headers.response)):
        if operations is not None:
            yield from _check_operations((*path, side), operations, authority_allowed=side == "request")


def _check_operations(path: Path, operations: HeaderOperations, *, authority_allowed: bool) -> Iterator[Problem]:
    for field, values in (("set", operations.set), ("add", operations.add)):
        for name, value in values.items():
            if not (authority_allowed and is_authority(name)):
                yield from _check_changed_header((*path, field, name), name)
            if "%" in _COMMAND.sub("", value):
                words = (
                    f"header value {value!r} has a % that is neither doubled nor part of a command like %START_TIME%"
                )
                yield invalid((*path, field, name), words)
    for index, name in enumerate(operations.remove):
        yield from _check_changed_header((*path, "remove", index), name)


def _check_changed_header(path: Path, name: str) -> Iterator[Problem]:
    if name.startswith(":") or name.lower() == "host":
        yield invalid(path, f"invalid header {name!r}: header cannot have a ':' prefix or be host")
    else:
        yield from check_header_name(path, name)


def is_authority(name: str) -> bool:
    """Whether a header name means the request's authority."""
    return name.lower() in (":authority", "host")


def _check_authority(path: Path, route: HTTPRoute) -> Iterator[Problem]:
    """The authority can be rewritten in one place only."""
    given = [route.rewrite.authority] if route.rewrite is not None and route.rewrite.authority else []
    if route.headers is not None and route.headers.request is not None:
        changes = {**route.headers.request.add, **route.headers.request.set}
        given.extend(value for name, value in changes.items() if is_authority(name))
    if len(given) > 1:
        words = f"authority header cannot be set multiple times: have {given[0]!r}, attempting to set {given[1]!r}"
        yield invalid((*path, "headers", "request"), words)


def _check_fault(path: Path, fault: HTTPFaultInjection | None) -> Iterator[Problem]:
    if fault is None:
        return
    if fault.delay is None and fault.abort is None:
        yield invalid(path, "HTTP fault injection must have an abort and/or a delay")
    if fault.delay is not None:
        yield from _check_delay((*path, "delay"), fault.delay)
    if fault.abort is not None:
        yield from _check_abort((*path, "abort"), fault.abort)


def _check_delay(path: Path, delay: Delay) -> Iterator[Problem]:
    yield from check_percent((*path, "percentage"), delay.percentage)
    if not 0 <= delay.percent <= 100:
        yield invalid((*path, "percent"), f"percentage {delay.percent} is not in range 0..100")
    if delay.percent > 0:
        words = "Deprecated: HTTPRoute.fault.delay.percent is deprecated; use HTTPRoute.fault.delay.percentage"
        yield Problem("IST0002", (*path, "percent"), words)
    if delay.exponential_delay is not None:
        yield invalid((*path, "exponentialDelay"), "exponentialDelay not supported yet (by Istio)")
    elif delay.fixed_delay is None:
        yield invalid(path, "fixedDelay is required")
    yield from check_duration((*path, "fixedDelay"), delay.fixed_delay)


def _check_abort(path: Path, abort: Abort) -> Iterator[Problem]:
    yield from check_percent((*path, "percentage"), abort.percentage)
    status, grpc = abort.http_status, abort.grpc_status
    if abort.http2_error is not None:
        yield invalid((*path, "http2Error"), "HTTP/2 abort fault injection not supported yet (by Istio)")
    elif status is None and grpc is None:
        yield invalid(path, "one of httpStatus, grpcStatus is required")
    if status is not None and not 200 <= status <= 599:
        yield invalid((*path, "httpStatus"), f"HTTP status {status} is not in range 200-599")
    if grpc is not None and grpc not in GRPC_STATUS:
        yield invalid((*path, "grpcStatus"), f"gRPC status {grpc!r} is not supported")


def _check_mirrors(path: Path, route: HTTPRoute) -> Iterator[Problem]:
    if route.mirror is not None:
        yield from check_destination((*path, "mirror"), route.mirror)
        if route.mirrors:
            yield invalid((*path, "mirrors"), "HTTP route cannot contain both mirror and mirrors")
    if route.mirror_percent is not None:
        if route.mirror_percent > 100:
            words = f"mirror_percent must have a max value of 100 (it has {route.mirror_percent})"
            yield invalid((*path, "mirrorPercent"), words)
        yield doubtful((*path, "mirrorPercent"), "using deprecated setting mirrorPercent, use mirrorPercentage instead")
    yield from check_percent((*path, "mirrorPercentage"), route.mirror_percentage)
    for index, mirror in enumerate(route.mirrors):
        place: Path = (*path, "mirrors", index)
        if mirror.destination is None:
            yield invalid((*place, "destination"), "destination is required for mirrors")
        else:
            yield from check_destination((*place, "destination"), mirror.destination)
        yield from check_percent((*place, "percentage"), mirror.percentage)


def _check_retries(path: Path, retries: HTTPRetry | None) -> Iterator[Problem]:
    if retries is None:
        return
    if retries.attempts < 0:
        yield invalid((*path, "attempts"), "attempts cannot be negative")
    extras = (retries.per_try_timeout, retries.retry_on or None, retries.retry_remote_localities)
    if retries.attempts == 0 and any(extra is not None for extra in extras):
        yield invalid(path, "http retry policy configured when attempts are set to 0 (disabled)")
    yield from check_duration((*path, "perTryTimeout"), retries.per_try_timeout)
    yield from check_duration((*path, "backoff"), retries.backoff)
    for condition in filter(None, (part.strip() for part in retries.retry_on.split(","))):
        if condition not in RETRY_CONDITIONS and not (condition.isdecimal() and 100 <= int(condition[:4]) <= 599):
            yield invalid((*path, "retryOn"), f"{condition!r} is not a valid retryOn policy")


def _check_rewrite(path: Path, rewrite: HTTPRewrite | None) -> Iterator[Problem]:
    if rewrite is None:
        return
    if rewrite.uri and rewrite.uri_regex_rewrite is not None:
        yield invalid(path, "rewrite may only contain one of URI or uriRegexRewrite")
    if not rewrite.uri and not rewrite.authority and rewrite.uri_regex_rewrite is None:
        yield invalid(path, "rewrite must specify at least one of URI, authority, or uriRegexRewrite")
    if rewrite.uri_regex_rewrite is not None:
        pattern: Path = (*path, "uriRegexRewrite", "match")
        if not rewrite.uri_regex_rewrite.match or not rewrite.uri_regex_rewrite.rewrite:
            yield invalid((*path, "uriRegexRewrite"), "uriRegexRewrite requires both rewrite and match fields")
        yield from check_regex(pattern, rewrite.uri_regex_rewrite.match)


def _check_redirect(path: Path, redirect: HTTPRedirect) -> Iterator[Problem]:
    if redirect.uri and redirect.prefix_rewrite:
        yield invalid((*path, "prefixRewrite"), "redirect may only contain one of uri or prefixRewrite")
    if not (
        redirect.uri
        or redirect.prefix_rewrite
        or redirect.authority
        or redirect.scheme
        or redirect.port
        or redirect.derive_port
    ):
        yield invalid(path, "redirect must specify URI, authority, scheme, or port")
    if redirect.redirect_code not in _REDIRECT_CODES:
        yield invalid((*path, "redirectCode"), f"{redirect.redirect_code} is not one of 301, 302, 303, 307, 308")
    if redirect.port is not None:
        yield from check_port((*path, "port"), redirect.port)
    if redirect.scheme not in ("", "http", "https"):
        yield invalid((*path, "scheme"), 'invalid redirect scheme, must be "http" or "https"')


def _check_direct_response(path: Path, response: HTTPDirectResponse) -> Iterator[Problem]:
    if not 200 <= response.status <= 599:
        yield invalid((*path, "status"), f"HTTP status {response.status} is not in range 200-599")
    if response.body is None:
        return
    size = len((response.body.string or "").encode())
    if response.body.bytes is not None:
        try:
            size = len(base64.b64decode(response.body.bytes, validate=True))
        except binascii.Error:
            yield invalid((*path, "body", "bytes"), "not base64")
    if size > _MAX_BODY:
        yield invalid((*path, "body"), f"response body size {size} is larger than {_MAX_BODY} bytes")
