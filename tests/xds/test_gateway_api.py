"""Gateway API's resources as Envoy gets them: golden routes of gateways, and what single fields mean."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from static_config import static_config, validate

from windvane.kit.clock import SystemClock
from windvane.local.placement import imagined_placement
from windvane.mesh.files import FileSource
from windvane.xds.ca import CertificateAuthority
from windvane.xds.configuration import configuration
from windvane.xds.proxy import Proxy
from windvane.xds.resources import EDS, LDS, RDS
from windvane.xds.snapshot import MeshSettings, Snapshot

GOOD = (Path(__file__).parents[1] / "mesh" / "data" / "good" / "gateway-api.yaml").read_text(encoding="utf-8")
EDGE, INSTALLED = "shared-istio.infra", "istio-ingressgateway.istio-system"


def snapshot_of(text: str, folder: Path) -> Snapshot:
    file = folder / "mesh.yaml"
    file.write_text(text, encoding="utf-8")
    result = FileSource([file], implied_gateways=True).load()
    assert result.view is not None, result.findings
    return Snapshot(result.view, imagined_placement(result.view), MeshSettings())


def proxy_of(snapshot: Snapshot, key: str) -> Proxy:
    proxy = snapshot.proxy(key)
    assert proxy is not None, sorted(snapshot.view.workloads)
    return proxy


def made(snapshot: Snapshot, kind: str, key: str) -> dict[str, dict[str, Any]]:
    return {each.name: each.to_dict() for each in configuration(proxy_of(snapshot, key), snapshot)[kind]}


def routes_of(snapshot: Snapshot, key: str, table: str, host: str) -> list[dict[str, Any]]:
    [found] = [one for one in made(snapshot, RDS, key)[table]["virtual_hosts"] if one["domains"][0] == host]
    return list(found["routes"])


def route(rule: str, kind: str = "HTTPRoute", name: str = "under-test", parent: str = "{name: installed}") -> str:
    return f"""
---
apiVersion: gateway.networking.k8s.io/v1
kind: {kind}
metadata: {{name: {name}, namespace: apps}}
spec:
  parentRefs: [{parent}]
  hostnames: [test.example.com]
  rules: [{rule}]
"""


def only(tmp_path: Path, rule: str, kind: str = "HTTPRoute") -> dict[str, Any]:
    [found] = routes_of(snapshot_of(GOOD + route(rule, kind), tmp_path), INSTALLED, "http.8080", "test.example.com")
    return found


def test_the_routes_of_gateways(tmp_path: Path, golden: Callable[[str, str], None]) -> None:
    snapshot = snapshot_of(GOOD, tmp_path)
    assert list(made(snapshot, LDS, EDGE)) == ["gateway|80", "gateway|443", "gateway|9000"]
    tables = {key: list(made(snapshot, RDS, key).values()) for key in (EDGE, INSTALLED)}
    golden("gateway-api-routes.yaml", yaml.dump(tables, sort_keys=False, width=120))


@pytest.mark.parametrize("key", [EDGE, "httpbin.apps"])
def test_envoy_accepts_it(tmp_path: Path, key: str) -> None:
    snapshot = snapshot_of(GOOD, tmp_path)
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy_of(snapshot, key), snapshot, authority), tmp_path) == ""


@pytest.mark.parametrize(
    ("times", "timeout", "retries"),
    [
        ("timeouts: {request: 10s}", "10s", ("2", None)),
        ("timeouts: {request: 0s, backendRequest: 0s}", "0s", ("2", None)),
        ("timeouts: {request: 10s, backendRequest: 2s}", "2s", ("2", None)),
        ("timeouts: {request: 10s, backendRequest: 2s}, retry: {attempts: 3, codes: [500]}", "10s", ("3", "2s")),
        ("retry: {attempts: 0}", "0s", None),
        ("retry: {backoff: 100ms}", "0s", ("2", None)),
    ],
)
def test_timeouts_and_retries(tmp_path: Path, times: str, timeout: str, retries: tuple[str, str | None] | None) -> None:
    action = only(tmp_path, f"{{{times}, backendRefs: [{{name: httpbin, port: 8000}}]}}")["route"]
    assert (action["timeout"], "retry_policy" in action) == (timeout, retries is not None)
    if retries is not None:
        policy = action["retry_policy"]
        assert (str(policy["num_retries"]), policy.get("per_try_timeout")) == retries
        assert ("500" in str(policy.get("retriable_status_codes", ""))) == ("500" in times)


@pytest.mark.parametrize(
    ("match", "expected"),
    [
        ("service: a.B", {"path_separated_prefix": "/a.B"}),
        ("service: a.B, method: C", {"path": "/a.B/C"}),
        ("method: C", {"safe_regex": {"regex": "/[^/]+/C"}}),
        ("type: RegularExpression, service: 'a.*'", {"safe_regex": {"regex": "/a.*/.+"}}),
        ("type: RegularExpression, method: '[C-D]'", {"safe_regex": {"regex": "/[^/]+/[C-D]"}}),
    ],
)
def test_calls_are_matched_by_their_path(tmp_path: Path, match: str, expected: dict[str, Any]) -> None:
    rule = f"{{matches: [{{method: {{{match}}}}}], backendRefs: [{{name: httpbin, port: 9000}}]}}"
    assert only(tmp_path, rule, "GRPCRoute")["match"].items() >= expected.items()


def test_a_destination_that_must_not_be_used_keeps_its_share(tmp_path: Path) -> None:
    backends = "[{name: httpbin, port: 8000, weight: 3}, {group: a.example, kind: Bucket, name: b}]"
    action = only(tmp_path, f"{{backendRefs: {backends}}}")["route"]
    clusters = [(one["name"], one["weight"]) for one in action["weighted_clusters"]["clusters"]]
    assert clusters == [("outbound|8000||httpbin.apps.svc.cluster.local", 3), ("UnknownService", 1)]
    assert action["cluster_not_found_response_code"] == "INTERNAL_SERVER_ERROR"


def test_a_filter_that_istio_does_not_have_takes_the_whole_route_out(tmp_path: Path) -> None:
    extension = "{type: ExtensionRef, extensionRef: {group: a.example, kind: A, name: a}}"
    rules = f"{{filters: [{extension}]}}, {{backendRefs: [{{name: httpbin, port: 8000}}]}}"
    tables = made(snapshot_of(GOOD + route(rules), tmp_path), RDS, INSTALLED)
    assert "test.example.com" not in str(tables)


def test_the_more_exact_listener_has_its_hosts_for_itself(tmp_path: Path) -> None:
    text = f"""{GOOD}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: two, namespace: apps}}
