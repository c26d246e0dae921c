"""What people said is no anomaly: how far a signal departed then, and so must depart farther to alarm again.

A departure of three that was called normal asks for one of nearly four the next time. It is remembered as a logarithm
that halves every `HALF` days, since meshes change; after `FORGOTTEN` it counts no more.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

from windvane.analytics.baselines import Scope
from windvane.analytics.red import Signal
from windvane.incidents.values import Anomaly, Incident

DAY = 86_400
HALF = 14 * DAY
FORGOTTEN = 56 * DAY
MARGIN = 1.25
"""How much farther than what was called normal is clearly farther."""


@dataclass(frozen=True, slots=True)
class _Tolerated:
    departure: float
    at: int

    def needed(self, now: int) -> float:
        """The departure that alarms at a time."""
        age = now - self.at
        return MARGIN * math.exp(math.log(self.departure) * 0.5 ** (age / HALF)) if age <= FORGOTTEN else 1.0


class Tolerances:
    """Of places and signals. What is said of a service holds for its parts; what is said of a part for itself."""

    def __init__(self, incidents: Iterable[Incident] = ()) -> None:
        self._of: dict[tuple[Scope, Signal], _Tolerated] = {}
        told = (one for one in incidents if one.feedback is not None)
        for one in sorted(told, key=lambda each: each.feedback.at if each.feedback else 0):
            self._learn(one)

    def _learn(self, one: Incident) -> None:
        """The newest word counts: what was confirmed lately is not tolerated because of an older verdict."""
        assert one.feedback is not None
        for anomaly in one.anomalies:
            if one.silenced:
                before = self._of.get(anomaly.key)
                farthest = max(anomaly.departure, before.departure if before else 1.0)
                self._of[anomaly.key] = _Tolerated(farthest, one.feedback.at)
            elif anomaly.key in self._of and self._of[anomaly.key].departure * MARGIN >= anomaly.departure:
                del self._of[anomaly.key]

    def allows(self, one: Anomaly, now: int) -> bool:
        """Whether an anomaly is within what was called normal."""
        whole = Scope("service", *one.node)
        known = [self._of[key] for key in ((one.scope, one.signal), (whole, one.signal)) if key in self._of]
        return any(one.departure < each.needed(now) for each in known)
