"""Answers in Tempo's JSON: protobuf's generic mapping, so 64-bit integers are text."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from windvane.api.otlp_traces import value_json
from windvane.tracing.duration import format_go_duration
from windvane.tracing.traceql.fields import Value
from windvane.tracing.traceql.search import Answer, MatchedSpan, SpansetResult, TraceResult
from windvane.tracing.traceql.series import Exemplar, SeriesData, label_text
from windvane.tracing.traceql.syntax import Duration, Kind, Status

ROOT_MISSING = "<root span not yet received>"


def search_json(answer: Answer) -> dict[str, Any]:
    """`{"traces", "metrics"}`; an answer that is not complete says so by its jobs."""
    metrics = {
        "inspectedTraces": answer.inspected_traces,
        "inspectedSpans": str(answer.inspected_spans),
        "completedJobs": 1 if answer.complete else 0,
        "totalJobs": 1,
    }
    return {"traces": [trace_json(trace) for trace in answer.traces], "metrics": metrics}


def trace_json(trace: TraceResult) -> dict[str, Any]:
    """One trace of a list. `spanSet` is the first of `spanSets`, for older clients."""
    summary, sets = trace.summary, [_spanset(one) for one in trace.spansets]
    return {
        "traceID": trace.trace_id.lstrip("0") or "0",
        "rootServiceName": summary.root_service if summary.root_service is not None else ROOT_MISSING,
        "rootTraceName": summary.root_name or "",
        "startTimeUnixNano": str(summary.start_ns),
        "durationMs": (summary.end_ns - summary.start_ns) // 1_000_000,
        **({"spanSet": sets[0], "spanSets": sets} if sets else {}),
        "serviceStats": {
            service: {"spanCount": spans, "errorCount": errors} for service, (spans, errors) in summary.services.items()
        },
    }


def _spanset(spanset: SpansetResult) -> dict[str, Any]:
    facts = [{"key": key, "value": any_value(value)} for key, value in spanset.facts]
    shown = {"spans": [_span(span) for span in spanset.spans], "matched": spanset.matched}
    return {**shown, "attributes": facts} if facts else shown


def _span(matched: MatchedSpan) -> dict[str, Any]:
    span = matched.span
    return {
        "spanID": span.span_id,
        "name": span.name,
        "startTimeUnixNano": str(span.start_ns),
        "durationNanos": str(span.duration_ns),
        "attributes": [{"key": key, "value": any_value(value)} for key, value in matched.fields],
    }


def any_value(value: Value) -> dict[str, Any]:
    """A value of TraceQL as an AnyValue; words and durations as text."""
    if value is None:
        return {"stringValue": "nil"}
    if isinstance(value, Status | Kind):
        return {"stringValue": value.value}
    if isinstance(value, Duration):
        return {"stringValue": format_go_duration(value)}
    return value_json(value)


def range_json(series: Sequence[SeriesData], times_ms: Sequence[int]) -> dict[str, Any]:
    """Series with their samples; points that are not there are left out, and so are series without any."""
    made = []
    for one in series:
        samples = [
            {"timestampMs": str(time), "value": value}
            for time, value in zip(times_ms, one.values.tolist(), strict=True)
            if math.isfinite(value)
        ]
        if samples:
            shown = {"labels": _labels(one), "samples": samples, "promLabels": prom_labels(one)}
            if one.exemplars:
                shown["exemplars"] = [_exemplar(exemplar) for exemplar in one.exemplars]
            made.append(shown)
    return {"series": made, "metrics": {"completedJobs": 1, "totalJobs": 1}}


def instant_json(series: Sequence[SeriesData]) -> dict[str, Any]:
    """Series with one value each."""
    made = [
        {"labels": _labels(one), "value": float(one.values[0]), "promLabels": prom_labels(one)}
        for one in series
        if math.isfinite(one.values[0])
    ]
    return {"series": made, "metrics": {"completedJobs": 1, "totalJobs": 1}}


def _labels(series: SeriesData) -> list[dict[str, Any]]:
    return [{"key": name, "value": any_value(value)} for name, value in series.labels]


def _exemplar(exemplar: Exemplar) -> dict[str, Any]:
    labels = [{"key": "trace:id", "value": {"stringValue": exemplar.trace_id.lstrip("0") or "0"}}]
    return {"labels": labels, "value": exemplar.value, "timestampMs": str(exemplar.time_ns // 1_000_000)}


def prom_labels(series: SeriesData) -> str:
    """The labels as Prometheus writes them; names with dots are quoted."""
    pairs = sorted((name, label_text(value)) for name, value in series.labels)
    return "{" + ", ".join(f"{_name(name)}={_quoted(text)}" for name, text in pairs) + "}"


def _name(name: str) -> str:
    return name if name.replace("_", "a").isalnum() and name.isascii() and not name[0].isdigit() else _quoted(name)


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'


def tag_value_json(value: Value) -> dict[str, str]:
    """A value with its type, as an editor of queries needs it."""
    if isinstance(value, Status | Kind):
        return {"type": "keyword", "value": str(value.value)}
    if isinstance(value, bool):
        return {"type": "bool", "value": str(value).lower()}
    if isinstance(value, Duration):
        return {"type": "duration", "value": format_go_duration(value)}
    if isinstance(value, int):
        return {"type": "int", "value": str(value)}
    if isinstance(value, float):
        return {"type": "float", "value": label_text(value)}
    return {"type": "string", "value": str(value)}
