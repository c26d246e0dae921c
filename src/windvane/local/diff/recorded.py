"""Requests as telemetry has them, whatever format they came in, and what of an access log is one.

An entry is a mapping of columns as `envoy_access_logs` has them. Where both proxies of a request told of it, the
asker's entry counts: it knows the request before the route changed it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from windvane.local.trial.asking import Header, Kind
from windvane.xds.proxy import workload_key

_LEFT = ("x-request-id", "content-length", "authorization", "traceparent", "tracestate", "host", "connection")
_OUTBOUND = "outbound|"


@dataclass(frozen=True, slots=True)
class Recorded:
    """A request: who made it (`source` in `namespace`, a workload's or pod's name; or `principal`, its identity), and
    the cluster that its proxy chose. `port` is the listener's of a gateway, `tls` whether it came over TLS. What is not
    known is empty."""

    method: str
    authority: str
    path: str
    source: str = ""
    namespace: str = ""
    principal: str = ""
    cluster: str = ""
    port: int = 0
    headers: tuple[Header, ...] = ()
    kind: Kind = "http"
    tls: bool = False


def of_entries(entries: Iterable[Mapping[str, Any]]) -> Counter[Recorded]:
    """The requests of access logs, and how often each was seen."""
    asked: Counter[Recorded] = Counter()
    served: list[tuple[str, Recorded]] = []
    known: set[str] = set()
    for entry in entries:
        found, identity = of_entry(entry), str(entry.get("RequestId", ""))
        if found is None:
            continue
        if entry.get("Reporter") == "destination":
            served.append((identity, found))
        else:
            asked[found] += 1
            known.add(identity or f"{found.authority} {found.path}")
    asked.update(found for identity, found in served if (identity or f"{found.authority} {found.path}") not in known)
    return asked


def of_entry(entry: Mapping[str, Any]) -> Recorded | None:
    """The request of one entry; None for one that is of no request, as of a connection that never began."""
    serves = entry.get("Reporter") == "destination"
    cluster = str(entry.get("UpstreamCluster", ""))
    source, namespace = ("", "") if serves else _node(str(entry.get("NodeId", "")))
    common: dict[str, Any] = {
        "source": source,
        "namespace": namespace,
        "principal": str(entry.get("PeerPrincipal", "")) if serves else "",
        "cluster": cluster if cluster.startswith(_OUTBOUND) else "",
        "tls": not serves and (entry.get("Scheme") == "https" or bool(entry.get("RequestedServerName"))),
        "port": 0 if serves else _port(str(entry.get("DownstreamLocalAddress", ""))),
    }
    if entry.get("Kind") == "tcp" or not entry.get("Method"):
        return _connection(cluster, common)
    headers = tuple(sorted((name, value) for name, value in _headers(entry).items() if name not in _LEFT))
    kind: Kind = "grpc" if entry.get("Protocol") == "grpc" or entry.get("GrpcStatus") else "http"
    authority, path = str(entry.get("Authority", "")), str(entry.get("Path", "")) or "/"
    return Recorded(str(entry["Method"]), authority, path, headers=headers, kind=kind, **common)


def _connection(cluster: str, common: dict[str, Any]) -> Recorded | None:
    """A connection to the service of its cluster; one that served tells no service, and an asker's is counted."""
    parts = cluster.split("|")
    if len(parts) != 4 or not cluster.startswith(_OUTBOUND):
        return None
    return Recorded("", f"{parts[3]}:{parts[1]}", "", kind="tcp", **common)


def _headers(entry: Mapping[str, Any]) -> dict[str, str]:
    found = {str(name).lower(): str(value) for name, value in (entry.get("RequestHeaders") or {}).items()}
    for column, name in (("UserAgent", "user-agent"), ("ForwardedFor", "x-forwarded-for")):
        if entry.get(column):
            found.setdefault(name, str(entry[column]))
    return found


def _node(node: str) -> tuple[str, str]:
    """Name and namespace of a node id's workload or pod."""
    if node.count("~") != 3 or "." not in node.split("~")[2]:
        return "", ""
    name, _, namespace = workload_key(node).rpartition(".")
    return name, namespace


def _port(address: str) -> int:
    port = address.rpartition(":")[2]
    return int(port) if port.isdecimal() and len(port) <= 5 else 0
