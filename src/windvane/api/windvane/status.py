"""Own routes about the server itself: what it took in and keeps, the mesh's configuration, its proxies."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import orjson
from pydantic import BaseModel
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.windvane.docs import RouteDoc, documented
from windvane.api.windvane.telemetry import PREFIX


class Ingested(BaseModel):
    """Records of one signal since the server's start; received = stored + refused + in flight."""

    received: int
    stored: int
    refused: int
    in_flight: int


class StoredTable(BaseModel):
    """One table of the store; `bytes` on disk, compressed."""

    name: str
    rows: int
    bytes: int


class StoreStatus(BaseModel):
    """The store; `retention` is by signal, in seconds, null for ever."""

    engine: str
    bytes: int
    tables: list[StoredTable]
    retention: dict[str, float | None]


class FoundProblem(BaseModel):
    """One finding of the mesh's last load; `line`, `column` and `end_column` (not counted) from 1, 0 for none.

    `kiali` is the code that Kiali has for the same, empty for none.
    """

    code: str
    level: Literal["error", "warning", "info"]
    resource: str
    message: str
    file: str
    line: int
    path: str
    kiali: str
    column: int
    end_column: int


class ConfigurationStatus(BaseModel):
    """The mesh's configuration: `version` in force since `loaded_at` (seconds since the epoch);
    `applied` is false while the newest edit is refused and the version before it stays."""

    version: str | None
    loaded_at: float | None
    applied: bool
    services: int
    workloads: int
    findings: list[FoundProblem]


class ServerStatus(BaseModel):
    """The whole status page; `config` is null for a server without a mesh of its own."""

    version: str
    started_at: float
    uptime_seconds: float
    ingest: dict[str, Ingested]
    store: StoreStatus
    config: ConfigurationStatus | None


class ProxyType(BaseModel):
    """One kind of configuration at one proxy, by content hash; `nack_reason` when the newest was rejected."""

    type: Literal["CDS", "EDS", "LDS", "RDS", "SDS"]
    sent: str
    acked: str
    resources: int
    nack_reason: str | None


class Proxy(BaseModel):
    """A proxy that is connected, or that the placement says should be."""

    node_id: str
    workload: str
    namespace: str
    connected: bool
    connected_at: float | None
    synced: bool
    types: list[ProxyType]


class Proxies(BaseModel):
    """Every proxy of the mesh, by node id."""

    proxies: list[Proxy]


def routes(status: Callable[[], ServerStatus], proxies: Callable[[], Proxies]) -> list[BaseRoute]:
    """The routes; both callables may block."""

    def server_status(_: Request) -> Response:
        return _json(status())

    def mesh_proxies(_: Request) -> Response:
        return _json(proxies())

    return [
        documented(
            f"{PREFIX}/status", server_status, RouteDoc("What the server took in, keeps and runs", ServerStatus)
        ),
        documented(f"{PREFIX}/mesh/proxies", mesh_proxies, RouteDoc("Sidecars and whether they are in sync", Proxies)),
    ]


def _json(body: BaseModel) -> Response:
    return Response(orjson.dumps(body.model_dump()), media_type="application/json")
