"""The measures of rules and notifications, under the names Prometheus gives them."""

from __future__ import annotations

from typing import ClassVar
from weakref import WeakKeyDictionary

from prometheus_client import Summary

from windvane.kit.metrics import Metrics

_GROUP = ("rule_group",)
_PEER = ("alertmanager",)


class RuleMetrics:
    """Measures of rule groups; `of` gives the one of a registry, so that several managers may share it."""

    _made: ClassVar[WeakKeyDictionary[Metrics, RuleMetrics]] = WeakKeyDictionary()

    def __init__(self, metrics: Metrics) -> None:
        self.evaluation_seconds = _summary(
            metrics, "prometheus_rule_evaluation_duration_seconds", "The duration for a rule to execute."
        )
        self.group_seconds = _summary(
            metrics, "prometheus_rule_group_duration_seconds", "The duration of rule group evaluations."
        )
        self.missed = metrics.counter(
            "prometheus_rule_group_iterations_missed_total",
            "The total number of rule group evaluations missed due to slow rule group evaluation.",
            _GROUP,
        )
        self.iterations = metrics.counter(
            "prometheus_rule_group_iterations_total",
            "The total number of scheduled rule group evaluations, whether executed or missed.",
            _GROUP,
        )
        self.evaluations = metrics.counter(
            "prometheus_rule_evaluations_total", "The total number of rule evaluations.", _GROUP
        )
        self.failures = metrics.counter(
            "prometheus_rule_evaluation_failures_total", "The total number of rule evaluation failures.", _GROUP
        )
        self.interval = metrics.gauge("prometheus_rule_group_interval_seconds", "The interval of a rule group.", _GROUP)
        self.last_evaluation = metrics.gauge(
            "prometheus_rule_group_last_evaluation_timestamp_seconds",
            "The timestamp of the last rule group evaluation in seconds.",
            _GROUP,
        )
        self.last_duration = metrics.gauge(
            "prometheus_rule_group_last_duration_seconds",
            "The duration of the last rule group evaluation.",
            _GROUP,
        )
        self.last_restore = metrics.gauge(
            "prometheus_rule_group_last_restore_duration_seconds",
            "The duration of the last alert rules alerts restoration using the `ALERTS_FOR_STATE` series.",
            _GROUP,
        )
        self.rules = metrics.gauge("prometheus_rule_group_rules", "The number of rules.", _GROUP)
        self.samples = metrics.gauge(
            "prometheus_rule_group_last_evaluation_samples",
            "The number of samples returned during the last rule group evaluation.",
            _GROUP,
        )
        self.expansion_failures = metrics.counter(
            "prometheus_template_text_expansion_failures_total",
            "The total number of template text expansion failures.",
        )
        self.reload_good = metrics.gauge(
            "windvane_rules_last_reload_successful", "Whether the last reading of the rule files succeeded."
        )

    @classmethod
    def of(cls, metrics: Metrics) -> RuleMetrics:
        """The measures of one registry."""
        made = cls._made.get(metrics)
        if made is None:
            made = cls._made[metrics] = cls(metrics)
        return made

    def forget(self, group: str) -> None:
        """Drop what was measured of a group that is gone."""
        for one in (self.missed, self.iterations, self.evaluations, self.failures, self.interval,
                    self.last_evaluation, self.last_duration, self.last_restore, self.rules, self.samples):  # fmt: skip
            try:
                one.remove(group)
            except KeyError:
                continue


class NotifyMetrics:
    """Measures of the way to Alertmanagers and webhooks."""

    _made: ClassVar[WeakKeyDictionary[Metrics, NotifyMetrics]] = WeakKeyDictionary()

    def __init__(self, metrics: Metrics) -> None:
        self.sent = metrics.counter("prometheus_notifications_sent_total", "Total number of alerts sent.", _PEER)
        self.errors = metrics.counter(
            "prometheus_notifications_errors_total",
            "Total number of sent alerts affected by errors.",
            _PEER,
        )
        self.dropped = metrics.counter(
            "prometheus_notifications_dropped_total",
            "Total number of alerts dropped due to errors when sending to Alertmanager.",
            _PEER,
        )
        self.seconds = _summary(
            metrics,
            "prometheus_notifications_latency_seconds",
            "Latency for sending alert notifications.",
            _PEER,
        )
        self.queue_length = metrics.gauge(
            "prometheus_notifications_queue_length",
            "The number of alert notifications in the queue.",
            _PEER,
        )
        self.queue_capacity = metrics.gauge(
            "prometheus_notifications_queue_capacity", "The capacity of the alert notifications queue.", _PEER
        )
        self.discovered = metrics.gauge(
            "prometheus_notifications_alertmanagers_discovered",
            "The number of alertmanagers discovered and active.",
        )

    @classmethod
    def of(cls, metrics: Metrics) -> NotifyMetrics:
        """The measures of one registry."""
        made = cls._made.get(metrics)
        if made is None:
            made = cls._made[metrics] = cls(metrics)
        return made


def _summary(metrics: Metrics, name: str, help_: str, labels: tuple[str, ...] = ()) -> Summary:
    return Summary(name, help_, labels, registry=metrics.registry)
