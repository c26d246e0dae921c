"""Supervision of real processes: ready, restarted, stopped in the end, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from local_helpers import until

from windvane.kit.clock import SystemClock
from windvane.kit.errors import UnavailableError
from windvane.local import logs
from windvane.local.supervisor import ChildSpec, Supervisor

SLEEP = (sys.executable, "-c", "import time; print('up', flush=True); time.sleep(600)")
STUBBORN = (
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(600)",
)
PARENT = ("/bin/sh", "-c", "sleep 611 & echo $! && wait")  # a child with a child of its own
Events = list[tuple[str, Mapping[str, object]]]


@asynccontextmanager
async def supervising(log_dir: Path, events: Events | None = None) -> AsyncIterator[Supervisor]:
    told: Events = events if events is not None else []
    supervisor = Supervisor(log_dir, SystemClock(), lambda event, fields: told.append((event, fields)))
    await supervisor.open()
    try:
        yield supervisor
    finally:
        await supervisor.close()


def printed(log: Path) -> bool:
    return log.exists() and log.stat().st_size > 0


def gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_a_child_is_ready_when_its_check_says_so(tmp_path: Path) -> None:
    flag = tmp_path / "flag"

    async def ready() -> bool:
        return flag.exists()

    async def scenario() -> None:
        async with supervising(tmp_path / "logs") as supervisor:
            child = supervisor.start(ChildSpec("a", SLEEP, ready=ready))
            await until(lambda: child.pid is not None)
            assert child.state == "starting"
            flag.touch()
            await child.wait_ready(10)
            assert child.state == "ready"

    asyncio.run(scenario())


def test_what_is_never_ready_is_told_with_the_end_of_its_log(tmp_path: Path) -> None:
    async def never() -> bool:
        return False

    async def scenario() -> None:
        async with supervising(tmp_path) as supervisor:
            child = supervisor.start(ChildSpec("a", (sys.executable, "-c", "exit('no such luck')"), ready=never))
            await until(lambda: child.restarts > 0)
            with pytest.raises(UnavailableError, match=r"a is not ready after 0 s .*a\.log\)\nno such luck"):
                await child.wait_ready(0.05)

    asyncio.run(scenario())


def test_a_killed_child_comes_back_and_its_group_does_not_linger(tmp_path: Path) -> None:
    async def scenario() -> None:
        events: Events = []
        async with supervising(tmp_path, events) as supervisor:
            child = supervisor.start(ChildSpec("a", PARENT))
            await until(lambda: printed(child.log))
            grandchild, first = int(child.log.read_text()), child.pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await until(lambda: child.pid not in (first, None))
            await until(lambda: gone(grandchild))
            assert child.restarts == 1
            assert ("exited", {"process": "a", "code": -9, "restart_in": 0.1, "last": str(grandchild)}) in events

    asyncio.run(scenario())


def test_restarts_back_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        events: Events = []
        async with supervising(tmp_path, events) as supervisor:
            child = supervisor.start(ChildSpec("a", (sys.executable, "-ISsc", "exit(3)")))
            await until(lambda: child.restarts >= 3)
        delays = [fields["restart_in"] for event, fields in events if event == "exited"]
        assert delays[:3] == [0.1, 0.2, 0.4]

    asyncio.run(scenario())


def test_a_process_that_may_end_is_not_restarted_unless_it_failed(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervising(tmp_path) as supervisor:
            done = supervisor.start(ChildSpec("done", (sys.executable, "-ISsc", "pass"), restart=False))
            await asyncio.wait_for(done.wait_gone(), 10)
            assert (done.code, done.restarts) == (0, 0)
            failing = supervisor.start(ChildSpec("failing", (sys.executable, "-ISsc", "exit(1)"), restart=False))
            await until(lambda: failing.restarts > 0)

    asyncio.run(scenario())


def test_stop_ends_even_what_ignores_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        events: Events = []
        async with supervising(tmp_path, events) as supervisor:
            child = supervisor.start(ChildSpec("a", STUBBORN, stop_timeout=0.2))
            await until(lambda: printed(child.log))
            pid = child.pid
            assert pid is not None
            await supervisor.stop("a")
            assert gone(pid)
            assert ("killed", {"process": "a", "after": 0.2}) in events

    asyncio.run(scenario())


def test_a_program_that_does_not_exist_is_told_in_the_log(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with supervising(tmp_path) as supervisor:
            child = supervisor.start(ChildSpec("a", ("/no/such/program",)))
            await until(lambda: child.restarts > 0)
            assert "cannot run /no/such/program: No such file or directory" in child.log.read_text()

    asyncio.run(scenario())


def command_line(process: psutil.Process) -> str:
    """Empty for one that has just ended."""
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return ""


SUPERVISE = """
import asyncio, signal, sys
from pathlib import Path
from windvane.kit.clock import SystemClock
from windvane.local.supervisor import ChildSpec, Supervisor

