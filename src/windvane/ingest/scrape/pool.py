"""The targets of one job: a loop each, kept while the target stays what it is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from windvane.ingest.scrape.client import HttpClient
from windvane.ingest.scrape.config import ScrapeConfig
from windvane.ingest.scrape.loop import TargetLoop
from windvane.ingest.scrape.relabel import Relabeller
from windvane.ingest.scrape.targets import DroppedTarget, Target, TargetGroup, resolve
from windvane.ingest.scrape.writer import BlockWriter
from windvane.kit.clock import Clock

_log = logging.getLogger(__name__)

LiveIds = Callable[[], NDArray[np.uint64]]
Key = tuple[object, ...]


class ScrapePool:
    """Runs the loops of a job. Not thread-safe; reading `loops` and `dropped` from other threads is fine."""

    def __init__(self, config: ScrapeConfig, writer: BlockWriter, clock: Clock, live: LiveIds, seed: str = "") -> None:
        self._writer = writer
        self._clock = clock
        self._live = live
        self._seed = seed
        self.loops: dict[Key, TargetLoop] = {}
        self.dropped: list[DroppedTarget] = []
        self.dropped_count = 0
        self._tasks: dict[Key, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._groups: tuple[TargetGroup, ...] = ()
        self._use(config)

    def _use(self, config: ScrapeConfig) -> None:
        self.config = config
        self._client = HttpClient(config)
        scheme = config.metric_name_validation_scheme
        self._target_rules = Relabeller(config.relabel_configs, scheme)
        self._sample_rules = Relabeller(config.metric_relabel_configs, scheme)

    def sync(self, groups: Sequence[TargetGroup]) -> None:
        """Scrape these targets from now on."""
        self._groups = tuple(groups)
        found = resolve(self.config, groups, self._target_rules)
        for failure in found.failures:
            _log.warning("%s: creating target failed: %s", self.config.job_name, failure)
        self.dropped, self.dropped_count = found.dropped, found.dropped_count
        for key in [key for key in self.loops if key not in found.active]:
            self._retire(key)
        for key, target in found.active.items():
            if key not in self.loops:
                self._start(key, self._made(target))
        self._limit()

    async def reload(self, config: ScrapeConfig) -> None:
        """Go on with another configuration of the job; series that are still exposed do not end."""
        before, client = dict(self.loops), self._client
        self._use(config)
        for task in self._tasks.values():
            task.cancel()
        await _ended(self._tasks.values())
        self.loops.clear()
        self._tasks.clear()
        found = resolve(config, self._groups, self._target_rules)
        heirs = {(loop.target.url, tuple(loop.target.labels.items())): loop for loop in before.values()}
        for key, target in found.active.items():
            loop = self._made(target)
            heir = heirs.pop((target.url, tuple(target.labels.items())), None)
            if heir is not None:
                loop.take_over(heir)
            self._start(key, loop)
        for loop in heirs.values():
            self._end_later(loop)
        self.dropped, self.dropped_count = found.dropped, found.dropped_count
        self._limit()
        await client.close()

    async def close(self, *, end_series: bool) -> None:
        """Stop; with `end_series` (the job is gone, the program goes on) every series ends."""
        for key in list(self.loops):
            if end_series:
                self._retire(key)
            else:
                self._tasks[key].cancel()
        if not end_series:
            ending = [*self._ending, *self._tasks.values()]
            for task in ending:
                task.cancel()
            await _ended(ending)
        await self._client.close()

    def _made(self, target: Target) -> TargetLoop:
        return TargetLoop(
            target,
            self.config,
            client=self._client,
            relabel=self._sample_rules,
            writer=self._writer,
            clock=self._clock,
        )

    def _start(self, key: Key, loop: TargetLoop) -> None:
        self.loops[key] = loop
        self._tasks[key] = asyncio.create_task(loop.run(self._seed), name=f"scrape {loop.target.url}")

    def _retire(self, key: Key) -> None:
        self._tasks.pop(key).cancel()
        self._end_later(self.loops.pop(key))

    def _end_later(self, loop: TargetLoop) -> None:
        async def end() -> None:
            seconds, at_ms = loop.retirement()
            await self._clock.sleep(seconds)
            loop.end(at_ms, self._live())

        task = asyncio.create_task(end(), name=f"end {loop.target.url}")
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    def _limit(self) -> None:
        """Past `target_limit` every scrape of the job fails, as in Prometheus."""
        limit, count = self.config.target_limit, len(self.loops)
        message = ""
        if limit and count > limit:
            message = f"target_limit exceeded (number of targets: {count}, limit: {limit})"
        for loop in self.loops.values():
            loop.forced_error = message


async def _ended(tasks: Iterable[asyncio.Task[None]]) -> None:
    await asyncio.gather(*tasks, return_exceptions=True)
