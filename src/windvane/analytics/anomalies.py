"""Anomalies of a mesh: every service judged, what belongs together told as one incident.

Incidents of different services belong together where they overlap in time and one calls the other; the one farthest
down the calls leads, since what callers show follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from os import cpu_count

import numpy as np

from windvane.analytics.mesh_series import STEP, Service
from windvane.analytics.red import Incident, Judged, RedFrame, incidents, judge_red

NEAR = 10 * 60
"""Seconds between incidents that still belong together: an upstream alarm may need so long after its cause's."""


@dataclass(frozen=True, slots=True)
class Anomaly:
    """An incident of a service, with the level before it and at its worst: requests a minute, milliseconds, or the
    share of requests that failed (`expected` is then the usual one, or the objective's budget if that is more)."""

    service: Service
    incident: Incident
    expected: float | None
    seen: float | None


@dataclass(frozen=True, slots=True)
class Group:
    """Anomalies that belong together, the leading one first."""

    anomalies: tuple[Anomaly, ...]

    @property
    def start(self) -> int:
        return min(one.incident.start for one in self.anomalies)


def anomalies(frames: Mapping[Service, RedFrame], since: int, slo: float = 0.999) -> list[Anomaly]:
    """Anomalies that were odd at `since` (Unix seconds) or later, by their start."""

    def judged(item: tuple[Service, RedFrame]) -> list[Anomaly]:
        service, frame = item
        found = judge_red(frame, slo)
        return [
            _told(service, frame, found, one) for one in incidents(found, STEP) if one.end >= since
        ]  # fmt: skip

    with ThreadPoolExecutor(max(1, cpu_count() or 1)) as threads:
        every = [one for several in threads.map(judged, frames.items()) for one in several]
    return sorted(every, key=lambda one: (one.incident.start, one.service))


def _told(service: Service, frame: RedFrame, judged: Judged, one: Incident) -> Anomaly:
    part = (judged.times >= one.start) & (judged.times <= one.end)
    if one.signal == "errors":
        requests = float(np.nansum(frame.requests[part]))
        expected = _median(judged.expected_errors[part])
        return Anomaly(service, one, expected, float(np.nansum(frame.errors[part])) / max(requests, 1.0))
    usual, seen = (
        (judged.expected_rate, frame.requests) if one.signal == "rate" else (judged.expected_latency, frame.latency)
    )
    return Anomaly(service, one, _median(usual[part]), _median(seen[part]))


def _median(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> float | None:
    known = values[np.isfinite(values)]
    return float(np.median(known)) if len(known) else None


def grouped(found: Iterable[Anomaly], calls: Iterable[tuple[Service, Service]]) -> list[Group]:
    """Anomalies joined along the calls (caller, callee), by their start."""
    every, pairs = list(found), set(calls)
    leader = list(range(len(every)))

    def root(at: int) -> int:
        while leader[at] != at:
            at = leader[at]
        return at

    for at, one in enumerate(every):
        for before, other in enumerate(every[:at]):
            if _related(one, other, pairs):
                leader[root(at)] = root(before)
    members: dict[int, list[Anomaly]] = {}
    for at, one in enumerate(every):
        members.setdefault(root(at), []).append(one)
    return sorted((_led(several, pairs) for several in members.values()), key=lambda group: group.start)


def _related(one: Anomaly, other: Anomaly, pairs: set[tuple[Service, Service]]) -> bool:
    a, b = one.incident, other.incident
    if a.start - b.end > NEAR or b.start - a.end > NEAR:
        return False
    ends = (one.service, other.service)
    return ends[0] == ends[1] or ends in pairs or ends[::-1] in pairs


def _led(several: list[Anomaly], pairs: set[tuple[Service, Service]]) -> Group:
    services = {one.service for one in several}

    def callees(one: Anomaly) -> int:
        return sum((one.service, other) in pairs for other in services - {one.service})

    order = {"errors": 0, "latency": 1, "rate": 2}
    return Group(tuple(sorted(several, key=lambda one: (callees(one), order[one.incident.signal], one.incident.start))))
