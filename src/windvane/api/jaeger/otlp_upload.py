"""Traces from an uploaded OTLP file, never stored: what `POST /api/transform` shows.

JSON takes the way of received JSON (`windvane.signals.otlp.transcode`), with the same checks and
errors; then the protobuf message is read here, field by field. Field numbers are those of
opentelemetry-proto (https://opentelemetry.io/docs/specs/otlp/).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from windvane.signals import protobuf as pb
from windvane.signals.otlp.transcode import transcode
from windvane.tracing.model import Attributes, AttributeValue, Event, Link, Span, Trace

KINDS = ("Unspecified", "Internal", "Server", "Client", "Producer", "Consumer")
STATUSES = ("Unset", "Ok", "Error")


def read_upload(text: bytes) -> list[Trace]:
    """The traces of an OTLP/JSON document, spans in the document's order; `BadInputError` says where it is wrong."""
    traces: dict[str, list[Span]] = {}
    for span in read_spans(transcode(text, "traces")):
        traces.setdefault(span.trace_id, []).append(span)
    return [Trace(trace_id, tuple(spans)) for trace_id, spans in traces.items()]


def read_spans(message: bytes) -> list[Span]:
    """The spans of a TracesData or ExportTraceServiceRequest message."""
    return [span for batch in _all(message, 1) for span in _resource_spans(batch)]


def _resource_spans(batch: bytes) -> Iterable[Span]:
    resource = _attributes(*(pair for resource in _all(batch, 1) for pair in _all(resource, 1)))
    for scoped in _all(batch, 2):
        scope = _Scope.read(_all(scoped, 1))
        for span in _all(scoped, 2):
            yield _span(span, resource, scope)


@dataclass(frozen=True, slots=True)
class _Scope:
    name: str = ""
    version: str = ""
    attributes: Attributes | None = None

    @classmethod
    def read(cls, messages: list[bytes]) -> _Scope:
        fields = _fields(b"".join(messages))
        return cls(_text(fields, 1), _text(fields, 2), _attributes(*_blocks(fields, 3)))


def _span(message: bytes, resource: Attributes, scope: _Scope) -> Span:
    fields = _fields(message)
    start, end = _time(fields, 7), _time(fields, 8)
    status = _fields(b"".join(_blocks(fields, 15)))
    return Span(
        trace_id=_id(fields, 1).zfill(32),
        span_id=_id(fields, 2).zfill(16),
        parent_id="" if not int(_id(fields, 4) or "0", 16) else _id(fields, 4).zfill(16),
        name=_text(fields, 5),
        kind=_named(KINDS, fields, 6),
        service=str(resource.get("service.name", "")),
        start_ns=start,
        duration_ns=max(0, end - start),
        status=_named(STATUSES, status, 3),
        status_message=_text(status, 2),
        trace_state=_text(fields, 3),
        scope_name=scope.name,
        scope_version=scope.version,
        scope=scope.attributes or {},
        resource=resource,
        attributes=_attributes(*_blocks(fields, 9)),
        events=tuple(_event(_fields(event)) for event in _blocks(fields, 11)),
        links=tuple(_link(_fields(link)) for link in _blocks(fields, 13)),
    )


_Fields = dict[int, list[pb.Value]]


def _event(fields: _Fields) -> Event:
    return Event(_time(fields, 1), _text(fields, 2), _attributes(*_blocks(fields, 3)))


def _link(fields: _Fields) -> Link:
    ids = _id(fields, 1).zfill(32), _id(fields, 2).zfill(16)
    return Link(*ids, _text(fields, 3), _attributes(*_blocks(fields, 4)))


def _attributes(*pairs: bytes) -> Attributes:
    found: dict[str, AttributeValue] = {}
    for pair in pairs:
        fields = _fields(pair)
        found[_text(fields, 1)] = _value(b"".join(_blocks(fields, 2)))
    return found


def _value(message: bytes) -> AttributeValue:  # noqa: PLR0911 - a case a type
    for number, _, value in pb.fields(message):
        match number:
            case 1:
                return pb.text(value)
            case 2:
                return bool(pb.whole(value))
            case 3:
                return pb.signed(value)
            case 4:
                return pb.double(value)
            case 5:
                return [_value(item) for item in _all(pb.block(value), 1)]
            case 6:
                return dict(_attributes(*_all(pb.block(value), 1)))
            case 7:
                return pb.block(value)
    return None


def _fields(message: bytes) -> _Fields:
    found: _Fields = {}
    for number, _, value in pb.fields(message):
        found.setdefault(number, []).append(value)
    return found


def _all(message: bytes, wanted: int) -> list[bytes]:
    return [pb.block(value) for number, _, value in pb.fields(message) if number == wanted]


def _blocks(fields: _Fields, number: int) -> list[bytes]:
    return [pb.block(value) for value in fields.get(number, ())]


def _last(fields: _Fields, number: int, default: Any) -> Any:
    return fields[number][-1] if number in fields else default


def _text(fields: _Fields, number: int) -> str:
    return pb.text(_last(fields, number, b""))


def _id(fields: _Fields, number: int) -> str:
    return pb.block(_last(fields, number, b"")).hex()


def _time(fields: _Fields, number: int) -> int:
    return pb.fixed64(_last(fields, number, bytes(8)))


def _named(names: tuple[str, ...], fields: _Fields, number: int) -> str:
    value = pb.whole(_last(fields, number, 0))
    return names[value] if value < len(names) else names[0]
