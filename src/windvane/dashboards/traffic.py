"""Rows that the service and the workload dashboards share: one side of traffic, seen seven ways."""

from __future__ import annotations

from collections.abc import Sequence

from windvane.dashboards.model import Panel, Row, Target, Threshold, Unit
from windvane.dashboards.promql import QUANTILES, by_tls, per_second, quantile, quantiles_by_tls, success

DURATION = "istio_request_duration_milliseconds"
SUCCESS_TONES = (Threshold("bad"), Threshold("warn", 0.95), Threshold("ok", 0.99))


def traffic_row(title: str, matchers: str, by: Sequence[str]) -> Row:
    """Requests, success, durations, sizes and TCP bytes of the traffic that `matchers` leave.

    `by` are the labels that tell the series apart.
    """
    who = ".".join("{{" + label + "}}" for label in by)

    def rate(metric: str, by_code: bool = False) -> tuple[Target, Target]:
        names = [*by, "response_code"] if by_code else list(by)
        legend = f"{who}: {{{{response_code}}}}" if by_code else who
        return by_tls(lambda tls: per_second(metric, f"{tls}, {matchers}", names), legend)

    def panel(name: str, targets: tuple[Target, ...], unit: Unit, width: int) -> Panel:
        return Panel(name, "timeseries", targets, unit=unit, width=width, height=7)

    return Row(
        title,
        (
            panel("Requests by response code", rate("istio_requests_total", by_code=True), "reqps", 12),
            panel("Success rate", by_tls(lambda tls: success(f"{tls}, {matchers}", by), who), "percentunit", 12),
            panel("Request duration", quantiles_by_tls(DURATION, matchers, by, who), "ms", 8),
            panel("Request size", quantiles_by_tls("istio_request_bytes", matchers, by, who), "bytes", 8),
            panel("Response size", quantiles_by_tls("istio_response_bytes", matchers, by, who), "bytes", 8),
            panel("TCP received", rate("istio_tcp_received_bytes_total"), "Bps", 12),
            panel("TCP sent", rate("istio_tcp_sent_bytes_total"), "Bps", 12),
        ),
    )


def glance(side: str, matchers: str, tcp_metric: str, tcp_title: str) -> tuple[Panel, ...]:
    """Rate, success, durations and TCP throughput of one side, as four small panels."""
    return (
        Panel(
            f"{side} request rate",
            "stat",
            (Target(per_second("istio_requests_total", matchers)),),
            unit="reqps",
            width=6,
            height=4,
        ),
        Panel(
            f"{side} success rate",
            "stat",
            (Target(success(matchers)),),
            unit="percentunit",
            width=6,
            height=4,
            thresholds=SUCCESS_TONES,
        ),
        Panel(
            f"{side} request duration",
            "timeseries",
            tuple(Target(quantile(q, DURATION, matchers), name) for q, name in QUANTILES if name != "P95"),
            unit="ms",
            width=6,
            height=4,
        ),
        Panel(tcp_title, "stat", (Target(per_second(tcp_metric, matchers)),), unit="Bps", width=6, height=4),
    )
