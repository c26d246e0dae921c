"""Rules of HTTPRoutes as rules of VirtualServices, one for each match."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from windvane.mesh.gateway_api.backends import Backends, used
from windvane.mesh.gateway_api.semantics import PrefixRedirect
from windvane.mesh.models import (
    Headers,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
    StringMatch,
    gateway_api,
)
from windvane.mesh.models.gateway_api.grpc_route import GRPCBackendRef
from windvane.mesh.models.gateway_api.http_route import HTTPBackendRef, HTTPHeader, HTTPHeaderMatch, HTTPQueryParamMatch
from windvane.mesh.models.virtual_service import (
    CorsPolicy,
    HeaderOperations,
    HTTPDirectResponse,
    HTTPMirrorPolicy,
    HTTPRewrite,
    RegexRewrite,
)
from windvane.mesh.yaml_source import Path

_RETRY_ON = ("connect-failure", "refused-stream", "unavailable", "cancelled")
"""Failures of the connection, which are tried again wherever a rule has retries at all."""
_ATTEMPTS = 2
_OF_HEADERS = ("RequestHeaderModifier", "ResponseHeaderModifier")

_Backend = HTTPBackendRef | GRPCBackendRef
_Filter = gateway_api.HTTPRouteFilter | gateway_api.GRPCRouteFilter


def http_rules(route: gateway_api.HTTPRoute, backends: Backends) -> Iterator[tuple[int, int, HTTPRoute]]:
    """Rules of one match each, with the numbers of both, in the route's order.

    `UnsupportedFilterError` for what Istio does not have.
    """
    for index, rule in enumerate(route.spec.rules):
        path: Path = ("spec", "rules", index)
        action = _action(rule, path, backends)
        for number, match in enumerate(rule.matches or (gateway_api.HTTPRouteMatch(),)):
            yield index, number, HTTPRoute(name=rule_name(route, index, rule.name), match=(_match(match),), **action)


def rule_name(route: gateway_api.Route, index: int, name: str | None) -> str:
    """A rule's own name, or one from its place."""
    return name or f"{route.namespace}.{route.name}.{index}"


def _match(match: gateway_api.HTTPRouteMatch) -> HTTPMatchRequest:
    return HTTPMatchRequest(
        uri=_path_match(match),
        headers=value_matches(match.headers, ignore_case=True),
        query_params=value_matches(match.query_params),
        method=StringMatch(exact=match.method) if match.method else None,
    )


def _path_match(match: gateway_api.HTTPRouteMatch) -> StringMatch:
    value = match.path.value
    if match.path.type == "PathPrefix":
        return StringMatch(prefix=value.rstrip("/") or "/")
    return StringMatch(exact=value) if match.path.type == "Exact" else StringMatch(regex=value)


def value_matches(
    matches: Sequence[HTTPHeaderMatch | HTTPQueryParamMatch], *, ignore_case: bool = False
) -> dict[str, StringMatch]:
    """Matches by name; of several for one name the first counts."""
    found: dict[str, StringMatch] = {}
    for one in matches:
        made = StringMatch(exact=one.value) if one.type == "Exact" else StringMatch(regex=one.value)
        found.setdefault(one.name.lower() if ignore_case else one.name, made)
    return found


def _action(rule: gateway_api.HTTPRouteRule, path: Path, backends: Backends) -> dict[str, Any]:
    """What becomes of requests: fields of a VirtualService's rule."""
    made: dict[str, Any] = {"headers": headers(rule.filters)}
    for index, one in enumerate(rule.filters):
        place = (*path, "filters", index)
        if one.request_redirect is not None:
            made["redirect"] = _redirect(one.request_redirect)
        elif one.url_rewrite is not None:
            made["rewrite"] = _rewrite(one.url_rewrite)
        elif one.cors is not None:
            made["cors_policy"] = _cors(one.cors)
        elif one.type not in (*_OF_HEADERS, "RequestMirror"):
            raise backends.refuse_filter(one.type, place)
    made["mirrors"] = tuple(mirrors(rule.filters, path, backends))
    made["retries"], made["timeout"] = _retries(rule), _timeout(rule)
    if "redirect" not in made:
        made |= targets(rule.backend_refs, path, backends)
    return made


def targets(refs: Sequence[_Backend], path: Path, backends: Backends) -> dict[str, Any]:
    """Destinations by weight; a rule without any answers 500."""
    found = []
    for index, ref in used(refs):
        place = (*path, "backendRefs", index)
        filters: Sequence[_Filter] = ref.filters
        for number, one in enumerate(filters):
            if one.type not in _OF_HEADERS:
                raise backends.refuse_filter(one.type, (*place, "filters", number))
        destination = backends.destination(ref, place)
        found.append(HTTPRouteDestination(destination=destination, weight=ref.weight, headers=headers(filters)))
    return {"route": tuple(found)} if found else {"direct_response": HTTPDirectResponse(status=500)}


