"""Native histograms: rates, sums and quantiles of many series, against the same done histogram by histogram.

    python bench/native.py [--series 100] [--steps 240] [--buckets 20]

Samples lie in memory, so this measures evaluation alone. The objects are those the kernels leave rare layouts to;
they compute a sample of the windows, and the ratio is per window. Where Prometheus is installed (2.42 or later),
both servers then take the same by remote write and answer the same queries over HTTP.
"""

from __future__ import annotations

import argparse
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import cramjam
import numpy as np
from promql import running, settle

from windvane.promql.evaluate import Evaluator
from windvane.promql.labels import Labels, Pool
from windvane.promql.native.columns import Grid
from windvane.promql.native.histogram import Histogram
from windvane.promql.native.reports import Reports
from windvane.promql.native.series import extrapolated
from windvane.promql.native.window import Windows
from windvane.promql.parse import parse
from windvane.promql.plan import Context
from windvane.promql.value import NativeSamples, Notes, Samples, Steps
from windvane.signals.remote_read.histograms import block, read_histogram

STEP = 15_000
QUERIES = ("rate(h[5m])", "sum by (x) (rate(h[5m]))", "histogram_quantile(0.9, sum by (x) (rate(h[5m])))")


def made(pool: Pool, series: int, steps: int, buckets: int) -> Samples:
    """Counters with a sample a step, that were reset now and then."""
    rng, count = np.random.default_rng(1), steps + 20
    index, none, nothing = np.arange(buckets, dtype=np.int32), np.zeros(0, np.int32), np.zeros(0)
    every: list[Histogram | None] = []
    for _ in range(series):
        counts = np.cumsum(rng.integers(0, 9, (count, buckets)), axis=0).astype(np.float64)
        reset = int(rng.integers(1, count))
        counts[reset:] -= counts[reset - 1]
        every += [Histogram(3, 0, float(row.sum()), float(row.sum()), 1e-9, 0.0, index, row, none, nothing)
                  for row in counts]  # fmt: skip
    labels = Labels.of(pool, [{"__name__": "h", "x": str(n % 10), "i": str(n)} for n in range(series)])
    offsets, times = count * np.arange(series + 1), np.tile(STEP * np.arange(count), series)
    native = NativeSamples(offsets, times, Grid.of(every))
    return Samples(labels, np.zeros(series + 1, np.int64), np.zeros(0, np.int64), nothing, native=native)


def best(run: Callable[[], object]) -> float:
    """Seconds of the best of five."""
    found = []
    for _ in range(5):
        started = time.perf_counter()
        run()
        found.append(time.perf_counter() - started)
    return min(found)


# Against Prometheus


def bodies(samples: Samples, start: int) -> Iterator[bytes]:
    """Remote-write requests of ten minutes each: a head of Prometheus takes nothing that is an hour old."""
    native = samples.native
    assert native is not None
    rows = []
    for row, labels in enumerate(samples.labels.dicts()):
        own = slice(int(native.offsets[row]), int(native.offsets[row + 1]))
        words = [block(1, block(1, k.encode()) + block(2, v.encode())) for k, v in sorted(labels.items())]
        times = (native.times[own] + start).tolist()
        every = [block(4, read_histogram(one, at)) for at, one in zip(times, native.histograms[own], strict=True)]
        rows.append((b"".join(words), every))
    for first in range(0, max(len(every) for _, every in rows), 40):
        body = b"".join(block(1, words + b"".join(every[first : first + 40])) for words, every in rows)
        yield bytes(cramjam.snappy.compress_raw(body))


def against_prometheus(samples: Samples, steps: Steps) -> None:
    """The queries over HTTP in turn: the first time, and the best of three more."""
    start = 1_700_000_000_007  # no sample at the edge of a window, which 2.42 counts in
    end, hours = (start - 7 + steps.end) / 1000, (steps.end - steps.start) / 3_600_000
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        options = ("--enable-feature=native-histograms",)
        theirs = stack.enter_context(running("prometheus", Path(folder), options))
        ours = stack.enter_context(running("windvane", Path(folder)))
        for body in bodies(samples, start):
            ours.write(body)
            theirs.write(body)
        settle([ours, theirs])
        for query in QUERIES:
            spent = [[server.ask(hours, STEP // 1000, query, end)[0] for _ in range(4)] for server in (theirs, ours)]
            (first, *again), (own, *own_again) = spent
            print(
                f"{query} over HTTP, Windvane and Prometheus: first {own:.0f} and {first:.0f} ms ({own / first:.2g}),"
            )
            print(f"    again {min(own_again):.0f} and {min(again):.0f} ms ({min(own_again) / min(again):.2g})")


def main() -> None:
    parser = argparse.ArgumentParser()
    for name, default in (("series", 100), ("steps", 240), ("buckets", 20)):
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    pool = Pool()
    samples = made(pool, args.series, args.steps, args.buckets)
    steps = Steps(20 * STEP, (19 + args.steps) * STEP, STEP)
    for query in QUERIES:
        expr = parse(query)
        evaluator = Evaluator(Context(steps.start, steps.end), pool, lambda _: samples, lambda: None)
        seconds = best(lambda expr=expr, evaluator=evaluator: evaluator.value(expr, steps))  # type: ignore[misc]
        print(f"{query}: {seconds * 1000:.1f} ms over {args.series} series, {args.steps} steps, {args.buckets} buckets")
    native = samples.native
    assert native is not None
    one = Windows(samples, native, steps.times(), 300_000).series(0)
    reports = Reports(Notes(), "")
    objects = best(lambda: [extrapolated("rate", one, step, reports) for step in range(len(steps))]) * args.series
    evaluator = Evaluator(Context(steps.start, steps.end), pool, lambda _: samples, lambda: None)
    columns = best(lambda: evaluator.value(parse(QUERIES[0]), steps))
    print(f"rate histogram by histogram: {objects * 1000:.0f} ms, {objects / columns:.0f} times as long")
    if shutil.which("prometheus"):
        against_prometheus(samples, steps)


if __name__ == "__main__":
    main()
