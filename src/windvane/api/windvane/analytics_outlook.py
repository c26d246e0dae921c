"""Own route of the forecasts that the server writes as series: of what, since when, and what was refused."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.analytics.outlook import HISTORY, HORIZONS, Made
from windvane.api.windvane.docs import RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX


class ForecastRefused(BaseModel):
    """A signal of a service of which nothing is said, and why."""

    service: str
    namespace: str
    signal: str
    reason: str


class WrittenForecasts(BaseModel):
    """The state of `windvane_forecast`: whether it is written at all, when forecasts were made (Unix seconds; null: not
    yet), of how many signals of how many services; `error` says why the last making failed."""

    enabled: bool
    made_at: int | None
    services: int
    signals: int
    left_out: int
    horizons: list[str]
    history_days: int
    refused: list[ForecastRefused]
    error: str


_DOC = RouteDoc("The forecasts that are written as series", WrittenForecasts)


def routes(state: Callable[[], tuple[Made, str] | None]) -> list[BaseRoute]:
    """The route; `state` is the newest making and why the last one failed, None where forecasts are switched off."""

    def written(_: Request) -> Response:
        found = state()
        made, error = (Made(), "") if found is None else found
        body = WrittenForecasts(
            enabled=found is not None, made_at=made.at or None, services=made.services, signals=len(made.paths),
            left_out=made.left_out, horizons=list(HORIZONS), history_days=HISTORY // 86_400,
            refused=[
                ForecastRefused(
                    service=one.service[1], namespace=one.service[0], signal=one.signal, reason=one.reason
                )
                for one in made.refused
            ],
            error=error,
        )  # fmt: skip
        return Response(orjson.dumps(body.model_dump()), media_type="application/json")

    return [documented(f"{PREFIX}/analytics/forecasts", written, _DOC)]
