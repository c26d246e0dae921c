"""ClickHouse inside this process (chDB) behind the `Engine` port.

chDB runs one server per process and per data directory; connections to it are cheap, run in
parallel with each other and are not to be shared, so every call borrows one from a pool. Payloads
reach the engine's `file(…)` as an anonymous memory file: no copy on disk, no name to clean up.
"""

from __future__ import annotations

import os
import re
import threading
from collections import Counter
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pandas as pd
from chdb import ChdbError
from chdb.state.sqlitelike import Connection

from windvane.kit.errors import (
    BadInputError,
    ConflictError,
    InternalError,
    LimitError,
    OverloadedError,
    UnavailableError,
    WindvaneError,
)
from windvane.store import blocks, frames, lock, native
from windvane.store.api import DEFAULT_LIMITS, Limits, PayloadInsert, StoppedError
from windvane.store.literals import parameter, quoted

_CODE = re.compile(r"Code: (\d+)\. DB::Exception: ")
_MIB = 1 << 20
_SHAPES_KEPT = 2_048

_INDEX_DEFECT = "AS __text_index_tokens_"
"""In the engine's error where some parts have the text index and some (just inserted) do not: it computes the tokens of
those from an expression whose lambdas it has lost."""

_changes: Counter[Path] = Counter()
"""Statements that may have altered data, by data directory: one process has it, perhaps in several engines."""
_changes_lock = threading.Lock()

# ClickHouse's error codes by whose doing they are (src/Common/ErrorCodes.cpp).
_LIMIT_CODES = {158, 159, 160, 191, 241, 307, 396}
_STOPPED_CODE = 394
_FULL_CODES = {202, 243, 252, 439}
_GONE_CODES = {210, 236}
# A payload that fails for any other reason is taken to be at fault itself: only these mean a defect of ours.
_DEFECT_CODES = {16, 46, 47, 60, 62, 81, 115}


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """Bounds of the engine inside this process.

    `memory_bytes` is what all queries and merges may hold together; caches are part of it.
    `threads` is the number of threads one query may use (None: one a core). `connections` bounds
    the calls that run at once; further ones wait.
    """

    memory_bytes: int = 4 << 30
    mark_cache_bytes: int = 128 * _MIB
    index_cache_bytes: int = 64 * _MIB
    threads: int | None = None
    connections: int = 32

    def server_options(self) -> dict[str, int]:
        """Options of the engine's start."""
        return {
            "max_server_memory_usage": self.memory_bytes,
            "mark_cache_size": self.mark_cache_bytes,
            "index_mark_cache_size": self.index_cache_bytes,
            "uncompressed_cache_size": 0,
            "index_uncompressed_cache_size": 0,
        }


