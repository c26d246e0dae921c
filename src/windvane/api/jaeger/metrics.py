"""Service performance for Jaeger's Monitor tab: `/api/metrics/*`, computed from spans.

Answers are a MetricFamily in protobuf's JSON, without the envelope; `minstep` has it.
"""

from __future__ import annotations

import datetime
from dataclasses import replace
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.routing import BaseRoute, Route

from windvane.api.jaeger import params
from windvane.api.jaeger.answers import envelope, guarded
from windvane.api.jaeger.queries import JaegerQueries
from windvane.kit.errors import BadInputError
from windvane.tracing.span_rates import Measure, RateQuery, RateSeries, read_rates

LOOKBACK_MS, STEP_MS, RATE_PER_MS = 3_600_000, 5_000, 600_000
MIN_STEP_MS = 1

_HELP = {
    "service_latencies": "{quantile:.2f}th quantile latency, grouped by service",
    "service_call_rate": "calls/sec, grouped by service",
    "service_error_rate": "error rate, computed as a fraction of errors/sec over calls/sec, grouped by service",
}


def routes(queries: JaegerQueries, prefix: str = "") -> list[BaseRoute]:
    """The routes under `{prefix}/api/metrics`."""
    face = _Face(queries)
    answers = {"latencies": face.latencies, "calls": face.calls, "errors": face.errors, "minstep": face.minstep}
    return [Route(f"{prefix}/api/metrics/{name}", guarded(answers[name]), methods=["GET"]) for name in answers]


class _Face:
    def __init__(self, queries: JaegerQueries) -> None:
        self._queries = queries

    def latencies(self, request: Request) -> dict[str, Any]:
        quantile = _quantile(request.query_params)  # refused before the other parameters are read
        return self._answer(request, "service_latencies", "latencies", quantile)

    def calls(self, request: Request) -> dict[str, Any]:
        return self._answer(request, "service_call_rate", "calls")

    def errors(self, request: Request) -> dict[str, Any]:
        return self._answer(request, "service_error_rate", "errors")

    def _answer(self, request: Request, name: str, measure: Measure, quantile: float = 0.0) -> dict[str, Any]:
        query = replace(self._query(request.query_params), measure=measure, quantile=quantile)
        return family(name, read_rates(self._queries.engine, query), query)

    def minstep(self, _: Request) -> dict[str, Any]:
        return envelope(MIN_STEP_MS)

    def _query(self, given: QueryParams) -> RateQuery:
        if "service" not in given:
            raise params.unable("service", "please provide at least one service name")
        by_operation = params.boolean(given, "groupByOperation")
        kinds = params.span_kinds(given, "spanKind", ["Server"])
        end_ms = params.integer(given, "endTs", self._queries.now_ns() // 1_000_000)
        lookback, step, rate_per = (
            params.integer(given, name, default)
            for name, default in (("lookback", LOOKBACK_MS), ("step", STEP_MS), ("ratePer", RATE_PER_MS))
        )
        end_ms = max(0, min(end_ms, (1 << 63) // 1_000_000 - 1))
        start_ms = max(0, end_ms - lookback)
        return RateQuery(_services(given), start_ms, end_ms, step, rate_per, kinds, by_operation)


def _services(given: QueryParams) -> list[str]:
    """Names as given; Jaeger's UI joins several with commas in one parameter, so the parts count too."""
    named = given.getlist("service")
    parts = [part for name in named if "," in name for part in name.split(",")]
    return list(dict.fromkeys([*named, *parts]))


def _quantile(given: QueryParams) -> float:
    try:
        quantile = params.parse_float(given.get("quantile", ""))
    except BadInputError as error:
        raise params.unable("quantile", error.message) from None
    if not 0 <= quantile <= 1:
        raise params.unable("quantile", f"must be between 0 and 1, is {quantile:g}")
    return quantile


def family(name: str, series: list[RateSeries], query: RateQuery) -> dict[str, Any]:
    """A MetricFamily of gauges as protobuf's JSON writes it: a list without entries is left out."""
    text = _HELP[name].format(quantile=query.quantile)
    if query.by_operation:
        name, text = name.replace("service", "service_operation", 1), text + " & operation"
    body: dict[str, Any] = {"name": name, "type": "GAUGE", "help": text}
    metrics = [_metric(one, by_operation=query.by_operation) for one in series if one.times_ms]
    return {**body, "metrics": metrics} if metrics else body


def _metric(series: RateSeries, *, by_operation: bool) -> dict[str, Any]:
    labels = [{"name": "service_name", "value": series.service}]
    if by_operation:
        labels.append({"name": "operation", "value": series.operation})
    points = [
        {"gaugeValue": {"doubleValue": value}, "timestamp": timestamp(time_ms)}
        for time_ms, value in zip(series.times_ms, series.values, strict=True)
    ]
    return {"labels": labels, "metricPoints": points}


def timestamp(milliseconds: int) -> str:
    """A time as protobuf's JSON writes it: RFC 3339 in UTC, a fraction of three digits or none."""
    moment = datetime.datetime.fromtimestamp(milliseconds // 1_000, datetime.UTC)
    fraction = f".{milliseconds % 1_000:03d}" if milliseconds % 1_000 else ""
    return f"{moment:%Y-%m-%dT%H:%M:%S}{fraction}Z"
