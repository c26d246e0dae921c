"""Own routes that look for what is odd, what will be, and why: anomalies, forecasts, causes."""

from __future__ import annotations

import math
from typing import Any, Literal

import numpy as np
import orjson
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.analytics.anomalies import Anomaly, Group, anomalies, grouped
from windvane.analytics.explain.explained import Sources
from windvane.analytics.forecast import BANDS, Forecast, History, forecasts
from windvane.analytics.mesh_series import STEP, Service, read_calls, read_frames
from windvane.analytics.releases.read import AskRange
from windvane.api.windvane import analytics_why
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.history.book import Book
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, NotFoundError
from windvane.kit.values import parse_duration
from windvane.promql.value import MatrixResult
from windvane.store.api import Engine

DAY = 86_400
_MOST_SERIES = 50
_STEPS = (60, 300, 900, 1_800, 3_600)
_MOST_AHEAD = 2_000


class AnomalyOf(BaseModel):
    """A signal of a service that was odd from `start` to `end` (Unix seconds), and is still if `open`.

    `expected` and `seen` are requests a minute, milliseconds (p95), or the share that failed (expected: the
    objective's budget); null where nothing was seen. `factor` is the largest departure.
    """

    service: str
    namespace: str
    signal: Literal["errors", "latency", "rate"]
    start: int
    end: int
    open: bool
    factor: float
    expected: float | None
    seen: float | None


class Incident(BaseModel):
    """Anomalies that belong together along the calls; the first is where it seems to begin."""

    start: int
    end: int
    open: bool
    anomalies: list[AnomalyOf]


class Anomalies(BaseModel):
    """Incidents since `since` (Unix seconds), of how many services, judged by how many days."""

    since: int
    end: int
    services: int
    days: float
    incidents: list[Incident]


class Band(BaseModel):
    """Bounds that hold a future value with this share (0 to 1)."""

    share: float
    low: list[float]
    high: list[float]


class ForecastOf(BaseModel):
    """One series ahead. `error` is that of the backtest, where 1 is what repeating yesterday errs by; `refused` says
    why there is no forecast (the others are then empty)."""

    labels: dict[str, str]
    refused: str | None
    times: list[int]
    mean: list[float]
    bands: list[Band]
    error: float | None
    days: float | None
    members: dict[str, float]


class Forecasts(BaseModel):
    """Forecasts of every series that a query has; `step` in seconds."""

    query: str
    step: int
    series: list[ForecastOf]


_AT = Parameter("time", "The end, seconds since the epoch; now if absent.", "number")
_ANOMALIES = RouteDoc(
    "What was odd, by service and signal",
    Anomalies,
    (
        Parameter("since", "How far back anomalies are told, such as 6h.", default="6h"),
        Parameter("history", "How far back is learnt from, up to 28d.", default="8d"),
        Parameter("service", "NAME or NAME.NAMESPACE: only this one."),
        Parameter("slo", "Share of requests that must not fail.", "number", default="0.999"),
        _AT,
    ),
)
_FORECAST = RouteDoc(
    "What a query's series will be",
    Forecasts,
    (
        Parameter("query", "PromQL.", required=True),
        Parameter("horizon", "How far ahead, such as 1h or 7d.", default="24h"),
        Parameter("history", "How far back is learnt from, up to 90d.", default="28d"),
        _AT,
    ),
)


def routes(ask: AskRange, clock: Clock, traces: Engine | None = None, book: Book | None = None) -> list[BaseRoute]:
    """The routes; `ask` may block. Causes are checked against traces and the configuration's history where given."""

    def odd(request: Request) -> Response:
        return _json(_anomalies(ask, request.query_params, clock))

    def ahead(request: Request) -> Response:
        return _json(_forecasts(ask, request.query_params, clock))

    return [
        documented(f"{PREFIX}/analytics/anomalies", odd, _ANOMALIES),
        documented(f"{PREFIX}/analytics/forecast", ahead, _FORECAST),
        *analytics_why.routes(Sources(ask, traces, book), clock),
    ]


