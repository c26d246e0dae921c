"""Access-log entries that were written before, as JSON lines: into the store for search, not into metrics.

Such an entry has the commit number 0, below every watermark: Istio's metrics count what happens now, and an old
line must not make a counter jump. Its `Received` is the time of the import, so it is kept as long as others.
"""

from __future__ import annotations

from windvane.ingest.accounting import ACCESS_LOGS, Accounting
from windvane.ingest.compression import decompress
from windvane.kit.errors import BadInputError, WindvaneError
from windvane.store.api import PayloadInsert
from windvane.store.commit import GroupCommit, Kind

KIND = "imported_access_logs"
MESSAGE_BYTES = 16 << 20

_TEXTS = (
    "NodeId", "LogName", "Reporter", "Kind", "LogType", "StreamId", "Protocol", "HttpVersion", "Method", "Scheme",
    "Authority", "Path", "RouteName", "ResponseCodeDetails", "ResponseFlags", "GrpcStatus", "RequestId", "TraceId",
    "UserAgent", "ForwardedFor", "UpstreamCluster", "UpstreamHost", "UpstreamLocalAddress", "DownstreamLocalAddress",
    "DownstreamRemoteAddress", "DownstreamDirectRemoteAddress", "RequestedServerName", "PeerPrincipal",
    "LocalPrincipal", "UpstreamPeerPrincipal", "UpstreamFailure", "DownstreamFailure", "TerminationDetails",
)  # fmt: skip
_NUMBERS = {
    "ResponseCode": "UInt16",
    "DurationNs": "UInt64",
    "UpstreamServiceTimeMs": "UInt32",
    "RequestBytes": "UInt64",
    "ResponseBytes": "UInt64",
    "BodyReceived": "UInt64",
    "BodySent": "UInt64",
    "UpstreamAttempts": "UInt32",
}
_MAPS = ("RequestHeaders", "ResponseHeaders", "ResponseTrailers", "Tags")
_TYPES = {**dict.fromkeys(_TEXTS, "String"), **_NUMBERS, **dict.fromkeys(_MAPS, "Map(String, String)")}
COLUMNS = ("Timestamp", *_TYPES)
"""Keys of an entry; `Timestamp` is nanoseconds since the epoch, the others are as `envoy_access_logs` has them."""


def kind() -> Kind:
    """The group commit's kind of imported access logs."""
    columns = ("Commit", "Received", *COLUMNS)
    select = (
        "SELECT toUInt64(0) AS `Commit`, now64(3) AS Received, fromUnixTimestamp64Nano(Time) AS Timestamp, "
        f"{', '.join(_TYPES)} FROM (SELECT * EXCEPT Timestamp, Timestamp AS Time FROM {{source}})"
        " WHERE NOT throwIf(Time <= 0, 'an entry has no time')"
    )
    structure = ", ".join(f"{name} {type_}" for name, type_ in {"Timestamp": "Int64", **_TYPES}.items())
    settings: dict[str, str | int] = {
        "input_format_skip_unknown_fields": 0,
        "exclude_materialize_skip_indexes_on_insert": "words",
    }
    insert = PayloadInsert("envoy_access_logs", columns, select, "JSONEachRow", structure, settings)
    return Kind(KIND, lambda _: insert, eager=True)


class AccessLogImport:
    """Stores JSON lines of entries."""

    def __init__(self, commit: GroupCommit, accounting: Accounting) -> None:
        self._commit = commit
        self._accounting = accounting

    async def receive(self, body: bytes, encoding: str) -> int:
        """Store all entries of a body, or none of them; how many.

        `BadInputError` for what is no entry, `LimitError` for too many bytes, `OverloadedError` when full.
        """
        try:
            payload = decompress(body, encoding, MESSAGE_BYTES)
            if not payload.endswith(b"\n"):
                payload += b"\n"
            entries = sum(1 for line in payload.splitlines() if line.strip())
            if not entries:
                raise BadInputError("there is no entry in the body")
        except WindvaneError as error:
            self._accounting.received(ACCESS_LOGS, "import", 1)
            self._accounting.refused(ACCESS_LOGS, error.kind, 1)
            raise
        with self._accounting.handling(ACCESS_LOGS, "import", entries):
            return await self._commit.submit(KIND, payload, entries)
