"""Anomalies of any single series, of which nothing is known but its past.

Four ways to be odd are scored: far from all that was, far from the same time of other days, in a shape that never was
(the nearest neighbour of the last values), and sudden (the spectrum's residual). A score becomes a surprise, the rank
it has among its own past scores, so that scores of unlike series and ways can be averaged and one threshold suits all.
An alert is given once, where the surprise exceeds all of the last hours: one page an incident. Series that alert often
must be odder for the next.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import numpy.typing as npt

from windvane.analytics.detect_kernels import fading, lagging_median, records, same_time_median, surprise, tired
from windvane.analytics.seasonal import DAY, Flags, Floats

Way = Literal["level", "season", "shape", "sudden"]
WAYS: tuple[Way, ...] = ("level", "season", "shape", "sudden")
WEIGHTS: Mapping[Way, float] = {"level": 0.7, "season": 0.3, "shape": 1.0, "sudden": 1.0}
"""Distances from a level share one vote with a season, since they tell much the same; shapes and suddenness have
one each. Chosen among a few mixes by the labelled series named in `docs/reference/anomalies.md`."""
THRESHOLD = 1.85
"""Mean surprise of an alert: in every way together, about the oddest of seventy. Between 1.8 and 2 the labelled series
of `docs/reference/anomalies.md` tell no difference beyond their noise."""
RANK = 0.2
"""Share of the mean surprise's own rank in the verdict: series that are odd often must be odder."""
CHANCES = 0.1
"""What a surprise loses for each tenfold of points within `ONCE`: the finer the step, the more chances to be odd."""
WEARY, WEARY_DAYS = 0.2, 14
"""What a surprise loses for each tenfold of alerts of late, and after how many days an alert counts half."""
ONCE = 12 * 3_600
"""Seconds that an alert must exceed; and points, where these are few."""
ONCE_POINTS = 12
KEEP = 0.9
"""What is left of a score a point later: incidents last longer than their oddest moment."""
SETTLE = 100
"""Points (or a day) whose scores are forgotten when as many more are known: everything was new then."""
WARM = 150
"""Points before which shapes are not compared."""
SHAPE = 12
NEIGHBOURS = 4_000
"""Past shapes that are searched: the newest."""
SPECTRUM = 64
BELOW = 0.499
"""The highest score of what is no alert."""
FULL = 6.0
"""The surprise that counts as 1: the oddest of a million."""


@dataclass(frozen=True, slots=True)
class Detected:
    """Of every point: `score` (0 to 1; alerts are at one half and above), and is it an alert.

    `ways` has its surprise in each way (2: the oddest of a hundred), `expected` the values from which it is far, in
    the ways that have one (NaN where none is known yet).
    """

    score: Floats
    alert: Flags
    ways: Mapping[Way, Floats]
    expected: Mapping[Way, Floats]

    def only(self, part: Flags) -> Detected:
        """The same, with alerts at these points alone; elsewhere the score is just below one."""
        alert = self.alert & part
        return replace(self, alert=alert, score=np.where(alert, self.score, np.minimum(self.score, BELOW)))


def detect(times: npt.NDArray[np.int64], values: Floats) -> Detected:
    """Judge each point by those before it. Times in Unix seconds, about regular; NaN repeats the last value."""
    size = len(values)
    if size < 2:
        nothing = dict.fromkeys(WAYS, np.zeros(size))
        return Detected(np.zeros(size), np.zeros(size, bool), nothing, {})
    step = float(np.median(np.diff(times)))
    series = _filled(np.asarray(values, float))
    day = round(DAY / step) if 0 < step <= DAY / 4 else 0
    usual, moment, seasonal = _level(series), _moment(series, day), _season(series, day)
    settle = day or SETTLE
    far = surprise(_scaled(series - moment, max(50, 2 * day or 200)), settle)
    ways: dict[Way, Floats] = {
        "level": surprise(_scaled(series - usual, size), settle),
        "season": surprise(_scaled(series - seasonal, max(50, 2 * day) if day else 200), settle),
        "shape": surprise(_shape(series), settle),
        "sudden": surprise(_sudden(series), settle),
    }
    mixed = np.asarray(sum(weight * ways[way] for way, weight in WEIGHTS.items()) / sum(WEIGHTS.values()))
    first = _first((1 - RANK) * mixed + RANK * surprise(mixed, settle), step)
    alert = first >= THRESHOLD
    lasting = (ways["level"] + ways["season"] + ways["shape"] + far) / 4
    base = np.minimum(fading(lasting, KEEP) / FULL, 1.0) * BELOW
    score = np.where(alert, 0.5 + 0.5 * np.minimum(first / FULL, 1.0), base)
    return Detected(score, alert, ways, {"level": usual, "season": seasonal, "sudden": moment})


