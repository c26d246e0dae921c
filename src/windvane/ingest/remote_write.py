"""Prometheus remote write, 1.0 and 2.0: body → columns → ids → group commit → answer.

What is valid in a request is stored even when other parts are refused; the answer is then 400, so
that the sender does not send it again, and tells what was refused and why. Everything that may
pass by itself (a full or absent store) is 503 with Retry-After, and then the sender repeats all.
Specification: https://prometheus.io/docs/specs/prw/remote_write_spec_2_0/

Samples may come in any order and be repeated. As in Prometheus, exemplars and metadata that cannot
be stored do not fail a request. Created timestamps (2.0) become a zero sample when the settings ask
for it.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from windvane.ingest.accounting import METRICS, Accounting
from windvane.ingest.compression import UnknownEncodingError, decompress
from windvane.ingest.metric_commit import Exemplars, Histograms, MetricBatch, MetricStore
from windvane.ingest.series_book import Resolved
from windvane.ingest.series_rules import MetricLimits
from windvane.ingest.series_table import Times, arranged, spans
from windvane.ingest.series_table import warm as warm_table
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import BadInputError, LimitError, OverloadedError, WindvaneError
from windvane.signals.native_histograms import NativeHistogram
from windvane.signals.refusals import Refusals, RefusedError
from windvane.signals.remote_write import details
from windvane.signals.remote_write.scan import V1, V2, Request, scan
from windvane.signals.remote_write.scan import warm as warm_scan
from windvane.store.metric_facts import Metadata
from windvane.store.series import NAME

_MESSAGES = {"prometheus.WriteRequest": V1, "io.prometheus.write.v2.Request": V2}
_MEDIA = "application/x-protobuf"
_INLINE_BYTES = 32 << 10  # smaller bodies are read on the event loop: a thread would cost more
_EXEMPLAR_CHARACTERS = 128
_STATUS = {"bad_input": 400, "limit": 413, "overloaded": 503, "unavailable": 503}


@dataclass(frozen=True, slots=True)
class RemoteWriteSettings:
    """`message_bytes` bounds a request after decompression; `created_zeros` stores a zero at a created timestamp."""

    message_bytes: int = 64 << 20
    limits: MetricLimits = field(default_factory=MetricLimits)
    created_zeros: bool = False


@dataclass(frozen=True, slots=True)
class RemoteWriteResponse:
    """What goes back over HTTP."""

    status: int
    text: str
    headers: Mapping[str, str]


class _UnsupportedError(BadInputError):
    """A content type that is not remote write's."""


@dataclass(slots=True)
class _Prepared:
    """A request as a batch, and what of it is refused."""

    batch: MetricBatch
    refusals: Refusals
    received: int

    @property
    def stored(self) -> tuple[int, int, int]:
        """Samples, histograms, exemplars."""
        batch = self.batch
        return len(batch.times), len(batch.histograms.rows), len(batch.exemplars.labels)


class RemoteWriteReceiver:
    """Takes remote write requests for one store."""

    def __init__(
        self,
        store: MetricStore,
        accounting: Accounting,
        *,
        clock: Clock | None = None,
        settings: RemoteWriteSettings | None = None,
    ) -> None:
        self._store = store
        self._accounting = accounting
        self._clock = clock or SystemClock()
        self._settings = settings or RemoteWriteSettings()
        self._warm = threading.Event()
        threading.Thread(target=self._warm_up, daemon=True, name="remote-write-warm").start()

    def _warm_up(self) -> None:
        """Compile beside the event loop; until then every request goes to a thread."""
        warm()
        self._warm.set()

    @property
    def message_bytes(self) -> int:
        """The largest body that is read."""
        return self._settings.message_bytes

    async def write(self, body: bytes, content_type: str, encoding: str | None) -> RemoteWriteResponse:
        """Answer a request; errors become responses. `encoding` is None where the header was missing."""
        try:
            version = _version(content_type)
            prepared = await self._off_loop(body, encoding, version)
        except WindvaneError as error:
            self._accounting.received(METRICS, "http", 1)
            self._accounting.refused(METRICS, error.kind, 1)
            return _failed(error)
        self._accounting.received(METRICS, "http", prepared.received)
        for reason, count in prepared.refusals.counts.items():
            self._accounting.refused(METRICS, reason, count)
        records = sum(prepared.stored)
        try:
            await asyncio.shield(self._store.store(prepared.batch))
        except WindvaneError as error:
            self._accounting.refused(METRICS, error.kind, records)
            return _failed(error)
        self._accounting.stored(METRICS, records)
        return _answer(prepared)

    async def _off_loop(self, body: bytes, encoding: str | None, version: int) -> _Prepared:
        if len(body) <= _INLINE_BYTES and self._warm.is_set():
            return self._prepare(body, encoding, version)
        return await asyncio.get_running_loop().run_in_executor(None, self._prepare, body, encoding, version)

    def _prepare(self, body: bytes, encoding: str | None, version: int) -> _Prepared:
        request = scan(_plain(body, encoding, self._settings.message_bytes), version)
        limits = self._settings.limits
        if len(request.times) > limits.samples:
            raise LimitError(f"a request of {len(request.times)} samples, the limit is {limits.samples}")
        return _Preparation(request, self._store, limits, self._clock.now_ns() // 1_000_000).prepared(
            created_zeros=self._settings.created_zeros
        )


