"""Jaeger's formats to OTLP: types of tags, parents and links, logs, processes, and what is refused."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from otlp_read import spans_of
from thrift_writer import BOOL, I32, I64, LIST, STRING, STRUCT, batch, binary, binary_call, compact_call, span, tags

from windvane.kit.errors import BadInputError, LimitError
from windvane.signals.jaeger import protobuf, thrift
from windvane.signals.otlp.wire import block, double, integer

VALUES = {"text": "é", "int": -(1 << 62), "true": True, "false": False, "double": 0.1, "bytes": b"\0\xff"}
TRACE = "0af7651916cd43dd0048eb211c80319c"
OTHER = bytes(range(16))


def _from_thrift(*spans: dict[int, Any]) -> list[dict[str, Any]]:
    """Read in three encodings, which must agree."""
    made = thrift.read_batch(binary(STRUCT, batch(*spans)))
    assert (made.spans, len(made.refusals)) == (len(spans), 0)
    for call in (binary_call, compact_call):
        again = thrift.read_datagram(call("emitBatch", {1: (STRUCT, batch(*spans))}), 0)
        assert again.payload == made.payload
    return spans_of(made.payload)


def _key_value(key: str, value: Any) -> bytes:
    kinds = {str: (0, 3), bool: (1, 4), int: (2, 5), float: (3, 6), bytes: (4, 7)}
    kind, field = kinds[type(value)]
    if isinstance(value, float):
        encoded = double(field, value)
    elif isinstance(value, int):
        encoded = integer(field, value)
    else:
        encoded = block(field, value.encode() if isinstance(value, str) else value)
    return block(1, key.encode()) + integer(2, kind) + encoded


def _moment(seconds: int, nanos: int) -> bytes:
    return integer(1, seconds) + integer(2, nanos)


def _proto(*fields: bytes, trace: bytes = bytes.fromhex(TRACE)) -> bytes:
    """A request of one span with these fields besides the usual ones."""
    fixed = block(1, trace) + block(2, b"\0" * 7 + b"\1") + block(3, b"op") + block(6, _moment(1_790_000_000, 5))
    whole = fixed + b"".join(fields)
    process = block(1, b"checkout") + block(2, _key_value("hostname", "node-1"))
    return block(1, block(1, whole) + block(2, process))


def test_every_type_of_tag_keeps_its_type() -> None:
    (found,) = _from_thrift(span(f10=tags(VALUES)))
    assert found["attributes"] == VALUES
    assert [type(value) for value in found["attributes"].values()] == [type(value) for value in VALUES.values()]
    made = protobuf.read(_proto(*(block(8, _key_value(key, value)) for key, value in VALUES.items())))
    assert spans_of(made.payload)[0]["attributes"] == VALUES


def test_a_span_of_thrift_has_its_ids_times_and_process() -> None:
    (found,) = _from_thrift(span())
    assert (found["trace"], found["id"], found["parent"]) == (TRACE, "fffffffffffffffe", "0000000000000005")
    assert (found["start"], found["length"], found["name"]) == (1_790_000_000_000_000_000, 1_500_000, "GET /")
    assert found["resource"] == {"service.name": "checkout", "host.name": "node-1", "cores": 4}


def test_64_bit_trace_ids_are_filled_with_zeros() -> None:
    (found,) = _from_thrift(span(f2=(I64, 0)))
    assert found["trace"] == "0" * 18 + TRACE[18:]
    (found,) = spans_of(protobuf.read(_proto(trace=b"\1" * 8)).payload)
    assert found["trace"] == "0" * 16 + "01" * 8


@pytest.mark.parametrize(
    ("parent", "references", "wanted"),
    [
        (5, [], 5),
        (0, [(1, 7, True), (0, 8, True)], 8),
        (0, [(1, 7, True)], 7),
        (0, [(0, 9, False)], 0),
        (5, [(0, 8, True)], 5),
    ],
)
def test_the_parent_is_told_or_the_first_reference_of_the_trace(
    parent: int, references: list[tuple[int, int, bool]], wanted: int
) -> None:
    own = span()
    ids = [
        {1: (I32, kind), 2: own[1] if ours else (I64, 1), 3: own[2], 4: (I64, number)}
        for kind, number, ours in references
    ]
    (found,) = _from_thrift(span(f4=(I64, parent), f6=(LIST, (STRUCT, ids))))
    assert int(found["parent"] or "0", 16) == wanted
    linked = [int(link[1], 16) for link in found["links"]]
    assert linked == [number for kind, number, ours in references if (kind, number, ours) != (0, wanted, True)]


def test_references_of_protobuf_become_parent_and_links() -> None:
    parent = block(1, bytes.fromhex(TRACE)) + block(2, b"\0" * 7 + b"\2")
    other = block(1, OTHER) + block(2, b"\0" * 7 + b"\3") + integer(3, 1)
    (found,) = spans_of(protobuf.read(_proto(block(4, other), block(4, parent))).payload)
    assert found["parent"] == "0000000000000002"
    assert found["links"] == [(OTHER.hex(), "0000000000000003", {"opentracing.ref_type": "follows_from"})]


@pytest.mark.parametrize(
    ("given", "status", "left"),
    [
        ({"error": True}, ("error", ""), {}),
        ({"error": "true", "otel.status_description": "late"}, ("error", "late"), {}),
        ({"error": False}, ("unset", ""), {"error": False}),
        ({"otel.status_code": "ERROR", "otel.status_description": "late"}, ("error", "late"), {}),
        ({"otel.status_code": "OK", "error": True}, ("error", ""), {}),
        ({"otel.status_code": "OK", "http.status_code": 500}, ("ok", ""), {"http.status_code": 500}),
        ({"http.status_code": 500, "http.status_message": "no"}, ("error", "no"),
         {"http.status_code": 500, "http.status_message": "no"}),
        ({"http.status_code": "404", "span.kind": "client"}, ("error", ""), {"http.status_code": "404"}),
        ({"http.status_code": 404, "span.kind": "server"}, ("unset", ""), {"http.status_code": 404}),
    ],
)  # fmt: skip
def test_status_follows_from_tags(given: dict[str, Any], status: tuple[str, str], left: dict[str, Any]) -> None:
    (found,) = _from_thrift(span(f10=tags(given)))
    assert (found["status"], found["attributes"]) == (status, left)


def test_logs_are_events_named_by_their_field() -> None:
    log = {1: (I64, 1_790_000_000_000_001), 2: tags({"event": "retry", "n": 2})}
    plain = {1: (I64, 1_790_000_000_000_002), 2: tags({"message": "hello"})}
    (found,) = _from_thrift(span(f11=(LIST, (STRUCT, [log, plain]))))
    assert [event[1:] for event in found["events"]] == [("retry", {"n": 2}), ("hello", {"message": "hello"})]
    event = block(1, _moment(1_790_000_000, 7)) + block(2, _key_value("event", "retry"))
    (found,) = spans_of(protobuf.read(_proto(block(9, event))).payload)
    assert found["events"] == [(1_790_000_000_000_000_007, "retry", {})]


def test_scope_and_trace_state_are_lifted_out_of_the_tags() -> None:
    told = {"otel.scope.name": "lib", "otel.scope.version": "3", "w3c.tracestate": "a=b", "span.kind": "consumer"}
    (found,) = _from_thrift(span(f10=tags(told)))
    assert (found["scope"], found["state"], found["kind"], found["attributes"]) == ("lib 3", "a=b", "consumer", {})


def test_a_span_of_protobuf_may_have_a_process_of_its_own() -> None:
    (found,) = spans_of(protobuf.read(_proto(block(10, block(1, b"other")))).payload)
    assert found["resource"] == {"service.name": "other"}


def test_a_process_after_the_spans_is_theirs() -> None:
    whole = batch(span())
    made = thrift.read_batch(binary(STRUCT, {2: whole[2], 1: whole[1]}))
    assert spans_of(made.payload)[0]["resource"]["service.name"] == "checkout"


def test_spans_that_are_wrong_are_refused_and_the_others_kept() -> None:
    spans = [
        span(),
        span(f3=(I64, 0)),
        span(f1=(I64, 0), f2=(I64, 0)),
        span(f8=(I64, 0)),
        span(f5=(I32, 3)),
        span(f10=(LIST, (STRUCT, [{1: (STRING, b"k"), 2: (I32, 1), 5: (BOOL, True)}]))),
    ]
    made = thrift.read_batch(binary(STRUCT, batch(*spans)))
    assert (made.spans, dict(made.refusals.counts)) == (1, {"invalid_id": 2, "invalid_field": 3})
    text = made.refusals.text(made.received)
    for told in (
        "5 of 6",
        "span 1: spanId",
        "span 2: traceId",
        "span 3: start time",
        "span 4: operationName",
        "span 5: tag",
    ):
        assert told in text
    wrong = protobuf.read(block(1, block(1, block(3, b"no ids"))) + _proto())
    assert (wrong.spans, dict(wrong.refusals.counts)) == (1, {"invalid_id": 1})


@pytest.mark.parametrize("size", [1 << 30, (1 << 31) - 1, -1])
def test_what_thrift_declares_is_not_believed(size: int) -> None:
    lists = b"\x0c\0\1\0" + b"\x0f\0\2\x0c" + struct.pack(">i", size)
    with pytest.raises(BadInputError, match="declares"):
        thrift.read_batch(lists)
    with pytest.raises(BadInputError, match="declares"):
        thrift.read_batch(b"\x0c\0\1\x0b\0\1" + struct.pack(">i", size))
    compact = compact_call("emitBatch", {})[:-1] + b"\x1c\x1c\0\x19\xfc\xff\xff\xff\xff\x07"
    with pytest.raises(BadInputError, match="declares"):
        thrift.read_datagram(compact, 0)


@pytest.mark.parametrize(
    "opening", [b"\x0c\0\1", b"\x0f\0\1\x0f\0\0\0\1" + b"\x0f\0\0\0\1", b"\x0d\0\x09\x0d\x0d\0\0\0\1"]
)
def test_what_nests_without_end_is_an_error(opening: bytes) -> None:
    with pytest.raises(BadInputError, match=r"deeper|declares|not exist|ends early|parts in one span"):
        thrift.read_batch(opening * 100_000)
    with pytest.raises(BadInputError):
        thrift.read_datagram(compact_call("emitBatch", {})[:-1] + b"\x1c" * 60_000, 0)


def test_too_many_spans_or_parts_are_an_error() -> None:
    with pytest.raises(LimitError, match="more than 100000 spans"):
        thrift.read_batch(b"\x0c\0\1\0\x0f\0\2\x0c" + struct.pack(">i", 200_000) + b"\0" * 200_001)
    with pytest.raises(LimitError, match="more than 100000 spans"):
        protobuf.read(block(1, b"\x0a\0" * 200_000))
    many = span(f10=(LIST, (STRUCT, [{}] * 200_000)))
    with pytest.raises(BadInputError, match="more than 100000 parts"):
        thrift.read_batch(binary(STRUCT, batch(many)))


def test_other_calls_are_told_apart() -> None:
    with pytest.raises(BadInputError, match="a call of 'emitTea', expected emitBatch"):
        thrift.read_datagram(compact_call("emitTea", {}), 0)
    assert thrift.read_datagram(compact_call("emitBatch", {}), 0).received == 0
