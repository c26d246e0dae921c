"""istiod: versions, resources, configuration pushed to proxies, and the webhooks."""

from __future__ import annotations

from windvane.dashboards.model import Dashboard, Kind, Panel, Row, Target, Unit

_CONTAINER = 'container="discovery", pod=~"istiod-.*"'
_APP = 'app="istiod"'


def _rate(metric: str, matchers: str = "", by: str = "", function: str = "rate") -> str:
    inner = f"{function}({metric}{{{matchers}}}[$__rate_interval])"
    return f"sum by ({by}) ({inner})" if by else f"sum({inner})"


def _now(metric: str, matchers: str, by: str) -> str:
    return f"sum by ({by}) ({metric}{{{matchers}}})"


def _panel(
    title: str, unit: Unit, description: str, *targets: Target, kind: Kind = "timeseries", width: int = 12
) -> Panel:
    return Panel(title, kind, targets, unit=unit, width=width, description=description)


_RESOURCES = Row(
    "Resources",
    (
        _panel(
            "Memory",
            "bytes",
            "Memory of each istiod: its container's working set, Go's stack and heap.",
            Target(_now("container_memory_working_set_bytes", _CONTAINER, "pod"), "Container {{pod}}"),
            Target(_now("go_memstats_stack_inuse_bytes", _APP, "pod"), "Stack {{pod}}"),
            Target(_now("go_memstats_heap_inuse_bytes", _APP, "pod"), "Heap in use {{pod}}"),
            Target(_now("go_memstats_heap_alloc_bytes", _APP, "pod"), "Heap allocated {{pod}}"),
        ),
        _panel(
            "Allocations",
            "Bps",
            "How fast memory is allocated.",
            Target(_rate("go_memstats_alloc_bytes_total", _APP, "pod"), "Bytes {{pod}}"),
            Target(_rate("go_memstats_mallocs_total", _APP, "pod"), "Objects {{pod}}"),
        ),
        _panel(
            "Processor",
            "short",
            "Processor cores in use.",
            Target(_rate("container_cpu_usage_seconds_total", _CONTAINER, "pod", "irate"), "Container {{pod}}"),
        ),
        _panel(
            "Goroutines",
            "short",
            "A number that only rises is a leak.",
            Target(_now("go_goroutines", _APP, "pod"), "Goroutines {{pod}}"),
        ),
    ),
)

_PUSHES = Row(
    "Configuration pushes",
    (
        _panel(
            "xDS pushes",
            "ops",
            "Pushes a second by type; one for each proxy that is sent to.",
            Target(_rate("pilot_xds_pushes", "", "type", "irate"), "{{type}}"),
        ),
        _panel(
            "Events",
            "ops",
            "What makes istiod push: changes of services, of configuration, and the pushes they cause.",
            Target(_rate("pilot_k8s_reg_events", "", "type, event"), "{{event}} {{type}}"),
            Target(_rate("pilot_k8s_cfg_events", "", "type, event"), "{{event}} {{type}}"),
            Target(_rate("pilot_push_triggers", "", "type"), "Push {{type}}"),
        ),
        _panel(
            "Connections",
            "short",
            "Connected proxies, as they and as istiod count them.",
            Target('sum(envoy_cluster_upstream_cx_active{cluster_name="xds-grpc"})', "Counted by proxies"),
            Target("sum(pilot_xds)", "Counted by istiod"),
        ),
        _panel(
            "Push errors",
            "short",
            "Totals, not rates: a type that never failed has no series. Any increase deserves a look at the log.",
            Target("sum by (type) (pilot_total_xds_rejects)", "Rejected {{type}}"),
            Target("pilot_total_xds_internal_errors", "Internal errors"),
        ),
        _panel(
            "Push time",
            "s",
            "How long pushes take.",
            Target(_rate("pilot_xds_push_time_bucket", "", "le"), "{{le}}"),
            kind="heatmap",
        ),
        _panel(
            "Push size",
            "bytes",
            "How large pushed configuration is.",
            Target(_rate("pilot_xds_config_size_bytes_bucket", "", "le"), "{{le}}"),
            kind="heatmap",
        ),
    ),
)

_WEBHOOKS = Row(
    "Webhooks",
    (
        _panel(
            "Validation",
            "ops",
            "Configuration checked at admission.",
            Target(_rate("galley_validation_passed"), "Passed"),
            Target(_rate("galley_validation_failed"), "Failed"),
        ),
        _panel(
            "Injection",
            "ops",
            "Sidecars injected at admission.",
            Target(_rate("sidecar_injection_success_total"), "Injected"),
            Target(_rate("sidecar_injection_failure_total"), "Failed"),
        ),
    ),
)

CONTROL_PLANE = Dashboard(
    uid="istio-control-plane",
    title="Istio control plane",
    description="istiod itself: what it uses, what it pushes to proxies, and what its webhooks answer.",
    tags=("istio",),
    rows=(
        Row(
            "Versions",
            (
                _panel(
                    "istiod by version",
                    "none",
                    "",
                    Target('sum by (tag) (istio_build{component="pilot"})', "{{tag}}"),
                    width=24,
                ),
            ),
        ),
        _RESOURCES,
        _PUSHES,
        _WEBHOOKS,
    ),
)
