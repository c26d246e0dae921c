"""The two tables of log lines: what names mean in each, how severe a line is, which service it is of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from windvane.kit.errors import BadInputError
from windvane.tracing.access_logs import service_entries
from windvane.tracing.filters.ast import Equal
from windvane.tracing.filters.fields import Attributes, Column, FieldMap
from windvane.tracing.filters.spans import service_condition
from windvane.tracing.filters.sql import Conditions

Kind = Literal["log", "access"]

SEVERITIES = ("trace", "debug", "info", "warn", "error", "fatal")
"""OpenTelemetry's ranges of four severity numbers each, from 1."""

_LEVELS = {word: (4 * rank + 1, 4 * rank + 4) for rank, word in enumerate(SEVERITIES)}
_SPELLINGS = {
    "verbose": "trace", "information": "info", "notice": "info", "warning": "warn", "err": "error", "critical": "fatal",
    "crit": "fatal", "panic": "fatal", "alert": "fatal", "emerg": "fatal", "emergency": "fatal",
}  # fmt: skip
LEVELS = _LEVELS | {other: _LEVELS[word] for other, word in _SPELLINGS.items()}
"""Every word for a severity → its least and greatest number."""

STATUS_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx")
_WORD = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


@dataclass(frozen=True, slots=True)
class Source:
    """A table of lines. `severity` (a number, 0 for none), `service`, `namespace`, `status` and `body` are SQL.

    rank: the table's place in the order of lines of the same nanosecond. listed: fields that completion tells of
    beside attributes, name → SQL of a text.
    """

    kind: Kind
    rank: int
    table: str
    fields: FieldMap
    severity: str
    service: str
    status: str
    body: str
    listed: Mapping[str, str]


def chosen(kind: str) -> tuple[Source, ...]:
    """The tables of `log`, `access` or `all`; `BadInputError` for another word."""
    if kind == "all":
        return SOURCES
    if kind == "logs":
        kind = "log"
    found = tuple(source for source in SOURCES if source.kind == kind)
    if not found:
        raise BadInputError(f"kind {kind!r}: expected one of {', '.join(get_args(Kind))}, all")
    return found