def _first(odd: Floats, step: float) -> Floats:
    """What counts towards an alert: a surprise that exceeds those of the last hours, the less the more points those
    have and the more alerts there were of late; nought elsewhere."""
    width = max(ONCE_POINTS, round(ONCE / step)) if step > 0 else ONCE_POINTS
    record = records(odd, width)
    chance = np.where(record > 0, record - CHANCES * np.log10(width / ONCE_POINTS), 0.0)
    keep = 0.5 ** (max(step, 1.0) / (WEARY_DAYS * DAY))
    return np.asarray(tired(chance, THRESHOLD, WEARY, keep))


def warm() -> None:
    """Compile the loops now."""
    detect(60 * np.arange(WARM + SHAPE), np.zeros(WARM + SHAPE))


def _filled(values: Floats) -> Floats:
    known = np.isfinite(values)
    place = np.maximum.accumulate(np.where(known, np.arange(len(values)), 0))
    return np.nan_to_num(values[place])


def _scaled(residual: Floats, width: int) -> Floats:
    """Absolute residuals in units of their usual size: the median before, but a tenth of the mean before at least."""
    size = np.abs(np.nan_to_num(residual))
    mean = np.concatenate([[0.0], (np.cumsum(size) / np.arange(1, len(size) + 1))[:-1]])
    usual = np.maximum(np.nan_to_num(lagging_median(size, width, 20)) * 1.4826, 0.1 * mean)
    return np.where(usual > 0, size / np.where(usual > 0, usual, 1.0), 0.0)


def _level(series: Floats) -> Floats:
    """The median of all that was."""
    return np.asarray(lagging_median(series, len(series), 10))


def _moment(series: Floats, day: int) -> Floats:
    """The median of the last hours, of a day at most."""
    return np.asarray(lagging_median(series, min(max(24, day or 100), 288), 10))


def _season(series: Floats, day: int) -> Floats:
    """The same time of a week's days, at the level of the last half day; before that, the median of the last hours."""
    moment = _moment(series, day)
    if not day:
        return moment
    usual = same_time_median(series, day, 7, 2)
    residual = series - usual
    begun = np.isfinite(residual)
    level = np.zeros(len(series))
    level[begun] = np.nan_to_num(lagging_median(residual[begun], max(12, day // 2), 5))
    return np.where(begun, usual + level, moment)


def _shape(series: Floats) -> Floats:
    """How far the last values are from the most similar run of values before them."""
    from scipy.spatial import cKDTree  # noqa: PLC0415  a server starts without it

    size = len(series)
    found = np.zeros(size)
    if size <= WARM:
        return found
    shapes = np.lib.stride_tricks.sliding_window_view(series, SHAPE)
    at = WARM
    while at < size:  # the past is indexed anew as it grows by an eighth
        end, newest = min(size, at + max(200, at // 8)), at - SHAPE + 1
        tree = cKDTree(shapes[max(0, newest - NEIGHBOURS) : newest])
        found[at:end] = tree.query(shapes[newest : end - SHAPE + 1])[0]
        at = end
    return found


def _sudden(series: Floats) -> Floats:
    """The spectral residual (Ren et al., KDD 2019) at the end of a window, over its mean before."""
    size = len(series)
    found = np.zeros(size)
    if size < SPECTRUM:
        return found
    windows = np.lib.stride_tricks.sliding_window_view(series, SPECTRUM)
    for begin in range(0, len(windows), 2_000):
        part = windows[begin : begin + 2_000]
        ahead = (
            part[:, -2] + (part[:, -2] - part[:, -6]) / 4
        )  # values that continue the line, so that the end is inside
        long = np.concatenate([part, np.repeat(ahead[:, None], 5, axis=1)], axis=1)
        spectrum = np.fft.rfft(long, axis=1)
        size_of = np.abs(spectrum) + 1e-9
        logs = np.pad(np.log(size_of), ((0, 0), (1, 1)))
        usual = (logs[:, :-2] + logs[:, 1:-1] + logs[:, 2:]) / 3
        salient = np.abs(np.fft.irfft(np.exp(logs[:, 1:-1] - usual) * spectrum / size_of, n=SPECTRUM + 5, axis=1))
        before = salient[:, SPECTRUM - 22 : SPECTRUM - 1].mean(axis=1)
        place = begin + SPECTRUM - 1
        found[place : place + len(part)] = (salient[:, SPECTRUM - 1] - before) / (before + 1e-9)
    return np.maximum(found, 0.0)
