"""Own routes of capacity: what a service can take, when that will be too little, and which service is full first."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import asdict

import numpy as np
import orjson
from numpy.typing import NDArray
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.alerting.slo_file import Objective
from windvane.analytics.capacity.report import Ask, Question, Report, measure, report
from windvane.analytics.increments import on_grid
from windvane.analytics.releases.read import AskRange, service_matchers
from windvane.api.windvane.analytics_releases import number, required
from windvane.api.windvane.capacity_list import DEFAULT_SINCE, Ranking, latency_objective
from windvane.api.windvane.capacity_models import CapacityAnswer, CapacityList
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration

Floats = NDArray[np.float64]
_LONGEST = 90 * 86_400
_FACTOR = re.compile(r"(\d+(?:\.\d+)?)x?")
_COUNT = re.compile(r"[1-9]\d{0,4}")

_SINCE = Parameter("since", "How far back, up to 90d.", default=DEFAULT_SINCE)
_END = Parameter("end", "End, seconds since the epoch; now if absent.", "number")
_DOC = RouteDoc(
    "The capacity of a service",
    CapacityAnswer,
    (
        Parameter("service", "NAME or NAME.NAMESPACE.", required=True),
        Parameter("latency", "Objective of the quantile of time, such as 300ms; the one of the server's objectives "
                  "for the service if absent."),
        Parameter("quantile", "Which quantile of time the objective is for.", "number", default="0.95"),
        _SINCE,
        _END,
        Parameter("replicas", "What if: so many replicas (6), or so many times today's (2x).", default="1x"),
        Parameter("replicas_now", "How many there are, where metrics have neither pod nor instance.", "integer"),
        Parameter("traffic", "What if: so many times today's traffic (1.5x).", default="1x"),
        Parameter("utilisation", "PromQL of the busy share (0 to 1) of the service's workers."),
    ),
)  # fmt: skip
_LIST = RouteDoc(
    "All services by their headroom",
    CapacityList,
    (_SINCE, _END, Parameter("latency", "Objective of the 95th percentile for services without one of their own.")),
    description="Figures are kept for ten minutes. When all traffic grows alike, the first of the list is full first.",
)


def routes(ask: AskRange, clock: Clock, objectives: Callable[[], Sequence[Objective]] = tuple) -> list[BaseRoute]:
    """The routes; `ask` may block, `objectives` are those that the server keeps."""
    ranking = Ranking(ask, objectives)

    def capacity(request: Request) -> Response:
        params = request.query_params
        service = required(params, "service")
        start_ms, end_ms = _time(params, clock)
        matchers = ",".join(['reporter="destination"', *service_matchers(service)])
        question = _question(params, service, objectives(), lambda: _replicas(ask, matchers, end_ms))
        measured = measure(
            _series(ask), matchers, start_ms, end_ms, quantile=question.quantile, utilisation=params.get("utilisation")
        )
        body = _model(service, question, report(measured, question))
        return Response(orjson.dumps(body.model_dump()), media_type="application/json")

    def capacities(request: Request) -> Response:
        params = request.query_params
        start_ms, end_ms = _time(params, clock)
        latency = params.get("latency")
        body = ranking.of(start_ms, end_ms, None if latency is None else parse_duration(latency))
        return Response(orjson.dumps(body.model_dump()), media_type="application/json")

    return [
        documented(f"{PREFIX}/analytics/capacity", capacity, _DOC),
        documented(f"{PREFIX}/analytics/capacities", capacities, _LIST),
    ]


def _time(params: QueryParams, clock: Clock) -> tuple[int, int]:
    """Start and end, milliseconds."""
    end = seconds(params, "end")
    end_ms = (clock.now_ns() if end is None else end) // 10**6
    since = parse_duration(params.get("since", DEFAULT_SINCE))
    if not 600 <= since <= _LONGEST:
        raise BadInputError("since must be 10 minutes at least and 90 days at most")
    return end_ms - int(since * 1_000), end_ms


def _question(
    params: QueryParams, service: str, objectives: Sequence[Objective], present: Callable[[], int]
) -> Question:
    latency, quantile = params.get("latency"), float(number(params, "quantile", 0.95))
    seconds_: float | None = None
    if latency is not None:
        seconds_ = parse_duration(latency)
    elif (own := latency_objective(objectives, service)) is not None:
        seconds_, quantile = own
    return Question(seconds_, quantile, _replica_factor(params, present), _factor(params, "traffic"))


def _factor(params: QueryParams, name: str) -> float:
    text = params.get(name, "1x")
    found = _FACTOR.fullmatch(text)
    if found is None or not 0 < float(found[1]) <= 1_000:
        raise BadInputError(f"{name} {text!r}: expected a factor such as 1.5x")
    return float(found[1])


def _replica_factor(params: QueryParams, present: Callable[[], int]) -> float:
    text = params.get("replicas", "1x")
    if text.endswith("x"):
        return _factor(params, "replicas")
    if _COUNT.fullmatch(text) is None:
        raise BadInputError(f"replicas {text!r}: expected a number such as 6, or a factor such as 2x")
    now = params.get("replicas_now")
    if now is not None and _COUNT.fullmatch(now) is None:
        raise BadInputError(f"replicas_now {now!r}: expected a whole number")
    count = int(now) if now is not None else present()
    if not count:
        raise BadInputError(
            f"replicas {text}: how many there are now is not known, for the service's metrics have neither pod nor "
            "instance; say it (replicas_now, --replicas-now), or give a factor such as 2x"
        )
    return int(text) / count


def _replicas(ask: AskRange, matchers: str, end_ms: int) -> int:
    """Pods (or instances) that reported of late; 0 where metrics do not tell them apart."""
    by = f"count by (pod, instance) (istio_requests_total{{{matchers}}})"
    found = ask(by, end_ms, end_ms, 60_000)
    named = {labels.get("pod") or labels.get("instance", "") for labels in found.metrics}
    return len(named - {""})


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
    fields = {**asdict(found), "service": service, "quantile": question.quantile, "latency": question.latency,
              "replicas": question.replicas, "traffic": question.traffic}  # fmt: skip
    for name in ("utilisation", "saturation", "at_traffic", "limit", "days", "full_days"):
        if fields[name] is not None:
            fields[name] = _figure(fields[name])
    fields["scalability"] = {**asdict(found.scalability), "ceiling": _finite(found.scalability.ceiling)}
    curve = found.curve
    fields["curve"] = {
        "rate": curve.rate.tolist(), "time": [_figure(asdict(one)) for one in curve.time],
        "utilisation": [_figure(asdict(one)) for one in curve.utilisation],
        "seen_rate": curve.seen_rate.tolist(), "seen_time": curve.seen_time.tolist(),
    }  # fmt: skip
    grown = found.growth
    fields["growth"] = None if grown is None else grown.slope.value
    fields["peaks"] = None if grown is None else {
        "growth": _figure(asdict(grown.slope)), "season_days": grown.season_days, "expected": grown.expected.tolist(),
        "low": grown.low.tolist(), "high": grown.high.tolist(),
    }  # fmt: skip
    return CapacityAnswer.model_validate(fields)


def _figure(parts: dict[str, float]) -> dict[str, float | None]:
    return {part: _finite(value) for part, value in parts.items()}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None
