"""The state of alerts across a restart, read back from the series that their rules wrote.

`ALERTS_FOR_STATE` says since when an alert was active, `ALERTS` whether it was firing. As in Prometheus a
pending alert goes on waiting as if the time the server was down had not been, but at least `grace`. Unlike
Prometheus an alert that was firing goes on firing at once, also when its rule waits for less than `grace`:
a restart resolves nothing.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from windvane.alerting.files import NAME
from windvane.alerting.group import Group
from windvane.alerting.queries import Key, LabelSet, key_of
from windvane.alerting.rules import ALERT_NAME, ALERT_STATE, ALERTS, ALERTS_FOR_STATE, NS, Alert, AlertingRule, State
from windvane.kit.errors import WindvaneError
from windvane.store.api import Engine
from windvane.store.series import STALE_BITS

_log = logging.getLogger(__name__)

_LAST = (
    "SELECT any(s.Name) AS Name, any(s.Labels) AS Labels, any(v.at) AS at, any(v.last) AS last, any(v.bits) AS bits "
    "FROM (SELECT Id, toUnixTimestamp64Milli(max(Time)) AS at, argMax(Value, Time) AS last, "
    "reinterpretAsUInt64(argMax(Value, Time)) AS bits FROM samples "
    "WHERE Time > fromUnixTimestamp64Milli({after:Int64}) AND Id IN "
    "(SELECT Id FROM series WHERE Name IN {names:Array(String)} AND Labels['" + ALERT_NAME + "'] IN "
    "{alerts:Array(String)} AND LastSeen >= fromUnixTimestamp64Milli({after:Int64})) GROUP BY Id) AS v "
    "INNER JOIN (SELECT Id, Name, Labels FROM series WHERE Name IN {names:Array(String)}) AS s ON s.Id = v.Id "
    "GROUP BY v.Id"
)


@dataclass(frozen=True, slots=True)
class _Before:
    """An alert before the restart: active since, and last seen at (nanoseconds)."""

    active_at: int
    seen_at: int
    labels: LabelSet


@dataclass(frozen=True, slots=True)
class _Memory:
    active: dict[Key, _Before]
    firing: dict[Key, int]


def restore(group: Group, engine: Engine, now: int, outage_tolerance: int, grace: int) -> None:
    """Set the alerts of a group that was evaluated twice to what they were before the restart."""
    rules = group.alerting_rules
    if not rules:
        return
    try:
        memory = _read(engine, [rule.spec.name for rule in rules], (now - outage_tolerance) // 1_000_000)
    except WindvaneError as error:
        _log.warning("%s, group %s: cannot restore alerts: %s", group.spec.file, group.spec.name, error.message)
        memory = _Memory({}, {})
    for rule in rules:
        rule.restore(_Restorer(rule, memory, now, grace))


def _read(engine: Engine, alerts: list[str], after_ms: int) -> _Memory:
    params = {"after": after_ms, "names": [ALERTS, ALERTS_FOR_STATE], "alerts": alerts}
    rows = engine.query(_LAST, params)
    memory = _Memory({}, {})
    columns = (rows[name].tolist() for name in ("Name", "Labels", "at", "last", "bits"))
    for name, labels, at, last, bits in zip(*columns, strict=True):
        if bits == STALE_BITS:
            continue
        plain = {key: value for key, value in dict(labels).items() if key not in (NAME, ALERT_STATE)}
        if name == ALERTS_FOR_STATE:
            memory.active[key_of(plain)] = _Before(int(last) * NS, int(at) * 1_000_000, plain)
        elif dict(labels).get(ALERT_STATE) == State.FIRING.value:
            memory.firing[key_of(plain)] = int(at) * 1_000_000
    return memory


class _Restorer:
    """Changes the alerts of one rule."""

    def __init__(self, rule: AlertingRule, memory: _Memory, now: int, grace: int) -> None:
        self._memory = memory
        self._now = now
        self._grace = grace
        self._hold = round(rule.spec.hold * NS)
        self._keep = round(rule.spec.keep_firing_for * NS)
        self._name = rule.spec.name

    def __call__(self, alerts: dict[Key, Alert]) -> None:
        for key, alert in alerts.items():
            before = self._memory.active.get(key)
            if before is None or alert.state is State.INACTIVE:
                continue
            if self._was_firing(key, before):
                alert.active_at = min(before.active_at, alert.active_at)
                if alert.state is State.PENDING:
                    alert.state, alert.fired_at = State.FIRING, self._now
            elif self._hold >= self._grace:
                alert.active_at = self._waiting_since(before)
        if self._keep:
            self._keep_firing(alerts)

    def _was_firing(self, key: Key, before: _Before) -> bool:
        return self._memory.firing.get(key, 0) >= before.seen_at

    def _waiting_since(self, before: _Before) -> int:
        """When a pending alert counts as begun: the outage does not count, and `grace` is left at least."""
        remaining = self._hold - (before.seen_at - before.active_at)
        if remaining <= 0:
            return before.active_at
        if remaining < self._grace:
            return self._now + self._grace - self._hold
        return before.active_at + (self._now - before.seen_at)

    def _keep_firing(self, alerts: dict[Key, Alert]) -> None:
        """Alerts whose condition is over, but which were firing and are to be kept so for a while."""
        for key, before in self._memory.active.items():
            mine = before.labels.get(ALERT_NAME) == self._name and key not in alerts
            if mine and self._was_firing(key, before) and self._now - before.seen_at < self._keep:
                alerts[key] = Alert(
                    before.labels, {}, float("nan"), before.active_at, State.FIRING, before.seen_at,
                    keep_firing_since=before.seen_at,
                )  # fmt: skip
