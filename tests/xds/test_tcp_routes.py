"""`tcp` and `tls` routes: which connections go where, as generated and through real Envoys."""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from static_config import static_config, validate
from xds_mesh import Mesh, running_mesh, snapshot_of, until, view_of

from windvane.kit.clock import SystemClock
from windvane.xds.ca import CertificateAuthority
from windvane.xds.configuration import configuration
from windvane.xds.resources import LDS

WEB, INGRESS = "web.shop", "ingress.istio-system"
DB, SECURE = "db.example.com", "secure.example.com"


def mesh_of(*, v1: int = 6001, v2: int = 6002, a: int = 6003, b: int = 6004, certificates: str = "/c") -> str:
    """Two databases behind one host, two servers of TLS behind another; a sidecar and a gateway."""
    return f"""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: db, namespace: shop}}
spec:
  hosts: [{DB}]
  ports: [{{number: 5432, name: tcp, protocol: TCP}}, {{number: 5433, name: tcp-split, protocol: TCP}}]
  resolution: STATIC
  endpoints:
    - {{address: 127.0.0.1, ports: {{tcp: {v1}, tcp-split: {v1}}}, labels: {{version: v1}}}}
    - {{address: 127.0.0.1, ports: {{tcp: {v2}, tcp-split: {v2}}}, labels: {{version: v2}}}}
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: db, namespace: shop}}
spec:
  host: {DB}
  trafficPolicy:
    connectionPool: {{tcp: {{idleTimeout: 30s}}}}
    portLevelSettings: [{{port: {{number: 5433}}, loadBalancer: {{consistentHash: {{useSourceIp: true}}}}}}]
  subsets: [{{name: v1, labels: {{version: v1}}}}, {{name: v2, labels: {{version: v2}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: secure, namespace: shop}}
spec:
  hosts: [{SECURE}]
  ports: [{{number: 443, name: tls, protocol: TLS}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{tls: {a}}}}}]
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: other, namespace: shop}}
spec:
  hosts: [other.example.com]
  ports: [{{number: 443, name: tls, protocol: TLS}}]
  resolution: STATIC
  endpoints: [{{address: 127.0.0.1, ports: {{tls: {b}}}}}]
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: web, namespace: shop}}
spec: {{labels: {{app: web}}}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: ingress, namespace: istio-system}}
spec: {{labels: {{istio: ingressgateway}}}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: db, namespace: shop}}
spec:
  hosts: [{DB}]
  tcp:
    - match: [{{port: 5432, sourceLabels: {{app: nobody}}}}, {{port: 5432, sourceNamespace: elsewhere}}]
      route: [{{destination: {{host: {DB}, subset: v1}}}}]
    - match: [{{port: 5432, gateways: [edge]}}]
      route: [{{destination: {{host: {DB}, subset: v1}}}}]
    - match: [{{port: 5432, sourceLabels: {{app: web}}}}]
      route: [{{destination: {{host: {DB}, subset: v2}}}}]
    - route:
        - {{destination: {{host: {DB}, subset: v1}}, weight: 1}}
        - {{destination: {{host: {DB}, subset: v2}}, weight: 1}}
        - {{destination: {{host: nowhere.example.com}}, weight: 0}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: secure, namespace: shop}}
spec:
  hosts: ["*.example.com"]
  tls:
    - match: [{{port: 443, sniHosts: [b.example.com, "*.b.example.com"]}}]
      route: [{{destination: {{host: other.example.com}}}}]
    - match: [{{sniHosts: [b.example.com]}}]
      route: [{{destination: {{host: {SECURE}}}}}]
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {{name: edge, namespace: shop}}
spec:
  selector: {{istio: ingressgateway}}
  servers:
    - {{port: {{number: 5432, name: tcp, protocol: TCP}}, hosts: ["*"]}}
    - {{port: {{number: 6000, name: unbound, protocol: TCP}}, hosts: [unbound.example.org]}}
    - port: {{number: 443, name: passed-on, protocol: TLS}}
      hosts: ["*.example.com"]
      tls: {{mode: PASSTHROUGH}}
    - port: {{number: 443, name: mutual, protocol: HTTPS}}
      hosts: ["mesh.example.org"]
      tls: {{mode: ISTIO_MUTUAL}}
    - port: {{number: 5433, name: ended-here, protocol: TLS}}
      hosts: [db.example.com]
      tls: {{mode: SIMPLE, serverCertificate: {certificates}/cert.pem, privateKey: {certificates}/key.pem}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: edge, namespace: shop}}
spec:
  hosts: ["*.example.com"]
  gateways: [edge]
  tcp:
    - match: [{{port: 5432}}, {{port: 5433, gateways: [edge]}}]
      route: [{{destination: {{host: {DB}, subset: v1, port: {{number: 5432}}}}}}]
  tls:
    - match: [{{sniHosts: [a.example.com]}}]
      route: [{{destination: {{host: {SECURE}, port: {{number: 443}}}}}}]
    - match: [{{sniHosts: [a.example.com, b.example.com]}}]
      route: [{{destination: {{host: other.example.com, port: {{number: 443}}}}}}]
"""


