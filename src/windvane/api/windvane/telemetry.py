"""Own routes that read telemetry: services with their golden signals, access-log entries."""

from __future__ import annotations

from typing import Any, Literal

import orjson
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.kit.values import parse_duration
from windvane.store.api import Engine
from windvane.topology.services import ServiceSignals, service_signals
from windvane.topology.traffic import Ask
from windvane.tracing.access_logs import MAX_ENTRIES, EntryQuery, find_entries

PREFIX = "/api/windvane/v1"
DEFAULT_ENTRIES = 100


class Version(BaseModel):
    """One version of a service: requests per second, share of errors (0 to 1), milliseconds."""

    version: str
    rate: float
    error_ratio: float
    p95_ms: float | None


class Service(BaseModel):
    """Golden signals of one service over the window; `mtls` is the share (0 to 1) over mutual TLS."""

    name: str
    namespace: str
    host: str
    protocols: list[str]
    rate: float
    error_ratio: float
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None
    versions: list[Version]
    mtls: float | None
    health: Literal["Healthy", "Degraded", "Failure", "NA"]


class Services(BaseModel):
    """Every service with traffic in the window, by namespace and name."""

    services: list[Service]


class Entries(BaseModel):
    """Access-log entries; keys are the columns of `envoy_access_logs` in snake_case."""

    entries: list[dict[str, Any]]


WINDOW = Parameter("window", "How far back, such as 30s, 5m or 1h.", default="1m")
AT = Parameter("time", "End of the window, seconds since the epoch; now if absent.", "number")
_SERVICES = RouteDoc("Services and their golden signals", Services, (WINDOW, AT))
_SERVICE = RouteDoc(
    "One service's golden signals",
    Service,
    (
        Parameter("namespace", "The service's namespace.", place="path"),
        Parameter("name", "The service's name.", place="path"),
        WINDOW,
        AT,
    ),
)
_ENTRIES = RouteDoc(
    "Access-log entries",
    Entries,
    (
        Parameter("trace_id", "Entries of the request with this trace id."),
        Parameter("request_id", "Entries of the request with this x-request-id."),
        Parameter("service", "Entries of calls to this service, by either side's proxy."),
        Parameter("namespace", "The service's namespace, or alone all entries of a namespace."),
        Parameter("start", "Earliest start, seconds since the epoch.", "number"),
        Parameter("end", "Latest start, seconds since the epoch.", "number"),
        Parameter("limit", f"How many entries at most (up to {MAX_ENTRIES}).", "integer", default=DEFAULT_ENTRIES),
    ),
    "Entries that share the trace id or the request id of one found belong to the same request and come too, "
    "in the order of their start; without either id entries come newest first.",
)


def routes(engine: Engine, ask: Ask, clock: Clock) -> list[BaseRoute]:
    """The routes that need only the store and PromQL."""

    def services(request: Request) -> Response:
        found = _signals(ask, request.query_params, clock)
        return _json({"services": [_service(signals) for signals in found]})

    def service(request: Request) -> Response:
        namespace, name = request.path_params["namespace"], request.path_params["name"]
        for signals in _signals(ask, request.query_params, clock):
            if (signals.namespace, signals.name) == (namespace, name):
                return _json(_service(signals))
        raise NotFoundError(f"service {name}.{namespace} had no traffic in the window")

    def entries(request: Request) -> Response:
        return _json({"entries": find_entries(engine, _entry_query(request.query_params))})

    return [
        documented(f"{PREFIX}/services", services, _SERVICES),
        documented(f"{PREFIX}/services/{{namespace}}/{{name}}", service, _SERVICE),
        documented(f"{PREFIX}/access-logs", entries, _ENTRIES),
    ]


def _signals(ask: Ask, params: QueryParams, clock: Clock) -> list[ServiceSignals]:
    window = int(parse_duration(params.get("window", "1m")))
    if window <= 0:
        raise BadInputError(f"window {params['window']!r} is shorter than a second")
    at = seconds(params, "time")
    return service_signals(ask, (clock.now_ns() if at is None else at) // 10**6, window)


def _service(signals: ServiceSignals) -> dict[str, Any]:
    data: dict[str, Any] = {name: getattr(signals, name) for name in ServiceSignals.__slots__}
    data["versions"] = [{name: getattr(v, name) for name in v.__slots__} for v in signals.versions]
    return {**data, "health": signals.health.name}


def _entry_query(params: QueryParams) -> EntryQuery:
    limit = params.get("limit", str(DEFAULT_ENTRIES))
    if not limit.isdecimal() or not 0 < int(limit) <= MAX_ENTRIES:
        raise BadInputError(f"limit {limit!r}: expected a whole number from 1 to {MAX_ENTRIES}")
    return EntryQuery(
        trace_id=params.get("trace_id", "").lower(),
        request_id=params.get("request_id", ""),
        service=params.get("service", ""),
        namespace=params.get("namespace", ""),
        start_ns=seconds(params, "start"),
        end_ns=seconds(params, "end"),
        limit=int(limit),
    )


def seconds(params: QueryParams, name: str) -> int | None:
    """Nanoseconds of a parameter in (possibly fractional) seconds since the epoch."""
    text = params.get(name, "")
    if not text:
        return None
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < 9_000_000_000:
        raise BadInputError(f"{name} {text!r}: expected seconds since the epoch")
    return round(seconds * 1_000_000) * 1_000


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
