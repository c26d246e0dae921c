"""What Istio's Grafana dashboards ask of its proxies' metrics, put together from the parts they vary.

The dashboards ask one thing of both ends of traffic, of traffic under mutual TLS and of the rest, in four
quantiles. What only istiod, ztunnel, Wasm or the kubelet answers is in `OTHERS`, as metric and labels.
"""

from __future__ import annotations

from collections.abc import Iterator

from asked import Either, Joined, Node, OrZero, Over, Plus, Quantile, Rates, Round, Scaled, Sum

Matchers = tuple[tuple[str, str, str], ...]
DURATION = "istio_request_duration_milliseconds"
REQUESTS = "istio_requests_total"
TLS = (("connection_security_policy", "=", "mutual_tls"), ("connection_security_policy", "!=", "mutual_tls"))
PRINCIPAL = (("destination_principal", "=~", "spiffe.*"), ("destination_principal", "!~", "spiffe.*"))
NO_5XX = ("response_code", "!~", "5.*")
CLIENT = ("source_workload", "source_workload_namespace")
SERVER = ("destination_workload", "destination_workload_namespace")
QUANTILES = ("0.50", "0.90", "0.95", "0.99")


def irate(metric: str, matchers: Matchers, by: tuple[str, ...] = (), window: str = "1m") -> Node:
    return Sum(Rates("irate", metric, matchers, float(window[:-1]) * 60, window), by)


def volume(matchers: Matchers, by: tuple[str, ...] = ()) -> Node:
    return Round(irate(REQUESTS, matchers, by, "5m"))


def success(matchers: Matchers, by: tuple[str, ...] = ()) -> Node:
    return Over(irate(REQUESTS, (*matchers, NO_5XX), by, "5m"), irate(REQUESTS, matchers, by, "5m"))


def quantile(q: str, metric: str, matchers: Matchers, by: tuple[str, ...] = ()) -> Node:
    return Quantile(q, irate(f"{metric}_bucket", matchers, (*by, "le")))


def duration(q: str, matchers: Matchers, by: tuple[str, ...] = ()) -> Node:
    """In seconds, from the histogram in milliseconds or else from the one that Istio had until 1.8."""
    old = quantile(q, "istio_request_duration_seconds", matchers, by)
    return Either(Scaled(quantile(q, DURATION, matchers, by)), old, "or")


def tcp(way: str, matchers: Matchers, by: tuple[str, ...] = ()) -> Node:
    return irate(f"istio_tcp_{way}_bytes_total", matchers, by)


def glance(matchers: Matchers) -> Iterator[Node]:
    """The row of single figures about one end."""
    yield from (volume(matchers), success(matchers))
    yield from (duration(q, matchers) for q in ("0.50", "0.90", "0.99"))
    yield from (tcp(way, matchers) for way in ("received", "sent"))
    yield Plus(tcp("sent", matchers), tcp("received", matchers))


def split(matchers: Matchers, by: tuple[str, ...], first: Matchers = TLS) -> Iterator[Node]:
    """One end's traffic by its counterparts."""
    for tls, requests in zip(TLS, first, strict=True):
        all_of = (*matchers, tls)
        yield volume((*matchers, requests), (*by, "response_code"))
        yield success(all_of, by)
        yield from (duration(q, all_of, by) for q in QUANTILES)
        for metric in ("istio_request_bytes", "istio_response_bytes"):
            yield from (quantile(q, metric, all_of, by) for q in QUANTILES)
        yield from (Round(tcp(way, all_of, by)) for way in ("received", "sent"))


def service(name: str, reporter: str) -> Iterator[Node]:
    """The service dashboard for one service; `reporter` is a regular expression, as its variable is."""
    where = ("destination_service", "=~", name)
    yield from glance((("reporter", "=~", reporter), where))
    yield from glance((("reporter", "=", "destination"), where))
    clients = tuple((label, "=~", ".*") for label in CLIENT)
    servers = tuple((label, "=~", ".*") for label in SERVER)
    yield from split((("reporter", "=~", reporter), where, *clients), CLIENT)
    yield from split((("reporter", "=", "destination"), where, *servers), SERVER)


def workload(namespace: str, name: str, reporter: str) -> Iterator[Node]:
    """The workload dashboard for one workload."""

    def end(side: str) -> Matchers:
        return ((f"{side}_workload_namespace", "=~", namespace), (f"{side}_workload", "=~", name))

    yield from glance((("reporter", "=~", reporter), *end("destination")))
    yield from glance((("reporter", "=~", reporter), *end("source")))
    yield from split((("reporter", "=~", reporter), *end("destination")), CLIENT)
    outgoing = (("reporter", "=", "source"), *end("source"), ("destination_service", "=~", ".*"))
    yield from split(outgoing, ("destination_service",), PRINCIPAL)


