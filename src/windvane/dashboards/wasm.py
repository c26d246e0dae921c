"""Wasm extensions of proxies: virtual machines, and modules that are fetched for them."""

from __future__ import annotations

from windvane.dashboards.model import Dashboard, Panel, Row, Target


def _panel(title: str, description: str, width: int, **metrics: str) -> Panel:
    """Means over proxies; `metrics` are legends' words and what follows `envoy_wasm_`."""
    targets = (Target(f"avg(envoy_wasm_{metric})", legend.replace("_", " ")) for legend, metric in metrics.items())
    return Panel(title, "timeseries", tuple(targets), width=width, height=7, description=description)


WASM = Dashboard(
    uid="istio-wasm",
    title="Istio Wasm extensions",
    description="Extensions in proxies: virtual machines, the cache of modules, and modules fetched.",
    tags=("istio",),
    rows=(
        Row(
            "Virtual machines",
            (
                _panel(
                    "Active",
                    "Virtual machines of a proxy at present, built in and V8.",
                    12,
                    Built_in="vm_null_active",
                    V8="vm_v8_active",
                ),
                _panel(
                    "Created",
                    "Virtual machines that a proxy has made since it started.",
                    12,
                    Built_in="vm_null_created",
                    V8="vm_v8_created",
                ),
            ),
        ),
        Row(
            "Modules from elsewhere",
            (
                _panel("Modules in the cache", "Modules a proxy holds.", 8, Modules="remote_load_cache_entries"),
                _panel(
                    "Looked up in the cache",
                    "A negative hit finds that a fetch has failed before.",
                    8,
                    Hits="remote_load_cache_hits",
                    Misses="remote_load_cache_misses",
                    Negative_hits="remote_load_cache_negative_hits",
                ),
                _panel(
                    "Fetched",
                    "Fetches that succeeded and that failed.",
                    8,
                    Succeeded="remote_load_fetch_successes",
                    Failed="remote_load_fetch_failures",
                ),
            ),
        ),
    ),
)
