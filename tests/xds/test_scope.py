"""What Sidecars and exportTo leave a proxy of the mesh: clusters, listeners, endpoints, routes."""

from __future__ import annotations

from pathlib import Path

import pytest
from static_config import static_config, validate
from xds_mesh import snapshot_of

from windvane.kit.clock import SystemClock
from windvane.xds.ca import CertificateAuthority
from windvane.xds.configuration import configuration
from windvane.xds.resources import CDS, EDS, LDS, RDS
from windvane.xds.snapshot import Snapshot

HTTP = "ports: [{name: http, port: 80}]"


def service(name: str, namespace: str, more: str = "") -> str:
    return f"""
---
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {namespace}{more}}}
spec: {{selector: {{app: {name}}}, {HTTP}}}
"""


def workload(name: str, namespace: str) -> str:
    return f"""
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{labels: {{app: {name}}}}}
"""


def sidecar(spec: str, namespace: str = "shop", name: str = "default") -> str:
    return f"""
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {{name: {name}, namespace: {namespace}}}
spec: {{{spec}}}
"""


MESH = (
    "".join(service(*each) for each in (("web", "shop"), ("api", "shop"), ("mail", "tools")))
    + service("keys", "tools", ', annotations: {networking.istio.io/exportTo: "., ops"}')
    + workload("web", "shop")
    + workload("mail", "tools")
    + """
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: outside, namespace: shop}
spec:
  hosts: [www.example.com, db.example.org]
  ports: [{number: 443, name: tls, protocol: TLS}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: hidden, namespace: tools}
spec:
  hosts: [hidden.example.com]
  ports: [{number: 80, name: http, protocol: HTTP}]
  resolution: DNS
  exportTo: [.]
"""
)
SECURE = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: outside, namespace: shop}
spec:
  hosts: [www.example.com]
  tls: [{match: [{sniHosts: [www.example.com]}], route: [{destination: {host: db.example.org}}]}]
"""


def known(snapshot: Snapshot, key: str = "web.shop") -> set[str]:
    """Hosts that a proxy has clusters, endpoints and listeners for."""
    proxy = snapshot.proxy(key)
    assert proxy is not None
    made = configuration(proxy, snapshot)
    clusters = {each.name.rpartition("|")[2] for each in made[CDS] if each.name.startswith("outbound|")}
    assert {each.name.rpartition("|")[2] for each in made[EDS]} <= clusters
    assert {each.name.rpartition("|")[2] for each in made[LDS] if each.name.startswith("outbound|")} == clusters
    table = made[RDS].get("http_proxy")
    assert table is not None
    hosts = {host["name"].partition(":")[0] for host in table.to_dict()["virtual_hosts"]}
    assert hosts - {"allow_any", "block_all"} <= clusters
    return {cluster.removesuffix(".svc.cluster.local") for cluster in clusters}


SHOP = {"web.shop", "api.shop", "www.example.com", "db.example.org"}


@pytest.mark.parametrize(
    ("hosts", "expected"),
    [
        ("*/*", SHOP | {"mail.tools"}),
        ("./*", SHOP),
        ("shop/*", SHOP),
        ("tools/*", {"mail.tools"}),
        ("~/*", set()),
        ("nowhere/*", set()),
        ("./api.shop.svc.cluster.local", {"api.shop"}),
        ("*/*.svc.cluster.local", {"web.shop", "api.shop", "mail.tools"}),
        ("./*.example.com, */*", {"www.example.com", "mail.tools"}),
        ("tools/keys.tools.svc.cluster.local", set()),
    ],
)
def test_egress_hosts_are_all_that_is_known(tmp_path: Path, hosts: str, expected: set[str]) -> None:
    listed = ", ".join(f'"{host.strip()}"' for host in hosts.split(","))
    assert known(snapshot_of(MESH + sidecar(f"egress: [{{hosts: [{listed}]}}]"), tmp_path)) == expected


def test_services_are_known_where_they_are_exported_to(tmp_path: Path) -> None:
    snapshot = snapshot_of(MESH, tmp_path)
    assert known(snapshot) == SHOP | {"mail.tools"}
    assert known(snapshot, "mail.tools") == SHOP | {"mail.tools", "keys.tools", "hidden.example.com"}


def test_what_an_imported_rule_sends_to_is_known_with_it(tmp_path: Path) -> None:
    rule = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: api, namespace: shop}
spec:
  hosts: [api]
  http: [{route: [{destination: {host: mail.tools.svc.cluster.local}}], mirror: {host: web}}]
"""
    text = MESH + rule + sidecar("egress: [{hosts: [./api.shop.svc.cluster.local]}]")
    assert known(snapshot_of(text, tmp_path)) == {"api.shop", "mail.tools", "web.shop"}


def test_a_sidecar_for_the_workload_comes_before_its_namespaces_and_that_before_the_roots(tmp_path: Path) -> None:
    root = sidecar('egress: [{hosts: ["~/*"]}]', "istio-system")
    assert known(snapshot_of(MESH + root, tmp_path)) == set()
    whole = sidecar('egress: [{hosts: ["tools/*"]}]')
    assert known(snapshot_of(MESH + root + whole, tmp_path)) == {"mail.tools"}
    own = sidecar("workloadSelector: {labels: {app: web}}, egress: [{hosts: [./web.shop.svc.cluster.local]}]", name="z")
    assert known(snapshot_of(MESH + root + whole + own, tmp_path)) == {"web.shop"}
    other = own.replace("app: web", "app: api")
    assert known(snapshot_of(MESH + root + whole + other, tmp_path)) == {"mail.tools"}


@pytest.mark.parametrize(
    ("policy", "virtual_host", "server_names"),
    [
        ("outboundTrafficPolicy: {mode: ALLOW_ANY}", "allow_any", [["www.example.com"], None]),
        ("outboundTrafficPolicy: {mode: REGISTRY_ONLY}", "block_all", [["www.example.com"]]),
        ("outboundTrafficPolicy: {}", "block_all", [["www.example.com"]]),
        ("egress: [{hosts: [./*]}]", "allow_any", [["www.example.com"], None]),
    ],
)
def test_unknown_hosts_and_server_names(
    tmp_path: Path, policy: str, virtual_host: str, server_names: list[list[str] | None]
) -> None:
    snapshot = snapshot_of(MESH + SECURE + sidecar(policy), tmp_path)
    proxy = snapshot.proxy("web.shop")
    assert proxy is not None
    made = configuration(proxy, snapshot)
    table, secure = made[RDS].get("http_proxy"), made[LDS].get("outbound|443||www.example.com")
    assert table is not None
    assert secure is not None
    assert table.to_dict()["virtual_hosts"][-1]["name"] == virtual_host
    chains = secure.to_dict()["filter_chains"]
    assert [chain.get("filter_chain_match", {}).get("server_names") for chain in chains] == server_names
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy, snapshot, authority), tmp_path) == ""


def test_proxies_of_one_scope_share_what_is_made_for_it(tmp_path: Path) -> None:
    text = MESH + workload("api", "shop") + sidecar("egress: [{hosts: [./*]}]")
    snapshot = snapshot_of(text, tmp_path)
    web, api = snapshot.proxy("web.shop"), snapshot.proxy("api.shop")
    assert web is not None
    assert api is not None
    assert configuration(web, snapshot)[EDS] is configuration(api, snapshot)[EDS]
