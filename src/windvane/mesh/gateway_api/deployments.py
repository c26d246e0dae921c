"""The Services that Istio's controller makes for Gateways: how the mesh reaches one, such as a gateway for egress."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from windvane.mesh.gateway_api.semantics import ListenerGateway
from windvane.mesh.protocols import named_protocol
from windvane.mesh.view import MeshService, MeshView, MeshWorkload, ServicePort


def deployed_services(
    gateways: Sequence[ListenerGateway], workloads: Iterable[MeshWorkload], domain: str
) -> dict[str, MeshService]:
    """By host name, a Service for each Gateway that the controller deploys, with a port for each of its listeners'."""
    found: dict[str, MeshService] = {}
    known = list(workloads)
    for gateway in (one for one in gateways if one.managed):
        name, namespace = gateway.deployment, gateway.workload_namespace
        host = f"{name}.{namespace}.svc.{domain}"
        picked = tuple(one.key for one in known if gateway.picks(one.labels, one.namespace))
        service = found.get(host) or MeshService(host, name, namespace, (), workloads=picked)
        found[host] = replace(service, ports=_with_ports(service.ports, gateway))
    return found


def with_workload(view: MeshView, gateway: ListenerGateway, workload: MeshWorkload) -> dict[str, MeshService]:
    """The services of a view, with a workload behind the one that is deployed with it."""
    return {
        host: replace(service, workloads=(*service.workloads, workload.key))
        if gateway.managed and (service.name, service.namespace) == (gateway.deployment, workload.namespace)
        else service
        for host, service in view.services.items()
    }


def _with_ports(ports: tuple[ServicePort, ...], gateway: ListenerGateway) -> tuple[ServicePort, ...]:
    taken = {port.number for port in ports}
    listener = gateway.name.rpartition("gateway-")[2]
    added = [
        ServicePort(server.port.number, listener, named_protocol(server.port.protocol) or "tcp", server.port.number)
        for server in gateway.spec.servers
        if server.port is not None and server.port.number not in taken
    ]
    return (*ports, *added)
