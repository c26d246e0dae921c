"""What proxies get: golden configuration for review, and the meaning of single settings."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from mesh_draws import EDGE, drawn_edge, drawn_secrets, drawn_services, drawn_sidecar
from static_config import static_config, validate
from xds_mesh import GATEWAY, SHOP, snapshot_of, split

from windvane.kit.clock import SystemClock
from windvane.xds.ca import CertificateAuthority
from windvane.xds.configuration import configuration
from windvane.xds.proxy import Proxy
from windvane.xds.resources import CDS, EDS, LDS, RDS, SHORT_NAMES
from windvane.xds.snapshot import Snapshot

OUTBOUND = "outbound|9080||reviews.shop.svc.cluster.local"
HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def proxy_of(snapshot: Snapshot, key: str = "web-v1.shop") -> Proxy:
    proxy = snapshot.proxy(key)
    assert proxy is not None
    return proxy


def made(snapshot: Snapshot, type_url: str, key: str = "web-v1.shop") -> dict[str, dict[str, Any]]:
    return {each.name: each.to_dict() for each in configuration(proxy_of(snapshot, key), snapshot)[type_url]}


def rule(policy: str, host: str = "reviews", more: str = "") -> str:
    return f"""
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: under-test, namespace: shop}}
spec:
  host: {host}
  trafficPolicy: {policy}
  {more}
