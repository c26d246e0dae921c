"""Access-log entries: those of one request, or of a service in a time window.

A request is followed by its trace id and by its request id: the entries that share either with an
entry already found belong to the same request, so a proxy that lost one of the two is still in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from windvane.store.api import Engine
from windvane.tracing.filters.sql import Conditions

MAX_ENTRIES = 10_000

_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class EntryQuery:
    """Which entries: all given conditions hold; times are nanoseconds, inclusive.

    `service` is a service's short name (entries of calls to it, by either side's proxy);
    `namespace` alone means every entry that a proxy of the namespace wrote or that went to one of
    its services.
    """

    trace_id: str = ""
    request_id: str = ""
    service: str = ""
    namespace: str = ""
    start_ns: int | None = None
    end_ns: int | None = None
    limit: int = 100


def find_entries(engine: Engine, query: EntryQuery) -> list[dict[str, Any]]:
    """Entries newest first (those of one request in the order of their start), keys in snake_case.

    Times are ISO 8601 with nanoseconds, in UTC; all else keeps the column's type.
    """
    where = Conditions()
    one_request = bool(query.trace_id or query.request_id)
    if one_request:
        where.add(_same_request(where, query))
    _bound(where, query)
    if query.service or query.namespace:
        where.add(service_entries(where, query.service, query.namespace))
    frame = engine.query(
        f"SELECT * EXCEPT Commit FROM envoy_access_logs WHERE {where}"
        f" ORDER BY Timestamp {'ASC' if one_request else 'DESC'} LIMIT {min(query.limit, MAX_ENTRIES)}",
        where.params,
    )
    return as_entries(frame)


def as_entries(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows of `envoy_access_logs` with keys in snake_case."""
    names = [_WORD.sub("_", str(column)).lower() for column in frame.columns]
    columns = [_plain(frame[column]) for column in frame.columns]
    return [dict(zip(names, row, strict=True)) for row in zip(*columns, strict=True)]


def _plain(column: pd.Series[Any]) -> list[Any]:
    """A column's values; times as ISO 8601 with all their digits, in UTC."""
    if column.dtype.kind != "M":
        return column.tolist()
    moments = column.to_numpy().astype("datetime64[ns]")
    return [f"{moment}Z" for moment in np.datetime_as_string(moments).tolist()]


def _same_request(where: Conditions, query: EntryQuery) -> str:
    known = []
    if query.trace_id:
        known.append(f"TraceId = {where.bind(query.trace_id)}")
    if query.request_id:
        known.append(f"RequestId = {where.bind(query.request_id)}")
    direct = " OR ".join(known)
    seed = f"FROM envoy_access_logs WHERE ({direct})"
    return (
        f"({direct} OR RequestId IN (SELECT RequestId {seed} AND RequestId != '')"
        f" OR TraceId IN (SELECT TraceId {seed} AND TraceId != ''))"
    )


def _bound(where: Conditions, query: EntryQuery) -> None:
    if query.start_ns is not None:
        where.add(f"Timestamp >= fromUnixTimestamp64Nano({where.bind(query.start_ns, 'Int64')})")
    if query.end_ns is not None:
        where.add(f"Timestamp <= fromUnixTimestamp64Nano({where.bind(query.end_ns, 'Int64')})")


def service_entries(where: Conditions, service: str, namespace: str) -> str:
    """Calls to the service: by the cluster's host on the caller's side, by host and node on its own."""
    called = "splitByChar('.', splitByChar('|', UpstreamCluster)[4])"
    asked = "splitByChar('.', splitByChar(':', Authority)[1])"
    node = "splitByChar('.', splitByChar('~', NodeId)[3])"
    outgoing, incoming = [f"{called}[1] != ''"], ["Reporter = 'destination'"]
    if namespace:
        space = where.bind(namespace)
        outgoing.append(f"{called}[2] = {space}")
        incoming.append(f"{node}[-1] = {space}")
    if service:
        name, versions = where.bind(service), where.bind(service + "-")
        outgoing.append(f"{called}[1] = {name}")
        incoming.append(f"({asked}[1] = {name} OR {node}[1] = {name} OR startsWith({node}[1], {versions}))")
        own = "0"
    else:
        own = incoming[-1]
    return f"(({' AND '.join(outgoing)}) OR ({' AND '.join(incoming)}) OR {own})"
