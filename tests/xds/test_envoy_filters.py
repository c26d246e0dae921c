"""EnvoyFilters: what each operation does where, in which order, and that Envoy accepts what comes of it.

What requests see of patches: tests/local/data/patched.yaml.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from envoy_data_plane.envoy.config.cluster.v3 import Cluster
from static_config import static_config, validate
from xds_mesh import GATEWAY, SHOP, snapshot_of, split

from windvane.kit.clock import SystemClock
from windvane.kit.protojson import read
from windvane.xds.ca import CertificateAuthority
from windvane.xds.configuration import configuration, generated, listened
from windvane.xds.envoy_filters.merge import merge
from windvane.xds.envoy_filters.survey import survey
from windvane.xds.resources import CDS, LDS, RDS

MANAGER = "envoy.filters.network.http_connection_manager"
MANAGER_TYPE = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
HEADERS = "type.googleapis.com/envoy.extensions.filters.http.header_mutation.v3.HeaderMutation"
PROXIES = {
    "web": "web-v1.shop",
    "reviews": "reviews-v1.shop",
    "ledger": "ledger-v1.shop",
    "edge": "ingress.istio-system",
}


def envoy_filter(*patches: dict[str, Any], name: str = "a", namespace: str = "shop", **spec: Any) -> str:
    """An EnvoyFilter as YAML."""
    value = {
        "apiVersion": "networking.istio.io/v1alpha3",
        "kind": "EnvoyFilter",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {"configPatches": list(patches), **spec},
    }
    return f"---\n{yaml.safe_dump(value)}"


def patch(apply_to: str, operation: str, value: Any = None, context: str = "ANY", **match: Any) -> dict[str, Any]:
    done: dict[str, Any] = {"operation": operation} if value is None else {"operation": operation, "value": value}
    return {"applyTo": apply_to, "match": {"context": context, **match}, "patch": done}


def at_filter(name: str = "", chain: dict[str, Any] | None = None, **listener: Any) -> dict[str, Any]:
    sub = {"subFilter": {"name": name}} if name else {}
    return {**listener, "filterChain": {**(chain or {}), "filter": {"name": MANAGER, **sub}}}


def header_filter(name: str) -> dict[str, Any]:
    return {"name": name, "typed_config": {"@type": HEADERS}}


def made(text: str, folder: Path, who: str, kind: str = LDS) -> dict[str, dict[str, Any]]:
    """A proxy's resources of a kind, by name."""
    snapshot = snapshot_of(SHOP + split(1, 1) + GATEWAY + text, folder)
    proxy = snapshot.proxy(PROXIES[who])
    assert proxy is not None
    return {each.name: each.to_dict() for each in configuration(proxy, snapshot)[kind]}


def http_filters(listener: dict[str, Any], chain: int = 0) -> list[str]:
    manager = listener["filter_chains"][chain]["filters"][-1]
    return [each["name"].removeprefix("envoy.filters.http.") for each in manager["typed_config"]["http_filters"]]


ORDER = ["header_mutation", "grpc_stats", "router"]
PLAIN = ["set_filter_state", *ORDER]


@pytest.mark.parametrize(
    ("operation", "near", "expected"),
    [
        ("ADD", "", [*PLAIN, "mine"]),
        ("INSERT_FIRST", "envoy.filters.http.router", ["mine", *PLAIN]),
        ("INSERT_BEFORE", "envoy.filters.http.router", [*PLAIN[:-1], "mine", "router"]),
        ("INSERT_BEFORE", "", ["mine", *PLAIN]),
        ("INSERT_BEFORE", "nothing", PLAIN),
        ("INSERT_AFTER", "envoy.filters.http.grpc_stats", [*PLAIN[:-1], "mine", "router"]),
        ("INSERT_AFTER", "", [*PLAIN, "mine"]),
        ("REPLACE", "envoy.filters.http.grpc_stats", [*PLAIN[:-2], "mine", "router"]),
        ("REPLACE", "", PLAIN),
        ("REMOVE", "envoy.filters.http.grpc_stats", [*PLAIN[:-2], "router"]),
        ("REMOVE", "", PLAIN),
    ],
)
def test_operations_on_http_filters(tmp_path: Path, operation: str, near: str, expected: list[str]) -> None:
    value = None if operation == "REMOVE" else header_filter("mine")
    text = envoy_filter(patch("HTTP_FILTER", operation, value, "SIDECAR_INBOUND", listener=at_filter(near)))
    assert http_filters(made(text, tmp_path, "reviews")["inbound|9080||"]) == expected