"""


def plain_shop() -> str:
    """The shop without its own DestinationRule."""
    return SHOP.rpartition("---")[0]


def cluster(tmp_path: Path, policy: str, name: str = OUTBOUND) -> dict[str, Any]:
    return made(snapshot_of(plain_shop() + rule(policy), tmp_path), CDS)[name]


def manager(listener: Mapping[str, Any], chain: int = 0) -> dict[str, Any]:
    return dict(listener["filter_chains"][chain]["filters"][0]["typed_config"])


@pytest.mark.parametrize(
    ("name", "key"),
    [("sidecar.yaml", "web-v1.shop"), ("server.yaml", "reviews-v1.shop"), ("gateway.yaml", "ingress.istio-system")],
)
def test_the_configuration_of_a_small_mesh(
    tmp_path: Path, golden: Callable[[str, str], None], name: str, key: str
) -> None:
    snapshot = snapshot_of(SHOP + GATEWAY + split(90, 10), tmp_path)
    bundles = configuration(proxy_of(snapshot, key), snapshot)
    found = {SHORT_NAMES[type_url]: [each.to_dict() for each in bundle] for type_url, bundle in bundles.items()}
    golden(name, yaml.dump(found, sort_keys=False, width=120))


@pytest.mark.parametrize("key", ["web-v1.shop", "reviews-v1.shop", "ledger-v1.shop", "ingress.istio-system"])
def test_envoy_accepts_the_configuration_of_a_small_mesh(tmp_path: Path, key: str) -> None:
    snapshot = snapshot_of(SHOP + GATEWAY + split(90, 10), tmp_path)
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy_of(snapshot, key), snapshot, authority), tmp_path) == ""


def test_equal_snapshots_give_equal_bytes(tmp_path: Path) -> None:
    texts = [SHOP, split(90, 10), GATEWAY]
    first = snapshot_of("".join(texts), tmp_path)
    second = snapshot_of("".join([texts[0], texts[2], texts[1]]), tmp_path)
    for key in first.view.workloads:
        one, other = (configuration(proxy_of(each, key), each) for each in (first, second))
        assert {name: bundle.version for name, bundle in one.items()} == {
            name: bundle.version for name, bundle in other.items()
        }


def test_an_edit_of_weights_changes_routes_alone(tmp_path: Path) -> None:
    one, other = (snapshot_of(SHOP + split(weight, 100 - weight), tmp_path) for weight in (90, 10))
    before, after = (configuration(proxy_of(each), each) for each in (one, other))
    assert {name for name in before if before[name].version != after[name].version} == {RDS}


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("{loadBalancer: {simple: UNSPECIFIED}}", {"lb_policy": "LEAST_REQUEST"}),
        ("{loadBalancer: {simple: LEAST_CONN}}", {"lb_policy": "LEAST_REQUEST"}),
        ("{loadBalancer: {simple: ROUND_ROBIN}}", {}),
        ("{loadBalancer: {simple: RANDOM}}", {"lb_policy": "RANDOM"}),
        (
            "{loadBalancer: {consistentHash: {httpHeaderName: end-user}}}",
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 1024}},
        ),
        (
            "{loadBalancer: {consistentHash: {useSourceIp: true, ringHash: {minimumRingSize: 64}}}}",
            {"lb_policy": "RING_HASH", "ring_hash_lb_config": {"minimum_ring_size": 64}},
        ),
        (
            "{loadBalancer: {consistentHash: {useSourceIp: true, maglev: {tableSize: 65537}}}}",
            {"lb_policy": "MAGLEV", "maglev_lb_config": {"table_size": 65537}},
        ),
    ],
)
def test_load_balancers(tmp_path: Path, policy: str, expected: dict[str, Any]) -> None:
    found = cluster(tmp_path, policy)
    assert {
        key: found[key] for key in ("lb_policy", "ring_hash_lb_config", "maglev_lb_config") if key in found
    } == expected


def test_limits_of_connections_and_requests(tmp_path: Path) -> None:
    tcp = "{maxConnections: 5, connectTimeout: 2s}"
    http = "{http1MaxPendingRequests: 6, http2MaxRequests: 7, maxRetries: 3}"
    found = cluster(tmp_path, f"{{connectionPool: {{tcp: {tcp}, http: {http}}}}}")
    thresholds = found["circuit_breakers"]["thresholds"][0]
    assert (thresholds["max_connections"], thresholds["max_pending_requests"]) == (5, 6)
    assert (thresholds["max_requests"], thresholds["max_retries"]) == (7, 3)
    assert found["connect_timeout"] == "2s"
    unlimited = made(snapshot_of(plain_shop(), tmp_path), CDS)[OUTBOUND]["circuit_breakers"]["thresholds"][0]
    assert unlimited["max_requests"] == 2**32 - 1


def test_outlier_detection(tmp_path: Path) -> None:
    settings = (
        "{consecutive5xxErrors: 7, interval: 10s, baseEjectionTime: 15s, maxEjectionPercent: 50, minHealthPercent: 20}"
    )
    found = cluster(tmp_path, f"{{outlierDetection: {settings}}}")
    outlier = found["outlier_detection"]
    assert (outlier["consecutive_5xx"], outlier["interval"], outlier["base_ejection_time"]) == (7, "10s", "15s")
    assert outlier["max_ejection_percent"] == 50
    assert outlier["enforcing_success_rate"] == 0
    assert found["common_lb_config"]["healthy_panic_threshold"] == {"value": 20.0}


def test_a_port_replaces_and_a_subset_overrides(tmp_path: Path) -> None:
    policy = """
    loadBalancer: {simple: RANDOM}
    connectionPool: {tcp: {maxConnections: 5}}
    portLevelSettings:
      - port: {number: 9080}
        loadBalancer: {simple: ROUND_ROBIN}
  """
    subsets = "subsets: [{name: v1, labels: {version: v1}, trafficPolicy: {loadBalancer: {simple: RANDOM}}}]"
    found = made(snapshot_of(plain_shop() + rule(policy, more=subsets), tmp_path), CDS)
    whole, subset = found[OUTBOUND], found[OUTBOUND.replace("||", "|v1|")]
    assert "lb_policy" not in whole, "round robin is Envoy's zero"
    assert whole["circuit_breakers"]["thresholds"][0]["max_connections"] == 2**32 - 1, "a port does not inherit"
    assert subset["lb_policy"] == "RANDOM"


def test_mutual_tls_names_the_service_and_believes_its_accounts_alone(tmp_path: Path) -> None:
    found = made(snapshot_of(SHOP, tmp_path), CDS)[OUTBOUND.replace("||", "|v1|")]
    secured, plain = found["transport_socket_matches"]
    context = secured["transport_socket"]["typed_config"]
    assert secured["match"] == {"tlsMode": "istio"}
    assert context["sni"] == "outbound_.9080_.v1_.reviews.shop.svc.cluster.local"
    validation = context["common_tls_context"]["combined_validation_context"]["default_validation_context"]
    assert [each["matcher"] for each in validation["match_typed_subject_alt_names"]] == [
        {"exact": "spiffe://cluster.local/ns/shop/sa/reviews"}
    ]
    assert plain["transport_socket"]["name"] == "envoy.transport_sockets.raw_buffer"


def test_a_subset_has_the_endpoints_with_its_labels(tmp_path: Path) -> None:
    snapshot = snapshot_of(SHOP, tmp_path)
    found = made(snapshot, EDS)
    for version in ("v1", "v2"):
        assignment = found[OUTBOUND.replace("||", f"|{version}|")]
        (endpoint,) = assignment["endpoints"][0]["lb_endpoints"]
        place = snapshot.placement.places[f"reviews-{version}.shop"]
        address = endpoint["endpoint"]["address"]["socket_address"]
        assert (address["address"], address["port_value"]) == (place.address, place.inbound[9080])
        assert endpoint["metadata"]["filter_metadata"] == {
            "istio": {"workload": f"reviews-{version};shop;reviews;{version};Kubernetes"},
            "envoy.transport_socket_match": {"tlsMode": "istio"},
        }


def authentication(name: str, spec: str) -> str:
    return f"""
