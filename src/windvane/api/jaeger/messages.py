"""The protobuf messages of Jaeger's query services, read and written field by field.

Field numbers are those of jaeger-idl: `proto/api_v2/{query,model}.proto` and
`proto/api_v3/query_service.proto`. gogoproto's options there concern Go and JSON only.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from windvane.api.jaeger.trace_json import CHILD_OF, fields_of, flat_text, process_of, references, tags_of
from windvane.api.otlp_traces import id_bytes
from windvane.kit.errors import BadInputError
from windvane.signals import protobuf as pb
from windvane.signals.otlp.wire import block, double, fixed64, integer
from windvane.tracing.model import AttributeValue, Event, Span
from windvane.tracing.search import Operation, TraceQuery
from windvane.tracing.summaries import TraceSummary

Fields = dict[int, pb.Value]
_SECOND = 1_000_000_000
_UNSUPPORTED = {10: "query.filter", 11: "query.pagination"}
STRING, BOOL, INT64, FLOAT64, BINARY = range(5)


def fields(message: bytes) -> Fields:
    """A message's fields by number, the last of each."""
    return {number: value for number, _, value in pb.fields(message)}


def text(message: Fields, number: int) -> str:
    """A string field."""
    return pb.text(message.get(number, b""))


def flag(message: Fields, number: int) -> bool:
    """A bool field."""
    return bool(pb.whole(message.get(number, 0)))


def moment_ns(message: Fields, number: int) -> int | None:
    """A Timestamp field in nanoseconds; None where there is none, or a Go client's zero time (of the year 1)."""
    if number not in message:
        return None
    nanoseconds = _seconds_and_nanos(message[number])
    return nanoseconds if nanoseconds > 0 else None


def duration_ns(message: Fields, number: int) -> int | None:
    """A Duration field in nanoseconds; None where there is none, or zero."""
    return (_seconds_and_nanos(message[number]) or None) if number in message else None


def _seconds_and_nanos(value: pb.Value) -> int:
    parts = fields(pb.block(value))
    total = pb.signed(parts.get(1, 0)) * _SECOND + pb.signed(parts.get(2, 0))
    return max(-(1 << 63), min(total, (1 << 63) - 1))


def window_ns(message: Fields, low: int, high: int) -> tuple[int, int] | None:
    """The bounds of a trace's spans given by two Timestamp fields; None without either."""
    start, end = moment_ns(message, low), moment_ns(message, high)
    return None if start is None and end is None else (start or 0, (1 << 63) - 1 if end is None else end)


@dataclass(frozen=True, slots=True)
class Search:
    """TraceQueryParameters, whose fields have the same numbers in both generations; None: not given."""

    service: str
    operation: str
    tags: dict[str, str]
    start_ns: int | None
    end_ns: int | None
    min_duration_ns: int | None
    max_duration_ns: int | None
    depth: int
    raw: bool
    unsupported: str
    """The name of a field that is given and changes the answer, but is not understood here."""

    @classmethod
    def read(cls, request: bytes) -> Search:
        """The query of a FindTracesRequest; `BadInputError` when it has none."""
        query = fields(request).get(1)
        if query is None:
            raise BadInputError("missing query")
        message = fields(pb.block(query))
        return cls(
            text(message, 1), text(message, 2), _tags(pb.block(query)), moment_ns(message, 4), moment_ns(message, 5),
            duration_ns(message, 6), duration_ns(message, 7), pb.signed(message.get(8, 0)), flag(message, 9),
            next((name for number, name in _UNSUPPORTED.items() if number in message), ""),
        )  # fmt: skip

    def query(self, default_depth: int) -> TraceQuery:
        """The search; without bounds it is of all times."""
        if self.depth < 0:
            raise BadInputError("search depth must be greater than 0")
        return TraceQuery(
            start_ns=self.start_ns or 0,
            end_ns=(1 << 63) - 1 if self.end_ns is None else self.end_ns,
            service=self.service,
            operation=self.operation,
            tags=self.tags,
            min_duration_ns=self.min_duration_ns,
            max_duration_ns=self.max_duration_ns,
            limit=self.depth or default_depth,
        )


