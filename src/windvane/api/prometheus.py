"""The HTTP API of Prometheus v1: queries, and which series there are.

The other faces of the API are its neighbours: `prometheus_status`, `prometheus_facts` (metadata and
exemplars), `prometheus_admin`, `prometheus_federate`, `prometheus_read`, `prometheus_rules`,
`prometheus_targets`, `remote_write`.
"""

from __future__ import annotations

import re
from dataclasses import replace

import orjson
from starlette.routing import BaseRoute

from windvane.api.prometheus_http import ApiError, Handler, api_route, success
from windvane.api.prometheus_json import query_data, series_count
from windvane.api.prometheus_params import EARLIEST, LATEST, Params, milliseconds, named
from windvane.api.prometheus_status import StatusInfo, status_routes
from windvane.kit.clock import Clock
from windvane.promql.ast_json import tree
from windvane.promql.catalog import Listing, Window
from windvane.promql.engine import QueryEngine, QueryOptions, QueryResult
from windvane.promql.errors import QueryError, QueryTimeoutError
from windvane.promql.parse import parse
from windvane.promql.printer import pretty
from windvane.promql.quoting import quote

_MAX_POINTS = 11_000
_MAX_ANNOTATIONS = 10
_ESCAPED = re.compile(r"__|_([0-9a-fA-F]{1,6})_")
TRUNCATED = "results truncated due to limit"


def routes(queries: QueryEngine, clock: Clock, info: StatusInfo) -> list[BaseRoute]:
    """Queries, series and status on one query engine; times default to now on `clock`."""
    face = _Face(queries, clock)
    both, get = ["GET", "POST"], ["GET"]
    table: list[tuple[str, Handler, list[str]]] = [
        ("query", face.query, both),
        ("query_range", face.query_range, both),
        ("format_query", face.format_query, both),
        ("parse_query", face.parse_query, both),
        ("labels", face.labels, both),
        ("label/{name:path}/values", face.label_values, get),
        ("series", face.series, both),
        ("series", face.drop_series, ["DELETE"]),
    ]
    own: list[BaseRoute] = [api_route(path, handler, methods) for path, handler, methods in table]
    return own + status_routes(clock, info)


class _Face:
    def __init__(self, queries: QueryEngine, clock: Clock) -> None:
        self._queries = queries
        self._clock = clock

    def query(self, params: Params) -> bytes:
        """`/query`: one moment."""
        params.limit()
        at = params.time("time", self._clock.now_ns() // 1_000_000)
        options = _options(params)
        with named("query"):
            result = self._queries.instant(params.text("query"), at, options)
        return _answer(result, params)

    def query_range(self, params: Params) -> bytes:
        """`/query_range`: from start to end in steps."""
        params.limit()
        start, end = params.required_time("start"), params.required_time("end")
        if end < start:
            raise QueryError('invalid parameter "end": end timestamp must not be before start time')
        seconds = params.required_duration("step")
        if seconds <= 0:
            raise QueryError(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer"
            )
        if (end - start) // (seconds * 1000) > _MAX_POINTS:
            raise QueryError(
                "exceeded maximum resolution of 11,000 points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        options = _options(params)
        with named("query"):
            step = max(1, int(seconds * 1000))
            options = replace(options, resolution_ms=_resolution(params, step))
            result = self._queries.range(params.text("query"), start, end, step, options)
        return _answer(result, params)

    def format_query(self, params: Params) -> bytes:
        """`/format_query`: the query, pretty-printed."""
        with named("query"):
            return success(orjson.dumps(pretty(parse(params.text("query")))))

    def parse_query(self, params: Params) -> bytes:
        """`/parse_query`: the query's syntax tree."""
        with named("query"):
            return success(orjson.dumps(tree(parse(params.text("query")))))

    def labels(self, params: Params) -> bytes:
        """`/labels`: label names."""
        limit, window = params.limit(), _window(params)
        return _listed(self._queries.catalog.label_names(params.selectors(), window, limit))

    def label_values(self, params: Params) -> bytes:
        """`/label/<name>/values`."""
        name = unescape_label(params.path["name"])
        if not name or "\ufffd" in name:
            raise QueryError(f"invalid label name: {quote(name)}")
        limit, window = params.limit(), _window(params)
        return _listed(self._queries.catalog.label_values(name, params.selectors(), window, limit))

    def series(self, params: Params) -> bytes:
        """`/series`: label sets."""
        if not params.all("match[]"):
            raise QueryError("no match[] parameter provided")
        limit, window = params.limit(), _window(params)
        with named("match[]"):
            selectors = params.selectors()
        return _listed(self._queries.catalog.series(selectors, window, limit))

    def drop_series(self, _: Params) -> bytes:
        """`DELETE /series`, which Prometheus has no more either."""
        raise ApiError("internal", "not implemented")


def _window(params: Params) -> Window:
    return Window(params.time("start", EARLIEST), params.time("end", LATEST))


def _listed(listing: Listing[str] | Listing[dict[str, str]]) -> bytes:
    return success(orjson.dumps(listing.items), (TRUNCATED,) if listing.truncated else ())


def _options(params: Params) -> QueryOptions:
    timeout = params.duration("timeout")
    try:
        lookback = params.duration("lookback_delta")
    except QueryError as error:
        reason = error.message.partition(": ")[2]
        raise QueryError(f"error parsing lookback delta duration: {reason}") from None
    if timeout is not None and timeout <= 0:
        with named("query"):
            parse(params.text("query"))
        raise QueryTimeoutError("query timed out in query queue")
    return QueryOptions(
        timeout,
        milliseconds(lookback) if lookback else None,
        explain=params.text("stats") == "all",
        cancelled=params.cancelled,
    )


def _resolution(params: Params, step_ms: int) -> int | None:
    """`max_source_resolution` as Thanos has it: how coarse the source may be; `auto` is the step."""
    text = params.text("max_source_resolution")
    if not text:
        return None
    seconds = step_ms / 1000 if text == "auto" else params.duration("max_source_resolution")
    return milliseconds(seconds) if seconds else None


def _answer(result: QueryResult, params: Params) -> bytes:
    warnings, limit = _few(result.warnings, "warning"), params.limit()
    if limit and series_count(result.value) > limit:
        warnings = (*warnings, TRUNCATED)
    stats = result.stats if params.text("stats") else None
    return success(query_data(result.value, limit, stats), warnings, _few(result.infos, "info"))


def _few(notes: tuple[str, ...], kind: str) -> tuple[str, ...]:
    """The first annotations, and how many more there are."""
    more = len(notes) - _MAX_ANNOTATIONS
    return (*notes[:_MAX_ANNOTATIONS], f"{more} more {kind} annotations omitted") if more > 0 else notes


def unescape_label(name: str) -> str:
    """A label name from a URL path: after `U__`, `_hex_` stands for a character and `__` for `_`; else as it is."""
    if not name.startswith("U__"):
        return name
    rest = name[3:]
    pieces, end = [], 0
    for match in _ESCAPED.finditer(rest):
        pieces += [rest[end : match.start()], chr(min(int(match[1], 16), 0x10FFFF)) if match[1] else "_"]
        end = match.end()
    pieces.append(rest[end:])
    return name if any("_" in piece for piece in pieces[::2]) else "".join(pieces)