def test_contexts_selectors_namespaces_and_ports(tmp_path: Path) -> None:
    text = "".join(
        (
            envoy_filter(patch("HTTP_FILTER", "ADD", header_filter("edge"), "GATEWAY"), namespace="istio-system"),
            envoy_filter(
                patch("HTTP_FILTER", "ADD", header_filter("inbound"), "SIDECAR_INBOUND", listener={"portNumber": 9080}),
                patch("HTTP_FILTER", "ADD", header_filter("no"), "SIDECAR_INBOUND", listener={"portNumber": 80}),
                patch(
                    "HTTP_FILTER",
                    "ADD",
                    header_filter("tls"),
                    "SIDECAR_INBOUND",
                    listener=at_filter(chain={"transportProtocol": "raw_buffer"}),
                ),
                workloadSelector={"labels": {"app": "reviews"}},
            ),
            envoy_filter(
                patch(
                    "HTTP_FILTER", "ADD", header_filter("out"), "SIDECAR_OUTBOUND", listener={"name": "virtualOutbound"}
                ),
                name="b",
                workloadSelector={"labels": {"app": "web"}},
            ),
            envoy_filter(patch("HTTP_FILTER", "ADD", header_filter("elsewhere")), namespace="other"),
            envoy_filter(
                patch("HTTP_FILTER", "ADD", header_filter("no"), proxy={"proxyVersion": ".*"}),
                patch("HTTP_FILTER", "ADD", header_filter("no"), proxy={"metadata": {"NAME": "reviews-v2"}}),
                name="c",
            ),
        )
    )
    assert http_filters(made(text, tmp_path, "reviews")["inbound|9080||"])[len(PLAIN) :] == ["inbound"]
    assert http_filters(made(text, tmp_path, "web")["http_proxy"])[-1] == "out"
    assert http_filters(made(text, tmp_path, "edge")["gateway|80"])[-1] == "edge"
    assert http_filters(made(text, tmp_path, "reviews")["http_proxy"])[-1] == "router"


def test_the_order_is_priority_then_root_namespace_then_age_and_name(tmp_path: Path) -> None:
    def adds(name: str, namespace: str = "shop", **spec: Any) -> str:
        added = patch("HTTP_FILTER", "ADD", header_filter(name), "SIDECAR_INBOUND")
        return envoy_filter(added, name=name, namespace=namespace, **spec)

    text = adds("z", priority=-5) + adds("a") + adds("c", namespace="istio-system") + adds("b") + adds("d", priority=5)
    assert http_filters(made(text, tmp_path, "reviews")["inbound|9080||"])[len(PLAIN) :] == ["z", "c", "a", "b", "d"]


def test_listeners_and_filter_chains(tmp_path: Path) -> None:
    added = {"name": "mine", "address": {"socket_address": {"address": "127.0.0.1", "port_value": 1}}}
    text = envoy_filter(
        patch("LISTENER", "MERGE", {"perConnectionBufferLimitBytes": 9}, "SIDECAR_INBOUND"),
        patch(
            "LISTENER",
            "REMOVE",
            None,
            "SIDECAR_OUTBOUND",
            listener={"name": "outbound|5432||ledger.shop.svc.cluster.local"},
        ),
        patch("LISTENER", "ADD", added),
        patch(
            "LISTENER_FILTER",
            "REMOVE",
            None,
            "SIDECAR_INBOUND",
            listener={"listenerFilter": "envoy.filters.listener.tls_inspector"},
        ),
        patch(
            "FILTER_CHAIN",
            "MERGE",
            {"transport_socket_connect_timeout": "3s"},
            "SIDECAR_INBOUND",
            listener={"filterChain": {"name": "mutual-tls"}},
        ),
        patch("FILTER_CHAIN", "ADD", {"name": "more", "filters": [{"name": "x"}]}, "SIDECAR_INBOUND"),
        patch("NETWORK_FILTER", "INSERT_FIRST", {"name": "echo"}, "SIDECAR_INBOUND", listener={"portNumber": 9080}),
    )
    found = made(text, tmp_path, "reviews")
    inbound = found["inbound|9080||"]
    assert inbound["per_connection_buffer_limit_bytes"] == 9
    assert "listener_filters" not in inbound
    assert [chain["name"] for chain in inbound["filter_chains"]] == ["mutual-tls", "more"]
    assert inbound["filter_chains"][0]["transport_socket_connect_timeout"] == "3s"
    assert [each["name"] for each in inbound["filter_chains"][0]["filters"]] == ["echo", MANAGER]
    assert "mine" in found
    # What is taken away is not waited for.
    snapshot = snapshot_of(SHOP + text, tmp_path)
    proxy = snapshot.proxy("web-v1.shop")
    assert proxy is not None
    names = [spec.name for spec in listened(proxy, snapshot)]
    assert "outbound|5432||ledger.shop.svc.cluster.local" not in names
    assert "http_proxy" in names


