"""Own route that looks for what is odd in any series: `analytics/detect`."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from os import cpu_count

import numpy as np
import orjson
from pydantic import BaseModel
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.analytics.detect import WAYS, Way
from windvane.analytics.detect_series import ALERT, Judged, judge
from windvane.analytics.releases.read import AskRange
from windvane.analytics.seasonal import DAY
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration
from windvane.promql.value import MatrixResult

_MOST_SERIES = 50
_MOST_DAYS = 90
_STEPS = (60, 300, 900, 1_800)
_MOST_POINTS = 4_500
"""Points of history a series is judged by: two weeks of five minutes, which take about a third of a second."""


class AlertOf(BaseModel):
    """A point that was odd (once an incident): `score` is 0.5 to 1, `why` the way in which it was oddest.

    `expected` is the level of all that was (level), the value of this time of day (season), the median of the last
    hours (sudden), and null for a shape, which no one value tells. `ways` has the surprise in each way: 2 is the
    oddest of a hundred points.
    """

    at: int
    score: float
    value: float
    expected: float | None
    why: Way
    ways: dict[Way, float]


class DetectedOf(BaseModel):
    """One series since `since`: every point's `value` (null where unknown) and `score`, and its alerts.

    `days` of history were learnt from; `refused` says why a series could not be judged (the others are then empty).
    """

    labels: dict[str, str]
    refused: str | None
    days: float
    times: list[int]
    values: list[float | None]
    scores: list[float]
    alerts: list[AlertOf]


class Detections(BaseModel):
    """What is odd in every series of a query since `since` (Unix seconds); scores are comparable between series, and
    alerts are at `threshold` and above; `step` in seconds."""

    query: str
    since: int
    end: int
    step: int
    threshold: float
    series: list[DetectedOf]


_DETECT = RouteDoc(
    "What is odd in a query's series",
    Detections,
    (
        Parameter("query", "PromQL.", required=True),
        Parameter("since", "How far back scores and alerts are told, such as 6h.", default="24h"),
        Parameter("history", "How far back is learnt from, up to 90d.", default="14d"),
        Parameter("time", "The end, seconds since the epoch; now if absent.", "number"),
    ),
)


def routes(ask: AskRange, clock: Clock) -> list[BaseRoute]:
    """The route; `ask` may block."""

    def odd(request: Request) -> Response:
        return _json(_detections(ask, request.query_params, clock))

    return [documented(f"{PREFIX}/analytics/detect", odd, _DETECT)]


def _detections(ask: AskRange, params: QueryParams, clock: Clock) -> Detections:
    query = params.get("query", "")
    if not query:
        raise BadInputError("parameter query is missing")
    since = _span(params, "since", "24h")
    history = max(_span(params, "history", "14d"), since)
    step = next((one for one in _STEPS if history / one <= _MOST_POINTS), _STEPS[-1])
    end = _end(params, clock) // step * step
    result = ask(query, (end - history) * 1_000, end * 1_000, step * 1_000)
    if len(result.metrics) > _MOST_SERIES:
        raise BadInputError(f"{query}: has {len(result.metrics)} series, {_MOST_SERIES} at most are judged at once")
    with ThreadPoolExecutor(max(1, cpu_count() or 1)) as threads:
        series = list(threads.map(lambda number: _one(result, number, step, end - since), range(len(result.metrics))))
    return Detections(query=query, since=end - since, end=end, step=step, threshold=ALERT, series=series)


def _one(result: MatrixResult, number: int, step: int, since: int) -> DetectedOf:
    times, values = result.points(number)
    labels, days = result.metrics[number], float(times[-1] - times[0]) / 1_000 / DAY if len(times) else 0.0
    try:
        judged = judge(times // 1_000, values, step)
    except BadInputError as error:
        return DetectedOf(labels=labels, refused=error.message, days=days, times=[], values=[], scores=[], alerts=[])
    told = judged.times >= since
    return DetectedOf(
        labels=labels, refused=None, days=days, times=judged.times[told].tolist(),
        values=[_known(one) for one in judged.values[told]], scores=judged.found.score[told].tolist(),
        alerts=[_alert(judged, int(at)) for at in np.flatnonzero(judged.found.alert & told)],
    )  # fmt: skip


def _alert(judged: Judged, at: int) -> AlertOf:
    found, why = judged.found, judged.why(at)
    return AlertOf(
        at=int(judged.times[at]), score=float(found.score[at]), value=float(judged.values[at]),
        expected=_known(found.expected[why][at]) if why in found.expected else None, why=why,
        ways={way: float(found.ways[way][at]) for way in WAYS},
    )  # fmt: skip


def _known(value: float) -> float | None:
    return float(value) if np.isfinite(value) else None


def _end(params: QueryParams, clock: Clock) -> int:
    given = seconds(params, "time")
    return (clock.now_ns() if given is None else given) // 10**9


def _span(params: QueryParams, name: str, default: str) -> int:
    text = params.get(name, default)
    span = int(parse_duration(text))
    if not _STEPS[0] <= span <= _MOST_DAYS * DAY:
        raise BadInputError(f"{name} {text!r}: expected a minute at least and {_MOST_DAYS}d at most")
    return span


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
