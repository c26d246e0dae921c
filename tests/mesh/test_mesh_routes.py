"""Virtual hosts from VirtualServices: goldens, properties, and what a real Envoy does with them."""

from __future__ import annotations

import json
import subprocess
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from envoy_data_plane.envoy.config.route import v3 as route
from envoy_data_plane.envoy.type.matcher import v3 as matcher
from hypothesis import given, settings
from hypothesis import strategies as st
from mesh_envoy import GATEWAY, Caller, bootstrap, caller, complaint, envoy
from mesh_support import DATA, view_of

from windvane.mesh.checks.common import check_regex
from windvane.mesh.view import MeshView
from windvane.xds.routes import gateway_virtual_hosts, routes_key, service_virtual_hosts, virtual_hosts

REVIEWS = "reviews.shop.svc.cluster.local"
EVERYTHING = view_of((DATA / "good" / "everything.yaml").read_text(encoding="utf-8"))


def text_of(hosts: list[route.VirtualHost]) -> str:
    return json.dumps([host.to_dict() for host in hosts], indent=1, ensure_ascii=False) + "\n"


def named(hosts: list[route.VirtualHost], name: str) -> route.VirtualHost:
    return next(host for host in hosts if host.name == name)


def service(name: str, *ports: int, protocol: str = "http") -> str:
    listed = ", ".join(f"{{name: {protocol}-{port}, port: {port}}}" for port in ports)
    meta = f"metadata: {{name: {name}, namespace: shop}}"
    return f"apiVersion: v1\nkind: Service\n{meta}\nspec: {{ports: [{listed}]}}\n---\n"


def rules(name: str, spec: str, namespace: str = "shop", created: str = "") -> str:
    meta = f"metadata: {{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}"
    return f"apiVersion: networking.istio.io/v1\nkind: VirtualService\n{meta}\nspec: {spec}\n---\n"


def answers(status: int) -> str:
    return f"http: [{{directResponse: {{status: {status}}}}}]"


def status_of(host: route.VirtualHost) -> list[int]:
    return [made.direct_response.status for made in host.routes if made.direct_response]


def test_sidecar_golden(golden: Callable[[str, str], None]) -> None:
    golden("routes-sidecar.json", text_of(virtual_hosts(caller(), EVERYTHING, unknown="ALLOW_ANY")))


def test_other_namespace_golden(golden: Callable[[str, str], None]) -> None:
    golden("routes-other-namespace.json", text_of(virtual_hosts(caller("data", {"app": "db"}), EVERYTHING)))


def test_gateway_golden(golden: Callable[[str, str], None]) -> None:
    tables = ["http.80", "http.8080", "https.443.https.edge.istio-system", "http.9"]
    hosts = {table: [host.to_dict() for host in gateway_virtual_hosts(GATEWAY, EVERYTHING, table)] for table in tables}
    golden("routes-gateway.json", json.dumps(hosts, indent=1) + "\n")


def test_domains_are_the_names_clients_use() -> None:
    view = view_of(service("a", 80, 8080) + service("db", 5432, protocol="tcp"))
    hosts = virtual_hosts(caller(), view)
    assert [host.name for host in hosts] == ["a.shop.svc.cluster.local:80", "a.shop.svc.cluster.local:8080"]
    assert hosts[0].domains[-4:] == ["a.shop", "a.shop:80", "a", "a:80"]
    assert hosts[1].domains == ["a.shop.svc.cluster.local:8080", "a.shop.svc:8080", "a.shop:8080", "a:8080"]
    assert virtual_hosts(caller("other"), view)[1].domains == hosts[1].domains[:-1]
    assert [host.name for host in virtual_hosts(caller(), view, 8080)] == ["a.shop.svc.cluster.local:8080"]


def test_without_a_rule_the_service_itself_answers() -> None:
    made = virtual_hosts(caller(), view_of(service("a", 8080)))[0].routes[0]
    assert made.name == "default"
    assert made.route is not None
    assert made.route.cluster == "outbound|8080||a.shop.svc.cluster.local"
    assert made.decorator is not None
    assert made.decorator.operation == "a.shop.svc.cluster.local:8080/*"
    assert made.route.retry_policy is not None
    assert made.route.retry_policy.num_retries == 2