class EmbeddedEngine:
    """An `Engine` on chDB. Open with `EmbeddedEngine.open`; several may share one directory."""

    def __init__(self, path: Path, database: str, settings: EmbeddedSettings) -> None:
        self._path = path
        self._database = database
        self._settings = settings
        self._idle: list[_Session] = []
        self._slots = threading.BoundedSemaphore(settings.connections)
        self._state = threading.Condition()
        self._busy = 0
        self._closed = False
        self._shapes: dict[str, tuple[str, ...]] = {}

    @classmethod
    def open(
        cls, path: str | Path, database: str = "windvane", settings: EmbeddedSettings | None = None
    ) -> EmbeddedEngine:
        """Open (creating if needed) a data directory; `ConflictError` when another process has it."""
        directory = Path(path).resolve()
        directory.mkdir(parents=True, exist_ok=True)
        lock.acquire(directory)
        try:
            engine = cls(directory, database, settings or EmbeddedSettings())
            session = _Session(directory, engine._settings)
            session.run(f"CREATE DATABASE IF NOT EXISTS `{database}`")
            session.run(f"USE `{database}`")
        except BaseException:
            lock.release(directory)
            raise
        engine._idle.append(session)
        return engine

    @property
    def database(self) -> str:
        return self._database

    @property
    def changes(self) -> int:
        return _changes[self._path]

    @property
    def path(self) -> Path:
        """The data directory."""
        return self._path

    def query(
        self, sql: str, params: Mapping[str, Any] | None = None, *, limits: Limits = DEFAULT_LIMITS
    ) -> pd.DataFrame:
        with self._session() as session:
            session.limit(limits)
            columns = self._nested_columns(session, sql, params)
            frame = session.run(frames.as_json(sql, columns) if columns else sql, params, output="DataFrame")
        assert isinstance(frame, pd.DataFrame)
        return frames.parse(frame, columns) if columns else frame

    def stream(
        self,
        sql: str,
        params: Mapping[str, Any] | None = None,
        *,
        limits: Limits = DEFAULT_LIMITS,
        tag: str = "",
        in_turn: bool = False,
    ) -> Generator[blocks.Block, None, None]:
        if in_turn:
            sql += " SETTINGS max_threads = 1"
        with self._session() as session:
            session.limit(limits)
            yield from session.stream(f"/* {tag} */ {sql}" if tag else sql, params)

    def stop(self, tag: str) -> None:
        running = self.query(
            "SELECT query_id AS Id FROM system.processes WHERE startsWith(query, {start:String})",
            {"start": f"/* {tag} */"},
        )
        for name in running["Id"].tolist():
            self.command(f"KILL QUERY WHERE query_id = {quoted(name)} ASYNC")

    def _nested_columns(self, session: _Session, sql: str, params: Mapping[str, Any] | None) -> tuple[str, ...]:
        """Columns of a query that cannot leave chDB as they are; asked once for every text of SQL."""
        known = self._shapes.get(sql)
        if known is None:
            try:
                known = frames.nested(session.run(f"DESCRIBE ({sql})", params, output="DataFrame"))
            except WindvaneError:
                known = ()  # no SELECT (EXPLAIN, SHOW), or wrong: running it will tell
            if len(self._shapes) >= _SHAPES_KEPT:
                self._shapes.clear()
            self._shapes[sql] = known
        return known

    def command(self, sql: str, params: Mapping[str, Any] | None = None) -> None:
        with self._session() as session, self._changing():
            session.unlimit()
            session.run(sql, params)

    def insert_payload(self, insert: PayloadInsert, payload: bytes) -> int:
        columns = ", ".join(f"`{column}`" for column in insert.columns)
        settings = "".join(f", {key} = {_setting(value)}" for key, value in insert.settings.items())
        with self._session() as session, self._changing(), _memory_file(payload) as source:
            session.unlimit()
            function = f"file({quoted(source)}, {quoted(insert.format)}, {quoted(insert.structure)})"
            select = insert.select.replace("{source}", function)
            sql = f"INSERT INTO `{insert.table}` ({columns}) {select} SETTINGS {_ONE_BLOCK}{settings}"
            try:
                return int(session.run(sql).rows_written())
            except BadInputError as error:
                raise _payload_error(error) from None

    def insert_frame(self, table: str, frame: pd.DataFrame) -> int:
        if frame.empty:
            return 0
        payload, structure = native.encode(frame)
        columns = [str(name) for name in frame.columns]
        names = ", ".join(f"`{name}`" for name in columns)
        return self.insert_payload(
            PayloadInsert(table, columns, f"SELECT {names} FROM {{source}}", "Native", structure), payload
        )

    def close(self) -> None:
        with self._state:
            if self._closed:
                return
            self._closed = True
            self._state.wait_for(lambda: self._busy == 0)
            sessions, self._idle = self._idle, []
        for session in sessions:
            session.close()
        lock.release(self._path)

    @contextmanager
    def _changing(self) -> Iterator[None]:
        """Count a statement that may alter data, whether it succeeds or not."""
        try:
            yield
        finally:
            with _changes_lock:
                _changes[self._path] += 1

    @contextmanager
    def _session(self) -> Iterator[_Session]:
        with self._slots:
            session = self._borrow()
            try:
                yield session
            finally:
                with self._state:
                    self._busy -= 1
                    self._idle.append(session)
                    self._state.notify_all()

    def _borrow(self) -> _Session:
        with self._state:
            if self._closed:
                raise UnavailableError("the store is closed")
            self._busy += 1
            if self._idle:
                return self._idle.pop()
        try:
            session = _Session(self._path, self._settings)
            session.run(f"USE `{self._database}`")
        except BaseException:
            with self._state:
                self._busy -= 1
                self._state.notify_all()
            raise
        return session


# One block of any size, so that an INSERT is one part a partition and a late decode error stores nothing.
_ONE_BLOCK = (
    "max_insert_threads = 1, max_threads = 1, min_insert_block_size_rows = 1000000000, "
    "min_insert_block_size_bytes = 0, input_format_parallel_parsing = 0, use_concurrency_control = 0"
)


