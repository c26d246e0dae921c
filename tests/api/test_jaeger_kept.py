"""Archived traces outlive retention; uploaded ones are shown without being stored."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable

import orjson
import otlp_messages
import pytest
from asgi_client import AsgiClient
from hypothesis import given
from hypothesis import strategies as st
from jaeger_traces import NOW, SECOND, SHOP, TRACES
from telemetry_rows import store_spans

from windvane.api import jaeger
from windvane.api.jaeger.otlp_upload import read_spans, read_upload
from windvane.api.otlp_traces import JsonWriter, traces_protobuf
from windvane.kit.clock import ManualClock
from windvane.kit.errors import BadInputError
from windvane.store.api import Engine
from windvane.tracing.archive import archive, read_kept
from windvane.tracing.assembly import read_traces
from windvane.tracing.model import Span

KEPT = {"data": [], "total": 0, "limit": 0, "offset": 0, "errors": []}


@pytest.fixture
def client(engine: Engine) -> AsgiClient:
    store_spans(engine, TRACES)
    return AsgiClient(jaeger.shared_routes(jaeger.JaegerQueries(engine, ManualClock(NOW))))


def expire(engine: Engine) -> None:
    """What retention does."""
    engine.command("TRUNCATE TABLE otel_traces")


def test_an_archived_trace_outlives_retention(client: AsgiClient, engine: Engine) -> None:
    before = client.get(f"/api/traces/{SHOP}").json()
    answer = client.post(f"/api/archive/{SHOP}")
    assert (answer.status_code, answer.json()) == (200, KEPT)
    assert client.get(f"/api/traces/{SHOP}").json() == before, "kept twice, it is one trace"
    expire(engine)
    assert client.get(f"/api/traces/{SHOP}").json() == before
    assert client.get("/api/traces", params={"traceID": SHOP}).json()["data"] == before["data"]
    assert client.get(f"/api/v3/traces/{SHOP}").status_code == 200
    assert client.post(f"/api/archive/{SHOP}").json() == KEPT, "archived already"
    assert client.get("/api/traces/ab").status_code == 404


def test_archiving_again_adds_what_came_since(client: AsgiClient, engine: Engine) -> None:
    expire(engine)
    store_spans(engine, TRACES[:3])
    client.post(f"/api/archive/{SHOP}")
    store_spans(engine, TRACES[3:6])
    client.post(f"/api/archive/{SHOP}")
    client.post(f"/api/archive/{SHOP}")
    assert engine.query("SELECT count() AS n FROM otel_traces_archive")["n"][0] == 6
    store_spans(engine, TRACES[:1])
    expire(engine)
    (trace,) = read_kept(engine, [SHOP])
    assert [span.span_id for span in trace.spans] == [f"{n:016x}" for n in range(1, 7)]


def test_a_trace_of_which_a_part_expired_is_whole(client: AsgiClient, engine: Engine) -> None:
    whole = read_traces(engine, [SHOP])
    archive(engine, SHOP)
    expire(engine)
    store_spans(engine, TRACES[2:4])
    assert read_kept(engine, [SHOP]) == whole
    assert read_kept(engine, ["9" * 32, SHOP, SHOP]) == whole
    assert read_kept(engine, []) == []


def test_only_spans_of_the_times_given_are_archived(client: AsgiClient, engine: Engine) -> None:
    micros = (NOW - 10 * SECOND + 2 * 10**6) // 1000
    assert client.post(f"/api/archive/{SHOP}", params={"end": micros}).status_code == 200
    expire(engine)
    assert len(read_kept(engine, [SHOP])[0].spans) == 2
    assert client.post(f"/api/archive/{SHOP}", params={"start": NOW // 1000}).status_code == 404


@pytest.mark.parametrize(
    ("path", "params", "status", "message"),
    [
        ("00ff", {}, 404, "trace not found"),
        ("ab", {"start": "x"}, 400, "unable to parse param 'start': strconv.ParseInt: parsing \"x\": invalid syntax"),
        ("ab", {"raw": "x"}, 400, "unable to parse param 'raw': strconv.ParseBool: parsing \"x\": invalid syntax"),
    ],
)
def test_what_cannot_be_archived(client: AsgiClient, path: str, params: dict[str, str], status, message) -> None:
    answer = client.post(f"/api/archive/{path}", params=params)
    assert answer.status_code == status
    assert json.loads(answer.text)["errors"] == [{"code": status, "msg": message}]
    assert client.get(f"/api/archive/{path}").status_code == 405


def test_an_upload_is_shown_in_jaegers_shape(
    client: AsgiClient, engine: Engine, golden: Callable[[str, str], None]
) -> None:
    expire(engine)
    upload = {"resourceSpans": JsonWriter().resource_spans(TRACES)}
    answer = client.post("/api/transform", orjson.dumps(upload))
    assert answer.status_code == 200
    golden("jaeger_transform.json", orjson.dumps(answer.json(), option=orjson.OPT_INDENT_2).decode() + "\n")
    assert engine.query("SELECT count() AS n FROM otel_traces")["n"][0] == 0


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "not JSON"),
        (b"[]", "request"),
        (b'{"resourceSpans": [{"scopeSpans": [{"spans": [{"traceId": 5}]}]}]}',
         "request.resourceSpans[0].scopeSpans[0].spans[0].traceId"),
    ],
)  # fmt: skip
def test_a_broken_upload_is_refused_with_its_place(client: AsgiClient, body: bytes, told: str) -> None:
    answer = client.post("/api/transform", body)
    assert answer.status_code == 400
    assert told in json.loads(answer.text)["errors"][0]["msg"]


def test_an_empty_upload_has_no_traces(client: AsgiClient) -> None:
    assert client.post("/api/transform", b"{}").json()["data"] == []


def by_id(span: Span) -> str:
    return span.span_id


def test_spans_come_back_from_otlp_as_they_went() -> None:
    assert sorted(read_spans(traces_protobuf(TRACES)), key=by_id) == TRACES
    traces = read_upload(orjson.dumps({"resourceSpans": JsonWriter().resource_spans(TRACES)}))
    assert sorted((span for trace in traces for span in trace.spans), key=by_id) == TRACES


def test_what_official_classes_write_is_read() -> None:
    (span,) = read_spans(otlp_messages.traces().SerializeToString())
    assert (span.trace_id, span.start_ns) == (otlp_messages.TRACE.hex(), otlp_messages.START)


@given(st.binary(max_size=200))
def test_any_bytes_are_spans_or_refused(message: bytes) -> None:
    with contextlib.suppress(BadInputError):
        read_spans(message)


@given(st.data())
def test_a_damaged_message_is_spans_or_refused(data: st.DataObject) -> None:
    message = bytearray(traces_protobuf(TRACES))
    for _ in range(data.draw(st.integers(1, 4))):
        message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
    with contextlib.suppress(BadInputError):
        read_spans(bytes(message))
