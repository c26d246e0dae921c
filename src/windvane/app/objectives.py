"""Objectives joined: files and the mesh's own, their rules in the rule manager, their problems among the findings."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from windvane.alerting.manager import RuleManager
from windvane.alerting.slo_kept import groups
from windvane.alerting.slo_kept_files import KeptObjectives
from windvane.app.control import MeshControl
from windvane.kit.clock import Clock
from windvane.mesh.findings import objective_findings

log = logging.getLogger(__name__)
_LOOK_SECONDS = 2.0

Keep = Callable[[contextlib.AsyncExitStack, Coroutine[Any, Any, None]], None]


class Objectives:
    """The objectives of one tenant."""

    def __init__(self, globs: Sequence[str], control: MeshControl | None, rules: RuleManager, clock: Clock) -> None:
        self.kept = KeptObjectives(globs, control.file_texts if control is not None else dict)
        self._rules = rules
        self._clock = clock
        if control is not None:
            control.also_found = lambda: objective_findings(self.kept.problems)

    async def start(self, stack: contextlib.AsyncExitStack, keep: Keep) -> None:
        """Read them, and follow their edits until the stack unwinds."""
        await self.look()
        keep(stack, self._follow())

    async def _follow(self) -> None:
        while True:
            await self._clock.sleep(_LOOK_SECONDS)
            await self.look()

    async def look(self) -> None:
        """Read again what has changed, and let the rules be those of what is in force."""
        told = self.kept.problems
        if await asyncio.to_thread(self.kept.look):
            await self._rules.include(groups(list(self.kept.objectives)))
            log.info("%d objectives are kept", len(self.kept.objectives))
        if self.kept.problems != told:
            for problem in self.kept.problems:
                log.error("objectives: %s; what was before stays", problem)
