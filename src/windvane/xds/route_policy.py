"""What Envoy does around a route: retries, hashing, faults, CORS."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.filters.common.fault import v3 as common_fault
from envoy_data_plane.envoy.extensions.filters.http.cors.v3 import CorsPolicy
from envoy_data_plane.envoy.extensions.filters.http.fault import v3 as fault
from envoy_data_plane.envoy.extensions.retry.host.previous_hosts.v3 import PreviousHostsPredicate
from envoy_data_plane.envoy.extensions.retry.priority.previous_priorities.v3 import PreviousPrioritiesConfig
from envoy_data_plane.envoy.type import v3 as types
from envoy_data_plane.google import protobuf

from windvane.mesh.checks.virtual_service import GRPC_STATUS
from windvane.mesh.models import (
    ConsistentHashLB,
    DestinationRule,
    HTTPFaultInjection,
    HTTPRetry,
    HTTPRoute,
    Percent,
    StringMatch,
)
from windvane.mesh.models.virtual_service import CorsPolicy as CorsRule
from windvane.xds.route_match import string_matcher

DEFAULT_RETRY_ON = "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"
"""Istio's `retryOn` where a VirtualService says nothing; with two attempts on other hosts."""


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


def consistent_hash(rule: DestinationRule | None, subset: str, port: int | None) -> ConsistentHashLB | None:
    """The hashing in force for a destination: of the subset's port, the subset, the port, the host."""
    if rule is None:
        return None
    found = [item.traffic_policy for item in rule.spec.subsets if subset and item.name == subset]
    for policy in (*found, rule.spec.traffic_policy):
        if policy is None:
            continue
        settings = [item for item in policy.port_level_settings if item.port and item.port.number == port]
        balancers = [*(item.load_balancer for item in settings), policy.load_balancer]
        for balancer in balancers:
            if balancer is not None and balancer.consistent_hash is not None:
                return balancer.consistent_hash
    return None


def hash_policies(settings: Sequence[ConsistentHashLB | None]) -> list[route.RouteActionHashPolicy]:
    """What of a request decides its endpoint, for each destination that hashes."""
    return [_hash_policy(one) for one in settings if one is not None]


def _hash_policy(settings: ConsistentHashLB) -> route.RouteActionHashPolicy:
    if settings.http_header_name is not None:
        return route.RouteActionHashPolicy(
            header=route.RouteActionHashPolicyHeader(header_name=settings.http_header_name)
        )
    if settings.http_cookie is not None:
        cookie = settings.http_cookie
        ttl = timedelta(seconds=cookie.ttl) if cookie.ttl is not None else None
        attributes = [
            route.RouteActionHashPolicyCookieAttribute(name=each.name, value=each.value) for each in cookie.attributes
        ]
        return route.RouteActionHashPolicy(
            cookie=route.RouteActionHashPolicyCookie(name=cookie.name, ttl=ttl, path=cookie.path, attributes=attributes)
        )
    if settings.http_query_parameter_name is not None:
        return route.RouteActionHashPolicy(
            query_parameter=route.RouteActionHashPolicyQueryParameter(name=settings.http_query_parameter_name)
        )
    return route.RouteActionHashPolicy(
        connection_properties=route.RouteActionHashPolicyConnectionProperties(source_ip=bool(settings.use_source_ip))
    )


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


def fraction(percent: Percent | None, *, default: float = 0.0) -> types.FractionalPercent:
    """A percentage as millionths, Envoy's finest."""
    value = percent.value if percent is not None else default
    return types.FractionalPercent(
        numerator=round(value * 10_000), denominator=types.FractionalPercentDenominatorType.MILLION
    )


def filter_config(rule: HTTPRoute) -> dict[str, protobuf.Any]:
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
