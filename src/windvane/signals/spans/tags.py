"""Tags that say what OTLP has fields for: span kind, status, trace state, instrumentation scope.

The rules are those of the OpenTelemetry Collector's translators (pkg/translator/jaeger, zipkin), with
Zipkin's own reading of `error`: that it is there means failure, and its text says which one
(https://zipkin.io/pages/data_model.html; Collector: only `true`).
"""

from __future__ import annotations

from typing import NamedTuple

from windvane.signals.spans.model import KINDS, SERVER, UNSPECIFIED, Span, Tags, Value

UNSET, OK, ERROR = range(3)
_CODES = {"UNSET": UNSET, "OK": OK, "ERROR": ERROR, "0": UNSET, "1": OK, "2": ERROR}
_FALSE = ("false", "0")
_NO_TEXT = ("", "true", "1")


class Lifted(NamedTuple):
    """What the tags told."""

    kind: int = UNSPECIFIED
    status: int = UNSET
    message: str = ""
    trace_state: str = ""
    scope: str = ""
    scope_version: str = ""


def lift(span: Span) -> Lifted:
    """Take out of a span's tags what they say of it; its own kind comes first."""
    tags = span.tags
    kind = span.kind
    if kind == UNSPECIFIED and "span.kind" in tags:
        kind = KINDS.get(_word(tags["span.kind"]), UNSPECIFIED)
        if kind != UNSPECIFIED:
            del tags["span.kind"]
    status, message = _status(tags, kind, span.http_status)
    scope, version = _first(tags, "otel.scope.name", "otel.library.name"), ""
    if scope:
        version = _first(tags, "otel.scope.version", "otel.library.version")
    return Lifted(kind, status, message, _first(tags, "w3c.tracestate"), scope, version)


def _status(tags: Tags, kind: int, http_status: bool) -> tuple[int, str]:
    code = _CODES.get(_word(tags.pop("otel.status_code", "")).upper().removeprefix("STATUS_CODE_"))
    if "error" in tags and (error := _word(tags["error"])) not in _FALSE:
        text = str(tags.pop("error"))
        message = _first(tags, "otel.status_description") or ("" if error in _NO_TEXT else text)
        return ERROR, message or _told(tags)
    if code is not None:
        return code, _first(tags, "otel.status_description")
    if http_status and _failed(tags, kind):
        return ERROR, _told(tags)
    return UNSET, ""


def _failed(tags: Tags, kind: int) -> bool:
    """Whether an HTTP status means failure: that of a server's 4xx is its client's."""
    try:
        code = int(tags.get("http.status_code", tags.get("http.response.status_code", "")))
    except (ValueError, OverflowError):
        return False
    return code >= 500 or code < 100 or (code >= 400 and kind != SERVER)


def _told(tags: Tags) -> str:
    return str(tags.get("http.status_message", ""))


def _first(tags: Tags, *keys: str) -> str:
    """Take out all keys; the text of the first that has one."""
    texts = [str(tags.pop(key)) for key in keys if key in tags]
    return next(filter(None, texts), "")


def _word(value: Value) -> str:
    return str(value).lower()
