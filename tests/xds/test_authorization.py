"""Policies as Envoy's filters: every field is accepted by Envoy, and on TCP nothing is let through by mistake.

What they let through is tested with requests: tests/local/data/guarded.yaml.
"""

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

EVERYTHING = (Path(__file__).parents[1] / "mesh" / "data" / "good" / "authorization.yaml").read_text(encoding="utf-8")
HTTP_RULE = """
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: only-gets, namespace: shop}
spec:
  action: ACTION
  rules:
    - to: [{operation: {methods: [GET], ports: ["80"]}}]
    - from: [{source: {namespaces: [shop]}}]
"""


def inbound(text: str, folder: Path) -> list[dict[str, Any]]:
    """The filters of web's first inbound filter chain."""
    snapshot = snapshot_of(text, folder)
    proxy = snapshot.proxy("web-v1.shop")
    assert proxy is not None
    [listener] = [each.to_dict() for each in configuration(proxy, snapshot)[LDS] if each.name.startswith("inbound|")]
    return list(listener["filter_chains"][0]["filters"])


@pytest.mark.parametrize("action", ["ALLOW", "DENY"])
@pytest.mark.parametrize("protocol", ["http", "tcp"])
def test_envoy_accepts_every_field(tmp_path: Path, action: str, protocol: str) -> None:
    text = EVERYTHING.replace("action: DENY", f"action: {action}").replace(
        "{name: http, port", f"{{name: {protocol}, port"
    )
    snapshot = snapshot_of(text, tmp_path)
    proxy = snapshot.proxy("web-v1.shop")
    assert proxy is not None
    authority = CertificateAuthority(tmp_path / "ca", SystemClock())
    assert validate(static_config(proxy, snapshot, authority), tmp_path) == ""


def test_tokens_are_checked_before_policies_and_denials_before_allowances(tmp_path: Path) -> None:
    [manager] = inbound(EVERYTHING, tmp_path)
    names = [each["name"].rpartition(".")[2] for each in manager["typed_config"]["http_filters"]]
    assert names[-4:] == ["jwt_authn", "rbac", "rbac", "router"]
    denied, allowed = (each["typed_config"]["rules"] for each in manager["typed_config"]["http_filters"][-3:-1])
    assert denied["action"] == "DENY"
    assert list(denied["policies"]) == ["ns[shop]-policy[all-of-it]-rule[0]", "ns[shop]-policy[all-of-it]-rule[1]"]
    # A policy without rules allows nothing.
    assert list(allowed["policies"]) == ["ns[shop]-policy[nothing]-rule[0]"]
    assert allowed["policies"]["ns[shop]-policy[nothing]-rule[0]"]["permissions"] == [{"not_rule": {"any": True}}]


@pytest.mark.parametrize(("action", "kept"), [("ALLOW", [1]), ("DENY", [0, 1])])
def test_on_tcp_a_rule_of_requests_allows_nothing_and_denies_more(tmp_path: Path, action: str, kept: list[int]) -> None:
    plain = EVERYTHING.partition("---\napiVersion: security.istio.io/v1\n")[0].replace(
        "name: http, port", "name: tcp, port"
    )
    rbac = inbound(plain + HTTP_RULE.replace("ACTION", action), tmp_path)[0]
    assert rbac["name"] == "envoy.filters.network.rbac"
    policies = rbac["typed_config"]["rules"]["policies"]
    assert list(policies) == [f"ns[shop]-policy[only-gets]-rule[{index}]" for index in kept]
    if action == "DENY":  # the port is still asked about
        [permission] = policies["ns[shop]-policy[only-gets]-rule[0]"]["permissions"]
        assert list(permission["and_rules"]["rules"][0]["or_rules"]["rules"][0]) == ["destination_port"]


def test_a_policy_that_is_only_tried_shadows(tmp_path: Path) -> None:
    text = EVERYTHING.replace(
        "name: all-of-it, namespace: shop}",
        'name: all-of-it, namespace: shop, annotations: {"istio.io/dry-run": "true"}}',
    )
    [manager] = inbound(text, tmp_path)
    [config] = [
        each["typed_config"]
        for each in manager["typed_config"]["http_filters"]
        if each["typed_config"].get("shadow_rules")
    ]
    assert "rules" not in config
    assert config["shadow_rules_stat_prefix"] == "istio_dry_run_deny_"
