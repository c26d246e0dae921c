"""Functions of range vectors over native histograms.

Kernels have computed each function of the float samples; for series that have histograms this puts
right what windows with histograms give: another histogram, a number, or nothing. All windows of all
series are looked at at once (`kernels`); the few whose histograms have unlike layouts go through
objects (`series`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from windvane.promql.native import kernels, totals
from windvane.promql.native.arithmetic import MixedSchemasError
from windvane.promql.native.bulk import found_resets, histograms_of
from windvane.promql.native.columns import Columns, Grid
from windvane.promql.native.histogram import GAUGE, NO_RESET, RESET, Histogram
from windvane.promql.native.reports import Reports
from windvane.promql.native.series import Series, extrapolated, instant_change, last_two
from windvane.promql.syntax import METRIC_NAME
from windvane.promql.value import Floats, Mask, NativeSamples, Sampled, Times


@dataclass
class Windows:
    """Histograms and floats of all series, and which of them each step's window has; matrices of (series x steps)."""

    samples: Sampled
    native: NativeSamples
    ends: Times
    span: int

    @cached_property
    def names(self) -> list[str]:
        """The metric of each series."""
        return self.samples.labels.values(METRIC_NAME)

    @cached_property
    def bounds(self) -> tuple[Times, Times]:
        """The histograms low to high of each window."""
        return kernels.windows(self.native.offsets, self.native.times, self.ends, self.span)

    @cached_property
    def float_bounds(self) -> tuple[Times, Times]:
        """The floats low to high of each window."""
        return kernels.windows(self.samples.offsets, self.samples.times, self.ends, self.span)

    @cached_property
    def counts(self) -> tuple[Times, Times]:
        """Histograms and floats in each window."""
        return self.bounds[1] - self.bounds[0], self.float_bounds[1] - self.float_bounds[0]

    @property
    def columns(self) -> Columns:
        """All histograms."""
        return self.native.histograms.histograms.columns

    @property
    def numbers(self) -> Times:
        """The histograms in series order, by number."""
        return self.native.histograms.index

    @cached_property
    def resets(self) -> Mask:
        """Which histograms follow a reset."""
        return found_resets(self.native)

    def with_histograms(self) -> Mask:
        """The series that have any."""
        return np.asarray(np.diff(self.native.offsets) > 0)

    def series(self, row: int) -> Series:
        """One series, as objects."""
        a, b = int(self.native.offsets[row]), int(self.native.offsets[row + 1])
        c, d = int(self.samples.offsets[row]), int(self.samples.offsets[row + 1])
        return Series(
            self.names[row], self.native.times[a:b], self.native.histograms[a:b].tolist(),
            self.bounds[0][row] - a, self.bounds[1][row] - a, self.samples.times[c:d], self.samples.values[c:d],
            self.float_bounds[0][row] - c, self.float_bounds[1][row] - c, self.ends, self.span,
        )  # fmt: skip


@dataclass
class Result:
    """What a function gives for every window; floats as the kernel computed them."""

    values: Floats
    present: Mask
    native: Grid

    def put(self, patches: dict[tuple[int, ...], Histogram]) -> None:
        """Histograms as the results of some windows."""
        self.native = self.native.patched(patches)
        for place in patches:
            self.present[place] = True


def overlay(
    function: str, samples: Sampled, windows: tuple[Times, int], computed: tuple[Floats, Mask], reports: Reports
) -> Grid | None:
    """Put what windows with native histograms give into a function's result (values, presence); its histograms.

    `windows` are their ends and the span that each reaches back.
    """
    native = samples.native
    if native is None:
        return None
    result = Result(*computed, Grid.empty(computed[1].shape))
    _FUNCTIONS[function](function, Windows(samples, native, *windows), result, reports)
    return result.native


def _only_native(windows: Windows, result: Result, reports: Reports, least: int) -> Mask:
    """Windows that have `least` histograms and no float; a window of both kinds has no result."""
    natives, floats = windows.counts
    mixed = (natives > 0) & (floats > 0)
    for row in np.flatnonzero(mixed.any(axis=1)).tolist():
        reports.mixed_types(windows.names[row])
    result.present[mixed] = False
    return np.asarray((natives >= least) & (floats == 0))


