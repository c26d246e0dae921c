"""Fuzzed OTLP: a clear error or the right rows, never anything else, and no growth."""

from __future__ import annotations

import asyncio
import json
import random
from typing import Any

import psutil
import pytest
from google.protobuf.message import DecodeError
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mutations import mutated
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from otlp_messages import rich_logs, rich_traces, to_json, traces

from windvane.ingest.accounting import Accounting
from windvane.ingest.otlp import JSON, OtlpReceiver, kinds
from windvane.kit.errors import BadInputError
from windvane.kit.metrics import Metrics
from windvane.signals.otlp import scan
from windvane.signals.otlp.nested import rewrite
from windvane.signals.otlp.transcode import transcode
from windvane.signals.otlp.wire import framed
from windvane.store.api import Engine
from windvane.store.commit import GroupCommit, Kind

RICH = {"traces": rich_traces().SerializeToString(), "logs": rich_logs().SerializeToString()}
TABLES = {"traces": scan.TRACES, "logs": scan.LOGS}
RARE = [HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large]


def _read(payload: bytes, signal: str) -> tuple[bytes, int] | None:
    try:
        found = scan.scan(payload, TABLES[signal])
        return framed(rewrite(found)), found.records
    except BadInputError:
        return None


@given(st.binary(max_size=400))
@settings(max_examples=300, deadline=None)
def test_random_bytes_are_read_or_refused(payload: bytes) -> None:
    _read(payload, "traces")
    _read(payload, "logs")


@pytest.mark.parametrize("signal", ["traces", "logs"])
@given(data=st.data())
@settings(max_examples=200, deadline=None, suppress_health_check=RARE)
def test_what_protobuf_itself_reads_is_read_alike(signal: str, data: st.DataObject) -> None:
    payload = data.draw(mutated(RICH[signal]))
    kind = ExportTraceServiceRequest if signal == "traces" else ExportLogsServiceRequest
    try:
        official: Any = kind.FromString(payload)
    except DecodeError:
        official = None
    read = _read(payload, signal)
    if official is None or read is None:
        return  # stricter in places: lengths of ids, wire types of known fields
    batches = official.resource_spans if signal == "traces" else official.resource_logs
    scopes = [scope for batch in batches for scope in (batch.scope_spans if signal == "traces" else batch.scope_logs)]
    assert read[1] == sum(len(scope.spans if signal == "traces" else scope.log_records) for scope in scopes)


@pytest.mark.parametrize("signal", ["traces", "logs"])
@given(data=st.data())
@settings(max_examples=10, deadline=None, suppress_health_check=RARE)
def test_the_engine_decodes_whatever_passes(engine: Engine, signal: str, data: st.DataObject) -> None:
    table = f"otel_{signal}"
    engine.command(f"TRUNCATE TABLE {table}")
    payloads = data.draw(st.lists(mutated(RICH[signal]), min_size=10, max_size=30))
    read = [found for payload in payloads if (found := _read(payload, signal))]
    kind: Kind = next(kind for kind in kinds() if kind.name == f"otlp_{signal}")
    rows = engine.insert_payload(kind.insert(1), b"".join(payload for payload, _ in read))
    assert rows == sum(records for _, records in read)
    assert len(engine.query(f"SELECT * FROM {table}")) == rows  # every string is readable


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@st.composite
def mutated_json(draw: st.DrawFn, text: bytes) -> bytes:
    """OTLP/JSON with one value somewhere replaced by any JSON value."""
    root = json.loads(text)
    node, parent, key = root, None, None
    while isinstance(node, dict | list) and node and draw(st.integers(0, 9)) > 0:
        parent = node
        key = draw(st.sampled_from(sorted(node))) if isinstance(node, dict) else draw(st.integers(0, len(node) - 1))
        node = node[key]
    value = draw(json_values)
    if parent is None:
        root = value
    else:
        parent[key] = value
    return json.dumps(root).encode()


@pytest.mark.parametrize("signal", ["traces", "logs"])
@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=RARE)
def test_json_becomes_a_valid_request_or_a_clear_error(signal: str, data: st.DataObject) -> None:
    rich = to_json(rich_traces() if signal == "traces" else rich_logs())
    text = data.draw(mutated_json(rich) | st.binary(max_size=60))
    said = ""
    try:
        scan.scan(transcode(text, signal), TABLES[signal])
    except BadInputError as error:
        said = error.message
    wrong_length = " id is not " in said
    assert not said or said.startswith(("not JSON", "OTLP/JSON: request")) or wrong_length


def test_a_flood_of_rubbish_does_not_grow_the_process(engine: Engine) -> None:
    chance = random.Random(5)
    good = traces(20).SerializeToString()

    def rubbish() -> bytes:
        cut = bytearray(good[: chance.randrange(len(good))])
        cut[chance.randrange(len(cut) or 1) : 0] = chance.randbytes(3)
        return bytes(cut)

    async def flood(receiver: OtlpReceiver, requests: int) -> None:
        for _ in range(requests):
            await receiver.export_http("traces", b"{" + rubbish(), JSON, "")
            try:
                await receiver.export("traces", b"\xff" + rubbish(), transport="grpc")
            except BadInputError:
                continue

    async def run() -> int:
        async with GroupCommit(engine, kinds()) as commit:
            receiver = OtlpReceiver(commit, Accounting(Metrics()))
            await flood(receiver, 300)
            before = psutil.Process().memory_info().rss
            await flood(receiver, 3_000)
            assert commit.held_bytes == 0
            return psutil.Process().memory_info().rss - before

    assert asyncio.run(run()) < 16 << 20
