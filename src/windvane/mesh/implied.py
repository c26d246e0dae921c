"""What a configuration speaks of and leaves to the cluster: its ingress gateways.

Istio's installation brings a gateway's pods, so applications' files have Gateways whose selector picks
nothing. Without a cluster such a gateway is run as the installation would have it.
"""

from __future__ import annotations

from dataclasses import replace

from windvane.mesh.view import MeshView, MeshWorkload

GATEWAY_KIND = "ImpliedGateway"


def with_gateways(view: MeshView) -> MeshView:
    """The view, and a gateway workload for each selector of Gateways that picks none."""
    implied: dict[str, MeshWorkload] = {}
    for gateway in view.gateways:
        selector = gateway.spec.selector
        known = [*view.workloads.values(), *implied.values()]
        if selector and not any(selector.items() <= workload.labels.items() for workload in known):
            workload = _gateway(selector, view.root_namespace, gateway.file, gateway.line)
            implied.setdefault(workload.key, workload)
    return replace(view, workloads={**view.workloads, **implied}) if implied else view


def _gateway(selector: dict[str, str], namespace: str, file: str, line: int) -> MeshWorkload:
    word = selector.get("istio") or selector.get("app") or next(iter(selector.values()))
    name = word if word.startswith("istio-") else f"istio-{word}"
    return MeshWorkload(
        name=name, namespace=namespace, labels={"app": name, **selector}, annotations={},
        service_account=f"{name}-service-account", kind=GATEWAY_KIND, file=file, line=line,
    )  # fmt: skip