def severity_word(number: int) -> str:
    """The word of a severity number, '' for none."""
    return SEVERITIES[(number - 1) // 4] if 0 < number <= 24 else ""


def snake_case(column: str) -> str:
    """A column's name as answers have it."""
    return _WORD.sub("_", column).lower()


# OTLP logs

_TEXT_LEVELS = (
    f"transform(lower(SeverityText), {list(LEVELS)!r}, {[least for least, _ in LEVELS.values()]!r}, toUInt8(0))"
)
_LOG_SEVERITY = f"if(SeverityNumber > 0, SeverityNumber, {_TEXT_LEVELS})"
_LOG_NAMESPACES = ("ResourceAttributes['service.namespace']", "ResourceAttributes['k8s.namespace.name']")
_LOG_TRACE = Column("TraceId", "id", digits=32)
_LOG_SEVERITY_COLUMN = Column(_LOG_SEVERITY, "level", levels=LEVELS)


def _log_service(term: Equal, where: Conditions) -> str:
    return service_condition(where, term.value.text, namespaces=_LOG_NAMESPACES)


def _log_namespace(term: Equal, where: Conditions) -> str:
    space = where.bind(term.value.text)
    return (
        "("
        + " OR ".join(
            [*(f"{named} = {space}" for named in _LOG_NAMESPACES), f"endsWith(ServiceName, concat('.', {space}))"]
        )
        + ")"
    )


_LOGS = Source(
    kind="log",
    rank=0,
    table="otel_logs",
    fields=FieldMap(
        columns={
            "service": Column("ServiceName"),
            "namespace": Column(f"coalesce({', '.join(f'nullIf({n}, {chr(39) * 2})' for n in _LOG_NAMESPACES)}, '')"),
            "body": Column("Body"),
            "message": Column("Body"),
            "severity": _LOG_SEVERITY_COLUMN,
            "level": _LOG_SEVERITY_COLUMN,
            "severity.text": Column("SeverityText"),
            "severity.number": Column("SeverityNumber", "number"),
            "event.name": Column("EventName"),
            "trace": _LOG_TRACE,
            "trace_id": _LOG_TRACE,
            "span_id": Column("SpanId", "id", digits=16),
            "scope.name": Column("ScopeName"),
            "scope.version": Column("ScopeVersion"),
            "kind": Column("'log'", "choice", choices={"log": "log", "access": "access"}),
        },
        attributes={
            "log": Attributes("LogAttributes", "log."),
            "resource": Attributes("ResourceAttributes", "resource."),
            "scope": Attributes("ScopeAttributes", "scope."),
        },
        tokens="SearchTokens",
        types="AttributeTypes",
        words=("Body", "EventName", "arrayStringConcat(mapValues(LogAttributes), '\\n')"),
        words_in_values=False,
        lowered="SearchText",
        ids=("TraceId",),
        rules={"service": _log_service, "namespace": _log_namespace},
    ),
    severity=_LOG_SEVERITY,
    service="ServiceName",
    status="''",
    body="Body",
    listed={"service": "ServiceName", "severity": "Severity", "scope.name": "ScopeName", "event.name": "EventName"},
)

# Access logs

_CALLED = "splitByChar('.', splitByChar('|', UpstreamCluster)[4])[1]"
_ACCESS_SERVICE = f"if({_CALLED} != '', {_CALLED}, splitByChar('.', splitByChar(':', Authority)[1])[1])"
_SERVER_FAULTS = "('2', '4', '13', '14', '15')"  # of gRPC: unknown, deadline, internal, unavailable, data loss
_ACCESS_SEVERITY = (
    f"toUInt8(multiIf(ResponseCode >= 500 OR GrpcStatus IN {_SERVER_FAULTS}, 17,"
    " ResponseCode = 0 AND ResponseFlags NOT IN ('', '-', 'DC'), 17,"
    " ResponseCode >= 400 OR GrpcStatus NOT IN ('', '0'), 13, 9))"
)
_ACCESS_BODY = (
    "concat(if(Kind = 'tcp', concat('TCP ', if(UpstreamHost = '', DownstreamLocalAddress, UpstreamHost)),"
    " concat(Method, ' ', Authority, Path)), if(HttpVersion = '', '', concat(' ', HttpVersion)),"
    " ' ', toString(ResponseCode), ' ', if(ResponseFlags = '', '-', ResponseFlags),"
    " if(ResponseCodeDetails IN ('', 'via_upstream', '-'), '', concat(' ', ResponseCodeDetails)),"
    " if(UpstreamFailure = '', '', concat(' ', UpstreamFailure)))"
)
_ACCESS_TEXT = (
    "concatWithSeparator('\\n', Method, Authority, Path, HttpVersion, toString(ResponseCode), ResponseFlags,"
    " ResponseCodeDetails, TerminationDetails, UpstreamFailure, DownstreamFailure, UserAgent, ForwardedFor,"
    " UpstreamHost, UpstreamCluster, DownstreamLocalAddress, DownstreamRemoteAddress, RequestedServerName, RouteName,"
    " NodeId)"
)
"""What the schema's SearchText has in lower case."""
_TEXTS = (
    "NodeId", "LogName", "Reporter", "LogType", "StreamId", "Protocol", "HttpVersion", "Method", "Scheme", "Authority",
    "Path", "RouteName", "ResponseCodeDetails", "RequestId", "UserAgent", "ForwardedFor", "UpstreamCluster",
    "UpstreamHost", "UpstreamLocalAddress", "DownstreamLocalAddress", "DownstreamRemoteAddress",
    "DownstreamDirectRemoteAddress", "RequestedServerName", "PeerPrincipal", "LocalPrincipal", "UpstreamPeerPrincipal",
    "UpstreamFailure", "DownstreamFailure", "TerminationDetails", "PeerMetadata",
)  # fmt: skip
_NUMBERS = (
    "ResponseCode", "GrpcStatus", "RequestBytes", "ResponseBytes", "BodyReceived", "BodySent", "RequestMessages",
    "ResponseMessages", "UpstreamAttempts",
)  # fmt: skip
_ACCESS_SEVERITY_COLUMN = Column(_ACCESS_SEVERITY, "level", levels=LEVELS)
_STATUS, _DURATION = Column("ResponseCode", "number"), Column("DurationNs", "duration")
_FLAGS, _ACCESS_TRACE = Column("ResponseFlags"), Column("TraceId", "id", digits=32)


def _flag(term: Equal, where: Conditions) -> str:
    """One flag among those of a line; `-` asks for lines without any."""
    if term.value.text == "-":
        return "(ResponseFlags IN ('', '-'))"
    wanted = where.bind(term.value.text)
    return f"(ResponseFlags = {wanted} OR has(splitByChar(',', ResponseFlags), {wanted}))"


def _access_service(term: Equal, where: Conditions) -> str:
    name, _, namespace = term.value.text.partition(".")
    return service_entries(where, name, namespace)


def _access_namespace(term: Equal, where: Conditions) -> str:
    return service_entries(where, "", term.value.text)


_ACCESS = Source(
    kind="access",
    rank=1,
    table="envoy_access_logs",
    fields=FieldMap(
        columns={
            **{snake_case(name): Column(name) for name in _TEXTS},
            **{snake_case(name): Column(name, "number") for name in _NUMBERS if name != "GrpcStatus"},
            "grpc_status": Column("GrpcStatus"),
            "service": Column(_ACCESS_SERVICE),
            "body": Column(_ACCESS_BODY),
            "message": Column(_ACCESS_BODY),
            "severity": _ACCESS_SEVERITY_COLUMN,
            "level": _ACCESS_SEVERITY_COLUMN,
            "status": _STATUS,
            "code": _STATUS,
            "host": Column("Authority"),
            "flags": _FLAGS,
            "response_flags": _FLAGS,
            "details": Column("ResponseCodeDetails"),
            "duration": _DURATION,
            "upstream_service_time": Column("UpstreamServiceTimeMs * 1000000", "duration"),
            "trace": _ACCESS_TRACE,
            "trace_id": _ACCESS_TRACE,
            "kind": Column("'access'", "choice", choices={"log": "log", "access": "access"}),
        },
        attributes={
            "request": Attributes("RequestHeaders"),
            "response": Attributes("ResponseHeaders"),
            "trailer": Attributes("ResponseTrailers"),
            "tag": Attributes("Tags"),
        },
        words=(_ACCESS_TEXT,),
        words_in_values=False,
        lowered="SearchText",
        ids=("TraceId", "RequestId"),
        rules={
            "service": _access_service,
            "namespace": _access_namespace,
            "flags": _flag,
            "response_flags": _flag,
        },
    ),
    severity=_ACCESS_SEVERITY,
    service=_ACCESS_SERVICE,
    status="if(ResponseCode BETWEEN 100 AND 599, concat(toString(intDiv(ResponseCode, 100)), 'xx'), '')",
    body=_ACCESS_BODY,
    listed={
        "service": _ACCESS_SERVICE,
        "severity": "Severity",
        "method": "Method",
        "path": "Path",
        "status": "toString(ResponseCode)",
        "response_flags": "ResponseFlags",
        "response_code_details": "ResponseCodeDetails",
        "authority": "Authority",
        "protocol": "Protocol",
        "route_name": "RouteName",
        "upstream_cluster": "UpstreamCluster",
        "upstream_host": "UpstreamHost",
        "user_agent": "UserAgent",
        "node_id": "NodeId",
        "reporter": "Reporter",
        "grpc_status": "GrpcStatus",
    },
)

SOURCES: tuple[Source, ...] = (_LOGS, _ACCESS)
KINDS: Sequence[str] = ("log", "access", "all")


def severity_words(number: str) -> str:
    """SQL of the word of a severity number in SQL, '' for none."""
    return f"{list(SEVERITIES)!r}[intDiv(toInt16({number}) + 3, 4)]"
