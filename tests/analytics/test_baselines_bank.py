"""Scopes judged as matrices: as the judge of single services does, and on a mesh of five minutes."""

from __future__ import annotations

import numpy as np
import pytest
from watched_mesh import MONDAY, Floats, steady

from windvane.analytics.baselines.bank import Bank
from windvane.analytics.baselines.noise import FIRST_BEYOND, PRIOR_WEIGHT, Noise, beyond_of
from windvane.analytics.baselines.tracks import Stretch
from windvane.analytics.red import Incident, RedFrame, incidents, judge_red

FIRST = MONDAY // 60
DAY = 1_440


def service(seed: int, days: int) -> dict[str, Floats]:
    """A service that breaks in one way on its last day."""
    draw = np.random.default_rng(seed)
    requests, errors, latency = steady(draw, days * DAY, 10 ** draw.uniform(1.5, 3))
    begin = (days - 1) * DAY + int(draw.integers(100, 1_000))
    part = slice(begin, begin + int(draw.integers(40, 200)))
    if seed % 4 == 0:
        latency[part] *= draw.uniform(2.5, 5)
    elif seed % 4 == 1:
        requests[part] = np.floor(requests[part] * 0.05)
        errors[part] = np.minimum(errors[part], requests[part])
    elif seed % 4 == 2:
        errors[part] = np.ceil(requests[part] * 0.08)
    gap = (days - 2) * DAY + int(draw.integers(100, 1_000))
    for values in (requests, errors, latency):
        values[gap : gap + 25] = np.nan
    return {"requests": requests, "errors": errors, "latency": latency}


def judged(series: list[dict[str, Floats]], step: int) -> list[tuple[int, Incident]]:
    """Incidents of every row, from a bank that is given `step` minutes at a time."""
    requests, errors, latency = (
        np.array([one[name] for one in series], np.float32) for name in ("requests", "errors", "latency")
    )
    bank, found = Bank(len(series), 0.001), {}
    for at in range(0, requests.shape[1], step):
        part = slice(at, at + step)
        bank.feed(FIRST + at, requests[:, part], errors[:, part], latency[:, part])
        found |= {(one.row, one.signal, one.start): one for one in bank.tracks.now(bank.rings, bank.settled)}
    last: dict[tuple[int, int], Stretch] = {}
    for one in sorted(found.values(), key=lambda one: one.last):
        last[one.row, one.signal] = one
    names = ("errors", "latency", "rate")
    return [
        (one.row, Incident(names[one.signal], one.start * 60, one.last * 60, one.factor, False))
        for one in last.values()
    ]


@pytest.mark.parametrize("seed", [1, 2])
def test_a_bank_finds_what_the_judge_of_single_services_does(seed: int) -> None:
    """On the third day: the same incidents, begun within two minutes of each other, as strong within a tenth."""
    days = 3
    series = [service(4 * seed + number, days) for number in range(4)]
    single = [
        (row, one)
        for row, values in enumerate(series)
        for one in incidents(judge_red(RedFrame(MONDAY + 60 * np.arange(days * DAY), **values)), 60)
        if one.start >= MONDAY + (days - 1) * 86_400
    ]
    found = judged(series, 60)
    assert len(single) == 3
    assert sorted((row, one.signal) for row, one in single) == sorted((row, one.signal) for row, one in found)
    for row, one in single:
        (other,) = (other for at, other in found if (at, other.signal) == (row, one.signal))
        assert abs(other.start - one.start) <= 120
        assert abs(other.end - one.end) <= 900
        assert other.factor == pytest.approx(one.factor, rel=0.1)


