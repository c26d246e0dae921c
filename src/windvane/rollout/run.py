"""A release carried out: looks at its interval, routes in a file, its state beside the Canary.

The state file survives a restart, which goes on where it was; people's wishes come through it, too. Whatever was
decided is written down before it is done, and what was written down is done first of all by a process that begins:
wherever one is killed, the next one makes the routes what the decision was.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path

import orjson

from windvane.kit.errors import BadInputError, NotFoundError, WindvaneError
from windvane.kit.strict_yaml import read_text
from windvane.mesh.files import expand
from windvane.rollout.look import Around, Judge, close, look
from windvane.rollout.machine import State, Wish, resumed
from windvane.rollout.parts import Templates
from windvane.rollout.plan import Plan, read, templates
from windvane.rollout.weights import apply, locate, write

__all__ = ["Around", "Files", "Judge", "run"]
_WISHES: dict[str, Wish] = {one: one for one in ("pause", "resume", "promote", "rollback", "approve")}


@dataclass(frozen=True, slots=True)
class Files:
    """A release's files: its Canary, the routes it changes (or the folder they are in), and its state."""

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

    def plan(self) -> Plan:
        """The Canary as it is now, with the metric templates of its folder."""
        text = read_text(self.canary)
        return read(text, str(self.canary), self._templates() if "templateRef" in text else None)

    def _templates(self) -> Templates:
        found: dict[tuple[str, str], object] = {}
        for file in map(Path, expand(self.canary.parent)):
            if file != self.canary and "MetricTemplate" in (text := read_text(file)):
                found.update(templates(text, str(file)))
        return found  # type: ignore[return-value]

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
        write(self.state, orjson.dumps(state.json(), option=orjson.OPT_INDENT_2).decode())

    def ask(self, wish: Wish) -> None:
        """Leave a wish for the next look."""
        if not self.state.exists():
            raise NotFoundError(f"{self.state}: there is no release (windvane canary run begins one)")
        write(self.wish, wish)

    def peek(self) -> tuple[Wish, int]:
        """The wish that is left, and what tells it from an earlier one."""
        try:
            text, stamp = self.wish.read_text(encoding="utf-8").strip(), self.wish.stat().st_mtime_ns
        except FileNotFoundError:
            return "", 0
        return _WISHES.get(text, ""), stamp

    def drop(self, stamp: int) -> None:
        """Take a wish away that was taken up; one that came later stays."""
        if stamp and self.peek()[1] == stamp:
            self.wish.unlink(missing_ok=True)

    def take(self) -> Wish:
        """The wish, taken away."""
        wish, stamp = self.peek()
        self.drop(stamp)
        return wish


async def run(files: Files, around: Around) -> State:
    """Carry a release out until it has ended; its last state."""
    plan = files.plan()
    for note in plan.notes:
        around.tell(note)
    state = await asyncio.to_thread(_resumed, files, plan)
    if state.finished:
        around.tell(f"{state.phase}: this release is over, {state.events[-1].text if state.events else 'long since'}")
    while not state.finished:
        plan = _again(files, plan, state, around)
        state = await asyncio.to_thread(_looked, files, plan, state, around)
        if not state.finished:
            await around.clock.sleep(plan.interval)
    return state


def _resumed(files: Files, plan: Plan) -> State:
    """The state to go on from, done: who was here before may have been killed before that."""
    routes, state = locate(files.routes, plan), resumed(plan, files.load())
    apply(routes, plan, state)
    return state


def _again(files: Files, plan: Plan, state: State, around: Around) -> Plan:
    """The plan as it is now; an edit that is wrong is told and not taken."""
    try:
        following = files.plan()
        resumed(following, state)
        return following
    except WindvaneError as error:
        around.tell(f"the plan is not changed: {error.message}")
        return plan


def _looked(files: Files, plan: Plan, state: State, around: Around) -> State:
    now = around.clock.now_ns() / 1e9
    wish, stamp = files.peek()
    wish = "" if stamp == state.wished else wish
    following = look(plan, replace(state, wished=stamp or state.wished), around, wish, now)
    try:
        _done(files, plan, state, following)
    except WindvaneError as error:  # somebody writes in the file: the next look tries again
        around.tell(f"the routes are not changed yet: {error.message}")
        return following
    files.drop(stamp)
    if following.over:
        following = close(plan, following, around)
        files.save(following)
    return following


def _done(files: Files, plan: Plan, before: State, following: State) -> None:
    """Written down, and then done: also where a full disk keeps it from being written down."""
    try:
        if following != before or not files.state.exists():
            files.save(following)
    except OSError:
        apply(locate(files.routes, plan), plan, following)
        raise
    apply(locate(files.routes, plan), plan, following)
