"""Metrics of spans: calls and latencies of operations, and the service graph, as Tempo and Jaeger name them.

Every few seconds the spans of the commits since the last tick are counted into running totals, which carry the
number of the last commit counted (`windvane.ingest.running_totals`): restarts, late spans and copies change
nothing. A sampled span counts as often as its weight says. A span that comes late counts when it comes.

The same pass keeps the table `service_links`, from which dependencies of long windows are answered; it is written
before the totals and says itself how far it counted, so that a crash between the two counts nothing twice.
"""

from __future__ import annotations

import enum
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from windvane.ingest import span_sql as sql
from windvane.ingest.families import OVERFLOW, Family, Layout, histogram
from windvane.ingest.running_totals import PATIENT, RunningTotals
from windvane.ingest.ticks import repeat
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.store.series import NAME

WATERMARK = "windvane_span_metrics_watermark"
PEERS_WATERMARK = "windvane_span_metrics_peers_watermark"

_PIECE = 1_000_000  # spans counted at once, which take about 200 bytes each


class SpanNames(enum.Enum):
    """How series of operations are named, besides the service graph: as Tempo's, as Jaeger's Monitor tab reads them."""

    TEMPO = "tempo"
    JAEGER = "jaeger"
    BOTH = "both"

    @property
    def tempo(self) -> bool:
        return self is not SpanNames.JAEGER

    @property
    def jaeger(self) -> bool:
        return self is not SpanNames.TEMPO


@dataclass(frozen=True, slots=True)
class SpanMetricsSettings:
    """`interval` is seconds between ticks, as Tempo collects; `idle` seconds until an unchanged series ends.

    `wait` is how many seconds a client's span waits for its server's before what it asked counts as a node
    that sends no spans. `series` bounds the series of each family: what comes beyond it is counted in one label
    set, `otel_metric_overflow="true"`.
    """

    names: SpanNames = SpanNames.TEMPO
    interval: float = 15.0
    wait: float = 10.0
    idle: float = 3600.0
    series: int = 100_000


@dataclass(frozen=True, slots=True)
class SpanTick:
    """What one tick did: commits counted up to, spans looked at, samples written."""

    upto: int
    spans: int
    samples: int


# Seconds. Tempo's defaults for operations and for the graph (modules/generator/processor/{spanmetrics,servicegraphs}),
# and those of the Collector's spanmetrics connector, whose series Jaeger reads.
LATENCIES = tuple(0.002 * 2**n for n in range(14))
EDGE_LATENCIES = tuple(0.1 * 2**n for n in range(8))
DURATIONS = (0.002, 0.004, 0.006, 0.008, 0.01, 0.05, 0.1, 0.2, 0.4, 0.8, 1.0, 1.4, 2.0, 5.0, 10.0, 15.0)

_OPERATION = ("span_kind", "span_name", "status_code")
_EDGE = ("client", "connection_type", "server")


def _bounds(seconds: Sequence[float], unit: float = 1.0) -> list[str]:
    return [f"{bound * unit:g}" for bound in seconds]


