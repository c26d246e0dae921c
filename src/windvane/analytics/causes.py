"""Where a symptom begins: excess is followed from the service that shows it down the calls, and kept in accounts.

Only the signal that is odd is followed (time that requests took, or requests that failed). Each service's excess is
what it shows beyond its usual level, times its calls: seconds, or failures. What its callees' excess explains it
passed on; the rest is its own. So a noisy leaf of a few calls explains nothing, however many times its usual it is,
and a service that only waits is not blamed. Nothing here knows a store: readings in, ranked causes out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from windvane.analytics.seasonal import Floats

NORMAL_OF_MAD = 1.4826
NORMAL_OF_P99 = 2.326
LEAST_SPREAD = 0.05
"""Share of its level that a signal may always stray."""
ODD = 3.0
"""Spreads above its level at which a signal is odd: it was looked for where something is known to be wrong, among
some tens of services, not every minute of a day as alerts are."""
TELLING = 0.1
"""A cause explains at least this share of the symptom; less is told as a hint only."""
FEW = 20
"""Values below which a spread is not to be trusted yet: it is widened by the error of learning it from so few."""
_WIDER = 5.0


@dataclass(frozen=True, slots=True)
class Reading:
    """One node's signal: its usual `level` and `spread`, its value `now`, and its `calls` in the window of `now`.

    Units are the signal's: seconds a call, or the share of calls that failed.
    """

    level: float
    spread: float
    now: float
    calls: float

    @classmethod
    def learnt(cls, before: Floats, now: float, calls: float, floor: float = 0.0) -> Reading | None:
        """From values before the symptom; None where either side is unknown. `floor` is the least spread."""
        known = before[np.isfinite(before)]
        if not len(known) or not np.isfinite(now):
            return None
        ordered = np.sort(known)
        level = _at(ordered, 0.5)
        spread = NORMAL_OF_MAD * _at(np.sort(np.abs(known - level)), 0.5)
        if len(known) >= FEW:  # tails that a median does not see
            spread = max(spread, (_at(ordered, 0.99) - level) / NORMAL_OF_P99)
        else:
            spread = max(spread, LEAST_SPREAD * abs(level)) * (1.0 + _WIDER / len(known))
        return cls(level, max(spread, LEAST_SPREAD * abs(level), floor), now, calls if np.isfinite(calls) else 0.0)

    @property
    def departure(self) -> float:
        """How many spreads it is above its level."""
        return (self.now - self.level) / self.spread if self.spread > 0 else float(self.now > self.level) * 100.0

    @property
    def certainty(self) -> float:
        """0 to 1: one half at `ODD` spreads, more the farther it is out."""
        return 1.0 - 1.0 / (1.0 + max(0.0, self.departure) / ODD)

    @property
    def excess(self) -> float:
        """What is beyond the usual, over all calls."""
        return max(0.0, self.now - self.level) * self.calls


def _at(ordered: Floats, share: float) -> float:
    """A quantile of sorted values, interpolated: as NumPy's, without what makes that slow for a few dozen values."""
    place = share * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + (place - low) * (ordered[high] - ordered[low]))


@dataclass(frozen=True, slots=True)
class Cause:
    """A node that may be where it begins.

    `explains` is its own excess over the symptom's (0 to 1), `departure` how odd it is, `path` the nodes from the
    symptom to it. `confidence` (0 to 1) is its share of all own excess along the calls, lowered where it is barely
    odd.
    """

    node: str
    explains: float
    departure: float
    path: tuple[str, ...]
    confidence: float


def rank(
    symptom: str,
    readings: Mapping[str, Reading],
    calls: Iterable[tuple[str, str]],
    shares: Mapping[tuple[str, str], float] | None = None,
) -> list[Cause]:
    """Causes of a symptom, most likely first; nothing if the symptom itself is not above its level.

    What is followed must be odd, or half as odd as the symptom is.
    `calls` are pairs of caller and callee; `shares` says what share of a callee's excess belongs to a caller, where
    that is known. Elsewhere it is divided among the odd callers by their own excess.
    """
    if symptom not in readings or readings[symptom].excess <= 0:
        return []
    least = min(ODD, readings[symptom].departure / 2)
    excess = {node: one.excess for node, one in readings.items() if one.excess > 0 and one.departure >= least}
    paths = _reached(symptom, excess, calls)
    own = _own(excess, paths, list(calls), shares or {})
    whole = excess[symptom]
    total = sum(min(one, whole) for one in own.values()) or 1.0
    causes = [
        Cause(node, min(1.0, own[node] / whole), readings[node].departure, path,
              min(own[node], whole) / total * readings[node].certainty)
        for node, path in paths.items()
    ]  # fmt: skip
    return sorted(causes, key=lambda one: (-one.explains * readings[one.node].certainty, -len(one.path), one.node))


def _reached(symptom: str, excess: Mapping[str, float], calls: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Odd nodes that a way of odd nodes leads to, each with its shortest way."""
    callees: dict[str, list[str]] = {}
    for caller, callee in calls:
        callees.setdefault(caller, []).append(callee)
    paths: dict[str, tuple[str, ...]] = {symptom: (symptom,)}
    waiting = [symptom]
    for node in waiting:
        for callee in callees.get(node, ()):
            if callee in excess and callee not in paths:
                paths[callee] = (*paths[node], callee)
                waiting.append(callee)
    return paths


def _own(
    excess: Mapping[str, float],
    paths: Mapping[str, tuple[str, ...]],
    calls: Sequence[tuple[str, str]],
    shares: Mapping[tuple[str, str], float],
) -> dict[str, float]:
    """Each node's excess without what its callees pass up to it."""
    used = [(a, b) for a, b in dict.fromkeys(calls) if a in paths and b in paths and a != b]
    callers: dict[str, float] = {}
    for caller, callee in used:
        callers[callee] = callers.get(callee, 0.0) + excess[caller]
    own = dict.fromkeys(paths, 0.0) | {node: excess[node] for node in paths}
    for caller, callee in used:
        if len(paths[callee]) <= len(paths[caller]) and caller in paths[callee]:
            continue
        share = shares.get((caller, callee), excess[caller] / callers[callee])
        own[caller] -= excess[callee] * share
    return {node: max(0.0, left) for node, left in own.items()}


def at_its_worst(values: Floats, level: float) -> npt.NDArray[np.bool_]:
    """The moments of a symptom that count as "now": those at least half as far above `level` as the worst."""
    above = np.where(np.isfinite(values), values - level, -np.inf)
    return np.asarray(above >= max(0.5 * float(above.max(initial=0.0)), 0.0)) & np.isfinite(values)


def most_departed(readings: Mapping[str, Sequence[Reading]]) -> list[str]:
    """Nodes by how odd all their signals are together, where no symptom and no calls are known.

    Departures are summed as logarithms, so that many signals a little odd outweigh a single one that is extreme.
    """
    scores = {node: sum(np.log1p(max(0.0, one.departure)) for one in several) for node, several in readings.items()}
    return sorted(scores, key=lambda node: (-scores[node], node))
