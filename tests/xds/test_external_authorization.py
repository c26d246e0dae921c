"""External authorizers as Envoy's filters: in Istio's order, accepted by Envoy, closed where nobody can be asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from static_config import static_config, validate
from xds_mesh import snapshot_of

from windvane.kit.clock import SystemClock
from windvane.xds.ca import CertificateAuthority
from windvane.xds.configuration import configuration
from windvane.xds.resources import LDS

EVERYTHING = (Path(__file__).parents[1] / "mesh" / "data" / "good" / "attachment.yaml").read_text(encoding="utf-8")
ASK = """
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: second, namespace: shop}
spec: {action: CUSTOM, provider: {name: PROVIDER}, rules: [{}]}
"""


def filters(text: str, folder: Path, workload: str, port: int) -> list[dict[str, Any]]:
    """The filters of a port's first chain: of requests where there are any, else of connections."""
    snapshot = snapshot_of(text, folder)
    proxy = snapshot.proxy(workload)
    assert proxy is not None
    listeners = {each.name: each.to_dict() for each in configuration(proxy, snapshot)[LDS]}
    found = next(each for name, each in listeners.items() if name in (f"inbound|{port}||", f"gateway|{port}"))
    network = list(found["filter_chains"][0]["filters"])
    requests = network[-1]["typed_config"].get("http_filters")
    return list(requests) if requests else network


def named(found: list[dict[str, Any]]) -> list[str]:
    return [each["name"].rpartition(".")[2] for each in found]


@pytest.mark.parametrize("workload", ["web-v1.shop", "edge.istio-system"])
def test_envoy_accepts_every_field(tmp_path: Path, workload: str) -> None:
    snapshot = snapshot_of(EVERYTHING, tmp_path)
    proxy = snapshot.proxy(workload)
    assert proxy is not None
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy, snapshot, authority), tmp_path) == ""


def test_authorizers_are_asked_before_tokens_and_other_policies(tmp_path: Path) -> None:
    token = "---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {name: t, namespace: shop}\n"
    deny = "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: d, namespace: shop}\n"
    text = f"{EVERYTHING}{token}spec: {{jwtRules: [{{issuer: a}}]}}\n{deny}spec: {{action: DENY, rules: [{{}}]}}\n"
    found = filters(text, tmp_path, "web-v1.shop", 80)
    assert named(found)[-6:] == ["rbac", "ext_authz", "jwt_authn", "rbac", "rbac", "router"]
    noting, asking, _, audited, denied, _ = (each["typed_config"] for each in found[-6:])
    assert "rules" not in noting
    assert list(noting["shadow_rules"]["policies"]) == [
        "istio-ext-authz-opa-ns[shop]-policy[ask]-rule[0]",
        "istio-ext-authz-opa-ns[shop]-policy[ask]-rule[1]",
    ]
    assert asking["filter_enabled_metadata"]["value"] == {"string_match": {"prefix": "istio-ext-authz-opa-"}}
    assert asking["grpc_service"]["envoy_grpc"]["cluster_name"] == "outbound|9191||opa.local"
    assert audited["rules"]["action"] == "LOG"
    assert denied["rules"]["action"] == "DENY"


def test_on_connections_grpc_is_asked_and_http_is_not(tmp_path: Path) -> None:
    assert named(filters(EVERYTHING, tmp_path, "web-v1.shop", 81)) == ["rbac", "ext_authz", "rbac", "tcp_proxy"]
    over_http = EVERYTHING.replace("provider: {name: opa}", "provider: {name: oauth}")
    assert named(filters(over_http, tmp_path, "web-v1.shop", 81)) == ["rbac", "tcp_proxy"]


@pytest.mark.parametrize("provider", ["nobody", "zipkin", "oauth"])
@pytest.mark.parametrize("port", [80, 81])
def test_what_nobody_can_be_asked_about_is_refused(tmp_path: Path, provider: str, port: int) -> None:
    # With `oauth` there are two authorizers for one workload, and Istio takes neither.
    text = EVERYTHING + ASK.replace("PROVIDER", provider)
    refusing = filters(text, tmp_path, "web-v1.shop", port)[-3 if port == 80 else 0]["typed_config"]["rules"]
    name = f"istio-ext-authz-{provider}-ns[shop]-policy[second]-rule[0]-deny-due-to-bad-CUSTOM-action"
    assert name in refusing["policies"]
    assert refusing["action"] == "DENY"


def test_an_authorizer_that_the_proxy_does_not_know_cannot_be_asked(tmp_path: Path) -> None:
    scope = "---\napiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: s, namespace: shop}\n"
    found = filters(
        f"{EVERYTHING}{scope}spec: {{egress: [{{hosts: [./web.shop.svc.cluster.local]}}]}}\n",
        tmp_path,
        "web-v1.shop",
        80,
    )
    assert "ext_authz" not in named(found)


def test_a_dry_run_asks_nobody(tmp_path: Path) -> None:
    dry = 'metadata: {name: ask, namespace: shop, annotations: {"istio.io/dry-run": "true"}}'
    text = EVERYTHING.replace("metadata: {name: ask, namespace: shop}", dry)
    assert "ext_authz" not in named(filters(text, tmp_path, "web-v1.shop", 80))
