"""networking.istio.io `Sidecar`: what the proxies of workloads know of the mesh."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import Items, Model, NotYet
from windvane.mesh.models.metadata import Resource
from windvane.mesh.models.services import WorkloadSelector


class IstioEgressListener(Model):
    """Hosts that workloads may call, as `namespace/host`.

    The namespace may be `*` (any), `.` (the workload's own) or `~` (none), the host `*` or `*.suffix`.
    """

    port: NotYet = None
    bind: NotYet = None
    capture_mode: NotYet = None
    hosts: Items[str] = ()


class OutboundTrafficPolicy(Model):
    """What becomes of requests for hosts that the proxy does not know; a policy that says nothing refuses them."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: NotYet = None


class SidecarSpec(Model):
    """For workloads that carry all labels of the selector; without one, for all workloads of the namespace."""

    workload_selector: WorkloadSelector | None = None
    ingress: NotYet = None
    egress: Items[IstioEgressListener] = ()
    inbound_connection_pool: NotYet = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None


class Sidecar(Resource):
    """networking.istio.io Sidecar."""

    kind: Literal["Sidecar"] = "Sidecar"
    spec: SidecarSpec = Field(default_factory=SidecarSpec)

    @property
    def selector_labels(self) -> dict[str, str]:
        """Labels of the workloads it is for; none: all."""
        return self.spec.workload_selector.labels if self.spec.workload_selector else {}
