"""Functions of range vectors over native histograms.

Kernels have computed each function of the float samples; for series that have histograms this puts
right what windows with histograms give: another histogram, a number, or nothing. Which sample is in
which window is found for all steps at once, and resets between neighbours once a series.
Texts of annotations are Prometheus's (util/annotations).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from windvane.promql.native import arithmetic, resets, totals
from windvane.promql.native.arithmetic import MixedSchemasError
from windvane.promql.native.histogram import CUSTOM, GAUGE, NO_RESET, RESET, Histogram
from windvane.promql.syntax import METRIC_NAME
from windvane.promql.value import Floats, Grid, Mask, Notes, Samples, Times


class Reports:
    """A function's annotations, in Prometheus's words, each placed at its argument."""

    def __init__(self, notes: Notes, place: str) -> None:
        self._notes, self._place = notes, place

    def warn(self, text: str) -> None:
        """A warning."""
        self._notes.warn(f"{text} {self._place}")

    def inform(self, text: str) -> None:
        """An info."""
        self._notes.inform(f"{text} {self._place}")

    def mixed_types(self, metric: str) -> None:
        self.warn(f'encountered a mix of histograms and floats for metric name "{metric}"')

    def mixed_schemas(self, metric: str) -> None:
        self.warn(
            "vector contains a mix of histograms with exponential and custom buckets schemas "
            f'for metric name "{metric}"'
        )

    def not_a_counter(self, metric: str) -> None:
        self.warn(f'this native histogram metric is not a counter: "{metric}"')

    def not_a_gauge(self, metric: str) -> None:
        self.warn(f'this native histogram metric is not a gauge: "{metric}"')

    def ignored_in_range(self, metric: str) -> None:
        self.inform(f'ignored histograms in a range containing both floats and histograms for metric name "{metric}"')

    def ignored_in_aggregation(self, operation: str) -> None:
        self.inform(f"ignored histogram in {operation} aggregation")

    def bounds_reconciled(self, operation: str) -> None:
        self.inform(f"mismatched custom buckets were reconciled during {operation}")

    def hints_collide(self, operation: str) -> None:
        self.warn(f"conflicting counter resets during histogram {operation}")


@dataclass
class Series:
    """One series: its histograms, its floats, and at which of them each step's window begins and ends."""

    metric: str
    times: Times
    histograms: list[Histogram]
    low: Times
    high: Times
    float_times: Times
    float_values: Floats
    float_low: Times
    float_high: Times
    ends: Times
    span: int

    @cached_property
    def schemas(self) -> Times:
        return np.array([one.schema for one in self.histograms], np.int64)

    @cached_property
    def hints(self) -> Times:
        return np.array([one.hint for one in self.histograms], np.int64)

    @cached_property
    def resets(self) -> Mask:
        """Whether each histogram follows a reset; never the first."""
        return resets.resets(self.histograms)

    def counts(self) -> tuple[Times, Times]:
        """Histograms and floats in each window."""
        return self.high - self.low, self.float_high - self.float_low

    def merged_changes(self, histograms_differ: Mask, floats_differ: Mask) -> Times:
        """In each window how many samples differ from the one before, kinds mixed; masks are for one kind each."""
        times = np.concatenate([self.times, self.float_times])
        native = np.arange(len(times)) < len(self.times)
        differ = np.concatenate([histograms_differ, floats_differ])
        order = np.argsort(times, kind="stable")
        times, native, differ = times[order], native[order], differ[order]
        other_kind = np.zeros(len(times), np.bool_)
        other_kind[1:] = native[1:] != native[:-1]
        sums = np.concatenate([np.zeros(1, np.int64), np.cumsum(other_kind | differ)])
        low = np.searchsorted(times, self.ends - self.span, "right")
        high = np.searchsorted(times, self.ends, "right")
        return np.where(high > low, sums[high] - sums[np.minimum(low + 1, len(times))], 0)


@dataclass(slots=True)
class Row:
    """What a function gives for one series at every step; floats as the kernel computed them."""

    values: Floats
    present: Mask
    native: Grid

    def drop(self, where: Mask) -> None:
        """No result at these steps."""
        self.present[where] = False

    def put(self, step: int, histogram: Histogram) -> None:
        """A histogram as the result of a step."""
        self.native[step] = histogram
        self.present[step] = True


