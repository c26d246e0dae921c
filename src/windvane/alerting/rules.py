"""Recording and alerting rules: what one evaluation makes of its query's result.

`evaluate` blocks and belongs to one group's thread; what others read of a rule they get as copies.
Times are nanoseconds since the Unix epoch, 0 meaning "never".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cached_property

from windvane.alerting import template
from windvane.alerting.files import NAME, RuleSpec
from windvane.alerting.queries import Element, Key, LabelSet, QueryFunction, key_of, read_names, template_query
from windvane.promql.errors import ExecutionError
from windvane.promql.native.aggregate import as_text

_log = logging.getLogger(__name__)

NS = 1_000_000_000
RESOLVED_RETENTION = 15 * 60 * NS
"""How long a resolved alert is kept, so that Alertmanager hears of its end even after a failure."""
ALERTS = "ALERTS"
ALERTS_FOR_STATE = "ALERTS_FOR_STATE"
ALERT_NAME = "alertname"
ALERT_STATE = "alertstate"


class State(Enum):
    """An alert's state."""

    INACTIVE = "inactive"
    PENDING = "pending"
    FIRING = "firing"


_RANK = {State.INACTIVE: 0, State.PENDING: 1, State.FIRING: 2}


@dataclass(slots=True)
class Alert:
    """One alert: a label set for which its rule's expression is or was true."""

    labels: LabelSet
    annotations: dict[str, str]
    value: float
    active_at: int
    state: State = State.PENDING
    fired_at: int = 0
    resolved_at: int = 0
    last_sent_at: int = 0
    valid_until: int = 0
    keep_firing_since: int = 0

    def needs_sending(self, now: int, resend_delay: int) -> bool:
        """Whether those who are told of alerts must hear of this one again."""
        if self.state is State.PENDING:
            return False
        if not self.last_sent_at or self.resolved_at > self.last_sent_at:
            return True
        return self.last_sent_at + resend_delay < now


@dataclass(frozen=True, slots=True)
class Context:
    """What evaluations share: the queries, and what templates know of this server."""

    query: QueryFunction
    external_labels: LabelSet = field(default_factory=dict)
    external_url: str = ""
    expansion_failed: Callable[[], None] = lambda: None


@dataclass(frozen=True, slots=True)
class Moment:
    """The moment of an evaluation: its slot, and how far back its queries look."""

    at: int
    offset: int = 0

    @property
    def query_ms(self) -> int:
        """The time of queries and of written samples, milliseconds."""
        return (self.at - self.offset) // 1_000_000


class Rule:
    """What both kinds have: the specification, and how the last evaluation went."""

    def __init__(self, spec: RuleSpec) -> None:
        self.spec = spec
        self.health = "unknown"
        self.last_error = ""
        self.evaluation_seconds = 0.0
        self.last_evaluation = 0

    @cached_property
    def reads(self) -> frozenset[str] | None:
        """The metrics an evaluation reads; None when any."""
        return read_names(self.spec.expr)

    @property
    def writes(self) -> frozenset[str]:
        """The metrics an evaluation writes."""
        return frozenset({self.spec.name})

    def evaluate(self, moment: Moment, context: Context, limit: int = 0) -> list[Element]:
        """Samples to write; raises what the query raises, and `ExecutionError` for a bad result."""
        raise NotImplementedError

    def succeeded(self) -> None:
        """Note that an evaluation went well."""
        self.health, self.last_error = "ok", ""

    def failed(self, reason: str) -> None:
        """Note why an evaluation failed."""
        self.health, self.last_error = "err", reason


class RecordingRule(Rule):
    """Stores an expression's value under another name."""

    def evaluate(self, moment: Moment, context: Context, limit: int = 0) -> list[Element]:
        found = context.query(self.spec.expr, moment.query_ms)
        samples = [replace(one, labels=self._labels(one.labels)) for one in found]
        if len({key_of(one.labels) for one in samples}) < len(samples):
            raise ExecutionError("vector contains metrics with the same labelset after applying rule labels")
        if limit and len(samples) > limit:
            raise ExecutionError(f"exceeded limit of {limit} with {len(samples)} series")
        return samples

    def _labels(self, labels: LabelSet) -> LabelSet:
        changed = {**labels, NAME: self.spec.name, **self.spec.labels}
        return {name: value for name, value in changed.items() if value}


