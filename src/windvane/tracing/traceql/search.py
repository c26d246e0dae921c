"""Searching traces with TraceQL: candidates by SQL, newest first; each then decided exactly.

A trace is found when a span of one of its spansets started in the time asked for, and results are
ordered by the latest of these starts. Candidates come in the order of the latest start among the
spans that SQL could not rule out, which is never earlier; so the search ends when the last result
wanted is newer than every candidate left, and the limit is applied to the real order. Where a trace
must have other spans as well (`{a} && {b}`, `{a} >> {b}`), those are looked for up to an hour
around the part of the time that is being searched.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, LimitError
from windvane.store.api import Engine
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.model import Span
from windvane.tracing.traceql.arrays import ArrayKeys
from windvane.tracing.traceql.candidates import pages, within
from windvane.tracing.traceql.fields import Value, compile_field
from windvane.tracing.traceql.plan import Needs, Reach, of_trace, reach, used
from windvane.tracing.traceql.pushdown import Pushdown
from windvane.tracing.traceql.reader import by_trace, read_spans
from windvane.tracing.traceql.simplify import simplify_pipeline
from windvane.tracing.traceql.spansets import Found, compile_pipeline, first
from windvane.tracing.traceql.syntax import (
    Attribute,
    Filter,
    Intrinsic,
    Pipeline,
    Reference,
)
from windvane.tracing.traceql.view import TraceView

MAX_TRACES = 10_000
AROUND_NS = 3_600 * 10**9
"""How far around the time being searched the other spans of a trace are looked for."""
_BATCH = 64
"""Traces that are read together."""
_SECONDS = 25.0
"""After so long a search answers with what it has."""
_COUNTING_SECONDS = 60.0

_SHOWN_OTHERWISE = {
    Intrinsic.DURATION, Intrinsic.NAME, Intrinsic.TRACE_DURATION, Intrinsic.ROOT_NAME, Intrinsic.ROOT_SERVICE,
    Intrinsic.TRACE_ID, Intrinsic.SPAN_ID,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Request:
    """What is wanted: spans that started in `window_ns` (both ends included), so many traces, so many spans a set."""

    window_ns: tuple[int, int]
    limit: int = 20
    spans_per_set: int = 3


@dataclass(frozen=True, slots=True)
class MatchedSpan:
    """A span of a result, with the fields that the query names."""

    span: Span
    fields: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class SpansetResult:
    """A spanset: its first spans, how many it has, and what the query computed about it."""

    spans: tuple[MatchedSpan, ...]
    matched: int
    facts: tuple[tuple[str, Value], ...]


@dataclass(frozen=True, slots=True)
class TraceSummary:
    """A trace as a list shows it; the root is None when its root span was not received."""

    start_ns: int
    end_ns: int
    root_service: str | None
    root_name: str | None
    services: Mapping[str, tuple[int, int]]
    """Spans and errors of each service."""


@dataclass(frozen=True, slots=True)
class TraceResult:
    """A trace that was found."""

    trace_id: str
    summary: TraceSummary
    spansets: tuple[SpansetResult, ...]


@dataclass(frozen=True, slots=True)
class Answer:
    """Results, newest first. Not `complete`: time ran out, older traces were not looked at."""

    traces: tuple[TraceResult, ...]
    inspected_traces: int
    inspected_spans: int
    complete: bool = True


class TraceSearch:
    """Searches over one store. Thread-safe."""

    def __init__(self, engine: Engine, clock: Clock) -> None:
        self.engine = engine
        self.arrays = ArrayKeys(engine)
        self._clock = clock

    def search(self, pipeline: Pipeline, request: Request) -> Answer:
        """The newest traces that match; `BadInputError` for a limit out of bounds."""
        if not 0 < request.limit <= MAX_TRACES:
            raise BadInputError(f"invalid limit: must be from 1 to {MAX_TRACES}, not {request.limit}")
        simple = simplify_pipeline(pipeline)
        job = _Job(self, simple, request.window_ns)
        best: list[_Match] = []
        complete = True
        ends = self._clock.monotonic() + _SECONDS
        for matches, bound in job.run(max(request.limit, 1)):
            best = sorted(best + matches, key=lambda match: (-match.latest_ns, match.trace_id))[: request.limit]
            if len(best) == request.limit and best[-1].latest_ns > bound:
                break
            if self._clock.monotonic() > ends:
                best, complete = [match for match in best if match.latest_ns > bound], False
                break
        summaries = read_summaries(self.engine, [match.trace_id for match in best])
        shown = _shown_fields(pipeline)
        traces = tuple(
            TraceResult(match.trace_id, summaries[match.trace_id], match.show(shown, request.spans_per_set))
            for match in best
            if match.trace_id in summaries
        )
        return Answer(traces, job.inspected_traces, job.inspected_spans, complete)

    def matches(
        self,
        pipeline: Pipeline,
        window_ns: tuple[int, int],
        also: Sequence[Reference] = (),
        needs: Needs | None = None,
    ) -> Iterator[tuple[TraceView, list[Found]]]:
        """Every trace with a span in the window that the pipeline leaves, and its spansets.

        `also` are fields that are to be read beside those of the pipeline; `needs` says the whole of it.
        """
        job = _Job(self, simplify_pipeline(pipeline), window_ns, also, needs)
        ends = self._clock.monotonic() + _COUNTING_SECONDS
        for matches, _ in job.run(1_000):
            if self._clock.monotonic() > ends:
                raise LimitError(
                    f"finding the spans to count took longer than {_COUNTING_SECONDS:g} s; ask for a shorter time"
                )
            yield from ((match.view, match.spansets) for match in matches)


@dataclass(frozen=True, slots=True)
class _Match:
    trace_id: str
    latest_ns: int
    view: TraceView
    spansets: list[Found]

    def show(self, fields: Sequence[_Shown], most: int) -> tuple[SpansetResult, ...]:
        return tuple(
            SpansetResult(tuple(self._span(place, fields) for place in one.places[:most]), len(one.places), one.facts)
            for one in self.spansets
        )

    def _span(self, place: int, fields: Sequence[_Shown]) -> MatchedSpan:
        values = ((label, first(value_of(self.view, place))) for label, value_of in fields)
        return MatchedSpan(
            self.view.spans[place], tuple((label, value) for label, value in values if value is not None)
        )


class _Job:
    """One search under way."""

    def __init__(
        self,
        owner: TraceSearch,
        pipeline: Pipeline,
        window: tuple[int, int],
        also: Sequence[Reference] = (),
        needs: Needs | None = None,
    ) -> None:
        self._engine = owner.engine
        self._window = window
        self._evaluate = compile_pipeline(pipeline)
        self._needs = needs or Needs.of([*(one for stage in pipeline.stages for one in used(stage)), *also])
        self._whole = any(of_trace(one) for one in also)
        self._arrays = owner.arrays.known()
        self._pipeline = pipeline
        self.inspected_traces = 0
        self.inspected_spans = 0

    def run(self, wanted: int) -> Iterator[tuple[list[_Match], int]]:
        """Matches, batch by batch, with the bound on whatever follows."""
        if self._conditions(self._window)[1].produces.text == "0":
            return
        for page in pages(self._engine, self._likely, self._window, wanted):
            trace_ids, latest = list(page.latest_ns), [*page.latest_ns.values(), page.bound_ns]
            for start in range(0, max(1, len(trace_ids)), _BATCH):
                batch = trace_ids[start : start + _BATCH]
                yield self._decide(batch) if batch else [], latest[start + len(batch)]

    def _likely(self, window: tuple[int, int]) -> Conditions:
        """What holds for a span of an answer that starts in the window."""
        where, found = self._conditions(window)
        where.add(found.produces.text)
        for required in found.requires:
            if required != found.produces and not required.anything:
                where.add(_in_trace(where, window, required.text))
        for text, count in found.counts:
            where.add(_in_trace(where, window, text, f"GROUP BY TraceId HAVING count() > {count}"))
        return where

    def _conditions(self, window: tuple[int, int]) -> tuple[Conditions, Reach]:
        where = Conditions()

        def of_roots(test: str) -> str:
            return _in_trace(where, window, f"ParentSpanId = '' AND {test}")

        return where, reach(self._pipeline, Pushdown(where, self._arrays, of_roots, loose=True))

    def _decide(self, trace_ids: list[str]) -> list[_Match]:
        where, found = self._conditions(self._window)
        where.add(f"TraceId IN {where.bind(trace_ids, 'Array(String)')}")
        if found.reads is not None and not found.reads.anything and not self._whole:
            where.add(found.reads.text)
        spans = read_spans(self._engine, where, self._needs)
        self.inspected_traces += len(trace_ids)
        self.inspected_spans += len(spans)
        decided = (self._match(trace_id, group) for trace_id, group in by_trace(spans).items())
        return [match for match in decided if match is not None]

    def _match(self, trace_id: str, spans: list[Span]) -> _Match | None:
        view = TraceView(spans)
        spansets = self._evaluate(view)
        low, high = self._window
        starts = [start for one in spansets for place in one.places if low <= (start := spans[place].start_ns) <= high]
        return _Match(trace_id, max(starts), view, spansets) if starts else None


def _in_trace(where: Conditions, window: tuple[int, int], text: str, tail: str = "") -> str:
    """SQL that a trace has spans of a condition within the window or an hour around it."""
    low, high = where.bind(window[0] - AROUND_NS, "Int64"), where.bind(window[1] + AROUND_NS, "Int64")
    return f"TraceId IN (SELECT TraceId FROM otel_traces WHERE {text} AND {within(low, high)} {tail})"


_Shown = tuple[str, Callable[[TraceView, int], Value]]


def _shown_fields(pipeline: Pipeline) -> list[_Shown]:
    """What to show of matching spans: the fields that the query names, but for those that a result has anyway."""
    named = dict.fromkeys(one for stage in pipeline.stages for one in used(stage))
    return [(label_of(one), compile_field(one)) for one in named if _worth_showing(one)]


def _worth_showing(reference: Reference) -> bool:
    return isinstance(reference, Attribute) or reference.which not in _SHOWN_OTHERWISE


def label_of(reference: Reference) -> str:
    """The key under which a field is shown: an attribute's without its scope."""
    return reference.name if isinstance(reference, Attribute) else reference.which.value


