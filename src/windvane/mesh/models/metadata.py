"""Kubernetes object metadata and the base of every resource."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import Field, PrivateAttr

from windvane.mesh.models.base import Items, Labels, Model


class ObjectMeta(Model):
    """Standard metadata; what a cluster adds to exported objects is accepted and has no meaning here."""

    name: str = ""
    namespace: str = ""
    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)
    creation_timestamp: str = ""
    generate_name: str = ""
    uid: str = ""
    resource_version: str = ""
    generation: int = 0
    self_link: str = ""
    deletion_timestamp: str = ""
    deletion_grace_period_seconds: int = 0
    finalizers: Items[str] = ()
    owner_references: Items[Any] = ()
    managed_fields: Items[Any] = ()


class Resource(Model):
    """A named object of a kind, with the place in the sources it was read from."""

    istio_kind: ClassVar[str] = ""

    api_version: str
    kind: str
    metadata: ObjectMeta
    status: Any = Field(default=None, exclude=True)

    _file: str = PrivateAttr(default="")
    _line: int = PrivateAttr(default=0)
    _namespace: str = PrivateAttr(default="default")

    @property
    def name(self) -> str:
        return self.metadata.name

    @property
    def namespace(self) -> str:
        """The namespace; objects that name none are in the source's default namespace."""
        return self.metadata.namespace or self._namespace

    @property
    def labels(self) -> Labels:
        return self.metadata.labels

    @property
    def annotations(self) -> Labels:
        return self.metadata.annotations

    @property
    def file(self) -> str:
        """The file this was read from, as the user named it (`-` for standard input)."""
        return self._file

    @property
    def line(self) -> int:
        """The line of `file` where the object begins, from 1."""
        return self._line

    @property
    def reference(self) -> str:
        """How findings name it: `Kind namespace/name`."""
        return f"{self.kind} {self.namespace}/{self.name}"

    @property
    def age_key(self) -> tuple[str, str, str]:
        """Istio's precedence between equals: the oldest first, then by name and namespace."""
        return (self.metadata.creation_timestamp or "9999", self.name, self.namespace)

    def locate(self, file: str, line: int, default_namespace: str) -> None:
        """Note where this came from; called once, by the source that read it."""
        self._file, self._line, self._namespace = file, line, default_namespace
