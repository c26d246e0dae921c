"""Istio's validation of a DestinationRule."""

from __future__ import annotations

from collections.abc import Iterator

from windvane.mesh.checks.common import (
    Problem,
    check_duration,
    check_export_to,
    check_header_name,
    check_host,
    check_labels,
    check_port,
    cluster_only,
    doubtful,
    invalid,
    is_dns_label,
    repeated,
)
from windvane.mesh.checks.extras import check_extras, check_keepalive
from windvane.mesh.checks.locality import check_locality, check_warmup, check_zone_aware
from windvane.mesh.models import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    ConsistentHashLB,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    PortTrafficPolicy,
    TrafficPolicy,
)
from windvane.mesh.yaml_source import Path

_LARGEST_TABLE = 5_000_011
_HASH_KEYS = ("http_header_name", "http_cookie", "use_source_ip", "http_query_parameter_name")


def check(item: DestinationRule) -> Iterator[Problem]:
    """Everything that makes Istio refuse, or warn of, a DestinationRule."""
    spec = item.spec
    yield from check_host(("spec", "host"), spec.host)
    yield from _check_policy(("spec", "trafficPolicy"), spec.traffic_policy)
    for index, subset in enumerate(spec.subsets):
        path: Path = ("spec", "subsets", index)
        if not is_dns_label(subset.name):
            yield invalid((*path, "name"), f"subset name {subset.name!r} is not a DNS label")
        yield from check_labels((*path, "labels"), subset.labels)
        yield from _check_policy((*path, "trafficPolicy"), subset.traffic_policy)
    for index, name in repeated(subset.name for subset in spec.subsets):
        yield invalid(("spec", "subsets", index, "name"), f"duplicate subset names: {name!r}")
    yield from check_export_to(("spec", "exportTo"), spec.export_to)
    if spec.workload_selector is not None:
        yield from check_labels(("spec", "workloadSelector", "matchLabels"), spec.workload_selector.match_labels)


def _check_policy(path: Path, policy: TrafficPolicy | None) -> Iterator[Problem]:
    if policy is None:
        return
    if policy == TrafficPolicy():
        yield invalid(path, "traffic policy must have at least one field")
    yield from check_extras(path, policy)
    yield from _check_parts(path, policy)
    for index, setting in enumerate(policy.port_level_settings):
        place: Path = (*path, "portLevelSettings", index)
        if setting.port is None:
            yield invalid((*place, "port"), "portLevelSettings must have a port number")
        else:
            yield from check_port((*place, "port", "number"), setting.port.number)
        yield from _check_parts(place, setting)
    numbers = [setting.port.number if setting.port else 0 for setting in policy.port_level_settings]
    for index, number in repeated(numbers):
        yield invalid((*path, "portLevelSettings", index, "port"), f"port {number} has settings already")


def _check_parts(path: Path, policy: TrafficPolicy | PortTrafficPolicy) -> Iterator[Problem]:
    yield from _check_load_balancer((*path, "loadBalancer"), policy.load_balancer)
    if policy.load_balancer is not None:
        place: Path = (*path, "loadBalancer", "localityLbSetting")
        setting, outliers = policy.load_balancer.locality_lb_setting, policy.outlier_detection
        yield from check_locality(place, setting, detects_outliers=outliers is not None)
        zones: Path = (*path, "loadBalancer", "zoneAwareLbSetting")
        yield from check_zone_aware(zones, policy.load_balancer.zone_aware_lb_setting)
    yield from check_pool((*path, "connectionPool"), policy.connection_pool)
    yield from _check_outliers((*path, "outlierDetection"), policy.outlier_detection)
    yield from _check_tls((*path, "tls"), policy.tls)


def _check_load_balancer(path: Path, settings: LoadBalancerSettings | None) -> Iterator[Problem]:
    if settings is None:
        return
    if settings.simple == "PASSTHROUGH":
        words = "endpoints are chosen at random, as the cluster's network would for the service's address"
        yield cluster_only((*path, "simple"), words)
    if settings.simple == "LEAST_CONN":
        yield doubtful((*path, "simple"), "LEAST_CONN is deprecated, use LEAST_REQUEST instead")
    if settings.consistent_hash is not None:
        yield from _check_hash((*path, "consistentHash"), settings.consistent_hash)
    yield from check_warmup((*path, "warmup"), settings.warmup)
    yield from check_duration((*path, "warmupDurationSecs"), settings.warmup_duration_secs)


def _check_hash(path: Path, settings: ConsistentHashLB) -> Iterator[Problem]:
    if all(getattr(settings, key) is None for key in _HASH_KEYS):
        yield invalid(
            path, "consistentHash must have one of httpHeaderName, httpCookie, useSourceIp, httpQueryParameterName"
        )
    if settings.http_header_name is not None:
        yield from check_header_name((*path, "httpHeaderName"), settings.http_header_name)
    if settings.http_query_parameter_name == "":
        yield invalid((*path, "httpQueryParameterName"), "query parameter name cannot be empty")
    if settings.http_cookie is not None and not settings.http_cookie.name:
        yield invalid((*path, "httpCookie", "name"), "name required for HttpCookie")
    if settings.http_cookie is not None and (settings.http_cookie.ttl or 0) < 0:
        yield invalid((*path, "httpCookie", "ttl"), "ttl cannot be negative")
    for index, attribute in enumerate(settings.http_cookie.attributes if settings.http_cookie else ()):
        if not attribute.name:
            yield invalid((*path, "httpCookie", "attributes", index, "name"), "name required for a cookie's attribute")
    if settings.minimum_ring_size:
        yield doubtful((*path, "minimumRingSize"), "minimumRingSize is deprecated, use ringHash instead")
        if settings.ring_hash is not None or settings.maglev is not None:
            words = "only one of MinimumRingSize or Maglev/Ringhash can be specified"
            yield invalid((*path, "minimumRingSize"), words)
    if settings.maglev is not None:
        yield from _check_table((*path, "maglev", "tableSize"), settings.maglev.table_size)


