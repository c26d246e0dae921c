"""Finding traces: services, operations, and search by what one span must satisfy.

A trace is found when a single span of it satisfies every condition. Results come newest first by
real order: by the latest start among a trace's matching spans (then by trace id), and the limit is
applied to that order, never before it. Reading stays small all the same: the newest few matching
spans mostly hold enough different traces, and only where they do not are all of them grouped.

Attribute conditions go to the text index over `key=value` tokens of all attributes of a span; where
a token does not stand for one attribute alone, the exact comparison follows on what the index
found. Values are compared as they are shown (`AsString` of OTLP) and, for attributes stored as
numbers, by their number too: `500`, `500.0` and `5e2` are the same integer.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.store.tokens import is_exact, token
from windvane.tracing.assembly import read_traces
from windvane.tracing.filters.spans import FAILED, service_condition
from windvane.tracing.filters.sql import Conditions
from windvane.tracing.model import Trace

MAX_TRACES = 10_000

# The newest traces are looked for in the last 1/_RECENT of the time asked for among _FEW spans a trace,
# then in all of it among _MANY.
_RECENT = 32
_FEW = 4
_MANY = 32

_SCOPES = {"SpanAttributes": "span.", "ScopeAttributes": "scope.", "ResourceAttributes": "resource."}
_NESTED = ("Events.Attributes", "Links.Attributes")


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What one span of a trace must satisfy; empty and None mean any.

    `start_ns` and `end_ns` bound the span's start, durations the span's length; all are inclusive.
    Special keys of `tags`: `error` (true: the status is Error or an attribute `error` is true; false:
    neither), `span.kind`, `span.status`, `scope.name`, `scope.version`, and the prefix `resource.`;
    any other key is looked up in the span, its scope, resource, events and links.
    """

    start_ns: int
    end_ns: int
    service: str = ""
    operation: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    min_duration_ns: int | None = None
    max_duration_ns: int | None = None
    limit: int = 100


@dataclass(frozen=True, slots=True, order=True)
class Operation:
    """A span name of a service; `kind` is lower-case, empty when the spans did not say."""

    name: str
    kind: str


def services(engine: Engine) -> list[str]:
    """Every service with a kept span, sorted."""
    frame = engine.query("SELECT DISTINCT ServiceName FROM otel_traces ORDER BY ServiceName")
    return [str(name) for name in frame["ServiceName"].tolist()]


def operations(engine: Engine, service: str, kind: str = "") -> list[Operation]:
    """The operations of a service (in either form of its name), sorted; `kind` as in `KINDS` or empty."""
    where = Conditions()
    where.add(service_condition(where, service, plain=has_plain_service(engine, service)))
    if kind:
        where.add(f"SpanKind = {where.bind(kind.capitalize())}")
    frame = engine.query(
        f"SELECT DISTINCT SpanName, lower(SpanKind) AS Kind FROM otel_traces WHERE {where}", where.params
    )
    rows = zip(frame["SpanName"].tolist(), frame["Kind"].tolist(), strict=True)
    return sorted({Operation(name, "" if kind == "unspecified" else kind) for name, kind in rows})


def find_traces(engine: Engine, query: TraceQuery) -> list[Trace]:
    """The newest traces that match, whole (also spans outside the time bounds), newest first."""
    return read_traces(engine, find_trace_ids(engine, query))


def find_trace_ids(engine: Engine, query: TraceQuery) -> list[str]:
    """Ids of the newest traces that match, newest first; `BadInputError` for a limit out of bounds."""
    if not 0 < query.limit <= MAX_TRACES:
        raise BadInputError(f"search depth must be greater than 0 and at most {MAX_TRACES}, not {query.limit}")
    where = conditions(query, plain=has_plain_service(engine, query.service))
    recent_ns = query.end_ns - max(0, query.end_ns - query.start_ns) // _RECENT
    for since_ns, portion in ((recent_ns, query.limit * _FEW), (query.start_ns, query.limit * _MANY)):
        newest = _among_newest_spans(engine, where, query, since_ns, portion)
        if newest is not None:
            return newest
    return _of_all_spans(engine, where, query.limit)


def _among_newest_spans(
    engine: Engine, where: Conditions, query: TraceQuery, since_ns: int, portion: int
) -> list[str] | None:
    """The answer when the newest `portion` matching spans since a time hold it for certain, else None.

    The engine finds those spans without grouping, and reads more than their start only for them.
    """
    frame = engine.query(
        "SELECT TraceId, toUnixTimestamp64Nano(Timestamp) AS Start FROM otel_traces"
        f" WHERE {where} AND Timestamp >= fromUnixTimestamp64Nano({{since:Int64}})"
        f" ORDER BY Timestamp DESC LIMIT {portion}",
        {**where.params, "since": since_ns},
    )
    starts = frame["Start"].tolist()
    newest: dict[str, int] = {}
    for trace_id, start in zip(frame["TraceId"].tolist(), starts, strict=True):
        newest.setdefault(trace_id, start)
    ranked = sorted(newest.items(), key=lambda item: (-item[1], item[0]))[: query.limit]
    all_read = len(starts) < portion
    enough = len(ranked) == query.limit and (all_read or ranked[-1][1] > starts[-1])
    return [trace_id for trace_id, _ in ranked] if enough or (all_read and since_ns <= query.start_ns) else None