def test_a_service_listener_takes_any_authority() -> None:
    hosts = service_virtual_hosts(caller(), EVERYTHING, REVIEWS, 80)
    assert [host.domains for host in hosts] == [["*"]]
    assert [made.name for made in hosts[0].routes][:2] == ["testers.by-header", "testers"]
    assert service_virtual_hosts(caller(), EVERYTHING, REVIEWS, 99) == []
    assert service_virtual_hosts(caller(), EVERYTHING, "nobody", 80) == []


def test_source_and_port_decide_which_matches_are_there() -> None:
    def first(caller_: Caller, port: int) -> str:
        return named(virtual_hosts(caller_, EVERYTHING), f"{REVIEWS}:{port}").routes[0].name

    assert first(caller(), 80) == "testers.by-header"
    assert first(caller(labels={"app": "other"}), 80) == "testers"
    assert first(caller(), 81) == "testers.by-header"
    assert first(caller(labels={"app": "other"}), 81) == "moved"
    assert first(caller("data", {"app": "other"}), 80) == "moved"


def test_the_oldest_of_two_rules_for_a_host_counts() -> None:
    newer = rules("a", f"{{hosts: [a], {answers(201)}}}", created="2024-01-02T00:00:00Z")
    older = rules("b", f"{{hosts: [a.shop.svc.cluster.local], {answers(202)}}}", "other", "2024-01-01T00:00:00Z")
    assert status_of(virtual_hosts(caller(), view_of(service("a", 80) + newer + older))[0]) == [202]


def test_the_most_specific_host_counts() -> None:
    wide = rules("a", f"{{hosts: ['*.svc.cluster.local'], {answers(201)}}}", created="2020-01-01T00:00:00Z")
    narrow = rules("b", f"{{hosts: ['*.shop.svc.cluster.local'], {answers(202)}}}")
    exact = rules("c", f"{{hosts: [a], {answers(203)}}}")
    hosts = virtual_hosts(caller(), view_of(service("a", 80) + service("b", 80) + wide + narrow + exact))
    assert [status_of(host) for host in hosts] == [[203], [202]]


def test_rules_not_exported_are_not_seen() -> None:
    view = view_of(service("a", 80) + rules("a", f"{{hosts: [a], exportTo: ['.'], {answers(201)}}}"))
    assert status_of(virtual_hosts(caller("shop"), view)[0]) == [201]
    assert virtual_hosts(caller("other"), view)[0].routes[0].name == "default"


def test_rules_whose_matches_are_all_elsewhere_leave_the_default() -> None:
    spec = "{hosts: [a], http: [{match: [{port: 81}], directResponse: {status: 201}}]}"
    view = view_of(service("a", 80) + rules("a", spec))
    assert virtual_hosts(caller(), view)[0].routes[0].name == "default"


def test_nothing_follows_a_rule_that_takes_everything() -> None:
    spec = "{hosts: [a], http: [{directResponse: {status: 201}}, {directResponse: {status: 202}}]}"
    assert status_of(virtual_hosts(caller(), view_of(service("a", 80) + rules("a", spec)))[0]) == [201]


def test_hosts_outside_the_registry_are_known_on_port_80() -> None:
    hosts = virtual_hosts(caller(), view_of(rules("a", f"{{hosts: [x.example.com], {answers(201)}}}")))
    assert [(host.name, host.domains) for host in hosts] == [
        ("x.example.com:80", ["x.example.com", "x.example.com:80"])
    ]


