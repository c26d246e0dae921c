"""Series as tests write them, and how they get into a store."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from windvane.promql.native.histogram import Histogram
from windvane.store.api import Engine
from windvane.store.metric_facts import write_histograms
from windvane.store.series import ANNOUNCE_EVERY_MS, SampleWriter


@dataclass(frozen=True)
class TestSeries:
    """One series: labels with `__name__`, times in milliseconds, values; native histograms by time."""

    __test__ = False

    labels: Mapping[str, str]
    times: NDArray[np.int64]
    values: NDArray[np.float64]
    histograms: Mapping[int, Histogram] = field(default_factory=dict)


def store(engine: Engine, series: Iterable[TestSeries]) -> None:
    """Write series, announced for all the time they have samples in."""
    writer = SampleWriter(engine)
    ids, times, values = [], [], []
    for one in series:
        every = sorted([*one.times.tolist(), *one.histograms])
        if not every:
            continue
        first, last = every[0], every[-1]
        for time in (*range(first, last, ANNOUNCE_EVERY_MS + 1), last):
            number = writer.ids([one.labels], np.array([time], np.int64))
        ids.append(np.repeat(number, len(one.times)))
        times.append(one.times)
        values.append(one.values)
        native = np.array(list(one.histograms), np.int64)
        write_histograms(engine, np.repeat(number, len(native)), native, list(one.histograms.values()))
    if ids:
        writer.write_ids(np.concatenate(ids), np.concatenate(times), np.concatenate(values))