def _tags(query: bytes) -> dict[str, str]:
    entries = [fields(pb.block(value)) for number, _, value in pb.fields(query) if number == 3]
    return {text(entry, 1): text(entry, 2) for entry in entries}


def strings(number: int, texts: Iterable[str]) -> bytes:
    """A repeated string."""
    return b"".join(block(number, one.encode()) for one in texts)


def string(number: int, value: str) -> bytes:
    """A string, left out when empty."""
    return block(number, value.encode()) if value else b""


def whole(number: int, value: int) -> bytes:
    """An integer, left out when zero."""
    return integer(number, value) if value else b""


def operations(number: int, found: Iterable[Operation]) -> bytes:
    """A repeated Operation, the same in both generations."""
    return b"".join(block(number, string(1, item.name) + string(2, item.kind)) for item in found)


def dependencies(found: Iterable[tuple[str, str, int]]) -> bytes:
    """The repeated first field of both generations' answers: parent, child, calls."""
    return b"".join(block(1, string(1, parent) + string(2, child) + whole(3, calls)) for parent, child, calls in found)


def summaries(found: Iterable[TraceSummary]) -> bytes:
    """A FindTraceSummariesResponse."""
    return b"".join(block(1, _summary(summary)) for summary in found)


def _summary(summary: TraceSummary) -> bytes:
    services = (string(1, one.name) + whole(2, one.spans) + whole(3, one.errors) for one in summary.services)
    return b"".join(
        [
            string(1, summary.trace_id),
            string(2, summary.root_service),
            string(3, summary.root_name),
            fixed64(4, summary.start_ns),
            fixed64(5, summary.end_ns),
            whole(6, summary.spans),
            whole(7, summary.errors),
            whole(8, summary.orphans),
            *(block(9, service) for service in services),
        ]
    )


def spans_chunk(spans: Iterable[Span]) -> bytes:
    """A SpansResponseChunk of api_v2."""
    return b"".join(block(1, span_v2(span)) for span in spans)


def span_v2(span: Span) -> bytes:
    """A Span of api_v2; it carries its process itself."""
    service, tags = process_of(span)
    return b"".join(
        [
            block(1, id_bytes(span.trace_id)),
            block(2, id_bytes(span.span_id)),
            string(3, span.name),
            *(
                block(4, _ids(ref.trace_id, ref.span_id) + whole(3, int(ref.type != CHILD_OF)))
                for ref in references(span)
            ),
            block(6, _split(span.start_ns)),
            block(7, _split(span.duration_ns)),
            _pairs(8, tags_of(span)),
            *(block(9, _log(event)) for event in span.events),
            block(10, string(1, service) + _pairs(2, tags)),
            strings(12, span.warnings),
        ]
    )


def _ids(trace_id: str, span_id: str) -> bytes:
    return block(1, id_bytes(trace_id)) + block(2, id_bytes(span_id))


def _split(nanoseconds: int) -> bytes:
    """A Timestamp or Duration."""
    return whole(1, nanoseconds // _SECOND) + whole(2, nanoseconds % _SECOND)


def _log(event: Event) -> bytes:
    return block(1, _split(event.time_ns)) + _pairs(2, fields_of(event))


def _pairs(number: int, pairs: Iterable[tuple[str, AttributeValue]]) -> bytes:
    return b"".join(block(number, string(1, key) + _value(value)) for key, value in pairs)


def _value(value: AttributeValue) -> bytes:
    """The rest of a KeyValue: its type and, in the type's own field, the value."""
    match value:
        case str():
            return string(3, value)
        case bool():
            return integer(2, BOOL) + integer(4, int(value))
        case int():
            return integer(2, INT64) + integer(5, value)
        case float():
            return integer(2, FLOAT64) + double(6, value)
        case bytes():
            return integer(2, BINARY) + block(7, value)
    return string(3, flat_text(value))
