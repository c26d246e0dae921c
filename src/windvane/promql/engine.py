"""PromQL over a store: parse, plan, read, evaluate, and shape the result.

`QueryEngine` is what other rooms use. Times are integers in milliseconds since the Unix epoch.
"""

from __future__ import annotations

import os
import threading
import time
from dataclasses import dataclass, replace

import numpy as np

from windvane.promql.cache_results import AnswerCache, size_of
from windvane.promql.cancel import Stop
from windvane.promql.catalog import Catalog
from windvane.promql.errors import QueryError, QueryLimitError
from windvane.promql.evaluate import Evaluator, NodeCost, flat_samples
from windvane.promql.fair import Gate
from windvane.promql.functions.base import constant
from windvane.promql.labels import Pool
from windvane.promql.native import select as natives
from windvane.promql.parse import parse
from windvane.promql.parts import Parts
from windvane.promql.plan import Context, Plan, Read, plan
from windvane.promql.read import Reader
from windvane.promql.resolve import resolve
from windvane.promql.rollup.build import RolledDays
from windvane.promql.rollup.choose import Policy, worth_asking
from windvane.promql.rollup.nodes import Buckets, RolledNode
from windvane.promql.syntax import Expr, Range, Subquery, unwrap
from windvane.promql.value import (
    MatrixResult,
    QueryValue,
    Sampled,
    Scalar,
    ScalarResult,
    Steps,
    StringResult,
    Text,
    Value,
    VectorResult,
)
from windvane.promql.warm import warm, warm_native
from windvane.store.api import Engine, Limits


@dataclass(frozen=True, slots=True)
class QuerySettings:
    """Bounds and defaults of queries.

    `lookback_ms`: how far back an instant selector looks for a sample. `subquery_step_ms`: the step of
    `[range:]`. `max_samples`: samples one query may read, and values one selector may have over all
    steps. `max_series`: series one selector may find. `max_points`: steps a range query may have.
    `timeout`: seconds one query may take. `memory_bytes`: what the store may hold for one read.
    `pool_strings`: distinct label values kept between queries. `cache_bytes`: samples kept for queries
    asked again (16 bytes each; 0 keeps none). `answer_bytes`: results kept for queries asked again while
    nothing was written (0 keeps none). `head_bytes`: the newest samples of all series, held once the engine
    was started (packed; 0 holds none). `parallel`: queries that work at once (None: one a core).
    """

    lookback_ms: int = 300_000
    subquery_step_ms: int = 60_000
    max_samples: int = 50_000_000
    max_series: int = 2_000_000
    max_points: int = 11_000
    timeout: float = 120.0
    memory_bytes: int = 2 << 30
    pool_strings: int = 2_000_000
    cache_bytes: int = 512 << 20
    answer_bytes: int = 64 << 20
    head_bytes: int = 256 << 20
    parallel: int | None = None


@dataclass(frozen=True, slots=True)
class ReadCost:
    """What one read of the plan brought, and the time it took.

    `source` says where from: "head" (the newest samples of all series, packed in memory), "hit", "refreshed" or "miss"
    of the cache of samples, "direct" past it, or "answer" when the whole answer was kept; `rows` were read for it.
    """

    read: Read
    series: int
    samples: int
    seconds: float
    source: str = "direct"
    rows: int = 0


@dataclass(frozen=True, slots=True)
class QueryStats:
    """What a query cost: its reads, seconds of evaluation, and nodes of the tree when asked to explain."""

    reads: tuple[ReadCost, ...]
    evaluate_seconds: float
    nodes: tuple[NodeCost, ...] = ()

    def kept(self) -> QueryStats:
        """The cost of giving the same answer again."""
        reads = (replace(read, seconds=0.0, source="answer", rows=0) for read in self.reads)
        return QueryStats(tuple(reads), 0.0)

    @property
    def samples(self) -> int:
        """Samples read."""
        return sum(read.samples for read in self.reads)

    @property
    def read_seconds(self) -> float:
        """Seconds spent reading."""
        return sum(read.seconds for read in self.reads)


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """How one query departs from the settings. `explain` measures every node of the tree.

    `resolution_ms` asks for rollups: windows may be answered from buckets up to this wide even where they
    do not consist of whole ones. Without it rollups are used only where the answer is the same.

    A query whose event `cancelled` is set ends with `QueryCancelledError` as soon as it can.
    """

    timeout: float | None = None
    lookback_ms: int | None = None
    explain: bool = False
    resolution_ms: int | None = None
    cancelled: threading.Event | None = None


@dataclass(frozen=True, slots=True)
class QueryResult:
    """A query's value, what it warns of, and what it cost."""

    value: QueryValue
    warnings: tuple[str, ...]
    infos: tuple[str, ...]
    stats: QueryStats