def test_a_filter_chain_is_removed(tmp_path: Path) -> None:
    text = envoy_filter(
        patch("FILTER_CHAIN", "REMOVE", None, "SIDECAR_INBOUND", listener={"filterChain": {"transportProtocol": "tls"}})
    )
    assert "filter_chains" not in made(text, tmp_path, "reviews")["inbound|9080||"]


def test_a_filters_configuration_is_merged_into(tmp_path: Path) -> None:
    merged = {
        "typed_config": {
            "@type": MANAGER_TYPE,
            "use_remote_address": True,
            "common_http_protocol_options": {"idle_timeout": "5s"},
        }
    }
    other = {"typed_config": {"@type": HEADERS}}
    text = envoy_filter(
        patch("NETWORK_FILTER", "MERGE", merged, "SIDECAR_INBOUND", listener=at_filter()),
        patch("NETWORK_FILTER", "MERGE", other, "SIDECAR_INBOUND", listener=at_filter()),
        patch(
            "HTTP_FILTER",
            "MERGE",
            {"name": "renamed"},
            "SIDECAR_INBOUND",
            listener=at_filter("envoy.filters.http.grpc_stats"),
        ),
    )
    inbound = made(text, tmp_path, "reviews")["inbound|9080||"]
    manager = inbound["filter_chains"][0]["filters"][0]["typed_config"]
    assert manager["use_remote_address"] is True
    assert manager["common_http_protocol_options"] == {"idle_timeout": "5s"}
    assert manager["normalize_path"] is True
    assert http_filters(inbound) == ["set_filter_state", "header_mutation", "renamed", "router"]


def test_clusters(tmp_path: Path) -> None:
    tls = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
    socket = {
        "transport_socket": {
            "name": "envoy.transport_sockets.tls",
            "typed_config": {"@type": tls, "allow_renegotiation": True},
        }
    }
    text = envoy_filter(
        patch(
            "CLUSTER",
            "MERGE",
            {"connect_timeout": "3s"},
            cluster={"service": "reviews.shop.svc.cluster.local", "subset": "v1"},
        ),
        patch(
            "CLUSTER",
            "MERGE",
            {"connect_timeout": "4s"},
            "SIDECAR_INBOUND",
            cluster={"service": "reviews.shop.svc.cluster.local"},
        ),
        patch("CLUSTER", "REMOVE", None, cluster={"portNumber": 5432}),
        patch("CLUSTER", "MERGE", socket, "SIDECAR_OUTBOUND", cluster={"subset": "v2"}),
        patch("CLUSTER", "ADD", {"name": "mine"}),
        patch("CLUSTER", "INSERT_FIRST", {"name": "also mine"}, "SIDECAR_INBOUND"),
    )
    found = made(text, tmp_path, "reviews", CDS)
    timeouts = {
        name: each["connect_timeout"] for name, each in found.items() if "reviews" in name and "connect_timeout" in each
    }
    assert timeouts == {
        "outbound|9080||reviews.shop.svc.cluster.local": "10s",
        "outbound|9080|v1|reviews.shop.svc.cluster.local": "3s",
        "outbound|9080|v2|reviews.shop.svc.cluster.local": "10s",
    }
    assert found["inbound|9080||"]
    assert "outbound|5432||ledger.shop.svc.cluster.local" not in found
    secured, plain = found["outbound|9080|v2|reviews.shop.svc.cluster.local"]["transport_socket_matches"]
    assert secured["transport_socket"]["typed_config"]["allow_renegotiation"] is True
    assert secured["transport_socket"]["typed_config"]["common_tls_context"]
    assert "allow_renegotiation" not in str(plain)
    assert {"mine", "also mine"} <= found.keys()


ROUTES = "reviews.shop.svc.cluster.local:9080"


