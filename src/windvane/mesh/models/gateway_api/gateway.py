"""gateway.networking.k8s.io `GatewayClass` and `Gateway`: which controller serves, and what is listened for."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from windvane.mesh.models.base import Items, Labels, Model, NotYet, UInt32
from windvane.mesh.models.metadata import Resource


class GatewayClassSpec(Model):
    """Who serves Gateways of a class."""

    controller_name: str
    parameters_ref: Any = None
    description: str = ""


class GatewayClass(Resource):
    """gateway.networking.k8s.io GatewayClass."""

    kind: Literal["GatewayClass"] = "GatewayClass"
    spec: GatewayClassSpec

    @property
    def namespace(self) -> str:
        """None: it stands in no namespace."""
        return ""

    @property
    def reference(self) -> str:
        return f"{self.kind} {self.name}"


class SecretObjectReference(Model):
    """A certificate; of the Gateway's own namespace unless it says."""

    group: str = ""
    kind: str = "Secret"
    name: str
    namespace: str | None = None


class ListenerTLSConfig(Model):
    """What becomes of TLS: it ends at the listener, or is passed on unopened. `options` are the controller's own."""

    mode: Literal["Terminate", "Passthrough"] = "Terminate"
    certificate_refs: Items[SecretObjectReference] = ()
    options: Labels = Field(default_factory=dict)
    frontend_validation: NotYet = None


class LabelSelectorRequirement(Model):
    """A condition on one label."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: Items[str] = ()


class NamespaceSelector(Model):
    """Namespaces whose labels meet every condition (Kubernetes' `LabelSelector`)."""

    match_labels: Labels = Field(default_factory=dict)
    match_expressions: Items[LabelSelectorRequirement] = ()


class RouteNamespaces(Model):
    """The namespaces whose routes may attach."""

    from_: Literal["All", "Selector", "Same", "None"] = Field(default="Same", alias="from")
    selector: NamespaceSelector | None = None


class RouteGroupKind(Model):
    """A kind of routes."""

    group: str = "gateway.networking.k8s.io"
    kind: str


class AllowedRoutes(Model):
    """Which routes may attach; no kinds mean all that suit the protocol."""

    namespaces: RouteNamespaces = Field(default_factory=RouteNamespaces)
    kinds: Items[RouteGroupKind] = ()


class Listener(Model):
    """One port, protocol and host name of a Gateway."""

    name: str
    hostname: str = ""
    port: UInt32
    protocol: str
    tls: ListenerTLSConfig | None = None
    allowed_routes: AllowedRoutes = Field(default_factory=AllowedRoutes)


class GatewayAddress(Model):
    """Where a Gateway is wanted: an address, or the name of a Service that exists (`Hostname`)."""

    type: str = "IPAddress"
    value: str = ""


class GatewayInfrastructure(Model):
    """Labels and annotations of what is deployed for a Gateway."""

    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)
    parameters_ref: Any = None


class GatewaySpec(Model):
    """The class, and what is listened for."""

    gateway_class_name: str
    listeners: Items[Listener] = ()
    addresses: Items[GatewayAddress] = ()
    infrastructure: GatewayInfrastructure = Field(default_factory=GatewayInfrastructure)
    allowed_listeners: NotYet = None
    tls: NotYet = None
    default_scope: str = ""


class Gateway(Resource):
    """gateway.networking.k8s.io Gateway."""

    kind: Literal["Gateway"] = "Gateway"
    spec: GatewaySpec
