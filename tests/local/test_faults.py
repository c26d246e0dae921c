"""Faults that a mesh does to itself: how they are asked for, when they are on, what they do to applications."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from local_helpers import service, until
from test_emulator import A, get, running, workload

from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.local.emulator.plan import EmulatorPlan
from windvane.local.emulator.relay import Relay
from windvane.local.emulator.trouble import Trouble
from windvane.local.faults import Fault, aimed_at, check_faults, follow, parse_fault, troubled
from windvane.local.http1 import SendError
from windvane.local.placement import imagined_placement
from windvane.mesh.files import FileSource
from windvane.mesh.view import MeshView

Free = Callable[[], int]


@pytest.fixture
def view(tmp_path: Path) -> MeshView:
    runs = "{windvane.dev/run: 'sleep 9'}"
    (tmp_path / "mesh.yaml").write_text(service("shop") + service("stock") + service("other", annotations=runs))
    found = FileSource((tmp_path,)).load().view
    assert found is not None
    return found


def test_a_fault_is_read() -> None:
    assert parse_fault("errors@cart.shop,after=10s,for=2m,every=5m,share=5%") == Fault(
        "errors", "cart.shop", 10, 120, 300, share=0.05
    )
    assert parse_fault("latency@cart,by=1s").trouble == Trouble(delay=1.0)
    assert parse_fault("network-delay@cart,by=100ms").trouble == Trouble(network=0.1)
    assert parse_fault("outage@cart").trouble == Trouble(down=True)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("fire@cart", "expected KIND@SERVICE, with a kind of latency, errors"),
        ("errors", "expected KIND@SERVICE"),
        ("errors@", "expected KIND@SERVICE"),
        ("outage@cart,share=1", "unknown 'share' (kind outage takes after, for, every)"),
        ("errors@cart,share=0", "share must be more than nothing"),
        ("errors@cart,share=2", "share: not a share: '2'"),
        ("errors@cart,share=much", "share: not a share"),
        ("errors@cart,for=5", "for: not a duration: '5'"),
        ("errors@cart,for=0s", "for must be more than nothing"),
        ("errors@cart,every=1m", "every must be longer than for (300s)"),
    ],
)
def test_what_is_wrong_with_a_fault_is_said(text: str, reason: str) -> None:
    with pytest.raises(BadInputError) as error:
        parse_fault(text)
    assert error.value.message.startswith(f"--fault {text}: ")
    assert reason in error.value.message


def test_a_fault_is_aimed_at_a_service_or_a_workload(view: MeshView) -> None:
    for target in ("shop", "shop.d", "shop.d.svc.cluster.local", "shop-v1", "shop-v1.d"):
        assert aimed_at(Fault("errors", target), view) == {"shop-v1.d"}
    with pytest.raises(BadInputError, match=r"no such service or workload \(there is other, shop, stock\)"):
        check_faults([Fault("errors", "cart")], view)
    with pytest.raises(BadInputError, match=r"other-v1.d is not emulated: it runs a command"):
        check_faults([Fault("errors", "other")], view)


def test_troubles_add_up_and_callers_of_a_storm_repeat(view: MeshView) -> None:
    apps = {key: replace(workload({1: "http"}, "{}"), name=key[:-2]) for key in ("shop-v1.d", "stock-v1.d")}
    faults = [parse_fault("errors@shop,share=50%"), parse_fault("retry-storm@shop,share=50%"), Fault("errors", "gone")]
    found = troubled(apps, faults, view)
    assert found["shop-v1.d"].trouble == Trouble(errors=0.75)
    assert found["stock-v1.d"].trouble.repeats == 3
    assert "shop.d" in found["stock-v1.d"].trouble.repeated
    assert troubled(apps, [], view) == apps
    plan = EmulatorPlan(found)
    file = Path(view.workloads["shop-v1.d"].file).parent / "plan.json"
    file.write_bytes(plan.to_json())
    assert EmulatorPlan.load(file) == plan


@given(
    st.floats(0, 100),
    st.floats(1, 50),
    st.one_of(st.just(0.0), st.floats(1, 50)),
    st.lists(st.floats(0.1, 40), max_size=9),
)
def test_between_changes_a_fault_stays_as_it_is(after: float, on: float, off: float, steps: list[float]) -> None:
    fault = Fault("errors", "x", after, on, on + off if off else 0.0)
    at = 0.0
    for step in steps:
        change = fault.next_change(at)
        assert change is None or change > at
        if change is None or at + step < change:
            assert fault.active(at) == fault.active(at + step)
        at += step


def test_what_begins_and_ends_is_told_at_its_time() -> None:
    async def scenario() -> None:
        clock, told = ManualClock(), list[tuple[float, list[str]]]()
        faults = (Fault("errors", "a", 10, 20), Fault("outage", "b", 15, 5, 100))
        task = asyncio.create_task(
            follow(faults, clock, lambda active: told.append((clock.monotonic(), [one.target for one in active])))
        )
        for _ in range(26):
            for _ in range(3):
                await asyncio.sleep(0)
            clock.advance(5)
        task.cancel()
        assert told == [(10, ["a"]), (15, ["a", "b"]), (20, ["a"]), (30, []), (115, ["b"]), (120, [])]

    asyncio.run(scenario())


def test_an_application_in_trouble_fails_is_late_and_comes_back(free_port: Free) -> None:
    async def scenario() -> None:
        port = free_port()
        well = workload({port: "http"}, "latency: 0s")
        async with running(well) as host:
            for trouble in (Trouble(errors=1.0), Trouble(delay=0.05), Trouble(down=True), Trouble()):
                assert await host.apply(EmulatorPlan({well.key: replace(well, trouble=trouble)})) == []
                if trouble.down:
                    with pytest.raises(SendError):
                        await get(port)
                    continue
                began = time.monotonic()
                assert (await get(port)).status == (500 if trouble.errors else 200)
                assert time.monotonic() - began >= trouble.delay / 10

    asyncio.run(scenario())


def test_a_caller_in_a_storm_tries_again(free_port: Free) -> None:
    async def scenario() -> None:
        front, behind = free_port(), free_port()
        spec = f"latency: 0s\ncalls: [{{to: 'tcp://db.d:{behind}'}}]"
        caller = workload({front: "http"}, spec, outbound={f"db.d:{behind}": behind})
        caller = replace(caller, trouble=Trouble(repeats=3, repeated=("db.d",)))
        failing = workload({behind: "tcp"}, "latency: 0s\nerrors: [{rate: 100%, status: 500}]", name="db")
        async with running(caller, failing) as host:
            counted = 0
            application = host._running["db.d"].application
            answer = application._pick

            def pick(failures: object) -> object:
                nonlocal counted
                counted += 1
                return answer(failures)  # type: ignore[arg-type]

            application._pick = pick  # type: ignore[method-assign,assignment]
            assert (await get(front)).status == 500
        assert counted == 4

    asyncio.run(scenario())


def test_a_relay_is_late_in_both_directions_and_loses_nothing(free_port: Free) -> None:
    async def scenario() -> None:
        port, relay_port = free_port(), free_port()
        app = replace(workload({port: "http"}, "latency: 0s\nresponse: {bytes: 200KiB}"), relays={relay_port: port})
        app = replace(app, trouble=Trouble(network=0.08))
        async with running(app):
            began = time.monotonic()
            assert len((await get(relay_port)).body) == 200 << 10
            assert time.monotonic() - began >= 0.08
            began = time.monotonic()
        with pytest.raises(SendError):
            await get(relay_port)

    asyncio.run(scenario())


def test_a_relay_ends_with_its_sides(free_port: Free) -> None:
    async def scenario() -> None:
        port, nobody = free_port(), free_port()
        relay = Relay(A, port, nobody, lambda: 0.0)
        await relay.start()
        reader, writer = await asyncio.open_connection(A, port)
        assert await reader.read() == b""
        writer.close()
        await relay.stop()
        await until(lambda: not relay._tasks)

    asyncio.run(scenario())


def test_others_reach_a_relayed_workload_through_its_relay(view: MeshView) -> None:
    place = imagined_placement(view).places["shop-v1.d"]
    assert place.reached(8080) == place.inbound[8080]
    assert replace(place, relays={8080: 17_000}).reached(8080) == 17_000
    assert place.reached(81) is None
