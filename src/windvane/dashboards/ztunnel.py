"""ztunnel, the node proxy of ambient meshes: what it uses, what it carries, and whom it serves."""

from __future__ import annotations

from windvane.dashboards.model import Dashboard, Panel, Row, Target, Unit
from windvane.dashboards.promql import WINDOW

_POD = 'pod=~"ztunnel-.*"'
_CONTAINER = f'container="istio-proxy", {_POD}'


def _rate(metric: str, matchers: str = _POD, by: str = "pod", function: str = "rate") -> str:
    return f"sum by ({by}) ({function}({metric}{{{matchers}}}{WINDOW}))"


def _now(metric: str, matchers: str = _POD, by: str = "pod") -> str:
    return f"sum by ({by}) ({metric}{{{matchers}}})"


def _panel(title: str, unit: Unit, description: str, *targets: Target, width: int = 8) -> Panel:
    return Panel(title, "timeseries", targets, unit=unit, width=width, height=7, description=description)


_PROCESS = Row(
    "Process",
    (
        _panel(
            "ztunnel by version",
            "none",
            "Running instances of each version.",
            Target(_now("istio_build", 'component="ztunnel"', "tag"), "{{tag}}"),
        ),
        _panel(
            "ztunnel memory",
            "bytes",
            "The working set of each instance's container.",
            Target(_now("container_memory_working_set_bytes", _CONTAINER), "{{pod}}"),
        ),
        _panel(
            "ztunnel vCPU",
            "short",
            "Processor cores in use.",
            Target(_rate("container_cpu_usage_seconds_total", _CONTAINER, function="irate"), "{{pod}}"),
        ),
    ),
)

_NETWORK = Row(
    "Network",
    (
        _panel(
            "TCP connections",
            "cps",
            "Opened each second, and closed, drawn below zero.",
            Target(_rate("istio_tcp_connections_opened_total"), "Opened {{pod}}"),
            Target(f"-{_rate('istio_tcp_connections_closed_total')}", "Closed {{pod}}"),
        ),
        _panel(
            "TCP bytes",
            "Bps",
            "What each instance carries.",
            Target(_rate("istio_tcp_sent_bytes_total"), "Sent {{pod}}"),
            Target(_rate("istio_tcp_received_bytes_total"), "Received {{pod}}"),
        ),
        _panel(
            "DNS requests",
            "reqps",
            "Names that workloads asked their node proxy for.",
            Target(_rate("istio_dns_requests_total"), "{{pod}}"),
        ),
    ),
)

_OPERATIONS = Row(
    "Operations",
    (
        _panel(
            "xDS connections ended",
            "cps",
            "A connection to istiod lives for about half an hour; more ends than that are trouble.",
            Target(_rate("istio_xds_connection_terminations_total"), "{{pod}}"),
        ),
        _panel(
            "xDS messages",
            "cps",
            "Messages from istiod, by type of resource.",
            Target(_rate("istio_xds_message_total", by="url", function="irate"), "{{url}}"),
        ),
        _panel(
            "Workloads served",
            "none",
            "Active ones, and those that still wait; waiting should fall to zero.",
            Target(_now("workload_manager_active_proxy_count"), "Active {{pod}}"),
            Target(_now("workload_manager_pending_proxy_count"), "Waiting {{pod}}"),
        ),
    ),
)

ZTUNNEL = Dashboard(
    uid="istio-ztunnel",
    title="Istio ztunnel",
    description="The node proxies of an ambient mesh: what they use, carry, and hear from istiod.",
    tags=("istio",),
    rows=(_PROCESS, _NETWORK, _OPERATIONS),
)
