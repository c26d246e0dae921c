"""Istio's and Kubernetes' resources as typed, strictly validated models.

Attribute names are the proto's field names in snake_case; durations are float seconds. A model says
only what has the right shape: what Istio documents beyond it is checked by `windvane.mesh.validate`.
"""

from windvane.mesh.models.base import (
    LabelSelector,
    Model,
    Percent,
    PolicyTargetReference,
    PortSelector,
    StringMatch,
    Targetable,
)
from windvane.mesh.models.destination_rule import (
    ClientTLSSettings,
    ConnectionPoolSettings,
    ConsistentHashLB,
    DestinationRule,
    LoadBalancerSettings,
    OutlierDetection,
    PortTrafficPolicy,
    Subset,
    TrafficPolicy,
)
from windvane.mesh.models.envoy_filter import EnvoyFilter
from windvane.mesh.models.gateway import Gateway, Server, ServerTLSSettings
from windvane.mesh.models.mesh_config import ConfigMap, ExtensionProvider, IstioOperator, MeshConfig
from windvane.mesh.models.metadata import ObjectMeta, Resource
from windvane.mesh.models.proxies import ProxyConfig, WorkloadGroup
from windvane.mesh.models.secrets import Secret
from windvane.mesh.models.security import (
    AuthorizationPolicy,
    JWTRule,
    MTLSMode,
    Operation,
    PeerAuthentication,
    RequestAuthentication,
    Rule,
    Source,
)
from windvane.mesh.models.services import Service, ServiceEntry, WorkloadEntry, WorkloadEntrySpec
from windvane.mesh.models.sidecar import Sidecar
from windvane.mesh.models.telemetry import AccessLogging, CustomTag, Telemetry, Tracing
from windvane.mesh.models.virtual_service import (
    Destination,
    Headers,
    HTTPFaultInjection,
    HTTPMatchRequest,
    HTTPRedirect,
    HTTPRetry,
    HTTPRoute,
    HTTPRouteDestination,
    L4MatchAttributes,
    RouteDestination,
    TCPRoute,
    TLSMatchAttributes,
    TLSRoute,
    VirtualService,
)
from windvane.mesh.models.wasm import WasmPlugin
from windvane.mesh.models.workloads import DaemonSet, Deployment, Namespace, Pod, PodOwner, ReplicaSet, StatefulSet

_NETWORKING = ("networking.istio.io/v1", "networking.istio.io/v1beta1", "networking.istio.io/v1alpha3")
_SECURITY = ("security.istio.io/v1", "security.istio.io/v1beta1")
_TELEMETRY = ("telemetry.istio.io/v1", "telemetry.istio.io/v1alpha1")

_APPS = ("apps/v1",)

KINDS: dict[str, tuple[type[Resource], tuple[str, ...]]] = {
    "Service": (Service, ("v1",)),
    "Namespace": (Namespace, ("v1",)),
    "ConfigMap": (ConfigMap, ("v1",)),
    "IstioOperator": (IstioOperator, ("install.istio.io/v1alpha1",)),
    "Secret": (Secret, ("v1",)),
    "Pod": (Pod, ("v1",)),
    "Deployment": (Deployment, _APPS),
    "StatefulSet": (StatefulSet, _APPS),
    "DaemonSet": (DaemonSet, _APPS),
    "ReplicaSet": (ReplicaSet, _APPS),
    "ServiceEntry": (ServiceEntry, _NETWORKING),
    "WorkloadEntry": (WorkloadEntry, _NETWORKING),
    "VirtualService": (VirtualService, _NETWORKING),
    "DestinationRule": (DestinationRule, _NETWORKING),
    "Gateway": (Gateway, _NETWORKING),
    "Sidecar": (Sidecar, _NETWORKING),
    "EnvoyFilter": (EnvoyFilter, ("networking.istio.io/v1alpha3",)),
    "ProxyConfig": (ProxyConfig, ("networking.istio.io/v1beta1",)),
    "WorkloadGroup": (WorkloadGroup, _NETWORKING),
    "PeerAuthentication": (PeerAuthentication, _SECURITY),
    "RequestAuthentication": (RequestAuthentication, _SECURITY),
    "AuthorizationPolicy": (AuthorizationPolicy, _SECURITY),
    "Telemetry": (Telemetry, _TELEMETRY),
    "WasmPlugin": (WasmPlugin, ("extensions.istio.io/v1alpha1",)),
}
"""Every kind that has a model: the class and the API versions it is read from."""

__all__ = [
    "KINDS",
    "AccessLogging",
    "AuthorizationPolicy",
    "ClientTLSSettings",
    "ConfigMap",
    "ConnectionPoolSettings",
    "ConsistentHashLB",
    "CustomTag",
    "DaemonSet",
    "Deployment",
    "Destination",
    "DestinationRule",
    "EnvoyFilter",
    "ExtensionProvider",
    "Gateway",
    "HTTPFaultInjection",
    "HTTPMatchRequest",
    "HTTPRedirect",
    "HTTPRetry",
    "HTTPRoute",
    "HTTPRouteDestination",
    "Headers",
    "IstioOperator",
    "JWTRule",
    "L4MatchAttributes",
    "LabelSelector",
    "LoadBalancerSettings",
    "MTLSMode",
    "MeshConfig",
    "Model",
    "Namespace",
    "ObjectMeta",
    "Operation",
    "OutlierDetection",
    "PeerAuthentication",
    "Percent",
    "Pod",
    "PodOwner",
    "PolicyTargetReference",
    "PortSelector",
    "PortTrafficPolicy",
    "ProxyConfig",
    "ReplicaSet",
    "RequestAuthentication",
    "Resource",
    "RouteDestination",
    "Rule",
    "Secret",
    "Server",
    "ServerTLSSettings",
    "Service",
    "ServiceEntry",
    "Sidecar",
    "Source",
    "StatefulSet",
    "StringMatch",
    "Subset",
    "TCPRoute",
    "TLSMatchAttributes",
    "TLSRoute",
    "Targetable",
    "Telemetry",
    "Tracing",
    "TrafficPolicy",
    "VirtualService",
    "WasmPlugin",
    "WorkloadEntry",
    "WorkloadEntrySpec",
    "WorkloadGroup",
]
