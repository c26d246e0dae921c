"""The scraper: pools, discovery and the writer of one configuration, and of the next one."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from watchfiles import awatch

from windvane.ingest.accounting import Accounting
from windvane.ingest.scrape.config import PrometheusConfig, ScrapeConfig, load
from windvane.ingest.scrape.discovery import DiscoveryRun, discoverers
from windvane.ingest.scrape.discovery_config import Discoveries
from windvane.ingest.scrape.pool import ScrapePool
from windvane.ingest.scrape.writer import BlockWriter, WriterSettings
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import WindvaneError
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine

_log = logging.getLogger(__name__)
_SYNC_DELAY = 0.05  # discoveries that tell at once are looked at together


@dataclass(slots=True)
class ReloadState:
    """How the last reading of the configuration file went."""

    successful: bool = True
    error: str = ""
    at_ns: int = 0


class Scraper:
    """Scrapes what a configuration says. Methods run on the event loop; `pools` may be read from any thread."""

    def __init__(
        self,
        engine: Engine,
        *,
        accounting: Accounting | None = None,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        writer: WriterSettings | None = None,
    ) -> None:
        measures = metrics or Metrics()
        self._clock = clock or SystemClock()
        self._writer = BlockWriter(engine, accounting or Accounting(measures), self._clock, writer)
        self._reloads_good = measures.gauge(
            "windvane_config_last_reload_successful", "Whether the last reading of the configuration succeeded"
        )
        self._reloads_good.set(1)
        measures.gauge("windvane_scrape_targets", "Targets that are scraped").set_function(
            lambda: sum(len(pool.loops) for pool in list(self.pools.values()))
        )
        self.config = PrometheusConfig()
        self.applied: Callable[[PrometheusConfig], Awaitable[None]] | None = None
        """Told of every configuration that comes into force."""
        self.pools: dict[str, ScrapePool] = {}
        self.reloaded = ReloadState()
        self._path: Path | None = None
        self._runs: dict[str, DiscoveryRun] = {}
        self._pending: set[str] = set()
        self._wake = asyncio.Event()
        self._applying = asyncio.Lock()

    async def run(self) -> None:
        """Store what is scraped and follow discovery, until cancelled."""
        storing = asyncio.create_task(self._writer.run(), name="store scrapes")
        try:
            while True:
                await self._wake.wait()
                await asyncio.sleep(_SYNC_DELAY)
                self._wake.clear()
                self.sync()
        finally:
            storing.cancel()
            await asyncio.gather(storing, return_exceptions=True)

    def sync(self) -> None:
        """Give pools the targets that discovery has told of.

        A pool that has targets already keeps them until all of a new discovery has been heard.
        """
        pending, self._pending = self._pending, set()
        for job in pending & set(self.pools):
            pool, run = self.pools[job], self._runs[job]
            if run.complete or not pool.loops:
                pool.sync(run.groups)

    async def flush(self) -> None:
        """Store everything scraped so far."""
        await self._writer.flush()

    async def close(self) -> None:
        """Stop scraping; series do not end (the program may come back), what was scraped is stored."""
        for run in self._runs.values():
            await run.close()
        for pool in self.pools.values():
            await pool.close(end_series=False)
        self._runs.clear()
        await self._writer.flush()

    async def apply(self, config: PrometheusConfig) -> None:
        """Scrape what `config` says from now on; jobs that are the same go on untouched."""
        async with self._applying:
            wanted = {job.job_name: job for job in config.scrape_configs}
            for name in [name for name in self.pools if name not in wanted]:
                await self._runs.pop(name).close()
                await self.pools.pop(name).close(end_series=True)
            for name, job in wanted.items():
                await self._apply_job(name, job, _seed(config))
            self.config = config
            if self.applied is not None:
                await self.applied(config)

    async def _apply_job(self, name: str, job: ScrapeConfig, seed: str) -> None:
        pool = self.pools.get(name)
        if pool is None:
            self.pools[name] = ScrapePool(job, self._writer, self._clock, self._live_ids, seed)
            self._discover(name, job)
            return
        before = pool.config
        if before == job:
            return
        await pool.reload(job)
        if _discovery(before) != _discovery(job):
            await self._runs[name].close()
            self._discover(name, job)

    def _discover(self, name: str, job: ScrapeConfig) -> None:
        def changed() -> None:
            self._pending.add(name)
            self._wake.set()

        self._runs[name] = DiscoveryRun(discoverers(job, self._clock), changed, self._clock, name)

    def _live_ids(self) -> NDArray[np.uint64]:
        live = [loop.current_ids() for pool in self.pools.values() for loop in pool.loops.values()]
        return np.concatenate(live) if live else np.empty(0, np.uint64)

    async def load(self, path: str | os.PathLike[str]) -> PrometheusConfig:
        """Read a file and apply it. `ConfigError` leaves what was before, and `reloaded` has the reason."""
        self._path = Path(path)
        self.reloaded.at_ns = self._clock.now_ns()
        try:
            config = await asyncio.to_thread(load, path)
        except WindvaneError as error:
            self.reloaded.successful, self.reloaded.error = False, error.message
            self._reloads_good.set(0)
            raise
        await self.apply(config)
        self.reloaded.successful, self.reloaded.error = True, ""
        self._reloads_good.set(1)
        return config

    async def reload(self) -> PrometheusConfig:
        """Read the file of the last `load` again: for SIGHUP and POST /-/reload."""
        return await self.load(self._path) if self._path is not None else self.config

    async def watch(self) -> None:
        """Reload whenever the configuration file changes, until cancelled; a bad one is logged and not applied."""
        assert self._path is not None
        async for _ in awatch(self._path.parent, recursive=False, debounce=300, step=50):
            if not await asyncio.to_thread(self._changed):
                continue
            with contextlib.suppress(WindvaneError):
                await self._logged_reload()

    def _changed(self) -> bool:
        assert self._path is not None
        try:
            return self._path.read_text(encoding="utf-8") != self.config.text or not self.reloaded.successful
        except (OSError, UnicodeDecodeError):
            return True

    async def _logged_reload(self) -> None:
        try:
            await self.reload()
        except WindvaneError as error:
            _log.error("the configuration stays as it was: %s", error)
            raise


def _seed(config: PrometheusConfig) -> str:
    """Servers with other external labels scrape at other moments."""
    return repr(sorted(config.global_.external_labels.items()))


def _discovery(config: ScrapeConfig) -> dict[str, object]:
    return {name: getattr(config, name) for name in Discoveries.model_fields}
