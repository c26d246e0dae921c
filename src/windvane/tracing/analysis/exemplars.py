"""From a point of a metric to traces that made it.

Three kinds of metrics know their traces: any series with stored exemplars (they carry a trace id); Istio's, made of
access-log entries; and metrics of spans (`traces_spanmetrics_*`, `traces_span_metrics_*`), made of spans. Entries
whose labels match are found as they were counted: the engine groups entries by what labels derive from, and whoever
names traffic (`Naming`) gives each group its labels. Nearest in value come first: to the value asked for, else to the
upper bound of the bucket; without either, the newest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from windvane.kit.errors import BadInputError, LimitError
from windvane.store.api import Engine, Limits

_LIMITS = Limits(seconds=30.0)
MAX_KINDS = 20_000


@dataclass(frozen=True, slots=True)
class Matcher:
    """A label and how its value must be: `accepts` is asked with '' where there is no such label."""

    label: str
    accepts: Callable[[str], bool]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a metric: its name, matchers of its labels, the times it is made of, perhaps a value near it.

    `bucket` is the histogram bucket's bounds in the metric's unit, the lower one not included.
    """

    metric: str
    matchers: Sequence[Matcher]
    start_ns: int
    end_ns: int
    value: float | None = None
    bucket: tuple[float, float] | None = None
    limit: int = 20


