"""Incidents from the judge's word to the store, PromQL, alerts and the API, and across restarts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import orjson
import pytest
from asgi_client import AsgiClient
from incident_samples import CART, FRONT, NOW, ScriptedJudge, odd, scope

from windvane.alerting.manager import Notification
from windvane.analytics.baselines import Scope
from windvane.api.windvane import analytics_releases, incidents
from windvane.history.book import Book
from windvane.history.versions import Change as Changed
from windvane.history.versions import Version
from windvane.incidents.archive import Archive
from windvane.incidents.changes import KnownChanges
from windvane.incidents.desk import BLIND, LOOKS, Desk, Parts
from windvane.incidents.series import SeriesWriter, shown
from windvane.incidents.values import Incident
from windvane.incidents.watch import Watch
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError, NotFoundError, UnavailableError
from windvane.promql.engine import QueryEngine
from windvane.store.embedded import EmbeddedEngine
from windvane.store.series import SampleWriter

MINUTE = 60
PREFIX = "/api/windvane/v1/incidents"
WHY = {"causes": [{"text": "cart itself", "service": "cart", "namespace": "shop", "caller": None, "confidence": 0.8}],
       "explanation": [{"text": "cart is slow.", "ref": None}]}  # fmt: skip


class Asleep(ManualClock):
    """A clock that knows whether somebody sleeps on it."""

    sleeping = slept = 0

    async def sleep(self, seconds: float) -> None:
        self.sleeping += 1
        self.slept += 1
        try:
            await super().sleep(seconds)
        finally:
            self.sleeping -= 1


@dataclass
class Server:
    """What stands around incidents in a server, on a clock that is moved by hand."""

    engine: EmbeddedEngine
    clock: Asleep = field(default_factory=lambda: Asleep(NOW * 10**9))
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    judge: ScriptedJudge = field(default_factory=ScriptedJudge)
    desk: Desk = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        """All that is in memory is gone."""
        ask = analytics_releases.range_asker(QueryEngine(self.engine))

        def explain(*about: Any) -> Any:
            self.asked.append(about)
            return WHY

        self.desk = Desk(
            Parts(
                Archive(self.engine), SeriesWriter(SampleWriter(self.engine)), ask,
                KnownChanges(Book(self.engine), ask), explain, self.clock, "http://windvane:9900",
            )
        )  # fmt: skip

    def minute(self, *anomalies: Any) -> list[Notification]:
        """A minute passes in which these are odd."""
        self.clock.advance(MINUTE)
        self.judge.odd = list(anomalies)
        return self.desk.minute(self.judge, self.now)[1]

    @property
    def now(self) -> int:
        return self.clock.now_ns() // 10**9

    @property
    def client(self) -> AsgiClient:
        watch = Watch(self.desk, self.engine, lambda: self.judge, clock=self.clock)
        return AsgiClient(incidents.routes(self.desk, lambda: watch.state, self.clock))

    def get(self, path: str = "", **params: str) -> Any:
        return self.client.get(f"{PREFIX}{path}", params).json()

    def say(self, name: str, body: dict[str, str], **headers: str) -> Any:
        given = {"content-type": "application/json", "host": "localhost", **headers}
        return self.client.post(f"{PREFIX}/{name}/feedback", orjson.dumps(body), headers=given).json()

    def values(self, query: str) -> dict[str, float]:
        """The last values of a query's series, by their labels without the name."""
        found = QueryEngine(self.engine).instant(query, self.now * 1_000).value
        metrics, values = found.metrics, found.values  # type: ignore[union-attr]
        return {
            ",".join(f"{key}={value}" for key, value in sorted(labels.items()) if key != "__name__"): float(one)
            for labels, one in zip(metrics, values, strict=True)
        }


@pytest.fixture
def store(log_store: EmbeddedEngine) -> EmbeddedEngine:
    """The module's engine, emptied: much quicker than a new one."""
    for table in ("incidents", "incident_courses", "incident_judge", "series", "samples", "config_versions",
                  "config_changes"):  # fmt: skip
        log_store.command(f"TRUNCATE TABLE {table}")
    return log_store


@pytest.fixture
def server(store: EmbeddedEngine) -> Server:
    return Server(store)


