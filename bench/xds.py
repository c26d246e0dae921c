"""How long an edit takes to reach every proxy: 100 services, 100 proxies that acknowledge as Envoy does.

Run as `python bench/xds.py [services] [proxies]`; prints seconds from the edit (YAML on disk) to the last
acknowledgement, and what was sent for it. The target is 1 s. The proxies live in a process of their own.
"""

from __future__ import annotations

import asyncio
import logging
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc.aio
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryRequest

from windvane.kit.clock import SystemClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.mesh.files import FileSource
from windvane.mesh.placement import Placement, WorkloadPlace
from windvane.mesh.view import MeshView
from windvane.xds.encoding import encode
from windvane.xds.resources import CDS, EDS, LDS, RDS, SDS
from windvane.xds.server import METHOD, SERVICE, ControlPlane, ControlPlaneSettings

TARGET = 1.0


def mesh(services: int, weight: int = 90, version: str = "v2", load_balancer: str = "LEAST_REQUEST") -> str:
    """`services` services with two versions of each workload's first half; svc-0 is split by weight."""
    parts = [
        f"""
apiVersion: v1
kind: Service
metadata: {{name: svc-{n}, namespace: bench}}
spec: {{selector: {{app: svc-{n}}}, ports: [{{name: http, port: 8080}}]}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: svc-{n}-v1, namespace: bench}}
spec: {{labels: {{app: svc-{n}, version: v1}}, serviceAccount: svc-{n}}}
"""
        for n in range(services)
    ]
    parts.append(
        f"""
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: svc-0-v2, namespace: bench}}
spec: {{labels: {{app: svc-0, version: {version}}}, serviceAccount: svc-0}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: svc-0, namespace: bench}}
spec:
  host: svc-0
  trafficPolicy: {{loadBalancer: {{simple: {load_balancer}}}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: svc-0, namespace: bench}}
spec:
  hosts: [svc-0]
  http:
    - route:
        - {{destination: {{host: svc-0, subset: v1}}, weight: {weight}}}
        - {{destination: {{host: svc-0, subset: v2}}, weight: {100 - weight}}}
"""
    )
    return "---".join(parts)


def placement(view: MeshView) -> Placement:
    """Every workload at an address of its own, with a listener for every service."""
    ports = {f"{each.hostname}:8080": 20_000 + int(each.name.removeprefix("svc-")) for each in view.services.values()}
    return Placement(
        {
            key: WorkloadPlace(
                address=address(key),
                http_proxy=15_001,
                admin=15_000,
                inbound={8080: 8080},
                app={8080: 16_000},
                outbound=ports,
            )
            for key in view.workloads
        }
    )


def address(key: str) -> str:
    """The same for a workload whatever others there are."""
    _, number, version = key.removesuffix(".bench").split("-")
    return f"127.{version[1:]}.{int(number) // 250}.{int(number) % 250 + 1}"


