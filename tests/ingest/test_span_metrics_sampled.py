"""Metrics of spans are of all that arrived, whatever tail sampling keeps, at any split into commits."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from span_counts import T0
from test_span_metrics import Counter, newest

from windvane.kit.metrics import Metrics
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.model import Span
from windvane.tracing.sampling.policies import Policy, Probabilistic, TailSampling
from windvane.tracing.sampling.tail import TailSampler

MINUTE_NS = T0 // (60 * 10**9) * 60 * 10**9 + 60 * 10**9


@pytest.fixture
def engines(data_directory: Path) -> Iterator[list[EmbeddedEngine]]:
    names = ("span_metrics_all", "span_metrics_kept")
    opened = [EmbeddedEngine.open(data_directory, database=name) for name in names]
    for engine in opened:
        migrate(engine, Retention(default=None))
    yield opened
    for name, engine in zip(names, opened, strict=True):
        engine.command(f"DROP DATABASE {name}")
        engine.close()


def calls(chance: random.Random, traces: int) -> list[Span]:
    """A client of `a` and the server of `b` it calls, and a client whose server sends no spans."""
    spans = []
    for number in range(traces):
        trace_id, at = f"{chance.getrandbits(128):032x}", MINUTE_NS + chance.randrange(60 * 10**9)
        status, took = chance.choice(["Unset", "Error"]), chance.randrange(10**9)
        client = f"{3 * number + 1:016x}"
        spans += [
            Span(trace_id, client, "", "call", "Client", "a", at, took, status),
            Span(trace_id, f"{3 * number + 2:016x}", client, "serve", "Server", "b", at + 1, took // 2, status),
            Span(trace_id, f"{3 * number + 3:016x}", client, "query", "Client", "a", at + 2, took // 3, "Unset",
                 attributes={"db.system": "redis"}),
        ]  # fmt: skip
    return spans


def count(engine: EmbeddedEngine, commits: Sequence[Sequence[Span]], *, sampled: bool) -> int:
    """Store and count commits 25 seconds apart, with sampling after each or without; the spans left."""
    counter = Counter(engine)
    counter.clock.advance((MINUTE_NS - T0) / 1e9 + 1)
    sampling = TailSampling((Policy("some", Probabilistic(0.2)),), decision_wait=0, remove_every=60, late=600)
    tail = TailSampler(engine, sampling, clock=counter.clock, metrics=Metrics(), counted=counter.metrics.counted)
    for commit in [*commits, *[()] * 8]:
        if sampled:
            tail.tick()
        if commit:
            counter.store(commit)
        counter.clock.advance(10)
        counter.tick()
    return int(engine.query("SELECT count() AS C FROM otel_traces")["C"][0])


def test_sampling_changes_no_metric(engines: list[EmbeddedEngine]) -> None:
    chance = random.Random(8)
    spans = calls(chance, 80)
    whole = [spans[i : i + 3] for i in range(0, len(spans), 3)]
    chance.shuffle(whole)
    commits = [[span for trace in whole[i::4] for span in trace] for i in range(4)]
    kept_all, kept_some = engines
    assert count(kept_all, commits, sampled=False) == len(spans)
    assert 0 < count(kept_some, commits, sampled=True) < len(spans) / 2
    expected = newest(kept_all)
    assert len(expected) > 20
    assert newest(kept_some) == pytest.approx(expected)
