"""Groups: the order of evaluation, what is stored, series that end, state across edits."""

from __future__ import annotations

import pytest
from rules_bench import START, group_of, instant, rules, write

from windvane.alerting.files import read
from windvane.alerting.rules import NS
from windvane.kit.errors import UnavailableError
from windvane.store.embedded import EmbeddedEngine


def test_a_rule_reads_what_the_one_before_wrote(engine: EmbeddedEngine) -> None:
    write(engine, START, {'m{job="a"}': 2, 'm{job="b"}': 3})
    group = group_of(
        engine,
        rules("{record: r, expr: m * 2}", "{record: s, expr: sum(r)}", "{record: t, expr: sum(s) + sum(nothing or r)}"),
    )
    group.evaluate(START * NS)
    assert instant(engine, "r", START) == {"job=a": 4, "job=b": 6}
    assert instant(engine, "s", START) == {"": 10}
    assert instant(engine, "t", START) == {"": 20}
    assert [rule.health for rule in group.rules] == ["ok"] * 3


def test_a_series_that_vanishes_ends_at_once(engine: EmbeddedEngine) -> None:
    write(engine, START, {'m{job="a"}': 1, 'm{job="b"}': 1})
    write(engine, START + 60, {'m{job="a"}': 1, 'm{job="b"}': 0})
    group = group_of(engine, rules("{record: r, expr: m > 0}", "{alert: A, expr: m == 0}"))
    group.evaluate(START * NS)
    group.evaluate((START + 60) * NS)
    assert instant(engine, "r", START + 60) == {"job=a": 1}
    assert instant(engine, "r", START + 59) == {"job=a": 1, "job=b": 1}
    assert list(instant(engine, "ALERTS", START + 60)) == ["alertname=A,alertstate=firing,job=b"]
    write(engine, START + 120, {'m{job="b"}': 1})
    group.evaluate((START + 120) * NS)
    assert instant(engine, "ALERTS", START + 120) == {}


def test_an_alert_that_fires_ends_its_pending_series(engine: EmbeddedEngine) -> None:
    write(engine, START, {"m": 0})
    group = group_of(engine, rules("{alert: A, expr: m == 0, for: 1m}"))
    for minute, state in ((0, "pending"), (1, "firing")):
        group.evaluate((START + 60 * minute) * NS)
        assert list(instant(engine, "ALERTS", START + 60 * minute)) == [f"alertname=A,alertstate={state}"]
    assert instant(engine, "ALERTS_FOR_STATE", START + 60) == {"alertname=A": START}


def test_a_rule_that_fails_says_why_and_spares_the_others(engine: EmbeddedEngine) -> None:
    write(engine, START, {'m{job="a"}': 1, 'm{job="b"}': 1})
    group = group_of(engine, rules("{record: r, expr: m + on() m}", "{record: s, expr: sum(m)}"))
    group.evaluate(START * NS)
    bad, good = group.rules
    assert (bad.health, good.health) == ("err", "ok")
    assert "many-to-many" in bad.last_error
    assert instant(engine, "s", START) == {"": 2}


def test_the_query_offset_moves_queries_and_samples(engine: EmbeddedEngine) -> None:
    write(engine, START, {"m": 1})
    write(engine, START + 50, {"m": 2})
    text = rules("{record: r, expr: m}").replace("  interval: 1m\n", "  interval: 1m\n  query_offset: 30s\n")
    group_of(engine, text).evaluate((START + 60) * NS)
    assert instant(engine, "timestamp(r)", START + 60) == {"": START + 30}
    assert instant(engine, "r", START + 60) == {"": 1}


def test_slots_are_aligned_and_spread() -> None:
    found = set()
    for number in range(20):
        group = group_of(None, rules("{record: r, expr: m}", name=f"g{number}"))  # type: ignore[arg-type]
        slot = group.slot(START * NS)
        assert 0 <= START * NS - slot < group.interval
        assert group.slot(slot) == slot
        assert group.slot(slot + group.interval - 1) == slot
        assert group.slot((START + 600) * NS) == slot + 10 * group.interval
        found.add(slot)
    assert len(found) == 20


def test_a_changed_group_keeps_what_its_rules_knew(engine: EmbeddedEngine) -> None:
    write(engine, START, {"m": 0})
    before = group_of(
        engine, rules("{alert: A, expr: m == 0, for: 1m}", "{record: r, expr: m}", "{record: old, expr: m}")
    )
    before.evaluate(START * NS)
    after = group_of(engine, rules("{record: r, expr: m + 1}", "{alert: A, expr: m <= 0, for: 1m}"))
    after.adopt(before)
    after.evaluate((START + 60) * NS)
    assert list(instant(engine, "ALERTS", START + 60)) == ["alertname=A,alertstate=firing"]
    assert instant(engine, "r", START + 60) == {"": 1}
    assert instant(engine, "old", START + 60) == {}


def test_a_group_that_is_gone_ends_its_series(engine: EmbeddedEngine) -> None:
    write(engine, START, {"m": 0})
    group = group_of(engine, rules("{record: r, expr: m}", "{alert: A, expr: m == 0}"))
    group.evaluate(START * NS)
    group.end((START + 10) * NS)
    assert instant(engine, "r", START + 10) == {} == instant(engine, "ALERTS", START + 10)


def test_results_that_cannot_be_stored_fail_their_rules(
    engine: EmbeddedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(engine, START, {"m": 0})
    group = group_of(engine, rules("{record: r, expr: m}", "{alert: A, expr: m == 0}"))

    def refuse(*_: object) -> int:
        raise UnavailableError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(group._writer, "write", refuse)
        group.evaluate(START * NS)
    assert [(rule.health, rule.last_error) for rule in group.rules] == [("err", "disk full")] * 2
    assert [rule.spec.name for rule, _ in group.alerts_to_send(START * NS, 60 * NS)] == ["A"]
    group.evaluate((START + 60) * NS)
    assert [rule.health for rule in group.rules] == ["ok"] * 2


def test_alerts_of_rules_that_failed_are_not_told(engine: EmbeddedEngine) -> None:
    write(engine, START, {"m": 0})
    group = group_of(engine, rules("{alert: A, expr: m == 0}"))
    group.evaluate(START * NS)
    assert group.alerts_to_send(START * NS, 60 * NS)
    write(engine, START + 120, {'m{job="a"}': 0, 'm{job="b"}': 0})
    broken, _ = read(rules("{alert: A, expr: m == on() m}"), "r.yml")
    group.rules[0].spec = broken[0].rules[0]
    group.evaluate((START + 120) * NS)
    assert group.alerts_to_send((START + 120) * NS, 60 * NS) == []
