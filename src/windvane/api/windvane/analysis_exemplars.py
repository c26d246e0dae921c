"""The route from a point of a metric to the traces that made it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from windvane.api.windvane.analysis_json import moment
from windvane.api.windvane.analysis_models import ExemplarFound, ExemplarsAnswer
from windvane.api.windvane.docs import DocumentedRoute, Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX
from windvane.ingest.istio_labels import Directory, Resolver, Traffic
from windvane.ingest.istio_sql import TRAFFIC
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration
from windvane.promql import regex
from windvane.promql.exemplars import selectors
from windvane.promql.parse import parse
from windvane.promql.syntax import METRIC_NAME, Matcher, MatchOp
from windvane.store.api import Engine
from windvane.tracing.analysis import exemplars

MAX_EXEMPLARS = 1_000

_DOC = RouteDoc(
    "The traces that a point of a metric is made of",
    ExemplarsAnswer,
    (
        Parameter("query", "PromQL with one selector, such as istio_requests_total{response_code=\"503\"}; what "
                  "stands around the selector does not matter.", required=True),
        Parameter("time", "When the point is, seconds since the epoch (default: now).", "number"),
        Parameter("window", "The point is made of so long before it.", default="1m"),
        Parameter("value", "Traces nearest to it come first, in the metric's unit.", "number"),
        Parameter("above", "With a bucket (le): its lower bound.", "number"),
        Parameter("limit", f"How many traces at most (up to {MAX_EXEMPLARS}).", "integer", default=20),
    ),
    "From stored exemplars, from the access logs that Istio's metrics are computed of, or from spans.",
)  # fmt: skip


def istio_naming(directory: Callable[[], Directory]) -> exemplars.Naming:
    """Labels as Istio's metrics here have them, by what the directory knows now."""

    made: list[Resolver] = []  # of the directory last seen

    def labels(row: Mapping[str, Any]) -> Mapping[str, str]:
        known = directory()
        if not made or made[0].directory is not known:
            made[:] = [Resolver(known)]
        return made[0].labels(Traffic(**{name: row[name] for name in Traffic._fields}))

    return exemplars.Naming(TRAFFIC, labels)


def exemplar_route(engine: Engine, clock: Clock, naming: exemplars.Naming) -> DocumentedRoute:
    """The route."""

    def found(request: Request) -> Response:
        point = _point(request.query_params, clock.now_ns())
        answer = ExemplarsAnswer(
            metric=point.metric,
            exemplars=[
                ExemplarFound.model_validate(
                    {"trace_id": one.trace_id, "time": moment(one.time_ns), "value": one.value, "source": one.source}
                )
                for one in exemplars.exemplars(engine, point, naming)
            ],
        )
        return Response(orjson.dumps(answer.model_dump()), media_type="application/json")

    return documented(f"{PREFIX}/traces/exemplars", found, _DOC)


def _point(params: QueryParams, now_ns: int) -> exemplars.Point:
    text = params.get("query", "")
    found = selectors(parse(text))
    if len(found) != 1:
        raise BadInputError(f"query {text!r} has {len(found)} selectors; expected one")
    names = [one.value for one in found[0].matchers if one.name == METRIC_NAME and one.op is MatchOp.EQUAL]
    matchers = [one for one in found[0].matchers if one.name != METRIC_NAME]
    bounds = [one for one in matchers if one.name == "le" and one.op is MatchOp.EQUAL]
    end_ns = round((_number(params, "time") or now_ns / 1e9) * 1e6) * 1_000
    window = parse_duration(params.get("window", "1m"))
    value, limit = _number(params, "value"), params.get("limit", "20")
    if not limit.isdecimal() or not 0 < int(limit) <= MAX_EXEMPLARS:
        raise BadInputError(f"limit {limit!r}: expected a whole number from 1 to {MAX_EXEMPLARS}")
    lowest = _number(params, "above")
    bucket = (float("-inf") if lowest is None else lowest, _bound(bounds[0].value)) if bounds else None
    return exemplars.Point(
        metric=names[0] if names else "",
        matchers=[exemplars.Matcher(one.name, _accepting(one)) for one in matchers],
        start_ns=end_ns - round(window * 1e9), end_ns=end_ns, value=value, bucket=bucket, limit=int(limit),
    )  # fmt: skip


def _accepting(matcher: Matcher) -> Callable[[str], bool]:
    if matcher.op in (MatchOp.EQUAL, MatchOp.NOT_EQUAL):
        return lambda value: (value == matcher.value) == (matcher.op is MatchOp.EQUAL)
    pattern = regex.anchored(matcher.value)
    return lambda value: (pattern.fullmatch(value) is not None) == (matcher.op is MatchOp.REGEX)


def _bound(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise BadInputError(f'le="{text}" is no number') from None


def _number(params: QueryParams, name: str) -> float | None:
    text = params.get(name, "")
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not abs(value) < 9e15:
        raise BadInputError(f"{name} {text!r}: expected a number")
    return value