def test_routes(tmp_path: Path) -> None:
    new = {"name": "mine", "match": {"prefix": "/mine"}, "direct_response": {"status": 200}}
    text = envoy_filter(
        patch(
            "ROUTE_CONFIGURATION",
            "MERGE",
            {"request_headers_to_remove": ["a"]},
            routeConfiguration={"name": "http_proxy"},
        ),
        patch(
            "VIRTUAL_HOST", "MERGE", {"domains": ["more"]}, "SIDECAR_OUTBOUND", routeConfiguration={"portNumber": 9080}
        ),
        patch(
            "VIRTUAL_HOST",
            "ADD",
            {"name": "new", "domains": ["new"]},
            "SIDECAR_OUTBOUND",
            routeConfiguration={"name": "http_proxy"},
        ),
        patch("VIRTUAL_HOST", "REMOVE", None, "SIDECAR_OUTBOUND", routeConfiguration={"vhost": {"name": "allow_any"}}),
        patch(
            "HTTP_ROUTE",
            "INSERT_FIRST",
            new,
            routeConfiguration={"vhost": {"name": ROUTES, "route": {"name": "reviews-split"}}},
        ),
        patch(
            "HTTP_ROUTE",
            "INSERT_FIRST",
            {**new, "name": "no"},
            routeConfiguration={"vhost": {"route": {"name": "none"}}},
        ),
        patch(
            "HTTP_ROUTE",
            "MERGE",
            {"request_headers_to_remove": ["b"]},
            routeConfiguration={"vhost": {"route": {"action": "ROUTE"}}},
        ),
        patch(
            "HTTP_ROUTE",
            "REMOVE",
            None,
            "GATEWAY",
            routeConfiguration={"portNumber": 80, "vhost": {"route": {"name": "everything"}}},
        ),
        namespace="istio-system",
    )
    found = made(text, tmp_path, "web", RDS)
    table, own = found["http_proxy"], found[ROUTES]
    hosts = {host["name"]: host for host in table["virtual_hosts"]}
    assert table["request_headers_to_remove"] == ["a"]
    assert "request_headers_to_remove" not in own
    assert "allow_any" not in hosts
    assert hosts["new"]["domains"] == ["new"]
    for host in (hosts[ROUTES], own["virtual_hosts"][0]):
        assert host["domains"][-1] == "more"
        assert [route["name"] for route in host["routes"]] == ["mine", "reviews-split"]
        assert host["routes"][1]["request_headers_to_remove"] == ["b"]
    # The application's own port has its routes in its listener.
    inbound = made(text, tmp_path, "reviews")["inbound|9080||"]["filter_chains"][0]["filters"][0]["typed_config"]
    assert inbound["route_config"]["virtual_hosts"][0]["routes"][0]["request_headers_to_remove"] == ["b"]
    edge = made(text, tmp_path, "edge", RDS)["http.80"]
    assert all("routes" not in host for host in edge["virtual_hosts"])


def test_merging_replaces_what_is_set_appends_to_lists_and_keeps_one_of_a_choice() -> None:
    def cluster(**value: Any) -> Cluster:
        message, mistakes = read(Cluster, value)
        assert isinstance(message, Cluster)
        assert mistakes == []
        return message

    before = cluster(name="a", type="EDS", connectTimeout="1s", circuitBreakers={"thresholds": [{"maxRequests": 1}]})
    after = cluster(
        cluster_type={"name": "x"},
        circuitBreakers={"thresholds": [{"maxRetries": 2}]},
        metadata={"filterMetadata": {"a": {"b": 1}}},
        respectDnsTtl=True,
    )
    merge(before, after)
    assert (before.name, before.type, before.respect_dns_ttl) == ("a", None, True)
    assert before.cluster_type is not None
    assert before.circuit_breakers is not None
    assert [(each.max_requests, each.max_retries) for each in before.circuit_breakers.thresholds] == [
        (1, None),
        (None, 2),
    ]
    before.circuit_breakers.thresholds[1].max_retries = 3
    assert after.circuit_breakers is not None
    assert after.circuit_breakers.thresholds[0].max_retries == 2


def test_what_no_patch_touches_stays_byte_for_byte(tmp_path: Path) -> None:
    text = envoy_filter(patch("CLUSTER", "MERGE", {"connect_timeout": "3s"}, cluster={"subset": "v1"}))
    snapshot = snapshot_of(SHOP + text, tmp_path)
    proxy = snapshot.proxy("web-v1.shop")
    assert proxy is not None
    before, after = generated(proxy, snapshot), configuration(proxy, snapshot)
    changed = {each.name for each in after[CDS] if before[CDS].get(each.name) != each}
    assert changed == {"outbound|9080|v1|reviews.shop.svc.cluster.local"}
    assert (before[LDS].version, before[RDS].version) == (after[LDS].version, after[RDS].version)
    assert [idle.index for idle in survey(snapshot)] == []


@pytest.mark.parametrize("who", ["reviews", "edge"])
def test_envoy_accepts_what_is_patched(tmp_path: Path, who: str) -> None:
    example = (Path(__file__).parents[1] / "local" / "data" / "patched.yaml").read_text(encoding="utf-8")
    wanted = [each for each in yaml.safe_load_all(example) if each["kind"] == "EnvoyFilter"]
    for each in wanted:
        each["spec"].pop("workloadSelector")
        each["metadata"]["namespace"] = "istio-system"
    snapshot = snapshot_of(SHOP + split(1, 1) + GATEWAY + "---\n" + yaml.safe_dump_all(wanted), tmp_path)
    proxy = snapshot.proxy(PROXIES[who])
    assert proxy is not None
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy, snapshot, authority), tmp_path) == ""
