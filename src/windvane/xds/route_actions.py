"""One rule of a VirtualService as Envoy routes: what it matches and what happens then.

Pure: a rule, the match it is for and a `RouteScope` (who asks, on which port) make a route.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.common.fault import v3 as common_fault
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import CorsPolicy
from envoy_data_plane.envoy.extensions.filters.http.fault import v3 as fault
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate
from envoy_data_plane.envoy.extensions.retry.priority.previous_priorities.v3 import PreviousPrioritiesConfig
from envoy_data_plane.envoy.type import v3 as types
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google import protobuf

from windvane.mesh.checks.virtual_service import GRPC_STATUS, is_authority
from windvane.mesh.models import (
    ConsistentHashLB,
    Destination,
    DestinationRule,
    Headers,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    Percent,
    StringMatch,
    VirtualService,
)
from windvane.mesh.models.virtual_service import CorsPolicy as CorsRule
from windvane.mesh.models.virtual_service import HTTPDirectResponse, HTTPMirrorPolicy, HTTPRedirect
from windvane.mesh.resolve import destination_rule_for
from windvane.mesh.view import MeshView

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
"""Istio's `retryOn` where a VirtualService says nothing; with two attempts on other hosts."""

_CODES = route.RedirectActionRedirectResponseCode
_REDIRECT_CODES = {
    0: _CODES.MOVED_PERMANENTLY,
    301: _CODES.MOVED_PERMANENTLY,
    302: _CODES.FOUND,
    303: _CODES.SEE_OTHER,
    307: _CODES.TEMPORARY_REDIRECT,
    308: _CODES.PERMANENT_REDIRECT,
}
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
        typed_per_filter_config=_filter_config(rule),
    )
    _add_headers(made, rule.headers)
    if rule.redirect is not None:
        made.redirect = _redirect(rule.redirect, scope)
    elif rule.direct_response is not None:
        made.direct_response = _direct_response(rule.direct_response)
    else:
        made.route = _forward(made, rule, scope)
    made.decorator = route.Decorator(operation=_operation(made, item, scope))
    return made


def default_route(cluster: str, operation: str, hashing: ConsistentHashLB | None = None) -> route.Route:
    """Everything to one cluster, with Istio's default retries and no timeout."""
    action = route.RouteAction(cluster=cluster, retry_policy=retry_policy(None, hashed=hashing is not None))
    _set_timeout(action, None)
    action.hash_policy = _hash_policies([hashing])
    return route.Route(
        name="default",
        match=route.RouteMatch(prefix="/"),
        route=action,
        decorator=route.Decorator(operation=operation),
    )


def route_match(match: HTTPMatchRequest | None) -> route.RouteMatch:
    """What a request must look like; headers in order of their name so that equal rules are equal bytes."""
    if match is None:
        return route.RouteMatch(prefix="/")
    made = _path_match(match.uri)
    made.case_sensitive = not match.ignore_uri_case
    wanted = [_header_match(name, value) for name, value in match.headers.items()]
    wanted += [_absent_header_match(name, value) for name, value in match.without_headers.items()]
    made.headers = sorted(wanted, key=lambda header: header.name)
    pseudo = ((":method", match.method), (":authority", match.authority), (":scheme", match.scheme))
    made.headers += [_header_match(name, value) for name, value in pseudo if value is not None]
    made.query_parameters = [_query_match(name, value) for name, value in sorted(match.query_params.items())]
    return made


def takes_everything(made: route.Route) -> bool:
    """Whether no request is left for routes after this one."""
    match = made.match
    if match is None or match.headers or match.query_parameters:
        return False
    return match.prefix == "/" or (match.safe_regex is not None and match.safe_regex.regex == ".*")


