"""networking.istio.io `EnvoyFilter`: patches of the configuration that proxies get."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from windvane.mesh.models.base import Int32, Items, Labels, Model, PolicyTargetReference, UInt32
from windvane.mesh.models.metadata import Resource

ApplyTo = Literal[
    "INVALID",
    "LISTENER",
    "FILTER_CHAIN",
    "NETWORK_FILTER",
    "HTTP_FILTER",
    "ROUTE_CONFIGURATION",
    "VIRTUAL_HOST",
    "HTTP_ROUTE",
    "CLUSTER",
    "EXTENSION_CONFIG",
    "BOOTSTRAP",
    "LISTENER_FILTER",
]
Operation = Literal[
    "INVALID", "MERGE", "ADD", "REMOVE", "INSERT_BEFORE", "INSERT_AFTER", "INSERT_FIRST", "REPLACE"
]  # fmt: skip
PatchContext = Literal["ANY", "SIDECAR_INBOUND", "SIDECAR_OUTBOUND", "GATEWAY", "WAYPOINT"]


class ProxyMatch(Model):
    """Proxies of an Istio version, and with these values in their node's metadata."""

    proxy_version: str = ""
    metadata: Labels = Field(default_factory=dict)


class SubFilterMatch(Model):
    """A filter inside of a network filter: an HTTP filter, by name."""

    name: str = ""


class FilterMatch(Model):
    """A network filter by name."""

    name: str = ""
    sub_filter: SubFilterMatch | None = None


class FilterChainMatch(Model):
    """A listener's filter chain, and what is in it."""

    name: str = ""
    sni: str = ""
    transport_protocol: str = ""
    application_protocols: str = ""
    filter: FilterMatch | None = None
    destination_port: UInt32 = 0


class ListenerMatch(Model):
    """A listener, and what is in it."""

    port_number: UInt32 = 0
    port_name: str = ""
    filter_chain: FilterChainMatch | None = None
    listener_filter: str = ""
    name: str = ""


class RouteMatch(Model):
    """A route by name and by what it does."""

    name: str = ""
    action: Literal["ANY", "ROUTE", "REDIRECT", "DIRECT_RESPONSE"] = "ANY"


class VirtualHostMatch(Model):
    """A virtual host by name (`host:port`) or domain, and a route in it."""

    name: str = ""
    domain_name: str = ""
    route: RouteMatch | None = None


class RouteConfigurationMatch(Model):
    """A route configuration, and what is in it."""

    port_number: UInt32 = 0
    port_name: str = ""
    gateway: str = ""
    vhost: VirtualHostMatch | None = None
    name: str = ""


class ClusterMatch(Model):
    """A cluster."""

    port_number: UInt32 = 0
    service: str = ""
    subset: str = ""
    name: str = ""


class EnvoyConfigObjectMatch(Model):
    """Where a patch is applied."""

    one_of = (("listener", "route_configuration", "cluster", "waypoint"),)

    context: PatchContext = "ANY"
    proxy: ProxyMatch | None = None
    listener: ListenerMatch | None = None
    route_configuration: RouteConfigurationMatch | None = None
    cluster: ClusterMatch | None = None
    waypoint: Any = None


class Patch(Model):
    """What is done; `value` is the Envoy message in protojson."""

    operation: Operation = "INVALID"
    value: dict[str, Any] | None = None
    filter_class: Literal["UNSPECIFIED", "AUTHN", "AUTHZ", "STATS"] = "UNSPECIFIED"


class EnvoyConfigObjectPatch(Model):
    """One patch with what it is applied to."""

    apply_to: ApplyTo = "INVALID"
    match: EnvoyConfigObjectMatch | None = None
    patch: Patch | None = None


class WorkloadLabels(Model):
    """Workloads that carry all of these labels (Istio's `WorkloadSelector` of type v1alpha3)."""

    labels: Labels = Field(default_factory=dict)


class EnvoyFilterSpec(Model):
    """Patches for the selected workloads; a lower priority comes first."""

    workload_selector: WorkloadLabels | None = None
    target_refs: Items[PolicyTargetReference] = ()
    config_patches: Items[EnvoyConfigObjectPatch] = ()
    priority: Int32 = 0


class EnvoyFilter(Resource):
    """networking.istio.io EnvoyFilter."""

    kind: Literal["EnvoyFilter"] = "EnvoyFilter"
    spec: EnvoyFilterSpec = Field(default_factory=EnvoyFilterSpec)

    @property
    def selector_labels(self) -> Labels:
        """The labels of workloads it is for; empty for all of its namespace, or of all in the root namespace."""
        return self.spec.workload_selector.labels if self.spec.workload_selector else {}
