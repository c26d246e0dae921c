"""Incidents as alerts: what Alertmanager, webhooks and `/api/v1/alerts` are told of them.

One incident is one alert: its labels are those of the moment it was first told, whatever joins later, so that nobody is
told twice. Only a severity that grows makes another, since page and ticket go different ways.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from urllib.parse import quote

from windvane.alerting.manager import Notification
from windvane.alerting.rules import ALERT_NAME, NS, RESOLVED_RETENTION, Alert, State
from windvane.incidents.values import Incident
from windvane.incidents.words import description

NAME = "WindvaneIncident"
HOLDS = 4 * 60 * NS
"""An alert that is not told again for so long is over: as rules do, some messages may be lost."""


def labelled(one: Incident) -> tuple[Incident, dict[str, str] | None]:
    """The incident with the labels of its alert; and the labels that it had, where they are others now."""
    if one.labels is not None and one.labels["severity"] == one.severity:
        return one, None
    leading = one.leading
    labels = {
        ALERT_NAME: NAME,
        "incident": one.id,
        "service": leading.scope.service,
        "namespace": leading.scope.namespace,
        "signal": leading.signal,
        **(one.labels or {}),
        "severity": one.severity,
    }
    return replace(one, labels={name: value for name, value in labels.items() if value}), dict(one.labels or {}) or None


def notifications(
    incidents: Iterable[Incident], relabelled: Iterable[tuple[Incident, dict[str, str]]], url: str, now_ns: int
) -> list[Notification]:
    """What is to be told now: of those that go on, and for a while of those that are over.

    Incidents without labels were never told, and their end is not. `relabelled` are those that were told by other
    labels before, whose old alert ends.
    """
    told = [(one, one.labels, not one.open) for one in incidents if one.labels is not None and _due(one, now_ns)]
    told += [(one, labels, True) for one, labels in relabelled]
    return [
        Notification(
            dict(labels or {}), _annotations(one, url), one.start * NS,
            now_ns if over else now_ns + HOLDS, _link(one, url), resolved=over,
        )
        for one, labels, over in told
    ]  # fmt: skip


def alerts(incidents: Iterable[Incident], url: str) -> list[Alert]:
    """The alerts of incidents that go on, as those of rules are listed."""
    return [
        Alert(
            dict(one.labels), _annotations(one, url), max(each.score for each in one.anomalies), one.start * NS,
            State.FIRING, one.opened * NS,
        )
        for one in incidents if one.open and one.labels is not None
    ]  # fmt: skip


def _due(one: Incident, now_ns: int) -> bool:
    return one.end is None or now_ns - one.closed * NS <= RESOLVED_RETENTION


def _annotations(one: Incident, url: str) -> dict[str, str]:
    return {"summary": one.title, "description": description(one), "link": _link(one, url)}


def _link(one: Incident, url: str) -> str:
    return f"{url.rstrip('/')}/insights?incident={quote(one.id)}"
