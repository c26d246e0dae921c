"""networking.istio.io `ProxyConfig` (how proxies are run) and `WorkloadGroup` (workloads that register themselves)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import Int32, Items, Labels, LabelSelector, Model, UInt32
from windvane.mesh.models.metadata import Resource
from windvane.mesh.models.services import WorkloadEntrySpec


class ProxyImage(Model):
    """Which build of Istio's proxy a pod gets; the local mesh has one Envoy."""

    image_type: str = ""


class ProxyConfigSpec(Model):
    """For workloads that carry all labels of the selector; without one, for the namespace, or the mesh in its root."""

    selector: LabelSelector | None = None
    concurrency: Int32 | None = None
    environment_variables: Labels = Field(default_factory=dict)
    image: ProxyImage | None = None


class ProxyConfig(Resource):
    """networking.istio.io ProxyConfig."""

    kind: Literal["ProxyConfig"] = "ProxyConfig"
    spec: ProxyConfigSpec = Field(default_factory=ProxyConfigSpec)


class HTTPHeader(Model):
    """A header of a probe's request."""

    name: str = ""
    value: str = ""


class HTTPHealthCheckConfig(Model):
    """A request that a healthy workload answers."""

    path: str = ""
    port: UInt32 = 0
    host: str = ""
    scheme: str = ""
    http_headers: Items[HTTPHeader] = ()


class TCPHealthCheckConfig(Model):
    """A connection that a healthy workload takes."""

    host: str = ""
    port: UInt32 = 0


class ExecHealthCheckConfig(Model):
    """A command that succeeds while a workload is healthy."""

    command: Items[str] = ()


class GrpcHealthCheckConfig(Model):
    """A call of gRPC's health service."""

    port: UInt32 = 0
    service: str = ""


class ReadinessProbe(Model):
    """How Istio's agent beside a workload finds out whether it is healthy."""

    one_of = (("http_get", "tcp_socket", "exec", "grpc"),)

    initial_delay_seconds: Int32 = 0
    timeout_seconds: Int32 = 0
    period_seconds: Int32 = 0
    success_threshold: Int32 = 0
    failure_threshold: Int32 = 0
    http_get: HTTPHealthCheckConfig | None = None
    tcp_socket: TCPHealthCheckConfig | None = None
    exec: ExecHealthCheckConfig | None = None
    grpc: GrpcHealthCheckConfig | None = None


class WorkloadGroupMetadata(Model):
    """What every WorkloadEntry of the group carries."""

    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class WorkloadGroupSpec(Model):
    """The template from which Istio makes a WorkloadEntry for each workload that registers itself."""

    metadata: WorkloadGroupMetadata | None = None
    template: WorkloadEntrySpec | None = None
    probe: ReadinessProbe | None = None


class WorkloadGroup(Resource):
    """networking.istio.io WorkloadGroup."""

    kind: Literal["WorkloadGroup"] = "WorkloadGroup"
    spec: WorkloadGroupSpec = Field(default_factory=WorkloadGroupSpec)
