"""Envoy's format strings and format dictionaries compiled to what reads their lines."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Protocol

import orjson
import re2  # type: ignore[import-untyped]

from windvane.kit.errors import BadInputError
from windvane.signals.envoy_text.operators import Field, field, put

ISTIO = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS% "%UPSTREAM_TRANSPORT_FAILURE_REASON%" %BYTES_RECEIVED% '
    '%BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" "%REQ(USER-AGENT)%" '
    '"%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%" %UPSTREAM_CLUSTER_RAW% %UPSTREAM_LOCAL_ADDRESS% '
    "%DOWNSTREAM_LOCAL_ADDRESS% %DOWNSTREAM_REMOTE_ADDRESS% %REQUESTED_SERVER_NAME% %ROUTE_NAME%"
)
"""Istio's default, as its documentation of access logs has it."""
ISTIO_BEFORE_1_8 = ISTIO.replace(
    "%RESPONSE_CODE_DETAILS% %CONNECTION_TERMINATION_DETAILS%", '"%DYNAMIC_METADATA(istio.mixer:status)%"'
)
ENVOY = (
    '[%START_TIME%] "%REQ(:METHOD)% %REQ(X-ENVOY-ORIGINAL-PATH?:PATH)% %PROTOCOL%" %RESPONSE_CODE% %RESPONSE_FLAGS% '
    '%BYTES_RECEIVED% %BYTES_SENT% %DURATION% %RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)% "%REQ(X-FORWARDED-FOR)%" '
    '"%REQ(USER-AGENT)%" "%REQ(X-REQUEST-ID)%" "%REQ(:AUTHORITY)%" "%UPSTREAM_HOST%"'
)
"""Envoy's own default."""

_JSON = {
    "start_time": "%START_TIME%",
    "route_name": "%ROUTE_NAME%",
    "method": "%REQ(:METHOD)%",
    "path": "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%",
    "protocol": "%PROTOCOL%",
    "response_code": "%RESPONSE_CODE%",
    "response_flags": "%RESPONSE_FLAGS%",
    "response_code_details": "%RESPONSE_CODE_DETAILS%",
    "connection_termination_details": "%CONNECTION_TERMINATION_DETAILS%",
    "bytes_received": "%BYTES_RECEIVED%",
    "bytes_sent": "%BYTES_SENT%",
    "duration": "%DURATION%",
    "upstream_service_time": "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%",
    "x_forwarded_for": "%REQ(X-FORWARDED-FOR)%",
    "user_agent": "%REQ(USER-AGENT)%",
    "request_id": "%REQ(X-REQUEST-ID)%",
    "authority": "%REQ(:AUTHORITY)%",
    "upstream_host": "%UPSTREAM_HOST%",
    "upstream_cluster": "%UPSTREAM_CLUSTER_RAW%",
    "upstream_local_address": "%UPSTREAM_LOCAL_ADDRESS%",
    "downstream_local_address": "%DOWNSTREAM_LOCAL_ADDRESS%",
    "downstream_remote_address": "%DOWNSTREAM_REMOTE_ADDRESS%",
    "requested_server_name": "%REQUESTED_SERVER_NAME%",
    "upstream_transport_failure_reason": "%UPSTREAM_TRANSPORT_FAILURE_REASON%",
    # Not Istio's defaults, but what these keys are in the formats that people write.
    "trace_id": "%TRACE_ID%",
    "traceparent": "%REQ(TRACEPARENT)%",
    "grpc_status": "%GRPC_STATUS%",
    "pod_name": "%ENVIRONMENT(POD_NAME)%",
    "pod_namespace": "%ENVIRONMENT(POD_NAMESPACE)%",
}
"""Istio's JSON encoding: key → what it holds."""

_OPERATOR = re.compile(r"%([A-Z0-9_]+)(?:\(([^)]*)\))?(?::(\d+))?%|%%")


class NotThisFormatError(Exception):
    """A line that is not in a format."""


class LineFormat(Protocol):
    """Reads one line into columns of `envoy_access_logs`."""

    def read(self, line: str) -> dict[str, Any]:
        """The columns; `NotThisFormatError` for another line, ValueError for one whose value is wrong."""


@dataclass(frozen=True, slots=True)
class TextFormat:
    """A format string. Values end where the text behind them begins."""

    fields: tuple[Field, ...]
    usual: re.Pattern[str]
    """Values without the first character of what follows them: quick, and right for nearly every line."""
    unusual: Any
    """The shortest values that fit; in time that grows with the line only."""

    def read(self, line: str) -> dict[str, Any]:
        match = self.usual.fullmatch(line) or self.unusual.fullmatch(line)
        if match is None:
            raise NotThisFormatError
        entry: dict[str, Any] = {}
        for where, value in zip(self.fields, match.groups(), strict=True):
            put(entry, where, value)
        return entry


