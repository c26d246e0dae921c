"""Runs the applications of a plan, and follows the plan file as the mesh is edited."""

from __future__ import annotations

import asyncio
import random
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from windvane.kit.clock import Clock
from windvane.kit.errors import WindvaneError
from windvane.local.emulator.behaviour import Application
from windvane.local.emulator.grpc_face import GrpcFace
from windvane.local.emulator.http_face import HttpFace
from windvane.local.emulator.plan import EmulatedWorkload, EmulatorPlan
from windvane.local.emulator.relay import Relay
from windvane.local.emulator.tcp_face import TcpFace

_POLL = 0.25


class Face(Protocol):
    async def start(self) -> None: ...
    async def stop(self) -> None: ...


_FACES: dict[str, Callable[..., Face]] = {"http": HttpFace, "http2": HttpFace, "grpc": GrpcFace, "grpc-web": GrpcFace}


class _Running:
    """One application with its listeners."""

    def __init__(self, workload: EmulatedWorkload, rng: random.Random, clock: Clock) -> None:
        self.application = Application(workload, rng, clock)
        self._clock = clock
        self._faces: list[Face] = [
            _FACES.get(protocol, TcpFace)(workload.address, port, self.application.answer)
            for port, protocol in workload.ports.items()
        ]
        self._relays = [
            Relay(workload.address, port, target, lambda: self.application.workload.trouble.network / 2)
            for port, target in workload.relays.items()
        ]
        self._listening = False
        self._outages: asyncio.Task[None] | None = None

    async def start(self) -> None:
        for relay in self._relays:
            await relay.start()
        await self._listen(not self.application.workload.trouble.down)
        self.application.start_background()
        self._outages = asyncio.create_task(self._fail_at_times())

    async def _fail_at_times(self) -> None:
        while True:
            outages = self.application.spec.outages
            await self._clock.sleep(outages.every if outages else 1.0)
            if outages is not None and outages is self.application.spec.outages:
                await self._listen(False)
                await self._clock.sleep(outages.duration)
                await self._listen(not self.application.workload.trouble.down)

    async def _listen(self, wanted: bool) -> None:
        """Listen, or stop listening."""
        if wanted != self._listening:
            self._listening = wanted
            for face in self._faces:
                await (face.start() if wanted else face.stop())

    async def reconfigure(self, workload: EmulatedWorkload) -> None:
        """Behave by a new plan that keeps the ports (BadInputError: nothing changed)."""
        had = self.application.workload.trouble
        await self.application.reconfigure(workload)
        if had.down != workload.trouble.down:
            await self._listen(not workload.trouble.down)

    async def stop(self) -> None:
        if self._outages is not None:
            self._outages.cancel()
        for face in (*self._faces, *self._relays):
            await face.stop()
        await self.application.close()


def _stamp(path: Path) -> int:
    return path.stat().st_mtime_ns if path.exists() else 0


class EmulatorHost:
    """All applications; `apply` moves from one plan to the next without touching what did not change."""

    def __init__(self, clock: Clock, rng: random.Random) -> None:
        self._clock, self._rng = clock, rng
        self._running: dict[str, _Running] = {}

    async def apply(self, plan: EmulatorPlan) -> list[str]:
        """Follow a plan; returns what could not be done, one message each (the rest runs)."""
        for key in self._running.keys() - plan.workloads.keys():
            await self._running.pop(key).stop()
        problems = []
        for key, workload in plan.workloads.items():
            try:
                await self._follow(key, workload)
            except WindvaneError as error:
                problems.append(error.message)
            except OSError as error:
                problems.append(f"{key}: {error}")
        return problems

    async def _follow(self, key: str, workload: EmulatedWorkload) -> None:
        running = self._running.get(key)
        if running is not None:
            had = running.application.workload
            if had == workload:
                return
            if (had.address, had.ports, had.relays) == (workload.address, workload.ports, workload.relays):
                await running.reconfigure(workload)
                return
            await self._running.pop(key).stop()
        running = _Running(workload, self._rng, self._clock)
        try:
            await running.start()
        except OSError:
            await running.stop()
            raise
        self._running[key] = running

    async def follow(self, path: Path, stop: asyncio.Event) -> None:
        """Apply the plan file now and whenever it is replaced, until told to stop."""
        seen, failed = 0, False
        while not stop.is_set():
            stamp = _stamp(path)
            if stamp and (stamp != seen or failed):
                problems = await self.apply(EmulatorPlan.load(path))
                if problems and stamp != seen:
                    print("\n".join(problems), file=sys.stderr, flush=True)  # noqa: T201  the process's log
                seen, failed = stamp, bool(problems)
            await self._clock.sleep(_POLL)
        await self.close()

    async def close(self) -> None:
        while self._running:
            await self._running.popitem()[1].stop()
