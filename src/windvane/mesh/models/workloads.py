"""Kubernetes workloads and their namespaces: of a Deployment, a Pod, … a mesh reads who its pods are and where they
listen.

All else of a pod is between its author and Kubernetes, so fields unknown here are let through.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import ConfigDict, Field

from windvane.mesh.models.base import Items, Labels, Model, UInt32
from windvane.mesh.models.metadata import Resource


class _Partial(Model):
    """A message of which a few fields are read."""

    model_config = ConfigDict(extra="ignore")


class ContainerPort(_Partial):
    """A port that a container listens on."""

    name: str = ""
    container_port: UInt32 = 0


class SecurityContext(_Partial):
    """The user that a pod or a container runs as."""

    run_as_user: int | None = None


class Container(_Partial):
    """A container's ports and user."""

    name: str = ""
    ports: Items[ContainerPort] = ()
    security_context: SecurityContext | None = None


class PodSpec(_Partial):
    """Identity, ports and user of a pod."""

    service_account_name: str = ""
    containers: Items[Container] = ()
    security_context: SecurityContext | None = None


class PodTemplateMeta(_Partial):
    """Labels and annotations that every pod of a controller has."""

    labels: Labels = Field(default_factory=dict)
    annotations: Labels = Field(default_factory=dict)


class PodTemplate(_Partial):
    """What a controller makes pods from."""

    metadata: PodTemplateMeta = Field(default_factory=PodTemplateMeta)
    spec: PodSpec = Field(default_factory=PodSpec)


class ControllerSpec(_Partial):
    """A controller of pods."""

    template: PodTemplate = Field(default_factory=PodTemplate)


class PodOwner(Resource):
    """A kind that has pods: each object of it is one workload."""

    @property
    def pods(self) -> PodTemplate:
        """What its pods are."""
        raise NotImplementedError


class _Controller(PodOwner):
    spec: ControllerSpec = Field(default_factory=ControllerSpec)

    @property
    def pods(self) -> PodTemplate:
        return self.spec.template


class Deployment(_Controller):
    """apps Deployment."""

    kind: Literal["Deployment"] = "Deployment"


class StatefulSet(_Controller):
    """apps StatefulSet."""

    kind: Literal["StatefulSet"] = "StatefulSet"


class DaemonSet(_Controller):
    """apps DaemonSet."""

    kind: Literal["DaemonSet"] = "DaemonSet"


class ReplicaSet(_Controller):
    """apps ReplicaSet."""

    kind: Literal["ReplicaSet"] = "ReplicaSet"


class Pod(PodOwner):
    """A single pod (core v1)."""

    kind: Literal["Pod"] = "Pod"
    spec: PodSpec = Field(default_factory=PodSpec)

    @property
    def pods(self) -> PodTemplate:
        return PodTemplate(metadata=PodTemplateMeta(labels=self.labels, annotations=self.annotations), spec=self.spec)


class Namespace(Resource):
    """A Kubernetes Namespace (core v1): that it exists is all that is read of it."""

    kind: Literal["Namespace"] = "Namespace"
    spec: Any = None

    @property
    def namespace(self) -> str:
        """Its own name: it stands in no other."""
        return self.name

    @property
    def reference(self) -> str:
        return f"{self.kind} {self.name}"
