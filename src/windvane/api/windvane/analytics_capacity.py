"""Own routes of capacity: what a service can take, and when that will be too little."""

from __future__ import annotations

import math
from dataclasses import asdict

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.analytics.capacity.report import Ask, Question, Report, measure, report
from windvane.analytics.increments import on_grid
from windvane.analytics.releases.read import AskRange, service_matchers
from windvane.api.windvane.analytics_releases import number, required
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration

Floats = NDArray[np.float64]
_LONGEST = 90 * 86_400


class Figure(BaseModel):
    """A figure and the band that holds it with 80 %; null is without end."""

    value: float | None
    low: float | None
    high: float | None


class ScalabilityLaw(BaseModel):
    """The Universal Scalability Law fitted to requests in flight: rate of one alone, serial share, crosstalk, and the
    highest rate there is (null: none)."""

    one: float
    serial: float
    crosstalk: float
    ceiling: float | None


class CapacityAnswer(BaseModel):
    """Rates are requests a second, times seconds. `at_traffic` is the quantile of time at the peak times `traffic`,
    `ratio` that quantile over the mean; `limit` the highest rate that meets the objective; `days` until daily peaks
    reach it (null: not foreseen); `growth` of peaks a day, of the logarithm."""

    service: str
    now: float
    peak: float
    mean: float
    in_flight: float
    quantile: float
    ratio: float
    utilisation: Figure
    saturation: Figure
    at_traffic: Figure
    limit: Figure | None
    days: Figure | None
    growth: float | None
    scalability: ScalabilityLaw
    points: int
    notes: list[str]


_DOC = RouteDoc(
    "The capacity of a service",
    CapacityAnswer,
    (
        Parameter("service", "NAME or NAME.NAMESPACE.", required=True),
        Parameter("latency", "Objective of the quantile of time, such as 300ms."),
        Parameter("quantile", "Which quantile of time the objective is for.", "number", default="0.95"),
        Parameter("since", "How far back, up to 90d.", default="7d"),
        Parameter("end", "End, seconds since the epoch; now if absent.", "number"),
        Parameter("replicas", "What if: so many times today's replicas.", "number", default="1"),
        Parameter("traffic", "What if: so many times today's peak.", "number", default="1"),
        Parameter("utilisation", "PromQL of the busy share (0 to 1) of the service's workers."),
    ),
)


def routes(ask: AskRange, clock: Clock) -> list[BaseRoute]:
    """The routes; `ask` may block."""

    def capacity(request: Request) -> Response:
        params = request.query_params
        question, service = _question(params), required(params, "service")
        end = seconds(params, "end")
        end_ms = (clock.now_ns() if end is None else end) // 10**6
        since = parse_duration(params.get("since", "7d"))
        if not 600 <= since <= _LONGEST:
            raise BadInputError("since must be 10 minutes at least and 90 days at most")
        matchers = ",".join(['reporter="destination"', *service_matchers(service)])
        start_ms = end_ms - int(since * 1_000)
        measured = measure(
            _series(ask), matchers, start_ms, end_ms, quantile=question.quantile, utilisation=params.get("utilisation")
        )
        body = _model(service, question, report(measured, question))
        return Response(orjson.dumps(body.model_dump()), media_type="application/json")

    return [documented(f"{PREFIX}/analytics/capacity", capacity, _DOC)]


def _question(params: QueryParams) -> Question:
    latency = params.get("latency")
    return Question(
        None if latency is None else parse_duration(latency),
        float(number(params, "quantile", 0.95)),
        float(number(params, "replicas", 1.0)),
        float(number(params, "traffic", 1.0)),
    )


def _series(ask: AskRange) -> Ask:
    def one(query: str, start_ms: int, end_ms: int, step_ms: int) -> tuple[Floats, Floats]:
        at = np.arange(start_ms, end_ms + 1, step_ms)
        found = ask(query, start_ms, end_ms, step_ms)
        if len(found.metrics) > 1:
            raise BadInputError(f"{query}: has {len(found.metrics)} series, one is needed (sum or avg them)")
        values = on_grid(found, 0, start_ms, step_ms, len(at)) if len(found.metrics) else np.full(len(at), np.nan)
        return at / 1_000, values

    return one


def _model(service: str, question: Question, found: Report) -> CapacityAnswer:
    fields = {**asdict(found), "service": service, "quantile": question.quantile}
    for name in ("utilisation", "saturation", "at_traffic", "limit", "days"):
        if fields[name] is not None:
            fields[name] = {part: _finite(value) for part, value in fields[name].items()}
    fields["scalability"] = {**asdict(found.scalability), "ceiling": _finite(found.scalability.ceiling)}
    return CapacityAnswer.model_validate(fields)


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
