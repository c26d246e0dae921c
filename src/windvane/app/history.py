"""Joins the mesh with the history of its configuration: what took effect, and what proxies said to it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from windvane.app.control import MeshControl
from windvane.history.book import Book
from windvane.history.recorder import Recorder
from windvane.history.versions import Resource
from windvane.kit.clock import Clock
from windvane.mesh.view import MeshView
from windvane.mesh.written import Written
from windvane.store.api import Engine
from windvane.xds.server import ProxyStatus

Keep = Callable[[contextlib.AsyncExitStack, Coroutine[Any, Any, None]], None]


async def keep_history(
    control: MeshControl, engine: Engine, clock: Clock, stack: contextlib.AsyncExitStack, keep: Keep
) -> None:
    """Write the history of a mesh to a store from now on; what was told is written before `stack` has unwound."""
    recorder = Recorder(Book(engine), clock)
    await asyncio.to_thread(recorder.load)
    stack.push_async_callback(asyncio.to_thread, recorder.close)
    keep(stack, recorder.run())

    def live(view: MeshView, written: tuple[Written, ...]) -> None:
        recorder.live(view.version, resources(written), len(view.services), len(view.workloads))

    control.observer = live
    if control.plane is not None:
        control.plane.observer = lambda status: _tell(recorder, status)


def resources(written: tuple[Written, ...]) -> list[Resource]:
    """Those that have a meaning in the mesh."""
    return [Resource(*one.key, one.file, one.line, one.digest, one.text) for one in written if one.digest]


def _tell(recorder: Recorder, status: ProxyStatus) -> None:
    workload, _, namespace = status.key.rpartition(".")
    rejected = {name.upper(): each.reason for name, each in status.types.items() if each.rejected}
    if rejected:
        recorder.answered(status.node_id, workload, namespace, rejected)
    elif status.synced:
        recorder.answered(status.node_id, workload, namespace, None)
