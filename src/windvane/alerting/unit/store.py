"""Input series in a store of their own, written in as few INSERTs as its partitions allow."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from windvane.alerting.queries import LabelSet
from windvane.promql.native.histogram import Histogram
from windvane.store.api import Engine
from windvane.store.metric_facts import write_histograms
from windvane.store.series import SampleWriter

_DAY_MS = 86_400_000
_DAYS = 60
"""Days one INSERT may touch: each is a partition, and the engine refuses more than a hundred."""
_TABLES = ("samples", "series", "native_histograms")


class SeriesStore:
    """Writes whole series at once. One test at a time uses the engine's database."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.writer = SampleWriter(engine)

    def clear(self) -> None:
        """Forget everything."""
        for table in _TABLES:
            self.engine.command(f"TRUNCATE TABLE {table}")
        self.writer = SampleWriter(self.engine)

    def write(
        self,
        labels: Sequence[LabelSet],
        owners: NDArray[np.int64],
        times_ms: NDArray[np.int64],
        values: NDArray[np.float64],
        histograms: Mapping[int, Histogram] = MappingProxyType({}),
    ) -> None:
        """Store samples; `owners` are the places of their label sets in `labels`.

        Those whose places are in `histograms` are native histograms, their values mean nothing.
        """
        if not len(times_ms):
            return
        first = np.full(len(labels), np.iinfo(np.int64).max)
        last = np.full(len(labels), np.iinfo(np.int64).min)
        np.minimum.at(first, owners, times_ms)
        np.maximum.at(last, owners, times_ms)
        used = np.flatnonzero(first <= last)
        chosen = [labels[place] for place in used.tolist()]
        ids = np.zeros(len(labels), np.uint64)
        self.writer.ids(chosen, last[used])
        ids[used] = self.writer.ids(chosen, first[used])
        order = np.argsort(times_ms, kind="stable")
        days = times_ms[order] // (_DAY_MS * _DAYS)
        for part in np.split(order, np.flatnonzero(np.diff(days)) + 1):
            natives = [place for place in part.tolist() if place in histograms] if histograms else []
            floats = np.setdiff1d(part, natives, assume_unique=True) if natives else part
            self.writer.write_ids(ids[owners[floats]], times_ms[floats], values[floats])
            rows = [histograms[place] for place in natives]
            if rows:
                write_histograms(self.engine, ids[owners[natives]], times_ms[natives], rows)
