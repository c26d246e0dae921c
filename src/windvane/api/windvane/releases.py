"""Own routes about releases that this server carries out: what they are at, what proves it, and steering them."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal, get_args

import orjson
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.analytics.releases.read import AskRange
from windvane.api.bodies import body_of
from windvane.api.windvane.analytics_models import CanaryVerdict, VerdictWord
from windvane.api.windvane.analytics_releases import verdict_of
from windvane.api.windvane.docs import Parameter, RouteDoc, documented
from windvane.api.windvane.guard import same_origin
from windvane.api.windvane.telemetry import PREFIX
from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, ConflictError, NotFoundError, WindvaneError
from windvane.promql.quoting import quote
from windvane.rollout.keeper import Keeper
from windvane.rollout.release import Action, Release

_MAX_BODY = 1 << 12
_MOST_POINTS = 300
_FINEST_SECONDS = 15
_SHORTEST_SECONDS = 300
_AFTER_SECONDS = 60
"""What a release ended with is written just after its end."""
Verb = Literal["pause", "resume", "promote", "rollback", "approve", "restart"]


@dataclass(frozen=True, slots=True)
class ReleaseSettings:
    """`off` says why there are no releases here, "" where there may be."""

    off: str = ""
    external_url: str = ""


class ReleaseRow(BaseModel):
    """A Canary as it is carried out; times are seconds since the epoch.

    `phase` is Flagger's word, or `Invalid` for a Canary that cannot be carried out: `problems` say why (of one that
    goes on by the plan it had: what is wrong with its newest text). `weight` is the canary's, in percent, `steps`
    are the weights before promotion. `started` is when it first got traffic, `since` when it got this weight.
    `verdict` with `evidence` (`needed` proves harm) is of the newest look, null before there was one; `minutes` is
    how much longer until it is decided, null where it is not at this traffic. `waiting` names the gate that it waits
    for; `failed` is how many checks have failed, of which `threshold` roll back. `trouble` is what failed at the
    newest look. `actions` are what may be asked of it now.
    """

    name: str
    namespace: str
    service: str
    baseline: str
    canary: str
    phase: str
    weight: int
    steps: list[int]
    started: float | None
    since: float | None
    ended: float | None
    next_look: float | None
    suspended: bool
    verdict: VerdictWord | None
    reasons: list[str]
    evidence: float | None
    needed: float | None
    minutes: float | None
    waiting: str
    failed: int
    threshold: int
    problems: list[str]
    trouble: str
    actions: list[Verb]
    file: str
    line: int


class Releases(BaseModel):
    """All releases; `off` says why this server carries out none, "" where it does."""

    off: str
    releases: list[ReleaseRow]


class ReleaseEvent(BaseModel):
    """What happened: the phase and the canary's weight from then on, and why."""

    at: float
    phase: str
    weight: int
    text: str
    warning: bool


class ReleaseCheck(BaseModel):
    """What a metric or webhook said at the newest look; `passed` null: nothing that decides."""

    name: str
    passed: bool | None
    text: str
    value: float | None


class EvidencePoint(BaseModel):
    """Evidence of harm at a time: an e-value."""

    at: float
    evidence: float


class ReleasePlan(BaseModel):
    """What was asked for; seconds."""

    interval: float
    hold: float
    deadline: float
    confirm: bool
    alpha: float
    tolerated: float
    margin: float
    acceptable: float


class ReleaseDetail(ReleaseRow):
    """A release with its plan, what happened, and what its verdict rests on. `judged_at` is when that was."""

    routes: str
    plan: ReleasePlan | None
    strategy: str
    iteration: int
    iterations: int
    mirror: int
    notes: list[str]
    checks: list[ReleaseCheck]
    events: list[ReleaseEvent]
    judged: CanaryVerdict | None
    judged_at: float | None
    evidence_over_time: list[EvidencePoint]
    now: float


class Steering(BaseModel):
    """Nothing to be told: `{}`."""

    model_config = ConfigDict(extra="forbid")


_LIST = RouteDoc(
    "Releases",
    Releases,
    description="Every Canary among the mesh's files, those that cannot be carried out last.",
)
_PLACE = (
    Parameter("namespace", "The Canary's namespace.", place="path"),
    Parameter("name", "The Canary's name.", place="path"),
)
_ONE = RouteDoc("A release with what its verdict rests on", ReleaseDetail, _PLACE)
_ASK = RouteDoc(
    "Steer a release",
    ReleaseDetail,
    (*_PLACE, Parameter("action", f"One of {', '.join(get_args(Verb))}.", place="path")),
    "Done at once; the answer is the release after it. A regression rolls back a paused release, too. 409 where the "
    "release is not in a state for it, or its files cannot be written.",
    body=Steering,
)


def routes(keeper: Keeper | None, ask: AskRange, clock: Clock, settings: ReleaseSettings) -> list[BaseRoute]:
    """The routes; without a keeper they say why there is none. `ask` may block."""
    face = _Releases(keeper, ask, clock, settings)
    return [
        documented(f"{PREFIX}/releases", face.all, _LIST),
        documented(f"{PREFIX}/releases/{{namespace}}/{{name}}", face.one, _ONE),
        documented(f"{PREFIX}/releases/{{namespace}}/{{name}}/{{action}}", face.ask, _ASK),
    ]


