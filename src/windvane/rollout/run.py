"""A release carried out: looks at its interval, weights in a file, its state beside it.

The state file survives a restart, which goes on where it was; people's wishes come through it, too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import orjson

from windvane.kit.clock import Clock
from windvane.kit.errors import BadInputError, NotFoundError, WindvaneError
from windvane.kit.strict_yaml import read_text
from windvane.rollout.machine import Found, State, Wish, step
from windvane.rollout.plan import Plan, read
from windvane.rollout.weights import find, set_weight

Judge = Callable[[Plan, float, float], Found]
"""Asks for the verdict on a plan's canary from a start to an end, in seconds since the epoch; may block."""
Tell = Callable[[str], None]
_SOONEST = 60.0
"""Seconds of traffic that a verdict needs: counters are read by the minute."""


@dataclass(frozen=True, slots=True)
class Files:
    """A release's files: its Canary, the routes it changes, and its state."""

    canary: Path
    routes: Path

    @property
    def state(self) -> Path:
        """Beside the Canary; not YAML, so that no reader of the folder takes it for a resource."""
        return self.canary.with_suffix(".rollout.json")

    @property
    def wish(self) -> Path:
        """What a person asked for, until it is taken up."""
        return self.canary.with_suffix(".rollout.wish")

    def load(self) -> State:
        """The state, or that of a release not begun."""
        try:
            return State.of(orjson.loads(self.state.read_bytes()))
        except FileNotFoundError:
            return State()
        except (orjson.JSONDecodeError, TypeError) as error:
            raise BadInputError(f"{self.state}: not the state of a release: {error}") from None

    def save(self, state: State) -> None:
        """Write the state, whole or not at all."""
        part = self.state.with_suffix(".part")
        part.write_bytes(orjson.dumps(state.json(), option=orjson.OPT_INDENT_2))
        part.replace(self.state)

    def ask(self, wish: Wish) -> None:
        """Leave a wish for the next look."""
        if not self.state.exists():
            raise NotFoundError(f"{self.state}: there is no release (windvane canary run begins one)")
        self.wish.write_text(wish, encoding="utf-8")

    def take(self) -> Wish:
        """The wish, taken away."""
        try:
            text = self.wish.read_text(encoding="utf-8").strip()
        except FileNotFoundError:
            return ""
        self.wish.unlink(missing_ok=True)
        wishes: dict[str, Wish] = {one: one for one in ("pause", "resume", "promote", "rollback")}
        return wishes.get(text, "")


@dataclass(frozen=True, slots=True)
class Around:
    """What a release needs of its surroundings."""

    judge: Judge
    clock: Clock
    tell: Tell


async def run(files: Files, around: Around) -> State:
    """Carry a release out until it has ended; its last state."""
    plan = read(read_text(files.canary), str(files.canary))
    find(read_text(files.routes), str(files.routes), plan)
    state = files.load()
    while True:
        plan = _again(files, plan, around.tell)
        state = await asyncio.to_thread(_look, files, plan, state, around)
        if state.over:
            return state
        await around.clock.sleep(plan.interval)


def _again(files: Files, plan: Plan, tell: Tell) -> Plan:
    """The plan as it is now; an edit that is wrong is told and not taken."""
    try:
        return read(read_text(files.canary), str(files.canary))
    except WindvaneError as error:
        tell(f"the plan is not changed: {error.message}")
        return plan


def _look(files: Files, plan: Plan, state: State, around: Around) -> State:
    now = around.clock.now_ns() / 1e9
    found = _verdict(plan, state, around, now)
    following = step(plan, state, found, files.take(), now)
    if not following.over or following != state:
        # the weight first: after a crash in between, the next look sets the same weight again
        set_weight(files.routes, plan, following.weight)
    if following != state or not files.state.exists():
        files.save(following)
        event = following.events[-1] if following.events else None
        if event is not None:
            around.tell(f"{event.phase}, {event.weight} %: {event.text}")
    return following


def _verdict(plan: Plan, state: State, around: Around, now: float) -> Found | None:
    """None too soon after the beginning, and while nobody answers: then nothing moves."""
    if state.started is None or state.over or now - state.started < _SOONEST:
        return None
    try:
        return around.judge(plan, state.started, now)
    except WindvaneError as error:
        around.tell(f"no verdict: {error.message}")
        return None
