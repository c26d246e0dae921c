"""Stands for `windvane serve` in tests: the real control plane, no store; `/-/ready`, and a graph with an edge.

Takes serve's options; follows the mesh's files as the server does.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path

from windvane.kit.clock import SystemClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.mesh.files import FileSource
from windvane.mesh.placement import Placement
from windvane.xds.server import ControlPlane, ControlPlaneSettings
from windvane.xds.snapshot import MeshSettings

READY = b'{"elements":{"edges":[{}]}}'


async def _http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    if await reader.readline():
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(READY) + READY)
    writer.close()


async def _follow(plane: ControlPlane, source: FileSource, placement: Path) -> None:
    seen = None
    while True:
        result, text = source.load(), placement.read_text()
        if result.view is not None and (result.view.version, text) != seen:
            seen = (result.view.version, text)
            plane.update(result.view, Placement.from_json(text))
        await asyncio.sleep(0.1)


async def _main(options: dict[str, str]) -> None:
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    ads, http, collector = (Address.parse(options[name]) for name in ("--ads", "--http", "--grpc"))
    data = Path(options["--data"])
    data.mkdir(parents=True, exist_ok=True)
    settings = ControlPlaneSettings(data, MeshSettings(ads=ads, collector=collector), listen=ads)
    plane = ControlPlane(settings, SystemClock(), Metrics())
    await asyncio.start_server(_http, http.host, http.port)
    work = [
        asyncio.create_task(plane.serve()),
        asyncio.create_task(_follow(plane, FileSource([options["--mesh"]]), Path(options["--placement"]))),
    ]
    await stop.wait()
    for task in work:
        task.cancel()
    await asyncio.gather(*work, return_exceptions=True)


if __name__ == "__main__":
    asyncio.run(_main(dict(zip(sys.argv[1::2], sys.argv[2::2], strict=False))))
