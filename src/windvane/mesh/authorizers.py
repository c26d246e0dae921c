"""External authorizers: which of the mesh's `extensionProviders` a policy with action CUSTOM means, and where it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from windvane.mesh.models import ExtensionProvider
from windvane.mesh.view import MeshService, MeshView, ServicePort


@dataclass(frozen=True, slots=True)
class Located:
    """A provider with the service that answers for it."""

    provider: ExtensionProvider
    service: MeshService
    port: ServicePort


def located(view: MeshView, name: str, services: Mapping[str, MeshService] | None = None) -> Located | str:
    """The external authorizer of that name, among the services that a client knows; or why it cannot be asked."""
    known = view.services if services is None else services
    provider = (view.extension_providers or {}).get(name)
    if provider is None:
        names = ", ".join(sorted(view.extension_providers or {})) or "none"
        return f"the mesh's configuration has no extensionProvider {name!r} (there are: {names})"
    if provider.authorizer is None:
        return f"extensionProvider {name!r} is none of envoyExtAuthzHttp and envoyExtAuthzGrpc"
    namespace, _, host = provider.authorizer.service.rpartition("/")
    service = known.get(host)
    if service is None or (namespace and service.namespace != namespace):
        return f"extensionProvider {name!r} is service {provider.authorizer.service!r}, which is not known"
    port = next((port for port in service.ports if port.number == provider.authorizer.port), None)
    if port is None:
        ports = ", ".join(str(port.number) for port in service.ports) or "none"
        return f"extensionProvider {name!r} is port {provider.authorizer.port} of {host}, which has: {ports}"
    return Located(provider, service, port)
