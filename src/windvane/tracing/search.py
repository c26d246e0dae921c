"""Finding traces: services, operations, and search by what one span must satisfy.

A trace is found when a single span of it satisfies every condition. Results come in a real order (by
the latest start among a trace's matching spans, say, then by trace id), and the limit is applied to
that order, never before it. Reading stays small all the same: by time, windows that grow from the end
where the order begins are read until one holds enough traces; and in a window the first few spans
mostly hold enough different ones. Only where they do not, all matching spans of it are grouped.

What one attribute must be goes to the text index over `key=value` tokens of all attributes of a span
(see `windvane.tracing.filters.compile`).
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.store.tokens import is_id
from windvane.tracing.assembly import read_traces
from windvane.tracing.filters.ast import EVERYTHING, And, Equal, Expression, Key, Text
from windvane.tracing.filters.compile import condition
from windvane.tracing.filters.spans import KINDS, STATUSES, service_condition, span_fields
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.model import Trace
from windvane.tracing.pages import RANKS, Sort

MAX_TRACES = 10_000

# By time, the first window is this part of the time asked for. The next is as long as what was found lets expect
# to be enough, with room to spare, and at most so many times as long.
_FIRST_WINDOW = 1 / 1_024
_GROWTH = 32
_ROOM = 1.5
_LONG_NS = 7 * 86_400 * 10**9  # of so much time it is worth asking first what of it is kept

# So many of the first spans are read for every trace wanted; of more the engine reads every column at once.
_SPANS_A_TRACE = 32
_MOST_SPANS = 10_000
_FIRST_SPANS = {
    "newest": ("toUnixTimestamp64Nano(Timestamp)", "Timestamp DESC"),
    "oldest": ("-toUnixTimestamp64Nano(Timestamp)", "Timestamp"),
    "slowest": ("toInt64(Duration)", "Duration DESC"),
}


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What one span of a trace must satisfy; empty and None mean any.

    `start_ns` and `end_ns` bound the span's start, durations the span's length; all are inclusive.
    `where` is a query bar's expression. Special keys of `tags`: `error` (true: the status is Error or an
    attribute `error` is true; false: neither), `span.kind`, `span.status`, `scope.name`, `scope.version`, and
    the prefix `resource.`; any other key is looked up in the span, its scope, resource, events and links.
    `sort` orders traces by their matching spans: latest start, earliest start, longest span, number.
    `after` is the rank and id of a trace behind which the result begins.
    """

    start_ns: int
    end_ns: int
    service: str = ""
    operation: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    min_duration_ns: int | None = None
    max_duration_ns: int | None = None
    limit: int = 100
    where: Expression = EVERYTHING
    sort: Sort = "newest"
    after: tuple[int, str] | None = None


@dataclass(frozen=True, slots=True, order=True)
class Operation:
    """A span name of a service; `kind` is lower-case, empty when the spans did not say."""

    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Found:
    """A trace that matches; `rank` is its place in the order (see `windvane.tracing.pages.RANKS`)."""

    trace_id: str
    rank: int


def services(engine: Engine) -> list[str]:
    """Every service with a kept span, sorted."""
    frame = engine.query(f"SELECT DISTINCT ServiceName FROM ({NAMES}) ORDER BY ServiceName")
    return [str(name) for name in frame["ServiceName"].tolist()]


def operations(engine: Engine, service: str, kind: str = "") -> list[Operation]:
    """The operations of a service (in either form of its name), sorted; `kind` as in `KINDS` or empty."""
    where = Conditions()
    where.add(service_condition(where, service, namespaces=("Namespace",)))
    if kind:
        where.add(f"SpanKind = {where.bind(kind.capitalize())}")
    frame = engine.query(
        f"SELECT SpanName, lower(SpanKind) AS Kind FROM ({NAMES}) WHERE {where} GROUP BY SpanName, Kind", where.params
    )
    rows = zip(frame["SpanName"].tolist(), frame["Kind"].tolist(), strict=True)
    return sorted({Operation(name, "" if kind == "unspecified" else kind) for name, kind in rows})


