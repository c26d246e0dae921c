"""Runs a mesh's processes: starts them, knows when they are ready, restarts those that die, stops all.

Each child is a session of its own, so a Ctrl-C in the terminal reaches the supervisor alone and
the order of stopping stays ours. Nothing outlives the supervisor: `launch` ties each child to it,
`warden` ends what the children started.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from windvane.kit.clock import Clock
from windvane.kit.errors import UnavailableError
from windvane.local import launch, logs, warden

State = Literal["starting", "ready", "waiting", "stopping", "stopped"]
Report = Callable[[str, Mapping[str, object]], None]

_BACKOFF = (0.1, 10.0)
_STEADY = 10.0
_READY_POLL = (0.05, 0.4)


async def _at_once() -> bool:
    return True


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """A process to keep running. Times in seconds.

    `ready` is asked until it says True; `restart` False lets the process end by itself (exit code 0);
    a child that does not end within `stop_timeout` of SIGTERM is killed; `version` differs when
    a running child has to be replaced by one of this spec.
    """

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: Path | None = None
    ready: Callable[[], Awaitable[bool]] = _at_once
    restart: bool = True
    stop_timeout: float = 10.0
    version: str = ""


class Child:
    """One supervised process, over all its restarts."""

    def __init__(self, spec: ChildSpec, log: Path, clock: Clock, report: Report, groups: Callable[[str], None]) -> None:
        self.spec, self.log, self.state = spec, log, _starting()
        self.restarts = 0
        self.code: int | None = None
        self._clock, self._report, self._groups = clock, report, groups
        self._process: asyncio.subprocess.Process | None = None
        self._ready, self._gone, self._stop = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._task = asyncio.create_task(self._keep_running(), name=f"child {spec.name}")

    @property
    def pid(self) -> int | None:
        """The present process's id; None between two of them."""
        running = self._process is not None and self._process.returncode is None
        return self._process.pid if self._process is not None and running else None

    async def wait_ready(self, within: float) -> None:
        """Return when the child is ready; UnavailableError, with the end of its log, when it is not in time."""
        waits = [asyncio.create_task(event.wait()) for event in (self._ready, self._gone)]
        try:
            await asyncio.wait(waits, timeout=within, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._ready.is_set():
            ending = logs.tail(self.log)
            raise UnavailableError(f"{self.spec.name} is not ready after {within:.0f} s (log: {self.log})\n{ending}")

    async def wait_gone(self) -> None:
        """Return when the child has ended for good (it never does while it is restarted)."""
        await self._gone.wait()

    async def _keep_running(self) -> None:
        backoff = _BACKOFF[0]
        try:
            while not self._stop.is_set():
                started = self._clock.monotonic()
                self.code = await self._run_once()
                if self._stop.is_set() or (not self.spec.restart and self.code == 0):
                    break
                if self._clock.monotonic() - started > _STEADY:
                    backoff = _BACKOFF[0]
                self.state = "waiting"
                self._report(
                    "exited",
                    {
                        "process": self.spec.name,
                        "code": self.code,
                        "restart_in": backoff,
                        "last": logs.tail(self.log, 1),
                    },
                )
                await self._pause(backoff)
                backoff = min(backoff * 2, _BACKOFF[1])
                self.restarts += 1
        finally:
            self.state = "stopped"
            self._gone.set()

    async def _run_once(self) -> int:
        self.state = _starting()
        self._ready.clear()
        with self.log.open("ab") as output:
            try:
                self._process = process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-ISs", launch.__file__, str(os.getpid()), *self.spec.argv),
                    stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
                    cwd=self.spec.cwd, env={**os.environ, **self.spec.env},
                )  # fmt: skip
            except OSError as error:
                output.write(f"cannot start: {error}\n".encode())
                return 127
        self._groups(f"+{process.pid}")
        if self._stop.is_set():  # told to stop while it was being made
            process.terminate()
        self._report("started", {"process": self.spec.name, "pid": process.pid})
        probing = asyncio.create_task(self._probe())
        try:
            return await process.wait()
        finally:
            probing.cancel()
            _signal_group(process.pid, signal.SIGKILL)  # what it left behind
            self._groups(f"-{process.pid}")

    async def _probe(self) -> None:
        pause = _READY_POLL[0]
        while not await self.spec.ready():
            await self._clock.sleep(pause)
            pause = min(pause * 1.3, _READY_POLL[1])
        self.state = "ready"
        self._ready.set()
        self._report("ready", {"process": self.spec.name, "pid": self.pid})

    async def _pause(self, seconds: float) -> None:
        sleeping = asyncio.create_task(self._clock.sleep(seconds))
        stopping = asyncio.create_task(self._stop.wait())
        await asyncio.wait((sleeping, stopping), return_when=asyncio.FIRST_COMPLETED)
        sleeping.cancel()
        stopping.cancel()

    async def stop(self) -> None:
        """SIGTERM, wait, SIGKILL; returns when the process and its group are gone."""
        self._stop.set()
        self.state = "stopping"
        if self.pid is not None:
            _signal_group(self.pid, signal.SIGTERM)
        try:
            async with asyncio.timeout(self.spec.stop_timeout):
                await asyncio.shield(self._task)
        except TimeoutError:
            self._report("killed", {"process": self.spec.name, "after": self.spec.stop_timeout})
            if self.pid is not None:
                _signal_group(self.pid, signal.SIGKILL)
            await self._task


