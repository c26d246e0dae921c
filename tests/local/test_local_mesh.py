"""A whole local mesh with real Envoys and the real control plane; a stand-in for the rest of the server."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import psutil
import pytest
from local_helpers import service, until

from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError
from windvane.kit.values import Address
from windvane.local import probes
from windvane.local.addresses import can_bind, claim
from windvane.local.up import Faces, LocalMesh, MeshOptions, Traffic

HERE = Path(__file__).parent
EXAMPLE = HERE.parent.parent / "examples" / "python-app"
STAND_IN = (sys.executable, str(HERE / "stand_in_server.py"))

Events = list[tuple[str, Mapping[str, object]]]


class Running:
    """A mesh in a task, and what it has told."""

    def __init__(self, mesh: LocalMesh, events: Events) -> None:
        self.mesh, self.events, self.stop = mesh, events, asyncio.Event()
        self.task = asyncio.create_task(mesh.run(self.stop))

    def told(self, event: str) -> list[Mapping[str, object]]:
        return [fields for name, fields in self.events if name == event]

    def up(self) -> bool:
        if self.task.done():
            self.task.result()
        return any("console" in fields for fields in self.told("ready"))

    @property
    def gateway(self) -> tuple[str, int]:
        url = next(str(fields["gateway"]) for fields in self.told("ready") if "gateway" in fields)
        address = Address.parse(url.removeprefix("http://").rstrip("/"))
        return address.host, address.port


def options(folder: Path, mesh: Path, ports: list[int], traffic: Traffic | None = None) -> MeshOptions:
    addresses = [Address("127.0.0.1", port) for port in ports]
    return MeshOptions((mesh,), folder / "run", Faces(*addresses[:4]), addresses[4], traffic=traffic, server=STAND_IN)


@pytest.fixture
def ports(free_port: Callable[[], int]) -> list[int]:
    return [free_port() for _ in range(5)]


@asynccontextmanager
async def running(given: MeshOptions) -> AsyncIterator[Running]:
    events: Events = []
    run = Running(LocalMesh(given, SystemClock(), lambda event, fields: events.append((event, fields))), events)
    try:
        await until(run.up, within=60)
        yield run
    finally:
        run.stop.set()
        await run.task


@pytest.mark.e2e
def test_the_example_joins_the_mesh_and_leaves_nothing_behind(tmp_path: Path, ports: list[int]) -> None:
    async def scenario() -> None:
        others = psutil.Process().children(recursive=True)
        async with running(options(tmp_path, EXAMPLE / "mesh.yaml", ports)) as run:
            answer = await probes.get(*run.gateway, "/")
            assert answer is not None
            assert (answer.status, json.loads(answer.body)["quote_bytes"]) == (200, 120)
            assert json.loads(answer.body)["trace"].endswith("-01")
            family = [each for each in psutil.Process().children(recursive=True) if each not in others]
            assert sum("envoy" in process.name() for process in family) == 3
            files = [each for each in (tmp_path / "run").rglob("*") if each.is_file()]
            secret = [each for each in files if each.parent.name == "envoy" or b"PRIVATE KEY" in each.read_bytes()]
            assert len(secret) == 4  # a bootstrap for each sidecar, and the root's key
            assert {stat.S_IMODE(each.stat().st_mode) for each in secret} == {0o600}
        await until(lambda: not any(process.is_running() for process in family))

    asyncio.run(scenario())


@pytest.mark.e2e
def test_a_mesh_where_only_one_loopback_address_exists(
    tmp_path: Path, ports: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def shared_only(address: str, port: int) -> bool:
        return address == "127.0.0.1" and can_bind(address, port)

    monkeypatch.setattr("windvane.local.up.claim", partial(claim, bindable=shared_only))

    async def scenario() -> None:
        async with running(options(tmp_path, EXAMPLE / "mesh.yaml", ports)) as run:
            answer = await probes.get(*run.gateway, "/")
            assert answer is not None
            assert (answer.status, json.loads(answer.body)["quote_bytes"]) == (200, 120)
            placement = json.loads((tmp_path / "run" / "placement.json").read_text())
            assert {place["address"] for place in placement.values()} == {"127.0.0.1"}

    asyncio.run(scenario())


@pytest.mark.e2e
def test_a_killed_sidecar_and_a_killed_application_come_back(tmp_path: Path, ports: list[int]) -> None:
    async def scenario() -> None:
        async with running(options(tmp_path, EXAMPLE / "mesh.yaml", ports)) as run:
            for name in ("envoy-greeter-v1.hello", "app-greeter-v1.hello", "emulator", "server"):
                child = run.mesh.supervisor.children[name]
                assert child.pid is not None
                os.kill(child.pid, signal.SIGKILL)
                await until(lambda child=child: child.restarts == 1)  # type: ignore[misc]
                await child.wait_ready(30)

            async def answered() -> bool:
                answer = await probes.get(*run.gateway, "/")
                return answer is not None and answer.status == 200

            await until(answered)

    asyncio.run(scenario())


def emulated(name: str, text: str = "latency: 1ms") -> str:
    return service(name, annotations=f"{{windvane.dev/emulate: '{text}'}}")


@pytest.mark.e2e
def test_edits_start_and_stop_sidecars_and_a_bad_edit_changes_nothing(tmp_path: Path, ports: list[int]) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(emulated("a"))

    async def scenario() -> None:
        async with running(options(tmp_path, file, ports)) as run:
            children = run.mesh.supervisor.children
            first = children["envoy-a-v1.d"].pid
            file.write_text(emulated("a") + emulated("b"))
            await until(lambda: "envoy-b-v1.d" in children)
            await children["envoy-b-v1.d"].wait_ready(30)
            file.write_text("kind: [")
            await until(lambda: bool(run.told("refused")))
            assert "envoy-b-v1.d" in children
            assert any("WV0101" in str(fields["code"]) for fields in run.told("finding"))
            file.write_text(emulated("a", "latncy: 1ms"))
            await until(lambda: "envoy-b-v1.d" not in children)
            assert any("latncy: unknown field" in str(fields["message"]) for fields in run.told("problem"))
            assert children["envoy-a-v1.d"].pid == first
            plan = json.loads((tmp_path / "run" / "emulator.json").read_text())
            assert plan["a-v1.d"]["emulate"] == "latency: 1ms", "the last good annotation stays"

    asyncio.run(scenario())


@pytest.mark.e2e
def test_two_meshes_at_once_and_traffic_that_ends_by_itself(tmp_path: Path, ports: list[int]) -> None:
    async def scenario() -> None:
        both: list[Running] = []
        for name in ("one", "two"):
            traffic = Traffic(rate=40, duration="1s", day="none")
            given = options(tmp_path / name, EXAMPLE / "mesh.yaml", ports, traffic)
            events: Events = []
            report = lambda event, fields, events=events: events.append((event, fields))  # noqa: E731
            both.append(Running(LocalMesh(given, SystemClock(), report), events))
        await asyncio.wait_for(asyncio.gather(*(run.task for run in both)), 90)
        for run in both:
            counts = run.told("traffic")[0]
            assert counts["outcomes"] == {"200": counts["sent"]}
        assert both[0].gateway != both[1].gateway
        assert {fields["option"] for fields in both[1].told("moved")} == {"http", "grpc", "otlp-http", "ads", "gateway"}

    asyncio.run(scenario())


MESH = """
import asyncio, signal, sys
from pathlib import Path
from windvane.kit.clock import SystemClock
from windvane.kit.values import Address
from windvane.local.up import Faces, LocalMesh, MeshOptions

