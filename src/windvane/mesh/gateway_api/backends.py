"""Where a route sends: backends made into destinations, and what is wrong with them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

from windvane.mesh import hosts
from windvane.mesh.gateway_api.conditions import Condition, key_of
from windvane.mesh.gateway_api.surroundings import Surroundings
from windvane.mesh.models import Destination, PortSelector, gateway_api
from windvane.mesh.view import MeshService
from windvane.mesh.yaml_source import Path

B = TypeVar("B", bound=gateway_api.BackendRef)

_CODES = {
    "BackendNotFound": "WV0508",
    "RefNotPermitted": "WV0509",
    "InvalidKind": "WV0510",
    "InvalidDestination": "WV0510",
    "InvalidFilter": "WV0511",
}
NOWHERE = Destination()
"""What is sent here gets 500: the destination that a route names must not or cannot be used."""


class UnsupportedFilterError(Exception):
    """Istio does not have a filter that a route asks for: none of the route's rules takes effect."""


@dataclass(slots=True)
class Backends:
    """The destinations of one route, found one by one; `conditions` grow with what is wrong.

    Grants are asked for at Gateways; in the mesh the route is the client's own word.
    """

    route: gateway_api.Route
    around: Surroundings
    asks_for_grants: bool
    conditions: list[Condition] = field(default_factory=list)

    def destination(self, ref: gateway_api.BackendObjectReference, path: Path) -> Destination:
        """Istio's destination; `NOWHERE` where it must not be used."""
        namespace = self.route.namespace if ref.namespace is None else ref.namespace
        if self.asks_for_grants and namespace != self.route.namespace and not self._is_granted(ref, namespace):
            words = f"backendRef {ref.name}/{namespace} not accessible to a {self.route.kind} in namespace "
            words += f'"{self.route.namespace}" (missing a ReferenceGrant?)'
            return self._nowhere("RefNotPermitted", words, path)
        host = self._host(ref, namespace)
        if not host:
            words = f'referencing unsupported backendRef: group "{ref.group}" kind "{ref.kind}"'
            return self._nowhere("InvalidKind", words, path)
        service = self._service(host)
        if service is None:
            self.tell("BackendNotFound", f"backend({host}) not found", path)
        elif service.ports and ref.port not in [port.number for port in service.ports]:
            self.tell("BackendNotFound", f"backend({host}) has no port {ref.port}", (*path, "port"))
        return Destination(host=host, port=PortSelector(number=ref.port or 0))

    def tell(self, reason: str, message: str, path: Path) -> None:
        """Note that something which the route refers to is not there or not to be used."""
        found = Condition(key_of(self.route), _CODES[reason], "ResolvedRefs", reason, message, path)
        if found not in self.conditions:
            self.conditions.append(found)

    def refuse_filter(self, kind: str, path: Path) -> UnsupportedFilterError:
        """Note a filter that Istio does not have; to be raised."""
        self.tell("InvalidFilter", f'unsupported filter type "{kind}"', path)
        return UnsupportedFilterError(kind)

    def _nowhere(self, reason: str, message: str, path: Path) -> Destination:
        self.tell(reason, message, path)
        return NOWHERE

    def _is_granted(self, ref: gateway_api.BackendObjectReference, namespace: str) -> bool:
        own = (gateway_api.GROUP, self.route.kind)
        return self.around.is_granted(own, self.route.namespace, (ref.group, ref.kind, namespace, ref.name))

    def _host(self, ref: gateway_api.BackendObjectReference, namespace: str) -> str:
        if (ref.group, ref.kind) in (("", "Service"), ("multicluster.x-k8s.io", "ServiceImport")):
            return self.around.service_host(namespace, ref.name)
        return ref.name if (ref.group, ref.kind) == ("networking.istio.io", "Hostname") else ""

    def _service(self, host: str) -> MeshService | None:
        known = self.around.services
        wildcards = (name for name in known if name.startswith("*"))
        return known.get(host) or known.get(hosts.most_specific(wildcards, host) or "")


def used(refs: Sequence[B]) -> list[tuple[int, B]]:
    """The backends that get anything, with their places: those of weight 0 do not."""
    return [(index, ref) for index, ref in enumerate(refs) if ref.weight > 0]
