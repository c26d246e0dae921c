"""Own routes of service graphs from traces: dependencies of any window, and the paths that requests take."""

from __future__ import annotations

from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane.analysis import json
from windvane.api.windvane.analysis_choice import PARAMETERS, choice_of
from windvane.api.windvane.analysis_models import Named, Quantiles
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.analysis.exemplars import Naming
from windvane.tracing.dependencies import Calls, dependencies
from windvane.tracing.search import find_trace_ids
from windvane.tracing.service_paths import MAX_TRACES, Path, named, paths_of

_QUANTILES = (0.5, 0.95, 0.99)


class CallFigures(BaseModel):
    """Calls of an edge: stored ones, those that failed, and how many they stand for where spans are sampled.

    `error_share` and quantiles (within 1%) count every call as often as it stands for.
    """

    calls: int
    errors: int
    estimated_calls: float
    error_share: float
    duration_ms: Quantiles


class DependencyEdge(BaseModel):
    """Calls of `child` by `parent`, as spans tell and as access logs do; null where they tell of none.

    `connection` is empty, `messaging_system`, or `database` for one that a client names and that sends no spans.
    """

    parent: str
    child: str
    connection: str
    spans: CallFigures | None
    access_logs: CallFigures | None


class DependenciesAnswer(BaseModel):
    """Edges by parent and child."""

    dependencies: list[DependencyEdge]


class PathAnswer(BaseModel):
    """A way through services: each by the operation by which it was entered.

    `failed` of `traces` failed in one of the entries; `duration_ms` is of the first one. `exemplars` are trace ids.
    """

    entries: list[Named]
    traces: int
    failed: int
    duration_ms: Quantiles
    exemplars: list[str]


class PathsOfServices(BaseModel):
    """Paths, those of most traces first. `truncated` when there may be more traces than were read."""

    paths: list[PathAnswer]
    truncated: bool


_DEPENDENCIES = RouteDoc(
    "Who calls whom",
    DependenciesAnswer,
    (
        Parameter("start", "Earliest start of a call, seconds (default: an hour before the end).", "number"),
        Parameter("end", "Latest start, seconds since the epoch (default: now).", "number"),
        Parameter("service", "Only edges from or to this service, with or without its namespace."),
        Parameter("access_logs", "Whether to add what callers' proxies logged: true or false.", default="true"),
    ),
    "A call belongs to the window in which the called span begins, so windows side by side add up.",
)  # fmt: skip
_PATHS = RouteDoc(
    "Paths of requests through services",
    PathsOfServices,
    (
        *(one for one in PARAMETERS if one.name not in ("trace_id", "limit")),
        Parameter("limit", f"How many traces to read at most (up to {MAX_TRACES}).", "integer", default=MAX_TRACES),
    ),
    "From the roots of traces through the service asked for to their last services; all of them without one.",
)


def routes(engine: Engine, clock: Clock, naming: Naming) -> list[BaseRoute]:
    """The routes; `naming` says what Istio calls the traffic of access-log entries."""

    def edges(request: Request) -> Response:
        params = request.query_params
        bounds = QueryParams({name: params[name] for name in ("start", "end") if name in params})
        start_ns, end_ns = choice_of(bounds).window(clock.now_ns())
        known = dependencies(engine, start_ns, end_ns, naming if _logs(params) else None)
        service = params.get("service", "")
        found = [
            DependencyEdge(
                parent=one.parent, child=one.child, connection=one.connection, spans=_figures(one.spans),
                access_logs=_figures(one.entries),
            )
            for one in known
            if not service or named(one.parent, service) or named(one.child, service)
        ]  # fmt: skip
        return json(DependenciesAnswer(dependencies=found))

    def paths(request: Request) -> Response:
        choice = choice_of(request.query_params)
        if choice.trace_ids:
            raise BadInputError("trace_id: paths are of the traces that a search finds")
        if choice.limit > MAX_TRACES:
            raise BadInputError(f"limit {choice.limit}: at most {MAX_TRACES}")
        query = choice.query(clock.now_ns())
        trace_ids = find_trace_ids(engine, query)
        found = [_path(one) for one in paths_of(engine, query, trace_ids)]
        return json(PathsOfServices(paths=found, truncated=len(trace_ids) == choice.limit))

    return [
        documented(f"{PREFIX}/traces/dependencies", edges, _DEPENDENCIES),
        documented(f"{PREFIX}/traces/paths", paths, _PATHS),
    ]


def _logs(params: QueryParams) -> bool:
    text = params.get("access_logs", "true")
    if text not in ("true", "false"):
        raise BadInputError(f"access_logs {text!r}: expected true or false")
    return text == "true"


def _figures(calls: Calls | None) -> CallFigures | None:
    if calls is None:
        return None
    return CallFigures(
        calls=calls.calls, errors=calls.errors, estimated_calls=calls.weight, error_share=calls.error_share,
        duration_ms=_milliseconds(*calls.quantiles_ns(_QUANTILES)),
    )  # fmt: skip


def _path(path: Path) -> PathAnswer:
    return PathAnswer(
        entries=[Named(service=service, operation=operation) for service, operation in path.entries],
        traces=path.traces, failed=path.failed, duration_ms=_milliseconds(*path.latency_ns),
        exemplars=list(path.exemplars),
    )  # fmt: skip


def _milliseconds(p50: float, p95: float, p99: float) -> Quantiles:
    return Quantiles(p50=p50 / 1e6, p95=p95 / 1e6, p99=p99 / 1e6)