---
apiVersion: security.istio.io/v1
kind: PeerAuthentication
metadata: {{name: {name}, namespace: shop}}
spec: {spec}
"""


@pytest.mark.parametrize(
    ("policies", "chains", "mutual"),
    [
        ("", ["mutual-tls"], True),
        (authentication("a", "{mtls: {mode: PERMISSIVE}}"), ["mutual-tls", "plaintext"], True),
        (authentication("a", "{mtls: {mode: DISABLE}}"), ["plaintext"], False),
        (
            authentication("a", "{mtls: {mode: DISABLE}}")
            + authentication("b", "{selector: {matchLabels: {app: reviews}}, mtls: {mode: STRICT}}"),
            ["mutual-tls"],
            True,
        ),
        (
            authentication("b", "{selector: {matchLabels: {app: reviews}}, portLevelMtls: {9080: {mode: DISABLE}}}"),
            ["plaintext"],
            False,
        ),
    ],
)
def test_what_a_port_accepts_decides_how_it_is_spoken_to(
    tmp_path: Path, policies: str, chains: list[str], mutual: bool
) -> None:
    snapshot = snapshot_of(SHOP + policies, tmp_path)
    inbound = made(snapshot, LDS, "reviews-v1.shop")["inbound|9080||"]
    assert [chain["name"] for chain in inbound["filter_chains"]] == chains
    for endpoint in made(snapshot, EDS)[OUTBOUND]["endpoints"][0]["lb_endpoints"]:
        assert ("envoy.transport_socket_match" in endpoint["metadata"]["filter_metadata"]) == mutual


def entry(spec: str) -> str:
    return f"""
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {{name: outside, namespace: shop}}
spec: {spec}
"""


@pytest.mark.parametrize(
    ("spec", "name", "kind"),
    [
        (
            "{hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: DNS}",
            "outbound|80||api.example.com",
            "STRICT_DNS",
        ),
        (
            "{hosts: [api.example.com], ports: [{number: 80, name: http, protocol: HTTP}], resolution: STATIC,"
            " endpoints: [{address: 127.0.0.9}]}",
            "outbound|80||api.example.com",
            "EDS",
        ),
        (
            "{hosts: ['*.example.com'], ports: [{number: 80, name: http, protocol: HTTP}], resolution: NONE}",
            "outbound|80||*.example.com",
            "envoy.clusters.dynamic_forward_proxy",
        ),
    ],
)
def test_services_outside_the_mesh(tmp_path: Path, spec: str, name: str, kind: str) -> None:
    snapshot = snapshot_of(SHOP + entry(spec), tmp_path)
    found = made(snapshot, CDS)[name]
    assert found.get("type") == kind or found["cluster_type"]["name"] == kind
    assert "transport_socket_matches" not in found, "mutual TLS ends at the mesh's edge"
    filters = [each["name"] for each in found["typed_extension_protocol_options"][HTTP_OPTIONS]["http_filters"]]
    assert filters == ["envoy.filters.http.header_mutation", "envoy.filters.http.upstream_codec"]
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy_of(snapshot), snapshot, authority), tmp_path) == ""


def telemetry(spec: str, namespace: str = "shop") -> str:
    return f"""