@dataclass(frozen=True, slots=True)
class JsonFormat:
    """A format dictionary: a format string for every key, or for keys within. Other keys become tags."""

    keys: Mapping[str, LineFormat | JsonFormat]

    def read(self, line: str) -> dict[str, Any]:
        if not line.startswith("{"):
            raise NotThisFormatError
        try:
            found = orjson.loads(line)
        except orjson.JSONDecodeError as error:
            raise ValueError(f"it is no JSON: {error}") from error
        return self.read_object(found)

    def read_object(self, found: Mapping[str, Any]) -> dict[str, Any]:
        """As `read`, of what the JSON holds."""
        entry: dict[str, Any] = {}
        for key, value in found.items():
            own = self.keys.get(key)
            if value is None:
                continue
            if isinstance(own, JsonFormat) and isinstance(value, dict):
                _add(entry, own.read_object(value))
            elif own is not None and not isinstance(own, JsonFormat):
                _add(entry, _read_value(key, own, _text(value)))
            else:
                entry.setdefault("Tags", {})[key] = _text(value)
        return entry


def _read_value(key: str, own: LineFormat, value: str) -> dict[str, Any]:
    try:
        return own.read(value)
    except NotThisFormatError:
        raise ValueError(f"the value of {key!r} is not in its format") from None


def _add(entry: dict[str, Any], more: Mapping[str, Any]) -> None:
    for column, value in more.items():
        if isinstance(value, dict):
            entry.setdefault(column, {}).update(value)
        elif value not in ("", 0) or column not in entry:
            entry[column] = value


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    return orjson.dumps(value).decode()


def compile_format(text: str) -> LineFormat:
    """The reader of a format: a format string, or a JSON object of them (a format dictionary).

    `BadInputError` says what is wrong with a format and where.
    """
    if text.lstrip().startswith("{"):
        try:
            keys = orjson.loads(text)
        except orjson.JSONDecodeError as error:
            raise BadInputError(f"format: it is no JSON object: {error}") from error
        return _dictionary(keys)
    return _text_format(text.rstrip("\n"))


def default_formats() -> tuple[LineFormat, ...]:
    """Istio's JSON encoding and text formats (the present one and that before 1.8), and Envoy's default."""
    return (_dictionary(_JSON), *map(_text_format, (ISTIO, ISTIO_BEFORE_1_8, ENVOY)))


def _dictionary(keys: Mapping[str, Any]) -> JsonFormat:
    made: dict[str, LineFormat | JsonFormat] = {}
    for key, value in keys.items():
        if isinstance(value, dict):
            made[key] = _dictionary(value)
        elif isinstance(value, str):
            if _OPERATOR.search(value):  # others are constants of the format
                made[key] = _text_format(value)
        else:
            raise BadInputError(f"format: the value of {key!r} is neither a text nor an object")
    return JsonFormat(made)


@lru_cache(maxsize=256)
def _text_format(text: str) -> TextFormat:
    fields: list[Field] = []
    usual, unusual = "", ""
    pieces = list(_pieces(text))
    for number, piece in enumerate(pieces):
        if isinstance(piece, str):
            usual, unusual = usual + re.escape(piece), unusual + re2.escape(piece)
            continue
        fields.append(piece)
        behind = pieces[number + 1] if number + 1 < len(pieces) else ""
        if isinstance(behind, Field):
            raise BadInputError(f"format: no text tells where value {len(fields)} ends and the next begins")
        until = f"[^{re.escape(behind[0])}]*" if behind else ".*"
        usual += f"({piece.shape or until})"
        unusual += f"({piece.shape or ('.*?' if behind else '.*')})"
    if not fields:
        raise BadInputError("format: there is no operator such as %START_TIME% in it")
    return TextFormat(tuple(fields), re.compile(usual, re.DOTALL), re2.compile(f"(?s:{unusual})"))


def _pieces(text: str) -> Iterator[str | Field]:
    """Literal texts and fields in turn; no two texts in a row."""
    literal, at = "", 0
    for match in _OPERATOR.finditer(text):
        literal += _literal(text, at, match.start())
        at = match.end()
        if match[0] == "%%":
            literal += "%"
            continue
        if literal:
            yield literal
            literal = ""
        try:
            yield field(match[1], match[2])
        except ValueError as error:
            raise BadInputError(f"format, character {match.start() + 1}: {error}") from error
    literal += _literal(text, at, len(text))
    if literal:
        yield literal


def _literal(text: str, start: int, end: int) -> str:
    at = text.find("%", start, end)
    if at >= 0:
        raise BadInputError(f"format, character {at + 1}: % begins no operator (a percent sign is written %%)")
    return text[start:end]
