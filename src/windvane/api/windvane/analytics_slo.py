"""Own routes of service-level objectives: budget, burn rates, when the budget will be gone."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import numpy as np
import orjson
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.alerting.slo import Indicator, indicators
from windvane.alerting.slo_file import Objective, read
from windvane.analytics.increments import on_grid
from windvane.analytics.releases.read import AskRange
from windvane.analytics.slo.burn import HOUR, WINDOWS, Seen
from windvane.analytics.slo.status import Budget, status
from windvane.api.bodies import body_of
from windvane.api.windvane.docs import RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError

_MAX_BODY = 1 << 20
_HOUR_MS = 3_600_000
SHOWN = {300.0: "5m", 1_800.0: "30m", HOUR: "1h", 6 * HOUR: "6h", 72 * HOUR: "3d"}
"""The windows of the table by their seconds."""


class SloQuestion(BaseModel):
    """Objectives as YAML text; `file` is how errors name them, `end` seconds since the epoch (now if absent)."""

    objectives: str
    file: str = "objectives"
    end: float | None = None


class SloAlert(BaseModel):
    """A row of the burn-rate table that fires: page or ticket, its windows and its threshold."""

    severity: str
    long: str
    short: str
    threshold: float


class SloExhaustion(BaseModel):
    """Days until the budget is gone if it goes on as the last day, as the worse, as the better of the last days;
    null: not within a period."""

    days: float | None
    soonest: float | None
    latest: float | None


class SloStatus(BaseModel):
    """One indicator of an objective. `remaining` is a share of the budget, negative when overspent; `burn` has the
    rates by window; `attained` is the share of good requests of the period; `known_hours` of `hours` have data.
    """

    name: str
    service: str
    indicator: str
    objective: float
    attained: float | None
    bad: float
    all: float
    remaining: float
    burn: dict[str, float]
    alerts: list[SloAlert]
    exhaustion: SloExhaustion | None
    hours: int
    known_hours: int


class SloAnswer(BaseModel):
    """Every indicator of every objective."""

    objectives: list[SloStatus]


_DOC = RouteDoc(
    "Error budgets of service-level objectives",
    SloAnswer,
    description="Objectives are sent as YAML (`windvane.dev/v1alpha1` `ServiceLevelObjective`); nothing is kept.",
    body=SloQuestion,
)


def routes(ask: AskRange, clock: Clock) -> list[BaseRoute]:
    """The routes; `ask` may block."""

    async def slo(request: Request) -> Response:
        try:
            asked = SloQuestion.model_validate_json(await body_of(request, _MAX_BODY))
        except ValidationError as error:
            raise BadInputError(f"body: {error.errors()[0]['msg']}") from None
        objectives = read(asked.objectives, asked.file)
        end = clock.now_ns() / 1e9 if asked.end is None else asked.end
        body = SloAnswer(objectives=await asyncio.to_thread(_all, ask, objectives, int(end * 1_000)))
        return Response(orjson.dumps(body.model_dump()), media_type="application/json")

    return [documented(f"{PREFIX}/analytics/slo", slo, _DOC)]


def _all(ask: AskRange, objectives: list[Objective], end_ms: int) -> list[SloStatus]:
    return [
        _model(objective, indicator, budget_of(ask, indicator, objective.days, end_ms))
        for objective in objectives
        for indicator in indicators(objective.slo)
    ]


def budget_of(ask: AskRange, indicator: Indicator, days: int, end_ms: int) -> Budget:
    """An indicator's state at a time, from PromQL."""
    hours = days * 24
    start = end_ms - (hours - 1) * _HOUR_MS
    bad, all_ = (
        _values(ask, query, start, end_ms, hours) * HOUR for query in (indicator.bad("1h"), indicator.all("1h"))
    )
    bad = np.where(np.isfinite(all_) & ~np.isfinite(bad), 0.0, bad)
    recent: dict[float, Seen] = {}
    for seconds in WINDOWS:
        shown = SHOWN[seconds]
        if shown != "3d":
            two = (_values(ask, query(shown), end_ms, end_ms, 1)[0] for query in (indicator.bad, indicator.all))
            recent[seconds] = Seen(*(float(np.nan_to_num(one)) * seconds for one in two))
    return status(bad, all_, recent, indicator.objective / 100, least=indicator.slo.minimum)


def _values(ask: AskRange, query: str, start: int, end: int, steps: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    found = ask(query, start, end, _HOUR_MS)
    return on_grid(found, 0, start, _HOUR_MS, steps) if len(found.metrics) else np.full(steps, np.nan)


def _model(objective: Objective, indicator: Indicator, found: Budget) -> SloStatus:
    gone = found.exhaustion
    return SloStatus(
        name=objective.name, service=objective.slo.name, indicator=indicator.sli, objective=indicator.objective,
        attained=found.attained, bad=found.bad, all=found.all, remaining=found.remaining,
        burn=burn_by_window(found.burn),
        alerts=[
            SloAlert(severity=row.severity, long=SHOWN[row.long], short=SHOWN[row.short],
                     threshold=row.threshold(objective.days * 24 * HOUR))
            for row in found.alerts
        ],
        exhaustion=None if gone is None else SloExhaustion(days=gone.days, soonest=gone.soonest, latest=gone.latest),
        hours=objective.days * 24, known_hours=found.known_hours,
    )  # fmt: skip


def burn_by_window(rates: Mapping[float, float]) -> dict[str, float]:
    """Rates by their windows' names."""
    return {SHOWN[seconds]: rate for seconds, rate in rates.items()}
