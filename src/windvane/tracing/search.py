"""Finding traces: services, operations, and search by what one span must satisfy.

A trace is found when a single span of it satisfies every condition. Results come newest first by
real order: by the latest start among a trace's matching spans (then by trace id), and the limit is
applied to that order, never before it. Reading stays small all the same: the newest few matching
spans mostly hold enough different traces, and only where they do not are all of them grouped.

Attribute conditions go to the text index over `key=value` tokens first; the exact comparison
follows on what is left. Values are compared as they are shown (`AsString` of OTLP) and, for
attributes stored as numbers, by their number too: `500`, `500.0` and `5e2` are the same integer.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.assembly import read_traces
from windvane.tracing.model import Trace

MAX_TRACES = 10_000
KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")

_SPANS_PER_TRACE = 16


@dataclass(frozen=True, slots=True)
class TraceQuery:
    """What one span of a trace must satisfy; empty and None mean any.

    `start_ns` and `end_ns` bound the span's start, durations the span's length; all are inclusive.
    Special keys of `tags`: `error` (true or false), `span.kind`, `span.status`, `scope.name`,
    `scope.version`, and the prefix `resource.`; any other key is looked up in the span, its scope,
    resource, events and links.
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


class Conditions:
    """A conjunction of SQL conditions whose values travel as parameters."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.params: dict[str, Any] = {}

    def bind(self, value: Any, type_: str = "String") -> str:
        """A placeholder for a value."""
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f"{{{name}:{type_}}}"

    def add(self, condition: str) -> None:
        self.parts.append(condition)

    def __str__(self) -> str:
        return " AND ".join(self.parts) or "1"


def services(engine: Engine) -> list[str]:
    """Every service with a kept span, sorted."""
    frame = engine.query("SELECT DISTINCT ServiceName FROM otel_traces ORDER BY ServiceName")
    return [str(name) for name in frame["ServiceName"].tolist()]


def operations(engine: Engine, service: str, kind: str = "") -> list[Operation]:
    """The operations of a service (in either form of its name), sorted; `kind` as in `KINDS` or empty."""
    where = Conditions()
    add_service(where, service)
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
    where = conditions(query)
    newest = _among_newest_spans(engine, where, query.limit)
    return _of_all_spans(engine, where, query.limit) if newest is None else newest


def _among_newest_spans(engine: Engine, where: Conditions, limit: int) -> list[str] | None:
    """The answer when the newest few matching spans hold it for certain, else None.

    The engine finds those spans without grouping or reading more than their start for the rest.
    """
    portion = limit * _SPANS_PER_TRACE
    frame = engine.query(
        "SELECT TraceId, toUnixTimestamp64Nano(Timestamp) AS Start FROM otel_traces"
        f" WHERE {where} ORDER BY Timestamp DESC LIMIT {portion}",
        where.params,
    )
    starts = frame["Start"].tolist()
    newest: dict[str, int] = {}
    for trace_id, start in zip(frame["TraceId"].tolist(), starts, strict=True):
        newest.setdefault(trace_id, start)
    ranked = sorted(newest.items(), key=lambda item: (-item[1], item[0]))[:limit]
    cut_short = len(starts) == portion and (len(ranked) < limit or ranked[-1][1] == starts[-1])
    return None if cut_short else [trace_id for trace_id, _ in ranked]


def _of_all_spans(engine: Engine, where: Conditions, limit: int) -> list[str]:
    frame = engine.query(
        f"SELECT TraceId FROM otel_traces WHERE {where}"
        f" GROUP BY TraceId ORDER BY max(Timestamp) DESC, TraceId LIMIT {limit}",
        where.params,
    )
    return [str(trace_id) for trace_id in frame["TraceId"]]


def conditions(query: TraceQuery) -> Conditions:
    """The query as SQL over `otel_traces`."""
    where = Conditions()
    if query.service:
        add_service(where, query.service)
    if query.operation:
        where.add(f"SpanName = {where.bind(query.operation)}")
    low, high = where.bind(query.start_ns, "Int64"), where.bind(query.end_ns, "Int64")
    where.add(f"Timestamp BETWEEN fromUnixTimestamp64Nano({low}) AND fromUnixTimestamp64Nano({high})")
    if query.min_duration_ns is not None:
        where.add(f"Duration >= {where.bind(max(0, query.min_duration_ns), 'UInt64')}")
    if query.max_duration_ns is not None:
        where.add(f"Duration <= {where.bind(max(0, query.max_duration_ns), 'UInt64')}")
    for key, value in query.tags.items():
        add_tag(where, key, value)
    return where


def add_service(where: Conditions, service: str) -> None:
    """The service under the name given, as `app` when asked `app.namespace`, and the other way round.

    Istio's tracers report `app.namespace`, applications mostly `app`; asked for `app`, both are
    meant. Asked for `app.namespace`, plain `app` counts where the span or its resource names that
    namespace.
    """
    name, prefix = where.bind(service), where.bind(service + ".")
    length = len(service.encode()) + 2
    either = [f"ServiceName = {name}"]
    app, dot, namespace = service.partition(".")
    if not dot:
        either.append(f"(startsWith(ServiceName, {prefix}) AND position(ServiceName, '.', {length}) = 0)")
    elif app and namespace and "." not in namespace:
        space = where.bind(namespace)
        named = " OR ".join(
            f"{attribute} = {space}"
            for attribute in (
                "ResourceAttributes['service.namespace']",
                "ResourceAttributes['k8s.namespace.name']",
                "SpanAttributes['istio.namespace']",
            )
        )
        either.append(f"(ServiceName = {where.bind(app)} AND ({named}))")
    where.add("(" + " OR ".join(either) + ")")


def add_tag(where: Conditions, key: str, value: str) -> None:
    """One condition on an attribute or special key (see `TraceQuery`)."""
    special = _SPECIAL.get(key)
    if special is not None:
        where.add(special(where, value))
    elif key.startswith("resource."):
        where.add(_matches(where, "ResourceAttributes", "resource.", key.removeprefix("resource."), value))
    else:
        where.add(_anywhere(where, key, value))


def _anywhere(where: Conditions, key: str, value: str) -> str:
    scopes = (("SpanAttributes", "span."), ("ScopeAttributes", "scope."), ("ResourceAttributes", "resource."))
    either = [_matches(where, column, prefix, key, value) for column, prefix in scopes]
    name, wanted = where.bind(key), where.bind(value)
    either += [
        f"arrayExists(a -> mapContains(a, {name}) AND a[{name}] = {wanted}, `{column}.Attributes`)"
        for column in ("Events", "Links")
    ]
    return "(" + " OR ".join(either) + ")"


def _matches(where: Conditions, column: str, prefix: str, key: str, value: str) -> str:
    name, wanted = where.bind(key), where.bind(value)
    same = f"{column}[{name}] = {wanted}" if value else f"(mapContains({column}, {name}) AND {column}[{name}] = '')"
    number = _number(value)
    if number is None:
        return same
    typed = f"AttributeTypes[{where.bind(prefix + key)}] IN ('int', 'double')"
    return f"({same} OR ({typed} AND toFloat64OrNull({column}[{name}]) = {where.bind(number, 'Float64')}))"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if math.isfinite(number) and abs(number) <= 1 << 53 else None


def _error(where: Conditions, value: str) -> str:
    failed = "(StatusCode = 'Error' OR SpanAttributes['error'] = 'true')"
    return {"true": failed, "false": f"NOT {failed}"}.get(value, f"SpanAttributes['error'] = {where.bind(value)}")


def _column(column: str) -> Any:
    return lambda where, value: f"{column} = {where.bind(value)}"


def _capitalized(column: str) -> Any:
    return lambda where, value: f"{column} = {where.bind(value.capitalize())}"


_SPECIAL = {
    "error": _error,
    "span.kind": _capitalized("SpanKind"),
    "span.status": _capitalized("StatusCode"),
    "scope.name": _column("ScopeName"),
    "scope.version": _column("ScopeVersion"),
}
