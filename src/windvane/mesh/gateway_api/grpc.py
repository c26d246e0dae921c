"""Rules of GRPCRoutes as rules of VirtualServices: a call of a method is a request for `/service/method`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from windvane.mesh.gateway_api.backends import Backends
from windvane.mesh.gateway_api.http import headers, mirrors, rule_name, targets, value_matches
from windvane.mesh.models import HTTPMatchRequest, HTTPRoute, StringMatch, gateway_api
from windvane.mesh.yaml_source import Path


def grpc_rules(route: gateway_api.GRPCRoute, backends: Backends) -> Iterator[tuple[int, int, HTTPRoute]]:
    """Rules of one match each, with the numbers of both, in the route's order.

    `UnsupportedFilterError` for what Istio does not have.
    """
    for index, rule in enumerate(route.spec.rules):
        action = _action(rule, ("spec", "rules", index), backends)
        for number, match in enumerate(rule.matches or (None,)):
            wanted = () if match is None else (_match(match),)
            yield index, number, HTTPRoute(name=rule_name(route, index, rule.name), match=wanted, **action)


def _action(rule: gateway_api.GRPCRouteRule, path: Path, backends: Backends) -> dict[str, Any]:
    for index, one in enumerate(rule.filters):
        if one.type == "ExtensionRef":
            raise backends.refuse_filter(one.type, (*path, "filters", index))
    return {
        "headers": headers(rule.filters),
        "mirrors": tuple(mirrors(rule.filters, path, backends)),
        **targets(rule.backend_refs, path, backends),
    }


def _match(match: gateway_api.GRPCRouteMatch) -> HTTPMatchRequest:
    uri = _path_match(match.method) if match.method is not None else None
    return HTTPMatchRequest(uri=uri, headers=value_matches(match.headers, ignore_case=True))


def _path_match(wanted: gateway_api.GRPCMethodMatch) -> StringMatch:
    service, method = wanted.service, wanted.method
    if wanted.type == "RegularExpression":
        return StringMatch(regex=f"/{service or '[^/]+'}/{method or '.+'}")
    if method is None:
        return StringMatch(prefix=f"/{service}/")
    return StringMatch(regex=f"/[^/]+/{method}") if service is None else StringMatch(exact=f"/{service}/{method}")
