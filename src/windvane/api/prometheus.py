"""The HTTP API of Prometheus v1: queries, metadata of series, status.

Parameters come from the URL and from a form in the body (the body first, as in Go's FormValue).
Handlers block and run in the thread pool. Every answer has Prometheus's envelope, errors too.
"""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass

import orjson
from starlette.routing import BaseRoute

from windvane import __version__
from windvane.api.prometheus_http import Handler, Params, api_route, milliseconds, named, success
from windvane.api.prometheus_json import query_data, series_count
from windvane.kit.clock import Clock
from windvane.promql.catalog import Window
from windvane.promql.engine import QueryEngine, QueryOptions, QueryResult
from windvane.promql.errors import QueryError

_ESCAPED = re.compile(r"_([0-9a-fA-F]{1,6})_")


@dataclass(frozen=True, slots=True)
class StatusInfo:
    """What `/api/v1/status/…` tells of this server; times in milliseconds, retention as Prometheus writes it."""

    started_ms: int
    retention: str = "none"
    scrape_interval: str = "5s"
    directory: str = ""


def routes(queries: QueryEngine, clock: Clock, info: StatusInfo) -> list[BaseRoute]:
    """The routes of the API on one query engine; times default to now on `clock`."""
    face = _Face(queries, clock, info)
    both, get = ["GET", "POST"], ["GET"]
    table: list[tuple[str, Handler, list[str]]] = [
        ("query", face.query, both),
        ("query_range", face.query_range, both),
        ("labels", face.labels, both),
        ("label/{name:path}/values", face.label_values, get),
        ("series", face.series, both),
        ("metadata", lambda _: success(b"{}"), get),
        ("query_exemplars", lambda _: success(b"[]"), both),
        ("rules", lambda _: success(b'{"groups":[]}'), get),
        ("alerts", lambda _: success(b'{"alerts":[]}'), get),
        ("targets", lambda _: success(b'{"activeTargets":[],"droppedTargets":[]}'), get),
        ("status/buildinfo", face.buildinfo, get),
        ("status/config", face.config, get),
        ("status/flags", lambda _: success(b"{}"), get),
        ("status/runtimeinfo", face.runtimeinfo, get),
    ]
    return [api_route(path, handler, methods) for path, handler, methods in table]


class _Face:
    def __init__(self, queries: QueryEngine, clock: Clock, info: StatusInfo) -> None:
        self._queries = queries
        self._clock = clock
        self._info = info

    def _now(self) -> int:
        return self._clock.now_ns() // 1_000_000

    def query(self, params: Params) -> bytes:
        """`/query`: one moment."""
        at = params.time("time", self._now())
        with named("query"):
            result = self._queries.instant(params.text("query"), at, _options(params))
        return _answer(result, params)

    def query_range(self, params: Params) -> bytes:
        """`/query_range`: from start to end in steps."""
        for name in ("start", "end", "step"):
            if not params.text(name):
                raise QueryError(f'invalid parameter "{name}": cannot parse "" to a valid {_KIND[name]}')
        step = milliseconds(params.duration("step")) or 0
        start, end = params.time("start", 0), params.time("end", 0)
        if step <= 0:
            raise QueryError(
                'invalid parameter "step": zero or negative query resolution step widths are not accepted. '
                "Try a positive integer"
            )
        if end < start:
            raise QueryError('invalid parameter "end": end timestamp must not be before start time')
        with named("query"):
            result = self._queries.range(params.text("query"), start, end, step, _options(params))
        return _answer(result, params)

    def labels(self, params: Params) -> bytes:
        """`/labels`: label names."""
        names = self._queries.catalog.label_names(params.selectors(), self._window(params), params.limit())
        return success(orjson.dumps(names))

    def label_values(self, params: Params) -> bytes:
        """`/label/<name>/values`."""
        name = unescape_label(params.path["name"])
        if not name:
            raise QueryError(f'invalid label name: "{name}"')
        catalog = self._queries.catalog
        return success(
            orjson.dumps(catalog.label_values(name, params.selectors(), self._window(params), params.limit()))
        )

    def series(self, params: Params) -> bytes:
        """`/series`: label sets."""
        selectors = params.selectors()
        if not selectors:
            raise QueryError("no match[] parameter provided")
        return success(orjson.dumps(self._queries.catalog.series(selectors, self._window(params), params.limit())))

    def _window(self, params: Params) -> Window:
        start = params.time("start", -(1 << 53))
        end = params.time("end", 1 << 53)
        if end < start:
            raise QueryError('invalid parameter "end": end timestamp must not be before start timestamp')
        return Window(start, end)

    def buildinfo(self, _: Params) -> bytes:
        """`/status/buildinfo`: what answers, and its version."""
        info = {
            "version": __version__,
            "revision": "",
            "branch": "",
            "buildUser": "",
            "buildDate": "",
            "goVersion": "",
            "application": "Windvane",
        }
        return success(orjson.dumps(info))

    def config(self, _: Params) -> bytes:
        """`/status/config`: the part of a Prometheus configuration that clients read."""
        interval = self._info.scrape_interval
        text = f"global:\n  scrape_interval: {interval}\n  evaluation_interval: 1m\nscrape_configs: []\n"
        return success(orjson.dumps({"yaml": text}))

    def runtimeinfo(self, _: Params) -> bytes:
        """`/status/runtimeinfo`: since when, where, how long data are kept."""
        started = datetime.datetime.fromtimestamp(self._info.started_ms / 1000, datetime.UTC)
        now = datetime.datetime.fromtimestamp(self._now() / 1000, datetime.UTC)
        info = {
            "startTime": started.isoformat().replace("+00:00", "Z"),
            "serverTime": now.isoformat().replace("+00:00", "Z"),
            "CWD": self._info.directory,
            "reloadConfigSuccess": True,
            "corruptionCount": 0,
            "storageRetention": self._info.retention,
        }
        return success(orjson.dumps(info))


_KIND = {"start": "timestamp", "end": "timestamp", "step": "duration"}


def _options(params: Params) -> QueryOptions:
    lookback = milliseconds(params.duration("lookback_delta"))
    return QueryOptions(params.duration("timeout"), lookback, explain=params.text("stats") == "all")


def _answer(result: QueryResult, params: Params) -> bytes:
    warnings, limit = result.warnings, params.limit()
    if limit and series_count(result.value) > limit:
        warnings = (*warnings, "results truncated due to limit")
    stats = result.stats if params.text("stats") else None
    return success(query_data(result.value, limit, stats), warnings, result.infos)


def unescape_label(name: str) -> str:
    """A label name from a URL path: `U__` starts one with `_hex_` for what classic names cannot hold."""
    if not name.startswith("U__"):
        return name
    rest = name[3:].replace("__", "\0")
    decoded = _ESCAPED.sub(lambda match: chr(int(match[1], 16)), rest)
    return decoded.replace("\0", "_")
