"""Paths of calls through one service, from the roots of traces to their last services.

A path has an entry for every service that a request enters, with the operation by which it does:
spans inside one service (its own steps, its client spans) are no entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from windvane.store.api import Engine
from windvane.tracing.search import TraceQuery, find_trace_ids

MAX_TRACES = 1_000
_EXEMPLARS = 5
_AROUND_NS = 3_600 * 10**9  # spans of a chosen trace are looked for so long before and after the window
_DEPTH = 500  # deeper nesting is no path of services but a defect of the sender, possibly a circle

Entry = tuple[str, str]
"""A service and the operation by which it was entered."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path that at least one trace took; `exemplars` are ids of such traces, newest first.

    `traces` took it, in `failed` of them one of its entries failed; `latency_ns` are the 50, 95 and 99% quantiles
    of how long its first entry took, over traces.
    """

    entries: tuple[Entry, ...]
    exemplars: tuple[str, ...]
    traces: int = 0
    failed: int = 0
    latency_ns: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class _Span:
    span_id: str
    parent_id: str
    service: str
    name: str
    failed: bool
    duration_ns: int


@dataclass(slots=True)
class _Taken:
    """The traces that took a path, whether it failed in each, and how long its first entry took."""

    traces: list[str] = field(default_factory=list)
    failed: list[bool] = field(default_factory=list)
    durations_ns: list[int] = field(default_factory=list)


def service_paths(engine: Engine, query: TraceQuery) -> list[Path]:
    """Paths through the service (and operation) asked for, in the newest traces that match, most taken first.

    Without a service, every path of these traces. No more than `query.limit` traces are read.
    """
    return paths_of(engine, query, find_trace_ids(engine, query))


def paths_of(engine: Engine, query: TraceQuery, trace_ids: Sequence[str]) -> list[Path]:
    """As `service_paths`, in these traces, which the query found."""
    taken: dict[tuple[Entry, ...], _Taken] = {}
    for trace_id, spans in _read(engine, query, trace_ids).items():
        chains: dict[tuple[Entry, ...], list[list[_Span]]] = {}
        for chain in _chains(spans):
            chains.setdefault(tuple((span.service, span.name) for span in chain), []).append(chain)
        for entries, ways in chains.items():
            if _through(entries, query.service, query.operation):
                own = taken.setdefault(entries, _Taken())
                own.traces.append(trace_id)
                own.failed.append(any(span.failed for way in ways for span in way))
                own.durations_ns.append(max(way[0].duration_ns for way in ways))
    ranked = sorted(taken.items(), key=lambda item: (-len(item[1].traces), item[0]))
    return [_path(entries, own) for entries, own in ranked]


def _path(entries: tuple[Entry, ...], own: _Taken) -> Path:
    half, most, nearly = np.quantile(own.durations_ns, (0.5, 0.95, 0.99), method="inverted_cdf").tolist()
    return Path(entries, tuple(own.traces[:_EXEMPLARS]), len(own.traces), sum(own.failed), (half, most, nearly))


def _read(engine: Engine, query: TraceQuery, trace_ids: Sequence[str]) -> dict[str, list[_Span]]:
    """The spans of each trace, in the order asked; identical copies count once."""
    found: dict[str, list[_Span]] = {trace_id: [] for trace_id in trace_ids}
    frame = engine.query(
        "SELECT DISTINCT TraceId, SpanId, ParentSpanId, ServiceName, SpanName, StatusCode = 'Error', Duration"
        " FROM otel_traces WHERE TraceId IN {ids:Array(String)}"
        " AND Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})",
        {
            "ids": list(trace_ids),
            "low": max(0, query.start_ns - _AROUND_NS),
            "high": min(query.end_ns + _AROUND_NS, (1 << 63) - 1),
        },
    )
    for trace_id, *span in frame.itertuples(index=False, name=None):
        found[trace_id].append(_Span(*span))
    return found


def _through(entries: tuple[Entry, ...], service: str, operation: str) -> bool:
    return not service or any(
        named(name, service) and (not operation or operation == entered) for name, entered in entries
    )


def named(name: str, service: str) -> bool:
    """Whether a span's service is the one asked for, in either form (`app`, `app.namespace`)."""
    return name == service or name.partition(".")[0] == service or name == service.partition(".")[0]


def _chains(spans: Sequence[_Span]) -> Iterator[list[_Span]]:
    """The spans by which services are entered on the way to each leaf."""
    by_id = {span.span_id: span for span in spans}
    parents = {span.parent_id for span in spans}
    for leaf in spans:
        if leaf.span_id not in parents:
            yield _entered(leaf, by_id)


def _entered(leaf: _Span, by_id: dict[str, _Span]) -> list[_Span]:
    chain: list[_Span] = []
    span: _Span | None = leaf
    while span is not None and len(chain) < _DEPTH:
        chain.append(span)
        span = by_id.get(span.parent_id)
    chain.reverse()
    above = ["", *(span.service for span in chain)]
    pairs = zip(chain, above, strict=False)
    return [span for span, service in pairs if span.service != service]
