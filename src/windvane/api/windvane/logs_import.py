"""`POST /api/windvane/v1/logs/import`: access-log entries that were written before, as JSON lines."""

from __future__ import annotations

import orjson
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from windvane.api.bodies import body_of
from windvane.api.windvane.docs import RouteDoc, documented
from windvane.api.windvane.logs_models import Imported
from windvane.api.windvane.telemetry import PREFIX
from windvane.ingest.access_log_import import MESSAGE_BYTES, AccessLogImport
from windvane.kit.errors import BadInputError

_TYPES = ("application/x-ndjson", "application/jsonl")


class ImportedEntry(BaseModel):
    """One line of the body: columns of `envoy_access_logs` by their names, `Timestamp` in nanoseconds (required)."""

    model_config = ConfigDict(extra="allow")

    timestamp_ns: int = Field(alias="Timestamp")


_IMPORT = RouteDoc(
    "Import access-log entries",
    Imported,
    description="JSON lines (`application/x-ndjson`, up to 16 MiB, Content-Encoding gzip or zstd): one entry each. "
    "All of a body are stored or none. They can be searched; metrics do not count them.",
    body=ImportedEntry,
)


def routes(imports: AccessLogImport) -> list[BaseRoute]:
    """The route."""

    async def receive(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in _TYPES:  # a page of another origin cannot send these without being asked
            raise BadInputError(f"content type {kind!r}: expected {_TYPES[0]}")
        try:
            body = await body_of(request, MESSAGE_BYTES)
        except ClientDisconnect:
            return Response(status_code=400)
        stored = await imports.receive(body, request.headers.get("content-encoding", ""))
        return Response(orjson.dumps({"stored": stored}), media_type="application/json")

    return [documented(f"{PREFIX}/logs/import", receive, _IMPORT)]
