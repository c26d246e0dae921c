"""Who a proxy is: Envoy's node id in Istio's format, and the workload and place behind it.

A node id is `<role>~<ip>~<workload>.<namespace>~<namespace>.svc.cluster.local`, role `sidecar` or
`router` (a gateway). The control plane believes only the workload's name in it: everything else
about a proxy comes from the snapshot.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from windvane.kit.errors import BadInputError
from windvane.mesh.placement import WorkloadPlace
from windvane.mesh.view import MeshView, MeshWorkload

if TYPE_CHECKING:
    from windvane.mesh.models import Gateway

Role = Literal["sidecar", "router"]


@dataclass(frozen=True, slots=True)
class Proxy:
    """A proxy that a snapshot knows: what generators are asked about."""

    role: Role
    workload: MeshWorkload
    place: WorkloadPlace

    @property
    def key(self) -> str:
        """`"<workload>.<namespace>"`, as in MeshView.workloads and Placement.places."""
        return self.workload.key

    @property
    def namespace(self) -> str:
        return self.workload.namespace

    @property
    def node_id(self) -> str:
        namespace = self.workload.namespace
        return f"{self.role}~{self.place.address}~{self.workload.key}~{namespace}.svc.cluster.local"

    @property
    def node_cluster(self) -> str:
        """Istio's `app.namespace`; also the service name of the proxy's spans."""
        return f"{self.workload.canonical_name}.{self.workload.namespace}"


def workload_key(node_id: str) -> str:
    """The `"<workload>.<namespace>"` in a node id; BadInputError when it is not one."""
    parts = node_id.split("~")
    if len(parts) != 4 or parts[0] not in ("sidecar", "router") or "." not in parts[2]:
        raise BadInputError(
            f"not a node id: {node_id!r} (expected sidecar~ip~workload.namespace~namespace.svc.cluster.local)"
        )
    return parts[2]


def role_of(view: MeshView, workload: MeshWorkload) -> Role:
    """`router` when a Gateway's selector picks the workload or its `istio` label names a gateway."""
    if workload.labels.get("istio", "").endswith("gateway"):
        return "router"
    return "router" if any(selects(gateway, workload) for gateway in view.gateways) else "sidecar"


def selects(gateway: Gateway, workload: MeshWorkload) -> bool:
    """Whether a Gateway's selector picks the workload (an empty selector picks nothing here)."""
    return gateway.picks(workload.labels, workload.namespace)
