"""networking.istio.io `Sidecar`: what the proxies of workloads know of the mesh."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import Items, Model
from windvane.mesh.models.destination_rule import ConnectionPoolSettings
from windvane.mesh.models.gateway import ServerTLSSettings
from windvane.mesh.models.metadata import Resource
from windvane.mesh.models.services import ServicePort, WorkloadSelector
from windvane.mesh.models.virtual_service import Destination

CaptureMode = Literal["DEFAULT", "IPTABLES", "NONE"]


class IstioIngressListener(Model):
    """A port that the proxy accepts for the workload, and where the application is (`127.0.0.1:PORT`, `unix://PATH`)."""

    port: ServicePort | None = None
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    default_endpoint: str = ""
    tls: ServerTLSSettings | None = None
    connection_pool: ConnectionPoolSettings | None = None


class IstioEgressListener(Model):
    """Hosts that workloads may call, as `namespace/host`.

    The namespace may be `*` (any), `.` (the workload's own) or `~` (none), the host `*` or `*.suffix`. With `port`
    they are known by that port alone.
    """

    port: ServicePort | None = None
    bind: str = ""
    capture_mode: CaptureMode = "DEFAULT"
    hosts: Items[str] = ()


class OutboundTrafficPolicy(Model):
    """What becomes of requests for hosts that the proxy does not know; a policy that says nothing refuses them."""

    mode: Literal["REGISTRY_ONLY", "ALLOW_ANY"] = "REGISTRY_ONLY"
    egress_proxy: Destination | None = None


class SidecarSpec(Model):
    """For workloads that carry all labels of the selector; without one, for all workloads of the namespace."""

    workload_selector: WorkloadSelector | None = None
    ingress: Items[IstioIngressListener] = ()
    egress: Items[IstioEgressListener] = ()
    inbound_connection_pool: ConnectionPoolSettings | None = None
    outbound_traffic_policy: OutboundTrafficPolicy | None = None


class Sidecar(Resource):
    """networking.istio.io Sidecar."""

    kind: Literal["Sidecar"] = "Sidecar"
    spec: SidecarSpec = Field(default_factory=SidecarSpec)

    @property
    def selector_labels(self) -> dict[str, str]:
        """Labels of the workloads it is for; none: all."""
        return self.spec.workload_selector.labels if self.spec.workload_selector else {}