---
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: {{name: under-test, namespace: {namespace}}}
spec: {spec}
"""


def test_tracing_is_one_percent_unless_a_telemetry_says_otherwise(tmp_path: Path) -> None:
    found = manager(made(snapshot_of(SHOP, tmp_path), LDS)["http_proxy"])["tracing"]
    assert found["random_sampling"] == {"value": 1.0}
    text = telemetry("{tracing: [{randomSamplingPercentage: 50, customTags: {team: {literal: {value: a}}}}]}")
    found = manager(made(snapshot_of(SHOP + text, tmp_path), LDS)["http_proxy"])["tracing"]
    assert found["random_sampling"] == {"value": 50.0}
    assert {"tag": "team", "literal": {"value": "a"}} in found["custom_tags"]
    assert {"tag": "istio.mesh_id", "literal": {"value": "cluster.local"}} in found["custom_tags"]
    assert found["provider"]["typed_config"]["service_name"] == "web.shop"


def test_spans_and_istio_tags_can_be_switched_off(tmp_path: Path) -> None:
    text = telemetry("{tracing: [{disableSpanReporting: true}]}")
    assert "tracing" not in manager(made(snapshot_of(SHOP + text, tmp_path), LDS)["http_proxy"])
    text = telemetry("{tracing: [{enableIstioTags: false}]}")
    assert "custom_tags" not in manager(made(snapshot_of(SHOP + text, tmp_path), LDS)["http_proxy"])["tracing"]


def test_a_text_log_comes_beside_the_collectors(tmp_path: Path) -> None:
    text = telemetry("{accessLogging: [{providers: [{name: envoy}], filter: {expression: 'response.code >= 500'}}]}")
    snapshot = snapshot_of(SHOP + text, tmp_path)
    logs = manager(made(snapshot, LDS)["http_proxy"])["access_log"]
    assert [each["name"] for each in logs] == ["envoy.access_loggers.http_grpc", "envoy.access_loggers.file"]
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy_of(snapshot), snapshot, authority), tmp_path) == ""


def test_log_names_tell_direction(tmp_path: Path) -> None:
    snapshot = snapshot_of(SHOP + GATEWAY, tmp_path)

    def log_name(key: str, listener: str) -> str:
        (log,) = manager(made(snapshot, LDS, key)[listener])["access_log"]
        return str(log["typed_config"]["common_config"]["log_name"])

    assert log_name("web-v1.shop", "http_proxy") == "http_outbound"
    assert log_name("web-v1.shop", OUTBOUND) == "http_outbound"
    assert log_name("web-v1.shop", "outbound|5432||ledger.shop.svc.cluster.local") == "tcp_outbound"
    assert log_name("reviews-v1.shop", "inbound|9080||") == "http_inbound"
    assert log_name("ledger-v1.shop", "inbound|5432||") == "tcp_inbound"
    assert log_name("ingress.istio-system", "gateway|80") == "http_gateway"


def test_a_gateway_with_certificates_picks_by_server_name(tmp_path: Path) -> None:
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    issued = authority.issue("spiffe://td/ns/a/sa/b")
    (tmp_path / "cert.pem").write_bytes(issued.chain_pem)
    (tmp_path / "key.pem").write_bytes(issued.key_pem)
    tls = f"{{mode: SIMPLE, serverCertificate: {tmp_path}/cert.pem, privateKey: {tmp_path}/key.pem}}"
    servers = "".join(
        f"""
    - port: {{number: 443, name: {name}, protocol: HTTPS}}
      hosts: ["{host}"]
      tls: {tls}"""
        for name, host in (("a", "a.example.com"), ("rest", "*"))
    )
    text = GATEWAY.replace(
        "  selector: {istio: ingressgateway}\n  servers:", f"  selector: {{istio: ingressgateway}}\n  servers:{servers}"
    )
    snapshot = snapshot_of(SHOP + text, tmp_path)
    found = made(snapshot, LDS, "ingress.istio-system")
    assert found.keys() == {"gateway|443", "gateway|80"}
    matches = [chain["filter_chain_match"].get("server_names") for chain in found["gateway|443"]["filter_chains"]]
    assert matches == [["a.example.com"], None]
    proxy = proxy_of(snapshot, "ingress.istio-system")
    assert validate(static_config(proxy, snapshot, authority), tmp_path) == ""


def test_any_valid_mesh_gives_configuration_that_envoy_accepts(tmp_path: Path) -> None:
    """Settings drawn at random, one mesh after the other; each encodes, whatever order its resources come in, and
    Envoy judges every fifth."""
    draw = random.Random(20_240_601)
    authority, secrets = CertificateAuthority(tmp_path / "ca", SystemClock()), drawn_secrets()
    for number in range(10):
        drawn = drawn_edge(draw) + drawn_services(draw) + draw.choice(["", drawn_sidecar(draw)])
        text = SHOP + _random_resources(draw) + secrets + drawn
        snapshot, other = snapshot_of(text, tmp_path), snapshot_of(_shuffled(text, draw), tmp_path)
        proxies = [proxy_of(snapshot, key) for key in ("web-v1.shop", "reviews-v1.shop", "ledger-v1.shop", EDGE)]
        for proxy in proxies:
            made_of = configuration(proxy, snapshot)
            assert all(made_of[each] for each in (CDS, EDS, LDS))
            again = configuration(proxy_of(other, proxy.key), other)
            assert {each: bundle.version for each, bundle in made_of.items()} == {
                each: bundle.version for each, bundle in again.items()
            }
        if number % 5 == 0:
            for proxy in (draw.choice(proxies[:-1]), proxies[-1]):
                assert validate(static_config(proxy, snapshot, authority), tmp_path) == "", text


def _shuffled(text: str, draw: random.Random) -> str:
    documents = text.split("\n---\n")
    draw.shuffle(documents)
    return "\n---\n".join(documents)


def _random_resources(draw: random.Random) -> str:
    protocols = ["http", "http2", "grpc", "tcp", "mongo", "redis", "mysql", "tls", "https", "grpc-web"]
    services = [
        f"""
