"""Single fields of Istio's resources, and what of Envoy's configuration each becomes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from static_config import static_config, validate
from test_generators import HTTP_OPTIONS, cluster, made, manager, plain_shop, proxy_of, rule, telemetry
from xds_mesh import snapshot_of

from windvane.kit.clock import SystemClock
from windvane.xds.ca import CertificateAuthority
from windvane.xds.resources import CDS, LDS, RDS

LEDGER = "outbound|5432||ledger.shop.svc.cluster.local"


def options(found: dict[str, Any]) -> dict[str, Any]:
    return dict(found["typed_extension_protocol_options"][HTTP_OPTIONS])


def test_a_retry_budget_bounds_retries_by_requests(tmp_path: Path) -> None:
    def budget(policy: str) -> Any:
        return cluster(tmp_path, policy)["circuit_breakers"]["thresholds"][0].get("retry_budget")

    settings = "{retryBudget: {percent: 50, minRetryConcurrency: 7}, portLevelSettings: [{port: {number: 9080}}]}"
    assert budget(settings) == {"budget_percent": {"value": 50.0}, "min_retry_concurrency": 7}
    assert budget("{retryBudget: {}}") == {"budget_percent": {"value": 20.0}, "min_retry_concurrency": 3}
    assert budget("{tls: {mode: ISTIO_MUTUAL}}") is None


def test_http2_connections_are_pinged(tmp_path: Path) -> None:
    pool = "{http: {h2UpgradePolicy: UPGRADE, http2KeepAlive: {interval: 30s, timeout: 5s}}}"
    found = options(cluster(tmp_path, f"{{connectionPool: {pool}}}"))["explicit_http_config"]
    assert found["http2_protocol_options"]["connection_keepalive"] == {"interval": "30s", "timeout": "5s"}


def test_codes_that_count_against_an_endpoint(tmp_path: Path) -> None:
    detection = "{outlierDetection: {consecutive5xxErrors: 2, outlierDetectionHttpErrorCodes: [429, 503]}}"
    matcher = options(cluster(tmp_path, detection))["outlier_detection"]["error_matcher"]
    rules = [one["http_response_headers_match"]["headers"][0] for one in matcher["or_match"]["rules"]]
    assert [one["string_match"] for one in rules] == [{"exact": "429"}, {"exact": "503"}]
    assert {one["name"] for one in rules} == {":status"}


def test_a_proxy_header_comes_before_each_kind_of_transport(tmp_path: Path) -> None:
    name = "envoy.transport_sockets.upstream_proxy_protocol"
    found = cluster(tmp_path, "{proxyProtocol: {version: V2}}")
    sockets = [match["transport_socket"] for match in found["transport_socket_matches"]]
    assert [(one["name"], one["typed_config"]["config"]["version"]) for one in sockets] == [(name, "V2")] * 2
    found = cluster(tmp_path, "{proxyProtocol: {}, tls: {mode: ISTIO_MUTUAL}}")
    assert found["transport_socket"]["typed_config"]["transport_socket"]["name"] == "envoy.transport_sockets.tls"
    found = cluster(tmp_path, "{proxyProtocol: {}, tls: {mode: DISABLE}}")
    assert found["transport_socket"]["name"] == name


def test_a_tunnel_is_of_the_host_or_of_the_subset(tmp_path: Path) -> None:
    tunnel = "{tunnel: {protocol: POST, targetHost: db.example.com, targetPort: 5432}}"
    snapshot = snapshot_of(plain_shop() + rule(tunnel, "ledger"), tmp_path)
    proxied = made(snapshot, LDS)[LEDGER]["filter_chains"][0]["filters"][0]["typed_config"]
    assert proxied["tunneling_config"] == {"hostname": "db.example.com:5432", "use_post": True}
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy_of(snapshot), snapshot, authority), tmp_path) == ""


def test_a_generated_cookie_has_attributes(tmp_path: Path) -> None:
    cookie = "{name: user, ttl: 0s, path: /a, attributes: [{name: SameSite, value: Strict}]}"
    text = plain_shop() + rule(f"{{loadBalancer: {{consistentHash: {{httpCookie: {cookie}}}}}}}")
    hosts = made(snapshot_of(text, tmp_path), RDS)["http_proxy"]["virtual_hosts"]
    [action] = [host["routes"][0]["route"] for host in hosts if host["name"].startswith("reviews")]
    assert action["hash_policy"][0]["cookie"]["attributes"] == [{"name": "SameSite", "value": "Strict"}]


@pytest.mark.parametrize("mode", ["SIMPLE", "MUTUAL"])
def test_a_sidecar_heeds_a_secret_only_of_a_rule_that_selects_it(tmp_path: Path, mode: str) -> None:
    policy = f"{{tls: {{mode: {mode}, credentialName: c, subjectAltNames: [a.example.com]}}}}"

    def socket(more: str = "") -> Any:
        text = plain_shop() + rule(policy, more=more)
        return made(snapshot_of(text, tmp_path), CDS)["outbound|9080||reviews.shop.svc.cluster.local"].get(
            "transport_socket"
        )

    assert socket() is None
    common = socket("workloadSelector: {matchLabels: {app: web}}")["typed_config"]["common_tls_context"]
    believed = common["combined_validation_context"]["validation_context_sds_secret_config"]
    assert believed["name"] == "kubernetes://c-cacert"
    assert believed["sds_config"]["initial_fetch_timeout"] == "3s"
    shown = [one["name"] for one in common.get("tls_certificate_sds_secret_configs", ())]
    assert shown == (["kubernetes://c"] if mode == "MUTUAL" else [])


def connections(tmp_path: Path, service: str, kind: str) -> list[str]:
    """Clusters of the listener for a service, one a filter chain, under a rule for 10.0.0.0/8."""
    text = f"""
