"""What Kiali asks of Prometheus: its graph, appenders, charts, health and overview, put together from their parts.

Each shape keeps what trips a parser: a blank before the window, `OR` in capitals, `by` behind, a comparison
within `round`, Go's durations, doubled backslashes, alternations with an empty branch.
"""

from __future__ import annotations

from collections.abc import Iterator

from asked import Above, Either, Highest, Node, Over, Quantile, Rates, Round, Sum

Matchers = tuple[tuple[str, str, str], ...]
GROUP = (
    "source_cluster", "source_workload_namespace", "source_workload", "source_canonical_service",
    "source_canonical_revision", "destination_cluster", "destination_service_namespace", "destination_service",
    "destination_service_name", "destination_workload_namespace", "destination_workload",
    "destination_canonical_service", "destination_canonical_revision",
)  # fmt: skip
CODES = ("request_protocol", "response_code", "grpc_response_status", "response_flags")
DURATION = "istio_request_duration_milliseconds"
REQUESTS = "istio_requests_total"
TCP = ("istio_tcp_received_bytes_total", "istio_tcp_sent_bytes_total")
MESSAGES = ("istio_request_messages_total", "istio_response_messages_total")
ERRORS = (("response_code", "=~", r"^0$|^[4-5]\d\d$"), ("response_code", "!~", r"^0$|^[4-5]\d\d$"))
GRPC_ERRORS = ("grpc_response_status", "=~", "^[1-9]$|^1[0-6]$")


def rate(metric: str, matchers: Matchers, seconds: int = 60, gap: str = "", how: str = "rate") -> Rates:
    return Rates(how, metric, matchers, seconds, f"{seconds}s", gap)


def graph_selectors(namespace: str, reporters: str) -> Iterator[Matchers]:
    """The traffic of a namespace's graph. `reporters` is what goes with a reporter: '' or 'waypoint|'."""

    def seen_by(name: str) -> tuple[str, str, str]:
        return ("reporter", "=~" if reporters else "=", reporters + name)

    outside = ("source_workload_namespace", "!=", namespace)
    unknown = tuple((f"destination_workload{part}", "=", "unknown") for part in ("_namespace", ""))
    yield (seen_by("source"), outside, *unknown, ("destination_service", "=~", rf"^.+\.{namespace}\..+$"))
    yield (("reporter", "=", "source"), outside, ("destination_workload_namespace", "=", namespace))
    yield (seen_by("destination"), ("destination_workload_namespace", "=", namespace))
    yield (seen_by("source"), ("source_workload_namespace", "=", namespace))


def graph(namespace: str) -> Iterator[Node]:
    """A: edges of the graph, with idle ones and without."""
    for reporters in ("", "waypoint|"):
        for matchers in graph_selectors(namespace, reporters):
            requests = Sum(rate(REQUESTS, matchers, 600, " "), (*GROUP, *CODES))
            yield from (Round(requests), Round(Above(requests)))
            yield from (Round(Above(Sum(rate(metric, matchers, 60, " "), GROUP))) for metric in MESSAGES)
            for metric in TCP:
                by = ("app", *GROUP, "response_flags")
                yield Round(Above(Sum(rate(metric, (("app", "!=", "ztunnel"), *matchers), 60, " "), by)))


def appenders(namespace: str) -> Iterator[Node]:
    """B: response times, throughput, mutual TLS, operations, extensions."""
    ends: tuple[Matchers, ...] = (
        (("reporter", "=", "destination"), ("destination_service_namespace", "=", namespace)),
        (("reporter", "=", "source"), ("source_workload_namespace", "=", namespace)),
    )
    security = tuple(name for name in GROUP if name != "destination_service")
    security += ("source_principal", "destination_principal", "connection_security_policy")
    for matchers in ends:
        by = (*GROUP, "request_protocol")
        mean = Over(Sum(rate(f"{DURATION}_sum", matchers), by), Sum(rate(f"{DURATION}_count", matchers), by))
        yield Round(Above(mean))
        for q in ("0.5", "0.95", "0.99"):
            yield Round(Above(Quantile(q, Sum(rate(f"{DURATION}_bucket", matchers), ("le", *by)))))
        for way in ("request", "response"):
            yield Round(Above(Sum(rate(f"istio_{way}_bytes_sum", matchers), GROUP)))
        requests, sent = (Sum(rate(name, matchers), security) for name in (REQUESTS, TCP[1]))
        yield Either(Round(Above(requests)), Round(Above(sent)))
        operations = (*matchers, ("request_operation", "!=", "unknown"))
        yield Round(Above(Sum(rate(REQUESTS, operations), (*GROUP, *CODES, "request_operation"))))
        for name in ("requests_total", "tcp_received_total", "tcp_sent_total"):
            yield Round(Above(Sum(rate(f"kiali_ext_{name}", matchers), GROUP)))


