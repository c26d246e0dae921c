"""Golden signals of every service, from Istio's metrics over a window.

Requests are counted once: the destination's report of what arrived, the source's of what did not
(by service, version and code whichever reporter saw more). Quantiles come from merged buckets of
the reporter that saw more requests of that service or version.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from windvane.promql.value import VectorResult
from windvane.topology import latency
from windvane.topology.health import RequestHealth, Status, more_seen
from windvane.topology.identity import known
from windvane.topology.traffic import Ask, Floats, shown_code

_SERVICE = ("destination_service_namespace", "destination_service_name", "destination_service")
_REQUEST = ("request_protocol", "response_code", "grpc_response_status", "connection_security_policy")
_VERSION = "destination_canonical_revision"
_QUANTILES = (0.5, 0.95, 0.99)

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class VersionSignals:
    """One version of a service: requests per second, share of errors (0 to 1), milliseconds."""

    version: str
    rate: float
    error_ratio: float
    p95_ms: float | None


@dataclass(frozen=True, slots=True)
class ServiceSignals:
    """A service's golden signals; `rate` is requests per second, for a TCP service connections opened.

    `mtls` is the share (0 to 1) of received requests that came over mutual TLS, None where no
    destination reports. `errors` are HTTP 5xx, failed gRPC statuses and requests without response.
    """

    name: str
    namespace: str
    host: str
    protocols: tuple[str, ...]
    rate: float
    error_ratio: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    versions: tuple[VersionSignals, ...]
    mtls: float | None
    health: Status


@dataclass(slots=True)
class _Counted:
    """Rates by (reporter, version, protocol, code) and what destinations saw of mutual TLS."""

    host: str = ""
    rates: dict[tuple[str, str, str, str], float] = field(default_factory=dict)
    received: float = 0.0
    mutual: float = 0.0


def service_signals(ask: Ask, time_ms: int, window_s: int) -> list[ServiceSignals]:
    """All services with traffic in the `window_s` seconds up to `time_ms`, by namespace and name."""
    counted = _requests(ask, time_ms, window_s)
    _add_tcp(ask, time_ms, window_s, counted)
    times = _response_times(ask, time_ms, window_s)
    return [_signals(key, counted[key], times) for key in sorted(counted)]


def _requests(ask: Ask, time_ms: int, window_s: int) -> dict[Key, _Counted]:
    by = ", ".join(("reporter", *_SERVICE, _VERSION, *_REQUEST))
    found: dict[Key, _Counted] = {}
    for labels, rate in _rows(ask(f"sum by ({by}) (rate(istio_requests_total[{window_s}s]))", time_ms)):
        reporter = labels.get("reporter", "")
        entry = _entry(found, labels)
        series = (reporter, labels.get(_VERSION, ""), labels.get("request_protocol", ""), shown_code(labels))
        entry.rates[series] = entry.rates.get(series, 0.0) + rate
        if reporter == "destination":
            entry.received += rate
            entry.mutual += rate if labels.get("connection_security_policy") == "mutual_tls" else 0.0
    return found


def _add_tcp(ask: Ask, time_ms: int, window_s: int, found: dict[Key, _Counted]) -> None:
    by = ", ".join(("reporter", *_SERVICE, _VERSION, "connection_security_policy"))
    query = f"sum by ({by}) (rate(istio_tcp_connections_opened_total[{window_s}s]))"
    for labels, rate in _rows(ask(query, time_ms)):
        entry = _entry(found, labels)
        series = (labels.get("reporter", ""), labels.get(_VERSION, ""), "tcp", "-")
        entry.rates[series] = entry.rates.get(series, 0.0) + rate
        if labels.get("reporter") == "destination":
            entry.received += rate
            entry.mutual += rate if labels.get("connection_security_policy") == "mutual_tls" else 0.0


def _rows(result: VectorResult) -> list[tuple[dict[str, str], float]]:
    """Series with traffic for a known service."""
    rows = zip(result.metrics, result.values.tolist(), strict=True)
    return [(labels, rate) for labels, rate in rows if rate > 0 and known(labels.get(_SERVICE[1], ""))]


def _entry(found: dict[Key, _Counted], labels: Mapping[str, str]) -> _Counted:
    entry = found.setdefault((labels.get(_SERVICE[0], ""), labels[_SERVICE[1]]), _Counted())
    entry.host = entry.host or labels.get(_SERVICE[2], "")
    return entry


def _response_times(ask: Ask, time_ms: int, window_s: int) -> dict[tuple[str, str, str], list[float]]:
    """Quantiles by (namespace, service, version); version '' is all of them together."""
    by = ", ".join(("reporter", *_SERVICE[:2], _VERSION, "le"))
    result = ask(f"sum by ({by}) (rate(istio_request_duration_milliseconds_bucket[{window_s}s]))", time_ms)
    place, bounds = latency.bounds_of(result.labels)
    buckets: dict[tuple[str, str, str], dict[str, Floats]] = {}
    for labels, at, rate in zip(result.metrics, place.tolist(), result.values.tolist(), strict=True):
        service = (labels.get(_SERVICE[0], ""), labels.get(_SERVICE[1], ""))
        for version in ("", labels.get(_VERSION, "unknown")):
            reporters = buckets.setdefault((*service, version), {})
            reporters.setdefault(labels.get("reporter", ""), np.zeros(len(bounds)))[at] += rate
    quantiles = {}
    for key, reporters in buckets.items():
        fullest = max(reporters.values(), key=lambda counts: float(counts[-1]))
        quantiles[key] = [float(latency.quantile(q, bounds, fullest[None, :])[0]) for q in _QUANTILES]
    return quantiles


def _signals(key: Key, entry: _Counted, times: Mapping[tuple[str, str, str], list[float]]) -> ServiceSignals:
    versions = sorted({version for _, version, _, _ in entry.rates})
    merged = {version: _merged(entry, version) for version in versions}
    rates: dict[str, dict[str, float]] = {}
    for by_protocol in merged.values():
        for protocol, codes in by_protocol.items():
            for code, rate in codes.items():
                rates.setdefault(protocol, {})[code] = rates.get(protocol, {}).get(code, 0.0) + rate
    total, failed = _totals(rates)
    p50, p95, p99 = (_present(value) for value in times.get((*key, ""), [math.nan] * 3))
    return ServiceSignals(
        name=key[1],
        namespace=key[0],
        host=entry.host,
        protocols=tuple(sorted(rates)),
        rate=total,
        error_ratio=failed / total if total else 0.0,
        p50_ms=p50,
        p95_ms=p95,
        p99_ms=p99,
        versions=tuple(
            _version(version, merged[version], times.get((*key, version))) for version in versions if known(version)
        ),
        mtls=entry.mutual / entry.received if entry.received else None,
        health=RequestHealth(inbound={name: codes for name, codes in rates.items() if name != "tcp"}).status(),
    )


def _merged(entry: _Counted, version: str) -> dict[str, dict[str, float]]:
    views: dict[str, dict[str, dict[str, float]]] = {"source": {}, "destination": {}}
    for (reporter, own, protocol, code), rate in entry.rates.items():
        if own == version and reporter in views:
            views[reporter].setdefault(protocol, {})[code] = rate
    return more_seen(views["source"], views["destination"])


def _version(version: str, rates: Mapping[str, Mapping[str, float]], times: list[float] | None) -> VersionSignals:
    total, failed = _totals(rates)
    return VersionSignals(version, total, failed / total if total else 0.0, _present(times[1]) if times else None)


def _totals(rates: Mapping[str, Mapping[str, float]]) -> tuple[float, float]:
    """All requests, and the failed ones."""
    total = sum(rate for codes in rates.values() for rate in codes.values())
    failed = sum(
        rate
        for protocol, codes in rates.items()
        for code, rate in codes.items()
        if protocol != "tcp" and _failed(protocol, code)
    )
    return total, failed


def _failed(protocol: str, code: str) -> bool:
    if code == "-":
        return True
    return code != "0" if protocol == "grpc" and len(code) < 3 else code.startswith("5")


def _present(value: float) -> float | None:
    return None if math.isnan(value) else value
