"""Tells Alertmanagers of alerts, over their API v2.

Each Alertmanager has a queue of its own: one that is slow or down delays nobody else. A queue holds one
notification an alert, the newest; what does not fit drops the oldest. A failed request is repeated with
growing pauses as long as its alerts hold.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import httpx
import orjson

from windvane.alerting.gotime import rfc3339
from windvane.alerting.manager import Notification, Notifier
from windvane.alerting.metrics import NotifyMetrics
from windvane.alerting.queries import Key, LabelSet, key_of
from windvane.kit.clock import Clock
from windvane.kit.metrics import Metrics

_log = logging.getLogger(__name__)

Relabel = Callable[[LabelSet], LabelSet | None]
"""Changes an alert's labels; None drops the alert."""
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
_PATH = "/api/v2/alerts"


@dataclass(frozen=True, slots=True)
class NotifySettings:
    """`capacity`: alerts a queue holds. `batch`: alerts a request carries. `timeout`: seconds a request may take.

    `refresh`: seconds between two looks at which Alertmanagers there are.
    """

    external_labels: Mapping[str, str] = field(default_factory=dict)
    capacity: int = 10_000
    batch: int = 64
    timeout: float = 10.0
    refresh: float = 5.0


def endpoint(url: str) -> str:
    """The address to post alerts to, for an Alertmanager's base URL."""
    return url if url.endswith(_PATH) else url.rstrip("/") + _PATH


class Queue:
    """Waiting notifications, at most one an alert."""

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._waiting: OrderedDict[Key, Notification] = OrderedDict()
        self.filled = asyncio.Event()

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, notifications: Sequence[Notification]) -> int:
        """Add notifications; how many older ones had to go."""
        for one in notifications:
            key = key_of(one.labels)
            self._waiting.pop(key, None)
            self._waiting[key] = one
        dropped = 0
        while len(self._waiting) > self._capacity:
            self._waiting.popitem(last=False)
            dropped += 1
        if self._waiting:
            self.filled.set()
        return dropped

    def take(self, count: int) -> list[Notification]:
        """The oldest notifications, removed from the queue."""
        taken = [self._waiting.popitem(last=False)[1] for _ in range(min(count, len(self._waiting)))]
        if not self._waiting:
            self.filled.clear()
        return taken

    def put_back(self, notifications: Sequence[Notification], now: int) -> int:
        """Return what could not be sent, except what is outdated or was replaced; how many were outdated."""
        outdated = 0
        for one in reversed(notifications):
            key = key_of(one.labels)
            if key in self._waiting:
                continue
            if not one.resolved and one.ends_at < now:
                outdated += 1
                continue
            self._waiting[key] = one
            self._waiting.move_to_end(key, last=False)
        if self._waiting:
            self.filled.set()
        return outdated


class _Peer:
    """One Alertmanager."""

    def __init__(self, url: str, notifier: AlertmanagerNotifier) -> None:
        self.url = url
        self._notifier = notifier
        self.queue = Queue(notifier.settings.capacity)
        self.task: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Send until cancelled."""
        owner, pause = self._notifier, _FIRST_PAUSE
        while True:
            await self.queue.filled.wait()
            batch = self.queue.take(owner.settings.batch)
            done = await self._post(batch)
            if not done:
                self.lost(self.queue.put_back(batch, owner.clock.now_ns()))
            self.measure()
            if done:
                pause = _FIRST_PAUSE
            else:
                await owner.clock.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE)

    async def _post(self, batch: Sequence[Notification]) -> bool:
        """Whether these alerts are done with: taken, or refused for good."""
        metrics, count = self._notifier.metrics, len(batch)
        body = orjson.dumps([as_json(one) for one in batch])
        started = self._notifier.clock.monotonic()
        try:
            response = await self._notifier.client.post(
                self.url, content=body, headers={"Content-Type": "application/json"}
            )
        except httpx.HTTPError as error:
            return self._failed(count, f"{type(error).__name__} {error}".strip())
        metrics.seconds.labels(self.url).observe(self._notifier.clock.monotonic() - started)
        if response.is_success:
            metrics.sent.labels(self.url).inc(count)
            return True
        self._failed(count, f"status {response.status_code}: {response.text[:200].strip()}")
        if response.status_code in (408, 429) or response.status_code >= 500:
            return False
        self.lost(count)
        return True

    def _failed(self, count: int, reason: str) -> bool:
        self._notifier.metrics.errors.labels(self.url).inc(count)
        _log.error("telling %s of %d alerts failed: %s", self.url, count, reason)
        return False

    def lost(self, count: int) -> None:
        """Count alerts that this Alertmanager will not hear of."""
        if count:
            self._notifier.metrics.dropped.labels(self.url).inc(count)

    def measure(self) -> None:
        """Show the length of the queue."""
        self._notifier.metrics.queue_length.labels(self.url).set(len(self.queue))


def as_json(one: Notification) -> dict[str, object]:
    """An alert as Alertmanager's API takes it."""
    return {
        "labels": one.labels,
        "annotations": one.annotations,
        "startsAt": rfc3339(one.starts_at),
        "endsAt": rfc3339(one.ends_at),
        "generatorURL": one.generator_url,
    }


