"""Envoy's access log service: streams of entries into the store.

Envoy sends and forgets: nothing is acknowledged and nothing is sent again. So a stream is read
ahead while earlier messages are being committed, what waits is bounded, and when the bound is
reached reading stops: HTTP/2 flow control then makes Envoy hold its entries. A store that is full
or away is asked again until it takes them; only bytes that do not decode are refused.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any, Protocol

import grpc

from windvane.ingest.accounting import ACCESS_LOGS, Accounting
from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import BadInputError, LimitError, OverloadedError, UnavailableError, WindvaneError
from windvane.signals import envoy_als
from windvane.store.api import PayloadInsert
from windvane.store.commit import Kind

__all__ = ["METHOD", "AccessLogService", "AccessLogSettings", "kind"]

METHOD = "/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs"
KIND = "access_logs"
_DELAY = 0.5  # seconds; a commit has a fixed price, and no sender waits for this one

_log = logging.getLogger(__name__)


class Committer(Protocol):
    """What this room needs of `windvane.store.commit.GroupCommit`."""

    async def submit(self, kind: str, payload: bytes, records: int) -> int: ...


@dataclass(frozen=True, slots=True)
class AccessLogSettings:
    """`stream_bytes`: how much of one stream may wait to be stored before reading pauses.

    `batch_bytes`: the most that one request to the group commit carries. `retry` is the pause in
    seconds before a store that does not answer is asked again.
    """

    stream_bytes: int = 4 << 20
    batch_bytes: int = 1 << 20
    retry: float = 0.5


def kind() -> Kind:
    """The group commit's kind of access logs; commits become visible in the order of their numbers."""
    return Kind(KIND, _insert, delay=_DELAY)


def _insert(commit: int) -> PayloadInsert:
    return PayloadInsert(
        envoy_als.TABLE,
        envoy_als.COLUMNS,
        envoy_als.select(commit),
        envoy_als.FORMAT,
        envoy_als.STRUCTURE,
        {**envoy_als.SETTINGS, "exclude_materialize_skip_indexes_on_insert": "words"},
    )


class AccessLogService(grpc.GenericRpcHandler):  # type: ignore[misc]
    """The gRPC handler; add it to a `grpc.aio` server. `close` after the server stopped."""

    def __init__(
        self,
        commit: Committer,
        accounting: Accounting,
        *,
        clock: Clock | None = None,
        settings: AccessLogSettings | None = None,
    ) -> None:
        self._commit = commit
        self._accounting = accounting
        self._clock = clock or SystemClock()
        self._settings = settings or AccessLogSettings()
        self._streams: set[_Stream] = set()
        self._stopping = asyncio.Event()

    def service(self, handler_call_details: Any) -> Any:
        """The handler of ALS's one method, None for others."""
        if handler_call_details.method != METHOD:
            return None
        return grpc.stream_unary_rpc_method_handler(self._serve)

    @property
    def open_streams(self) -> int:
        """Streams that are being read or still have entries to store."""
        return len(self._streams)

    async def close(self) -> None:
        """Return once everything that was received is stored (or given up: the commit has stopped)."""
        self._stopping.set()
        await asyncio.gather(*(stream.writer for stream in list(self._streams)))

    async def _serve(self, messages: AsyncIterator[bytes], context: Any) -> bytes:
        stream = _Stream(self)
        self._streams.add(stream)
        stream.writer.add_done_callback(lambda _: self._streams.discard(stream))
        try:
            async for message in messages:
                try:
                    await stream.receive(message)
                except BadInputError as error:
                    _log.warning("access logs: %s", error)
                    if stream.who is None:
                        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, error.message)
        finally:
            stream.finish()
        await asyncio.shield(stream.writer)
        return b""

    async def store(self, payload: bytes, entries: int) -> None:
        """Store a batch, however long that takes; raises when its bytes are bad or the server stops."""
        while True:
            try:
                stored = await self._commit.submit(KIND, payload, entries)
            except (OverloadedError, UnavailableError) as error:
                if self._stopping.is_set() and isinstance(error, UnavailableError):
                    raise
                await self._clock.sleep(getattr(error, "retry_after", self._settings.retry))
            else:
                self._accounting.stored(ACCESS_LOGS, stored)
                return

    def received(self, entries: int) -> None:
        self._accounting.received(ACCESS_LOGS, "grpc", entries)

    def refused(self, error: WindvaneError, entries: int) -> None:
        self._accounting.refused(ACCESS_LOGS, error.kind, entries)

    @property
    def settings(self) -> AccessLogSettings:
        return self._settings


class _Stream:
    """One stream: its reader fills `_waiting`, its writer empties it in order, a batch at a time."""

    def __init__(self, service: AccessLogService) -> None:
        self.who: envoy_als.Identifier | None = None
        self._service = service
        self._waiting: deque[tuple[bytes, int]] = deque()
        self._bytes = 0
        self._finished = False
        self._arrived = asyncio.Event()
        self._left = asyncio.Event()
        self.writer = asyncio.create_task(self._write())

    async def receive(self, message: bytes) -> None:
        """Take a message, then wait while too much of this stream is unwritten."""
        try:
            entries = envoy_als.count_entries(message)
            self.who = envoy_als.identifier(message) or self.who
            if self.who is None:
                raise BadInputError("the first message of an access log stream must name its node and log")
        except BadInputError as error:
            self._service.received(1)
            self._service.refused(error, 1)
            raise
        self._service.received(entries)
        if not entries:
            return
        payload = envoy_als.envelope(self.who, message)
        self._waiting.append((payload, entries))
        self._bytes += len(payload)
        self._arrived.set()
        while self._bytes >= self._service.settings.stream_bytes:
            self._left.clear()
            await self._left.wait()

    def finish(self) -> None:
        """No more messages will come; the writer ends after what waits."""
        self._finished = True
        self._arrived.set()

    async def _write(self) -> None:
        while batch := await self._take():
            await self._store(batch)
            self._bytes -= sum(len(payload) for payload, _ in batch)
            self._left.set()

    async def _take(self) -> list[tuple[bytes, int]]:
        """The next messages, up to a batch's size; empty when the stream is over."""
        while not self._waiting and not self._finished:
            self._arrived.clear()
            await self._arrived.wait()
        room = self._service.settings.batch_bytes
        batch: list[tuple[bytes, int]] = []
        while self._waiting and (not batch or len(self._waiting[0][0]) <= room):
            batch.append(self._waiting.popleft())
            room -= len(batch[-1][0])
        return batch

    async def _store(self, batch: list[tuple[bytes, int]]) -> None:
        """Store a batch; one that is refused as a whole is stored message by message."""
        entries = sum(count for _, count in batch)
        try:
            await self._service.store(b"".join([payload for payload, _ in batch]), entries)
        except (BadInputError, LimitError) as error:
            if len(batch) > 1:
                for message in batch:
                    await self._store([message])
                return
            self._service.refused(error, entries)
            _log.warning("access logs of %s: %d entries refused: %s", self.who, entries, error)
        except WindvaneError as error:
            self._service.refused(error, entries)
            _log.error("access logs of %s: %d entries lost: %s", self.who, entries, error)
