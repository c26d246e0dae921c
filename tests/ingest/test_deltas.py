"""Running totals of deltas: many series, order, what the store remembers."""

from __future__ import annotations

import numpy as np

from windvane.ingest.deltas import DeltaTotals, added
from windvane.signals.native_histograms import NativeHistogram
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SAMPLES, sample_block

NOW = 1_700_000_000_000


def test_many_series_in_any_order_of_batches(engine: EmbeddedEngine) -> None:
    totals, chance = DeltaTotals(engine), np.random.default_rng(3)
    wanted: dict[int, float] = {}
    for step in range(6):
        ids = chance.choice(np.arange(1, 5_000, dtype=np.uint64) * np.uint64(2**51 + 1), 1_500, replace=False)
        deltas = chance.integers(0, 100, len(ids)).astype(np.float64)
        found, taken = totals.add(ids, np.full(len(ids), NOW + step), deltas)
        assert taken.all()
        for number, delta in zip(ids.tolist(), deltas.tolist(), strict=True):
            wanted[number] = wanted.get(number, 0.0) + delta
        assert found.tolist() == [wanted[number] for number in ids.tolist()]


def test_a_point_counts_once_and_the_store_is_asked_again_after_a_failure(engine: EmbeddedEngine) -> None:
    totals, one = DeltaTotals(engine), np.array([7], np.uint64)
    engine.insert_payload(SAMPLES, sample_block(one, np.array([NOW]), np.array([40.0])))

    def add(offset: int, delta: float) -> tuple[float, bool]:
        found, taken = totals.add(one, np.array([NOW + offset]), np.array([delta]))
        return float(found[0]), bool(taken[0])

    assert add(1, 2.0) == (42.0, True)
    assert add(1, 2.0) == (42.0, False)
    totals.forget(one, [])  # the sample of 42 never arrived
    assert add(0, 5.0) == (40.0, False)
    assert add(1, 3.0) == (43.0, True)


def _histogram(schema: int, index: list[int], count: list[float], zero: float = 1e-128) -> NativeHistogram:
    return NativeHistogram(
        schema, 0, False, zero, 0.0, sum(count), 1.0,
        positive_index=np.array(index, np.int32), positive_count=np.array(count),
    )  # fmt: skip


def test_histograms_add_up_at_the_coarser_resolution_and_the_wider_zero_bucket() -> None:
    total = added(
        _histogram(1, [-3, 1, 2, 5], [1.0, 2.0, 3.0, 4.0]), _histogram(0, [-2, 1, 3], [1.0, 1.0, 1.0], zero=0.4)
    )
    # At schema 0 the first has buckets -1 (0.25, 0.5], 1 and 3; a zero bucket to 0.4 would cut -1: it ends at 0.5.
    assert (total.schema, total.zero_threshold, total.zero_count, total.count) == (0, 0.5, 2.0, 13.0)
    assert (total.positive_index.tolist(), total.positive_count.tolist()) == ([1, 3], [6.0, 5.0])