async def main(services: int, proxies: int) -> None:
    logging.basicConfig(level=logging.WARNING)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "mesh.yaml"
        source = FileSource([file])
        metrics = Metrics()
        settings = ControlPlaneSettings(Path(folder) / "ca", listen=Address("127.0.0.1", 0))
        plane = ControlPlane(settings, SystemClock(), metrics)
        edit(plane, source, file, mesh(services))
        async with serving(plane), clients(plane, services, proxies):
            started = time.perf_counter()
            await converged(plane, proxies)
            print(f"{services} services, {proxies} proxies")
            report("first configuration of every proxy", time.perf_counter() - started, metrics, {})
            edits = {
                "weights (routes)": mesh(services, weight=10),
                "a workload's version (endpoints)": mesh(services, weight=10, version="v3"),
                "a load balancer (clusters)": mesh(services, weight=10, version="v3", load_balancer="RANDOM"),
                "one more service": mesh(services + 1, weight=10, version="v3", load_balancer="RANDOM"),
                "nothing": mesh(services + 1, weight=10, version="v3", load_balancer="RANDOM"),
            }
            for name, text in edits.items():
                before = sent(metrics)
                started, cpu = time.perf_counter(), time.process_time()
                edit(plane, source, file, text)
                loaded = time.perf_counter() - started
                await converged(plane, proxies)
                report(name, time.perf_counter() - started, metrics, before, (loaded, time.process_time() - cpu))
        print(f"resident: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


def edit(plane: ControlPlane, source: FileSource, file: Path, text: str) -> None:
    file.write_text(text, encoding="utf-8")
    loaded = source.load()
    assert loaded.view is not None, loaded.findings
    plane.update(loaded.view, placement(loaded.view))


async def converged(plane: ControlPlane, proxies: int) -> None:
    while sum(each.synced and bool(each.types["rds"].acked) for each in plane.proxies()) < proxies:
        await asyncio.sleep(0.005)


def sent(metrics: Metrics) -> dict[str, float]:
    found = {}
    for family in metrics.registry.collect():
        for sample in family.samples:
            if sample.name == "windvane_xds_responses_total":
                found[sample.labels["type"]] = sample.value
            if sample.name == "windvane_xds_sent_bytes_total":
                found["bytes"] = sample.value
    return found


def report(
    name: str, seconds: float, metrics: Metrics, before: dict[str, float], parts: tuple[float, float] | None = None
) -> None:
    news = {kind: value - before.get(kind, 0) for kind, value in sent(metrics).items()}
    size = news.pop("bytes", 0) / 1e6
    counts = " ".join(f"{kind} {value:.0f}" for kind, value in sorted(news.items()) if value)
    reading = (
        ""
        if parts is None
        else f" (target {TARGET:.0f} s; reading the mesh {parts[0]:.2f} s, all CPU {parts[1]:.2f} s)"
    )
    print(f"  {name:36} {seconds:6.2f} s{reading}  sent: {counts or 'nothing'} {size:.1f} MB", flush=True)


@asynccontextmanager
async def serving(plane: ControlPlane) -> AsyncIterator[None]:
    task = asyncio.create_task(plane.serve())
    await plane.started.wait()
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def clients(plane: ControlPlane, services: int, proxies: int) -> AsyncIterator[None]:
    arguments = (__file__, "--clients", str(plane.port), str(services), str(proxies))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def run_clients(port: int, services: int, proxies: int) -> None:
    """Proxies 0 to n-1, each on a channel of its own."""
    await asyncio.gather(*(one_client(port, f"svc-{number % services}-v1.bench") for number in range(proxies)))


async def one_client(port: int, key: str) -> None:
    """Subscribes as Envoy does: clusters, their endpoints, listeners, their routes; acknowledges everything."""
    options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        call = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        node = Node(id=f"sidecar~127.0.0.1~{key}~bench.svc.cluster.local")
        nonces: dict[str, str] = {}
        names: dict[str, list[str]] = {SDS: ["default", "ROOTCA"]}

        async def ask(kind: str, version: str = "") -> None:
            request = DiscoveryRequest(
                type_url=kind,
                node=node,
                version_info=version,
                response_nonce=nonces.get(kind, ""),
                resource_names=names.get(kind, []),
            )
            await call.write(encode(request))

        await ask(CDS)
        await ask(SDS)
        while (raw := await call.read()) is not grpc.aio.EOF:
            version, kind, nonce, resources = parse(raw)
            nonces[kind] = nonce
            if kind == CDS:
                found = [name for name in resources if name.startswith("outbound")]
                if found != names.get(EDS):
                    names[EDS] = found
                    await ask(EDS)
            if kind == LDS:
                found = ["http_proxy", *(f"{name.rpartition('|')[2]}:8080" for name in resources if "outbound" in name)]
                if found != names.get(RDS):
                    names[RDS] = found
                    await ask(RDS)
            await ask(kind, version)
            if kind == EDS and LDS not in nonces:
                nonces[LDS] = ""
                await ask(LDS)


def parse(raw: bytes) -> tuple[str, str, str, list[str]]:
    """Version, type, nonce and the resources' names (field 1 of every type) of a DiscoveryResponse."""
    texts, names = {1: "", 4: "", 5: ""}, []
    for number, value in fields(raw):
        if number == 2:
            body = next(inner for field, inner in fields(value) if field == 2)
            names.append(next((inner.decode() for field, inner in fields(body) if field == 1), ""))
        else:
            texts[number] = value.decode()
    return texts[1], texts[4], texts[5], names


def fields(raw: bytes) -> Iterator[tuple[int, bytes]]:
    """The length-delimited fields of a message, the others skipped."""
    at = 0
    while at < len(raw):
        key, at = integer(raw, at)
        if key & 7 == 2:
            length, at = integer(raw, at)
            yield key >> 3, raw[at : at + length]
            at += length
        elif key & 7 == 0:
            _, at = integer(raw, at)
        else:
            at += 8 if key & 7 == 1 else 4


def integer(raw: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = raw[at]
        value, shift, at = value | (byte & 0x7F) << shift, shift + 7, at + 1
        if byte < 0x80:
            return value, at


if __name__ == "__main__":
    if sys.argv[1:2] == ["--clients"]:
        asyncio.run(run_clients(*map(int, sys.argv[2:5])))
    else:
        arguments = [int(argument) for argument in sys.argv[1:3]] or [100, 100]
        asyncio.run(main(arguments[0], arguments[1] if len(arguments) > 1 else 100))
