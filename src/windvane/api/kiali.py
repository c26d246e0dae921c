"""Kiali's graph API: `GET /api/namespaces/graph` and `GET /api/namespaces`, parameters and JSON.

Kiali's names and defaults hold (graph/options.go). More lenient than Kiali in two points: without
`namespaces` the graph is of all of them, and a namespace that is not known yet is an empty graph
instead of a refusal. Appenders that need what is not here are accepted and add nothing.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from windvane.api.errors import retry_headers, status_of
from windvane.api.kiali_json import graph_json
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.kit.values import parse_duration
from windvane.store.api import Engine
from windvane.topology.graph import build_graph
from windvane.topology.identity import GraphType
from windvane.topology.idle import with_idle_nodes
from windvane.topology.model import AVERAGE, GraphQuery, MeshInfo
from windvane.topology.namespaces import known_namespaces
from windvane.topology.traffic import Ask

BOXES = ("app", "cluster", "namespace")
APPENDERS = {
    "aggregateNode", "ambient", "deadNode", "extensions", "health", "healthConfig", "idleNode", "istio", "labeler",
    "meshCheck", "none", "outsider", "responseTime", "securityPolicy", "serviceEntry", "sidecarsCheck", "throughput",
    "trafficGenerator", "workloadEntry", "",
}  # fmt: skip
_TRUE = ("1", "t", "T", "TRUE", "true", "True")
_FALSE = ("0", "f", "F", "FALSE", "false", "False")
_GRPC_RATES = ("none", "requests", "sent", "received", "total")
_TCP_RATES = ("none", "sent", "received", "total")


def routes(
    engine: Engine, ask: Ask, clock: Clock, mesh: Callable[[], MeshInfo | None] | None = None
) -> list[BaseRoute]:
    """The routes; `mesh` gives what configuration adds to nodes (badges, namespaces without traffic)."""
    configured = mesh or (lambda: None)

    def graph(request: Request) -> Response:
        asked, info = graph_request(request.query_params, clock.now_ns()), configured()
        found = build_graph(ask, asked.query)
        if asked.idle_nodes and info is not None:
            found = with_idle_nodes(found, info)
        return _json(graph_json(found, asked.boxes, info))

    def namespaces(_: Request) -> Response:
        info = configured()
        names = {*known_namespaces(engine), *(info.namespaces if info else ())}
        return _json([{"name": name} for name in sorted(names)])

    return [
        Route("/api/namespaces/graph", _guarded(graph), methods=["GET"]),
        Route("/api/namespaces", _guarded(namespaces), methods=["GET"]),
    ]


@dataclass(frozen=True, slots=True)
class GraphRequest:
    """What is asked for: the graph, boxes around its nodes, and whether nodes without traffic belong to it."""

    query: GraphQuery
    boxes: tuple[str, ...]
    idle_nodes: bool


def graph_request(params: QueryParams, now_ns: int) -> GraphRequest:
    """What Kiali's parameters ask for; `BadInputError` with Kiali's message."""
    appenders = _appenders(params)
    names = [name.strip() for name in params.get("namespaces", "").split(",") if name.strip()]
    graph_type = GraphType(_choice(params, "graphType", "workload", tuple(GraphType)))
    query = GraphQuery(
        time_ms=_seconds(params, "queryTime", now_ns // 10**9) * 1_000,
        window_s=_window(params),
        graph_type=graph_type,
        namespaces=frozenset(names) or None,
        inject_services=_flag(params, "injectServiceNodes"),
        include_idle=_flag(params, "includeIdleEdges"),
        http=_choice(params, "rateHttp", "requests", ("none", "requests")),
        grpc=_choice(params, "rateGrpc", "requests", _GRPC_RATES),
        tcp=_choice(params, "rateTcp", "sent", _TCP_RATES),
        response_time=_response_time(params) if appenders is None or "responseTime" in appenders else None,
        throughput=_choice(params, "throughputType", "response", ("request", "response"))
        if appenders is None or "throughput" in appenders
        else None,
        security=appenders is None or "securityPolicy" in appenders,
        health=appenders is None or bool({"health", "healthConfig"} & appenders),
    )
    return GraphRequest(query, _boxes(params), appenders is None or "idleNode" in appenders)


def _appenders(params: QueryParams) -> set[str] | None:
    if "appenders" not in params:
        return None
    names = {name.strip() for name in params["appenders"].split(",")}
    for name in sorted(names - APPENDERS):
        raise BadInputError(f"Invalid appender [{name}]")
    return names


def _boxes(params: QueryParams) -> tuple[str, ...]:
    asked = params.get("boxBy", "")
    names = tuple(name.strip() for name in asked.split(",") if name.strip() not in ("", "none"))
    if not set(names) <= set(BOXES):
        raise BadInputError(f"Invalid boxBy [{asked}]")
    return names


def _choice(params: QueryParams, name: str, default: str, allowed: tuple[str, ...]) -> str:
    value = params.get(name, "") or default
    if value not in allowed:
        raise BadInputError(f"Invalid {name} [{value}]")
    return value


def _flag(params: QueryParams, name: str) -> bool:
    value = params.get(name, "") or "false"
    if value not in _TRUE + _FALSE:
        raise BadInputError(f"Invalid {name} [{value}]")
    return value in _TRUE


def _seconds(params: QueryParams, name: str, default: int) -> int:
    value = params.get(name, "")
    if not value:
        return default
    if not value.lstrip("+-").isdecimal() or len(value) > 12:
        raise BadInputError(f"Invalid {name} [{value}]")
    return int(value)


def _window(params: QueryParams) -> int:
    value = params.get("duration", "") or "10m"
    try:
        seconds = int(parse_duration(value))
    except BadInputError:
        seconds = 0
    if seconds <= 0:
        raise BadInputError(f"Invalid duration [{value}]")
    return seconds


def _response_time(params: QueryParams) -> float | str:
    value = params.get("responseTime", "") or "95"
    if value == AVERAGE:
        return AVERAGE
    if not value.isdecimal() or not 0 < int(value) < 100:
        raise BadInputError(f"Invalid responseTime [{value}]")
    return int(value) / 100


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _guarded(answer: Callable[[Request], Response]) -> Callable[[Request], Response]:
    """An endpoint whose errors are Kiali's `{"error": …}`."""

    @functools.wraps(answer)
    def endpoint(request: Request) -> Response:
        try:
            return answer(request)
        except WindvaneError as error:
            body = orjson.dumps({"error": error.message})
            return Response(body, status_of(error), headers=retry_headers(error), media_type="application/json")

    return endpoint
