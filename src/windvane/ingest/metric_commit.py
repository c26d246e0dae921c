"""What a request of metrics comes to, and its way through the group commit.

A batch goes to up to four tables. Its parts are committed side by side with those of other
requests; the request is answered when all are stored. Nothing orders them: samples whose series is
not announced yet are not found by a query, and the sender has not been told of them either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from windvane.ingest.series_book import Announcements, SeriesBook
from windvane.ingest.series_rules import DAY_MS
from windvane.signals.native_histograms import NativeHistogram
from windvane.store.api import PayloadInsert
from windvane.store.commit import GroupCommit, Kind
from windvane.store.metric_facts import (
    EXEMPLARS,
    HISTOGRAMS,
    Metadata,
    MetadataWriter,
    exemplar_block,
    histogram_block,
)
from windvane.store.series import SAMPLES, SERIES, sample_block

_SERIES, _SAMPLES, _HISTOGRAMS, _EXEMPLARS = "metric_series", "metric_samples", "metric_histograms", "metric_exemplars"
_DAYS = 90
"""An INSERT may cover 100 partitions, which are days; a batch that covers more goes in pieces."""
_DELAY = 0.1
"""Seconds that metrics wait for a running commit before a second one starts beside it."""

_T = TypeVar("_T")
Ids = NDArray[np.uint64]
Times = NDArray[np.int64]


def kinds() -> list[Kind]:
    """What group commit has to know to store metrics."""
    inserts = {_SERIES: SERIES, _SAMPLES: SAMPLES, _HISTOGRAMS: HISTOGRAMS, _EXEMPLARS: EXEMPLARS}
    return [
        Kind(name, _always(insert), parallel=2 if name == _SAMPLES else 1, delay=_DELAY, eager=True)
        for name, insert in inserts.items()
    ]


def _always(insert: PayloadInsert) -> Callable[[int], PayloadInsert]:
    return lambda _: insert


@dataclass(slots=True)
class Histograms:
    """Native histogram samples of a batch, column by column."""

    ids: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    rows: list[NativeHistogram] = field(default_factory=list)

    def add(self, number: int, time_ms: int, row: NativeHistogram) -> None:
        self.ids.append(number)
        self.times.append(time_ms)
        self.rows.append(row)


@dataclass(slots=True)
class Exemplars:
    """Exemplars of a batch, column by column."""

    ids: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    labels: list[dict[str, str]] = field(default_factory=list)

    def add(self, number: int, time_ms: int, value: float, labels: dict[str, str]) -> None:
        self.ids.append(number)
        self.times.append(time_ms)
        self.values.append(value)
        self.labels.append(labels)


@dataclass(slots=True)
class MetricBatch:
    """What of a request is to be stored."""

    announcements: Announcements
    ids: Ids
    times: Times
    values: NDArray[np.float64]
    histograms: Histograms = field(default_factory=Histograms)
    exemplars: Exemplars = field(default_factory=Exemplars)
    metadata: Sequence[Metadata] = ()

    def parts(self) -> Iterator[tuple[str, bytes, int]]:
        """(kind, payload, records) for the group commit."""
        if self.announcements.ids:
            yield _SERIES, self.announcements.block(), len(self.announcements.ids)
        for rows in _windows(self.times):
            yield _SAMPLES, sample_block(self.ids[rows], self.times[rows], self.values[rows]), len(self.times[rows])
        own, times = np.array(self.histograms.ids, np.uint64), np.array(self.histograms.times, np.int64)
        for rows in _windows(times):
            block = histogram_block(own[rows], times[rows], _chosen(self.histograms.rows, rows))
            yield _HISTOGRAMS, block, len(times[rows])
        own, times = np.array(self.exemplars.ids, np.uint64), np.array(self.exemplars.times, np.int64)
        values = np.array(self.exemplars.values)
        for rows in _windows(times):
            block = exemplar_block(own[rows], times[rows], values[rows], _chosen(self.exemplars.labels, rows))
            yield _EXEMPLARS, block, len(times[rows])


_Rows = slice | NDArray[np.intp]


def _windows(times: Times) -> Iterator[_Rows]:
    """Rows in pieces that cover few enough days each."""
    if not len(times):
        return
    if int(times.max()) // DAY_MS - int(times.min()) // DAY_MS < _DAYS:
        yield slice(None)
        return
    days, place = np.unique(times // DAY_MS, return_inverse=True)
    for window in range(0, len(days), _DAYS):
        yield np.flatnonzero((place >= window) & (place < window + _DAYS))


def _chosen(values: Sequence[_T], rows: _Rows) -> Sequence[_T]:
    return values[rows] if isinstance(rows, slice) else [values[row] for row in rows.tolist()]


class MetricStore:
    """Stores batches of metrics of one tenant."""

    def __init__(self, commit: GroupCommit, book: SeriesBook, metadata: MetadataWriter) -> None:
        self._commit = commit
        self._metadata = metadata
        self.book = book

    async def store(self, batch: MetricBatch) -> None:
        """Return once all of a batch is stored; raises as `GroupCommit.submit` does when a part is not."""
        waiting: list[Awaitable[int]] = [self._commit.submit(*part) for part in batch.parts()]
        if batch.metadata:
            waiting.append(asyncio.get_running_loop().run_in_executor(None, self._metadata.write, batch.metadata))
        results = await asyncio.gather(*waiting, return_exceptions=True)
        for result in results:
            if isinstance(result, BaseException):
                raise result
        if batch.announcements.ids:
            batch.announcements.tell(self.book.table)
