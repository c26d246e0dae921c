"""Which traces an analysis is about: as parameters of a GET, or as part of a POST's body."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.datastructures import QueryParams

from windvane.api.windvane.docs import Parameter
from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.analysis.load import Window, read_spans
from windvane.tracing.analysis.spans import Spans
from windvane.tracing.duration import parse_go_duration
from windvane.tracing.filters.parse import parse
from windvane.tracing.pages import SORTS, Sort
from windvane.tracing.search import MAX_TRACES, TraceQuery, find_trace_ids

DEFAULT_TRACES = 1_000
Model = TypeVar("Model", bound=BaseModel)
_HOUR = 3_600
_TRACE_ID = re.compile(r"[0-9a-f]{1,32}")


class TraceChoice(BaseModel):
    """Traces of which one span meets all that is given, or those with given ids.

    `q` is the query bar's language; `sort` (newest, oldest, slowest, most) says which come first, and so which a limit
    keeps. Times are seconds since the epoch (the last hour, when not given), durations as in `1.5s` or `20ms`;
    `tags` are attributes and their values, with the special keys of the trace search (`error`, `span.kind`,
    `resource.…`).
    """

    model_config = ConfigDict(extra="forbid")

    q: str = ""
    service: str = ""
    operation: str = ""
    start: float | None = Field(default=None, ge=0, lt=9_000_000_000)
    end: float | None = Field(default=None, ge=0, lt=9_000_000_000)
    tags: dict[str, str] = {}
    min_duration: str = ""
    max_duration: str = ""
    trace_ids: list[str] = []
    sort: Sort = "newest"
    limit: int = Field(default=DEFAULT_TRACES, ge=1, le=MAX_TRACES)

    def window(self, now_ns: int) -> Window:
        """The times asked for, nanoseconds."""
        end_ns = now_ns if self.end is None else _nanoseconds(self.end)
        start_ns = end_ns - _HOUR * 10**9 if self.start is None else _nanoseconds(self.start)
        if start_ns > end_ns:
            raise BadInputError(f"start {start_ns / 1e9:.3f} is after end {end_ns / 1e9:.3f}")
        return start_ns, end_ns

    def query(self, now_ns: int) -> TraceQuery:
        """The search that finds them."""
        start_ns, end_ns = self.window(now_ns)
        return TraceQuery(
            start_ns, end_ns, service=self.service, operation=self.operation, tags=self.tags,
            min_duration_ns=_duration("min_duration", self.min_duration),
            max_duration_ns=_duration("max_duration", self.max_duration),
            limit=self.limit, where=parse(self.q), sort=self.sort,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Chosen:
    """Ids of the traces, the times they are read from (None: any); `truncated` when there may be more."""

    ids: list[str]
    window_ns: Window | None
    truncated: bool

    def spans(self, engine: Engine) -> Spans:
        """Their spans."""
        return read_spans(engine, self.ids, self.window_ns)


def choose(engine: Engine, choice: TraceChoice, now_ns: int) -> Chosen:
    """Find the traces."""
    if choice.trace_ids:
        if len(choice.trace_ids) > MAX_TRACES:
            raise BadInputError(f"trace_ids: {len(choice.trace_ids)} of them; at most {MAX_TRACES}")
        return Chosen([trace_id(one) for one in choice.trace_ids], None, False)
    ids = find_trace_ids(engine, choice.query(now_ns))
    return Chosen(ids, choice.window(now_ns), len(ids) == choice.limit)


def trace_id(text: str) -> str:
    """A trace id of 32 hex characters from one that may be shorter."""
    if not _TRACE_ID.fullmatch(text.lower()):
        raise BadInputError(f"not a trace id: {text!r} (expected up to 32 hex characters)")
    return text.lower().zfill(32)


PARAMETERS = (
    Parameter("q", "What one span of the trace must satisfy, in the query bar's language."),
    Parameter("service", "Service of a span that meets all that is given, with or without its namespace."),
    Parameter("operation", "The span's operation."),
    Parameter("start", "Earliest start, seconds since the epoch (default: an hour before the end).", "number"),
    Parameter("end", "Latest start, seconds since the epoch (default: now).", "number"),
    Parameter("tag", "An attribute as key:value, such as error:true; may be repeated."),
    Parameter("min_duration", "The span's least duration, such as 20ms."),
    Parameter("max_duration", "The span's greatest duration."),
    Parameter("trace_id", "Instead of all others: the id of a trace; may be repeated."),
    Parameter("limit", f"How many traces at most (up to {MAX_TRACES}).", "integer", default=DEFAULT_TRACES),
    Parameter("sort", f"Which come first: {', '.join(SORTS)}.", default="newest"),
)


def choice_of(params: QueryParams) -> TraceChoice:
    """The choice in a request's parameters."""
    tags = {}
    for text in params.getlist("tag"):
        key, colon, value = text.partition(":")
        if not colon or not key:
            raise BadInputError(f"tag {text!r}: expected key:value")
        tags[key] = value
    names = ("q", "service", "operation", "start", "end", "min_duration", "max_duration", "sort", "limit")
    plain = {name: params[name] for name in names if params.get(name)}
    return validated(TraceChoice, {**plain, "tags": tags, "trace_ids": params.getlist("trace_id")})


def validated(model: type[Model], values: object) -> Model:
    """A model of values that came from outside; the error names what is wrong and where."""
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise BadInputError("; ".join(_problems(error))) from None


def _problems(error: ValidationError) -> Sequence[str]:
    return [
        f"{'.'.join(map(str, one['loc'])) or 'body'} {one['input']!r}: {one['msg']}"[:300]
        for one in error.errors(include_url=False, include_context=False)
    ]


def _duration(name: str, text: str) -> int | None:
    if not text:
        return None
    try:
        return parse_go_duration(text)
    except BadInputError as error:
        raise BadInputError(f"{name}: {error.message}") from None


def _nanoseconds(seconds: float) -> int:
    return round(seconds * 1_000_000) * 1_000