def charts(namespace: str, service: str) -> Iterator[Node]:
    """C: charts of a service's metrics tab."""
    where = (("destination_service_name", "=", service), ("destination_service_namespace", "=", namespace))
    connections = tuple(f"istio_tcp_connections_{what}_total" for what in ("opened", "closed"))
    for reporter in (("=", "source"), ("=", "destination"), ("=~", "|waypoint|unknown")):
        matchers = (("reporter", *reporter), *where)
        for how in ("rate", "irate") if "source" in reporter else ("rate",):
            for metric in (REQUESTS, *MESSAGES, *TCP, *connections):
                yield Sum(rate(metric, matchers, how=how))
                yield Sum(rate(metric, matchers, how=how), ("source_canonical_service", "response_code"))
            yield Either(
                Sum(rate(REQUESTS, (*matchers, ERRORS[0]), how=how)),
                Sum(rate(REQUESTS, (*matchers, GRPC_ERRORS, ERRORS[1]), how=how)),
            )
            for metric in (DURATION, "istio_request_bytes", "istio_response_bytes"):
                for q in ("0.5", "0.95", "0.99", "0.999"):
                    yield Quantile(q, Sum(rate(f"{metric}_bucket", matchers, how=how), ("le",)))
                total, count = (Sum(rate(f"{metric}_{part}", matchers, how=how)) for part in ("sum", "count"))
                yield from (Over(total, count), total)


def overview() -> Iterator[Node]:
    """E: the six slowest services, and those with the most bytes."""
    by = ("destination_cluster", "destination_service_namespace", "destination_service_name")
    known = ("destination_workload", "!=", "unknown")
    buckets = Sum(Rates("rate", f"{DURATION}_bucket", (known,), 300, "5m"), ("le", *by))
    yield Round(Highest(6, Above(Quantile("0.95", buckets))))
    sent = Sum(Rates("rate", TCP[1], (known, ("reporter", "=", "destination")), 300, "5m"), by)
    yield Round(Highest(6, Above(sent)))


def health(namespace: str) -> Iterator[Node]:
    """F: raw rates of every series, with all labels."""
    for side in ("destination_service_namespace", "source_workload_namespace", "destination_workload_namespace"):
        cluster = (
            "source_cluster" if side.startswith("source") else "destination_cluster",
            "=~",
            "Kubernetes|unknown|.*",
        )
        yield Above(Rates("rate", REQUESTS, ((side, "=", namespace), cluster), 300, "5m"))


def of_others() -> Iterator[str]:
    """D and G: the control plane, ztunnel, and which metrics there are."""
    for part in ("sum", "count"):
        yield f'delta(pilot_proxy_convergence_time_{part}{{pod="istiod-1"}}[10m0s])'
    for metric in ("container_cpu_usage_seconds_total", "process_cpu_seconds_total"):
        yield f'sum(irate({metric}{{pod=~"ztunnel-.*"}}[1m0s])) by (pod)'
    for metric in ("container_memory_working_set_bytes", "process_resident_memory_bytes"):
        yield f'sum({metric}{{pod=~"ztunnel-.*"}}) by (pod)'
    yield 'sum(istio_build{component="ztunnel"}) by (tag)'
    yield 'sum(workload_manager_active_proxy_count{pod=~"ztunnel-.*"}) by (pod)'
    yield from (f'sum(rate({metric}{{pod=~"ztunnel-.*"}}[1m0s])) by (pod)' for metric in TCP)
    yield 'count({reporter="destination"}) by (__name__)'
