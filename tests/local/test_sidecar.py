"""How a workload's Envoy is run: its ProxyConfig, and what is waited for."""

from __future__ import annotations

from pathlib import Path

import pytest

from windvane.local.placement import imagined_placement
from windvane.local.sidecar import _inbound_ports, sidecar
from windvane.mesh.files import FileSource
from windvane.mesh.view import MeshView
from windvane.xds.snapshot import MeshSettings

MESH = """
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}]}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: web, namespace: shop}
spec: {labels: {app: web}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: edge, namespace: shop}
spec: {labels: {istio: ingressgateway}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: ingressgateway}
  servers:
    - {port: {number: 80, name: http, protocol: HTTP}, hosts: ["*"]}
    - {port: {number: 5432, name: tcp, protocol: TCP}, hosts: ["*"]}
"""


def proxy_config(spec: str, namespace: str, name: str = "default") -> str:
    return f"""
---
apiVersion: networking.istio.io/v1beta1
kind: ProxyConfig
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}}}
"""


def view_of(text: str, folder: Path) -> MeshView:
    (folder / "mesh.yaml").write_text(text, encoding="utf-8")
    view = FileSource([folder / "mesh.yaml"]).load().view
    assert view is not None
    return view


ROOT = proxy_config("concurrency: 4, environmentVariables: {A: mesh, B: mesh}", "istio-system")
SHOP = proxy_config("environmentVariables: {B: shop}", "shop")
WEB = proxy_config("selector: {matchLabels: {app: web}}, concurrency: 0", "shop", "web")


@pytest.mark.parametrize(
    ("text", "threads", "environment"),
    [
        ("", ["--concurrency", "1"], {}),
        (ROOT, ["--concurrency", "4"], {"A": "mesh", "B": "mesh"}),
        (ROOT + SHOP, ["--concurrency", "4"], {"A": "mesh", "B": "shop"}),
        (ROOT + SHOP + WEB, [], {"A": "mesh", "B": "shop"}),
        (WEB.replace("app: web", "app: other"), ["--concurrency", "1"], {}),
    ],
)
def test_a_proxy_config_says_how_envoy_is_run(
    tmp_path: Path, text: str, threads: list[str], environment: dict[str, str]
) -> None:
    view = view_of(MESH + text, tmp_path)
    place = imagined_placement(view).places["web.shop"]
    spec = sidecar(view, view.workloads["web.shop"], place, MeshSettings(), tmp_path)
    found = list(spec.argv)
    assert found[found.index("--config-path") + 2 : found.index("--disable-hot-restart")] == threads
    assert spec.env == environment
    plain = sidecar(view_of(MESH, tmp_path), view.workloads["web.shop"], place, MeshSettings(), tmp_path)
    assert (spec.version == plain.version) == (environment == {} and bool(threads)), "what changed is started anew"


def test_a_gateway_is_ready_without_a_server_that_nothing_is_bound_to(tmp_path: Path) -> None:
    view = view_of(MESH, tmp_path)
    places = imagined_placement(view).places
    for key, wanted in (("edge.shop", {80}), ("web.shop", {8080})):
        ports = _inbound_ports(view, view.workloads[key], places[key], MeshSettings())
        assert ports == {places[key].inbound[number] for number in wanted}
