"""What a list of traces shows of each, without reading the spans whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.store.api import Engine
from windvane.tracing.skeleton import Bone, read_skeletons, root_of


@dataclass(frozen=True, slots=True, order=True)
class ServiceCount:
    """Spans of one service in a trace, and how many of them have the status Error."""

    name: str
    spans: int
    errors: int


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """One trace: its root, when it began and ended (ns), and its spans counted, services sorted by name.

    `orphans` are spans whose parent was never received.
    """

    trace_id: str
    root_service: str
    root_name: str
    start_ns: int
    end_ns: int
    spans: int
    errors: int
    orphans: int
    services: tuple[ServiceCount, ...]


def read_summaries(engine: Engine, trace_ids: Sequence[str]) -> list[TraceSummary]:
    """The summaries of these traces in the order asked; ids without a span are left out."""
    return [_summary(trace_id, spans) for trace_id, spans in read_skeletons(engine, trace_ids).items()]


def _summary(trace_id: str, spans: Sequence[Bone]) -> TraceSummary:
    known, root = {span.span_id for span in spans}, root_of(spans)
    counts: dict[str, list[int]] = {}
    for span in spans:
        count = counts.setdefault(span.service, [0, 0])
        count[0] += 1
        count[1] += span.failed
    return TraceSummary(
        trace_id,
        root.service,
        root.name,
        min(span.start_ns for span in spans),
        max(span.end_ns for span in spans),
        spans=len(spans),
        errors=sum(span.failed for span in spans),
        orphans=sum(bool(span.parent_id) and span.parent_id not in known for span in spans),
        services=tuple(sorted(ServiceCount(name, *count) for name, count in counts.items())),
    )
