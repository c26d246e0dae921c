"""What `demo` and `up` share: a run directory, a reporter, signals, and the mesh until its end."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import sys
import webbrowser
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from windvane.kit.clock import SystemClock
from windvane.kit.errors import BadInputError
from windvane.kit.values import parse_duration
from windvane.local.canary import Trial, parse_canary, prepared
from windvane.local.console import JsonReporter, TextReporter
from windvane.local.faults import parse_fault
from windvane.local.rundir import RunDir, copy_scenario
from windvane.local.up import Faces, LocalMesh, MeshOptions, Traffic

Report = Callable[[str, Mapping[str, object]], None]
_HOME = Path(".windvane")


def run_demo(**given: Any) -> None:
    """Run a scenario until Ctrl-C, SIGTERM or the end of its duration."""
    held = _run_dir(given["run_dir"], given["scenario"])
    if given["fresh"]:
        shutil.rmtree(held.path / "data", ignore_errors=True)
    mesh, profile = copy_scenario(given["scenario"], held.path, fresh=given["fresh"])
    trial = None
    if given["canary"] is not None:
        if not given["releases"]:
            raise BadInputError("--canary needs the server to carry releases out: leave --no-releases away")
        trial = prepared(parse_canary(given["canary"]), mesh)
    traffic = _traffic(given, profile)
    browser = _graphical() if given["browser"] is None else given["browser"]
    _run(given, held, (mesh,), traffic, browser=browser and given["output"] != "json", trial=trial)


def run_up(**given: Any) -> None:
    """Run files as a mesh until Ctrl-C, SIGTERM or the end of the traffic's duration."""
    wanted = given["traffic"] is not None or given["rate"] is not None
    traffic = _traffic(given, given["traffic"]) if wanted else None
    files = tuple(path.resolve() for path in given["files"])
    _run(given, _run_dir(given["run_dir"], "up"), files, traffic, browser=False)


def _run_dir(path: Path | None, name: str) -> RunDir:
    return RunDir(path) if path is not None else RunDir.first_free(_HOME / name)


def _traffic(given: Mapping[str, Any], profile: Path | None) -> Traffic:
    for name in ("duration", "day"):
        if given[name] not in (None, "none"):
            parse_duration(given[name])
    return Traffic(given["rate"] or 50.0, profile, given["duration"], given["day"], given["seed"])


def _run(
    given: Mapping[str, Any], held: RunDir, files: tuple[Path, ...], traffic: Traffic | None, *, browser: bool,
    trial: Trial | None = None,
) -> None:  # fmt: skip
    clock = SystemClock()
    reporter: Report = JsonReporter(clock) if given["output"] == "json" else TextReporter(clock)

    def report(event: str, fields: Mapping[str, object]) -> None:
        reporter(event, fields)
        if event == "ready" and "console" in fields and browser:
            webbrowser.open(str(fields["console"]))

    addresses = {name: given[name] for name in ("http", "grpc", "otlp_http", "ads", "gateway")}
    for name, address in addresses.items():
        if address is None:
            raise BadInputError(f"--{name.replace('_', '-')}: a local mesh needs this address")
    gateway = addresses.pop("gateway")
    faces = Faces(**addresses)
    faults = tuple(map(parse_fault, given["fault"]))
    edits, watched = given["allow_edits"], given["watch"]
    slos = tuple(str(Path.cwd() / glob) for glob in given["slos"])
    options = MeshOptions(
        files,
        held.path,
        faces,
        gateway,
        given["retention"],
        traffic,
        faults,
        allow_edits=edits,
        watch=watched,
        slos=slos,
        releases=given["releases"],
        canary=trial,
    )
    try:
        asyncio.run(_until_stopped(LocalMesh(options, clock, report), report))
    finally:
        held.close()


async def _until_stopped(mesh: LocalMesh, report: Report) -> None:
    """The first signal stops in order; the second one ends at once (the children follow)."""
    stop, loop = asyncio.Event(), asyncio.get_running_loop()

    def on_signal() -> None:
        if stop.is_set():
            os._exit(130)
        stop.set()
        report("stopping", {})

    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, on_signal)
    await mesh.run(stop)


def _graphical() -> bool:
    """Whether a person sits before it, with a screen."""
    screen = sys.platform == "darwin" or os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(screen) and sys.stdout.isatty()
