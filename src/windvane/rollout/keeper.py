"""Releases run by a server: every Canary of a mesh's files carried out, beside each other, for as long as it is there.

The keeper is told of the files whenever they were read. An edited Canary is taken up at once; one that has become
wrong goes on by the plan it had, and says so; one that is gone is forgotten, its weights stay. A Canary with other
versions than before is another release, once the one before is over. States are kept by a shelf, so that a restart
goes on where it was; one that was never kept begins with what the routes say, and no promoted canary is set back.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import get_args

from windvane.kit.clock import Clock
from windvane.kit.errors import ConflictError, NotFoundError, UnavailableError, WindvaneError
from windvane.kit.strict_yaml import read_text
from windvane.kit.yaml_nodes import Problem
from windvane.mesh.written import Written
from windvane.rollout.evidence import Examined
from windvane.rollout.folder import Given, Key, canaries
from windvane.rollout.look import SOONEST, Around, Measure, close, look
from windvane.rollout.machine import Event, Found, State, resumed
from windvane.rollout.model import Plan
from windvane.rollout.release import Action, Memory, Release, Shelf, Told, found_state, wished
from windvane.rollout.weights import apply, find
from windvane.rollout.yaml_edit import Marks

Examine = Callable[[Plan, float, float], Examined]
"""Judges a plan's canary from a start to an end, in seconds since the epoch; may block."""
_AGAIN_SECONDS = 5.0
"""After a look that failed (a file that cannot be written, a store that does not answer)."""


@dataclass(frozen=True, slots=True)
class _Evidence:
    """What the judge said of the release that `started` then, or why it said nothing."""

    started: float | None
    examined: Examined | None = None
    error: WindvaneError | None = None


