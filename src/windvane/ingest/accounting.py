"""One vocabulary for what became of every record: received = stored + refused + still waiting."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from windvane.kit.errors import WindvaneError
from windvane.kit.metrics import Metrics

TRACES, LOGS, ACCESS_LOGS, METRICS = "traces", "logs", "access_logs", "metrics"


class Accounting:
    """Counts records by signal; also for the status page (`summary`).

    `transport` is grpc, http, json or import (access logs from files), or the format of spans that are not OTLP:
    zipkin_json, zipkin_proto, zipkin_grpc, zipkin_v1_json, zipkin_v1_thrift, jaeger_grpc, jaeger_thrift, jaeger_udp.
    `reason` is an error's kind (bad_input, overloaded, unavailable, limit, internal), or says what is
    wrong with one record while others of its request are stored: of a span invalid_id or
    invalid_field; of metrics invalid_labels, duplicate_labels, label_limit, series_limit, time_range,
    invalid_histogram, invalid_exemplar, invalid_name, temporality, no_value, out_of_order. A request
    that cannot be read counts as one record.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._received = metrics.counter(
            "windvane_ingest_records_received_total", "Records that arrived", ("signal", "transport")
        )
        self._stored = metrics.counter("windvane_ingest_records_stored_total", "Records stored", ("signal",))
        self._refused = metrics.counter(
            "windvane_ingest_records_refused_total", "Records refused, by why", ("signal", "reason")
        )
        self._totals: Counter[tuple[str, str]] = Counter()

    def received(self, signal: str, transport: str, records: int) -> None:
        """Records arrived and will be answered for."""
        self._received.labels(signal, transport).inc(records)
        self._totals[signal, "received"] += records

    def stored(self, signal: str, records: int) -> None:
        """Records are in the store."""
        self._stored.labels(signal).inc(records)
        self._totals[signal, "stored"] += records

    def refused(self, signal: str, reason: str, records: int) -> None:
        """Records will not be stored, and the sender was told."""
        self._refused.labels(signal, reason).inc(records)
        self._totals[signal, "refused"] += records

    @contextmanager
    def handling(self, signal: str, transport: str, records: int) -> Iterator[None]:
        """Count `records` as received, then as stored, or as refused when an error leaves the block."""
        self.received(signal, transport, records)
        try:
            yield
        except WindvaneError as error:
            self.refused(signal, error.kind, records)
            raise
        except BaseException:
            self.refused(signal, "internal", records)
            raise
        self.stored(signal, records)

    def summary(self) -> dict[str, dict[str, int]]:
        """`{signal: {"received": n, "stored": n, "refused": n}}` since the start."""
        signals = sorted({signal for signal, _ in self._totals})
        return {
            signal: {what: self._totals[signal, what] for what in ("received", "stored", "refused")}
            for signal in signals
        }