def _left(windows: Windows, status: np.ndarray) -> Iterator[tuple[int, Series, int]]:
    """The windows that kernels left: row, series, step."""
    for row in np.flatnonzero((status == kernels.OTHERWISE).any(axis=1)).tolist():
        series = windows.series(row)
        for step in np.flatnonzero(status[row] == kernels.OTHERWISE).tolist():
            yield row, series, step


# rate, increase, delta


def _extrapolated(function: str, windows: Windows, result: Result, reports: Reports) -> None:
    which = _only_native(windows, result, reports, 2)
    mode = kernels.RATE if function == "rate" else kernels.INCREASE
    status = _changed(windows, result, reports, windows.bounds[0], (which, function != "delta", mode))
    patches: dict[tuple[int, ...], Histogram] = {}
    for row, series, step in _left(windows, status):
        change = extrapolated(function, series, step, reports)
        if change is not None:
            patches[row, step] = change
    result.put(patches)


def _changed(windows: Windows, result: Result, reports: Reports, low: Times, how: tuple[Mask, bool, int]) -> np.ndarray:
    """The change from sample `low` to the last of each window, put into the result; every window's status.

    `how` is which windows, whether of a counter, and the kernel's mode.
    """
    native, (which, counter, mode) = windows.native, how
    resets = windows.resets if counter else np.zeros(len(native.times), np.bool_)
    status, notes, *rows = kernels.change(
        windows.columns, windows.numbers, native.times, native.offsets, low, windows.bounds[1], which, resets,
        windows.ends, windows.span, counter, mode,
    )  # fmt: skip
    wrong = notes & (kernels.IS_GAUGE if counter else kernels.NOT_GAUGE) != 0
    for row in np.flatnonzero(wrong.any(axis=1)).tolist():
        (reports.not_a_counter if counter else reports.not_a_gauge)(windows.names[row])
    done = status == kernels.DONE
    hints = np.full(len(rows[0]), GAUGE, np.int32)
    result.native = result.native.filled(done, histograms_of(native.histograms.histograms, hints, *rows))
    result.present |= done
    return np.asarray(status)


# irate, idelta


def _instant(function: str, windows: Windows, result: Result, reports: Reports) -> None:
    natives, floats = windows.counts
    rate, high = function == "irate", windows.bounds[1]
    mode = kernels.SECOND if rate else kernels.PLAIN
    which = np.asarray((natives >= 2) & (floats == 0))
    status = _changed(windows, result, reports, high - 2, (which, rate, mode))
    status[(natives > 0) & (floats > 0)] = kernels.OTHERWISE
    patches: dict[tuple[int, ...], Histogram] = {}
    for row, series, step in _left(windows, status):
        kinds = last_two(series, step)
        if kinds == (False, False):
            continue
        result.present[row, step] = False
        change = None
        if kinds == (True, True):
            change = instant_change(series, int(series.high[step]) - 1, rate, reports)
        else:
            reports.mixed_types(series.metric)
        if change is not None:
            patches[row, step] = change
    result.put(patches)


# *_over_time


def _aggregated(function: str, windows: Windows, result: Result, reports: Reports) -> None:
    which = _only_native(windows, result, reports, 1)
    numbers, starts = kernels.members(*windows.bounds, which, windows.numbers)
    sets = np.concatenate([np.zeros(1, np.int64), np.cumsum(which.sum(axis=1))])
    mean = function == "avg_over_time"
    cells, hints, notes, *rows = kernels.summed(windows.columns, numbers, starts, sets, mean, False)
    if notes[cells == kernels.DONE].any():
        reports.hints_collide("aggregation")
    status = np.zeros(which.shape, np.int8)
    status[which] = cells
    done = status == kernels.DONE
    own = windows.native.histograms.histograms
    result.native = result.native.filled(done, histograms_of(own, hints[cells == kernels.DONE], *rows))
    result.present |= done
    result.put(dict(_aggregated_otherwise(mean, windows, status, reports)))


