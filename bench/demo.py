"""How long `windvane demo` takes until its graph shows traffic, and what its processes hold in memory.

Run as `python bench/demo.py [rounds]`. Each round starts from nothing in a new directory, as the first
`./run demo` after installation does, and ends once the graph has an edge and a minute of traffic is over.
"""

from __future__ import annotations

import json
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil
from machine import machine

TARGET_SECONDS = 20
TARGET_MB = 400


def run(folder: Path, traffic_seconds: float) -> tuple[dict[str, float], dict[str, float]]:
    """Seconds to each event, and MB held by each kind of process after `traffic_seconds`."""
    command = [sys.executable, "-m", "windvane", "demo", "--run-dir", str(folder), "--output", "json", "--day", "none"]
    began = time.monotonic()
    demo = subprocess.Popen([*command, "--no-browser"], stdout=subprocess.PIPE, text=True)
    seconds: dict[str, float] = {}
    assert demo.stdout is not None
    for line in demo.stdout:
        event: dict[str, Any] = json.loads(line)
        name = f"{event['process']} ready" if "process" in event else event["event"]
        if event["event"] in ("ready", "graph"):
            seconds.setdefault("all ready" if name == "ready" else name, time.monotonic() - began)
        if event["event"] == "graph":
            break
    time.sleep(traffic_seconds)
    held = memory(demo.pid)
    demo.send_signal(signal.SIGINT)
    demo.communicate(timeout=90)
    return seconds, held


def memory(pid: int) -> dict[str, float]:
    """Resident MB of the demo's processes, sidecars together."""
    held: dict[str, float] = {}
    for process in [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]:
        line = " ".join(process.cmdline())
        kinds = {" serve ": "server", "local.emulator": "emulator", "local.traffic": "traffic", "/envoy ": "sidecars"}
        kind = next((kind for mark, kind in kinds.items() if mark in line), "supervisor")
        held[kind] = held.get(kind, 0) + process.memory_info().rss / 1e6
    return held


def main() -> None:
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 3
    print(machine())
    print("data: scenario shop, 50 requests/s, 15 sidecars")
    graphs = []
    for number in range(1, rounds + 1):
        with tempfile.TemporaryDirectory() as folder:
            seconds, held = run(Path(folder) / "shop", 60 if number == rounds else 2)
        graphs.append(seconds["graph"])
        told = ("server ready", "all ready", "graph")
        print(f"round {number}: " + ", ".join(f"{name} {seconds[name]:.1f} s" for name in told if name in seconds))
    print(f"first graph: median {statistics.median(graphs):.1f} s (target {TARGET_SECONDS} s)")
    print(
        "resident after a minute of traffic: " + ", ".join(f"{kind} {mb:.0f} MB" for kind, mb in sorted(held.items()))
    )
    print(f"server: {held['server']:.0f} MB (target at rest {TARGET_MB} MB)")


if __name__ == "__main__":
    main()