---
apiVersion: v1
kind: Service
metadata: {{name: db, namespace: shop}}
spec: {{{service}, ports: [{{name: {kind}, port: 443}}]}}
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {{name: db, namespace: shop}}
spec:
  hosts: [db]
  {"tcp" if kind == "tcp" else "tls"}:
    - match: [{{destinationSubnets: [10.0.0.0/8]{"" if kind == "tcp" else ", sniHosts: [db]"}}}]
      route: [{{destination: {{host: ledger, port: {{number: 5432}}}}}}]
"""
    found = made(snapshot_of(plain_shop() + text, tmp_path), LDS)["outbound|443||db.shop.svc.cluster.local"]
    return [chain["filters"][0]["typed_config"]["cluster"].split("|")[3] for chain in found["filter_chains"]]


@pytest.mark.parametrize("kind", ["tcp", "tls"])
def test_a_rule_for_subnets_holds_for_services_that_have_an_address_there(tmp_path: Path, kind: str) -> None:
    ledger, own = "ledger.shop.svc.cluster.local", "db.shop.svc.cluster.local"
    within = connections(tmp_path, "clusterIP: 10.1.2.3", kind)
    assert within[0] == ledger
    assert connections(tmp_path, "clusterIP: 192.168.0.1", kind) == [own]
    assert connections(tmp_path, "clusterIP: ''", kind) == [own]


def test_a_redirect_replaces_a_prefix(tmp_path: Path) -> None:
    text = """
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: moved, namespace: shop}
spec:
  hosts: [reviews]
  http: [{match: [{uri: {prefix: /old}}], redirect: {prefixRewrite: /new}}]
"""
    hosts = made(snapshot_of(plain_shop() + text, tmp_path), RDS)["http_proxy"]["virtual_hosts"]
    [redirect] = [host["routes"][0]["redirect"] for host in hosts if host["name"].startswith("reviews")]
    assert redirect["prefix_rewrite"] == "/new"


SERVED = """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  inboundConnectionPool: {tcp: {maxConnections: 3}}
  ingress:
    - port: {number: 9080, protocol: HTTP}
      defaultEndpoint: unix:///run/app.sock
      connectionPool: {http: {http2MaxRequests: 7, h2UpgradePolicy: UPGRADE}}
    - port: {number: 5432, protocol: TCP}
"""


def inbound(tmp_path: Path, text: str, port: int = 9080, key: str = "reviews-v1.shop") -> dict[str, Any]:
    return made(snapshot_of(text, tmp_path), CDS, key)[f"inbound|{port}||"]


def test_what_comes_in_is_limited_by_the_port_the_sidecar_or_the_rule(tmp_path: Path) -> None:
    found = inbound(tmp_path, plain_shop() + SERVED)
    thresholds = found["circuit_breakers"]["thresholds"][0]
    assert (thresholds["max_requests"], thresholds["max_connections"]) == (7, 4294967295)
    assert "http_protocol_options" in options(found)["explicit_http_config"], "clients alone make requests HTTP/2"
    endpoint = found["load_assignment"]["endpoints"][0]["lb_endpoints"][0]["endpoint"]
    assert endpoint["address"] == {"pipe": {"path": "/run/app.sock"}}
    found = inbound(tmp_path, plain_shop() + SERVED, 5432, "ledger-v1.shop")
    assert found["circuit_breakers"]["thresholds"][0]["max_connections"] == 3
    found = inbound(tmp_path, plain_shop() + rule("{connectionPool: {tcp: {maxConnections: 5}}}"))
    assert found["circuit_breakers"]["thresholds"][0]["max_connections"] == 5


def test_a_sidecar_ends_tls_only_where_mutual_tls_is_switched_off(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    issued = authority.issue("spiffe://td/ns/a/sa/b")
    (tmp_path / "c.pem").write_bytes(issued.chain_pem)
    (tmp_path / "k.pem").write_bytes(issued.key_pem)
    tls = f"{{mode: SIMPLE, serverCertificate: {tmp_path}/c.pem, privateKey: {tmp_path}/k.pem}}"
    text = plain_shop() + SERVED.replace("protocol: HTTP}", f"protocol: HTTPS}}\n      tls: {tls}", 1)

    def chains(more: str = "") -> list[str]:
        snapshot = snapshot_of(text + more, tmp_path)
        assert validate(static_config(proxy_of(snapshot, "reviews-v1.shop"), snapshot, authority), tmp_path) == ""
        found = made(snapshot, LDS, "reviews-v1.shop")["inbound|9080||"]["filter_chains"]
        return [f"{each['name']} {each['filters'][-1]['name'].rpartition('.')[2]}" for each in found]

    assert chains() == ["mutual-tls tcp_proxy"]
    disabled = (
        "\n---\napiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {name: a, namespace: shop}\n"
    )
    assert chains(f"{disabled}spec: {{mtls: {{mode: DISABLE}}}}\n") == ["plaintext http_connection_manager"]


def test_an_egress_listener_with_a_port_decides_alone_for_that_port(tmp_path: Path) -> None:
    text = """
