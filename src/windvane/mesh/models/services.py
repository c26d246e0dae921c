"""Where things run: Kubernetes `Service`, Istio's `ServiceEntry` and `WorkloadEntry`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator
from pydantic_core import PydanticCustomError

from windvane.mesh.models.base import Items, Labels, Model, UInt32
from windvane.mesh.models.metadata import Resource


def _int_or_string(value: object) -> object:
    if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
        return value
    raise PydanticCustomError("int_or_string_type", "expected an integer or a string")


IntOrString = Annotated[int | str, PlainValidator(_int_or_string)]


class KubernetesServicePort(Model):
    """A port of a Service; `target_port` is a number or the name of a workload's port."""

    name: str = ""
    port: UInt32
    protocol: Literal["TCP", "UDP", "SCTP"] = "TCP"
    target_port: IntOrString | None = None
    app_protocol: str = ""
    node_port: int = 0


class KubernetesServiceSpec(Model):
    """The parts of a Service that a mesh reads; what only a cluster's network reads is accepted."""

    ports: Items[KubernetesServicePort] = ()
    selector: Labels = Field(default_factory=dict)
    type: Literal["ClusterIP", "NodePort", "LoadBalancer", "ExternalName"] = "ClusterIP"
    external_name: str = ""
    cluster_ip: str = Field(default="", alias="clusterIP")
    cluster_ips: Items[str] = Field(default=(), alias="clusterIPs")
    external_ips: Items[str] = Field(default=(), alias="externalIPs")
    load_balancer_ip: str = Field(default="", alias="loadBalancerIP")
    load_balancer_class: str = ""
    load_balancer_source_ranges: Items[str] = ()
    allocate_load_balancer_node_ports: bool = True
    external_traffic_policy: str = ""
    internal_traffic_policy: str = ""
    traffic_distribution: str = ""
    health_check_node_port: int = 0
    ip_families: Items[str] = ()
    ip_family_policy: str = ""
    publish_not_ready_addresses: bool = False
    session_affinity: str = ""
    session_affinity_config: Any = None


class Service(Resource):
    """A Kubernetes Service (core v1)."""

    kind: Literal["Service"] = "Service"
    spec: KubernetesServiceSpec = Field(default_factory=KubernetesServiceSpec)


class ServicePort(Model):
    """A port of a ServiceEntry or of a Gateway's server."""

    number: UInt32 = 0
    protocol: str = ""
    name: str = ""
    target_port: UInt32 = 0


class WorkloadEntrySpec(Model):
    """One workload outside Kubernetes, or one endpoint of a ServiceEntry."""

    address: str = ""
    ports: dict[str, UInt32] = Field(default_factory=dict)
    labels: Labels = Field(default_factory=dict)
    network: str = ""
    locality: str = ""
    weight: UInt32 = 0
    service_account: str = ""


class WorkloadSelector(Model):
    """Workloads (of the same namespace) that carry all of these labels."""

    labels: Labels = Field(default_factory=dict)


class ServiceEntrySpec(Model):
    """A service that the registry does not know by itself."""

    hosts: Items[str] = ()
    addresses: Items[str] = ()
    ports: Items[ServicePort] = ()
    location: Literal["MESH_EXTERNAL", "MESH_INTERNAL"] = "MESH_EXTERNAL"
    resolution: Literal["NONE", "STATIC", "DNS", "DNS_ROUND_ROBIN", "DYNAMIC_DNS"] = "NONE"
    endpoints: Items[WorkloadEntrySpec] = ()
    workload_selector: WorkloadSelector | None = None
    export_to: Items[str] = ()
    subject_alt_names: Items[str] = ()


class ServiceEntry(Resource):
    """networking.istio.io ServiceEntry."""

    kind: Literal["ServiceEntry"] = "ServiceEntry"
    spec: ServiceEntrySpec = Field(default_factory=ServiceEntrySpec)


class WorkloadEntry(Resource):
    """networking.istio.io WorkloadEntry."""

    kind: Literal["WorkloadEntry"] = "WorkloadEntry"
    spec: WorkloadEntrySpec = Field(default_factory=WorkloadEntrySpec)
