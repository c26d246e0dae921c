"""Paths of calls through one service, from the roots of traces to their last services.

A path has an entry for every service that a request enters, with the operation by which it does:
spans inside one service (its own steps, its client spans) are no entries.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from windvane.store.api import Engine
from windvane.tracing.search import TraceQuery, find_trace_ids

MAX_TRACES = 1_000
_EXEMPLARS = 5
_DEPTH = 500  # deeper nesting is no path of services but a defect of the sender, possibly a circle

Entry = tuple[str, str]
"""A service and the operation by which it was entered."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path that at least one trace took; `exemplars` are ids of such traces, newest first."""

    entries: tuple[Entry, ...]
    exemplars: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Span:
    span_id: str
    parent_id: str
    service: str
    name: str


def service_paths(engine: Engine, query: TraceQuery) -> list[Path]:
    """Paths through the service (and operation) asked for, in the newest traces that match, most taken first.

    Without a service, every path of these traces. No more than `query.limit` traces are read.
    """
    taken: dict[tuple[Entry, ...], list[str]] = {}
    for trace_id, spans in _read(engine, find_trace_ids(engine, query)).items():
        for entries in set(_paths(spans)):
            if _through(entries, query.service, query.operation):
                taken.setdefault(entries, []).append(trace_id)
    ranked = sorted(taken.items(), key=lambda item: (-len(item[1]), item[0]))
    return [Path(entries, tuple(ids[:_EXEMPLARS])) for entries, ids in ranked]


def _read(engine: Engine, trace_ids: Sequence[str]) -> dict[str, list[_Span]]:
    """The spans of each trace, in the order asked; identical copies count once."""
    found: dict[str, list[_Span]] = {trace_id: [] for trace_id in trace_ids}
    frame = engine.query(
        "SELECT DISTINCT TraceId, SpanId, ParentSpanId, ServiceName, SpanName FROM otel_traces"
        " WHERE TraceId IN {ids:Array(String)}",
        {"ids": list(trace_ids)},
    )
    for trace_id, *span in frame.itertuples(index=False, name=None):
        found[trace_id].append(_Span(*span))
    return found


def _through(entries: tuple[Entry, ...], service: str, operation: str) -> bool:
    return not service or any(
        _named(name, service) and (not operation or operation == entered) for name, entered in entries
    )


def _named(name: str, service: str) -> bool:
    """Whether a span's service is the one asked for, in either form (`app`, `app.namespace`)."""
    return name == service or name.partition(".")[0] == service or name == service.partition(".")[0]


def _paths(spans: Sequence[_Span]) -> Iterator[tuple[Entry, ...]]:
    by_id = {span.span_id: span for span in spans}
    parents = {span.parent_id for span in spans}
    for leaf in spans:
        if leaf.span_id not in parents:
            yield _entries(leaf, by_id)


def _entries(leaf: _Span, by_id: dict[str, _Span]) -> tuple[Entry, ...]:
    chain: list[_Span] = []
    span: _Span | None = leaf
    while span is not None and len(chain) < _DEPTH:
        chain.append(span)
        span = by_id.get(span.parent_id)
    chain.reverse()
    above = ["", *(span.service for span in chain)]
    pairs = zip(chain, above, strict=False)
    return tuple((span.service, span.name) for span, service in pairs if span.service != service)
