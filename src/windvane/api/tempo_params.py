"""Parameters of Tempo's HTTP API: names, defaults and messages are Tempo's."""

from __future__ import annotations

import datetime
import re

from starlette.datastructures import QueryParams

from windvane.kit.errors import BadInputError
from windvane.tracing.duration import parse_go_duration
from windvane.tracing.traceql.lexer import parse_duration
from windvane.tracing.traceql.parse import parse
from windvane.tracing.traceql.series import Slots
from windvane.tracing.traceql.syntax import (
    Attribute,
    Binary,
    Duration,
    Field,
    Filter,
    Intrinsic,
    IntrinsicField,
    Literal,
    Metrics,
    MetricsMath,
    Pipeline,
    Scope,
    Search,
    Status,
)

SECOND = 10**9
DEFAULT_LIMIT = 20
DEFAULT_SPANS = 3
MAX_SPANS = 10_000
RECENT_NS = 24 * 3_600 * SECOND
"""How far back is looked without a time: Tempo looks at what it holds in memory."""
METRICS_SINCE_NS = 3_600 * SECOND

_INTEGER = re.compile(r"-?\d{1,18}")
_NUMBER = re.compile(r"\d+(\.\d+)?")
_LOGFMT = re.compile(r'\s*([^\s="]+)(?:=(?:"((?:[^"\\]|\\.)*)"|([^\s"]*)))?(?=\s|$)')
_SPECIAL = re.compile(r"([\\.+*?()|\[\]{}^$])")
_STATUSES = {"error": Status.ERROR, "ok": Status.OK, "unset": Status.UNSET}
_TEXT_TAGS = {
    "name": Intrinsic.NAME,
    "root.name": Intrinsic.ROOT_NAME,
    "root.service.name": Intrinsic.ROOT_SERVICE,
}


def integer(params: QueryParams, name: str, default: int, least: int = 1) -> int:
    """A whole number of at least `least`."""
    text = params.get(name, "")
    if not text:
        return default
    if not _INTEGER.fullmatch(text):
        raise BadInputError(f'invalid {name}: strconv.Atoi: parsing "{text}": invalid syntax')
    number = int(text)
    if number < least:
        raise BadInputError(f"invalid {name}: must be a {'positive' if least else 'non-negative'} number")
    return number


def window(params: QueryParams, now_ns: int) -> tuple[int, int]:
    """The time asked for by `start` and `end` (seconds), both ends included; the last day without them."""
    end = integer(params, "end", 0, 0)
    start = integer(params, "start", 0, 0)
    if start and end and end <= start:
        raise BadInputError(f"http parameter start must be before end. received start={start} end={end}")
    end_ns = min(end * SECOND, (1 << 62)) if end else now_ns
    start_ns = min(start * SECOND, (1 << 62)) if start else max(0, end_ns - RECENT_NS)
    return start_ns, max(start_ns, end_ns)


def trace_window(params: QueryParams) -> tuple[int, int] | None:
    """The time within which a trace's spans count; None for all."""
    start, end = integer(params, "start", 0, 0), integer(params, "end", 0, 0)
    if not start and not end:
        return None
    if end and end <= start:
        raise BadInputError(f"http parameter start must be before end. received start={start} end={end}")
    return min(start * SECOND, 1 << 62), min(end * SECOND, 1 << 62) if end else (1 << 62)


def search_pipeline(params: QueryParams) -> Pipeline:
    """What is searched for: `q`, or `tags`; both narrowed by `minDuration` and `maxDuration` of the trace."""
    text, tags = params.get("q", "").strip(), params.get("tags", "").strip()
    if text and tags:
        raise BadInputError("invalid request: can't specify tags and q in the same query")
    pipeline = Pipeline((Filter(),))
    if text:
        query = parse(text)
        if not isinstance(query, Search):
            raise BadInputError("a metrics query is answered by /api/metrics/query_range, not by a search")
        pipeline = query.pipeline
    elif tags:
        pipeline = Pipeline((Filter(tags_condition(tags)),))
    return Pipeline(pipeline.stages + _durations(params))


def _durations(params: QueryParams) -> tuple[Filter, ...]:
    bounds = {name: _go_duration(params, name) for name in ("minDuration", "maxDuration")}
    least, most = bounds["minDuration"], bounds["maxDuration"]
    if least and most and least > most:
        raise BadInputError("invalid maxDuration: must be greater than minDuration")
    duration = IntrinsicField(Intrinsic.TRACE_DURATION)
    return tuple(
        Filter(Binary(op, duration, Literal(Duration(bound)))) for op, bound in ((">=", least), ("<=", most)) if bound
    )


