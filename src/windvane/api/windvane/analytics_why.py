"""Own route that says why a service shows what it shows."""

from __future__ import annotations

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.analytics.explain.explained import Sources, explained
from windvane.analytics.explain.model import Language
from windvane.analytics.mesh_series import STEP
from windvane.analytics.why import BEFORE, LEAST_BEFORE, SIGNALS, Followed
from windvane.api.windvane.analytics_why_models import Why
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration

_MOST_BEFORE = 24 * 60
_DOC = RouteDoc(
    "Why a service fails, is slow, or is asked otherwise than usual",
    Why,
    (
        Parameter("service", "NAME or NAME.NAMESPACE.", required=True),
        Parameter("signal", "errors, latency or rate; whichever departs if absent."),
        Parameter("time", "The end, seconds since the epoch; now if absent.", "number"),
        Parameter("before", "How much time teaches what is usual, 5m to 24h.", default=f"{BEFORE}m"),
        Parameter("lang", "en or zh; else as Accept-Language prefers."),
    ),
)


def routes(sources: Sources, clock: Clock) -> list[BaseRoute]:
    """The route; it blocks."""

    def cause(request: Request) -> Response:
        params = request.query_params
        asked = params.get("service", "")
        if not asked:
            raise BadInputError("parameter service is missing")
        given = seconds(params, "time")
        at = (clock.now_ns() if given is None else given) // 10**9
        found = explained(
            sources,
            asked,
            at,
            _signal(params.get("signal", "")),
            language=language(request),
            before=_before(params.get("before")),
        )
        return Response(orjson.dumps(found.json()), media_type="application/json")  # what is not finite becomes null

    return [documented(f"{PREFIX}/analytics/why", cause, _DOC)]


def _signal(text: str) -> Followed | None:
    for one in SIGNALS:
        if text == one:
            return one
    if text:
        raise BadInputError(f"signal {text!r}: expected errors, latency or rate")
    return None


def _before(text: str | None) -> int:
    minutes = BEFORE if text is None else int(parse_duration(text) // STEP)
    if not LEAST_BEFORE <= minutes <= _MOST_BEFORE:
        raise BadInputError(f"before {text!r}: expected {LEAST_BEFORE}m at least and {_MOST_BEFORE // 60}h at most")
    return minutes


def language(request: Request) -> Language:
    """As the parameter says, else the first language of Accept-Language that there is, by its weight."""
    given = request.query_params.get("lang", "")
    if given in ("en", "zh"):
        return "zh" if given == "zh" else "en"
    if given:
        raise BadInputError(f"lang {given!r}: expected en or zh")
    wanted: list[tuple[float, str]] = []
    for part in request.headers.get("accept-language", "").split(","):
        tag, _, weight = part.strip().partition(";q=")
        try:
            wanted.append((-float(weight) if weight else -1.0, tag.strip().lower().partition("-")[0]))
        except ValueError:
            continue
    for _, tag in sorted(wanted, key=lambda one: one[0]):
        if tag in ("en", "zh"):
            return "zh" if tag == "zh" else "en"
    return "en"