async def main(mesh, run_dir, server, *ports):
    at = [Address("127.0.0.1", int(port)) for port in ports]
    options = MeshOptions((Path(mesh),), Path(run_dir), Faces(*at[:4]), at[4], server=(sys.executable, server))
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    report = lambda event, fields: print(event, *fields, flush=True)
    await LocalMesh(options, SystemClock(), report).run(stop)

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.e2e
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_mesh(how: signal.Signals, tmp_path: Path, ports: list[int]) -> None:
    arguments = [str(EXAMPLE / "mesh.yaml"), str(tmp_path / "run"), STAND_IN[1], *map(str, ports)]

    async def scenario() -> None:
        mesh = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", MESH, *arguments), stdout=asyncio.subprocess.PIPE
        )
        assert mesh.stdout is not None
        async for line in mesh.stdout:
            if line.startswith(b"ready console"):
                break
        family = psutil.Process(mesh.pid).children(recursive=True)
        assert sum("envoy" in process.name() for process in family) == 3
        assert any("app.py" in " ".join(process.cmdline()) for process in family)
        mesh.send_signal(how)
        await asyncio.wait_for(asyncio.gather(mesh.wait(), mesh.stdout.read()), 30)
        await until(lambda: not any(process.is_running() for process in family))

    asyncio.run(scenario())


def test_an_invalid_mesh_is_refused_with_its_place(tmp_path: Path, ports: list[int]) -> None:
    file = tmp_path / "mesh.yaml"
    file.write_text(service("a").replace("selector", "selectr"))
    with pytest.raises(BadInputError, match=r"mesh\.yaml:\d+: .*selectr"):
        LocalMesh(options(tmp_path, file, ports), SystemClock(), lambda *_: None)


def test_a_gateway_for_the_world_is_refused(tmp_path: Path) -> None:
    given = MeshOptions((EXAMPLE / "mesh.yaml",), tmp_path, gateway=Address("0.0.0.0", 8080))
    with pytest.raises(BadInputError, match=r"--gateway 0\.0\.0\.0:8080"):
        LocalMesh(given, SystemClock(), lambda *_: None)
