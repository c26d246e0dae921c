"""Whether a live demo's faults are found, named and explained, and whether quiet stays quiet.

Every run is a `windvane demo` of its own that breaks one service after a while. From the moment the fault began
the server is asked, as a user's browser would ask it, which incidents are open, and why.
Run as `python bench/faults.py [--runs N] [--kinds latency,errors] [--parallel 2] [--quiet 30] [--warm 6]`.

    found      seconds from the fault to an open incident (up to three minutes; of a slow burn, of which few of few
               requests fail, up to ten)
    named      the incident's cause is the broken service (for network-delay: the way to it)
    first      asked at the service that the incident is led by, and at the ingress's, the broken one is ranked first
    explained  the answer has words and evidence
"""

from __future__ import annotations

import argparse
import json
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from machine import machine

KINDS = ("latency", "errors", "outage", "retry-storm", "slow-burn", "network-delay")
TARGETS = ("catalog", "payment", "cart", "recommendation", "shipping", "search", "reviews", "checkout", "fraud", "cart")
WITHIN = 180.0
LATER = 130.0
"""Seconds after which an incident's cause has been asked for a second time."""
SLOWLY = {"slow-burn": 600.0}
"""Kinds of which three minutes of some services bring too few failures for anybody to tell them from chance."""
EVERY = 5.0
OWN = "/api/windvane/v1"


@dataclass(frozen=True)
class Seen:
    """What came of one fault."""

    kind: str
    target: str
    found: float | None
    named: bool
    first: bool
    explained: bool
    said: str
    before: int


def free_port() -> int:
    """A port of 127.0.0.1 that nothing listens on at the moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Demo:
    """A running demo: its address, and when its fault began."""

    def __init__(self, folder: Path, options: list[str]) -> None:
        with (folder / "stderr").open("w") as errors:
            self.process = subprocess.Popen(
                [
                    sys.executable, "-m", "windvane", "demo", "--run-dir", str(folder / "run"), "--output", "json",
                    "--day", "none", "--no-browser", "--http", "127.0.0.1:0", "--grpc", "127.0.0.1:0",
                    "--otlp-http", "127.0.0.1:0", "--ads", "127.0.0.1:0",
                    "--gateway", f"127.0.0.1:{free_port()}", *options,
                ],
                stdout=subprocess.PIPE, stderr=errors, text=True,
            )  # fmt: skip
        self.ready, self.broken, self.url = threading.Event(), threading.Event(), ""
        self.faults = folder / "run" / "faults.jsonl"
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            event = json.loads(line)
            if event["event"] == "ready" and "console" in event:
                self.url = event["console"].rstrip("/")
                self.ready.set()

    def began(self) -> float | None:
        """When the fault began, Unix seconds."""
        if not self.faults.exists():
            return None
        rows = [json.loads(line) for line in self.faults.read_text().splitlines()]
        return next((float(row["time"]) for row in rows if row["state"] == "began"), None)

    def get(self, path: str, **params: Any) -> Any:
        """JSON of the server's answer; None for an error status."""
        try:
            answer = httpx.get(self.url + OWN + path, params=params, timeout=30, trust_env=False)
        except httpx.HTTPError:
            return None
        return answer.json() if answer.status_code == 200 else None

    def incidents(self) -> list[Any]:
        """Open ones."""
        found = self.get("/incidents", since="1h") or {"incidents": []}
        return [one for one in found["incidents"] if one["open"]]


@contextmanager
def demo(*options: str) -> Iterator[Demo]:
    """A demo that is stopped whatever happens."""
    with tempfile.TemporaryDirectory() as folder:
        running = Demo(Path(folder), list(options))
        try:
            if not running.ready.wait(180):
                raise RuntimeError((Path(folder) / "stderr").read_text()[-2000:])
            yield running
        finally:
            running.process.send_signal(signal.SIGINT)
            try:
                running.process.wait(90)
            except subprocess.TimeoutExpired:
                running.process.kill()


