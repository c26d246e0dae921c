"""Parameters of api_v3 over HTTP: each has a camelCase name and older aliases, named in errors as they were given."""

from __future__ import annotations

import re
from collections.abc import Mapping

from starlette.datastructures import QueryParams

from windvane.api.jaeger import params
from windvane.api.jaeger.queries import DEFAULT_LIMIT
from windvane.kit.errors import BadInputError
from windvane.tracing.duration import parse_go_duration
from windvane.tracing.search import TraceQuery

_ALIASES: Mapping[str, tuple[str, ...]] = {"query.searchDepth": ("query.search_depth", "query.num_traces")}
NOT_SUPPORTED = ("query.filter", "query.pagination.pageSize", "query.pagination.pageToken")
"""Refused, for an answer without them would be another one than was asked for."""
_CAPITAL = re.compile(r"[A-Z]")


def malformed(name: str, reason: str) -> BadInputError:
    """The error of a parameter that does not parse."""
    return BadInputError(f"malformed parameter {name}: {reason}")


class V3Params:
    """The parameters of one request. An empty one counts as absent."""

    def __init__(self, given: QueryParams) -> None:
        self._given = given

    def text(self, name: str) -> str:
        """A parameter's value, '' without one."""
        return self._find(name)[1]

    def time(self, name: str) -> int | None:
        """An RFC 3339 time in nanoseconds."""
        given, text = self._find(name)
        if not text:
            return None
        try:
            return params.bounded(params.parse_time(text))
        except BadInputError as error:
            raise malformed(given, error.message) from None

    def duration(self, name: str) -> int | None:
        """A Go duration in nanoseconds; zero is none."""
        given, text = self._find(name)
        if not text:
            return None
        try:
            return parse_go_duration(text) or None
        except BadInputError as error:
            raise malformed(given, error.message) from None

    def flag(self, name: str) -> bool:
        """A truth value; absent is false."""
        given, text = self._find(name)
        try:
            return bool(text) and params.parse_bool(text)
        except BadInputError as error:
            raise malformed(given, error.message) from None

    def depth(self, name: str) -> int:
        """How many traces at most."""
        given, text = self._find(name)
        if not text:
            return DEFAULT_LIMIT
        try:
            return params.parse_int(text, bits=32)
        except BadInputError as error:
            raise malformed(given, error.message.replace("ParseInt", "Atoi")) from None

    def _find(self, name: str) -> tuple[str, str]:
        """The name under which the parameter was given, and its value."""
        snake = _CAPITAL.sub(lambda capital: f"_{capital[0].lower()}", name)
        for given in (name, *_ALIASES.get(name, (snake,))):
            if text := self._given.get(given, ""):
                return given, text
        return name, ""


def trace_query(given: V3Params) -> TraceQuery:
    """A search from the `query.` parameters; `BadInputError` carries Jaeger's message."""
    for name in NOT_SUPPORTED:
        if given.text(name):
            raise BadInputError(f"{name} is not supported")
    low, high = given.time("query.startTimeMin"), given.time("query.startTimeMax")
    if low is None or high is None:
        raise BadInputError("query.startTimeMin and query.startTimeMax are required")
    if low >= high:
        raise BadInputError("query.startTimeMin must be before query.startTimeMax")
    attributes = given.text("query.attributes")
    depth = given.depth("query.searchDepth")
    if depth <= 0:
        raise BadInputError("search depth must be greater than 0")
    return TraceQuery(
        start_ns=low,
        end_ns=high,
        service=given.text("query.serviceName"),
        operation=given.text("query.operationName"),
        tags=params.string_map(attributes, "malformed parameter query.attributes") if attributes else {},
        min_duration_ns=given.duration("query.durationMin"),
        max_duration_ns=given.duration("query.durationMax"),
        limit=depth,
    )