def _anomalies(ask: AskRange, params: QueryParams, clock: Clock) -> Anomalies:
    end, since = _end(params, clock), _span(params, "since", "6h", 7)
    history = max(_span(params, "history", "8d", 28), since)
    slo = _share(params.get("slo", "0.999"))
    frames = read_frames(ask, (end - history) * 1_000, end * 1_000, params.get("service") or None)
    if params.get("service") and not frames:
        raise NotFoundError(f"no istio_requests_total of service {params['service']} in this time")
    found = anomalies(frames, end - since, slo)
    calls: list[tuple[Service, Service]] = []
    if len({one.service for one in found}) > 1:
        _, series = read_calls(ask, (end - 300) // STEP * STEP * 1_000, end // STEP * STEP * 1_000)
        calls = [(one.caller, one.callee) for one in series]
    first = min((float(frame.times[np.isfinite(frame.requests)][0]) for frame in frames.values()
                 if np.isfinite(frame.requests).any()), default=end)  # fmt: skip
    return Anomalies(
        since=end - since, end=end, services=len(frames), days=(end - first) / DAY,
        incidents=[_incident(group) for group in grouped(found, calls)],
    )  # fmt: skip


def _incident(group: Group) -> Incident:
    return Incident(
        start=group.start,
        end=max(one.incident.end for one in group.anomalies),
        open=any(one.incident.open for one in group.anomalies),
        anomalies=[_anomaly(one) for one in group.anomalies],
    )


def _anomaly(one: Anomaly) -> AnomalyOf:
    incident = one.incident
    return AnomalyOf(
        service=one.service[1], namespace=one.service[0], signal=incident.signal, start=incident.start,
        end=incident.end, open=incident.open, factor=incident.factor, expected=one.expected, seen=one.seen,
    )  # fmt: skip


def _forecasts(ask: AskRange, params: QueryParams, clock: Clock) -> Forecasts:
    query = params.get("query", "")
    if not query:
        raise BadInputError("parameter query is missing")
    horizon, history = _span(params, "horizon", "24h", 28), _span(params, "history", "28d", 90)
    step = next((one for one in _STEPS if horizon / one <= _MOST_AHEAD / 4 and history / one <= 10_000), _STEPS[-1])
    end = _end(params, clock) // step * step
    result = ask(query, (end - history) * 1_000, end * 1_000, step * 1_000)
    if len(result.metrics) > _MOST_SERIES:
        raise BadInputError(f"{query}: has {len(result.metrics)} series, {_MOST_SERIES} at most are forecast at once")
    ahead = math.ceil(horizon / step)
    return Forecasts(query=query, step=step, series=_each(result, ahead, step))


def _each(result: MatrixResult, ahead: int, step: int) -> list[ForecastOf]:
    """A forecast or a refusal of each series; those that can be forecast share one model."""
    refused: dict[int, str] = {}
    histories: dict[int, History] = {}
    for number in range(len(result.metrics)):
        times, values = result.points(number)
        history = History(times // 1_000, values, step)
        try:
            forecasts([history], ahead, learnt=False)
        except BadInputError as error:
            refused[number] = error.message
        else:
            histories[number] = history
    found = dict(zip(histories, forecasts(list(histories.values()), ahead), strict=True)) if histories else {}
    return [_forecast(labels, found.get(number), refused.get(number)) for number, labels in enumerate(result.metrics)]


def _forecast(labels: dict[str, str], found: Forecast | None, refused: str | None) -> ForecastOf:
    if found is None:
        return ForecastOf(
            labels=labels, refused=refused, times=[], mean=[], bands=[], error=None, days=None, members={}
        )
    return ForecastOf(
        labels=labels, refused=None, times=found.times.tolist(), mean=found.mean.tolist(),
        bands=[Band(share=band, low=found.low[band].tolist(), high=found.high[band].tolist()) for band in BANDS],
        error=found.error, days=found.history, members=dict(found.weights),
    )  # fmt: skip


def _end(params: QueryParams, clock: Clock) -> int:
    given = seconds(params, "time")
    return (clock.now_ns() if given is None else given) // 10**9


def _span(params: QueryParams, name: str, default: str, days: int) -> int:
    text = params.get(name, default)
    span = int(parse_duration(text))
    if not STEP <= span <= days * DAY:
        raise BadInputError(f"{name} {text!r}: expected a minute at least and {days}d at most")
    return span


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 < share < 1:
        raise BadInputError(f"slo {text!r}: expected a share between 0 and 1, as 0.999")
    return share


def _json(body: BaseModel) -> Response:
    data: Any = body.model_dump()
    return Response(orjson.dumps(data), media_type="application/json")  # what is not finite becomes null