def _go_duration(params: QueryParams, name: str) -> int:
    text = params.get(name, "")
    if not text:
        return 0
    try:
        return parse_go_duration(text)
    except BadInputError as error:
        raise BadInputError(f"invalid {name}: {error.message}") from None


def tags_condition(text: str) -> Field:
    """The condition of logfmt tags: each value is part of the attribute's, whatever the case; all have to hold."""
    condition: Field = Literal(True)
    position = 0
    while text[position:].strip():
        match = _LOGFMT.match(text, position)
        if match is None:
            raise BadInputError(f"invalid tags: unexpected text at pos {position + 1}, expected key=value")
        value = match[3] if match[2] is None else re.sub(r"\\(.)", r"\1", match[2])
        tag = _tag(match[1], value or "")
        condition = tag if condition == Literal(True) else Binary("&&", condition, tag)
        position = match.end()
    return condition


def _tag(key: str, value: str) -> Field:
    if key in ("status", "status.code", "error"):
        word = {"true": "error", "false": "unset"}.get(value, value) if key == "error" else value
        if word not in _STATUSES:
            raise BadInputError(f"invalid tags: {key} is one of ok, error, unset, not {value!r}")
        return Binary("=", IntrinsicField(Intrinsic.STATUS), Literal(_STATUSES[word]))
    field: Field = IntrinsicField(_TEXT_TAGS[key]) if key in _TEXT_TAGS else Attribute(Scope.ANY, key)
    escaped = _SPECIAL.sub(r"\\\1", value)
    part = Binary("=~", field, Literal(f"(?i).*{escaped}.*"))
    if isinstance(field, IntrinsicField):
        return part
    if value in ("true", "false"):
        return Binary("||", part, Binary("=", field, Literal(value == "true")))
    if _NUMBER.fullmatch(value) and len(value) <= 15:
        number = float(value) if "." in value else int(value)
        return Binary("||", part, Binary("=", field, Literal(number)))
    return part


def metrics_query(params: QueryParams) -> Metrics | MetricsMath:
    """The query of a metrics request."""
    text = params.get("q", params.get("query", "")).strip()
    if not text:
        raise BadInputError("invalid request: missing query")
    query = parse(text)
    if isinstance(query, Search):
        raise BadInputError("not a metrics query: it has no metrics function such as rate()")
    return query


def metrics_slots(params: QueryParams, now_ns: int, *, instant: bool) -> Slots:
    """The times of a metrics request: `start` and `end`, or `since`; of a range query `step` as well."""
    end_ns = moment(params, "end") or now_ns
    start_ns = moment(params, "start")
    if start_ns is None:
        since = params.get("since", "")
        back = parse_duration(since) if since else METRICS_SINCE_NS
        if back is None:
            raise BadInputError(f'invalid since: not a valid duration string: "{since}"')
        start_ns = end_ns - back
    if end_ns <= start_ns:
        raise BadInputError(f"http parameter start must be before end. received start={start_ns} end={end_ns}")
    return Slots.of(start_ns, end_ns, None if instant else _step(params, end_ns - start_ns))


def moment(params: QueryParams, name: str) -> int | None:
    """A time given in seconds, in nanoseconds or as RFC 3339; nanoseconds, None when it is not given."""
    text = params.get(name, "")
    if not text:
        return None
    if _NUMBER.fullmatch(text) and len(text) <= 22:
        return int(float(text) * SECOND) if "." in text or len(text) <= 11 else int(text)
    try:
        parsed = datetime.datetime.fromisoformat(text)
    except ValueError:
        raise BadInputError(f'invalid {name}: cannot parse "{text}" to a valid timestamp') from None
    if parsed.tzinfo is None:
        parsed = parsed.replace(tzinfo=datetime.UTC)
    return int(parsed.timestamp()) * SECOND + parsed.microsecond * 1_000


def _step(params: QueryParams, length_ns: int) -> int:
    text = params.get("step", "")
    if not text:
        return default_step(length_ns)
    step = int(float(text) * SECOND) if _NUMBER.fullmatch(text) and len(text) <= 12 else parse_duration(text)
    if not step:
        raise BadInputError(f'invalid step: not a valid duration string: "{text}"')
    return step


def default_step(length_ns: int) -> int:
    """About 240 points: whole multiples of 5 s, or of 1 s where that is shorter."""
    wanted = length_ns // 240
    for unit in (5 * SECOND, SECOND):
        if wanted >= unit:
            return wanted // unit * unit
    return SECOND