def test_gateway_rules_of_a_host_are_joined_and_those_for_everything_come_last() -> None:
    gateway = """
apiVersion: networking.istio.io/v1
kind: Gateway
metadata: {name: edge, namespace: istio-system}
spec:
  selector: {istio: ingressgateway}
  servers: [{port: {number: 80, name: http, protocol: HTTP}, hosts: ["shop/*.example.com"]}]
---
"""
    bound = "gateways: [istio-system/edge], hosts: [a.example.com]"
    some = "http: [{match: [{uri: {prefix: /x}}], directResponse: {status: 202}}]"
    view = view_of(
        gateway
        + rules("a", f"{{{bound}, {answers(201)}}}")
        + rules("b", f"{{{bound}, {some}}}")
        + rules("c", f"{{{bound}, {answers(203)}}}", "other")
        + rules("d", f"{{gateways: [edge], hosts: [d.example.com], {answers(204)}}}")
        + rules("e", f"{{gateways: [istio-system/edge], hosts: ['*'], {answers(205)}}}")
    )
    hosts = gateway_virtual_hosts(GATEWAY, view, "http.80")
    assert [(host.domains, status_of(host)) for host in hosts] == [
        (["*.example.com", "*.example.com:80"], [205]),
        (["a.example.com", "a.example.com:*"], [202, 201]),
    ]
    assert virtual_hosts(GATEWAY, view, 80) == hosts


def test_key_of_routes_tells_proxies_apart_only_where_it_matters() -> None:
    plain = view_of(service("a", 80))
    assert routes_key(caller(labels={"app": "x"}), plain) == routes_key(caller(labels={"app": "y"}), plain)
    assert routes_key(caller("a"), plain) != routes_key(caller("b"), plain)
    assert routes_key(caller(labels={"app": "x"}), EVERYTHING) != routes_key(caller(labels={"app": "y"}), EVERYTHING)


# --- properties ---------------------------------------------------------------------------------

matches = st.dictionaries(
    st.sampled_from(["exact", "prefix", "regex"]), st.sampled_from(["/a", "/b.*", "/"]), min_size=1, max_size=1
)
conditions = st.fixed_dictionaries(
    {},
    optional={
        "uri": matches,
        "headers": st.dictionaries(st.sampled_from(["end-user", "x-b"]), matches | st.just({}), max_size=2),
        "withoutHeaders": st.dictionaries(st.sampled_from(["x-c"]), matches | st.just({}), max_size=1),
        "queryParams": st.dictionaries(st.sampled_from(["q"]), matches | st.just({}), max_size=1),
        "method": st.just({"exact": "GET"}),
        "port": st.sampled_from([80, 81]),
        "ignoreUriCase": st.booleans(),
        "sourceLabels": st.just({"app": "frontend"}),
    },
)
weights = st.lists(st.integers(0, 10_000), min_size=1, max_size=5).filter(lambda drawn: len(drawn) == 1 or any(drawn))
percentages = st.floats(0.0001, 100).map(lambda value: {"value": value})
seconds = st.integers(1, 100_000).map(lambda value: f"{value}ms")
rewrites = st.sampled_from([{"uri": "/x"}, {"authority": "x"}, {"uriRegexRewrite": {"match": "a", "rewrite": "b"}}])
faults = st.fixed_dictionaries(
    {"delay": st.fixed_dictionaries({"fixedDelay": seconds, "percentage": percentages})},
    optional={"abort": st.fixed_dictionaries({"httpStatus": st.integers(200, 599), "percentage": percentages})},
)
forwarding = st.fixed_dictionaries(
    {"weights": weights},
    optional={
        "timeout": seconds,
        "retries": st.fixed_dictionaries({"attempts": st.integers(1, 5)}, optional={"perTryTimeout": seconds}),
        "rewrite": rewrites,
        "fault": faults,
        "mirror": st.just({"host": "b"}),
        "mirrorPercentage": percentages,
        "headers": st.just({"request": {"set": {"x-a": "b"}}, "response": {"remove": ["x-c"]}}),
    },
)
actions = (
    forwarding
    | st.fixed_dictionaries({"redirect": st.just({"uri": "/r", "redirectCode": 307})})
    | st.fixed_dictionaries({"directResponse": st.just({"status": 204})})
)
drawn_rules = st.lists(st.tuples(st.lists(conditions, max_size=3), actions), min_size=1, max_size=5)


def spec_of(drawn: list[tuple[list[dict[str, Any]], dict[str, Any]]]) -> str:
    http = []
    for match, action in drawn:
        rule = {key: value for key, value in action.items() if key != "weights"}
        if "weights" in action:
            rule["route"] = [
                {"destination": {"host": "a", "subset": f"v{index}", "port": {"number": 80}}, "weight": weight}
                for index, weight in enumerate(action["weights"])
            ]
        http.append({"match": match, **rule})
    return json.dumps({"hosts": ["a"], "http": http})


