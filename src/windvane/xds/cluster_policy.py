"""How a cluster spreads, limits and gives up on requests: a Policy as Envoy's fields."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from envoy_data_plane.envoy.config.cluster import v3 as cluster
from envoy_data_plane.envoy.config.common.matcher import v3 as matching
from envoy_data_plane.envoy.config.core import v3 as core
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.extensions.upstreams.http import v3 as upstream
from envoy_data_plane.envoy.type import v3 as types
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from envoy_data_plane.google import protobuf

from windvane.mesh.models import ConnectionPoolSettings, LoadBalancerSettings, OutlierDetection
from windvane.mesh.models.destination_rule import HTTPSettings
from windvane.xds.encoding import any_of
from windvane.xds.filters import PEER_METADATA_HEADER, header_mutation, upstream_codec
from windvane.xds.localities import is_weighted
from windvane.xds.policy import Policy

UNLIMITED = 2**32 - 1
_AGGRESSION = "windvane.slow_start_aggression"
"""Envoy wants a name by which its runtime could override the value; nothing does."""
_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_SIMPLE = {
    "ROUND_ROBIN": cluster.ClusterLbPolicy.ROUND_ROBIN,
    "RANDOM": cluster.ClusterLbPolicy.RANDOM,
    # The address that a client called is the service's: whom it leads to is up to chance.
    "PASSTHROUGH": cluster.ClusterLbPolicy.RANDOM,
}


def set_load_balancer(message: cluster.Cluster, settings: LoadBalancerSettings | None) -> None:
    """Least request unless told otherwise, as in Istio; consistent hashing on a ring or Maglev table."""
    hashing = settings.consistent_hash if settings else None
    if hashing is None:
        simple = settings.simple if settings else None
        message.lb_policy = _SIMPLE.get(simple or "", cluster.ClusterLbPolicy.LEAST_REQUEST)
        _set_warmup(message, settings)
    elif hashing.maglev is not None:
        message.lb_policy = cluster.ClusterLbPolicy.MAGLEV
        if hashing.maglev.table_size:
            message.maglev_lb_config = cluster.ClusterMaglevLbConfig(table_size=hashing.maglev.table_size)
    else:
        size = (hashing.ring_hash.minimum_ring_size if hashing.ring_hash else 0) or hashing.minimum_ring_size
        message.lb_policy = cluster.ClusterLbPolicy.RING_HASH
        message.ring_hash_lb_config = cluster.ClusterRingHashLbConfig(minimum_ring_size=size or 1024)


def _set_warmup(message: cluster.Cluster, settings: LoadBalancerSettings | None) -> None:
    """Envoy's slow start, which only round robin and least request have."""
    warmup = settings.warmup if settings else None
    seconds = warmup.duration if warmup else settings.warmup_duration_secs if settings else None
    if seconds is None:
        return
    slow = cluster.ClusterSlowStartConfig(slow_start_window=timedelta(seconds=seconds))
    if warmup is not None and warmup.aggression is not None:
        slow.aggression = core.RuntimeDouble(default_value=warmup.aggression, runtime_key=_AGGRESSION)
    if warmup is not None and warmup.minimum_percent is not None:
        slow.min_weight_percent = types.Percent(value=warmup.minimum_percent)
    if message.lb_policy == cluster.ClusterLbPolicy.ROUND_ROBIN:
        message.round_robin_lb_config = cluster.ClusterRoundRobinLbConfig(slow_start_config=slow)
    elif message.lb_policy == cluster.ClusterLbPolicy.LEAST_REQUEST:
        message.least_request_lb_config = cluster.ClusterLeastRequestLbConfig(slow_start_config=slow)


def circuit_breakers(policy: Policy) -> cluster.CircuitBreakers:
    """Unlimited but for what the pool says: Istio lifts Envoy's default of 1024."""
    pool, budget = policy.connection_pool, policy.retry_budget
    tcp, http = (pool.tcp, pool.http) if pool else (None, None)
    thresholds = cluster.CircuitBreakersThresholds(
        max_connections=(tcp.max_connections if tcp else 0) or UNLIMITED,
        max_pending_requests=(http.http1_max_pending_requests if http else 0) or UNLIMITED,
        max_requests=(http.http2_max_requests if http else 0) or UNLIMITED,
        max_retries=(http.max_retries if http else 0) or UNLIMITED,
        track_remaining=True,
    )
    if budget is not None:
        thresholds.retry_budget = cluster.CircuitBreakersThresholdsRetryBudget(
            budget_percent=types.Percent(value=20.0 if budget.percent is None else budget.percent),
            min_retry_concurrency=budget.min_retry_concurrency or 3,
        )
    return cluster.CircuitBreakers(thresholds=[thresholds])


def outlier_detection(settings: OutlierDetection | None) -> cluster.OutlierDetection | None:
    """Ejection by consecutive errors only, as Istio does; a count of 0 switches its check off."""
    if settings is None:
        return None
    five_xx = settings.consecutive_5xx_errors
    gateway = settings.consecutive_gateway_errors
    local = settings.consecutive_local_origin_failures
    split = settings.split_external_local_origin_errors
    return cluster.OutlierDetection(
        consecutive_5xx=five_xx or None,
        enforcing_consecutive_5xx=None if five_xx is None else (100 if five_xx else 0),
        consecutive_gateway_failure=gateway or None,
        enforcing_consecutive_gateway_failure=100 if gateway else 0,
        split_external_local_origin_errors=split,
        consecutive_local_origin_failure=(local or None) if split else None,
        enforcing_consecutive_local_origin_failure=100 if split and local else None,
        interval=_duration(settings.interval),
        base_ejection_time=_duration(settings.base_ejection_time),
        max_ejection_percent=settings.max_ejection_percent or None,
        enforcing_success_rate=0,
    )


