"""What Gateway API's kinds share: references to parents and backends, durations, the base of routes."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field
from pydantic_core import PydanticCustomError

from windvane.mesh.models.base import Int32, Items, Model, Seconds, UInt32
from windvane.mesh.models.metadata import Resource

_DURATION = re.compile(r"([0-9]{1,5}(h|m|s|ms)){1,4}")

Port = UInt32


def _gateway_duration(value: object) -> object:
    """The part of Go's durations that the API takes (GEP-2257): at most four numbers of five digits."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise PydanticCustomError(
            "duration", "not a duration: {value} (expected for example 10s, 250ms, 1h30m)", {"value": repr(value)}
        )
    return value


Duration = Annotated[Seconds, BeforeValidator(_gateway_duration)]
"""Seconds."""


class ParentReference(Model):
    """What a route attaches to: a Gateway (one listener of it by `section_name`, those of a `port`), or a Service."""

    group: str = "gateway.networking.k8s.io"
    kind: str = "Gateway"
    namespace: str | None = None
    name: str
    section_name: str | None = None
    port: Port | None = None


class BackendObjectReference(Model):
    """An object that requests go to; of the route's own namespace unless it says."""

    group: str = ""
    kind: str = "Service"
    name: str
    namespace: str | None = None
    port: Port | None = None


class BackendRef(BackendObjectReference):
    """A destination with its relative weight."""

    weight: Int32 = 1


class LocalObjectReference(Model):
    """An object of the same namespace."""

    group: str
    kind: str
    name: str


class CookieConfig(Model):
    """How long the cookie of a session lives."""

    lifetime_type: Literal["Permanent", "Session"] = "Session"


class SessionPersistence(Model):
    """Requests of one session to one endpoint. Istio does not act on it."""

    session_name: str = ""
    absolute_timeout: Duration | None = None
    idle_timeout: Duration | None = None
    type: Literal["Cookie", "Header"] = "Cookie"
    cookie_config: CookieConfig | None = None


class CommonRouteSpec(Model):
    """What every route says of its parents."""

    parent_refs: Items[ParentReference] = ()
    use_default_gateways: str = ""


class HostedRouteSpec(CommonRouteSpec):
    """A route that is for host names; for all of its listeners where it names none."""

    hostnames: Items[str] = ()


class Route(Resource):
    """A route of any kind."""

    spec: CommonRouteSpec = Field(default_factory=CommonRouteSpec)
