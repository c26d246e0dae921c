"""A release as its keeper has it: what is known of it, what is kept, what a person may ask of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from windvane.kit.errors import ConflictError
from windvane.kit.yaml_nodes import Problem
from windvane.rollout.evidence import Examined
from windvane.rollout.folder import Given, Key
from windvane.rollout.machine import Event, State, Wish
from windvane.rollout.model import Plan

Action = Literal["pause", "resume", "promote", "rollback", "approve", "restart"]
"""What a person may ask of a release."""


@dataclass(frozen=True, slots=True)
class Memory:
    """What is kept of a release: whose versions it is of, and its state."""

    baseline: str
    canary: str
    state: State

    def json(self) -> dict[str, Any]:
        """For a shelf."""
        return {"baseline": self.baseline, "canary": self.canary, "state": self.state.json()}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Memory:
        """From a shelf; KeyError or TypeError where it is of another kind."""
        return cls(data["baseline"], data["canary"], State.of(data["state"]))


class Shelf(Protocol):
    """Where states are kept. Both may block; errors are Windvane's."""

    def load(self) -> Mapping[Key, Memory]:
        """The newest of each release that was not forgotten."""

    def save(self, key: Key, memory: Memory | None, at: float) -> None:
        """Keep a release's state from now on; None forgets it."""


@dataclass(slots=True)
class Release:
    """A Canary as it is carried out; times in seconds since the epoch.

    `plan` is the one that is in force. `problems` are of the Canary's newest text, `trouble` of the newest look,
    `unjudged` why there was no verdict then, `notes` what else is worth knowing. `next_look` is None where there is
    nothing to look for.
    `applied`: the routes are as the state says.
    """

    given: Given
    plan: Plan | None
    routes: Path
    problems: tuple[Problem, ...] = ()
    state: State = field(default_factory=State)
    examined: Examined | None = None
    trouble: str = ""
    unjudged: str = ""
    notes: tuple[str, ...] = ()
    applied: bool = False
    next_look: float | None = 0.0
    wish: Wish = ""
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    looking: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def key(self) -> Key:
        """Namespace and name."""
        return self.given.key


@dataclass(frozen=True, slots=True)
class Told:
    """Something that happened to a release; `event` is None for a look that changed nothing."""

    release: Release
    event: Event | None


def found_state(plan: Plan, weight: int, now: float) -> State:
    """The state of a release that was never seen, by the weight that its routes have."""
    if weight <= 0:
        return State()
    if weight >= 100:  # percent
        event = Event(now, "Succeeded", 100, f"{plan.canary} has all traffic already: it was promoted before")
        return State("Succeeded", 100, now, now, (event,), finished=True)
    event = Event(now, "Progressing", weight, f"{plan.canary} has traffic already")
    return State("Progressing", weight, now, now, (event,))


def wished(release: Release, action: Action) -> Wish:
    """What an action means to the release as it is; `ConflictError` for nothing."""
    state, name = release.state, "/".join(release.key)
    if action == "restart":
        if not state.over:
            raise ConflictError(f"{name} has not ended ({state.phase}): only one that has can begin anew")
        return ""
    if state.over:
        raise ConflictError(f"{name} has ended ({state.phase})")
    if action == "pause" and state.phase == "Paused":
        raise ConflictError(f"{name} is paused already")
    if action == "resume" and state.phase != "Paused":
        raise ConflictError(f"{name} is not paused ({state.phase})")
    if action == "promote" and state.started is None:
        raise ConflictError(f"{name} has not begun: its canary had no traffic yet")
    if action == "approve":
        if not state.waiting:
            raise ConflictError(f"{name} waits for nobody's approval ({state.phase})")
        return "approve"
    return action
