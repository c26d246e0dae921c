"""Own routes of releases: the verdict on a canary."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, TypeVar, get_args

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.analytics.releases.counts import Counts
from windvane.analytics.releases.judge import Judgement, Settings, judge
from windvane.analytics.releases.kayenta import score_of
from windvane.analytics.releases.read import AskRange, By, Question, Reporter, read_counts
from windvane.api.windvane.analytics_models import CanaryVerdict
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration
from windvane.promql.engine import QueryEngine
from windvane.promql.value import MatrixResult

_T = TypeVar("_T")
_DEFAULT = Settings()
_DOC = RouteDoc(
    "The verdict on a canary",
    CanaryVerdict,
    (
        Parameter("service", "NAME or NAME.NAMESPACE.", required=True),
        Parameter("baseline", "The version that serves now.", required=True),
        Parameter("canary", "The version to be judged.", required=True),
        Parameter("by", "What tells versions apart: version, revision or workload.", default="version"),
        Parameter("reporter", "Whose metrics count: destination, source or waypoint.", default="destination"),
        Parameter("since", "How far back, such as 30m.", default="30m"),
        Parameter("start", "Begin, seconds since the epoch, instead of `since`.", "number"),
        Parameter("end", "End, seconds since the epoch; now if absent.", "number"),
        Parameter("alpha", "Share of good canaries that may ever be called regressed.", "number", default="0.05"),
        Parameter("tolerated", "Ratio of error rates that is no regression.", "number", default="1"),
        Parameter("margin", "Ratio of error rates below which a canary is safe.", "number", default="2"),
        Parameter("acceptable", "Error rate that is safe whatever the baseline's.", "number", default="0.005"),
        Parameter("weights", "Weights of baseline and canary in the routing, as 90,10."),
    ),
    "May be asked again and again: with a fixed `start` the verdict is right however often one looks.",
)


def range_asker(engine: QueryEngine) -> AskRange:
    """Range queries to a PromQL engine."""

    def ask(query: str, start_ms: int, end_ms: int, step_ms: int) -> MatrixResult:
        value = engine.range(query, start_ms, end_ms, step_ms).value
        assert isinstance(value, MatrixResult)
        return value

    return ask


def routes(ask: AskRange, clock: Clock) -> list[BaseRoute]:
    """The routes; `ask` may block."""

    def canary(request: Request) -> Response:
        params = request.query_params
        question, settings = question_of(params, clock), settings_of(params)
        counts = read_counts(ask, question)
        body = CanaryVerdict.model_validate(verdict_of(question, counts, judge(counts, settings), settings))
        return Response(orjson.dumps(body.model_dump()), media_type="application/json")

    return [documented(f"{PREFIX}/analytics/canary", canary, _DOC)]


def question_of(params: QueryParams, clock: Clock) -> Question:
    """Which versions, and when."""
    end = seconds(params, "end")
    end_ms = (clock.now_ns() if end is None else end) // 10**6
    start = seconds(params, "start")
    since = int(parse_duration(params.get("since", "30m")) * 1_000)
    start_ms = end_ms - since if start is None else start // 10**6
    by = _one_of(params, "by", get_args(By), "version")
    reporter = _one_of(params, "reporter", get_args(Reporter), "destination")
    service, base, canary = (required(params, name) for name in ("service", "baseline", "canary"))
    return Question(service, base, canary, start_ms, end_ms, by, reporter)


def _one_of(params: QueryParams, name: str, words: Sequence[_T], default: str) -> _T:
    given = params.get(name, default)
    for word in words:
        if word == given:
            return word
    raise BadInputError(f"{name} {given!r}: expected one of {', '.join(map(str, words))}")


def required(params: QueryParams, name: str) -> str:
    """A parameter that must be there."""
    value = params.get(name, "")
    if not value:
        raise BadInputError(f"parameter {name} is missing")
    return value


def settings_of(params: QueryParams) -> Settings:
    """How sure, and what counts as worse."""
    numbers = {
        name: number(params, name, getattr(_DEFAULT, name)) for name in ("alpha", "tolerated", "margin", "acceptable")
    }
    weights = params.get("weights")
    return Settings(**numbers, weights=None if weights is None else _pair(weights))


def _pair(text: str) -> tuple[float, float]:
    parts = _read("weights", text, lambda given: [float(part) for part in given.split(",")])
    if len(parts) != 2 or min(parts) <= 0:
        raise BadInputError(f"weights {text!r}: expected two numbers above zero, as 90,10")
    return parts[0], parts[1]


def number(params: QueryParams, name: str, default: _T) -> float | _T:
    """A number, or the default where it is absent."""
    text = params.get(name)
    return default if text is None else _read(name, text, float)


def _read(name: str, text: str, how: Callable[[str], _T]) -> _T:
    try:
        return how(text)
    except ValueError:
        raise BadInputError(f"{name} {text!r}: not a number") from None


def verdict_of(question: Question, counts: Counts, found: Judgement, settings: Settings) -> dict[str, Any]:
    """A judgement as it is answered, with what it rests on."""
    pods = [
        {"version": arm.name, "pod": pod, "requests": float(requests.sum()), "errors": float(errors.sum())}
        for arm in (counts.base, counts.canary)
        for pod, requests, errors in zip(arm.pods, arm.requests, arm.errors, strict=True)
    ]
    return {
        **asdict(found),
        "service": question.service, "baseline": question.base, "canary": question.canary,
        "start": question.start_ms / 1_000, "end": question.end_ms / 1_000,
        "needed": 1 / settings.alpha, "pods": pods, "kayenta": asdict(score_of(counts)),
        "queries": [
            question.selector(metric, f'reporter="{question.reporter}"')
            for metric in ("istio_requests_total", "istio_request_duration_milliseconds_bucket")
        ],
    }  # fmt: skip
