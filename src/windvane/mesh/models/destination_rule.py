"""networking.istio.io `DestinationRule`: subsets of a host and how its endpoints are treated."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import (
    Int32,
    Items,
    Labels,
    LabelSelector,
    Model,
    PortSelector,
    Seconds,
    UInt32,
    UInt64,
)
from windvane.mesh.models.metadata import Resource


class HTTPCookieAttribute(Model):
    """What a generated cookie says more, such as `SameSite`."""

    name: str = ""
    value: str = ""


class HTTPCookie(Model):
    """Hash on a cookie; one with `ttl` is generated when a request has none."""

    name: str = ""
    path: str = ""
    ttl: Seconds | None = None
    attributes: Items[HTTPCookieAttribute] = ()


class RingHash(Model):
    """Consistent hashing on a ring."""

    minimum_ring_size: UInt64 = 0


class MagLev(Model):
    """Consistent hashing with a Maglev table."""

    table_size: UInt64 = 0


class ConsistentHashLB(Model):
    """Requests with the same key go to the same endpoint, as far as endpoints stay."""

    one_of = (
        ("http_header_name", "http_cookie", "use_source_ip", "http_query_parameter_name"),
        ("ring_hash", "maglev"),
    )

    http_header_name: str | None = None
    http_cookie: HTTPCookie | None = None
    use_source_ip: bool | None = None
    http_query_parameter_name: str | None = None
    ring_hash: RingHash | None = None
    maglev: MagLev | None = None
    minimum_ring_size: UInt64 = 0


class LocalityDistribute(Model):
    """Percentages of requests from a locality that go to others; `*` may end a locality."""

    from_: str = Field(default="", alias="from")
    to: dict[str, UInt32] = Field(default_factory=dict)

    def __hash__(self) -> int:
        """A policy is part of what clusters are looked up by, and a mapping has no hash of its own."""
        return hash((self.from_, frozenset(self.to.items())))


class LocalityFailover(Model):
    """The region that takes over first when endpoints of another fail."""

    from_: str = Field(default="", alias="from")
    to: str = ""


class LocalityLoadBalancerSetting(Model):
    """Which localities (`region/zone/sub-zone`) requests go to, by the client's own."""

    distribute: Items[LocalityDistribute] = ()
    failover: Items[LocalityFailover] = ()
    failover_priority: Items[str] = ()
    enabled: bool | None = None


class ZoneAwareLoadBalancerSetting(Model):
    """The own region first; within it Envoy prefers the own zone by itself."""

    enabled: bool | None = None
    failover: Items[LocalityFailover] = ()
    failover_priority: Items[str] = ()
    min_cluster_size: UInt32 = 0


class WarmupConfiguration(Model):
    """New endpoints get less at first: from `minimum_percent` up, for `duration`, the faster the more `aggression`."""

    duration: Seconds | None = None
    minimum_percent: float | None = None
    aggression: float | None = None


class LoadBalancerSettings(Model):
    """Which endpoint a request goes to; least request is Istio's default."""

    one_of = (("simple", "consistent_hash"),)

    simple: Literal["UNSPECIFIED", "LEAST_CONN", "RANDOM", "PASSTHROUGH", "ROUND_ROBIN", "LEAST_REQUEST"] | None = None
    consistent_hash: ConsistentHashLB | None = None
    locality_lb_setting: LocalityLoadBalancerSetting | None = None
    zone_aware_lb_setting: ZoneAwareLoadBalancerSetting | None = None
    warmup: WarmupConfiguration | None = None
    warmup_duration_secs: Seconds | None = None


class TcpKeepalive(Model):
    """SO_KEEPALIVE of upstream connections."""

    probes: UInt32 = 0
    time: Seconds | None = None
    interval: Seconds | None = None


class TCPSettings(Model):
    """Connections to an endpoint's cluster, HTTP and TCP alike."""

    max_connections: Int32 = 0
    connect_timeout: Seconds | None = None
    tcp_keepalive: TcpKeepalive | None = None
    max_connection_duration: Seconds | None = None
    idle_timeout: Seconds | None = None


