"""Series of Istio's metrics for tests, and a stand-in for PromQL that only sums rates by labels."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from windvane.promql.labels import Labels, Pool
from windvane.promql.value import VectorResult

_QUERY = re.compile(r"sum by \(([\w, ]+)\) \(rate\((\w+)\[(\d+)s\]\)\)")


@dataclass(frozen=True)
class Peer:
    """A workload as Istio's labels name it."""

    workload: str
    namespace: str = "shop"
    app: str = ""
    version: str = "v1"
    cluster: str = "Kubernetes"

    def labels(self, side: str) -> dict[str, str]:
        return {
            f"{side}_workload": self.workload,
            f"{side}_workload_namespace": self.namespace,
            f"{side}_canonical_service": self.app or self.workload.rsplit("-", 1)[0],
            f"{side}_canonical_revision": self.version,
            f"{side}_cluster": self.cluster,
            f"{side}_principal": f"spiffe://cluster.local/ns/{self.namespace}/sa/{self.workload}",
        }


NOBODY = Peer("unknown", "unknown", "unknown", "unknown", "unknown")


def series(
    reporter: str,
    source: Peer,
    destination: Peer,
    service: str = "",
    *,
    namespace: str = "",
    host: str = "",
    **labels: str,
) -> dict[str, str]:
    """The labels of one series of an HTTP request metric; further labels replace the defaults."""
    name = service or destination.workload.rsplit("-", 1)[0]
    space = namespace or destination.namespace
    secure = "mutual_tls" if reporter == "destination" and source is not NOBODY else "unknown"
    return {
        "reporter": reporter,
        **source.labels("source"),
        **destination.labels("destination"),
        "destination_service": host or f"{name}.{space}.svc.cluster.local",
        "destination_service_name": name,
        "destination_service_namespace": space,
        "request_protocol": "http",
        "response_code": "200",
        "grpc_response_status": "",
        "response_flags": "-",
        "connection_security_policy": secure,
        **labels,
    }


def without_request(labels: Mapping[str, str]) -> dict[str, str]:
    """The same for a TCP metric."""
    gone = ("request_protocol", "response_code", "grpc_response_status")
    return {**{name: value for name, value in labels.items() if name not in gone}, "request_protocol": "tcp"}


@dataclass
class Rates:
    """Series with a rate each; calling it answers `sum by (…) (rate(metric[…]))`."""

    rows: list[tuple[str, dict[str, str], float]] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def add(self, metric: str, labels: Mapping[str, str], rate: float) -> None:
        self.rows.append((metric, dict(labels), rate))

    def both(self, source: Peer, destination: Peer, rate: float, **labels: str) -> None:
        """Requests that both sides' proxies saw."""
        for reporter in ("source", "destination"):
            self.add("istio_requests_total", series(reporter, source, destination, **labels), rate)

    def __call__(self, query: str, time_ms: int) -> VectorResult:
        found = _QUERY.fullmatch(query)
        assert found is not None, query
        self.asked.append(query)
        names = found[1].split(", ")
        sums: dict[tuple[str, ...], float] = {}
        for metric, labels, rate in self.rows:
            if metric == found[2]:
                key = tuple(labels.get(name, "") for name in names)
                sums[key] = sums.get(key, 0.0) + rate
        sets = [{name: value for name, value in zip(names, key, strict=True) if value} for key in sums]
        return VectorResult(time_ms, Labels.of(Pool(), sets), np.array(list(sums.values())))


def metrics_asked(rates: Rates) -> Iterable[str]:
    """The metrics asked for, in order."""
    return [match[2] for query in rates.asked if (match := _QUERY.fullmatch(query))]
