"""Envoy's command operators as columns of `envoy_access_logs`, and the texts of their values.

An operator that no column stands for becomes a tag under its own name: `dynamic_metadata(istio.mixer:status)`.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Value = str | int | float
Convert = Callable[[str], Value]

_MOMENT = re.compile(r"(\d{4})-(\d\d)-(\d\d)[T ](\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9})\d*)?(Z|[+-]\d\d:?\d\d)?")
_TRACEPARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}.*")
_GRPC = (
    "ok", "canceled", "unknown", "invalidargument", "deadlineexceeded", "notfound", "alreadyexists",
    "permissiondenied", "resourceexhausted", "failedprecondition", "aborted", "outofrange", "unimplemented",
    "internal", "unavailable", "dataloss", "unauthenticated",
)  # fmt: skip
_EPOCH = datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC)


@dataclass(frozen=True, slots=True)
class Field:
    """Where a value goes: a column, or `key` of one that is a map. `convert` raises ValueError for a wrong text.

    shape: a regular expression without groups that its texts match, '' for any.
    """

    column: str
    convert: Convert
    key: str = ""
    shape: str = ""


def text(value: str) -> str:
    """A text; Envoy's `-` stands for none."""
    return "" if value == "-" else value


def number(value: str) -> int:
    """A count; none is 0."""
    if value in ("-", ""):
        return 0
    if not value.isascii() or not value.isdecimal() or len(value) > 19:
        raise ValueError(f"{value!r} is no number")
    return int(value)


def _code(value: str) -> int:
    found = number(value)
    if found > 999:
        raise ValueError(f"{value!r} is no response code")
    return found


def _small(value: str) -> int:
    found = number(value)
    if found >= 1 << 32:
        raise ValueError(f"{value!r} is too large")
    return found


def _milliseconds(value: str) -> int:
    """Milliseconds, perhaps with a fraction, as nanoseconds."""
    if "." not in value:
        found = number(value)
    else:
        whole, _, rest = value.partition(".")
        found = number(whole)
        if not rest.isascii() or not rest.isdecimal():
            raise ValueError(f"{value!r} is no number")
        return _bounded(found * 10**6 + int(rest[:6].ljust(6, "0")), value)
    return _bounded(found * 10**6, value)


def _bounded(nanoseconds: int, value: str) -> int:
    if nanoseconds >= 1 << 63:
        raise ValueError(f"{value!r} is too long")
    return nanoseconds


def moment(value: str) -> int:
    """Nanoseconds since the epoch of an ISO 8601 time; UTC where it names no zone."""
    match = _MOMENT.fullmatch(value)
    if match is None:
        raise ValueError(f"{value!r} is no time")
    *parts, fraction, zone = match.groups()
    at = datetime.datetime(*map(int, parts), tzinfo=datetime.UTC)  # type: ignore[arg-type,misc]
    seconds = (at - _EPOCH) // datetime.timedelta(seconds=1)
    if zone not in (None, "Z"):
        minutes = int(zone[1:3]) * 60 + int(zone[-2:])
        seconds -= minutes * 60 if zone[0] == "+" else -minutes * 60
    return seconds * 10**9 + int((fraction or "").ljust(9, "0"))


def custom_moment(layout: str) -> Field:
    """The field of a START_TIME layout: strftime's, with `%s` (epoch seconds), `%f` and `%1f` to `%9f`.

    ValueError for a layout that does not tell a moment.
    """
    pieces, names = [], []
    for piece in re.split(r"(%[1-9]?f|%s|%[A-Za-z%])", layout):
        if re.fullmatch(r"%[1-9]?f", piece):
            pieces.append(r"(\d{1,9})")
            names.append("fraction")
        elif piece == "%s":
            pieces.append(r"(\d{1,12})")
            names.append("seconds")
        elif piece in _LAYOUT:
            pieces.append(f"({_LAYOUT[piece]})")
            names.append(piece)
        elif piece.startswith("%") and piece != "%%":
            raise ValueError(f"START_TIME's {piece} is not read here")
        else:
            pieces.append(re.escape(piece.replace("%%", "%")))
    dated = {"%Y", "%m", "%d"} <= set(names) or {"%F"} <= set(names) or {"%Y", "%b", "%d"} <= set(names)
    if "seconds" not in names and not dated:
        raise ValueError(f"START_TIME({layout}) does not tell a day")
    expression = re.compile("".join(pieces))
    shape = "".join(f"(?:{piece[1:-1]})" if piece.startswith("(") else piece for piece in pieces)

    def convert(value: str) -> int:
        match = expression.fullmatch(value)
        if match is None:
            raise ValueError(f"{value!r} is no time in the layout {layout}")
        return _moment_of(dict(zip(names, match.groups(), strict=True)))

    return Field("Timestamp", convert, shape=shape)


_LAYOUT = {
    "%Y": r"\d{4}", "%m": r"\d\d", "%d": r"\d\d", "%H": r"\d\d", "%M": r"\d\d", "%S": r"\d\d", "%F": r"\d{4}-\d\d-\d\d",
    "%T": r"\d\d:\d\d:\d\d", "%z": r"[+-]\d\d:?\d\d|Z", "%Z": r"UTC|GMT", "%b": "[A-Z][a-z]{2}", "%a": "[A-Z][a-z]{2}",
}  # fmt: skip


def _moment_of(named: dict[str, str]) -> int:
    fraction = int(named.get("fraction", "").ljust(9, "0"))
    if "seconds" in named:
        return int(named["seconds"]) * 10**9 + fraction
    layout = [piece for piece in named if piece not in ("fraction", "%Z", "%a")]
    values = " ".join(named[piece] for piece in layout)
    shape = " ".join("%Y-%m-%d" if piece == "%F" else "%H:%M:%S" if piece == "%T" else piece for piece in layout)
    at = datetime.datetime.strptime(values, shape)  # noqa: DTZ007 - the zone is read just below
    at = at if at.tzinfo else at.replace(tzinfo=datetime.UTC)
    return (at - _EPOCH) // datetime.timedelta(seconds=1) * 10**9 + fraction


