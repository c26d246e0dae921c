"""Burn rates: the share of bad requests over the share that an objective allows.

An alert fires when the burn rate exceeds a threshold over a long window and over a twelfth of it (The Site Reliability
Workbook, chapter 5, table 5-8). The threshold is that at which the long window takes its share of a period's budget.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

HOUR = 3_600.0
DAY = 24 * HOUR
MONTH = 30 * DAY
LEAST = 5
"""Bad requests in the short window below which nothing fires."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row of the table: seconds of the long window, the share of the budget it stands for, and what is to be done."""

    long: float
    share: float
    severity: Literal["page", "ticket"]

    @property
    def short(self) -> float:
        """Seconds of the short window."""
        return self.long / 12

    def threshold(self, period: float = MONTH) -> float:
        """The burn rate that spends the share of a period's budget in the long window; one that lasts is no alert."""
        return max(1.0, self.share * period / self.long)


TABLE = (Row(HOUR, 0.02, "page"), Row(6 * HOUR, 0.05, "page"), Row(3 * DAY, 0.10, "ticket"))
WINDOWS = tuple(sorted({window for row in TABLE for window in (row.long, row.short)}))


@dataclass(frozen=True, slots=True)
class Seen:
    """Bad and all requests of a window."""

    bad: float
    all: float

    @property
    def ratio(self) -> float:
        """Share of bad ones; 0 without requests."""
        return self.bad / self.all if self.all else 0.0


def burn_rate(ratio: float, objective: float) -> float:
    """How many times the allowed share; `objective` is the share that must be good, 0 to 1."""
    return ratio / (1 - objective)


def firing(seen: Mapping[float, Seen], objective: float, period: float = MONTH, least: float = LEAST) -> list[Row]:
    """Rows that fire on what was seen in each window (by its seconds)."""
    return [
        row
        for row in TABLE
        if all(
            burn_rate(seen[window].ratio, objective) > row.threshold(period) * (1 + 1e-9)
            for window in (row.long, row.short)
        )
        and seen[row.short].bad >= least
    ]


def time_to_fire(ratio: float, objective: float, row: Row, period: float = MONTH) -> float:
    """Seconds from the beginning of a steady share of bad requests, none before it, until a row fires; or infinity."""
    burn = burn_rate(ratio, objective)
    threshold = row.threshold(period)
    return row.long * threshold / burn if burn > threshold * (1 + 1e-9) else math.inf
