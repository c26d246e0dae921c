"""The state of an objective from hourly sums of a period, and when its budget will be gone.

The period rolls: while new bad requests are counted old ones leave, so that the budget's future is played forward
hour by hour. How bad the coming hours are is not known; three futures are played: as the last day, and as the better
and the worse of the last days. Traffic is as it was at that hour in the last week.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from windvane.analytics.slo.burn import DAY, HOUR, LEAST, MONTH, Row, Seen, burn_rate, firing

Floats = NDArray[np.float64]

_WEEK_HOURS = 168
_RECENT_DAYS = 7
_FEW_HOURS = 6


@dataclass(frozen=True, slots=True)
class Exhaustion:
    """Days until the budget is gone: as the last day, as the worse and as the better days; None: not within a
    period.
    """

    days: float | None
    soonest: float | None
    latest: float | None


@dataclass(frozen=True, slots=True)
class Budget:
    """An objective's state. `remaining` is a share of the period's budget (negative when overspent), `burn` the rates
    by window in seconds, `alerts` the rows that fire; `exhaustion` is None where too little was seen to tell.
    """

    objective: float
    bad: float
    all: float
    remaining: float
    burn: Mapping[float, float]
    alerts: tuple[Row, ...]
    exhaustion: Exhaustion | None
    known_hours: int

    @property
    def attained(self) -> float | None:
        """The share of good requests."""
        return 1 - self.bad / self.all if self.all else None


def status(
    bad: Floats, all_: Floats, recent: Mapping[float, Seen], objective: float, *, least: float = LEAST
) -> Budget:
    """From hourly sums of the period, the last hour last (NaN where unknown), and what shorter windows saw.

    `recent` has the windows of the table up to six hours; three days are added from the hours.
    """
    period = len(bad) * HOUR
    known = np.isfinite(bad) & np.isfinite(all_)
    bad, all_ = np.where(known, bad, 0.0), np.where(known, all_, 0.0)
    seen = {**recent, 3 * DAY: Seen(float(bad[-72:].sum()), float(all_[-72:].sum()))}
    total_bad, total = float(bad.sum()), float(all_.sum())
    spent = burn_rate(total_bad / total, objective) if total else 0.0
    return Budget(
        objective, total_bad, total, 1 - spent,
        {window: burn_rate(one.ratio, objective) for window, one in sorted(seen.items())},
        tuple(firing(seen, objective, period or MONTH, least)),
        _exhaustion(bad, all_, known, objective), int(known.sum()),
    )  # fmt: skip


def _exhaustion(bad: Floats, all_: Floats, known: NDArray[np.bool_], objective: float) -> Exhaustion | None:
    if known[-24:].sum() < min(_FEW_HOURS, len(bad)) or not all_[-24:].sum():
        return None
    days = [
        Seen(
            float(bad[-24 * (ago + 1) : len(bad) - 24 * ago].sum()),
            float(all_[-24 * (ago + 1) : len(bad) - 24 * ago].sum()),
        )
        for ago in range(min(_RECENT_DAYS, len(bad) // 24))
    ]
    ratios = [day.ratio for day in days if day.all] or [Seen(float(bad.sum()), float(all_.sum())).ratio]
    worse, better = float(np.quantile(ratios, 0.9)), float(np.quantile(ratios, 0.1))
    return Exhaustion(
        *(_gone(bad, all_, ratio, objective) for ratio in (ratios[0], max(worse, ratios[0]), min(better, ratios[0])))
    )


def _gone(bad: Floats, all_: Floats, ratio: float, objective: float) -> float | None:
    """Days until the rolling period's bad requests exceed what is allowed; 0 where they do already."""
    hours = len(bad)
    week = all_[-_WEEK_HOURS:]
    coming = np.resize(week, hours) if len(week) else np.zeros(hours)
    sums_bad = np.concatenate([[0.0], np.cumsum(np.concatenate([bad, coming * ratio]))])
    sums_all = np.concatenate([[0.0], np.cumsum(np.concatenate([all_, coming]))])
    rolling_bad = sums_bad[hours:] - sums_bad[: hours + 1]
    rolling_all = sums_all[hours:] - sums_all[: hours + 1]
    over = np.flatnonzero(rolling_bad > rolling_all * (1 - objective) * (1 + 1e-9))
    return float(over[0]) / 24 if len(over) else None