def common_lb(policy: Policy) -> cluster.ClusterCommonLbConfig:
    """With outlier detection, Envoy's panic threshold is Istio's `minHealthPercent` (0: never panic)."""
    made = cluster.ClusterCommonLbConfig()
    if policy.outlier_detection is not None:
        made.healthy_panic_threshold = types.Percent(value=float(policy.outlier_detection.min_health_percent))
    zones = policy.load_balancer.zone_aware_lb_setting if policy.load_balancer else None
    if zones is not None and zones.enabled is not False:
        made.zone_aware_lb_config = cluster.ClusterCommonLbConfigZoneAwareLbConfig(
            min_cluster_size=zones.min_cluster_size or None
        )
    elif is_weighted(policy):
        made.locality_weighted_lb_config = cluster.ClusterCommonLbConfigLocalityWeightedLbConfig()
    return made


def keepalive(pool: ConnectionPoolSettings | None) -> cluster.UpstreamConnectionOptions | None:
    """SO_KEEPALIVE towards endpoints."""
    settings = pool.tcp.tcp_keepalive if pool and pool.tcp else None
    if settings is None:
        return None
    keep = core.TcpKeepalive(
        keepalive_probes=settings.probes or None,
        keepalive_time=int(settings.time) if settings.time else None,
        keepalive_interval=int(settings.interval) if settings.interval else None,
    )
    return cluster.UpstreamConnectionOptions(tcp_keepalive=keep)


def protocol_options(protocol: str, policy: Policy, *, external: bool, forward: bool) -> dict[str, protobuf.Any]:
    """HTTP towards the endpoints; nothing for TCP. What a proxy says of itself never leaves the mesh."""
    if protocol not in ("http", "http2", "grpc", "grpc-web"):
        return {}
    pool = policy.connection_pool
    settings = pool.http if pool else None
    duration = pool.tcp.max_connection_duration if pool and pool.tcp else None
    common = core.HttpProtocolOptions(
        idle_timeout=_duration(settings.idle_timeout if settings else None),
        max_requests_per_connection=(settings.max_requests_per_connection if settings else 0) or None,
        max_connection_duration=_duration(duration),
    )
    options = upstream.HttpProtocolOptions(common_http_protocol_options=common)
    if settings and settings.use_client_protocol:
        options.use_downstream_protocol_config = upstream.HttpProtocolOptionsUseDownstreamHttpConfig(
            http_protocol_options=core.Http1ProtocolOptions(),
            http2_protocol_options=_http2(settings),
        )
    elif _is_http2(protocol, policy):
        options.explicit_http_config = upstream.HttpProtocolOptionsExplicitHttpConfig(
            http2_protocol_options=_http2(settings)
        )
    else:
        options.explicit_http_config = upstream.HttpProtocolOptionsExplicitHttpConfig(
            http_protocol_options=core.Http1ProtocolOptions()
        )
    if forward:
        options.upstream_http_protocol_options = core.UpstreamHttpProtocolOptions(
            auto_sni=True, auto_san_validation=True
        )
    outliers = policy.outlier_detection
    if outliers is not None and outliers.outlier_detection_http_error_codes:
        options.outlier_detection = _errors(outliers.outlier_detection_http_error_codes)
    if external:
        options.http_filters = [header_mutation(remove=PEER_METADATA_HEADER), upstream_codec()]
    return {_OPTIONS: any_of(options)}


def alpn(protocol: str, policy: Policy) -> list[str]:
    """What the TLS client hello offers."""
    if protocol not in ("http", "http2", "grpc", "grpc-web"):
        return []
    return ["h2"] if _is_http2(protocol, policy) else ["http/1.1"]


def _is_http2(protocol: str, policy: Policy) -> bool:
    http = policy.connection_pool.http if policy.connection_pool else None
    return protocol in ("http2", "grpc", "grpc-web") or (http is not None and http.h2_upgrade_policy == "UPGRADE")


def _http2(settings: HTTPSettings | None) -> core.Http2ProtocolOptions:
    made = core.Http2ProtocolOptions()
    if settings is not None:
        made.max_concurrent_streams = settings.max_concurrent_streams or None
        pings = settings.http2_keep_alive
        if pings is not None:
            made.connection_keepalive = core.KeepaliveSettings(
                interval=_duration(pings.interval), timeout=_duration(pings.timeout)
            )
    return made


def _errors(codes: Sequence[int]) -> upstream.HttpProtocolOptionsOutlierDetection:
    """Answers that count against an endpoint, in place of 5xx."""
    matches = [
        matching.MatchPredicate(
            http_response_headers_match=matching.HttpHeadersMatch(
                headers=[route.HeaderMatcher(name=":status", string_match=matcher.StringMatcher(exact=str(code)))]
            )
        )
        for code in dict.fromkeys(codes)
    ]
    whole = matching.MatchPredicate(or_match=matching.MatchPredicateMatchSet(rules=matches))
    return upstream.HttpProtocolOptionsOutlierDetection(error_matcher=whole if len(matches) > 1 else matches[0])


def _duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)
