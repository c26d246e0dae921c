"""Own routes of incidents: those that were kept, one with its signals, and what people say of them."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.analytics.baselines import Scope
from windvane.api.bodies import body_of
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.guard import same_origin
from windvane.api.windvane.incidents_models import (
    AnomalyPart,
    CauseShort,
    ChangeNear,
    CourseOf,
    EventOf,
    FeedbackOf,
    FeedbackRequest,
    IncidentDetails,
    IncidentList,
    IncidentOf,
    ScopeOf,
    WatchingOf,
)
from windvane.api.windvane.telemetry import PREFIX, seconds
from windvane.incidents.desk import Desk
from windvane.incidents.values import UNITS, Anomaly, Course, Incident, Verdict, Watching
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration

DEFAULT_LIMIT = 100
_BEFORE = 3_600
_LONGEST = 400 * 86_400
_MAX_BODY = 16_384
_ID = Parameter("id", "The incident's id, or the beginning of it.", place="path")
_LIST = RouteDoc(
    "Incidents, as they were noticed minute by minute",
    IncidentList,
    (
        Parameter("since", "How far back, such as 6h or 30d.", default="6h"),
        Parameter("time", "The end, seconds since the epoch; now if absent.", "number"),
        Parameter("service", "NAME or NAME.NAMESPACE of a service that has a part in them."),
        Parameter("open", "true: only those that go on; false: only those that are over."),
        Parameter("limit", "So many, open ones first, then the newest.", "integer", default=DEFAULT_LIMIT),
    ),
)
_ONE = RouteDoc("One incident with its signals, events and causes", IncidentDetails, (_ID,))
_SAID = RouteDoc(
    "Say whether an incident was one",
    IncidentDetails,
    (_ID,),
    "`not-an-anomaly` ends it, and the same signal of the same service must depart clearly farther to alarm again for "
    "some weeks; an empty verdict takes back what was said.",
    body=FeedbackRequest,
)


def routes(desk: Desk, watching: Callable[[], Watching], clock: Clock, external_url: str = "") -> list[BaseRoute]:
    """The routes over one store's incidents."""

    def listed(request: Request) -> Response:
        return _json(_listed(desk, watching(), request.query_params, clock))

    def one(request: Request) -> Response:
        return _json(_details(desk, desk.archive.incident(request.path_params["id"])))

    async def said(request: Request) -> Response:
        same_origin(request, external_url)
        asked = _parsed(await body_of(request, _MAX_BODY))
        verdict: Verdict | None = asked.verdict or None

        def keep() -> IncidentDetails:
            return _details(desk, desk.said(request.path_params["id"], verdict, asked.note.strip()))

        return _json(await asyncio.to_thread(keep))

    base = f"{PREFIX}/incidents"
    return [
        documented(base, listed, _LIST),
        documented(f"{base}/{{id}}", one, _ONE),
        documented(f"{base}/{{id}}/feedback", said, _SAID),
    ]


def _parsed(body: bytes) -> FeedbackRequest:
    try:
        return FeedbackRequest.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise BadInputError(f"{place or 'body'}: {first['msg']}") from None


def _listed(desk: Desk, watching: Watching, params: QueryParams, clock: Clock) -> IncidentList:
    given = seconds(params, "time")
    end = (clock.now_ns() if given is None else given) // 10**9
    text = params.get("since", "6h")
    since = int(parse_duration(text))
    if not 60 <= since <= _LONGEST:
        raise BadInputError(f"since {text!r}: expected a minute at least and {_LONGEST // 86_400}d at most")
    found = desk.archive.incidents(end - since, end, _limit(params), params.get("service", ""), _open(params))
    return IncidentList(
        start=end - since, end=end, incidents=[IncidentOf(**_head(one)) for one in found],
        watching=WatchingOf(
            since=watching.since, last=watching.last, services=watching.services, scopes=watching.scopes,
            days=watching.days, learning=watching.learning, trouble=watching.trouble,
        ),
    )  # fmt: skip


def _limit(params: QueryParams) -> int:
    text = params.get("limit", str(DEFAULT_LIMIT))
    try:
        return int(text)
    except ValueError as error:
        raise BadInputError(f"limit {text!r}: expected a number") from error


def _open(params: QueryParams) -> bool | None:
    text = params.get("open", "")
    if text not in ("", "true", "false", "1", "0"):
        raise BadInputError(f"open {text!r}: expected true or false")
    return text in ("true", "1") if text else None


def _head(one: Incident) -> dict[str, Any]:
    namespace, service = one.node
    said = one.feedback
    return {
        "id": one.id, "start": one.start, "end": one.end, "open": one.open, "severity": one.severity,
        "service": service, "namespace": namespace, "title": one.title,
        "anomalies": [_anomaly(each) for each in one.anomalies],
        "cause": _cause(one),
        "changes": [ChangeNear(at=each.at, kind=each.kind, text=each.text) for each in one.changes],
        "feedback": FeedbackOf(verdict=said.verdict, note=said.note, at=said.at) if said else None,
    }  # fmt: skip


def _cause(one: Incident) -> CauseShort | None:
    causes = (one.why or {}).get("causes") or []
    if not causes:
        return None
    first = causes[0]
    return CauseShort(
        text=first["text"], service=first["service"], namespace=first["namespace"], caller=first["caller"],
        confidence=first["confidence"],
    )  # fmt: skip


def _anomaly(one: Anomaly) -> AnomalyPart:
    return AnomalyPart(
        scope=_scope(one.scope), signal=one.signal, start=one.start, end=one.end, open=one.open, factor=one.factor,
        score=one.score, expected=one.expected, seen=one.seen, unit=UNITS[one.signal],
    )  # fmt: skip


def _scope(scope: Scope) -> ScopeOf:
    return ScopeOf(kind=scope.kind, namespace=scope.namespace, service=scope.service, detail=scope.detail)


def _details(desk: Desk, one: Incident) -> IncidentDetails:
    courses = [each for each in desk.archive.courses(one.id) if each.times]
    events = [EventOf(at=each.at, text=each.text) for each in one.events]
    signals = [_course(each, one.start - _BEFORE) for each in courses]
    return IncidentDetails(**_head(one), signals=signals, events=events, why=dict(one.why) if one.why else None)


def _course(one: Course, since: int) -> CourseOf:
    """Every minute between the first and the last known, so that gaps are seen."""
    rows = {time: place for place, time in enumerate(one.times) if time >= since}
    times = list(range(min(rows), max(rows) + 1, 60)) if rows else []

    def column(values: list[float]) -> list[float | None]:
        return [_known(values[rows[time]]) if time in rows else None for time in times]

    return CourseOf(
        scope=_scope(one.scope), signal=one.signal, unit=UNITS[one.signal], times=times, seen=column(one.seen),
        expected=column(one.expected), low=column(one.low), high=column(one.high),
    )  # fmt: skip


def _known(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
