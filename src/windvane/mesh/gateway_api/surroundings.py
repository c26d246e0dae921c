"""What routes and Gateways are translated against: services, namespaces, grants."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from windvane.mesh.models import Namespace, Resource, Secret, Service, ServiceEntry, gateway_api
from windvane.mesh.models.gateway_api.gateway import LabelSelectorRequirement, NamespaceSelector
from windvane.mesh.view import MeshService, MeshWorkload

R = TypeVar("R", bound=Resource)

_NAME = "kubernetes.io/metadata.name"
"""The label that Kubernetes gives every namespace."""


@dataclass(frozen=True, slots=True)
class Surroundings:
    """`services` by host name, `entries` are hosts of ServiceEntries and `selectors` those of Services, both by
    `(namespace, name)`; `namespaces` are labels by name, of those that files have an object for."""

    domain: str
    services: Mapping[str, MeshService]
    entries: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    selectors: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    namespaces: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    grants: tuple[gateway_api.ReferenceGrant, ...] = ()
    secrets: Mapping[str, Secret] = field(default_factory=dict, repr=False)
    workloads: Sequence[MeshWorkload] = ()

    @classmethod
    def of(
        cls,
        resources: Sequence[Resource],
        services: Mapping[str, MeshService],
        domain: str,
        secrets: Mapping[str, Secret],
        workloads: Sequence[MeshWorkload],
    ) -> Surroundings:
        return cls(
            domain=domain,
            services=services,
            entries={(item.namespace, item.name): item.spec.hosts for item in each(resources, ServiceEntry)},
            selectors={(item.namespace, item.name): item.spec.selector for item in each(resources, Service)},
            namespaces={item.name: item.labels for item in each(resources, Namespace)},
            grants=tuple(each(resources, gateway_api.ReferenceGrant)),
            secrets=secrets,
            workloads=workloads,
        )

    def service_host(self, namespace: str, name: str) -> str:
        """The host of a Kubernetes Service."""
        return f"{name}.{namespace}.svc.{self.domain}"

    def is_granted(self, group_kind: tuple[str, str], namespace: str, to: tuple[str, str, str, str]) -> bool:
        """Whether a kind (group and name) in a namespace may refer to an object: its group, kind, namespace, name."""
        group, kind, owner, name = to
        return any(
            grant.namespace == owner
            and any((one.group, one.kind, one.namespace) == (*group_kind, namespace) for one in grant.spec.from_)
            and any((one.group, one.kind) == (group, kind) and one.name in (None, name) for one in grant.spec.to)
            for grant in self.grants
        )

    def is_selected(self, namespace: str, selector: NamespaceSelector) -> bool:
        """Whether a namespace's labels meet a selector; one that no file has an object for has its name alone."""
        labels = {**self.namespaces.get(namespace, {}), _NAME: namespace}
        return selector.match_labels.items() <= labels.items() and all(
            _meets(labels, one) for one in selector.match_expressions
        )


def _meets(labels: Mapping[str, str], wanted: LabelSelectorRequirement) -> bool:
    if wanted.operator in ("Exists", "DoesNotExist"):
        return (wanted.key in labels) == (wanted.operator == "Exists")
    return (labels.get(wanted.key) in wanted.values) == (wanted.operator == "In")


def each(resources: Iterable[Resource], kind: type[R]) -> list[R]:
    """The resources of a kind."""
    return [item for item in resources if isinstance(item, kind)]
