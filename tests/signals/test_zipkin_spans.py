"""Zipkin's formats to OTLP: ids, times, endpoints, tags, annotations, v1's two-sided spans, and what is refused."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

import pytest
from otlp_read import spans_of
from thrift_writer import BOOL, I16, I32, I64, LIST, STRING, STRUCT, binary, compact_call

from windvane.kit.errors import BadInputError, LimitError
from windvane.signals.jaeger.thrift import read_datagram
from windvane.signals.otlp.wire import block, fixed64, integer
from windvane.signals.zipkin import json_v2, protobuf, v1

NOW = 1_790_000_001_000_000_000
WRONG_IDS = ("", "0", "xyz", "0x12", "1_2", "12 34", "1" * 33, 5, None, [])
SPAN = {
    "traceId": "0af7651916cd43dd8448eb211c80319c",
    "id": "00f067aa0ba902b7",
    "parentId": "b7ad6b7169203331",
    "name": "get /",
    "kind": "SERVER",
    "timestamp": 1_790_000_000_000_000,
    "duration": 1_500,
    "localEndpoint": {"serviceName": "reviews", "ipv4": "10.0.0.1", "port": 9080},
    "remoteEndpoint": {"serviceName": "web", "ipv6": "2001:DB8::0:1", "port": 41_000},
    "annotations": [{"timestamp": 1_790_000_000_000_700, "value": "ws"}],
    "tags": {"http.method": "GET"},
}


def _one(**changes: Any) -> dict[str, Any]:
    """One span, with fields changed or (None) left out."""
    span = {key: value for key, value in (SPAN | changes).items() if value is not None}
    made = json_v2.read(json.dumps([span]).encode(), NOW)
    assert (made.spans, len(made.refusals)) == (1, 0)
    (found,) = spans_of(made.payload)
    return found


def _refused(**changes: Any) -> str:
    """Why a span is refused; the one beside it is kept."""
    body = json.dumps([SPAN, SPAN | changes]).encode()
    made = json_v2.read(body, NOW)
    assert (made.spans, len(made.refusals)) == (1, 1)
    return made.refusals.text(2)


def test_a_span_of_json() -> None:
    found = _one()
    assert (found["trace"], found["id"], found["parent"]) == (SPAN["traceId"], SPAN["id"], SPAN["parentId"])
    assert (found["name"], found["kind"], found["start"], found["length"]) == (
        "get /",
        "server",
        NOW - 10**9,
        1_500_000,
    )
    assert found["resource"] == {"service.name": "reviews"}
    assert found["attributes"] == {
        "http.method": "GET",
        "net.host.ip": "10.0.0.1",
        "net.host.port": 9080,
        "peer.service": "web",
        "net.peer.ip": "2001:db8::1",
        "net.peer.port": 41_000,
    }
    assert found["events"] == [(NOW - 10**9 + 700_000, "ws", {})]


def test_a_span_of_protobuf_is_that_of_json() -> None:
    local = block(1, b"reviews") + block(2, b"\x0a\0\0\1") + integer(4, 9080)
    remote = block(1, b"web") + block(3, socket.inet_pton(socket.AF_INET6, "2001:db8::1")) + integer(4, 41_000)
    span = [
        *(block(number, bytes.fromhex(str(SPAN[key]))) for number, key in ((1, "traceId"), (2, "parentId"), (3, "id"))),
        integer(4, 2),
        block(5, b"get /"),
        fixed64(6, 1_790_000_000_000_000),
        integer(7, 1_500),
        block(8, local),
        block(9, remote),
        block(10, fixed64(1, 1_790_000_000_000_700) + block(2, b"ws")),
        block(11, block(1, b"http.method") + block(2, b"GET")),
        integer(12, 1),
        integer(13, 1),
        block(99, b"of a later version"),
    ]
    made = protobuf.read(block(1, b"".join(span)), NOW)
    assert spans_of(made.payload) == [_one()]


@pytest.mark.parametrize(
    ("given", "stored"),
    [
        ("8448eb211c80319c", "0" * 16 + "8448eb211c80319c"),
        ("0AF7651916CD43DD8448EB211C80319C", "0af7651916cd43dd8448eb211c80319c"),
        ("1", "0" * 31 + "1"),
        ("1" * 17, "0" * 15 + "1" * 17),
    ],
)
def test_trace_ids_have_128_bits(given: str, stored: str) -> None:
    assert _one(traceId=given)["trace"] == stored


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((field, value) for field in ("traceId", "id") for value in WRONG_IDS),
        *(("id", "1" * 17), ("parentId", "xyz"), ("parentId", "1" * 17), ("parentId", 5)),
    ],
)
def test_a_wrong_id_is_named(field: str, value: Any) -> None:
    told = _refused(**{field: value})
    assert f"1 of 2 records refused (1 invalid_id): span 1: {field} is " in told


@pytest.mark.parametrize(
    ("field", "value", "named"),
    [
        ("timestamp", "soon", "timestamp"),
        ("timestamp", True, "timestamp"),
        ("timestamp", 10**17, "timestamp"),
        ("duration", {}, "duration"),
        ("name", 5, "name"),
        ("kind", "DRIVER", "kind"),
        ("tags", [], "tags"),
        ("annotations", {"a": 1}, "annotations"),
        ("annotations", [5], "annotation"),
        ("annotations", [{"timestamp": 1}], "annotation.value"),
        ("localEndpoint", "here", "localEndpoint"),
        ("localEndpoint", {"serviceName": 5}, "localEndpoint"),
        ("remoteEndpoint", {"port": "http"}, "remoteEndpoint.port"),
    ],
)
def test_a_wrong_field_is_named(field: str, value: Any, named: str) -> None:
    assert f"(1 invalid_field): span 1: {named} is " in _refused(**{field: value})


def test_what_is_absent_is_absent() -> None:
    found = _one(
        name=None, kind=None, parentId=None, localEndpoint=None, remoteEndpoint=None, annotations=None, tags=None
    )
    assert (found["name"], found["kind"], found["parent"]) == ("", "unspecified", "")
    assert (found["resource"], found["attributes"], found["events"]) == ({}, {}, [])
    assert _one(parentId="0000000000000000")["parent"] == ""
    assert _one(parentId=SPAN["id"])["parent"] == ""
    assert _one(duration=None)["length"] == 0


def test_a_span_without_a_time_has_that_of_its_event_or_of_its_arrival() -> None:
    found = _one(timestamp=None)
    assert (found["start"], found["length"]) == (NOW - 10**9 + 700_000, 1_500_000)
    assert found["attributes"]["otel.zipkin.absentField.startTime"] is True
    assert _one(timestamp=0, annotations=None)["start"] == NOW


def test_times_may_be_texts_and_fractions() -> None:
    found = _one(timestamp="1790000000000000", duration=1_500.7)
    assert (found["start"], found["length"]) == (NOW - 10**9, 1_500_000)
    assert _one(duration=-5)["length"] == 0


def test_tags_of_any_kind_keep_it() -> None:
    given = {
        "text": "é",
        "int": 3,
        "double": 1.5,
        "true": True,
        "big": (1 << 64) - 1,
        "null": None,
        "list": [1, {"a": 2}],
    }
    found = _one(tags=given, localEndpoint=None, remoteEndpoint=None)["attributes"]
    assert found == {
        "text": "é",
        "int": 3,
        "double": 1.5,
        "true": True,
        "big": str((1 << 64) - 1),
        "list": '[1,{"a":2}]',
    }
    assert (type(found["true"]), type(found["int"])) == (bool, int)


@pytest.mark.parametrize(
    ("given", "status", "left"),
    [
        ({"error": "true"}, ("error", ""), {}),
        ({"error": ""}, ("error", ""), {}),
        ({"error": "refused"}, ("error", "refused"), {}),
        ({"error": "false"}, ("unset", ""), {"error": "false"}),
        ({"otel.status_code": "STATUS_CODE_ERROR", "otel.status_description": "no"}, ("error", "no"), {}),
        ({"otel.status_code": "OK"}, ("ok", ""), {}),
        ({"http.status_code": "503"}, ("unset", ""), {"http.status_code": "503"}),
    ],
)
def test_status_follows_from_tags(given: dict[str, Any], status: tuple[str, str], left: dict[str, str]) -> None:
    found = _one(tags=given, localEndpoint=None, remoteEndpoint=None)
    assert (found["status"], found["attributes"]) == (status, left)


def test_tags_of_the_process_describe_the_resource() -> None:
    found = _one(tags={"k8s.pod.name": "p", "service.version": "2", "service": "x", "host.name": "h", "hosts.all": "y"})
    assert found["resource"] == {
        "service.name": "reviews",
        "k8s.pod.name": "p",
        "service.version": "2",
        "host.name": "h",
    }
    assert {"service", "hosts.all"} <= found["attributes"].keys()
    assert _one(tags={"service.name": "Reviews"})["resource"] == {"service.name": "Reviews"}


def test_tags_win_over_endpoints() -> None:
    assert _one(tags={"peer.service": "mine"})["attributes"]["peer.service"] == "mine"


def test_addresses_that_are_none_are_left_out() -> None:
    found = _one(localEndpoint={"serviceName": "a", "ipv4": "here"}, remoteEndpoint={"ipv4": None, "port": 0})
    assert found["attributes"] == {"http.method": "GET"}


@pytest.mark.parametrize(
    ("value", "name", "attributes"),
    [
        ('{"retry": {"n": 2}}', "retry", {"n": 2}),
        ('"retry":{"n":2}', "retry", {"n": 2}),
        ('retry: {"n":2}', "retry", {"n": 2}),
        ('retry|{"n":2}|0', "retry", {"n": 2}),
        ('{"n":2}', '{"n":2}', {}),
        ("a: {b}", "a: {b}", {}),
        ("", "", {}),
        ("{", "{", {}),
    ],
)
def test_annotations_that_carry_attributes(value: str, name: str, attributes: dict[str, Any]) -> None:
    (event,) = _one(annotations=[{"timestamp": 1, "value": value}])["events"]
    assert event == (1_000, name, attributes)


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"nothing", b"[", b"null", b"\xff", b'[{"traceId": "\\ud800"', b"[" * 100_000]
)
def test_a_body_that_is_no_list_is_an_error(body: bytes) -> None:
    with pytest.raises(BadInputError, match="not Zipkin's JSON"):
        json_v2.read(body, NOW)
    with pytest.raises(BadInputError, match="not Zipkin's JSON"):
        v1.read_json(body, NOW)


def test_limits() -> None:
    assert json_v2.read(b"[]", NOW).received == 0
    with pytest.raises(LimitError, match="more than 100000 spans"):
        json_v2.read(b"[" + b"{}," * 100_001 + b"{}]", NOW)
    with pytest.raises(LimitError, match="more than 100000 spans"):
        protobuf.read(b"\x0a\0" * 100_002, NOW)
    many = protobuf.read(block(1, b"\x5a\0" * 100_002), NOW)
    assert "more than 100000 parts" in many.refusals.text(1)
    large = "x" * (1 << 20)
    assert _one(tags={"body": large})["attributes"]["body"] == large


def test_malformed_protobuf_names_the_span() -> None:
    good = block(1, bytes(15) + b"\1") + block(3, bytes(7) + b"\1")
    with pytest.raises(BadInputError, match="span 1: a field reaches beyond its message"):
        protobuf.read(block(1, good) + block(1, b"\x0a\x7f"), NOW)


def test_a_two_sided_span_of_v1_is_two() -> None:
    web, db = {"serviceName": "web", "ipv4": "10.0.0.1", "port": -1}, {"serviceName": "db"}
    span = {
        "traceId": "1",
        "id": "2",
        "name": "query",
        "annotations": [
            {"timestamp": 1_000, "value": "cs", "endpoint": web},
            {"timestamp": 1_005, "value": "sr", "endpoint": db},
            {"timestamp": 1_007, "value": "seek", "endpoint": db},
            {"timestamp": 1_009, "value": "ss", "endpoint": db},
            {"timestamp": 1_020, "value": "cr", "endpoint": web},
        ],
        "binaryAnnotations": [
            {"key": "sa", "value": True, "endpoint": db},
            {"key": "ca", "value": True, "endpoint": web},
            {"key": "rows", "value": 3, "type": "I32", "endpoint": db},
            {"key": "http.status_code", "value": "500", "endpoint": web},
        ],
    }
    client, server = spans_of(v1.read_json(json.dumps([span]).encode(), NOW).payload)
    assert [(each["id"], each["kind"], each["resource"]) for each in (client, server)] == [
        ("0000000000000002", "client", {"service.name": "web"}),
        ("0000000000000002", "server", {"service.name": "db"}),
    ]
    assert [(each["start"], each["length"]) for each in (client, server)] == [(1_000_000, 20_000), (1_005_000, 4_000)]
    assert client["status"] == ("error", "")
    assert client["attributes"]["peer.service"] == "db"
    assert client["attributes"]["net.host.port"] == 65_535
    assert (server["attributes"]["rows"], server["attributes"]["peer.service"]) == (3, "web")
    assert [event[1] for event in server["events"]] == ["seek"]


@pytest.mark.parametrize(
    ("value", "kind"), [("ms", "producer"), ("mr", "consumer"), ("ss", "server"), ("x", "unspecified")]
)
def test_kinds_of_v1_follow_from_core_annotations(value: str, kind: str) -> None:
    span = {"traceId": "1", "id": "2", "annotations": [{"timestamp": 1_000, "value": value}]}
    (found,) = spans_of(v1.read_json(json.dumps([span]).encode(), NOW).payload)
    assert (found["kind"], found["start"]) == (kind, 1_000_000)


def test_local_components_name_the_service() -> None:
    span = {"traceId": "1", "id": "2", "timestamp": 5, "binaryAnnotations": [{"key": "lc", "value": "batch"}]}
    (found,) = spans_of(v1.read_json(json.dumps([span]).encode(), NOW).payload)
    assert (found["resource"], found["attributes"]) == ({"service.name": "batch"}, {"component": "batch"})


THRIFT_HOST = {1: (I32, 0x0A000001), 2: (I16, -1), 3: (STRING, b"web")}
THRIFT_SPAN = {
    1: (I64, -1),
    3: (STRING, b"query"),
    4: (I64, 2),
    5: (I64, 3),
    6: (LIST, (STRUCT, [{1: (I64, 1_000), 2: (STRING, b"cs"), 3: (STRUCT, THRIFT_HOST)}])),
    8: (
        LIST,
        (
            STRUCT,
            [
                {1: (STRING, key), 2: (STRING, raw), 3: (I32, kind), 4: (STRUCT, THRIFT_HOST)}
                for key, raw, kind in (
                    (b"bool", b"\1", 0),
                    (b"bytes", b"\xff", 1),
                    (b"i16", b"\xff\xff", 2),
                    (b"i32", struct.pack(">i", 7), 3),
                    (b"i64", struct.pack(">q", -7), 4),
                    (b"double", struct.pack(">d", 0.5), 5),
                    (b"string", b"text", 6),
                    (b"sa", b"\1", 0),
                )
            ],
        ),
    ),
    9: (BOOL, True),
    10: (I64, 900),
    11: (I64, 50),
    12: (I64, 1),
}


def test_v1_thrift_over_http_and_in_datagrams() -> None:
    made = v1.read_thrift(binary(LIST, (STRUCT, [THRIFT_SPAN])), NOW)
    (found,) = spans_of(made.payload)
    assert (found["trace"], found["parent"]) == ("0" * 15 + "1" + "f" * 16, "0" * 15 + "3")
    assert (found["kind"], found["start"], found["length"]) == ("client", 900_000, 50_000)
    assert found["resource"] == {"service.name": "web"}
    assert found["attributes"] == {
        "bool": True, "bytes": b"\xff", "i16": -1, "i32": 7, "i64": -7, "double": 0.5, "string": "text",
        "net.host.ip": "10.0.0.1", "net.host.port": 65_535,
        "peer.service": "web", "net.peer.ip": "10.0.0.1", "net.peer.port": 65_535,
    }  # fmt: skip
    datagram = compact_call("emitZipkinBatch", {1: (LIST, (STRUCT, [THRIFT_SPAN]))})
    assert read_datagram(datagram, NOW).payload == made.payload
