"""Anomalies of single series: found once, found soon, and never by what came later."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from windvane.analytics.detect import ONCE, THRESHOLD, detect
from windvane.analytics.detect_kernels import (
    fading,
    lagging_median,
    leaning,
    records,
    same_time_median,
    surprise,
    tired,
)

Floats = NDArray[np.float64]
STEP = 300
TIMES = STEP * np.arange(3_000)


def load(seed: int = 1) -> Floats:
    daily = 100 + 40 * np.sin(2 * np.pi * np.arange(len(TIMES)) / 288)
    return daily + np.random.default_rng(seed).normal(0, 4, len(TIMES))


@pytest.mark.parametrize("change", [lambda part: part * 3, lambda part: part * 0, lambda part: part + 120])
def test_what_is_far_out_is_told_soon_and_once(change) -> None:  # type: ignore[no-untyped-def]
    values = load()
    values[2_500:2_520] = change(values[2_500:2_520])
    found = detect(TIMES, values)
    told = np.flatnonzero(found.alert[2_450:]) + 2_450
    assert 2_500 <= told[0] <= 2_510
    assert (np.diff(told) >= 1).all()
    assert len(told) <= 3
    assert (found.score[found.alert] >= 0.5).all()
    assert (found.score[~found.alert] < 0.5).all()


def test_noise_alone_is_told_seldom() -> None:
    alerts = [detect(TIMES, load(seed)).alert[750:].sum() for seed in range(4)]
    days = (len(TIMES) - 750) * STEP / 86_400
    assert np.mean(alerts) / days < 0.4


def test_scores_of_a_part_are_those_of_the_whole() -> None:
    values = load()
    values[2_000:2_100] += 60
    whole = detect(TIMES, values)
    for cut in (1_500, 2_050):
        part = detect(TIMES[:cut], values[:cut])
        assert np.allclose(part.score, whole.score[:cut])


def test_short_flat_and_unknown_series_are_quiet() -> None:
    assert not detect(np.array([0]), np.array([1.0])).alert.any()
    assert not detect(TIMES[:10], np.ones(10)).alert.any()
    assert not detect(TIMES, np.ones(len(TIMES))).alert.any()
    assert not detect(TIMES, np.full(len(TIMES), np.nan)).alert.any()


def test_loops_do_what_they_say() -> None:
    assert lagging_median(np.array([1.0, 5.0, 3.0, 9.0]), 2, 1).tolist()[1:] == [1.0, 3.0, 4.0]
    assert same_time_median(np.array([1.0, 2.0, 3.0, 4.0]), 2, 1, 2).tolist()[2:] == [1.5, 2.0]
    assert records(np.array([1.0, 3.0, 2.0, 2.5, 3.0]), 2).tolist() == [1.0, 3.0, 0.0, 0.0, 3.0]
    assert fading(np.array([4.0, 0.0, 3.0]), 0.5).tolist() == [4.0, 2.0, 3.0]
    ranks = surprise(np.arange(100.0), 0)
    assert ranks[-1] == pytest.approx(2.0)
    assert surprise(np.zeros(100), 0)[-1] == pytest.approx(-np.log10(0.505))
    early = np.concatenate([np.full(10, 9.0), np.arange(90.0) / 100])
    assert surprise(early, 0)[-1] == pytest.approx(-np.log10(11 / 100))
    assert surprise(early, 10)[-1] == pytest.approx(-np.log10(1 / 90))
    assert leaning(np.array([9.0, 2.0, 4.0]), 0.5, 1).tolist() == pytest.approx([0.0, 2.0, 10 / 3])
    often = tired(np.array([2.0, 0.0, 2.0]), 1.5, 1.0, 0.5)
    assert often.tolist() == pytest.approx([2.0, 0.0, 2.0 - np.log10(1.25)])
    assert 1 < THRESHOLD < 2.5
    assert ONCE % 3_600 == 0