DEFAULT_OPTIONS = QueryOptions()


class QueryEngine:
    """Answers PromQL from one store's `series` and `samples`; safe from any thread."""

    def __init__(self, engine: Engine, settings: QuerySettings | None = None) -> None:
        self.settings = settings or QuerySettings()
        self._engine = engine
        self.catalog = Catalog(engine)
        own = self.settings
        self.reader = Reader(engine, own.cache_bytes, own.max_series, own.head_bytes, self.pool)
        self._answers: AnswerCache[QueryResult] = AnswerCache(self.settings.answer_bytes)
        self.gate = Gate(self.settings.parallel or os.cpu_count() or 1)
        self._pool = Pool()
        self._lock = threading.Lock()

    def instant(self, query: str, time_ms: int, options: QueryOptions = DEFAULT_OPTIONS) -> QueryResult:
        """The value of `query` at one time: a scalar, a string, a vector, or for `x[5m]` a matrix.

        `QueryError` (bad input), `QueryLimitError`, `QueryTimeoutError`.
        """
        return self._answer(query, Steps(time_ms, time_ms, 1), options, instant=True)

    def range(
        self, query: str, start_ms: int, end_ms: int, step_ms: int, options: QueryOptions = DEFAULT_OPTIONS
    ) -> QueryResult:
        """The value of `query` at start, start + step, … up to end, as a `MatrixResult`."""
        if step_ms <= 0:
            raise QueryError("zero or negative query resolution step widths are not accepted. Try a positive integer")
        if end_ms < start_ms:
            raise QueryError("end timestamp must not be before start time")
        steps = Steps(start_ms, end_ms, step_ms)
        if len(steps) > self.settings.max_points:
            raise QueryError(
                f"exceeded maximum resolution of {self.settings.max_points:,} points per timeseries. "
                "Try decreasing the query resolution (?step=XX)"
            )
        return self._answer(query, steps, options, instant=False)

    def _answer(self, query: str, steps: Steps, options: QueryOptions, *, instant: bool) -> QueryResult:
        """From the answers kept, or computed; explained ones always are computed."""
        run = _Run(self, steps, options)
        key = (query, steps, options.lookback_ms, instant)
        shared = not options.explain and options.resolution_ms is None
        with run.stop:
            kept = self._answers.find(key, lambda: self.reader.parts(run.stop)) if shared else None
            if kept is not None:
                return kept
            value = run.result(parse(query), instant)
        notes = run.evaluator.notes
        result = QueryResult(value, tuple(notes.warnings), tuple(notes.infos), run.stats())
        if shared and run.parts:
            self._answers.keep(key, replace(result, stats=result.stats.kept()), size_of(value), run.parts)
        return result

    def start(self) -> None:
        """Hold all series and the newest samples from now on, loaded and followed by threads, until `close`."""
        self.reader.index.start()
        self.reader.head.start()

    def close(self) -> None:
        """End what `start` began. Idempotent; to be called before the store is closed."""
        self.reader.head.close()
        self.reader.index.close()

    def warm(self) -> None:
        """Load (or, once, compile) all kernels; for a thread of its own at start."""
        warm()
        warm_native()

    def rolled_days(self) -> RolledDays:
        """Which days rollups answer for."""
        return RolledDays.of(self._engine)

    def pool(self) -> Pool:
        """The strings a new query works with; a fresh pool once the old one has grown too large."""
        with self._lock:
            if len(self._pool) > self.settings.pool_strings:
                self._pool = Pool()
            return self._pool