def _aggregated_otherwise(
    mean: bool, windows: Windows, status: np.ndarray, reports: Reports
) -> Iterator[tuple[tuple[int, ...], Histogram]]:
    """Sums or means of the windows that the kernel left."""
    for row, series, step in _left(windows, status):
        part = slice(int(series.low[step]), int(series.high[step]))
        histograms, hints = series.histograms[part], series.hints[part]
        try:
            one, reconciled = (totals.average if mean else totals.total)(histograms)
        except MixedSchemasError:
            reports.mixed_schemas(series.metric)
            continue
        if (hints == RESET).any() and (hints == NO_RESET).any():
            reports.hints_collide("aggregation")
        if reconciled:
            reports.bounds_reconciled("aggregation")
        yield (row, step), one


def _counted(function: str, windows: Windows, result: Result, _: Reports) -> None:
    every, rows = windows.counts[0] + windows.counts[1], windows.with_histograms()
    result.values[rows] = every[rows] if function == "count_over_time" else 1.0
    result.present[rows] = every[rows] > 0


def _edge(function: str, windows: Windows, result: Result, _: Reports) -> None:
    """The first or last sample of a window, or its time."""
    first = function.endswith("first_over_time")
    natives, floats = windows.counts
    own = _at(windows.bounds, first, len(windows.native.times))
    times = windows.native.times[own]
    wins = natives > 0
    if len(windows.samples.times):
        other = windows.samples.times[_at(windows.float_bounds, first, len(windows.samples.times))]
        wins &= (floats == 0) | ((times <= other) if first else (times >= other))
    rows = windows.with_histograms()
    result.present[rows] = (natives + floats > 0)[rows]
    if function.startswith("ts_"):
        result.values[wins] = times[wins] / 1000
    else:
        result.native = Grid(np.where(wins, windows.numbers[own], -1), windows.native.histograms.histograms)


def _at(bounds: tuple[Times, Times], first: bool, count: int) -> Times:
    """The first or last sample of windows, some sample where there is none."""
    return np.clip(bounds[0] if first else bounds[1] - 1, 0, count - 1)


def _compared(function: str, windows: Windows, result: Result, _: Reports) -> None:
    """changes and resets: neighbours of unlike kind always count."""
    offsets = windows.native.offsets
    for row in np.flatnonzero(windows.with_histograms()).tolist():
        series = windows.series(row)
        floats = series.float_values
        differ = np.zeros(len(floats), np.bool_)
        if function == "resets":
            natives = windows.resets[int(offsets[row]) : int(offsets[row + 1])]
            differ[1:] = floats[1:] < floats[:-1]
        else:
            pairs = zip(series.histograms[1:], series.histograms, strict=False)
            natives = np.array([False, *(not one.same_as(other) for one, other in pairs)])
            differ[1:] = (floats[1:] != floats[:-1]) & ~(np.isnan(floats[1:]) & np.isnan(floats[:-1]))
        result.values[row] = series.merged_changes(natives, differ)
        native_count, float_count = series.counts()
        result.present[row] = native_count + float_count > 0


def _floats_only(_: str, windows: Windows, __: Result, reports: Reports) -> None:
    natives, floats = windows.counts
    for row in np.flatnonzero(((natives > 0) & (floats > 0)).any(axis=1)).tolist():
        reports.ignored_in_range(windows.names[row])


_FUNCTIONS: dict[str, Callable[[str, Windows, Result, Reports], None]] = {
    **dict.fromkeys(("rate", "increase", "delta"), _extrapolated),
    **dict.fromkeys(("irate", "idelta"), _instant),
    **dict.fromkeys(("sum_over_time", "avg_over_time"), _aggregated),
    **dict.fromkeys(("count_over_time", "present_over_time"), _counted),
    **dict.fromkeys(
        ("first_over_time", "last_over_time", "ts_of_first_over_time", "ts_of_last_over_time"), _edge
    ),
    **dict.fromkeys(("changes", "resets"), _compared),
    **dict.fromkeys(
        (
            "min_over_time", "max_over_time", "stddev_over_time", "stdvar_over_time", "ts_of_min_over_time",
            "ts_of_max_over_time", "mad_over_time", "quantile_over_time", "deriv", "predict_linear",
            "double_exponential_smoothing",
        ),
        _floats_only,
    ),
}  # fmt: skip
