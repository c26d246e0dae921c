"""What is known of metrics beside their samples: metadata of families, exemplars, cardinality."""

from __future__ import annotations

import orjson
from starlette.routing import BaseRoute

from windvane.api.prometheus_http import api_route, success
from windvane.api.prometheus_json import time_text
from windvane.api.prometheus_params import EARLIEST, LATEST, Params
from windvane.api.prometheus_tsdb import Cardinality
from windvane.kit.clock import Clock
from windvane.promql import numbers
from windvane.promql.errors import QueryError
from windvane.promql.exemplars import SeriesExemplars, exemplars, selectors
from windvane.promql.parse import parse
from windvane.store.api import Engine

_BOTH = ("GET", "POST")

ISTIO_FAMILIES = {
    "istio_requests_total": ("counter", "Requests that proxies handled.", ""),
    "istio_request_duration_milliseconds": ("histogram", "Time that requests took, in milliseconds.", ""),
    "istio_request_bytes": ("histogram", "Sizes of HTTP request bodies.", ""),
    "istio_response_bytes": ("histogram", "Sizes of HTTP response bodies.", ""),
    "istio_request_messages_total": ("counter", "gRPC messages sent by clients.", ""),
    "istio_response_messages_total": ("counter", "gRPC messages sent by servers.", ""),
    "istio_tcp_connections_opened_total": ("counter", "TCP connections opened.", ""),
    "istio_tcp_connections_closed_total": ("counter", "TCP connections closed.", ""),
    "istio_tcp_sent_bytes_total": ("counter", "Bytes sent on TCP connections in answer.", ""),
    "istio_tcp_received_bytes_total": ("counter", "Bytes received on TCP connections as requests.", ""),
}
"""Families that Windvane derives from access logs: their type, help and unit."""


def routes(engine: Engine, clock: Clock) -> list[BaseRoute]:
    """`metadata`, `query_exemplars` and `status/tsdb` of one store."""
    face, cardinality = _Face(engine), Cardinality(engine, clock)
    return [
        api_route("metadata", face.metadata),
        api_route("query_exemplars", face.query_exemplars, _BOTH),
        api_route("status/tsdb", cardinality.status),
    ]


class _Face:
    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def metadata(self, params: Params) -> bytes:
        """`/metadata`: type, help and unit of metric families."""
        limit, each = params.number("limit", -1), params.number("limit_per_metric", -1)
        families = self._families(params.text("metric"))
        if limit >= 0:
            families = dict(list(families.items())[:limit])
        data = {
            name: [
                {"type": kind, "help": text, "unit": unit} for kind, text, unit in entries[: each if each > 0 else None]
            ]
            for name, entries in families.items()
        }
        return success(orjson.dumps(data))

    def _families(self, metric: str) -> dict[str, list[tuple[str, str, str]]]:
        """What senders said of each family, the newest first, and what Windvane knows of its own."""
        where = "Family = {metric:String}" if metric else "1"
        frame = self._engine.query(
            "SELECT toString(Family) AS F, toString(Type) AS T, Help AS H, toString(Unit) AS U FROM metric_metadata "
            f"WHERE {where} GROUP BY F, T, H, U ORDER BY F, max(Seen) DESC, T, H, U",
            {"metric": metric},
        )
        found: dict[str, list[tuple[str, str, str]]] = {}
        for family, *entry in frame.itertuples(index=False, name=None):
            found.setdefault(family, []).append((entry[0], entry[1], entry[2]))
        for family in self._derived(metric):
            found.setdefault(family, [ISTIO_FAMILIES[family]])
        return dict(sorted(found.items()))

    def _derived(self, metric: str) -> list[str]:
        """Families of `ISTIO_FAMILIES` that there are series of."""
        names = {name: name for name in ISTIO_FAMILIES if metric in ("", name)}
        names |= {f"{name}_count": name for name in names.values() if ISTIO_FAMILIES[name][0] == "histogram"}
        if not names:
            return []
        sql = "SELECT DISTINCT toString(Name) AS N FROM series WHERE Name IN {names:Array(String)}"
        return sorted({names[name] for name in self._engine.query(sql, {"names": list(names)})["N"].tolist()})

    def query_exemplars(self, params: Params) -> bytes | None:
        """`/query_exemplars`: exemplars of the series that the query's selectors match."""
        start, end = params.time("start", EARLIEST), params.time("end", LATEST)
        if end < start:
            raise QueryError("end timestamp must not be before start timestamp")
        chosen = selectors(parse(params.text("query")))
        if not chosen:
            return None
        found = exemplars(self._engine, chosen, start, end)
        return success(b"[%s]" % b",".join(map(_series_exemplars, found)))


def _series_exemplars(one: SeriesExemplars) -> bytes:
    listed = b",".join(
        b'{"labels":%s,"value":"%s","timestamp":%s}'
        % (orjson.dumps(labels), numbers.json(value).encode(), time_text(time))
        for labels, value, time in zip(one.labels, one.values.tolist(), one.times.tolist(), strict=True)
    )
    return b'{"seriesLabels":%s,"exemplars":[%s]}' % (orjson.dumps(one.series), listed)
