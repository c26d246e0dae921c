"""Runs the tests of one file on a store of their own.

Where it makes no difference, a rule is evaluated for all moments of a test by one range query instead of
one query a moment: when nothing it reads is written by itself or a later rule, and nothing looks at
samples of a later time. Any doubt or error falls back to evaluating moment by moment, as a server does.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from windvane.alerting.durations import duration_text
from windvane.alerting.gofloat import scientific
from windvane.alerting.group import Group
from windvane.alerting.metrics import RuleMetrics
from windvane.alerting.queries import Element, Key, key_of, vector_function
from windvane.alerting.rules import NS, Alert, AlertingRule, Context, Rule, State
from windvane.alerting.series_notation import metric_text, parse_metric, parse_values
from windvane.alerting.unit.files import AlertTest, ExpressionTest, TestFile, TestGroup
from windvane.alerting.unit.outcome import Failure, FileOutcome, GroupOutcome
from windvane.alerting.unit.store import SeriesStore
from windvane.alerting.unit.sweep import Sweep, can_sweep
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.kit.metrics import Metrics
from windvane.promql.engine import QueryEngine, QuerySettings
from windvane.promql.native import notation
from windvane.promql.native.histogram import GAUGE, UNKNOWN, Histogram
from windvane.store.api import Engine

_Firing = dict[tuple[int, str], list[Alert]]
"""The firing alerts at a step, by the step's number and the alert's name."""


def run_file(file: TestFile, engine: Engine) -> FileOutcome:
    """The outcome of every test group; the database of `engine` is emptied before each."""
    store = SeriesStore(engine)
    outcomes = []
    for test in file.tests:
        started = time.perf_counter()
        failures = _Test(file, test, store).run()
        outcomes.append(
            GroupOutcome(
                test.name, len(test.alerts) + len(test.expressions), tuple(failures), time.perf_counter() - started
            )
        )
    return FileOutcome(file.path, tuple(outcomes), file.warnings)


@dataclass(frozen=True, slots=True)
class _Steps:
    """The moments of evaluation, nanoseconds since the Unix epoch."""

    start: int
    interval: int
    count: int

    def at(self, step: int) -> int:
        return self.start + step * self.interval

    def before(self, seconds: float) -> int:
        """The last step at or before a time after the start."""
        return round(seconds * NS) // self.interval


class _Test:
    def __init__(self, file: TestFile, test: TestGroup, store: SeriesStore) -> None:
        self._file = file
        self._test = test
        self._store = store
        interval = round(file.evaluation_interval * NS)
        self._steps = _Steps(round(test.start * NS), interval, round(test.last * NS) // interval + 1)
        self._labels = [series.labels for series in test.series]
        self._owners, self._times, self._values, self._histograms = _flat(test, self._steps.start // 1_000_000)
        settings = QuerySettings(subquery_step_ms=interval // 1_000_000)
        self._queries = QueryEngine(store.engine, settings)

    def run(self) -> list[Failure]:
        """Everything that went wrong."""
        problem = self._input_problem()
        if problem:
            return [Failure(self._test.name, problem)]
        last = self._steps.at(self._steps.count - 1) // 1_000_000
        self._store.clear()
        firing: _Firing | None = None
        if can_sweep(self._file.groups):
            self._load(-1 << 62, last)
            firing = self._swept()
        if firing is None:
            self._store.clear()
            self._queries = QueryEngine(self._store.engine, self._queries.settings)
            firing, errors = self._stepped()
            if errors:
                return errors
        failures = [failure for test in self._test.alerts for failure in self._check_alerts(test, firing)]
        return [*failures, *(one for test in self._test.expressions for one in self._check_expression(test))]

    def _input_problem(self) -> str:
        seen: set[Key] = set()
        for labels in self._labels:
            if "__name__" not in labels:
                return f"a series needs a name: {metric_text(labels)}"
            if key_of(labels) in seen:
                return f"series given twice: {metric_text(labels)}"
            seen.add(key_of(labels))
        return ""

    def _load(self, after_ms: int, until_ms: int) -> None:
        """Store the input after one time and up to another."""
        due = (self._times > after_ms) & (self._times <= until_ms)
        if due.any():
            places = np.cumsum(due) - 1
            natives = {int(places[at]): one for at, one in self._histograms.items() if due[at]}
            self._store.write(self._labels, self._owners[due], self._times[due], self._values[due], natives)

    def _context(self) -> Context:
        return Context(vector_function(self._queries), self._test.external_labels, self._test.external_url)

    def _wanted(self) -> dict[int, set[str]]:
        """The alerts that are looked at, by step."""
        wanted: dict[int, set[str]] = {}
        for test in self._test.alerts:
            wanted.setdefault(self._steps.before(test.eval_time), set()).add(test.name)
        return wanted

    def _swept(self) -> _Firing | None:
        """Evaluate rule after rule, each for all steps; None when that failed."""
        firing: _Firing = {}
        wanted = self._wanted()
        sweep = Sweep(self._queries, self._store, self._steps.start, self._steps.interval, self._steps.count)

        def look(step: int, rule: Rule) -> None:
            if isinstance(rule, AlertingRule) and rule.spec.name in wanted.get(step, ()):
                firing.setdefault((step, rule.spec.name), []).extend(_firing(rule))

        try:
            sweep.run(self._file.groups, self._context(), look)
        except WindvaneError:
            return None
        return firing

    def _stepped(self) -> tuple[_Firing, list[Failure]]:
        """Evaluate as a server does, one step after the other."""
        firing: _Firing = {}
        wanted = self._wanted()
        groups = self._groups()
        loaded = -1 << 62
        for step in range(self._steps.count):
            at = self._steps.at(step)
            self._load(loaded, at // 1_000_000)
            loaded = at // 1_000_000
            for group in groups:
                group.evaluate(at)
            when = f"time: {_elapsed(step * self._steps.interval)}"
            errors = [
                Failure(f"rule: {rule.spec.name}", f"{when}, err: {rule.last_error}")
                for group in groups for rule in group.rules if rule.last_error
            ]  # fmt: skip
            if errors:
                return firing, errors
            for group in groups:
                for rule in group.alerting_rules:
                    if rule.spec.name in wanted.get(step, ()):
                        firing.setdefault((step, rule.spec.name), []).extend(_firing(rule))
        return firing, []

    def _groups(self) -> list[Group]:
        metrics = RuleMetrics(Metrics())
        return [
            Group(
                spec, interval=spec.interval or self._test.interval, query_offset=spec.query_offset or 0.0,
                writer=self._store.writer, context=self._context(), metrics=metrics,
            )
            for spec in self._file.groups
        ]  # fmt: skip

    # Checks

    def _check_alerts(self, test: AlertTest, firing: _Firing) -> Iterable[Failure]:
        found = firing.get((self._steps.before(test.eval_time), test.name), [])
        got = sorted((key_of(one.labels), key_of(_filled(one.annotations))) for one in found)
        expected = sorted((key_of(one.labels), key_of(one.annotations)) for one in test.expected)
        if got != expected:
            message = f"time: {_elapsed(round(test.eval_time * NS))}"
            yield Failure(f"alertname: {test.name}", message, _alerts_text(expected), _alerts_text(got), test.line)

    def _check_expression(self, test: ExpressionTest) -> Iterable[Failure]:
        subject, when = f'expr: "{test.expr}"', f"time: {_elapsed(round(test.eval_time * NS))}"
        try:
            time_ms = (self._steps.start + round(test.eval_time * NS)) // 1_000_000
            got = vector_function(self._queries)(test.expr, time_ms)
            expected = [_expected(one.labels, one.value, one.histogram) for one in test.expected]
        except WindvaneError as error:
            yield Failure(subject, f"{when}, err: {error.message}", line=test.line)
            return
        mine, theirs = (sorted(side, key=lambda one: key_of(one.labels)) for side in (got, expected))
        same = len(mine) == len(theirs) and all(
            left.labels == right.labels
            and _equal(left.value, right.value, self._file.fuzzy)
            and _same(left.histogram, right.histogram)
            for left, right in zip(mine, theirs, strict=True)
        )
        if not same:
            yield Failure(subject, when, _samples_text(theirs), _samples_text(mine), test.line)


def _flat(test: TestGroup, start_ms: int) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[int, Histogram]]:
    """Owners, times (milliseconds) and values of all input samples; native histograms by their place among them."""
    histograms: dict[int, Histogram] = {}
    count = 0
    owners, times, values = [np.empty(0, np.int64)], [np.empty(0, np.int64)], [np.empty(0)]
    step_ms = round(test.interval * 1000)
    for place, series in enumerate(test.series):
        some = np.flatnonzero(series.values.present)
        for at, histogram in series.values.histograms.items():
            histograms[count + int(np.searchsorted(some, at))] = histogram
        count += len(some)
        owners.append(np.full(len(some), place))
        times.append(start_ms + step_ms * some)
        values.append(series.values.values[some])
    return np.concatenate(owners), np.concatenate(times), np.concatenate(values), histograms


def _firing(rule: AlertingRule) -> list[Alert]:
    return [alert for alert in rule.active() if alert.state is State.FIRING]


def _filled(labels: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in labels.items() if value}


def _expected(labels: str, value: float, histogram: str) -> Element:
    if not histogram:
        return Element(parse_metric(labels), value)
    values = parse_values(histogram)
    if len(values) != 1 or 0 not in values.histograms:
        raise BadInputError(f"expected one histogram, got {histogram}")
    return Element(parse_metric(labels), 0.0, values.histograms[0])


def _equal(got: float, expected: float, fuzzy: bool) -> bool:
    """As Go compares floats (NaN differs from itself); `fuzzy` forgives the last bit."""
    return got == expected or (fuzzy and math.nextafter(got, expected) == expected)


def _same(got: Histogram | None, expected: Histogram | None) -> bool:
    """Whether histograms are shown alike. Whether a counter was reset is the storage's to say, not the test's."""
    if got is None or expected is None:
        return got is expected
    hint = GAUGE if expected.hint == GAUGE else UNKNOWN
    return notation.shown(got if hint == GAUGE else got.with_hint(UNKNOWN)) == notation.shown(expected.with_hint(hint))


def _alerts_text(alerts: Sequence[tuple[Key, Key]]) -> str:
    if not alerts:
        return "[]"
    lines = []
    for place, (labels, notes) in enumerate(alerts):
        lines.append(f"{place}:")
        lines.append(f"  Labels:{metric_text(dict(labels))}")
        lines.append(f"  Annotations:{metric_text(dict(notes))}")
    return "\n".join(lines)


def _samples_text(samples: Sequence[Element]) -> str:
    return "\n".join(f"{metric_text(one.labels)} {_value_text(one)}" for one in samples) or "nil"


def _value_text(one: Element) -> str:
    return scientific(one.value).upper() if one.histogram is None else notation.shown(one.histogram)


def _elapsed(ns: int) -> str:
    return duration_text(ns / NS)
