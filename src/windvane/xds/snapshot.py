"""Everything configuration is made from, frozen: the mesh, where it runs, and the settings.

A generator is a pure function of a proxy and a snapshot. Values that many proxies share are
derived once a snapshot through `Snapshot.derive`.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import TypeVar, cast

from windvane.kit.values import Address
from windvane.mesh.placement import Placement
from windvane.mesh.view import MeshView
from windvane.xds.proxy import Proxy, role_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class MeshSettings:
    """What every proxy of the mesh is told.

    `ads` and `collector` are addresses of Windvane's gRPC listeners (the collector takes OTLP and
    Envoy access logs). `sampling` is the percentage of traces kept where no Telemetry says.
    `tcp_report_interval` (seconds) is how often an open TCP connection reports its bytes. `ads_token` is
    what a proxy must know to be given a workload's configuration and keys; "" asks for nothing.
    """

    ads: Address = Address("127.0.0.1", 15010)
    collector: Address = Address("127.0.0.1", 4317)
    mesh_id: str = "cluster.local"
    sampling: float = 1.0
    tcp_report_interval: float = 5.0
    connect_timeout: float = 10.0
    ads_token: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One moment of the mesh; `derive` remembers values computed from this snapshot alone."""

    view: MeshView
    placement: Placement
    settings: MeshSettings
    _derived: dict[Hashable, object] = field(default_factory=dict, compare=False, repr=False)

    def proxy(self, key: str) -> Proxy | None:
        """The proxy of workload `"<name>.<namespace>"`; None while it has no workload or place."""
        workload, place = self.view.workloads.get(key), self.placement.places.get(key)
        if workload is None or place is None:
            return None
        return Proxy(role_of(self.view, workload), workload, place)

    def derive(self, key: Hashable, make: Callable[[], T]) -> T:
        """`make()`, once a snapshot for a key; the key must name every input that is not the snapshot."""
        if key not in self._derived:
            self._derived[key] = make()
        return cast("T", self._derived[key])