class _Operations:
    """Calls and latencies of operations by one way of naming them."""

    def __init__(self, names: tuple[str, str], service: str, bounds: Sequence[float], unit: float, most: int) -> None:
        calls, latency = names
        columns = [(calls, "", 1.0), *histogram(latency, _bounds(bounds, unit))]
        labels = (OVERFLOW, service, *_OPERATION)
        self.family = Family(Layout.of(labels, columns, whole=False, most=max(1, most // len(columns))))
        self._service, self._unit, self._bounds = service, unit, bounds

    def count(self, engine: Engine, now_ms: int) -> None:
        """Add what is fresh in `span_news`."""
        found = engine.query(sql.spans(self._bounds), limits=PATIENT)
        labels = [
            {
                OVERFLOW: "",
                self._service: service,
                "span_name": name,
                "span_kind": f"SPAN_KIND_{kind.upper()}",
                "status_code": f"STATUS_CODE_{(status or 'Unset').upper()}",
            }
            for service, name, kind, status in _texts(found, "service", "name", "kind", "status")
        ]
        seconds = found["seconds"].to_numpy(np.float64) * self._unit
        buckets = [found[f"b{place}"] for place in range(len(self._bounds))]
        _add(self.family, labels, [found["calls"], *buckets, found["calls"], seconds, found["calls"]], now_ms)


class _Graph:
    """Requests of services to each other."""

    def __init__(self, most: int) -> None:
        bounds = _bounds(EDGE_LATENCIES)
        columns = [
            ("traces_service_graph_request_total", "", 1.0),
            ("traces_service_graph_request_failed_total", "", 1.0),
            *histogram("traces_service_graph_request_server_seconds", bounds),
            *histogram("traces_service_graph_request_client_seconds", bounds),
        ]
        layout = Layout.of((*_EDGE, OVERFLOW), columns, whole=False, most=max(1, most // len(columns)))
        self.family = Family(layout)

    def count(self, engine: Engine, now_ms: int) -> None:
        """Add what `span_calls` holds."""
        found = engine.query(sql.edges(EDGE_LATENCIES), limits=PATIENT)
        labels = [
            {"client": client, "server": server, "connection_type": connection, OVERFLOW: ""}
            for client, server, connection in _texts(found, "client", "server", "connection")
        ]
        requests = found["requests"]
        columns = [requests, found["failed"]]
        for letter, seconds in (("s", "server_seconds"), ("c", "client_seconds")):
            buckets = [found[f"{letter}{place}"] for place in range(len(EDGE_LATENCIES))]
            columns += [*buckets, requests, found[seconds], requests]
        _add(self.family, labels, columns, now_ms)


def _texts(frame: pd.DataFrame, *names: str) -> list[tuple[str, ...]]:
    return list(zip(*(frame[name].tolist() for name in names), strict=True))


def _add(family: Family, labels: list[dict[str, str]], columns: list[Any], now_ms: int) -> None:
    if labels:
        rows = np.array([family.row(one) for one in labels], np.int64)
        family.grow(now_ms)
        amounts: NDArray[np.float64] = np.column_stack([np.asarray(column, np.float64) for column in columns])
        family.add(rows, amounts, now_ms)


class _Piece(NamedTuple):
    """Commits counted at once: up to which, how many spans they have, how many of these say whom they ask."""

    upto: int
    spans: int = 0
    peers: int = 0


class _Mark(NamedTuple):
    """When commits up to a number had been counted, and how many of their spans say whom they ask."""

    time_ms: int
    upto: int
    peers: int


class SpanMetrics:
    """Keeps the `traces_*` series. `tick` blocks; it may be called from any thread, one at a time runs.

    `settled` gives the number up to which every commit has ended (`GroupCommit.settled`).
    """

    def __init__(
        self,
        engine: Engine,
        settled: Callable[[], int],
        *,
        settings: SpanMetricsSettings | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        self._engine = engine
        self._settled = settled
        self._settings = settings or SpanMetricsSettings()
        self._clock = clock or SystemClock()
        self._lock = threading.Lock()
        measures = metrics or Metrics()
        self._seconds = measures.histogram("windvane_span_metrics_tick_seconds", "Time of one tick of span metrics")
        self._failures = measures.counter(
            "windvane_span_metrics_tick_failures_total", "Ticks of span metrics that failed and are repeated"
        )
        self._live = measures.gauge("windvane_span_metrics_series", "Live series of span metrics")
        self._loaded = False
        self._forget()

    def _forget(self) -> None:
        settings = self._settings
        self._graph = _Graph(settings.series)
        self._operations = []
        if settings.names.tempo:
            names = "traces_spanmetrics_calls_total", "traces_spanmetrics_latency"
            self._operations.append(_Operations(names, "service", LATENCIES, 1.0, settings.series))
        if settings.names.jaeger:
            names = "traces_span_metrics_calls_total", "traces_span_metrics_duration_milliseconds"
            self._operations.append(_Operations(names, "service_name", DURATIONS, 1e3, settings.series))
        families = [self._graph.family, *(one.family for one in self._operations)]
        self._totals = RunningTotals(self._engine, WATERMARK, families, interval=settings.interval, idle=settings.idle)
        self._linked = 0  # commits up to here are in `service_links`
        self._peers = 0  # commits up to here have been asked for clients whose server sends no spans
        self._marks: deque[_Mark] = deque()
        self._stored = 0  # commits up to here are counted for good: totals and watermarks are stored

    def counted(self) -> str:
        """SQL: all that is to be counted of the span has been, and stored; it may be taken out."""
        return f"Commit <= {self._stored}"

    async def run(self) -> None:
        """Tick until cancelled. The owner calls `tick` once more after the last commit."""
        await repeat(self.tick, self._settings.interval, self._clock, "span metrics")

    def tick(self) -> SpanTick:
        """Count all spans committed so far and write every live series.

        When it raises, nothing was counted: the next tick starts from what the store has.
        """
        with self._lock, self._seconds.time():
            try:
                return self._tick()
            except BaseException:
                self._loaded = False
                self._failures.inc()
                raise

    def _tick(self) -> SpanTick:
        now_ms = self._clock.now_ns() // 1_000_000
        if not self._loaded:
            self._recover(now_ms)
        settled, spans, samples = self._settled(), 0, 0
        while True:
            piece = self._piece(settled)
            samples += self._count(piece, now_ms)
            spans += piece.spans
            if piece.upto >= settled:
                break
        self._live.set(self._totals.live)
        return SpanTick(self._totals.watermark, spans, samples)

    def _recover(self, now_ms: int) -> None:
        self._forget()
        self._totals.recover(now_ms)
        self._peers = int(self._totals.beside(PEERS_WATERMARK) or 0)
        self._marks.append(_Mark(self._totals.time_ms, self._totals.watermark, 1))  # how many, nobody remembers
        self._linked = int(self._engine.query(sql.LINKED)["number"][0])
        self._loaded = True

    def _piece(self, settled: int) -> _Piece:
        """What to count next."""
        after = self._totals.watermark
        if self._linked > after:  # the links of these are stored, their totals are not
            settled = self._linked
        commits = self._engine.query(sql.COMMITS, {"after": after, "upto": settled}, limits=PATIENT)
        if commits.empty:
            return _Piece(max(settled, after))
        totals = commits["spans"].to_numpy(np.int64).cumsum()
        peers = commits["peers"].to_numpy(np.int64).cumsum()
        if totals[-1] <= _PIECE or settled == self._linked:
            return _Piece(settled, int(totals[-1]), int(peers[-1]))
        last = max(0, int(np.searchsorted(totals, _PIECE, side="right")) - 1)
        return _Piece(int(commits["number"][last]), int(totals[last]), int(peers[last]))

    def _count(self, piece: _Piece, now_ms: int) -> int:
        totals, upto = self._totals, piece.upto
        known = [len(family) for family in totals.families]
        at_ms = totals.next_ms(now_ms)
        if piece.spans:
            self._count_spans({"after": totals.watermark, "upto": upto, "now": upto}, at_ms)
        self._count_peers(upto, at_ms)
        own = [({NAME: PEERS_WATERMARK}, float(self._peers))] if upto or self._peers else []
        samples = totals.write(upto, now_ms, known, own)
        self._stored = self._peers
        self._marks.append(_Mark(totals.time_ms, totals.watermark, piece.peers))
        return samples

    def _count_spans(self, span: dict[str, int], now_ms: int) -> None:
        self._empty()
        self._engine.command(sql.fill(distinct=False), span)
        if self._engine.query(sql.COPIES)["spans"][0]:
            self._empty()
            self._engine.command(sql.fill(distinct=True), span)
        for operations in self._operations:
            operations.count(self._engine, now_ms)
        self._engine.command(sql.calls())
        self._graph.count(self._engine, now_ms)
        if span["upto"] > self._linked:
            self._engine.command(sql.link(), {"upto": span["upto"]})
            self._linked = span["upto"]
        self._empty()

    def _empty(self) -> None:
        for statement in sql.EMPTY:
            self._engine.command(statement)

    def _count_peers(self, now: int, now_ms: int) -> None:
        """Clients that have waited long enough for their server's span, among the commits counted up to `now`."""
        due = now_ms - int(self._settings.wait * 1_000)
        upto, peers = self._peers, 0
        while self._marks and self._marks[0].time_ms <= due:
            mark = self._marks.popleft()
            upto, peers = max(upto, mark.upto), peers + mark.peers
        if upto > self._peers and peers:
            self._engine.command(sql.fill_peers(), {"after": self._peers, "upto": upto, "now": now})
            self._engine.command(sql.virtual_calls())
            self._graph.count(self._engine, now_ms)
            self._empty()
        self._peers = upto
