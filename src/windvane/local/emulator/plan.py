"""What the emulator process reads: a JSON file with one entry a workload, written by the supervisor.

The file is replaced as a whole when the mesh is edited; the process watches it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import orjson

from windvane.local.emulator.trouble import NO_TROUBLE, Trouble


@dataclass(frozen=True, slots=True)
class EmulatedWorkload:
    """One application: where it listens (`ports`: port → http, grpc or tcp), and how it reaches others.

    `outbound` maps `"<service hostname>:<port>"` to the sidecar's listener for it on `address`; `relays` maps
    ports on `address` at which others reach the sidecar to the sidecar's own.
    """

    name: str
    namespace: str
    address: str
    http_proxy: int
    ports: Mapping[int, str]
    outbound: Mapping[str, int]
    emulate: str
    trouble: Trouble = NO_TROUBLE
    relays: Mapping[int, int] = field(default_factory=dict)

    @property
    def key(self) -> str:
        return f"{self.name}.{self.namespace}"

    def listener(self, host: str, port: int) -> int | None:
        """The sidecar's port for a service named as people name it: short, with namespace, or in full."""
        for full in (host, f"{host}.svc.cluster.local", f"{host}.{self.namespace}.svc.cluster.local"):
            if f"{full}:{port}" in self.outbound:
                return self.outbound[f"{full}:{port}"]
        return None


@dataclass(frozen=True, slots=True)
class EmulatorPlan:
    """Everything the process runs, by `"<workload>.<namespace>"`."""

    workloads: Mapping[str, EmulatedWorkload] = field(default_factory=dict)

    def to_json(self) -> bytes:
        entries = {key: asdict(workload) for key, workload in self.workloads.items()}
        return orjson.dumps(entries, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)

    @classmethod
    def load(cls, path: Path) -> EmulatorPlan:
        entries = orjson.loads(path.read_bytes())
        return cls({key: _workload(entry) for key, entry in entries.items()})


def _workload(entry: dict[str, Any]) -> EmulatedWorkload:
    ports = {int(port): protocol for port, protocol in entry.pop("ports").items()}
    relays = {int(port): target for port, target in entry.pop("relays").items()}
    trouble = entry.pop("trouble")
    found = Trouble(**{**trouble, "repeated": tuple(trouble["repeated"])})
    return EmulatedWorkload(ports=ports, relays=relays, trouble=found, **entry)
