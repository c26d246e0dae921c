"""Which workloads policies are for that name resources, and where the mesh's configuration may stand."""

from __future__ import annotations

from pathlib import Path

from click.testing import CliRunner
from mesh_support import DATA, view_of

from windvane.cli import analyze
from windvane.mesh.authorizers import Located, located
from windvane.mesh.checks.attachment import check_targets
from windvane.mesh.files import FileSource
from windvane.mesh.models import Targetable
from windvane.mesh.resolve import authorization_policies_for, jwt_rules_for, telemetry_for
from windvane.mesh.view import MeshView

GOOD = (DATA / "good" / "attachment.yaml").read_text(encoding="utf-8")


def policies(view: MeshView, workload: str) -> list[str]:
    return [item.name for item in authorization_policies_for(view, view.workloads[workload])]


def test_a_policy_is_for_the_workloads_of_what_it_names_and_no_others() -> None:
    view = view_of(GOOD)
    assert policies(view, "edge.istio-system") == ["front"]
    assert policies(view, "web-v1.shop") == ["ask", "audit"]
    rules = {key: [rule.issuer for rule in jwt_rules_for(view, each)] for key, each in view.workloads.items()}
    assert {key for key, found in rules.items() if found} == {"api-istio.shop"}


def test_what_is_for_waypoints_is_for_no_sidecar() -> None:
    policy = """
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: {name: waypoint, namespace: shop}
spec: {targetRefs: [{kind: Service, name: web}], action: DENY, rules: [{}]}
"""
    view = view_of(GOOD + policy)
    assert all("waypoint" not in policies(view, key) for key in view.workloads)


def test_an_attached_telemetry_comes_over_the_namespaces() -> None:
    view = view_of(GOOD)
    sampling = {
        key: telemetry_for(view, view.workloads[key]).client.random_sampling_percentage
        for key in ("api-istio.shop", "web-v1.shop")
    }
    assert sampling == {"api-istio.shop": 50, "web-v1.shop": 1}


def test_a_kubernetes_gateway_is_one_of_its_own_namespace() -> None:
    there = GOOD.replace("name: api-istio, namespace: shop", "name: api-istio, namespace: other")
    view = view_of(there)
    assert jwt_rules_for(view, view.workloads["api-istio.other"]) == []


def test_the_number_of_targets_is_bounded() -> None:
    target = {"kind": "Service", "name": "a"}
    most = Targetable.model_validate({"targetRefs": [target] * 16})
    assert list(check_targets(most)) == []
    [problem] = check_targets(Targetable.model_validate({"targetRefs": [target] * 17}))
    assert problem.message == "at most 16 targetRefs may be set"


def test_the_meshs_configuration_may_be_a_file_of_its_own(tmp_path: Path) -> None:
    config = tmp_path / "mesh.yaml"
    text = "extensionProviders:\n  - name: opa\n    envoyExtAuthzGrpc: {service: opa.local, port: 9191}\n"
    config.write_text(text, encoding="utf-8")
    documents = [part for part in GOOD.split("---\n") if "ConfigMap" not in part]
    mesh = tmp_path / "mesh" / "all.yaml"
    mesh.parent.mkdir()
    mesh.write_text("---\n".join(documents), encoding="utf-8")
    view = FileSource([mesh], mesh_config=config).load().view
    assert view is not None
    found = located(view, "opa")
    assert isinstance(found, Located)
    assert found.service.hostname == "opa.local"
    config.write_text(text.replace("port: 9191", "prt: 9191"), encoding="utf-8")
    told = CliRunner().invoke(analyze.command, [str(mesh), "--mesh-config", str(config)])
    assert f"{config}:3: error [WV0201]" in told.output.replace("\n", "")
    # What is a whole object already is taken as it is.
    config.write_text(GOOD.split("---\n")[0], encoding="utf-8")
    whole = FileSource([mesh], mesh_config=config).load().view
    assert whole is not None
    assert list(whole.extension_providers or {}) == ["opa", "oauth", "zipkin"]


def test_a_config_map_counts_in_the_root_namespace_only() -> None:
    assert (
        view_of(
            GOOD.replace("name: istio, namespace: istio-system", "name: istio, namespace: shop")
        ).extension_providers
        is None
    )
