"""The merged view: selectors, names, merges, and that order does not matter."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mesh_support import DATA, resources, view_of

from windvane.mesh.build import build_view
from windvane.mesh.protocols import port_protocol

SHOP = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop, labels: {team: a}}
spec:
  selector: {app: reviews}
  ports:
    - {name: http, port: 80, targetPort: web}
    - {name: grpc-admin, port: 81, targetPort: 9081}
    - {name: dns, port: 53, protocol: UDP}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v1, namespace: shop, labels: {version: v1, app: reviews}, annotations: {a: b}}
spec: {labels: {app: other, zone: z}, ports: {web: 9080}, serviceAccount: reviews, address: 127.0.0.9}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: reviews-v2, namespace: elsewhere}
spec: {labels: {app: reviews, version: v2}}
"""


def test_a_service_picks_workloads_of_its_namespace() -> None:
    view = view_of(SHOP)
    service = view.services["reviews.shop.svc.cluster.local"]
    assert service.workloads == ("reviews-v1.shop",)
    assert [(port.number, port.protocol, port.target_port) for port in service.ports] == [
        (80, "http", 9080),
        (81, "grpc", 9081),
    ]
    assert (service.resolution, service.location, service.labels) == ("static", "internal", {"team": "a"})


def test_workload_labels_join_spec_and_metadata() -> None:
    workload = view_of(SHOP).workloads["reviews-v1.shop"]
    assert workload.labels == {"app": "reviews", "zone": "z", "version": "v1"}
    assert (workload.service_account, workload.address, workload.ports) == ("reviews", "127.0.0.9", {"web": 9080})
    assert workload.annotations == {"a": "b"}
    assert view_of(SHOP).workloads["reviews-v2.elsewhere"].service_account == "default"


def test_service_entries() -> None:
    view = view_of("""
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: e, namespace: shop}
spec:
  hosts: [a.example.com, b.example.com]
  ports: [{number: 80, name: x, protocol: HTTP, targetPort: 8080}, {number: 443, name: y, protocol: TLS}]
  resolution: DNS
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: inside, namespace: shop}
spec:
  hosts: [inside.local]
  location: MESH_INTERNAL
  ports: [{number: 80, name: x, protocol: GRPC}]
  resolution: STATIC
  endpoints: [{address: 10.0.0.1, labels: {version: v1}, weight: 3, ports: {x: 8080}}, {address: 10.0.0.2}]
""")
    outside = view.services["b.example.com"]
    assert (outside.resolution, outside.location, outside.name) == ("dns", "external", "b.example.com")
    assert [(endpoint.address, endpoint.name) for endpoint in outside.endpoints] == [("b.example.com", "e-0")]
    assert [(port.protocol, port.target_port) for port in outside.ports] == [("http", 8080), ("tls", 443)]
    inside = view.services["inside.local"]
    assert (inside.resolution, inside.location) == ("static", "internal")
    assert [(each.address, each.weight, each.labels, each.ports) for each in inside.endpoints] == [
        ("10.0.0.1", 3, {"version": "v1"}, {"x": 8080}),
        ("10.0.0.2", 0, {}, {}),
    ]


def test_short_names_are_resolved_in_the_resource_own_namespace() -> None:
    view = view_of("""
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: a, namespace: shop}
spec:
  hosts: [reviews, reviews.other, "*.example.com"]
  gateways: [edge, istio-system/edge, mesh]
  http:
    - match: [{gateways: [edge]}]
      route: [{destination: {host: reviews}}, {destination: {host: reviews.other}}]
      mirror: {host: ratings}
      mirrors: [{destination: {host: ratings}}]
---
apiVersion: networking.istio.io/v1
kind: DestinationRule
metadata: {name: a, namespace: shop}
spec: {host: reviews}
""")
    spec = view.virtual_services[0].spec
    assert spec.hosts == ("reviews.shop.svc.cluster.local", "reviews.other", "*.example.com")
    assert spec.gateways == ("shop/edge", "istio-system/edge", "mesh")
    rule = spec.http[0]
    assert rule.match[0].gateways == ("shop/edge",)
    hosts = [target.destination.host for target in rule.route if target.destination]
    assert hosts == ["reviews.shop.svc.cluster.local", "reviews.other"]
    assert rule.mirror is not None
    assert rule.mirror.host == "ratings.shop.svc.cluster.local"
    assert rule.mirrors[0].destination is not None
    assert rule.mirrors[0].destination.host == "ratings.shop.svc.cluster.local"
    assert view.destination_rules[0].spec.host == "reviews.shop.svc.cluster.local"


