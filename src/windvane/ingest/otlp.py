"""OTLP export, whatever the transport: body → checked, counted, committed → response.

Traces and logs differ only in their tables; metrics are translated by `windvane.ingest.otlp_metrics`.
Both HTTP and gRPC call `OtlpReceiver.export`.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from numpy.typing import NDArray

from windvane.ingest.accounting import LOGS, METRICS, TRACES, Accounting
from windvane.ingest.compression import decompress
from windvane.ingest.otlp_metrics import OtlpMetrics, Translated
from windvane.ingest.otlp_metrics import warm as warm_metrics
from windvane.ingest.otlp_spans import SPANS_INSERT, native_spans
from windvane.ingest.otlp_spans import warm as warm_spans
from windvane.kit.errors import BadInputError, OverloadedError, UnavailableError, WindvaneError
from windvane.signals.otlp import responses, scan
from windvane.signals.otlp.decode import LOGS_STATEMENT, PLAIN_TRACES_STATEMENT, TRACES_STATEMENT, Statement
from windvane.signals.otlp.nested import rewrite
from windvane.signals.otlp.transcode import transcode
from windvane.signals.otlp.wire import framed
from windvane.store.api import PayloadInsert
from windvane.store.commit import GroupCommit, Kind

PROTOBUF, JSON = "application/x-protobuf", "application/json"
_COLUMNS_BYTES = 16 << 20  # larger requests are left to the engine: as columns they may take twice the memory
_INLINE_BYTES = 64 << 10  # smaller bodies are checked on the event loop: a thread would cost more


@dataclass(frozen=True, slots=True)
class OtlpSettings:
    """`message_bytes` bounds a request after decompression."""

    message_bytes: int = 64 << 20


@dataclass(frozen=True, slots=True)
class OtlpResponse:
    """What goes back over HTTP; gRPC takes `body` alone and raises errors as its own."""

    status: int
    body: bytes
    content_type: str
    headers: Mapping[str, str]


class Exported(NamedTuple):
    """What became of a request that was taken: records of it that are not stored, and why."""

    rejected: int = 0
    message: str = ""


@dataclass(frozen=True, slots=True)
class _Signal:
    table: NDArray[Any]
    kind: str  # of requests that have events or links
    plain: str  # of requests that have none


_SIGNALS = {
    TRACES: _Signal(scan.TRACES, "otlp_traces", "otlp_plain_traces"),
    LOGS: _Signal(scan.LOGS, "otlp_logs", "otlp_logs"),
}
_STATEMENTS = {
    "otlp_traces": TRACES_STATEMENT,
    "otlp_plain_traces": PLAIN_TRACES_STATEMENT,
    "otlp_logs": LOGS_STATEMENT,
}
_SPANS = "otlp_spans"  # blocks of spans that need no decoding
_REJECTED = {TRACES: "rejectedSpans", LOGS: "rejectedLogRecords", METRICS: "rejectedDataPoints"}
_HTTP_STATUS = {"bad_input": 400, "limit": 413, "overloaded": 503, "unavailable": 503}


def kinds() -> list[Kind]:
    """What group commit has to know to store spans and logs."""
    return [_kind(_SPANS, SPANS_INSERT), *(_kind(name, _insert(statement)) for name, statement in _STATEMENTS.items())]


def _insert(made: Statement) -> PayloadInsert:
    return PayloadInsert(made.table, made.columns, made.select, made.format, made.structure, made.settings)


def _kind(name: str, insert: PayloadInsert) -> Kind:
    settings = dict(insert.settings) | {"exclude_materialize_skip_indexes_on_insert": "tokens, words"}
    made = replace(insert, settings=settings)
    if name == "otlp_logs":
        return Kind(name, lambda _: made)
    return Kind(name, lambda commit: _numbered(made, commit), parallel=2)


def _numbered(insert: PayloadInsert, commit: int) -> PayloadInsert:
    """The same rows with the number of the commit that stores them."""
    select = f"SELECT *, toUInt64({commit:d}) AS Commit FROM ({insert.select})"
    return replace(insert, columns=(*insert.columns, "Commit"), select=select)


class OtlpReceiver:
    """Takes export requests of traces and logs, and of metrics when it is given what stores them."""

    def __init__(
        self,
        commit: GroupCommit,
        accounting: Accounting,
        settings: OtlpSettings | None = None,
        metrics: OtlpMetrics | None = None,
    ) -> None:
        self._commit = commit
        self._metrics = metrics
        self._accounting = accounting
        self._settings = settings or OtlpSettings()
        self._warm = threading.Event()
        threading.Thread(target=self._warm_up, daemon=True, name="otlp-warm").start()

    def _warm_up(self) -> None:
        """Compile the check beside the event loop; until then every request goes to a thread."""
        scan.warm()
        warm_spans()
        if self._metrics is not None:
            warm_metrics()
        self._warm.set()

    async def export(self, signal: str, body: bytes, *, transport: str) -> Exported:
        """Store a protobuf request of `signal`; raises as `GroupCommit.submit` does."""
        if signal == METRICS:
            return await self._export_metrics(body, transport)
        try:
            payload, records, kind = await self._off_loop(_checked, body, _SIGNALS[signal])
        except WindvaneError as error:
            self._unreadable(signal, transport, error)
            raise
        if records:
            with self._accounting.handling(signal, transport, records):
                await self._commit.submit(kind, payload, records)
        return Exported()

    async def _export_metrics(self, body: bytes, transport: str) -> Exported:
        try:
            if self._metrics is None:
                raise UnavailableError("this receiver takes no metrics")
            found: Translated = await self._off_loop(self._metrics.translate, body)
        except WindvaneError as error:
            self._unreadable(METRICS, transport, error)
            raise
        rejected = len(found.refusals)
        self._accounting.received(METRICS, transport, rejected)
        for reason, count in found.refusals.counts.items():
            self._accounting.refused(METRICS, reason, count)
        with self._accounting.handling(METRICS, transport, found.received - rejected):
            await self._metrics.store(found)
        return Exported(rejected, found.refusals.text(found.received) if rejected else "")

    async def export_http(self, signal: str, body: bytes, content_type: str, encoding: str) -> OtlpResponse:
        """Answer an OTLP/HTTP request; errors become google.rpc.Status bodies in the sender's format."""
        kind = content_type.partition(";")[0].strip().lower()
        json = kind == JSON
        try:
            body = await self._readable(signal, body, kind, encoding)
            done = await self.export(signal, body, transport="json" if json else "http")
        except WindvaneError as error:
            return _failed(error, json=json, unsupported=kind not in (PROTOBUF, JSON))
        answer = responses.exported(json=json, rejected=done.rejected, message=done.message, records=_REJECTED[signal])
        return OtlpResponse(200, answer, JSON if json else PROTOBUF, {})

    async def _readable(self, signal: str, body: bytes, kind: str, encoding: str) -> bytes:
        """The request as plain protobuf."""
        try:
            if kind not in (PROTOBUF, JSON):
                raise BadInputError(f"content type {kind or '(none)'!r} is not {PROTOBUF} or {JSON}")
            body = await self._off_loop(decompress, body, encoding, self._settings.message_bytes)
            return await self._off_loop(transcode, body, signal) if kind == JSON else body
        except WindvaneError as error:
            self._unreadable(signal, "json" if kind == JSON else "http", error)
            raise

    def _unreadable(self, signal: str, transport: str, error: WindvaneError) -> None:
        self._accounting.received(signal, transport, 1)
        self._accounting.refused(signal, error.kind, 1)

    async def _off_loop(self, work: Any, body: bytes, *arguments: Any) -> Any:
        if len(body) <= _INLINE_BYTES and self._warm.is_set():
            return work(body, *arguments)
        return await asyncio.get_running_loop().run_in_executor(None, work, body, *arguments)


def _checked(body: bytes, signal: _Signal) -> tuple[bytes, int, str]:
    """The request as the engine reads it, how many records it holds, and its kind for group commit."""
    found = scan.scan(body, signal.table)
    readable = rewrite(found)
    if signal.table is scan.TRACES and found.records and not found.extras and len(readable) <= _COLUMNS_BYTES:
        spans = native_spans(readable, found.records)
        if spans is not None:
            return spans, found.records, _SPANS
    return framed(readable), found.records, signal.kind if found.extras else signal.plain


def _failed(error: WindvaneError, *, json: bool, unsupported: bool) -> OtlpResponse:
    retry = error.retry_after if isinstance(error, OverloadedError) else None
    headers = {"Retry-After": str(max(1, round(retry)))} if retry is not None else {}
    code = 415 if unsupported else _HTTP_STATUS.get(error.kind, 500)
    body = responses.status(error.kind, error.message, retry, json=json)
    return OtlpResponse(code, body, JSON if json else PROTOBUF, headers)