class ConnectionKeepalive(Model):
    """HTTP/2 pings: one each `interval` (seconds), answered within `timeout`, or the connection is closed."""

    interval: Seconds | None = None
    timeout: Seconds | None = None


class HTTPSettings(Model):
    """HTTP/1.1, HTTP/2 and gRPC connections."""

    http1_max_pending_requests: Int32 = 0
    http2_max_requests: Int32 = 0
    max_requests_per_connection: Int32 = 0
    max_retries: Int32 = 0
    idle_timeout: Seconds | None = None
    h2_upgrade_policy: Literal["DEFAULT", "DO_NOT_UPGRADE", "UPGRADE"] = "DEFAULT"
    use_client_protocol: bool = False
    max_concurrent_streams: Int32 = 0
    http2_keep_alive: ConnectionKeepalive | None = None


class ConnectionPoolSettings(Model):
    """Limits of connections and requests in flight."""

    tcp: TCPSettings | None = None
    http: HTTPSettings | None = None


class OutlierDetection(Model):
    """When an endpoint that fails is put aside, and for how long."""

    split_external_local_origin_errors: bool = False
    consecutive_local_origin_failures: UInt32 | None = None
    consecutive_gateway_errors: UInt32 | None = None
    consecutive_5xx_errors: UInt32 | None = None
    consecutive_errors: Int32 = 0
    interval: Seconds | None = None
    base_ejection_time: Seconds | None = None
    max_ejection_percent: Int32 = 0
    min_health_percent: Int32 = 0
    outlier_detection_http_error_codes: Items[UInt32] = ()


class ClientTLSSettings(Model):
    """TLS towards the host. Paths are files of this machine."""

    mode: Literal["DISABLE", "SIMPLE", "MUTUAL", "ISTIO_MUTUAL"] = "DISABLE"
    client_certificate: str = ""
    private_key: str = ""
    ca_certificates: str = ""
    subject_alt_names: Items[str] = ()
    sni: str = ""
    insecure_skip_verify: bool | None = None
    credential_name: str = ""
    ca_crl: str = ""


class PortTrafficPolicy(Model):
    """The policy of one port; it replaces, not extends, what the levels above say of it."""

    port: PortSelector | None = None
    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None


class TunnelSettings(Model):
    """TCP through HTTP: the host of the rule is asked to connect to the target."""

    protocol: str = ""
    target_host: str = ""
    target_port: UInt32 = 0


class ProxyProtocol(Model):
    """Tell the server the client's address by a PROXY header, V1 as text."""

    version: Literal["V1", "V2"] = "V1"


class RetryBudget(Model):
    """How many retries may be under way: a share of the requests that are, and at least `min_retry_concurrency`."""

    percent: float | None = None
    min_retry_concurrency: UInt32 = 0


class TrafficPolicy(Model):
    """How the endpoints of a host or a subset are used."""

    load_balancer: LoadBalancerSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None
    outlier_detection: OutlierDetection | None = None
    tls: ClientTLSSettings | None = None
    port_level_settings: Items[PortTrafficPolicy] = ()
    tunnel: TunnelSettings | None = None
    proxy_protocol: ProxyProtocol | None = None
    retry_budget: RetryBudget | None = None


class Subset(Model):
    """A named part of a host's endpoints, by their labels."""

    name: str = ""
    labels: Labels = Field(default_factory=dict)
    traffic_policy: TrafficPolicy | None = None


class DestinationRuleSpec(Model):
    """Policy of a host after routing has chosen it."""

    host: str = ""
    traffic_policy: TrafficPolicy | None = None
    subsets: Items[Subset] = ()
    export_to: Items[str] = ()
    workload_selector: LabelSelector | None = None


class DestinationRule(Resource):
    """networking.istio.io DestinationRule."""

    kind: Literal["DestinationRule"] = "DestinationRule"
    spec: DestinationRuleSpec = Field(default_factory=DestinationRuleSpec)