def overlay(
    function: str, samples: Samples, windows: tuple[Times, int], computed: tuple[Floats, Mask], reports: Reports
) -> Grid | None:
    """Put what windows with native histograms give into a function's result (values, presence); its histograms.

    `windows` are their ends and the span that each reaches back.
    """
    native = samples.native
    if native is None:
        return None
    (ends, span), (values, present) = windows, computed
    grid = np.full(present.shape, None, object)
    names = samples.labels.values(METRIC_NAME)
    change = _FUNCTIONS[function]
    for row in np.flatnonzero(np.diff(native.offsets)).tolist():
        part = slice(int(samples.offsets[row]), int(samples.offsets[row + 1]))
        times, floats = native.times_of(row), samples.times[part]
        series = Series(
            names[row],
            times,
            native.histograms_of(row).tolist(),
            np.searchsorted(times, ends - span, "right"),
            np.searchsorted(times, ends, "right"),
            floats,
            samples.values[part],
            np.searchsorted(floats, ends - span, "right"),
            np.searchsorted(floats, ends, "right"),
            ends,
            span,
        )
        change(function, series, Row(values[row], present[row], grid[row]), reports)
    return grid


def _only_native(series: Series, row: Row, reports: Reports, least: int) -> Iterable[int]:
    """Steps whose windows have `least` histograms and no float; a window of both kinds has no result."""
    natives, floats = series.counts()
    mixed = (natives > 0) & (floats > 0)
    if mixed.any():
        reports.mixed_types(series.metric)
        row.drop(mixed)
    steps: list[int] = np.flatnonzero((natives >= least) & (floats == 0)).tolist()
    return steps


# rate, increase, delta


def _extrapolated(function: str, series: Series, row: Row, reports: Reports) -> None:
    counter = function != "delta"
    low, high = series.low.tolist(), series.high.tolist()
    for step in _only_native(series, row, reports, 2):
        change = _change(series, low[step], high[step], counter, reports)
        if change is not None:
            first = series.histograms[low[step]].count
            factor = _factor(series, step, first if counter and change.count > 0 and first >= 0 else None, change.count)
            row.put(step, change.scaled(factor / (series.span / 1000) if function == "rate" else factor))


def _change(series: Series, low: int, high: int, counter: bool, reports: Reports) -> Histogram | None:
    """From the first to the last histogram of a window; for counters what went before each reset is added."""
    histograms, hints = series.histograms, series.hints[low:high]
    first, last = histograms[low], histograms[high - 1]
    gauges = counter and bool((hints == GAUGE).any())
    restarted = counter and bool(series.resets[low + 1])
    if restarted:  # what the first one looks like does not matter
        second = histograms[low + 1]
        first = Histogram(schema=second.schema, custom_bounds=second.custom_bounds)
    schemas = series.schemas[low + 1 : high] if counter else series.schemas[high - 1 : high]
    if ((schemas == CUSTOM) != first.is_custom).any():
        if gauges and last.is_custom != first.is_custom and GAUGE in (hints[0], hints[-1]):
            reports.not_a_counter(series.metric)
        reports.mixed_schemas(series.metric)
        return None
    last = arithmetic.with_schema(last, min(int(schemas.min()), first.schema))
    try:
        joined = arithmetic.subtract(last, first)
        change = joined.value
        if joined.bounds_reconciled:
            reports.bounds_reconciled("subtraction")
        for place in (np.flatnonzero(series.resets[low + 1 : high]) + low).tolist() if counter else ():
            joined = arithmetic.add(change, first if place == low else histograms[place])
            change = joined.value
            if joined.bounds_reconciled:
                reports.bounds_reconciled("addition")
    except MixedSchemasError:
        reports.mixed_schemas(series.metric)
        return None
    if gauges:
        reports.not_a_counter(series.metric)
    if not counter and (hints[0] != GAUGE or hints[-1] != GAUGE):
        reports.not_a_gauge(series.metric)
    return change.with_hint(GAUGE).compacted()


def _factor(series: Series, step: int, first: float | None, change: float) -> float:
    """By how much a change grows when carried towards the window's bounds, but for a counter not below zero.

    `first` is the count that a counter starts with.
    """
    low, high, end = int(series.low[step]), int(series.high[step]), int(series.ends[step])
    oldest, newest = int(series.times[low]), int(series.times[high - 1])
    to_start, to_end = (oldest - (end - series.span)) / 1000, (end - newest) / 1000
    sampled = (newest - oldest) / 1000
    average = sampled / (high - low - 1)
    threshold = average * 1.1
    if to_start >= threshold:
        to_start = average / 2
    if first is not None:
        to_start = min(to_start, sampled * (first / change))
    if to_end >= threshold:
        to_end = average / 2
    return (sampled + to_start + to_end) / sampled


# irate, idelta


