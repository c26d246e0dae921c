"""One look at a release: the judge, the metrics and the webhooks asked, and what follows from their answers."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError
from windvane.rollout.experiment import judged
from windvane.rollout.hooks import Asking, Post, announced, post
from windvane.rollout.machine import Check, Found, State, Wish, resumed, step
from windvane.rollout.model import Metric, Plan

Judge = Callable[[Plan, float, float], Found]
"""Asks for the verdict on a plan's canary from a start to an end, in seconds since the epoch; may block."""
Measure = Callable[[str, float], float | None]
"""Asks a PromQL query at a time (seconds since the epoch) for its one value; None where it has none. May block."""
Tell = Callable[[str], None]
SOONEST = 60.0
"""Seconds of traffic that a verdict needs: counters are read by the minute."""


@dataclass(frozen=True, slots=True)
class Around:
    """What a release needs of its surroundings."""

    judge: Judge
    clock: Clock
    tell: Tell
    measure: Measure | None = None
    post: Post = post


def look(plan: Plan, state: State, around: Around, wish: Wish, now: float) -> State:
    """The state after one look; blocks as long as judge, metrics and hooks take. Event hooks are told what happened.

    `ConflictError` where the state is of a release of other versions that is not over.
    """
    state = resumed(plan, state)
    if state.over:
        return state
    asking = Asking(plan, state, around.post)
    found = _verdict(plan, state, around, now)
    units = plan.units
    decide = None if units is None else lambda: judged(units)
    checks = tuple(_checks(plan, state, around, asking, now))
    following = step(plan, state, found, wish, now, checks=checks, ask=asking, decide=decide)
    announce(plan, state, following, around)
    return following


def announce(plan: Plan, before: State, after: State, around: Around) -> None:
    """Tell of what happened between two states, to people and to event hooks."""
    known = set(before.events)
    for event in after.events:
        if event not in known:
            around.tell(f"{event.phase}, {event.weight} %: {event.text}")
            for problem in announced(plan, after, event, around.post):
                around.tell(problem)


def close(plan: Plan, state: State, around: Around) -> State:
    """What is left after the end: post-rollout hooks, once. Their failures are told and change nothing."""
    if not state.over or state.finished:
        return state
    answer = Asking(plan, state, around.post)("post-rollout")
    if not answer.passed:
        around.tell(f"post-rollout webhook failed: {answer.text}")
    return replace(state, finished=True)


def _verdict(plan: Plan, state: State, around: Around, now: float) -> Found | None:
    """None too soon after the beginning, and while nobody answers: then nothing moves."""
    if state.started is None or now - state.started < SOONEST:
        return None
    try:
        return around.judge(plan, state.started, now)
    except WindvaneError as error:
        around.tell(f"no verdict: {error.message}")
        return None


def _checks(plan: Plan, state: State, around: Around, asking: Asking, now: float) -> Iterator[Check]:
    """Rollout hooks, then metrics, to the first that fails, as Flagger goes."""
    if state.started is None or state.phase in ("Paused", "Promoting") or plan.suspend:
        return
    for check in asking.checks("rollout"):
        yield check
        if check.passed is False:
            return
    for metric in plan.metrics:
        # A query over the last minute sees nothing of the canary right after the beginning.
        early = now - state.started < SOONEST
        check = Check(metric.name, None, "too early") if early else measured(metric, around.measure, now)
        yield check
        if check.passed is False:
            return


def measured(metric: Metric, measure: Measure | None, now: float) -> Check:
    """A metric's value and whether it lies in its range; no value decides nothing."""
    if measure is None:
        return Check(metric.name, None, "nobody here can measure it")
    try:
        value = measure(metric.query, now)
    except WindvaneError as error:
        return Check(metric.name, None, error.message)
    if value is None or math.isnan(value):
        return Check(metric.name, None, "no value")
    if metric.minimum is not None and value < metric.minimum:
        return Check(metric.name, False, f"{value:g} < {metric.minimum:g}", value)
    if metric.maximum is not None and value > metric.maximum:
        return Check(metric.name, False, f"{value:g} > {metric.maximum:g}", value)
    return Check(metric.name, True, f"{value:g}", value)
