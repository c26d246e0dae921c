"""What tail sampling costs a span, and what it saves: minutes of traces arrive in small commits, with it and without.

The spans are those of `bench/traces.py`; nine of ten traces are not kept. Time is simulated: commits come as fast as
the engine takes them; merges run meanwhile and are counted.
Run as `python bench/sampling.py [minutes] [spans a minute]`.
"""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from machine import machine
from traces import _FILL

from windvane.kit.clock import ManualClock
from windvane.kit.metrics import Metrics
from windvane.store.api import Engine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate
from windvane.tracing.sampling.policy_file import read
from windvane.tracing.sampling.tail import TailSampler

DAY = 1_789_948_800
COMMITS = 12
POLICIES = """
policies:
  - {name: errors, type: status_code, status_code: {status_codes: [ERROR]}}
  - {name: odd, type: rare, rare: {traces_per_minute: 1}}
  - {name: rest, type: probabilistic, probabilistic: {sampling_percentage: 9}}
"""


@dataclass(frozen=True)
class Cost:
    """Processor time of everything, and bytes on disk, each a span received."""

    microseconds: float
    bytes: float
    left: float


def minute(engine: Engine, number: int, spans: int) -> None:
    """Store a minute's spans."""
    part = spans // COMMITS
    for commit in range(COMMITS):
        engine.command(
            _FILL.format(
                start=DAY * 10**9, step=60 * 10**9 * 8 // spans, first=number * spans + commit * part, count=part,
                commit=1 + number * COMMITS + commit, tokens="", token_values="",
            )
        )  # fmt: skip


def run(directory: Path, database: str, minutes: int, spans: int, *, sampled: bool) -> Cost:
    """All minutes, then what merges have left to do."""
    engine = EmbeddedEngine.open(directory, database)
    migrate(engine, Retention(default=None))
    clock = ManualClock((DAY + 1) * 10**9)
    sampler = TailSampler(engine, read(POLICIES, "policies"), clock=clock, metrics=Metrics())
    sampler.tick()
    used = time.process_time()
    for number in range(minutes):
        minute(engine, number, spans)
        clock.advance(60)
        if sampled:
            sampler.tick()
    while len(engine.query("SELECT 1 FROM system.merges WHERE database = currentDatabase() LIMIT 1")):
        time.sleep(0.2)
    total = minutes * spans
    microseconds = (time.process_time() - used) / total * 1e6
    parts = engine.query(
        "SELECT sum(bytes_on_disk) AS B FROM system.parts WHERE active AND database = currentDatabase()"
        " AND table IN ('otel_traces', 'trace_decisions')"
    )
    left = engine.query("SELECT count() AS C FROM otel_traces")
    engine.close()
    return Cost(microseconds, float(parts["B"][0]) / total, float(left["C"][0]) / total)


def main() -> None:
    print(machine())
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 30
    spans = int(sys.argv[2]) if len(sys.argv) > 2 else 24_000
    with tempfile.TemporaryDirectory() as directory:
        keeper = EmbeddedEngine.open(Path(directory), "keeper")
        without = run(Path(directory), "plain", minutes, spans, sampled=False)
        sampled = run(Path(directory), "sampled", minutes, spans, sampled=True)
        keeper.close()
    print(f"{minutes} minutes of {spans:,} spans   {'us a span':>10s} {'bytes a span':>13s} {'spans left':>11s}")
    for name, cost in (("without", without), ("tail sampling", sampled)):
        print(f"{name:30s} {cost.microseconds:10.1f} {cost.bytes:13.1f} {cost.left:11.0%}")
    more = sampled.microseconds - without.microseconds
    print(f"tail sampling costs {more:.1f} us a span and keeps {sampled.bytes / without.bytes:.0%} of the bytes")


if __name__ == "__main__":
    main()