class Keeper:
    """The releases of one mesh. `given` and `ask` are for the event loop's thread; `run` carries out."""

    def __init__(
        self,
        examine: Examine,
        shelf: Shelf,
        clock: Clock,
        tell: Callable[[Told], None],
        measure: Measure | None = None,
    ) -> None:
        self._examine, self._shelf, self._clock, self._tell = examine, shelf, clock, tell
        self._measure = measure
        self._releases: dict[Key, Release] = {}
        self._broken: list[Given] = []
        self._memories: dict[Key, Memory] = {}
        self._files: tuple[tuple[Written, ...], Mapping[str, str]] | None = None
        self._whole = False
        self._changed = asyncio.Event()

    def releases(self) -> list[Release]:
        """Those that are carried out, then Canaries that cannot be."""
        broken = [Release(one, one.plan, Path(one.routes), one.problems) for one in self._broken]
        return [*self._releases.values(), *broken]

    def named(self, namespace: str, name: str) -> Release:
        """One release; `NotFoundError`."""
        for release in self.releases():
            if release.key == (namespace, name):
                return release
        raise NotFoundError(f"no Canary {namespace}/{name} among the mesh's files")

    def carries(self, release: Release) -> bool:
        """Whether a release is carried out; one that is not has no plan that could be."""
        return self._releases.get(release.key) is release

    def possible(self, release: Release) -> list[Action]:
        """What may be asked of a release at present."""
        found: list[Action] = []
        for action in get_args(Action) if self.carries(release) else ():
            with contextlib.suppress(ConflictError):
                wished(release, action)
                found.append(action)
        return found

    def given(self, documents: Sequence[Written], texts: Mapping[str, str], *, whole: bool = True) -> None:
        """The mesh's files have been read. `whole` is False where not all could be: then nothing is gone."""
        if not whole and self._files is not None:
            known = {(one.kind, one.namespace, one.name) for one in documents}
            documents = [*documents, *(one for one in self._files[0] if one.key not in known)]
        self._files, self._whole = (tuple(documents), texts), whole
        self._changed.set()

    async def ask(self, namespace: str, name: str, action: Action) -> Release:
        """Do what a person asks, at once; `ConflictError` where it has no meaning at present, or could not be done."""
        release = self.named(namespace, name)
        if release.key not in self._releases:
            wrong = "; ".join(one.message for one in release.problems)
            raise ConflictError(f"{namespace}/{name} cannot be carried out: {wrong}")
        # What lies behind a gate needs a verdict; everything else that is asked does not wait for one.
        evidence = await asyncio.to_thread(self._judged, release) if action == "approve" else None
        async with release.looking:
            release.wish = wished(release, action)
            if action == "restart":
                await asyncio.to_thread(self._begin_anew, release)
            await self._look(release, evidence)
        release.woken.set()  # its next look counts from now
        if release.trouble:
            raise ConflictError(f"{action} of {namespace}/{name}: {release.trouble}")
        return release

    async def run(self) -> None:
        """Carry out until cancelled."""
        while True:
            try:
                self._memories = dict(await asyncio.to_thread(self._shelf.load))
                break
            except WindvaneError as error:  # without what was kept nothing may move
                self._tell_all(f"the states of releases cannot be read: {error.message}")
                await self._clock.sleep(_AGAIN_SECONDS)
        tasks: dict[Key, asyncio.Task[None]] = {}
        try:
            while True:
                await self._changed.wait()
                self._changed.clear()
                await self._follow(tasks)
                for task in tasks.values():
                    if task.done():  # it has no end of its own but by a defect
                        task.result()
        finally:
            for task in tasks.values():
                task.cancel()
            await asyncio.gather(*tasks.values(), return_exceptions=True)

    async def _follow(self, tasks: dict[Key, asyncio.Task[None]]) -> None:
        """Let what is carried out be what the files say."""
        assert self._files is not None
        all_ = await asyncio.to_thread(canaries, *self._files)
        news = [one for one in all_ if one.key not in self._releases and not one.problems]
        self._broken = [one for one in all_ if one.problems and one.key not in self._releases]
        given = {one.key: one for one in reversed(all_)}
        for key in [key for key in self._memories if key not in given and key not in self._releases]:
            if self._whole:
                await self._forget(key)  # it went while nobody looked
        for key in [key for key in self._releases if key not in given]:
            async with self._releases[key].looking:
                tasks.pop(key).cancel()
                del self._releases[key]
                await self._forget(key)
        for key, release in self._releases.items():
            await self._edited(release, given[key])
        for one in news:
            release = Release(one, one.plan, Path(one.routes))
            release.state = await asyncio.to_thread(self._remembered, release)
            release.applied = release.state.finished
            release.next_look = None if release.applied else 0.0
            self._releases[one.key] = release
            tasks[one.key] = asyncio.create_task(self._carry(release))
            tasks[one.key].add_done_callback(lambda _: self._changed.set())

    async def _edited(self, release: Release, given: Given) -> None:
        same = given == release.given
        async with release.looking:
            release.given, release.problems = given, given.problems
            if same or given.plan is None or given.problems or release.plan is None:
                return
            other = given.plan.versions != release.plan.versions
            if other and not release.state.over:
                release.problems = (_not_over(given, release.plan),)
                return
            release.plan, release.routes = given.plan, Path(given.routes)
            if other:
                await asyncio.to_thread(self._begin_anew, release)
            release.next_look = 0.0
        release.woken.set()

    def _begin_anew(self, release: Release) -> None:
        release.state, release.examined, release.applied = State(), None, False
        self._save(release)

    def _remembered(self, release: Release) -> State:
        """The state that was kept of these versions, or what the routes say of a release never seen."""
        plan, kept = release.plan, self._memories.get(release.key)
        assert plan is not None
        if kept is not None:
            with contextlib.suppress(ConflictError):  # other versions by now: what they were given stays theirs
                return resumed(plan, kept.state)
            return State()
        with contextlib.suppress(WindvaneError):
            text = Marks(plan.id).without(read_text(release.routes), str(release.routes))[0]
            weight = max(one.weight for one in find(text, str(release.routes), plan))
            return found_state(plan, weight, self._clock.now_ns() / 1e9)
        return State()

    async def _carry(self, release: Release) -> None:
        while True:
            await self._until_due(release)
            # Before the lock, so that who rolls back does not wait for a judge that does not answer.
            evidence = await asyncio.to_thread(self._judged, release)
            async with release.looking:
                await self._look(release, evidence)

    async def _until_due(self, release: Release) -> None:
        """Until its next look is due, whatever makes that earlier or later meanwhile."""
        while True:
            release.woken.clear()
            pause = None if release.next_look is None else release.next_look - self._clock.now_ns() / 1e9
            if pause is not None and pause <= 0:
                return
            waiting = [asyncio.create_task(_woken(release.woken))]
            if pause is not None:
                waiting.append(asyncio.create_task(_slept(self._clock, pause)))
            try:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in waiting:
                    one.cancel()

    def _judged(self, release: Release) -> _Evidence:
        """What the judge says, or why nothing."""
        plan, started, now = release.plan, release.state.started, self._clock.now_ns() / 1e9
        if plan is None or started is None or release.state.over or now - started < SOONEST:
            return _Evidence(started)
        try:
            return _Evidence(started, self._examine(plan, started, now))
        except WindvaneError as error:
            return _Evidence(started, error=error)

    async def _look(self, release: Release, evidence: _Evidence | None = None) -> None:
        """Look once; what fails is told and kept as the release's trouble. Without evidence nobody is asked for it."""
        plan, before = release.plan, release.state
        assert plan is not None
        release.trouble = ""
        release.notes = plan.notes
        if evidence is not None:
            release.unjudged = evidence.error.message if evidence.error else ""
        try:
            await asyncio.to_thread(self._looked, release, plan, evidence or _Evidence(None))
        except (WindvaneError, OSError) as error:
            release.trouble = error.message if isinstance(error, WindvaneError) else _cause(error, release.routes)
        pause = _pause(release, plan)
        release.next_look = None if pause is None else self._clock.now_ns() / 1e9 + pause
        news: list[Event | None] = [one for one in release.state.events if one not in before.events]
        for event in news or [None]:
            self._tell(Told(release, event))

    def _looked(self, release: Release, plan: Plan, evidence: _Evidence) -> None:
        if release.routes.is_symlink():
            raise ConflictError(f"{release.routes} is a link: the file it leads to is not the mesh's own")

        def judge(plan: Plan, start: float, end: float) -> Found:
            if evidence.examined is None or evidence.started != start:
                raise evidence.error or UnavailableError("nobody was asked")
            release.examined = evidence.examined
            return release.examined.found

        def told(text: str) -> None:
            if "webhook" in text:
                release.notes = (*release.notes, text)

        wish, release.wish = release.wish, ""
        now = self._clock.now_ns() / 1e9
        around = Around(judge, self._clock, told, self._measure)
        if not release.applied:  # what was decided before is done first
            apply(release.routes, plan, release.state)
            release.applied = True
        self._kept(release, look(plan, release.state, around, wish, now))
        apply(release.routes, plan, release.state)
        release.applied = True
        self._kept(release, close(plan, release.state, around))

    def _kept(self, release: Release, state: State) -> None:
        """Let this be a release's state; where it cannot be kept it has not happened."""
        if state == release.state:
            return
        before, release.state = release.state, state
        try:
            self._save(release)
        except WindvaneError:
            release.state = before
            raise
        release.applied = release.applied and before.over  # its end alone changes no routes

    def _save(self, release: Release) -> None:
        assert release.plan is not None
        memory = Memory(release.plan.baseline, release.plan.canary, release.state)
        self._memories[release.key] = memory
        self._shelf.save(release.key, memory, self._clock.now_ns() / 1e9)

    async def _forget(self, key: Key) -> None:
        self._memories.pop(key, None)
        with contextlib.suppress(WindvaneError):  # then it goes on where it was when it comes back
            await asyncio.to_thread(self._shelf.save, key, None, self._clock.now_ns() / 1e9)

    def _tell_all(self, text: str) -> None:
        for release in self._releases.values():
            release.trouble = text


def _not_over(given: Given, plan: Plan) -> Problem:
    document, versions = given.document, plan.versions.replace(" ", " and ")
    message = f"the release of {versions} is not over: roll it back or promote it first"
    return Problem(document.file, document.line, "spec.canary", message)


def _pause(release: Release, plan: Plan) -> float | None:
    """Seconds to the next look; None where there is nothing to look for."""
    if release.trouble:
        return min(_AGAIN_SECONDS, plan.interval)
    return None if release.state.finished else plan.interval


async def _slept(clock: Clock, seconds: float) -> None:
    await clock.sleep(seconds)


async def _woken(event: asyncio.Event) -> None:
    await event.wait()


def _cause(error: OSError, file: Path) -> str:
    return f"{error.filename or file} cannot be written: {error.strerror or error}"
