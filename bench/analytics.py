"""How long 1,000 services take that are judged by a week of minutes; and how well, against naive rules.

Run as `python bench/analytics.py [services]`. First the history judged whole, as a request does; then the same history
learnt by baselines that are kept (target: 15 s on two cores), what a minute more costs with three edges a service
(target: 200 ms), and the size of the state. Both read from memory: what the store takes is not in it. Last, Windvane is
compared with thresholds and with three standard deviations on simulated services whose incidents are known.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

import numpy as np
from machine import machine
from numpy.typing import NDArray

from windvane.analytics.anomalies import anomalies
from windvane.analytics.baselines import KINDS, Kind, Watcher, WatchSettings
from windvane.analytics.red import RedFrame, incidents, judge_red
from windvane.promql.labels import Labels, Pool
from windvane.promql.value import MatrixResult

Floats = NDArray[np.float64]
Alarms = Callable[[RedFrame], list[tuple[int, int]]]
MONDAY = 1_767_571_200
DAY = 1_440


def service(draw: np.random.Generator, days: int) -> RedFrame:
    """A service as they are: daily and weekly shape, counting noise, latency that grows with load."""
    minute = np.arange(days * DAY)
    shape = 1 + draw.uniform(0.2, 0.8) * np.cos(2 * np.pi * (minute - draw.uniform(0, DAY)) / DAY)
    shape *= np.where(minute // DAY % 7 >= 5, draw.uniform(0.4, 1), 1)
    drift = np.exp(0.06 * np.sin(minute / 37) + 0.04 * np.sin(minute / 11))
    mean = 10 ** draw.uniform(1, 3.5) * shape * drift
    requests = draw.poisson(mean).astype(float)
    errors = draw.binomial(requests.astype(int), 10 ** draw.uniform(-4.5, -3.4)).astype(float)
    noise = draw.normal(0, np.minimum(0.06 + 1.3 / np.sqrt(np.maximum(requests, 1)), 0.8))
    latency = 10 ** draw.uniform(1, 2.7) * (1 + 0.5 * mean / mean.max()) * np.exp(noise)
    return RedFrame(MONDAY + 60 * minute, requests, errors, np.where(requests > 0, latency, np.nan))


def broken(draw: np.random.Generator, frame: RedFrame) -> tuple[int, int]:
    """Break a service in one of four ways; the indices from and to which."""
    begin = int(draw.integers(8 * DAY, len(frame.times) - 200))
    part = slice(begin, begin + int(draw.integers(25, 120)))
    kind = draw.integers(4)
    if kind == 0:
        frame.latency[part] *= draw.uniform(2, 4)
    elif kind == 1:
        frame.requests[part] = np.floor(frame.requests[part] * draw.uniform(0.05, 0.4))
        frame.errors[part] = np.minimum(frame.errors[part], frame.requests[part])
    elif kind == 2:
        frame.errors[part] = np.ceil(frame.requests[part] * draw.uniform(0.04, 0.3))
    else:
        size = part.stop - part.start
        frame.latency[part] *= np.linspace(1, 4, size)
    return part.start, part.stop


def ours(frame: RedFrame) -> list[tuple[int, int]]:
    first = int(frame.times[0])
    return [((one.start - first) // 60, (one.end - first) // 60) for one in incidents(judge_red(frame), 60)]


def thresholds(frame: RedFrame) -> list[tuple[int, int]]:
    usual, rate = np.nanmedian(frame.latency), np.nanmedian(frame.requests)
    share = frame.errors / np.maximum(frame.requests, 1)
    return _episodes((share > 0.01) | (frame.latency > 2 * usual) | (frame.requests < 0.3 * rate))


def deviations(frame: RedFrame) -> list[tuple[int, int]]:
    odd = np.zeros(len(frame.times), bool)
    for values, sign in ((frame.latency, 1), (frame.requests, -1)):
        rows = np.lib.stride_tricks.sliding_window_view(np.nan_to_num(values), DAY)[:-1]
        odd[DAY:] |= sign * (values[DAY:] - rows.mean(axis=1)) > 3 * rows.std(axis=1)
    return _episodes(odd | (frame.errors / np.maximum(frame.requests, 1) > 0.01))


def _episodes(odd: NDArray[np.bool_]) -> list[tuple[int, int]]:
    at = np.flatnonzero(odd)
    cuts = np.flatnonzero(np.diff(at) > 30) + 1
    return [(int(part[0]), int(part[-1])) for part in np.split(at, cuts) if len(part)]


def scored(alarms: Alarms, services: int) -> str:
    """Share of incidents found, and false alarms a service and week, after three days of learning."""
    hits = false = broken_ones = 0
    days = 14
    for number in range(services):
        draw = np.random.default_rng(1_000 + number)
        frame = service(draw, days)
        truth = broken(draw, frame) if number % 3 else None
        told = [one for one in alarms(frame) if one[0] >= 3 * DAY]
        broken_ones += truth is not None
        near = [truth is not None and one[0] <= truth[1] + 15 and one[1] >= truth[0] for one in told]
        hits += any(near)
        false += len(near) - sum(near)
    return f"recall {hits / broken_ones:.3f}, {false / (services * (days - 3) / 7):.2f} false alarms a service-week"


MARKS = {"quantile": "latency", "_sum{": "spent", 'response_code=~"5': "errors"}
"""By what a query is of, where it is not of requests."""


class Store:
    """Answers the queries of baselines from frames: services, and `edges` callers of each; one reporter."""

    def __init__(self, frames: list[RedFrame], edges: int) -> None:
        self._begin = int(frames[0].times[0]) // 60
        self._values = {
            "requests": np.array([one.requests for one in frames], np.float32),
            "errors": np.array([one.errors for one in frames], np.float32),
            "latency": np.array([one.latency for one in frames], np.float32),
            "spent": np.array([one.requests * one.latency / 2.5 for one in frames], np.float32),
        }
        pool, reporter = Pool(), {"reporter": "destination"}
        named = [
            {"destination_service_namespace": "shop", "destination_service_name": f"svc-{one}"}
            for one in range(len(frames))
        ]
        self._services = Labels.of(pool, [reporter | one for one in named])
        self._edges = Labels.of(pool, [
            reporter | one | {"source_workload_namespace": "shop", "source_canonical_service": f"caller-{caller}"}
            for caller in range(edges) for one in named
        ])  # fmt: skip
        self._copies = edges

    def ask(self, query: str, start: int, end: int, step: int) -> MatrixResult:
        times = np.arange(start, end + 1, step)
        place = times // 60_000 - self._begin
        inside = (place >= 0) & (place < self._values["requests"].shape[1])
        times, place = times[inside], place[inside]
        signal = next((name for mark, name in MARKS.items() if mark in query), "requests")
        if "grpc_response_status=~" in query or not len(times):
            return self._of(self._services.take(slice(0, 0)), times, np.empty((0, len(times))))
        if query.startswith("count("):
            return self._of(self._services.take(slice(0, 1)), times, np.ones((1, len(times))))
        values = self._values[signal][:, place].astype(float)
        if "source_canonical" in query:
            return self._of(self._edges, times, np.tile(values, (self._copies, 1)))
        return self._of(self._services, times, values)

    @staticmethod
    def _of(labels: Labels, times: NDArray[np.int64], values: Floats) -> MatrixResult:
        offsets = len(times) * np.arange(len(labels) + 1)
        return MatrixResult(labels, offsets, np.tile(times, len(labels)), values.reshape(-1))


def kept(frames: list[RedFrame], whole: float) -> None:
    """Baselines that are kept: learning, a minute more, the state. `whole` is what judging all took, in seconds."""
    end, last = int(frames[0].times[-1]), 10
    store = Store(frames, 3)
    watcher = Watcher(store.ask, WatchSettings(days=7, kinds=("service",)))
    watcher.advance(int(frames[0].times[0]) + 600)  # SciPy and NumPy's loops are loaded
    began, cpu = time.perf_counter(), time.process_time()
    watcher.learn(end)
    took = time.perf_counter() - began
    print(
        f"{len(frames)} services, 7 days learnt: {took:.1f} s, {time.process_time() - cpu:.1f} s of processor "
        f"({took / whole:.2f} of judging all; target for 1,000: 15 s); state {len(watcher.dump()) / 1e6:.1f} MB"
    )
    kinds: tuple[Kind, ...] = tuple(one for one in KINDS if one in ("service", "edge"))
    watcher = Watcher(store.ask, WatchSettings(days=1, kinds=kinds))
    watcher.learn(end - last * 60)
    spent, cpu = [], time.process_time()
    for minute in range(last):
        began = time.perf_counter()
        judged = watcher.advance(end - (last - 1 - minute) * 60)
        spent.append(time.perf_counter() - began)
    cpu = (time.process_time() - cpu) / last
    state = watcher.dump()
    began = time.perf_counter()
    Watcher(store.ask, WatchSettings(kinds=kinds)).restore(state)
    print(
        f"a minute of {len(judged.readings) // 3} scopes: {1e3 * float(np.median(spent)):.0f} ms, at most "
        f"{1e3 * max(spent):.0f} ms, {1e3 * cpu:.0f} ms of processor (target for 4,000: 200 ms); "
        f"state of a day {len(state) / 1e6:.1f} MB, taken up in {time.perf_counter() - began:.2f} s"
    )


def main() -> None:
    services = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000
    print(machine())
    frames = {("shop", f"svc-{one}"): service(np.random.default_rng(one), 7) for one in range(services)}
    judge_red(next(iter(frames.values())))
    began = time.perf_counter()
    found = anomalies(frames, MONDAY)
    took = time.perf_counter() - began
    print(f"{services} services, 7 days of minutes: {took:.1f} s ({len(found)} anomalies)")
    kept(list(frames.values()), took)
    for name, alarms in (("windvane", ours), ("thresholds", thresholds), ("3 deviations of a day", deviations)):
        print(f"{name}: {scored(alarms, min(services, 60))}")


if __name__ == "__main__":
    main()
