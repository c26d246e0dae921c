"""Which service calls which, and what that says of retries and timeouts."""

from __future__ import annotations

import json
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from mesh_support import view_of

from windvane.mesh.calls import calls
from windvane.mesh.files import FileSource
from windvane.mesh.findings import Finding


def service(name: str, emulate: str = "") -> list[dict[str, Any]]:
    annotations = {"windvane.dev/emulate": emulate} if emulate else {}
    spec = {"selector": {"app": name}, "ports": [{"name": "http", "port": 80}]}
    return [
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": "shop"}, "spec": spec},
        {
            "apiVersion": "networking.istio.io/v1",
            "kind": "WorkloadEntry",
            "metadata": {"name": name, "namespace": "shop", "annotations": annotations},
            "spec": {"labels": {"app": name}, "serviceAccount": name},
        },
    ]


def routes(name: str, **rule: Any) -> dict[str, Any]:
    http = [{**rule, "route": [{"destination": {"host": name}}]}]
    return {
        "apiVersion": "networking.istio.io/v1",
        "kind": "VirtualService",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"hosts": [name], "http": http},
    }


def text_of(*objects: Any) -> str:
    return yaml.safe_dump_all(objects)


def known(*objects: Any) -> dict[str, set[str]]:
    found = calls(view_of(text_of(*objects)))
    short = {host: {called.partition(".")[0] for called in each} for host, each in found.items()}
    return {host.partition(".")[0]: each for host, each in short.items()}


@pytest.mark.parametrize(
    "url", ["http://b/x", "http://b.shop:80/", "grpc://b.shop.svc.cluster.local:80/a.B/C", "tcp://b"]
)
def test_an_emulated_application_says_whom_it_calls(url: str) -> None:
    said = json.dumps({"endpoints": [{"path": "/", "calls": [{"parallel": [{"to": url}]}]}]})
    assert known(*service("a", said), *service("b")) == {"a": {"b"}}


def test_routes_for_source_labels_say_who_calls() -> None:
    rule = routes("b", match=[{"sourceLabels": {"app": "a"}}])
    assert known(*service("a"), *service("b"), rule) == {"a": {"b"}}


@pytest.mark.parametrize(("labels", "found"), [({"app": "b"}, {"a": {"b"}}), ({}, {})])
def test_allowed_accounts_say_who_calls_workloads_of_a_selector(
    labels: dict[str, str], found: dict[str, set[str]]
) -> None:
    policy = {
        "apiVersion": "security.istio.io/v1",
        "kind": "AuthorizationPolicy",
        "metadata": {"name": "b", "namespace": "shop"},
        "spec": {
            "selector": {"matchLabels": labels},
            "rules": [{"from": [{"source": {"principals": ["cluster.local/ns/shop/sa/a", "*", "x/*/y"]}}]}],
        },
    }
    assert known(*service("a"), *service("b"), policy) == found


@given(st.text(max_size=60))
@settings(max_examples=60)
def test_whatever_the_annotation_says_is_read_or_passed_over(said: str) -> None:
    assert isinstance(known(*service("a", f"calls: {said}"), *service("b")), dict)


def findings(tmp_path: Any, code: str, *objects: Any) -> list[Finding]:
    file = tmp_path / "mesh.yaml"
    file.write_text(text_of(*objects))
    return [item for item in FileSource([file]).load().findings if item.code == code]


def ring(size: int, attempts: int) -> list[Any]:
    names = [f"s{number}" for number in range(size)]
    made = [each for one, two in zip(names, names[1:] + names[:1], strict=True)
            for each in service(one, f"calls: [{{to: 'http://{two}'}}]")]  # fmt: skip
    return [*made, *(routes(name, retries={"attempts": attempts}) for name in names)]


def test_a_ring_of_calls_counts_each_rule_once(tmp_path: Any) -> None:
    found = findings(tmp_path, "WV0405", *ring(3, 2))
    assert len(found) == 3
    assert {item.message.partition(":")[0] for item in found} == {"a request can become 27 where it ends"}


def test_a_service_without_retries_between_two_changes_nothing(tmp_path: Any) -> None:
    made = [*ring(3, 2), routes("s1", timeout="1s")]
    del made[-3]  # the retries of s1
    assert [item.resource for item in findings(tmp_path, "WV0405", *made)] == [
        "VirtualService shop/s0",
        "VirtualService shop/s2",
    ]


@pytest.mark.parametrize(("attempts", "told"), [(1, 0), (2, 2)])
def test_few_tries_are_left_alone(tmp_path: Any, attempts: int, told: int) -> None:
    assert len(findings(tmp_path, "WV0405", *ring(2, attempts))) == told


@pytest.mark.parametrize(("outer", "told"), [("1s", 1), ("2s", 0), ("3s", 0)])
def test_a_timeout_is_compared_with_those_of_what_is_called(tmp_path: Any, outer: str, told: int) -> None:
    made = (*service("a", "calls: [{to: 'http://b'}]"), *service("b"), routes("a", timeout=outer))
    assert len(findings(tmp_path, "WV0407", *made, routes("b", timeout="2s"))) == told
