"""Group commit: the acknowledgement is the commit.

Concurrent requests of a kind are gathered for a moment into one INSERT and answered after it, so
what was acknowledged is stored and there is no log to replay. A group that does not decode is
bisected: the bad requests get `BadInputError`, the others are stored. The bytes held here are
bounded: past the limit a request is refused at once with advice when to come back.

Every INSERT has a sequence number, strictly increasing over restarts: blocks of numbers are
reserved in the table `windvane_sequence`, and what a crash leaves of a block is never used. Commits that
run side by side may become visible in another order: `settled` tells up to which number all are done.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from types import TracebackType

from windvane.kit.clock import Clock, SystemClock
from windvane.kit.errors import (
    BadInputError,
    InternalError,
    LimitError,
    OverloadedError,
    UnavailableError,
    WindvaneError,
)
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine, PayloadInsert

_BLOCK = 1 << 20


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of request. Payloads of a kind, concatenated, are a payload of that kind.

    `insert` gives the statement for a commit, whose sequence number it may write into rows.
    `parallel` commits of a kind may run at once; with 1 they become visible in sequence order.
    `delay` replaces the settings' for a kind whose senders do not wait: larger commits cost less.
    An `eager` kind is committed at once while no commit of it runs, and what comes meanwhile is the next
    group: for senders that wait for the answer before they send again. `delay` is then how long a request
    waits for a running commit before another may start beside it.
    """

    name: str
    insert: Callable[[int], PayloadInsert]
    parallel: int = 1
    delay: float | None = None
    eager: bool = False


@dataclass(frozen=True, slots=True)
class CommitSettings:
    """How long and how much is gathered.

    A group is committed when it is `delay` seconds old or holds `flush_bytes` (an eager kind's: when none of
    its kind runs); while other commits of its kind run it grows up to `group_bytes`. `memory_bytes` bounds
    what all kinds hold.
    """

    delay: float = 0.2
    flush_bytes: int = 8 << 20
    group_bytes: int = 16 << 20
    memory_bytes: int = 128 << 20
    retry_after: float = 1.0


@dataclass(slots=True, eq=False)
class _Request:
    payload: bytes
    records: int
    done: asyncio.Future[None]


@dataclass(slots=True)
class _Lane:
    kind: Kind
    waiting: list[_Request] = field(default_factory=list)
    bytes: int = 0
    running: set[asyncio.Task[None]] = field(default_factory=set)
    timer: asyncio.Task[None] | None = None
    due: bool = False


