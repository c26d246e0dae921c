"""Hourly sums of an objective's requests: from what its rules have recorded, else from Istio's own series.

Whole hours do not change any more, so that each is asked once while the server runs. An hour is unknown (NaN) where
there are no samples of the service, which is not an hour without failures.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from windvane.alerting.slo import Indicator
from windvane.alerting.slo_kept import BAD, REQUESTS, SUM
from windvane.analytics.increments import on_grid
from windvane.analytics.releases.read import AskRange
from windvane.analytics.slo.burn import HOUR, Seen

Floats = NDArray[np.float64]

HOUR_MS = 3_600_000
_WHOLE = 0.9
"""An hour is taken from recorded sums when so much of it was recorded."""
_SETTLED_MS = 300_000
"""Samples of an hour may come so long after its end."""
_CHUNK = 14 * 24
_MOST_HOURS = 24 * 185


@dataclass(slots=True)
class HourlySums:
    """What is known of indicators by the hour; safe from any thread. `ask` may block."""

    ask: AskRange
    _known: dict[Indicator, dict[int, tuple[float, float]]] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def of(self, one: Indicator, end_ms: int, hours: int) -> tuple[Floats, Floats]:
        """Bad and all requests of so many hours; the last is the present hour as far as it has come."""
        last = end_ms // HOUR_MS
        wanted = range(last - hours + 2, last + 1)
        with self._lock:
            known = self._known.setdefault(one, {})
            missing = [hour for hour in wanted if hour not in known]
            fresh = self._hours(one, missing[0], missing[-1]) if missing else {}
            settled = last if end_ms - last * HOUR_MS >= _SETTLED_MS else last - 1
            known.update({hour: sums for hour, sums in fresh.items() if hour <= settled})
            for hour in [hour for hour in known if hour < last - _MOST_HOURS]:
                del known[hour]
            rows = [known.get(hour) or fresh[hour] for hour in wanted]
        rows.append(self._present(one, end_ms, (end_ms - last * HOUR_MS) // 1_000))
        table = np.array(rows, dtype=np.float64).reshape(-1, 2)
        return table[:, 0], table[:, 1]

    def forget(self, kept: frozenset[Indicator]) -> None:
        """Drop what is known of all other indicators."""
        with self._lock:
            for one in [one for one in self._known if one not in kept]:
                del self._known[one]

    def _hours(self, one: Indicator, first: int, last: int) -> dict[int, tuple[float, float]]:
        """Sums of the hours that end at these numbers of hours since the epoch."""
        count = last - first + 1
        bad, every, share = self._recorded(one, first * HOUR_MS, last * HOUR_MS, count, 3_600)
        thin = np.flatnonzero(share < _WHOLE)
        if len(thin):
            for begin in range(int(thin[0]), int(thin[-1]) + 1, _CHUNK):
                end = min(begin + _CHUNK, int(thin[-1]) + 1)
                at = ((first + begin) * HOUR_MS, (first + end - 1) * HOUR_MS, end - begin)
                raw_bad, raw_all = self._raw(one, *at, 3_600)
                used = (share[begin:end] < _WHOLE) & np.isfinite(raw_all)
                bad[begin:end] = np.where(used, raw_bad, bad[begin:end])
                every[begin:end] = np.where(used, raw_all, every[begin:end])
        return {first + place: (float(bad[place]), float(every[place])) for place in range(count)}

    def _present(self, one: Indicator, end_ms: int, seconds: int) -> tuple[float, float]:
        if seconds < 60:
            return np.nan, np.nan
        bad, every, share = self._recorded(one, end_ms, end_ms, 1, seconds)
        if share[0] < _WHOLE:
            raw_bad, raw_all = self._raw(one, end_ms, end_ms, 1, seconds)
            if np.isfinite(raw_all[0]):
                return float(raw_bad[0]), float(raw_all[0])
        return float(bad[0]), float(every[0])

    def _recorded(
        self, one: Indicator, start: int, end: int, count: int, seconds: int
    ) -> tuple[Floats, Floats, Floats]:
        """Recorded sums of windows of so many seconds, and the share of each that was recorded."""
        bad = self._values(f"sum_over_time({BAD}{one.selector}[{seconds}s])", start, end, count)
        every = self._values(f"sum_over_time({REQUESTS}{one.selector}[{seconds}s])", start, end, count)
        samples = self._values(f"count_over_time({REQUESTS}{one.selector}[{seconds}s])", start, end, count)
        share = np.nan_to_num(samples) / max(1, seconds // SUM)
        return np.where(np.isfinite(every), np.nan_to_num(bad), np.nan), every, share

    def _raw(self, one: Indicator, start: int, end: int, count: int, seconds: int) -> tuple[Floats, Floats]:
        """The same of Istio's own series."""
        every = self._values(one.all(f"{seconds}s"), start, end, count) * seconds
        bad = self._values(one.bad(f"{seconds}s"), start, end, count) * seconds
        return np.where(np.isfinite(every), np.nan_to_num(bad), np.nan), every

    def _values(self, query: str, start: int, end: int, count: int) -> Floats:
        found = self.ask(query, start, end, HOUR_MS)
        return on_grid(found, 0, start, HOUR_MS, count) if len(found.metrics) else np.full(count, np.nan)


_WINDOWS = {"5m": 300.0, "30m": 1_800.0, "1h": HOUR, "6h": 6 * HOUR}


def recent(ask: AskRange, one: Indicator, end_ms: int) -> dict[float, Seen]:
    """What the windows up to six hours saw, as recorded, or from Istio's series where it is not (yet)."""
    names = f'{{__name__=~"slo:(bad_)?requests:rate({"|".join(_WINDOWS)})",{one.selector[1:]}'
    result = ask(names, end_ms, end_ms, HOUR_MS)
    rates = {
        labels.get("__name__", ""): float(result.points(place)[1][-1]) for place, labels in enumerate(result.metrics)
    }
    found: dict[float, Seen] = {}
    for window, seconds in _WINDOWS.items():
        every = rates.get(f"slo:requests:rate{window}")
        bad = rates.get(f"slo:bad_requests:rate{window}", 0.0)
        if every is None:
            bad, every = (_now(ask, query, end_ms) for query in (one.bad(window), one.all(window)))
        found[seconds] = Seen(bad * seconds, every * seconds)
    return found


def _now(ask: AskRange, query: str, end_ms: int) -> float:
    found = ask(query, end_ms, end_ms, HOUR_MS)
    return float(np.nan_to_num(found.points(0)[1][-1])) if len(found.metrics) else 0.0
