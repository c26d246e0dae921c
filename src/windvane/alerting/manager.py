"""Runs rule groups: each in a task of its own, at its slots; reads their files and follows their edits.

Evaluations block and run in a small pool of threads. A group that an edit leaves as it is goes on
undisturbed; one that changed takes over the state of its rules; one that is gone ends its series two
intervals later, so that a rule that only moved has written by then.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from windvane.alerting.files import GroupSpec, expand_globs, load
from windvane.alerting.group import Group
from windvane.alerting.metrics import RuleMetrics
from windvane.alerting.queries import vector_function
from windvane.alerting.restore import restore
from windvane.alerting.rules import NS, Alert, Context
from windvane.alerting.template.functions import table_path
from windvane.alerting.watch import changes
from windvane.kit.clock import Clock
from windvane.kit.metrics import Metrics
from windvane.kit.yaml_nodes import FileError, Problem
from windvane.promql.engine import QueryEngine
from windvane.store.api import Engine
from windvane.store.series import SampleWriter

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RuleSettings:
    """Which files, and the server's defaults; durations in seconds.

    `resend_delay`: how often a firing alert is told again. `outage_tolerance`: how old the state of an alert
    may be to be restored; `grace`: the least a restored pending alert waits. `parallel`: evaluations at once.
    """

    globs: Sequence[str] = ()
    base: Path | None = None
    evaluation_interval: float = 60.0
    query_offset: float = 0.0
    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = "http://localhost:9900"
    resend_delay: float = 60.0
    outage_tolerance: float = 3600.0
    grace: float = 600.0
    parallel: int = 4


@dataclass(frozen=True, slots=True)
class Notification:
    """An alert as others are told of it; times in nanoseconds since the Unix epoch."""

    labels: dict[str, str]
    annotations: dict[str, str]
    starts_at: int
    ends_at: int
    generator_url: str
    resolved: bool = False


class Notifier(Protocol):
    """Where notifications go. Never blocks; called from the event loop."""

    def send(self, notifications: Sequence[Notification]) -> None:
        """Take notifications over."""


@dataclass(slots=True)
class _Running:
    group: Group
    task: asyncio.Task[None]
    stop: asyncio.Event


class RuleManager:
    """All rule groups of one store."""

    def __init__(
        self,
        queries: QueryEngine,
        writer: SampleWriter,
        engine: Engine,
        *,
        clock: Clock,
        metrics: Metrics,
        settings: RuleSettings,
        notifier: Notifier | None = None,
    ) -> None:
        self.settings = settings
        self._writer = writer
        self._engine = engine
        self._clock = clock
        self._metrics = RuleMetrics.of(metrics)
        self._notifier = notifier
        self._query = vector_function(queries)
        self._context = self._new_context()
        self._threads = ThreadPoolExecutor(settings.parallel, thread_name_prefix="rules")
        self._running: dict[tuple[str, str], _Running] = {}
        self._endings: set[asyncio.Task[None]] = set()
        self._first = True
        self._reloading = asyncio.Lock()
        self._configured = asyncio.Event()
        self._read: Sequence[GroupSpec] = ()
        self._made: Sequence[GroupSpec] = ()
        self._tried = False
        self.problems: Sequence[Problem] = ()
        """Why the last reading of the files failed; empty when it did not."""

    def groups(self) -> list[Group]:
        """All groups, by file and name."""
        return [self._running[key].group for key in sorted(self._running)]

    def alerts(self) -> list[Alert]:
        """Copies of all pending and firing alerts."""
        return [alert for group in self.groups() for rule in group.alerting_rules for alert in rule.active()]

    def configure(self, settings: RuleSettings) -> None:
        """Other settings from now on: `run` reads the files they name; groups that are the same go on."""
        if settings == self.settings:
            return
        self.settings = settings
        self._context = self._new_context()
        self._configured.set()

    def _new_context(self) -> Context:
        labels, url = dict(self.settings.external_labels), self.settings.external_url.rstrip("/")
        return Context(self._query, labels, url, self._metrics.expansion_failures.inc)

    async def run(self) -> None:
        """Read the files, evaluate and follow edits until cancelled; then wait for evaluations under way."""
        try:
            while True:
                self._configured.clear()
                await self._try_reload()
                await self._follow_edits()
        finally:
            await self._close()

    async def _follow_edits(self) -> None:
        """Reload after every edit, until there are other settings."""
        edits = asyncio.create_task(self._reload_after_edits())
        configured = asyncio.create_task(self._configured.wait())
        try:
            await asyncio.wait([edits, configured], return_when=asyncio.FIRST_COMPLETED)
            if edits.done():
                edits.result()
        finally:
            edits.cancel()
            configured.cancel()
            await asyncio.gather(edits, configured, return_exceptions=True)

    async def _reload_after_edits(self) -> None:
        if not self.settings.globs:
            await asyncio.Event().wait()
        async for _ in changes(self.settings.globs, self.settings.base):
            await self._try_reload()

    async def _close(self) -> None:
        stopping = [self._stop(running) for running in self._running.values()]
        await asyncio.gather(*stopping, return_exceptions=True)
        for task in self._endings:
            task.cancel()
        await asyncio.gather(*self._endings, return_exceptions=True)
        await asyncio.to_thread(self._threads.shutdown)

    async def _try_reload(self) -> None:
        try:
            await self.reload()
        except FileError as error:
            _log.error("rule files refused, the rules of before stay: %s", error.message)

    async def reload(self) -> None:
        """Read the files anew. `FileError` when any of them cannot be used: then the groups of before go on."""
        async with self._reloading:
            try:
                specs = await asyncio.to_thread(self._load)
            except FileError as error:
                self.problems = error.problems
                self._metrics.reload_good.set(0)
                self._tried = True
                await self._apply([*self._read, *self._made])
                raise
            self.problems = ()
            self._metrics.reload_good.set(1)
            self._read, self._tried = specs, True
            await self._apply([*specs, *self._made])
            self._first = False

    async def include(self, specs: Sequence[GroupSpec]) -> None:
        """Run these groups, which no rule file has, beside those of the files; they replace the ones of before."""
        async with self._reloading:
            self._made = tuple(specs)
            if self._tried:  # the first reading of the files takes them along
                await self._apply([*self._read, *self._made])

    def _load(self) -> list[GroupSpec]:
        specs: list[GroupSpec] = []
        problems: list[Problem] = []
        for path in expand_globs(self.settings.globs, self.settings.base):
            try:
                specs.extend(load(path))
            except FileError as error:
                problems.extend(error.problems)
        if problems:
            raise FileError(problems)
        return specs

    async def _apply(self, specs: Sequence[GroupSpec]) -> None:
        wanted = {spec.key: spec for spec in specs}
        gone = [running for key, running in self._running.items() if key not in wanted]
        changed = [spec for key, spec in wanted.items()
                   if key in self._running and self._differs(self._running[key].group, spec)]  # fmt: skip
        new = [spec for key, spec in wanted.items() if key not in self._running]
        await asyncio.gather(*map(self._stop, gone), *(self._stop(self._running[spec.key]) for spec in changed))
        for running in gone:
            del self._running[running.group.spec.key]
            self._begin_ending(running.group)
        for spec in changed:
            group = self._make(spec, restored=True)
            group.adopt(self._running[spec.key].group)
            self._start(group, restores=False)
        for spec in new:
            self._start(self._make(spec, restored=not self._first), restores=self._first)

    def _differs(self, group: Group, spec: GroupSpec) -> bool:
        return group.spec != spec or group.context is not self._context

    def _make(self, spec: GroupSpec, *, restored: bool) -> Group:
        settings = self.settings
        offset = settings.query_offset if spec.query_offset is None else spec.query_offset
        interval = spec.interval or settings.evaluation_interval
        return Group(
            spec, interval=interval, query_offset=offset, writer=self._writer, context=self._context,
            metrics=self._metrics, restored=restored,
        )  # fmt: skip

    def _start(self, group: Group, *, restores: bool) -> None:
        stop = asyncio.Event()
        task = asyncio.create_task(self._follow(group, stop, restores=restores), name=f"rules {group.spec.name}")
        self._running[group.spec.key] = _Running(group, task, stop)

    async def _stop(self, running: _Running) -> None:
        running.stop.set()
        await asyncio.gather(running.task, return_exceptions=True)

    def _begin_ending(self, group: Group) -> None:
        ended_at = self._clock.now_ns()

        async def end() -> None:
            await self._clock.sleep(2 * group.interval / NS)
            await self._in_thread(group.end, ended_at)

        task = asyncio.create_task(end())
        self._endings.add(task)
        task.add_done_callback(self._endings.discard)

    async def _follow(self, group: Group, stop: asyncio.Event, *, restores: bool) -> None:
        """Evaluate one group at each of its slots until told to stop."""
        at = group.slot(self._clock.now_ns()) + group.interval
        count = missed = 0
        while await self._wait_until(at, stop):
            group.count_iterations(1 + missed, missed)
            await self._evaluate(group, at)
            count += 1
            if restores and count == 2:  # recording rules that alerts read have had their turn by then
                await self._restore(group)
            late = (self._clock.now_ns() - at) // group.interval - 1
            missed = max(late, 0)
            at += (missed + 1) * group.interval

    async def _wait_until(self, at: int, stop: asyncio.Event) -> bool:
        """Wait for a time, or for the order to stop (False)."""
        pause = asyncio.ensure_future(self._clock.sleep(max(0.0, (at - self._clock.now_ns()) / NS)))
        stopped = asyncio.ensure_future(stop.wait())
        try:
            await asyncio.wait([pause, stopped], return_when=asyncio.FIRST_COMPLETED)
        finally:
            pause.cancel()
            stopped.cancel()
        return not stop.is_set()

    async def _evaluate(self, group: Group, at: int) -> None:
        try:
            await self._in_thread(group.evaluate, at, self._clock.now_ns())
        except Exception:  # a defect of ours in one group must not end the others, nor its own next turn
            _log.exception("%s, group %s: evaluation failed", group.spec.file, group.spec.name)
            return
        if self._notifier is None:
            return
        resend = round(self.settings.resend_delay * NS)
        for rule, alerts in group.alerts_to_send(at, resend):
            link = self._context.external_url + table_path(rule.spec.query)
            self._notifier.send([notification(alert, link) for alert in alerts])

    async def _restore(self, group: Group) -> None:
        started = self._clock.monotonic()
        tolerance, grace = (round(one * NS) for one in (self.settings.outage_tolerance, self.settings.grace))
        await self._in_thread(restore, group, self._engine, self._clock.now_ns(), tolerance, grace)
        label = f"{group.spec.file};{group.spec.name}"
        self._metrics.last_restore.labels(label).set(self._clock.monotonic() - started)

    async def _in_thread(self, function: object, *args: object) -> None:
        assert callable(function)
        work = asyncio.get_running_loop().run_in_executor(self._threads, function, *args)
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            with suppress(Exception):
                await work  # what writes to the store is never left behind
            raise


def notification(alert: Alert, generator_url: str) -> Notification:
    """What others are told of an alert."""
    resolved = bool(alert.resolved_at)
    return Notification(
        dict(alert.labels),
        dict(alert.annotations),
        alert.fired_at,
        alert.resolved_at if resolved else alert.valid_until,
        generator_url,
        resolved,
    )