class GroupCommit:
    """Gathers requests and commits them; use as an async context manager, or `start` and `stop`."""

    def __init__(
        self,
        engine: Engine,
        kinds: Iterable[Kind],
        *,
        clock: Clock | None = None,
        metrics: Metrics | None = None,
        settings: CommitSettings | None = None,
    ) -> None:
        self._engine = engine
        self._clock = clock or SystemClock()
        self._settings = settings or CommitSettings()
        self._lanes = {kind.name: _Lane(kind) for kind in kinds}
        self._held = 0
        self._open = False
        self._sequence = CommitSequence(engine)
        self._threads = ThreadPoolExecutor(
            max_workers=max(1, sum(lane.kind.parallel for lane in self._lanes.values())), thread_name_prefix="commit"
        )
        self._measure = _Measures(metrics or Metrics())

    async def start(self) -> None:
        """Accept requests from now on."""
        await asyncio.get_running_loop().run_in_executor(self._threads, self._sequence.reserve)
        self._open = True

    async def stop(self) -> None:
        """Refuse new requests and return once all accepted ones are committed. Idempotent."""
        self._open = False
        for lane in self._lanes.values():
            lane.due = True
            self._consider(lane)
        while running := [task for lane in self._lanes.values() for task in lane.running]:
            await asyncio.wait(running)
        self._threads.shutdown(wait=True)

    async def __aenter__(self) -> GroupCommit:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    @property
    def held_bytes(self) -> int:
        """Payload bytes waiting or being committed."""
        return self._held

    @property
    def settled(self) -> int:
        """Every INSERT up to this number has ended: its rows are visible, or never will be."""
        return self._sequence.settled

    async def submit(self, kind: str, payload: bytes, records: int) -> int:
        """Return `records` once `payload`, which holds so many, is stored.

        `BadInputError`: this request's bytes do not decode. `OverloadedError`: full, try later.
        A caller that is cancelled while it waits does not undo the commit.
        """
        self._admit(len(payload))
        lane = self._lanes[kind]
        request = _Request(payload, records, asyncio.get_running_loop().create_future())
        self._hold(len(payload))
        lane.waiting.append(request)
        lane.bytes += len(payload)
        self._consider(lane)
        await request.done
        return records

    def _admit(self, size: int) -> None:
        if not self._open:
            raise UnavailableError("the server is stopping")
        limit = self._settings.memory_bytes
        if size > limit:
            raise BadInputError(f"a request of {size} bytes can never be held: the limit is {limit}")
        if self._held + size > limit:
            raise OverloadedError(
                f"{self._held} bytes wait to be stored, the limit is {limit}", self._settings.retry_after
            )

    def _hold(self, size: int) -> None:
        self._held += size
        self._measure.held.set(self._held)

    def _consider(self, lane: _Lane) -> None:
        """Start commits that are due and may run; see to it that the rest becomes due."""
        while lane.waiting and len(lane.running) < lane.kind.parallel and self._is_due(lane):
            task = asyncio.create_task(self._commit_group(lane, self._take(lane)))
            lane.running.add(task)
            task.add_done_callback(lambda done: self._finished(lane, done))
        if lane.waiting and lane.timer is None and not lane.due:
            lane.timer = asyncio.create_task(self._become_due(lane))

    def _is_due(self, lane: _Lane) -> bool:
        idle = lane.kind.eager and not lane.running
        return lane.due or idle or lane.bytes >= self._settings.flush_bytes

    async def _become_due(self, lane: _Lane) -> None:
        await self._clock.sleep(self._settings.delay if lane.kind.delay is None else lane.kind.delay)
        lane.timer = None
        lane.due = True
        self._consider(lane)

    def _take(self, lane: _Lane) -> list[_Request]:
        size, count = 0, 0
        for request in lane.waiting:
            if count and size + len(request.payload) > self._settings.group_bytes:
                break
            size += len(request.payload)
            count += 1
        group, lane.waiting = lane.waiting[:count], lane.waiting[count:]
        lane.bytes -= size
        if not lane.waiting:
            lane.due = not self._open
            if lane.timer is not None:
                lane.timer.cancel()
                lane.timer = None
        return group

    def _finished(self, lane: _Lane, task: asyncio.Task[None]) -> None:
        lane.running.discard(task)
        self._consider(lane)

    async def _commit_group(self, lane: _Lane, group: Sequence[_Request]) -> None:
        try:
            await self._commit(lane.kind, group)
        finally:
            self._hold(-sum(len(request.payload) for request in group))

    async def _commit(self, kind: Kind, group: Sequence[_Request]) -> None:
        """Commit a group; one that some request's bytes may have failed is halved, again and again."""
        loop = asyncio.get_running_loop()
        try:
            rows = await loop.run_in_executor(self._threads, self._insert, kind, group)
        except (BadInputError, LimitError, InternalError) as error:
            if len(group) == 1:
                _answer(group, error)
                return
            self._measure.bisections.labels(kind.name).inc()
            await self._commit(kind, group[: len(group) // 2])
            await self._commit(kind, group[len(group) // 2 :])
        except WindvaneError as error:
            _answer(group, error)
        except Exception as error:
            _answer(group, InternalError(f"commit of {kind.name} failed: {error!r}"))
        else:
            self._measure.committed(kind.name, rows, sum(request.records for request in group))
            _answer(group, None)

    def _insert(self, kind: Kind, group: Sequence[_Request]) -> int:
        with self._measure.seconds.labels(kind.name).time(), self._sequence.numbered() as number:
            return self._engine.insert_payload(kind.insert(number), b"".join([request.payload for request in group]))


class CommitSequence:
    """Numbers that increase strictly, also over restarts and crashes; for one process at a time."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()  # lanes commit from threads of their own
        self._next = self._end = 0
        self._running: set[int] = set()

    @property
    def settled(self) -> int:
        """Up to this number, every number that was given out is no longer in use."""
        with self._lock:
            return min(self._running, default=self._next) - 1 if self._end else 0

    @contextlib.contextmanager
    def numbered(self) -> Iterator[int]:
        """The next number, in use until the block is left."""
        with self._lock:
            number = self._take()
            self._running.add(number)
        try:
            yield number
        finally:
            with self._lock:
                self._running.discard(number)

    def reserve(self) -> None:
        """Take the next block of numbers for this process."""
        self._engine.command(
            "CREATE TABLE IF NOT EXISTS windvane_sequence (Reserved UInt64) ENGINE = MergeTree ORDER BY Reserved"
        )
        taken = int(self._engine.query("SELECT max(Reserved) AS reserved FROM windvane_sequence")["reserved"][0])
        self._engine.command("INSERT INTO windvane_sequence SELECT {n:UInt64}", {"n": taken + _BLOCK})
        self._next, self._end = taken + 1, taken + _BLOCK

    def next(self) -> int:
        """The next number, from 1 on."""
        with self._lock:
            return self._take()

    def _take(self) -> int:
        if self._next >= self._end:
            self.reserve()
        number = self._next
        self._next += 1
        return number


class _Measures:
    def __init__(self, metrics: Metrics) -> None:
        self.held = metrics.gauge("windvane_commit_held_bytes", "Payload bytes waiting or being committed")
        self.rows = metrics.counter("windvane_commit_rows_total", "Rows committed", ("kind",))
        self.unlike = metrics.counter(
            "windvane_commit_rows_unlike_records_total", "Rows committed beyond or short of the records sent", ("kind",)
        )
        self.bisections = metrics.counter("windvane_commit_bisections_total", "Groups halved after an error", ("kind",))
        self.seconds = metrics.histogram("windvane_commit_seconds", "Time of one INSERT", ("kind",))

    def committed(self, kind: str, rows: int, records: int) -> None:
        self.rows.labels(kind).inc(rows)
        if rows != records:
            self.unlike.labels(kind).inc(abs(rows - records))


def _answer(group: Sequence[_Request], error: WindvaneError | None) -> None:
    for request in group:
        if request.done.done():
            continue
        if error is None:
            request.done.set_result(None)
        else:
            request.done.set_exception(error)
