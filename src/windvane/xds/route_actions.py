"""One rule of a VirtualService as Envoy routes: what it matches and what happens then.

Pure: a rule, the match it is for and a `RouteScope` (who asks, on which port) make a route.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google import protobuf

from windvane.mesh.checks.virtual_service import is_authority
from windvane.mesh.gateway_api.semantics import PrefixRedirect
from windvane.mesh.models import (
    ConsistentHashLB,
    Destination,
    Headers,
    HTTPMatchRequest,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
    VirtualService,
)
from windvane.mesh.models.virtual_service import HTTPDirectResponse, HTTPMirrorPolicy, HTTPRedirect
from windvane.mesh.resolve import destination_rule_for
from windvane.mesh.view import MeshView
from windvane.xds import gateway_semantics
from windvane.xds.route_match import route_match, takes_everything
from windvane.xds.route_policy import consistent_hash, filter_config, fraction, hash_policies, retry_policy

_CODES = route.RedirectActionRedirectResponseCode
_REDIRECT_CODES = {
    0: _CODES.MOVED_PERMANENTLY,
    301: _CODES.MOVED_PERMANENTLY,
    302: _CODES.FOUND,
    303: _CODES.SEE_OTHER,
    307: _CODES.TEMPORARY_REDIRECT,
    308: _CODES.PERMANENT_REDIRECT,
}
UNKNOWN_SERVICE = "UnknownService"
"""Istio's name of the cluster, which is never there, of a route's destination that must not be used."""
_WELL_KNOWN_PORT = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class RouteScope:
    """Who routes are made for: the client's namespace and labels, the gateway names it answers to, the port."""

    view: MeshView
    namespace: str
    labels: Mapping[str, str] = field(default_factory=dict)
    gateways: frozenset[str] = frozenset(("mesh",))
    port: int = 80
    is_tls: bool = False

    def applies(self, match: HTTPMatchRequest) -> bool:
        """Whether a match can hold here: it may be for another port, other clients or other gateways."""
        if match.port not in (0, self.port):
            return False
        if match.gateways:
            return not self.gateways.isdisjoint(match.gateways)
        same_source = match.source_labels.items() <= self.labels.items()
        return same_source and match.source_namespace in ("", self.namespace)

    def cluster(self, destination: Destination) -> str:
        """Istio's cluster name; without a port, a service's only port, else the port of the request."""
        if not destination.host:
            return UNKNOWN_SERVICE
        service = self.view.services.get(destination.host)
        port = self.port
        if destination.port is not None:
            port = destination.port.number
        elif service is not None and len(service.ports) == 1:
            port = service.ports[0].number
        return f"outbound|{port}|{destination.subset}|{destination.host}"


def rule_routes(item: VirtualService, scope: RouteScope) -> list[route.Route]:
    """All routes of a VirtualService that can hold in a scope, in order, up to the first that takes everything."""
    routes: list[route.Route] = []
    for rule in item.spec.http:
        for match in rule.match or (None,):
            if match is None or scope.applies(match):
                routes.append(rule_route(item, rule, match, scope))
                if takes_everything(routes[-1]):
                    return routes
    return routes


def rule_route(item: VirtualService, rule: HTTPRoute, match: HTTPMatchRequest | None, scope: RouteScope) -> route.Route:
    """The route of one rule under one of its matches (None: it has none)."""
    name = f"{rule.name}.{match.name}" if match is not None and match.name else rule.name
    made = route.Route(
        name=name,
        match=route_match(match),
        metadata=_source(item),
        stat_prefix=match.stat_prefix if match is not None else "",
        typed_per_filter_config=filter_config(rule),
    )
    _add_headers(made, rule.headers)
    if rule.redirect is not None:
        made.redirect = _redirect(rule.redirect, scope)
    elif rule.direct_response is not None:
        made.direct_response = _direct_response(rule.direct_response)
    else:
        made.route = _forward(made, rule, scope)
    if item.semantics == "gateway":
        _as_gateway_api_means(made, rule, match)
    made.decorator = route.Decorator(operation=_operation(made, item, scope))
    return made