def _grpc_status(value: str) -> str:
    """The number of a gRPC status given as number or as a name in any of Envoy's spellings."""
    if value in ("-", "") or value.isdecimal():
        return text(value)
    name = value.replace("_", "").lower()
    return str(_GRPC.index(name)) if name in _GRPC else value


def _trace_id(value: str) -> str:
    found = text(value).lower()
    match = _TRACEPARENT.fullmatch(found)
    return match[1] if match else found.zfill(32) if found and set(found) <= set("0123456789abcdef") else ""


def _host(value: str) -> str:
    return text(value).removeprefix("tcp://")


_HEADERS = {
    ":method": Field("Method", text),
    ":path": Field("Path", text),
    ":authority": Field("Authority", text),
    "host": Field("Authority", text),
    ":scheme": Field("Scheme", text),
    "user-agent": Field("UserAgent", text),
    "x-forwarded-for": Field("ForwardedFor", text),
    "x-request-id": Field("RequestId", text),
    "x-envoy-original-path": Field("Path", text),
    "traceparent": Field("TraceId", _trace_id),
    "x-b3-traceid": Field("TraceId", _trace_id),
}
_RESPONSE_HEADERS = {
    "x-envoy-upstream-service-time": Field("UpstreamServiceTimeMs", _small),
    "grpc-status": Field("GrpcStatus", _grpc_status),
    ":status": Field("ResponseCode", _code),
}
_OPERATORS = {
    "START_TIME": Field("Timestamp", moment),
    "PROTOCOL": Field("HttpVersion", text),
    "RESPONSE_CODE": Field("ResponseCode", _code),
    "RESPONSE_CODE_DETAILS": Field("ResponseCodeDetails", text),
    "CONNECTION_TERMINATION_DETAILS": Field("TerminationDetails", text),
    "RESPONSE_FLAGS": Field("ResponseFlags", str),
    "UPSTREAM_TRANSPORT_FAILURE_REASON": Field("UpstreamFailure", text),
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON": Field("DownstreamFailure", text),
    "BYTES_RECEIVED": Field("BodyReceived", number),
    "BYTES_SENT": Field("BodySent", number),
    "DOWNSTREAM_WIRE_BYTES_RECEIVED": Field("RequestBytes", number),
    "DOWNSTREAM_WIRE_BYTES_SENT": Field("ResponseBytes", number),
    "DURATION": Field("DurationNs", _milliseconds),
    "UPSTREAM_HOST": Field("UpstreamHost", _host),
    "UPSTREAM_CLUSTER": Field("UpstreamCluster", text),
    "UPSTREAM_CLUSTER_RAW": Field("UpstreamCluster", text),
    "UPSTREAM_LOCAL_ADDRESS": Field("UpstreamLocalAddress", text),
    "DOWNSTREAM_LOCAL_ADDRESS": Field("DownstreamLocalAddress", text),
    "DOWNSTREAM_REMOTE_ADDRESS": Field("DownstreamRemoteAddress", text),
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS": Field("DownstreamDirectRemoteAddress", text),
    "REQUESTED_SERVER_NAME": Field("RequestedServerName", text),
    "ROUTE_NAME": Field("RouteName", text),
    "DOWNSTREAM_PEER_URI_SAN": Field("PeerPrincipal", text),
    "DOWNSTREAM_LOCAL_URI_SAN": Field("LocalPrincipal", text),
    "UPSTREAM_PEER_URI_SAN": Field("UpstreamPeerPrincipal", text),
    "UPSTREAM_REQUEST_ATTEMPT_COUNT": Field("UpstreamAttempts", _small),
    "GRPC_STATUS": Field("GrpcStatus", _grpc_status),
    "GRPC_STATUS_NUMBER": Field("GrpcStatus", _grpc_status),
    "TRACE_ID": Field("TraceId", _trace_id),
    "STREAM_ID": Field("StreamId", text),
    "ACCESS_LOG_TYPE": Field("LogType", text),
    "HOSTNAME": Field("Pod", text),
}
_ENVIRONMENT = {"POD_NAME": Field("Pod", text), "POD_NAMESPACE": Field("Namespace", text)}


def field(command: str, argument: str | None) -> Field:
    """The field of an operator; ValueError for a START_TIME layout that is not read."""
    if command == "START_TIME" and argument:
        return custom_moment(argument)
    names = [name.strip().lower() for name in (argument or "").split("?")]
    if command == "REQ" and argument:
        return next((_HEADERS[n] for n in names if n in _HEADERS), Field("RequestHeaders", text, names[0]))
    if command in ("RESP", "TRAILER") and argument:
        column = "ResponseHeaders" if command == "RESP" else "ResponseTrailers"
        return next((_RESPONSE_HEADERS[n] for n in names if n in _RESPONSE_HEADERS), Field(column, text, names[0]))
    if command == "ENVIRONMENT" and argument in _ENVIRONMENT:
        return _ENVIRONMENT[argument]
    if command in _OPERATORS:
        return _OPERATORS[command]
    return Field("Tags", text, command.lower() + (f"({argument})" if argument else ""))


def put(entry: dict[str, Any], where: Field, value: str) -> None:
    """Store a value in an entry; of several operators for one column the last that has a value counts."""
    found = where.convert(value)
    if where.key:
        if found != "":
            entry.setdefault(where.column, {})[where.key] = found
    elif found not in ("", 0) or where.column not in entry:
        entry[where.column] = found
