"""Spans that this program turns into columns are the rows that the engine decodes from the same bytes."""

from __future__ import annotations

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue
from otlp_messages import VALUES, traces
from test_otlp_fuzz import RARE, mutated

from windvane.ingest.otlp import kinds
from windvane.ingest.otlp_spans import native_spans
from windvane.kit.errors import BadInputError
from windvane.signals.otlp import scan
from windvane.signals.otlp.nested import rewrite
from windvane.signals.otlp.wire import framed
from windvane.store.api import Engine

ROWS = "SELECT * REPLACE toString(Timestamp) AS Timestamp, toString(SpanAttributes) AS SpanAttributes FROM otel_traces"
KEYS = ["service.name", "http.method", "k", "", "é", "a" * 300]


def _attributes(rng: random.Random, kinds_: list[str]) -> list[KeyValue]:
    names = [rng.choice(KEYS) for _ in range(rng.randrange(6))]
    pairs = [KeyValue(key=name, value=VALUES[rng.choice(kinds_)][0]) for name in names]
    return [*pairs, KeyValue(key="no value")] if rng.random() < 0.2 else pairs


def _request(rng: random.Random) -> bytes:
    request = ExportTraceServiceRequest()
    simple = [name for name in VALUES if "double" not in name and "bytes" not in name and name != "infinite"]
    for _ in range(rng.randrange(4)):
        batch = request.resource_spans.add()
        batch.resource.attributes.extend(_attributes(rng, ["string", "empty"]))
        batch.resource.attributes.add(key="zone").value.int_value = rng.randrange(-3, 3)
        for _ in range(rng.randrange(3)):
            scoped = batch.scope_spans.add(schema_url="https://schema")
            scoped.scope.name, scoped.scope.version = rng.choice(["", "envoy"]), rng.choice(["", "1"])
            scoped.scope.attributes.extend(_attributes(rng, simple))
            for _ in range(rng.randrange(5)):
                span = scoped.spans.add(
                    trace_id=rng.choice([rng.randbytes(16), bytes(16), b""]), span_id=rng.randbytes(8),
                    parent_span_id=rng.choice([rng.randbytes(8), bytes(8), b""]),
                    name=rng.choice(["GET /", "", "é" * 200]),
                    kind=rng.randrange(6), trace_state=rng.choice(["", "a=b"]),
                    start_time_unix_nano=rng.choice([0, 1_790_000_000_123_456_789]), dropped_attributes_count=3,
                    end_time_unix_nano=rng.choice([0, 1_790_000_001_000_000_000]),
                )  # fmt: skip
                span.attributes.extend(_attributes(rng, simple))
                if rng.random() < 0.5:
                    span.status.message, span.status.code = rng.choice(["", "it failed"]), rng.randrange(3)
    return request.SerializeToString()


def _rows(engine: Engine, kind: str, payload: bytes) -> list[str]:
    engine.command("TRUNCATE TABLE otel_traces")
    engine.insert_payload(next(known for known in kinds() if known.name == kind).insert(1), payload)
    return sorted(str(row) for row in engine.query(ROWS).to_dict("records"))


def test_columns_are_what_the_engine_decodes(engine: Engine) -> None:
    rng = random.Random(5)
    requests = [request for _ in range(150) if scan.scan(request := _request(rng), scan.TRACES).records]
    readable = [rewrite(scan.scan(request, scan.TRACES)) for request in requests]
    blocks = [native_spans(r, scan.scan(q, scan.TRACES).records) for q, r in zip(requests, readable, strict=True)]
    taken = [at for at, block in enumerate(blocks) if block is not None]
    assert len(taken) == len(blocks)
    decoded = _rows(engine, "otlp_plain_traces", b"".join(framed(r) for r in readable))
    assert _rows(engine, "otlp_spans", b"".join(blocks)) == decoded
    for at in taken[:20]:
        assert _rows(engine, "otlp_spans", blocks[at]) == _rows(engine, "otlp_plain_traces", framed(readable[at]))


@pytest.mark.parametrize("kind", ["double", "infinite", "bytes", "no bytes"])
def test_texts_that_only_the_engine_writes_are_left_to_it(kind: str) -> None:
    request = ExportTraceServiceRequest()
    span = request.resource_spans.add().scope_spans.add().spans.add(span_id=b"12345678")
    span.attributes.add(key="k", value=VALUES[kind][0])
    assert native_spans(request.SerializeToString(), 1) is None


def test_many_different_names_are_left_to_the_engine() -> None:
    request = ExportTraceServiceRequest()
    scoped = request.resource_spans.add().scope_spans.add()
    for number in range(5_000):
        scoped.spans.add(span_id=number.to_bytes(8, "big"), name=f"GET /{number}")
    assert native_spans(request.SerializeToString(), 5_000) is None


def test_a_large_resource_of_many_spans_fits(engine: Engine) -> None:
    request = ExportTraceServiceRequest()
    batch = request.resource_spans.add()
    batch.resource.attributes.add(key="big").value.string_value = "x" * 1_000
    scoped = batch.scope_spans.add()
    for number in range(100):
        scoped.spans.add(span_id=number.to_bytes(8, "big"))
    payload = request.SerializeToString()
    block = native_spans(payload, 100)
    assert block is not None
    assert _rows(engine, "otlp_spans", block) == _rows(engine, "otlp_plain_traces", framed(payload))


@given(data=st.data())
@settings(max_examples=15, deadline=None, suppress_health_check=RARE)
def test_whatever_passes_the_check_becomes_rows_alike(engine: Engine, data: st.DataObject) -> None:
    payloads = data.draw(st.lists(mutated(traces(3).SerializeToString()), min_size=8, max_size=20))
    blocks, read = [], []
    for payload in payloads:
        try:
            found = scan.scan(payload, scan.TRACES)
        except BadInputError:
            continue
        block = native_spans(found.payload, found.records) if found.records and not found.extras else None
        if block is not None and not len(found.nested):
            blocks.append(block)
            read.append(framed(found.payload))
    if blocks:
        assert _rows(engine, "otlp_spans", b"".join(blocks)) == _rows(engine, "otlp_plain_traces", b"".join(read))
