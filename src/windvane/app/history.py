"""Joins the mesh with the history of its configuration, and says what of it may be changed from outside."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from windvane.api.windvane.config_editing import EditSettings
from windvane.app.control import MeshControl
from windvane.app.settings import ServeSettings
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


def edit_settings(settings: ServeSettings, control: MeshControl | None) -> EditSettings:
    """What a server with these settings may do to the mesh's files."""
    local = control is not None and control.plane is not None and settings.placement is not None
    writing = "" if settings.allow_edits else "this server may not write: it was started without --allow-edits"
    trial = "" if local else "only a server that runs its mesh on this machine (windvane up) can try it on real Envoys"
    return EditSettings(trial, writing, settings.monitoring.external_url)


def resources(written: tuple[Written, ...]) -> list[Resource]:
    """Those that have a meaning in the mesh."""
    return [Resource(*one.key, one.file, one.line, one.digest, one.shown) for one in written if one.digest]


def _tell(recorder: Recorder, status: ProxyStatus) -> None:
    workload, _, namespace = status.key.rpartition(".")
    rejected = {name.upper(): each.reason for name, each in status.types.items() if each.rejected}
    if rejected:
        recorder.answered(status.node_id, workload, namespace, rejected)
    elif status.synced and status.types["lds"].acked:  # a new one has nothing to differ in until it asks for more
        recorder.answered(status.node_id, workload, namespace, None)
