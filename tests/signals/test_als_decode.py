"""Envoy's access-log messages, recorded and made up, as rows."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from als_recording import core, entries, envelopes, insert, load, service
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from windvane.kit.errors import BadInputError
from windvane.signals import envoy_als
from windvane.signals.envoy_als.schema import FLAGS
from windvane.store.embedded import EmbeddedEngine

ME = envoy_als.Identifier("sidecar~10.0.0.1~web.shop~shop.svc.cluster.local", "http_outbound")


def http(common: dict[str, Any] | None = None, **entry: Any) -> bytes:
    """A message with one HTTP entry."""
    made = entries.HttpAccessLogEntry(common_properties=entries.AccessLogCommon(**(common or {})), **entry)
    return bytes(
        service.StreamAccessLogsMessage(http_logs=service.StreamAccessLogsMessageHttpAccessLogEntries(log_entry=[made]))
    )


def tcp(common: dict[str, Any] | None = None, **entry: Any) -> bytes:
    """A message with one TCP entry."""
    made = entries.TcpAccessLogEntry(common_properties=entries.AccessLogCommon(**(common or {})), **entry)
    return bytes(
        service.StreamAccessLogsMessage(tcp_logs=service.StreamAccessLogsMessageTcpAccessLogEntries(log_entry=[made]))
    )


def socket_address(host: str, port: int) -> core.Address:
    return core.Address(socket_address=core.SocketAddress(address=host, port_value=port))


def decoded(engine: EmbeddedEngine, message: bytes, who: envoy_als.Identifier = ME) -> dict[str, Any]:
    engine.command("TRUNCATE TABLE envoy_access_logs")
    assert insert(engine, envoy_als.envelope(who, message)) == 1
    return {str(k): v for k, v in engine.query("SELECT * FROM envoy_access_logs").to_dict("records")[0].items()}


@pytest.fixture
def recorded(engine: EmbeddedEngine) -> EmbeddedEngine:
    payload = b"".join(payload for payload, _ in envelopes())
    assert insert(engine, payload, commit=7) == sum(count for _, count in envelopes())
    return engine


def test_the_recording_decodes_to_these_rows(recorded: EmbeddedEngine, golden: Callable[[str, str], None]) -> None:
    columns = [name for name in envoy_als.COLUMNS if name != "Received"]
    rows = recorded.query(f"SELECT {', '.join(columns)} FROM envoy_access_logs ORDER BY Timestamp, LogName, BodySent")
    rows["Timestamp"] = rows["Timestamp"].astype(str)
    lines = [json.dumps({k: v for k, v in row.items() if v not in ("", 0, {})}) for row in rows.to_dict("records")]
    golden("als_rows.jsonl", "\n".join(lines) + "\n")


def test_what_became_of_each_recorded_request(recorded: EmbeddedEngine) -> None:
    rows = recorded.query(
        "SELECT Path, ResponseCode, ResponseFlags, UpstreamCluster FROM envoy_access_logs "
        "WHERE LogName = 'http_outbound' ORDER BY Path"
    )
    assert {path: tuple(rest) for path, *rest in rows.to_numpy().tolist()} == {
        "/abort/1": (555, "FI", "outbound|9080||reviews.shop.svc.cluster.local"),
        "/delay/1": (200, "DI", "outbound|9080||reviews.shop.svc.cluster.local"),
        "/echo.Echo/Fail": (200, "-", "outbound|9090||grpc.shop.svc.cluster.local"),
        "/echo.Echo/Stream": (200, "-", "outbound|9090||grpc.shop.svc.cluster.local"),
        "/echo.Echo/Unary": (200, "-", "outbound|9090||grpc.shop.svc.cluster.local"),
        "/missing": (404, "NR", ""),
        "/nocluster": (503, "NC", ""),
        "/none": (503, "UH", "outbound|9080|none|reviews.shop.svc.cluster.local"),
        "/ok/1?x=1": (200, "-", "outbound|9080||reviews.shop.svc.cluster.local"),
        "/ok/fail": (503, "-", "outbound|9080||reviews.shop.svc.cluster.local"),
        "/ok/post": (200, "-", "outbound|9080||reviews.shop.svc.cluster.local"),
        "/refused": (503, "URX,UF", "outbound|9080|refused|reviews.shop.svc.cluster.local"),
        "/slow": (0, "DC", "outbound|9080||reviews.shop.svc.cluster.local"),
        "/timeout/1": (504, "UT", "outbound|9080||reviews.shop.svc.cluster.local"),
    }


def test_grpc_requests_have_status_and_message_counts(recorded: EmbeddedEngine) -> None:
    rows = recorded.query(
        "SELECT DISTINCT Path, Protocol, GrpcStatus, RequestMessages, ResponseMessages FROM envoy_access_logs "
        "WHERE Path LIKE '/echo%' ORDER BY Path"
    )
    assert rows.to_numpy().tolist() == [
        ["/echo.Echo/Fail", "grpc", "9", 1, 0],
        ["/echo.Echo/Stream", "grpc", "0", 3, 6],
        ["/echo.Echo/Unary", "grpc", "0", 1, 1],
    ]


def test_a_request_joins_its_two_proxies_by_trace_and_request_id(recorded: EmbeddedEngine) -> None:
    rows = recorded.query(
        "SELECT TraceId, groupUniqArray(RequestId) AS ids, groupArray(Reporter) AS sides, "
        "anyIf(PeerPrincipal, Reporter = 'destination') AS client, "
        "anyIf(UpstreamPeerPrincipal, Reporter = 'source') AS server, "
        "anyIf(PeerMetadata, Reporter = 'destination') AS told FROM envoy_access_logs "
        "WHERE Path = '/ok/post' GROUP BY TraceId"
    ).to_dict("records")
    assert len(rows) == 1
    assert len(rows[0]["TraceId"]) == 32
    assert len(rows[0]["ids"]) == 1
    assert sorted(rows[0]["sides"]) == ["destination", "source"]
    assert rows[0]["client"] == "spiffe://cluster.local/ns/shop/sa/productpage"
    assert rows[0]["server"] == "spiffe://cluster.local/ns/shop/sa/reviews"
    assert rows[0]["told"] == "productpage;shop;productpage;v1;productpage;v1;Kubernetes"


def test_a_tcp_connection_reports_several_times_under_one_stream_id(recorded: EmbeddedEngine) -> None:
    rows = recorded.query(
        "SELECT StreamId, groupArray(LogType) AS types, groupArray(BodySent) AS sent, groupArray(Intermediate) AS open "
        "FROM (SELECT * FROM envoy_access_logs WHERE LogName = 'tcp_outbound' AND ResponseFlags = '-' "
        "ORDER BY Intermediate DESC, BodySent) GROUP BY StreamId"
    ).to_dict("records")
    assert len(rows) == 1
    assert list(rows[0]["types"]) == [
        "TcpUpstreamConnected",
        "TcpPeriodic",
        "TcpPeriodic",
        "TcpPeriodic",
        "TcpConnectionEnd",
    ]
    assert list(rows[0]["sent"])[-1] == 400
    assert list(rows[0]["open"]) == [1, 1, 1, 1, 0]


def test_each_flag_has_its_short_string(engine: EmbeddedEngine) -> None:
    reason = entries.ResponseFlagsUnauthorized(reason=entries.ResponseFlagsUnauthorizedReason.EXTERNAL_SERVICE)
    messages = [
        http(
            {
                "stream_id": field.name,
                "response_flags": entries.ResponseFlags(
                    **{field.name: reason if field.name == "unauthorized_details" else True}
                ),
            }
        )
        for field in fields(entries.ResponseFlags)
    ]
    insert(engine, b"".join(envoy_als.envelope(ME, message) for message in messages))
    rows = engine.query("SELECT StreamId, ResponseFlags FROM envoy_access_logs")
    named = dict(rows.to_numpy().tolist())
    assert [named[field.name] for field in fields(entries.ResponseFlags)] == list(FLAGS)
    assert named["no_healthy_upstream"] == "UH"
    assert named["downstream_remote_reset"] == "DR"


def test_flags_without_the_tag_come_in_the_order_of_the_fields(engine: EmbeddedEngine) -> None:
    flags = entries.ResponseFlags(upstream_retry_limit_exceeded=True, upstream_connection_failure=True)
    assert decoded(engine, http({"response_flags": flags}))["ResponseFlags"] == "UF,URX"
    tagged = {"response_flags": flags, "custom_tags": {"response_flags": "URX,UF", "team": "a"}}
    row = decoded(engine, http(tagged))
    assert row["ResponseFlags"] == "URX,UF"
    assert row["Tags"] == {"team": "a"}
    assert decoded(engine, http())["ResponseFlags"] == "-"


@pytest.mark.parametrize(
    ("address", "text"),
    [
        (socket_address("10.1.2.3", 80), "10.1.2.3:80"),
        (socket_address("fd00::1", 443), "[fd00::1]:443"),
        (core.Address(pipe=core.Pipe(path="/run/app.sock")), "/run/app.sock"),
        (core.Address(envoy_internal_address=core.EnvoyInternalAddress(server_listener_name="inner")), "inner"),
        (core.Address(), ""),
    ],
)
def test_addresses(engine: EmbeddedEngine, address: core.Address, text: str) -> None:
    row = decoded(engine, http({"upstream_remote_address": address, "downstream_local_address": address}))
    assert (row["UpstreamHost"], row["DownstreamLocalAddress"]) == (text, text)


def test_times_are_nanoseconds(engine: EmbeddedEngine) -> None:
    start = datetime(2026, 5, 1, 12, 0, 0, 123456, UTC)
    row = decoded(engine, http({"start_time": start, "duration": timedelta(seconds=61, microseconds=5)}))
    assert row["DurationNs"] == 61_000_005_000
    assert str(row["Timestamp"]) == "2026-05-01 12:00:00.123456"


def test_an_entry_without_times_is_stamped_on_arrival(engine: EmbeddedEngine) -> None:
    row = decoded(engine, http())
    assert abs(row["Timestamp"].timestamp() - row["Received"].timestamp()) < 5
    assert row["DurationNs"] == 0


@pytest.mark.parametrize(
    ("request_headers", "response", "protocol", "status"),
    [
        ({"content-type": "application/grpc"}, {}, "grpc", ""),
        ({"content-type": "application/grpc+proto"}, {"response_trailers": {"grpc-status": "5"}}, "grpc", "5"),
        ({}, {"response_headers": {"grpc-status": "14"}}, "grpc", "14"),
        ({"content-type": "application/grpc-web"}, {}, "http", ""),
        ({"content-type": "application/json"}, {}, "http", ""),
    ],
)
def test_grpc_is_known_by_content_type_or_status(
    engine: EmbeddedEngine, request_headers: dict[str, str], response: dict[str, Any], protocol: str, status: str
) -> None:
    message = http(
        request=entries.HttpRequestProperties(request_headers=request_headers),
        response=entries.HttpResponseProperties(**response),
    )
    row = decoded(engine, message)
    assert (row["Protocol"], row["GrpcStatus"]) == (protocol, status)


def test_values_of_a_newer_envoy_decode(engine: EmbeddedEngine) -> None:
    unknown_log_type = b"\x88\x02\x63"  # field 33, value 99
    unknown_field = b"\xa2\x3e\x02hi"  # field 996
    entry = b"\x0a" + bytes([len(unknown_log_type + unknown_field)]) + unknown_log_type + unknown_field + b"\x10\x09"
    entries_ = b"\x0a" + bytes([len(entry)]) + entry
    row = decoded(engine, b"\x12" + bytes([len(entries_)]) + entries_)
    assert (row["LogType"], row["HttpVersion"], row["Method"]) == ("99", "", "")


def test_the_log_name_tells_the_reporter(engine: EmbeddedEngine) -> None:
    for log_name, reporter in (("http_inbound", "destination"), ("tcp_inbound", "destination"), ("mine", "source")):
        assert decoded(engine, tcp(), envoy_als.Identifier("n", log_name))["Reporter"] == reporter


def test_http_and_tcp_entries_of_one_payload_keep_to_their_own(engine: EmbeddedEngine) -> None:
    one = http(request=entries.HttpRequestProperties(path="/a", request_body_bytes=5))
    two = tcp(connection_properties=entries.ConnectionProperties(received_bytes=9, sent_bytes=8))
    both = one + two  # fields of one message, as protobuf concatenates
    assert envoy_als.count_entries(both) == 2
    assert insert(engine, envoy_als.envelope(ME, both) + envoy_als.envelope(ME, two)) == 3
    rows = engine.query("SELECT Kind, Path, BodyReceived, BodySent FROM envoy_access_logs ORDER BY Kind, Path")
    assert rows.to_numpy().tolist() == [["http", "/a", 5, 0], ["tcp", "", 9, 8], ["tcp", "", 9, 8]]


def test_identifier_comes_in_a_streams_first_message_only() -> None:
    first: dict[int, int] = {}
    for stream, message in load():
        found = envoy_als.identifier(message)
        assert (found is not None) == (stream not in first)
        if found is not None:
            assert found.node_id == "sidecar~127.0.0.1~productpage.shop~shop.svc.cluster.local"
            assert found.log_name in ("http_outbound", "http_inbound", "tcp_outbound", "tcp_inbound")
        first.setdefault(stream, 1)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_damaged_messages_are_refused_or_read_but_never_break_the_engine(
    engine: EmbeddedEngine, data: st.DataObject
) -> None:
    messages = [message for stream, message in load() if len(message) < 20_000]
    message = bytearray(data.draw(st.sampled_from(messages)))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(message) - 1))
        if data.draw(st.booleans()):
            message[place] = data.draw(st.integers(0, 255))
        else:
            del message[place : place + data.draw(st.integers(1, 40))]
    assert stored_or_refused(engine, bytes(message))
    engine.query("SELECT * FROM envoy_access_logs")
    engine.command("TRUNCATE TABLE envoy_access_logs")


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(message=st.binary(max_size=200))
def test_any_bytes_are_refused_or_read(engine: EmbeddedEngine, message: bytes) -> None:
    assert stored_or_refused(engine, message)


def stored_or_refused(engine: EmbeddedEngine, message: bytes) -> bool:
    try:
        envoy_als.identifier(message)
        count = envoy_als.count_entries(message)
        stored = insert(engine, envoy_als.envelope(ME, message))
    except BadInputError:
        return True
    return stored == count


def test_text_that_is_not_utf8_is_refused(engine: EmbeddedEngine) -> None:
    good = http(request=entries.HttpRequestProperties(path="/aaaa"))
    with pytest.raises(BadInputError, match="text is not UTF-8"):
        insert(engine, envoy_als.envelope(ME, good.replace(b"/aaaa", b"/aa\xffa")))
    assert insert(engine, envoy_als.envelope(ME, good)) == 1
