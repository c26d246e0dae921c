"""The manager: slots, missed turns, edits of files, state across restarts."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from rules_bench import START, Server, instant, rules, settle, until, write

from windvane.alerting.rules import NS, State
from windvane.kit.metrics import Metrics
from windvane.kit.yaml_nodes import FileError
from windvane.store.embedded import EmbeddedEngine

FIRES = rules("{alert: A, expr: m == 0, annotations: {s: '{{ $value }} {{ $externalLabels.dc }}'}}")


@asynccontextmanager
async def running(server: Server) -> AsyncIterator[Server]:
    task = asyncio.create_task(server.manager.run())
    try:
        await until(lambda: bool(server.manager.groups()) or bool(server.manager.problems))
        await settle()
        yield server
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def to_first_slot(server: Server) -> None:
    """Up to the first evaluation of the group."""
    group = server.manager.groups()[0]
    await server.pass_time((group.slot(server.clock.now_ns()) + group.interval - server.clock.now_ns()) / NS)


def test_groups_are_evaluated_at_their_slots_and_alerts_are_told(engine: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(FIRES)

    async def story() -> None:
        async with running(Server(engine, tmp_path, external_labels={"dc": "x"}, external_url="http://w/")) as server:
            await to_first_slot(server)
            assert server.notified.sent == []
            write(engine, server.now + 60, {"m": 0})
            await server.pass_time(60)
            await until(lambda: len(server.notified.sent) == 1)
            (told,) = server.notified.sent
            assert told.labels == {"alertname": "A"}
            assert told.annotations == {"s": "0 x"}
            assert told.generator_url == "http://w/graph?g0.expr=m+%3D%3D+0&g0.tab=1"
            assert told.starts_at == server.slot
            assert told.ends_at == server.slot + 240 * NS
            assert [alert.state for alert in server.manager.alerts()] == [State.FIRING]
            assert server.count("prometheus_rule_group_iterations_total") == 2
            assert server.count("prometheus_rule_group_iterations_missed_total") == 0
            assert server.count("prometheus_rule_group_rules") == 1
            write(engine, server.now + 60, {"m": 1})
            await server.pass_time(60)
            await until(lambda: len(server.notified.sent) == 2)
            assert [one.resolved for one in server.notified.sent] == [False, True]
            assert server.notified.sent[1].ends_at == server.slot

    asyncio.run(story())


def test_turns_that_were_missed_are_counted(engine: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(rules("{record: r, expr: '1'}"))

    async def story() -> None:
        async with running(Server(engine, tmp_path)) as server:
            await to_first_slot(server)
            server.clock.advance(60 * 4)  # the task wakes for the next slot and finds three more gone by
            await until(lambda: server.count("prometheus_rule_evaluations_total") >= 3)
            await settle()
            assert server.count("prometheus_rule_group_iterations_missed_total") == 2
            assert server.count("prometheus_rule_group_iterations_total") == 5

    asyncio.run(story())


def test_a_bad_edit_keeps_the_rules_of_before(engine: EmbeddedEngine, tmp_path: Path) -> None:
    file = tmp_path / "r.yml"
    file.write_text(rules("{record: r, expr: m}"))

    async def story() -> None:
        async with running(Server(engine, tmp_path)) as server:
            group = server.manager.groups()[0]
            file.write_text(rules("{record: r, expr: 'm +'}"))
            with pytest.raises(FileError, match="could not parse expression"):
                await server.manager.reload()
            assert server.manager.groups() == [group]
            assert "could not parse" in str(server.manager.problems[0])
            assert server.metrics.registry.get_sample_value("windvane_rules_last_reload_successful") == 0
            file.write_text(rules("{record: r, expr: m}"))
            await server.manager.reload()
            assert server.manager.groups() == [group]
            assert not server.manager.problems
            file.write_text(rules("{record: r, expr: m}", "{record: s, expr: m}"))
            await server.manager.reload()
            assert server.manager.groups() != [group]

    asyncio.run(story())


def test_edits_are_noticed(engine: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(rules("{record: r, expr: m}"))

    async def story() -> None:
        async with running(Server(engine, tmp_path)) as server:
            names = lambda: [group.spec.name for group in server.manager.groups()]  # noqa: E731
            number = 0

            def edited() -> bool:
                nonlocal number
                number += 1  # a watcher that only just starts may miss an edit: the next one counts too
                (tmp_path / "s.yml").write_text(rules(f"{{record: s, expr: m + {number}}}", name="h"))
                return "h" in names()

            await until(edited)
            (tmp_path / "r.yml").unlink()
            await until(lambda: names() == ["h"])

    asyncio.run(story())


def test_a_group_that_is_gone_ends_its_series_two_intervals_later(engine: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(rules("{record: r, expr: '1'}"))
    (tmp_path / "s.yml").write_text(rules("{record: s, expr: '1'}", name="stays"))

    async def story() -> None:
        async with running(Server(engine, tmp_path)) as server:
            await to_first_slot(server)
            server.clock.advance(1)
            (tmp_path / "r.yml").unlink()
            await server.manager.reload()
            ended = server.now
            await settle()
            assert instant(engine, "r", ended) == {"": 1}
            server.clock.advance(121)
            await until(lambda: instant(engine, "r", ended + 1) == {})

    asyncio.run(story())


def test_an_edit_keeps_the_state_of_alerts(engine: EmbeddedEngine, tmp_path: Path) -> None:
    file = tmp_path / "r.yml"
    file.write_text(rules("{alert: A, expr: m == 0, for: 1h}"))
    for minute in range(10):
        write(engine, START + 60 * minute, {"m": 0})

    async def story() -> None:
        async with running(Server(engine, tmp_path)) as server:
            await to_first_slot(server)
            since = server.manager.alerts()[0].active_at
            file.write_text(rules("{alert: A, expr: m <= 0, for: 1m}"))
            await server.manager.reload()
            assert server.manager.alerts()[0].active_at == since
            await server.pass_time(60)
            assert server.manager.alerts()[0].state is State.FIRING

    asyncio.run(story())


async def lived(engine: EmbeddedEngine, folder: Path, begin: float, minutes: int, value: float = 0.0) -> Server:
    """A server that ran from a time for some minutes and was stopped."""
    server = Server(engine, folder)
    server.clock.advance(begin - START)
    async with running(server):
        for minute in range(minutes):
            write(engine, server.now + 1, {"m": value})
            await (to_first_slot(server) if not minute else server.pass_time(60))
    return server


@pytest.mark.parametrize(
    ("hold", "keep", "first", "down", "value", "wanted"),
    [
        # firing before: fires again as soon as it is looked up, whatever its rule waits for
        ("0m", "0m", 5, 10, 0.0, "firing"),
        ("5m", "0m", 10, 10, 0.0, "firing"),
        ("30m", "0m", 40, 10, 0.0, "firing"),
        # pending before: goes on waiting
        ("30m", "0m", 10, 10, 0.0, "pending"),
        # longer down than is tolerated: begins anew
        ("30m", "0m", 40, 70, 0.0, "pending"),
        # its condition is over, but it is to be kept firing
        ("0m", "60m", 5, 10, 1.0, "firing"),
        ("0m", "0m", 5, 10, 1.0, ""),
    ],
)
def test_alerts_survive_a_restart(
    engine: EmbeddedEngine, tmp_path: Path, hold: str, keep: str, first: int, down: int, value: float, wanted: str
) -> None:
    (tmp_path / "r.yml").write_text(rules(f"{{alert: A, expr: m == 0, for: {hold}, keep_firing_for: {keep}}}"))

    async def story() -> None:
        before = await lived(engine, tmp_path, START, first)
        after = await lived(engine, tmp_path, before.now + 60 * down, 3, value)
        assert [alert.state.value for alert in after.manager.alerts()] == ([wanted] if wanted else [])

    asyncio.run(story())


def test_the_time_a_server_was_down_does_not_count_as_waiting(engine: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(rules("{alert: A, expr: m == 0, for: 30m}"))

    async def story() -> None:
        before = await lived(engine, tmp_path, START, 10)
        (waiting,) = before.manager.alerts()
        after = await lived(engine, tmp_path, before.now + 1200, 3)
        (restored,) = after.manager.alerts()
        down = restored.active_at - waiting.active_at
        assert 1200 * NS <= down <= 1200 * NS + 3 * 60 * NS

    asyncio.run(story())


def test_an_alert_that_was_about_to_fire_waits_at_least_the_grace(engine: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(rules("{alert: A, expr: m == 0, for: 30m}"))

    async def story() -> None:
        before = await lived(engine, tmp_path, START, 28)
        after = await lived(engine, tmp_path, before.now + 600, 2)
        (restored,) = after.manager.alerts()
        assert restored.state is State.PENDING
        remaining = restored.active_at + 1800 * NS - after.clock.now_ns()
        assert remaining == 600 * NS

    asyncio.run(story())


def test_two_managers_share_one_registry_and_leave_nothing_behind(engine: EmbeddedEngine, tmp_path: Path) -> None:
    (tmp_path / "r.yml").write_text(FIRES)
    metrics = Metrics()

    async def story() -> None:
        async with running(Server(engine, tmp_path, metrics)), running(Server(engine, tmp_path, metrics)):
            await settle()

    asyncio.run(story())
    assert not [one for one in threading.enumerate() if one.name.startswith("rules")]


def test_without_files_nothing_runs(engine: EmbeddedEngine, tmp_path: Path) -> None:
    async def story() -> None:
        server = Server(engine, tmp_path / "none")
        task = asyncio.create_task(server.manager.run())
        await settle()
        await server.manager.reload()
        assert server.manager.groups() == []
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(story())
