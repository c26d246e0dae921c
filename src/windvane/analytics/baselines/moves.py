"""Known changes: a level that moved with one, and stayed, is the new normal after an hour instead of a day."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from windvane.analytics.baselines.bank import MINUTES, Bank
from windvane.analytics.baselines.changepoints import Changepoint, changepoints
from windvane.analytics.baselines.contract import Scope
from windvane.analytics.red_rules import LEAST_SPREAD

STAYED = 60
"""Minutes after a change for which the level must have been the new one."""
NEAR = 6
"""Minutes between a change and the move that is ascribed to it: pods start, and rates look two minutes back."""
TELLING = float(np.log(1.1))
_RATED = ("service", "edge", "operation")


class Moves:
    """Changes that were told, each until its hour is over."""

    def __init__(self, pending: Mapping[Scope, int] | None = None) -> None:
        self.pending: dict[Scope, int] = dict(pending or {})
        """Scope and minute of its last change."""

    def add(self, scope: Scope, minute: int) -> None:
        """A scope changed."""
        self.pending[scope] = max(minute, self.pending.get(scope, 0))

    def follow(self, bank: Bank, rows: Mapping[Scope, int]) -> None:
        """Move what was learnt of scopes whose level moved with a change an hour ago."""
        now = bank.rings.next
        for changed, minute in [one for one in self.pending.items() if one[1] + STAYED < now]:
            del self.pending[changed]
            if minute + 2 * STAYED < now:
                continue  # it was long ago when it was told: days have taught the new level
            for scope, row in rows.items():
                if _concerns(changed, scope):
                    for signal in (1, 2) if scope.kind in _RATED else (1,):
                        move = _moved(bank, row, signal, minute)
                        if move is not None:
                            _accept(bank, row, signal, move)


def _concerns(changed: Scope, scope: Scope) -> bool:
    whole = changed.kind == "service"
    return scope == changed or (whole and (scope.namespace, scope.service) == (changed.namespace, changed.service))


def _moved(bank: Bank, row: int, signal: int, minute: int) -> Changepoint | None:
    rings = bank.rings
    begin = max(0, rings.column(minute - STAYED))
    part = slice(begin, rings.end)
    with np.errstate(divide="ignore", invalid="ignore"):
        seen, due = ((rings.slow, rings.slow_due) if signal == 1
                     else (np.log(np.maximum(rings.requests, 0.5)), rings.rate_due))  # fmt: skip
    times = np.arange(rings.next - (rings.end - begin), rings.next)
    found = changepoints(times, (seen[row, part] - due[row, part]).astype(np.float64), least_noise=LEAST_SPREAD)
    last = found[-1] if found else None
    if last is None or abs(last.at - minute) > NEAR or abs(last.moved) < TELLING:
        return None
    return last


def _accept(bank: Bank, row: int, signal: int, move: Changepoint) -> None:
    """The level is the new one from now on, and has been since the move."""
    rings = bank.rings
    since = slice(max(0, rings.column(move.at)), rings.end)
    course, due = (bank.slow, rings.slow_due) if signal == 1 else (bank.rate, rings.rate_due)
    course.shift(row, move.moved)
    course.expect(slice(row, row + 1), (rings.next - 1) // MINUTES)
    due[row, since] += np.float32(move.moved)
    if signal == 1:
        bank.levels.slow[row] += move.moved
    else:
        rings.rate_shape[row] += np.float32(move.moved)
        bank.levels.moved[row] = 0.0
    rings.odd[row, signal, since] = False
    bank.tracks.forget(row, signal)
