"""What the mesh costs: processor, memory and bytes of proxies, gateways and istiod, alone and for their load.

Container figures come from the kubelet's cAdvisor and so exist on Kubernetes only; a panel whose
metrics nobody reports stays empty.
"""

from __future__ import annotations

from windvane.dashboards.model import Dashboard, Panel, Row, Target, Unit

_GATEWAY = 'pod=~"istio-ingressgateway-.*", container="istio-proxy"'
_PROXIES = 'namespace!="istio-system", container="istio-proxy"'
_ALL = 'container="istio-proxy"'
_ISTIOD = 'pod=~"istiod-.*", container=~"discovery|istio-proxy"'
_BUSY = 'sum(irate(istio_requests_total{source_workload="istio-ingressgateway"}[$__rate_interval])) > bool 10'


def _cpu(matchers: str, function: str = "rate") -> str:
    return f"sum({function}(container_cpu_usage_seconds_total{{{matchers}}}[$__rate_interval]))"


def _thousands(matchers: str) -> str:
    return f"(round(sum(irate(istio_requests_total{{{matchers}}}[$__rate_interval])), 0.001) / 1000)"


def _bytes(matchers: str) -> str:
    return " + ".join(
        f"sum(irate(istio_{way}_bytes_sum{{{matchers}}}[$__rate_interval]))" for way in ("response", "request")
    )


def _each(matchers: str) -> str:
    memory = f"container_memory_working_set_bytes{{{matchers}}}"
    return f"sum({memory}) / count({memory})"


def _panel(title: str, unit: Unit, description: str, *targets: Target, width: int = 12) -> Panel:
    return Panel(title, "timeseries", targets, unit=unit, width=width, description=description)


PERFORMANCE = Dashboard(
    uid="istio-performance",
    title="Istio performance",
    description="What Istio costs under load: processor time, memory and bytes of its parts.",
    tags=("istio",),
    rows=(
        Row(
            "Processor",
            (
                _panel(
                    "vCPU per 1,000 requests a second",
                    "short",
                    "Processor time of gateway and sidecars for their traffic; empty while there is hardly any.",
                    Target(
                        f"{_cpu(_GATEWAY, 'irate')} / "
                        + _thousands('source_workload="istio-ingressgateway", reporter="source"'),
                        "Ingress gateway",
                    ),
                    Target(f"({_cpu(_PROXIES, 'irate')} / {_thousands('')}) / ({_BUSY})", "Sidecars"),
                ),
                _panel(
                    "vCPU",
                    "short",
                    "Processor cores in use.",
                    Target(_cpu(_GATEWAY), "Ingress gateway"),
                    Target(_cpu(_PROXIES), "Sidecars"),
                ),
            ),
        ),
        Row(
            "Memory and data",
            (
                _panel(
                    "Memory of each proxy",
                    "bytes",
                    "The mean working set of one gateway and of one sidecar.",
                    Target(_each(_GATEWAY), "Ingress gateway"),
                    Target(_each(_PROXIES), "Sidecar"),
                ),
                _panel(
                    "Bytes through proxies",
                    "Bps",
                    "Requests and responses a second, headers included.",
                    Target(_bytes('source_workload="istio-ingressgateway", reporter="source"'), "Ingress gateway"),
                    Target(_bytes('source_workload_namespace!="istio-system", reporter="source"'), "Sidecars, out"),
                    Target(
                        _bytes('destination_workload_namespace!="istio-system", reporter="destination"'),
                        "Sidecars, in",
                    ),
                ),
            ),
        ),
        Row(
            "All proxies together",
            (
                _panel(
                    "Memory of all proxies",
                    "bytes",
                    "The working sets of all proxies' containers, gateways included.",
                    Target(f"sum(container_memory_working_set_bytes{{{_ALL}}})", "Total"),
                    width=8,
                ),
                _panel("vCPU of all proxies", "short", "Processor cores in use.", Target(_cpu(_ALL), "Total"), width=8),
                _panel(
                    "Disk of all proxies",
                    "bytes",
                    "What proxies' containers keep on disk.",
                    Target(f"sum(container_fs_usage_bytes{{{_ALL}}})", "Total"),
                    width=8,
                ),
            ),
        ),
        Row(
            "istiod",
            (
                _panel(
                    "istiod memory",
                    "bytes",
                    "As the process and as Kubernetes counts it.",
                    Target('process_virtual_memory_bytes{app="istiod"}', "Virtual"),
                    Target('process_resident_memory_bytes{app="istiod"}', "Resident"),
                    Target('go_memstats_heap_inuse_bytes{app="istiod"}', "Heap in use"),
                    Target('go_memstats_stack_inuse_bytes{app="istiod"}', "Stack in use"),
                    Target(
                        f"sum by (container) (container_memory_working_set_bytes{{{_ISTIOD}}})",
                        "{{container}} (container)",
                    ),
                ),
                _panel(
                    "istiod vCPU",
                    "short",
                    "Processor cores in use.",
                    Target('irate(process_cpu_seconds_total{app="istiod"}[$__rate_interval])', "Process"),
                    Target(
                        f"sum by (container) (rate(container_cpu_usage_seconds_total{{{_ISTIOD}}}[$__rate_interval]))",
                        "{{container}} (container)",
                    ),
                ),
                _panel(
                    "istiod disk",
                    "bytes",
                    "What istiod's containers keep on disk.",
                    Target(f"container_fs_usage_bytes{{{_ISTIOD}}}", "{{container}}"),
                ),
                _panel(
                    "istiod goroutines and open files",
                    "short",
                    "Both should be flat under a steady load.",
                    Target('go_goroutines{app="istiod"}', "Goroutines"),
                    Target('process_open_fds{app="istiod"}', "Open files"),
                ),
            ),
        ),
        Row(
            "Versions",
            (
                Panel(
                    "Istio components by version",
                    "timeseries",
                    (Target("sum by (component, tag) (istio_build)", "{{component}} ({{tag}})"),),
                    width=24,
                    height=6,
                ),
            ),
        ),
    ),
)