def _instant(function: str, series: Series, row: Row, reports: Reports) -> None:
    natives, floats = series.counts()
    for step in np.flatnonzero((natives > 0) & (natives + floats >= 2)).tolist():
        kinds = _last_two(series, step)
        if kinds == (False, False):
            continue
        row.present[step] = False
        if kinds == (True, True):
            change = _instant_change(series, int(series.high[step]) - 1, function == "irate", reports)
            if change is not None:
                row.put(step, change)
        else:
            reports.mixed_types(series.metric)


def _last_two(series: Series, step: int) -> tuple[bool, bool]:
    """Whether the last and the last but one sample of a window are histograms."""
    natives = [(time, True) for time in series.times[series.low[step] : series.high[step]][-2:].tolist()]
    floats = [
        (time, False) for time in series.float_times[series.float_low[step] : series.float_high[step]][-2:].tolist()
    ]
    (_, before), (_, last) = sorted(natives + floats)[-2:]
    return last, before


def _instant_change(series: Series, last: int, rate: bool, reports: Reports) -> Histogram | None:
    current, previous = series.histograms[last], series.histograms[last - 1]
    gauges = [one.hint == GAUGE for one in (current, previous)]
    if rate and any(gauges):
        reports.not_a_counter(series.metric)
    if not rate and not all(gauges):
        reports.not_a_gauge(series.metric)
    if not rate or not series.resets[last]:
        try:
            joined = arithmetic.subtract(current, previous)
        except MixedSchemasError:
            reports.mixed_schemas(series.metric)
            return None
        current = joined.value
        if joined.bounds_reconciled:
            reports.bounds_reconciled("subtraction")
    change = current.with_hint(GAUGE).compacted()
    return change.divided(int(series.times[last] - series.times[last - 1]) / 1000) if rate else change


# *_over_time


def _aggregated(function: str, series: Series, row: Row, reports: Reports) -> None:
    for step in _only_native(series, row, reports, 1):
        part = slice(int(series.low[step]), int(series.high[step]))
        histograms, hints = series.histograms[part], series.hints[part]
        try:
            combine = totals.average if function == "avg_over_time" else totals.total
            result, reconciled = combine(histograms)
        except MixedSchemasError:
            reports.mixed_schemas(series.metric)
            continue
        if (hints == RESET).any() and (hints == NO_RESET).any():
            reports.hints_collide("aggregation")
        if reconciled:
            reports.bounds_reconciled("aggregation")
        row.put(step, result)


def _counted(function: str, series: Series, row: Row, _: Reports) -> None:
    natives, floats = series.counts()
    row.values[:] = natives + floats if function == "count_over_time" else 1.0
    row.present[:] = natives + floats > 0


def _edge(function: str, series: Series, row: Row, _: Reports) -> None:
    """The first or last sample of a window, or its time."""
    first = function.endswith("first_over_time")
    natives, floats = series.counts()
    own = series.times[np.minimum(series.low if first else series.high - 1, len(series.times) - 1)]
    wins = natives > 0
    if len(series.float_times):
        other = series.float_times[
            np.minimum(series.float_low if first else series.float_high - 1, len(series.float_times) - 1)
        ]
        wins &= (floats == 0) | ((own <= other) if first else (own >= other))
    row.present[:] = natives + floats > 0
    if function.startswith("ts_"):
        row.values[wins] = own[wins] / 1000
        return
    for step in np.flatnonzero(wins).tolist():
        row.put(step, series.histograms[int(series.low[step] if first else series.high[step] - 1)])


def _compared(function: str, series: Series, row: Row, _: Reports) -> None:
    """changes and resets: neighbours of unlike kind always count."""
    floats = series.float_values
    differ = np.zeros(len(floats), np.bool_)
    if function == "resets":
        natives = series.resets
        differ[1:] = floats[1:] < floats[:-1]
    else:
        natives = np.array(
            [
                False,
                *(not one.same_as(other) for one, other in zip(series.histograms[1:], series.histograms, strict=False)),
            ]
        )
        differ[1:] = (floats[1:] != floats[:-1]) & ~(np.isnan(floats[1:]) & np.isnan(floats[:-1]))
    row.values[:] = series.merged_changes(natives, differ)
    native_count, float_count = series.counts()
    row.present[:] = native_count + float_count > 0


def _floats_only(_: str, series: Series, __: Row, reports: Reports) -> None:
    natives, floats = series.counts()
    if ((natives > 0) & (floats > 0)).any():
        reports.ignored_in_range(series.metric)


_FUNCTIONS: dict[str, Callable[[str, Series, Row, Reports], None]] = {
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
