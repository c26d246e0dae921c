"""What every mechanism of discovery has in common."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from windvane.ingest.scrape.targets import ADDRESS, TargetGroup
from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError

_PATIENCE = 5.0
_log = logging.getLogger(__name__)

Update = Callable[[Sequence[TargetGroup]], None]
"""Tells groups that are new or have changed; a group without targets is gone."""


class Discoverer(Protocol):
    """Finds targets."""

    async def run(self, update: Update) -> None:
        """Tell what is found, then what changes, until cancelled; may return when nothing can change."""


class DiscoveryRun:
    """The mechanisms of one job, running; `groups` is what they know at present."""

    def __init__(self, found: Sequence[Discoverer], changed: Callable[[], None], clock: Clock, name: str) -> None:
        self._groups: dict[tuple[int, str], TargetGroup] = {}
        self._changed = changed
        self._clock = clock
        self._name = name
        self._silent = set(range(len(found)))
        self._tasks = [asyncio.create_task(self._keep(place, one)) for place, one in enumerate(found)]
        self._tasks.append(asyncio.create_task(self._lose_patience()))

    @property
    def complete(self) -> bool:
        """Whether every mechanism has told what it knows (or had time enough to)."""
        return not self._silent

    @property
    def groups(self) -> list[TargetGroup]:
        """Every group known."""
        return list(self._groups.values())

    async def close(self) -> None:
        """Stop all of them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _lose_patience(self) -> None:
        await self._clock.sleep(_PATIENCE)
        if self._silent:
            self._silent.clear()
            self._changed()

    async def _keep(self, place: int, one: Discoverer) -> None:
        def update(groups: Sequence[TargetGroup]) -> None:
            for group in groups:
                if group.targets:
                    self._groups[place, group.source] = group
                else:
                    self._groups.pop((place, group.source), None)
            self._silent.discard(place)
            self._changed()

        while True:
            try:
                await one.run(update)
            except WindvaneError as error:
                _log.warning("%s: discovery failed, it is tried again: %s", self._name, error)
            except Exception:  # a defect of one mechanism must not end the others
                _log.exception("%s: discovery failed, it is tried again", self._name)
            else:
                return
            await self._clock.sleep(5)


def groups_of(source: str, value: object) -> list[TargetGroup]:
    """Target groups as files and HTTP endpoints write them. `ValueError` names what is wrong."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise ValueError("a list of target groups was expected")
    return [_group(f"{source}:{place}", one) for place, one in enumerate(value)]


def _group(source: str, one: object) -> TargetGroup:
    if not isinstance(one, Mapping):
        raise ValueError("a target group must have targets and labels")
    unknown = set(one) - {"targets", "labels"}
    if unknown:
        raise ValueError(f"unknown field {sorted(unknown)[0]!r} in a target group")
    targets, labels = one.get("targets") or [], one.get("labels") or {}
    if not isinstance(targets, list) or not all(isinstance(target, str) for target in targets):
        raise ValueError("targets must be a list of text")
    if not isinstance(labels, Mapping):
        raise ValueError("labels must be a mapping")
    for name, value in labels.items():
        if not isinstance(value, str):
            raise ValueError(f"the value of label {name!r} must be text")
    named = {str(name): str(value) for name, value in labels.items()}
    return TargetGroup(source, [{ADDRESS: str(target)} for target in targets], named)
