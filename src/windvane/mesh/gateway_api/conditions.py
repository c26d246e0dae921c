"""Conditions: what Istio's controller says of Gateway API's resources in their status."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from windvane.mesh.models import Resource
from windvane.mesh.yaml_source import Path


class Key(NamedTuple):
    """A resource, among those of this API."""

    kind: str
    namespace: str
    name: str


def key_of(resource: Resource) -> Key:
    return Key(resource.kind, resource.namespace, resource.name)


@dataclass(frozen=True, slots=True)
class Condition:
    """A condition that is false, of a resource, one of its listeners or one of its parents.

    `type` and `reason` are the API's words; `code` is the finding's; `path` the field that it is about.
    """

    of: Key
    code: str
    type: str
    reason: str
    message: str
    path: Path

    @property
    def text(self) -> str:
        """As findings say it."""
        return f"{self.type} is false ({self.reason}): {self.message}"
