"""What a workload serves: the ports of its services, and what a Sidecar's `ingress` makes of them.

A Sidecar's `ingress` listeners say what is spoken on their ports and where the application is; connections to other
ports are passed to the application as they are.
"""

from __future__ import annotations

from windvane.mesh.models import ConnectionPoolSettings, ServerTLSSettings, Sidecar
from windvane.mesh.models.sidecar import IstioIngressListener
from windvane.mesh.protocols import port_protocol
from windvane.mesh.resolve import endpoint_port, mtls_mode, sidecar_for
from windvane.mesh.view import MeshView, MeshWorkload

_ENDED = ("SIMPLE", "MUTUAL", "OPTIONAL_MUTUAL")
UNIX = "unix://"
"""What the address of a Unix domain socket begins with; `unix://@name` is an abstract one."""


def ingress_of(view: MeshView, workload: MeshWorkload) -> dict[int, IstioIngressListener]:
    """The listeners that a workload's Sidecar lists, by port; none: its services decide."""
    sidecar = _sidecar(view, workload)
    listeners = sidecar.spec.ingress if sidecar is not None else ()
    return {each.port.number: each for each in reversed(listeners) if each.port is not None}


def _sidecar(view: MeshView, workload: MeshWorkload) -> Sidecar | None:
    return view.derive(("sidecar of", workload.key), lambda: sidecar_for(view, workload))


def inbound_pool(view: MeshView, workload: MeshWorkload, port: int) -> ConnectionPoolSettings | None:
    """Limits that a Sidecar sets for connections to the application: the port's own, else the Sidecar's."""
    sidecar = _sidecar(view, workload)
    if sidecar is None:
        return None
    own = ingress_of(view, workload).get(port)
    return (own.connection_pool if own else None) or sidecar.spec.inbound_connection_pool


def ended_tls(view: MeshView, workload: MeshWorkload, port: int) -> ServerTLSSettings | None:
    """How the proxy ends TLS from outside of the mesh on a port: as in Istio only where mutual TLS is switched off."""
    listed = ingress_of(view, workload).get(port)
    settings = listed.tls if listed is not None else None
    if settings is None or settings.mode not in _ENDED or mtls_mode(view, workload, port) != "DISABLE":
        return None
    return settings


def listener_protocol(listener: IstioIngressListener) -> str:
    """The protocol of an ingress listener, as ServicePort has it."""
    return port_protocol(listener.port.protocol) if listener.port is not None else "tcp"


def target_of(listener: IstioIngressListener) -> int | str:
    """Where an ingress listener sends connections: a port of the workload, or a Unix domain socket."""
    assert listener.port is not None
    text = listener.default_endpoint
    if text.startswith(UNIX):
        return text
    port = text.rpartition(":")[2]
    return int(port) if port.isdecimal() else listener.port.number


def listened_ports(view: MeshView, workload: MeshWorkload) -> dict[int, str]:
    """Ports that the workload is reached at, with their protocols: those of its services and of its Sidecar."""
    ports = _service_ports(view, workload)
    listed = ingress_of(view, workload)
    return ports | {number: listener_protocol(each) for number, each in listed.items()}


def application_ports(view: MeshView, workload: MeshWorkload) -> dict[int, str]:
    """Ports that the application itself listens on, with their protocols."""
    ports, listed = _service_ports(view, workload), ingress_of(view, workload)
    own = {number: protocol for number, protocol in ports.items() if number not in listed}
    for each in listed.values():
        target = target_of(each)
        if isinstance(target, int):
            own.setdefault(target, listener_protocol(each))
    return own


def _service_ports(view: MeshView, workload: MeshWorkload) -> dict[int, str]:
    ports: dict[int, str] = {}
    for service in view.services.values():
        if workload.key in service.workloads:
            for port in service.ports:
                ports.setdefault(endpoint_port(workload, port), port.protocol)
    return ports
