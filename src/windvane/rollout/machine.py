"""What a release does next: a pure function of its plan, its state, the verdict and the time.

A step needs no proof of safety, only that nothing was proven against the canary for as long as `hold`: more weight is
what brings the proof. Promotion needs it. Without requests in the canary nothing is proven and nothing moves.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal

from windvane.analytics.releases.judge import Verdict
from windvane.rollout.plan import Plan

Phase = Literal["Initialized", "Progressing", "WaitingPromotion", "Paused", "Succeeded", "Failed"]
Wish = Literal["", "pause", "resume", "promote", "rollback"]
"""What a person asked for since the last look."""

_MOST_EVENTS = 500


@dataclass(frozen=True, slots=True)
class Found:
    """A verdict as a release needs it; `traffic` says whether the canary had any requests."""

    verdict: Verdict
    reasons: Sequence[str]
    traffic: bool = True


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: when (seconds since the epoch), the phase and weight after it, and why."""

    at: float
    phase: Phase
    weight: int
    text: str


@dataclass(frozen=True, slots=True)
class State:
    """Where a release is. `weight` is the canary's, `started` when it first got traffic, `since` when it got this
    weight.
    """

    phase: Phase = "Initialized"
    weight: int = 0
    started: float | None = None
    since: float = 0.0
    events: tuple[Event, ...] = field(default_factory=tuple)

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
        return cls(**{**data, "events": events})


def step(plan: Plan, state: State, found: Found | None, wish: Wish, now: float) -> State:
    """The state after one look; `found` is None before the canary had traffic, and while nobody judges."""
    if state.over:
        return state
    asked = _wished(state, wish, now)
    if asked is not None:
        return asked
    return _begun(plan, state, now) if state.started is None else _judged(plan, state, found, now)


def _judged(plan: Plan, state: State, found: Found | None, now: float) -> State:
    assert state.started is not None
    if found is not None and found.verdict == "regress":
        return _moved(state, "Failed", 0, f"rolled back: {'; '.join(found.reasons)}", now)
    if state.phase == "Paused" or plan.suspend:
        return state
    if now - state.started > plan.deadline:
        return _moved(state, "Failed", 0, f"rolled back: not proven safe within {plan.deadline:g} s", now)
    if found is None or not found.traffic or now - state.since < plan.hold:
        return state
    return _onward(plan, state, found, now)


def _wished(state: State, wish: Wish, now: float) -> State | None:
    if wish == "rollback":
        return _moved(state, "Failed", 0, "rolled back as was asked", now)
    if wish == "promote" and state.started is not None:
        return _moved(state, "Succeeded", 100, "promoted as was asked", now)
    if wish == "pause" and state.phase != "Paused":
        return _moved(state, "Paused", state.weight, "paused as was asked", now)
    if wish == "resume" and state.phase == "Paused":
        return _moved(state, "Progressing", state.weight, "resumed as was asked", now)
    return None


def _begun(plan: Plan, state: State, now: float) -> State:
    if plan.suspend or state.phase == "Paused":
        return state
    return replace(
        _moved(state, "Progressing", plan.steps[0], f"{plan.canary} gets its first traffic", now), started=now
    )


def _onward(plan: Plan, state: State, found: Found, now: float) -> State:
    following = next((weight for weight in plan.steps if weight > state.weight), None)
    if following is not None:
        return _moved(state, "Progressing", following, f"{found.verdict}: next weight", now)
    if found.verdict != "safe":
        return state
    if plan.confirm:
        waiting = state.phase == "WaitingPromotion"
        return state if waiting else _moved(state, "WaitingPromotion", state.weight, "safe: waits to be promoted", now)
    return _moved(state, "Succeeded", 100, f"promoted: {'; '.join(found.reasons)}", now)


def _moved(state: State, phase: Phase, weight: int, text: str, now: float) -> State:
    event = Event(now, phase, weight, text)
    since = now if weight != state.weight or phase == "Progressing" else state.since
    return replace(state, phase=phase, weight=weight, since=since, events=(*state.events, event)[-_MOST_EVENTS:])
