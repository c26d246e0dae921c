"""How far signals stray: medians of what they strayed by, kept as fading histograms; and what is taken for true until
enough is known.

Of a new scope nothing is known but what latencies of services usually do: a minute strays by some ten percent of its
own, and by sampling in addition, the more the fewer requests it has (`prior`). That counts as `PRIOR_WEIGHT` minutes
seen; tests use Student's t with as many degrees of freedom as are known, so that margins are the wider the less is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from windvane.analytics.baselines.sums import Rate, counted, running, window
from windvane.analytics.red_rules import FIRST_SPREAD, LATENCY_WINDOWS, LEARNT, LEAST_SPREAD, RATE_WINDOWS, TAIL
from windvane.analytics.seasonal import RECENT_DAYS, Flags, Floats

Small = npt.NDArray[np.float32]

BINS, LOWEST, RATIO = 25, 0.05, 1.25
"""Bins of a histogram: the first ends at `LOWEST`, each further one is `RATIO` wide, the last is open."""
OCTAVES = 16
WINDOWS = (2, 3, *LATENCY_WINDOWS)
"""Minutes; those under five only where a level is young and nothing of days is known."""
PRIOR_WEIGHT = 20.0
FIRST_BEYOND = 7.175170993884677
"""`beyond_of` that many, here as a number so that a watcher is made without SciPy."""
OWN, SAMPLING = 0.08, 1.3
"""A minute's log latency strays by `OWN`, and by `SAMPLING` over the root of its requests (a 95th percentile of a
lognormal of sigma 0.7 over one minute)."""
OVERLAP = 1.35
"""Windows stray so much more than independent minutes would, as rates over two minutes overlap by one."""
RATE_SCALE = 5.0
OF_MEDIAN = 1.4826
SAMPLED = 5
"""Trailing windows are looked at every fifth minute: they overlap anyway."""
FADE = 1.0 - 1.0 / RECENT_DAYS


def prior(requests: Floats, sampling: float = SAMPLING) -> Floats:
    """The spread of a minute's log latency that is expected of any service at so many requests."""
    return np.asarray(np.sqrt(OWN**2 + sampling**2 / np.maximum(requests, 1.0)))


class Histogram:
    """Histograms of sizes for scopes and groups: rows x groups x bins, fading."""

    def __init__(self, rows: int, groups: int) -> None:
        self.counts: Small = np.zeros((rows, groups, BINS), np.float32)

    def add(self, rows: slice, group: npt.NDArray[np.integer] | int, sizes: Floats, known: Flags) -> None:
        """Count sizes (rows x minutes, not negative) where `known`, each in its group."""
        part = self.counts[rows]
        many, groups, _ = part.shape
        with np.errstate(divide="ignore", invalid="ignore"):
            place = np.log(sizes) * (1.0 / np.log(RATIO)) + (1.0 - np.log(LOWEST) / np.log(RATIO))
        place = np.clip(np.where(known, place, 0.0), 0, BINS - 1).astype(np.int64)
        place += (np.arange(many)[:, None] * groups + group) * BINS
        part += np.bincount(place[known], minlength=part.size).reshape(part.shape)

    def weights(self) -> Floats:
        """How much is counted, rows x groups."""
        return np.asarray(self.counts.sum(axis=2), np.float64)

    def medians(self) -> Floats:
        """Medians of sizes, rows x groups; nought where nothing is counted."""
        return median_of(np.asarray(self.counts, np.float64))


def median_of(counts: Floats) -> Floats:
    """Medians of histograms (bins last); nought of an empty one."""
    total = np.cumsum(counts, axis=-1)
    half = total[..., -1:] / 2
    at = np.minimum((total < half).sum(axis=-1), BINS - 1)[..., None]
    below = np.take_along_axis(total, np.maximum(at - 1, 0), -1) * (at > 0)
    inside = (half - below) / np.maximum(np.take_along_axis(counts, at, -1), 1e-9)
    found = LOWEST * RATIO ** (at - 1.0 + np.clip(inside, 0.0, 1.0))
    return np.asarray(np.where(half > 0, found, 0.0)[..., 0])