def test_one_incident_is_one_alert_one_record_and_series(server: Server) -> None:
    assert server.minute() == []
    slow = server.now + MINUTE
    [told] = server.minute(odd(CART, start=slow, end=slow))
    name = told.labels["incident"]
    assert told.labels == {
        "alertname": "WindvaneIncident", "incident": name, "service": "cart", "namespace": "shop", "signal": "latency",
        "severity": "ticket",
    }  # fmt: skip
    assert told.annotations["summary"] == "cart answers in 200 ms, 2.0 times the usual 100 ms"
    assert told.annotations["description"].startswith("cart is slow. What is odd: cart answers")
    assert told.annotations["link"] == f"http://windvane:9900/insights?incident={name}"
    assert (told.starts_at, told.resolved, told.ends_at > server.clock.now_ns()) == (slow * 10**9, False, True)
    assert [one.labels["incident"] for one in server.desk.alerts()] == [name]
    assert server.values("windvane_incident") == {
        f"id={name},namespace=shop,service=cart,severity=ticket,signal=latency": 1.0
    }
    band = 'windvane_baseline{service="cart",scope="service",signal="latency"}'
    assert sorted(server.values(band).values()) == [90, 100, 150]
    assert server.values('windvane_anomaly_score{service="front"}') == {
        "namespace=shop,scope=service,service=front,signal=latency": 1.0
    }
    [again] = server.minute(odd(CART, start=slow, end=slow + MINUTE))
    assert again.labels == told.labels
    [worse] = [one for one in server.minute(odd(CART, start=slow, end=server.now + MINUTE, factor=4))
               if not one.resolved]  # fmt: skip
    assert worse.labels == {**told.labels, "severity": "page"}
    for _ in range(5):
        over = server.minute()
    assert [(one.labels, one.resolved) for one in over] == [(worse.labels, True)]
    assert server.values("windvane_incident") == {}
    assert server.desk.alerts() == []
    server.clock.advance(15 * MINUTE)
    assert server.minute() == []


def test_causes_are_asked_when_it_opens_and_two_minutes_later(server: Server) -> None:
    first = server.now + MINUTE
    for _ in range(4):
        server.minute(odd(CART, start=first, end=server.now + MINUTE))
    assert server.asked == [(CART, "latency", first), (CART, "latency", first + LOOKS[1])]


def test_the_api_tells_of_open_ones_first_with_signals_from_before(server: Server) -> None:
    server.judge.known = (scope(FRONT), scope(CART))
    for _ in range(3):
        server.minute()
    begin = server.now + MINUTE
    for _ in range(3):
        server.minute(odd(FRONT, start=begin, end=server.now + MINUTE))
    for _ in range(5):
        server.minute()
    server.minute(odd(CART, "errors", server.now + MINUTE, server.now + MINUTE, 80))
    found = server.get()
    assert [(one["service"], one["open"]) for one in found["incidents"]] == [("cart", True), ("front", False)]
    assert (found["end"] - found["start"], found["watching"]["trouble"]) == (6 * 3_600, None)
    over = found["incidents"][1]
    assert over["cause"] == {"text": "cart itself", "service": "cart", "namespace": "shop", "caller": None,
                             "confidence": 0.8}  # fmt: skip
    assert over["anomalies"][0]["unit"] == "ms"
    assert [one["service"] for one in server.get(service="front.shop", since="1h")["incidents"]] == ["front"]
    assert [one["service"] for one in server.get(open="true")["incidents"]] == ["cart"]
    assert server.get(service="fron")["incidents"] == []
    assert server.get(time=str(begin - 7_200))["incidents"] == []
    details = server.get(f"/{over['id'][:6]}")
    [signal] = details["signals"]
    assert (signal["unit"], signal["scope"]["service"]) == ("ms", "front")
    assert signal["times"] == list(range(begin - 3 * MINUTE, begin + 8 * MINUTE, MINUTE))
    assert (signal["seen"][-1], signal["low"][0], signal["high"][0]) == (110, 90, 150)
    told = [one["text"] for one in details["events"]]
    assert told == ["noticed: latency of front", "over: nothing odd for 5 minutes"]
    assert details["why"] == WHY


def test_feedback_ends_it_silently_is_kept_and_used(server: Server) -> None:
    begin = server.now + MINUTE
    [told] = server.minute(odd(CART, start=begin, end=begin))
    name = told.labels["incident"]
    said = server.say(name, {"verdict": "not-an-anomaly", "note": " import "})
    assert said["feedback"] == {"verdict": "not-an-anomaly", "note": "import", "at": server.now}
    assert not said["open"]
    assert [one.resolved for one in server.minute(odd(CART, start=begin, end=server.now + MINUTE))] == [True]
    server.restart()
    server.clock.advance(3_600)
    later = server.now + MINUTE
    assert server.minute(odd(CART, start=later, end=later, factor=2.4)) == []
    assert len(server.minute(odd(CART, start=later, end=later + MINUTE, factor=2.6))) == 1
    assert server.say(name, {"verdict": ""})["feedback"] is None
    server.restart()
    server.clock.advance(3_600)
    later = server.now + MINUTE
    every = server.minute(odd(FRONT, start=later, end=later), odd(CART, start=later, end=later))
    assert sorted(one.resolved for one in every) == [False, False, True]
    assert len({one.labels["incident"] for one in every}) == 3