def _as_gateway_api_means(made: route.Route, rule: HTTPRoute, match: HTTPMatchRequest | None) -> None:
    if made.match is not None:
        gateway_semantics.match_whole_segments(made.match)
    if made.route is not None:
        gateway_semantics.answer_500_for_unknown(made.route)
        if rule.rewrite is not None and rule.rewrite.uri:
            made.route.prefix_rewrite = ""
            gateway_semantics.replace_prefix(made.route, match, rule.rewrite.uri)
    if made.redirect is not None and isinstance(rule.redirect, PrefixRedirect):
        gateway_semantics.replace_prefix(made.redirect, match, rule.redirect.prefix)


def default_route(cluster: str, operation: str, hashing: ConsistentHashLB | None = None) -> route.Route:
    """Everything to one cluster, with Istio's default retries and no timeout."""
    action = route.RouteAction(cluster=cluster, retry_policy=retry_policy(None, hashed=hashing is not None))
    _set_timeout(action, None)
    action.hash_policy = hash_policies([hashing])
    return route.Route(
        name="default",
        match=route.RouteMatch(prefix="/"),
        route=action,
        decorator=route.Decorator(operation=operation),
    )


def _source(item: VirtualService) -> core.Metadata:
    """Which resource a route comes from, in Istio's form: shown by Envoy's admin page and kept by access logs."""
    path = f"/apis/{item.api_version}/namespaces/{item.namespace}/virtual-service/{item.name}"
    return core.Metadata(filter_metadata={"istio": protobuf.Struct.from_dict({"config": path})})


def _forward(made: route.Route, rule: HTTPRoute, scope: RouteScope) -> route.RouteAction:
    """The action that sends requests to destinations."""
    action = route.RouteAction(request_mirror_policies=_mirrors(rule, scope))
    _set_timeout(action, rule.timeout)
    _set_rewrite(action, rule)
    hashing = [_hashing(target, scope) for target in rule.route]
    if len(rule.route) == 1:
        _set_only_destination(made, action, rule.route[0], scope)
    else:
        # Relative weights: w_i = v_i / Σ v_j. A destination of weight 0 gets nothing and is left out, as in Istio.
        weighted = [_weighted(target, scope) for target in rule.route if target.weight > 0]
        action.weighted_clusters = route.WeightedCluster(clusters=weighted)
    action.hash_policy = hash_policies(hashing)
    action.retry_policy = retry_policy(rule.retries, hashed=len(rule.route) == 1 and hashing[0] is not None)
    return action


def _set_timeout(action: route.RouteAction, seconds: float | None) -> None:
    """No timeout unless a rule sets one (Envoy's own default is 15 s); then also for gRPC, whatever its own deadline.

    Envoy looks at no `timeout` where there is a `max_stream_duration`, by which gRPC's own deadline is heeded.
    """
    action.timeout = timedelta(seconds=seconds or 0)
    if not seconds:
        action.max_stream_duration = route.RouteActionMaxStreamDuration(grpc_timeout_header_max=timedelta())


def _set_rewrite(action: route.RouteAction, rule: HTTPRoute) -> None:
    authority = _authority(rule.headers)
    if rule.rewrite is not None:
        authority = rule.rewrite.authority or authority
        pattern = rule.rewrite.uri_regex_rewrite
        if pattern is not None:
            action.regex_rewrite = matcher.RegexMatchAndSubstitute(
                pattern=matcher.RegexMatcher(regex=pattern.match), substitution=pattern.rewrite
            )
        else:
            action.prefix_rewrite = rule.rewrite.uri
    if authority:
        action.host_rewrite_literal = authority


def _set_only_destination(
    made: route.Route, action: route.RouteAction, target: HTTPRouteDestination, scope: RouteScope
) -> None:
    assert target.destination is not None
    action.cluster = scope.cluster(target.destination)
    _add_headers(made, target.headers)
    if _authority(target.headers) and not action.host_rewrite_literal:
        action.host_rewrite_literal = _authority(target.headers)


def _weighted(target: HTTPRouteDestination, scope: RouteScope) -> route.WeightedClusterClusterWeight:
    assert target.destination is not None
    made = route.WeightedClusterClusterWeight(name=scope.cluster(target.destination), weight=target.weight)
    _add_headers(made, target.headers)
    if _authority(target.headers):
        made.host_rewrite_literal = _authority(target.headers)
    return made


