"""gateway.networking.k8s.io `GRPCRoute`."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import Items, Model
from windvane.mesh.models.gateway_api.http_route import (
    HTTPHeaderFilter,
    HTTPHeaderMatch,
    HTTPRequestMirrorFilter,
    MatchType,
)
from windvane.mesh.models.gateway_api.references import (
    BackendRef,
    HostedRouteSpec,
    LocalObjectReference,
    Route,
    SessionPersistence,
)


class GRPCMethodMatch(Model):
    """A gRPC service, a method of it, or a method of any service."""

    type: MatchType = "Exact"
    service: str | None = None
    method: str | None = None


class GRPCRouteMatch(Model):
    """Conditions that must all hold; several of these in a rule are alternatives."""

    method: GRPCMethodMatch | None = None
    headers: Items[HTTPHeaderMatch] = ()


class GRPCRouteFilter(Model):
    """One step of a rule's processing; the field that `type` names says how."""

    type: Literal["RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"]
    request_header_modifier: HTTPHeaderFilter | None = None
    response_header_modifier: HTTPHeaderFilter | None = None
    request_mirror: HTTPRequestMirrorFilter | None = None
    extension_ref: LocalObjectReference | None = None


class GRPCBackendRef(BackendRef):
    """A destination of calls, its weight, and what is changed on the way to it alone."""

    filters: Items[GRPCRouteFilter] = ()


class GRPCRouteRule(Model):
    """Matches, filters, and destinations by weight."""

    name: str | None = None
    matches: Items[GRPCRouteMatch] = ()
    filters: Items[GRPCRouteFilter] = ()
    backend_refs: Items[GRPCBackendRef] = ()
    session_persistence: SessionPersistence | None = None


class GRPCRouteSpec(HostedRouteSpec):
    """Rules for hosts."""

    rules: Items[GRPCRouteRule] = ()


class GRPCRoute(Route):
    """gateway.networking.k8s.io GRPCRoute."""

    kind: Literal["GRPCRoute"] = "GRPCRoute"
    spec: GRPCRouteSpec = Field(default_factory=GRPCRouteSpec)