def _check_table(path: Path, size: int) -> Iterator[Problem]:
    if size == 0:
        yield invalid(path, "tableSize must be set for maglev")
    elif size >= _LARGEST_TABLE:
        yield invalid(path, "tableSize must be less than 5000011 for maglev")
    elif size == 1 or not all(size % divisor for divisor in range(2, int(size**0.5) + 1)):
        yield invalid(path, "tableSize must be a prime number for maglev")


def check_pool(path: Path, pool: ConnectionPoolSettings | None) -> Iterator[Problem]:
    """Limits of connections and requests."""
    if pool is None:
        return
    if pool.http is None and pool.tcp is None:
        yield invalid(path, "connection pool must have at least one field")
    if pool.http is not None:
        for field in ("http1MaxPendingRequests", "http2MaxRequests", "maxRequestsPerConnection", "maxRetries"):
            value = {name.alias: getattr(pool.http, key) for key, name in type(pool.http).model_fields.items()}[field]
            if value < 0:
                yield invalid((*path, "http", field), f"{field} must be non-negative")
        yield from check_duration((*path, "http", "idleTimeout"), pool.http.idle_timeout)
        if pool.http.max_concurrent_streams < 0:
            yield invalid((*path, "http", "maxConcurrentStreams"), "max concurrent streams must be non-negative")
        yield from check_keepalive((*path, "http", "http2KeepAlive"), pool.http.http2_keep_alive)
        if pool.http.h2_upgrade_policy == "UPGRADE" and pool.http.use_client_protocol:
            yield invalid((*path, "http"), "use client protocol must not be true when H2UpgradePolicy is UPGRADE")
    if pool.tcp is not None:
        if pool.tcp.max_connections < 0:
            yield invalid((*path, "tcp", "maxConnections"), "max connections must be non-negative")
        yield from check_duration((*path, "tcp", "connectTimeout"), pool.tcp.connect_timeout)
        yield from check_duration((*path, "tcp", "maxConnectionDuration"), pool.tcp.max_connection_duration)
        if pool.tcp.tcp_keepalive is not None:
            yield from check_duration((*path, "tcp", "tcpKeepalive", "time"), pool.tcp.tcp_keepalive.time)
            yield from check_duration((*path, "tcp", "tcpKeepalive", "interval"), pool.tcp.tcp_keepalive.interval)
        # An idle timeout of 0 means none.
        yield from check_duration((*path, "tcp", "idleTimeout"), pool.tcp.idle_timeout or None)


def _check_outliers(path: Path, outliers: OutlierDetection | None) -> Iterator[Problem]:
    if outliers is None:
        return
    yield from check_duration((*path, "interval"), outliers.interval)
    yield from check_duration((*path, "baseEjectionTime"), outliers.base_ejection_time)
    if outliers.consecutive_errors:
        words = (
            "outlier detection consecutive errors is deprecated, use consecutiveGatewayErrors or consecutive5xxErrors"
        )
        yield doubtful((*path, "consecutiveErrors"), words)
    if outliers.consecutive_local_origin_failures and not outliers.split_external_local_origin_errors:
        words = "consecutiveLocalOriginFailures is ignored unless splitExternalLocalOriginErrors is true"
        yield invalid((*path, "consecutiveLocalOriginFailures"), words)
    for index, code in enumerate(outliers.outlier_detection_http_error_codes):
        if not 100 <= code <= 599:
            yield invalid((*path, "outlierDetectionHttpErrorCodes", index), f"{code} is not in range 100..599")
    for field, percent in (
        ("maxEjectionPercent", outliers.max_ejection_percent),
        ("minHealthPercent", outliers.min_health_percent),
    ):
        if not 0 <= percent <= 100:
            yield invalid((*path, field), f"percentage {percent} is not in range 0..100")


def _check_tls(path: Path, tls: ClientTLSSettings | None) -> Iterator[Problem]:
    if tls is None:
        return
    files = (tls.client_certificate, tls.private_key)
    if tls.credential_name and (any(files) or tls.ca_certificates or tls.ca_crl):
        words = "cannot specify client certificates or CA certificate or CA CRL If credentialName is set"
        yield invalid((*path, "credentialName"), words)
    elif tls.mode == "MUTUAL" and not all(files) and not tls.credential_name:
        yield invalid(path, "client certificate and private key are required for mutual tls")
    if tls.mode == "ISTIO_MUTUAL" and (any(files) or tls.ca_certificates or tls.ca_crl or tls.credential_name):
        yield invalid(path, "ISTIO_MUTUAL uses the mesh's own certificates: no certificate or key may be set")
    if tls.insecure_skip_verify and (tls.ca_certificates or tls.subject_alt_names):
        yield invalid((*path, "insecureSkipVerify"), "cannot be set together with caCertificates or subjectAltNames")
