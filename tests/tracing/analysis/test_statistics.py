"""Tests and intervals against published examples, plain sums and simulation with fixed seeds."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.tracing.analysis import statistics


@settings(max_examples=80, deadline=None)
@given(st.integers(1, 12), st.integers(1, 12), st.data())
def test_fisher_is_the_sum_over_tables_as_unlikely(n: int, m: int, data: st.DataObject) -> None:
    a, b = data.draw(st.integers(0, n)), data.draw(st.integers(0, m))
    hits = a + b

    def chance(x: int) -> Fraction:
        return Fraction(math.comb(n, x) * math.comb(m, hits - x), math.comb(n + m, hits))

    exact = sum(p for x in range(max(0, hits - m), min(n, hits) + 1) if (p := chance(x)) <= chance(a))
    assert statistics.fisher(np.array([a]), n, np.array([b]), m)[0] == pytest.approx(float(exact), rel=1e-9)


def test_intervals_of_newcombes_and_agrestis_examples() -> None:
    found = statistics.share_difference(56, 70, 48, 80)  # Newcombe 1998, table II, method 10
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    ratio = statistics.share_ratio(10, 100, 5, 100)
    assert ratio.low < ratio.value < ratio.high
    assert statistics.share_ratio(0, 10, 5, 10).low > 0


def test_brunner_and_munzels_own_example() -> None:
    pain = np.array([1, 2, 1, 1, 1, 1, 1, 1, 1, 1, 2, 4, 1, 1.0])
    more = np.array([3, 3, 4, 3, 1, 2, 3, 1, 1, 5, 4.0])
    found = statistics.brunner_munzel(more, pain)
    assert found.p == pytest.approx(0.005786208666151451, rel=1e-9)
    assert found.chance.value == pytest.approx(0.788961, abs=1e-6)
    assert found.chance.low == pytest.approx(0.5952169, abs=1e-6)


def test_samples_that_do_not_overlap_and_samples_that_are_one_value() -> None:
    apart = statistics.brunner_munzel(np.arange(5.0) + 10, np.arange(5.0))
    assert (apart.chance.value, apart.p) == (1.0, pytest.approx(2 / math.comb(10, 5)))
    assert statistics.brunner_munzel(np.ones(5), np.ones(7)).p == 1.0


def test_students_and_the_binomial_distribution() -> None:
    assert statistics.t_two_sided(2.0, 10) == pytest.approx(0.07338803477074043)
    assert statistics.t_quantile(10) == pytest.approx(2.2281388519649385)
    for of, share in ((10, 0.5), (30, 0.01), (7, 0.9)):
        for hits in range(of + 1):
            tail = sum(math.comb(of, x) * share**x * (1 - share) ** (of - x) for x in range(hits, of + 1))
            assert statistics.binomial_tail(hits, of, share) == pytest.approx(tail, rel=1e-9)


def test_the_precedence_test_counts_arrangements() -> None:
    of, baseline, rank = 4, 3, 2
    counts = [0] * (of + 1)
    for places in itertools.combinations(range(of + baseline), baseline):  # ranks of the baseline's values
        threshold = sorted(places)[-rank]
        counts[sum(place > threshold for place in range(of + baseline) if place not in places)] += 1
    for above in range(of + 1):
        exact = sum(counts[above:]) / math.comb(of + baseline, baseline)
        assert statistics.precedence(above, of, rank, baseline) == pytest.approx(exact)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.floats(0, 1), max_size=30))
def test_corrections(values: list[float]) -> None:
    p = np.array(values)
    bh, holm = statistics.benjamini_hochberg(p), statistics.holm(p)
    assert (bh >= p - 1e-12).all()
    assert (holm >= bh - 1e-12).all()
    for q in (0.01, 0.05, 0.5):  # the step-up and step-down rules, as they were stated
        ranked = sorted(values)
        most = max((k for k in range(1, len(p) + 1) if ranked[k - 1] <= q * k / len(p)), default=0)
        assert (bh <= q * (1 + 1e-12)).sum() >= most
        assert (bh < q * (1 - 1e-9)).sum() <= most


@pytest.mark.parametrize("spread", [1.0, 4.0])
def test_brunner_munzel_keeps_its_level_whatever_the_spreads(spread: float) -> None:
    rng = np.random.default_rng(7)
    p = [statistics.brunner_munzel(rng.normal(0, 1, 20), rng.normal(0, spread, 40)).p for _ in range(1_500)]
    assert 0.03 < np.mean(np.array(p) < 0.05) < 0.075