class _Session:
    """One chDB connection with the limits last set on it."""

    def __init__(self, path: Path, settings: EmbeddedSettings) -> None:
        options = urlencode(settings.server_options())
        try:
            self._connection = Connection(f"{path}?{options}")
            frames.prepare(self._connection)
        except (ChdbError, RuntimeError) as error:
            raise _translated(error) from None
        self._limits: Limits | None = None
        threads = f", max_threads = {settings.threads}" if settings.threads else ""
        self.run(
            f"SET session_timezone = 'UTC', result_overflow_mode = 'throw', timeout_overflow_mode = 'throw'{threads}"
        )

    def run(self, sql: str, params: Mapping[str, Any] | None = None, output: str = "Null") -> Any:
        texts = {name: parameter(value) for name, value in params.items()} if params else None
        try:
            return self._connection.query(sql, output, params=texts)
        except (ChdbError, RuntimeError) as error:
            if _INDEX_DEFECT not in str(error):
                raise _translated(error) from None
        return self._run_on_columns(sql, texts, output)

    def _run_on_columns(self, sql: str, texts: Mapping[str, str] | None, output: str) -> Any:
        """A query that the engine could not answer from the text index alone: the index then only skips granules."""
        try:
            self._connection.query("SET query_plan_direct_read_from_text_index = 0", "Null")
            return self._connection.query(sql, output, params=texts)
        except (ChdbError, RuntimeError) as error:
            raise _translated(error) from None
        finally:
            self._connection.query("SET query_plan_direct_read_from_text_index = 1", "Null")

    def stream(self, sql: str, params: Mapping[str, Any] | None) -> Generator[blocks.Block, None, None]:
        """A SELECT's blocks; closing the iterator ends the query."""
        texts = {name: parameter(value) for name, value in params.items()} if params else None
        try:
            result: Any = self._connection.send_query(sql, "Native", params=texts)
            try:
                while (chunk := result.fetch()) is not None:
                    yield from blocks.parse(memoryview(chunk.get_memview().view()))
            finally:
                result.cancel()
        except (ChdbError, RuntimeError) as error:
            raise _translated(error) from None

    def limit(self, limits: Limits) -> None:
        """Bound the next query; free when the bounds are those of the last."""
        if limits == self._limits:
            return
        self.run(
            f"SET max_execution_time = {limits.seconds:f}, max_memory_usage = {limits.memory_bytes:d}, "
            f"max_result_rows = {limits.rows or 0:d}"
        )
        self._limits = limits

    def unlimit(self) -> None:
        """No bounds but the server's: for DDL and inserts."""
        if self._limits is not None:
            self.run("SET max_execution_time = 0, max_memory_usage = 0, max_result_rows = 0")
            self._limits = None

    def close(self) -> None:
        self._connection.close()


@contextmanager
def _memory_file(payload: bytes) -> Iterator[str]:
    """A path under which this process can read `payload`; it lives in memory and has no name."""
    descriptor = os.memfd_create("windvane-payload", os.MFD_CLOEXEC)
    try:
        view = memoryview(payload)
        while view:
            view = view[os.write(descriptor, view) :]
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _setting(value: str | int) -> str:
    return quoted(value) if isinstance(value, str) else str(value)


def _translated(error: Exception) -> WindvaneError:  # noqa: PLR0911 - a kind of fault each
    text = str(error)
    match = _CODE.search(text)
    code = int(match[1]) if match else 0
    message = text[match.end() :] if match else text
    if code in _LIMIT_CODES:
        return LimitError(f"a limit of the store was reached: {message}")
    if code == _STOPPED_CODE:
        return StoppedError(f"the query was stopped: {message}")
    if "Too many partitions for single INSERT block" in text:  # the same number as a full store, another fault
        return _StatementError(f"one request covers too many days: {message}", code)
    if code in _FULL_CODES:
        return OverloadedError(f"the store is full: {message}")
    if code in _GONE_CODES:
        return UnavailableError(f"the store does not answer: {message}")
    if "already initialized with path" in text:
        return ConflictError(f"this process already has another data directory open: {message}")
    return _StatementError(message, code)


class _StatementError(BadInputError):
    """The engine refused a statement; `code` is ClickHouse's."""

    def __init__(self, message: str, code: int) -> None:
        super().__init__(message)
        self.code = code


def _payload_error(error: BadInputError) -> WindvaneError:
    code = getattr(error, "code", 0)
    if code in _DEFECT_CODES:
        return InternalError(f"the decode statement is wrong: {error.message}")
    return BadInputError(f"payload does not decode: {error.message}")
