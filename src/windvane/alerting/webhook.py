"""Webhooks for users without Alertmanager, in the JSON (version 4) that Alertmanager's receivers know.

Alerts are grouped by `alertname`. A change in a group is told after a short wait, together with what
changes until then; an unchanged firing group is told again every `repeat` seconds. A message that is
not taken is repeated with growing pauses, then always with the group's state of that moment.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import httpx
import orjson

from windvane.alerting.gotime import ZERO, rfc3339
from windvane.alerting.manager import Notification
from windvane.alerting.metrics import NotifyMetrics
from windvane.alerting.queries import Key, key_of
from windvane.alerting.rules import ALERT_NAME, NS
from windvane.kit.clock import Clock
from windvane.kit.metrics import Metrics

_log = logging.getLogger(__name__)

_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_MAX_ALERTS = 10_000


@dataclass(frozen=True, slots=True)
class WebhookSettings:
    """Seconds: `wait` before a change is told, `repeat` between messages of an unchanged group."""

    external_labels: Mapping[str, str] = field(default_factory=dict)
    external_url: str = "http://localhost:9900"
    receiver: str = "webhook"
    wait: float = 5.0
    repeat: float = 4 * 3600.0
    timeout: float = 10.0
    tick: float = 1.0


@dataclass(slots=True)
class _Known:
    """The alerts of one group and when to tell of them (nanoseconds)."""

    alerts: dict[Key, Notification] = field(default_factory=dict)
    due: int = 0
    pause: float = _FIRST_PAUSE


class WebhookNotifier:
    """Posts groups of alerts to one URL. `run` must be running for anything to be sent."""

    def __init__(
        self,
        url: str,
        *,
        clock: Clock,
        metrics: Metrics,
        settings: WebhookSettings | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self._url = url
        self._clock = clock
        self._metrics = NotifyMetrics.of(metrics)
        self._settings = settings or WebhookSettings()
        self._client = client or httpx.AsyncClient(timeout=self._settings.timeout)
        self._groups: dict[str, _Known] = {}

    def send(self, notifications: Sequence[Notification]) -> None:
        """Take notifications; what changes is told of soon."""
        due = self._clock.now_ns() + round(self._settings.wait * NS)
        for one in notifications:
            group = self._groups.setdefault(one.labels.get(ALERT_NAME, ""), _Known())
            key = key_of(one.labels)
            before = group.alerts.get(key)
            if before is None and (one.resolved or len(group.alerts) >= _MAX_ALERTS):
                if not one.resolved:
                    self._metrics.dropped.labels(self._url).inc()
                continue
            group.alerts[key] = one
            if before is None or before.resolved != one.resolved:
                group.due = min(group.due or due, due)

    async def run(self) -> None:
        """Send until cancelled; then the connections are closed."""
        try:
            while True:
                await self.flush()
                await self._clock.sleep(self._settings.tick)
        finally:
            await self._client.aclose()

    async def flush(self) -> None:
        """Send every group whose time has come."""
        now = self._clock.now_ns()
        for name, group in list(self._groups.items()):
            self._expire(group, now)
            if group.due and group.due <= now:
                await self._tell(name, group)

    def _expire(self, group: _Known, now: int) -> None:
        """Alerts that nobody confirms any more are over."""
        for key, one in group.alerts.items():
            if not one.resolved and one.ends_at < now:
                group.alerts[key] = Notification(
                    one.labels, one.annotations, one.starts_at, one.ends_at, one.generator_url, resolved=True
                )
                group.due = min(group.due or now, now)

    async def _tell(self, name: str, group: _Known) -> None:
        told = dict(group.alerts)
        if await self._post(self.message(name, list(told.values()))):
            group.pause = _FIRST_PAUSE
            changed = _states(group.alerts) != _states(told)  # while the message was under way
            for key, one in told.items():
                if one.resolved and group.alerts.get(key) is one:
                    del group.alerts[key]
            again = self._settings.wait if changed else self._settings.repeat
            group.due = self._clock.now_ns() + round(again * NS)
            if not group.alerts:
                del self._groups[name]
        else:
            group.due = self._clock.now_ns() + round(group.pause * NS)
            group.pause = min(group.pause * 2, _LONGEST_PAUSE)

    async def _post(self, message: dict[str, object]) -> bool:
        alerts = message["alerts"]
        assert isinstance(alerts, list)
        try:
            response = await self._client.post(
                self._url, content=orjson.dumps(message), headers={"Content-Type": "application/json"}
            )
            problem = "" if response.is_success else f"status {response.status_code}: {response.text[:200].strip()}"
        except httpx.HTTPError as error:
            problem = f"{type(error).__name__} {error}".strip()
        if problem:
            self._metrics.errors.labels(self._url).inc(len(alerts))
            _log.error("telling %s of %d alerts failed: %s", self._url, len(alerts), problem)
            return False
        self._metrics.sent.labels(self._url).inc(len(alerts))
        return True

    def message(self, name: str, alerts: Sequence[Notification]) -> dict[str, object]:
        """The message of one group."""
        shown = [self._alert(one) for one in alerts]
        return {
            "version": "4",
            "groupKey": f'{{}}:{{{ALERT_NAME}="{name}"}}',
            "truncatedAlerts": 0,
            "status": "resolved" if all(one.resolved for one in alerts) else "firing",
            "receiver": self._settings.receiver,
            "groupLabels": {ALERT_NAME: name},
            "commonLabels": _common([one["labels"] for one in shown]),
            "commonAnnotations": _common([one["annotations"] for one in shown]),
            "externalURL": self._settings.external_url,
            "alerts": shown,
        }

    def _alert(self, one: Notification) -> dict[str, object]:
        labels = {**self._settings.external_labels, **one.labels}
        return {
            "status": "resolved" if one.resolved else "firing",
            "labels": labels,
            "annotations": one.annotations,
            "startsAt": rfc3339(one.starts_at),
            "endsAt": rfc3339(one.ends_at) if one.resolved else ZERO,
            "generatorURL": one.generator_url,
            "fingerprint": fingerprint(labels),
        }


def _states(alerts: Mapping[Key, Notification]) -> dict[Key, bool]:
    return {key: one.resolved for key, one in alerts.items()}


def fingerprint(labels: Mapping[str, str]) -> str:
    """Sixteen hexadecimal digits that stand for a label set, the same in every message."""
    text = "\xff".join(f"{name}\xff{labels[name]}" for name in sorted(labels))
    return hashlib.md5(text.encode(errors="replace"), usedforsecurity=False).hexdigest()[:16]


def _common(sets: Sequence[object]) -> dict[str, str]:
    """What all label sets agree on."""
    maps = [one for one in sets if isinstance(one, dict)]
    first = maps[0] if maps else {}
    return {name: value for name, value in first.items() if all(one.get(name) == value for one in maps)}
