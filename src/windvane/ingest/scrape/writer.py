"""Samples of many scrapes in few INSERTs: what arrives within a second is stored together.

A store that does not answer is asked again with the same samples; they wait up to a bound, past which
the oldest are given up and counted as refused.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from windvane.ingest.accounting import METRICS, Accounting
from windvane.ingest.scrape.series import Block
from windvane.kit.clock import Clock
from windvane.kit.errors import OverloadedError, UnavailableError, WindvaneError
from windvane.store.api import Engine
from windvane.store.metric_facts import Metadata, MetadataWriter, write_exemplars, write_histograms
from windvane.store.series import SampleWriter

_log = logging.getLogger(__name__)
_LATER = (OverloadedError, UnavailableError)


@dataclass(frozen=True, slots=True)
class WriterSettings:
    """`interval` seconds of scrapes are stored together; `waiting` samples may wait for a store that is down."""

    interval: float = 1.0
    waiting: int = 5_000_000


class BlockWriter:
    """Gathers blocks on the event loop, stores them in a thread."""

    def __init__(
        self, engine: Engine, accounting: Accounting, clock: Clock, settings: WriterSettings | None = None
    ) -> None:
        self._engine = engine
        self._accounting = accounting
        self._clock = clock
        self._settings = settings or WriterSettings()
        self._samples = SampleWriter(engine)
        self._metadata = MetadataWriter(engine, clock)
        self._blocks: deque[Block] = deque()
        self._families: dict[Metadata, None] = {}
        self._waiting = 0
        self._lock = asyncio.Lock()

    def add(self, block: Block, metadata: Sequence[Metadata] = ()) -> None:
        """Store this soon."""
        self._families.update(dict.fromkeys(metadata))
        if not len(block):
            return
        self._accounting.received(METRICS, "scrape", len(block))
        self._blocks.append(block)
        self._waiting += len(block)
        while self._waiting > self._settings.waiting and len(self._blocks) > 1:
            self._refuse(self._blocks.popleft(), "overloaded")

    async def run(self) -> None:
        """Store what has gathered, every `interval`, until cancelled."""
        while True:
            await self._clock.sleep(self._settings.interval)
            await self.flush()

    async def flush(self) -> None:
        """Store all that has gathered."""
        async with self._lock:
            blocks, self._blocks = list(self._blocks), deque()
            families, self._families = list(self._families), {}
            if not blocks and not families:
                return
            try:
                await asyncio.to_thread(self._store, blocks, families)
            except _LATER as error:
                _log.warning("scraped samples wait for the store: %s", error)
                self._blocks.extendleft(reversed(blocks))
                self._families = dict.fromkeys(families) | self._families
            except WindvaneError:
                await asyncio.to_thread(self._one_by_one, blocks)

    def _store(self, blocks: list[Block], families: list[Metadata]) -> None:
        self._insert(blocks)
        self._metadata.write(families)

    def _one_by_one(self, blocks: list[Block]) -> None:
        """One block is bad: the others are stored."""
        for block in blocks:
            try:
                self._insert([block])
            except WindvaneError as error:
                _log.warning("scraped samples cannot be stored: %s", error)
                self._refuse(block, error.kind)

    def _insert(self, blocks: list[Block]) -> None:
        """Store blocks part by part; what is stored leaves them: a repetition stores nothing twice."""
        announced = list(itertools.chain.from_iterable(block.announce for block in blocks))
        if announced:
            self._samples.ids([labels for labels, _ in announced], np.array([time for _, time in announced], np.int64))
        count = sum(len(block.ids) for block in blocks)
        if count:
            ids, times = (np.concatenate(parts) for parts in zip(*((b.ids, b.times_ms) for b in blocks), strict=True))
            self._samples.write_ids(ids, times, np.concatenate([block.values for block in blocks]))
        for block in blocks:
            block.take_floats()
        self._stored(count)
        self._insert_histograms(blocks)
        self._insert_exemplars(blocks)

    def _insert_histograms(self, blocks: list[Block]) -> None:
        rows = [one for block in blocks for one in block.histograms]
        if rows:
            ids, times, histograms = zip(*rows, strict=True)
            write_histograms(self._engine, np.array(ids, np.uint64), np.array(times, np.int64), histograms)
        for block in blocks:
            block.histograms = []
        self._stored(len(rows))

    def _insert_exemplars(self, blocks: list[Block]) -> None:
        rows = [one for block in blocks for one in block.exemplars]
        if rows:
            ids, times, values, labels = zip(*rows, strict=True)
            write_exemplars(self._engine, np.array(ids, np.uint64), np.array(times, np.int64), np.array(values), labels)
        for block in blocks:
            block.exemplars = []

    def _stored(self, count: int) -> None:
        self._waiting -= count
        if count:
            self._accounting.stored(METRICS, count)

    def _refuse(self, block: Block, reason: str) -> None:
        self._waiting -= len(block)
        self._accounting.refused(METRICS, reason, len(block))
