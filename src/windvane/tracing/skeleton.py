"""What lists and graphs need of a span, read without its attributes: ids, names, times, status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from windvane.store.api import Engine


@dataclass(frozen=True, slots=True)
class Bone:
    """A span without its attributes; times in nanoseconds since the epoch."""

    trace_id: str
    span_id: str
    parent_id: str
    service: str
    name: str
    start_ns: int
    end_ns: int
    failed: bool


def read_skeletons(engine: Engine, trace_ids: Sequence[str]) -> dict[str, list[Bone]]:
    """The spans of each trace by the order of their start; identical copies count once.

    Ids without a span are left out; the others keep their order.
    """
    if not trace_ids:
        return {}
    frame = engine.query(
        "SELECT DISTINCT TraceId, SpanId, ParentSpanId, ServiceName, SpanName,"
        " toUnixTimestamp64Nano(Timestamp) AS Start, toUnixTimestamp64Nano(Timestamp) + toInt64(Duration) AS End,"
        " StatusCode = 'Error' AS Failed FROM otel_traces WHERE TraceId IN {ids:Array(String)} ORDER BY Start, SpanId",
        {"ids": list(dict.fromkeys(trace_ids))},
    )
    found: dict[str, list[Bone]] = {trace_id: [] for trace_id in trace_ids}
    columns = (frame[name].tolist() for name in frame.columns)
    for trace_id, span_id, parent_id, service, name, start, end, failed in zip(*columns, strict=True):
        found[trace_id].append(Bone(trace_id, span_id, parent_id, service, name, start, end, bool(failed)))
    return {trace_id: spans for trace_id, spans in found.items() if spans}


def root_of(spans: Sequence[Bone]) -> Bone:
    """The earliest span without a parent, else the earliest whose parent was never received, else the earliest."""
    known = {span.span_id for span in spans}
    roots = [span for span in spans if not span.parent_id]
    orphans = [span for span in spans if span.parent_id not in known]
    return (roots or orphans or list(spans))[0]
