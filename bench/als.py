"""Access logs: entries a second through decode and insert, and the time of a tick of Istio's metrics.

    python bench/als.py [--entries 100000] [--label-sets 20000]

Prints one line a figure. Entries are the recorded messages of tests/signals/recordings, repeated.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from als_recording import envelopes, insert, load

from windvane.ingest.istio_metrics import Directory, IstioMetrics
from windvane.kit.clock import ManualClock
from windvane.signals import envoy_als
from windvane.store.embedded import EmbeddedEngine
from windvane.store.migrate import Retention, migrate


def timed(work: Callable[[], object]) -> float:
    """Seconds of one run."""
    start = time.perf_counter()
    work()
    return time.perf_counter() - start


def decode(engine: EmbeddedEngine, entries: int) -> None:
    """Decode and insert, in commits of several sizes."""
    recorded = envelopes()
    payload, count = b"".join(data for data, _ in recorded), sum(count for _, count in recorded)
    insert(engine, payload)
    for size in (100, 1_000, 10_000, entries):
        repeats = max(size // count, 1)
        runs = [timed(lambda repeats=repeats: insert(engine, payload * repeats)) for _ in range(3)]
        print(f"decode+insert, commits of {repeats * count:>7} entries: {repeats * count / min(runs):>9,.0f} entries/s")
    disk = engine.query(
        "SELECT sum(bytes_on_disk) / sum(rows) AS bytes FROM system.parts "
        "WHERE active AND database = currentDatabase() AND table = 'envoy_access_logs'"
    )
    print(f"bytes an entry on disk: {disk['bytes'][0]:.1f} (repeated entries: ids do not vary)")


def listen() -> None:
    """What Python does for a message: count, identify, wrap."""
    messages = [message for _, message in load() if len(message) < 20_000]
    who = envoy_als.Identifier("node", "http_outbound")
    count = sum(envoy_als.count_entries(message) for message in messages)

    def handle() -> None:
        for message in messages * 100:
            envoy_als.count_entries(message)
            envoy_als.identifier(message)
            envoy_als.envelope(who, message)

    print(f"listener's work in Python: {count * 100 / min(timed(handle) for _ in range(3)):,.0f} entries/s")


def rows(label_sets: int, repeat: int, commit: int) -> pd.DataFrame:
    """`repeat` requests of each of so many kinds."""
    kinds = np.arange(label_sets * repeat) % label_sets
    nodes = np.array([f"sidecar~10.0.{i // 200}.{i % 200}~web-{i}.shop~shop.svc.cluster.local" for i in range(1000)])
    now = pd.Timestamp.now("UTC").tz_localize(None)
    return pd.DataFrame(
        {
            "Timestamp": now,
            "Received": now,
            "Commit": np.uint64(commit),
            "NodeId": nodes[kinds % 1000],
            "LogName": "http_outbound",
            "Reporter": "source",
            "Kind": "http",
            "Protocol": "http",
            "ResponseCode": (200 + kinds // 1000).astype(np.uint16),
            "ResponseFlags": "-",
            "UpstreamCluster": "outbound|80||a.shop.svc.cluster.local",
            "DurationNs": (kinds * 7919 % 10**9).astype(np.uint64),
            "RequestBytes": (kinds % 5000).astype(np.uint64),
            "ResponseBytes": (kinds % 90_000).astype(np.uint64),
        }
    )


def ticks(engine: EmbeddedEngine, label_sets: int) -> None:
    """A first tick (all series new), ticks with traffic in every label set, an idle tick, a restart."""
    clock = ManualClock(time.time_ns())
    directory = Directory()
    metrics = IstioMetrics(engine, lambda: directory, clock=clock)
    print(f"{label_sets} label sets = {label_sets * 67:,} series")
    for commit, name in enumerate(("first tick", "tick, all change", "tick, all change again"), 10_000_000):
        engine.insert_frame("envoy_access_logs", rows(label_sets, 2, commit))
        clock.advance(5)
        print(f"{name}: {timed(metrics.tick):.2f} s")
    clock.advance(5)
    print(f"tick, nothing new: {timed(metrics.tick):.2f} s")
    metrics = IstioMetrics(engine, lambda: directory, clock=clock)
    clock.advance(5)
    print(f"first tick after a restart (state read back): {timed(metrics.tick):.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--entries", type=int, default=100_000, help="entries in the largest commit")
    parser.add_argument("--label-sets", type=int, default=20_000, help="label sets of istio_requests_total")
    wanted = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        engine = EmbeddedEngine.open(folder)
        migrate(engine, Retention(default=None))
        listen()
        decode(engine, wanted.entries)
        engine.command("TRUNCATE TABLE envoy_access_logs")
        ticks(engine, wanted.label_sets)
        engine.close()


if __name__ == "__main__":
    main()
