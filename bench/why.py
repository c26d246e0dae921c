"""How right, how sure and how fast "why" is: meshes made by chance with a fault at a known place, and spans in a store.

Prints a table of hits by kind of fault and minutes of history (asked at the entrance), what share of answers was right
by their confidence, the time of one answer over a large mesh, and what looking into traces costs (CPU seconds, and the
median of wall seconds). Run as `python bench/why.py [meshes] [traces]`.
"""

from __future__ import annotations

import resource
import statistics
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np
from analysis import START_NS, STEP_NS, fill
from machine import machine

from windvane.analytics.explain.selftime import grown
from windvane.analytics.why import Answer, why
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "analytics"))

from why_meshes import FAULTS, Fault, Mesh, service, simulated, strength

ROUNDS = 5
SETTINGS = ((70, 1_000.0, 0.08), (70, 60.0, 0.08), (12, 300.0, 0.15), (8, 1_000.0, 0.08))
"""Minutes of history, requests a minute at the entrance, and how much latencies stray from minute to minute."""


def right(answer: Answer, fault: Fault) -> bool:
    """Whether the first cause is the faulty service, or the way to it where that is what is slow."""
    first = answer.causes[0]
    return first.node.service == service(fault.at) and (fault.kind != "network" or first.node.caller is not None)


def hits(meshes: int) -> None:
    """Right, silent and wrong answers by kind, and how confidence relates to being right."""
    sure: dict[int, list[bool]] = defaultdict(list)
    for minutes, rate, noise in SETTINGS:
        told: Counter[str] = Counter()
        for seed in range(meshes):
            draw = np.random.default_rng(seed)
            mesh = Mesh.drawn(draw, int(draw.integers(6, 20)), minutes=minutes, rate=rate, noise=noise)
            told["quiet, told"] += bool(why(*simulated(mesh, None, seed), service("s0")).causes)
            for kind in FAULTS:
                last = int(draw.integers(2, min(9, minutes // 2)))
                fault = Fault(kind, f"s{int(draw.integers(1, len(mesh.own)))}", strength(kind, draw), last)
                answer = why(*simulated(mesh, fault, seed), service("s0"))
                if not answer.causes:
                    told[f"{kind}, silent"] += 1
                    continue
                told[f"{kind}, {'right' if right(answer, fault) else 'wrong'}"] += 1
                sure[min(9, int(answer.causes[0].cause.confidence * 10))].append(right(answer, fault))
        counts = ", ".join(f"{name} {count}" for name, count in sorted(told.items()))
        print(f"{minutes} min, {rate:g}/min, noise {noise:g}, {meshes} meshes: {counts}")
    for tenth, answers in sorted(sure.items()):
        print(f"confidence {tenth / 10:.1f}: {len(answers)} answers, {np.mean(answers):.0%} right")


def cost(name: str, run: Callable[[], object]) -> None:
    """The median of some rounds."""
    walls, cpus = [], []
    for _ in range(ROUNDS):
        used, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        run()
        now = resource.getrusage(resource.RUSAGE_SELF)
        walls.append(time.perf_counter() - start)
        cpus.append(now.ru_utime - used.ru_utime + now.ru_stime - used.ru_stime)
    print(f"{name}: {statistics.median(walls):.2f} s, {statistics.median(cpus):.2f} CPU s")


def main() -> None:
    """Everything, with the machine it ran on."""
    meshes = int(sys.argv[1]) if len(sys.argv) > 1 else 50
    traces = int(sys.argv[2]) if len(sys.argv) > 2 else 40_000
    print(machine())
    hits(meshes)
    draw = np.random.default_rng(1)
    times, calls = simulated(Mesh.drawn(draw, 1_000, minutes=70), Fault("latency", "s3", 200.0), 1)
    cost(f"why, 1000 services, {len(calls) // 2} ways, 70 minutes", lambda: why(times, calls, service("s0")))
    with tempfile.TemporaryDirectory() as directory:
        engine = EmbeddedEngine.open(Path(directory), "bench")
        migrate(engine, Retention(default=None))
        fill(engine, traces)
        onset = (START_NS + traces * STEP_NS // 2) / 1e9
        cost(f"traces, {traces * 50:,} spans",
             lambda: grown(engine, ("", "svc-7"), None, onset=onset, end=onset + 600, signal="latency"))  # fmt: skip
        engine.close()


if __name__ == "__main__":
    main()