GATEWAY_API = f"""
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: api, namespace: shop}}
spec:
  gatewayClassName: istio
  addresses: [{{type: Hostname, value: istio-ingressgateway.istio-system.svc.cluster.local}}]
  listeners:
    - {{name: tcp, port: 7000, protocol: TCP}}
    - {{name: tls, port: 7443, protocol: TLS, hostname: "*.example.com", tls: {{mode: Passthrough}}}}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {{name: db, namespace: shop}}
spec:
  parentRefs: [{{name: api, sectionName: tcp}}]
  rules: [{{backendRefs: [{{group: networking.istio.io, kind: Hostname, name: {DB}, port: 5433}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {{name: a, namespace: shop}}
spec:
  parentRefs: [{{name: api}}]
  hostnames: [a.example.com, a.example.org]
  rules: [{{backendRefs: [{{group: networking.istio.io, kind: Hostname, name: {SECURE}, port: 443}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {{name: others, namespace: shop}}
spec:
  parentRefs: [{{name: api}}]
  rules: [{{backendRefs: [{{group: networking.istio.io, kind: Hostname, name: other.example.com, port: 443}}]}}]
"""
"""TCPRoutes and TLSRoutes at the same gateway."""


@pytest.fixture(scope="module")
def listeners(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """Listeners of the sidecar and the gateway, which Envoy accepts."""
    folder = tmp_path_factory.mktemp("tcp")
    authority = CertificateAuthority(folder / "ca", SystemClock())
    write_certificate(authority, folder)
    snapshot = snapshot_of(mesh_of(certificates=str(folder)), folder)
    found = {}
    for key in (WEB, INGRESS):
        proxy = snapshot.proxy(key)
        assert proxy is not None
        assert validate(static_config(proxy, snapshot, authority), folder) == ""
        found |= {each.name: each.to_dict() for each in configuration(proxy, snapshot)[LDS]}
    return found


def write_certificate(authority: CertificateAuthority, folder: Path) -> None:
    issued = authority.issue("spiffe://td/ns/a/sa/b")
    (folder / "cert.pem").write_bytes(issued.chain_pem)
    (folder / "key.pem").write_bytes(issued.key_pem)


def chains(listener: dict[str, Any]) -> list[tuple[list[str] | None, Any]]:
    """Server names and clusters of every filter chain."""
    found = []
    for chain in listener["filter_chains"]:
        config = chain["filters"][-1]["typed_config"]
        weighted = config.get("weighted_clusters", {}).get("clusters")
        names = chain.get("filter_chain_match", {}).get("server_names")
        found.append((names, [(each["name"], each["weight"]) for each in weighted] if weighted else config["cluster"]))
    return found


def test_the_first_rule_that_holds_for_the_client_decides(listeners: dict[str, dict[str, Any]]) -> None:
    assert chains(listeners[f"outbound|5432||{DB}"]) == [(None, f"outbound|5432|v2|{DB}")]
    halves = [(f"outbound|5433|{subset}|{DB}", 1) for subset in ("v1", "v2")]
    assert chains(listeners[f"outbound|5433||{DB}"]) == [(None, halves)]


def test_rules_of_the_destination_hold_for_connections(listeners: dict[str, dict[str, Any]]) -> None:
    def config(port: int) -> dict[str, Any]:
        return dict(listeners[f"outbound|{port}||{DB}"]["filter_chains"][0]["filters"][0]["typed_config"])

    assert config(5432)["idle_timeout"] == "30s"
    assert "hash_policy" not in config(5432)
    assert "idle_timeout" not in config(5433), "a port's policy replaces what is above it"
    assert config(5433)["hash_policy"] == [{"source_ip": {}}]


def test_server_names_decide_on_ports_of_tls_and_each_stands_once(listeners: dict[str, dict[str, Any]]) -> None:
    own = f"outbound|443||{SECURE}"
    assert chains(listeners[own]) == [
        (["b.example.com", "*.b.example.com"], "outbound|443||other.example.com"),
        (None, own),
    ]


def test_a_gateway_passes_on_ends_tls_and_leaves_out_what_nothing_is_bound_to(
    listeners: dict[str, dict[str, Any]],
) -> None:
    assert "gateway|6000" not in listeners
    assert chains(listeners["gateway|5432"]) == [(None, f"outbound|5432|v1|{DB}")]
    ended = listeners["gateway|5433"]
    assert chains(ended) == [([DB], f"outbound|5432|v1|{DB}")]
    assert "transport_socket" in ended["filter_chains"][0]
    *passed_on, mutual = listeners["gateway|443"]["filter_chains"]
    assert chains({"filter_chains": passed_on}) == [
        (["a.example.com"], f"outbound|443||{SECURE}"),
        (["b.example.com"], "outbound|443||other.example.com"),
    ]
    assert not any("transport_socket" in chain for chain in passed_on)
    assert mutual["filter_chain_match"]["server_names"] == ["mesh.example.org"]
    assert mutual["transport_socket"]["typed_config"]["require_client_certificate"] is True


@asynccontextmanager
async def servers(folder: Path) -> AsyncIterator[dict[str, int]]:
    """Servers that say their name and hang up: v1 and v2 in plaintext, a and b over TLS. Their ports."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "cert.pem", folder / "key.pem")

    async def started(name: str, context: ssl.SSLContext | None) -> asyncio.Server:
        async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            writer.write(name.encode())
            writer.close()

        return await asyncio.start_server(answer, "127.0.0.1", 0, ssl=context)

    running = {name: await started(name, None) for name in ("v1", "v2")}
    running |= {name: await started(name, context) for name in ("a", "b")}
    try:
        yield {name: server.sockets[0].getsockname()[1] for name, server in running.items()}
    finally:
        for server in running.values():
            server.close()


async def said(mesh: Mesh, key: str, port: int, name: str = "") -> str:
    """What the server at the end of a connection says, asked for by a server name; "" for a connection refused."""
    context = ssl.create_default_context() if name else None
    if context is not None:
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    try:
        reader, writer = await asyncio.open_connection(
            mesh.place(key).address, port, ssl=context, server_hostname=name or None
        )
        answer = (await reader.read(16)).decode()
        writer.close()
    except (OSError, ssl.SSLError):
        return ""
    return answer


@pytest.mark.e2e
@pytest.mark.filterwarnings("ignore:.* is deprecated:DeprecationWarning")
def test_connections_through_real_envoys(tmp_path: Path) -> None:
    async def scenario() -> None:
        write_certificate(CertificateAuthority(tmp_path / "own", SystemClock()), tmp_path)
        async with servers(tmp_path) as ports:
            view = view_of(mesh_of(**ports, certificates=str(tmp_path)) + GATEWAY_API, tmp_path)
            async with running_mesh(view, tmp_path, WEB, INGRESS) as mesh:
                outbound, inbound = mesh.place(WEB).outbound, mesh.place(INGRESS).inbound
                answers = Counter([await said(mesh, WEB, outbound[f"{DB}:5432"]) for _ in range(20)])
                assert answers == {"v2": 20}
                answers = Counter([await said(mesh, WEB, outbound[f"{DB}:5433"]) for _ in range(60)])
                assert answers.keys() == {"v1", "v2"}
                secure = outbound[f"{SECURE}:443"]
                assert await said(mesh, WEB, secure, "x.b.example.com") == "b"
                assert await said(mesh, WEB, secure, "unknown.example.com") == "a"

                assert await said(mesh, INGRESS, inbound[5432]) == "v1"
                assert await said(mesh, INGRESS, inbound[443], "a.example.com") == "a"
                assert await said(mesh, INGRESS, inbound[443], "b.example.com") == "b"
                assert await said(mesh, INGRESS, inbound[443], "c.example.com") == ""
                assert await said(mesh, INGRESS, inbound[5433], DB) == "v1"
                assert await said(mesh, INGRESS, inbound[5433], "other.example.com") == ""
                assert await said(mesh, INGRESS, inbound[7000]) in ("v1", "v2")
                assert await said(mesh, INGRESS, inbound[7443], "a.example.com") == "a"
                assert await said(mesh, INGRESS, inbound[7443], "b.example.com") == "b"
                assert await said(mesh, INGRESS, inbound[7443], "a.example.org") == ""
                logs = mesh.collected.tcp
                await until(lambda: len(logs.get("tcp_gateway", [])) >= 8)
                clusters = {each.common_properties.upstream_cluster for each in logs["tcp_gateway"]}
                assert f"outbound|5432|v1|{DB}" in clusters

    asyncio.run(asyncio.wait_for(scenario(), 90))