spec:
  gatewayClassName: istio
  listeners:
    - {{name: wide, port: 80, protocol: HTTP, hostname: "*.com"}}
    - {{name: narrow, port: 80, protocol: HTTP, hostname: "*.example.com"}}
    - {{name: elsewhere, port: 81, protocol: HTTP, hostname: test.example.com}}
"""
    wide = text + route("{backendRefs: [{name: httpbin, port: 8000}]}", parent="{name: two, sectionName: wide}")
    assert "test.example.com" not in str(made(snapshot_of(wide, tmp_path), RDS, "two-istio.apps"))
    every = text + route("{backendRefs: [{name: httpbin, port: 8000}]}", parent="{name: two}")
    found = snapshot_of(every, tmp_path)
    translated = [item for item in found.view.virtual_services if item.name.startswith("under-test")]
    assert [item.spec.gateways[0].rpartition("-")[2] for item in translated] == ["narrow", "elsewhere"]


def test_gateways_of_one_name_are_served_each_in_its_namespace(tmp_path: Path) -> None:
    text = "".join(
        f"""
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {{name: edge, namespace: {namespace}, annotations: {{{note}}}}}
spec: {{gatewayClassName: istio, listeners: [{{name: http, port: {port}, protocol: HTTP}}]}}
"""
        for namespace, port, note in (("a", 80, ""), ("b", 8080, "gateway.istio.io/name-override: front"))
    )
    snapshot = snapshot_of(text, tmp_path)
    assert list(made(snapshot, LDS, "edge-istio.a")) == ["gateway|80"]
    assert list(made(snapshot, LDS, "front.b")) == ["gateway|8080"]


def test_streams_of_the_mesh(tmp_path: Path) -> None:
    text = f"""{GOOD}
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {{name: mesh, namespace: apps}}
spec:
  parentRefs: [{{group: "", kind: Service, name: echo, port: 9000}}]
  rules: [{{backendRefs: [{{name: echo, port: 9443}}, {{name: gone, port: 1, weight: 2}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TLSRoute
metadata: {{name: mesh, namespace: apps}}
spec:
  parentRefs: [{{group: "", kind: Service, name: echo, port: 9443}}]
  rules: [{{backendRefs: [{{name: httpbin, port: 8000}}]}}]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: {{name: nothing, namespace: apps}}
spec:
  parentRefs: [{{name: shared, namespace: infra, sectionName: mesh-tls}}]
  rules: [{{backendRefs: [{{name: echo, port: 9000, weight: 0}}]}}]
"""
    listeners = made(snapshot_of(text, tmp_path), LDS, "httpbin.apps")
    plain = listeners["outbound|9000||echo.apps.svc.cluster.local"]["filter_chains"][0]["filters"][0]["typed_config"]
    weights = {one["name"]: one["weight"] for one in plain["weighted_clusters"]["clusters"]}
    assert weights == {"outbound|9443||echo.apps.svc.cluster.local": 1, "outbound|1||gone.apps.svc.cluster.local": 2}
    secured = listeners["outbound|9443||echo.apps.svc.cluster.local"]["filter_chains"]
    assert secured[0]["filter_chain_match"]["server_names"] == ["echo.apps.svc.cluster.local"]
    assert secured[0]["filters"][0]["typed_config"]["cluster"] == "outbound|8000||httpbin.apps.svc.cluster.local"


def test_the_mesh_reaches_a_gateway_by_the_service_that_is_deployed_with_it(tmp_path: Path) -> None:
    snapshot = snapshot_of(GOOD, tmp_path)
    [endpoints] = made(snapshot, EDS, "httpbin.apps")["outbound|8080||egress-istio.apps.svc.cluster.local"]["endpoints"]
    place = snapshot.placement.places["egress-istio.apps"]
    address = endpoints["lb_endpoints"][0]["endpoint"]["address"]["socket_address"]
    assert (address["address"], address["port_value"]) == (place.address, place.inbound[8080])
    # A gateway listens for the outside: nobody speaks the mesh's own TLS to it.
    assert "envoy.transport_socket_match" not in str(endpoints)