def broken(kind: str, target: str, warm: float, rate: float) -> Seen:
    """One fault, watched for so long as its kind may take."""
    within = SLOWLY.get(kind, WITHIN)
    fault = f"{kind}@{target},after={warm * 60:g}s,for=15m"
    with demo("--rate", f"{rate:g}", "--fault", fault) as running:
        while (began := running.began()) is None:
            time.sleep(1)
        known = {one["id"] for one in running.incidents()}
        found = None
        while (now := time.time()) < began + within and not (found and now > began + max(WITHIN, found + LATER)):
            fresh = [one for one in running.incidents() if one["id"] not in known]
            if fresh and found is None:
                found = time.time() - began
            time.sleep(EVERY)
        fresh = [one for one in running.incidents() if one["id"] not in known]
        return judged(running, kind, target, found, fresh, len(known))


def judged(running: Demo, kind: str, target: str, found: float | None, fresh: list[Any], before: int) -> Seen:
    """What the server says three minutes after a fault began."""
    causes = [one["cause"] for one in fresh if one["cause"]]
    named = any(is_it(cause, kind, target) for cause in causes)
    asked = {one["service"] for one in fresh} | {"frontend"}
    answers = [answer for name in sorted(asked) if (answer := running.get("/analytics/why", service=name))]
    told = [answer for answer in answers if answer["causes"]]
    first = bool(told) and all(is_it(answer["causes"][0], kind, target) for answer in told)
    explained = any(answer.get("explanation") and answer["causes"][0].get("evidence") for answer in told)
    said = "; ".join(f"{one['service']}: {one['causes'][0]['text']}" for one in told)
    return Seen(kind, target, found, named, first, explained, said, before)


def is_it(cause: Any, kind: str, target: str) -> bool:
    """Whether a cause is the broken service; what never answers, and the network, is the way to it."""
    return bool(cause["service"] == target and (kind != "network-delay" or cause["caller"]))


def quiet(minutes: float, warm: float, rate: float) -> tuple[int, list[str]]:
    """How many incidents minutes without a fault bring, and their titles."""
    with demo("--rate", f"{rate:g}") as running:
        time.sleep((warm + minutes) * 60)
        found = running.get("/incidents", since=f"{warm + minutes + 1:g}m") or {"incidents": []}
        return len(found["incidents"]), [one["title"] for one in found["incidents"]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=10, help="of each kind")
    parser.add_argument("--kinds", default=",".join(KINDS))
    parser.add_argument("--parallel", type=int, default=1, help="demos at a time")
    parser.add_argument("--quiet", type=float, default=30.0, help="minutes without a fault; 0 for none")
    parser.add_argument("--warm", type=float, default=6.0, help="minutes before a fault")
    parser.add_argument("--rate", type=float, default=30.0, help="requests a second")
    parser.add_argument("--first", type=int, default=0, help="number of the first target")
    given = parser.parse_args()
    print(machine(), flush=True)
    if given.quiet:
        number, titles = quiet(given.quiet, given.warm, given.rate)
        print(f"quiet for {given.quiet:g} min: {number} incidents {titles}", flush=True)
    kinds = [kind for kind in given.kinds.split(",") if kind]
    tasks = [(kind, TARGETS[(given.first + run + KINDS.index(kind)) % len(TARGETS)])
             for run in range(given.runs) for kind in kinds]  # fmt: skip
    with ThreadPoolExecutor(given.parallel) as threads:
        every = list(threads.map(lambda task: _told(broken(*task, given.warm, given.rate)), tasks))
    for kind in kinds:
        rows = [one for one in every if one.kind == kind]
        if rows:
            times = sorted(one.found for one in rows if one.found is not None)
            middle = f"{times[len(times) // 2]:.0f} s" if times else "-"
            print(
                f"{kind:14} found {len(times)}/{len(rows)} (median {middle}), named {sum(one.named for one in rows)}, "
                f"first {sum(one.first for one in rows)}, explained {sum(one.explained for one in rows)}"
            )


def _told(one: Seen) -> Seen:
    when = "not found" if one.found is None else f"found after {one.found:.0f} s"
    print(
        f"{one.kind}@{one.target}: {when}, named {one.named}, first {one.first}, explained {one.explained}"
        f" ({one.before} open before) - {one.said}",
        flush=True,
    )
    return one


if __name__ == "__main__":
    main()