def warm() -> None:
    """Compile what the first request would wait for."""
    warm_scan()
    warm_table()


class _Preparation:
    """One request on its way to a batch."""

    def __init__(self, request: Request, store: MetricStore, limits: MetricLimits, now_ms: int) -> None:
        self._request = request
        self._book = store.book
        self._lowest, self._highest = limits.times(now_ms, request.times)
        self._now_ms = now_ms
        self._refusals = Refusals()
        self._firsts, self._lasts, self._outside = spans(request.ends, request.times, self._lowest, self._highest)

    def prepared(self, *, created_zeros: bool) -> _Prepared:
        request = self._request
        histograms, exemplars = self._histograms(), self._exemplars()
        resolved = self._book.resolve(request.keys, self._firsts, self._lasts, request.facts, request.labels)
        counts = np.diff(request.ends)
        # In the order of the table, the engine need not sort: a third of an INSERT.
        order = np.argsort(resolved.ids, kind="stable")
        ids, times, values = arranged(order, request.ends, resolved.ids, request.times, request.values)
        if self._outside:
            self._refuse_times(times)
            inside = (times >= self._lowest) & (times <= self._highest)
            counts = np.bincount(np.repeat(order, counts[order])[inside], minlength=len(counts))
            ids, times, values = ids[inside], times[inside], values[inside]
        for series, error in resolved.refused.items():
            self._refusals.add(error, int(counts[series]))
        if resolved.refused:
            kept = ids != 0
            ids, times, values = ids[kept], times[kept], values[kept]
        received = len(request.times) + len(request.histograms) + len(request.exemplars)
        batch = MetricBatch(
            resolved.announcements,
            ids,
            times,
            values,
            self._kept_histograms(histograms, resolved),
            self._kept_exemplars(exemplars, resolved),
            self._metadata(resolved),
        )
        if created_zeros and request.created.any():
            received += self._add_zeros(batch, resolved)
        return _Prepared(batch, self._refusals, received)

    def _refuse_times(self, times: Times) -> None:
        for outside in (times[times < self._lowest], times[times > self._highest]):
            if len(outside):
                self._refusals.add(self._time_error(int(outside[0])), len(outside))

    def _time_error(self, time: int) -> RefusedError:
        side = "before the first" if time < self._lowest else "after the last"
        bound = self._lowest if time < self._lowest else self._highest
        return RefusedError("time_range", f"timestamp {time} is {side} that is taken now ({bound})")

    def _extend(self, series: int, time: int) -> bool:
        """The series has data at this time; False when the time is refused."""
        if not self._lowest <= time <= self._highest:
            self._refusals.add(self._time_error(time))
            return False
        self._firsts[series] = min(self._firsts[series], time)
        self._lasts[series] = max(self._lasts[series], time)
        return True

    def _histograms(self) -> list[tuple[int, int, NativeHistogram]]:
        found = []
        for place in self._request.histograms.tolist():
            message = self._request.part(place)
            time = details.histogram_time(message)
            try:
                row = details.histogram(message)
            except BadInputError as error:
                self._refusals.add(RefusedError("invalid_histogram", error.message))
                continue
            if self._extend(place[0], time):
                found.append((place[0], time, row))
        return found

    def _exemplars(self) -> list[tuple[int, details.Exemplar, dict[str, str]]]:
        found = []
        for place in self._request.exemplars.tolist():
            one = details.exemplar(self._request, self._request.part(place))
            one = one if one.time_ms else one._replace(time_ms=self._now_ms)
            try:
                labels = _exemplar_labels(one)
                if not self._lowest <= one.time_ms <= self._highest:
                    raise RefusedError("invalid_exemplar", self._time_error(one.time_ms).message)
            except RefusedError as error:
                self._refusals.add(error)
                continue
            self._extend(place[0], one.time_ms)
            found.append((place[0], one, labels))
        return found

    def _kept_histograms(self, found: list[tuple[int, int, NativeHistogram]], resolved: Resolved) -> Histograms:
        kept = Histograms()
        for series, time, row in found:
            if error := resolved.refused.get(series):
                self._refusals.add(error)
            else:
                kept.add(int(resolved.ids[series]), time, row)
        return kept

    def _kept_exemplars(
        self, found: list[tuple[int, details.Exemplar, dict[str, str]]], resolved: Resolved
    ) -> Exemplars:
        kept = Exemplars()
        for series, one, labels in found:
            if error := resolved.refused.get(series):
                self._refusals.add(error)
            else:
                kept.add(int(resolved.ids[series]), one.time_ms, one.value, labels)
        return kept

    def _metadata(self, resolved: Resolved) -> list[Metadata]:
        """Metadata of families (1.0), and of series where it is news (2.0); what is no text is left out."""
        known: list[Metadata] = []
        places: dict[int, Any] = (
            {place[0]: place for place in self._request.metadata.tolist()} if resolved.heard else {}
        )
        try:
            known += [Metadata(*one) for one in details.families(self._request) if one.family]
            for series, labels in resolved.heard.items():
                if series in places:
                    one = details.facts(self._request, places[series])
                    known.append(Metadata(details.family_of(labels[NAME], one.type), one.type, one.help, one.unit))
        except BadInputError as error:
            self._refusals.add(RefusedError("invalid_metadata", error.message), 0)
        return [one for one in known if one.type != "unknown" or one.help or one.unit]

    def _add_zeros(self, batch: MetricBatch, resolved: Resolved) -> int:
        """A zero where a new series of this batch says that it was created before its first sample; how many."""
        new = set(batch.announcements.ids)
        zeros = [
            (number, created)
            for number, created, first in zip(
                resolved.ids.tolist(), self._request.created.tolist(), self._firsts.tolist(), strict=True
            )
            if number in new and self._lowest <= created < first and created
        ]
        place = {number: row for row, number in enumerate(batch.announcements.ids)}
        for number, time in zeros:
            row = place[number]
            batch.announcements.firsts[row] = min(batch.announcements.firsts[row], time)
        batch.ids = np.append(batch.ids, np.array([number for number, _ in zeros], np.uint64))
        batch.times = np.append(batch.times, np.array([time for _, time in zeros], np.int64))
        batch.values = np.append(batch.values, np.zeros(len(zeros)))
        return len(zeros)


