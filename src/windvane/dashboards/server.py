"""Windvane itself, from what it tells at `/metrics`: what came in, what was stored, what was refused and why."""

from __future__ import annotations

from windvane.dashboards.model import Dashboard, Kind, Panel, Row, Target, Threshold, Unit

_RATE = "[$__rate_interval]"


def _rate(metric: str, by: str, matchers: str = "") -> str:
    return f"sum by ({by}) (rate({metric}{{{matchers}}}{_RATE}))"


def _quantiles(histogram: str) -> tuple[Target, ...]:
    return tuple(
        Target(f"histogram_quantile({q:.2f}, {_rate(f'{histogram}_bucket', 'le')})", name)
        for q, name in ((0.5, "P50"), (0.99, "P99"))
    )


def _panel(
    title: str,
    unit: Unit,
    description: str,
    *targets: Target,
    kind: Kind = "timeseries",
    width: int = 12,
    height: int = 7,
    thresholds: tuple[Threshold, ...] = (),
) -> Panel:
    return Panel(title, kind, targets, unit, width, height, description, thresholds)


SERVER = Dashboard(
    uid="windvane-server",
    title="Windvane server",
    description="The server itself: records received, stored and refused, commits, Istio's metrics, proxies.",
    tags=("windvane",),
    seconds=3600,
    rows=(
        Row(
            "At a glance",
            (
                _panel(
                    "Records received",
                    "cps",
                    "Records of all signals that arrived each second.",
                    Target(f"sum(rate(windvane_ingest_records_received_total{_RATE}))"),
                    kind="stat",
                    width=6,
                    height=4,
                ),
                _panel(
                    "Records stored",
                    "percentunit",
                    "The share of what arrived that is in the store.",
                    Target(
                        f"sum(rate(windvane_ingest_records_stored_total{_RATE}))"
                        f" / sum(rate(windvane_ingest_records_received_total{_RATE}))"
                    ),
                    kind="gauge",
                    width=6,
                    height=4,
                    thresholds=(Threshold("bad"), Threshold("warn", 0.99), Threshold("ok", 0.999)),
                ),
                _panel(
                    "Records refused",
                    "cps",
                    "Refused each second; the panel below says why.",
                    Target(f"sum(rate(windvane_ingest_records_refused_total{_RATE})) or vector(0)"),
                    kind="stat",
                    width=6,
                    height=4,
                    thresholds=(Threshold("ok"), Threshold("bad", 0.001)),
                ),
                _panel(
                    "Waiting to be stored",
                    "bytes",
                    "Payload waiting for its commit, or in it. Past a limit requests are refused.",
                    Target("sum(windvane_commit_held_bytes)"),
                    kind="stat",
                    width=6,
                    height=4,
                ),
            ),
        ),
        Row(
            "Ingest",
            (
                _panel(
                    "Received by signal and transport",
                    "cps",
                    "",
                    Target(
                        _rate("windvane_ingest_records_received_total", "signal, transport"), "{{signal}} {{transport}}"
                    ),
                ),
                _panel(
                    "Refused by reason",
                    "cps",
                    "A refused record was answered with an error, so that its sender knows.",
                    Target(_rate("windvane_ingest_records_refused_total", "signal, reason"), "{{signal}}: {{reason}}"),
                ),
            ),
        ),
        Row(
            "Commits",
            (
                _panel(
                    "Rows committed",
                    "cps",
                    "",
                    Target(_rate("windvane_commit_rows_total", "kind"), "{{kind}}"),
                    width=8,
                ),
                _panel(
                    "Commit duration",
                    "s",
                    "One commit is one INSERT; senders wait for it.",
                    *_quantiles("windvane_commit_seconds"),
                    width=8,
                ),
                _panel(
                    "Commit durations",
                    "s",
                    "How commits spread over durations.",
                    Target(_rate("windvane_commit_seconds_bucket", "le"), "{{le}}"),
                    kind="heatmap",
                    width=8,
                ),
                _panel(
                    "Groups halved",
                    "cps",
                    "A group that the store could not decode is halved until the bad request is found.",
                    Target(_rate("windvane_commit_bisections_total", "kind"), "{{kind}}"),
                ),
                _panel(
                    "Rows unlike records",
                    "cps",
                    "Rows beyond or short of the records sent; anything but zero is a fault.",
                    Target(_rate("windvane_commit_rows_unlike_records_total", "kind"), "{{kind}}"),
                ),
            ),
        ),
        Row(
            "Istio's metrics",
            (
                _panel(
                    "Live series",
                    "short",
                    "Series of istio_* metrics that are being written.",
                    Target("windvane_istio_series", "Series"),
                ),
                _panel(
                    "Tick duration",
                    "s",
                    "Making the metrics from access logs, each interval.",
                    *_quantiles("windvane_istio_tick_seconds"),
                ),
            ),
        ),
        Row(
            "Control plane",
            (
                _panel(
                    "Connected proxies",
                    "short",
                    "",
                    Target("windvane_xds_proxies", "Proxies"),
                    width=8,
                ),
                _panel(
                    "Responses and rejections",
                    "ops",
                    "",
                    Target(_rate("windvane_xds_responses_total", "type"), "{{type}}"),
                    Target(_rate("windvane_xds_rejections_total", "type"), "{{type}} rejected"),
                    width=8,
                ),
                _panel(
                    "Time to all proxies",
                    "s",
                    "From an edit until a proxy has acknowledged all of it.",
                    *_quantiles("windvane_xds_convergence_seconds"),
                    width=8,
                ),
            ),
        ),
    ),
)