def _of_all_spans(engine: Engine, where: Conditions, limit: int) -> list[str]:
    frame = engine.query(
        f"SELECT TraceId FROM otel_traces WHERE {where}"
        f" GROUP BY TraceId ORDER BY max(Timestamp) DESC, TraceId LIMIT {limit}",
        where.params,
    )
    return [str(trace_id) for trace_id in frame["TraceId"]]


def has_plain_service(engine: Engine, service: str) -> bool:
    """Whether the `app` of a service given as `app.namespace` also reports under that name alone."""
    app, dot, _ = service.partition(".")
    if not dot:
        return False
    return len(engine.query("SELECT 1 FROM otel_traces WHERE ServiceName = {app:String} LIMIT 1", {"app": app})) > 0


def conditions(query: TraceQuery, *, plain: bool = True) -> Conditions:
    """The query as SQL over `otel_traces`; `plain` as in `service_condition`."""
    where = Conditions()
    if query.service:
        where.add(service_condition(where, query.service, plain=plain))
    if query.operation:
        where.add(f"SpanName = {where.bind(query.operation)}")
    low, high = where.bind(query.start_ns, "Int64"), where.bind(query.end_ns, "Int64")
    where.add(f"Timestamp BETWEEN fromUnixTimestamp64Nano({low}) AND fromUnixTimestamp64Nano({high})")
    if query.min_duration_ns is not None:
        where.add(f"Duration >= {where.bind(max(0, query.min_duration_ns), 'UInt64')}")
    if query.max_duration_ns is not None:
        where.add(f"Duration <= {where.bind(max(0, query.max_duration_ns), 'UInt64')}")
    for key, value in query.tags.items():
        where.add(_Tag(where, key, value).condition())
    return where


class _Tag:
    """One condition on an attribute or special key (see `TraceQuery`)."""

    def __init__(self, where: Conditions, key: str, value: str) -> None:
        self._where = where
        self._key = key
        self._value = value
        self._number = _number(value)

    def condition(self) -> str:
        """The condition in SQL."""
        if self._key == "error":
            return self._error()
        if self._key in _FIELDS:
            column, as_stored = _FIELDS[self._key]
            return f"{column} = {self._where.bind(as_stored(self._value))}"
        if self._key.startswith("resource."):
            name = self._key.removeprefix("resource.")
            return f"({self._found(name)} AND {self._equals('ResourceAttributes', 'resource.', name)})"
        certain = len(_spellings(self._value)) == 1 and is_exact(self._value) and "=" not in self._key + self._value
        return self._found(self._key) if certain else f"({self._found(self._key)} AND ({self._anywhere()}))"

    def _found(self, name: str) -> str:
        """What the text index says: every span with such an attribute, and a few others where a token is shortened."""
        tokens = [token(name, spelling) for spelling in _spellings(self._value)]
        return f"hasAnyTokens(SearchTokens, {self._where.bind(tokens, 'Array(String)')})"

    def _error(self) -> str:
        return {"true": FAILED, "false": f"NOT {FAILED}"}.get(self._value) or self._found("error")

    def _anywhere(self) -> str:
        either = [self._equals(column, prefix, self._key) for column, prefix in _SCOPES.items()]
        return " OR ".join([*either, *(self._within(column) for column in _NESTED)])

    def _within(self, column: str) -> str:
        name, wanted = self._where.bind(self._key), self._where.bind(self._value)
        return f"arrayExists(a -> mapContains(a, {name}) AND a[{name}] = {wanted}, `{column}`)"

    def _equals(self, column: str, prefix: str, name: str) -> str:
        key, wanted = self._where.bind(name), self._where.bind(self._value)
        same = f"{column}[{key}] = {wanted}"
        if not self._value:
            same = f"(mapContains({column}, {key}) AND {column}[{key}] = '')"
        if self._number is None:
            return same
        typed = f"AttributeTypes[{self._where.bind(prefix + name)}] IN ('int', 'double')"
        return (
            f"({same} OR ({typed} AND toFloat64OrNull({column}[{key}]) = {self._where.bind(self._number, 'Float64')}))"
        )


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= 1 << 53 else None


def _spellings(text: str) -> list[str]:
    """The texts under which a value can be stored: itself and, for a number, the shortest ones."""
    number = _number(text)
    if number is None:
        return [text]
    shortest = str(int(number)) if number.is_integer() else repr(number)
    return list(dict.fromkeys([text, shortest]))


_FIELDS: dict[str, tuple[str, Callable[[str], str]]] = {
    "span.kind": ("SpanKind", str.capitalize),
    "span.status": ("StatusCode", str.capitalize),
    "scope.name": ("ScopeName", str),
    "scope.version": ("ScopeVersion", str),
}
