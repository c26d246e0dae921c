"""The program's own metrics, served at `/metrics`.

A thin layer over prometheus-client: one registry per program (no process-wide global), so that
tests and several servers in one process never share counters.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector


class Metrics:
    """A registry and the only way to make instruments; names start with `windvane_`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._children: list[tuple[str, str, Metrics]] = []

    def child(self, label: str, value: str) -> Metrics:
        """Instruments of a part that exists several times: shown here with one more label."""
        child = Metrics()
        self._children.append((label, value, child))
        return child

    def counter(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Counter:
        return Counter(name, help_, labels, registry=self.registry)

    def gauge(self, name: str, help_: str, labels: tuple[str, ...] = ()) -> Gauge:
        return Gauge(name, help_, labels, registry=self.registry)

    def histogram(
        self,
        name: str,
        help_: str,
        labels: tuple[str, ...] = (),
        buckets: tuple[float, ...] = Histogram.DEFAULT_BUCKETS,
    ) -> Histogram:
        return Histogram(name, help_, labels, registry=self.registry, buckets=buckets)

    def exposition(self) -> bytes:
        """Everything measured so far, in Prometheus's text format."""
        if not self._children:
            return generate_latest(self.registry)
        joined = CollectorRegistry()
        joined.register(_Joined(self))
        return generate_latest(joined)

    def families(self) -> Iterable[Metric]:
        """All families, those of the children joined in by name."""
        found = {family.name: family for family in self.registry.collect()}
        for label, value, child in self._children:
            for family in child.families():
                for sample in family.samples:
                    sample.labels[label] = value
                if (known := found.setdefault(family.name, family)) is not family:
                    known.samples.extend(family.samples)
        return found.values()


class _Joined(Collector):
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def collect(self) -> Iterable[Metric]:
        return self._metrics.families()
