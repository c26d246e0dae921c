"""security.istio.io `PeerAuthentication`: which transport security a workload accepts."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from windvane.mesh.models.base import LabelSelector, Model
from windvane.mesh.models.metadata import Resource

MTLSMode = Literal["UNSET", "DISABLE", "PERMISSIVE", "STRICT"]


class MutualTLS(Model):
    """What a port accepts: only mTLS, only plaintext, or both."""

    mode: MTLSMode = "UNSET"


def _port_number(value: object) -> object:
    """Port keys may be written as YAML integers; the map's own keys are strings of digits."""
    return int(value) if isinstance(value, str) and value.isdecimal() else value


class PeerAuthenticationSpec(Model):
    """A mode for the selected workloads, and for single ports of theirs."""

    selector: LabelSelector | None = None
    mtls: MutualTLS | None = None
    port_level_mtls: dict[Annotated[int, BeforeValidator(_port_number)], MutualTLS] = Field(default_factory=dict)


class PeerAuthentication(Resource):
    """security.istio.io PeerAuthentication."""

    kind: Literal["PeerAuthentication"] = "PeerAuthentication"
    spec: PeerAuthenticationSpec = Field(default_factory=PeerAuthenticationSpec)