---
apiVersion: networking.istio.io/v1
kind: Sidecar
metadata: {name: default, namespace: shop}
spec:
  egress:
    - {port: {number: 5432, protocol: TCP}, hosts: [./reviews.shop.svc.cluster.local]}
    - {hosts: [./*]}
"""
    names = made(snapshot_of(plain_shop() + text, tmp_path), CDS).keys()
    assert {name for name in names if name.startswith("outbound")} == {"outbound|9080||reviews.shop.svc.cluster.local"}


def entry(spec: str) -> str:
    return f"""
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside, namespace: shop}}
spec: {spec}
"""


def test_each_requests_own_host_is_resolved(tmp_path: Path) -> None:
    ports = "[{number: 80, name: http, protocol: HTTP}, {number: 443, name: tls, protocol: TLS}]"
    text = entry(f"{{hosts: ['*.example.com'], ports: {ports}, resolution: DYNAMIC_DNS}}")
    text += rule("{tls: {mode: SIMPLE}}", "'*.example.com'")
    text += """
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: edge, namespace: shop}
spec: {labels: {istio: egressgateway}}
---
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: shop}
spec:
  selector: {istio: egressgateway}
  servers: [{port: {number: 443, name: tls, protocol: TLS}, hosts: ["*.example.com"], tls: {mode: PASSTHROUGH}}]
---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: edge, namespace: shop}
spec:
  hosts: ["*.example.com"]
  gateways: [edge]
  tls: [{match: [{sniHosts: ["*.example.com"]}], route: [{destination: {host: "*.example.com", port: {number: 443}}}]}]
"""
    snapshot = snapshot_of(plain_shop() + text, tmp_path)
    found = made(snapshot, CDS)
    kinds = {found[f"outbound|{number}||*.example.com"]["cluster_type"]["name"] for number in (80, 443)}
    assert kinds == {"envoy.clusters.dynamic_forward_proxy"}
    assert found["outbound|80||*.example.com"]["transport_socket"]["name"] == "envoy.transport_sockets.tls"
    listener = made(snapshot, LDS, "edge.shop")["gateway|443"]
    [chain] = listener["filter_chains"]
    assert [each["name"].rpartition(".")[2] for each in chain["filters"]] == ["sni_dynamic_forward_proxy", "tcp_proxy"]
    assert chain["filters"][0]["typed_config"]["port_value"] == 443
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    for key in ("web-v1.shop", "edge.shop"):
        assert validate(static_config(proxy_of(snapshot, key), snapshot, authority), tmp_path) == ""


def test_trace_context_is_not_carried_on_where_a_telemetry_forbids_it(tmp_path: Path) -> None:
    def carried(spec: str) -> Any:
        listeners = made(snapshot_of(plain_shop() + telemetry(spec), tmp_path), LDS)
        return manager(listeners["http_proxy"])["tracing"].get("no_context_propagation")

    assert carried("{tracing: [{disableContextPropagation: true}]}") is True
    assert not carried("{tracing: [{disableSpanReporting: false}]}")


def test_round_robin_names_use_one_address_at_a_time(tmp_path: Path) -> None:
    ports = "ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS_ROUND_ROBIN"
    found = made(snapshot_of(plain_shop() + entry(f"{{hosts: [a.example.com], {ports}}}"), tmp_path), CDS)
    one = found["outbound|80||a.example.com"]
    assert one["type"] == "LOGICAL_DNS"
    assert len(one["load_assignment"]["endpoints"]) == 1
