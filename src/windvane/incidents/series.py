"""What is judged, as series that PromQL sees: scores, the baseline's band, incidents that go on.

Bounded: services in the judge's order (the busiest first) up to `MOST` signals; of their parts only those that are odd,
or suspicious, with the same bound. A series that is written no more ends with a staleness marker.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence

import numpy as np

from windvane.analytics.baselines import Scope
from windvane.analytics.red import Signal
from windvane.incidents.recent import Minute
from windvane.incidents.values import Incident
from windvane.kit.errors import WindvaneError
from windvane.store.series import NAME, STALE, SampleWriter

SCORE, BASELINE, INCIDENT = "windvane_anomaly_score", "windvane_baseline", "windvane_incident"
MOST = 4_000
"""Signals of places whose series are written: four series each."""
SUSPICIOUS = 3.0
"""The score from which on a part of a service is shown."""
_BOUNDS = ("expected", "low", "high")
_SCALE = {"rate": 1 / 60}
"""Of PromQL's `rate`: requests a second."""

Labels = tuple[tuple[str, str], ...]


class SeriesWriter:
    """Writes the series of one store, a sample a minute. Blocks; errors are the store's."""

    def __init__(self, writer: SampleWriter) -> None:
        self._writer = writer
        self._before: dict[Labels, None] = {}

    def write(self, at: int, minutes: Sequence[Minute], incidents: Iterable[Incident]) -> None:
        """Samples of a minute (Unix seconds)."""
        going_on = list(incidents)
        odd = {part.key for one in going_on for part in one.anomalies}
        samples = {_labels(INCIDENT, _incident(one)): 1.0 for one in going_on}
        for one in shown(minutes, odd):
            samples.update(_samples(one))
        self._store(at, samples)

    def end(self, at: int) -> None:
        """End all series: nothing is judged for now."""
        self._store(at, {})

    def _store(self, at: int, samples: dict[Labels, float]) -> None:
        ended = [labels for labels in self._before if labels not in samples]
        rows = [*samples, *ended]
        if not rows:
            return
        values = np.array([*samples.values(), *([STALE] * len(ended))], np.float64)
        try:
            self._writer.write([dict(row) for row in rows], np.full(len(rows), 1_000 * at, np.int64), values)
        except WindvaneError:
            self._before = dict.fromkeys(rows)
            raise
        self._before = dict.fromkeys(samples)


def shown(minutes: Iterable[Minute], odd: Collection[tuple[Scope, Signal]]) -> list[Minute]:
    """The signals whose series are written."""
    wholes, parts = [], []
    for one in minutes:
        if one.scope.kind == "service":
            wholes.append(one)
        elif one.score >= SUSPICIOUS or (one.scope, one.signal) in odd:
            parts.append(one)
    parts.sort(key=lambda one: ((one.scope, one.signal) not in odd, -one.score))
    return [*wholes[:MOST], *parts[: max(0, MOST - len(wholes))]]


def _samples(one: Minute) -> dict[Labels, float]:
    scope = one.scope
    own = {
        "service": scope.service, "namespace": scope.namespace, "signal": one.signal, "scope": scope.kind,
        "detail": scope.detail,
    }  # fmt: skip
    scale = _SCALE.get(one.signal, 1.0)
    found = {_labels(SCORE, own): one.score}
    for bound, value in zip(_BOUNDS, one.figures[1:], strict=True):
        if math.isfinite(value):
            found[_labels(BASELINE, {**own, "bound": bound})] = value * scale
    return found


def _incident(one: Incident) -> dict[str, str]:
    scope = one.leading.scope
    return {
        "id": one.id, "service": scope.service, "namespace": scope.namespace, "signal": one.leading.signal,
        "severity": one.severity,
    }  # fmt: skip


def _labels(name: str, labels: dict[str, str]) -> Labels:
    return ((NAME, name), *((key, value) for key, value in labels.items() if value))
