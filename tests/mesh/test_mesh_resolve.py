"""Which policy is in force: PeerAuthentication, Telemetry and DestinationRule precedence; host matching."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mesh_support import DATA, view_of

from windvane.mesh import hosts
from windvane.mesh.resolve import destination_rule_for, endpoint_port, mtls_mode, telemetry_for
from windvane.mesh.view import MeshView

WORKLOADS = """
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: a, namespace: shop}
spec: {labels: {app: a}}
---
apiVersion: networking.istio.io/v1
kind: WorkloadEntry
metadata: {name: b, namespace: other}
spec: {labels: {app: b}}
---
"""


def peer(name: str, namespace: str, spec: str, created: str = "") -> str:
    meta = f"{{name: {name}, namespace: {namespace}, creationTimestamp: '{created}'}}"
    return f"apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: {meta}\nspec: {spec}\n---\n"


def mode(view: MeshView, workload: str, port: int | None = None) -> str:
    return mtls_mode(view, view.workloads[workload], port)


def test_mtls_is_strict_where_nothing_is_said() -> None:
    view = view_of(WORKLOADS)
    assert mode(view, "a.shop", 80) == "STRICT"
    assert mtls_mode(view, view.workloads["a.shop"], 80, default="PERMISSIVE") == "PERMISSIVE"


def test_mtls_narrower_levels_win() -> None:
    mesh = peer("default", "istio-system", "{mtls: {mode: PERMISSIVE}}")
    namespace = peer("default", "shop", "{mtls: {mode: DISABLE}}")
    workload = peer("a", "shop", "{selector: {matchLabels: {app: a}}, mtls: {mode: STRICT}}")
    view = view_of(WORKLOADS + mesh)
    assert (mode(view, "a.shop"), mode(view, "b.other")) == ("PERMISSIVE", "PERMISSIVE")
    view = view_of(WORKLOADS + mesh + namespace)
    assert (mode(view, "a.shop"), mode(view, "b.other")) == ("DISABLE", "PERMISSIVE")
    assert mode(view_of(WORKLOADS + mesh + namespace + workload), "a.shop") == "STRICT"


def test_mtls_unset_inherits_and_ports_come_first() -> None:
    spec = "{selector: {matchLabels: {app: a}}, mtls: {mode: UNSET}, portLevelMtls: {80: {mode: DISABLE}, 81: {}}}"
    view = view_of(WORKLOADS + peer("default", "shop", "{mtls: {mode: PERMISSIVE}}") + peer("a", "shop", spec))
    assert mode(view, "a.shop", 80) == "DISABLE"
    assert mode(view, "a.shop", 81) == "PERMISSIVE"
    assert mode(view, "a.shop", 82) == "PERMISSIVE"
    assert mode(view, "b.other", 80) == "STRICT"


def test_mtls_the_oldest_of_a_level_counts() -> None:
    view = view_of(
        WORKLOADS
        + peer("a", "shop", "{mtls: {mode: DISABLE}}", "2024-01-02T00:00:00Z")
        + peer("b", "shop", "{mtls: {mode: PERMISSIVE}}", "2024-01-01T00:00:00Z")
    )
    assert mode(view, "a.shop") == "PERMISSIVE"


def telemetry(name: str, namespace: str, spec: str) -> str:
    meta = f"{{name: {name}, namespace: {namespace}}}"
    return f"apiVersion: telemetry.istio.io/v1\nkind: Telemetry\nmetadata: {meta}\nspec: {spec}\n---\n"


def test_telemetry_defaults() -> None:
    view = view_of(WORKLOADS)
    side = telemetry_for(view, view.workloads["a.shop"]).client
    assert side.random_sampling_percentage is None
    assert side.access_log is None
    assert (side.enable_istio_tags, side.disable_span_reporting) == (True, False)


def test_telemetry_levels_override_field_by_field() -> None:
    tags = "customTags: {tier: {literal: {value: gold}}}"
    view = view_of(
        WORKLOADS
        + telemetry("root", "istio-system", f"{{tracing: [{{randomSamplingPercentage: 10, {tags}}}]}}")
        + telemetry("shop", "shop", "{tracing: [{randomSamplingPercentage: 50}], accessLogging: [{}]}")
        + telemetry(
            "a",
            "shop",
            "{selector: {matchLabels: {app: a}}, tracing: [{match: {mode: SERVER}, disableSpanReporting: true}],"
            " accessLogging: [{match: {mode: CLIENT}, disabled: true}, {match: {mode: SERVER},"
            " filter: {expression: 'response.code >= 500'}}]}",
        )
    )
    found = telemetry_for(view, view.workloads["a.shop"])
    assert (found.client.random_sampling_percentage, found.server.random_sampling_percentage) == (50, 50)
    assert (found.client.disable_span_reporting, found.server.disable_span_reporting) == (False, True)
    literal = found.client.custom_tags["tier"].literal
    assert literal is not None
    assert literal.value == "gold"
    assert (found.client.access_log, found.server.access_log) == (False, True)
    assert found.server.access_log_filter == "response.code >= 500"
    elsewhere = telemetry_for(view, view.workloads["b.other"]).server
    assert (elsewhere.random_sampling_percentage, elsewhere.access_log) == (10, None)


def rule(name: str, namespace: str, host: str, more: str = "") -> str:
    meta = f"{{name: {name}, namespace: {namespace}}}"
    head = f"apiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {meta}"
    return f"{head}\nspec: {{host: {host}{more}}}\n---\n"


SERVICE = """
apiVersion: v1
kind: Service
metadata: {name: reviews, namespace: shop}
spec: {ports: [{name: http, port: 80}]}
---
"""
HOST = "reviews.shop.svc.cluster.local"


@pytest.mark.parametrize(
    ("rules", "client", "wanted"),
    [
        ([("r", "other", HOST, ""), ("s", "shop", "reviews", ""), ("t", "istio-system", HOST, "")], "other", "r"),
        ([("s", "shop", "reviews", ""), ("t", "istio-system", HOST, "")], "other", "s"),
        ([("t", "istio-system", "'*.svc.cluster.local'", "")], "other", "t"),
        ([("s", "shop", "reviews", ", exportTo: ['.']")], "other", None),
        ([("s", "shop", "reviews", ", exportTo: ['.']")], "shop", "s"),
        ([("w", "shop", "'*.shop.svc.cluster.local'", ""), ("s", "shop", "reviews", "")], "shop", "s"),
        ([("w", "shop", "'*.local'", ""), ("v", "shop", "'*.shop.svc.cluster.local'", "")], "shop", "v"),
        ([("x", "third", HOST, "")], "other", None),
        (
            [("s", "shop", "reviews", ""), ("z", "shop", "reviews", ", workloadSelector: {matchLabels: {app: a}}")],
            "shop",
            "z",
        ),
        ([("z", "shop", "reviews", ", workloadSelector: {matchLabels: {app: b}}")], "shop", None),
    ],
)
def test_destination_rule_precedence(rules: list[tuple[str, str, str, str]], client: str, wanted: str | None) -> None:
    view = view_of(SERVICE + "".join(rule(*one) for one in rules))
    found = destination_rule_for(view, HOST, client, {"app": "a"})
    assert (found.name if found else None) == wanted


def test_endpoint_port_is_the_workload_own_word_first() -> None:
    view = view_of((DATA / "good" / "everything.yaml").read_text(encoding="utf-8"))
    http, admin = view.services[HOST].ports
    first, second = view.workloads["reviews-v1.shop"], view.workloads["reviews-v2.shop"]
    assert [endpoint_port(first, http), endpoint_port(first, admin), endpoint_port(second, admin)] == [9080, 9081, 9081]


names = st.lists(st.sampled_from(["a", "b", "c"]), min_size=1, max_size=4).map(".".join)
patterns = names | st.just("*") | names.map(lambda name: f"*.{name}")


@given(patterns, patterns)
def test_hosts_that_overlap(first: str, second: str) -> None:
    assert hosts.matches(first, second) == hosts.matches(second, first)
    if hosts.covers(first, second):
        assert hosts.matches(first, second)


@given(st.lists(patterns, max_size=5), names)
def test_the_index_finds_what_a_look_at_all_finds(given_hosts: list[str], name: str) -> None:
    index = hosts.HostIndex((host, host) for host in given_hosts)
    found = [level[0] for level in index.find(name)]
    assert set(found) == {host for host in given_hosts if hosts.covers(host, name)}
    assert (found[0] if found else None) == hosts.most_specific(given_hosts, name)


def test_short_names_of_clients() -> None:
    assert hosts.short_names("a.shop.svc.cluster.local", "shop")[1:] == ["a.shop.svc", "a.shop", "a"]
    assert hosts.short_names("a.shop.svc.cluster.local", "other")[1:] == ["a.shop.svc", "a.shop"]
    assert hosts.short_names("a.example.com", "shop") == ["a.example.com"]
    assert hosts.short_names("*.svc.cluster.local", "shop") == ["*.svc.cluster.local"]