def young(rows: int, minutes: int, seed: int) -> tuple[Floats, Floats, Floats]:
    """A mesh that has just begun: 60 to 3,000 requests a minute, rates over two minutes, latency that wanders."""
    draw = np.random.default_rng(seed)
    rate = np.exp(draw.uniform(np.log(60), np.log(3_000), rows))[:, None]
    requests = draw.poisson(rate, (rows, minutes + 1)).astype(float)
    noise = draw.normal(0, 0.05 + 1.2 / np.sqrt(requests)) + np.cumsum(draw.normal(0, 0.02, requests.shape), axis=1)
    latency = np.exp(draw.uniform(1, 5, rows))[:, None] * np.exp((noise[:, 1:] + noise[:, :-1]) / 2)
    errors = draw.binomial(requests.astype(int), 0.0002).astype(float)
    return tuple(
        np.asarray(values) for values in (
            (requests[:, 1:] + requests[:, :-1]) / 2, (errors[:, 1:] + errors[:, :-1]) / 2, latency
        )
    )  # type: ignore[return-value]  # fmt: skip


def minutewise(
    values: tuple[Floats, Floats, Floats], begin: int = FIRST + 500, mean: Floats | None = None
) -> np.ndarray:  # type: ignore[type-arg]
    """Rows x signals x minutes: odd, as it was told in each minute, the last two read again."""
    bank, told = Bank(len(values[0]), 0.001), []
    requests, errors, latency = (one.astype(np.float32) for one in values)
    means = np.full_like(latency, np.nan) if mean is None else mean.astype(np.float32)
    for at in range(requests.shape[1]):
        part = slice(max(0, at - 2), at + 1)
        bank.feed(begin + part.start, requests[:, part], errors[:, part], latency[:, part], means[:, part])
        told.append(bank.rings.odd[..., bank.rings.end - 1].copy())
    return np.stack(told, axis=-1)


def test_a_mesh_of_some_minutes_has_its_faults_found_and_no_others() -> None:
    quiet = young(60, 36, 1)
    assert not minutewise(quiet).any()
    requests, errors, latency = young(20, 12, 2)
    latency[:, 6:] *= 5
    errors[:, 6:] = np.ceil(requests[:, 6:] * 0.1)
    odd = minutewise((requests, errors, latency))
    assert not odd[..., :6].any()
    assert odd[:, 0, 8].all(), "errors within three minutes"
    assert odd[:, 1, 8].mean() >= 0.9, "latency within three minutes"
    assert odd[:, 1, 10].all()


def test_means_tell_of_young_scopes_what_percentiles_cannot() -> None:
    """Where bounds of the histogram are far apart the percentile hardly moves."""
    requests, errors, latency = young(60, 60, 5)
    draw = np.random.default_rng(6)
    mean = np.median(latency, axis=1, keepdims=True) / 2.5 * np.exp(draw.normal(0, 0.05 + 0.6 / np.sqrt(requests)))
    assert not minutewise((requests, errors, latency), mean=mean).any()
    latency[:, 40:] *= 1.4
    mean[:, 40:] *= 2.2
    odd = minutewise((requests, errors, latency), mean=mean)[:, 1]
    assert not odd[:, :40].any()
    assert odd[:, 42].mean() >= 0.5
    assert odd[:, 45].mean() >= 0.9
    assert odd[:, -1].mean() >= 0.9, "what is odd makes no level"


def test_what_always_fails_is_no_anomaly_and_what_fails_more_is() -> None:
    requests, _, latency = young(60, 50, 3)
    usual = np.random.default_rng(3).binomial(requests.astype(int), 0.05).astype(float)
    assert not minutewise((requests, usual, latency)).any()
    errors = usual.copy()
    errors[:, 20:] = np.ceil(requests[:, 20:] * 0.25)
    odd = minutewise((requests, errors, latency))[:, 0]
    assert not odd[:, :20].any()
    assert odd[:, 22].mean() >= 0.9
    assert odd[:, -1].mean() >= 0.9, "what is odd is not learnt"


def test_what_fails_a_little_is_not_odd_however_little_is_known() -> None:
    requests, _, latency = young(300, 65, 1_011)
    usual = np.random.default_rng(5).binomial(requests.astype(int), 0.01).astype(float)
    usual[:, 1:] = (usual[:, 1:] + usual[:, :-1]) / 2
    assert not minutewise((requests, usual, latency)).any()