class Noise:
    """Of every scope: how minutes and windows stray. Sketches grow with each minute; figures are made by `refresh`."""

    def __init__(self, rows: int) -> None:
        self.minutes = Histogram(rows, OCTAVES)
        """Departures of a minute's log latency, in units of `prior`, by the octave of its requests."""
        self.windows = Histogram(rows, len(WINDOWS))
        """Departures of windows of latency, in units of what independent minutes would bring."""
        self.rates = Histogram(rows, len(RATE_WINDOWS))
        """Log factors of windows of requests, times `RATE_SCALE`."""
        self.volume: Floats = np.zeros((rows, len(RATE_WINDOWS)))
        """Sums of log expected requests of those windows."""
        self._start(rows)

    def _start(self, rows: int) -> None:
        self.ratio: Floats = np.ones((rows, OCTAVES))
        self.excess: Floats = np.full((rows, len(WINDOWS)), OVERLAP)
        self.rate_spread: Floats = np.full((rows, len(RATE_WINDOWS)), FIRST_SPREAD)
        self.freedom: Floats = np.full(rows, PRIOR_WEIGHT)
        self.beyond: Floats = np.full(rows, FIRST_BEYOND)

    def fade(self) -> None:
        """A day is over: what was before counts for a seventh less."""
        for one in (self.minutes.counts, self.windows.counts, self.rates.counts, self.volume):
            np.multiply(one, FADE, out=one)

    def refresh(self) -> None:
        """Make the figures that tests use from what was counted."""
        seen, weight = self.minutes.medians() * OF_MEDIAN, self.minutes.weights()
        whole = self.minutes.counts.sum(axis=1, dtype=np.float64)
        every, size = median_of(whole) * OF_MEDIAN, whole.sum(axis=1)
        common = (PRIOR_WEIGHT + size * every**2) / (PRIOR_WEIGHT + size)
        few = 30.0
        self.ratio = np.sqrt((few * common[:, None] + weight * seen**2) / (few + weight))
        self.freedom = PRIOR_WEIGHT + size / 2
        self.beyond = beyond_of(self.freedom)
        strayed, looked = self.windows.medians() * OF_MEDIAN, self.windows.weights() * SAMPLED
        first = 4 * PRIOR_WEIGHT
        self.excess = np.maximum(1.0, np.sqrt((first * OVERLAP**2 + looked * strayed**2) / (first + looked)))
        counted = self.rates.weights()
        with np.errstate(invalid="ignore", divide="ignore"):
            counting = np.exp(-self.volume / counted)
            found = np.sqrt(
                np.maximum((self.rates.medians() * OF_MEDIAN / RATE_SCALE) ** 2 - counting, LEAST_SPREAD**2)
            )
        self.rate_spread = np.where(counted * SAMPLED >= LEARNT, found, FIRST_SPREAD)

    def learn_slow(self, rows: slice, residual: Floats, requests: Floats, sampled: Flags) -> None:
        """Departures of log latency (NaN is not learnt) of some minutes and a lead; windows are looked at in those of
        the minutes that are `sampled`."""
        size = len(sampled)
        many = np.maximum(counted(requests), 1.0)
        octave = np.minimum(np.log2(many[:, -size:]), OCTAVES - 1).astype(np.int64)
        known = np.isfinite(residual)
        self.minutes.add(
            rows,
            octave,
            np.abs(residual[:, -size:]) / prior(many[:, -size:]),
            known[:, -size:] & (requests[:, -size:] > 0),
        )
        weight = np.where(known, self.of(rows, requests) ** -2.0, 0.0)
        moved, total = running(counted(residual) * weight), running(weight)
        for place, width in enumerate(WINDOWS):
            sums, weights = (window(one, width, size)[:, sampled] for one in (moved, total))
            strayed = np.abs(sums) / np.sqrt(np.maximum(weights, 1e-12))
            self.windows.add(rows, place, strayed, known[:, -size:][:, sampled] & (weights > 0))

    def learn_rates(self, rows: slice, rate: Rate, usual: Flags, sampled: Flags) -> None:
        """Requests of windows that were seen and due, in those of the last minutes that are `usual` and `sampled`."""
        size = len(sampled)
        for place, width in enumerate(RATE_WINDOWS):
            seen, due = (window(one, width, size)[:, sampled] for one in (rate.seen, rate.due))
            told = usual[:, sampled] & (due > 4.0)
            self.rates.add(rows, place, np.abs(np.log((seen + 0.5) / (due + 0.5))) * RATE_SCALE, told)
            self.volume[rows, place] += np.where(told, np.log(np.maximum(due, 1.0)), 0.0).sum(axis=1)

    def adopt(self, row: int, other: int) -> None:
        """Begin with what another scope's latency taught."""
        for one in (self.minutes.counts, self.windows.counts, self.ratio, self.excess, self.freedom, self.beyond):
            one[row] = one[other]

    def at(self, rows: npt.NDArray[np.int64], requests: Floats) -> Floats:
        """Spread of a minute's log latency of chosen rows, one number of requests each."""
        return self.of(rows, requests[:, None])[:, 0]

    def of(self, rows: slice | npt.NDArray[np.int64], requests: Floats) -> Floats:
        """Spread of a minute's log latency at so many requests (rows x minutes)."""
        many = np.maximum(np.where(np.isfinite(requests), requests, 0.0), 1.0)
        octave = np.clip(np.log2(many) - 0.5, 0.0, OCTAVES - 1.001)
        low = octave.astype(np.int64)
        part, ratio = octave - low, self.ratio[rows].astype(np.float64)
        flat, begin = ratio.reshape(-1), np.arange(len(ratio))[:, None] * OCTAVES
        below, above = flat[begin + low], flat[begin + low + 1]
        return np.asarray(np.maximum(prior(many) * (below + (above - below) * part), LEAST_SPREAD))


def beyond_of(freedom: Floats) -> Floats:
    """Student's t of so many degrees of freedom beyond which lies `TAIL`."""
    from scipy.special import stdtrit  # noqa: PLC0415  a server starts without it

    return np.asarray(-stdtrit(freedom, TAIL))
