"""A group of rules: evaluated one after the other at aligned times, their results written.

What a rule writes is stored before a later rule of the group reads it, and at the latest at the end
of the evaluation: one INSERT serves all rules that do not depend on each other. A series that a rule
gave the last time and gives no more ends with a staleness marker.
"""

from __future__ import annotations

import hashlib
import logging
import time
from dataclasses import dataclass, field

import numpy as np

from windvane.alerting.files import GroupSpec
from windvane.alerting.metrics import RuleMetrics
from windvane.alerting.queries import Element, Key, LabelSet, key_of
from windvane.alerting.rules import NS, Alert, AlertingRule, Context, Moment, Rule, make
from windvane.kit.errors import WindvaneError
from windvane.store.metric_facts import write_histograms
from windvane.store.series import STALE, SampleWriter

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Output:
    """What a rule gave that is not stored yet."""

    place: int
    samples: list[Element]
    ended: list[LabelSet]


@dataclass(slots=True)
class _Pending:
    outputs: list[_Output] = field(default_factory=list)
    names: set[str] = field(default_factory=set)


class Group:
    """One group with its state. `evaluate` blocks; one call at a time."""

    def __init__(
        self,
        spec: GroupSpec,
        *,
        interval: float,
        query_offset: float,
        writer: SampleWriter,
        context: Context,
        metrics: RuleMetrics,
        restored: bool = True,
    ) -> None:
        self.spec = spec
        self.interval = round(interval * NS)
        self._offset = round(query_offset * NS)
        self._writer = writer
        self.context = context
        self._metrics = metrics
        self.rules: list[Rule] = [make(rule, restored=restored) for rule in spec.rules]
        self._previous: list[dict[Key, LabelSet]] = [{} for _ in self.rules]
        self._ended: list[LabelSet] = []
        self._evaluated: list[Rule] = []
        self._started, self._now = 0.0, 0
        self.evaluation_seconds = 0.0
        self.last_evaluation = 0
        self._label = f"{spec.file};{spec.name}"
        metrics.rules.labels(self._label).set(len(self.rules))
        metrics.interval.labels(self._label).set(interval)
        for counter in (metrics.missed, metrics.iterations, metrics.evaluations, metrics.failures):
            counter.labels(self._label)

    @property
    def alerting_rules(self) -> list[AlertingRule]:
        """The alerting rules, in the file's order."""
        return [rule for rule in self.rules if isinstance(rule, AlertingRule)]

    def slot(self, now: int) -> int:
        """The newest time at or before `now` at which this group is evaluated (nanoseconds).

        Groups are spread over their interval by a hash of file and name.
        """
        digest = hashlib.md5(self._label.encode(errors="replace"), usedforsecurity=False).digest()
        offset = int.from_bytes(digest[:8], "big") % self.interval
        return (now - offset) // self.interval * self.interval + offset

    def count_iterations(self, scheduled: int, missed: int) -> None:
        """Count evaluations that were due, and those among them that did not happen."""
        self._metrics.iterations.labels(self._label).inc(scheduled)
        self._metrics.missed.labels(self._label).inc(missed)

    def evaluate(self, at: int, now: int | None = None) -> None:
        """Evaluate every rule for the slot `at` and store what they give. Rules that fail are marked so.

        `now` is the time that is shown as that of the evaluation (the slot, unless given).
        """
        started = time.perf_counter()
        self._started, self._now = started, at if now is None else now
        moment = Moment(at, self._offset)
        pending = _Pending()
        total = 0
        self._evaluated = []
        for place, rule in enumerate(self.rules):
            reads = rule.reads
            if pending.names and (reads is None or reads & pending.names):
                self._store(pending, moment)
            output = self._evaluate_rule(place, rule, moment)
            if output is not None:
                total += len(output.samples)
                pending.outputs.append(output)
                pending.names |= rule.writes
        self._store(pending, moment)
        self._end_series(moment.query_ms)
        self.evaluation_seconds = time.perf_counter() - started
        self.last_evaluation = self._now
        self._metrics.samples.labels(self._label).set(total)
        self._metrics.group_seconds.observe(self.evaluation_seconds)
        self._metrics.last_duration.labels(self._label).set(self.evaluation_seconds)
        self._metrics.last_evaluation.labels(self._label).set(self._now / NS)

    def _evaluate_rule(self, place: int, rule: Rule, moment: Moment) -> _Output | None:
        started = time.perf_counter()
        rule.last_evaluation = self._now + round((started - self._started) * NS)
        self._metrics.evaluations.labels(self._label).inc()
        try:
            samples = rule.evaluate(moment, self.context, self.spec.limit)
        except WindvaneError as error:
            self._fail(rule, error)
            return None
        finally:
            rule.evaluation_seconds = time.perf_counter() - started
            self._metrics.evaluation_seconds.observe(rule.evaluation_seconds)
        rule.succeeded()
        self._evaluated.append(rule)
        given = {key_of(one.labels) for one in samples}
        return _Output(place, samples, [labels for key, labels in self._previous[place].items() if key not in given])

    def _fail(self, rule: Rule, error: WindvaneError) -> None:
        rule.failed(error.message)
        self._metrics.failures.labels(self._label).inc()
        _log.warning("%s, group %s: rule %s: %s", self.spec.file, self.spec.name, rule.spec.name, error.message)

    def _store(self, pending: _Pending, moment: Moment) -> None:
        """Write what is pending; rules whose results cannot be stored are marked as failed."""
        outputs, pending.outputs = pending.outputs, []
        pending.names = set()
        samples = [one for output in outputs for one in output.samples]
        given = {key_of(one.labels) for one in samples}
        ended = [one for output in outputs for one in output.ended if key_of(one) not in given]
        try:
            self._write(samples, ended, moment.query_ms)
        except WindvaneError as error:
            for output in outputs:
                self._fail(self.rules[output.place], error)
            return
        for output in outputs:
            self._previous[output.place] = {key_of(one.labels): one.labels for one in output.samples}

    def _write(self, samples: list[Element], ended: list[LabelSet], time_ms: int) -> None:
        """Store samples, and markers of series that ended."""
        floats = [one for one in samples if one.histogram is None]
        labels = [*(one.labels for one in floats), *ended]
        values = [*(one.value for one in floats), *([STALE] * len(ended))]
        if labels:
            self._writer.write(labels, np.full(len(labels), time_ms, np.int64), np.array(values, np.float64))
        natives = {key_of(one.labels): (one.labels, one.histogram) for one in samples if one.histogram is not None}
        if natives:
            times = np.full(len(natives), time_ms, np.int64)
            ids = self._writer.ids([labels for labels, _ in natives.values()], times)
            write_histograms(self._writer.engine, ids, times, [one for _, one in natives.values() if one is not None])

    def _end_series(self, time_ms: int) -> None:
        """End the series of rules that are no longer there."""
        if not self._ended:
            return
        try:
            self._write([], self._ended, time_ms)
        except WindvaneError as error:
            _log.warning("%s, group %s: cannot end old series: %s", self.spec.file, self.spec.name, error.message)
        else:
            self._ended = []

    def adopt(self, other: Group) -> None:
        """Take over the state of the same group before a reload: rules are matched by name and labels.

        Series of rules that are gone end at the next evaluation.
        """
        self.evaluation_seconds, self.last_evaluation = other.evaluation_seconds, other.last_evaluation
        places: dict[tuple[str, bool, Key], list[int]] = {}
        for place, rule in enumerate(other.rules):
            places.setdefault(_identity(rule), []).append(place)
        for place, rule in enumerate(self.rules):
            same = places.get(_identity(rule))
            if not same:
                continue
            source = same.pop(0)
            self._previous[place] = other._previous[source]
            before = other.rules[source]
            if isinstance(rule, AlertingRule) and isinstance(before, AlertingRule):
                rule.adopt(before)
        gone = (other._previous[place] for left in places.values() for place in left)
        self._ended = [*other._ended, *(labels for series in gone for labels in series.values())]

    def end(self, at: int) -> None:
        """End every series of this group, which is no longer configured."""
        self._ended.extend(labels for series in self._previous for labels in series.values())
        self._previous = [{} for _ in self.rules]
        self._end_series((at - self._offset) // 1_000_000)
        self._metrics.forget(self._label)

    def alerts_to_send(self, at: int, resend_delay: int) -> list[tuple[AlertingRule, list[Alert]]]:
        """The alerts of each rule that others must be told of now; none of rules whose query failed."""
        rules = (rule for rule in self._evaluated if isinstance(rule, AlertingRule))
        found = ((rule, rule.to_send(at, self.interval, resend_delay)) for rule in rules)
        return [(rule, alerts) for rule, alerts in found if alerts]


def _identity(rule: Rule) -> tuple[str, bool, Key]:
    return rule.spec.name, rule.spec.alerting, key_of(rule.spec.labels)