def test_destination_rules_of_one_host_merge() -> None:
    def rule(name: str, created: str, spec: str) -> str:
        meta = f"metadata: {{name: {name}, namespace: shop, creationTimestamp: '{created}'}}"
        return f"apiVersion: networking.istio.io/v1\nkind: DestinationRule\n{meta}\nspec: {spec}\n---\n"

    view = view_of(
        rule("b", "2024-01-02T00:00:00Z", "{host: a, subsets: [{name: v1, labels: {x: late}}, {name: v2}]}")
        + rule("c", "2024-01-01T00:00:00Z", "{host: a, subsets: [{name: v1, labels: {x: early}}]}")
        + rule("a", "", "{host: a, trafficPolicy: {loadBalancer: {simple: RANDOM}}, subsets: [{name: v3}]}")
        + rule("d", "", "{host: a, trafficPolicy: {loadBalancer: {simple: ROUND_ROBIN}}, exportTo: ['.']}")
    )
    assert [item.name for item in view.destination_rules] == ["c", "d"]
    merged = view.destination_rules[0].spec
    assert [(subset.name, subset.labels) for subset in merged.subsets] == [
        ("v1", {"x": "early"}),
        ("v2", {}),
        ("v3", {}),
    ]
    assert merged.traffic_policy is not None
    assert merged.traffic_policy.load_balancer is not None
    assert merged.traffic_policy.load_balancer.simple == "RANDOM"


def test_a_kubernetes_service_comes_before_a_service_entry() -> None:
    entry = """
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: a, namespace: a}
spec: {hosts: [reviews.shop.svc.cluster.local], ports: [{number: 1, name: x, protocol: TCP}]}
---"""
    assert len(view_of(entry + SHOP).services["reviews.shop.svc.cluster.local"].ports) == 2


def test_external_name_service() -> None:
    view = view_of("""
apiVersion: v1
kind: Service
metadata: {name: partner}
spec: {type: ExternalName, externalName: partner.example.com, ports: [{name: http, port: 80}]}
""")
    service = view.services["partner.default.svc.cluster.local"]
    assert (service.resolution, service.endpoints[0].address) == ("dns", "partner.example.com")


@pytest.mark.parametrize(
    ("name", "app_protocol", "protocol"),
    [
        ("http", "", "http"),
        ("http-web", "", "http"),
        ("HTTP2-x", "", "http2"),
        ("grpc-web-x", "", "grpc-web"),
        ("grpc-web", "", "grpc-web"),
        ("grpc-api", "", "grpc"),
        ("httpx", "", "tcp"),
        ("web", "", "tcp"),
        ("", "", "tcp"),
        ("tcp-x", "http", "http"),
        ("http", "kubernetes.io/h2c", "http2"),
        ("mongo-main", "", "mongo"),
        ("http", "unheard-of", "http"),
    ],
)
def test_protocol_of_a_port(name: str, app_protocol: str, protocol: str) -> None:
    assert port_protocol(name, app_protocol) == protocol


EVERYTHING = (DATA / "good" / "everything.yaml").read_text(encoding="utf-8")
GATEWAY_API = (DATA / "good" / "gateway-api.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("text", [EVERYTHING, GATEWAY_API], ids=["istio", "gateway-api"])
@settings(max_examples=25, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_the_view_does_not_depend_on_order(text: str, random: object) -> None:
    original = resources(text)
    shuffled = list(original)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    view, other = build_view(original), build_view(shuffled)
    assert other == view
    assert list(other.services) == list(view.services)


def test_the_version_follows_the_content_alone() -> None:
    version = view_of(EVERYTHING).version
    assert view_of("# moved\n\n" + EVERYTHING).version == version
    assert view_of(EVERYTHING.replace("creationTimestamp: null", "resourceVersion: '7'")).version == version
    assert view_of(EVERYTHING.replace("weight: 3}", "weight: 4}")).version != version
    assert view_of(EVERYTHING.replace("namespace: data", "namespace: date")).version != version


rules = st.lists(
    st.tuples(
        st.sampled_from(["a", "b"]),
        st.sampled_from(["", "2024-01-01T00:00:00Z", "2024-01-02T00:00:00Z"]),
        st.lists(st.sampled_from(["v1", "v2", "v3"]), unique=True),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@settings(max_examples=50, deadline=None)
@given(rules, st.randoms(use_true_random=False))
def test_merged_rules_do_not_depend_on_order(drawn: list[tuple[str, str, list[str], bool]], random: object) -> None:
    documents = []
    for index, (host, created, subsets, policy) in enumerate(drawn):
        traffic = (
            f", trafficPolicy: {{loadBalancer: {{consistentHash: {{httpHeaderName: h{index}}}}}}}" if policy else ""
        )
        names = ", ".join(f"{{name: {name}, labels: {{from: r{index}}}}}" for name in subsets)
        documents.append(
            "apiVersion: networking.istio.io/v1\nkind: DestinationRule\n"
            f"metadata: {{name: r{index}, creationTimestamp: '{created}'}}\n"
            f"spec: {{host: {host}, subsets: [{names}]{traffic}}}\n"
        )
    first = view_of("---\n".join(documents)).destination_rules
    random.shuffle(documents)  # type: ignore[attr-defined]
    second = view_of("---\n".join(documents)).destination_rules
    assert [(rule.name, rule.spec) for rule in second] == [(rule.name, rule.spec) for rule in first]
    assert {subset.name for rule in first for subset in rule.spec.subsets} == {name for one in drawn for name in one[2]}
