"""Telling Alertmanagers and webhooks, over real sockets; time passes only when told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Any

from http_peer import HttpPeer, serving
from hypothesis import given, settings
from hypothesis import strategies as st
from rules_bench import START, settle, until

from windvane.alerting.manager import Notification
from windvane.alerting.notify import AlertmanagerNotifier, FanOut, NotifySettings, Queue, endpoint
from windvane.alerting.rules import NS
from windvane.alerting.webhook import WebhookNotifier, WebhookSettings
from windvane.kit.clock import ManualClock
from windvane.kit.metrics import Metrics


def firing(name: str = "A", minutes: float = 4, **labels: str) -> Notification:
    return Notification(
        {"alertname": name, **labels},
        {"summary": "s"},
        START * NS + 500_000_000,
        round((START + 60 * minutes) * NS),
        "http://w/graph",
    )


def resolved(name: str = "A", **labels: str) -> Notification:
    return replace(firing(name, 0, **labels), ends_at=(START + 30) * NS, resolved=True)


@asynccontextmanager
async def running(notifier: AlertmanagerNotifier | WebhookNotifier) -> AsyncIterator[None]:
    task = asyncio.create_task(notifier.run())
    await settle()
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Bench:
    """A notifier to some peers."""

    def __init__(self, *peers: HttpPeer, **options: Any) -> None:
        self.clock = ManualClock(START * NS)
        self.metrics = Metrics()
        self.urls = [peer.url for peer in peers]
        self.notifier = AlertmanagerNotifier(lambda: self.urls, clock=self.clock, metrics=self.metrics, **options)

    def measure(self, name: str, peer: HttpPeer) -> float:
        return self.metrics.registry.get_sample_value(name, {"alertmanager": endpoint(peer.url)}) or 0.0

    async def until_time_passed(self, done: Any) -> None:
        """Let time pass until a condition holds."""

        def holds() -> bool:
            self.clock.advance(1)
            return bool(done())

        await until(holds)


def test_an_alert_arrives_as_alertmanager_takes_it() -> None:
    async def story(peer: HttpPeer) -> None:
        settings_ = NotifySettings(external_labels={"dc": "x", "job": "outer"})
        bench = Bench(peer, settings=settings_)
        async with running(bench.notifier):
            bench.notifier.send([firing(job="a")])
            await until(lambda: bench.measure("prometheus_notifications_sent_total", peer) == 1)
        assert peer.paths == ["/api/v2/alerts"]
        assert peer.bodies == [
            [
                {
                    "labels": {"alertname": "A", "dc": "x", "job": "a"},
                    "annotations": {"summary": "s"},
                    "startsAt": "2023-11-14T22:13:20.5Z",
                    "endsAt": "2023-11-14T22:17:20Z",
                    "generatorURL": "http://w/graph",
                }
            ]
        ]

    with serving() as peer:
        asyncio.run(story(peer))


def test_alerts_travel_in_batches_of_64_to_every_alertmanager() -> None:
    async def story(one: HttpPeer, two: HttpPeer) -> None:
        bench = Bench(one, two)
        bench.notifier.send([firing(n=str(n)) for n in range(150)])
        async with running(bench.notifier):
            await until(lambda: len(one.alerts) == len(two.alerts) == 150)
        assert [len(body) for body in one.bodies] == [64, 64, 22]

    with serving() as one, serving() as two:
        asyncio.run(story(one, two))


def test_a_peer_that_fails_is_asked_again_and_delays_nobody() -> None:
    async def story(bad: HttpPeer, good: HttpPeer) -> None:
        bad.answers = [503, 500, 429]
        bench = Bench(bad, good)
        async with running(bench.notifier):
            bench.notifier.send([firing()])
            await until(lambda: len(good.bodies) == 1)
            await until(lambda: bad.refused == 1)
            await bench.until_time_passed(lambda: len(bad.bodies) == 1)
        assert bench.measure("prometheus_notifications_errors_total", bad) == 3
        assert bench.measure("prometheus_notifications_dropped_total", bad) == 0
        assert bench.measure("prometheus_notifications_errors_total", good) == 0

    with serving() as bad, serving() as good:
        asyncio.run(story(bad, good))


def test_what_is_refused_for_good_is_dropped_and_counted() -> None:
    async def story(peer: HttpPeer) -> None:
        peer.answers = [400]
        bench = Bench(peer)
        async with running(bench.notifier):
            bench.notifier.send([firing("A")])
            await until(lambda: peer.refused == 1)
            bench.notifier.send([firing("B")])
            await until(lambda: len(peer.bodies) == 1)
        assert [alert["labels"]["alertname"] for alert in peer.alerts] == ["B"]
        assert bench.measure("prometheus_notifications_dropped_total", peer) == 1

    with serving() as peer:
        asyncio.run(story(peer))


def test_an_outdated_alert_is_not_repeated_for_ever() -> None:
    async def story(peer: HttpPeer) -> None:
        peer.answers = [503] * 1000
        bench = Bench(peer)
        async with running(bench.notifier):
            bench.notifier.send([firing(minutes=1)])
            await bench.until_time_passed(lambda: bench.measure("prometheus_notifications_dropped_total", peer) == 1)
            assert bench.measure("prometheus_notifications_queue_length", peer) == 0

    with serving() as peer:
        asyncio.run(story(peer))


def test_a_peer_that_does_not_listen_is_asked_again(free_port: Any) -> None:
    async def story() -> None:
        bench = Bench()
        bench.urls.append(f"http://127.0.0.1:{free_port()}")
        async with running(bench.notifier):
            bench.notifier.send([firing()])
            label = {"alertmanager": endpoint(bench.urls[0])}
            name = "prometheus_notifications_errors_total"
            await bench.until_time_passed(lambda: (bench.metrics.registry.get_sample_value(name, label) or 0) >= 2)

    asyncio.run(story())


def test_relabelling_may_change_and_drop_alerts() -> None:
    def relabel(labels: dict[str, str]) -> dict[str, str] | None:
        return None if labels["alertname"] == "B" else {**labels, "team": "mesh", "gone": ""}

    async def story(peer: HttpPeer) -> None:
        bench = Bench(peer, relabel=relabel)
        async with running(bench.notifier):
            bench.notifier.send([firing("A"), firing("B")])
            await until(lambda: len(peer.bodies) == 1)
        assert [alert["labels"] for alert in peer.alerts] == [{"alertname": "A", "team": "mesh"}]

    with serving() as peer:
        asyncio.run(story(peer))


def test_alertmanagers_come_and_go() -> None:
    async def story(one: HttpPeer, two: HttpPeer) -> None:
        bench = Bench(one)
        async with running(bench.notifier):
            bench.urls[:] = [two.url, two.url]
            bench.notifier.send([firing()])
            await bench.until_time_passed(lambda: len(two.bodies) == 1)
            assert bench.notifier.alertmanagers() == [endpoint(two.url)]
            assert bench.metrics.registry.get_sample_value("prometheus_notifications_alertmanagers_discovered") == 1
        assert one.bodies == []

    with serving() as one, serving() as two:
        asyncio.run(story(one, two))


@given(st.lists(st.tuples(st.sampled_from(["put", "take", "back"]), st.integers(0, 9)), max_size=30))
@settings(max_examples=150)
def test_a_queue_is_bounded_and_keeps_the_newest_of_an_alert(moves: list[tuple[str, int]]) -> None:
    async def story() -> None:
        queue, taken, put, lost, sent = Queue(4), [], 0, 0, 0
        for version, (move, number) in enumerate(moves):
            if move == "put":
                before = len(queue)
                replaces = any(one.labels["n"] == str(number) for one in queue._waiting.values())
                lost += queue.put([replace(firing(n=str(number)), annotations={"v": str(version)})])
                put += 1
                assert len(queue) == min(before + (not replaces), 4)
            elif move == "take":
                taken = queue.take(2)
                sent += len(taken)
            else:
                queue.put_back(taken, START * NS)
                taken = []
            assert len(queue) <= 4 + 2
            assert queue.filled.is_set() == bool(len(queue))

    asyncio.run(story())


def webhook(peer: HttpPeer, **options: Any) -> tuple[WebhookNotifier, ManualClock]:
    clock = ManualClock(START * NS)
    chosen = WebhookSettings(external_url="http://w", external_labels={"dc": "x"}, **options)
    return WebhookNotifier(peer.url + "/hook", clock=clock, metrics=Metrics(), settings=chosen), clock


def test_a_webhook_gets_groups_in_alertmanagers_json() -> None:
    async def story(peer: HttpPeer) -> None:
        notifier, clock = webhook(peer)
        notifier.send([firing("A", job="a"), firing("B")])
        clock.advance(3)
        notifier.send([firing("A", job="b")])
        await notifier.flush()
        assert peer.bodies == []
        clock.advance(2)
        await notifier.flush()
        first, second = peer.bodies
        assert (first["version"], first["status"], first["receiver"], first["externalURL"]) == (
            "4", "firing", "webhook", "http://w",
        )  # fmt: skip
        assert first["groupKey"] == '{}:{alertname="A"}'
        assert first["groupLabels"] == {"alertname": "A"}
        assert first["commonLabels"] == {"alertname": "A", "dc": "x"}
        assert first["commonAnnotations"] == {"summary": "s"}
        assert [alert["labels"].get("job") for alert in first["alerts"]] == ["a", "b"]
        alert = first["alerts"][0]
        assert (alert["status"], alert["endsAt"]) == ("firing", "0001-01-01T00:00:00Z")
        assert len(alert["fingerprint"]) == 16
        assert len(second["alerts"]) == 1
        await notifier._client.aclose()

    with serving() as peer:
        asyncio.run(story(peer))


def test_a_webhook_hears_of_changes_only_then_again_after_hours() -> None:
    async def story(peer: HttpPeer) -> None:
        notifier, clock = webhook(peer, repeat=120.0)
        notifier.send([firing()])
        for _ in range(10):
            clock.advance(5)
            notifier.send([firing()])
            await notifier.flush()
        assert len(peer.bodies) == 1
        clock.advance(120)
        await notifier.flush()
        assert len(peer.bodies) == 2
        notifier.send([resolved()])
        clock.advance(5)
        await notifier.flush()
        assert peer.bodies[2]["status"] == "resolved"
        assert peer.bodies[2]["alerts"][0]["endsAt"] == "2023-11-14T22:13:50Z"
        notifier.send([resolved()])
        clock.advance(500)
        await notifier.flush()
        assert len(peer.bodies) == 3
        await notifier._client.aclose()

    with serving() as peer:
        asyncio.run(story(peer))


def test_a_webhook_that_fails_is_asked_again_with_the_state_of_then() -> None:
    async def story(peer: HttpPeer) -> None:
        peer.answers = [500, 500]
        notifier, clock = webhook(peer)
        notifier.send([firing(job="a")])
        clock.advance(5)
        await notifier.flush()
        notifier.send([firing(job="b")])
        for _ in range(10):
            clock.advance(1)
            await notifier.flush()
        assert [len(body["alerts"]) for body in peer.bodies] == [2]
        assert peer.refused == 2
        await notifier._client.aclose()

    with serving() as peer:
        asyncio.run(story(peer))


def test_an_alert_nobody_confirms_is_over_for_a_webhook() -> None:
    async def story(peer: HttpPeer) -> None:
        notifier, clock = webhook(peer)
        async with running(notifier):
            FanOut(notifier).send([firing(minutes=1)])

            def told() -> bool:
                clock.advance(1)
                return len(peer.bodies) == 2

            await until(told)
        assert [body["status"] for body in peer.bodies] == ["firing", "resolved"]

    with serving() as peer:
        asyncio.run(story(peer))