@dataclass(frozen=True, slots=True)
class Naming:
    """How traffic gets Istio's labels: SQL of what they derive from, by name, and the labels of one such row."""

    columns: Mapping[str, str]
    labels: Callable[[Mapping[str, Any]], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Exemplar:
    """A trace with the value it added to the point, in the metric's unit, and where this is known from."""

    trace_id: str
    time_ns: int
    value: float
    source: str


# Istio's metrics: which number of an entry each is about, in the metric's unit. A count is about the duration.
_ISTIO = {
    "istio_requests_total": "DurationNs / 1e6",
    "istio_request_duration_milliseconds": "DurationNs / 1e6",
    "istio_request_bytes": "toFloat64(RequestBytes)",
    "istio_response_bytes": "toFloat64(ResponseBytes)",
    "istio_request_messages_total": "toFloat64(RequestMessages)",
    "istio_response_messages_total": "toFloat64(ResponseMessages)",
}
_SPAN_PREFIXES = ("traces_spanmetrics_", "traces_span_metrics_")
_SPAN_LABELS = {
    "service": "toString(ServiceName)",
    "service_name": "toString(ServiceName)",
    "span_name": "toString(SpanName)",
    "operation": "toString(SpanName)",
    "span_kind": "concat('SPAN_KIND_', upper(toString(SpanKind)))",
    "status_code": "concat('STATUS_CODE_', upper(toString(StatusCode)))",
}
_NOT_OF_TRAFFIC = ("le", "job", "instance")  # of the histogram, or given by who scraped
_SUFFIXES = ("_bucket", "_sum", "_count")


def family(metric: str) -> str:
    """A histogram's name without what its series add."""
    for suffix in _SUFFIXES:
        if metric.endswith(suffix):
            return metric.removesuffix(suffix)
    return metric


def exemplars(engine: Engine, point: Point, naming: Naming) -> list[Exemplar]:
    """Traces that made a point, the nearest in value first; a trace comes once."""
    if not point.metric:
        raise BadInputError("the selector names no metric")
    found = _stored(engine, point)
    base = family(point.metric)
    if base in _ISTIO:
        found += _made(engine, point, _entries(naming, _ISTIO[base]))
    elif base.startswith(_SPAN_PREFIXES):
        found += _made(engine, point, _spans(base))
    target = point.value if point.value is not None else (point.bucket[1] if point.bucket else None)
    if target is None or target == float("inf"):
        found.sort(key=lambda one: (-one.time_ns, one.trace_id))
    else:
        found.sort(key=lambda one: (abs(one.value - target), -one.time_ns, one.trace_id))
    once = {one.trace_id: one for one in reversed(found)}
    return [one for one in found if once[one.trace_id] is one][: point.limit]


def _stored(engine: Engine, point: Point) -> list[Exemplar]:
    """Exemplars that came with the metric."""
    names = sorted({point.metric, family(point.metric), family(point.metric) + "_bucket"})
    series = engine.query(
        "SELECT DISTINCT Id, toJSONString(Labels) AS L FROM series WHERE Name IN {names:Array(String)}"
        " AND Id IN (SELECT Id FROM exemplars WHERE Time BETWEEN fromUnixTimestamp64Milli({low:Int64})"
        " AND fromUnixTimestamp64Milli({high:Int64}))",
        {"names": names, **_milliseconds(point)},
        limits=_LIMITS,
    )
    chosen = [
        number
        for number, text in zip(series["Id"].tolist(), series["L"].tolist(), strict=True)
        if _accepted(point, orjson.loads(text), ("le",))
    ]
    if not chosen:
        return []
    rows = engine.query(
        "SELECT lower(if(Labels['trace_id'] != '', Labels['trace_id'], Labels['traceID'])) AS Trace,"
        " toUnixTimestamp64Milli(Time) AS T, Value FROM exemplars WHERE Id IN {ids:Array(UInt64)}"
        " AND Time BETWEEN fromUnixTimestamp64Milli({low:Int64}) AND fromUnixTimestamp64Milli({high:Int64})"
        " AND Trace != ''" + _in_bucket(point, "Value") + _nearest(point, "Value", "Time"),
        {"ids": chosen, **_milliseconds(point), **_numbers(point)},
        limits=_LIMITS,
    )
    return _told(rows, "exemplar", 10**6)


@dataclass(frozen=True, slots=True)
class _Counted:
    """Rows that metrics count: where from, under which name, and the value of each in the metric's unit."""

    rows: str
    source: str
    naming: Naming
    value: str


def _entries(naming: Naming, value: str) -> _Counted:
    """Access-log entries, which Istio's metrics count."""
    rows = "FROM envoy_access_logs WHERE Kind = 'http' AND Intermediate = 0 AND TraceId != ''"
    return _Counted(rows, "access log", naming, value)


def _spans(base: str) -> _Counted:
    """Spans, which metrics of spans count."""
    unit = 1e9 if base.endswith(("_seconds", "_latency")) else 1e6
    naming = Naming(_SPAN_LABELS, lambda row: {name: str(text) for name, text in row.items()})
    return _Counted("FROM otel_traces WHERE 1", "span", naming, f"Duration / {unit:g}")


def _made(engine: Engine, point: Point, counted: _Counted) -> list[Exemplar]:
    """Rows of the kinds whose labels match, the nearest in value."""
    columns = ", ".join(f"{sql} AS t_{name}" for name, sql in counted.naming.columns.items())
    hashed = "sipHash64(" + ", ".join(f"toString({sql})" for sql in counted.naming.columns.values()) + ")"
    within = (
        f"{counted.rows} AND Timestamp BETWEEN fromUnixTimestamp64Nano({{low:Int64}})"
        " AND fromUnixTimestamp64Nano({high:Int64})"
    )
    window = {"low": point.start_ns, "high": point.end_ns}
    kinds = engine.query(
        f"SELECT DISTINCT {hashed} AS Code, {columns} {within} LIMIT {MAX_KINDS}", window, limits=_LIMITS
    )
    if len(kinds) == MAX_KINDS:
        raise LimitError(f"more than {MAX_KINDS:,} kinds of traffic in the window; choose a shorter one")
    chosen = []
    for row in kinds.to_dict("records"):
        code = row.pop("Code")
        if _accepted(point, counted.naming.labels({str(name).removeprefix("t_"): one for name, one in row.items()})):
            chosen.append(code)
    if not chosen:
        return []
    found = engine.query(
        f"SELECT TraceId AS Trace, toUnixTimestamp64Nano(Timestamp) AS T, {counted.value} AS Value {within}"
        f" AND {hashed} IN {{kinds:Array(UInt64)}}{_in_bucket(point, counted.value)}"
        + _nearest(point, counted.value, "Timestamp"),
        {**window, "kinds": chosen, **_numbers(point)},
        limits=_LIMITS,
    )
    return _told(found, counted.source, 1)


def _accepted(point: Point, labels: Mapping[str, str], besides: Sequence[str] = _NOT_OF_TRAFFIC) -> bool:
    return all(m.accepts(labels.get(m.label, "")) for m in point.matchers if m.label not in besides)


def _in_bucket(point: Point, value: str) -> str:
    if point.bucket is None:
        return ""
    return f" AND {value} > {{above:Float64}} AND {value} <= {{upto:Float64}}"


def _nearest(point: Point, value: str, time: str) -> str:
    if point.value is not None:
        order = f"abs({value} - {{near:Float64}}), {time} DESC"
    elif point.bucket is not None and point.bucket[1] != float("inf"):
        order = f"{value} DESC, {time} DESC"
    else:
        order = f"{time} DESC"
    return f" ORDER BY {order} LIMIT {4 * point.limit:d}"


def _numbers(point: Point) -> dict[str, float]:
    numbers = {} if point.value is None else {"near": point.value}
    if point.bucket is not None:
        numbers |= {"above": point.bucket[0], "upto": point.bucket[1]}
    return numbers


def _milliseconds(point: Point) -> dict[str, int]:
    return {"low": point.start_ns // 10**6, "high": point.end_ns // 10**6}


def _told(rows: Any, source: str, unit: int) -> list[Exemplar]:
    return [
        Exemplar(trace_id, int(time) * unit, float(value), source)
        for trace_id, time, value in zip(*(rows[name].tolist() for name in ("Trace", "T", "Value")), strict=True)
    ]