class AlertmanagerNotifier:
    """Sends every notification to every Alertmanager that `urls` names at the time.

    `urls` yields base URLs (discovery may change them). `relabel` sees an alert's labels with the external
    labels added. `run` must be running for anything to be sent.
    """

    def __init__(
        self,
        urls: Callable[[], Sequence[str]],
        *,
        clock: Clock,
        metrics: Metrics,
        settings: NotifySettings | None = None,
        relabel: Relabel | None = None,
        client: httpx.AsyncClient | None = None,
    ) -> None:
        self.settings = settings or NotifySettings()
        self.clock = clock
        self.metrics = NotifyMetrics.of(metrics)
        self.client = client or httpx.AsyncClient(timeout=self.settings.timeout)
        self._urls = urls
        self._relabel = relabel
        self._peers: dict[str, _Peer] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def alertmanagers(self) -> list[str]:
        """The addresses alerts go to at present."""
        return list(dict.fromkeys(endpoint(url) for url in self._urls()))

    def send(self, notifications: Sequence[Notification]) -> None:
        """Queue notifications for every Alertmanager."""
        self._refresh()
        labelled = [one for one in map(self._labelled, notifications) if one is not None]
        for peer in self._peers.values():
            peer.lost(peer.queue.put(labelled))
            peer.measure()

    async def run(self) -> None:
        """Send until cancelled; then the connections are closed."""
        try:
            while True:
                self._refresh()
                for peer in self._peers.values():
                    if peer.task is None:
                        peer.task = asyncio.create_task(peer.run(), name=f"alertmanager {peer.url}")
                        self._tasks.add(peer.task)
                        peer.task.add_done_callback(self._tasks.discard)
                await self.clock.sleep(self.settings.refresh)
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self.client.aclose()

    def _refresh(self) -> None:
        """Follow which Alertmanagers there are."""
        urls = self.alertmanagers()
        self.metrics.discovered.set(len(urls))
        for url in [known for known in self._peers if known not in urls]:
            peer = self._peers.pop(url)
            if peer.task is not None:
                peer.task.cancel()
        for url in urls:
            if url not in self._peers:
                self._peers[url] = _Peer(url, self)
                self.metrics.queue_capacity.labels(url).set(self.settings.capacity)

    def _labelled(self, one: Notification) -> Notification | None:
        labels: LabelSet | None = {**self.settings.external_labels, **one.labels}
        if self._relabel is not None:
            labels = self._relabel(dict(labels or {}))
        if not labels:
            return None
        return replace(one, labels={name: value for name, value in sorted(labels.items()) if value})


class FanOut:
    """Several notifiers as one; another configuration may put others in their place."""

    def __init__(self, *notifiers: Notifier) -> None:
        self.notifiers: Sequence[Notifier] = notifiers

    def send(self, notifications: Sequence[Notification]) -> None:
        """Give the notifications to all."""
        for one in self.notifiers:
            one.send(notifications)
