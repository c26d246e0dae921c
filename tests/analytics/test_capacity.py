"""Capacity: the laws' known values, a queue found again from its history, and the report on a service."""

from __future__ import annotations

import math

import numpy as np
import pytest

from windvane.analytics.capacity.laws import Scalability, concurrency, erlang_c, fit_scalability, response, sakasegawa
from windvane.analytics.capacity.queue import History, fit
from windvane.analytics.capacity.report import Measured, Question, report
from windvane.kit.errors import BadInputError

VECTORS = {
    1: (0.7, 0.8, 0.9), 2: (0.5765, 0.7111, 0.8526), 4: (0.4287, 0.5964, 0.7878), 8: (0.2706, 0.4576, 0.7015),
    16: (0.1297, 0.3049, 0.5913),
}  # fmt: skip


def test_erlang_c() -> None:
    for workers, expected in VECTORS.items():
        assert erlang_c(workers, np.array([0.7, 0.8, 0.9])) == pytest.approx(expected, abs=5e-5)
    assert [response(workers, 0.8, 1.0) for workers in VECTORS] == pytest.approx(
        [5.0, 2.778, 1.7455, 1.286, 1.0953], abs=5e-4
    )
    assert math.isinf(response(4, 1.0, 1.0))


def test_the_closed_form_is_near() -> None:
    for workers in VECTORS:
        assert sakasegawa(workers, 0.9, 1.0) == pytest.approx(response(workers, 0.9, 1.0) - 1, rel=0.05)
    assert concurrency(100, 0.05) == 5


def test_the_scalability_law_is_found_again() -> None:
    law = Scalability(100, 0.05, 0.001)
    n = np.arange(1, 20, dtype=float)
    found = fit_scalability(n, law.rate(n))
    assert (found.one, found.serial, found.crosstalk) == pytest.approx((100, 0.05, 0.001), rel=1e-3)
    assert law.peak == pytest.approx(math.sqrt(0.95 / 0.001))
    assert law.ceiling > law.rate(20)


def history(workers: int, service: float, top: float, busy: bool, noise: float = 0.02) -> History:
    rng, capacity = np.random.default_rng(workers), workers / service
    shares = np.linspace(0.15, top, 40)
    times = [response(workers, share, service) * math.exp(rng.normal(0, noise)) for share in shares]
    return History.of([(s * capacity, t, s if busy else None) for s, t in zip(shares, times, strict=True)])


@pytest.mark.parametrize("workers", [1, 8])
def test_a_queue_is_found_again(workers: int) -> None:
    model, capacity = fit(history(workers, 0.05, 0.65, True)), workers / 0.05
    assert model.saturation.value == pytest.approx(capacity, rel=0.03)
    assert model.time(0.85 * capacity).value == pytest.approx(response(workers, 0.85, 0.05), rel=0.15)
    limit = model.limit(response(workers, 0.9, 0.05))
    assert limit.value == pytest.approx(0.9 * capacity, rel=0.05)
    assert limit.low <= limit.value <= limit.high < 1.2 * capacity


def test_without_utilisation_the_band_is_wider() -> None:
    known, unknown = (fit(history(4, 0.02, 0.7, busy)).saturation for busy in (True, False))
    assert unknown.high / unknown.low > known.high / known.low
    assert unknown.low < 200 < unknown.high


def test_replicas_move_the_limit() -> None:
    model = fit(history(2, 0.05, 0.7, True))
    assert model.scaled(2).saturation.value == pytest.approx(2 * model.saturation.value)
    assert model.scaled(2).limit(0.1).value > 2 * model.limit(0.1).value * 0.98
    assert model.limit(0.001).value == 0


def measured(days: int, growth: float) -> Measured:
    rng, at = np.random.default_rng(1), np.arange(0, days * 86_400, 1_200.0)
    rate = 40 * np.exp(growth * at / 86_400) * (1 + 0.5 * np.sin(at / 86_400 * 2 * math.pi))
    mean = np.array([response(4, one / 200, 0.02) for one in rate]) * np.exp(rng.normal(0, 0.03, len(at)))
    return Measured(at, rate, mean, 2.5 * mean, rate / 200 * np.exp(rng.normal(0, 0.02, len(at))))


def test_the_report_says_when_it_will_be_too_little() -> None:
    found = report(measured(7, 0.05), Question(latency=0.1))
    assert found.ratio == pytest.approx(2.5)
    assert found.limit is not None
    assert 140 < found.limit.value < 190
    assert found.growth is not None
    assert found.growth.slope.value == pytest.approx(0.05, abs=0.01)
    assert found.days is not None
    assert found.days.value == pytest.approx(math.log(found.limit.value / found.peak) / 0.05, rel=0.2)
    assert found.notes == ()


def test_what_makes_it_unsure_is_told() -> None:
    quiet = measured(2, 0.0)
    flat = Measured(quiet.at, np.full(len(quiet.at), 40.0), quiet.mean, quiet.quantile, np.full(len(quiet.at), np.nan))
    notes = " ".join(report(flat, Question(latency=0.1)).notes)
    for word in ("hardly varied", "utilisation is not known", "growth is not known"):
        assert word in notes
    with pytest.raises(BadInputError, match="5 points of history with traffic: 8 are needed"):
        report(
            Measured(*(column[:5] for column in (flat.at, flat.rate, flat.mean, flat.quantile, flat.busy))), Question()
        )
