"""Gives every workload of a view its address and ports, and keeps them as the mesh is edited.

Only WorkloadEntries without an address of their own are placed: those with one run elsewhere.
What was given once is never given to another workload while the mesh runs, so that telemetry's
addresses stay unambiguous; a workload that comes back gets its old place back.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import count

from windvane.kit.errors import LimitError
from windvane.kit.values import Address
from windvane.local.addresses import SHARED, Claim, state_directory
from windvane.mesh.inbound import application_ports, listened_ports
from windvane.mesh.placement import Placement, WorkloadPlace
from windvane.mesh.view import MeshView, MeshWorkload

ADMIN_PORT = 15_000
PROXY_PORT = 15_001
APP_PORT = 16_000
OUTBOUND_PORT = 15_100
RELAY_PORT = 17_000


def is_gateway(view: MeshView, workload: MeshWorkload) -> bool:
    """Whether a Gateway selects the workload: it then is a proxy alone, with no application behind it."""
    return bool(gateway_ports(view, workload))


def gateway_ports(view: MeshView, workload: MeshWorkload) -> list[int]:
    """Server port numbers that Gateways ask of this workload, in order of appearance, none twice."""
    ports: dict[int, None] = {}
    for gateway in view.gateways:
        if gateway.picks(workload.labels, workload.namespace):
            ports.update(dict.fromkeys(server.port.number for server in gateway.spec.servers if server.port))
    return list(ports)


def service_keys(view: MeshView) -> list[str]:
    """`"host:port"` of every service port that workloads may call by address."""
    return [
        f"{service.hostname}:{port.number}"
        for service in view.services.values()
        if not service.hostname.startswith("*")
        for port in service.ports
    ]


@dataclass(slots=True)
class Allocator:
    """Remembers every place it gave. `gateway` is where the first port of the first gateway is wanted.

    Workloads in `relayed` (by key) are reached by others through relays.
    """

    claim: Claim
    gateway: Address
    relayed: frozenset[str] = frozenset()
    _given: dict[str, WorkloadPlace] = field(default_factory=dict)
    _taken: dict[str, set[int]] = field(default_factory=dict)

    def restore(self, previous: Placement) -> None:
        """Start from an earlier run's places, as far as they lie in the claimed addresses and are free now."""
        for key, place in previous.places.items():
            ports = {
                place.http_proxy,
                place.admin,
                *place.inbound.values(),
                *place.app.values(),
                *place.relays.values(),
            }
            ports |= set(place.outbound.values())
            mine = self.claim.prefix and place.address.startswith(f"{self.claim.prefix}.")
            if mine and all(self.claim.bindable(place.address, port) for port in ports):
                self._given[key] = place
                self._taken.setdefault(place.address, set()).update(ports)

    def update(self, view: MeshView) -> Placement:
        """The placement of a view: what it had before, extended by what is new in it."""
        services = service_keys(view)
        places = {}
        for workload in sorted(view.workloads.values(), key=lambda w: w.key):
            if not workload.address:
                listens = gateway_ports(view, workload)
                place = self._given.get(workload.key) or self._new_place(gateway=bool(listens))
                ports, own = list(listened_ports(view, workload)), list(application_ports(view, workload))
                place = self._gateway(place, listens) if listens else self._sidecar(place, ports, own, services)
                place = replace(place, relays=self._relays(place) if workload.key in self.relayed else {})
                self._given[workload.key] = place
                places[workload.key] = _only(place, ports, own, services)
        return Placement(places)

    def _new_place(self, *, gateway: bool) -> WorkloadPlace:
        address = self.gateway.host if gateway else self._free_address()
        return WorkloadPlace(address, self._take(address, PROXY_PORT), self._take(address, ADMIN_PORT))

    def _free_address(self) -> str:
        if not self.claim.prefix:
            return SHARED
        used = {place.address for place in self._given.values()}
        return next(address for address in map(self.claim.address, count()) if address not in used)

    def _gateway(self, place: WorkloadPlace, numbers: list[int]) -> WorkloadPlace:
        inbound = dict(place.inbound)
        for number in numbers:
            if number not in inbound:
                inbound[number] = self.claim.visible_port(place.address, self.gateway.port)
        return replace(place, inbound=inbound)

    def _sidecar(self, place: WorkloadPlace, ports: list[int], own: list[int], services: list[str]) -> WorkloadPlace:
        inbound, app, outbound = dict(place.inbound), dict(place.app), dict(place.outbound)
        for port in ports:
            if port not in inbound:
                inbound[port] = self._take(place.address, port)
        for port in own:
            if port not in app:
                app[port] = self._take(place.address, APP_PORT)
        for service in services:
            if service not in outbound:
                outbound[service] = self._take(place.address, OUTBOUND_PORT)
        return replace(place, inbound=inbound, app=app, outbound=outbound)

    def _relays(self, place: WorkloadPlace) -> dict[int, int]:
        return {
            port: place.relays.get(port) or self._take(place.address, RELAY_PORT) for port in place.inbound if place.app
        }

    def _take(self, address: str, wanted: int) -> int:
        """A port of `address` that nobody has: `wanted` or the next above it, or one of the claimed block
        where the address is shared with other meshes."""
        taken = self._taken.setdefault(address, set())
        shared = not address.startswith(f"{self.claim.prefix}.") if self.claim.prefix else True
        for port in self.claim.ports[1:] if shared else range(wanted, 65_536):
            if port not in taken and self.claim.bindable(address, port):
                taken.add(port)
                return port
        raise LimitError(f"no free port from {wanted} up on {address} (claimed: {self.claim.name})")


def _only(place: WorkloadPlace, ports: list[int], own: list[int], services: list[str]) -> WorkloadPlace:
    """The place without what an edit has removed (a gateway keeps its ports: people have them in their browsers)."""
    outbound = {key: place.outbound[key] for key in services if key in place.outbound}
    if not place.app:
        return replace(place, outbound=outbound)
    inbound, app = {port: place.inbound[port] for port in ports}, {port: place.app[port] for port in own}
    relays = {port: relay for port, relay in place.relays.items() if port in inbound}
    return replace(place, inbound=inbound, app=app, outbound=outbound, relays=relays)


@dataclass(slots=True)
class _Nowhere(Claim):
    """Addresses that are only spoken of: nobody holds them, so all of them are free but those spoken of before."""

    spoken: set[tuple[str, int]] = field(default_factory=set)

    def address(self, index: int) -> str:
        return f"{self.prefix}.{index // 250}.{index % 250 + 2}"

    def visible_port(self, host: str, wanted: int) -> int:
        port = next(number for number in count(wanted) if (host, number) not in self.spoken)
        self.spoken.add((host, port))
        return port


def imagined_placement(view: MeshView) -> Placement:
    """Places that workloads could have on this machine, the same for the same view; nothing is claimed."""
    return imagined_placements(view)[0]


def imagined_placements(*views: MeshView) -> list[Placement]:
    """The same of several views of one mesh: a workload of two of them has one place."""
    claim = _Nowhere(state_directory(), "127.80", range(10_000, 11_000), lambda _host, _port: True)
    allocator = Allocator(claim, Address("127.0.0.1", 8080))
    return [allocator.update(view) for view in views]
