"""The last hour of signals in memory, against a plain list."""

from __future__ import annotations

import math

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windvane.analytics.baselines import Scope
from windvane.incidents.recent import MINUTES, Minute, Recent

BEGIN = 1_767_787_200


def minute(number: int, at: int, value: float) -> Minute:
    return Minute(Scope("service", "shop", f"s{number}"), "latency", BEGIN + 60 * at, (value, 1.0, math.nan, 2.0))


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(st.integers(0, 200), st.integers(0, 3)), max_size=40))
def test_what_is_known_is_that_of_the_last_hour(steps: list[tuple[int, int]]) -> None:
    """Signals come and go, time goes on by some minutes."""
    recent, kept, now = Recent(), dict[int, dict[int, float]](), 0
    for number, passed in steps:
        now += passed * 17
        told = [minute(each, now, float(now)) for each in range(number, number + 40)]
        recent.add(told)
        for each in range(number, number + 40):
            kept.setdefault(each, {})[now] = float(now)
    for number, values in kept.items():
        told = recent.of(Scope("service", "shop", f"s{number}"), "latency")
        assert [one.at for one in told] == [BEGIN + 60 * at for at in sorted(values) if at > now - MINUTES]
        assert all(one.figures[0] == values[(one.at - BEGIN) // 60] for one in told)


def test_what_comes_too_late_is_dropped() -> None:
    recent = Recent()
    recent.add([minute(1, MINUTES, 5.0), minute(1, 0, 4.0)])
    assert [one.figures[0] for one in recent.of(Scope("service", "shop", "s1"), "latency")] == [5.0]
