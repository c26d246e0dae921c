"""Comparison of histograms: against SciPy's tests of samples, invariances, and false alarms."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from windvane.analytics.grouped import group, mann_whitney, quantile, slower, superiority, tail_bucket, tail_test
from windvane.analytics.releases.kayenta import classify, score, shift


def samples(seed: int, size: int, factor: float = 1.0, tail: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base, canary = np.exp(rng.normal(3, 0.6, size)), factor * np.exp(rng.normal(3, 0.6, size))
    canary[rng.random(size) < tail] *= 8
    return base, canary


def test_grouped_ranks_are_scipys_ranks() -> None:
    base, canary = (np.round(one) for one in samples(1, 200, 1.1))
    ours = mann_whitney(*group(base, canary))
    theirs = stats.mannwhitneyu(canary, base, alternative="greater", use_continuity=False, method="asymptotic")
    assert ours.p == pytest.approx(theirs.pvalue, rel=0.01)
    assert superiority(*group(base, canary)) == pytest.approx(theirs.statistic / 200**2)


def test_the_tail_is_fishers_exact_test() -> None:
    base, canary = group(*samples(2, 1000, tail=0.02))
    found = tail_test(base, canary)
    assert found is not None
    table = [[found.canary, 1000 - found.canary], [found.base, 1000 - found.base]]
    assert found.p == pytest.approx(stats.fisher_exact(table, alternative="greater").pvalue)
    assert found.base + found.canary == 20


def test_false_alarms_and_power() -> None:
    p = [slower(*group(*samples(seed, 300))).p for seed in range(300)]
    assert np.mean(np.array(p) < 0.05) <= 0.05
    assert np.mean([slower(*group(*samples(seed, 300, 1.2))).p < 0.05 for seed in range(100)]) >= 0.9
    assert np.mean([slower(*group(*samples(seed, 3000, tail=0.01))).p < 0.05 for seed in range(40)]) >= 0.6
    assert not any(slower(*group(*samples(seed, 300, 0.8))).p < 0.05 for seed in range(50))


def test_only_order_counts() -> None:
    base, canary = samples(5, 200, 1.1)
    assert slower(*group(base, canary)).p == slower(*group(np.log(base), np.log(canary))).p


def test_a_single_bucket_tells_nothing() -> None:
    found = slower(np.array([0, 10, 0]), np.array([0, 5, 0]))
    assert (found.p, found.tail, found.superiority) == (1.0, None, 0.5)
    assert tail_bucket(np.array([90, 9, 1])) == 2


def test_quantiles_as_histogram_quantile_has_them() -> None:
    bounds, counts = np.array([10.0, 50.0, np.inf]), np.array([50, 40, 10])
    assert quantile(bounds, counts, 0.25) == pytest.approx(5.0)
    assert quantile(bounds, counts, 0.7) == pytest.approx(30.0)
    assert quantile(bounds, counts, 0.99) == 50.0
    assert quantile(bounds, counts * 0, 0.5) is None


def test_kayentas_shift_is_hodges_and_lehmanns() -> None:
    rng = np.random.default_rng(4)
    control, experiment = rng.normal(100, 5, 40), rng.normal(106, 5, 40)
    found = shift(control, experiment)
    assert found.estimate == pytest.approx(np.median(experiment[:, None] - control[None, :]), abs=0.05)
    assert found.low < 6 < found.high


def test_kayentas_words() -> None:
    rng = np.random.default_rng(5)
    control = rng.normal(100, 5, 60)
    labels = {
        "up": rng.normal(120, 5, 60), "same": rng.normal(100, 5, 60), "equal": control, "none": np.array([np.nan]),
    }  # fmt: skip
    found = [classify(name, control, values) for name, values in labels.items()]
    assert [one.label for one in found] == ["High", "Pass", "Pass", "Nodata"]
    assert score(found).label == "Fail"
    assert score(found).score == pytest.approx(200 / 3)
    assert classify("down", control, rng.normal(80, 5, 60), "either").label == "Low"
    assert score([found[1], found[3]]).score == 0
