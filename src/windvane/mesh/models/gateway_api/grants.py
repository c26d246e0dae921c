"""gateway.networking.k8s.io `ReferenceGrant`: what other namespaces may refer to."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from windvane.mesh.models.base import Items, Model
from windvane.mesh.models.metadata import Resource


class ReferenceGrantFrom(Model):
    """Who may refer: a kind in a namespace."""

    group: str
    kind: str
    namespace: str


class ReferenceGrantTo(Model):
    """What may be referred to: a kind, or one object of it."""

    group: str
    kind: str
    name: str | None = None


class ReferenceGrantSpec(Model):
    """Each of `from` may refer to each of `to` in the grant's own namespace."""

    from_: Items[ReferenceGrantFrom] = Field(default=(), alias="from")
    to: Items[ReferenceGrantTo] = ()


class ReferenceGrant(Resource):
    """gateway.networking.k8s.io ReferenceGrant."""

    kind: Literal["ReferenceGrant"] = "ReferenceGrant"
    spec: ReferenceGrantSpec = Field(default_factory=ReferenceGrantSpec)