@settings(max_examples=60, deadline=None)
@given(drawn_rules)
def test_any_rules_give_hosts_that_encode_and_keep_the_weights(
    drawn: list[tuple[list[dict[str, Any]], dict[str, Any]]],
) -> None:
    view = view_of(service("a", 80, 81) + service("b", 80) + rules("a", spec_of(drawn)))
    for host in virtual_hosts(caller(), view):
        assert route.VirtualHost.parse(bytes(host)) == host
        for made in host.routes:
            weighted = made.route.weighted_clusters if made.route is not None else None
            if weighted is None:
                continue
            given_weights = {cluster.name.split("|")[2]: cluster.weight or 0 for cluster in weighted.clusters}
            candidates = [action["weights"] for _, action in drawn if "weights" in action]
            kept = [{f"v{i}": weight for i, weight in enumerate(one) if weight} for one in candidates]
            assert given_weights in kept
            assert sum(given_weights.values()) > 0
    domains = Counter(domain for host in virtual_hosts(caller(), view) for domain in host.domains)
    assert set(domains.values()) == {1}


# --- the real Envoy -----------------------------------------------------------------------------


@pytest.mark.e2e
@pytest.mark.parametrize("kind", ["sidecar", "other", "gateway"])
def test_envoy_accepts_everything(kind: str, tmp_path: Path) -> None:
    hosts = {
        "sidecar": lambda: virtual_hosts(caller(), EVERYTHING, unknown="ALLOW_ANY"),
        "other": lambda: virtual_hosts(caller("data", {"app": "db"}), EVERYTHING),
        "gateway": lambda: gateway_virtual_hosts(GATEWAY, EVERYTHING, "http.80"),
    }[kind]()
    assert complaint(tmp_path, hosts) == ""


PATTERNS = [
    "a",
    "(?i)a",
    "a(?i)b",
    "a{1,1000}",
    r"\\1",
    r"\pL\z",
    "[[:alpha:]]+",
    r"\Qa.b\E",
    "(?P<x>a)",
    "(?s).*",
    "a|b|",
    "^$",
]
REFUSED = ["a{1001}", "(?=a)", r"(a)\1", "a++", "(?#x)", r"a\Z", "(", "a**"]


def refused_by_us(pattern: str) -> bool:
    return bool(list(check_regex(("regex",), pattern)))


def refused_by_envoy(folder: Path, *patterns: str) -> bool:
    made = [
        route.Route(
            match=route.RouteMatch(safe_regex=matcher.RegexMatcher(regex=pattern)),
            direct_response=route.DirectResponseAction(status=200),
        )
        for pattern in patterns
    ]
    return bool(complaint(folder, [route.VirtualHost(name="a", domains=["*"], routes=made)]))


@pytest.mark.e2e
def test_envoy_takes_the_patterns_we_take(tmp_path: Path) -> None:
    assert not any(refused_by_us(pattern) for pattern in PATTERNS)
    assert not refused_by_envoy(tmp_path, *PATTERNS)


@pytest.mark.e2e
@pytest.mark.parametrize("pattern", REFUSED)
def test_envoy_refuses_the_patterns_we_refuse(pattern: str, tmp_path: Path) -> None:
    assert refused_by_us(pattern)
    assert refused_by_envoy(tmp_path, pattern)


@dataclass
class Answers:
    """A running Envoy, asked through its socket."""

    client: httpx.Client
    view: MeshView = field(default=EVERYTHING)

    def ask(self, path: str, authority: str = "reviews", method: str = "GET", **headers: str) -> httpx.Response:
        named_headers = {"host": authority, **{name.replace("_", "-"): value for name, value in headers.items()}}
        return self.client.request(method, f"http://envoy{path}", headers=named_headers)

    def route(self, path: str, authority: str = "reviews", **headers: str) -> str:
        return self.ask(path, authority, **headers).headers.get("x-route", "none")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answers]:
    folder = tmp_path_factory.mktemp("envoy")
    text = (DATA / "good" / "everything.yaml").read_text(encoding="utf-8")
    # Faults are left to the requests that ask for them: they would make the other answers chance.
    text = text.replace("percentage: {value: 12.5}", "percentage: {value: 0}").replace(
        "percentage: {value: 0.001}", "percentage: {value: 0}"
    )
    view = view_of(text)
    process = subprocess.Popen(envoy(bootstrap(folder, virtual_hosts(caller(), view))), stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 30
        while not (folder / "front").exists():
            assert process.poll() is None, process.stderr.read() if process.stderr else b""
            assert time.monotonic() < deadline
            time.sleep(0.02)
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(folder / "front"))) as client:
            yield Answers(client, view)
    finally:
        process.terminate()
        process.communicate(timeout=30)