async def main():
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    supervisor = Supervisor(Path(sys.argv[1]), SystemClock(), lambda *_: None)
    await supervisor.open()
    supervisor.start(ChildSpec("plain", (sys.executable, "-c", "import time; print(1, flush=True); time.sleep(600)")))
    supervisor.start(ChildSpec("family", ("/bin/sh", "-c", "sleep 612 & echo $! && wait")))
    await stop.wait()
    await supervisor.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_nothing_outlives_the_supervisor(how: signal.Signals, tmp_path: Path) -> None:
    async def scenario() -> None:
        with subprocess.Popen([sys.executable, "-c", SUPERVISE, str(tmp_path)]) as supervisor:
            try:
                files = [tmp_path / f"{name}.log" for name in ("plain", "family")]
                await until(lambda: all(printed(file) for file in files))
                family = psutil.Process(supervisor.pid).children(recursive=True)
                assert len(family) >= 4  # plain, the shell, its sleep, the warden
                supervisor.send_signal(how)
                supervisor.wait(15)
                await until(lambda: all(gone(process.pid) for process in family))
            finally:
                supervisor.kill()

    asyncio.run(scenario())


def test_the_warden_is_replaced_and_still_knows_everything(tmp_path: Path) -> None:
    async def scenario() -> None:
        with subprocess.Popen([sys.executable, "-c", SUPERVISE, str(tmp_path)]) as supervisor:
            try:
                await until(lambda: printed(tmp_path / "family.log"))
                sleeper = int((tmp_path / "family.log").read_text())

                def wardens() -> list[int]:
                    return [c.pid for c in psutil.Process(supervisor.pid).children() if "warden" in command_line(c)]

                await until(lambda: len(wardens()) == 1)
                first = wardens()[0]
                os.kill(first, signal.SIGKILL)
                await until(lambda: bool(set(wardens()) - {first}))
                supervisor.kill()
                supervisor.wait(15)
                await until(lambda: gone(sleeper))
            finally:
                supervisor.kill()

    asyncio.run(scenario())


def test_logs_are_moved_aside_at_their_limit(tmp_path: Path) -> None:
    log = tmp_path / "a.log"
    with log.open("ab") as writer:  # as a child holds it
        for content in (b"one" * 10, b"two" * 10, b"three" * 10):
            writer.write(content)
            writer.flush()
            assert logs.rotate(log, limit=20)
        writer.write(b"end")
        writer.flush()
    assert not logs.rotate(log, limit=20)
    assert log.read_bytes() == b"end"
    assert (tmp_path / "a.log.1").read_bytes() == b"three" * 10
    assert (tmp_path / "a.log.2").read_bytes() == b"two" * 10
    assert len(list(tmp_path.iterdir())) == 3
    assert logs.tail(log) == "end"
    assert logs.tail(tmp_path / "none.log") == ""
