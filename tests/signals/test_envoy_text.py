"""Envoy's access logs as text: golden lines, formats and what they refuse, prefixes, other lines; fuzzed."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from windvane.kit.errors import BadInputError
from windvane.signals.envoy_text import BadLine, LineReader, compile_format, default_formats
from windvane.signals.envoy_text.formats import ENVOY, ISTIO, ISTIO_BEFORE_1_8

# The shapes of Istio's documentation (tasks/observability/logs/access-log) with other values.
INBOUND = (
    '[2020-11-25T21:26:18.409Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 4 3 "-" "curl/7.73.0-DEV" '
    '"84961386-6d84-929d-98bd-c5aee93b5c88" "httpbin:8000" "127.0.0.1:80" inbound|8000|| 127.0.0.1:41854 10.44.1.27:80 '
    "10.44.1.23:37652 outbound_.8000_._.httpbin.foo.svc.cluster.local default"
)
LOST = (
    '[2020-11-25T21:26:18.409Z] "POST /pay?q=1 HTTP/2" 503 UF,URX upstream_reset_before_response_started - '
    '"delayed connect error: 111" 7 91 1500 - "10.1.2.3,4.5.6.7" "Mozilla/5.0 (a; b)" "r-1" "pay:80" "10.0.0.7:80" '
    "outbound|80|v1|pay.shop.svc.cluster.local - 10.9.9.9:80 [::1]:46520 - default"
)
TCP = (
    '[2020-11-25T21:26:18.409Z] "- - -" 0 - - - "-" 1299 1503 5023 - "-" "-" "-" "-" "127.0.0.1:3306" '
    "outbound|3306||mysql.db.svc.cluster.local 127.0.0.6:1 10.0.0.1:3306 10.0.0.2:555 - -"
)
OLD = (
    '[2020-11-25T21:26:18.409Z] "GET /x HTTP/1.1" 200 - "-" "-" 0 1 2 1 "-" "curl" "r" "a" "tcp://10.0.0.1:1" '
    "outbound|1||a.b.svc.cluster.local - 10.0.0.1:1 10.0.0.2:2 - default"
)
OWN = (
    '[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21" '
    '"locations" "tcp://10.0.2.1:80"'
)
AT = 1_606_339_578_409_000_000


def _read(line: str | bytes, *formats: str, **given: str) -> Any:
    made = [compile_format(one) for one in formats] or default_formats()
    return LineReader(made, **given).read(line if isinstance(line, bytes) else line.encode())


def test_istios_line_whole() -> None:
    assert _read(INBOUND) == {
        "Timestamp": AT, "Method": "GET", "Path": "/status/418", "HttpVersion": "HTTP/1.1", "ResponseCode": 418,
        "ResponseFlags": "-", "ResponseCodeDetails": "via_upstream", "TerminationDetails": "", "UpstreamFailure": "",
        "BodyReceived": 0, "BodySent": 135, "DurationNs": 4_000_000, "UpstreamServiceTimeMs": 3, "ForwardedFor": "",
        "UserAgent": "curl/7.73.0-DEV", "RequestId": "84961386-6d84-929d-98bd-c5aee93b5c88",
        "Authority": "httpbin:8000", "UpstreamHost": "127.0.0.1:80", "UpstreamCluster": "inbound|8000||",
        "UpstreamLocalAddress": "127.0.0.1:41854", "DownstreamLocalAddress": "10.44.1.27:80",
        "DownstreamRemoteAddress": "10.44.1.23:37652",
        "RequestedServerName": "outbound_.8000_._.httpbin.foo.svc.cluster.local", "RouteName": "default",
        "Reporter": "destination", "Kind": "http", "Protocol": "http", "LogName": "http_inbound",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("line", "wanted"),
    [
        (LOST, {"ResponseFlags": "UF,URX", "UpstreamFailure": "delayed connect error: 111", "ResponseCode": 503,
                "DurationNs": 1_500_000_000, "UpstreamServiceTimeMs": 0, "LogName": "http_outbound"}),
        (TCP, {"Kind": "tcp", "Protocol": "tcp", "Method": "", "BodyReceived": 1299, "BodySent": 1503}),
        (OLD, {"UpstreamHost": "10.0.0.1:1", "UpstreamCluster": "outbound|1||a.b.svc.cluster.local"}),
        (OWN, {"Path": "/api/v1/locations", "UpstreamServiceTimeMs": 100, "UpstreamHost": "10.0.2.1:80"}),
        (LOST.replace("Mozilla/5.0 (a; b)", 'My "own" agent'), {"UserAgent": 'My "own" agent', "RequestId": "r-1"}),
    ],
)  # fmt: skip
def test_other_lines(line: str, wanted: dict[str, object]) -> None:
    found = _read(line)
    assert {name: found[name] for name in wanted} == wanted


@pytest.mark.parametrize(
    ("prefix", "node"),
    [
        ("", "sidecar~~given.ns~ns.svc.cluster.local"),
        ("[pod/reviews-1/istio-proxy] ", "sidecar~~reviews-1.ns~ns.svc.cluster.local"),
        ("[pod/reviews-1/istio-proxy] 2020-11-25T21:26:19.000000001Z ", "sidecar~~reviews-1.ns~ns.svc.cluster.local"),
        ("2020-11-25T21:26:19.1+08:00 stdout F ", "sidecar~~given.ns~ns.svc.cluster.local"),
    ],
)
def test_prefixes(prefix: str, node: str) -> None:
    found = _read(prefix + INBOUND + "\r", pod="given", namespace="ns")
    assert (found["Timestamp"], found["NodeId"], found["RouteName"]) == (AT, node, "default")


def test_dockers_files() -> None:
    wrapped = json.dumps(
        {"log": INBOUND + "\n", "stream": "stdout", "time": "2020-11-25T21:26:19Z"}, separators=(",", ":")
    )
    assert _read(wrapped)["Timestamp"] == AT


def test_json() -> None:
    line = {"start_time": "2020-11-25T21:26:18.409Z", "method": "GET", "path": "/a", "protocol": "HTTP/2",
            "response_code": 200, "duration": 7.0, "grpc_status": "Unavailable", "upstream_host": None,
            "traceparent": f"00-{'ab' * 16}-{'1' * 16}-01", "pod_name": "p", "pod_namespace": "n",
            "zone": {"a": 1}}  # fmt: skip
    found = _read(json.dumps(line))
    assert (found["DurationNs"], found["GrpcStatus"], found["TraceId"]) == (7_000_000, "14", "ab" * 16)
    assert (found["Protocol"], found["NodeId"], found["Tags"]) == (
        "grpc",
        "sidecar~~p.n~n.svc.cluster.local",
        {"zone": '{"a":1}'},
    )
    form = '{"at": "%START_TIME(%s.%3f)%", "req": {"m": "%REQ(:METHOD)%"}, "who": "me %REQ(X-USER)%", "v": "1"}'
    found = _read('{"at":"1606339578.409","req":{"m":"PUT"},"who":"me ann","v":"1"}', form)
    assert (found["Timestamp"], found["Method"], found["RequestHeaders"]) == (AT, "PUT", {"x-user": "ann"})


@pytest.mark.parametrize(
    ("form", "line", "wanted"),
    [
        ("%START_TIME% %REQ(X-A?X-B):10% 100%%", "2020-11-25T21:26:18.409Z abc 100%",
         {"RequestHeaders": {"x-a": "abc"}}),
        ("%START_TIME(%Y/%m/%dT%H:%M:%S%z %s)%|%DYNAMIC_METADATA(istio.mixer:status)%",
         "2020/11/25T21:26:18+0000 1606339578|ok",
         {"Timestamp": AT - 409_000_000, "Tags": {"dynamic_metadata(istio.mixer:status)": "ok"}}),
        ("%START_TIME(%d/%b/%Y:%T %z)% %RESP(X-C)% %TRAILER(GRPC-STATUS)%", "25/Nov/2020:22:26:18 +0100 v 4",
         {"Timestamp": AT - 409_000_000, "ResponseHeaders": {"x-c": "v"}, "GrpcStatus": "4", "Protocol": "tcp"}),
        ("%START_TIME(%F %T.%6f)% %GRPC_STATUS(CAMEL_STRING)%", "2020-11-25 21:26:18.409000 DeadlineExceeded",
         {"Timestamp": AT, "GrpcStatus": "4"}),
        ("%START_TIME% %TRACE_ID% %REQUEST_DURATION% %UPSTREAM_HOST%", "2020-11-25T21:26:18.409Z ABC 3 -",
         {"TraceId": "abc".zfill(32), "Tags": {"request_duration": "3"}, "UpstreamHost": ""}),
    ],
)  # fmt: skip
def test_formats(form: str, line: str, wanted: dict[str, object]) -> None:
    found = _read(line, form)
    assert not isinstance(found, BadLine), found
    shown = {name: found[name] for name in wanted}
    assert shown == wanted | ({"Protocol": found["Protocol"]} if "Protocol" in wanted else {})


@pytest.mark.parametrize(
    ("form", "message"),
    [
        ("", "no operator"), ("plain", "no operator"), ("%START_TIME%%REQ(:PATH)%", "no text tells where value 1 ends"),
        ("%START_TIME% 50%", "character 16"), ("%START_TIME(%H:%M)%", "does not tell a day"),
        ("%START_TIME(%Y-%m-%d %q)%", "%q is not read"), ("{", "no JSON object"), ('{"a": 3}', "'a'"),
        ("%start_time%", "character 1"),
    ],
)  # fmt: skip
def test_formats_that_are_refused(form: str, message: str) -> None:
    with pytest.raises(BadInputError, match=re.escape(message)):
        compile_format(form)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ("2026-11-29T20:00:00.000000Z\tinfo\txdsproxy\tconnected", "not in the format"),
        (INBOUND.replace(" 418 -", " 4x8 -"), "'4x8' is no number"),
        (INBOUND.replace(" 418 -", " 1000 -"), "no response code"),
        (INBOUND.replace("2020-11-25T", "2020-13-25T"), "month"),
        (INBOUND.replace("2020-11-25T", "yesterday"), "is no time"),
        (INBOUND.replace("2020-11-25T", "1960-11-25T"), "out of range"),
        (INBOUND.replace(" 0 135 4", " 0 99999999999999999999 4"), "is no number"),
        (INBOUND.encode() + b"\xff", "not UTF-8"), ('{"a":1}', "tells no time"), ('{"a":', "no JSON"),
        (b"x" * (1 << 21), "longer than"), ('{"start_time":"-"}', "is no time"),
    ],
)  # fmt: skip
def test_lines_that_are_no_entry(line: str | bytes, reason: str) -> None:
    found = _read(line)
    assert isinstance(found, BadLine)
    assert reason in found.reason
    assert found.number == 1
    assert len(found.text) <= 120


def test_junk_between_lines_and_numbers() -> None:
    reader = LineReader(default_formats())
    kinds = [type(reader.read(line)) for line in (b"goroutine 1 [running]:", b"", b"\tmain.go:3", INBOUND.encode())]
    assert kinds == [BadLine, type(None), BadLine, dict]
    assert reader.number == 4


KEYS = st.sampled_from(["start_time", "method", "duration", "log", "time", "stream", "x"])
PLAIN = st.text(
    st.characters(codec="utf-8", exclude_characters='"\n\r', exclude_categories=("Cs", "Cc")), min_size=1, max_size=12
)
NO_SPACE = st.text("abc/.:|_-é0", min_size=2, max_size=8)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.sampled_from((ISTIO, ISTIO_BEFORE_1_8, ENVOY)))
def test_what_a_format_writes_is_read_again(data: st.DataObject, form: str) -> None:
    wanted: dict[str, str] = {}

    def value(match: re.Match[str]) -> str:
        name = match[0]
        if name == "%START_TIME%":
            return "2020-11-25T21:26:18.409Z"
        if name in NUMBERS:
            return str(data.draw(st.integers(0, 999)))
        if name == "%REQ(X-ENVOY-ORIGINAL-PATH?:PATH)%":
            wanted["Path"] = data.draw(NO_SPACE)
            return wanted["Path"]
        quoted = {
            "%REQ(USER-AGENT)%": "UserAgent",
            "%REQ(X-FORWARDED-FOR)%": "ForwardedFor",
            "%REQ(:AUTHORITY)%": "Authority",
        }
        if name in quoted:
            wanted[quoted[name]] = data.draw(PLAIN)
            return wanted[quoted[name]]
        return "-"

    line = re.sub(r"%[A-Z_]+(?:\([^)]*\))?%", value, form)
    found = _read(line)
    assert not isinstance(found, BadLine), found
    assert {name: found[name] for name in wanted} == {
        name: "" if text == "-" else text for name, text in wanted.items()
    }


NUMBERS = {"%RESPONSE_CODE%", "%BYTES_RECEIVED%", "%BYTES_SENT%", "%DURATION%", "%RESP(X-ENVOY-UPSTREAM-SERVICE-TIME)%"}


@settings(max_examples=100, deadline=None)
@given(st.one_of(st.text(max_size=60), st.lists(st.sampled_from(
    ["%START_TIME%", "%START_TIME(", ")%", "%REQ(", "%%", "%", "%s", "%Y-%m-%d", ":3%", " ", "{", '"a":', "[",
     "%RESPONSE_CODE%"]
), max_size=8).map("".join)), st.binary(max_size=60))  # fmt: skip
def test_any_format_and_any_line(form: str, line: bytes) -> None:
    try:
        made = compile_format(form)
    except BadInputError:
        return
    assert isinstance(LineReader([made]).read(line), dict | BadLine | None)


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=200), st.integers(0, len(LOST)), st.integers(0, 40))
def test_any_bytes_within_a_line(noise: bytes, at: int, cut: int) -> None:
    line = LOST.encode()
    found = _read(line[:at] + noise.replace(b"\n", b"") + line[at + cut :])
    assert isinstance(found, dict | BadLine)


@settings(max_examples=80, deadline=None)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=3),
        max_leaves=5,
    )
)
def test_any_json(value: Any) -> None:
    assert isinstance(_read(json.dumps(value)), dict | BadLine | None)


def test_a_line_of_quotes_takes_no_time() -> None:
    begun = time.monotonic()
    assert isinstance(_read('[x] "' + '" "' * 20_000), BadLine)
    assert time.monotonic() - begun < 30  # by backtracking it would be hours