@pytest.mark.e2e
def test_envoy_matches_as_istio_documents(running: Answers) -> None:
    seen = {"end_user": "jason", "x_any": "1", "x_star": ""}
    assert running.route("/", **seen) == "testers.by-header"
    assert running.route("/", **{**seen, "end_user": "jane"}) == "split"
    assert running.route("/", end_user="jason") == "split"
    assert running.route("/", **seen, x_robot="a bot") == "split"
    assert running.route("/", **seen, x_absent="here") == "split"
    assert running.route("/test/1?debug=1&trace=x&mode=a", x_forwarded_proto="http") == "testers"
    assert running.route("/TEST/1?debug=1&trace=x&mode=b", x_forwarded_proto="http") == "testers"
    assert running.route("/test/1?debug=2&trace=x&mode=a") == "split"
    assert running.route("/test/1?debug=1&mode=a") == "split"
    assert running.route("/test/1?debug=1&trace=x&mode=ab") == "split"
    assert running.ask("/test/1?debug=1&trace=x&mode=a", method="POST").headers["x-route"] == "split"


@pytest.mark.e2e
def test_envoy_answers_itself_where_told(running: Answers) -> None:
    moved = running.ask("/old")
    assert (moved.status_code, moved.headers["location"]) == (308, "https://new.example.com/new")
    tea = running.ask("/tea/7")
    assert (tea.status_code, tea.text) == (418, "short and stout")
    assert running.ask("/tea/x").status_code == 200
    assert running.ask("/", authority="unknown.example.com").status_code == 404


@pytest.mark.e2e
def test_envoy_rewrites_and_changes_headers(running: Answers) -> None:
    api = running.ask("/api/items?x=1", x_b="old", x_c="dropped")
    method, _, path, authority, headers = api.headers["x-echo"].split(" ", 4)
    assert (method, path, authority) == ("GET", "/items?x=1", "api.local")
    x_a, x_b, x_c = headers.split("|")
    assert (x_b, x_c) == ("100%", "")
    assert x_a.startswith("20")
    assert (api.headers["x-d"], api.headers["x-e"]) == ("d", "e")
    assert running.ask("/v12/books").headers["x-echo"].split(" ")[2] == "/books"
    tester = running.ask("/", end_user="jason", x_any="1", x_star="2")
    assert tester.headers["x-echo"].split(" ")[3] == "testers.local"


@pytest.mark.e2e
def test_envoy_splits_by_weight(running: Answers) -> None:
    total = 2000
    shares = Counter(running.ask("/split").headers["x-cluster"].split("|")[2] for _ in range(total))
    # 3 : 1; five standard deviations of a binomial share are 0.048.
    assert abs(shares["v1"] / total - 0.75) < 0.048
    assert shares["v1"] + shares["v2"] == total


@pytest.mark.e2e
def test_envoy_knows_every_name_of_a_service(running: Answers) -> None:
    for name in (REVIEWS, "reviews.shop.svc", "reviews.shop", "reviews", "reviews:80", f"{REVIEWS}:80"):
        assert running.route("/", name) == "split", name
    assert running.route("/", "ratings:9080") == "default"
    assert running.ask("/", "ratings").status_code == 404
    assert running.route("/", "any.cloud.example.com:8000") == "default"


@pytest.mark.e2e
def test_envoy_injects_faults(running: Answers) -> None:
    faulty = running.ask("/v1/x", "weather.example.com", content_type="application/grpc")
    assert faulty.headers["grpc-status"] == "14"
    assert running.ask("/v2", "weather.example.com").status_code == 404