class _Run:
    """One query from its plan to its result."""

    def __init__(self, engine: QueryEngine, steps: Steps, options: QueryOptions) -> None:
        settings = engine.settings
        self._engine = engine
        self._steps = steps
        deadline = time.monotonic() + min(options.timeout or settings.timeout, settings.timeout)
        self.stop = Stop(deadline, options.cancelled, engine.gate)
        self._plan = Plan()
        self.parts: dict[str, Parts] = {}
        self._resolution = options.resolution_ms
        self._samples: list[Sampled] = []
        self._costs: list[ReadCost] = []
        self._evaluate_seconds = 0.0
        lookback = options.lookback_ms or settings.lookback_ms
        context = Context(steps.start, steps.end, lookback, settings.subquery_step_ms)
        self.evaluator = Evaluator(context, engine.pool(), self._find, self.stop.check, settings.max_samples)
        if options.explain:
            self.evaluator.costs = []

    def result(self, expr: Expr, instant: bool) -> QueryValue:
        """Plan, read, evaluate."""
        expr = resolve(expr, self._steps, instant=instant)
        inner = unwrap(expr)
        if not instant and isinstance(inner, Range | Subquery):
            raise QueryError('invalid expression type "range vector" for range query, must be Scalar or instant Vector')
        self.evaluator.without_buckets = natives.only_counted(expr)
        self._plan = plan(expr, self._steps, self.evaluator.context)
        if self._plan.reads:
            self.parts = self._engine.reader.parts(self.stop)
            self._use_rollups(expr)
        self._read()
        started = time.monotonic()
        if isinstance(inner, Range | Subquery):
            value: QueryValue = self._matrix(inner)
        else:
            value = self._shape(self.evaluator.value(expr, self._steps), instant)
        self._evaluate_seconds = time.monotonic() - started
        return value

    def stats(self) -> QueryStats:
        """What it cost so far."""
        return QueryStats(tuple(self._costs), self._evaluate_seconds, tuple(self.evaluator.costs or ()))

    def _use_rollups(self, expr: Expr) -> None:
        """Plan again with rollups where the query reaches back to days that may be rolled."""
        reads = self._plan.reads
        after, until = min(read.after for read in reads), max(read.until for read in reads)
        if not worth_asking(after, until, time.time_ns() // 1_000_000):
            return
        limits = Limits(self.stop.seconds, self._engine.settings.memory_bytes)
        if any(self._engine.reader.has_natives(read, limits, self.parts, self.stop) for read in reads):
            return  # buckets keep floats only
        policy = Policy(self._engine.rolled_days(), self._resolution)
        self.evaluator.context = replace(self.evaluator.context, rollups=policy)
        self.evaluator.buckets = self._buckets
        self._plan = plan(expr, self._steps, self.evaluator.context)

    def _buckets(self, node: RolledNode) -> Buckets:
        self.stop.check()
        started = time.monotonic()
        settings = self._engine.settings
        limits = Limits(self.stop.seconds, settings.memory_bytes, settings.max_samples)
        buckets, rows = self._engine.reader.buckets(node, self.evaluator.pool, limits, self.parts, self.stop)
        if len(buckets.labels) * len(node.ends) > settings.max_samples:
            raise QueryLimitError("query processing would load too many samples into memory in query execution")
        read = Read(node.matchers, node.choice.after, node.choice.until)
        source = f"rollup of {node.choice.width // 60_000}m"
        self._costs.append(ReadCost(read, len(buckets.labels), rows, time.monotonic() - started, source, rows))
        return buckets

    def _read(self) -> None:
        settings, reader = self._engine.settings, self._engine.reader
        room = settings.max_samples
        for read in self._plan.reads:
            self.stop.check()
            started = time.monotonic()
            limits = Limits(self.stop.seconds, settings.memory_bytes, max(1, room))
            loaded = reader.read(read, self.evaluator.pool, limits, self.parts, self.stop)
            cost = ReadCost(read, len(loaded.samples.labels), loaded.count, time.monotonic() - started, loaded.source,
                            loaded.rows)  # fmt: skip
            self._costs.append(cost)
            room -= loaded.count
            if room < 0:
                raise QueryLimitError("query processing would load too many samples into memory in query execution")
            self._samples.append(loaded.samples)

    def _find(self, read: Read) -> Sampled:
        return self._samples[self._plan.find(read)]

    def _matrix(self, expr: Range | Subquery) -> MatrixResult:
        """A range vector by itself: the samples in its only window."""
        window = self.evaluator.matrix(expr, self._steps)
        samples, end = window.samples, int(window.ends[0])
        inside = (samples.times > end - window.span) & (samples.times <= end)
        counts = np.add.reduceat(np.append(inside, False), samples.offsets[:-1]) if len(samples.labels) else inside[:0]
        counts = np.where(np.diff(samples.offsets) > 0, counts, 0)
        native = natives.within(samples.native, end - window.span, end)
        some = np.flatnonzero(counts if native is None else counts + np.diff(native.offsets))
        native = None if native is None else native.take(some)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(counts[some])])
        return MatrixResult(samples.labels.take(some), offsets, samples.times[inside], samples.values[inside], native)

    def _shape(self, value: Value, instant: bool) -> QueryValue:
        time_ms = self._steps.start
        if isinstance(value, Text):
            if not instant:
                raise QueryError('invalid expression type "string" for range query, must be Scalar or instant Vector')
            return StringResult(time_ms, value.value)
        if isinstance(value, Scalar):
            if instant:
                return ScalarResult(time_ms, float(value.values[0]))
            value = constant(self.evaluator.pool, value.values)
        if instant:
            some = np.flatnonzero(value.present[:, 0])
            native = None if value.native is None else value.native[some, 0]
            return VectorResult(time_ms, value.labels.take(some), value.values[some, 0], native)
        value = value.without_empty()
        ordered = value.take(value.labels.order())
        flat = flat_samples(ordered, self._steps.times())
        return MatrixResult(flat.labels, flat.offsets, flat.times, flat.values, flat.native)
