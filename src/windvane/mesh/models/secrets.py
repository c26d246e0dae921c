"""Kubernetes `Secret`: keys and certificates that Gateways and DestinationRules name as `credentialName`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from windvane.mesh.models.base import Labels
from windvane.mesh.models.metadata import Resource


class Secret(Resource):
    """A Kubernetes Secret (core v1): `data` in base64, or `string_data` as it is. Neither is ever shown."""

    kind: Literal["Secret"] = "Secret"
    type: str = "Opaque"
    data: Labels = Field(default_factory=dict, repr=False)
    string_data: Labels = Field(default_factory=dict, repr=False)
    immutable: bool = False
    sops: Any = Field(default=None, exclude=True, repr=False)
    """What SOPS leaves in a Secret that it has encrypted: such a one holds nothing that can be used here."""