@pytest.mark.parametrize(("share", "within"), [(1.0, 2), (0.3, 2), (0.02, 4)])
def test_what_fails_most_is_told_sooner_than_what_fails_little(share: float, within: int) -> None:
    """A fault in the middle of a minute, seen by rates over two minutes: a quarter, three quarters, all of it."""
    requests, errors, latency = young(40, 14, 77)
    requests *= 10
    for minute, part in zip(range(7, 14), (0.25, 0.75, 1, 1, 1, 1, 1), strict=True):
        errors[:, minute] = np.random.default_rng(minute).binomial(requests[:, minute].astype(int), share * part)
    odd = minutewise((requests, errors, latency))[:, 0]
    assert not odd[:, :7].any()
    assert odd[:, 7 + within - 1].all()


def test_a_blip_of_a_minute_is_hardly_ever_an_anomaly() -> None:
    requests, errors, latency = young(200, 14, 78)
    errors[:, 8:10] = requests[:, 8:10] * 0.01  # a minute of 2 %, by rates over two
    assert minutewise((requests, errors, latency))[:, 0].any(axis=1).mean() <= 0.02


def test_days_tell_what_usually_fails() -> None:
    series = service(3, 4)
    series["errors"] = np.random.default_rng(1).binomial(np.nan_to_num(series["requests"]).astype(int), 0.03) * 1.0
    series["errors"][3 * DAY + 600 : 3 * DAY + 660] *= 5
    (found,) = [one for _, one in judged([series], 240) if one.signal == "errors"]
    (single,) = [
        one
        for one in incidents(judge_red(RedFrame(MONDAY + 60 * np.arange(4 * DAY), **series)), 60)
        if one.signal == "errors"
    ]
    for one in (found, single):
        assert 0 <= (one.start - MONDAY) // 60 - 3 * DAY - 600 <= 5
        assert (one.end - one.start) // 60 <= 120
        assert one.factor > 4


def test_a_service_that_is_new_in_an_old_mesh_is_judged_soon() -> None:
    old, new = service(3, 3), service(7, 3)
    begin = 2 * DAY + 610
    for values in new.values():
        values[:begin] = np.nan
    new["requests"][begin:] = 500.0
    new["errors"][begin:] = 0.0
    new["errors"][begin + 20 :] = 100.0
    series = [{name: values[: begin + 40] for name, values in one.items()} for one in (old, new)]
    found = [(row, one.start) for row, one in judged(series, 10) if one.signal == "errors"]
    assert [row for row, _ in found] == [1]
    assert 0 <= (found[0][1] - MONDAY) // 60 - begin - 20 <= 5


def test_margins_are_the_wider_the_less_is_known() -> None:
    few, more, many = beyond_of(np.array([PRIOR_WEIGHT, 100.0, 10_000.0]))
    assert few == pytest.approx(FIRST_BEYOND)
    assert few > more > many > 4.99
    noise = Noise(1)
    requests = np.array([[60.0, 3_000.0]])
    before = noise.of(slice(0, 1), requests)
    draw = np.random.default_rng(1)
    for _ in range(20):
        many_requests = draw.uniform(60, 3_000, (1, 120))
        residual = draw.normal(0, 0.3, (1, 120))
        noise.learn_slow(slice(0, 1), residual, many_requests, np.arange(60) % 5 == 0)
    noise.refresh()
    assert before[0, 0] > before[0, 1]
    assert noise.of(slice(0, 1), requests)[0, 1] == pytest.approx(0.3, rel=0.1)
    assert noise.beyond[0] < 5.2


def test_minutes_must_follow_each_other() -> None:
    bank, one = Bank(1, 0.001), np.ones((1, 5), np.float32)
    bank.feed(FIRST, one, one, one)
    with pytest.raises(ValueError, match=f"minutes {FIRST + 5} to {FIRST + 9} are missing"):
        bank.feed(FIRST + 9, one, one, one)
