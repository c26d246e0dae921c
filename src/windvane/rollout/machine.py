"""What a release does next: a pure function of its plan, its state, the verdict, checks, answers at gates and the time.

A step needs no proof of safety, only that nothing was proven against the canary for as long as `hold`: more weight is
what brings the proof. Promotion needs it. Without requests in the canary nothing is proven and nothing moves. Checks
(metrics, webhooks) are gates beside the judge: what fails is counted, and `threshold` of them roll back; what has no
value decides nothing, and holds. Gates hold until they open.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from windvane.analytics.releases.judge import Verdict
from windvane.kit.errors import ConflictError
from windvane.rollout.model import HookKind, Plan

Phase = Literal[
    "Initialized", "Waiting", "Progressing", "WaitingPromotion", "Promoting", "Paused", "Succeeded", "Failed"
]
Wish = Literal["", "pause", "resume", "promote", "rollback", "approve"]
"""What a person asked for since the last look; `approve` opens the gate that is waited for, once."""

_MOST_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A verdict as a release needs it; `traffic` says whether the canary had any requests."""

    verdict: Verdict
    reasons: Sequence[str]
    traffic: bool = True


@dataclass(frozen=True, slots=True)
class Check:
    """What a metric or a webhook said at a look; `passed` None: nothing that decides."""

    name: str
    passed: bool | None
    text: str
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether all hooks of a kind passed, and what the first that did not has said."""

    passed: bool
    text: str = ""


Ask = Callable[[HookKind], Answer]
"""Asks the hooks of a kind, at the moment they are for."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: when (seconds since the epoch), the phase and weight after it, and why."""

    at: float
    phase: Phase
    weight: int
    text: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Where a release is. `weight` is the canary's, `started` when it first got traffic, `since` when it got this
    weight.

    `waiting` is the gate that is waited for, `approved` one that a person opened. `failed` counts failed checks,
    `iteration` looks of a plan with iterations. `idle` is for how many seconds it was held by people and gates (since
    `idle_since`, too): the deadline does not count them. `finished`: nothing is left to be told after the end.
    `wished` marks the last wish that was taken up. `versions` are whose release it is.
    """

    phase: Phase = "Initialized"
    weight: int = 0
    started: float | None = None
    since: float = 0.0
    events: tuple[Event, ...] = field(default_factory=tuple)
    waiting: str = ""
    approved: str = ""
    failed: int = 0
    iteration: int = 0
    mirrored: bool = False
    idle: float = 0.0
    idle_since: float | None = None
    finished: bool = False
    wished: int = 0
    versions: str = ""
    checks: tuple[Check, ...] = field(default_factory=tuple)

    @property
    def over(self) -> bool:
        """Whether it has ended, either way."""
        return self.phase in ("Succeeded", "Failed")

    def json(self) -> dict[str, Any]:
        """For the state file."""
        return asdict(self)

    @classmethod
    def of(cls, data: dict[str, Any]) -> State:
        """From the state file."""
        events = tuple(Event(**one) for one in data.get("events", ()))
        checks = tuple(Check(**one) for one in data.get("checks", ()))
        return cls(**{**data, "events": events, "checks": checks})


def resumed(plan: Plan, state: State) -> State:
    """The state to go on from: a plan for other versions than those whose release is over begins anew.

    `ConflictError` where theirs is not over: its canary would keep the requests that it has.
    """
    if state.versions in ("", plan.versions):
        return replace(state, versions=plan.versions)
    if not state.over:
        raise ConflictError(
            f"{plan.id} is for {plan.versions.replace(' ', ' and ')}, and the release of "
            f"{state.versions.replace(' ', ' and ')} is not over: roll it back or promote it first"
        )
    return State(versions=plan.versions)


@dataclass(frozen=True, slots=True)
class Shape:
    """What the routes are to be: the canary's weight, percent of requests copied to it, whether it gets what matches,
    and the value of the cookie that keeps users with their version ("": no cookie).
    """

    weight: int
    mirror: int = 0
    matching: bool = False
    cookie: str = ""


def shape(plan: Plan, state: State) -> Shape:
    """The routes of a state; once a release is over, there is nothing but weights."""
    if state.started is None or state.over:
        return Shape(state.weight)
    divided = plan.affinity is not None and 0 < state.weight < 100
    return Shape(
        state.weight,
        plan.mirror if state.mirrored else 0,
        plan.strategy == "match",
        hashlib.sha256(f"{plan.id} {state.started}".encode()).hexdigest()[:12] if divided else "",
    )


def step(
    plan: Plan,
    state: State,
    found: Found | None,
    wish: Wish,
    now: float,
    *,
    checks: Sequence[Check] = (),
    ask: Ask | None = None,
    decide: Callable[[], Check] | None = None,
) -> State:
    """The state after one look; `found` is None before the canary had traffic, and while nobody judges.

    Without `ask` no hook is asked: gates that a plan has stay closed until they are approved. `decide` judges the units
    of an experiment that has come to its end, once.
    """
    if state.over:
        return state
    asked = ask or (lambda kind: Answer(not plan.hooks_of(kind), "not asked"))
    look = _Look(plan, now, found, tuple(checks), asked, decide)
    return _timed(plan, _stepped(look, replace(state, checks=look.checks), wish), now)


@dataclass(frozen=True, slots=True)
class _Look:
    """What is known at a look."""

    plan: Plan
    now: float
    found: Found | None
    checks: tuple[Check, ...]
    ask: Ask
    decide: Callable[[], Check] | None


def _stepped(look: _Look, state: State, wish: Wish) -> State:
    if wish == "approve":
        state = _approved(state, look.now)
    elif (asked := _wished(state, wish, look.now)) is not None:
        return asked
    if look.plan.hooks_of("rollback") and (state.started is not None or state.phase == "Waiting"):
        answer = look.ask("rollback")
        if answer.passed:
            return _moved(state, "Failed", 0, "rolled back: a rollback webhook asked for it", look.now, warning=True)
    return _begun(look, state) if state.started is None else _judged(look, state)


def _timed(plan: Plan, state: State, now: float) -> State:
    """Time that people and gates hold a release for is not its own."""
    held = bool(state.waiting) or state.phase == "Paused" or plan.suspend
    if state.over or held == (state.idle_since is not None):
        return state
    if held:
        return replace(state, idle_since=now)
    assert state.idle_since is not None
    return replace(state, idle=state.idle + now - state.idle_since, idle_since=None)


def _judged(look: _Look, state: State) -> State:
    plan, found, now = look.plan, look.found, look.now
    assert state.started is not None
    if found is not None and found.verdict == "regress":
        return _moved(state, "Failed", 0, f"rolled back: {'; '.join(found.reasons)}", now, warning=True)
    if state.phase == "Paused" or plan.suspend:
        return state
    # What was held until this look is not counted yet; what waits at a gate does not run out of time.
    own = now - state.started - state.idle - (now - state.idle_since if state.idle_since is not None else 0)
    if own > plan.deadline:
        why = next((f" ({one.name}: {one.text})" for one in look.checks if one.passed is not True), "")
        return _moved(state, "Failed", 0, f"rolled back: not proven safe within {plan.deadline:g} s{why}", now,
                      warning=True)  # fmt: skip
    if (failing := next((one for one in look.checks if one.passed is False), None)) is not None:
        return _failed(look, state, f"{failing.name}: {failing.text}")
    return _onward(look, state) if _may_go_on(look, state) else state


def _may_go_on(look: _Look, state: State) -> bool:
    """Whether enough is known, and it has been as it is for long enough."""
    if any(one.passed is None for one in look.checks) or not _has_traffic(look.plan, look.found):
        return False
    return look.now - state.since >= (look.plan.interval if state.phase == "Promoting" else look.plan.hold)


def _has_traffic(plan: Plan, found: Found | None) -> bool:
    """Whether the canary had the requests that it should have had. Without any routed to it, checks alone decide."""
    if plan.strategy == "blue-green" and not plan.mirror:
        return True
    return found is not None and found.traffic


def _failed(look: _Look, state: State, why: str) -> State:
    state = replace(state, failed=state.failed + 1)
    if state.failed >= look.plan.threshold:
        return _moved(state, "Failed", 0, f"rolled back: {state.failed} failed checks, the last {why}", look.now,
                      warning=True)  # fmt: skip
    text = f"check {state.failed} of {look.plan.threshold} failed: {why}"
    return _noted(state, text, look.now, warning=True)


def _wished(state: State, wish: Wish, now: float) -> State | None:
    if wish == "rollback":
        return _moved(state, "Failed", 0, "rolled back as was asked", now, warning=True)
    if wish == "promote" and state.started is None:
        return _noted(state, "not promoted: it has not begun", now)
    if wish == "promote":
        return _moved(state, "Succeeded", 100, "promoted as was asked", now)
    if wish == "pause" and state.phase != "Paused":
        return _moved(state, "Paused", state.weight, "paused as was asked", now)
    if wish == "resume" and state.phase == "Paused":
        phase: Phase = "Initialized" if state.started is None else "Progressing"
        return _moved(state, phase, state.weight, "resumed as was asked", now, anew=True)
    return None


def _approved(state: State, now: float) -> State:
    if not state.waiting:
        return _noted(state, "approved as was asked, but no gate is waited for", now)
    return _noted(replace(state, approved=state.waiting), f"{state.waiting} approved as was asked", now)


def _begun(look: _Look, state: State) -> State:
    plan, now = look.plan, look.now
    if plan.suspend or state.phase == "Paused":
        return state
    before, (state, opened) = state, _gate(look, state, "confirm-rollout", "Waiting")
    if not opened:
        return state
    if plan.skip:
        return _moved(state, "Succeeded", 100, "promoted without analysis, as the Canary says", now)
    answer = look.ask("pre-rollout")
    if not answer.passed:
        return _failed(look, replace(state, approved=before.approved), answer.text)
    started = replace(state, started=now, mirrored=plan.mirror > 0, idle=0.0, idle_since=None)
    if plan.strategy == "steps" and not plan.mirror:
        return _moved(started, "Progressing", plan.steps[0], f"{plan.canary} gets its first traffic", now)
    text = {"match": "gets the requests that match", "blue-green": "is checked without traffic"}
    how = f"gets copies of {plan.mirror} % of requests" if plan.mirror else text[plan.strategy]
    return _moved(started, "Progressing", 0, f"{plan.canary} {how}", now, anew=True)


def _gate(look: _Look, state: State, kind: HookKind, phase: Phase) -> tuple[State, bool]:
    """Whether a gate is open; the state that waits where it is not."""
    if not look.plan.hooks_of(kind):
        return state, True
    answer = Answer(True) if state.approved == kind else look.ask(kind)
    if answer.passed:
        return replace(state, waiting="", approved=""), True
    if state.waiting == kind:
        return state, False
    waiting = replace(state, waiting=kind, approved="")
    return _moved(waiting, phase, state.weight, f"waits for {kind}: {answer.text}", look.now), False


def _onward(look: _Look, state: State) -> State:
    plan, now = look.plan, look.now
    if state.phase == "Promoting":
        return _promoted(plan, state, "promoted", now)
    if state.iteration < plan.iterations:
        counted = replace(state, iteration=state.iteration + 1)
        text = f"iteration {counted.iteration} of {plan.iterations} passed"
        return _moved(counted, "Progressing", state.weight, text, now, anew=True)
    following = None if plan.iterations else next((weight for weight in plan.steps if weight > state.weight), None)
    if following is not None:
        return _increased(look, state, following)
    return _proven(look, state)


def _proven(look: _Look, state: State) -> State:
    """Promotion, where what it needs is proven and its gate is open."""
    plan, found = look.plan, look.found
    if plan.units is not None and state.phase != "WaitingPromotion":
        state = _decided(look, state)
        if state.over or state.checks[-1].passed is not True:
            return state
    elif plan.units is None and not _is_proven(plan, found):
        return state
    state, opened = _gate(look, state, "confirm-promotion", "WaitingPromotion")
    if not opened:
        return state
    return _promoted(plan, state, f"promoted: {'; '.join(found.reasons) if found else 'all checks passed'}", look.now)


def _is_proven(plan: Plan, found: Found | None) -> bool:
    """Whether promotion may come: without requests that were meant for the canary, checks alone decide."""
    return (plan.strategy == "blue-green" and not plan.mirror) or (found is not None and found.verdict == "safe")


def _decided(look: _Look, state: State) -> State:
    """An experiment judged: it goes on to promotion, back, or waits for its units."""
    check = look.decide() if look.decide is not None else Check("units", None, "nobody here judges them")
    state = replace(state, checks=(*state.checks, check))
    if check.passed is False:
        return _moved(state, "Failed", 0, f"rolled back: {check.text}", look.now, warning=True)
    text = f"units: {check.text}"
    if state.events and state.events[-1].text == text:
        return state
    return _noted(state, text, look.now, warning=check.passed is None)


def _increased(look: _Look, state: State, weight: int) -> State:
    state, opened = _gate(look, state, "confirm-traffic-increase", "Progressing")
    if not opened:
        return state
    text = f"{look.found.verdict if look.found else 'checked'}: next weight"
    return _moved(replace(state, mirrored=False), "Progressing", weight, text, look.now)


def _promoted(plan: Plan, state: State, why: str, now: float) -> State:
    weight = state.weight + (plan.promotion_step or 100)
    done = replace(state, mirrored=False)
    if weight >= 100:
        return _moved(done, "Succeeded", 100, why, now)
    return _moved(done, "Promoting", weight, f"{why}; on to 100 %", now)


def _moved(
    state: State, phase: Phase, weight: int, text: str, now: float, *, warning: bool = False, anew: bool = False
) -> State:
    """A change, told; `hold` begins `anew` with it, as with another weight. Who has ended waits at no gate."""
    since = now if weight != state.weight or anew else state.since
    ended = phase in ("Succeeded", "Failed")
    kept = replace(state, waiting="", approved="", mirrored=False) if ended else state
    return _told(replace(kept, phase=phase, weight=weight, since=since), Event(now, phase, weight, text, warning))


def _noted(state: State, text: str, now: float, *, warning: bool = False) -> State:
    """Something told that changes nothing."""
    return _told(state, Event(now, state.phase, state.weight, text, warning))


def _told(state: State, event: Event) -> State:
    return replace(state, events=(*state.events, event)[-_MOST_EVENTS:])
