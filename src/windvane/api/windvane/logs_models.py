"""What the routes under `/api/windvane/v1/logs` answer. Times are ISO 8601 with nanoseconds, UTC."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel


class LogLine(BaseModel):
    """One line.

    `id` is unique among all lines and stays. `severity` is trace, debug, info, warn, error, fatal or empty;
    `severity_number` is OpenTelemetry's, 0 for none. `trace_id` may have been found by the line's request id
    (`trace_by`: own, request_id, or empty without a trace). `entry`: the columns of an access-log entry in
    snake_case, null for OTLP logs; its `body` is a summary of them.
    """

    id: str
    kind: Literal["log", "access"]
    time: str
    severity: str
    severity_number: int
    severity_text: str
    service: str
    body: str
    trace_id: str
    trace_by: Literal["own", "request_id", ""]
    span_id: str
    request_id: str
    event: str
    scope: str
    attributes: dict[str, str]
    resource: dict[str, str]
    entry: dict[str, Any] | None


class LogLines(BaseModel):
    """A page of lines; `next` is the cursor of the page behind it, null for the last one."""

    lines: list[LogLine]
    next: str | None


class LogSeries(BaseModel):
    """Lines in each bucket; an empty name: lines without one; `*`: the rest of the services."""

    name: str
    counts: list[int]


class LogHistogram(BaseModel):
    """Counts by time: bucket i begins at `start` + i × `step_ms`; all series add up to `total`."""

    start: str
    step_ms: float
    total: int
    by: Literal["severity", "status", "service", "kind"]
    series: list[LogSeries]


class LogValue(BaseModel):
    """A value and how many of the lines looked at have it."""

    value: str
    lines: int


class LogField(BaseModel):
    """A name that a query can use; `scope` is empty for a line's own fields. `values` begin with the most frequent."""

    name: str
    scope: Literal["", "log", "resource", "scope", "request", "response", "trailer", "tag"]
    lines: int
    different: int
    values: list[LogValue]


class LogFields(BaseModel):
    """Names in use by how many of the `lines` looked at (the newest) have them."""

    lines: int
    fields: list[LogField]


class LogPattern(BaseModel):
    """Lines of one shape: `template` has `<*>` where they differ.

    `count` lines of the window, `share` of them (0 to 1); `before` lines of the baseline window, null without one,
    and `change`: `new`, `gone`, or empty. `severity` is the highest of its lines,
    `status` the class of their status (empty for OTLP logs). `query` finds the lines of the pattern.
    """

    kind: Literal["log", "access"]
    template: str
    status: str
    count: int
    share: float
    before: int | None
    change: Literal["new", "gone", ""]
    severity: str
    services: list[str]
    first: str
    last: str
    example: str
    query: str


class LogPatterns(BaseModel):
    """Patterns by their number of lines. `lines` match in the window; `read` of them were grouped (the newest)."""

    lines: int
    read: int
    patterns: list[LogPattern]


class TailEvents(BaseModel):
    """Server-sent events: `line` (a LogLine), `skipped` (`{"lines": n}`: so many did not reach a slow client)."""

    event: Literal["line", "skipped"]


class TraceLines(BaseModel):
    """Lines of one trace, in the order of time; `request_ids` are those by which lines without its id were found."""

    trace_id: str
    request_ids: list[str]
    lines: list[LogLine]
    more: bool


class Imported(BaseModel):
    """How many entries were stored."""

    stored: int