def find_traces(engine: Engine, query: TraceQuery) -> list[Trace]:
    """The traces that match, whole (also spans outside the time bounds), in the order asked."""
    return read_traces(engine, find_trace_ids(engine, query))


def find_trace_ids(engine: Engine, query: TraceQuery) -> list[str]:
    """Ids of the traces that match, in the order asked; `BadInputError` for a limit out of bounds."""
    return [found.trace_id for found in find(engine, query)]


def find(engine: Engine, query: TraceQuery) -> list[Found]:
    """The traces that match, in the order asked; `BadInputError` for a limit out of bounds."""
    if not 0 < query.limit <= MAX_TRACES:
        raise BadInputError(f"search depth must be greater than 0 and at most {MAX_TRACES}, not {query.limit}")
    where = conditions(engine, query)
    found: list[Found] = []
    windows = _windows(engine, query)
    window = next(windows, None)
    while window is not None:
        few = _among_first_spans(engine, where, query, *window)
        found = _grouped(engine, where, query, *window) if few is None else few
        window = None if len(found) == query.limit else _wider(windows, len(found))
    return found


def _wider(windows: Generator[tuple[int, int], int], found: int) -> tuple[int, int] | None:
    """The window after one that held too few, None after the last."""
    try:
        return windows.send(found)
    except StopIteration:
        return None


def _windows(engine: Engine, query: TraceQuery) -> Generator[tuple[int, int], int]:
    """Time bounds, each within the next, the last of all the time asked for; sent how many traces the last held.

    A trace's rank among the spans of one is its rank among all, so a window with enough traces answers.
    """
    start_ns, end_ns = query.start_ns, query.end_ns
    if end_ns - start_ns > _LONG_NS:
        frame = engine.query(
            "SELECT toUnixTimestamp64Nano(min(Timestamp)) AS Low, toUnixTimestamp64Nano(max(Timestamp)) AS High"
            " FROM otel_traces"
        )
        start_ns, end_ns = max(start_ns, int(frame["Low"][0])), min(end_ns, int(frame["High"][0]))
    if start_ns > end_ns:
        return
    whole = end_ns - start_ns
    width = int(whole * _FIRST_WINDOW)
    if query.sort in ("newest", "oldest") and not _names_one(query):
        passed = 0
        if query.after is not None:  # what lies before the place that the page begins at cannot be enough
            passed = max(0, end_ns - query.after[0] if query.sort == "newest" else -query.after[0] - start_ns)
        while (reach := passed + width) < whole:
            found = yield (end_ns - reach, end_ns) if query.sort == "newest" else (start_ns, start_ns + reach)
            width = int((width + 1) * min(_GROWTH, max(2, _ROOM * query.limit / max(1, found))))
    yield start_ns, end_ns


def _names_one(query: TraceQuery) -> bool:
    """Whether an attribute must be an id: too few spans have it for any part of the time to hold enough."""
    return any(is_id(value) for value in query.tags.values()) or any(
        isinstance(term, Equal) and is_id(term.value.text)
        for term in (query.where.terms if isinstance(query.where, And) else (query.where,))
    )


def _grouped(engine: Engine, where: Conditions, query: TraceQuery, start_ns: int, end_ns: int) -> list[Found]:
    """The answer among the spans of a window."""
    params = {**where.params, "low": start_ns, "high": end_ns}
    having = ""
    if query.after is not None:
        params |= {"rank": query.after[0], "id": query.after[1]}
        having = " HAVING Rank < {rank:Int64} OR (Rank = {rank:Int64} AND TraceId > {id:String})"
    frame = engine.query(
        f"SELECT TraceId, {RANKS[query.sort]} AS Rank FROM otel_traces WHERE {where}"
        " AND Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
        f" GROUP BY TraceId{having} ORDER BY Rank DESC, TraceId LIMIT {query.limit}",
        params,
    )
    return [Found(str(i), int(r)) for i, r in zip(frame["TraceId"].tolist(), frame["Rank"].tolist(), strict=True)]


