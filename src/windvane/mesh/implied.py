"""What a configuration speaks of and leaves to the cluster: its ingress gateways.

Istio's installation brings a gateway's pods, so applications' files have Gateways whose selector picks
nothing. Without a cluster such a gateway is run as the installation would have it, and one of Gateway API as Istio's
controller would deploy it.
"""

from __future__ import annotations

from dataclasses import replace

from windvane.mesh.gateway_api.deployments import with_workload
from windvane.mesh.gateway_api.semantics import ListenerGateway
from windvane.mesh.models import Gateway
from windvane.mesh.view import MeshView, MeshWorkload

GATEWAY_KIND = "ImpliedGateway"


def with_gateways(view: MeshView) -> MeshView:
    """The view, and a gateway workload for each selector of Gateways that picks none."""
    implied: dict[str, MeshWorkload] = {}
    for gateway in view.gateways:
        known = [*view.workloads.values(), *implied.values()]
        if gateway.spec.selector and not any(gateway.picks(one.labels, one.namespace) for one in known):
            workload = _deployed(gateway) if isinstance(gateway, ListenerGateway) else _gateway(gateway, view)
            if workload.key not in implied and isinstance(gateway, ListenerGateway):
                view = replace(view, services=with_workload(view, gateway, workload))
            implied.setdefault(workload.key, workload)
    return replace(view, workloads={**view.workloads, **implied}) if implied else view


def _gateway(gateway: Gateway, view: MeshView) -> MeshWorkload:
    selector = gateway.spec.selector
    word = selector.get("istio") or selector.get("app") or next(iter(selector.values()))
    name = word if word.startswith("istio-") else f"istio-{word}"
    labels = {"app": name, **selector}
    return _workload(gateway, name, view.root_namespace, f"{name}-service-account", labels)


def _deployed(gateway: ListenerGateway) -> MeshWorkload:
    """What Istio's controller deploys for a Gateway of Gateway API."""
    name = gateway.deployment
    labels = {"service.istio.io/canonical-name": name, **gateway.spec.selector}
    return _workload(gateway, name, gateway.workload_namespace, name, labels)


def _workload(gateway: Gateway, name: str, namespace: str, account: str, labels: dict[str, str]) -> MeshWorkload:
    return MeshWorkload(
        name=name, namespace=namespace, labels=labels, annotations={}, service_account=account, kind=GATEWAY_KIND,
        file=gateway.file, line=gateway.line,
    )  # fmt: skip
