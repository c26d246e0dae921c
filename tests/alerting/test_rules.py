"""What one rule makes of its results: names, labels, states of alerts."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.alerting.files import RuleSpec
from windvane.alerting.queries import Element
from windvane.alerting.rules import NS, RESOLVED_RETENTION, AlertingRule, Context, Moment, RecordingRule, State
from windvane.kit.errors import WindvaneError
from windvane.promql.errors import ExecutionError


class Source:
    """A query whose result the test sets."""

    def __init__(self) -> None:
        self.elements: list[Element] = []
        self.asked: list[tuple[str, int]] = []
        self.error: WindvaneError | None = None

    def __call__(self, expr: str, time_ms: int) -> list[Element]:
        self.asked.append((expr, time_ms))
        if self.error is not None:
            raise self.error
        return self.elements


def up(value: float = 0.0, **labels: str) -> Element:
    return Element({"__name__": "up", **labels}, value)


def alerting(**fields: object) -> AlertingRule:
    return AlertingRule(RuleSpec("A", "up == 0", True, **fields))  # type: ignore[arg-type]


def at(minutes: float) -> Moment:
    return Moment(round(minutes * 60) * NS)


def test_a_recorded_series_has_the_rules_name_and_labels() -> None:
    source = Source()
    source.elements = [up(5, job="a", x="y")]
    rule = RecordingRule(RuleSpec("r", "up", labels={"x": "", "team": "mesh"}))
    assert rule.evaluate(Moment(60 * NS, 10 * NS), Context(source)) == [
        Element({"__name__": "r", "job": "a", "team": "mesh"}, 5)
    ]
    assert source.asked == [("up", 50_000)]


def test_results_that_become_alike_are_refused() -> None:
    source = Source()
    source.elements = [up(job="a"), up(job="b")]
    with pytest.raises(ExecutionError, match="same labelset after applying rule labels"):
        RecordingRule(RuleSpec("r", "up", labels={"job": "c"})).evaluate(at(1), Context(source))
    with pytest.raises(ExecutionError, match="same labelset after applying alert labels"):
        alerting(labels={"job": "c"}).evaluate(at(1), Context(source))


def test_a_group_limit_refuses_the_result_and_forgets_the_alerts() -> None:
    source = Source()
    source.elements = [up(job="a"), up(job="b")]
    with pytest.raises(ExecutionError, match="exceeded limit of 1 with 2 series"):
        RecordingRule(RuleSpec("r", "up")).evaluate(at(1), Context(source), limit=1)
    rule = alerting()
    with pytest.raises(ExecutionError, match="exceeded limit of 1 with 2 alerts"):
        rule.evaluate(at(1), Context(source), limit=1)
    assert rule.active() == []


def test_an_alert_waits_fires_and_ends() -> None:
    source, rule = (
        Source(),
        alerting(hold=120.0, labels={"severity": "page"}, annotations={"s": "{{ $labels.job }} {{ $value }}"}),
    )
    source.elements = [up(0.5, job="a")]
    shown = [rule.evaluate(at(minute), Context(source)) for minute in range(4)]
    names = [[(one.labels["__name__"], one.labels.get("alertstate"), one.value) for one in step] for step in shown]
    assert names[1] == [("ALERTS", "pending", 1.0), ("ALERTS_FOR_STATE", None, 0.0)]
    assert names[2] == [("ALERTS", "firing", 1.0), ("ALERTS_FOR_STATE", None, 0.0)]
    (alert,) = rule.active()
    assert alert.labels == {"alertname": "A", "job": "a", "severity": "page"}
    assert (alert.annotations, alert.value, alert.state) == ({"s": "a 0.5"}, 0.5, State.FIRING)
    assert (alert.active_at, alert.fired_at) == (0, 120 * NS)
    source.elements = []
    assert rule.evaluate(at(4), Context(source)) == []
    assert rule.active() == []
    assert rule.state is State.INACTIVE
    (gone,) = rule.known()
    assert gone.resolved_at == 240 * NS
    rule.evaluate(at(4 + RESOLVED_RETENTION / NS / 60 + 1), Context(source))
    assert rule.known() == []


def test_a_pending_alert_that_ends_is_forgotten() -> None:
    source, rule = Source(), alerting(hold=120.0)
    source.elements = [up()]
    rule.evaluate(at(0), Context(source))
    source.elements = []
    rule.evaluate(at(1), Context(source))
    assert rule.known() == []


def test_an_alert_keeps_firing_for_a_while() -> None:
    source, rule = Source(), alerting(keep_firing_for=180.0)
    source.elements = [up(3)]
    rule.evaluate(at(0), Context(source))
    source.elements = []
    for minute in (1, 2, 3):
        assert len(rule.evaluate(at(minute), Context(source))) == 2
        assert rule.active()[0].keep_firing_since == 60 * NS
    source.elements = [up(4)]
    rule.evaluate(at(4), Context(source))
    assert rule.active()[0].keep_firing_since == 0
    source.elements = []
    for minute in (5, 6, 7):
        rule.evaluate(at(minute), Context(source))
        assert rule.state is State.FIRING
    rule.evaluate(at(8), Context(source))
    assert rule.state is State.INACTIVE


def test_what_others_are_told_and_how_often() -> None:
    source, rule = Source(), alerting()
    source.elements = [up()]
    told = []
    for minute in (10, 10.5, 11, 11.5, 12, 12.5):
        if minute == 12:
            source.elements = []
        rule.evaluate(at(minute), Context(source))
        told.append(bool(rule.to_send(at(minute).at, 30 * NS, 60 * NS)))
    assert told == [True, False, False, True, True, False]
    (resolved,) = rule.known()
    assert resolved.valid_until == 720 * NS + 4 * 60 * NS


def test_pending_alerts_are_told_to_nobody() -> None:
    source, rule = Source(), alerting(hold=60.0)
    source.elements = [up()]
    rule.evaluate(at(0), Context(source))
    assert rule.to_send(0, 60 * NS, 60 * NS) == []


def test_a_template_that_fails_stands_in_its_place() -> None:
    source, failed = Source(), []
    source.elements = [up()]
    rule = alerting(annotations={"s": '{{ first (query "x > 9") }}'})
    real = source.elements

    def query(expr: str, time_ms: int) -> list[Element]:
        return real if expr == "up == 0" else []

    rule.evaluate(at(0), Context(query, expansion_failed=lambda: failed.append(1)))
    assert (
        rule.active()[0].annotations["s"].startswith("<error expanding template: error executing template __alert_A:")
    )
    assert failed == [1]


def test_an_error_of_the_query_leaves_the_alerts_as_they_are() -> None:
    source, rule = Source(), alerting()
    source.elements = [up()]
    rule.evaluate(at(0), Context(source))
    source.error = ExecutionError("no")
    with pytest.raises(ExecutionError):
        rule.evaluate(at(1), Context(source))
    assert rule.state is State.FIRING


STEPS = st.lists(st.sets(st.sampled_from("abc")), max_size=40)


@given(STEPS, st.sampled_from([0, 1, 3]), st.sampled_from([0, 2]))
@settings(max_examples=150, deadline=None)
def test_states_follow_from_the_history_of_each_series(history: list[set[str]], hold: int, keep: int) -> None:
    """Against a model that looks at one series alone: firing once true `hold` minutes, then `keep` minutes more."""
    source, rule = Source(), alerting(hold=hold * 60.0, keep_firing_for=keep * 60.0)
    since: dict[str, float] = {}
    firing: dict[str, bool] = {}
    over: dict[str, float] = {}
    for minute, present in enumerate(history):
        source.elements = [up(job=job) for job in sorted(present)]
        rule.evaluate(at(minute), Context(source))
        for job in "abc":
            if job in present:
                since.setdefault(job, minute)
                over.pop(job, None)
                firing[job] = firing.get(job, False) or minute - since[job] >= hold
            elif firing.get(job) and keep and minute - over.setdefault(job, minute) < keep:
                pass
            else:
                firing[job] = False
                since.pop(job, None)
                over.pop(job, None)
        wanted = {(job, "firing" if firing[job] else "pending") for job in since}
        assert {(one.labels["job"], one.state.value) for one in rule.active()} == wanted
        assert not any(math.isnan(one.value) for one in rule.active())
