"""Where each workload of a mesh without Kubernetes lives on this machine.

The local room decides it (`windvane.local`), the control plane reads it: a placement gives every
sidecar its address and ports, so generated listeners, endpoints and bootstrap agree.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class WorkloadPlace:
    """One workload's address and ports.

    Shapes: `inbound` and `app` map a workload port (the Service's targetPort) to the port the
    sidecar, respectively the application, listens on at `address`; `outbound` maps
    `"<service hostname>:<service port>"` to the port of the sidecar's listener for that service;
    `relays` maps workload ports to those at `address` by which others reach the sidecar's, where not directly.
    """

    address: str
    http_proxy: int
    admin: int
    inbound: Mapping[int, int] = field(default_factory=dict)
    app: Mapping[int, int] = field(default_factory=dict)
    outbound: Mapping[str, int] = field(default_factory=dict)
    relays: Mapping[int, int] = field(default_factory=dict)

    def reached(self, port: int) -> int | None:
        """Where others reach a workload port, or None when its sidecar does not listen for it."""
        return self.relays.get(port) or self.inbound.get(port)


@dataclass(frozen=True, slots=True)
class Placement:
    """All places, keyed by `"<workload>.<namespace>"`."""

    places: Mapping[str, WorkloadPlace] = field(default_factory=dict)

    def place(self, workload: str, namespace: str) -> WorkloadPlace | None:
        """The place of a workload, or None when it has none (yet)."""
        return self.places.get(f"{workload}.{namespace}")

    def to_json(self) -> str:
        return json.dumps({key: asdict(place) for key, place in self.places.items()}, indent=1, sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> Placement:
        return cls({key: _place(value) for key, value in json.loads(text).items()})

    @classmethod
    def load(cls, path: Path) -> Placement:
        return cls.from_json(path.read_text(encoding="utf-8"))


def _place(value: dict[str, Any]) -> WorkloadPlace:
    ports = {name: {int(k): v for k, v in value[name].items()} for name in ("inbound", "app")}
    relays = {int(port): relay for port, relay in value.get("relays", {}).items()}
    return WorkloadPlace(
        address=value["address"],
        http_proxy=value["http_proxy"],
        admin=value["admin"],
        outbound=dict(value["outbound"]),
        inbound=ports["inbound"],
        app=ports["app"],
        relays=relays,
    )