def _exemplar_labels(one: details.Exemplar) -> dict[str, str]:
    try:
        labels = {name.decode(): value.decode() for name, value in one.labels}
    except UnicodeDecodeError:
        raise RefusedError("invalid_exemplar", "an exemplar's labels are no UTF-8") from None
    if len(labels) != len(one.labels) or "" in labels:
        raise RefusedError("invalid_exemplar", "an exemplar has a label twice, or one without a name")
    length = sum(len(name) + len(value) for name, value in labels.items())
    if length > _EXEMPLAR_CHARACTERS:
        raise RefusedError(
            "invalid_exemplar", f"an exemplar's labels have {length} characters, the limit is {_EXEMPLAR_CHARACTERS}"
        )
    return labels


def _version(content_type: str) -> int:
    """The version that a Content-Type names; one without parameters, or none, is 1.0."""
    media, *parameters = (part.strip() for part in content_type.split(";"))
    if (media or _MEDIA).lower() != _MEDIA:
        raise _UnsupportedError(f"content type {media!r} is not {_MEDIA}")
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "proto":
            message = value.strip().strip('"')
            if message not in _MESSAGES:
                raise _UnsupportedError(f"message {message!r} is none of {', '.join(_MESSAGES)}")
            return _MESSAGES[message]
    return V1


def _plain(body: bytes, encoding: str | None, limit: int) -> bytes:
    """The message. Without a header it is snappy, as old senders leave it out, or else not compressed."""
    if encoding:
        return decompress(body, encoding, limit)
    try:
        return decompress(body, "snappy", limit)
    except BadInputError:
        return decompress(body, "identity", limit)


def _written(samples: int, histograms: int, exemplars: int) -> dict[str, str]:
    counts = {"Samples": samples, "Histograms": histograms, "Exemplars": exemplars}
    return {f"X-Prometheus-Remote-Write-{what}-Written": str(count) for what, count in counts.items()}


def _answer(prepared: _Prepared) -> RemoteWriteResponse:
    headers = _written(*prepared.stored)
    refusals = prepared.refusals
    if set(refusals.counts) <= {"invalid_exemplar"}:
        return RemoteWriteResponse(204, "", headers)
    return RemoteWriteResponse(400, refusals.text(prepared.received) + "\n", headers)


def _failed(error: WindvaneError) -> RemoteWriteResponse:
    headers = _written(0, 0, 0)
    if isinstance(error, OverloadedError):
        headers["Retry-After"] = str(max(1, round(error.retry_after)))
    elif error.kind == "unavailable":
        headers["Retry-After"] = "5"
    unsupported = isinstance(error, _UnsupportedError | UnknownEncodingError)
    return RemoteWriteResponse(415 if unsupported else _STATUS.get(error.kind, 500), error.message + "\n", headers)
