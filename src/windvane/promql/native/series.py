"""Windows of one series, histogram by histogram: what the kernels leave to objects.

That are windows whose histograms differ in resolution, zero bucket or custom bounds, and those that end with
a float before or after a histogram.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from windvane.promql.native import arithmetic, resets
from windvane.promql.native.arithmetic import MixedSchemasError
from windvane.promql.native.histogram import CUSTOM, GAUGE, Histogram
from windvane.promql.native.reports import Reports
from windvane.promql.value import Floats, Mask, Times


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


# rate, increase, delta


def extrapolated(function: str, series: Series, step: int, reports: Reports) -> Histogram | None:
    """rate, increase or delta of one window; None where custom and standard buckets are mixed."""
    counter, low = function != "delta", int(series.low[step])
    change = _change(series, low, int(series.high[step]), counter, reports)
    if change is None:
        return None
    first = series.histograms[low].count
    factor = _factor(series, step, first if counter and change.count > 0 and first >= 0 else None, change.count)
    return change.scaled(factor / (series.span / 1000) if function == "rate" else factor)


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


def last_two(series: Series, step: int) -> tuple[bool, bool]:
    """Whether the last and the last but one sample of a window are histograms."""
    natives = [(time, True) for time in series.times[series.low[step] : series.high[step]][-2:].tolist()]
    floats = [
        (time, False) for time in series.float_times[series.float_low[step] : series.float_high[step]][-2:].tolist()
    ]
    (_, before), (_, last) = sorted(natives + floats)[-2:]
    return last, before


def instant_change(series: Series, last: int, rate: bool, reports: Reports) -> Histogram | None:
    """What the sample `last` has more than the one before; for `rate` a second, and after a reset all of it."""
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
