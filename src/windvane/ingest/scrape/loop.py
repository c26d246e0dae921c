"""One target's loop: scrape at every tick, tell how it went, end the series of a target that is gone."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from windvane.ingest.scrape.client import Answer, BodyTooLargeError, FetchError, HttpClient
from windvane.ingest.scrape.config import ScrapeConfig
from windvane.ingest.scrape.fields import duration_text
from windvane.ingest.scrape.nhcb import Converter
from windvane.ingest.scrape.relabel import Relabeller
from windvane.ingest.scrape.series import Block, Counts, SampleError, SeriesCache, stale_block
from windvane.ingest.scrape.targets import Target
from windvane.ingest.scrape.writer import BlockWriter
from windvane.kit.clock import Clock
from windvane.signals.exposition import (
    Exposition,
    ExpositionError,
    FamilyMetadata,
    Reader,
    accept_header,
    protocol_of,
    reader_for,
)
from windvane.store.metric_facts import Metadata
from windvane.store.series import ANNOUNCE_EVERY_MS, NAME, series_id

_log = logging.getLogger(__name__)
_INLINE_BYTES = 64 << 10  # smaller bodies are read on the event loop: a thread would cost more
_TOLERANCE, _MOST_TOLERANCE = 0.01, 0.05
_REPORTS = (
    "up",
    "scrape_duration_seconds",
    "scrape_samples_scraped",
    "scrape_samples_post_metric_relabeling",
    "scrape_series_added",
)
_EXTRA_REPORTS = ("scrape_timeout_seconds", "scrape_sample_limit", "scrape_body_size_bytes")


@dataclass(slots=True)
class TargetState:
    """How a target does; times in nanoseconds since the epoch (0: never), duration in seconds."""

    health: str = "unknown"
    last_error: str = ""
    last_scrape_ns: int = 0
    last_duration: float = 0.0
    metadata: Mapping[str, FamilyMetadata] = field(default_factory=dict)


class TargetLoop:
    """Scrapes one target until cancelled."""

    def __init__(
        self,
        target: Target,
        config: ScrapeConfig,
        *,
        client: HttpClient,
        relabel: Relabeller,
        writer: BlockWriter,
        clock: Clock,
    ) -> None:
        self.target = target
        self.state = TargetState()
        self.forced_error = ""
        self._config = config
        self._client = client
        self._writer = writer
        self._clock = clock
        self._cache = SeriesCache(config, target.labels, relabel)
        self._reader: tuple[str, Reader] | None = None
        self._converter: Converter | None = None
        self._new_metadata: tuple[Metadata, ...] = ()
        self._headers = {
            "Accept": accept_header(config.scrape_protocols, config.metric_name_escaping_scheme),
            "X-Prometheus-Scrape-Timeout-Seconds": f"{target.timeout:g}",
        }
        names = _REPORTS + (_EXTRA_REPORTS if config.extra_scrape_metrics else ())
        self._reports = [{**target.labels, NAME: name} for name in names]
        self._report_ids = np.array([series_id(labels) for labels in self._reports], np.uint64)
        self._announced_until = 0
        self._body_size = 0
        self._next_ns = 0

    async def run(self, seed: str = "") -> None:
        """Scrape at `offset` within every interval."""
        interval = round(self.target.interval * 1e9)
        offset = round(self.target.offset(seed) * 1e9)
        now = self._clock.now_ns()
        self._next_ns = now + (offset - now) % interval
        while True:
            await self._clock.sleep(max(self._next_ns - self._clock.now_ns(), 0) / 1e9)
            planned = self._next_ns
            late = self._clock.now_ns() - planned
            if late < 0:
                continue
            tolerance = min(self.target.interval * _TOLERANCE, _MOST_TOLERANCE) * 1e9
            await self.scrape(planned if late <= tolerance else planned + late)
            missed = max(self._clock.now_ns() - planned, 0) // interval
            self._next_ns = planned + interval * (missed + 1)

    def take_over(self, before: TargetLoop) -> None:
        """Go on where another loop of the same target stopped."""
        self._cache.take_over(before._cache)
        self.state = before.state

    async def scrape(self, at_ns: int) -> None:
        """One scrape; samples without a timestamp get `at_ns`."""
        at_ms = at_ns // 1_000_000
        began = self._clock.monotonic()
        counts, error = Counts(), ""
        self._body_size = 0
        try:
            block, counts = await self._take(at_ms)
        except (FetchError, ExpositionError, SampleError) as failure:
            block, error = self._cache.fail(at_ms), failure.message
            counts = _counts_of(failure)
        except Exception as failure:  # a defect must not end the loop
            _log.exception("scrape of %s failed", self.target.url)
            block, error = self._cache.fail(at_ms), f"internal error: {failure!r}"
        duration = self._clock.monotonic() - began
        self._report(block, at_ms, counts, duration, up=not error)
        metadata = self._new_metadata if not error else ()
        self._writer.add(block, metadata)
        self.state.health = "down" if error else "up"
        self.state.last_error, self.state.last_scrape_ns, self.state.last_duration = error, at_ns, duration

    async def _take(self, at_ms: int) -> tuple[Block, Counts]:
        """Fetch, read, and make samples of it."""
        if self.forced_error:
            raise FetchError(self.forced_error)
        config = self._config
        try:
            answer = await self._client.get(
                self.target.url,
                headers=self._headers,
                timeout=self.target.timeout,
                body_limit=config.body_size_limit,
                compressed=config.enable_compression,
            )
        except BodyTooLargeError:
            self._body_size = -1
            raise
        answer.require_ok()
        self._body_size = len(answer.body)
        if len(answer.body) > _INLINE_BYTES:
            return await asyncio.to_thread(self._read, answer, at_ms)
        return self._read(answer, at_ms)

    def _read(self, answer: Answer, at_ms: int) -> tuple[Block, Counts]:
        config = self._config
        protocol = protocol_of(answer.headers.get("content-type", ""), config.fallback_scrape_protocol)
        if self._reader is None or self._reader[0] != protocol:
            made = reader_for(
                protocol, native_histograms=config.native_histograms, classic_histograms=config.classic_histograms
            )
            self._reader = (protocol, made)
            self._cache.rows.clear()  # another format writes the same series differently
            self._converter = self._new_converter()
        converter = self._converter
        found = self._reader[1].read(answer.body, converter.known if converter else self._cache.rows)
        self._learn_metadata(found)
        if converter is not None:
            found = converter.convert(found, self.state.metadata, self._cache.rows)
        block, counts = self._cache.apply(found, at_ms)
        if counts.duplicate or counts.out_of_order or counts.out_of_bounds:
            _log.debug("%s: %s", self.target.url, counts)
        return block, counts

    def _new_converter(self) -> Converter | None:
        if not self._config.convert_classic_histograms_to_nhcb:
            return None
        return Converter(keep_classic=self._config.classic_histograms)

    def _learn_metadata(self, found: Exposition) -> None:
        if found.metadata is None:
            self._new_metadata = ()
            return
        self.state.metadata = found.metadata
        self._new_metadata = tuple(
            Metadata(name, facts.type, facts.help, facts.unit) for name, facts in found.metadata.items()
        )

    def _report(self, block: Block, at_ms: int, counts: Counts, duration: float, *, up: bool) -> None:
        values = [float(up), duration, counts.scraped, counts.kept, counts.added]
        if self._config.extra_scrape_metrics:
            values += [self.target.timeout, self._config.sample_limit, self._body_size]
        if at_ms > self._announced_until:
            block.announce = [*block.announce, *((labels, at_ms) for labels in self._reports)]
            self._announced_until = at_ms + ANNOUNCE_EVERY_MS
        block.add(self._report_ids, at_ms, np.array(values, np.float64))

    def current_ids(self) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
        """Ids of every series the target has at present, reports included."""
        return np.concatenate([self._cache.tracked(), self._report_ids])

    def retirement(self) -> tuple[float, int]:
        """Seconds until the markers of a target that is gone may be written, and their time in milliseconds.

        As in Prometheus they stand where the next scrape would have been, and are written an interval
        later: by then it is known whether the series went on elsewhere.
        """
        until = max(self._next_ns - self._clock.now_ns(), 0) / 1e9
        return until + self.target.interval * 1.1, self._next_ns // 1_000_000

    def end(self, at_ms: int, elsewhere: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> None:
        """The target is gone: staleness markers for its series that no other target has."""
        gone = np.setdiff1d(self.current_ids(), elsewhere)
        self._writer.add(stale_block(gone, self._cache.histogram_ids(), at_ms))

    def __repr__(self) -> str:
        return f"<loop of {self.target.url} every {duration_text(self.target.interval)}>"


def _counts_of(failure: Exception) -> Counts:
    if isinstance(failure, SampleError) and failure.counts is not None:
        return failure.counts
    if isinstance(failure, ExpositionError):
        return Counts(scraped=failure.samples, kept=failure.samples)
    return Counts()