class _Releases:
    def __init__(self, keeper: Keeper | None, ask: AskRange, clock: Clock, settings: ReleaseSettings) -> None:
        self._keeper, self._ask, self._clock, self._settings = keeper, ask, clock, settings

    async def all(self, _: Request) -> Response:
        rows = [ReleaseRow(**row_of(self._keeper, one)) for one in self._keeper.releases()] if self._keeper else []
        return _json(Releases(off=self._settings.off, releases=rows))

    async def one(self, request: Request) -> Response:
        keeper = self._given(NotFoundError)
        release = keeper.named(request.path_params["namespace"], request.path_params["name"])
        return _json(await self._detail(keeper, release))

    async def ask(self, request: Request) -> Response:
        same_origin(request, self._settings.external_url)
        body = await body_of(request, _MAX_BODY)
        if body.strip() not in (b"", b"{}"):
            raise BadInputError("nothing is to be told with it: the body must be {}")
        keeper = self._given(ConflictError)
        action = request.path_params["action"]
        if action not in get_args(Action):
            raise BadInputError(f"action {action!r}: expected one of {', '.join(get_args(Action))}")
        release = await keeper.ask(request.path_params["namespace"], request.path_params["name"], action)
        return _json(await self._detail(keeper, release))

    def _given(self, error: type[WindvaneError]) -> Keeper:
        if self._keeper is None:
            raise error(self._settings.off)
        return self._keeper

    async def _detail(self, keeper: Keeper, release: Release) -> ReleaseDetail:
        now = self._clock.now_ns() / 1e9
        over_time = await asyncio.to_thread(lambda: list(self._evidence(release, now)))
        return ReleaseDetail(**row_of(keeper, release), **_more(release, now), evidence_over_time=over_time)

    def _evidence(self, release: Release, now: float) -> Iterator[EvidencePoint]:
        """From the series that the server writes at every look, so that it outlives a restart."""
        state, (namespace, name) = release.state, release.key
        if state.started is None:
            return
        end = min(now, (_ended(release) or now) + _AFTER_SECONDS)
        start = min(state.started, end - _SHORTEST_SECONDS)
        step = max(_FINEST_SECONDS, (end - start) / _MOST_POINTS)
        query = f'windvane_release_evidence{{name={quote(name)},namespace={quote(namespace)},metric=""}}'
        found = self._ask(query, int(start * 1_000), int(end * 1_000), int(step * 1_000))
        for row in range(len(found.metrics)):
            times, values = found.points(row)
            for time_ms, value in zip(times.tolist(), values.tolist(), strict=True):
                if time_ms >= state.started * 1_000:
                    yield EvidencePoint(at=time_ms / 1_000, evidence=value)


def row_of(keeper: Keeper, release: Release) -> dict[str, Any]:
    """A release as the list has it."""
    plan, state, examined = release.plan, release.state, release.examined
    broken = not keeper.carries(release)
    judgement = examined.judgement if examined is not None else None
    (namespace, name) = release.key
    return {
        "name": name, "namespace": namespace,
        "service": plan.service if plan else "", "baseline": plan.baseline if plan else "",
        "canary": plan.canary if plan else "", "phase": "Invalid" if broken else state.phase,
        "weight": state.weight, "steps": list(plan.steps) if plan else [],
        "started": state.started, "since": state.since or None, "ended": _ended(release),
        "next_look": release.next_look or None, "suspended": plan.suspend if plan else False,
        "verdict": judgement.verdict if judgement else None,
        "reasons": list(judgement.reasons) if judgement else [release.unjudged] if release.unjudged else [],
        "evidence": judgement.evidence if judgement else None,
        "needed": 1 / plan.settings.alpha if plan else None,
        "minutes": judgement.minutes if judgement else None,
        "waiting": state.waiting, "failed": state.failed, "threshold": plan.threshold if plan else 0,
        "problems": [str(one) for one in release.problems], "trouble": release.trouble,
        "actions": keeper.possible(release),
        "file": release.given.document.file, "line": release.given.document.line,
    }  # fmt: skip


def _more(release: Release, now: float) -> dict[str, Any]:
    plan, examined = release.plan, release.examined
    judged = None
    if examined is not None:
        judged = verdict_of(examined.question, examined.counts, examined.judgement, examined.settings)
    names = ("interval", "hold", "deadline", "confirm")
    limits = ("alpha", "tolerated", "margin", "acceptable")
    return {
        "routes": str(release.routes),
        "plan": {
            **{one: getattr(plan, one) for one in names}, **{one: getattr(plan.settings, one) for one in limits}
        } if plan else None,
        "strategy": plan.strategy if plan else "", "iteration": release.state.iteration,
        "iterations": plan.iterations if plan else 0, "mirror": plan.mirror if plan and release.state.mirrored else 0,
        "notes": list(release.notes),
        "checks": [
            {"name": one.name, "passed": one.passed, "text": one.text, "value": one.value}
            for one in release.state.checks
        ],
        "events": [
            {"at": one.at, "phase": one.phase, "weight": one.weight, "text": one.text, "warning": one.warning}
            for one in release.state.events
        ],
        "judged": judged, "judged_at": examined.at if examined else None, "now": now,
    }  # fmt: skip


def _ended(release: Release) -> float | None:
    state = release.state
    return state.events[-1].at if state.over and state.events else None


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
