"""Forecasts of every service, kept up as time goes on: rate, errors, latency and saturation, an hour and a day ahead.

The past is read once, a day at a time, and afterwards only what is new of it. A forecast is made of medians of the
service's own past (`forecast` without its learnt model, so that a server needs no more memory for it), as a path of a
day and an hour in steps of a quarter of an hour: between two makings, what is an hour ahead moves along the path.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import numpy.typing as npt

from windvane.analytics.forecast import BANDS, Forecast, History, forecast
from windvane.analytics.increments import on_grid
from windvane.analytics.mesh_series import FAILURES, QUANTILE, Service
from windvane.analytics.releases.read import AskRange
from windvane.analytics.seasonal import DAY, Floats
from windvane.kit.errors import BadInputError

STEP = 900
HISTORY = 21 * DAY
HORIZONS: Mapping[str, int] = {"1h": 3_600, "1d": DAY}
MOST = 100
"""Services that are forecast, those with most traffic: each is forty series."""
Signal = Literal["rate", "errors", "latency", "saturation"]
SIGNALS: tuple[Signal, ...] = ("rate", "errors", "latency", "saturation")
"""Requests a second; share that failed; 95th percentile in milliseconds; requests in flight (Little's law: what a
second of traffic takes, in seconds)."""
_AHEAD = (DAY + 3_600) // STEP
_QUIET = 4
"""Steps without a value after which a series has ended."""
_BY = "destination_service_namespace, destination_service_name"
_REPORTERS = ("destination", "source")


@dataclass(frozen=True, slots=True)
class Path:
    """A signal's way ahead, `found` from the time it was made."""

    service: Service
    signal: Signal
    found: Forecast

    def at(self, seconds: float) -> Iterator[tuple[str, str, float]]:
        """Bound (`expected`, `low`, `high`), share of the band ('' for the first) and value at a Unix time."""
        rows = [("expected", "", self.found.mean)]
        for of in BANDS:
            rows += [("low", f"{of:g}", self.found.low[of]), ("high", f"{of:g}", self.found.high[of])]
        for bound, share, values in rows:
            value = float(np.interp(seconds, self.found.times, values))
            yield bound, share, min(value, 1.0) if self.signal == "errors" else value


@dataclass(frozen=True, slots=True)
class Refused:
    """A signal of which nothing is said, and why."""

    service: Service
    signal: Signal
    reason: str


@dataclass(frozen=True, slots=True)
class Made:
    """All that was forecast at a time (Unix seconds); `left_out` services had less traffic than those."""

    at: int = 0
    paths: tuple[Path, ...] = ()
    refused: tuple[Refused, ...] = ()
    services: int = 0
    left_out: int = 0


@dataclass(slots=True)
class Outlook:
    """The past as far as it was read. `ask` may block; one caller at a time."""

    ask: AskRange
    made: Made = field(default_factory=Made)
    """The newest forecasts; `at` 0 before the first."""
    _times: npt.NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    _rows: dict[tuple[Service, Signal], Floats] = field(default_factory=dict)

    def make(self, now: int) -> Iterator[None]:
        """Read what is new and forecast everything, into `made`; between two pieces of work others may have a turn."""
        end = now // STEP * STEP
        for part in self._unread(end):
            self._add(part)
            yield
        self._forget()
        chosen, left_out = self._chosen()
        paths: list[Path] = []
        refused: list[Refused] = []
        for service in chosen:
            for signal in SIGNALS:
                row = self._rows.get((service, signal))
                try:
                    if row is None or not np.isfinite(row[-_QUIET:]).any():
                        raise BadInputError("nothing was measured in the last hour")
                    found = forecast(History(self._times, row, STEP), _AHEAD, learnt=False)
                    paths.append(Path(service, signal, found))
                except BadInputError as error:
                    refused.append(Refused(service, signal, error.message))
            yield
        self.made = Made(now, tuple(paths), tuple(refused), len(chosen), left_out)

    def _chosen(self) -> tuple[list[Service], int]:
        day = DAY // STEP
        traffic = {
            service: float(np.nansum(row[-day:])) for (service, signal), row in self._rows.items() if signal == "rate"
        }
        names = sorted((one for one in traffic if traffic[one] > 0), key=lambda one: (-traffic[one], one))
        return names[:MOST], len(names[MOST:])

    def _unread(self, end: int) -> Iterator[npt.NDArray[np.int64]]:
        """Times up to the end that were not read yet, a day at a time."""
        last = int(self._times[-1]) if len(self._times) else end - HISTORY
        for begin in range(last + STEP, end + 1, DAY):
            yield np.arange(begin, min(begin + DAY - STEP, end) + 1, STEP)

    def _forget(self) -> None:
        """Drop what is too old, and series that have nothing left."""
        kept = min(len(self._times), HISTORY // STEP)
        self._times = self._times[-kept:]
        self._rows = {key: row[-kept:] for key, row in self._rows.items() if np.isfinite(row[-kept:]).any()}

    def _add(self, times: npt.NDArray[np.int64]) -> None:
        fresh: dict[tuple[Service, Signal], Floats] = {}
        for key, values in _measured(self.ask, times):
            fresh[key] = np.fmax(fresh.get(key, np.nan), values)
        before = len(self._times)
        self._times = np.concatenate([self._times, times])
        for key in self._rows.keys() | fresh.keys():
            old = self._rows.get(key, np.full(before, np.nan))
            self._rows[key] = np.concatenate([old, fresh.get(key, np.full(len(times), np.nan))])


def _measured(ask: AskRange, times: npt.NDArray[np.int64]) -> Iterator[tuple[tuple[Service, Signal], Floats]]:
    """Every service's signals at these times, as each side's proxies report them."""
    for reporter in _REPORTERS:
        own = f'reporter="{reporter}"'
        rates = dict(_asked(ask, times, _sum("istio_requests_total", own)))
        failed: dict[Service, Floats] = {}
        for failure in FAILURES:
            for service, values in _asked(ask, times, _sum("istio_requests_total", f"{own},{failure}")):
                failed[service] = np.nan_to_num(failed.get(service, np.zeros(len(times)))) + np.nan_to_num(values)
        for service, values in rates.items():
            yield (service, "rate"), values
            with np.errstate(invalid="ignore", divide="ignore"):
                share = np.minimum(failed.get(service, np.zeros(len(times))) / values, 1.0)
            yield (service, "errors"), np.where(values > 0, share, np.nan)
        busy = f"{_sum('istio_request_duration_milliseconds_sum', own)} / 1000"
        for service, values in _asked(ask, times, busy):
            yield (service, "saturation"), values
        buckets = _sum("istio_request_duration_milliseconds_bucket", own, f"{_BY}, le")
        for service, values in _asked(ask, times, f"histogram_quantile({QUANTILE}, {buckets})"):
            yield (service, "latency"), values


def _sum(metric: str, matchers: str, by: str = _BY) -> str:
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[{STEP}s]))"


def _asked(ask: AskRange, times: npt.NDArray[np.int64], query: str) -> Iterator[tuple[Service, Floats]]:
    start, end = int(times[0]) * 1_000, int(times[-1]) * 1_000
    result = ask(query, start, end, STEP * 1_000)
    for number, labels in enumerate(result.metrics):
        name = labels.get("destination_service_name", "")
        if name and name != "unknown":
            service = (labels.get("destination_service_namespace", ""), name)
            yield service, on_grid(result, number, start, STEP * 1_000, len(times))