def retry_policy(retries: HTTPRetry | None, *, hashed: bool = False) -> route.RetryPolicy | None:
    """Istio's default (two retries, on other hosts unless hashing binds them) with what a rule changes of it."""
    if retries is not None and retries.attempts <= 0:
        return None
    made = route.RetryPolicy(
        retry_on=DEFAULT_RETRY_ON,
        num_retries=2,
        host_selection_retry_max_attempts=5,
        retry_host_predicate=[] if hashed else [_previous_hosts()],
    )
    if retries is None:
        return made
    made.num_retries = retries.attempts
    if retries.retry_on:
        made.retry_on, made.retriable_status_codes = _retry_on(retries.retry_on)
    if retries.per_try_timeout is not None:
        made.per_try_timeout = timedelta(seconds=retries.per_try_timeout)
    if retries.retry_ignore_previous_hosts is not None:
        made.retry_host_predicate = [_previous_hosts()] if retries.retry_ignore_previous_hosts else []
    if retries.retry_remote_localities:
        made.retry_priority = route.RetryPolicyRetryPriority(
            name="envoy.retry_priorities.previous_priorities",
            typed_config=protobuf.Any.pack(PreviousPrioritiesConfig(update_frequency=2)),
        )
    if retries.backoff is not None:
        made.retry_back_off = route.RetryPolicyRetryBackOff(base_interval=timedelta(seconds=retries.backoff))
    return made


def consistent_hash(
    rule: DestinationRule | None, subset: str, port: int | None, *, use_port: bool = True
) -> ConsistentHashLB | None:
    """The hashing in force for a destination: of the subset's port, the subset, the port, the host."""
    if rule is None:
        return None
    found = [item.traffic_policy for item in rule.spec.subsets if subset and item.name == subset]
    for policy in (*found, rule.spec.traffic_policy):
        if policy is None:
            continue
        settings = [item for item in policy.port_level_settings if use_port and item.port and item.port.number == port]
        for level in (*settings, policy):
            if level.load_balancer is not None and level.load_balancer.consistent_hash is not None:
                return level.load_balancer.consistent_hash
    return None


def _source(item: VirtualService) -> core.Metadata:
    """Which resource a route comes from, in Istio's form: shown by Envoy's admin page and kept by access logs."""
    path = f"/apis/{item.api_version}/namespaces/{item.namespace}/virtual-service/{item.name}"
    return core.Metadata(filter_metadata={"istio": protobuf.Struct.from_dict({"config": path})})


def _path_match(uri: StringMatch | None) -> route.RouteMatch:
    if uri is None or uri.is_presence:
        return route.RouteMatch(prefix="/")
    if uri.exact is not None:
        return route.RouteMatch(path=uri.exact)
    if uri.prefix is not None:
        return route.RouteMatch(prefix=uri.prefix)
    return route.RouteMatch(safe_regex=matcher.RegexMatcher(regex=uri.regex or ""))


def _is_presence(match: StringMatch) -> bool:
    """A regex of `*` alone means "there is one" to Istio, though it is no pattern."""
    return match.is_presence or match.regex == "*"


def string_matcher(match: StringMatch) -> matcher.StringMatcher:
    """Istio's string match as Envoy's."""
    if match.exact is not None:
        return matcher.StringMatcher(exact=match.exact)
    if match.prefix is not None:
        return matcher.StringMatcher(prefix=match.prefix)
    return matcher.StringMatcher(safe_regex=matcher.RegexMatcher(regex=match.regex or ""))


def _header_match(name: str, match: StringMatch) -> route.HeaderMatcher:
    if _is_presence(match):
        return route.HeaderMatcher(name=name, present_match=True)
    return route.HeaderMatcher(name=name, string_match=string_matcher(match))


def _absent_header_match(name: str, match: StringMatch) -> route.HeaderMatcher:
    made = _header_match(name, match)
    made.invert_match = True
    # A header that is not there does not have the value either.
    made.treat_missing_header_as_empty = not _is_presence(match)
    return made


def _query_match(name: str, match: StringMatch) -> route.QueryParameterMatcher:
    if _is_presence(match):
        return route.QueryParameterMatcher(name=name, present_match=True)
    return route.QueryParameterMatcher(name=name, string_match=string_matcher(match))


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
    action.hash_policy = _hash_policies(hashing)
    action.retry_policy = retry_policy(rule.retries, hashed=len(rule.route) == 1 and hashing[0] is not None)
    return action


def _set_timeout(action: route.RouteAction, seconds: float | None) -> None:
    """No timeout unless a rule sets one (Envoy's own default is 15 s); gRPC's own deadline is kept below it."""
    timeout = timedelta(seconds=seconds or 0)
    action.timeout = timeout
    action.max_stream_duration = route.RouteActionMaxStreamDuration(grpc_timeout_header_max=timeout)


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


def _hash_policies(settings: Sequence[ConsistentHashLB | None]) -> list[route.RouteActionHashPolicy]:
    return [_hash_policy(one) for one in settings if one is not None]