def test_feedback_that_cannot_be_kept_says_why(server: Server) -> None:
    cases: list[tuple[str, dict[str, str], dict[str, str], str]] = [
        ("aaaa", {"verdict": "confirmed"}, {}, "there is no incident aaaa, or it is no longer kept"),
        ("a", {"verdict": "confirmed"}, {}, "'a' is no incident: its id, or 4 characters of it or more"),
        ("aaaa", {"verdict": "wrong"}, {}, "verdict: Input should be 'not-an-anomaly', 'confirmed' or ''"),
        ("aaaa", {"verdict": "", "who": "me"}, {}, "who: Extra inputs are not permitted"),
        ("aaaa", {"verdict": ""}, {"content-type": "a/b"}, "content type 'a/b': expected application/json"),
    ]
    for name, body, headers, message in cases:
        assert server.say(name, body, **headers)["error"]["message"] == message


def test_questions_that_make_no_sense(server: Server) -> None:
    cases: list[tuple[dict[str, str], str]] = [
        ({"since": "5s"}, "since '5s': expected a minute at least and 400d at most"),
        ({"limit": "0"}, "limit must be between 1 and 1000"),
        ({"limit": "x"}, "limit 'x': expected a number"),
        ({"open": "maybe"}, "open 'maybe': expected true or false"),
    ]
    for params, message in cases:
        assert server.get(**params)["error"]["message"] == message


def test_an_incident_goes_on_after_a_restart_and_is_not_told_as_another(server: Server) -> None:
    begin = server.now + MINUTE
    [told] = server.minute(odd(CART, start=begin, end=begin))
    server.restart()
    [again] = server.minute(odd(CART, start=begin, end=server.now + MINUTE))
    assert again.labels == told.labels
    server.restart()
    server.clock.advance(3_600)
    assert [one.resolved for one in server.minute()] == [True]
    [one] = server.get()["incidents"]
    assert (one["open"], one["end"]) == (False, begin + MINUTE)


def test_without_telemetry_it_is_not_known_what_goes_on(server: Server) -> None:
    server.minute(odd(CART, start=server.now + MINUTE, end=server.now + MINUTE))
    server.judge.known = ()
    server.clock.advance(BLIND - 3 * MINUTE)
    for _ in range(2):
        [told] = server.minute()
        assert not told.resolved
    assert [one.resolved for one in server.minute()] == [True]


def test_changes_near_the_first_odd_minute(server: Server) -> None:
    book = Book(server.engine)
    book.write(Version(1, "a" * 8, (NOW - 900) * 1_000, 2, 2))
    changed = [Changed("changed", "VirtualService", "shop", "cart", "/mesh.yaml", 1, "d", "x", "y")]
    book.write(Version(2, "b" * 8, (NOW - 300) * 1_000, 2, 2, changes=changed))
    server.minute()
    server.minute(odd(CART, start=server.now + MINUTE, end=server.now + MINUTE))
    [one] = server.get()["incidents"]
    [change] = one["changes"]
    assert (change["at"], change["kind"]) == (NOW - 300, "configuration")
    assert "cart" in change["text"]


def test_the_judge_hears_of_a_version_that_began_to_serve_and_of_configurations(server: Server) -> None:
    server.minute()
    server.judge.known = (*server.judge.known, Scope("version", *CART, "v2"))
    changed = [Changed("changed", "VirtualService", "shop", "front", "/mesh.yaml", 1, "d", "x", "y")]
    Book(server.engine).write(Version(2, "b" * 8, (server.now + 5) * 1_000, 2, 2, changes=changed))
    server.minute()
    assert server.judge.changes == [(scope(CART), server.now), (scope(FRONT), server.now - 55)]