def field_label(reference: Reference) -> str:
    """The label of a field by which series are grouped."""
    if isinstance(reference, Attribute):
        return f"{reference.scope.value}.{reference.name}"
    return str(reference.which.value)


def read_summaries(engine: Engine, trace_ids: Sequence[str]) -> dict[str, TraceSummary]:
    """What lists show of traces, by their id."""
    if not trace_ids:
        return {}
    frame = engine.query(
        "SELECT TraceId, ServiceName, count() AS Spans, countIf(StatusCode = 'Error') AS Errors,"
        " min(toUnixTimestamp64Nano(Timestamp)) AS Start,"
        " max(toUnixTimestamp64Nano(Timestamp) + Duration) AS End,"
        " minIf(toUnixTimestamp64Nano(Timestamp), ParentSpanId = '') AS RootStart,"
        " argMinIf(SpanName, (Timestamp, SpanId), ParentSpanId = '') AS Root, countIf(ParentSpanId = '') AS Roots"
        " FROM otel_traces WHERE TraceId IN {ids:Array(String)} GROUP BY TraceId, ServiceName",
        {"ids": list(trace_ids)},
    )
    groups: dict[str, list[tuple[str, int, int, int, int, int, str, int]]] = {}
    for trace_id, *rest in zip(*(frame[name].tolist() for name in frame.columns), strict=True):
        groups.setdefault(trace_id, []).append(tuple(rest))
    return {trace_id: _summary(rows) for trace_id, rows in groups.items()}


def _summary(rows: list[tuple[str, int, int, int, int, int, str, int]]) -> TraceSummary:
    roots = sorted((row[5], row[0], row[6]) for row in rows if row[7])
    return TraceSummary(
        start_ns=min(row[3] for row in rows),
        end_ns=max(row[4] for row in rows),
        root_service=roots[0][1] if roots else None,
        root_name=roots[0][2] if roots else None,
        services={row[0]: (row[1], row[2]) for row in sorted(rows)},
    )


def narrowed(pipeline: Pipeline, *filters: Filter) -> Pipeline:
    """The pipeline with filters after it."""
    return Pipeline(pipeline.stages + filters)