def _hashing(target: HTTPRouteDestination, scope: RouteScope) -> ConsistentHashLB | None:
    destination = target.destination
    assert destination is not None
    rule = destination_rule_for(scope.view, destination.host, scope.namespace, scope.labels)
    return consistent_hash(rule, destination.subset, destination.port.number if destination.port else None)


def _authority(headers: Headers | None) -> str:
    """The authority that header operations set: Envoy rewrites it, it cannot be changed as a header."""
    if headers is None or headers.request is None:
        return ""
    changes = {**headers.request.add, **headers.request.set}
    return next((value for name, value in changes.items() if is_authority(name)), "")


def _add_headers(made: route.Route | route.WeightedClusterClusterWeight, headers: Headers | None) -> None:
    if headers is None:
        return
    for operations, added, removed in (
        (headers.request, made.request_headers_to_add, made.request_headers_to_remove),
        (headers.response, made.response_headers_to_add, made.response_headers_to_remove),
    ):
        if operations is not None:
            added.extend(_header_values(operations.set, append=False))
            added.extend(_header_values(operations.add, append=True))
            removed.extend(name for name in operations.remove if not name.startswith(":") and name.lower() != "host")


def _header_values(values: Mapping[str, str], *, append: bool) -> list[core.HeaderValueOption]:
    actions = core.HeaderValueOptionHeaderAppendAction
    action = actions.APPEND_IF_EXISTS_OR_ADD if append else actions.OVERWRITE_IF_EXISTS_OR_ADD
    return [
        core.HeaderValueOption(header=core.HeaderValue(key=name, value=value), append_action=action)
        for name, value in sorted(values.items())
        if not is_authority(name)
    ]


def _mirrors(rule: HTTPRoute, scope: RouteScope) -> list[route.RouteActionRequestMirrorPolicy]:
    policies = list(rule.mirrors)
    if rule.mirror is not None:
        share = rule.mirror_percentage
        if share is None and rule.mirror_percent is not None:
            share = Percent(value=float(rule.mirror_percent))
        policies.insert(0, HTTPMirrorPolicy(destination=rule.mirror, percentage=share))
    return [
        route.RouteActionRequestMirrorPolicy(
            cluster=scope.cluster(policy.destination),
            runtime_fraction=core.RuntimeFractionalPercent(default_value=fraction(policy.percentage, default=100.0)),
            trace_sampled=False,
        )
        for policy in policies
        if policy.destination is not None and (policy.percentage is None or policy.percentage.value > 0)
    ]


def _redirect(rule: HTTPRedirect, scope: RouteScope) -> route.RedirectAction:
    port = scope.port if rule.derive_port == "FROM_REQUEST_PORT" else rule.port or 0
    scheme = rule.scheme or ("https" if scope.is_tls else "http")
    made = route.RedirectAction(
        host_redirect=rule.authority,
        # A scheme's own port is not written out.
        port_redirect=0 if port == _WELL_KNOWN_PORT[scheme] else port,
        response_code=_REDIRECT_CODES[rule.redirect_code],
    )
    if rule.uri:
        made.path_redirect = rule.uri
    elif rule.prefix_rewrite:
        made.prefix_rewrite = rule.prefix_rewrite
    if rule.scheme:
        made.scheme_redirect = rule.scheme
    return made


def _direct_response(rule: HTTPDirectResponse) -> route.DirectResponseAction:
    made = route.DirectResponseAction(status=rule.status)
    if rule.body is not None and rule.body.bytes is not None:
        made.body = core.DataSource(inline_bytes=base64.b64decode(rule.body.bytes))
    elif rule.body is not None:
        made.body = core.DataSource(inline_string=rule.body.string or "")
    return made


def _operation(made: route.Route, item: VirtualService, scope: RouteScope) -> str:
    """The name of the client's spans, as Istio's: `host:port/path` of an only destination, else the VirtualService."""
    match, path = made.match, "/*"
    assert match is not None
    if match.path:
        path = match.path
    elif match.safe_regex is not None:
        path = match.safe_regex.regex
    elif match.prefix or match.path_separated_prefix:
        path = f"{match.prefix or match.path_separated_prefix}*"
    if made.route is not None and made.route.cluster and made.route.cluster != UNKNOWN_SERVICE:
        _, port, _, host = made.route.cluster.split("|")
        return f"{host}:{port}{path}"
    return f"{item.name}:{scope.port}{path}"