def test_series_are_bounded_and_parts_are_shown_only_when_suspicious(monkeypatch: pytest.MonkeyPatch) -> None:
    from windvane.incidents import series  # noqa: PLC0415
    from windvane.incidents.recent import Minute  # noqa: PLC0415

    def read(one: Scope, score: float) -> Minute:
        return Minute(one, "latency", NOW, (1, 1, 1, 1), score)

    part, dull = Scope("version", *CART, "v2"), Scope("version", *CART, "v1")
    every = [read(part, 4), read(dull, 2), read(scope(CART), 0)]
    assert [one.scope for one in shown(every, ())] == [scope(CART), part]
    assert [one.scope for one in shown(every, {(dull, "latency")})] == [scope(CART), dull, part]
    monkeypatch.setattr(series, "MOST", 1)
    assert [one.scope for one in shown(every, ())] == [scope(CART)]


def test_what_was_learnt_is_kept_whole_in_turns(store: EmbeddedEngine) -> None:
    archive = Archive(store)
    assert archive.learnt() is None
    large = np.random.default_rng(1).bytes((2 << 20) + 7)
    for number, learnt in enumerate((b"first", large, b"third"), 1):
        archive.keep_learnt(learnt, number)
        assert Archive(store).learnt() == learnt
    assert len(store.query("SELECT DISTINCT Slot FROM incident_judge")) == 2
    store.command("ALTER TABLE incident_judge DROP PARTITION 1")
    assert Archive(store).learnt() == large


def test_ids_may_be_shortened_where_that_is_clear(store: EmbeddedEngine) -> None:
    archive = Archive(store)
    one = Incident("abcd1111", NOW, "ticket", "a", (odd(CART),))
    archive.write([one, Incident("abcd2222", NOW, "ticket", "b", (odd(FRONT),))], 1)
    assert archive.incident("abcd1") == one
    with pytest.raises(BadInputError, match="abcd may be abcd1111 or abcd2222"):
        archive.incident("abcd")
    with pytest.raises(NotFoundError):
        archive.incident("abcd3")


class Loop:
    """A watch that runs on a clock that is moved by hand, and whom it tells."""

    def __init__(self, server: Server) -> None:
        self.server, self.told, self.made = server, list[Notification](), 0
        self.watch = Watch(server.desk, server.engine, self._make, clock=server.clock)

    def send(self, notifications: Sequence[Notification]) -> None:
        self.told.extend(notifications)

    def _make(self) -> ScriptedJudge:
        self.made += 1
        return self.server.judge

    async def minutes(self, *done: Callable[[], bool]) -> None:
        """Pass a minute for each of these, and wait until it holds."""
        async with asyncio.timeout(30):
            for one in done:
                while not self.server.clock.sleeping:
                    await asyncio.sleep(0.001)
                self.server.clock.advance(MINUTE)
                while not one():
                    await asyncio.sleep(0.001)


def test_the_loop_learns_judges_waits_for_the_store_and_takes_up_what_it_learnt(server: Server) -> None:
    judge = server.judge

    async def watch() -> None:
        loop = Loop(server)
        task = asyncio.create_task(loop.watch.run(loop))
        await asyncio.sleep(0)
        await loop.minutes(lambda: server.clock.slept == 2)
        labels = {"__name__": "istio_requests_total", "reporter": "destination"}
        SampleWriter(server.engine).write([labels], np.array([server.now * 1_000]), np.array([1.0]))
        assert loop.made == 0, "nothing is loaded before there are metrics"
        await loop.minutes(lambda: len(judge.advanced) == 1)
        judge.fails = UnavailableError("the store does not answer")
        await loop.minutes(lambda: loop.watch.state.trouble == "the store does not answer")
        judge.fails = None
        await loop.minutes(lambda: len(judge.advanced) == 2 and loop.watch.state.trouble is None)
        judge.fails = ZeroDivisionError("division by zero")
        await loop.minutes(lambda: "a defect of Windvane (ZeroDivisionError" in (loop.watch.state.trouble or ""))
        judge.fails, judge.odd = None, [odd(CART, start=server.now, end=server.now)]
        await loop.minutes(lambda: len(loop.told) == 1)
        assert (loop.made, judge.learnt) == (1, [judge.advanced[0]])
        assert (loop.watch.state.services, loop.watch.state.days) == (2, 1.0)
        assert all(at % MINUTE == 0 for at in judge.advanced)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        loop.watch.close()
        after = Loop(server)
        task = asyncio.create_task(after.watch.run(after))
        await asyncio.sleep(0)
        await after.minutes(lambda: after.watch.state.last is not None)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert judge.learnt[1:] == [-1], "taken up, not learnt anew"

    asyncio.run(watch())