---
apiVersion: v1
kind: Service
metadata: {{name: extra-{number}, namespace: shop}}
spec:
  selector: {{app: {draw.choice(["reviews", "ledger", "nobody"])}}}
  ports: [{{name: {draw.choice(protocols)}, port: {7000 + number}}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {{name: extra-{number}, namespace: shop}}
spec:
  host: extra-{number}
  trafficPolicy: {_random_policy(draw)}
  subsets: [{{name: one, labels: {{version: v1}}, trafficPolicy: {_random_policy(draw)}}}]
"""
        for number in range(draw.randint(1, 4))
    ]
    mode = draw.choice(["STRICT", "PERMISSIVE", "DISABLE", "UNSET"])
    by_id, sampling = draw.choice(["true", "false"]), draw.choice([0, 0.5, 100])
    tracing = f"{{randomSamplingPercentage: {sampling}, useRequestIdForTraceSampling: {by_id}}}"
    return "".join(
        [*services, authentication("drawn", f"{{mtls: {{mode: {mode}}}}}"), telemetry(f"{{tracing: [{tracing}]}}")]
    )


def _random_policy(draw: random.Random) -> str:
    balancers = [
        "{simple: RANDOM}",
        "{simple: ROUND_ROBIN}",
        "{consistentHash: {useSourceIp: true}}",
        "{consistentHash: {httpCookie: {name: user, ttl: 0s}, maglev: {tableSize: 251}}}",
        "{consistentHash: {httpCookie: {name: user, attributes: [{name: SameSite, value: Lax}]}, ringHash: {}}}",
        "{localityLbSetting: {failoverPriority: [version, app=reviews]}}",
        "{zoneAwareLbSetting: {minClusterSize: 2, failover: [{from: a, to: b}]}}",
    ]
    tcp = f"{{maxConnections: {draw.randint(1, 9)}, tcpKeepalive: {{time: 60s}}}}"
    upgrade = draw.choice(["UPGRADE", "DO_NOT_UPGRADE"])
    pings = "http2KeepAlive: {interval: 30s, timeout: 5s}"
    http = f"{{h2UpgradePolicy: {upgrade}, idleTimeout: 30s, maxRequestsPerConnection: 4, {pings}}}"
    errors = f"consecutive5xxErrors: {draw.randint(0, 5)}, consecutiveGatewayErrors: {draw.randint(0, 5)}"
    errors += f", outlierDetectionHttpErrorCodes: {draw.sample([429, 500, 503], draw.randint(0, 3))}"
    parts = {
        "loadBalancer": draw.choice(balancers),
        "connectionPool": f"{{tcp: {tcp}, http: {http}}}",
        "outlierDetection": f"{{{errors}}}",
        "retryBudget": f"{{percent: {draw.choice([0, 12.5, 100])}, minRetryConcurrency: {draw.randint(0, 5)}}}",
        **draw.choice([
            {"proxyProtocol": f"{{version: {draw.choice(['V1', 'V2'])}}}"},
            {"tunnel": f"{{protocol: {draw.choice(['CONNECT', 'POST'])}, targetHost: '::1', targetPort: 443}}"},
        ]),
    }  # fmt: skip
    chosen = [f"{name}: {value}" for name, value in parts.items() if draw.random() < 0.5]
    mode = draw.choice(["ISTIO_MUTUAL", "DISABLE"])
    return "{" + ", ".join([*chosen, f"tls: {{mode: {mode}}}"]) + "}"


def test_a_timeout_stands_alone_for_envoy_to_heed_it(tmp_path: Path) -> None:
    """Beside `max_stream_duration` Envoy looks at no `timeout`."""
    timed = split(90, 10).replace("- name: reviews-split", "- timeout: 2s\n      name: reviews-split")
    snapshot = snapshot_of(SHOP + timed, tmp_path)
    proxy = snapshot.proxy("web-v1.shop")
    assert proxy is not None
    table = configuration(proxy, snapshot)[RDS].get("reviews.shop.svc.cluster.local:9080")
    assert table is not None
    action = table.to_dict()["virtual_hosts"][0]["routes"][0]["route"]
    assert (action["timeout"], "max_stream_duration" in action) == ("2s", False)