class AlertingRule(Rule):
    """Keeps an alert for each label set that its expression gives.

    `restored` is False until the state of before a restart has been looked up; until then the
    rule writes no samples, which would hide it.
    """

    def __init__(self, spec: RuleSpec, *, restored: bool = True) -> None:
        super().__init__(spec)
        self.restored = restored
        self._hold = round(spec.hold * NS)
        self._keep_firing_for = round(spec.keep_firing_for * NS)
        self._alerts: dict[Key, Alert] = {}
        self._lock = threading.Lock()

    @cached_property
    def reads(self) -> frozenset[str] | None:
        texts = (*self.spec.labels.values(), *self.spec.annotations.values())
        return None if any("query" in text for text in texts) else read_names(self.spec.expr)

    @property
    def writes(self) -> frozenset[str]:
        return frozenset({ALERTS, ALERTS_FOR_STATE})

    @property
    def state(self) -> State:
        """The state of the alert that is furthest on."""
        with self._lock:
            states = [alert.state for alert in self._alerts.values()]
        return max(states, key=_RANK.__getitem__, default=State.INACTIVE)

    def active(self) -> list[Alert]:
        """Copies of the pending and firing alerts, ordered by labels."""
        return [alert for alert in self.known() if not alert.resolved_at]

    def known(self) -> list[Alert]:
        """Copies of all alerts, resolved ones that are still kept included."""
        with self._lock:
            return [replace(self._alerts[key]) for key in sorted(self._alerts)]

    def adopt(self, other: AlertingRule) -> None:
        """Take over the alerts of the same rule before a reload."""
        with other._lock, self._lock:
            self._alerts.update(other._alerts)
        self.restored = self.restored and other.restored

    def restore(self, change: Callable[[dict[Key, Alert]], None]) -> None:
        """Let `change` set alerts to what they were before a restart, then begin to write samples."""
        with self._lock:
            change(self._alerts)
        self.restored = True

    def evaluate(self, moment: Moment, context: Context, limit: int = 0) -> list[Element]:
        found = self._found(moment, context, context.query(self.spec.expr, moment.query_ms))
        with self._lock:
            for key, alert in found.items():
                known = self._alerts.get(key)
                if known is None or known.state is State.INACTIVE:
                    self._alerts[key] = alert
                else:
                    known.value, known.annotations = alert.value, alert.annotations
            live = self._advance(found.keys(), moment.at)
            if limit and len(live) > limit:
                self._alerts.clear()
                raise ExecutionError(f"exceeded limit of {limit} with {len(live)} alerts")
            return [sample for alert in live for sample in self._samples(alert)] if self.restored else []

    def to_send(self, now: int, interval: int, resend_delay: int) -> list[Alert]:
        """Copies of the alerts to tell of now; they hold until several evaluations or messages failed."""
        sent = []
        with self._lock:
            for alert in self._alerts.values():
                if alert.needs_sending(now, resend_delay):
                    alert.last_sent_at = now
                    alert.valid_until = now + 4 * max(interval, resend_delay)
                    sent.append(replace(alert))
        return sent

    def _found(self, moment: Moment, context: Context, elements: list[Element]) -> dict[Key, Alert]:
        found: dict[Key, Alert] = {}
        for one in elements:
            data = template.Data(
                template.LabelMap(one.labels),
                template.LabelMap(context.external_labels),
                context.external_url,
                one.value if one.histogram is None else as_text(one.histogram),
            )
            plain = {name: value for name, value in one.labels.items() if name != NAME}
            expanded = self._expanded(self.spec.labels, data, moment, context)
            labels = {**plain, **expanded, ALERT_NAME: self.spec.name}
            labels = {name: value for name, value in labels.items() if value}
            key = key_of(labels)
            if key in found:
                raise ExecutionError("vector contains metrics with the same labelset after applying alert labels")
            annotations = self._expanded(self.spec.annotations, data, moment, context)
            found[key] = Alert(labels, annotations, one.value, moment.at)
        return found

    def _expanded(self, texts: dict[str, str], data: template.Data, moment: Moment, context: Context) -> dict[str, str]:
        """Templates with their values; what fails says so in its place."""

        def query(text: str) -> list[tuple[LabelSet, float | str]]:
            return template_query(context.query, text, moment.query_ms)

        expanded = {}
        for name, text in texts.items():
            try:
                expanded[name] = template.expand(self.spec.name, text, data, moment.at // 1_000_000, query)
            except template.TemplateError as error:
                expanded[name] = f"<error expanding template: {error.message}>"
                context.expansion_failed()
                _log.warning("alert %s: expanding %s failed: %s", self.spec.name, name, error.message)
        return expanded

    def _advance(self, found: Collection[Key], now: int) -> list[Alert]:
        """Move every alert on to its next state; those that are pending or firing."""
        live: list[Alert] = []
        for key, alert in list(self._alerts.items()):
            if key in found:
                alert.keep_firing_since = 0
            elif not self._keeps_firing(alert, now):
                expired = alert.resolved_at and now - alert.resolved_at > RESOLVED_RETENTION
                if alert.state is State.PENDING or expired:
                    del self._alerts[key]
                if alert.state is not State.INACTIVE:
                    alert.state, alert.resolved_at = State.INACTIVE, now
                continue
            live.append(alert)
            if alert.state is State.PENDING and now - alert.active_at >= self._hold:
                alert.state, alert.fired_at = State.FIRING, now
        return live

    def _keeps_firing(self, alert: Alert, now: int) -> bool:
        if alert.state is not State.FIRING or not self._keep_firing_for:
            return False
        alert.keep_firing_since = alert.keep_firing_since or now
        return now - alert.keep_firing_since < self._keep_firing_for

    def _samples(self, alert: Alert) -> list[Element]:
        state = {**alert.labels, NAME: ALERTS, ALERT_STATE: alert.state.value}
        since = {**alert.labels, NAME: ALERTS_FOR_STATE}
        return [Element(state, 1.0), Element(since, float(alert.active_at // NS))]


def make(spec: RuleSpec, *, restored: bool = True) -> Rule:
    """The rule of a specification."""
    return AlertingRule(spec, restored=restored) if spec.alerting else RecordingRule(spec)
