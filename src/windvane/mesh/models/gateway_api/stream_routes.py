"""gateway.networking.k8s.io `TLSRoute` and `TCPRoute`: connections that are passed on."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import Items, Model
from windvane.mesh.models.gateway_api.references import BackendRef, CommonRouteSpec, HostedRouteSpec, Route


class StreamRouteRule(Model):
    """Destinations by weight."""

    name: str | None = None
    backend_refs: Items[BackendRef] = ()


class TLSRouteSpec(HostedRouteSpec):
    """Rules for connections by the server name they ask for."""

    rules: Items[StreamRouteRule] = ()


class TLSRoute(Route):
    """gateway.networking.k8s.io TLSRoute."""

    kind: Literal["TLSRoute"] = "TLSRoute"
    spec: TLSRouteSpec = Field(default_factory=TLSRouteSpec)


class TCPRouteSpec(CommonRouteSpec):
    """Rules for connections of a port."""

    rules: Items[StreamRouteRule] = ()


class TCPRoute(Route):
    """gateway.networking.k8s.io TCPRoute."""

    kind: Literal["TCPRoute"] = "TCPRoute"
    spec: TCPRouteSpec = Field(default_factory=TCPRouteSpec)