def _hash_policy(settings: ConsistentHashLB) -> route.RouteActionHashPolicy:
    if settings.http_header_name is not None:
        return route.RouteActionHashPolicy(
            header=route.RouteActionHashPolicyHeader(header_name=settings.http_header_name)
        )
    if settings.http_cookie is not None:
        cookie = settings.http_cookie
        ttl = timedelta(seconds=cookie.ttl) if cookie.ttl is not None else None
        return route.RouteActionHashPolicy(
            cookie=route.RouteActionHashPolicyCookie(name=cookie.name, ttl=ttl, path=cookie.path)
        )
    if settings.http_query_parameter_name is not None:
        return route.RouteActionHashPolicy(
            query_parameter=route.RouteActionHashPolicyQueryParameter(name=settings.http_query_parameter_name)
        )
    return route.RouteActionHashPolicy(
        connection_properties=route.RouteActionHashPolicyConnectionProperties(source_ip=bool(settings.use_source_ip))
    )


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


def _previous_hosts() -> route.RetryPolicyRetryHostPredicate:
    return route.RetryPolicyRetryHostPredicate(
        name="envoy.retry_host_predicates.previous_hosts", typed_config=protobuf.Any.pack(PreviousHostsPredicate())
    )


def _retry_on(text: str) -> tuple[str, list[int]]:
    """Conditions and status codes: numbers among the conditions are codes."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    codes = [int(part) for part in parts if part.isdecimal()]
    conditions = [part for part in parts if not part.isdecimal()]
    if codes and "retriable-status-codes" not in conditions:
        conditions.append("retriable-status-codes")
    return ",".join(conditions), codes


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


def fraction(percent: Percent | None, *, default: float = 0.0) -> types.FractionalPercent:
    """A percentage as millionths, Envoy's finest."""
    value = percent.value if percent is not None else default
    return types.FractionalPercent(
        numerator=round(value * 10_000), denominator=types.FractionalPercentDenominatorType.MILLION
    )


def _filter_config(rule: HTTPRoute) -> dict[str, protobuf.Any]:
    """What the fault and CORS filters do on this route."""
    configs: dict[str, protobuf.Any] = {}
    if rule.fault is not None:
        configs["envoy.filters.http.fault"] = protobuf.Any.pack(_fault(rule.fault))
    if rule.cors_policy is not None:
        configs["envoy.filters.http.cors"] = protobuf.Any.pack(_cors(rule.cors_policy))
    return configs


def _fault(injection: HTTPFaultInjection) -> fault.HttpFault:
    made = fault.HttpFault()
    delay, abort = injection.delay, injection.abort
    if delay is not None and delay.fixed_delay is not None:
        share = delay.percentage or Percent(value=float(delay.percent))
        made.delay = common_fault.FaultDelay(
            fixed_delay=timedelta(seconds=delay.fixed_delay), percentage=fraction(share)
        )
    if abort is not None and abort.grpc_status is not None:
        made.abort = fault.FaultAbort(grpc_status=GRPC_STATUS[abort.grpc_status], percentage=fraction(abort.percentage))
    elif abort is not None and abort.http_status is not None:
        made.abort = fault.FaultAbort(http_status=abort.http_status, percentage=fraction(abort.percentage))
    return made


def _cors(rule: CorsRule) -> CorsPolicy:
    everything = types.FractionalPercent(numerator=100)
    origins = rule.allow_origins or tuple(StringMatch(exact=origin) for origin in rule.allow_origin)
    return CorsPolicy(
        allow_origin_string_match=[string_matcher(origin) for origin in origins],
        allow_methods=",".join(rule.allow_methods),
        allow_headers=",".join(rule.allow_headers),
        expose_headers=",".join(rule.expose_headers),
        max_age=str(int(rule.max_age)) if rule.max_age is not None else "",
        allow_credentials=rule.allow_credentials,
        filter_enabled=core.RuntimeFractionalPercent(default_value=everything),
        forward_not_matching_preflights=rule.unmatched_preflights != "IGNORE",
    )


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
    elif match.prefix:
        path = f"{match.prefix}*"
    if made.route is not None and made.route.cluster:
        _, port, _, host = made.route.cluster.split("|")
        return f"{host}:{port}{path}"
    return f"{item.name}:{scope.port}{path}"