class Supervisor:
    """All children of one mesh, by name."""

    def __init__(self, log_dir: Path, clock: Clock, report: Report) -> None:
        self.children: dict[str, Child] = {}
        self._log_dir, self._clock, self._report = log_dir, clock, report
        self._warden: asyncio.subprocess.Process | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._groups: set[str] = set()

    async def open(self) -> None:
        self._log_dir.mkdir(parents=True, exist_ok=True)
        self._tasks = [asyncio.create_task(self._keep_warden()), asyncio.create_task(self._rotate())]

    def start(self, spec: ChildSpec) -> Child:
        """Begin to keep a process running; a name is used once at a time."""
        assert spec.name not in self.children, f"{spec.name} already runs"
        log = self._log_dir / f"{spec.name}.log"
        self.children[spec.name] = child = Child(spec, log, self._clock, self._report, self._tell_warden)
        return child

    async def stop(self, *names: str) -> None:
        """Stop these children, all at once; unknown names are ignored."""
        children = [self.children.pop(name) for name in names if name in self.children]
        await asyncio.gather(*(child.stop() for child in children))

    async def close(self) -> None:
        """Stop whatever still runs."""
        await self.stop(*self.children)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._warden is not None and self._warden.stdin is not None:
            self._warden.stdin.close()
            await self._warden.wait()

    def _tell_warden(self, line: str) -> None:
        self._groups.add(line[1:]) if line[0] == "+" else self._groups.discard(line[1:])
        if self._warden is not None and self._warden.stdin is not None:
            with contextlib.suppress(OSError):  # a dead warden is replaced, and told all
                self._warden.stdin.write(f"{line}\n".encode())

    async def _keep_warden(self) -> None:
        while True:
            first = set(self._groups)
            self._warden = process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-ISs", warden.__file__, *first),
                stdin=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
            assert process.stdin is not None
            changed = [f"+{group}\n" for group in self._groups - first] + [
                f"-{group}\n" for group in first - self._groups
            ]
            process.stdin.write("".join(changed).encode())
            await process.wait()
            await self._clock.sleep(_BACKOFF[0])

    async def _rotate(self) -> None:
        while True:
            await self._clock.sleep(5.0)
            for child in self.children.values():
                logs.rotate(child.log)


def _starting() -> State:
    return "starting"


def _signal_group(group: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