def mesh(window: str = "30s") -> Iterator[Node]:
    """The mesh dashboard: rates at clients and waypoints, and tables by workload."""
    clients = (("reporter", "=~", "source|waypoint"),)
    good = (*clients, ("response_code", "!~", "5.."))

    def rate(metric: str, matchers: Matchers, by: tuple[str, ...] = ()) -> Node:
        return Sum(Rates("rate", metric, matchers, float(window[:-1]), window), by, after=False)

    def table(node: Node) -> Node:
        return Joined(node, "destination_workload_var", SERVER)

    yield Round(rate(REQUESTS, clients), "0.01")
    yield Over(rate(REQUESTS, good), rate(REQUESTS, clients))
    for code in ("4..", "5.."):
        yield OrZero(Round(rate(REQUESTS, (*clients, ("response_code", "=~", code))), "0.01"))
    for metric in (REQUESTS, "istio_tcp_received_bytes_total", "istio_tcp_sent_bytes_total"):
        yield table(rate(metric, clients, (*SERVER, "destination_service")))
    yield from (
        table(Quantile(q, rate(f"{DURATION}_bucket", clients, ("le", *SERVER)))) for q in ("0.5", "0.9", "0.99")
    )
    yield table(Over(rate(REQUESTS, good, SERVER), rate(REQUESTS, clients, SERVER)))


def proxies_cost() -> Iterator[Node]:
    """Bytes through proxies, of the performance dashboard."""
    way: tuple[Matchers, ...] = (
        (("source_workload_namespace", "!=", "istio-system"), ("reporter", "=", "source")),
        (("destination_workload_namespace", "!=", "istio-system"), ("reporter", "=", "destination")),
    )
    yield irate(
        "istio_response_bytes_sum", (("source_workload", "=", "istio-ingressgateway"), ("reporter", "=", "source"))
    )
    sums = [irate(f"istio_{what}_bytes_sum", matchers) for what in ("response", "request") for matchers in way]
    yield Plus(Plus(Plus(sums[0], sums[1]), sums[2]), sums[3])


_NAMES: dict[str, tuple[str, ...]] = {
    '{pod=~"istiod-.*",container=~"discovery|istio-proxy"}': ("container_cpu_usage_seconds_total",),
    '{container="istio-proxy",namespace!="istio-system"}': ("container_memory_working_set_bytes",),
    '{ container="istio-proxy"}': ("container_fs_usage_bytes",),
    '{app="istiod"}': (
        *(f"process_{name}" for name in ("virtual_memory_bytes", "resident_memory_bytes", "open_fds")),
        *("process_cpu_seconds_total", "go_goroutines", "go_memstats_mallocs_total"),
        *(f"go_memstats_{name}" for name in ("heap_sys_bytes", "heap_alloc_bytes", "alloc_bytes", "alloc_bytes_total")),
        *(f"go_memstats_{name}_inuse_bytes" for name in ("heap", "stack")),
    ),
    "": (
        *(f"pilot_{name}" for name in ("xds_pushes", "k8s_reg_events", "k8s_cfg_events", "push_triggers", "xds")),
        *(f"pilot_total_xds_{name}" for name in ("rejects", "internal_errors")),
        *(f"galley_validation_{name}" for name in ("passed", "failed")),
        *(f"sidecar_injection_{name}_total" for name in ("success", "failure")),
        *(f"envoy_wasm_vm_{name}" for name in ("null_active", "v8_active", "null_created", "v8_created")),
        *(f"envoy_wasm_remote_load_cache_{name}" for name in ("entries", "hits", "misses", "negative_hits")),
        *(f"envoy_wasm_remote_load_fetch_{name}" for name in ("failures", "successes")),
    ),
    "{}": ("pilot_xds_push_time_bucket", "pilot_xds_config_size_bytes_bucket"),
    '{cluster_name="xds-grpc"}': ("envoy_cluster_upstream_cx_active",),
    '{component="ztunnel"}': ("istio_build",),
    '{pod=~"ztunnel-.*"}': (
        *(f"istio_tcp_connections_{name}_total" for name in ("opened", "closed")),
        *(f"istio_{name}_total" for name in ("dns_requests", "xds_connection_terminations", "xds_message")),
        *(f"workload_manager_{name}_proxy_count" for name in ("active", "pending")),
    ),
}
OTHERS = [name + matchers for matchers, names in _NAMES.items() for name in names]
"""Selectors of metrics that a local mesh has nobody to report, as the dashboards write them."""

BUSY = 'sum(irate(istio_requests_total{source_workload="istio-ingressgateway"}[1m])) >bool 10'
THOUSANDS = "round(sum(irate(istio_requests_total[1m])), 0.001)/1000"


def of_others() -> Iterator[str]:
    """Each of those metrics plain and in one shape, in turn: sums, rates, signs, shares, cost per 1,000 requests."""
    shapes = (
        "sum by (pod) ({0})", "avg({0})", "sum by (type,event) (rate({0}[1m]))", "sum by (type,event) (irate({0}[1m]))",
        "-sum by (pod) (rate({0}[1m]))", "sum({0}) / count({0})",
        "(sum(irate({0}[1m]))/ (" + THOUSANDS + "))/ (" + BUSY + ")",
    )  # fmt: skip
    for number, selector in enumerate(OTHERS):
        yield from (selector, shapes[number % len(shapes)].replace("{0}", selector))
    yield "sum(istio_build) by (component, tag)"
