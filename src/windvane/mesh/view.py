"""The merged view of a mesh: what the control plane, the local room and telemetry read.

Built by `windvane.mesh.build` from validated resources; frozen, so a snapshot of it can be
shared between threads and compared. Configuration resources (VirtualService, …) stay the typed
models of `windvane.mesh.models`, whose attributes are Istio's field names in snake_case.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeVar, cast

from windvane.mesh.protocols import is_http

if TYPE_CHECKING:
    from windvane.mesh.gateway_api.conditions import Condition
    from windvane.mesh.models import (
        AuthorizationPolicy,
        DestinationRule,
        EnvoyFilter,
        ExtensionProvider,
        Gateway,
        PeerAuthentication,
        ProxyConfig,
        RequestAuthentication,
        Secret,
        Sidecar,
        Telemetry,
        VirtualService,
        WasmPlugin,
    )


T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port of a service. `protocol` is one of http, http2, grpc, tcp, tls, https, mongo, redis, mysql."""

    number: int
    name: str
    protocol: str
    target_port: int

    @property
    def is_http(self) -> bool:
        """Whether requests (not only connections) are seen on this port."""
        return is_http(self.protocol)


@dataclass(frozen=True, slots=True)
class MeshWorkload:
    """A workload: a WorkloadEntry, or the pods of a Deployment and the like (`kind` says which).

    `address` may be empty until a placement gives one.
    """

    name: str
    namespace: str
    labels: Mapping[str, str]
    annotations: Mapping[str, str]
    service_account: str
    address: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    weight: int = 0
    locality: str = ""
    network: str = ""
    kind: str = "WorkloadEntry"
    file: str = ""
    line: int = 0

    @property
    def key(self) -> str:
        return f"{self.name}.{self.namespace}"

    @property
    def app(self) -> str:
        return self.labels.get("app", "")

    @property
    def version(self) -> str:
        return self.labels.get("version", "")

    @property
    def canonical_name(self) -> str:
        """Istio's canonical service name (pkg/kube/labels): label precedence, else the workload."""
        for label in ("service.istio.io/canonical-name", "app.kubernetes.io/name", "app"):
            if self.labels.get(label):
                return self.labels[label]
        return self.name

    @property
    def canonical_revision(self) -> str:
        for label in ("service.istio.io/canonical-revision", "app.kubernetes.io/version", "version"):
            if self.labels.get(label):
                return self.labels[label]
        return "latest"


@dataclass(frozen=True, slots=True)
class MeshService:
    """A Service or one host of a ServiceEntry, with the workloads that its selector picks.

    `workloads` holds keys (`"name.namespace"`) into `MeshView.workloads`; `endpoints` holds
    addresses that a ServiceEntry lists itself (`"host:port"` per port name is left to xds).
    `resolution` is static, dns, dns-one (one address at a time), none, or dynamic (each request's own host);
    `location` is internal or external. `export_to` are the namespaces that see it (none: all), as Istio
    writes them. `is_headless`: clients see its pods, not an address of its own. `traffic_distribution` says
    which endpoints clients prefer ("" for no preference).
    """

    hostname: str
    name: str
    namespace: str
    ports: tuple[ServicePort, ...]
    workloads: tuple[str, ...] = ()
    endpoints: tuple[MeshWorkload, ...] = ()
    resolution: str = "static"
    location: str = "internal"
    labels: Mapping[str, str] = field(default_factory=dict)
    export_to: tuple[str, ...] = ()
    is_headless: bool = False
    traffic_distribution: str = ""
    addresses: tuple[str, ...] = ()
    """Where the cluster would have it: IP addresses, or networks as `10.0.0.0/8`; often none are known."""


@dataclass(frozen=True, slots=True)
class MeshView:
    """Everything known of a mesh at one moment; `version` changes when the content does."""

    version: str
    services: Mapping[str, MeshService] = field(default_factory=dict)  # by hostname
    workloads: Mapping[str, MeshWorkload] = field(default_factory=dict)  # by "name.namespace"
    virtual_services: tuple[VirtualService, ...] = ()
    delegates: frozenset[str] = frozenset()  # "namespace/name" of VirtualServices that others delegate to
    destination_rules: tuple[DestinationRule, ...] = ()
    gateways: tuple[Gateway, ...] = ()
    sidecars: tuple[Sidecar, ...] = ()
    proxy_configs: tuple[ProxyConfig, ...] = ()
    peer_authentications: tuple[PeerAuthentication, ...] = ()
    request_authentications: tuple[RequestAuthentication, ...] = ()
    authorization_policies: tuple[AuthorizationPolicy, ...] = ()
    telemetries: tuple[Telemetry, ...] = ()
    gateway_api_conditions: tuple[Condition, ...] = ()  # those that are false
    secrets: Mapping[str, Secret] = field(default_factory=dict, repr=False)  # by "namespace/name"
    envoy_filters: tuple[EnvoyFilter, ...] = ()
    wasm_plugins: tuple[WasmPlugin, ...] = ()
    extension_providers: Mapping[str, ExtensionProvider] | None = None
    """By name; None where nothing says how the mesh is configured."""
    trust_domain: str = "cluster.local"
    cluster_id: str = "Kubernetes"
    root_namespace: str = "istio-system"
    _derived: dict[Hashable, object] = field(default_factory=dict, init=False, compare=False, repr=False)

    def derive(self, key: Hashable, make: Callable[[], T]) -> T:
        """`make()`, once a view for a key: indexes and other values that depend on this view alone."""
        if key not in self._derived:
            self._derived[key] = make()
        return cast("T", self._derived[key])