def headers(filters: Iterable[_Filter]) -> Headers | None:
    """Header changes of filters."""
    request = response = None
    for one in filters:
        request = _operations(one.request_header_modifier) if one.request_header_modifier else request
        response = _operations(one.response_header_modifier) if one.response_header_modifier else response
    return Headers(request=request, response=response) if request or response else None


def _operations(changes: gateway_api.HTTPHeaderFilter) -> HeaderOperations:
    return HeaderOperations(set=_by_name(changes.set), add=_by_name(changes.add), remove=changes.remove)


def _by_name(headers: Iterable[HTTPHeader]) -> dict[str, str]:
    """Of several entries for one name the first counts."""
    found: dict[str, str] = {}
    for one in headers:
        found.setdefault(one.name.lower(), one.value)
    return found


def mirrors(filters: Sequence[_Filter], path: Path, backends: Backends) -> Iterator[HTTPMirrorPolicy]:
    """Copies of requests; one that must not be sent is left out."""
    for index, one in enumerate(filters):
        if one.request_mirror is not None:
            place = (*path, "filters", index, "requestMirror", "backendRef")
            told = len(backends.conditions)
            destination = backends.destination(one.request_mirror.backend_ref, place)
            if len(backends.conditions) == told and destination.host:
                yield HTTPMirrorPolicy(destination=destination, percentage=_share(one.request_mirror))


def _share(mirror: gateway_api.HTTPRequestMirrorFilter) -> Percent | None:
    if mirror.fraction is not None:
        return Percent(value=100 * mirror.fraction.numerator / (mirror.fraction.denominator or 1))
    return Percent(value=float(mirror.percent)) if mirror.percent is not None else None


def _redirect(wanted: gateway_api.HTTPRequestRedirectFilter) -> HTTPRedirect:
    """Without a port, a scheme's own where one is given, else the listener's."""
    common: dict[str, Any] = {
        "authority": wanted.hostname or "",
        "scheme": wanted.scheme or "",
        "redirect_code": wanted.status_code,
    }
    if wanted.port is not None:
        common["port"] = wanted.port
    elif wanted.scheme is None:
        common["derive_port"] = "FROM_REQUEST_PORT"
    path = wanted.path
    if path is not None and path.type == "ReplacePrefixMatch":
        return PrefixRedirect(prefix=path.replace_prefix_match or "", **common)
    return HTTPRedirect(uri=(path.replace_full_path or "/") if path is not None else "", **common)


def _rewrite(wanted: gateway_api.HTTPURLRewriteFilter) -> HTTPRewrite:
    authority, path = wanted.hostname or "", wanted.path
    if path is None:
        return HTTPRewrite(authority=authority)
    if path.type == "ReplaceFullPath":
        # Envoy puts in what stands for groups: a backslash is doubled to mean itself.
        whole = (path.replace_full_path or "/").replace("\\", "\\\\")
        return HTTPRewrite(authority=authority, uri_regex_rewrite=RegexRewrite(match="/.*", rewrite=whole))
    return HTTPRewrite(authority=authority, uri=(path.replace_prefix_match or "").rstrip("/") or "/")


def _cors(wanted: gateway_api.HTTPCORSFilter) -> CorsPolicy:
    return CorsPolicy(
        allow_origins=tuple(_origin(one) for one in wanted.allow_origins),
        allow_methods=wanted.allow_methods,
        allow_headers=wanted.allow_headers,
        expose_headers=wanted.expose_headers,
        max_age=_duration(wanted.max_age),
        allow_credentials=True if wanted.allow_credentials else None,
    )


def _origin(text: str) -> StringMatch:
    """An origin; `*` is for any, and `*.` in a host for any name before the rest."""
    if text == "*":
        return StringMatch(regex=".*")
    if "*" not in text:
        return StringMatch(exact=text)
    return StringMatch(regex=re.escape(text).replace(r"\*", ".+"))


def _retries(rule: gateway_api.HTTPRouteRule) -> HTTPRetry | None:
    if rule.retry is None:
        return None
    attempts = _ATTEMPTS if rule.retry.attempts is None else rule.retry.attempts
    each = rule.timeouts.backend_request if rule.timeouts else None
    return HTTPRetry(
        attempts=attempts,
        retry_on=",".join((*_RETRY_ON, *map(str, rule.retry.codes))) if attempts else "",
        per_try_timeout=_duration(each) if attempts else None,
        backoff=_duration(rule.retry.backoff),
    )


def _timeout(rule: gateway_api.HTTPRouteRule) -> Any:
    """Of the whole request; without retries a try is all there is of it."""
    if rule.timeouts is None:
        return None
    each = rule.timeouts.backend_request if rule.retry is None or rule.retry.attempts == 0 else None
    return _duration(each or rule.timeouts.request)


def _duration(seconds: float | None) -> Any:
    """A duration as Istio writes it; None for none, and for 0, which means none."""
    return f"{seconds:.3f}s" if seconds and seconds > 0 else None