def _among_first_spans(
    engine: Engine, where: Conditions, query: TraceQuery, start_ns: int, end_ns: int
) -> list[Found] | None:
    """The answer among the spans of a window when the first few of them hold it for certain, else None.

    The engine finds those spans without grouping, and reads more than what orders them only for them.
    """
    if query.sort not in _FIRST_SPANS or query.after is not None:
        return None
    rank, order = _FIRST_SPANS[query.sort]
    portion = min(query.limit * _SPANS_A_TRACE, _MOST_SPANS)
    frame = engine.query(
        f"SELECT TraceId, {rank} AS Rank FROM otel_traces WHERE {where}"
        " AND Timestamp BETWEEN fromUnixTimestamp64Nano({low:Int64}) AND fromUnixTimestamp64Nano({high:Int64})"
        f" ORDER BY {order} LIMIT {portion}",
        {**where.params, "low": start_ns, "high": end_ns},
    )
    ranks = frame["Rank"].tolist()
    best: dict[str, int] = {}
    for trace_id, reached in zip(frame["TraceId"].tolist(), ranks, strict=True):
        best.setdefault(trace_id, int(reached))
    ranked = sorted(best.items(), key=lambda item: (-item[1], item[0]))[: query.limit]
    certain = len(ranks) < portion or (len(ranked) == query.limit and ranked[-1][1] > ranks[-1])
    return [Found(trace_id, reached) for trace_id, reached in ranked] if certain else None


def has_plain_service(engine: Engine, service: str) -> bool:
    """Whether the `app` of a service given as `app.namespace` also reports under that name alone."""
    app, dot, _ = service.partition(".")
    if not dot:
        return False
    frame = engine.query(f"SELECT 1 FROM ({NAMES}) WHERE ServiceName = {{app:String}} LIMIT 1", {"app": app})
    return len(frame) > 0


def conditions(engine: Engine, query: TraceQuery) -> Conditions:
    """The query as SQL over `otel_traces`, without its time bounds."""
    where = Conditions()
    fields = span_fields(lambda service: has_plain_service(engine, service))
    if query.service:
        where.add(service_condition(where, query.service, plain=has_plain_service(engine, query.service)))
    if query.operation:
        where.add(f"SpanName = {where.bind(query.operation)}")
    if query.min_duration_ns is not None:
        where.add(f"Duration >= {where.bind(max(0, query.min_duration_ns), 'UInt64')}")
    if query.max_duration_ns is not None:
        where.add(f"Duration <= {where.bind(max(0, query.max_duration_ns), 'UInt64')}")
    for key, value in query.tags.items():
        wanted = tag(key, value)
        where.add("0" if wanted is None else condition(wanted, fields, where))
    if query.where != EVERYTHING:
        where.add(condition(query.where, fields, where))
    return where


def tag(key: str, value: str) -> Expression | None:
    """A tag of Jaeger's search as an expression; None for a kind or status that no span can have."""
    words = {"span.kind": KINDS, "span.status": STATUSES}.get(key)
    if words is not None and value.lower() not in words:
        return None
    special = words is not None or key in ("scope.name", "scope.version") or (key == "error" and value in _TRUTH)
    if not special and key.startswith("resource."):
        return Equal(Key(key.removeprefix("resource."), "resource", quoted=True), Text(value))
    return Equal(Key(key, quoted=not special), Text(value))


_TRUTH = ("true", "false")

# The engine answers this from the projection `operations` of otel_traces: the same words as there, and not rewritten.
NAMES = """
SELECT toDate(Timestamp) AS Day, ServiceName,
    if(position(ServiceName, '.') > 0, '', multiIf(
        notEmpty(ResourceAttributes['service.namespace']), ResourceAttributes['service.namespace'],
        notEmpty(ResourceAttributes['k8s.namespace.name']), ResourceAttributes['k8s.namespace.name'],
        SpanAttributes['istio.namespace'])) AS Namespace,
    SpanName, SpanKind, count() AS Spans, countIf(StatusCode = 'Error') AS Errors
FROM otel_traces GROUP BY Day, ServiceName, Namespace, SpanName, SpanKind
SETTINGS optimize_functions_to_subcolumns = 0"""
